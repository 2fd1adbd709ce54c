/* The native core of Dewar: one static program with three lives.
 *   dewar-core spawner SOCKET   carries out plans for the engine: a fork per connection, gone when stdin ends
 *   (forked from it)            a runner that ends with its plan, or a shim that stays with its container
 *   /sbin/docker-init -- CMD    first process of a container started with --init
 * It decides nothing: what to do stands in the plans. */
#include "sys.h"
#include "run.h"
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

int fail(struct failure *f, const char *fmt, ...)
{
	va_list ap;
	int err = errno;
	va_start(ap, fmt);
	vsnprintf(f->path, sizeof f->path, fmt, ap);
	va_end(ap);
	f->err = err ? err : EIO;
	return -1;
}

int read_full(int fd, void *buf, size_t n)
{
	for (char *p = buf; n;) {
		ssize_t got = read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (!got)
				errno = EPIPE;
			return -1;
		}
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* For sockets and files; a vanished reader is EPIPE, never a signal. */
int write_full(int fd, const void *buf, size_t n)
{
	for (const char *p = buf; n;) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN) {
			struct pollfd w = {.fd = fd, .events = POLLOUT};
			poll(&w, 1, -1);
			continue;
		}
		if (put < 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

int send_frame(int fd, char type, const void *payload, size_t size)
{
	uint32_t len = (uint32_t)size + 1;
	char head[5];
	memcpy(head, &len, 4);
	head[4] = type;
	return write_full(fd, head, 5) || write_full(fd, payload, size) ? -1 : 0;
}

int read_frame(int fd, uint8_t **payload, size_t *size)
{
	uint32_t len;
	uint8_t type;
	if (read_full(fd, &len, 4) || len < 1 || len > MAX_FRAME || read_full(fd, &type, 1))
		return -1;
	*size = len - 1;
	*payload = malloc(len);
	if (!*payload || read_full(fd, *payload, *size))
		return -1;
	return type;
}

int send_failure(int conn, uint32_t step, const struct failure *f)
{
	struct {
		uint32_t step, err;
		char path[sizeof f->path];
	} out = {step, (uint32_t)f->err, {0}};
	memcpy(out.path, f->path, sizeof out.path);
	return send_frame(conn, 'F', &out, 8 + strnlen(out.path, sizeof out.path));
}

int self_exe(void)
{
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

/* ---------------------------------------------------------------- init */

static pid_t init_child;

static void forward(int sig)
{
	kill(init_child, sig);
}

void init_main(char **argv)
{
	int status, code = 0;
	prctl(PR_SET_NAME, "docker-init");
	init_child = fork();
	if (init_child == 0) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_IGN); /* a background group may take the terminal only so */
		tcsetpgrp(0, getpid());
		signal(SIGTTOU, SIG_DFL);
		execvp(argv[0], argv);
		dprintf(2, "docker-init: starting %s failed: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGCHLD && sig != SIGTTIN && sig != SIGTTOU)
			signal(sig, forward);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	for (pid_t pid; (pid = wait(&status)) > 0 || errno == EINTR;)
		if (pid == init_child) {
			code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
			break;
		}
	_exit(code);
}

/* ---------------------------------------------------------------- runner */

static void run_once(int conn, uint8_t *bytes, size_t size)
{
	struct run r;
	struct failure f = {0};
	struct born born;
	uint32_t step = 0;
	run_init(&r, conn);
	if (plan_decode(bytes, size, &r.plan)) {
		fail(&f, "the plan");
		send_failure(conn, 0, &f);
		return;
	}
	if (run_plan(&r, (struct stdio){-1, -1, -1}, -1, &born, &step, &f))
		send_failure(conn, step, &f);
	else
		send_frame(conn, 'O', NULL, 0);
}

static void runner_main(int conn) __attribute__((noreturn));
static void runner_main(int conn)
{
	uint8_t *payload = NULL;
	size_t size = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* The engine's pipes must not stay open through a shim. */
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	close(null);
	signal(SIGCHLD, SIG_DFL);
	switch (read_frame(conn, &payload, &size)) {
	case 'P':
		run_once(conn, payload, size);
		break;
	case 'L':
		shim_main(conn, payload, size);
	}
	_exit(0);
}

/* ---------------------------------------------------------------- spawner */

/* Runs on from a sealed copy in memory: a container that gets hold of /proc/PID/exe of a joining process has
 * a file nobody can write, not the program on the host's disk (CVE-2019-5736). */
static void seal_myself(char **argv)
{
	char link[64] = "";
	struct stat st;
	off_t at = 0;
	if (readlink("/proc/self/exe", link, sizeof link - 1) > 7 && !strncmp(link, "/memfd:", 7))
		return;
	int from = self_exe(), to = memfd_create("dewar-core", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10 /* MFD_EXEC */);
	if (to < 0 && errno == EINVAL) /* before 6.3 */
		to = memfd_create("dewar-core", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (from < 0 || to < 0 || fstat(from, &st))
		goto broken;
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			goto broken;
	if (fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
		goto broken;
	extern char **environ;
	sys_execveat(to, argv, environ);
broken:
	dprintf(2, "sealing the core failed: %s\n", strerror(errno));
	_exit(1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof a.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(a.sun_path, path);
	unlink(path);
	umask(077);
	if (s < 0 || bind(s, (void *)&a, sizeof a) || listen(s, 128))
		return -1;
	umask(022);
	return s;
}

static int spawner_main(char **argv)
{
	seal_myself(argv);
	prctl(PR_SET_NAME, "dewar-spawner");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
	int s = listen_at(argv[2]);
	if (s < 0) {
		dprintf(2, "listening on %s failed: %s\n", argv[2], strerror(errno));
		return 1;
	}
	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (;;) {
		struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = s, .events = POLLIN}};
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			return 0; /* the engine is gone */
		int conn = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (conn < 0)
			continue;
		pid_t pid = fork();
		if (pid == 0) {
			close(s);
			setsid();
			runner_main(conn);
		}
		close(conn);
	}
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[0], "/sbin/docker-init"))
		init_main(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "spawner"))
		return spawner_main(argv);
	dprintf(2, "This is the native core of dewar; the engine starts it.\n");
	return 2;
}
