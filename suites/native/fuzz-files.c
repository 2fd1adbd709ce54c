/* Feeds mutated operation streams to files_unpack, then packs what they made. Run as root it goes into the folder by
 * chroot first, so that a hole in the checks could reach nothing either.
 *   files-fuzz FOLDER SEED RUNS FILE...     or, with -DLIBFUZZER -fsanitize=fuzzer, by libFuzzer */
#include "../../native/dewar.h"
#include <sys/mman.h>
#include <sys/resource.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure f = {0};
	int in = memfd_create("stream", MFD_CLOEXEC);
	if (in < 0 || write(in, data, size) != (ssize_t)size || lseek(in, 0, SEEK_SET) < 0)
		abort();
	int result = files_unpack(in, &f);
	close(in);
	/* A failure without a reason could not be told to anybody. */
	if (result && !f.err)
		abort();
	return 0;
}

#ifndef LIBFUZZER
static uint64_t state;
static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static void mutate(uint8_t *data, size_t size)
{
	static const uint8_t odd[] = {0, 1, 2, 3, 4, 5, 9, 10, 11, '.', '/', 0x7f, 0x80, 0xff};
	for (uint64_t n = next() % 4; n > 0; n--)
		data[4 + next() % (size - 4)] = next() % 2 ? odd[next() % sizeof odd] : (uint8_t)next();
}

int main(int argc, char **argv)
{
	static uint8_t seeds[16][64 << 10], data[64 << 10];
	size_t sizes[16], files = 0;
	struct failure f;
	int accepted = 0;
	if (argc < 5)
		return 2;
	for (int i = 4; i < argc && files < 16; i++) {
		FILE *file = fopen(argv[i], "r");
		if (!file || (sizes[files] = fread(seeds[files], 1, sizeof data, file)) < 8)
			return 2;
		fclose(file);
		files++;
	}
	if (chdir(argv[1]) || (geteuid() == 0 && (chroot(".") || chdir("/"))))
		return 2;
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){16 << 20, 16 << 20});
	signal(SIGXFSZ, SIG_IGN);
	state = strtoull(argv[2], NULL, 10) | 1;
	for (long run = 0, runs = atol(argv[3]); run < runs; run++) {
		size_t size = sizes[run % (long)files];
		memcpy(data, seeds[run % (long)files], size);
		if (run >= (long)files)
			mutate(data, size);
		LLVMFuzzerTestOneInput(data, next() % 8 ? size : next() % size);
		int in = memfd_create("stream", MFD_CLOEXEC);
		if (run < (long)files && in >= 0 && write(in, data, size) > 0 && lseek(in, 0, SEEK_SET) == 0)
			accepted += !files_unpack(in, &f);
		close(in);
	}
	int out = memfd_create("packed", MFD_CLOEXEC);
	int result = files_pack("/", 0, out, &f);
	printf("accepted %d packed %lld %s\n", accepted, (long long)lseek(out, 0, SEEK_CUR),
	       result ? strerror(f.err) : "ok");
	return 0;
}
#endif
