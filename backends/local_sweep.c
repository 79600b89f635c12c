/* What operations that died have left in .sluice: temporaries with a name, folders of ended uploads
 * (both in tmp), and folders of uploads that nobody has a record of. Names come from reading those two
 * folders, and links are not followed, so nothing outside of them can be meant.
 *
 * Age alone doesn't tell whether a temporary is being written: a slow client's file may rest for as
 * long as it likes. Its writer holds a lock on it (flock), which goes with the process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local.h"

void local_claim_temporary(int fd)
{
	flock(fd, LOCK_SH | LOCK_NB); /* where there are no locks, age has to do */
}

static bool being_written(int at, const char *name)
{
	int fd = local_open_beneath(at, name, O_RDONLY | O_NONBLOCK, 0);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return locked;
}

static bool over(const struct backend_sweep *s)
{
	return s->files + s->uploads >= s->max ||
	       (s->stop && atomic_load_explicit(s->stop, memory_order_relaxed));
}

static bool dots(const char *name)
{
	return name[0] == '.';
}

static rc open_folder(int at, DIR **ret, struct err *reterr)
{
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int e = errno;

	*ret = fd < 0 ? NULL : fdopendir(fd);
	if (*ret)
		return RC_OK;
	if (fd >= 0)
		close(fd);
	return local_read_error(e, ".sluice", reterr);
}

/* The first failure is the one to tell; the others need not wait for its remedy. */
static void failed(struct backend_sweep *s, int errnum, const char *name)
{
	if (s->failures++ == 0)
		s->failure = err_errno(s->err, ERR_IO, errnum, "removing \"%s\" from .sluice", name);
}

static void sweep_temporary(struct local *l, struct backend_sweep *s, const char *name)
{
	struct stat st;

	if (fstatat(l->tmp_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (S_ISDIR(st.st_mode)) {
		/* It was moved here to be removed: nothing in it can be asked for any more. */
		local_remove_gone(l, name);
		if (fstatat(l->tmp_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			s->files++;
		return;
	}
	if (st.st_mtime >= s->now_s - s->temporaries_s || being_written(l->tmp_fd, name))
		return;
	if (unlinkat(l->tmp_fd, name, 0) == 0)
		s->files++;
	else if (errno != ENOENT)
		failed(s, errno, name);
}

static rc sweep_temporaries(struct local *l, struct backend_sweep *s)
{
	struct dirent *e;
	DIR *dir;

	TRY(open_folder(l->tmp_fd, &dir, s->err));
	while (!over(s) && (e = readdir(dir)))
		if (!dots(e->d_name))
			sweep_temporary(l, s, e->d_name);
	closedir(dir);
	return RC_OK;
}

/* No part of it was written or put since then. */
static bool untouched(int uploads, const char *name, int64_t since_s)
{
	int fd = local_open_beneath(uploads, name, O_RDONLY | O_DIRECTORY, 0);
	bool old = fd >= 0;
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (old)
		old = fstat(fd, &st) == 0 && st.st_mtime < since_s;
	dir = old ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (old && (e = readdir(dir)))
		if (!dots(e->d_name))
			old = fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			      st.st_mtime < since_s;
	closedir(dir);
	return old;
}

static void sweep_upload(struct local *l, struct backend_sweep *s, int uploads, const char *name)
{
	struct err err = {0};
	rc r;

	if (!local_upload_id_ok(str_c(name)) ||
	    !untouched(uploads, name, s->now_s - s->uploads_s) || s->recorded(s->ud, str_c(name)))
		return;
	r = local_mpu_abort(&l->b, NULL, str_c(name), &err);
	if (rc_ok(r)) {
		s->uploads++;
	} else if (s->failures++ == 0) {
		s->failure = r;
		if (s->err)
			*s->err = err;
	}
}

static rc sweep_uploads(struct local *l, struct backend_sweep *s)
{
	struct folder *uploads;
	struct dirent *e;
	DIR *dir;
	rc r;

	TRY(folder_get(l, LOCAL_UPLOADS, strlen(LOCAL_UPLOADS), FOLDER_LOOK, &uploads, s->err));
	r = open_folder(folder_fd(uploads), &dir, s->err);
	while (rc_ok(r) && !over(s) && (e = readdir(dir)))
		if (!dots(e->d_name))
			sweep_upload(l, s, folder_fd(uploads), e->d_name);
	if (rc_ok(r))
		closedir(dir);
	folder_put(l, uploads);
	return r;
}

rc local_sweep(struct backend *b, struct backend_sweep *s)
{
	struct local *l = CONTAINER(b, struct local, b);

	s->files = s->uploads = s->failures = 0;
	s->failure = RC_OK;
	TRY(sweep_temporaries(l, s));
	if (s->uploads_s)
		TRY(sweep_uploads(l, s));
	return s->failure;
}
