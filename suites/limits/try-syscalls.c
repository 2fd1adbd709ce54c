/* Makes system calls named by number and says what came back.
 *
 *   try-syscalls FILTER TRY…          FILTER: file of struct sock_filter[], or "-" for none
 *   try-syscalls FILTER exec ARGV…    loads the filter and runs a program under it
 *
 * TRY: ENTRY:NR:A0:A1:…  ENTRY 64 (syscall), 32 (int 0x80). An argument written @N is the address of a buffer
 * below 4 GiB holding the number N. Prints one line per try: the result, negative for -errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter filter[4096];
static long low[64]; /* static and not position-independent: its address has 32 bits */

static long call32(long nr, const long *a)
{
#ifdef __x86_64__
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
#else
	(void)nr, (void)a;
	return -ENOSYS;
#endif
}

static void load(const char *name)
{
	if (!strcmp(name, "-"))
		return;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, filter, sizeof filter);
	struct sock_fprog prog = {(unsigned short)(n / 8), filter};
	if (n <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog)) {
		perror("loading the filter");
		_exit(99);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 98;
	load(argv[1]);
	if (!strcmp(argv[2], "exec")) {
		execv(argv[3], argv + 3);
		perror(argv[3]);
		return 97;
	}
	for (int i = 2; i < argc; i++) {
		long a[6] = {0}, nr;
		char *at = argv[i];
		int entry = (int)strtol(at, &at, 10);
		nr = strtol(at + 1, &at, 0);
		for (int k = 0; k < 6 && *at == ':'; k++) {
			int pointer = at[1] == '@';
			a[k] = (long)strtoull(at + 1 + pointer, &at, 0);
			if (pointer) {
				low[k] = a[k];
				a[k] = (long)&low[k];
			}
		}
		long r = entry == 32 ? call32(nr, a) : syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		printf("%ld\n", entry != 32 && r == -1 ? -(long)errno : r);
		fflush(stdout);
	}
	return 0;
}
