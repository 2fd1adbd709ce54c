/*
 * Runs a command COUNT times and prints the milliseconds of each run. A big process such as Node takes milliseconds
 * to fork; this one takes 0.2. Usage: repeat COUNT PROGRAM [ARGUMENT…]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: repeat COUNT PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  for (int i = 0; i < atoi(argv[1]); i++) {
    struct timespec a, b;
    pid_t pid;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &a);
    int error = posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ);
    if (error != 0) {
      fprintf(stderr, "repeat: start %s: %s\n", argv[2], strerror(error));
      return 1;
    }
    waitpid(pid, &status, 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (status != 0) {
      fprintf(stderr, "repeat: %s ended with status %d\n", argv[2], status);
      return 1;
    }
    printf("%.4f\n", (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
  }
  return 0;
}
