/* The native core of Dewar: one static program with three lives.
 *   dewar-core spawner SOCKET   carries out plans for the engine: a fork per connection, gone when stdin ends
 *   (forked from it)            a runner that ends with its plan, or a shim that stays with its container
 *   /sbin/docker-init -- CMD    first process of a container started with --init
 * It decides nothing: what to do stands in the plans. */
#include "dewar.h"
#include <sys/mman.h>
#include <sys/sendfile.h>

static int give_up(const char *what, const char *object, int code) {
	dprintf(2, "%s %s failed: %s\n", what, object, strerror(errno));
	return code;
}

static pid_t init_child;

static void forward(int sig) { kill(init_child, sig); }

static void init_start(char **argv) {
	setpgid(0, 0);
	signal(SIGTTOU, SIG_IGN); /* a background group may take the terminal only so */
	tcsetpgrp(0, getpid());
	signal(SIGTTOU, SIG_DFL);
	mask_signals(SIG_UNBLOCK);
	execvp(argv[0], argv);
	_exit(give_up("docker-init: starting", argv[0], errno == ENOENT ? 127 : 126));
}

/* First process of `--init`: starts argv, forwards signals, reaps. All signals come blocked: those that are sent before
 * there are handlers wait, for the kernel takes none that is not handled to a first process. */
static int init_main(char **argv) {
	int status;
	pid_t pid;
	prctl(PR_SET_NAME, "docker-init");
	init_child = fork();
	if (init_child < 0) return give_up("docker-init: starting", argv[0], 126);
	if (init_child == 0) init_start(argv);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGCHLD) signal(sig, sig == SIGTTIN || sig == SIGTTOU ? SIG_IGN : forward);
	mask_signals(SIG_UNBLOCK);
	while (((pid = wait(&status)) > 0 || errno == EINTR) && pid != init_child) {}
	return pid < 0 ? 0 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define LAST(r) ((r).plan.count ? (r).plan.step[(r).plan.count - 1].op : OP_NONE)

/* What is made so far waits for the rest of its plan. When the engine goes, or the child, all of it goes. */
static int next_part(struct run *r) {
	struct pollfd p[2] = {{.fd = r->conn, .events = POLLIN}, {.fd = r->pidfd, .events = POLLIN}};
	struct frame rest = {0};
	int whole = 0;
	while (!whole && poll(p, 2, -1) > 0 && !p[1].revents) whole = frame_read(r->conn, &rest);
	int fd = r->slot[PART] = whole > 0 ? memfd_create("plan", MFD_CLOEXEC) : -1;
	size_t n = rest.used - 5;
	if (fd >= 0 && !write_full(fd, rest.bytes + 5, n) && !plan_decode(rest.bytes + 5, n, &r->plan)) return 0;
	fail(&r->f, "the rest of the plan");
	return run_undo(r, r->from), -1;
}

void carry_out(int conn, uint8_t *plan, size_t size, int init) {
	struct run r;
	run_init(&r, conn);
	int bad = plan_decode(plan, size, &r.plan) ? fail(&r.f, "the plan") : 0;
	/* Keys of the engine's session are nobody's inside. EPERM: around us is a filter, which holds inside, too. */
	if (!bad && init < 0 && CALL(keyctl, 1 /* JOIN_SESSION_KEYRING */, NULL) < 0 && errno != ENOSYS &&
	    errno != EPERM)
		bad = fail(&r.f, "session keyring");
	while (!bad && LAST(r) == OP_GATE) bad = run_plan(&r, init) || next_part(&r);
	if (!bad && LAST(r) == OP_SHIM) shim_main(&r, init);
	if (bad || run_plan(&r, init)) {
		send_failure(conn, &r.f);
		/* An engine still sending would meet a closed connection (EPIPE) before it reads why. */
		for (char rest[4096]; read(conn, rest, sizeof rest) > 0;) {}
	} else
		send_frame(conn, 'O', NULL, 0);
	_exit(0);
}

static void runner_main(int conn) {
	struct frame request = {0};
	int whole;
	/* The engine's pipes must not stay open through a shim. */
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(1);
	signal(SIGCHLD, SIG_DFL);
	while (!(whole = frame_read(conn, &request))) {}
	if (whole > 0) carry_out(conn, request.bytes + 5, request.used - 5, -1);
	_exit(0);
}

/* Runs on from a sealed copy in memory: a container that gets hold of /proc/PID/exe of a joining process has
 * a file nobody can write, not the program on the host's disk (CVE-2019-5736). 0 when it is one already. */
static int seal_myself(char **argv) {
	extern char **environ;
	char link[64] = "";
	struct stat st;
	off_t at = 0;
	if (readlink("/proc/self/exe", link, sizeof link - 1) > 7 && !strncmp(link, "/memfd:", 7)) return 0;
	int from = self_exe(), to = memfd_create("dewar-core", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10 /* MFD_EXEC */);
	if (to < 0 && errno == EINVAL) /* before 6.3 */
		to = memfd_create("dewar-core", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (from < 0 || to < 0 || fstat(from, &st)) return -1;
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0) return -1;
	if (fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)) return -1;
	return sys_execveat(to, argv, environ);
}

static int spawner_main(char **argv) {
	if (seal_myself(argv)) return give_up("sealing", argv[0], 1);
	prctl(PR_SET_NAME, "dewar-spawner");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
	int s = listen_at(argv[2]);
	if (s < 0) return give_up("listening on", argv[2], 1);
	if (write(1, "ready\n", 6) != 6) return 1;
	for (;;) {
		struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = s, .events = POLLIN}};
		if (poll(p, 2, -1) < 0) continue;
		if (p[0].revents) return 0; /* the engine is gone */
		autoclose int conn = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (conn < 0 || fork()) continue;
		close(s);
		setsid();
		runner_main(conn);
	}
}

int main(int argc, char **argv) {
	if (argc > 2 && !strcmp(argv[0], "/sbin/docker-init")) return init_main(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "spawner")) return spawner_main(argv);
	dprintf(2, "This is the native core of dewar; the engine starts it.\n");
	return 2;
}
