/* The shim: one per container, forked from the spawner, outlives the engine. It starts the container by its
 * plan, owns the terminal or the pipes, writes the log, serves attach and exec over a socket of its own, reaps,
 * records the exit in RUNDIR/exit and runs the `after` steps. Requests and answers: src/kernel/shim.ts. */
#include "dewar.h"
#include <arpa/inet.h>
#include <sys/signalfd.h>
#include <termios.h>

#define CHUNK 32768
#define HEAD 8 /* before each chunk of a stream that is no terminal's: number of the stream, 0, 0, 0, u32 length */
/* Of an ended process's stream: twice what a pipe of 1 MiB, the most, may hold. Who inherited it may write for ever. */
#define READS_AFTER_END 64

/* Numbers and strings of the OP_SHIM step at the end of every plan that makes a process here. */
enum { TTY, STDIN_OPEN, STDIN_ONCE, EXPECT, UID, GID, LOG_MAX, LOG_FILES };
enum { DIR, LOG, OOM_FILE };
/* What an attacher wants. */
enum { STDIN = 1, STDOUT = 2, STDERR = 4, REPLAY = 8 };

/* A process of the container: number 0 is the first one, the rest are execs. */
struct proc {
	struct proc *next;
	uint32_t id, expect; /* so many attachers of its output have yet to come; it waits for them */
	pid_t pid;
	int pidfd, in, out[2]; /* in and out[0] are the terminal's master when tty */
	int tty, once, exited, code, done, reads_after_end;
	char *chunk;	/* its latest output behind HEAD bytes; up to `end` it is on the way to the clients */
	size_t end, at; /* at: where it stands in polled */
};

/* A connection: control (frames) until an attach makes it a stream of `proc`. */
struct conn {
	struct conn *next;
	int fd, dead;
	struct proc *watches; /* hears of its end; a process that nobody watches does not wait for attachers */
	struct frame frame;   /* control: what has come of the next one */
	struct proc *proc;
	int wants, ended, blocked; /* stream: input has ended; the process does not take any now */
	size_t sent;		   /* stream: of proc->chunk */
	size_t at;		   /* where it stands in polled */
};

static struct shim {
	struct run run;
	struct log log;
	struct proc *procs;
	struct conn *conns;
	const struct text *names; /* DIR, LOG, OOM_FILE */
	int listener, signals, over;
	uint32_t next_id;
} shim;

static void conn_send(struct conn *c, char type, const void *payload, size_t n) {
	if (!c->dead) c->dead = send_frame(c->fd, type, payload, n) != 0;
}

static void conn_fail(struct conn *c, const struct failure *f) {
	if (!c->dead) c->dead = send_failure(c->fd, f) != 0;
}

static void answer(struct conn *c, int rc, const char *what) {
	struct failure f = {0};
	if (!rc) return conn_send(c, 'O', NULL, 0);
	fail(&f, "%s", what);
	conn_fail(c, &f);
}

static void send_started(struct conn *c, struct proc *p) {
	c->watches = p;
	conn_send(c, 'S', (uint32_t[]){p->id, (uint32_t)p->pid, (uint32_t)getpid()}, 12);
}

/* Pipes belong to the container's user, who may open /dev/stdout again (nginx does). */
static int make_pipe(int fds[2], uint64_t uid, uint64_t gid) {
	return pipe2(fds, O_CLOEXEC) || (uid != NONE && fchown(fds[0], (uid_t)uid, (gid_t)gid));
}

static void free_proc(struct proc *p) {
	if (p->tty) p->in = -1; /* it is out[0] */
	close_fd(&p->in);
	close_fd(&p->out[0]);
	close_fd(&p->out[1]);
	close_fd(&p->pidfd);
	free(p->chunk);
	free(p);
}

/* Starts a process by the plan in r; NULL with r->f when it failed. */
static struct proc *start(struct run *r, int init) {
	const struct step *o = &r->plan.step[r->plan.count - 1];
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, tty = o->num[TTY] != 0;
	struct proc *p = calloc(1, sizeof *p);
	if (p) p->chunk = malloc(HEAD + CHUNK);
	int bad = !p || !p->chunk || (!tty && o->num[STDIN_OPEN] && make_pipe(in, o->num[UID], o->num[GID])) ||
		  (!tty && (make_pipe(out, o->num[UID], o->num[GID]) || make_pipe(err, o->num[UID], o->num[GID])));
	bad = bad ? fail(&r->f, "pipe") : run_plan(r, (int[]){in[0], out[1], err[1]}, init);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	if (!p) return NULL;
	*p = (struct proc){.id = shim.next_id,
			   .expect = (uint32_t)o->num[EXPECT],
			   .pid = r->child,
			   .pidfd = r->pidfd,
			   .in = tty ? r->tty : in[1],
			   .out = {tty ? r->tty : out[0], err[0]},
			   .tty = tty,
			   .once = o->num[STDIN_ONCE] != 0,
			   .chunk = p->chunk,
			   .next = shim.procs};
	if (bad || !p->pid) return free_proc(p), NULL;
	fcntl(p->in, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++) fcntl(p->out[i], F_SETFL, O_NONBLOCK);
	shim.next_id++;
	return shim.procs = p;
}

static struct proc *find(uint32_t id) {
	struct proc *p = shim.procs;
	while (p && p->id != id) p = p->next;
	return p;
}

static int is_stream_of(const struct conn *c, const struct proc *p) { return c->proc == p && !c->dead; }
static int is_behind(const struct conn *c) { return c->proc && c->sent < c->proc->end; }

/* Whether its output has to wait: for attachers, or for one that is behind. As under dockerd nothing is lost. */
static int held(const struct proc *p) {
	int behind = p->expect > 0;
	for (struct conn *c = shim.conns; c && !behind; c = c->next) behind = is_stream_of(c, p) && is_behind(c);
	return behind;
}

static void push(struct conn *c) {
	ssize_t n = send(c->fd, c->proc->chunk + c->sent, c->proc->end - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) c->dead = errno != EAGAIN && errno != EINTR;
	c->sent += n < 0 ? 0 : (size_t)n;
}

/* Reads once from the process; 1 when there may be more. Closes the descriptor at its end. */
static int pump(struct proc *p, int stream) {
	if (p->out[stream] < 0 || held(p)) return 0;
	ssize_t n = read(p->out[stream], p->chunk + HEAD, CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
	if (n <= 0) { /* a terminal whose last user is gone answers EIO */
		if (p->tty) p->in = -1;
		close_fd(&p->out[stream]);
		return 0;
	}
	uint32_t head[2] = {htonl((uint32_t)(stream + 1) << 24), htonl((uint32_t)n)};
	memcpy(p->chunk, head, HEAD);
	p->end = HEAD + (size_t)n;
	if (p->id == 0) log_write(&shim.log, stream, p->chunk + HEAD, (size_t)n);
	for (struct conn *c = shim.conns; c; c = c->next) {
		if (!is_stream_of(c, p)) continue;
		c->sent = !(c->wants & (stream ? STDERR : STDOUT)) ? p->end : p->tty ? HEAD : 0;
		if (is_behind(c)) push(c);
	}
	return 1;
}

static void end_input(struct conn *c) {
	c->ended = 1;
	if (c->wants & STDIN && c->proc->once && !c->proc->tty) close_fd(&c->proc->in);
}

/* Input: what the process does not take stays in the client's socket. When it closed its input, there is no reader. */
static void feed(struct conn *c) {
	static char buf[CHUNK];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_PEEK | MSG_DONTWAIT), put = n;
	if (n < 0) c->dead = errno != EAGAIN && errno != EINTR;
	if (n <= 0) return n == 0 ? end_input(c) : (void)0;
	if (c->wants & STDIN && c->proc->in >= 0) put = write(c->proc->in, buf, (size_t)n);
	c->blocked = put < 0 && errno == EAGAIN;
	if (!c->blocked) recv(c->fd, buf, (size_t)(put < 0 ? n : put), MSG_DONTWAIT);
}

static void do_attach(struct conn *c, struct proc *p, uint8_t wants) {
	struct stat at = {0};
	answer(c, 0, NULL);
	/* Where its log ends and its stream begins: the file's end, then the lines that are not in it yet. */
	if (wants & REPLAY && !fstat(shim.log.fd, &at)) {
		conn_send(c, 'L', (uint64_t[]){at.st_ino, (uint64_t)at.st_size}, 16);
		for (struct line *l = shim.log.partial; l < shim.log.partial + 2; l++)
			conn_send(c, 'L', l->text, l->used);
	}
	c->proc = p;
	c->wants = wants;
	c->sent = p->end;
	if (p->expect && wants & (STDOUT | STDERR)) p->expect--;
}

static void do_start(struct conn *c, const uint8_t *bytes, size_t n) {
	struct run r;
	struct proc *first = find(0), *p = NULL;
	run_init(&r, c->fd);
	if (plan_decode(bytes, n, &r.plan) || !r.plan.count || r.plan.step[r.plan.count - 1].op != OP_SHIM)
		fail(&r.f, "the plan");
	else if (errno = ESRCH, first->exited)
		fail(&r.f, "the container has ended");
	else
		p = start(&r, first->pidfd);
	plan_free(&r.plan);
	p ? send_started(c, p) : conn_fail(c, &r.f);
}

static void request(struct conn *c, uint8_t type, const uint8_t *b, size_t n) {
	uint32_t arg[2] = {0};
	memcpy(arg, b, n < sizeof arg ? n : sizeof arg);
	struct proc *p = find(arg[0]);
	errno = ESRCH;
	if (type == 'W') {
		send_started(c, find(0));
	} else if (type == 'E') {
		do_start(c, b, n);
	} else if (!p || (p->exited && type != 'A')) {
		answer(c, -1, "no such process");
	} else if (type == 'A' && n >= 5) {
		do_attach(c, p, b[4]);
	} else if (type == 'K') {
		answer(c, (int)sys_pidfd_send_signal(p->pidfd, (int)arg[1]), "signal");
	} else if (type == 'Z' && p->tty) {
		struct winsize w = {.ws_row = (unsigned short)arg[1], .ws_col = (unsigned short)(arg[1] >> 16)};
		answer(c, ioctl(p->in, TIOCSWINSZ, &w), "resize");
	} else {
		answer(c, refuse(EINVAL), "request");
	}
}

/* Takes in what came and carries out a whole frame. What follows an attach is standard input. */
static void read_control(struct conn *c) {
	int whole = frame_read(c->fd, &c->frame);
	struct frame frame = c->frame;
	if (whole < 0) c->dead = 1;
	if (whole <= 0) return;
	c->frame = (struct frame){0};
	request(c, frame.bytes[4], frame.bytes + 5, frame.used - 5);
	free(frame.bytes);
}

static void reap(void) {
	struct signalfd_siginfo info;
	int status;
	while (read(shim.signals, &info, sizeof info) > 0) {}
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		for (struct proc *p = shim.procs; p; p = p->next) {
			if (p->pid != pid) continue;
			p->exited = 1;
			p->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		}
}

static int oom_happened(void) {
	char buf[1024];
	autoclose int fd = open(shim.names[OOM_FILE].s, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof buf - 1);
	buf[n > 0 ? n : 0] = 0;
	const char *at = strstr(buf, "oom_kill "); /* memory.oom_control and memory.events both have it */
	return at && atoi(at + 9) > 0;
}

/* The exit is on disk before anyone hears of it: an engine that comes later reads it there. */
static void record_exit(int code, int oom, uint64_t at) {
	char tmp[PATH_MAX], path[PATH_MAX];
	snprintf(tmp, sizeof tmp, "%s/exit.tmp", shim.names[DIR].s);
	snprintf(path, sizeof path, "%s/exit", shim.names[DIR].s);
	autoclose int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *text = "{\"code\":%d,\"oomKilled\":%s,\"at\":%llu}\n";
	if (fd >= 0 && dprintf(fd, text, code, oom ? "true" : "false", (unsigned long long)at) > 0) rename(tmp, path);
}

/* A process has ended: what it said is read to the end as clients take it, then its streams end. What it said
 * before anyone was attached is held for those who have yet to come. */
static void finish(struct proc *p) {
	for (int i = 0; i < 2; i++)
		while (p->reads_after_end < (i + 1) * READS_AFTER_END && pump(p, i)) p->reads_after_end++;
	if (held(p)) return;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct __attribute__((packed)) {
		uint32_t id, code;
		uint8_t oom;
		uint64_t at;
	} end = {p->id, (uint32_t)p->code, 0, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000};
	p->done = 1;
	if (p->id == 0) {
		shim.over = 1;
		end.oom = (uint8_t)oom_happened();
		log_end(&shim.log);
		release_ports();
		run_after(&shim.run, shim.run.plan.count);
		record_exit(p->code, end.oom, end.at);
	}
	for (struct conn *c = shim.conns; c; c = c->next) {
		if (c->watches == p) conn_send(c, 'X', &end, sizeof end);
		if (c->watches == p) c->watches = NULL;
		if (is_stream_of(c, p)) c->dead = 1;
	}
}

/* Takes away what is dead or done. */
static void sweep(void) {
	for (struct conn **at = &shim.conns, *c; (c = *at);) {
		if (c->dead) {
			*at = c->next;
			if (c->proc && !c->ended) end_input(c);
			close(c->fd);
			free(c->frame.bytes);
			free(c);
		} else {
			at = &c->next;
		}
	}
	for (struct proc **at = &shim.procs, *p; (p = *at);) {
		int watched = 0;
		for (struct conn *c = shim.conns; c && !watched; c = c->next) watched = c->watches == p;
		if (!watched) p->expect = 0;
		if (p->done && p->id != 0) {
			*at = p->next;
			free_proc(p);
		} else {
			at = &p->next;
		}
	}
}

static struct pollfd *polled;
static size_t polled_count;

/* Adds what poll() shall watch (nothing when fd is -1): its index. */
static size_t watch(int fd, short events) {
	static size_t room;
	if (polled_count == room) polled = realloc(polled, (room = 2 * room + 16) * sizeof *polled);
	if (!polled) _exit(125); /* the container dies with us rather than run unwatched */
	polled[polled_count] = (struct pollfd){.fd = fd, .events = events};
	return polled_count++;
}

static void watch_all(void) {
	polled_count = 0;
	watch(shim.signals, POLLIN);
	watch(shim.listener, POLLIN);
	for (struct conn *c = shim.conns; c; c = c->next) {
		int waits = c->blocked && c->proc->in >= 0;
		short events = (short)((waits || c->ended ? 0 : POLLIN) | (is_behind(c) ? POLLOUT : 0));
		c->at = watch(waits && !events ? -1 : c->fd, events);
		watch(waits ? c->proc->in : -1, POLLOUT);
	}
	for (struct proc *p = shim.procs; p; p = p->next) {
		p->at = watch(held(p) ? -1 : p->out[0], POLLIN);
		watch(held(p) ? -1 : p->out[1], POLLIN);
	}
}

static struct conn *add_conn(int fd) {
	struct conn *c = fd < 0 ? NULL : calloc(1, sizeof *c);
	if (!c) return close_fd(&fd), NULL;
	c->fd = fd;
	c->next = shim.conns;
	return shim.conns = c;
}

static void serve(struct conn *c, short client, short input) {
	if (client & POLLOUT && is_behind(c)) push(c);
	if (c->dead) return;
	if (c->proc && (client & POLLIN || input))
		feed(c);
	else if (client & POLLIN)
		read_control(c);
	else if (client & (POLLHUP | POLLERR | POLLNVAL))
		c->dead = 1;
}

static void loop(void) {
	while (!shim.over) {
		watch_all();
		if (poll(polled, polled_count, -1) < 0) continue;
		for (struct conn *c = shim.conns; c; c = c->next)
			serve(c, polled[c->at].revents, polled[c->at + 1].revents);
		for (struct proc *p = shim.procs; p; p = p->next)
			for (size_t i = 0; i < 2; i++)
				if (polled[p->at + i].revents) pump(p, (int)i);
		if (polled[0].revents) reap();
		if (polled[1].revents) add_conn(accept4(shim.listener, NULL, NULL, SOCK_CLOEXEC));
		sweep(); /* before the ends: a vanished client is not waited for */
		for (struct proc *p = shim.procs; p; p = p->next)
			if (p->exited && !p->done) finish(p);
		sweep();
	}
}

/* Binds DIR/shim.sock through a descriptor: the path may be longer than sun_path's 108 bytes. */
static int listen_in(const char *dir) {
	char path[64];
	autoclose int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/self/fd/%d/shim.sock", at);
	return listen_at(path, SOCK_NONBLOCK);
}

static int prepare(const struct step *o) {
	const char *log = o->str[LOG].s;
	sigset_t mask;
	prctl(PR_SET_NAME, "dewar-shim");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	shim.names = o->str;
	shim.log.fd = -1;
	shim.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	shim.listener = listen_in(o->str[DIR].s);
	if (shim.signals < 0 || shim.listener < 0) return fail(&shim.run.f, "%s", o->str[DIR].s);
	if (*log && log_open(&shim.log, log, o->num[LOG_MAX], (uint32_t)o->num[LOG_FILES]))
		return fail(&shim.run.f, "%s", log);
	return 0;
}

void shim_main(struct run *r) {
	shim.run = *r;
	int ready = !prepare(&r->plan.step[r->plan.count - 1]);
	/* An engine that died before our socket was there has a successor that may not have seen it: nobody would know
	 * of the container. One that dies from here on has left a socket to find. */
	struct pollfd engine_gone = {.fd = r->conn, .events = POLLRDHUP};
	if (ready && poll(&engine_gone, 1, 0) > 0) _exit(125);
	struct proc *p = ready ? start(&shim.run, -1) : NULL;
	if (!p) {
		send_failure(r->conn, &shim.run.f);
		_exit(125);
	}
	struct conn *engine = add_conn(r->conn);
	close(CHANNEL);
	if (engine) send_started(engine, p);
	loop();
	_exit(0);
}
