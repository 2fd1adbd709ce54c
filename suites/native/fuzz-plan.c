/* Fuzzes the plan decoder: every file of a corpus, then N mutations of them from a seed.
 * Built with AddressSanitizer and UBSan by suites/native/fuzz.test.ts; `clang -fsanitize=fuzzer` takes it too.
 *   plan-fuzz SEED N CORPUS... */
#include "../../native/plan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Touches everything the executor may read. */
static unsigned long walk(const struct plan *p)
{
	unsigned long sum = 0;
	for (uint32_t i = 0; i < p->count; i++) {
		const struct step *s = &p->step[i];
		for (uint16_t k = 0; k < s->nnum; k++)
			sum += (unsigned long)s->num[k];
		for (uint16_t k = 0; k < s->nstr; k++)
			sum += strlen(s->str[k].s) + (unsigned char)s->str[k].s[s->str[k].len];
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile unsigned long keep;
	struct plan plan = {0};
	if (plan_decode((uint8_t *)(uintptr_t)data, size, &plan))
		return 0;
	struct step *first = plan.step;
	keep += walk(&plan);
	/* The same once more, as the rest of a plan comes behind what is before its gate. */
	if (!plan_decode((uint8_t *)(uintptr_t)data, size, &plan)) {
		keep += walk(&plan);
		free(plan.step);
	}
	free(first);
	return 1;
}

#ifndef LIBFUZZER
static uint64_t state;
static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static void mutate(uint8_t *b, size_t *n)
{
	for (uint64_t edits = 1 + next() % 4; edits-- && *n;) {
		size_t at = next() % *n, from = next() % *n, most = *n - (at > from ? at : from);
		switch (next() % 5) {
		case 0: b[at] = (uint8_t)next(); break;
		case 1: b[at] ^= (uint8_t)(1u << (next() % 8)); break;
		case 2: *n = at; break;
		case 3: memmove(b + at, b + from, most); break;
		default: b[at] = next() % 2 ? 0xff : 0;
		}
	}
}

int main(int argc, char **argv)
{
	long accepted = 0, runs = argc > 2 ? atol(argv[2]) : 0;
	state = argc > 1 ? strtoull(argv[1], NULL, 10) | 1 : 1;
	for (int i = 3; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		uint8_t *original = malloc(1 << 20);
		size_t size = f && original ? fread(original, 1, 1 << 20, f) : 0;
		if (f)
			fclose(f);
		accepted += LLVMFuzzerTestOneInput(original, size);
		for (long k = 0; k < runs; k++) {
			/* An exact-size copy, so that a read past the end is seen. */
			size_t n = size;
			uint8_t *copy = malloc(size + 1);
			memcpy(copy, original, size);
			mutate(copy, &n);
			uint8_t *exact = malloc(n ? n : 1);
			memcpy(exact, copy, n);
			accepted += LLVMFuzzerTestOneInput(exact, n);
			free(exact);
			free(copy);
		}
		free(original);
	}
	printf("accepted %ld\n", accepted);
	return 0;
}
#endif
