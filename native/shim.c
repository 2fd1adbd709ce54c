/* The shim: one per process of a container, which outlives the engine; an exec's is forked from the first one's, so that
 * one that hangs on its way holds up nobody else. Requests and answers: src/kernel/shim.ts. */
#include "dewar.h"
#include <arpa/inet.h>

#define CHUNK 32768
#define HEAD 8 /* before each chunk of a stream that is no terminal's: number of the stream, 0, 0, 0, u32 length */
/* Of an ended process's stream: twice what a pipe of 1 MiB, the most, may hold. Who inherited it may write for ever. */
#define READS_AFTER_END 64
#define CONNS 1024 /* at once, or as many as poll(2) takes; who comes then waits to be accepted */

/* Numbers and strings of the OP_SHIM step at the end of every plan that makes a process here. */
enum { TTY, STDIN_OPEN, STDIN_ONCE, EXPECT, UID, GID, LOG_MAX, LOG_FILES };
enum { DIR /* "": where the first shim is already */, SOCKET, LOG, OOM_FILE, LOG_ATTRS };
enum { STDIN = 1, STDOUT = 2, STDERR = 4, REPLAY = 8 }; /* what an attacher wants */

/* A connection: control (frames) until an attach makes it a stream. */
static struct conn {
	int fd, dead;
	int watches;	    /* hears of the end; a process that nobody watches does not wait for attachers */
	struct frame frame; /* control: what has come of the next one */
	int attached, wants, ended, blocked; /* stream: input has ended; the process does not take any now */
	size_t sent;			     /* stream: of the chunk */
} conns[CONNS];
static size_t conn_count;
/* What poll() watches: from FIRST on two for each connection, itself and the process's input while that takes none. */
enum { LISTENER, INIT, OUT, FIRST = OUT + 2 };
static struct pollfd polled[FIRST + 2 * CONNS];

static struct shim {
	struct run run; /* run.child and run.pidfd: the process */
	struct log log;
	const uint64_t *num; /* TTY … LOG_FILES */
	const struct text *str;
	int listener, init; /* init: for an exec, a pidfd of the container's first process; else -1 */
	int in, out[2];	    /* the process's; a terminal's master is both in and out[0] */
	int exited, code, reads_after_end, leads; /* leads: the first, in no other container's PID namespace */
	size_t most;				  /* connections */
	int deaf;				  /* it had no descriptor for who wants to be accepted */
	uint64_t expect; /* so many attachers of the output have yet to come; it waits for them */
	size_t end;	 /* of the latest output in the chunk; up to there it is on the way to the clients */
	char chunk[HEAD + CHUNK];
} shim;

static void conn_send(struct conn *c, char type, const void *payload, size_t n) {
	if (!c->dead) c->dead = send_frame(c->fd, type, payload, n) != 0;
}

static void answer(struct conn *c, int rc, const char *what) {
	struct failure f = {0};
	if (!rc) return conn_send(c, 'O', NULL, 0);
	fail(&f, "%s", what);
	if (!c->dead) c->dead = send_failure(c->fd, &f) != 0;
}

static void send_started(struct conn *c) {
	c->watches = 1;
	conn_send(c, 'S', (uint32_t[]){(uint32_t)shim.run.child, (uint32_t)getpid()}, 8);
}

/* Pipes belong to the container's user, who may open /dev/stdout again (nginx does). */
static int make_pipe(int fds[2]) {
	uint64_t uid = shim.num[UID], gid = shim.num[GID];
	return pipe2(fds, O_CLOEXEC) || (uid != NONE && fchown(fds[0], (uid_t)uid, (gid_t)gid));
}

static int start(void) {
	if (run_plan(&shim.run, shim.init)) return -1;
	if (shim.num[TTY]) shim.out[0] = shim.run.tty, shim.in = fcntl(shim.run.tty, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 2; i++) fcntl(shim.out[i], F_SETFL, O_NONBLOCK);
	return fcntl(shim.in, F_SETFL, O_NONBLOCK), 0;
}

static int is_behind(const struct conn *c) { return c->attached && !c->dead && c->sent < shim.end; }

/* Whether the output has to wait: for attachers, or for one that is behind. As under dockerd nothing is lost. */
static int held(void) {
	int behind = 0;
	for (size_t i = 0; i < conn_count; i++) behind |= is_behind(&conns[i]);
	return behind || shim.expect > 0;
}

static void push(struct conn *c) {
	ssize_t n = send(c->fd, shim.chunk + c->sent, shim.end - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) c->dead = errno != EAGAIN && errno != EINTR;
	c->sent += n < 0 ? 0 : (size_t)n;
}

/* Reads once from the process; 1 when there may be more. Closes the descriptor at its end. */
static int pump(int stream) {
	if (shim.out[stream] < 0 || held()) return 0;
	ssize_t n = read(shim.out[stream], shim.chunk + HEAD, CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
	if (n <= 0) return close_fd(&shim.out[stream]), 0; /* a terminal whose last user is gone answers EIO */
	uint32_t head[2] = {htonl((uint32_t)(stream + 1) << 24), htonl((uint32_t)n)};
	memcpy(shim.chunk, head, HEAD);
	shim.end = HEAD + (size_t)n;
	log_write(&shim.log, stream, shim.chunk + HEAD, (size_t)n);
	for (struct conn *c = conns; c < conns + conn_count; c++) {
		c->sent = !(c->wants & (stream ? STDERR : STDOUT)) ? shim.end : shim.num[TTY] ? HEAD : 0;
		if (is_behind(c)) push(c);
	}
	return 1;
}

static void end_input(struct conn *c) {
	c->ended = 1;
	if (c->wants & STDIN && shim.num[STDIN_ONCE] && !shim.num[TTY]) close_fd(&shim.in);
}

/* Input: what the process does not take stays in the client's socket. When it closed its input, there is no reader. */
static void feed(struct conn *c) {
	static char buf[CHUNK];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_PEEK | MSG_DONTWAIT), put = n;
	if (n < 0) c->dead = errno != EAGAIN && errno != EINTR;
	if (n <= 0) return n == 0 ? end_input(c) : (void)0;
	if (c->wants & STDIN && shim.in >= 0) put = write(shim.in, buf, (size_t)n);
	c->blocked = put < 0 && errno == EAGAIN;
	if (!c->blocked) recv(c->fd, buf, (size_t)(put < 0 ? n : put), MSG_DONTWAIT);
}

static void do_attach(struct conn *c, uint8_t wants) {
	struct stat at = {0};
	answer(c, 0, NULL);
	/* Where its log ends and its stream begins: the file's end, then the lines that are not in it yet. */
	if (wants & REPLAY && !fstat(shim.log.fd, &at)) {
		conn_send(c, 'L', (uint64_t[]){at.st_ino, (uint64_t)at.st_size}, 16);
		for (struct line *l = shim.log.partial; l < shim.log.partial + 2; l++)
			conn_send(c, 'L', l->text, l->used);
	}
	c->attached = 1;
	c->wants = wants;
	c->sent = shim.end;
	if (shim.expect && wants & (STDOUT | STDERR)) shim.expect--;
}

/* The plan of one more process is carried out by a fork of this shim, whose connection this is from now on. Nothing else
 * goes along: not the ports, the log or other clients. 0 to 2 are /dev/null here. */
static void fork_exec(struct conn *c, uint8_t *plan, size_t size) {
	pid_t pid = fork();
	if (pid < 0) return answer(c, -1, "fork");
	c->dead = 1;
	if (pid > 0) return;
	dup2(c->fd, 0);
	dup2(shim.run.pidfd, 1);
	release_ports(); /* what is closed later by these numbers would be this one's own */
	sys_close_range(3, ~0U, 0);
	conn_count = shim.end = 0;
	carry_out(0, plan, size, 1);
}

static void request(struct conn *c, uint8_t type, uint8_t *b, size_t n) {
	uint32_t arg = 0;
	memcpy(&arg, b, n < sizeof arg ? n : sizeof arg);
	errno = ESRCH;
	if (type == 'W') {
		send_started(c);
	} else if (type == 'A' && n == 1) {
		do_attach(c, b[0]);
	} else if (type == 'D' && shim.exited && n && !b[n - 1]) {
		answer(c, remove_at(AT_FDCWD, (char *)b, 0), (char *)b);
	} else if (shim.exited) {
		answer(c, -1, "the process has ended");
	} else if (type == 'E') {
		fork_exec(c, b, n);
	} else if (type == 'K') {
		answer(c, (int)sys_pidfd_send_signal(shim.run.pidfd, (int)arg), "signal");
	} else if (type == 'Z' && shim.num[TTY]) {
		struct winsize w = {.ws_row = (unsigned short)arg, .ws_col = (unsigned short)(arg >> 16)};
		answer(c, ioctl(shim.in, TIOCSWINSZ, &w), "resize");
	} else {
		answer(c, refuse(EINVAL), "request");
	}
}

/* Takes in what came and carries out a whole frame. What follows an attach is standard input. */
static void read_control(struct conn *c) {
	int whole = frame_read(c->fd, &c->frame);
	struct frame frame = c->frame;
	if (whole <= 0) return (void)(c->dead = whole < 0);
	c->frame = (struct frame){0};
	request(c, frame.bytes[4], frame.bytes + 5, frame.used - 5);
	free(frame.bytes);
}

static void wake(int sig) { (void)sig; }

/* Execs' shims are children too. A first process is a zombie until all who are told of its end have let go: the engine
 * goes by its number, which a guest could give to others. Who joined another's PID namespace is no zombie: that one's end would wait (zap_pid_ns_processes). */
static void reap(void) {
	siginfo_t i = {0};
	for (; !shim.exited && !waitid(P_ALL, 0, &i, WEXITED | WNOHANG | WNOWAIT) && i.si_pid; i.si_pid = 0) {
		shim.exited = i.si_pid == shim.run.child;
		shim.code = i.si_code == CLD_EXITED ? i.si_status : 128 + i.si_status;
		if (!shim.exited || !shim.leads) waitpid(i.si_pid, NULL, 0);
	}
}

/* On disk before anyone hears of it: an engine that comes later reads it there. */
static void record_exit(const char *exit, size_t n) {
	autoclose int fd = open("exit.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && !write_full(fd, exit, n) && !ftruncate(fd, (off_t)n)) rename("exit.tmp", "exit");
}

/* The process has ended: what it said is read to the end as clients take it, then its streams end. What it said
 * before anyone was attached is held for those who have yet to come. */
static void finish(void) {
	for (int i = 0; i < 2; i++)
		while (shim.reads_after_end < (i + 1) * READS_AFTER_END && pump(i)) shim.reads_after_end++;
	if (held()) return;
	char exit[1024];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	const char *told = "{\"code\":%d,\"seconds\":%lld.%09ld}\n";
	ssize_t n = snprintf(exit, sizeof exit, told, shim.code, (long long)now.tv_sec, now.tv_nsec), more;
	autoclose int oom = open(shim.str[OOM_FILE].s, O_RDONLY | O_CLOEXEC);
	if ((more = read(oom, exit + n, sizeof exit - (size_t)n)) > 0) n += more;
	log_end(&shim.log);
	release_ports();
	run_after(&shim.run, shim.run.plan.count);
	/* The first one's socket stays: without an exit it tells that there was a start. */
	*shim.str[DIR].s ? record_exit(exit, (size_t)n) : (void)unlink(shim.str[SOCKET].s);
	for (struct conn *c = conns; c < conns + conn_count; c++)
		c->watches ? conn_send(c, 'X', exit, (size_t)n) : (void)close(c->fd); /* a stream ends now */
	/* To let go of the layers waits until all of them is on the disk; what is to be deleted is deleted before. */
	for (struct conn *c = conns; c < conns + conn_count; c++)
		while (c->watches && !c->dead) read_control(c);
	waitpid(shim.run.child, NULL, 0); /* if it has not been */
	close_fd(&shim.run.root);
	_exit(0);
}

static void sweep(void) {
	int watched = 0;
	for (struct conn *c = conns + conn_count; c-- > conns;) {
		watched |= c->watches && !c->dead;
		if (!c->dead) continue;
		if (c->attached && !c->ended) end_input(c);
		close(c->fd);
		free(c->frame.bytes);
		*c = conns[--conn_count];
	}
	if (!watched) shim.expect = 0;
}

static void watch(size_t at, int fd, int events) { polled[at] = (struct pollfd){.fd = fd, .events = (short)events}; }

static void watch_all(void) {
	watch(LISTENER, conn_count < shim.most && !shim.deaf ? shim.listener : -1, POLLIN);
	watch(INIT, shim.init, POLLIN);
	for (size_t i = 0; i < 2; i++) watch(OUT + i, held() ? -1 : shim.out[i], POLLIN);
	for (size_t i = 0; i < conn_count; i++) {
		const struct conn *c = &conns[i];
		int waits = c->blocked && shim.in >= 0;
		int events = (waits || c->ended ? 0 : POLLIN) | (is_behind(c) ? POLLOUT : 0);
		watch(FIRST + 2 * i, waits && !events ? -1 : c->fd, events);
		watch(FIRST + 2 * i + 1, waits ? shim.in : -1, POLLOUT);
	}
}

static struct conn *add_conn(int fd) {
	return fd < 0 ? NULL : (conns[conn_count] = (struct conn){.fd = fd}, &conns[conn_count++]);
}

static void serve(struct conn *c, short client, short input) {
	if (client & POLLOUT && is_behind(c)) push(c);
	if (c->dead) return;
	if (c->attached && (client & POLLIN || input))
		feed(c);
	else if (client & POLLIN)
		read_control(c);
	else if (client & (POLLHUP | POLLERR | POLLNVAL))
		c->dead = 1;
}

static __attribute__((noreturn)) void loop(void) {
	for (;;) {
		watch_all();
		/* SIGCHLD comes through only here. Who could not be accepted is tried again in a second, not at once for ever. */
		ppoll(polled, FIRST + 2 * conn_count, shim.deaf ? &(struct timespec){1, 0} : NULL, &(sigset_t){0});
		reap();
		for (size_t i = 0; i < conn_count; i++)
			serve(&conns[i], polled[FIRST + 2 * i].revents, polled[FIRST + 2 * i + 1].revents);
		for (int i = 0; i < 2; i++)
			if (polled[OUT + i].revents) pump(i);
		shim.deaf = polled[LISTENER].revents && !add_conn(accept4(shim.listener, NULL, NULL, SOCK_CLOEXEC));
		/* The container is over; one in the host's PID namespace leaves its execs alive. */
		if (polled[INIT].revents) sys_pidfd_send_signal(shim.run.pidfd, SIGKILL), close_fd(&shim.init);
		sweep(); /* before the end: a vanished client is not waited for */
		if (shim.exited) finish();
	}
}

static int prepare(void) {
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	const char *log = shim.str[LOG].s, *dir = shim.str[DIR].s;
	prctl(PR_SET_NAME, "dewar-shim");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigprocmask(SIG_SETMASK, &(sigset_t){{1UL << (SIGCHLD - 1)}}, NULL);
	signal(SIGCHLD, wake), signal(SIGPIPE, SIG_IGN);
	shim.log.fd = -1, shim.log.path = log, shim.log.attrs = shim.str[LOG_ATTRS].s;
	shim.log.max = shim.num[LOG_MAX], shim.log.files = (uint32_t)shim.num[LOG_FILES];
	shim.expect = shim.num[EXPECT];
	shim.most = (size_t)(sysconf(_SC_OPEN_MAX) < FIRST + 2 * CONNS ? sysconf(_SC_OPEN_MAX) / 2 - FIRST : CONNS);
	/* From inside: the path may be longer than sun_path's 108 bytes. */
	shim.listener = *dir && chdir(dir) ? -1 : listen_at(shim.str[SOCKET].s);
	if (shim.listener < 0) return fail(&shim.run.f, "%s", dir);
	if (*log && log_open(&shim.log)) return fail(&shim.run.f, "%s", log);
	if (!shim.num[TTY] && ((shim.num[STDIN_OPEN] && make_pipe(in)) || make_pipe(out) || make_pipe(err)))
		return fail(&shim.run.f, "pipe");
	memcpy(shim.run.slot + STDIO, (int[]){in[0], out[1], err[1]}, 3 * sizeof(int));
	return shim.in = in[1], shim.out[0] = out[0], shim.out[1] = err[0], 0;
}

void shim_main(struct run *r, int init) {
	const struct step *o = &r->plan.step[r->plan.count - 1];
	shim.run = *r, shim.num = o->num, shim.str = o->str, shim.run.f.step = r->plan.count - 1;
	shim.init = init, shim.leads = init < 0;
	for (const struct step *s = r->plan.step; s < o; s++)
		shim.leads &= !(s->op == OP_SETNS && s->num[1] & CLONE_NEWPID);
	int ready = !prepare();
	/* The successor of an engine that died before our socket was there may not have seen it; from here on it does. */
	struct pollfd engine_gone = {.fd = r->conn, .events = POLLRDHUP};
	int gone = ready && poll(&engine_gone, 1, 0) > 0;
	if (!ready || gone) run_undo(&shim.run, shim.run.from);
	if (!ready || gone || start()) send_failure(r->conn, &shim.run.f), _exit(125);
	if (init < 0) close(CHANNEL); /* an exec's shim has none */
	send_started(add_conn(r->conn));
	run_close_slots(&shim.run); /* after execve: the last to close a layer's own mount waits for RCU, 0.2 ms each */
	loop();
}
