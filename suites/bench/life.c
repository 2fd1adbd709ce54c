/*
 * create + start + wait + remove of /bin/true by the smallest client there can be: what an engine takes, and next to
 * nothing of who asks. One connection that is kept, each request one write(2), answers only looked through for their
 * end. Usage: life SOCKET IMAGE NETWORK; for each line on standard input it leads one life and prints the milliseconds
 * of its four requests. A line with a number has it lead that many at once, by processes with connections of their own,
 * and prints the milliseconds of all, divided by their number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char answer[1 << 16];

static void must(int ok, const char *what) {
  if (ok)
    return;
  fprintf(stderr, "life: %s: %s\n%s\n", what, strerror(errno), answer);
  exit(1);
}

static int connect_to(const char *path) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  must(strlen(path) < sizeof at.sun_path, path);
  strcpy(at.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0, path);
  return fd;
}

/* Of an answer in chunks the last is empty; one without a body ends with its headers. */
static int is_whole(size_t size) {
  char *body = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\ncontent-length:");
  if (body == NULL)
    return 0;
  body += 4;
  char *chunked = strcasestr(answer, "\r\ntransfer-encoding: chunked");
  if (chunked != NULL && chunked < body)
    return size >= 5 && memcmp(answer + size - 5, "0\r\n\r\n", 5) == 0;
  return length == NULL || length > body || answer + size >= body + atol(length + 17);
}

/* Sends a request and takes its answer, which must have a status of 2xx. */
static void ask(int fd, const char *method, const char *path, const char *body) {
  static char request[4096];
  int length = snprintf(request, sizeof request,
                        "%s /v1.41%s HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        method, path, strlen(body), body);
  must(length < (int)sizeof request && write(fd, request, length) == length, path);
  size_t size = 0;
  do {
    ssize_t got = read(fd, answer + size, sizeof answer - 1 - size);
    must(got > 0, path);
    answer[size += got] = '\0';
  } while (!is_whole(size));
  must(size > 9 && answer[9] == '2', path);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static const char *socket_path, *image, *network;

static void life(int fd, double times[5]) {
  char body[512], path[128], id[65];
  times[0] = now();
  snprintf(body, sizeof body,
           "{\"Image\":\"%s\",\"Cmd\":[\"/bin/true\"],\"HostConfig\":{\"NetworkMode\":\"%s\"}}", image, network);
  ask(fd, "POST", "/containers/create", body);
  char *found = strstr(answer, "\"Id\":\"");
  must(found != NULL, "an id in the answer");
  snprintf(id, sizeof id, "%.64s", found + 6);
  times[1] = now();
  snprintf(path, sizeof path, "/containers/%s/start", id);
  ask(fd, "POST", path, "");
  times[2] = now();
  snprintf(path, sizeof path, "/containers/%s/wait", id);
  ask(fd, "POST", path, "");
  must(strstr(answer, "\"StatusCode\":0") != NULL, "running /bin/true");
  times[3] = now();
  snprintf(path, sizeof path, "/containers/%s", id);
  ask(fd, "DELETE", path, "");
  times[4] = now();
}

static void at_once(int count) {
  double times[5], began = now();
  for (int i = 0; i < count; i++) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid > 0)
      continue;
    life(connect_to(socket_path), times);
    _exit(0);
  }
  for (int i = 0, status; i < count; i++)
    must(wait(&status) > 0 && status == 0, "wait for all");
  printf("%.4f\n", (now() - began) / count);
}

int main(int argc, char **argv) {
  char line[16];
  if (argc != 4) {
    fprintf(stderr, "usage: life SOCKET IMAGE NETWORK\n");
    return 2;
  }
  socket_path = argv[1], image = argv[2], network = argv[3];
  int fd = connect_to(socket_path);
  while (fgets(line, sizeof line, stdin) != NULL) {
    double t[5];
    if (atoi(line) > 0) {
      at_once(atoi(line));
    } else {
      life(fd, t);
      printf("%.4f %.4f %.4f %.4f\n", t[1] - t[0], t[2] - t[1], t[3] - t[2], t[4] - t[3]);
    }
    fflush(stdout);
  }
  return 0;
}
