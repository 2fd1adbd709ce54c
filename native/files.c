/* Files in and out of a tree, as an operation stream (its format: src/store/ops.ts).
 * The enemy wrote the stream (an image layer, an archive for `docker cp`) or the tree (a container's files).
 * Protection, outside in: the plan that ends here has pivoted into the target and holds nothing else; every
 * folder is resolved with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); the last component is never followed.
 * remove_at also runs in a shim, with all rights of the host, on a removed container's folder: it goes by descriptors,
 * follows no link and takes names as readdir(3) gives them, so that it stays below where the engine let it begin.
 * NOT protected here: how much is written (the sender counts). Remembered are one parent folder and, packing, names. */
#include "dewar.h"
#include <dirent.h>
#include <search.h>
#include <sys/xattr.h>

enum { DIR_ = 1, FILE_, SYMLINK, HARDLINK, CHAR, BLOCK, FIFO, WHITEOUT, OPAQUE, REMOVE, TIMES, END = 255 };
#define KEEP_TYPE 1 /* never put a directory in the place of something else, nor the reverse (docker cp) */
#define IMPLICIT 2  /* a parent the archive left out: whatever is there is fine */
#define XATTRS_MAX (256 << 10)
#define CHUNK (128 << 10)
#define DEPTH_MAX 512	      /* each level that is removed or packed holds a descriptor; hostile trees have no end */
#define LINKS_MAX (256 << 20) /* bytes of names of files with several, which are kept, each in a node of tsearch(3) */
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
static char path[PATH_MAX], link_path[PATH_MAX], xattrs[XATTRS_MAX + 8 /* a header may be read past the end */];
static char buffer[256 << 10] /* the stream */, data[CHUNK] /* of a file */;
static size_t buffered;
static int parent = -1;

static int is_plain(const char *name) { return *name && strcmp(name, ".") && strcmp(name, ".."); }

/* The folder that `path` lies in, kept open for the next entry. */
static int parent_of_path(const char **last) {
	static char kept[PATH_MAX];
	static size_t kept_len;
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	*last = slash ? slash + 1 : path;
	if (!is_plain(*last) && strcmp(path, ".")) return refuse(EBADMSG);
	if (parent >= 0 && len == kept_len && !memcmp(kept, path, len)) return parent;
	close_fd(&parent);
	memcpy(kept, path, kept_len = len);
	return parent = open_parent(AT_FDCWD, path, last);
}

static void close_list(DIR **list) {
	int keep = errno;
	if (*list) closedir(*list);
	errno = keep;
}

static DIR *open_list(int dir, const char *name) {
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) close_fd(&fd);
	return list;
}

/* The next real entry; NULL at the end or, with *bad, when the folder cannot be read. */
static const char *next_name(DIR *list, int *bad) {
	struct dirent *d;
	do errno = 0;
	while ((d = readdir(list)) && !is_plain(d->d_name));
	*bad = !d && errno ? -1 : 0;
	return d ? d->d_name : NULL;
}

int remove_at(int dir, const char *name, int depth) {
	int bad = 0;
	if (!unlinkat(dir, name, 0) || errno == ENOENT) return 0;
	if (errno != EISDIR && errno != EPERM) return -1;
	if (!unlinkat(dir, name, AT_REMOVEDIR)) return 0;
	if (errno != ENOTEMPTY || depth == DEPTH_MAX) return refuse(errno == ENOTEMPTY ? ELOOP : errno);
	__attribute__((cleanup(close_list))) DIR *list = open_list(dir, name);
	if (!list) return -1;
	for (const char *next; !bad && (next = next_name(list, &bad));) bad = remove_at(dirfd(list), next, depth + 1);
	return bad ? -1 : unlinkat(dir, name, AT_REMOVEDIR);
}

static int take(FILE *in, void *to, size_t n) {
	errno = EPIPE; /* unless a read fails */
	return fread(to, 1, n, in) == n ? 0 : -1;
}

static int take_entry(FILE *in) {
	if (take(in, &entry, sizeof entry)) return -1;
	if (entry.kind == END) return 0;
	if (!entry.path_len || entry.path_len >= PATH_MAX || entry.link_len >= PATH_MAX || entry.xattr_len > XATTRS_MAX)
		return refuse(EBADMSG);
	if (take(in, path, entry.path_len) || take(in, link_path, entry.link_len) || take(in, xattrs, entry.xattr_len))
		return -1;
	path[entry.path_len] = link_path[entry.link_len] = 0;
	/* An id of -1 would mean "leave it" to chown(2). */
	if (strlen(path) != entry.path_len || strlen(link_path) != entry.link_len || entry.uid == UINT32_MAX ||
	    entry.gid == UINT32_MAX || entry.mtime_ns >= 1000000000 || entry.mode > 07777 || entry.size > INT64_MAX)
		return refuse(EBADMSG);
	return 0;
}

/* Data in ascending order; what is left out is a hole. */
static int take_data(FILE *in, int fd) {
	uint64_t end = 0;
	for (struct chunk c;;) {
		if (take(in, &c, sizeof c)) return -1;
		if (c.len == 0) return end == entry.size ? 0 : ftruncate(fd, (off_t)entry.size);
		if (c.offset < end || c.offset > entry.size || c.len > entry.size - c.offset) return refuse(EBADMSG);
		if (lseek(fd, (off_t)c.offset, SEEK_SET) < 0) return -1;
		end = c.offset + c.len;
		for (uint32_t part; c.len; c.len -= part) {
			part = c.len < CHUNK ? c.len : CHUNK;
			if (take(in, data, part) || write_full(fd, data, part)) return -1;
		}
	}
}

/* Entries of u32 length of the value, u8 length of the name, name, value. */
static int set_xattrs(int fd) {
	for (size_t at = 0, left; (left = entry.xattr_len - at) > 0;) {
		uint32_t value;
		char name[256];
		size_t len = (uint8_t)xattrs[at + 4];
		memcpy(&value, xattrs + at, 4);
		if (left < 5 || left - 5 < len || left - 5 - len < value) return refuse(EBADMSG);
		*(char *)mempcpy(name, xattrs + at + 5, len) = 0;
		if (fsetxattr(fd, name, xattrs + at + 5 + len, value, 0)) return -1;
		at += 5 + len + value;
	}
	return 0;
}

static const struct timespec *times_of(void) {
	static struct timespec t[2];
	t[0] = t[1] = (struct timespec){.tv_sec = (time_t)entry.mtime, .tv_nsec = (long)entry.mtime_ns};
	return t;
}

/* Owner first: chown(2) takes away set-user-ID bits and file capabilities. */
static int set_attributes(int fd) {
	return fchown(fd, entry.uid, entry.gid) || set_xattrs(fd) || fchmod(fd, entry.mode) || futimens(fd, times_of());
}

static int set_opaque(int dir, const char *name) {
	autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) ? -1 : 0;
}

static int is_whiteout(const struct stat *st) { return S_ISCHR(st->st_mode) && st->st_rdev == 0; }

static int put_file(FILE *in, int dir, const char *name) {
	autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || take_data(in, fd) || set_attributes(fd)) return -1;
	int written = fd;
	fd = -1;
	return close(written); /* may be what tells that the disk is full */
}

/* `was`: what lies there already, if anything. A folder that takes the place of a whiteout hides what the lower
 * layers have, as the whiteout did: it becomes opaque (image-spec layer.md, "Whiteouts"). */
static int put_dir(int dir, const char *name, const struct stat *was) {
	int there = was && S_ISDIR(was->st_mode), implicit = entry.flags & IMPLICIT;
	if (was && !there && implicit && !is_whiteout(was)) return 0;
	if (was && !there && remove_at(dir, name, 0)) return -1;
	if (!there && mkdirat(dir, name, implicit ? 0755 : 0700)) return -1;
	if (was && is_whiteout(was) && set_opaque(dir, name)) return -1;
	if (implicit) return 0;
	autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -1 : set_attributes(fd);
}

static int put_hardlink(int dir, const char *name) {
	const char *last;
	autoclose int from = open_parent(AT_FDCWD, link_path, &last);
	if (from >= 0 && !is_plain(last)) return refuse(EBADMSG);
	return from < 0 ? -1 : linkat(from, last, dir, name, 0);
}

static int put_special(int dir, const char *name) {
	static const mode_t types[] = {[CHAR] = S_IFCHR, [BLOCK] = S_IFBLK, [FIFO] = S_IFIFO};
	dev_t device = entry.kind == FIFO ? 0 : makedev(entry.major, (unsigned)entry.size);
	int bad = entry.kind == SYMLINK ? symlinkat(link_path, dir, name)
					: mknodat(dir, name, types[entry.kind] | entry.mode, device);
	return bad || fchownat(dir, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) ||
	       utimensat(dir, name, times_of(), AT_SYMLINK_NOFOLLOW);
}

static int put(FILE *in, int dir, const char *name, const struct stat *was) {
	if (entry.kind == SYMLINK || (entry.kind >= CHAR && entry.kind <= FIFO)) return put_special(dir, name);
	switch (entry.kind) {
	case DIR_: return put_dir(dir, name, was);
	case FILE_: return put_file(in, dir, name);
	case HARDLINK: return put_hardlink(dir, name);
	case WHITEOUT: /* hides what the lower layers have under that name and nothing that this layer brought */
		if (!was) return mknodat(dir, name, S_IFCHR, 0);
		return S_ISDIR(was->st_mode) ? set_opaque(dir, name) : 0;
	case OPAQUE: return set_opaque(dir, name);
	case REMOVE: return remove_at(dir, name, 0);
	/* What an archive said of a folder that it took away later is void. */
	case TIMES: return was ? utimensat(dir, name, times_of(), AT_SYMLINK_NOFOLLOW) : 0;
	default: return refuse(EBADMSG);
	}
}

static int apply(FILE *in) {
	const char *name;
	struct stat st, *was = NULL;
	int dir = parent_of_path(&name), makes = entry.kind >= FILE_ && entry.kind <= FIFO;
	if (dir < 0) return (errno == ENOENT || errno == ENOTDIR) && entry.kind == TIMES ? 0 : -1;
	if (!strcmp(path, ".") && entry.kind != DIR_ && entry.kind != OPAQUE && entry.kind != TIMES)
		return refuse(EBADMSG);
	/* The common case costs no stat: creation is exclusive and comes before any of the entry's data is taken. */
	if (makes && !put(in, dir, name, NULL)) return 0;
	if (makes && errno != EEXIST) return -1;
	if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		was = &st;
	else if (errno != ENOENT)
		return -1;
	if (was && entry.flags & KEEP_TYPE && (makes || entry.kind == DIR_) &&
	    S_ISDIR(st.st_mode) != (entry.kind == DIR_))
		return refuse(makes ? EISDIR : ENOTDIR);
	return makes && remove_at(dir, name, 0) ? -1 : put(in, dir, name, was);
}

int files_unpack(int conn, struct failure *f) {
	char start[sizeof magic];
	FILE *in = fdopen(fcntl(conn, F_DUPFD_CLOEXEC, 3), "r");
	umask(0);
	strcpy(path, "the stream");
	int bad = !in || setvbuf(in, buffer, _IOFBF, sizeof buffer) || take(in, start, sizeof start);
	if (!bad && memcmp(start, magic, sizeof magic)) bad = refuse(EBADMSG);
	while (!bad && !(bad = take_entry(in)) && entry.kind != END) bad = apply(in);
	if (bad) fail(f, "%s", path);
	if (in) fclose(in);
	return bad ? -1 : 0;
}

static int out, alone; /* alone: nothing of what is in a folder */
static int give(const void *from, size_t n) {
	if (n > sizeof buffer - buffered) {
		if (send_frame(out, 'D', buffer, buffered)) return -1;
		buffered = 0;
	}
	memcpy(buffer + buffered, from, n);
	buffered += n;
	return 0;
}

static int give_entry(uint8_t kind, const char *link) {
	entry.kind = kind;
	entry.path_len = (uint16_t)strlen(path);
	entry.link_len = (uint16_t)strlen(link);
	return give(&entry, sizeof entry) || give(path, entry.path_len) || give(link, entry.link_len) ||
	       give(xattrs, entry.xattr_len);
}

static void describe(const struct stat *st) {
	entry = (struct header){.mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid};
	entry.mtime = st->st_mtim.tv_sec, entry.mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
}

/* An inode with several links, and the name that it was packed under. */
struct seen {
	dev_t dev;
	ino_t ino;
	char name[];
};

static int by_inode(const void *a, const void *b) { return memcmp(a, b, offsetof(struct seen, name)); }

/* The name this inode was packed under first; "" when it is new, and now remembered; NULL on failure. */
static const char *seen_as(const struct stat *st) {
	static void *all;
	static size_t count;
	struct seen *this = malloc(sizeof *this + strlen(path) + 1), **first;
	if (!this || count + sizeof *this + strlen(path) > LINKS_MAX) return refuse(this ? EOVERFLOW : ENOMEM), NULL;
	*this = (struct seen){st->st_dev, st->st_ino};
	strcpy(this->name, path);
	if (!(first = tsearch(this, &all, by_inode))) return NULL;
	if (*first == this) return count += sizeof *this + strlen(path), "";
	free(this);
	return (*first)->name;
}

/* Fills `xattrs`; overlay's own are the storage's business. 1 when the folder is opaque, -1 on failure. */
static int get_xattrs(int fd) {
	static char names[64 << 10];
	ssize_t all = flistxattr(fd, names, sizeof names), n;
	int opaque = 0;
	if (all < 0) return errno == ENOTSUP ? 0 : -1;
	for (char *name = names, value[2]; name < names + all; name += strlen(name) + 1) {
		size_t len = strlen(name), at = entry.xattr_len + 5 + len;
		if (!strcmp(name, OPAQUE_XATTR)) opaque |= fgetxattr(fd, name, value, 2) == 1 && *value == 'y';
		if (!strncmp(name, "trusted.overlay.", 16)) continue;
		if (at >= XATTRS_MAX) return refuse(E2BIG); /* of no room fgetxattr(2) tells how much it would take */
		n = fgetxattr(fd, name, xattrs + at, XATTRS_MAX - at);
		if (n < 0 && (errno == ENODATA || errno == EOVERFLOW /* of a root that is nobody here */)) continue;
		if (n < 0) return -1;
		memcpy(xattrs + entry.xattr_len, &(uint32_t){(uint32_t)n}, 4);
		xattrs[entry.xattr_len + 4] = (char)len;
		memcpy(xattrs + entry.xattr_len + 5, name, len);
		entry.xattr_len = (uint32_t)(at + (size_t)n);
	}
	return opaque;
}

static int give_data(int fd, off_t size) {
	ssize_t n = 1;
	for (off_t at = 0, next; n > 0; at += n) {
		if ((next = lseek(fd, at, SEEK_DATA)) > at) at = next;
		/* Only a hole is left, or the file is shorter than when it was described. EINVAL: holes are unknown here. */
		if (at >= size || (next < 0 && errno == ENXIO)) break;
		n = pread(fd, data, size - at < CHUNK ? (size_t)(size - at) : CHUNK, at);
		struct chunk c = {.len = (uint32_t)n, .offset = (uint64_t)at};
		if (n < 0 || (n > 0 && (give(&c, sizeof c) || give(data, (size_t)n)))) return -1;
	}
	return give(&(struct chunk){0}, sizeof(struct chunk));
}

static int pack_file(int dir, const char *name, const struct stat *was) {
	struct stat st;
	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) return errno == ENOENT ? 0 : -1;
	/* A FIFO or device put in its place meanwhile must not be read. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != was->st_ino) return 0;
	const char *first = st.st_nlink > 1 ? seen_as(&st) : "";
	describe(&st);
	if (!first || *first) return first ? give_entry(HARDLINK, first) : -1;
	entry.size = (uint64_t)st.st_size;
	return get_xattrs(fd) < 0 || give_entry(FILE_, "") || give_data(fd, st.st_size) ? -1 : 0;
}

static int pack_node(int dir, const char *name, size_t end, int depth);

/* `path` is the folder's name in the stream and `end` its length, 0 for the root, which is named ".". */
static int pack_dir(int dir, const char *name, size_t end, int depth) {
	struct stat st;
	int opaque, bad = 0;
	__attribute__((cleanup(close_list))) DIR *list = open_list(dir, name);
	if (!list) return errno == ENOENT ? 0 : -1;
	if (depth == DEPTH_MAX || fstat(dirfd(list), &st)) return depth == DEPTH_MAX ? refuse(ELOOP) : -1;
	describe(&st);
	if ((opaque = get_xattrs(dirfd(list))) < 0 || give_entry(DIR_, "")) return -1;
	entry.xattr_len = 0;
	if (opaque && give_entry(OPAQUE, "")) return -1;
	for (const char *next; !alone && !bad && (next = next_name(list, &bad));) {
		size_t len = strlen(next), at = end ? end + 1 : 0;
		if (at + len >= PATH_MAX) return refuse(ENAMETOOLONG);
		if (end) path[end] = '/';
		memcpy(path + at, next, len + 1);
		bad = pack_node(dirfd(list), next, at + len, depth + 1);
	}
	if (bad) return -1;
	strcpy(path + end, end ? "" : ".");
	describe(&st);
	return give_entry(TIMES, "");
}

static int pack_node(int dir, const char *name, size_t end, int depth) {
	static char target[PATH_MAX]; /* each level of the recursion would hold one */
	struct stat st;
	ssize_t n;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1; /* gone since it was listed */
	describe(&st);
	entry.major = major(st.st_rdev), entry.size = minor(st.st_rdev);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG: return pack_file(dir, name, &st);
	case S_IFDIR: return pack_dir(dir, name, end, depth);
	case S_IFLNK:
		if ((n = readlinkat(dir, name, target, sizeof target - 1)) < 0) return -(errno != ENOENT);
		target[n] = 0;
		return give_entry(SYMLINK, target);
	case S_IFCHR: return give_entry(is_whiteout(&st) ? WHITEOUT : CHAR, "");
	case S_IFBLK: return give_entry(BLOCK, "");
	case S_IFIFO: return give_entry(FIFO, "");
	default: return 0; /* sockets cannot travel in archives */
	}
}

int files_pack(const char *what, int only, int conn, struct failure *f) {
	const char *slash = strrchr(what, '/'), *name = ".";
	out = conn, alone = only, buffered = 0;
	strcpy(path, ".");
	autoclose int dir = is_plain(slash ? slash + 1 : what) ? open_parent(AT_FDCWD, what, &name)
							       : open_in(AT_FDCWD, what, O_PATH | O_DIRECTORY, 0);
	int bad = dir < 0 || give(magic, sizeof magic) || faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) ||
		  pack_node(dir, name, 0, 0) || give(&(struct header){.kind = END}, sizeof(struct header)) ||
		  send_frame(out, 'D', buffer, buffered);
	if (bad) fail(f, "%s", strcmp(path, ".") ? path : what);
	return bad ? -1 : 0;
}
