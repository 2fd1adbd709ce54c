/* Serving inside a container that somebody else made and uses: nothing is written into it and none of its processes
 * is touched. The program comes along as a sealed file in memory.
 * NOT taken on: the container's seccomp filter and its labels (a filter can only be read by stopping a process of the
 * container), its cgroup (it would count against the limits). src/audit/join.ts says which verdicts that leaves open. */
#include "probe.h"
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int failed(const char *what) {
	dprintf(2, "dewar-probe: %s failed: %s\n", what, strerror(errno));
	return FAILED;
}

/* The container's processes find a file that nobody can write behind /proc/PID/exe (CVE-2019-5736). */
static int sealed_copy(void) {
	struct stat st;
	off_t at = 0;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = memfd_create("dewar-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10 /* MFD_EXEC */);
	if (to < 0 && errno == EINVAL) /* before 6.3 */
		to = memfd_create("dewar-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (from < 0 || to < 0 || fstat(from, &st)) return -1;
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0) return -1;
	return fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) ? -1 : to;
}

/* Those that are ours already are left out: setns(2) refuses one's own user namespace. */
static int enter_namespaces(const char *pid) {
	/* The user namespace last: until then we are the host's root, and it may not own all the others. */
	const char *names[] = {"cgroup", "ipc", "uts", "net", "pid", "time", "mnt", "user"};
	char path[64];
	struct stat ours, theirs;
	int fd[8], root;
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof path, "/proc/%.20s/ns/%s", pid, names[i]);
		fd[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fd[i] < 0 && errno != ENOENT) return -1; /* ENOENT: this kernel has none of the kind */
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		if (fd[i] >= 0 && !stat(path, &ours) && !fstat(fd[i], &theirs) && ours.st_ino == theirs.st_ino)
			fd[i] = -1;
	}
	snprintf(path, sizeof path, "/proc/%.20s/root", pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 7; i++)
		if (fd[i] >= 0 && setns(fd[i], 0)) return -1;
	if (fchdir(root) || chroot(".")) return -1;
	return fd[7] >= 0 ? setns(fd[7], 0) : 0;
}

/* Nothing is to be seen that the container's own processes could not see. */
static int become(uid_t uid, gid_t gid, uint64_t effective, uint64_t bounding, int no_new_privs) {
	uint32_t low = (uint32_t)effective, high = (uint32_t)(effective >> 32);
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low},
						 {.effective = high, .permitted = high}};
	for (int cap = 0; cap < 64; cap++)
		if (!(bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) && errno != EINVAL) return -1;
	/* EPERM: a user namespace that allows it nobody (/proc/PID/setgroups); its processes keep their groups too. */
	if ((setgroups(0, NULL) && errno != EPERM) || setresgid(gid, gid, gid)) return -1;
	if (prctl(PR_SET_KEEPCAPS, 1)) return -1;
	if (setresuid(uid, uid, uid) || syscall(SYS_capset, &header, data)) return -1;
	return no_new_privs ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

int join(char **argv) {
	uint64_t effective = strtoull(argv[3], NULL, 16), bounding = strtoull(argv[4], NULL, 16);
	int status, program = sealed_copy();
	if (program < 0) return failed("copying itself into memory");
	if (enter_namespaces(argv[0])) return failed("joining the container's namespaces");
	pid_t child = fork(); /* only children are in a PID namespace that was joined */
	if (child < 0) return failed("fork");
	if (child > 0) return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
	if (become((uid_t)atol(argv[1]), (gid_t)atol(argv[2]), effective, bounding, atoi(argv[5])))
		return failed("taking on the container's rights");
	argv[4] = "dewar-probe";
	argv[5] = "audit-guest";
	syscall(SYS_execveat, program, "", argv + 4, (char *[]){NULL}, AT_EMPTY_PATH);
	return failed("starting the copy");
}
