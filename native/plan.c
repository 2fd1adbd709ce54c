/* Decoder of plans. Pure: bytes in, table out. Fuzzed (suites/native/fuzz-plan.c). Anything odd is EBADMSG. */
#include "plan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARITY(name, function, numbers, strings) [OP_##name] = {numbers, strings},
static const struct arity { uint8_t num, str; } arity[OP_END] = {OPERATIONS(ARITY)};

struct cursor {
	uint8_t *at, *end;
};

static int take(struct cursor *c, void *out, size_t n) {
	if ((size_t)(c->end - c->at) < n) return -1;
	memcpy(out, c->at, n);
	c->at += n;
	return 0;
}

/* Rules between the numbers and strings of one step that the executor relies on. */
static int consistent(const struct step *s) {
	const struct arity *want = &arity[s->op];
	if (s->nnum < want->num || s->nstr < want->str) return 0;
	switch (s->op) {
	case OP_FSMOUNT: return s->nstr % 2 == 1 && s->nnum == s->nstr + 1; /* two numbers and strings per option */
	case OP_WRITE: return s->nnum == 2 && s->nstr % 2 == 0;		    /* paths and data */
	case OP_EXEC: /* num[1] arguments, num[2] files to try, environment */
		return s->nnum == 3 && s->num[1] && s->num[1] <= s->nstr && s->num[2] <= s->nstr - s->num[1];
	case OP_USER: return s->nstr == 0 && s->num[2] <= 2u * (s->nnum - 3u); /* groups, two to a number */
	case OP_SECCOMP:
	case OP_DEVICE_PROGRAM: return s->nstr == 0; /* instructions of a program, one to a number */
	case OP_NETLINK:			     /* num[3] offsets, then errnos */
		if (s->nstr != 1 || s->num[3] > (uint64_t)s->nnum - 4) return 0;
		for (uint64_t i = 0; i < s->num[3]; i++)
			if (s->str[0].len < 4 || s->num[4 + i] > s->str[0].len - 4) return 0;
		return 1;
	default: return s->nnum == want->num && s->nstr == want->str;
	}
}

/* One step: actor, op (u8), counts of numbers and strings (u16), numbers (u64), strings (u32 length, bytes, NUL). */
static int decode_step(struct cursor *c, struct step *s, uint64_t *num, struct text *str) {
	*s = (struct step){.num = num, .str = str};
	if (take(c, &s->actor, 1) || take(c, &s->op, 1) || take(c, &s->nnum, 2) || take(c, &s->nstr, 2)) return -1;
	if (s->actor > AFTER || s->op == OP_NONE || s->op >= OP_END || take(c, num, s->nnum * sizeof *num)) return -1;
	for (uint16_t i = 0; i < s->nstr; i++) {
		uint32_t len;
		if (take(c, &len, 4) || (size_t)(c->end - c->at) <= len || c->at[len] != 0) return -1;
		str[i] = (struct text){(char *)c->at, len};
		c->at += len + 1;
	}
	return consistent(s) ? 0 : -1;
}

int plan_decode(uint8_t *bytes, size_t size, struct plan *plan) {
	struct cursor c = {bytes, bytes + size};
	uint32_t head[2], i = 0, before = plan->count;
	errno = EBADMSG;
	/* A step takes at least 6 bytes, a number 8, a string 5: that bounds what there can be of each. */
	if (take(&c, head, 8) || memcmp(head, "DWR1", 4) || head[1] > size / 6) return -1;
	struct step *all =
		malloc((before + head[1]) * sizeof *all + size / 8 * sizeof(uint64_t) + size / 5 * sizeof(struct text));
	if (!all) return -1;
	if (before) memcpy(all, plan->step, before * sizeof *all);
	uint64_t *num = (uint64_t *)(all + before + head[1]);
	struct text *str = (struct text *)(num + size / 8);
	for (struct step *s = all + before; i < head[1] && !decode_step(&c, s, num, str); s++, i++) {
		num += s->nnum;
		str += s->nstr;
	}
	if (i == head[1] && c.at == c.end) return plan->count += i, plan->step = all, 0;
	free(all);
	errno = EBADMSG;
	return -1;
}
