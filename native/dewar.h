/* What the parts of the native core share. */
#ifndef DEWAR_H
#define DEWAR_H

#define _GNU_SOURCE
#include "plan.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- One wrapper per raw system call that musl does not offer; each fails with errno, ENOSYS on old kernels. */

#define SYSTEM_CALL(name, ...) syscall(SYS_##name, __VA_ARGS__)
#define sys_clone3(args) SYSTEM_CALL(clone3, args, sizeof *(args))
#define sys_openat2(dir, path, how) SYSTEM_CALL(openat2, dir, path, how, sizeof *(how))
#define sys_fsopen(type) SYSTEM_CALL(fsopen, type, 1 /* FSOPEN_CLOEXEC */)
#define sys_fsconfig(fs, command, key, value, aux) SYSTEM_CALL(fsconfig, fs, command, key, value, aux)
#define sys_fsmount(fs, attrs) SYSTEM_CALL(fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, attrs)
#define clone_tree(at, flags)                                                                                          \
	SYSTEM_CALL(open_tree, at, "", (flags) | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
#define move_onto(mount, target)                                                                                       \
	SYSTEM_CALL(move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
#define sys_mount_setattr(dir, path, flags, attr) SYSTEM_CALL(mount_setattr, dir, path, flags, attr, sizeof *(attr))
#define sys_pivot_root(new_root, put_old) SYSTEM_CALL(pivot_root, new_root, put_old)
#define sys_close_range(first, last, flags) SYSTEM_CALL(close_range, first, last, flags)
#define sys_pidfd_open(pid) SYSTEM_CALL(pidfd_open, pid, 0)
#define sys_pidfd_send_signal(fd, sig) SYSTEM_CALL(pidfd_send_signal, fd, sig, NULL, 0)
#define sys_execveat(fd, argv, envp) SYSTEM_CALL(execveat, fd, "", argv, envp, AT_EMPTY_PATH)
#define sys_capset(header, data) SYSTEM_CALL(capset, header, data)
#define sys_capget(header, data) SYSTEM_CALL(capget, header, data)
#define sys_seccomp(op, flags, args) SYSTEM_CALL(seccomp, op, flags, args)
#define sys_bpf(command, attr) SYSTEM_CALL(bpf, command, attr, sizeof *(attr))

/* ---- io.c: failures, descriptors, paths, frames */

/* Where something went wrong, as it travels to TypeScript. */
struct failure {
	uint32_t step;
	int32_t err;	/* errno */
	char path[256]; /* the object, cut short when longer */
};
/* Fills f from errno and a printf-like path; returns -1 so that callers can `return fail(...)`. */
int fail(struct failure *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets errno; returns -1. */
int refuse(int err);

/* Closes *fd if it is one and makes it -1; errno stays. */
void close_fd(int *fd);
/* A descriptor that is closed when its variable goes out of scope. */
#define autoclose __attribute__((cleanup(close_fd)))

#define HERE (-2)
/* Opens inside the directory `root`, which no symlink can leave; plainly when root is HERE. */
int open_in(int root, const char *path, int flags, mode_t mode);
/* The folder (O_PATH) that holds the last component of path; *name points at that component. */
int open_parent(int root, const char *path, const char **name);
int write_full(int fd, const void *buf, size_t n);
/* A listening unix socket that only our user can connect to; -1 with errno. */
int listen_at(const char *path, int flags);
/* All signals: SIG_BLOCK or SIG_UNBLOCK. */
void mask_signals(int how);
/* A descriptor of this very program (a sealed memfd), for --init. */
int self_exe(void);

/* Frames between engine and core: u32 length of what follows, u8 type, payload. */
#define MAX_FRAME (64u << 20)
struct frame {
	uint8_t *bytes; /* malloc'ed; the type is bytes[4] */
	size_t used;	/* of bytes, so far */
};
/* Reads what has come of a frame: 1 when it is whole, 0 when more must come, -1 when the peer went or talks nonsense. */
int frame_read(int fd, struct frame *frame);
int send_frame(int fd, char type, const void *payload, size_t size);
int send_failure(int conn, const struct failure *f);
/* Sends data, with a descriptor beside it if fd is one (run.c). 0 or -1. */
int send_with(int to, const void *data, size_t size, int fd);
/* The spawner's end of the channel on which Node.js takes descriptors (src/kernel/lent-sockets.ts). */
#define CHANNEL 3

/* ---- steps.c, net.c: each step of a plan is carried out exactly, or answers where it failed */

/* A plan being carried out. */
struct run {
	struct plan plan;
	int slot[SLOTS];  /* -1: empty */
	int conn;	  /* the engine's connection, for data frames and operation streams */
	int sync;	  /* the child's end of the socket between it and its parent */
	pid_t child;	  /* in the parent; 0 when there is none or it has ended */
	int pidfd, tty;	  /* the child's, and the master of its terminal, or -1 */
	struct failure f; /* f.step is the step being carried out */
};

typedef int action(struct run *r, const struct step *s);
#define UNUSED __attribute__((unused))
#define STEP(name) int name(UNUSED struct run *r, UNUSED const struct step *s)
#define NUM(i) (s->num[i])
#define STR(i) (s->str[i].s)
/* The descriptor in a slot; -1 when there is none. */
#define SLOT(n) ((n) < SLOTS ? r->slot[n] : -1)
/* 0 when ok, else the failure with its path. */
#define RESULT(ok, ...) ((ok) ? 0 : fail(&r->f, __VA_ARGS__))
action do_exec, do_tty;				       /* run.c; the first does not return on success */
action do_netlink, do_reserve_port, do_device_program; /* net.c */

void run_init(struct run *r, int conn);
void run_close_slots(struct run *r);
/* Carries out one step in the calling process. 0, or -1 with r->f filled. */
action step_run;
/* The `after` steps before index `until`, last first; failures do not stop it and leave r->f alone. */
void run_after(struct run *r, uint32_t until);
/* Gives up the ports that reserve-port steps keep. */
void release_ports(void);

/* ---- files.c: both run in a sandbox whose root and working directory is the target */

/* Applies the operation stream (see src/store/ops.ts) read from `in` until its end mark. 0 or -1. */
int files_unpack(int in, struct failure *f);
/* Walks `path` and sends the operation stream to `out` in data frames. 0 or -1. */
int files_pack(const char *path, int out, struct failure *f);

/* ---- run.c: carrying out a whole plan, the parent's side and the child's story */

/* Host steps, clone, parent steps, and (in the child) guest steps up to exec. On failure everything made is
 * undone as far as `after` steps and process death do it. A plan without clone just runs its host steps.
 * `stdio`: what the process gets as 0, 1, 2, or -1: /dev/null. `init` is a pidfd of the container's first process
 * for exec plans, else -1. 0 when the child has exec'ed (or, for unpack, pack and read, ended well: r->child is
 * 0 then), or -1 with r->f. */
int run_plan(struct run *r, const int stdio[3], int init);

/* ---- core.c: carries out an encoded plan for the engine at `conn`, answers it and ends the process. `init` as above. */
void carry_out(int conn, const uint8_t *plan, size_t size, int init) __attribute__((noreturn));

/* ---- shim.c: the shim of the process that the plan in r, with its last step OP_SHIM, describes. `init` as above. */
void shim_main(struct run *r, int init) __attribute__((noreturn));

/* ---- log.c: the container's log in Docker's json-file format, with rotation */

#define LOG_LINE 16384 /* Docker cuts longer lines into parts of this size */
struct log {
	int fd; /* -1: no log */
	const char *path;
	uint64_t size, max;
	uint32_t files;
	struct line {
		char text[LOG_LINE];
		size_t used;
	} partial[2]; /* stdout, stderr: what came after the last newline */
	char *out;    /* entries on their way to the file */
	size_t out_used;
};
/* 0, or -1 with errno. max 0: no rotation. */
int log_open(struct log *log, const char *path, uint64_t max, uint32_t files);
void log_write(struct log *log, int stream, const char *data, size_t n);
/* Writes out lines that have no newline yet. */
void log_end(struct log *log);

#endif
