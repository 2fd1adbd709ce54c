/* Decoder of plans. Pure: bytes in, table out. Fuzzed (native/fuzz). Anything odd is EBADMSG. */
#include "plan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many numbers and strings each operation takes; more only where `more` says so. */
static const struct arity {
	uint8_t num, str, more;
} arity[OP_END] = {
	[OP_OPEN] = {4, 1, 0},	      [OP_WRITE] = {2, 2, 0},	     [OP_MKDIR] = {4, 1, 0},
	[OP_MKNOD] = {6, 1, 0},	      [OP_SYMLINK] = {3, 2, 0},	     [OP_RMDIR] = {1, 1, 0},
	[OP_UNLINK] = {1, 1, 0},      [OP_FSMOUNT] = {2, 1, 1},	     [OP_CLONE_MOUNT] = {3, 1, 0},
	[OP_MOUNT_ATTR] = {6, 0, 0},  [OP_ATTACH_MOUNT] = {3, 1, 0}, [OP_COVER] = {3, 1, 0},
	[OP_UMOUNT] = {2, 1, 0},      [OP_PROPAGATION] = {1, 0, 0},  [OP_PIVOT] = {1, 0, 0},
	[OP_CLONE] = {2, 0, 0},	      [OP_IDMAP] = {0, 2, 0},	     [OP_OPEN_NS] = {1, 1, 0},
	[OP_UNSHARE] = {1, 0, 0},     [OP_SETNS] = {2, 0, 0},	     [OP_TIMENS] = {1, 1, 0},
	[OP_JOIN] = {1, 0, 0},	      [OP_HOSTNAME] = {0, 1, 0},     [OP_DOMAINNAME] = {0, 1, 0},
	[OP_RLIMIT] = {3, 0, 0},      [OP_USER] = {3, 0, 1},	     [OP_CAPS] = {5, 0, 0},
	[OP_NO_NEW_PRIVS] = {0, 0, 0}, [OP_SECCOMP] = {1, 1, 0},     [OP_CHDIR] = {1, 1, 0},
	[OP_PERSONALITY] = {1, 0, 0}, [OP_NETLINK] = {3, 1, 1},	     [OP_RESERVE_PORT] = {2, 1, 0},
	[OP_DEVICE_PROGRAM] = {1, 1, 0}, [OP_TTY] = {3, 0, 0},	     [OP_EXEC] = {2, 1, 1},
	[OP_UNPACK] = {0, 0, 0},      [OP_PACK] = {0, 1, 0},	     [OP_READ] = {2, 1, 0},
	[OP_MASK] = {0, 1, 0},	      [OP_OOM_SCORE] = {0, 1, 0},
};

struct cursor {
	const uint8_t *at, *end;
};

static int take(struct cursor *c, void *out, size_t n)
{
	if ((size_t)(c->end - c->at) < n)
		return -1;
	memcpy(out, c->at, n);
	c->at += n;
	return 0;
}

/* One step: actor, op (u8 each), counts of numbers and strings (u16), the numbers (u64), the strings
 * (u32 length, bytes, NUL). Little endian. With `num`/`str` NULL it only checks and counts. */
static int decode_step(struct cursor *c, struct step *step, uint64_t *num, struct text *str)
{
	uint8_t head[2];
	uint16_t counts[2];
	if (take(c, head, 2) || take(c, counts, 4))
		return -1;
	if (head[0] > AFTER || head[1] == 0 || head[1] >= OP_END)
		return -1;
	const struct arity *want = &arity[head[1]];
	if (counts[0] < want->num || counts[1] < want->str)
		return -1;
	if (!want->more && (counts[0] != want->num || counts[1] != want->str))
		return -1;
	for (uint16_t i = 0; i < counts[0]; i++) {
		uint64_t n;
		if (take(c, &n, 8))
			return -1;
		if (num)
			num[i] = n;
	}
	for (uint16_t i = 0; i < counts[1]; i++) {
		uint32_t len;
		if (take(c, &len, 4) || (size_t)(c->end - c->at) <= len || c->at[len] != 0)
			return -1;
		if (str)
			str[i] = (struct text){(const char *)c->at, len};
		c->at += len + 1;
	}
	*step = (struct step){head[0], head[1], counts[0], counts[1], num, str};
	return 0;
}

/* Rules between numbers of one step that the executor relies on. */
static int consistent(const struct step *s)
{
	switch (s->op) {
	case OP_FSMOUNT: /* one number and two strings per option */
		return s->nstr == 1 + 2 * (s->nnum - 2);
	case OP_NETLINK: /* num[2] offsets, then errnos */
		if (s->nstr != 1 || s->num[2] > (uint64_t)s->nnum - 3)
			return 0;
		for (uint64_t i = 0; i < s->num[2]; i++)
			if (s->str[0].len < 4 || s->num[3 + i] > s->str[0].len - 4)
				return 0;
		return 1;
	case OP_EXEC: /* num[1] arguments, then the environment */
		return s->nnum == 2 && s->num[1] >= 1 && s->num[1] <= s->nstr;
	case OP_USER:
		return s->nstr == 0;
	default:
		return 1;
	}
}

int plan_decode(const uint8_t *bytes, size_t size, struct plan *plan)
{
	struct cursor c = {bytes, bytes + size}, start;
	uint32_t head[2];
	size_t nums = 0, strs = 0;
	struct step s;
	*plan = (struct plan){0, NULL, NULL};
	errno = EBADMSG;
	if (take(&c, head, 8) || memcmp(head, "DWR1", 4) || head[1] > size / 6)
		return -1;
	start = c;
	for (uint32_t i = 0; i < head[1]; i++) {
		if (decode_step(&c, &s, NULL, NULL))
			return -1;
		nums += s.nnum;
		strs += s.nstr;
	}
	if (c.at != c.end)
		return -1;
	plan->memory = malloc(head[1] * sizeof(struct step) + nums * sizeof(uint64_t) + strs * sizeof(struct text) + 1);
	if (!plan->memory) {
		errno = ENOMEM;
		return -1;
	}
	plan->step = plan->memory;
	plan->count = head[1];
	uint64_t *num = (uint64_t *)(plan->step + head[1]);
	struct text *str = (struct text *)(num + nums);
	c = start;
	for (uint32_t i = 0; i < head[1]; i++) {
		decode_step(&c, &plan->step[i], num, str);
		if (!consistent(&plan->step[i])) {
			plan_free(plan);
			errno = EBADMSG;
			return -1;
		}
		num += plan->step[i].nnum;
		str += plan->step[i].nstr;
	}
	return 0;
}

void plan_free(struct plan *plan)
{
	free(plan->memory);
	*plan = (struct plan){0, NULL, NULL};
}
