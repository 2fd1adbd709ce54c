/*
 * The limit for starting a container on this machine: what the kernel itself takes.
 *
 * clone3 with seven new namespaces, an id map, an overlay of its own, /proc, /sys, /dev with the six devices,
 * pivot_root, exec, wait. No policy, no cgroup, no network, no log. Usage: limit LOWER SCRATCH COUNT PAUSE; prints the
 * milliseconds of each run, and does nothing for PAUSE milliseconds before it: processors and caches that were idle for a
 * moment take half as long again, also for an engine. With a PAUSE of -1 all are made at once, by processes of their own,
 * and what is printed is the time of all, divided by COUNT.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(int ok, const char *what) {
  if (ok)
    return;
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  must(fd >= 0 && write(fd, text, strlen(text)) > 0, path);
  close(fd);
}

static void mount_device(const char *name) {
  char from[64], to[64];
  snprintf(from, sizeof from, "/dev/%s", name);
  snprintf(to, sizeof to, "dev/%s", name);
  int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
  must(fd >= 0, to);
  close(fd);
  must(mount(from, to, NULL, MS_BIND, NULL) == 0, to);
}

static void child(const char *lower, const char *dir, int go) {
  char c, options[1024], merged[512];
  must(read(go, &c, 1) == 1, "wait for the id map");
  must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "become root");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make mounts private");
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/u,workdir=%s/w", lower, dir, dir);
  snprintf(merged, sizeof merged, "%s/m", dir);
  must(mount("overlay", merged, "overlay", 0, options) == 0, "mount overlay");
  must(chdir(merged) == 0, "chdir");
  must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "mount proc");
  must(mount("sysfs", "sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "mount sysfs");
  must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755") == 0, "mount tmpfs");
  const char *devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
    mount_device(devices[i]);
  must(sethostname("limit", 5) == 0, "sethostname");
  must(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  must(umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "detach the old root");
  char *argv[] = {"/bin/true", NULL}, *env[] = {NULL};
  execve(argv[0], argv, env);
  must(0, "exec /bin/true");
}

static void once(const char *lower, const char *dir) {
  int go[2];
  char path[512];
  const char *parts[] = {"", "/u", "/w", "/m"};
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s%s", dir, parts[i]);
    must(mkdir(path, 0755) == 0, path);
  }
  must(pipe2(go, O_CLOEXEC) == 0, "pipe");
  struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                     CLONE_NEWUTS | CLONE_NEWCGROUP,
                            .exit_signal = SIGCHLD};
  pid_t pid = syscall(SYS_clone3, &args, sizeof args);
  must(pid >= 0, "clone3");
  if (pid == 0)
    child(lower, dir, go[0]);
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  put(path, "0 0 65536");
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  put(path, "0 0 65536");
  must(write(go[1], "x", 1) == 1, "let it go");
  int status;
  must(waitpid(pid, &status, 0) == pid && status == 0, "wait for /bin/true");
  close(go[0]);
  close(go[1]);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void at_once(const char *lower, const char *scratch, int count) {
  double began = now();
  for (int i = 0; i < count; i++) {
    char dir[256];
    snprintf(dir, sizeof dir, "%s/%d", scratch, i);
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid > 0)
      continue;
    once(lower, dir);
    _exit(0);
  }
  for (int i = 0, status; i < count; i++)
    must(wait(&status) > 0 && status == 0, "wait for all");
  printf("%.4f\n", (now() - began) / count);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: limit LOWER SCRATCH COUNT PAUSE\n");
    return 2;
  }
  int count = atoi(argv[3]), pause = atoi(argv[4]);
  if (pause < 0)
    at_once(argv[1], argv[2], count);
  for (int i = 0; pause >= 0 && i < count; i++) {
    char dir[256];
    snprintf(dir, sizeof dir, "%s/%d", argv[2], i);
    usleep(pause * 1000);
    double began = now();
    once(argv[1], dir);
    printf("%.4f\n", now() - began);
  }
  return 0;
}
