/* What the parts of the native core share. */
#pragma once
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
#define CALL(name, ...) syscall(SYS_##name, __VA_ARGS__)
#define sys_clone3(args) CALL(clone3, args, sizeof *(args))
#define sys_openat2(dir, path, how) CALL(openat2, dir, path, how, sizeof *(how))
#define sys_fsopen(type) CALL(fsopen, type, 1 /* FSOPEN_CLOEXEC */)
#define sys_fsconfig(fs, command, key, value, aux) CALL(fsconfig, fs, command, key, value, aux)
#define sys_fsmount(fs, attrs) CALL(fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, attrs)
#define clone_tree(at, flags) CALL(open_tree, at, "", (flags) | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
#define move_onto(fd, to) CALL(move_mount, fd, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
#define sys_mount_setattr(dir, path, flags, attr) CALL(mount_setattr, dir, path, flags, attr, sizeof *(attr))
#define sys_pivot_root(new_root, put_old) CALL(pivot_root, new_root, put_old)
#define sys_close_range(first, last, flags) CALL(close_range, first, last, flags)
#define sys_pidfd_open(pid) CALL(pidfd_open, pid, 0)
#define sys_pidfd_send_signal(fd, sig) CALL(pidfd_send_signal, fd, sig, NULL, 0)
#define sys_execveat(fd, argv, envp) CALL(execveat, fd, "", argv, envp, AT_EMPTY_PATH)
#define sys_capset(header, data) CALL(capset, header, data)
#define sys_seccomp(op, flags, args) CALL(seccomp, op, flags, args)
#define sys_bpf(command, attr) CALL(bpf, command, attr, sizeof *(attr))

/* ---- io.c: failures, descriptors, paths, frames */
/* Where something went wrong, as it travels to TypeScript. */
struct failure {
	uint32_t step;
	int32_t err;	/* errno */
	char path[256]; /* the object, cut short when longer */
};
/* Fills f from errno and a printf-like path; -1, so that callers can return it. */
int fail(struct failure *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int refuse(int err);	/* sets errno; -1 */
void close_fd(int *fd); /* if it is one; errno stays */
#define autoclose __attribute__((cleanup(close_fd)))

/* A descriptor of this very program, for --init. */
#define self_exe() open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
#define HERE (-2)
/* Opens inside the directory `root` (or AT_FDCWD), which no symlink can leave; plainly when root is HERE. */
int open_in(int root, const char *path, int flags, mode_t mode);
/* The folder (O_PATH) that holds the last component of path; *name points at that component. */
int open_parent(int root, const char *path, const char **name);
int write_full(int fd, const void *buf, size_t n);
int listen_at(const char *path); /* a unix socket that does not block and that only our user can connect to */
void mask_signals(int how);	 /* all of them: SIG_BLOCK or SIG_UNBLOCK */

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
struct run {
	struct plan plan;
	uint32_t from;		/* the first step that is not carried out yet */
	int slot[ALL_SLOTS];	/* -1: empty */
	int conn;		/* the engine's connection, for data frames and operation streams */
	int sync, to_child;	/* the child's and the parent's end of the socket between them */
	pid_t child;		/* in the parent; 0 when there is none or it has ended */
	int pidfd, tty, parent; /* the child's, the master of its terminal, and the child's parent's pidfd; or -1 */
	int root;	  /* its overlay: the last to let go waits for the disk, and that is to be the shim; or -1 */
	struct failure f; /* f.step is the step being carried out */
};

typedef int action(struct run *r, const struct step *s);
#define STEP(name) int name(__attribute__((unused)) struct run *r, __attribute__((unused)) const struct step *s)
#define NUM(i) (s->num[i])
#define STR(i) (s->str[i].s)
#define SLOT(n) ((n) < SLOTS ? r->slot[n] : -1)
#define RESULT(ok, ...) ((ok) ? 0 : fail(&r->f, __VA_ARGS__))
action do_clone, do_exec, do_sibling, do_tty;	       /* run.c; do_exec does not return on success */
action do_netlink, do_reserve_port, do_device_program; /* net.c */
action step_run;				       /* carries out one step in the calling process */
void run_init(struct run *r, int conn);
void run_close_slots(struct run *r);
/* The `after` steps before index `until`, last first; failures do not stop it and leave r->f alone. */
void run_after(struct run *r, uint32_t until);
void release_ports(void); /* those that reserve-port steps keep */

/* ---- files.c: an operation stream (src/store/ops.ts) into the current folder, or of `path` in it in data frames */
int files_unpack(int conn, struct failure *f);
int files_pack(const char *path, int alone, int conn, struct failure *f);
int remove_at(int dir, const char *name, int depth); /* a tree; depth is 0 to begin with */

/* ---- run.c: carrying out a plan, the parent's side and the child's story */
/* What has come of the plan. `init` is a pidfd of the container's first process for exec plans, else -1. 0 when the child
 * waits at a gate, has exec'ed, or (r->child is 0) when all has ended well; or, all undone, -1 with r->f. */
int run_plan(struct run *r, int init);
/* What was made is undone as far as process death and the `after` steps before index `until` do it. */
void run_undo(struct run *r, uint32_t until);

/* ---- core.c: carries out an encoded plan for the engine at `conn`, answers it and ends the process; `init` as above */
void carry_out(int conn, uint8_t *plan, size_t size, int init) __attribute__((noreturn));

/* ---- shim.c: the shim of the process that the plan in r, with its last step OP_SHIM, describes. `init` as above. */
void shim_main(struct run *r, int init) __attribute__((noreturn));

/* ---- log.c: the container's log in Docker's json-file format, with rotation */
#define LOG_LINE 16384 /* Docker cuts longer lines into parts of this size */
struct log {
	int fd;			  /* -1: no log */
	const char *path, *attrs; /* attrs: ,"attrs":{…} or nothing */
	uint64_t size, max;	  /* max 0: no rotation */
	uint32_t files;
	struct line {
		char text[LOG_LINE];
		size_t used;
	} partial[2]; /* stdout, stderr: what came after the last newline */
	char *out;    /* entries on their way to the file */
	size_t out_used;
};
int log_open(struct log *log); /* path, attrs, max and files are set */
void log_write(struct log *log, int stream, const char *data, size_t n);
void log_end(struct log *log); /* writes out lines that have no newline yet */
