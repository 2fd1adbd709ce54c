/* Takes what a limit should refuse, after joining groups.
 *
 *   eat JOIN… -- memory BYTES | forks N | burn MS | open PATH… | wait
 *
 * JOIN: a `tasks` or `cgroup.procs` file; "0" is written to it. Prints what it got. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int memory(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	return printf("%zu\n", bytes) < 0;
}

static int forks(int wanted)
{
	int n = 0, err = 0;
	pid_t children[256];
	for (; n < wanted && n < 256; n++) {
		children[n] = fork();
		if (children[n] < 0) {
			err = errno;
			break;
		}
		if (children[n] == 0) {
			pause();
			_exit(0);
		}
	}
	for (int i = 0; i < n; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	return printf("%d %d\n", n, err) < 0;
}

static int burn(double wall)
{
	double end = seconds(CLOCK_MONOTONIC) + wall;
	while (seconds(CLOCK_MONOTONIC) < end)
		;
	return printf("%.0f\n", seconds(CLOCK_PROCESS_CPUTIME_ID) * 1000) < 0;
}

static int opens(char **paths)
{
	for (; *paths; paths++) {
		int fd = open(*paths, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		printf("%d\n", fd < 0 ? errno : 0);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int i = 1;
	for (; i < argc && strcmp(argv[i], "--"); i++) {
		int fd = open(argv[i], O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1) {
			perror(argv[i]);
			return 99;
		}
		close(fd);
	}
	char **rest = argv + i + 1;
	if (argc - i < 2)
		return 98;
	if (!strcmp(rest[0], "memory"))
		return memory(strtoull(rest[1], NULL, 10));
	if (!strcmp(rest[0], "forks"))
		return forks(atoi(rest[1]));
	if (!strcmp(rest[0], "burn"))
		return burn(atoi(rest[1]) / 1000.0);
	if (!strcmp(rest[0], "open"))
		return opens(rest + 1);
	if (!strcmp(rest[0], "wait")) {
		puts("here");
		fflush(stdout);
		pause();
	}
	return 97;
}
