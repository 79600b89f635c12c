/* The local store: a folder. local://X/key is <root>/X/key, one file an object, its bytes as they are.
 *
 * <root>/.sluice/tmp/<random>                      temporaries that need a name (local_writer.c)
 * <root>/.sluice/multipart/<upload>/<part>.<etag>  parts (local_multipart.c)
 *
 * local_path.c: pointers to paths, and opening without leaving the root; local_folder.c: open folders
 * and shared syncs; local_list.c; local_sweep.c: what the dead left there. Removing an object removes its folders, too, once they are empty, up
 * to the namespace's.
 */
#include "backends/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

enum { STALE_S = 24 * 60 * 60, SWEEP_MAX = 10000 };

void (*local_step_hook)(const char *step);

static struct local *of(struct backend *b)
{
	return CONTAINER(b, struct local, b);
}

/* Reading. */

static rc check_object(int fd, const char *path, struct backend_stat *ret, struct err *reterr)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_errno(reterr, ERR_IO, errno, "examining \"%s\"", path);
	if (!S_ISREG(st.st_mode))
		return local_read_error(ENOENT, path, reterr);
	*ret = (struct backend_stat){.size = (uint64_t)st.st_size, .mtime_s = st.st_mtime};
	return RC_OK;
}

/* O_NONBLOCK: opening a pipe that somebody put there must not hang. */
enum { OBJECT_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY };

static rc opened(int fd, const char *path, int *ret_fd, struct backend_stat *ret,
		 struct err *reterr)
{
	rc r;

	if (fd < 0)
		return local_read_error(-fd, path, reterr);
	r = check_object(fd, path, ret, reterr);
	if (rc_ok(r))
		*ret_fd = fd;
	else
		close(fd);
	return r;
}

rc local_open_object(struct local *l, const struct local_path *p, int *ret_fd,
		     struct backend_stat *ret, struct err *reterr)
{
	return opened(local_open_beneath(l->root_fd, p->p, OBJECT_FLAGS, 0), p->p, ret_fd, ret,
		      reterr);
}

static rc local_open_file(struct backend *b, const struct object_ptr *p, int *ret_fd,
			  struct backend_stat *ret, struct err *reterr)
{
	struct local_path path;

	TRY(local_path_of(of(b), p, &path, reterr));
	return local_open_object(of(b), &path, ret_fd, ret, reterr);
}

static rc local_open_file_nowait(struct backend *b, const struct object_ptr *p, int *ret_fd,
				 struct backend_stat *ret, struct err *reterr)
{
	struct local_path path;
	int fd;

	TRY(local_path_of(of(b), p, &path, reterr));
	fd = local_open_cached(of(b)->root_fd, path.p, OBJECT_FLAGS);
	if (fd == -EAGAIN)
		return RC(WOULD_BLOCK);
	return opened(fd, path.p, ret_fd, ret, reterr);
}

static rc read_at(int fd, uint64_t offset, char *dst, size_t n, size_t *ret_n, const char *path,
		  struct err *reterr)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = pread(fd, dst + got, n - got, (off_t)(offset + got));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(reterr, ERR_IO, errno, "reading \"%s\"", path);
		if (k == 0)
			break;
		got += (size_t)k;
	}
	*ret_n = got;
	return RC_OK;
}

static rc local_read(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		     size_t n, size_t *ret_n, struct err *reterr)
{
	struct local_path path;
	struct backend_stat st;
	int fd;
	rc r;

	TRY(local_path_of(of(b), p, &path, reterr));
	TRY(local_open_object(of(b), &path, &fd, &st, reterr));
	*ret_n = 0;
	r = offset >= st.size ? RC_OK : read_at(fd, offset, dst, n, ret_n, path.p, reterr);
	close(fd);
	return r;
}

static rc local_head(struct backend *b, const struct object_ptr *p, struct arena *a,
		     struct backend_stat *ret, struct err *reterr)
{
	struct local_path path;
	int fd;

	TRY(local_path_of(of(b), p, &path, reterr));
	fd = local_open_beneath(of(b)->root_fd, path.p, O_PATH, 0);
	TRY(opened(fd, path.p, &fd, ret, reterr));
	close(fd);
	return RC_OK;
}

/* Writing. */

rc local_open_writer(struct backend *b, const struct object_ptr *to,
		     const struct backend_put_options *o, struct backend_writer **ret,
		     struct err *reterr)
{
	struct local_path path;

	TRY(local_path_of(of(b), to, &path, reterr));
	return local_writer_new(of(b),
				&(struct local_write){.folder = path.p,
						      .folder_n = path.folder_n,
						      .name = local_name(&path),
						      .if_absent = o && o->if_absent},
				ret, reterr);
}

static rc local_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
		     struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct backend_writer *w;
	struct backend_stat st;
	uint64_t n;
	int fd;
	rc r;

	TRY(local_open_file(b, from, &fd, &st, reterr));
	r = local_open_writer(b, to, NULL, &w, reterr);
	if (rc_ok(r)) {
		r = local_writer_append(w, fd, &n, reterr);
		if (rc_ok(r))
			r = local_commit(w, a, ret, reterr);
		else
			local_abort(w);
	}
	close(fd);
	return r;
}

/* Removing. */

static void prune(struct local *l, struct local_path *p)
{
	while (p->folder_n > p->space_n && p->space_n > 0) {
		size_t name = p->folder_n;
		struct folder *parent;
		bool gone;

		p->p[p->folder_n] = 0;
		if (folder_in_use(l, p->p, p->folder_n))
			return;
		while (p->p[name - 1] != '/')
			name--;
		/* It is only tidying: whatever fails, the folder stays. */
		if (!rc_ok(folder_get(l, p->p, name - 1, FOLDER_LOOK, &parent, NULL)))
			return;
		gone = unlinkat(folder_fd(parent), p->p + name, AT_REMOVEDIR) == 0;
		folder_put(l, parent);
		if (!gone)
			return;
		folder_forget(l, p->p, p->folder_n);
		p->folder_n = name - 1;
	}
}

static rc local_remove(struct backend *b, const struct object_ptr *ptr, struct err *reterr)
{
	struct local *l = of(b);
	struct local_path p;
	struct folder *folder;
	int e;
	rc r;

	TRY(local_path_of(l, ptr, &p, reterr));
	r = folder_get(l, p.p, p.folder_n, FOLDER_LOOK, &folder, reterr);
	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	TRY(r);
	e = unlinkat(folder_fd(folder), local_name(&p), 0) == 0 ? 0 : errno;
	folder_put(l, folder);
	if (e == ENOENT || e == EISDIR)
		return RC_OK;
	if (e)
		return err_errno(reterr, ERR_IO, e, "removing \"%s\"", p.p);
	prune(l, &p);
	return RC_OK;
}

/* Opening. */

static rc local_check_space(struct backend *b, struct str space, struct err *reterr)
{
	struct local_path p;

	return local_path_of_space(space, &p, reterr);
}

static const struct backend_blocking_ops local_ops = {
	.open_writer = local_open_writer,
	.write = local_write,
	.commit = local_commit,
	.commit_many = local_commit_many,
	.commit_many_pays = local_commit_many_pays,
	.abort = local_abort,
	.read = local_read,
	.open_file = local_open_file,
	.open_file_nowait = local_open_file_nowait,
	.head = local_head,
	.remove = local_remove,
	.list = local_list,
	.copy = local_copy,
	.mpu_create = local_mpu_create,
	.mpu_open_part = local_mpu_open_part,
	.mpu_complete = local_mpu_complete,
	.mpu_abort = local_mpu_abort,
	.sweep = local_sweep,
};

static void local_free(struct backend *b)
{
	struct local *l = of(b);

	folders_deinit(l);
	if (l->tmp_fd >= 0)
		close(l->tmp_fd);
	store_sync_deinit(l);
	close(l->root_fd);
	arena_free(l->a);
	free(l);
}

static rc sync_parent(const char *path, bool sync, struct err *reterr)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX] = ".";
	int fd, failed;

	if (!sync)
		return RC_OK;
	if (slash) {
		memcpy(parent, path, (size_t)(slash - path) + 1);
		parent[slash - path + 1] = 0;
	}
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (failed && failed != EACCES) /* whoever may not read it hasn't made anything in it */
		return err_errno(reterr, ERR_IO, failed, "syncing the folder %s", parent);
	return RC_OK;
}

/* mkdir -p; each new folder is synced into its parent, and the root itself always: whoever made it may
 * have died before its sync. */
static rc make_root(char *path, bool sync, struct err *reterr)
{
	for (char *at = path + 1;; at++) {
		char c = *at;

		if (c != '/' && c != 0)
			continue;
		*at = 0;
		if (mkdir(path, 0755) == 0 || (c == 0 && errno == EEXIST))
			TRY(sync_parent(path, sync, reterr));
		else if (errno != EEXIST && errno != EISDIR && errno != EROFS)
			return err_errno(reterr, ERR_IO, errno, "making the store's folder %s",
					 path);
		*at = c;
		if (c == 0)
			return RC_OK;
	}
}

static rc open_root(struct local *l, struct err *reterr)
{
	char path[PATH_MAX], canonical[PATH_MAX];

	if (l->given.n == 0 || l->given.n >= sizeof(path) || str_index(l->given, 0) < l->given.n)
		return err_set(reterr, ERR_CONFIG, "a local store needs a path (local.path)");
	memcpy(path, l->given.p, l->given.n);
	path[l->given.n] = 0;
	TRY(make_root(path, l->sync, reterr));
	l->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->root_fd < 0 || !realpath(path, canonical))
		return err_errno(reterr, ERR_IO, errno, "opening the store's folder %s", path);
	l->root = arena_dup(l->a, str_c(canonical));
	while (l->root.n && l->root.p[l->root.n - 1] == '/')
		l->root.n--;
	return RC_OK;
}

/* What is missed here is found by a later sweep. */
static void sweep_at_start(struct local *l)
{
	struct backend_sweep s = {.now_s = wall_now().s, .temporaries_s = STALE_S, .max = SWEEP_MAX};

	IGNORE_RC(local_sweep(&l->b, &s));
}

static rc own_folders(struct local *l, struct err *reterr)
{
	struct folder *f;

	TRY(folder_get(l, LOCAL_UPLOADS, strlen(LOCAL_UPLOADS), FOLDER_MAKE, &f, reterr));
	folder_put(l, f);
	TRY(folder_get(l, LOCAL_TMP, strlen(LOCAL_TMP), FOLDER_MAKE, &f, reterr));
	l->tmp_fd = dup(folder_fd(f));
	folder_put(l, f);
	if (l->tmp_fd < 0)
		return err_errno(reterr, ERR_IO, errno, "opening the store's folder");
	return RC_OK;
}

rc backend_local_open(const struct backend_local_options *o, struct backend **ret,
		      struct err *reterr)
{
	struct local *l = calloc(1, sizeof(*l));
	rc r;

	if (!l)
		abort();
	l->a = arena_new();
	l->given = arena_dup(l->a, o->path);
	while (l->given.n > 1 && l->given.p[l->given.n - 1] == '/')
		l->given.n--;
	l->sync = o->sync;
	l->direct_bytes = o->direct_bytes;
	l->direct = o->sync && o->direct_bytes;
	l->root_fd = l->tmp_fd = -1;
	l->file_syncs = metric_get(METRIC_COUNTER, "sluice_local_file_syncs_total",
				   "Files that local stores synced.", NULL);
	l->folder_syncs = metric_get(METRIC_COUNTER, "sluice_local_folder_syncs_total",
				     "Folders that local stores synced.", NULL);
	l->store_syncs = metric_get(METRIC_COUNTER, "sluice_local_store_syncs_total",
				    "Syncs of a local store's whole file system for small objects.",
				    NULL);
	backend_init(&l->b, "local", arena_dup(l->a, o->id), o->pool, &local_ops);
	l->b.caps = BACKEND_CAP_FILE | BACKEND_CAP_BLOCKING | BACKEND_CAP_COPY |
		    BACKEND_CAP_MULTIPART | BACKEND_CAP_NOWAIT;
	l->b.check_space = local_check_space;
	l->b.free = local_free;
	r = open_root(l, reterr);
	if (!rc_ok(r)) {
		if (l->root_fd >= 0)
			close(l->root_fd);
		arena_free(l->a);
		free(l);
		return r;
	}
	folders_init(l);
	store_sync_init(l);
	r = own_folders(l, reterr);
	if (!rc_ok(r)) {
		local_free(&l->b);
		return r;
	}
	sweep_at_start(l);
	*ret = &l->b;
	return RC_OK;
}
