/* Carrying out a whole plan: the parent's side and the child's story. */
#ifndef DEWAR_RUN_H
#define DEWAR_RUN_H

#include "steps.h"

/* The descriptors a new process gets as 0, 1, 2; -1: /dev/null. */
struct stdio {
	int in, out, err;
};

struct born {
	pid_t pid;
	int pidfd;
	int tty; /* master of its terminal, or -1 */
};

/* Host steps, clone, parent steps, and (in the child) guest steps up to exec. On failure everything made is
 * undone as far as `after` steps and process death do it. A plan without clone just runs its host steps:
 * born->pid is 0 then. `init` is a pidfd of the container's first process for exec plans, else -1.
 * Returns 0 when the child has exec'ed (or, for unpack, pack and read, ended well), -1 with *f, *step. */
int run_plan(struct run *r, struct stdio io, int init, struct born *born, uint32_t *step, struct failure *f);

/* First process of `--init`: starts argv, forwards signals, reaps. Never returns. */
void init_main(char **argv) __attribute__((noreturn));

/* A container's shim: see shim.c. Never returns. */
void shim_main(int conn, uint8_t *request, size_t size) __attribute__((noreturn));

/* Reads one frame into malloc'ed memory: its type, or -1. */
int read_frame(int fd, uint8_t **payload, size_t *size);
int send_failure(int conn, uint32_t step, const struct failure *f);

/* A descriptor of this very program (a sealed memfd), for --init. */
int self_exe(void);

#define MAX_FRAME (64u << 20)

#endif
