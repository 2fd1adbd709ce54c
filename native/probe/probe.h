/* What the audit's probe says and hears, and what its parts share. src/audit/guest-frames.ts is the other side. */
#ifndef DEWAR_PROBE_H
#define DEWAR_PROBE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_BYTES (64u << 20)
#define MOST_CALLS 8192
#define MOST_CHILDREN 256
#define MOST_ROUNDS 65536

/* A request: u32 length, this, `calls` calls, `pointers` pointers, `answers` ranges, `given` first bytes of memory. */
struct request {
	uint32_t id, limit; /* ms */
	uint32_t repeat;    /* 0: until the limit */
	uint32_t children;  /* 0: in the server itself */
	uint32_t calls, pointers, answers;
	uint32_t memory, given; /* bytes */
	uint32_t reserved;	/* what follows is aligned */
};

enum kind { NUMBER, PLACE, RESULT };
enum ends { FAILURE = 1, FINDING };
struct call {
	uint32_t number;
	uint16_t ends;	/* FAILURE ends the batch; FINDING, that is, anything but "not there", the repetition */
	uint16_t kinds; /* 2 bits per argument: a number, a place in memory, the result of the call of that index */
	int64_t argument[6];
};

/* Where in memory the address of which place is to stand. */
struct pointer {
	uint32_t at, place;
};

/* What of the memory to send back: all of it, or as much as the call of that index returned. */
struct range {
	uint32_t at, size, call;
};
#define WHOLE 0xffffffffu

/* An answer: u32 length, u32 id, this, `done` outcomes, `kept` times, then per range u32 length and its bytes. */
struct reply {
	int32_t status, fork_error; /* of the first child: wait(2) */
	uint32_t done, kept;
	uint64_t rounds;
};

struct outcome {
	int64_t result;
	uint64_t ns;
	int32_t error, reserved;
};

/* Shared with the children, so that the results of one that is killed are there too. */
struct shared {
	struct reply reply;
	struct outcome outcome[MOST_CALLS];
	uint64_t took[MOST_ROUNDS]; /* ns of each round, of all children */
	uint8_t memory[];
};

/* Exit codes; src/audit/guest.ts knows them. */
enum { REFUSED = 99, GARBLED = 98, FAILED = 97 };

/* Enters the container of PID and serves there: PID UID GID EFFECTIVE BOUNDING NNP, then the arguments of audit-guest. */
int join(char **argv);

#endif
