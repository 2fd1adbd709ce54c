/* How a process is made, in stages with a gate between each two: first what the parent does, then the child. They meet:
 *   parent → child  'g'  with the slots: maps, cgroups, mounts and network of the parent's side are ready
 *   child → parent  'r'  with the slots: it waits at the gate (until here both share one table of descriptors)
 *   child → parent  'u'  in the last stage: it has its own copy of the descriptors
 *   child → parent  end of file: execve has closed the socket; or 'F' and the failure, whole
 * In between the child may send 't' with the master of its terminal, 'p' when a sibling takes its place, and 'e' when
 * only execve is left to do. At a gate the rest of the plan may be yet to come (core.c). */
#include "dewar.h"
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#define DEVPTS_MAGIC 0x1cd1
#define BROKEN 125 /* how a child exits that could not even tell why */

struct message {
	char type;
	pid_t pid;
	struct failure f;
	int slot[ALL_SLOTS];
};

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

int send_with(int to, const void *data, size_t size, int fd) {
	union control c = {{.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)}};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c};
	h.msg_controllen = fd < 0 ? 0 : sizeof c;
	memcpy(CMSG_DATA(&c.head), &fd, sizeof fd);
	return sendmsg(to, &h, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Without a parent to hear it there is nothing to go on for. */
static void tell(int sync, struct message m, int fd) {
	if (send_with(sync, &m, sizeof m, fd)) _exit(BROKEN);
}

static int send_slots(int to, const struct run *r, char type) {
	struct message m = {.type = type};
	memcpy(m.slot, r->slot, sizeof m.slot);
	return send_with(to, &m, sizeof m, -1);
}

/* One message: 0, or -1 at the end. A descriptor that came along lands in *fd. */
static int hear(int sync, struct message *m, int *fd) {
	union control c;
	struct msghdr h = {.msg_iov = &(struct iovec){m, sizeof *m}, .msg_iovlen = 1, .msg_control = &c};
	ssize_t n;
	do h.msg_controllen = sizeof c;
	while ((n = recvmsg(sync, &h, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR);
	if (n > 0 && CMSG_FIRSTHDR(&h)) memcpy(fd, CMSG_DATA(&c.head), sizeof *fd);
	return n > 0 ? 0 : -1;
}

/* A terminal of the container's own devpts. It is a stranger's file system when the container runs already,
 * so it is checked to be devpts and its slave is opened by ioctl, never by name (CVE-2025-52565). */
STEP(do_tty) {
	struct statfs fs;
	struct stat st;
	struct winsize size = {.ws_row = (unsigned short)NUM(0), .ws_col = (unsigned short)NUM(1)};
	autoclose int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW), slave = -1;
	if (master < 0 || fstatfs(master, &fs) || fs.f_type != DEVPTS_MAGIC || fstat(master, &st) ||
	    st.st_rdev != makedev(5, 2))
		return fail(&r->f, "/dev/pts/ptmx");
	if (ioctl(master, TIOCSPTLCK, &(int){0}) ||
	    (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 ||
	    (size.ws_row && ioctl(master, TIOCSWINSZ, &size)))
		return fail(&r->f, "terminal");
	if (NUM(2)) {
		autoclose int console =
			open("/dev/console", O_CREAT | O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0600);
		autoclose int tree = clone_tree(slave, 0);
		if (console < 0 || tree < 0 || move_onto(tree, console)) return fail(&r->f, "/dev/console");
	}
	if (ioctl(slave, TIOCSCTTY, 0) || dup2(slave, 0) < 0 || dup2(slave, 1) < 0 || dup2(slave, 2) < 0)
		return fail(&r->f, "controlling terminal");
	tell(r->sync, (struct message){.type = 't'}, master);
	return 0;
}

/* The first that is there and may be executed; else why not: not found (ENOENT, ENOTDIR) or not executable (EACCES …). */
static void exec_first(char **files, char **argv, char **env) {
	int why = ENOENT;
	for (; *files && (why == ENOENT || why == ENOTDIR || why == EACCES); files++) {
		execve(*files, argv, env);
		if (why != EACCES || (errno != ENOENT && errno != ENOTDIR)) why = errno;
	}
	errno = why;
}

static char **strings(const struct text *from, size_t n) {
	char **list = calloc(n + 1, sizeof *list);
	for (size_t i = 0; list && i < n; i++) list[i] = from[i].s;
	return list;
}

STEP(do_exec) {
	size_t argc = (size_t)NUM(1), files = (size_t)NUM(2);
	char **argv = strings(s->str, argc), **tried = strings(s->str + argc, files);
	char **env = strings(s->str + argc + files, s->nstr - argc - files);
	int exe = NUM(0) ? self_exe() : -1;
	if (!argv || !tried || !env) return fail(&r->f, "exec");
	/* Nothing of ours is inherited: all but the standard streams close at execve. */
	if (sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC)) return fail(&r->f, "close_range");
	/* Dies with its shim. Late, since a change of credentials clears it; that it can be told shows the shim alive. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	tell(r->sync, (struct message){.type = 'e'}, r->root);
	signal(SIGPIPE, SIG_DFL); /* the only one ignored: Node.js starts the spawner with defaults */
	mask_signals(NUM(0) ? SIG_BLOCK : SIG_UNBLOCK);
	NUM(0) ? (void)sys_execveat(exe, argv, env) : exec_first(tried, argv, env);
	return fail(&r->f, "%s", s->str[0].s);
}

static void give_up(struct run *r) {
	tell(r->sync, (struct message){.type = 'F', .f = r->f}, -1);
	_exit(BROKEN);
}

/* Only children enter a PID namespace: a sibling (CLONE_PARENT) takes this one's place. */
STEP(do_sibling) {
	struct clone_args a = {.flags = NUM(0) | CLONE_PARENT | CLONE_FILES};
	pid_t pid = (pid_t)sys_clone3(&a);
	if (pid < 0) return fail(&r->f, "clone");
	if (pid == 0) return setsid(), 0;
	tell(r->sync, (struct message){.type = 'p', .pid = pid}, -1);
	_exit(0);
}

static int run_actor(struct run *r, enum actor who, uint32_t from, uint32_t to) {
	for (uint32_t i = from; i < to; i++) {
		const struct step *s = &r->plan.step[i];
		if (s->actor != who) continue;
		r->f.step = i;
		if (step_run(r, s)) return -1;
	}
	return 0;
}

static uint32_t stage_end(const struct run *r) {
	uint32_t i = r->from;
	while (i < r->plan.count && r->plan.step[i].op != OP_GATE) i++;
	return i;
}

/* The parent's word to go on, and the part of the plan that is next. When it dies its end stays open in the shared table. */
static void await_go(struct run *r) {
	struct message m;
	struct pollfd p[2] = {{.fd = r->sync, .events = POLLIN}, {.fd = r->parent, .events = POLLIN}};
	int fd;
	if (poll(p, 2, -1) < 0 || !p[0].revents || hear(r->sync, &m, &fd)) _exit(BROKEN);
	memcpy(r->slot, m.slot, sizeof m.slot);
	if (r->from < r->plan.count) return;
	size_t size = (size_t)lseek(fd = r->slot[PART], 0, SEEK_END);
	uint8_t *part = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (part == MAP_FAILED || plan_decode(part, size, &r->plan)) _exit(BROKEN);
}

static void child_main(struct run *r) {
	uint32_t end;
	/* Not readable by those inside before execve: /proc/PID/exe and fd of a joining process (CVE-2016-9962). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	for (await_go(r); (end = stage_end(r)) < r->plan.count; await_go(r)) {
		if (run_actor(r, GUEST, r->from, end)) give_up(r);
		r->from = end + 1;
		if (send_slots(r->sync, r, 'r')) _exit(BROKEN);
	}
	if (unshare(CLONE_FILES)) _exit(BROKEN);
	tell(r->sync, (struct message){.type = 'u'}, -1);
	close_fd(&r->to_child), close_fd(&r->parent);	     /* a descriptor of who has the host's rights */
	for (int i = 0, *from = r->slot + STDIO; i < 3; i++) /* 2 is /dev/null until the last turn */
		if (dup2(from[i] >= 0 ? from[i] : 2, i) < 0) _exit(BROKEN);
	setsid();
	if (run_actor(r, GUEST, r->from, end)) give_up(r);
	_exit(0);
}

/* Takes a user id with all capabilities, or with 0 root's: a user namespace's maker is charged for what is used in it. */
static int become(uid_t euid) {
	static int bits;
	if (euid) bits = prctl(PR_GET_SECUREBITS);
	return prctl(PR_SET_SECUREBITS, euid ? bits | SECBIT_NO_SETUID_FIXUP : bits, 0, 0, 0) || seteuid(euid) ? -1 : 0;
}

STEP(do_clone) {
	int pair[2];
	/* A sequenced socket keeps messages apart and gives an end of file when execve closes the other side. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return fail(&r->f, "socketpair");
	struct clone_args a = {.flags = NUM(0) | CLONE_PIDFD | CLONE_FILES, .exit_signal = SIGCHLD};
	a.pidfd = (uint64_t)(uintptr_t)&r->pidfd, a.cgroup = (uint64_t)SLOT(NUM(1));
	r->to_child = pair[0], r->sync = pair[1], r->parent = (int)sys_pidfd_open(getpid());
	pid_t pid = NUM(2) != NONE && become((uid_t)NUM(2)) ? -1 : (pid_t)sys_clone3(&a);
	if (pid == 0) child_main(r);
	if (pid > 0) r->child = pid;
	return RESULT((NUM(2) == NONE || !become(0)) && pid > 0, "clone");
}

/* The child's socket has closed, or it died: 0 when it was to end and has ended well. */
static int reap_child(struct run *r, int to_end) {
	int status, well = waitpid(r->child, &status, 0) == r->child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	r->child = 0;
	if (well && to_end) return 0;
	/* Nobody knows where: all `after` steps run. */
	r->f = (struct failure){.step = UINT32_MAX, .err = ECHILD, .path = "the process ended early"};
	return -1;
}

/* Follows the child until it sends `until`, or if that is 0 until execve or its orderly end; -1 with the failure.
 * An exec's child is in reach of guests, who can stop it for ever: it goes when the engine does not wait any more. */
static int follow(struct run *r, char until) {
	struct message m = {0};
	for (int exec = 0; !until || m.type != until; exec |= m.type == 'e') {
		int fd = -1, engine = r->slot[INIT_SLOT] < 0 ? -1 : r->conn;
		struct pollfd p[] = {{r->to_child, POLLIN, 0}, {r->pidfd, POLLIN, 0}, {engine, POLLRDHUP, 0}};
		while (poll(p, 3, -1) < 0 && errno == EINTR) {}
		if (p[2].revents) return refuse(ECANCELED), fail(&r->f, "nobody waits for it");
		/* Only the pidfd shows an end before the child had its own descriptors: the socket's other end is open here. */
		if (!p[0].revents || hear(r->to_child, &m, &fd)) return exec ? 0 : reap_child(r, !until);
		if (m.type == 'u') close_fd(&r->sync), close_fd(&r->parent);
		if (m.type == 'r') memcpy(r->slot, m.slot, sizeof m.slot);
		if (m.type == 't') r->tty = fd;
		if (m.type == 'e') r->root = fd;
		if (m.type == 'F') return r->f = m.f, -1;
		if (m.type != 'p') continue;
		waitpid(r->child, NULL, 0); /* it ends at once; its sibling goes on */
		close_fd(&r->pidfd);
		r->pidfd = (int)sys_pidfd_open(r->child = m.pid);
	}
	return 0;
}

/* Up to a gate or the end. Files in the child's folder of /proc belong to root as long as the child cannot be dumped. The
 * descriptor is gone before the child, which shares it, goes on. */
static int run_stage(struct run *r, uint32_t end) {
	char proc[32];
	if (run_actor(r, HOST, r->from, end)) return -1;
	if (!r->child) return 0;
	snprintf(proc, sizeof proc, "/proc/%d", (int)r->child);
	r->slot[CHILD_SLOT] = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int bad = run_actor(r, PARENT, r->from, end);
	close_fd(&r->slot[CHILD_SLOT]);
	if (bad || send_slots(r->to_child, r, 'g')) return bad ? -1 : fail(&r->f, "the process ended early");
	return follow(r, end < r->plan.count ? 'r' : 0);
}

void run_undo(struct run *r, uint32_t until) {
	if (r->child) sys_pidfd_send_signal(r->pidfd, SIGKILL), waitpid(r->child, NULL, 0);
	r->child = 0;
	run_after(r, until);
	run_close_slots(r);
}

int run_plan(struct run *r, int init) {
	int rc = 0;
	if (init >= 0) r->slot[INIT_SLOT] = fcntl(init, F_DUPFD_CLOEXEC, 3);
	for (uint32_t end; !rc && r->from < r->plan.count; r->from = end + 1) rc = run_stage(r, end = stage_end(r));
	if (rc) run_undo(r, r->f.step);
	if (!rc && r->pidfd < 0) run_after(r, r->plan.count); /* a plan that only cleans up */
	return rc;
}
