/* What the parts of the native core share. */
#ifndef DEWAR_H
#define DEWAR_H

#include <stddef.h>
#include <stdint.h>

/* Where something went wrong: travels to TypeScript whole. */
struct failure {
	int err;	/* errno */
	char path[256];	/* the object, cut short when longer */
};

/* Fills f from errno and a printf-like path; returns -1 so that callers can `return fail(...)`. */
int fail(struct failure *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads exactly n bytes, or fails: 0 ok, -1 (errno set; EPIPE at an early end). */
int read_full(int fd, void *buf, size_t n);
int write_full(int fd, const void *buf, size_t n);

/* files.c: both run in a sandbox whose root and working directory is the target. */

/* Applies the operation stream (see src/store/ops.ts) read from `in` until its end mark. 0 or -1. */
int files_unpack(int in, struct failure *f);

/* Walks `path` and hands the operation stream to emit() (which returns 0, or -1 with errno set). 0 or -1. */
int files_pack(const char *path, int (*emit)(const void *, size_t), struct failure *f);

#endif
