/* Each operation of a plan as one short function, in the order of the table at the end. */
#include "sys.h"
#include "steps.h"
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/personality.h>
#include <time.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define RETRY_MS 10
#define RMDIR_TRIES 100 /* a second: the kernel empties a cgroup a little after its last process */

static int slot_fd(const struct run *r, uint64_t slot)
{
	return slot < SLOTS ? r->slot[slot] : -1;
}

static void slot_put(struct run *r, uint64_t slot, int fd)
{
	if (slot >= SLOTS) {
		close(fd);
		return;
	}
	if (r->slot[slot] >= 0)
		close(r->slot[slot]);
	r->slot[slot] = fd;
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
	if (strlen(path) >= sizeof dir) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*name = slash ? slash + 1 : path;
	if (!slash || slash == path) {
		strcpy(dir, at == NONE && !slash ? "." : "/");
	} else {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = 0;
	}
	return open_at(r, at, dir, O_PATH | O_DIRECTORY, 0);
}

static int do_open(struct run *r, const struct step *s, struct failure *f)
{
	int fd = open_at(r, s->num[0], s->str[0].s, (int)s->num[2], (mode_t)s->num[3]);
	if (fd < 0)
		return fail(f, "%s", s->str[0].s);
	slot_put(r, s->num[1], fd);
	return 0;
}

static int do_write(struct run *r, const struct step *s, struct failure *f)
{
	int fd = open_at(r, s->num[0], s->str[0].s, O_WRONLY | O_NOCTTY, 0);
	ssize_t n = fd < 0 ? -1 : write(fd, s->str[1].s, s->str[1].len);
	int bad = n != (ssize_t)s->str[1].len, err = n >= 0 && bad ? EIO : errno;
	if (fd >= 0)
		close(fd);
	errno = err;
	return bad && !s->num[1] ? fail(f, "%s", s->str[0].s) : 0;
}

static int own_at(int dir, const char *name, uint64_t uid, uint64_t gid)
{
	if (uid == NONE && gid == NONE)
		return 0;
	return fchownat(dir, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW);
}

static int do_mkdir(struct run *r, const struct step *s, struct failure *f)
{
	const char *name;
	int rc = 0, parent = open_parent(r, s->num[0], s->str[0].s, &name);
	if (parent < 0)
		return fail(f, "%s", s->str[0].s);
	if (mkdirat(parent, name, (mode_t)s->num[1]) ? errno != EEXIST : own_at(parent, name, s->num[2], s->num[3]))
		rc = fail(f, "%s", s->str[0].s);
	close(parent);
	return rc;
}

static int do_mknod(struct run *r, const struct step *s, struct failure *f)
{
	const char *name;
	int rc = 0, parent = open_parent(r, s->num[0], s->str[0].s, &name);
	if (parent < 0)
		return fail(f, "%s", s->str[0].s);
	mode_t mode = (mode_t)s->num[1];
	/* chmod after mknod: the umask must not decide who may open a device. */
	if (mknodat(parent, name, mode, makedev((unsigned)s->num[2], (unsigned)s->num[3])) ||
	    fchmodat(parent, name, mode & 07777, 0) || own_at(parent, name, s->num[4], s->num[5]))
		rc = fail(f, "%s", s->str[0].s);
	close(parent);
	return rc;
}

static int do_symlink(struct run *r, const struct step *s, struct failure *f)
{
	const char *name;
	int parent = open_parent(r, s->num[0], s->str[0].s, &name);
	int rc = parent < 0 || symlinkat(s->str[1].s, parent, name) || own_at(parent, name, s->num[1], s->num[2])
			 ? fail(f, "%s", s->str[0].s)
			 : 0;
	if (parent >= 0)
		close(parent);
	return rc;
}

static int do_rmdir(struct run *r, const struct step *s, struct failure *f)
{
	const char *name;
	int rc = -1, parent = open_parent(r, s->num[0], s->str[0].s, &name);
	if (parent < 0)
		return errno == ENOENT ? 0 : fail(f, "%s", s->str[0].s);
	for (int i = 0; i < RMDIR_TRIES; i++) {
		rc = unlinkat(parent, name, AT_REMOVEDIR);
		if (!rc || errno != EBUSY)
			break;
		nanosleep(&(struct timespec){0, RETRY_MS * 1000000L}, NULL);
	}
	if (rc && errno != ENOENT)
		fail(f, "%s", s->str[0].s);
	else
		rc = 0;
	close(parent);
	return rc;
}

static int do_unlink(struct run *r, const struct step *s, struct failure *f)
{
	const char *name;
	int parent = open_parent(r, s->num[0], s->str[0].s, &name);
	int rc = parent < 0 || unlinkat(parent, name, 0) ? -1 : 0;
	if (rc && errno == ENOENT)
		rc = 0;
	if (rc)
		fail(f, "%s", s->str[0].s);
	if (parent >= 0)
		close(parent);
	return rc;
}

/* What the kernel says of a failed mount (fsconfig keeps messages to be read from the descriptor). */
static int fail_mount(struct failure *f, int fs, const char *type, const char *key)
{
	char why[160] = "";
	int err = errno;
	ssize_t n = fs >= 0 ? read(fs, why, sizeof why - 1) : 0;
	why[n > 0 ? n - (why[n - 1] == '\n') : 0] = 0;
	errno = err;
	return fail(f, "%s %s%s%s", type, key, *why ? ": " : "", why);
}

static int do_fsmount(struct run *r, const struct step *s, struct failure *f)
{
	const char *type = s->str[0].s;
	int fs = sys_fsopen(type), fd;
	if (fs < 0)
		return fail(f, "%s", type);
	for (uint16_t i = 0; i + 2 < s->nnum; i++) {
		const char *key = s->str[1 + 2 * i].s, *value = s->str[2 + 2 * i].s;
		uint64_t how = s->num[2 + i]; /* NONE: a string, NONE-1: a flag, else a slot */
		int rc = how == NONE	   ? sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0)
			 : how == NONE - 1 ? sys_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0)
					   : sys_fsconfig(fs, FSCONFIG_SET_FD, key, NULL, slot_fd(r, how));
		if (rc) {
			fail_mount(f, fs, type, key);
			close(fs);
			return -1;
		}
	}
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) || (fd = sys_fsmount(fs, (unsigned)s->num[1])) < 0) {
		fail_mount(f, fs, type, "mount");
		close(fs);
		return -1;
	}
	close(fs);
	slot_put(r, s->num[0], fd);
	return 0;
}

static int do_clone_mount(struct run *r, const struct step *s, struct failure *f)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (s->num[2] ? AT_RECURSIVE : 0);
	int at = open_at(r, s->num[0], s->str[0].s, O_PATH, 0);
	int fd = at < 0 ? -1 : sys_open_tree(at, "", flags | AT_EMPTY_PATH);
	if (fd < 0)
		fail(f, "%s", s->str[0].s);
	if (at >= 0)
		close(at);
	if (fd < 0)
		return -1;
	slot_put(r, s->num[1], fd);
	return 0;
}

static int do_mount_attr(struct run *r, const struct step *s, struct failure *f)
{
	struct mount_attr a = {.attr_set = s->num[1], .attr_clr = s->num[2], .propagation = s->num[3]};
	if (s->num[4] != NONE) {
		a.attr_set |= MOUNT_ATTR_IDMAP;
		a.userns_fd = (uint64_t)slot_fd(r, s->num[4]);
	}
	unsigned flags = AT_EMPTY_PATH | (s->num[5] ? AT_RECURSIVE : 0);
	return sys_mount_setattr(slot_fd(r, s->num[0]), "", flags, &a) ? fail(f, "mount attributes") : 0;
}

/* Makes what is missing of `path` inside the root: directories, and at the end a directory or an empty file. */
static int make_target(const struct run *r, uint64_t at, const char *path, int dir)
{
	char prefix[PATH_MAX];
	if (strlen(path) >= sizeof prefix) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		const char *end = strchr(p + 1, '/');
		size_t len = end ? (size_t)(end - path) : strlen(path);
		const char *name;
		memcpy(prefix, path, len);
		prefix[len] = 0;
		int fd = open_at(r, at, prefix, O_PATH, 0);
		if (fd < 0 && errno == ENOENT) {
			int parent = open_parent(r, at, prefix, &name), rc;
			if (parent < 0)
				return -1;
			if (end || dir)
				rc = mkdirat(parent, name, 0755);
			else
				rc = fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
			close(parent);
			if (rc < 0 && errno != EEXIST)
				return -1;
		} else if (fd < 0) {
			return -1;
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int do_attach_mount(struct run *r, const struct step *s, struct failure *f)
{
	const char *path = s->str[0].s;
	struct stat st;
	if (s->num[2] && (fstat(slot_fd(r, s->num[1]), &st) || make_target(r, s->num[0], path, S_ISDIR(st.st_mode))))
		return fail(f, "%s", path);
	int target = open_at(r, s->num[0], path, O_PATH, 0);
	int rc = target < 0 || sys_move_mount(slot_fd(r, s->num[1]), "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
			 ? fail(f, "%s", path)
			 : 0;
	if (target >= 0)
		close(target);
	return rc;
}

/* Clones the mount at the descriptor, gives it the attributes and puts it over its origin. */
static int cover(int fd, uint64_t attrs)
{
	struct mount_attr a = {.attr_set = attrs};
	int rc = -1, tree = sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree >= 0 && !sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &a))
		rc = sys_move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (tree >= 0)
		close(tree);
	return rc;
}

static int do_cover(struct run *r, const struct step *s, struct failure *f)
{
	int fd = open_at(r, s->num[0], s->str[0].s, O_PATH, 0);
	if (fd < 0)
		return s->num[2] && errno == ENOENT ? 0 : fail(f, "%s", s->str[0].s);
	int rc = cover(fd, s->num[1]) ? fail(f, "%s", s->str[0].s) : 0;
	close(fd);
	return rc;
}

/* The mount that hides: one empty read-only tmpfs for all directories, the container's own /dev/null else. */
static int mask_mount(int target, int *tmpfs)
{
	struct stat st;
	if (fstat(target, &st))
		return -1;
	if (S_ISDIR(st.st_mode)) {
		if (*tmpfs >= 0)
			return sys_open_tree(*tmpfs, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		int fs = sys_fsopen("tmpfs"), fd = -1;
		if (fs >= 0 && !sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", "0k", 0) &&
		    !sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
			fd = sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		if (fs >= 0)
			close(fs);
		*tmpfs = fd;
		return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	int null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1;
	/* CVE-2025-31133: a /dev/null that is something else would be mounted over the file instead of hiding it. */
	if (null >= 0 && !fstat(null, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		fd = sys_open_tree(null, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	else
		errno = ENODEV;
	if (null >= 0)
		close(null);
	return fd;
}

static int do_mask(struct run *r, const struct step *s, struct failure *f)
{
	static int tmpfs = -1;
	int target = open_at(r, NONE, s->str[0].s, O_PATH | O_NOFOLLOW, 0);
	if (target < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(f, "%s", s->str[0].s);
	int fd = mask_mount(target, &tmpfs);
	int rc = fd < 0 || sys_move_mount(fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
			 ? fail(f, "%s", s->str[0].s)
			 : 0;
	if (fd >= 0)
		close(fd);
	close(target);
	return rc;
}

static int do_umount(struct run *r, const struct step *s, struct failure *f)
{
	char proc[64];
	int fd = open_at(r, s->num[0], s->str[0].s, O_PATH, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail(f, "%s", s->str[0].s);
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	/* By descriptor the mount is busy with ourselves, so only a lazy unmount can go this way. */
	int rc = umount2(s->num[0] == NONE ? s->str[0].s : proc, (int)s->num[1]);
	close(fd);
	return rc && errno != EINVAL ? fail(f, "%s", s->str[0].s) : 0;
}

static int do_propagation(struct run *r, const struct step *s, struct failure *f)
{
	(void)r;
	return mount(NULL, "/", NULL, s->num[0], NULL) ? fail(f, "/") : 0;
}

/* After pivot_root(".", ".") the old root lies over the new one; once detached, ".." of / must be / itself. */
static int do_pivot(struct run *r, const struct step *s, struct failure *f)
{
	struct stat root, up, want;
	int fd = slot_fd(r, s->num[0]);
	if (fstat(fd, &want) || fchdir(fd) || sys_pivot_root(".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fail(f, "pivot_root");
	if (stat("/", &root) || stat("/..", &up) || root.st_ino != up.st_ino || root.st_dev != up.st_dev ||
	    root.st_ino != want.st_ino || root.st_dev != want.st_dev) {
		errno = EXDEV;
		return fail(f, "the old root is still in reach");
	}
	return 0;
}

static int write_child(const struct run *r, const char *file, const char *data, struct failure *f)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)r->child, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, data, strlen(data)) < 0 ? fail(f, "%s", path) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int do_idmap(struct run *r, const struct step *s, struct failure *f)
{
	return write_child(r, "gid_map", s->str[1].s, f) || write_child(r, "uid_map", s->str[0].s, f) ? -1 : 0;
}

static int do_open_ns(struct run *r, const struct step *s, struct failure *f)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%.16s", (int)r->child, s->str[0].s);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(f, "%s", path);
	slot_put(r, s->num[0], fd);
	return 0;
}

static int do_unshare(struct run *r, const struct step *s, struct failure *f)
{
	(void)r;
	return unshare((int)s->num[0]) ? fail(f, "unshare") : 0;
}

static int do_setns(struct run *r, const struct step *s, struct failure *f)
{
	return setns(slot_fd(r, s->num[0]), (int)s->num[1]) ? fail(f, "setns") : 0;
}

/* The children to come live in a new time namespace; with num[0] their clocks start at nought. */
static int do_timens(struct run *r, const struct step *s, struct failure *f)
{
	char zero[96];
	const char *offsets = s->str[0].s;
	(void)r;
	if (s->num[0]) {
		struct timespec mono, boot;
		clock_gettime(CLOCK_MONOTONIC, &mono);
		clock_gettime(CLOCK_BOOTTIME, &boot);
		snprintf(zero, sizeof zero, "monotonic -%lld 0\nboottime -%lld 0\n", (long long)mono.tv_sec, (long long)boot.tv_sec);
		offsets = zero;
	}
	if (unshare(CLONE_NEWTIME))
		return fail(f, "unshare time namespace");
	int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, offsets, strlen(offsets)) < 0 ? fail(f, "/proc/self/timens_offsets") : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int do_join(struct run *r, const struct step *s, struct failure *f)
{
	return write(slot_fd(r, s->num[0]), "0", 1) != 1 ? fail(f, "joining the cgroup") : 0;
}

static int do_hostname(struct run *r, const struct step *s, struct failure *f)
{
	(void)r;
	return sethostname(s->str[0].s, s->str[0].len) ? fail(f, "%s", s->str[0].s) : 0;
}

static int do_domainname(struct run *r, const struct step *s, struct failure *f)
{
	(void)r;
	return setdomainname(s->str[0].s, s->str[0].len) ? fail(f, "%s", s->str[0].s) : 0;
}

/* Where CAP_SYS_RESOURCE is missing a limit cannot be raised; that is no failure when it holds already. */
static int do_rlimit(struct run *r, const struct step *s, struct failure *f)
{
	struct rlimit now, want = {s->num[1], s->num[2]};
	/* The parent sets the child's: it has rights that the child, in its user namespace, has not. */
	pid_t who = s->actor == PARENT ? r->child : 0;
	if (!prlimit(who, (int)s->num[0], &want, NULL))
		return 0;
	if (!prlimit(who, (int)s->num[0], NULL, &now) && now.rlim_cur == want.rlim_cur && now.rlim_max == want.rlim_max)
		return 0;
	errno = EPERM;
	return fail(f, "resource limit %d", (int)s->num[0]);
}

static int do_user(struct run *r, const struct step *s, struct failure *f)
{
	gid_t groups[NGROUPS_MAX > 4096 ? 4096 : NGROUPS_MAX];
	size_t n = (size_t)s->nnum - 3;
	(void)r;
	if (n > sizeof groups / sizeof *groups) {
		errno = EINVAL;
		return fail(f, "too many groups");
	}
	for (size_t i = 0; i < n; i++)
		groups[i] = (gid_t)s->num[3 + i];
	if (isatty(0) && fchown(0, (uid_t)s->num[0], (gid_t)-1))
		return fail(f, "owner of the terminal");
	if (s->num[2] != NONE)
		umask((mode_t)s->num[2]);
	gid_t gid = (gid_t)s->num[1];
	uid_t uid = (uid_t)s->num[0];
	/* Capabilities survive the change until the `caps` step sets them. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(n, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return fail(f, "user %u:%u", (unsigned)uid, (unsigned)gid);
	return 0;
}

static int set_caps(uint64_t eff, uint64_t perm, uint64_t inh)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{(uint32_t)eff, (uint32_t)perm, (uint32_t)inh},
					      {(uint32_t)(eff >> 32), (uint32_t)(perm >> 32), (uint32_t)(inh >> 32)}};
	return sys_capset(&h, d);
}

static int get_permitted(uint64_t *perm)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (sys_capget(&h, d))
		return -1;
	*perm = d[0].permitted | (uint64_t)d[1].permitted << 32;
	return 0;
}

static int do_caps(struct run *r, const struct step *s, struct failure *f)
{
	uint64_t held;
	(void)r;
	if (get_permitted(&held) || set_caps(held, held, 0))
		return fail(f, "capget");
	for (unsigned cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && !(s->num[0] >> cap & 1) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return fail(f, "bounding set, capability %u", cap);
	if (set_caps(s->num[1] & held, s->num[2] & held, s->num[3] & held))
		return fail(f, "capset");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned cap = 0; cap < 64; cap++)
		if ((s->num[4] & held) >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return fail(f, "ambient set, capability %u", cap);
	/* Try to break the promise: what was dropped must not come back. */
	if (held & ~s->num[2] && set_caps(held, held, 0) == 0) {
		errno = EPERM;
		return fail(f, "dropped capabilities could be regained");
	}
	return 0;
}

static int do_no_new_privs(struct run *r, const struct step *s, struct failure *f)
{
	(void)r, (void)s;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? fail(f, "no_new_privs") : 0;
}

static int do_seccomp(struct run *r, const struct step *s, struct failure *f)
{
	struct sock_fprog prog = {(unsigned short)(s->str[0].len / sizeof(struct sock_filter)), NULL};
	struct sock_filter *copy = malloc(s->str[0].len + 1); /* the plan's bytes need not be aligned */
	(void)r;
	if (!copy || s->str[0].len > BPF_MAXINSNS * sizeof *copy) {
		errno = copy ? EINVAL : ENOMEM;
		free(copy);
		return fail(f, "seccomp");
	}
	memcpy(copy, s->str[0].s, s->str[0].len);
	prog.filter = copy;
	int rc = sys_seccomp(SECCOMP_SET_MODE_FILTER, (unsigned)s->num[0], &prog) ? fail(f, "seccomp") : 0;
	free(copy);
	return rc;
}

/* CVE-2024-21626: a working directory reached through a leaked descriptor lies outside the root. */
static int do_chdir(struct run *r, const struct step *s, struct failure *f)
{
	char where[PATH_MAX];
	if (s->num[0] && make_target(r, NONE, s->str[0].s, 1))
		return fail(f, "%s", s->str[0].s);
	if (chdir(s->str[0].s))
		return fail(f, "%s", s->str[0].s);
	if (!getcwd(where, sizeof where) || where[0] != '/') {
		errno = EXDEV;
		return fail(f, "%s", s->str[0].s);
	}
	return 0;
}

static int do_personality(struct run *r, const struct step *s, struct failure *f)
{
	(void)r;
	return personality(s->num[0]) < 0 ? fail(f, "personality") : 0;
}

static int do_read(struct run *r, const struct step *s, struct failure *f)
{
	struct stat st;
	uint64_t max = s->num[1] > 1 << 24 ? 1 << 24 : s->num[1], size = 0;
	int fd = open_at(r, s->num[0], s->str[0].s, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	char *buf = malloc(max + 1);
	if (buf && fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		for (ssize_t n; size < max && (n = read(fd, buf + size, max - size)) > 0;)
			size += (uint64_t)n;
	int rc = !buf || send_frame(r->conn, 'D', buf, size) ? fail(f, "%s", s->str[0].s) : 0;
	if (fd >= 0)
		close(fd);
	free(buf);
	return rc;
}

static int emit_conn = -1;
static int emit(const void *data, size_t size)
{
	return send_frame(emit_conn, 'D', data, size);
}

static int do_pack(struct run *r, const struct step *s, struct failure *f)
{
	emit_conn = r->conn;
	return files_pack(s->str[0].s, emit, f);
}

static int do_unpack(struct run *r, const struct step *s, struct failure *f)
{
	(void)s;
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
	[OP_READ] = do_read, [OP_MASK] = do_mask,
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
