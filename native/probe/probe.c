/* What the audit runs inside a container: a server of system calls. It decides nothing: src/audit/guest.ts says which
 * calls to make with which memory, and judges the answers. Static; needs no file, no shell and, told so, no /proc.
 *   audit-guest [--no-proc] [--unlike PATH VALUE]  frames (probe.h) on standard input and output
 *   audit-join PID …   the same inside a running container: join.c
 *   audit-pause HEX…   prints the words the hex digits stand for, a line each, then waits for SIGTERM
 *   audit-whoami       exit code 10 when its effective user is root, else 11 */
#include "probe.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#define INITIAL_PID_NAMESPACE 0xEFFFFFFCu /* PROC_PID_INIT_INO, linux/proc_ns.h */

static struct request request;
static struct call *calls;
static struct shared *shared;

void full(int writing, void *buffer, size_t n) {
	for (uint8_t *p = buffer; n;) {
		ssize_t done = writing ? write(1, p, n) : read(0, p, n);
		if (done == 0) _exit(0); /* the auditor went */
		if (done < 0 && errno != EINTR) _exit(FAILED);
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int make_calls(int reports) {
	static long result[MOST_CALLS];
	int found = 0;
	long me = syscall(SYS_getpid);
	for (uint32_t i = 0; i < request.calls; i++) {
		const struct call *c = &calls[i];
		long v[6];
		for (int n = 0; n < 6; n++) {
			enum kind kind = c->kinds >> 2 * n & 3;
			v[n] = kind == PLACE	? (long)(shared->memory + (c->argument[n] & 0xffffffff))
			       : kind == RESULT ? result[c->argument[n] % MOST_CALLS]
						: c->argument[n];
		}
		uint64_t began = now();
		errno = 0;
		result[i] = syscall(c->number, v[0], v[1], v[2], v[3], v[4], v[5]);
		int error = result[i] == -1 ? errno : 0;
		while (syscall(SYS_getpid) != me) pause(); /* a call that forked: the new one waits for the end */
		if (reports) {
			shared->outcome[i] = (struct outcome){result[i], now() - began, error, 0};
			shared->reply.done = i + 1;
		}
		found |= c->ends == FINDING && error != ENOENT && error != ESRCH;
		if (error && c->ends == FAILURE) break;
	}
	return found;
}

static void make_rounds(uint64_t until, int reports) {
	int found = 0;
	for (uint64_t round = 0; !found && (request.repeat ? round < request.repeat : now() < until); round++) {
		uint64_t began = now();
		found = make_calls(reports);
		uint64_t index = __atomic_fetch_add(&shared->reply.rounds, 1, __ATOMIC_RELAXED);
		if (index < MOST_ROUNDS) shared->took[index] = now() - began;
	}
}

static void child_main(pid_t group, uint64_t until, int reports) {
	sigset_t none;
	setpgid(0, group);
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(0);
	close(1); /* what is executed here must not talk into the frames */
	make_rounds(until, reports);
	_exit(0);
}

/* Waits for `left` children until the limit; pid[] of those that ended becomes 0. */
static void await(pid_t *pid, uint32_t left, uint64_t until) {
	sigset_t ended;
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	for (int64_t rest; left && (rest = (int64_t)(until - now())) > 0;) {
		int status;
		pid_t one = waitpid(-1, &status, WNOHANG);
		if (one <= 0) sigtimedwait(&ended, NULL, &(struct timespec){rest / 1000000000, rest % 1000000000});
		for (uint32_t i = 0; one > 0 && i < request.children; i++) {
			if (pid[i] != one) continue;
			if (i == 0) shared->reply.status = status;
			pid[i] = 0;
			left--;
		}
	}
}

/* Forks the children, waits for them until the limit, then kills what is left of them. */
static void in_children(uint64_t until) {
	static pid_t pid[MOST_CHILDREN];
	pid_t group = 0;
	uint32_t made = 0;
	sigset_t ended;
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	for (; made < request.children; made++) {
		pid_t one = pid[made] = fork();
		if (one == 0) child_main(group, until, made == 0);
		if (one < 0) break;
		if (!group) group = one;
		setpgid(one, group);
	}
	if (made < request.children) shared->reply.fork_error = errno;
	await(pid, made, until);
	if (group) kill(-group, SIGKILL);
	for (uint32_t i = 0; i < made; i++) {
		int status;
		if (!pid[i]) continue;
		kill(pid[i], SIGKILL); /* it may have left the group */
		if (waitpid(pid[i], &status, 0) == pid[i] && i == 0) shared->reply.status = status;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0) {} /* orphans that became ours, where we are the first process */
}

static void in_server(uint64_t until) {
	struct timeval every = {request.limit / 1000, request.limit % 1000 * 1000};
	/* Again and again, should a call begin to block just after the first. */
	setitimer(ITIMER_REAL, &(struct itimerval){every, every}, NULL);
	make_rounds(until, 1);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

/* How much of the memory a range means. */
static uint32_t extent(const struct range *r) {
	if (r->call >= shared->reply.done) return r->call == WHOLE ? r->size : 0;
	int64_t got = shared->outcome[r->call].result;
	return got < 0 ? 0 : got < r->size ? (uint32_t)got : r->size;
}

static void answer(const struct range *ranges) {
	struct reply *reply = &shared->reply;
	reply->kept = reply->rounds < MOST_ROUNDS ? (uint32_t)reply->rounds : MOST_ROUNDS;
	size_t outcomes = reply->done * sizeof(struct outcome), took = reply->kept * sizeof *shared->took;
	uint32_t head[2] = {(uint32_t)(4 + sizeof *reply + outcomes + took), request.id};
	for (uint32_t i = 0; i < request.answers; i++) head[0] += 4 + extent(&ranges[i]);
	full(1, head, sizeof head);
	full(1, reply, sizeof *reply);
	full(1, shared->outcome, outcomes);
	full(1, shared->took, took);
	for (uint32_t i = 0; i < request.answers; i++) {
		uint32_t length = extent(&ranges[i]);
		full(1, &length, sizeof length);
		full(1, shared->memory + ranges[i].at, length);
	}
}

static void serve_one(void) {
	uint32_t length;
	full(0, &length, sizeof length);
	uint8_t *bytes = length >= sizeof request && length <= MOST_BYTES ? malloc(length) : NULL;
	if (!bytes) _exit(GARBLED);
	full(0, bytes, length);
	memcpy(&request, bytes, sizeof request);
	calls = (void *)(bytes + sizeof request);
	const struct request *q = &request;
	if (q->calls > MOST_CALLS || q->children > MOST_CHILDREN || q->memory > MOST_BYTES || q->given > q->memory ||
	    sizeof *q + q->calls * sizeof *calls + 8ull * q->pointers + 12ull * q->answers + q->given != length)
		_exit(GARBLED);
	struct pointer *pointers = (void *)(calls + q->calls);
	struct range *ranges = (void *)(pointers + q->pointers);
	size_t size = sizeof *shared + q->memory;
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED) _exit(FAILED);
	memcpy(shared->memory, ranges + q->answers, q->given);
	for (uint32_t i = 0; i < q->pointers; i++) {
		uint8_t *to = shared->memory + pointers[i].place;
		if (pointers[i].at + 8ull > q->memory) _exit(GARBLED);
		memcpy(shared->memory + pointers[i].at, &to, sizeof to);
	}
	for (uint32_t i = 0; i < q->answers; i++)
		if ((uint64_t)ranges[i].at + ranges[i].size > q->memory) _exit(GARBLED);
	uint64_t until = now() + q->limit * 1000000ull;
	if (q->children)
		in_children(until);
	else
		in_server(until);
	answer(ranges);
	munmap(shared, size);
	free(bytes);
}

/* Whether what stands in the file, or is the target of the link, is there and not `value`. */
static int unlike(const char *path, const char *value) {
	char found[256] = "";
	ssize_t n = readlink(path, found, sizeof found - 1);
	int fd = n < 0 ? open(path, O_RDONLY) : -1;
	if (fd >= 0) n = read(fd, found, sizeof found - 1);
	if (fd >= 0) close(fd);
	if (n > 0 && found[n - 1] == '\n') found[n - 1] = 0;
	return n > 0 && strcmp(found, value);
}

/* A probe belongs into a container. Not to be the host is shown by a PID namespace that is not the first one of a
 * kernel, or (--pid=host, or a machine of its own) by something that differs from the auditor's. */
static int may_serve(char **argv) {
	struct stat st;
	for (; *argv; argv++) {
		if (!strcmp(*argv, "--no-proc") && stat("/proc/self", &st)) return 1;
		if (!strcmp(*argv, "--unlike") && argv[1] && argv[2] && unlike(argv[1], argv[2])) return 1;
	}
	return !stat("/proc/self/ns/pid", &st) && st.st_ino != INITIAL_PID_NAMESPACE;
}

static void nothing(int sig) { (void)sig; }

static int serve(char **argv) {
	struct utsname name;
	uint32_t hello[4] = {0, 0x52505744 /* DWPR */, 1, (uint32_t)getpid()};
	if (!may_serve(argv)) {
		dprintf(2, "dewar-probe: this looks like the host; it runs in containers only\n");
		return REFUSED;
	}
	uname(&name);
	hello[0] = (uint32_t)(sizeof hello - 4 + sizeof name.machine);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL); /* without SA_RESTART: EINTR */
	signal(SIGTERM, _exit);
	full(1, hello, sizeof hello);
	full(1, name.machine, sizeof name.machine);
	for (;;) serve_one();
}

/* A container's first process: says its words, so that they are in its log and in no command line, and reaps. */
static void __attribute__((noreturn)) wait_for_the_end(char **words) {
	signal(SIGTERM, _exit);
	for (; *words; words++) {
		char said[4096], *to = said; /* not in place: the command line itself is looked for too */
		unsigned byte;
		for (const char *from = *words; to < said + sizeof said - 1 && sscanf(from, "%2x", &byte) == 1;
		     from += 2)
			*to++ = (char)byte;
		*to++ = '\n';
		full(1, said, (size_t)(to - said));
	}
	for (;;)
		if (wait(NULL) < 0) sleep(1);
}

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "audit-guest")) return serve(argv + 2);
	if (argc > 7 && !strcmp(argv[1], "audit-join")) return join(argv + 2);
	if (argc > 1 && !strcmp(argv[1], "audit-pause")) wait_for_the_end(argv + 2);
	if (argc == 2 && !strcmp(argv[1], "audit-whoami")) return geteuid() == 0 ? 10 : 11;
	dprintf(2, "This is what `dewar audit` runs inside containers.\n");
	return 2;
}
