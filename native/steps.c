/* Each operation of a plan as one short function; the table of them stands at the end. */
#include "dewar.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define RMDIR_TRIES 100 /* of 10 ms */
#define GROUP_DEPTH_MAX 64
#define LINKS_MAX 8 /* symlinks to nothing that lead to each other */

/* Where the path of a step begins whose first number says it. */
#define ROOT (NUM(0) == NONE ? HERE : SLOT(NUM(0)))
static int slot_put(struct run *r, uint64_t slot, int fd, const char *path) {
	if (fd < 0) return fail(&r->f, "%s", path);
	if (slot >= SLOTS) return close(fd);
	close_fd(&r->slot[slot]);
	r->slot[slot] = fd;
	return 0;
}

static STEP(do_open) { return slot_put(r, NUM(1), open_in(ROOT, STR(0), (int)NUM(2), (mode_t)NUM(3)), STR(0)); }

/* Pairs of a path and what is to be written there. */
static STEP(do_write) {
	for (uint16_t i = 0; i < s->nstr; i += 2) {
		autoclose int fd = open_in(ROOT, STR(i), O_WRONLY | O_NOCTTY, 0);
		ssize_t len = s->str[i + 1].len, n = fd < 0 ? -1 : write(fd, STR(i + 1), (size_t)len);
		if (n >= 0 && n != len) errno = EIO;
		if (n != len && !NUM(1)) return fail(&r->f, "%s", STR(i));
	}
	return 0;
}

/* The kernel empties a cgroup a little after its last process. Who is left (in the host's PID namespace nobody ends with the
 * first process) would live on with files that go and ids that others get: it ends here. Groups made inside go first,
 * each tried once in each turn. A guest makes them as deep as it likes (a level holds a descriptor). */
static int remove_folder(int dir, const char *name, int tries, int depth) {
	char procs[NAME_MAX + sizeof "/cgroup.procs"];
	snprintf(procs, sizeof procs, "%s/cgroup.procs", name);
	for (int pid; unlinkat(dir, name, AT_REMOVEDIR); usleep(tries ? 10000 : 0)) {
		if (errno != EBUSY || !tries-- || depth == GROUP_DEPTH_MAX) return -1;
		FILE *members = fdopen(openat(dir, procs, O_RDONLY | O_CLOEXEC), "r");
		while (members && fscanf(members, "%d", &pid) == 1 && pid > 0) kill(pid, SIGKILL);
		if (members) fclose(members);
		DIR *inner = fdopendir(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		for (struct dirent *d; inner && (d = readdir(inner));)
			if (d->d_type == DT_DIR) remove_folder(dirfd(inner), d->d_name, 1, depth + 1);
		if (inner) closedir(inner);
	}
	return 0;
}

/* The last two numbers are the owner of what is made. */
static int change_entry(const struct step *s, int dir, const char *name) {
	mode_t mode = (mode_t)NUM(1);
	switch (s->op) {
	case OP_MKDIR:
		if (mkdirat(dir, name, mode)) return errno == EEXIST ? 0 : -1;
		break;
	case OP_MKNOD: /* chmod after mknod: the umask must not decide who may open a device */
		if (mknodat(dir, name, mode, makedev((unsigned)NUM(2), (unsigned)NUM(3)))) return -1;
		if (fchmodat(dir, name, mode & 07777, 0)) return -1;
		break;
	case OP_SYMLINK:
		if (symlinkat(STR(1), dir, name)) return -1;
		break;
	default: return remove_folder(dir, name, RMDIR_TRIES, 0);
	}
	return fchownat(dir, name, (uid_t)NUM(s->nnum - 2), (gid_t)NUM(s->nnum - 1), AT_SYMLINK_NOFOLLOW);
}

/* mkdir, mknod, symlink, rmdir: the last component of the path is never followed. */
static STEP(do_entry) {
	const char *name;
	autoclose int dir = open_parent(ROOT, STR(0), &name);
	int done = dir >= 0 && !change_entry(s, dir, name);
	return RESULT(done || (s->op == OP_RMDIR && (errno == ENOENT || errno == ENAMETOOLONG)), "%s", STR(0));
}

static STEP(do_read) {
	struct stat st;
	uint64_t max = NUM(1), size = 0;
	autoclose int fd = open_in(ROOT, STR(0), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	char *buf = malloc(max + 1);
	if (buf && fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		for (ssize_t n; size < max && (n = read(fd, buf + size, max - size)) > 0;) size += (uint64_t)n;
	return RESULT(buf && !send_frame(r->conn, 'D', buf, size), "%s", STR(0)); /* not freed: the process ends soon */
}

static STEP(do_pack) { return files_pack(STR(0), NUM(0) != 0, r->conn, &r->f); }
static STEP(do_unpack) { return files_unpack(r->conn, &r->f); }

/* What the kernel says of a failed mount: fsconfig keeps messages to be read from the descriptor. */
static int fail_mount(struct run *r, int fs, const char *type, const char *key) {
	char why[160] = "";
	int err = errno;
	ssize_t n = read(fs, why, sizeof why - 1);
	why[n > 0 ? n - (why[n - 1] == '\n') : 0] = 0;
	errno = err;
	return fail(&r->f, "%s %s%s%s", type, key, *why ? ": " : "", why);
}

/* Each option is a command of fsconfig(2) with the slot of a descriptor or NONE, and a key with a value or "". */
static STEP(do_fsmount) {
	autoclose int fs = sys_fsopen(STR(0));
	for (uint16_t i = 1; fs >= 0 && i < s->nstr; i += 2) {
		const char *value = NUM(1 + i) == FSCONFIG_SET_STRING ? STR(1 + i) : NULL;
		int fd = NUM(2 + i) == NONE ? 0 : SLOT(NUM(2 + i));
		if (sys_fsconfig(fs, (unsigned)NUM(1 + i), STR(i), value, fd)) return fail_mount(r, fs, STR(0), STR(i));
	}
	int fd =
		fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -1 : sys_fsmount(fs, (unsigned)NUM(1));
	return fd < 0 ? fail_mount(r, fs, STR(0), "mount") : slot_put(r, NUM(0), fd, STR(0));
}

static STEP(do_clone_mount) {
	autoclose int at = open_in(ROOT, STR(0), O_PATH, 0);
	return slot_put(r, NUM(1), at < 0 ? -1 : clone_tree(at, NUM(2) ? AT_RECURSIVE : 0), STR(0));
}

static STEP(do_mount_attr) {
	struct mount_attr a = {NUM(1), NUM(2), NUM(3), (uint64_t)SLOT(NUM(4))};
	unsigned flags = AT_EMPTY_PATH | (NUM(5) ? AT_RECURSIVE : 0);
	return RESULT(!sys_mount_setattr(NUM(0) == NONE ? AT_FDCWD : SLOT(NUM(0)), STR(0), flags, &a), "attributes");
}

/* Makes what is missing of `path` inside the root: directories, and at the end a directory or an empty file. What a
 * symlink to nothing names is made, inside the root like all else (images link resolv.conf into /run). */
static int make_target(int root, const char *path, int dir, int links) {
	char prefix[PATH_MAX], link[PATH_MAX], whole[2 * PATH_MAX];
	if (strlen(path) >= sizeof prefix) return refuse(ENAMETOOLONG);
	for (const char *end = path, *name; *end;) {
		end = strchrnul(end + 1, '/');
		*(char *)mempcpy(prefix, path, (size_t)(end - path)) = 0;
		int as_dir = *end || dir;
		autoclose int parent = -1, fd = open_in(root, prefix, O_PATH, 0);
		if (fd >= 0) continue;
		if (errno != ENOENT || (parent = open_parent(root, prefix, &name)) < 0) return -1;
		if (!(as_dir ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0))) continue;
		ssize_t n = errno == EEXIST ? readlinkat(parent, name, link, sizeof link - 1) : -1;
		if (n < 0 && errno == EINVAL) continue; /* no link: somebody else has made it */
		if (n < 0 || !links) return n < 0 ? -1 : refuse(ELOOP);
		link[n] = 0;
		snprintf(whole, sizeof whole, "%.*s%s", *link == '/' ? 0 : (int)(name - prefix), prefix, link);
		if (make_target(root, whole, as_dir, links - 1)) return -1;
	}
	return 0;
}

static STEP(do_attach_mount) {
	struct stat st;
	int fd = SLOT(NUM(1));
	autoclose int target = open_in(ROOT, STR(0), O_PATH, 0);
	if (target < 0 && NUM(2) && !fstat(fd, &st) && !make_target(ROOT, STR(0), S_ISDIR(st.st_mode), LINKS_MAX))
		target = open_in(ROOT, STR(0), O_PATH, 0);
	return RESULT(target >= 0 && !move_onto(fd, target), "%s", STR(0));
}

/* A clone of the mount in a slot (one for folders, one for the rest), or of that at the path, is put over the path. */
static STEP(do_cover) {
	struct stat st;
	struct mount_attr a = {.attr_set = NUM(1)};
	autoclose int fd = open_in(ROOT, STR(0), O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st)) return RESULT(NUM(2) && (errno == ENOENT || errno == ENOTDIR), "%s", STR(0));
	uint64_t by = S_ISDIR(st.st_mode) ? NUM(3) : NUM(4);
	autoclose int tree = clone_tree(by == NONE ? fd : SLOT(by), AT_RECURSIVE);
	int bad = tree < 0 || (a.attr_set && sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a)) ||
		  move_onto(tree, fd);
	return RESULT(!bad, "%s", STR(0));
}

static STEP(do_umount) {
	return RESULT(!umount2(STR(0), (int)NUM(0)) || errno == ENOENT || errno == EINVAL, "%s", STR(0));
}

/* After pivot_root(".", ".") the old root lies over the new one; once detached, ".." of / must be / itself. */
static STEP(do_pivot) {
	struct stat root, up, want;
	int fd = r->root = SLOT(NUM(0));
	if (fstat(fd, &want) || fchdir(fd) || sys_pivot_root(".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fail(&r->f, "pivot_root");
	errno = EXDEV;
	int same = !stat("/", &root) && !stat("/..", &up) && root.st_ino == up.st_ino && root.st_dev == up.st_dev &&
		   root.st_ino == want.st_ino && root.st_dev == want.st_dev;
	return RESULT(same, "the old root is still in reach");
}

static STEP(do_open_ns) { return slot_put(r, NUM(0), openat(SLOT(CHILD_SLOT), STR(0), O_RDONLY | O_CLOEXEC), STR(0)); }
static STEP(do_unshare) { return RESULT(!unshare((int)NUM(0)), "unshare"); }
static STEP(do_setns) { return RESULT(!setns(SLOT(NUM(0)), (int)NUM(1)), "setns"); }
static STEP(do_join) { return RESULT(write(SLOT(NUM(0)), "0", 1) == 1, "joining the cgroup"); }
static STEP(do_hostname) { return RESULT(!sethostname(STR(0), s->str[0].len), "%s", STR(0)); }
static STEP(do_domainname) { return RESULT(!setdomainname(STR(0), s->str[0].len), "%s", STR(0)); }

/* The parent sets the child's: it has rights that the child, in its user namespace, has not. Where CAP_SYS_RESOURCE
 * is missing a limit cannot be raised; that is no failure when it holds already. */
static STEP(do_rlimit) {
	struct rlimit now, want = {NUM(1), NUM(2)};
	pid_t who = s->actor == PARENT ? r->child : 0;
	if (!prlimit(who, (int)NUM(0), &want, NULL)) return 0;
	int holds = !prlimit(who, (int)NUM(0), NULL, &now) && !memcmp(&now, &want, sizeof now);
	errno = EPERM;
	return RESULT(holds, "resource limit %d", (int)NUM(0));
}

/* CVE-2024-21626: a working directory reached through a leaked descriptor lies outside the root: the kernel says
 * "(unreachable)/…", of which musl's getcwd would make ENOENT. Nor is one made that way. */
static STEP(do_chdir) {
	char where[PATH_MAX];
	if ((NUM(0) && make_target(AT_FDCWD, STR(0), 1, LINKS_MAX)) || chdir(STR(0))) return fail(&r->f, "%s", STR(0));
	errno = EXDEV;
	return RESULT(CALL(getcwd, where, sizeof where) > 0 && where[0] == '/', "%s", STR(0));
}

/* Capabilities survive the change (PR_SET_KEEPCAPS) until the `caps` step sets them. */
static STEP(do_user) {
	uid_t uid = (uid_t)NUM(0);
	gid_t gid = (gid_t)NUM(1);
	if (isatty(0) && fchown(0, uid, (gid_t)-1)) return fail(&r->f, "owner of the terminal");
	int bad = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups((size_t)NUM(2), (const gid_t *)&NUM(3)) ||
		  setresgid(gid, gid, gid) || setresuid(uid, uid, uid);
	return RESULT(!bad, "user %u:%u", (unsigned)uid, (unsigned)gid);
}

/* Effective and permitted. Without inheritable ones the kernel clears the ambient ones, too. */
static int set_caps(uint64_t caps) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	uint32_t low = (uint32_t)caps, high = (uint32_t)(caps >> 32);
	return sys_capset(&h, ((struct __user_cap_data_struct[]){{low, low, 0}, {high, high, 0}}));
}

/* What the bounding set has is what root has: some machines take capabilities even from the host's. */
static STEP(do_caps) {
	uint64_t held = 0;
	for (int cap = 0, has; (has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++) held |= (uint64_t)has << cap;
	if (set_caps(held)) return fail(&r->f, "capset");
	for (unsigned cap = 0; cap < 64; cap++)
		if ((held & ~NUM(0)) >> cap & 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return fail(&r->f, "bounding set, capability %u", cap);
	if (set_caps(held & NUM(1))) return fail(&r->f, "capset");
	/* Try to break the promise: what was dropped must not come back. */
	int regained = held & ~NUM(1) && !set_caps(held);
	errno = EPERM;
	return RESULT(!regained, "dropped capabilities could be regained");
}

static STEP(do_no_new_privs) { return RESULT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs"); }

static STEP(do_seccomp) {
	struct sock_fprog prog = {(unsigned short)(s->nnum - 1), (void *)(uintptr_t)&NUM(1)};
	return RESULT(!sys_seccomp(SECCOMP_SET_MODE_FILTER, (unsigned)NUM(0), &prog), "seccomp");
}

/* Carried out elsewhere: run.c waits at gates, shim.c reads its settings. */
static STEP(do_nothing) { return 0; }

int step_run(struct run *r, const struct step *s) {
#define ACTION(name, function, numbers, strings) [OP_##name] = function,
	static action *const actions[OP_END] = {OPERATIONS(ACTION)};
	return actions[s->op](r, s);
}

void run_init(struct run *r, int conn) {
	*r = (struct run){.conn = conn, .sync = -1, .to_child = -1, .pidfd = -1, .tty = -1, .parent = -1, .root = -1};
	memset(r->slot, 0xff, sizeof r->slot);
}

void run_close_slots(struct run *r) {
	close_fd(&r->to_child);
	for (int i = 0; i < ALL_SLOTS; i++) close_fd(&r->slot[i]);
}

void run_after(struct run *r, uint32_t until) {
	struct failure first = r->f;
	for (uint32_t i = until < r->plan.count ? until : r->plan.count; i-- > 0;)
		if (r->plan.step[i].actor == AFTER) step_run(r, &r->plan.step[i]);
	r->f = first;
}
