/* Each operation of a plan as one short function; the table of them stands at the end. */
#include "sys.h"
#include "steps.h"
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#define RETRY_NS 10000000L
#define RMDIR_TRIES 100 /* a second: the kernel empties a cgroup a little after its last process */
#define GROUPS_MAX 4096

#define UNUSED __attribute__((unused))
#define STEP(name) static int name(UNUSED struct run *r, UNUSED const struct step *s, UNUSED struct failure *f)
#define NUM(i) (s->num[i])
#define STR(i) (s->str[i].s)
/* 0 when ok, else the failure with its path. */
#define RESULT(ok, ...) ((ok) ? 0 : fail(f, __VA_ARGS__))

static int slot_fd(const struct run *r, uint64_t slot)
{
	return slot < SLOTS ? r->slot[slot] : -1;
}

static int slot_put(struct run *r, uint64_t slot, int fd)
{
	if (slot >= SLOTS)
		return close(fd);
	if (r->slot[slot] >= 0)
		close(r->slot[slot]);
	r->slot[slot] = fd;
	return 0;
}

/* Closes fd and hands rc on; what went wrong keeps its errno. */
static int closing(int fd, int rc)
{
	int err = errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return rc;
}

/* Opens `path`: as it is when at is NONE, else inside the slot's directory, which no symlink can leave. */
static int open_at(const struct run *r, uint64_t at, const char *path, int flags, mode_t mode)
{
	if (at == NONE)
		return open(path, flags | O_CLOEXEC, mode);
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .mode = flags & O_CREAT ? mode : 0,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	return sys_openat2(slot_fd(r, at), path, &how);
}

/* The directory that holds the last component of path; *name points at that component. */
static int open_parent(const struct run *r, uint64_t at, const char *path, const char **name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash > path ? (size_t)(slash - path) : 1;
	*name = slash ? slash + 1 : path;
	if (len >= sizeof dir) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, slash ? path : at == NONE ? "." : "/", len);
	dir[len] = 0;
	return open_at(r, at, dir, O_PATH | O_DIRECTORY, 0);
}

STEP(do_open)
{
	int fd = open_at(r, NUM(0), STR(0), (int)NUM(2), (mode_t)NUM(3));
	return fd < 0 ? fail(f, "%s", STR(0)) : slot_put(r, NUM(1), fd);
}

STEP(do_write)
{
	int fd = open_at(r, NUM(0), STR(0), O_WRONLY | O_NOCTTY, 0);
	ssize_t n = fd < 0 ? -1 : write(fd, STR(1), s->str[1].len);
	if (n >= 0 && n != (ssize_t)s->str[1].len)
		errno = EIO;
	n = closing(fd, n == (ssize_t)s->str[1].len);
	return RESULT(n || NUM(1), "%s", STR(0));
}

static int own_at(int dir, const char *name, uint64_t uid, uint64_t gid)
{
	if (uid == NONE && gid == NONE)
		return 0;
	return fchownat(dir, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW);
}

STEP(do_mkdir)
{
	const char *name;
	int dir = open_parent(r, NUM(0), STR(0), &name);
	int bad = dir < 0 || (mkdirat(dir, name, (mode_t)NUM(1)) ? errno != EEXIST : own_at(dir, name, NUM(2), NUM(3)));
	return RESULT(!closing(dir, bad), "%s", STR(0));
}

STEP(do_mknod)
{
	const char *name;
	int dir = open_parent(r, NUM(0), STR(0), &name);
	mode_t mode = (mode_t)NUM(1);
	/* chmod after mknod: the umask must not decide who may open a device. */
	int bad = dir < 0 || mknodat(dir, name, mode, makedev((unsigned)NUM(2), (unsigned)NUM(3))) ||
		  fchmodat(dir, name, mode & 07777, 0) || own_at(dir, name, NUM(4), NUM(5));
	return RESULT(!closing(dir, bad), "%s", STR(0));
}

STEP(do_symlink)
{
	const char *name;
	int dir = open_parent(r, NUM(0), STR(0), &name);
	int bad = dir < 0 || symlinkat(STR(1), dir, name) || own_at(dir, name, NUM(1), NUM(2));
	return RESULT(!closing(dir, bad), "%s", STR(0));
}

STEP(do_rmdir)
{
	const char *name;
	int rc = -1, dir = open_parent(r, NUM(0), STR(0), &name);
	for (int i = 0; dir >= 0 && i < RMDIR_TRIES; i++) {
		rc = unlinkat(dir, name, AT_REMOVEDIR);
		if (!rc || errno != EBUSY)
			break;
		nanosleep(&(struct timespec){0, RETRY_NS}, NULL);
	}
	return RESULT(!closing(dir, rc) || errno == ENOENT, "%s", STR(0));
}

STEP(do_unlink)
{
	const char *name;
	int dir = open_parent(r, NUM(0), STR(0), &name);
	return RESULT(!closing(dir, dir < 0 || unlinkat(dir, name, 0)) || errno == ENOENT, "%s", STR(0));
}

/* What the kernel says of a failed mount: fsconfig keeps messages to be read from the descriptor. */
static int fail_mount(struct failure *f, int fs, const char *type, const char *key)
{
	char why[160] = "";
	int err = errno;
	ssize_t n = read(fs, why, sizeof why - 1);
	why[n > 0 ? n - (why[n - 1] == '\n') : 0] = 0;
	errno = err;
	return closing(fs, fail(f, "%s %s%s%s", type, key, *why ? ": " : "", why));
}

/* How an option is given: NONE a string, NONE - 1 a flag, else the slot of a descriptor. */
static int configure(const struct run *r, int fs, uint64_t how, const char *key, const char *value)
{
	if (how == NONE)
		return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
	if (how == NONE - 1)
		return sys_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0);
	return sys_fsconfig(fs, FSCONFIG_SET_FD, key, NULL, slot_fd(r, how));
}

STEP(do_fsmount)
{
	int fs = sys_fsopen(STR(0)), fd;
	if (fs < 0)
		return fail(f, "%s", STR(0));
	for (uint16_t i = 0; i + 2 < s->nnum; i++)
		if (configure(r, fs, NUM(2 + i), STR(1 + 2 * i), STR(2 + 2 * i)))
			return fail_mount(f, fs, STR(0), STR(1 + 2 * i));
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) || (fd = sys_fsmount(fs, (unsigned)NUM(1))) < 0)
		return fail_mount(f, fs, STR(0), "mount");
	close(fs);
	return slot_put(r, NUM(0), fd);
}

static int clone_tree(int at, unsigned flags)
{
	return sys_open_tree(at, "", flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int move_onto(int mount, int target)
{
	return sys_move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

STEP(do_clone_mount)
{
	int at = open_at(r, NUM(0), STR(0), O_PATH, 0);
	int fd = closing(at, at < 0 ? -1 : clone_tree(at, NUM(2) ? AT_RECURSIVE : 0));
	return fd < 0 ? fail(f, "%s", STR(0)) : slot_put(r, NUM(1), fd);
}

STEP(do_mount_attr)
{
	struct mount_attr a = {.attr_set = NUM(1), .attr_clr = NUM(2), .propagation = NUM(3)};
	if (NUM(4) != NONE) {
		a.attr_set |= MOUNT_ATTR_IDMAP;
		a.userns_fd = (uint64_t)slot_fd(r, NUM(4));
	}
	unsigned flags = AT_EMPTY_PATH | (NUM(5) ? AT_RECURSIVE : 0);
	return RESULT(!sys_mount_setattr(slot_fd(r, NUM(0)), "", flags, &a), "mount attributes");
}

/* Makes one missing component: a directory, or an empty file. */
static int make_one(const struct run *r, uint64_t at, const char *path, int dir)
{
	const char *name;
	int fd = -1, parent = open_parent(r, at, path, &name);
	if (parent < 0)
		return -1;
	int rc = dir ? mkdirat(parent, name, 0755)
		     : (fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
	closing(fd, 0);
	return closing(parent, rc < 0 && errno != EEXIST ? -1 : 0);
}

/* Makes what is missing of `path` inside the root: directories, and at the end a directory or an empty file. */
static int make_target(const struct run *r, uint64_t at, const char *path, int dir)
{
	char prefix[PATH_MAX] = "";
	if (strlen(path) >= sizeof prefix) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		const char *end = strchr(p + 1, '/');
		size_t len = end ? (size_t)(end - path) : strlen(path);
		memcpy(prefix, path, len);
		prefix[len] = 0;
		int fd = open_at(r, at, prefix, O_PATH, 0);
		if (fd < 0 && (errno != ENOENT || make_one(r, at, prefix, end || dir)))
			return -1;
		closing(fd, 0);
	}
	return 0;
}

STEP(do_attach_mount)
{
	struct stat st;
	int fd = slot_fd(r, NUM(1));
	if (NUM(2) && (fstat(fd, &st) || make_target(r, NUM(0), STR(0), S_ISDIR(st.st_mode))))
		return fail(f, "%s", STR(0));
	int target = open_at(r, NUM(0), STR(0), O_PATH, 0);
	return RESULT(!closing(target, target < 0 || move_onto(fd, target)), "%s", STR(0));
}

/* A clone of the mount at the path gets the attributes and is put over its origin. */
STEP(do_cover)
{
	struct mount_attr a = {.attr_set = NUM(1)};
	int fd = open_at(r, NUM(0), STR(0), O_PATH, 0);
	if (fd < 0 && NUM(2) && errno == ENOENT)
		return 0;
	int tree = fd < 0 ? -1 : clone_tree(fd, AT_RECURSIVE);
	int bad = tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a) || move_onto(tree, fd);
	return RESULT(!closing(fd, closing(tree, bad)), "%s", STR(0));
}

/* One empty read-only tmpfs for all hidden directories. */
static int empty_mount(void)
{
	int fs = sys_fsopen("tmpfs"), fd = -1;
	if (fs >= 0 && !sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", "0k", 0) &&
	    !sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return closing(fs, fd);
}

/* CVE-2025-31133: a /dev/null that is something else would be mounted over the file instead of hiding it. */
static int null_mount(void)
{
	struct stat st;
	int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
		errno = ENODEV;
		return closing(fd, -1);
	}
	return closing(fd, clone_tree(fd, 0));
}

STEP(do_mask)
{
	static int empty = -1;
	struct stat st;
	int target = open(STR(0), O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1;
	if (target < 0 || fstat(target, &st))
		return RESULT(errno == ENOENT || errno == ENOTDIR, "%s", STR(0));
	if (!S_ISDIR(st.st_mode))
		fd = null_mount();
	else if (empty < 0)
		fd = fcntl(empty = empty_mount(), F_DUPFD_CLOEXEC, 3);
	else
		fd = clone_tree(empty, 0);
	return RESULT(!closing(target, closing(fd, fd < 0 || move_onto(fd, target))), "%s", STR(0));
}

STEP(do_umount)
{
	char proc[64];
	int fd = open_at(r, NUM(0), STR(0), O_PATH, 0);
	if (fd < 0)
		return RESULT(errno == ENOENT, "%s", STR(0));
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	/* By descriptor the mount is busy with ourselves, so only a lazy unmount can go this way. */
	int rc = closing(fd, umount2(NUM(0) == NONE ? STR(0) : proc, (int)NUM(1)));
	return RESULT(!rc || errno == EINVAL, "%s", STR(0));
}

STEP(do_propagation)
{
	return RESULT(!mount(NULL, "/", NULL, NUM(0), NULL), "/");
}

/* After pivot_root(".", ".") the old root lies over the new one; once detached, ".." of / must be / itself. */
STEP(do_pivot)
{
	struct stat root, up, want;
	int fd = slot_fd(r, NUM(0));
	if (fstat(fd, &want) || fchdir(fd) || sys_pivot_root(".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fail(f, "pivot_root");
	errno = EXDEV;
	int same = !stat("/", &root) && !stat("/..", &up) && root.st_ino == up.st_ino && root.st_dev == up.st_dev &&
		   root.st_ino == want.st_ino && root.st_dev == want.st_dev;
	return RESULT(same, "the old root is still in reach");
}

static int write_file(const char *path, const char *data, struct failure *f)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return RESULT(!closing(fd, fd < 0 || write(fd, data, strlen(data)) < 0), "%s", path);
}

STEP(do_idmap)
{
	char uid[64], gid[64];
	snprintf(uid, sizeof uid, "/proc/%d/uid_map", (int)r->child);
	snprintf(gid, sizeof gid, "/proc/%d/gid_map", (int)r->child);
	return write_file(gid, STR(1), f) || write_file(uid, STR(0), f) ? -1 : 0;
}

/* The parent writes it: the file belongs to root as long as the child cannot be dumped. */
STEP(do_oom_score)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)r->child);
	return write_file(path, STR(0), f);
}

STEP(do_open_ns)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%.16s", (int)r->child, STR(0));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail(f, "%s", path) : slot_put(r, NUM(0), fd);
}

STEP(do_unshare)
{
	return RESULT(!unshare((int)NUM(0)), "unshare");
}

STEP(do_setns)
{
	return RESULT(!setns(slot_fd(r, NUM(0)), (int)NUM(1)), "setns");
}

/* The children to come live in a new time namespace; with num[0] their clocks start at nought. */
STEP(do_timens)
{
	char zero[96];
	struct timespec mono, boot;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	snprintf(zero, sizeof zero, "monotonic -%lld 0\nboottime -%lld 0\n", (long long)mono.tv_sec, (long long)boot.tv_sec);
	return unshare(CLONE_NEWTIME) ? fail(f, "unshare time namespace")
				      : write_file("/proc/self/timens_offsets", NUM(0) ? zero : STR(0), f);
}

STEP(do_join)
{
	return RESULT(write(slot_fd(r, NUM(0)), "0", 1) == 1, "joining the cgroup");
}

STEP(do_hostname)
{
	return RESULT(!sethostname(STR(0), s->str[0].len), "%s", STR(0));
}

STEP(do_domainname)
{
	return RESULT(!setdomainname(STR(0), s->str[0].len), "%s", STR(0));
}

/* The parent sets the child's: it has rights that the child, in its user namespace, has not. Where CAP_SYS_RESOURCE
 * is missing a limit cannot be raised; that is no failure when it holds already. */
STEP(do_rlimit)
{
	struct rlimit now, want = {NUM(1), NUM(2)};
	pid_t who = s->actor == PARENT ? r->child : 0;
	if (!prlimit(who, (int)NUM(0), &want, NULL))
		return 0;
	int holds = !prlimit(who, (int)NUM(0), NULL, &now) && now.rlim_cur == want.rlim_cur && now.rlim_max == want.rlim_max;
	errno = EPERM;
	return RESULT(holds, "resource limit %d", (int)NUM(0));
}

/* Capabilities survive the change (PR_SET_KEEPCAPS) until the `caps` step sets them. */
STEP(do_user)
{
	gid_t groups[GROUPS_MAX], gid = (gid_t)NUM(1);
	uid_t uid = (uid_t)NUM(0);
	size_t n = (size_t)s->nnum - 3;
	errno = EINVAL;
	for (size_t i = 0; i < n && n <= GROUPS_MAX; i++)
		groups[i] = (gid_t)NUM(3 + i);
	if (n > GROUPS_MAX || (isatty(0) && fchown(0, uid, (gid_t)-1)))
		return fail(f, n > GROUPS_MAX ? "too many groups" : "owner of the terminal");
	if (NUM(2) != NONE)
		umask((mode_t)NUM(2));
	return RESULT(!prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) && !setgroups(n, groups) && !setresgid(gid, gid, gid) &&
			      !setresuid(uid, uid, uid),
		      "user %u:%u", (unsigned)uid, (unsigned)gid);
}

static int set_caps(uint64_t eff, uint64_t perm, uint64_t inh)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{(uint32_t)eff, (uint32_t)perm, (uint32_t)inh},
					      {(uint32_t)(eff >> 32), (uint32_t)(perm >> 32), (uint32_t)(inh >> 32)}};
	return sys_capset(&h, d);
}

static uint64_t permitted(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {0};
	sys_capget(&h, d);
	return d[0].permitted | (uint64_t)d[1].permitted << 32;
}

STEP(do_caps)
{
	uint64_t held = permitted();
	if (set_caps(held, held, 0))
		return fail(f, "capset");
	for (unsigned cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && !(NUM(0) >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return fail(f, "bounding set, capability %u", cap);
	if (set_caps(NUM(1) & held, NUM(2) & held, NUM(3) & held))
		return fail(f, "capset");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned cap = 0; cap < 64; cap++)
		if ((NUM(4) & held) >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return fail(f, "ambient set, capability %u", cap);
	/* Try to break the promise: what was dropped must not come back. */
	int regained = held & ~NUM(2) && set_caps(held, held, 0) == 0;
	errno = EPERM;
	return RESULT(!regained, "dropped capabilities could be regained");
}

STEP(do_no_new_privs)
{
	return RESULT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

STEP(do_seccomp)
{
	static struct sock_filter copy[BPF_MAXINSNS]; /* the plan's bytes need not be aligned */
	struct sock_fprog prog = {(unsigned short)(s->str[0].len / sizeof *copy), copy};
	errno = EINVAL;
	if (s->str[0].len > sizeof copy)
		return fail(f, "seccomp");
	memcpy(copy, STR(0), s->str[0].len);
	return RESULT(!sys_seccomp(SECCOMP_SET_MODE_FILTER, (unsigned)NUM(0), &prog), "seccomp");
}

/* CVE-2024-21626: a working directory reached through a leaked descriptor lies outside the root. */
STEP(do_chdir)
{
	char where[PATH_MAX];
	if ((NUM(0) && make_target(r, NONE, STR(0), 1)) || chdir(STR(0)))
		return fail(f, "%s", STR(0));
	errno = EXDEV;
	return RESULT(getcwd(where, sizeof where) && where[0] == '/', "%s", STR(0));
}

STEP(do_personality)
{
	return RESULT(personality(NUM(0)) >= 0, "personality");
}

STEP(do_read)
{
	struct stat st;
	uint64_t max = NUM(1) > 1 << 24 ? 1 << 24 : NUM(1), size = 0;
	int fd = open_at(r, NUM(0), STR(0), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	char *buf = malloc(max + 1);
	if (buf && fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		for (ssize_t n; size < max && (n = read(fd, buf + size, max - size)) > 0;)
			size += (uint64_t)n;
	int bad = closing(fd, !buf || send_frame(r->conn, 'D', buf, size));
	free(buf);
	return RESULT(!bad, "%s", STR(0));
}

static int emit_conn = -1;
static int emit(const void *data, size_t size)
{
	return send_frame(emit_conn, 'D', data, size);
}

STEP(do_pack)
{
	emit_conn = r->conn;
	return files_pack(STR(0), emit, f);
}

STEP(do_unpack)
{
	return files_unpack(r->conn, f);
}

int do_netlink(struct run *r, const struct step *s, struct failure *f);
int do_reserve_port(struct run *r, const struct step *s, struct failure *f);
int do_device_program(struct run *r, const struct step *s, struct failure *f);

typedef int (*action)(struct run *, const struct step *, struct failure *);
static const action actions[OP_END] = {
	[OP_OPEN] = do_open, [OP_WRITE] = do_write, [OP_MKDIR] = do_mkdir, [OP_MKNOD] = do_mknod,
	[OP_SYMLINK] = do_symlink, [OP_RMDIR] = do_rmdir, [OP_UNLINK] = do_unlink, [OP_FSMOUNT] = do_fsmount,
	[OP_CLONE_MOUNT] = do_clone_mount, [OP_MOUNT_ATTR] = do_mount_attr, [OP_ATTACH_MOUNT] = do_attach_mount,
	[OP_COVER] = do_cover, [OP_UMOUNT] = do_umount, [OP_PROPAGATION] = do_propagation, [OP_PIVOT] = do_pivot,
	[OP_IDMAP] = do_idmap, [OP_OPEN_NS] = do_open_ns, [OP_UNSHARE] = do_unshare, [OP_SETNS] = do_setns,
	[OP_TIMENS] = do_timens, [OP_JOIN] = do_join, [OP_HOSTNAME] = do_hostname, [OP_DOMAINNAME] = do_domainname,
	[OP_RLIMIT] = do_rlimit, [OP_USER] = do_user, [OP_CAPS] = do_caps, [OP_NO_NEW_PRIVS] = do_no_new_privs,
	[OP_SECCOMP] = do_seccomp, [OP_CHDIR] = do_chdir, [OP_PERSONALITY] = do_personality,
	[OP_NETLINK] = do_netlink, [OP_RESERVE_PORT] = do_reserve_port, [OP_DEVICE_PROGRAM] = do_device_program,
	[OP_TTY] = step_tty, [OP_EXEC] = step_exec, [OP_UNPACK] = do_unpack, [OP_PACK] = do_pack,
	[OP_READ] = do_read, [OP_MASK] = do_mask, [OP_OOM_SCORE] = do_oom_score,
};

int step_run(struct run *r, const struct step *s, struct failure *f)
{
	if (actions[s->op])
		return actions[s->op](r, s, f);
	errno = ENOSYS; /* OP_CLONE is the runner's own */
	return fail(f, "operation %d", s->op);
}

void run_init(struct run *r, int conn)
{
	memset(r, 0, sizeof *r);
	memset(r->slot, 0xff, sizeof r->slot);
	r->conn = conn;
	r->sync = -1;
}

void run_close_slots(struct run *r, int from)
{
	for (int i = from; i < SLOTS; i++)
		if (r->slot[i] >= 0) {
			close(r->slot[i]);
			r->slot[i] = -1;
		}
}

void run_after(struct run *r, uint32_t until)
{
	struct failure ignored;
	for (uint32_t i = until; i-- > 0;)
		if (r->plan.step[i].actor == AFTER)
			step_run(r, &r->plan.step[i], &ignored);
}
