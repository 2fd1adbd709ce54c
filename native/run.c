/* How a process is made. The two sides meet at these points:
 *   0 child → parent  'r'  guest steps that stand before the first parent step are done (only if there are any:
 *                          a child that joins another's user namespace makes its own network namespace there)
 *   1 parent → child  'g'  maps, cgroups, mounts and network of the parent's side are ready
 *   2 child → parent  'u'  the child has its own copy of the descriptors (until then both share one table,
 *                          so that slots the parent filled after the clone are the child's too)
 *   3 child → parent  end of file: execve has closed the socket; or 'F' and the failure, whole
 * In between the child may send 't' with the master of its terminal, and 'p' with the pid of the process that
 * takes its place after joining a PID namespace. */
#include "sys.h"
#include "run.h"
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>

#define DEVPTS_MAGIC 0x1cd1

struct message {
	char type;
	uint32_t step;
	pid_t pid;
	struct failure f;
};

static void tell(int sync, char type, uint32_t step, pid_t pid, const struct failure *f)
{
	struct message m = {.type = type, .step = step, .pid = pid};
	if (f)
		m.f = *f;
	if (send(sync, &m, sizeof m, MSG_NOSIGNAL) < 0)
		_exit(125);
}

int send_fd(int sock, char type, int fd)
{
	struct message m = {.type = type};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {0};
	struct iovec iov = {&m, sizeof m};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof u.buf};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* One message from the child: 1, 0 at the end, -1. A descriptor that came along lands in *fd. */
static int hear(int sync, struct message *m, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u;
	struct iovec iov = {m, sizeof *m};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof u.buf};
	ssize_t n;
	while ((n = recvmsg(sync, &msg, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return (int)n;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof *fd);
	return 1;
}

/* ---------------------------------------------------------------- the child */

/* A terminal of the container's own devpts. It is a stranger's file system when the container runs already,
 * so it is checked to be devpts and its slave is opened by ioctl, never by name (CVE-2025-52565). */
int step_tty(struct run *r, const struct step *s, struct failure *f)
{
	struct statfs fs;
	struct stat st;
	int unlock = 0, slave, master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	struct winsize size = {.ws_row = (unsigned short)s->num[0], .ws_col = (unsigned short)s->num[1]};
	if (master < 0 || fstatfs(master, &fs) || fs.f_type != DEVPTS_MAGIC || fstat(master, &st) || st.st_rdev != makedev(5, 2))
		return fail(f, "/dev/pts/ptmx");
	if (ioctl(master, TIOCSPTLCK, &unlock) || (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
		return fail(f, "terminal");
	if (size.ws_row)
		ioctl(master, TIOCSWINSZ, &size);
	if (s->num[2]) {
		int console = open("/dev/console", O_CREAT | O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
		int tree = sys_open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (console < 0 || tree < 0 ||
		    sys_move_mount(tree, "", console, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
			return fail(f, "/dev/console");
		close(console);
		close(tree);
	}
	if (ioctl(slave, TIOCSCTTY, 0) || dup2(slave, 0) < 0 || dup2(slave, 1) < 0 || dup2(slave, 2) < 0)
		return fail(f, "controlling terminal");
	close(slave);
	if (send_fd(r->sync, 't', master))
		return fail(f, "terminal");
	close(master);
	return 0;
}

/* execvpe, with the errors Docker tells apart: not found (ENOENT) and not executable (EACCES, EISDIR …). */
static void exec_in_path(char **argv, char **env)
{
	char file[PATH_MAX];
	const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	int saved = ENOENT;
	for (char **e = env; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			path = *e + 5;
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, env);
		return;
	}
	for (const char *p = path; *argv[0]; p++) {
		size_t n = strcspn(p, ":");
		struct stat st;
		if (n && (size_t)snprintf(file, sizeof file, "%.*s/%s", (int)n, p, argv[0]) < sizeof file) {
			if (!stat(file, &st) && S_ISDIR(st.st_mode))
				errno = EACCES;
			else
				execve(file, argv, env);
			if (errno != ENOENT && errno != ENOTDIR)
				saved = errno;
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				break;
		}
		p += n;
		if (!*p)
			break;
	}
	errno = saved;
}

/* A NULL-terminated list with `skip` free places in front. */
static char **strings(const struct text *from, size_t n, size_t skip)
{
	char **list = calloc(n + skip + 1, sizeof *list);
	for (size_t i = 0; list && i < n; i++)
		list[skip + i] = (char *)(uintptr_t)from[i].s;
	return list;
}

int step_exec(struct run *r, const struct step *s, struct failure *f)
{
	size_t argc = (size_t)s->num[1];
	char **argv = strings(s->str, argc, s->num[0] ? 2 : 0), **env = strings(s->str + argc, s->nstr - argc, 0);
	int exe = s->num[0] ? self_exe() : -1;
	sigset_t none;
	if (!argv || !env)
		return fail(f, "exec");
	/* Nothing of ours is inherited: all but the standard streams close at execve. */
	if (sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC_))
		return fail(f, "close_range");
	/* Dies with its shim. Late, since a change of credentials clears it; the send shows that the shim still lives. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	tell(r->sync, 'e', r->at, 0, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (s->num[0]) {
		argv[0] = "/sbin/docker-init";
		argv[1] = "--";
		sys_execveat(exe, argv, env);
	} else {
		exec_in_path(argv, env);
	}
	return fail(f, "%s", s->str[0].s);
}

static void stdio_set(struct stdio io)
{
	int from[3] = {io.in, io.out, io.err};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (dup2(from[i] >= 0 ? from[i] : null, i) < 0)
			_exit(125);
	close(null);
}

/* After setns into a PID namespace only children are inside: a sibling (CLONE_PARENT) takes this one's place. */
static void become_member(struct run *r)
{
	struct clone3_args a = {.flags = CLONE_PARENT};
	int pid = sys_clone3(&a);
	if (pid < 0) {
		struct failure f;
		fail(&f, "clone");
		tell(r->sync, 'F', r->at, 0, &f);
		_exit(125);
	}
	if (pid > 0) {
		tell(r->sync, 'p', 0, pid, NULL);
		_exit(0);
	}
	setsid();
}

static void run_guest(struct run *r, uint32_t from, uint32_t to)
{
	struct failure f = {0};
	for (uint32_t i = from; i < to; i++) {
		const struct step *s = &r->plan.step[i];
		if (s->actor != GUEST)
			continue;
		r->at = i;
		if (step_run(r, s, &f)) {
			tell(r->sync, 'F', i, 0, &f);
			_exit(125);
		}
		if ((s->op == OP_SETNS && s->num[1] & CLONE_NEWPID) || (s->op == OP_UNSHARE && s->num[0] & CLONE_NEWPID))
			become_member(r);
	}
}

/* Index of the first parent step; 0 when there is none: then nothing is early. */
static uint32_t first_parent(const struct run *r)
{
	for (uint32_t i = 0; i < r->plan.count; i++)
		if (r->plan.step[i].actor == PARENT)
			return i;
	return 0;
}

static int guest_between(const struct run *r, uint32_t from, uint32_t to)
{
	while (from < to && r->plan.step[from].actor != GUEST)
		from++;
	return from < to;
}

static void child_main(struct run *r, struct stdio io, int parent_sync) __attribute__((noreturn));
static void child_main(struct run *r, struct stdio io, int parent_sync)
{
	char go;
	/* Not readable by those inside before execve: /proc/PID/exe and fd of a joining process (CVE-2016-9962). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	struct iovec iov[2] = {{&go, 1}, {r->slot, sizeof r->slot}};
	uint32_t first = first_parent(r);
	if (guest_between(r, 0, first)) {
		run_guest(r, 0, first);
		tell(r->sync, 'r', 0, 0, NULL);
	}
	if (readv(r->sync, iov, 2) != 1 + (ssize_t)sizeof r->slot || unshare(CLONE_FILES))
		_exit(125);
	tell(r->sync, 'u', 0, 0, NULL);
	close(parent_sync);
	stdio_set(io);
	setsid();
	run_guest(r, first, r->plan.count);
	_exit(0);
}

/* ---------------------------------------------------------------- the parent */

static const struct step *find_clone(const struct run *r, uint32_t *at)
{
	for (*at = 0; *at < r->plan.count; ++*at)
		if (r->plan.step[*at].op == OP_CLONE)
			return &r->plan.step[*at];
	return NULL;
}

static int run_actor(struct run *r, enum actor who, uint32_t *step, struct failure *f)
{
	for (uint32_t i = 0; i < r->plan.count; i++) {
		const struct step *s = &r->plan.step[i];
		if (s->actor != who || s->op == OP_CLONE)
			continue;
		*step = r->at = i;
		if (step_run(r, s, f))
			return -1;
	}
	return 0;
}

static int make_child(struct run *r, const struct step *s, struct stdio io, struct born *born, int *sync, struct failure *f)
{
	int pair[2];
	/* A sequenced socket keeps messages apart and gives an end of file when execve closes the other side. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fail(f, "socketpair");
	struct clone3_args a = {.flags = s->num[0] | CLONE_PIDFD | CLONE_FILES,
				.pidfd = (uint64_t)(uintptr_t)&born->pidfd,
				.exit_signal = SIGCHLD};
	if (s->num[1] != NONE) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = s->num[1] < SLOTS ? (uint64_t)r->slot[s->num[1]] : ~0ULL;
	}
	born->pid = sys_clone3(&a);
	if (born->pid < 0) {
		fail(f, "clone");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (born->pid == 0) {
		r->sync = pair[1];
		child_main(r, io, pair[0]);
	}
	r->child = born->pid;
	r->sync = pair[1];
	*sync = pair[0];
	return 0;
}

static void fcntl_pidfd(struct born *born)
{
	fcntl(born->pidfd, F_SETFD, FD_CLOEXEC);
}

/* Follows the child until execve, its orderly end, or a failure. */
static int follow(struct run *r, int sync, struct born *born, uint32_t *step, struct failure *f)
{
	struct message m;
	int status, exec = 0, fd, mine = r->sync;
	while (1) {
		struct pollfd p[2] = {{.fd = sync, .events = POLLIN}, {.fd = born->pidfd, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return fail(f, "poll");
		if (!p[0].revents && !p[1].revents)
			continue;
		if (!p[0].revents) { /* died before it had its own descriptors */
			*step = r->plan.count;
			*f = (struct failure){.err = ECHILD, .path = "the process ended early"};
			return -1;
		}
		fd = -1;
		if (hear(sync, &m, &fd) <= 0)
			break;
		if (m.type == 'u') {
			close(mine);
			mine = -1;
			run_close_slots(r, 0);
		} else if (m.type == 't') {
			born->tty = fd;
		} else if (m.type == 'e') {
			exec = 1;
		} else if (m.type == 'p') { /* the first one ends at once; its sibling goes on */
			waitpid(born->pid, &status, 0);
			close(born->pidfd);
			born->pid = m.pid;
			born->pidfd = sys_pidfd_open(m.pid);
		} else if (m.type == 'F') {
			*step = m.step;
			*f = m.f;
			return -1;
		}
	}
	if (exec)
		return 0;
	if (waitpid(born->pid, &status, 0) == born->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		born->pid = 0;
		return 0;
	}
	born->pid = 0;
	*step = r->plan.count; /* nobody knows where: all `after` steps run */
	*f = (struct failure){.err = ECHILD, .path = "the process ended early"};
	return -1;
}

/* Point 0. A failure of an early guest step comes instead of 'r'; a dead child shows on the pidfd only. */
static int await_ready(int sync, const struct born *born, uint32_t *step, struct failure *f)
{
	struct message m = {0};
	int fd = -1;
	struct pollfd p[2] = {{.fd = sync, .events = POLLIN}, {.fd = born->pidfd, .events = POLLIN}};
	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (p[0].revents && hear(sync, &m, &fd) == 1 && m.type == 'r')
		return 0;
	if (m.type == 'F')
		*step = m.step;
	*f = m.type == 'F' ? m.f : (struct failure){.err = ECHILD, .path = "the process ended early"};
	return -1;
}

int run_plan(struct run *r, struct stdio io, int init, struct born *born, uint32_t *step, struct failure *f)
{
	uint32_t at;
	int sync = -1, rc = -1;
	const struct step *clone = find_clone(r, &at);
	*born = (struct born){0, -1, -1};
	*step = 0;
	*f = (struct failure){0};
	if (init >= 0)
		r->slot[INIT_SLOT] = fcntl(init, F_DUPFD_CLOEXEC, 3);
	if (run_actor(r, HOST, step, f))
		goto fail;
	if (!clone) {
		run_after(r, r->plan.count); /* a plan that only cleans up */
		return 0;
	}
	*step = at;
	if (make_child(r, clone, io, born, &sync, f))
		goto fail;
	fcntl_pidfd(born);
	if (guest_between(r, 0, first_parent(r)) && await_ready(sync, born, step, f))
		goto fail;
	if (run_actor(r, PARENT, step, f))
		goto fail;
	struct iovec iov[2] = {{"g", 1}, {r->slot, sizeof r->slot}};
	if (writev(sync, iov, 2) < 0) {
		fail(f, "the process ended early");
		goto fail;
	}
	rc = follow(r, sync, born, step, f);
fail:
	if (sync >= 0)
		close(sync);
	if (rc) {
		if (born->pid > 0) {
			sys_pidfd_send_signal(born->pidfd, SIGKILL);
			waitpid(born->pid, NULL, 0);
		}
		run_after(r, *step);
		run_close_slots(r, 0);
	}
	if ((rc || born->pid == 0) && born->pidfd >= 0) {
		close(born->pidfd);
		born->pidfd = -1;
	}
	return rc;
}
