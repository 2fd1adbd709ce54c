/* The shim: one per container, forked from the spawner, outlives the engine. It starts the container by its
 * plan, owns the terminal or the pipes, writes the log, serves attach and exec over a socket of its own, reaps,
 * records the exit in RUNDIR/exit and runs the `after` steps. Requests and answers: src/kernel/core.ts. */
#include "sys.h"
#include "log.h"
#include "run.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define CHUNK 32768

/* A process of the container: number 0 is the first one, the rest are execs. */
struct proc {
	struct proc *next;
	uint32_t id, expect;
	pid_t pid;
	int pidfd, in, out[2]; /* out[0] is the terminal's master when tty */
	int tty, once, exited, code, drained;
	struct conn *owner; /* who started it: hears of an exec's end; without it nobody is waited for */
};

/* A connection: control (frames) until an attach makes it a stream of `proc`. */
struct conn {
	struct conn *next;
	int fd, watch, dead, ended, flags; /* flags: 1 stdin, 2 stdout, 4 stderr */
	struct proc *proc;
	uint8_t *in; /* control: a partial frame; stream: input not yet taken by the process */
	size_t in_used;
	uint8_t *out;
	size_t out_at, out_used;
};

static struct shim {
	struct run run;
	struct log log;
	struct proc *procs;
	struct conn *conns;
	int listener, signals;
	uint32_t next_id;
	uint64_t ended_at;
	int over, oom;
	char *dir, *oom_file;
	struct stat dir_identity;
} shim;

struct options {
	uint8_t tty, stdin_open, stdin_once, expect;
	uint32_t uid, gid;
};

/* ---------------------------------------------------------------- frames out */

static void conn_send(struct conn *c, char type, const void *payload, size_t n)
{
	if (c && !c->dead && send_frame(c->fd, type, payload, n))
		c->dead = 1;
}

static void conn_fail(struct conn *c, uint32_t step, const struct failure *f)
{
	if (!c->dead && send_failure(c->fd, step, f))
		c->dead = 1;
}

static void send_started(struct conn *c, const struct proc *p)
{
	uint32_t out[3] = {p->id, (uint32_t)p->pid, (uint32_t)getpid()};
	conn_send(c, 'S', out, sizeof out);
}

static void send_exit(struct conn *c, const struct proc *p)
{
	struct __attribute__((packed)) {
		uint32_t id, code;
		uint8_t oom;
		uint64_t at;
	} out = {p->id, (uint32_t)p->code, (uint8_t)shim.oom, shim.ended_at};
	conn_send(c, 'X', &out, sizeof out);
}

/* ---------------------------------------------------------------- processes */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Pipes belong to the container's user, who may open /dev/stdout again (nginx does). */
static int make_pipe(int fds[2], const struct options *o)
{
	return pipe2(fds, O_CLOEXEC) || (o->uid != ~0U && fchown(fds[0], o->uid, o->gid));
}

/* Starts a process by the plan in shim.run-like `r`; NULL with *f and *step when it failed. */
static struct proc *start(struct run *r, const struct options *o, int init, uint32_t *step, struct failure *f)
{
	struct proc *p = calloc(1, sizeof *p);
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	struct born born;
	if (!p || (!o->tty && ((o->stdin_open && make_pipe(in, o)) || make_pipe(out, o) || make_pipe(err, o)))) {
		fail(f, "pipe");
		free(p);
		return NULL;
	}
	int rc = run_plan(r, (struct stdio){in[0], out[1], err[1]}, init, &born, step, f);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	if (rc || born.pid == 0) {
		close_fd(&in[1]);
		close_fd(&out[0]);
		close_fd(&err[0]);
		free(p);
		return NULL;
	}
	*p = (struct proc){.id = shim.next_id++, .expect = o->expect, .pid = born.pid, .pidfd = born.pidfd,
			   .in = o->tty ? born.tty : in[1], .out = {o->tty ? born.tty : out[0], err[0]},
			   .tty = o->tty, .once = o->stdin_once};
	for (int i = 0; i < 2; i++)
		if (p->out[i] >= 0)
			fcntl(p->out[i], F_SETFL, O_NONBLOCK);
	if (p->in >= 0)
		fcntl(p->in, F_SETFL, O_NONBLOCK);
	p->next = shim.procs;
	shim.procs = p;
	return p;
}

static struct proc *find(uint32_t id)
{
	struct proc *p = shim.procs;
	while (p && p->id != id)
		p = p->next;
	return p;
}

/* ---------------------------------------------------------------- output */

static int is_stream_of(const struct conn *c, const struct proc *p)
{
	return c->proc == p && !c->dead;
}

/* Whether an attached client is behind: then the process waits, as under dockerd, and nothing is lost. */
static int behind(const struct proc *p)
{
	for (struct conn *c = shim.conns; c; c = c->next)
		if (is_stream_of(c, p) && c->out_used)
			return 1;
	return 0;
}

static void stream_send(struct conn *c, const uint8_t *head, size_t head_n, const char *data, size_t n)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)head, head_n}, {(void *)(uintptr_t)data, n}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t put = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN) {
		c->dead = 1;
		return;
	}
	size_t done = put < 0 ? 0 : (size_t)put, total = head_n + n;
	if (done == total)
		return;
	c->out = malloc(total - done);
	if (!c->out) {
		c->dead = 1;
		return;
	}
	c->out_at = 0;
	for (size_t i = done; i < total; i++)
		c->out[c->out_used++] = i < head_n ? head[i] : (uint8_t)data[i - head_n];
}

/* Reads once from the process; 1 when there may be more. Closes the descriptor at its end. */
static int pump(struct proc *p, int stream)
{
	static char buf[CHUNK];
	ssize_t n = read(p->out[stream], buf, sizeof buf);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) { /* a terminal whose last user is gone answers EIO */
		if (p->tty)
			p->in = -1;
		close_fd(&p->out[stream]);
		return 0;
	}
	uint8_t head[8] = {(uint8_t)(stream + 1), 0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	if (p->id == 0)
		log_write(&shim.log, stream, buf, (size_t)n);
	for (struct conn *c = shim.conns; c; c = c->next)
		if (is_stream_of(c, p) && c->flags & (stream ? 4 : 2))
			stream_send(c, head, p->tty ? 0 : sizeof head, buf, (size_t)n);
	return 1;
}

static void flush_conn(struct conn *c)
{
	ssize_t n = send(c->fd, c->out + c->out_at, c->out_used - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) {
		c->dead = errno != EAGAIN;
		return;
	}
	c->out_at += (size_t)n;
	if (c->out_at == c->out_used) {
		free(c->out);
		c->out = NULL;
		c->out_at = c->out_used = 0;
	}
}

/* ---------------------------------------------------------------- input */

static void feed(struct conn *c)
{
	struct proc *p = c->proc;
	if (p->in < 0) {
		c->in_used = 0;
		return;
	}
	ssize_t n = write(p->in, c->in, c->in_used);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) { /* the process closed its input: the rest has no reader */
		c->in_used = 0;
		return;
	}
	memmove(c->in, c->in + n, c->in_used - (size_t)n);
	c->in_used -= (size_t)n;
}

static void end_input(struct conn *c)
{
	c->ended = 1;
	if (c->flags & 1 && c->proc->once && !c->proc->tty)
		close_fd(&c->proc->in);
}

static void read_stream(struct conn *c)
{
	char scrap[256];
	int keep = c->flags & 1;
	if (keep && !c->in && !(c->in = malloc(CHUNK))) {
		c->dead = 1;
		return;
	}
	ssize_t n = read(c->fd, keep ? (void *)c->in : scrap, keep ? CHUNK : sizeof scrap);
	if (n < 0)
		c->dead = errno != EAGAIN && errno != EINTR;
	else if (n == 0)
		end_input(c);
	else if (keep) {
		c->in_used = (size_t)n;
		feed(c);
	}
}

/* ---------------------------------------------------------------- requests */

static void answer(struct conn *c, int rc, const char *what)
{
	struct failure f;
	if (!rc) {
		conn_send(c, 'O', NULL, 0);
		return;
	}
	fail(&f, "%s", what);
	conn_fail(c, 0, &f);
}

static void do_attach(struct conn *c, struct proc *p, uint8_t flags)
{
	conn_send(c, 'O', NULL, 0);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->proc = p;
	c->flags = flags;
	free(c->in);
	c->in = NULL;
	c->in_used = 0;
	if (p->expect)
		p->expect--;
}

static void do_exec(struct conn *c, const uint8_t *bytes, size_t n)
{
	struct options o;
	struct run r;
	struct failure f = {0};
	uint32_t step = 0;
	struct proc *first = find(0), *p = NULL;
	run_init(&r, c->fd);
	memcpy(&o, bytes, sizeof o);
	if (!first || first->exited) {
		errno = ESRCH;
		fail(&f, "the container has ended");
	} else if (plan_decode(bytes + sizeof o, n - sizeof o, &r.plan)) {
		fail(&f, "the plan");
	} else {
		p = start(&r, &o, first->pidfd, &step, &f);
	}
	plan_free(&r.plan);
	if (!p) {
		conn_fail(c, step, &f);
		return;
	}
	p->owner = c;
	send_started(c, p);
}

static void request(struct conn *c, uint8_t type, const uint8_t *b, size_t n)
{
	uint32_t id = 0, arg = 0;
	if (n >= 4)
		memcpy(&id, b, 4);
	if (n >= 8)
		memcpy(&arg, b + 4, 4);
	struct proc *p = find(id);
	errno = ESRCH;
	if (type == 'W') {
		c->watch = 1;
		if (p)
			send_started(c, p);
	} else if (type == 'E' && n >= sizeof(struct options)) {
		do_exec(c, b, n);
	} else if (!p || (p->exited && type != 'A')) {
		answer(c, -1, "no such process");
	} else if (type == 'A' && n >= 5) {
		do_attach(c, p, b[4]);
	} else if (type == 'K') {
		answer(c, sys_pidfd_send_signal(p->pidfd, (int)arg), "signal");
	} else if (type == 'Z' && p->tty) {
		struct winsize w = {.ws_row = (unsigned short)arg, .ws_col = (unsigned short)(arg >> 16)};
		answer(c, ioctl(p->in, TIOCSWINSZ, &w), "resize");
	} else {
		errno = EINVAL;
		answer(c, -1, "request");
	}
}

/* Takes in what came; carries out every whole frame. An attach turns the rest into standard input. */
static void read_control(struct conn *c)
{
	uint32_t len = 0;
	size_t want = 4;
	if (c->in_used >= 4) {
		memcpy(&len, c->in, 4);
		want = 4 + (size_t)len;
	}
	if (len > MAX_FRAME || (c->in_used >= 4 && !len)) {
		c->dead = 1;
		return;
	}
	uint8_t *grown = realloc(c->in, want);
	if (!grown) {
		c->dead = 1;
		return;
	}
	c->in = grown;
	ssize_t n = read(c->fd, c->in + c->in_used, want - c->in_used);
	if (n <= 0) {
		c->dead = n == 0 || (errno != EAGAIN && errno != EINTR);
		return;
	}
	c->in_used += (size_t)n;
	if (c->in_used < want || want == 4)
		return;
	uint8_t *frame = c->in;
	c->in = NULL;
	c->in_used = 0;
	request(c, frame[4], frame + 5, want - 5);
	free(frame);
}

/* ---------------------------------------------------------------- ends */

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	if (read(shim.signals, &info, sizeof info) < 0 && errno != EAGAIN)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (struct proc *p = shim.procs; p; p = p->next)
			if (p->pid == pid) {
				p->exited = 1;
				p->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
			}
}

static int oom_happened(void)
{
	char buf[1024];
	int fd = *shim.oom_file ? open(shim.oom_file, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof buf - 1);
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	const char *at = strstr(buf, "oom_kill "); /* memory.oom_control and memory.events both have it */
	return at && atoi(at + 9) > 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The exit is on disk before anyone hears of it: an engine that comes later reads it there. */
static void record_exit(const struct proc *p)
{
	char text[128], tmp[4096], path[4096];
	int n = snprintf(text, sizeof text, "{\"code\":%d,\"oomKilled\":%s,\"at\":%llu}\n", p->code,
			 shim.oom ? "true" : "false", (unsigned long long)shim.ended_at);
	snprintf(tmp, sizeof tmp, "%s/exit.tmp", shim.dir);
	snprintf(path, sizeof path, "%s/exit", shim.dir);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!write_full(fd, text, (size_t)n))
		rename(tmp, path);
	close(fd);
}

static void end_container(struct proc *p)
{
	shim.over = 1;
	shim.oom = oom_happened();
	log_end(&shim.log);
	release_ports();
	run_after(&shim.run, shim.run.plan.count);
	record_exit(p);
	for (struct conn *c = shim.conns; c; c = c->next)
		if (c->watch)
			send_exit(c, p);
}

/* A process has ended: its output is read to the end as long as clients take it, then its streams end. */
static void finish(struct proc *p)
{
	if (p->expect) /* what it said before it ended is held for those who have yet to attach */
		return;
	for (int i = 0; i < 2; i++) {
		while (p->out[i] >= 0 && !behind(p) && pump(p, i))
			;
		if (behind(p))
			return;
		if (p->tty)
			p->in = -1;
		close_fd(&p->out[i]);
	}
	if (!p->tty)
		close_fd(&p->in);
	p->drained = 1;
	shim.ended_at = now_ms();
	if (p->id == 0)
		end_container(p);
	else
		send_exit(p->owner, p);
	for (struct conn *c = shim.conns; c; c = c->next)
		if (is_stream_of(c, p))
			c->dead = 1;
}

static void sweep(void)
{
	for (struct conn **at = &shim.conns, *c; (c = *at);) {
		if (!c->dead) {
			at = &c->next;
			continue;
		}
		for (struct proc *p = shim.procs; p; p = p->next)
			if (p->owner == c) {
				p->owner = NULL;
				p->expect = 0;
			}
		*at = c->next;
		close(c->fd);
		free(c->in);
		free(c->out);
		free(c);
	}
	for (struct proc **at = &shim.procs, *p; (p = *at);) {
		if (!p->drained || p->id == 0) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		close_fd(&p->pidfd);
		free(p);
	}
}

/* ---------------------------------------------------------------- the loop */

static struct conn *add_conn(int fd)
{
	struct conn *c = calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->next = shim.conns;
	shim.conns = c;
	return c;
}

static short wanted(const struct conn *c)
{
	if (!c->proc)
		return POLLIN;
	return (short)((c->ended || c->in_used ? 0 : POLLIN) | (c->out_used ? POLLOUT : 0));
}

static void serve_conn(struct conn *c, short events)
{
	if (events & POLLOUT)
		flush_conn(c);
	if (events & POLLIN && !c->dead) {
		if (c->proc)
			read_stream(c);
		else
			read_control(c);
	} else if (events & (POLLHUP | POLLERR | POLLNVAL)) {
		if (c->proc && !c->ended)
			end_input(c);
		c->dead = 1;
	}
}

/* What poll() shall watch: the two fixed ones, each connection, each process's outputs, blocked inputs. */
static size_t gather(struct pollfd *fds, size_t max)
{
	size_t n = 2;
	fds[0] = (struct pollfd){.fd = shim.signals, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = shim.listener, .events = POLLIN};
	for (struct conn *c = shim.conns; c && n < max - 1; c = c->next) {
		fds[n++] = (struct pollfd){.fd = c->fd, .events = wanted(c)};
		fds[n++] = (struct pollfd){.fd = c->proc && c->in_used ? c->proc->in : -1, .events = POLLOUT};
	}
	for (struct proc *p = shim.procs; p && n < max - 1; p = p->next)
		for (int i = 0; i < 2; i++)
			fds[n++] = (struct pollfd){.fd = p->expect || behind(p) ? -1 : p->out[i], .events = POLLIN};
	return n;
}

static void serve(struct pollfd *fds)
{
	size_t n = 2;
	struct conn *last_conn = shim.conns;
	struct proc *last_proc = shim.procs;
	for (struct conn *c = last_conn; c; c = c->next, n += 2) {
		if (fds[n + 1].revents && c->in_used && !c->dead)
			feed(c);
		if (fds[n].revents && !c->dead)
			serve_conn(c, fds[n].revents);
	}
	for (struct proc *p = last_proc; p; p = p->next, n += 2)
		for (int i = 0; i < 2; i++)
			if (fds[n + (size_t)i].revents && fds[n + (size_t)i].fd == p->out[i] && p->out[i] >= 0 && !behind(p))
				pump(p, i);
	if (fds[1].revents) {
		int fd = accept4(shim.listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			add_conn(fd);
	}
	if (fds[0].revents)
		reap();
	sweep(); /* before the ends: a vanished owner is not waited for */
	for (struct proc *p = shim.procs; p; p = p->next)
		if (p->exited && !p->drained)
			finish(p);
	sweep();
}

static void loop(void)
{
	struct pollfd *fds = NULL;
	size_t room = 0;
	while (!shim.over) {
		size_t need = 2;
		for (struct conn *c = shim.conns; c; c = c->next)
			need += 2;
		for (struct proc *p = shim.procs; p; p = p->next)
			need += 2;
		if (need + 2 > room) {
			room = 2 * need + 16;
			fds = realloc(fds, room * sizeof *fds);
			if (!fds)
				_exit(125); /* the container dies with us rather than run unwatched */
		}
		size_t n = gather(fds, room);
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			_exit(125);
		serve(fds);
	}
}

/* ---------------------------------------------------------------- the start */

/* Binds RUNDIR/shim.sock through a descriptor: the path may be longer than sun_path's 108 bytes. */
static int listen_in(const char *dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/shim.sock", at);
	unlink(a.sun_path);
	umask(077);
	int rc = at < 0 || s < 0 || bind(s, (void *)&a, sizeof a) || listen(s, 128) ? -1 : s;
	umask(022);
	if (at >= 0)
		close(at);
	return rc;
}

static char *take_string(uint8_t **at, const uint8_t *end)
{
	uint32_t len;
	if (end - *at < 4)
		return NULL;
	memcpy(&len, *at, 4);
	if ((size_t)(end - *at - 4) <= len || (*at)[4 + len])
		return NULL;
	char *s = (char *)*at + 4;
	*at += 5 + len;
	return s;
}

void shim_main(int conn, uint8_t *request_bytes, size_t size)
{
	struct options o;
	struct {
		uint64_t max;
		uint32_t files;
	} rotation;
	struct failure f = {0};
	uint32_t step = 0;
	sigset_t mask;
	uint8_t *at = request_bytes, *end = request_bytes + size;
	prctl(PR_SET_NAME, "dewar-shim");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (size < sizeof o + 12)
		_exit(125);
	memcpy(&o, at, sizeof o);
	memcpy(&rotation.max, at + sizeof o, 8);
	memcpy(&rotation.files, at + sizeof o + 8, 4);
	at += sizeof o + 12;
	shim.dir = take_string(&at, end);
	char *log = shim.dir ? take_string(&at, end) : NULL;
	shim.oom_file = log ? take_string(&at, end) : NULL;
	run_init(&shim.run, conn);
	shim.log.fd = -1;
	if (!shim.oom_file || plan_decode(at, (size_t)(end - at), &shim.run.plan)) {
		fail(&f, "the plan");
		send_failure(conn, 0, &f);
		_exit(125);
	}
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	shim.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	shim.listener = listen_in(shim.dir);
	if (shim.listener < 0 || (*log && log_open(&shim.log, log, rotation.max, rotation.files))) {
		fail(&f, "%s", shim.listener < 0 ? shim.dir : log);
		send_failure(conn, 0, &f);
		_exit(125);
	}
	struct proc *p = start(&shim.run, &o, -1, &step, &f);
	if (!p) {
		send_failure(conn, step, &f);
		_exit(125);
	}
	struct conn *c = add_conn(conn);
	if (c) {
		c->watch = 1;
		p->owner = c;
		send_started(c, p);
	}
	loop();
	_exit(0);
}
