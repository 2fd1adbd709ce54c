/*
 * A container's plan alone: bytes to the core's spawner, until the shim tells of the end. Nobody plans, checks, records or
 * serves a request here. Usage: carry-out SOCKET COUNT FOLDER...; each folder is that of a shim, and beside it is FOLDER.plan,
 * the frames that the engine would send. Leads COUNT containers one right after the other, in the folders by turns, and
 * prints the milliseconds of each; with a COUNT of 0 all folders' at once, and the time of all divided by their number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char plan[1 << 17];
static const char *spawner;

static void must(int ok, const char *what) {
  if (ok)
    return;
  fprintf(stderr, "carry-out: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int runner(void) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  must(strlen(spawner) < sizeof at.sun_path, spawner);
  strcpy(at.sun_path, spawner);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0, spawner);
  return fd;
}

static void take(int fd, void *into, size_t size) {
  for (size_t got = 0; got < size;) {
    ssize_t more = read(fd, (char *)into + got, size - got);
    must(more > 0, "hear of the container's end");
    got += more;
  }
}

/* Frames: a length of type and payload (u32, little endian), the type, the payload. */
static void until_exit(int fd) {
  struct {
    uint32_t size;
    char type;
  } __attribute__((packed)) head;
  char payload[4096];
  do {
    take(fd, &head, sizeof head);
    must(head.size - 1 < sizeof payload, "read an answer");
    take(fd, payload, head.size - 1);
    payload[head.size - 1] = '\0';
    if (head.type != 'F')
      continue;
    fprintf(stderr, "carry-out: step %u failed: %s %s\n", *(uint32_t *)payload,
            strerror(*(int *)(payload + 4)), payload + 8);
    exit(1);
  } while (head.type != 'X');
  must(strstr(payload, "\"code\":0,") != NULL, payload);
}

static void once(int fd, const char *folder) {
  char path[512];
  const char *left[] = {"exit", "shim.sock"};
  snprintf(path, sizeof path, "%s.plan", folder);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, plan, sizeof plan);
  must(size > 0 && size < (ssize_t)sizeof plan && write(fd, plan, size) == size, path);
  close(file);
  until_exit(fd);
  close(fd);
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, left[i]);
    must(unlink(path) == 0, path);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void at_once(int count, char **folders) {
  double began = now();
  for (int i = 0; i < count; i++) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid > 0)
      continue;
    once(runner(), folders[i]);
    _exit(0);
  }
  for (int i = 0, status; i < count; i++)
    must(wait(&status) > 0 && status == 0, "wait for all");
  printf("%.4f\n", (now() - began) / count);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: carry-out SOCKET COUNT FOLDER...\n");
    return 2;
  }
  spawner = argv[1];
  int count = atoi(argv[2]), folders = argc - 3;
  if (count == 0)
    at_once(folders, argv + 3);
  /* As the engine has it, the next one's runner is forked while this one is at work. */
  int spare = count == 0 ? -1 : runner();
  for (int i = 0; i < count; i++) {
    double began = now();
    int fd = spare;
    spare = runner();
    once(fd, argv[3 + i % folders]);
    printf("%.4f\n", now() - began);
  }
  return 0;
}
