/* From pointers to paths below the root. Nothing leaves the root: each segment is checked here, and
 * the kernel resolves beneath a descriptor and refuses symbolic links. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/local.h"

#define SCHEME STR("local://")
#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static bool segment_ok(struct str s)
{
	return s.n > 0 && s.n <= NAME_MAX && !str_eq(s, STR(".")) && !str_eq(s, STR("..")) &&
	       str_index(s, 0) == s.n;
}

static bool segments_ok(struct str path)
{
	struct str rest = path;

	while (rest.p)
		if (!segment_ok(str_cut(rest, '/', &rest)))
			return false;
	return true;
}

static rc append(struct local_path *to, struct str s, struct err *reterr)
{
	if (s.n >= sizeof(to->p) - to->n)
		return err_set(reterr, ERR_INVALID, "the path has more than %d bytes", PATH_MAX);
	memcpy(to->p + to->n, s.p, s.n);
	to->n += s.n;
	to->p[to->n] = 0;
	return RC_OK;
}

/* Takes what is relative to the root into `to`, checked. */
static rc take(struct local_path *to, struct str path, struct err *reterr)
{
	struct str rest;

	if (!segments_ok(path))
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT "\" can't be a path of a local store: segments must "
			       "not be empty, \".\" or \"..\", nor longer than 255 bytes",
			       STR_ARG(str_head(path, 200)));
	if (to->n == 0 && str_eq(str_cut(path, '/', &rest), STR(".sluice")))
		return err_set(reterr, ERR_INVALID, "\".sluice\" is the store's own folder");
	return append(to, path, reterr);
}

static struct str trim_slashes(struct str s)
{
	while (s.n && s.p[0] == '/')
		s = str_skip(s, 1);
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

rc local_path_of_space(struct str space, struct local_path *ret, struct err *reterr)
{
	struct str name;

	ret->n = ret->folder_n = 0;
	if (!str_starts(space, SCHEME))
		return err_set(reterr, ERR_INVALID,
			       "storage namespace \"" STR_FMT "\" is not of a local store, "
			       "which begins with \"local://\"",
			       STR_ARG(str_head(space, 200)));
	name = trim_slashes(str_skip(space, SCHEME.n));
	if (name.n == 0)
		return err_set(reterr, ERR_INVALID,
			       "storage namespace \"local://\" lacks a name after the slashes");
	TRY(take(ret, name, reterr));
	ret->space_n = ret->n;
	return RC_OK;
}

/* What is left of an absolute address without the root; STR_NONE outside of it. */
static struct str below(struct str root, struct str address)
{
	if (address.n > root.n + 1 && str_starts(address, root) && address.p[root.n] == '/')
		return str_skip(address, root.n + 1);
	return STR_NONE;
}

static rc take_full(const struct local *l, struct str key, struct local_path *ret,
		    struct err *reterr)
{
	struct str address, rel;

	ret->n = ret->space_n = 0;
	if (!str_starts(key, SCHEME))
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT "\" is not an address of a local store",
			       STR_ARG(str_head(key, 200)));
	rel = address = str_skip(key, SCHEME.n);
	if (address.n && address.p[0] == '/') {
		rel = below(l->root, address);
		if (!rel.p)
			rel = below(l->given, address);
	}
	if (!rel.p)
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT "\" lies outside of the store's folder",
			       STR_ARG(str_head(key, 200)));
	return take(ret, rel, reterr);
}

rc local_path_of(const struct local *l, const struct object_ptr *ptr, struct local_path *ret,
		 struct err *reterr)
{
	if (ptr->type == ADDRESS_FULL) {
		TRY(take_full(l, ptr->key, ret, reterr));
	} else {
		TRY(local_path_of_space(ptr->space, ret, reterr));
		TRY(append(ret, STR("/"), reterr));
		TRY(take(ret, ptr->key, reterr));
	}
	ret->folder_n = ret->n;
	while (ret->folder_n && ret->p[ret->folder_n] != '/')
		ret->folder_n--;
	if (ret->folder_n == 0)
		return err_set(reterr, ERR_INVALID,
			       "\"%s\" lies in no storage namespace of the store", ret->p);
	return RC_OK;
}

/* Kernels before 5.6: segment by segment, none of which may be a link. */
static int open_by_steps(int at, const char *path, int flags, unsigned mode)
{
	int fd = at;

	for (;;) {
		const char *slash = strchr(path, '/');
		char name[NAME_MAX + 1];
		int next, e;

		if (!slash)
			next = openat(fd, path, flags | O_NOFOLLOW, mode);
		else {
			snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
			next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		e = errno;
		if (fd != at)
			close(fd);
		if (next < 0)
			return -e;
		if (!slash)
			return next;
		fd = next;
		path = slash + 1;
	}
}

static int openat2_call(int at, const char *path, int flags, unsigned mode, uint64_t resolve)
{
	struct open_how how = {.flags = (unsigned)flags, .mode = mode, .resolve = resolve};
	long fd = syscall(SYS_openat2, at, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int local_open_beneath(int at, const char *path, int flags, unsigned mode)
{
	static _Atomic bool missing;
	int fd;

	flags |= O_CLOEXEC;
	if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
		do
			fd = openat2_call(at, path, flags, mode, BENEATH);
		while (fd == -EINTR);
		if (fd != -ENOSYS && fd != -EPERM)
			return fd;
		if (fd == -ENOSYS)
			atomic_store(&missing, true);
	}
	return open_by_steps(at, path, flags, mode);
}

int local_open_cached(int at, const char *path, int flags)
{
	int fd = openat2_call(at, path, flags | O_CLOEXEC, 0, BENEATH | RESOLVE_CACHED);

	return fd == -ENOSYS || fd == -EINVAL || fd == -EPERM || fd == -EINTR ? -EAGAIN : fd;
}

/* Only for a while: others let go of theirs. */
static rc no_descriptor(const char *doing, const char *path, struct err *reterr)
{
	return err_set(reterr, ERR_SlowDown,
		       "%s \"%s\": too many files are open; raise the limit of open files "
		       "(ulimit -n, LimitNOFILE) or lower server.connections",
		       doing, path);
}

rc local_read_error(int errnum, const char *path, struct err *reterr)
{
	if (errnum == ENOENT || errnum == ENOTDIR)
		return err_set(reterr, ERR_NOT_FOUND, "the store has no \"%s\"", path);
	if (errnum == ELOOP || errnum == EXDEV)
		return err_set(reterr, ERR_INVALID,
			       "\"%s\" leads through a symbolic link, which is not followed", path);
	if (errnum == EMFILE || errnum == ENFILE)
		return no_descriptor("reading", path, reterr);
	return err_errno(reterr, ERR_IO, errnum, "reading \"%s\"", path);
}

rc local_write_error(const struct local *l, int errnum, const char *doing, const char *path,
		     struct err *reterr)
{
	switch (errnum) {
	case ELOOP:
	case EXDEV:
		return err_set(reterr, ERR_INVALID,
			       "\"%s\" leads through a symbolic link, which is not followed", path);
	case ENOTDIR:
	case EISDIR:
		return err_set(reterr, ERR_INVALID,
			       "\"%s\": a local store can't hold an object and a folder of the "
			       "same name",
			       path);
	case ENOSPC:
	case EDQUOT:
		return err_set(reterr, ERR_IO,
			       "%s \"%s\": the disk of the store at " STR_FMT
			       " is full: free space or enlarge it",
			       doing, path, STR_ARG(l->root));
	case EMFILE:
	case ENFILE:
		return no_descriptor(doing, path, reterr);
	}
	return err_errno(reterr, ERR_IO, errnum, "%s \"%s\"", doing, path);
}
