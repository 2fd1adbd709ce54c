/* The container's log in Docker's json-file format, with rotation. */
#ifndef DEWAR_LOG_H
#define DEWAR_LOG_H

#include <stddef.h>
#include <stdint.h>

#define LOG_LINE 16384 /* Docker cuts longer lines into parts of this size */

struct line {
	char text[LOG_LINE];
	size_t used;
};

struct log {
	int fd; /* -1: no log */
	const char *path;
	uint64_t size, max;
	uint32_t files;
	struct line partial[2]; /* stdout, stderr: what came after the last newline */
	char *out;
	size_t out_used;
};

/* 0, or -1 with errno. max 0: no rotation. */
int log_open(struct log *log, const char *path, uint64_t max, uint32_t files);
void log_write(struct log *log, int stream, const char *data, size_t n);
/* Writes out lines that have no newline yet. */
void log_end(struct log *log);

#endif
