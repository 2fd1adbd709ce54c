/*
 * Burns a processor as a real-time process for so many milliseconds, and prints `errno 0` and the milliseconds of it that
 * it got; or the errno with which the kernel refused to make it one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long milliseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
  struct sched_param one = {.sched_priority = 1};
  if (argc != 2)
    return 2;
  /* Not by musl's own function, which knows none of it. */
  const int failed = syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &one) < 0;
  printf("errno %d\n", failed ? errno : 0);
  const long end = milliseconds(CLOCK_MONOTONIC) + atol(argv[1]);
  while (!failed && milliseconds(CLOCK_MONOTONIC) < end)
    ;
  printf("used %ld\n", milliseconds(CLOCK_PROCESS_CPUTIME_ID));
  return 0;
}
