/* {"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.000000006Z"} — one object per line. */
#include "dewar.h"
#include "log.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A line of LOG_LINE bytes grows at most sixfold (\u00XX), plus what is around it. */
#define OUT_SIZE (256 * 1024)
#define ENTRY_MAX (LOG_LINE * 6 + 128)

int log_open(struct log *log, const char *path, uint64_t max, uint32_t files)
{
	struct stat st;
	log->path = path;
	log->max = max;
	log->files = files;
	log->out = malloc(OUT_SIZE);
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (!log->out || log->fd < 0 || fstat(log->fd, &st))
		return -1;
	log->size = (uint64_t)st.st_size;
	return 0;
}

static void rotate(struct log *log)
{
	char from[4096], to[4096];
	for (uint32_t i = log->files - 1; i > 0 && log->files > 1; i--) {
		snprintf(to, sizeof to, "%s.%u", log->path, i);
		if (i > 1)
			snprintf(from, sizeof from, "%s.%u", log->path, i - 1);
		else
			snprintf(from, sizeof from, "%s", log->path);
		rename(from, to);
	}
	if (log->files <= 1)
		unlink(log->path);
	int fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return; /* goes on in the old file rather than lose lines */
	close(log->fd);
	log->fd = fd;
	log->size = 0;
}

/* A full disk loses lines, not the container: dockerd does the same. */
static void flush(struct log *log)
{
	if (!log->out_used)
		return;
	if (!write_full(log->fd, log->out, log->out_used))
		log->size += log->out_used;
	log->out_used = 0;
}

/* Length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8(const unsigned char *p, size_t left)
{
	size_t n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
	if (!n || p[0] >= 0xf5 || left < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* JSON string content. What is not UTF-8 becomes U+FFFD, as in dockerd. */
static char *escape(char *o, const char *text, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text;
	for (size_t i = 0, k; i < n; i += k) {
		unsigned char c = p[i];
		k = 1;
		if (c == '"' || c == '\\') {
			*o++ = '\\';
			*o++ = (char)c;
		} else if (c == '\n' || c == '\r') {
			*o++ = '\\';
			*o++ = c == '\n' ? 'n' : 'r';
		} else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
			memcpy(o, "\\u00", 4);
			o[4] = hex[c >> 4];
			o[5] = hex[c & 15];
			o += 6;
		} else if (c < 0x80) {
			*o++ = (char)c;
		} else if ((k = utf8(p + i, n - i))) {
			memcpy(o, p + i, k);
			o += k;
		} else {
			memcpy(o, "\\ufffd", 6);
			o += 6;
			k = 1;
		}
	}
	return o;
}

static size_t now(char *out, size_t size)
{
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	return (size_t)snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
				tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec);
}

static void entry(struct log *log, int stream, const char *text, size_t n, const char *time, size_t time_len)
{
	if (log->out_used + ENTRY_MAX > OUT_SIZE || (log->max && log->size + log->out_used >= log->max)) {
		flush(log);
		if (log->max && log->size >= log->max)
			rotate(log);
	}
	char *o = log->out + log->out_used;
	memcpy(o, "{\"log\":\"", 8);
	o = escape(o + 8, text, n);
	memcpy(o, "\",\"stream\":\"std", 15);
	memcpy(o + 15, stream ? "err" : "out", 3);
	memcpy(o + 18, "\",\"time\":\"", 10);
	memcpy(o + 28, time, time_len);
	memcpy(o + 28 + time_len, "\"}\n", 3);
	log->out_used = (size_t)(o + 31 + time_len - log->out);
}

void log_write(struct log *log, int stream, const char *data, size_t n)
{
	char time[64];
	if (log->fd < 0)
		return;
	struct line *l = &log->partial[stream];
	size_t time_len = now(time, sizeof time);
	while (n) {
		const char *nl = memchr(data, '\n', n);
		size_t k = nl ? (size_t)(nl - data) + 1 : n;
		if (k > LOG_LINE - l->used)
			k = LOG_LINE - l->used;
		int whole = data[k - 1] == '\n';
		if (whole && !l->used) {
			entry(log, stream, data, k, time, time_len);
		} else {
			memcpy(l->text + l->used, data, k);
			l->used += k;
			if (whole || l->used == LOG_LINE) {
				entry(log, stream, l->text, l->used, time, time_len);
				l->used = 0;
			}
		}
		data += k;
		n -= k;
	}
	flush(log);
}

void log_end(struct log *log)
{
	char time[64];
	if (log->fd < 0)
		return;
	size_t time_len = now(time, sizeof time);
	for (int i = 0; i < 2; i++)
		if (log->partial[i].used) {
			entry(log, i, log->partial[i].text, log->partial[i].used, time, time_len);
			log->partial[i].used = 0;
		}
	flush(log);
}
