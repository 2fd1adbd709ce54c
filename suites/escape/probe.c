/*
 * Tries to break a promise from inside a container and prints what came of it, one `WORD RESULT` per line. A denial is
 * probed without side effects: bad pointers and invalid flags, where EFAULT, EBADF or EINVAL mean that the kernel was
 * reached and EPERM or ENOSYS that something stood before it. Refuses to run on the host.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BAD ((void *)8)
/* The inode of the initial PID namespace (PROC_PID_INIT_INO). */
#define HOST_PID_NAMESPACE 0xEFFFFFFCu

static const struct {
  int error;
  const char *name;
} names[] = {
    {0, "OK"},
    {EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {ESRCH, "ESRCH"}, {EINTR, "EINTR"}, {EIO, "EIO"}, {ENXIO, "ENXIO"},
    {E2BIG, "E2BIG"}, {EBADF, "EBADF"}, {EAGAIN, "EAGAIN"}, {ENOMEM, "ENOMEM"}, {EACCES, "EACCES"},
    {EFAULT, "EFAULT"}, {ENOTBLK, "ENOTBLK"}, {EBUSY, "EBUSY"}, {EEXIST, "EEXIST"}, {EXDEV, "EXDEV"},
    {ENODEV, "ENODEV"}, {ENOTDIR, "ENOTDIR"}, {EISDIR, "EISDIR"}, {EINVAL, "EINVAL"}, {ENOTTY, "ENOTTY"},
    {EMFILE, "EMFILE"}, {ETXTBSY, "ETXTBSY"}, {EFBIG, "EFBIG"}, {EROFS, "EROFS"}, {ENAMETOOLONG, "ENAMETOOLONG"},
    {ENOSYS, "ENOSYS"}, {ELOOP, "ELOOP"}, {EPROTONOSUPPORT, "EPROTONOSUPPORT"},
    {ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"}, {EOPNOTSUPP, "EOPNOTSUPP"}, {EAFNOSUPPORT, "EAFNOSUPPORT"},
    {ECONNREFUSED, "ECONNREFUSED"}, {ENOKEY, "ENOKEY"},
};

static const char *name_of(int error) {
  static char number[16];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].error == error)
      return names[i].name;
  snprintf(number, sizeof number, "errno-%d", error);
  return number;
}

static void say(const char *what, int failed) {
  printf("%s %s\n", what, name_of(failed ? errno : 0));
}

struct call {
  const char *name;
  long number, a, b, c, d;
};

/* A flag unshare(2) does not know: EINVAL when it is reached. */
#define CLONE_FS_BAD 0x20
#define ALG 38
#define VSOCK 40

static const struct call calls[] = {
    {"bpf", SYS_bpf, 9999, (long)BAD, 8, 0},
    {"userfaultfd", SYS_userfaultfd, 0x40000000, 0, 0, 0},
    {"io_uring_setup", SYS_io_uring_setup, 1, (long)BAD, 0, 0},
    {"io_uring_enter", SYS_io_uring_enter, -1, 0, 0, 0},
    {"keyctl", SYS_keyctl, 9999, 0, 0, 0},
    {"add_key", SYS_add_key, (long)BAD, (long)BAD, 0, 0},
    {"request_key", SYS_request_key, (long)BAD, (long)BAD, 0, 0},
    {"init_module", SYS_init_module, (long)BAD, 8, (long)BAD, 0},
    {"finit_module", SYS_finit_module, -1, (long)BAD, 0, 0},
    {"delete_module", SYS_delete_module, (long)BAD, 0, 0, 0},
    {"kexec_load", SYS_kexec_load, 0, 99, (long)BAD, 0xffff},
    {"perf_event_open", SYS_perf_event_open, (long)BAD, 0, -1, -1},
    {"mount", SYS_mount, (long)BAD, (long)BAD, (long)BAD, 0},
    {"umount2", SYS_umount2, (long)BAD, 0, 0, 0},
    {"pivot_root", SYS_pivot_root, (long)BAD, (long)BAD, 0, 0},
    {"fsopen", SYS_fsopen, (long)BAD, 0, 0, 0},
    {"fsmount", SYS_fsmount, -1, 0, 0, 0},
    {"move_mount", SYS_move_mount, -1, (long)BAD, -1, (long)BAD},
    {"open_tree", SYS_open_tree, -1, (long)BAD, 0, 0},
    {"mount_setattr", SYS_mount_setattr, -1, (long)BAD, 0, (long)BAD},
    {"setns", SYS_setns, -1, 0, 0, 0},
    {"unshare-user", SYS_unshare, CLONE_NEWUSER | CLONE_FS_BAD, 0, 0, 0},
    {"swapon", SYS_swapon, (long)BAD, 0, 0, 0},
    {"swapoff", SYS_swapoff, (long)BAD, 0, 0, 0},
    {"acct", SYS_acct, (long)BAD, 0, 0, 0},
    {"quotactl", SYS_quotactl, 0, (long)BAD, 0, 0},
    {"reboot", SYS_reboot, 1, 2, 3, 0},
    {"settimeofday", SYS_settimeofday, (long)BAD, 0, 0, 0},
    {"clock_settime", SYS_clock_settime, 0, (long)BAD, 0, 0},
    {"syslog", SYS_syslog, 3, (long)BAD, 16, 0},
    {"open_by_handle_at", SYS_open_by_handle_at, -1, (long)BAD, 0, 0},
    {"move_pages", SYS_move_pages, 0, 1, (long)BAD, (long)BAD},
    {"kcmp", SYS_kcmp, 1, 1, 99, 0},
    {"socket-alg", SYS_socket, ALG, 99, 0, 0},
    {"socket-vsock", SYS_socket, VSOCK, 99, 0, 0},
#ifdef SYS_iopl
    {"iopl", SYS_iopl, 99, 0, 0, 0},
    {"ioperm", SYS_ioperm, 0, 0, 0, 0},
#endif
};

static void try_calls(void) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    const struct call *c = calls + i;
    errno = 0;
    say(c->name, syscall(c->number, c->a, c->b, c->c, c->d, 0, 0) < 0);
  }
  struct {
    unsigned long long flags, rest[10];
  } args = {.flags = CLONE_NEWUSER | CLONE_THREAD};
  say("clone3-user", syscall(SYS_clone3, &args, sizeof args) < 0);
}

static void list_descriptors(void) {
  DIR *dir = opendir("/proc/self/fd");
  struct dirent *entry;
  while (dir && (entry = readdir(dir))) {
    char target[512];
    ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir) || length < 0)
      continue;
    target[length] = 0;
    printf("%s %s\n", entry->d_name, target);
  }
}

/* Asks for every capability back. */
static void regain(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct had[2], all[2];
  syscall(SYS_capget, &header, had);
  for (int cap = 0; cap <= 40; cap++) {
    memcpy(all, had, sizeof all);
    all[cap / 32].permitted |= 1u << cap % 32;
    all[cap / 32].effective |= 1u << cap % 32;
    char word[32];
    snprintf(word, sizeof word, "cap-%d", cap);
    say(word, syscall(SYS_capset, &header, all) < 0);
    syscall(SYS_capset, &header, had);
  }
}

/* How much a file gives: its first bytes counted, or the entries of a folder. */
static void read_paths(char **paths) {
  for (; *paths; paths++) {
    struct stat st;
    int fd = open(*paths, O_RDONLY | O_NONBLOCK);
    if (fd < 0) {
      say(*paths, 1);
      continue;
    }
    int count = 0;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
      DIR *dir = fdopendir(fd);
      while (dir && readdir(dir))
        count++;
      printf("%s %d\n", *paths, count - 2);
      continue;
    }
    char buffer[64];
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0)
      say(*paths, 1);
    else
      printf("%s %zd\n", *paths, got);
    close(fd);
  }
}

/* Opens for writing and writes nothing. */
static void open_for_writing(char **paths) {
  for (; *paths; paths++) {
    int fd = open(*paths, O_WRONLY);
    say(*paths, fd < 0);
    if (fd >= 0)
      close(fd);
  }
}

static void make_device(const char *type, int major_, int minor_) {
  const char *path = "/tmp/probe-device";
  unlink(path);
  int failed = mknod(path, (*type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(major_, minor_)) < 0;
  say("mknod", failed);
  if (failed)
    return;
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  say("open", fd < 0);
  unlink(path);
}

/* Looks for a path of the host, from the working directory upwards and from the root. */
static void look_for(const char *canary) {
  char path[1024] = "";
  for (int level = 0; level < 16; level++) {
    snprintf(path + 3 * level, sizeof path - 3 * level, "%s", canary + 1);
    if (access(path, F_OK) == 0) {
      printf("canary reached-by %s\n", path);
      return;
    }
    strcpy(path + 3 * level, "../");
  }
  printf("canary %s\n", access(canary, F_OK) == 0 ? "reached-by-root" : "ENOENT");
}

/* Watches for processes that come from elsewhere, and tries to open the program they run (CVE-2019-5736). */
static void watch_executables(int seconds) {
  time_t end = time(NULL) + seconds;
  int seen = 0;
  for (; time(NULL) < end;) {
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
      int pid = atoi(entry->d_name);
      if (pid <= 1 || pid == getpid())
        continue;
      char link[64], target[512], again[64];
      snprintf(link, sizeof link, "/proc/%d/exe", pid);
      ssize_t length = readlink(link, target, sizeof target - 1);
      int fd = open(link, O_PATH | O_CLOEXEC);
      struct stat theirs, ours;
      if (length < 0 || fd < 0 || fstat(fd, &theirs) < 0) {
        if (fd >= 0)
          close(fd);
        continue;
      }
      target[length] = 0;
      seen++;
      if (stat(target, &ours) < 0 || ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) {
        snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
        int file = open(again, O_RDONLY);
        printf("foreign %s %s\n", target, name_of(file < 0 ? errno : 0));
        fflush(stdout);
        if (file >= 0)
          close(file);
      }
      close(fd);
    }
    if (proc)
      closedir(proc);
  }
  printf("seen %s\n", seen > 0 ? "OK" : "nothing");
}

static void connect_abstract(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  say("abstract", connect(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)) < 0);
}

/* Instances up to a number or to the first that is refused, held for so many seconds. */
static void hold_inotify(int most, unsigned seconds) {
  int made = 0, fd = 0;
  while (made < most && (fd = inotify_init()) >= 0)
    made++;
  say("last", fd < 0);
  printf("made %d\n", made);
  fflush(stdout);
  sleep(seconds);
}

static void namespaces(void) {
  const char *kinds[] = {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    if (readlink(path, target, sizeof target - 1) < 0)
      snprintf(target, sizeof target, "%s", name_of(errno));
    printf("%s %s\n", kinds[i], target);
  }
}

int main(int argc, char **argv) {
  struct stat st;
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "namespaces") && stat("/proc/self/ns/pid", &st) == 0 &&
      st.st_ino == HOST_PID_NAMESPACE) {
    fprintf(stderr, "probe: this is the host; run me in a container\n");
    return 99;
  }
  if (!strcmp(what, "calls"))
    try_calls();
  else if (!strcmp(what, "namespaces"))
    namespaces();
  else if (!strcmp(what, "descriptors"))
    list_descriptors();
  else if (!strcmp(what, "regain"))
    regain();
  else if (!strcmp(what, "read"))
    read_paths(argv + 2);
  else if (!strcmp(what, "write"))
    open_for_writing(argv + 2);
  else if (!strcmp(what, "device") && argc == 5)
    make_device(argv[2], atoi(argv[3]), atoi(argv[4]));
  else if (!strcmp(what, "look") && argc == 3)
    look_for(argv[2]);
  else if (!strcmp(what, "look-from") && argc == 4) {
    say("chdir", chdir(argv[2]) < 0);
    look_for(argv[3]);
  } else if (!strcmp(what, "executables") && argc == 3)
    watch_executables(atoi(argv[2]));
  else if (!strcmp(what, "abstract") && argc == 3)
    connect_abstract(argv[2]);
  else if (!strcmp(what, "shm") && argc == 3)
    say("shm", shmget(atoi(argv[2]), 0, 0) < 0);
  else if (!strcmp(what, "inotify") && argc == 4)
    hold_inotify(atoi(argv[2]), (unsigned)atoi(argv[3]));
  else if (!strcmp(what, "euid"))
    printf("euid %d\n", geteuid());
  else
    return 2;
  return 0;
}
