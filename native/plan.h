/* The encoded plan: src/kernel/encode.ts writes it, plan.c reads it. The numbers of the operations and what
 * their arguments mean stand in the table there and in steps.c; a test compares them. */
#ifndef DEWAR_PLAN_H
#define DEWAR_PLAN_H

#include "dewar.h"

#define NONE UINT64_MAX /* "no slot", "no uid" … */
#define SLOTS 256
#define INIT_SLOT 255 /* in an exec plan: a pidfd of the container's first process */

enum actor { HOST, PARENT, GUEST, AFTER };

enum op {
	OP_OPEN = 1, OP_WRITE, OP_MKDIR, OP_MKNOD, OP_SYMLINK, OP_RMDIR, OP_UNLINK, OP_FSMOUNT, OP_CLONE_MOUNT,
	OP_MOUNT_ATTR, OP_ATTACH_MOUNT, OP_COVER, OP_UMOUNT, OP_PROPAGATION, OP_PIVOT, OP_CLONE, OP_IDMAP,
	OP_OPEN_NS, OP_UNSHARE, OP_SETNS, OP_TIMENS, OP_JOIN, OP_HOSTNAME, OP_DOMAINNAME, OP_RLIMIT, OP_USER,
	OP_CAPS, OP_NO_NEW_PRIVS, OP_SECCOMP, OP_CHDIR, OP_PERSONALITY, OP_NETLINK, OP_RESERVE_PORT,
	OP_DEVICE_PROGRAM, OP_TTY, OP_EXEC, OP_UNPACK, OP_PACK, OP_READ, OP_MASK, OP_OOM_SCORE,
	OP_END
};

struct text {
	const char *s; /* NUL-terminated; may hold more NULs before len */
	uint32_t len;
};

struct step {
	uint8_t actor, op;
	uint16_t nnum, nstr;
	const uint64_t *num;
	const struct text *str;
};

struct plan {
	uint32_t count;
	struct step *step;
	void *memory;
};

/* Decodes `size` bytes; the plan points into them. 0, or -1 with errno EBADMSG or ENOMEM. */
int plan_decode(const uint8_t *bytes, size_t size, struct plan *plan);
void plan_free(struct plan *plan);

#endif
