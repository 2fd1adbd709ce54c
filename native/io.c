/* Failures, descriptors, paths and frames: what every part of the core works with. */
#include "dewar.h"
#include <stdarg.h>
#include <sys/un.h>

int fail(struct failure *f, const char *fmt, ...) {
	va_list ap;
	f->err = errno ? errno : EIO;
	va_start(ap, fmt);
	vsnprintf(f->path, sizeof f->path, fmt, ap);
	va_end(ap);
	return -1;
}

int refuse(int err) {
	errno = err;
	return -1;
}

void close_fd(int *fd) {
	int err = errno;
	if (*fd >= 0) close(*fd);
	*fd = -1;
	errno = err;
}

int open_in(int root, const char *path, int flags, mode_t mode) {
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .mode = flags & O_CREAT ? mode : 0,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	if (root == HERE) return openat(AT_FDCWD, path, flags | O_CLOEXEC, mode); /* musl's open sets O_CLOEXEC twice */
	/* EAGAIN: a rename or mount somewhere raced with a ".." of the walk (openat2(2)). */
	for (int tries = 0, fd;; tries++)
		if ((fd = sys_openat2(root, path, &how)) >= 0 || errno != EAGAIN || tries == 64) return fd;
}

int open_parent(int root, const char *path, const char **name) {
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	size_t len = slash > path ? (size_t)(slash - path) : 1;
	*name = slash ? slash + 1 : path;
	if (len >= sizeof folder) return refuse(ENAMETOOLONG);
	if (slash) memcpy(folder, path, len);
	return open_in(root, folder, O_PATH | O_DIRECTORY, 0);
}

/* For sockets and files; a vanished reader is EPIPE, never a signal. */
int write_full(int fd, const void *buf, size_t n) {
	for (const char *p = buf; n;) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EAGAIN) poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		if (put < 0 && errno != EAGAIN && errno != EINTR) return -1;
		if (put > 0) p += put, n -= (size_t)put;
	}
	return 0;
}

int frame_read(int fd, struct frame *frame) {
	uint32_t len = 0;
	if (frame->used >= sizeof len) memcpy(&len, frame->bytes, sizeof len);
	if (frame->used >= sizeof len && (len < 1 || len > MAX_FRAME)) return -1;
	size_t whole = sizeof len + len;
	uint8_t *grown = realloc(frame->bytes, whole);
	if (!grown) return -1;
	frame->bytes = grown;
	ssize_t n = read(fd, grown + frame->used, whole - frame->used);
	if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	frame->used += (size_t)n;
	return len && frame->used == whole;
}

/* What is short goes in one piece, which wakes its reader once. */
int send_frame(int fd, char type, const void *payload, size_t size) {
	char piece[2048] = {[4] = type};
	size_t part = size < sizeof piece - 5 ? size : 0;
	memcpy(piece, &(uint32_t){(uint32_t)size + 1}, 4);
	if (part) memcpy(piece + 5, payload, part);
	return write_full(fd, piece, 5 + part) || (!part && write_full(fd, payload, size)) ? -1 : 0;
}

int send_failure(int conn, const struct failure *f) {
	return send_frame(conn, 'F', f, offsetof(struct failure, path) + strnlen(f->path, sizeof f->path));
}

void mask_signals(int how) {
	sigset_t all;
	sigfillset(&all);
	sigprocmask(how, &all, NULL);
}

int listen_at(const char *path) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof a.sun_path) return refuse(ENAMETOOLONG);
	strcpy(a.sun_path, path);
	unlink(path);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	umask(077);
	if (s >= 0 && (bind(s, (void *)&a, sizeof a) || listen(s, 128))) close_fd(&s);
	umask(022);
	return s;
}
