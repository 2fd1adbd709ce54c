/* Extended attributes from inside: `set PATH NAME HEX`, `get PATH NAME` (hex, or the error's number), `caps` (CapEff). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

static int set(const char *path, const char *name, const char *hex) {
	unsigned char value[4096];
	size_t n = strlen(hex) / 2;
	if (n > sizeof value) return 2;
	for (size_t i = 0; i < n; i++)
		if (sscanf(hex + 2 * i, "%2hhx", value + i) != 1) return 2;
	if (!setxattr(path, name, value, n, 0)) return 0;
	perror(name);
	return 1;
}

static int get(const char *path, const char *name) {
	unsigned char value[4096];
	ssize_t n = getxattr(path, name, value, sizeof value);
	if (n < 0) printf("errno %d", errno);
	for (ssize_t i = 0; i < n; i++) printf("%02x", value[i]);
	puts("");
	return 0;
}

static int caps(void) {
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		if (!strncmp(line, "CapEff:", 7)) fputs(line, stdout);
	return !status;
}

int main(int argc, char **argv) {
	if (argc == 5 && !strcmp(argv[1], "set")) return set(argv[2], argv[3], argv[4]);
	if (argc == 4 && !strcmp(argv[1], "get")) return get(argv[2], argv[3]);
	if (argc == 2 && !strcmp(argv[1], "caps")) return caps();
	return 2;
}
