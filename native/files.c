/* Files in and out of a tree, as an operation stream (its format: src/store/ops.ts).
 *
 * The enemy wrote the stream (an image layer, an archive for `docker cp`) or the tree (a container's files).
 * Protection, outside in: the plan that ends here has pivoted into the target and holds nothing else; every
 * folder is resolved with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); the last component is never followed.
 * NOT protected here: how much is written (the sender counts). Nothing is remembered but one parent folder. */
#define _GNU_SOURCE
#include "dewar.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DIR_ = 1, FILE_, SYMLINK, HARDLINK, CHAR, BLOCK, FIFO, WHITEOUT, OPAQUE, REMOVE, TIMES, END = 255 };
enum {
	KEEP_TYPE = 1, /* never put a directory in the place of something else, nor the reverse (docker cp) */
	IMPLICIT = 2,  /* a parent the archive left out: whatever is there is fine */
	XATTRS_MAX = 256 << 10,
	CHUNK = 128 << 10,
	/* Each level of a tree that is removed or packed holds a descriptor; hostile trees have no depth limit. */
	DEPTH_MAX = 512,
	LINKS = 1 << 20, /* slots; half of them are used */
	LINK_BYTES = 64 << 20,
};
#define OPAQUE_XATTR "trusted.overlay.opaque"
static const char magic[4] = "DWO1";

/* Little endian and naturally aligned: x86-64 and arm64 read it as it lies. */
struct header {
	uint8_t kind, flags;
	uint16_t path_len, link_len, zero;
	uint32_t xattr_len, mode, uid, gid, mtime_ns, major;
	int64_t mtime;
	uint64_t size; /* of a file; the minor number of a device */
};
struct chunk {
	uint32_t len, zero;
	uint64_t offset;
};
_Static_assert(sizeof(struct header) == 48 && sizeof(struct chunk) == 16, "as in ops.ts");

static struct header entry;
static char path[PATH_MAX], link_path[PATH_MAX],
	xattrs[XATTRS_MAX + 8]; /* a header may be read past the end */
static unsigned char buffer[256 << 10];
static size_t buffered, taken;
static int root = -1, parent = -1;
static char parent_path[PATH_MAX];

/* Closes fd and keeps the errno of what went wrong before, if anything did. */
static int done(int fd, int bad)
{
	int keep = errno;
	if (fd >= 0 && close(fd) && !bad)
		return -1;
	errno = keep;
	return bad ? -1 : 0;
}

static int refuse(int err)
{
	errno = err;
	return -1;
}

/* ---------------------------------------------------------------- names */

static int open_dir(const char *name)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	long fd = -1;
	/* EAGAIN: a rename somewhere raced with the walk (openat2(2)). */
	for (int tries = 0; tries < 64 && (fd = syscall(SYS_openat2, root, name, &how, sizeof how)) < 0;
	     tries++)
		if (errno != EAGAIN)
			break;
	return (int)fd;
}

static int open_here(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The last component of a name in the stream, NULL when it could lead elsewhere; `slash` is put to its end. */
static char *last_of(char *name, char **slash)
{
	*slash = strrchr(name, '/');
	char *last = *slash ? *slash + 1 : name;
	int plain = *last && strcmp(last, ".") && strcmp(last, "..");
	return plain || !strcmp(name, ".") ? last : NULL;
}

static void forget_parent(void)
{
	if (parent >= 0)
		close(parent);
	parent = -1;
}

/* The folder that `path` lies in, kept open for the next entry. */
static int open_parent(const char **last)
{
	char *slash;
	if (!(*last = last_of(path, &slash)))
		return refuse(EBADMSG);
	const char *name = slash == path ? "/" : slash ? path : ".";
	size_t len = slash > path ? (size_t)(slash - path) : 1;
	if (parent >= 0 && !strncmp(parent_path, name, len) && !parent_path[len])
		return parent;
	forget_parent();
	memcpy(parent_path, name, len);
	parent_path[len] = 0;
	return parent = open_dir(parent_path);
}

/* The next real entry; NULL at the end or, with *bad, when the folder cannot be read. */
static struct dirent *next_of(DIR *list, int *bad)
{
	struct dirent *d;
	do
		errno = 0;
	while ((d = readdir(list)) && (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..")));
	*bad = !d && errno ? -1 : 0;
	return d;
}

static int close_list(DIR *list, int bad)
{
	int keep = errno;
	closedir(list);
	errno = keep;
	return bad;
}

static int remove_at(int dir, const char *name, int depth)
{
	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	if ((errno != EISDIR && errno != EPERM) || !unlinkat(dir, name, AT_REMOVEDIR))
		return errno == EISDIR || errno == EPERM ? 0 : -1;
	if (errno != ENOTEMPTY || depth == DEPTH_MAX)
		return errno == ENOTEMPTY ? refuse(ELOOP) : -1;
	int fd = open_here(dir, name), bad = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return done(fd, 1);
	for (struct dirent *d; !bad && (d = next_of(list, &bad));)
		bad = remove_at(fd, d->d_name, depth + 1);
	return close_list(list, bad) ? -1 : unlinkat(dir, name, AT_REMOVEDIR);
}

/* ---------------------------------------------------------------- the stream in */

static int fill(int in)
{
	ssize_t n;
	while ((n = read(in, buffer, sizeof buffer)) < 0 && errno == EINTR)
		;
	taken = 0;
	buffered = n > 0 ? (size_t)n : 0;
	return n == 0 ? refuse(EPIPE) : n < 0 ? -1 : 0;
}

static int take(int in, void *to, size_t n)
{
	for (char *at = to; n > 0;) {
		if (taken == buffered && fill(in))
			return -1;
		size_t part = n < buffered - taken ? n : buffered - taken;
		memcpy(at, buffer + taken, part);
		taken += part;
		at += part;
		n -= part;
	}
	return 0;
}

static int take_entry(int in)
{
	if (take(in, &entry, sizeof entry) || entry.kind == END)
		return entry.kind == END ? 0 : -1;
	if (!entry.path_len || entry.path_len >= PATH_MAX || entry.link_len >= PATH_MAX ||
	    entry.xattr_len > XATTRS_MAX)
		return refuse(EBADMSG);
	if (take(in, path, entry.path_len) || take(in, link_path, entry.link_len) ||
	    take(in, xattrs, entry.xattr_len))
		return -1;
	path[entry.path_len] = link_path[entry.link_len] = 0;
	/* An id of -1 would mean "leave it" to chown(2). */
	if (strlen(path) != entry.path_len || strlen(link_path) != entry.link_len ||
	    entry.uid == UINT32_MAX || entry.gid == UINT32_MAX || entry.mtime_ns >= 1000000000 ||
	    entry.mode > 07777 || entry.size > INT64_MAX)
		return refuse(EBADMSG);
	return 0;
}

/* Data in ascending order; what is left out is a hole. */
static int take_data(int in, int fd)
{
	uint64_t end = 0;
	for (struct chunk c;;) {
		if (take(in, &c, sizeof c))
			return -1;
		if (c.len == 0)
			return end == entry.size ? 0 : ftruncate(fd, (off_t)entry.size);
		if (c.offset < end || c.offset > entry.size || c.len > entry.size - c.offset)
			return refuse(EBADMSG);
		for (end = c.offset + c.len; c.offset < end;) {
			if (taken == buffered && fill(in))
				return -1;
			size_t part = buffered - taken < end - c.offset ? buffered - taken
									: (size_t)(end - c.offset);
			ssize_t n = pwrite(fd, buffer + taken, part, (off_t)c.offset);
			if (n < 0 && errno != EINTR)
				return -1;
			taken += n > 0 ? (size_t)n : 0;
			c.offset += n > 0 ? (uint64_t)n : 0;
		}
	}
}

/* ---------------------------------------------------------------- unpack */

/* Entries of u32 length of the value, u8 length of the name, name, value. */
static int set_xattrs(int fd)
{
	for (size_t at = 0, left; (left = entry.xattr_len - at) > 0;) {
		uint32_t value;
		char name[256];
		size_t len = (uint8_t)xattrs[at + 4];
		memcpy(&value, xattrs + at, 4);
		if (left < 5 || left - 5 < len || left - 5 - len < value)
			return refuse(EBADMSG);
		memcpy(name, xattrs + at + 5, len);
		name[len] = 0;
		if (fsetxattr(fd, name, xattrs + at + 5 + len, value, 0))
			return -1;
		at += 5 + len + value;
	}
	return 0;
}

static const struct timespec *times_of(void)
{
	static struct timespec t[2];
	t[0] = t[1] = (struct timespec){.tv_sec = (time_t)entry.mtime, .tv_nsec = (long)entry.mtime_ns};
	return t;
}

/* Owner first: chown(2) takes away set-user-ID bits and file capabilities. */
static int set_attributes(int fd)
{
	return fchown(fd, entry.uid, entry.gid) || set_xattrs(fd) || fchmod(fd, entry.mode) ||
	       futimens(fd, times_of());
}

static int set_opaque(int dir, const char *name)
{
	int fd = open_here(dir, name);
	return done(fd, fd < 0 || fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0));
}

static int is_whiteout(const struct stat *st) { return S_ISCHR(st->st_mode) && st->st_rdev == 0; }

static int put_file(int in, int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : done(fd, take_data(in, fd) || set_attributes(fd));
}

/* `was`: what lies there already, if anything. A folder that takes the place of a whiteout hides what the lower
 * layers have, as the whiteout did: it becomes opaque (image-spec layer.md, "Whiteouts"). */
static int put_dir(int dir, const char *name, const struct stat *was)
{
	int there = was && S_ISDIR(was->st_mode);
	if (was && !there && entry.flags & IMPLICIT && !is_whiteout(was))
		return 0;
	if (was && !there && remove_at(dir, name, 0))
		return -1;
	if (!there && mkdirat(dir, name, entry.flags & IMPLICIT ? 0755 : 0700))
		return -1;
	if (was && is_whiteout(was) && set_opaque(dir, name))
		return -1;
	if (entry.flags & IMPLICIT)
		return 0;
	int fd = open_here(dir, name);
	return done(fd, fd < 0 || set_attributes(fd));
}

static int put_hardlink(int dir, const char *name)
{
	char *slash, *last = last_of(link_path, &slash);
	if (!last)
		return refuse(EBADMSG);
	if (slash)
		*slash = 0;
	int from = open_dir(slash == link_path ? "/" : slash ? link_path : ".");
	if (slash)
		*slash = '/';
	return done(from, from < 0 || linkat(from, last, dir, name, 0));
}

static int put_special(int dir, const char *name)
{
	static const mode_t types[] = {[CHAR] = S_IFCHR, [BLOCK] = S_IFBLK, [FIFO] = S_IFIFO};
	dev_t device = entry.kind == FIFO ? 0 : makedev(entry.major, (unsigned)entry.size);
	if (entry.kind == SYMLINK ? symlinkat(link_path, dir, name)
				  : mknodat(dir, name, types[entry.kind] | entry.mode, device))
		return -1;
	return fchownat(dir, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) ||
	       utimensat(dir, name, times_of(), AT_SYMLINK_NOFOLLOW);
}

static int put(int in, int dir, const char *name, const struct stat *was)
{
	switch (entry.kind) {
	case DIR_: return put_dir(dir, name, was);
	case FILE_: return put_file(in, dir, name);
	case SYMLINK:
	case CHAR:
	case BLOCK:
	case FIFO: return put_special(dir, name);
	case HARDLINK: return put_hardlink(dir, name);
	/* Hides what the lower layers have under that name and nothing that this layer brought. */
	case WHITEOUT:
		if (!was)
			return mknodat(dir, name, S_IFCHR, 0);
		return S_ISDIR(was->st_mode) ? set_opaque(dir, name) : 0;
	case OPAQUE: return set_opaque(dir, name);
	case REMOVE: return remove_at(dir, name, 0);
	/* What an archive said of a folder that it took away later is void. */
	case TIMES: return was ? utimensat(dir, name, times_of(), AT_SYMLINK_NOFOLLOW) : 0;
	default: return refuse(EBADMSG);
	}
}

static int apply(int in)
{
	const char *name;
	struct stat st, *was = NULL;
	int dir = open_parent(&name), makes = entry.kind >= FILE_ && entry.kind <= FIFO;
	if (dir < 0)
		return (errno == ENOENT || errno == ENOTDIR) && entry.kind == TIMES ? 0 : -1;
	if (!strcmp(path, ".") && entry.kind != DIR_ && entry.kind != OPAQUE && entry.kind != TIMES)
		return refuse(EBADMSG);
	/* The common case costs no stat: creation is exclusive and comes before any of the entry's data is taken. */
	if (makes && !put(in, dir, name, NULL))
		return 0;
	if (makes && errno != EEXIST)
		return -1;
	if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		was = &st;
	else if (errno != ENOENT)
		return -1;
	if (was && entry.flags & KEEP_TYPE && (makes || entry.kind == DIR_) &&
	    S_ISDIR(st.st_mode) != (entry.kind == DIR_))
		return refuse(makes ? EISDIR : ENOTDIR);
	return makes && remove_at(dir, name, 0) ? -1 : put(in, dir, name, was);
}

int files_unpack(int in, struct failure *f)
{
	char start[sizeof magic];
	umask(0);
	taken = buffered = 0;
	strcpy(path, "the stream");
	root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int bad = root < 0 || take(in, start, sizeof start);
	if (!bad && memcmp(start, magic, sizeof magic))
		bad = refuse(EBADMSG);
	while (!bad && !(bad = take_entry(in)) && entry.kind != END)
		bad = apply(in);
	if (bad)
		fail(f, "%s", path);
	forget_parent();
	return done(root, bad);
}

/* ---------------------------------------------------------------- pack */

static int (*emit)(const void *, size_t);
static struct seen { /* names that inodes with several links were packed under */
	struct {
		uint64_t dev, ino;
		uint32_t name; /* offset in names, 0 is free */
	} at[LINKS];
	size_t count, bytes;
	char names[LINK_BYTES];
} * seen;

static int give(const void *from, size_t n)
{
	if (n > sizeof buffer - buffered) {
		size_t full = buffered;
		buffered = 0;
		if (emit(buffer, full))
			return -1;
	}
	memcpy(buffer + buffered, from, n);
	buffered += n;
	return 0;
}

static int give_entry(uint8_t kind, const char *link)
{
	entry.kind = kind;
	entry.path_len = (uint16_t)strlen(path);
	entry.link_len = (uint16_t)strlen(link);
	return give(&entry, sizeof entry) || give(path, entry.path_len) || give(link, entry.link_len) ||
	       give(xattrs, entry.xattr_len);
}

static void describe(const struct stat *st)
{
	entry = (struct header){.mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid};
	entry.mtime = st->st_mtim.tv_sec;
	entry.mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
}

/* The name this inode was packed under first; NULL when it is new (and now remembered) or, with bad, too many. */
static const char *seen_as(const struct stat *st, int *bad)
{
	size_t i = (st->st_ino * 0x9e3779b97f4a7c15u >> 20) % LINKS, len = strlen(path) + 1;
	/* Untouched pages cost nothing; most trees have no such inodes. */
	if (!seen && (seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) == MAP_FAILED)
		return seen = NULL, *bad = -1, NULL;
	for (; seen->at[i].name; i = (i + 1) % LINKS)
		if (seen->at[i].ino == st->st_ino && seen->at[i].dev == st->st_dev)
			return seen->names + seen->at[i].name;
	if (seen->count == LINKS / 2 || len >= LINK_BYTES - seen->bytes)
		return *bad = refuse(EOVERFLOW), NULL;
	seen->count++;
	seen->at[i].dev = st->st_dev;
	seen->at[i].ino = st->st_ino;
	seen->at[i].name = (uint32_t)++seen->bytes;
	memcpy(seen->names + seen->bytes, path, len);
	seen->bytes += len;
	return NULL;
}

/* Fills `xattrs`; overlay's own are the storage's business. 1 when the folder is opaque, -1 on failure. */
static int get_xattrs(int fd)
{
	static char names[64 << 10];
	ssize_t all = flistxattr(fd, names, sizeof names), n;
	int opaque = 0;
	if (all < 0)
		return errno == ENOTSUP ? 0 : -1;
	for (char *name = names, value[2]; name < names + all; name += strlen(name) + 1) {
		size_t len = strlen(name), at = entry.xattr_len + 5 + len;
		if (!strncmp(name, "trusted.overlay.", 16)) {
			opaque |= !strcmp(name, OPAQUE_XATTR) && fgetxattr(fd, name, value, 2) == 1 &&
				  *value == 'y';
			continue;
		}
		if (at > XATTRS_MAX)
			return refuse(E2BIG);
		if ((n = fgetxattr(fd, name, xattrs + at, XATTRS_MAX - at)) < 0 && errno == ENODATA)
			continue;
		if (n < 0)
			return -1;
		memcpy(xattrs + entry.xattr_len, &(uint32_t){(uint32_t)n}, 4);
		xattrs[entry.xattr_len + 4] = (char)len;
		memcpy(xattrs + entry.xattr_len + 5, name, len);
		entry.xattr_len = (uint32_t)(at + (size_t)n);
	}
	return opaque;
}

static int give_data(int fd, off_t size)
{
	static char data[CHUNK];
	for (off_t at = 0, next; at < size;) {
		if ((next = lseek(fd, at, SEEK_DATA)) > at)
			at = next;
		if (at >= size ||
		    (next < 0 && errno == ENXIO)) /* only a hole is left; EINVAL: unknown here */
			break;
		ssize_t n = pread(fd, data, size - at < CHUNK ? (size_t)(size - at) : CHUNK, at);
		if (n < 0)
			return -1;
		if (n == 0) /* shorter than it was when it was described */
			break;
		if (give(&(struct chunk){.len = (uint32_t)n, .offset = (uint64_t)at}, sizeof(struct chunk)) ||
		    give(data, (size_t)n))
			return -1;
		at += n;
	}
	return give(&(struct chunk){0}, sizeof(struct chunk));
}

static int pack_file(int dir, const char *name, const struct stat *was)
{
	struct stat st;
	int bad = 0, fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	/* A FIFO or device put in its place meanwhile must not be read. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != was->st_ino)
		return done(fd, 0);
	const char *first = st.st_nlink > 1 ? seen_as(&st, &bad) : NULL;
	describe(&st);
	if (first || bad)
		return done(fd, bad || give_entry(HARDLINK, first));
	entry.size = (uint64_t)st.st_size;
	return done(fd, get_xattrs(fd) < 0 || give_entry(FILE_, "") || give_data(fd, st.st_size));
}

static int pack_node(int dir, const char *name, size_t end, int depth);

/* `path` is the folder's name in the stream and `end` its length, 0 for the root, which is named ".". */
static int pack_dir(int fd, size_t end, int depth)
{
	struct stat st;
	int opaque = fstat(fd, &st) ? -1 : (describe(&st), get_xattrs(fd)), bad;
	if (opaque < 0 || depth == DEPTH_MAX)
		return opaque < 0 ? -1 : refuse(ELOOP);
	if (give_entry(DIR_, "") || (opaque && (entry.xattr_len = 0, give_entry(OPAQUE, ""))))
		return -1;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	if (!list)
		return done(copy, 1);
	bad = 0;
	for (struct dirent *d; !bad && (d = next_of(list, &bad));) {
		size_t len = strlen(d->d_name), at = end ? end + 1 : 0;
		if (end)
			path[end] = '/';
		if (at + len < PATH_MAX)
			memcpy(path + at, d->d_name, len + 1);
		bad = at + len < PATH_MAX ? pack_node(fd, d->d_name, at + len, depth + 1)
					  : refuse(ENAMETOOLONG);
	}
	if (close_list(list, bad))
		return -1;
	strcpy(path + end, end ? "" : ".");
	describe(&st);
	return give_entry(TIMES, "");
}

static int pack_node(int dir, const char *name, size_t end, int depth)
{
	struct stat st;
	static char target[PATH_MAX]; /* each level of the recursion would hold one */
	ssize_t n;
	int fd;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1; /* gone since it was listed */
	describe(&st);
	entry.major = major(st.st_rdev);
	entry.size = minor(st.st_rdev);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG: return pack_file(dir, name, &st);
	case S_IFDIR:
		fd = open_here(dir, name);
		return fd < 0 ? -(errno != ENOENT) : done(fd, pack_dir(fd, end, depth));
	case S_IFLNK:
		if ((n = readlinkat(dir, name, target, sizeof target - 1)) < 0)
			return -(errno != ENOENT);
		target[n] = 0;
		return give_entry(SYMLINK, target);
	case S_IFCHR: return give_entry(is_whiteout(&st) ? WHITEOUT : CHAR, "");
	case S_IFBLK: return give_entry(BLOCK, "");
	case S_IFIFO: return give_entry(FIFO, "");
	default: return 0; /* sockets cannot travel in archives */
	}
}

int files_pack(const char *what, int (*to)(const void *, size_t), struct failure *f)
{
	char above[PATH_MAX] = "";
	emit = to;
	buffered = 0;
	strcpy(path, ".");
	root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dir = -1, bad = root < 0 || give(magic, sizeof magic);
	if (!bad && strlen(what) >= sizeof above)
		bad = refuse(ENAMETOOLONG);
	if (!bad) {
		char *slash = strrchr(strcpy(above, what), '/'), *last = slash ? slash + 1 : above;
		int whole = !*last || !strcmp(last, ".") || !strcmp(last, "..");
		const char *name = whole ? "." : last;
		if (slash && !whole)
			*slash = 0;
		dir = open_dir(whole ? what : slash == above ? "/" : slash ? above : ".");
		bad = dir < 0 || faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) ||
		      pack_node(dir, name, 0, 0);
	}
	bad = bad || give(&(struct header){.kind = END}, sizeof(struct header)) || emit(buffer, buffered);
	if (bad)
		fail(f, "%s", strcmp(path, ".") ? path : what);
	return done(root, done(dir, bad));
}
