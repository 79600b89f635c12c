/* Listing: a walk in the byte order of whole keys, where a folder counts with its slash ("a-b", "a/x",
 * "a0"). A folder is read in batches of its BATCH smallest names yet to come, so that memory stays
 * bounded whatever its size; only one level has its descriptor open. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local.h"

enum { BATCH = 2048 };

struct walk {
	struct local *l;
	char path[PATH_MAX]; /* the folder at hand: namespace and, when it isn't that itself, a key */
	size_t n, space_n;
	struct str prefix, after;
	size_t max;
	struct arena *a;
	struct backend_list_entry *v;
	size_t found, cap;
	bool more;
};

struct batch {
	char **v; /* names; those of folders end in '/' */
	size_t n;
	bool full; /* there may be more beyond the last */
};

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void batch_deinit(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i]);
	free(b->v);
}

/* Keeps the BATCH smallest of twice that. */
static void batch_trim(struct batch *b)
{
	qsort(b->v, b->n, sizeof(*b->v), by_bytes);
	if (b->n <= BATCH)
		return;
	for (size_t i = BATCH; i < b->n; i++)
		free(b->v[i]);
	b->n = BATCH;
	b->full = true;
}

static void batch_add(struct batch *b, const char *name, bool folder)
{
	size_t n = strlen(name);
	char *copy = malloc(n + 2);

	if (!copy)
		abort();
	memcpy(copy, name, n);
	copy[n] = '/';
	copy[n + folder] = 0;
	if (b->n == 2 * BATCH)
		batch_trim(b);
	b->v[b->n++] = copy;
}

/* 'd', 'f' or 0 for what isn't listed (links, pipes). */
static char kind_of(int fd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type == DT_DIR)
		return 'd';
	if (e->d_type == DT_REG)
		return 'f';
	if (e->d_type != DT_UNKNOWN || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return S_ISDIR(st.st_mode) ? 'd' : S_ISREG(st.st_mode) ? 'f' : 0;
}

/* Key of the folder at hand ("" or "a/b/") in pieces with a name: could it, or what is below it, be
 * wanted? */
static bool wanted(const struct walk *w, const char *name, bool folder)
{
	char key[PATH_MAX + NAME_MAX + 2];
	size_t base = w->n > w->space_n ? w->n - w->space_n - 1 : 0, n = 0;
	struct str k;

	if (base) {
		memcpy(key, w->path + w->space_n + 1, base);
		n = base;
		key[n++] = '/';
	}
	memcpy(key + n, name, strlen(name));
	n += strlen(name);
	if (folder)
		key[n++] = '/';
	k = str_make(key, n);
	if (!str_starts(k, w->prefix) && !(folder && str_starts(w->prefix, k)))
		return false;
	return str_cmp(k, w->after) > 0 || (folder && str_starts(w->after, k));
}

static rc read_batch(struct walk *w, const char *last, struct batch *b, struct err *reterr)
{
	int fd = local_open_beneath(w->l->root_fd, w->path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir)
		return local_read_error(fd < 0 ? -fd : errno, w->path, reterr);
	b->v = malloc(sizeof(*b->v) * 2 * BATCH);
	if (!b->v)
		abort();
	while (errno = 0, (e = readdir(dir))) {
		char kind, name[NAME_MAX + 2];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		kind = kind_of(fd, e);
		if (!kind || !wanted(w, e->d_name, kind == 'd'))
			continue;
		snprintf(name, sizeof(name), "%s%s", e->d_name, kind == 'd' ? "/" : "");
		if (!last || strcmp(name, last) > 0)
			batch_add(b, e->d_name, kind == 'd');
	}
	if (errno) {
		rc r = err_errno(reterr, ERR_IO, errno, "listing \"%s\"", w->path);

		closedir(dir);
		return r;
	}
	closedir(dir);
	batch_trim(b);
	return RC_OK;
}

static void grow(struct walk *w)
{
	struct backend_list_entry *v;

	if (w->found < w->cap)
		return;
	w->cap = w->cap ? w->cap * 2 : 64;
	v = arena_alloc(w->a, w->cap * sizeof(*v));
	if (w->found)
		memcpy(v, w->v, w->found * sizeof(*v));
	w->v = v;
}

/* w->path is the object's now. */
static rc emit(struct walk *w, struct err *reterr)
{
	int fd = local_open_beneath(w->l->root_fd, w->path, O_PATH, 0);
	struct stat st;

	if (fd == -ENOENT)
		return RC_OK;
	if (fd < 0)
		return local_read_error(-fd, w->path, reterr);
	if (fstat(fd, &st) != 0)
		st.st_mode = 0;
	close(fd);
	if (!S_ISREG(st.st_mode))
		return RC_OK;
	if (w->found == w->max) {
		w->more = true;
		return RC_OK;
	}
	grow(w);
	w->v[w->found++] = (struct backend_list_entry){
		.key = arena_dup(w->a, str_make(w->path + w->space_n + 1, w->n - w->space_n - 1)),
		.stat = {.size = (uint64_t)st.st_size, .mtime_s = st.st_mtime},
	};
	return RC_OK;
}

static rc walk_folder(struct walk *w, struct err *reterr);

static rc visit(struct walk *w, const char *name, struct err *reterr)
{
	size_t n = strlen(name), back = w->n;
	bool folder = name[n - 1] == '/';
	rc r;

	n -= folder;
	if (w->n + n + 2 > sizeof(w->path))
		return err_set(reterr, ERR_INVALID, "a path below \"%s\" is too long", w->path);
	w->path[w->n] = '/';
	memcpy(w->path + w->n + 1, name, n);
	w->n += n + 1;
	w->path[w->n] = 0;
	r = folder ? walk_folder(w, reterr) : emit(w, reterr);
	/* Removed while we walk. */
	if (folder && rc_is(r, NOT_FOUND))
		r = RC_OK;
	w->n = back;
	w->path[back] = 0;
	return r;
}

static rc walk_folder(struct walk *w, struct err *reterr)
{
	char last[NAME_MAX + 2];
	bool again = true;
	rc r = RC_OK;

	for (bool first = true; again && rc_ok(r) && !w->more; first = false) {
		struct batch b = {0};

		r = read_batch(w, first ? NULL : last, &b, reterr);
		for (size_t i = 0; i < b.n && rc_ok(r) && !w->more; i++)
			r = visit(w, b.v[i], reterr);
		again = b.full;
		if (b.n)
			memcpy(last, b.v[b.n - 1], strlen(b.v[b.n - 1]) + 1);
		batch_deinit(&b);
	}
	return r;
}

rc local_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	      struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	      struct err *reterr)
{
	struct walk w = {.l = CONTAINER(b, struct local, b), .prefix = prefix, .after = after,
			 .max = max, .a = a};
	struct local_path p;
	rc r;

	TRY(local_path_of_space(space, &p, reterr));
	memcpy(w.path, p.p, p.n + 1);
	w.n = w.space_n = p.n;
	r = walk_folder(&w, reterr);
	/* A namespace without objects has no folder yet. */
	if (!rc_ok(r) && !(rc_is(r, NOT_FOUND) && w.n == w.space_n))
		return r;
	*ret = w.v;
	*ret_n = w.found;
	*ret_more = w.more;
	return RC_OK;
}
