/* The encoded plan: src/kernel/encode.ts writes it, plan.c reads it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define NONE UINT64_MAX /* "no slot", "no uid" … */
#define SLOTS 256
#define INIT_SLOT 255  /* in an exec plan: a pidfd of the container's first process */
#define CHILD_SLOT 254 /* for parent steps: the folder of the waiting child in /proc */
/* Beyond what a step can name: the child's standard streams, and the part of the plan that came last. */
enum { STDIO = SLOTS, PART = STDIO + 3, ALL_SLOTS };

enum actor { HOST, PARENT, GUEST, AFTER };

/* clang-format off */
/* The operations in the order of their numbers, from 1 (a test compares them with encode.ts): the function that
 * carries it out, and how many numbers and strings it takes. What these mean is said in plan.ts and encode.ts. */
#define OPERATIONS(OP) \
	OP(OPEN, do_open, 4, 1) OP(WRITE, do_write, 2, 2) OP(MKDIR, do_entry, 4, 1) OP(MKNOD, do_entry, 6, 1) \
	OP(SYMLINK, do_entry, 3, 2) OP(RMDIR, do_entry, 1, 1) OP(FSMOUNT, do_fsmount, 2, 1) \
	OP(CLONE_MOUNT, do_clone_mount, 3, 1) OP(MOUNT_ATTR, do_mount_attr, 6, 1) \
	OP(ATTACH_MOUNT, do_attach_mount, 3, 1) OP(COVER, do_cover, 5, 1) OP(UMOUNT, do_umount, 1, 1) \
	OP(PIVOT, do_pivot, 1, 0) OP(CLONE, do_clone, 3, 0) OP(OPEN_NS, do_open_ns, 1, 1) \
	OP(UNSHARE, do_unshare, 1, 0) OP(SETNS, do_setns, 2, 0) OP(JOIN, do_join, 1, 0) \
	OP(HOSTNAME, do_hostname, 0, 1) OP(DOMAINNAME, do_domainname, 0, 1) OP(RLIMIT, do_rlimit, 3, 0) \
	OP(USER, do_user, 3, 0) OP(CAPS, do_caps, 2, 0) OP(NO_NEW_PRIVS, do_no_new_privs, 0, 0) \
	OP(SECCOMP, do_seccomp, 1, 0) OP(CHDIR, do_chdir, 1, 1) OP(NETLINK, do_netlink, 4, 1) \
	OP(RESERVE_PORT, do_reserve_port, 7, 2) OP(DEVICE_PROGRAM, do_device_program, 1, 0) OP(TTY, do_tty, 3, 0) \
	OP(EXEC, do_exec, 3, 2) OP(UNPACK, do_unpack, 0, 0) OP(PACK, do_pack, 1, 1) OP(READ, do_read, 2, 1) \
	OP(SIBLING, do_sibling, 1, 0) OP(SHIM, do_nothing, 8, 5) OP(GATE, do_nothing, 0, 0)
#define OP_NUMBER(name, function, numbers, strings) OP_##name,
enum op { OP_NONE, OPERATIONS(OP_NUMBER) OP_END };
/* clang-format on */

struct text {
	char *s; /* NUL-terminated; may hold more NULs before len */
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
	struct step *step; /* numbers and texts lie behind the steps that came with them; texts point into the bytes */
};

/* Decodes `size` bytes behind the steps that are there; they stay in use. 0, or -1 with errno EBADMSG or ENOMEM. */
int plan_decode(uint8_t *bytes, size_t size, struct plan *plan);
