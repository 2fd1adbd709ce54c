/* The executor of plans: each step of a plan is carried out exactly, or answers where it failed. */
#ifndef DEWAR_STEPS_H
#define DEWAR_STEPS_H

#include "plan.h"
#include <sys/types.h>

struct run {
	struct plan plan;
	int slot[SLOTS]; /* -1: empty */
	int conn;	 /* the engine's connection, for data frames and operation streams */
	int sync;	 /* in the guest: the socket to the parent */
	pid_t child;	 /* in the parent */
	uint32_t at;	 /* the step being carried out */
};

void run_init(struct run *r, int conn);
void run_close_slots(struct run *r, int from);

/* Carries out one step in the calling process. 0, or -1 with *f filled. */
int step_run(struct run *r, const struct step *s, struct failure *f);

/* The `after` steps before index `until`, last first; failures do not stop it. */
void run_after(struct run *r, uint32_t until);

/* Gives up the ports that reserve-port steps keep. */
void release_ports(void);

/* Last guest steps that never return on success. */
int step_exec(struct run *r, const struct step *s, struct failure *f);
int step_tty(struct run *r, const struct step *s, struct failure *f);

/* Frames to the engine: u32 length of what follows, u8 type, payload. */
int send_frame(int fd, char type, const void *payload, size_t size);
int send_fd(int sock, char type, int fd);

#endif
