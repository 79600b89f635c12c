/* Multipart uploads: a folder each, in it the parts, each put under a name of its own, "00001.<etag>"
 * with a random etag. So a part that is put twice, even at once, has two files, and whoever completes
 * says which one counts; the rest goes with the folder.
 *
 * complete: all parts -> a new file -> synced, named, folder synced -> the upload's folder moves to
 * .sluice/tmp (from here on the upload is gone) -> its files are removed. A crash before the move
 * leaves every part in place, so it can be repeated; one after it leaves the target, which a repeated
 * complete knows by its size (addresses are never used twice), and garbage that the sweep removes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local.h"

enum { ID_CHARS = 32 };

struct upload_path {
	char p[sizeof(LOCAL_UPLOADS) + 1 + ID_CHARS];
	size_t n;
};

static struct local *of(struct backend *b)
{
	return CONTAINER(b, struct local, b);
}

static bool random_name_ok(struct str s)
{
	if (s.n != ID_CHARS)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

bool local_upload_id_ok(struct str id)
{
	return random_name_ok(id);
}

static rc no_upload(struct str id, struct err *reterr)
{
	return err_set(reterr, ERR_NOT_FOUND, "the store has no upload \"" STR_FMT "\"",
		       STR_ARG(str_head(id, 100)));
}

static rc upload_path_of(struct str id, struct upload_path *ret, struct err *reterr)
{
	if (!random_name_ok(id))
		return no_upload(id, reterr);
	ret->n = (size_t)snprintf(ret->p, sizeof(ret->p), LOCAL_UPLOADS "/" STR_FMT, STR_ARG(id));
	return RC_OK;
}

rc local_mpu_create(struct backend *b, const struct object_ptr *to,
		    const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		    struct err *reterr)
{
	struct local *l = of(b);
	struct local_path target;
	struct upload_path up;
	struct folder *f;
	char id[ID_CHARS + 1];

	TRY(local_path_of(l, to, &target, reterr));
	local_random_name(id);
	TRY(upload_path_of(str_c(id), &up, reterr));
	TRY(folder_get(l, up.p, up.n, FOLDER_MAKE, &f, reterr));
	folder_put(l, f);
	*ret_upload_id = arena_dup(a, str_c(id));
	return RC_OK;
}

/* "12345.<etag>" */
struct part_name {
	char p[6 + ID_CHARS + 1];
};

static struct part_name part_name(unsigned number, struct str etag)
{
	struct part_name name;

	snprintf(name.p, sizeof(name.p), "%05u." STR_FMT, number, STR_ARG(etag));
	return name;
}

rc local_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
		       unsigned number, const struct backend_put_options *o,
			    struct backend_writer **ret, struct err *reterr)
{
	struct upload_path up;
	struct part_name name;
	char etag[ID_CHARS + 1];
	rc r;

	if (number < 1 || number > 10000)
		return err_set(reterr, ERR_INVALID, "part %u: numbers go from 1 to 10000", number);
	TRY(upload_path_of(upload_id, &up, reterr));
	local_random_name(etag);
	name = part_name(number, str_c(etag));
	r = local_writer_new(of(b),
			     &(struct local_write){.folder = up.p,
						   .folder_n = up.n,
						   .name = name.p,
						   .part = true,
						   .etag = str_c(etag)},
			     ret, reterr);
	return rc_is(r, NOT_FOUND) ? no_upload(upload_id, reterr) : r;
}

static rc invalid_part(const struct backend_part *p, const char *why, struct err *reterr)
{
	return err_set(reterr, ERR_InvalidPart, "part %u: %s", p->number, why);
}

static rc join_part(struct folder *f, const struct backend_part *p, struct backend_writer *w,
		    struct err *reterr)
{
	uint64_t n;
	int fd;
	rc r;

	if (p->number < 1 || p->number > 10000 || !random_name_ok(p->etag))
		return invalid_part(p, "not one that the store answered", reterr);
	fd = openat(folder_fd(f), part_name(p->number, p->etag).p,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return invalid_part(p, "the upload has no such part", reterr);
	if (fd < 0)
		return local_read_error(errno, part_name(p->number, p->etag).p, reterr);
	r = local_writer_append(w, fd, &n, reterr);
	close(fd);
	if (rc_ok(r) && n != p->size)
		return invalid_part(p, "its size is another one", reterr);
	return r;
}

static rc join(struct local *l, struct folder *f, const struct object_ptr *to,
	       const struct backend_part *parts, size_t n, struct arena *a,
	       struct backend_stat *ret, struct err *reterr)
{
	struct backend_writer *w;
	rc r = RC_OK;

	TRY(local_open_writer(&l->b, to, NULL, &w, reterr));
	for (size_t i = 0; i < n && rc_ok(r); i++)
		r = join_part(f, &parts[i], w, reterr);
	if (rc_ok(r))
		return local_commit(w, a, ret, reterr);
	local_abort(w);
	return r;
}

/* Whether an earlier complete of the same got as far as having no further need of the parts. */
static bool joined_before(struct local *l, const struct object_ptr *to,
			  const struct backend_part *parts, size_t n, struct backend_stat *ret)
{
	struct backend_stat st;
	struct local_path path;
	uint64_t size = 0;
	int fd;

	for (size_t i = 0; i < n; i++)
		size += parts[i].size;
	if (n == 0 || !rc_ok(local_path_of(l, to, &path, NULL)) ||
	    !rc_ok(local_open_object(l, &path, &fd, &st, NULL)))
		return false;
	close(fd);
	if (st.size != size)
		return false;
	if (ret)
		*ret = st;
	return true;
}

/* Repeats while late parts arrive in it; once it is gone they can't. */
void local_remove_gone(struct local *l, const char *name)
{
	for (int tries = 0; tries < 100; tries++) {
		int fd = local_open_beneath(l->tmp_fd, name, O_RDONLY | O_DIRECTORY, 0);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *e;

		if (!dir) {
			if (fd >= 0)
				close(fd);
			return;
		}
		while ((e = readdir(dir)))
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				unlinkat(fd, e->d_name, 0);
		closedir(dir);
		local_step("parts removed");
		if (unlinkat(l->tmp_fd, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY)
			return;
	}
}

/* Ends the upload at one stroke, then tidies up. */
static rc end_upload(struct local *l, const struct upload_path *up, struct err *reterr)
{
	const char *id = up->p + sizeof(LOCAL_UPLOADS);
	struct folder *uploads;
	int e;

	TRY(folder_get(l, LOCAL_UPLOADS, strlen(LOCAL_UPLOADS), FOLDER_LOOK, &uploads, reterr));
	e = renameat(folder_fd(uploads), id, l->tmp_fd, id) == 0 ? 0 : errno;
	folder_put(l, uploads);
	folder_forget(l, up->p, up->n);
	if (e && e != ENOENT)
		return err_errno(reterr, ERR_IO, e, "ending the upload \"%s\"", id);
	local_step("ended");
	local_remove_gone(l, id);
	return RC_OK;
}

rc local_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		      const struct backend_part *parts, size_t n, struct arena *a,
		      struct backend_stat *ret, struct err *reterr)
{
	struct local *l = of(b);
	struct upload_path up;
	struct folder *f;
	rc r;

	TRY(upload_path_of(upload_id, &up, reterr));
	r = folder_get(l, up.p, up.n, FOLDER_LOOK, &f, reterr);
	if (rc_is(r, NOT_FOUND))
		r = no_upload(upload_id, reterr);
	if (rc_ok(r)) {
		r = join(l, f, to, parts, n, a, ret, reterr);
		folder_put(l, f);
	}
	if ((rc_is(r, NOT_FOUND) || rc_is(r, InvalidPart)) && joined_before(l, to, parts, n, ret))
		r = RC_OK;
	/* What can't be tidied up now is garbage that names nothing. */
	if (rc_ok(r))
		IGNORE_RC(end_upload(l, &up, NULL));
	return r;
}

rc local_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		   struct err *reterr)
{
	struct upload_path up;

	if (!random_name_ok(upload_id))
		return RC_OK;
	TRY(upload_path_of(upload_id, &up, reterr));
	return end_upload(of(b), &up, reterr);
}
