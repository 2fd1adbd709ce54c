/* One object per line: {"log":"text\n","stream":"stdout","attrs":{…} or not,"time":"2026-01-02T03:04:05.000000006Z"} */
#include "dewar.h"

/* A line of LOG_LINE bytes grows at most sixfold (\u00XX), plus what is around it. */
#define OUT_SIZE (256 * 1024)
#define ENTRY_MAX (LOG_LINE * 6 + 128)

int log_open(struct log *log) {
	struct stat st;
	log->out = malloc(OUT_SIZE + strlen(log->attrs)); /* put_line asks for room without them */
	log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (!log->out || log->fd < 0 || fstat(log->fd, &st)) return -1;
	log->size = (uint64_t)st.st_size;
	return 0;
}

static void rotate(struct log *log) {
	char from[PATH_MAX], to[PATH_MAX];
	for (uint32_t i = log->files; --i > 0;) {
		snprintf(to, sizeof to, "%s.%u", log->path, i);
		snprintf(from, sizeof from, "%s.%u", log->path, i - 1);
		rename(i > 1 ? from : log->path, to);
	}
	if (log->files <= 1) unlink(log->path);
	int fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0) return; /* goes on in the old file rather than lose lines */
	close(log->fd);
	log->fd = fd, log->size = 0;
}

/* A full disk loses lines, not the container: dockerd does the same. Half a line would be joined to the next. */
static void flush(struct log *log) {
	off_t end = lseek(log->fd, 0, SEEK_END), n = (off_t)log->out_used;
	int cut = write_full(log->fd, log->out, log->out_used);
	for (n = cut ? lseek(log->fd, 0, SEEK_END) - end : n; cut && n > 0 && log->out[n - 1] != '\n';) n--;
	log->size += cut && ftruncate(log->fd, end + n) ? 0 : (uint64_t)n, log->out_used = 0;
}

/* Length of the valid UTF-8 sequence of two or more bytes at p, or 0. */
static size_t utf8(const unsigned char *p, size_t left) {
	size_t n = p[0] < 0xc2 || p[0] > 0xf4 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < n) return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80) return 0;
	/* Overlong forms, surrogates, and what is beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
	return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : n;
}

/* JSON string content, as Go's encoder writes it. What is not UTF-8 becomes U+FFFD, as in dockerd. */
static char *escape(char *o, const char *text, size_t n) {
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text, *end = p + n;
	for (size_t k = 1; p < end; p += k, k = 1) {
		if (*p == '\n' || *p == '\r' || *p == '"' || *p == '\\') {
			*o++ = '\\';
			*o++ = *p == '\n' ? 'n' : *p == '\r' ? 'r' : (char)*p;
		} else if (*p < 0x20 || *p == '<' || *p == '>' || *p == '&') {
			o = mempcpy(o, (char[]){'\\', 'u', '0', '0', hex[*p >> 4], hex[*p & 15]}, 6);
		} else if (*p < 0x80) {
			*o++ = (char)*p;
		} else if ((k = utf8(p, (size_t)(end - p)))) {
			o = mempcpy(o, p, k);
		} else {
			o = mempcpy(o, "\\ufffd", 6), k = 1;
		}
	}
	return o;
}

/* The time as it stands in an entry; for all lines of a write at once, since it takes longer than a short line. */
static const char *now(void) {
	static char text[64];
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%09ldZ", t.tv_nsec);
	return text;
}

/* Empties the line of a stream into the buffer, and before that the buffer into the file when it has to be. */
static void put_line(struct log *log, int stream, const char *time) {
	struct line *l = &log->partial[stream];
	if (log->out_used + ENTRY_MAX > OUT_SIZE || (log->max && log->size + log->out_used >= log->max)) {
		flush(log);
		if (log->max && log->size >= log->max) rotate(log);
	}
	char *o = log->out + log->out_used;
	o = escape(mempcpy(o, "{\"log\":\"", 8), l->text, l->used);
	o = mempcpy(o, stream ? "\",\"stream\":\"stderr\"" : "\",\"stream\":\"stdout\"", 19);
	o = stpcpy(stpcpy(stpcpy(stpcpy(o, log->attrs), ",\"time\":\""), time), "\"}\n");
	log->out_used = (size_t)(o - log->out);
	l->used = 0;
}

void log_write(struct log *log, int stream, const char *data, size_t n) {
	struct line *l = &log->partial[stream];
	if (log->fd < 0) return;
	const char *time = now();
	for (size_t k; n; data += k, n -= k) {
		const char *newline = memchr(data, '\n', n);
		k = newline ? (size_t)(newline - data) + 1 : n;
		if (k > LOG_LINE - l->used) k = LOG_LINE - l->used;
		memcpy(l->text + l->used, data, k);
		l->used += k;
		if (l->used == LOG_LINE || data[k - 1] == '\n') put_line(log, stream, time);
	}
	flush(log);
}

void log_end(struct log *log) {
	for (int i = 0; log->fd >= 0 && i < 2; i++)
		if (log->partial[i].used) put_line(log, i, now());
	flush(log);
}
