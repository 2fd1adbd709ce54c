/*
 * Tries from inside a container to undo what hides parts of /proc and /sys or makes them read-only, and prints what came
 * of it, one `WORD:PATH NUMBER` per line. For `read` and what begins with it the number is what the path gives, bytes or
 * entries, or the negative errno; for all else it is the errno, 0 where it worked. Nothing is ever written: a file that opens is closed again. Refuses to run on the host, whose mounts it would change.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The inode of the initial PID namespace (PROC_PID_INIT_INO). */
#define HOST_PID_NAMESPACE 0xEFFFFFFCu
#define SPARE "/tmp/spare"
#define SPARE_FILE "/tmp/spare-file"
/* What was mounted over it just now, and what lay there before. */
#define MOST_COVERS 8
#define OPEN_TREE_CLONE_ 1
#define MOUNT_ATTR_RDONLY_ 1

struct attributes {
  unsigned long long set, clear, propagation, userns;
};

static void say(const char *word, const char *path, int failed) {
  printf("%s:%s %d\n", word, path, failed ? errno : 0);
}

static void read_path(const char *word, const char *path) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &st) < 0) {
    printf("%s:%s -%d\n", word, path, errno);
    return;
  }
  long count = 0;
  if (S_ISDIR(st.st_mode)) {
    DIR *dir = fdopendir(fd);
    while (dir && readdir(dir))
      count++;
    printf("%s:%s %ld\n", word, path, count - 2);
    closedir(dir);
    return;
  }
  char buffer[64];
  ssize_t got = read(fd, buffer, sizeof buffer);
  printf("%s:%s %zd\n", word, path, got < 0 ? -(ssize_t)errno : got);
  close(fd);
}

/*
 * That a mount is read-only is found before permissions are looked at only by what truncates or changes modes; mkdir
 * looks the name up first, and most folders of /proc answer with ENOENT. The mode is the one that was there.
 */
static void write_path(const char *word, const char *path) {
  struct stat st;
  if (stat(path, &st) < 0) {
    say(word, path, 1);
    return;
  }
  if (S_ISDIR(st.st_mode)) {
    say(word, path, chmod(path, st.st_mode & 07777) < 0);
    return;
  }
  int fd = open(path, O_WRONLY | O_TRUNC | O_NONBLOCK);
  say(word, path, fd < 0);
  if (fd >= 0)
    close(fd);
}

static const char *spare_for(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? SPARE : SPARE_FILE;
}

/* Each of them alone, from the gentlest to what would change most; the order of paths is the caller's. */
static void attack(const char *path) {
  struct attributes writable = {.clear = MOUNT_ATTR_RDONLY_};
  say("setattr", path,
      syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &writable, sizeof writable) < 0);
  say("remount", path, mount(NULL, path, NULL, MS_REMOUNT, NULL) < 0);
  say("remount-bind", path, mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL) < 0);
  say("over", path, mount("tmpfs", path, "tmpfs", 0, NULL) < 0);
  say("bind-over", path, mount(spare_for(path), path, NULL, MS_BIND, NULL) < 0);
  say("move", path, mount(path, spare_for(path), NULL, MS_MOVE, NULL) < 0);
  say("umount", path, umount2(path, 0) < 0);
  int off = 0;
  while (off < MOST_COVERS && umount2(path, MNT_DETACH) == 0)
    off++;
  say("detach", path, off == 0);
}

/* Another view of the same file system, in which nothing would lie over the path. */
static void other_views(char **paths) {
  say("fresh", "proc", mount("proc", SPARE, "proc", 0, NULL) < 0);
  say("fresh", "sysfs", mount("sysfs", SPARE, "sysfs", 0, NULL) < 0);
  for (int i = 0; i < 2; i++) {
    const char *tree = i == 0 ? "/proc" : "/sys";
    say("bind", tree, mount(tree, SPARE, NULL, MS_BIND, NULL) < 0);
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, tree, OPEN_TREE_CLONE_);
    say("clone", tree, fd < 0);
    for (char **path = paths; fd >= 0 && *path; path++)
      if (!strncmp(*path, tree, strlen(tree))) {
        char below[512];
        snprintf(below, sizeof below, "/proc/self/fd/%d%s", fd, *path + strlen(tree));
        read_path("read-cloned", below);
      }
  }
  for (char **path = paths; *path; path++) {
    char below[512];
    snprintf(below, sizeof below, "/proc/self/root%s", *path);
    read_path("read-through", below);
    snprintf(below, sizeof below, "/proc/1/cwd%s", *path);
    read_path("read-through", below);
  }
}

static void look(const char *reads, const char *writes, char **masked, char **closed) {
  for (char **path = masked; *path; path++)
    read_path(reads, *path);
  for (char **path = closed; *path; path++)
    write_path(writes, *path);
}

/* unmask look|attack|attack-from-below MASKED… -- CLOSED… */
int main(int argc, char **argv) {
  struct stat st;
  if (argc < 3 || stat("/proc/self/ns/pid", &st) < 0 || st.st_ino == HOST_PID_NAMESPACE) {
    fprintf(stderr, "unmask: this is the host, or nothing was asked; run me in a container\n");
    return 99;
  }
  char **masked = argv + 2, **closed = masked;
  while (*closed && strcmp(*closed, "--"))
    closed++;
  if (*closed)
    *closed++ = NULL;
  mkdir(SPARE, 0700);
  close(open(SPARE_FILE, O_CREAT | O_WRONLY, 0600));
  look("read", "write", masked, closed);
  if (!strcmp(argv[1], "look"))
    return 0;
  if (!strcmp(argv[1], "attack-from-below"))
    say("unshare", "user", unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0);
  other_views(masked);
  for (char **path = masked; *path; path++)
    attack(*path);
  for (char **path = closed; *path; path++)
    attack(*path);
  look("read-after", "write-after", masked, closed);
  return 0;
}
