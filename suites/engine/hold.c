/* Holds a file as `hold HOW FILE` says: `read` and `write` by a lease (fcntl(2)), which nobody is told of; `run` runs it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int lease(const char *file, int how) {
	int fd = open(file, how == F_WRLCK ? O_RDWR : O_RDONLY);
	signal(SIGIO, SIG_IGN);
	return fd < 0 || fcntl(fd, F_SETLEASE, how);
}

static int run(const char *file) {
	int from = open("/proc/self/exe", O_RDONLY), to = open(file, O_WRONLY | O_TRUNC);
	while (sendfile(to, from, NULL, 1 << 20) > 0) {}
	close(to);
	return chmod(file, 0755) || execl(file, file, NULL);
}

int main(int argc, char **argv) {
	if (argc == 3 && !strcmp(argv[1], "run") && run(argv[2])) return 1;
	if (argc == 3 && lease(argv[2], strcmp(argv[1], "write") ? F_RDLCK : F_WRLCK)) return 1;
	puts("held");
	fflush(stdout);
	for (;;) pause();
}
