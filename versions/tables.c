#include "versions/tables.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/log.h"
#include "versions/internal.h"
#include "versions/tables_priv.h"

enum { COPY_BYTES = 256 * 1024, OPEN_MAX = 512 };

/* An open table of the cache; its name is the node's key. */
struct open_table {
	struct lru_node node;
	struct sstable *table;
	char text[];
};

/* A table that somebody is opening: others wait for it. */
struct fetch {
	struct fetch *next;
	struct str name;
	pthread_cond_t changed;
	unsigned waiting;
	bool done;
	rc result;
	struct err err;
	struct sstable *table; /* referenced for the fetch itself */
};

struct tables *tables_new(const struct tables_options *o)
{
	struct tables *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	if (o->cache_dir.n && o->cache_bytes) {
		t->cache_dir = str_make(strndup(o->cache_dir.p, o->cache_dir.n), o->cache_dir.n);
		t->cache_bytes = o->cache_bytes;
	}
	t->blocks = block_cache_new(o->block_cache_bytes);
	t->open_max = o->open_max ? o->open_max : OPEN_MAX;
	pthread_mutex_init(&t->lock, NULL);
	lru_init(&t->open);
	return t;
}

struct table_disk *tables_disk(struct tables *t)
{
	struct table_disk *d;
	struct err err = {0};

	pthread_mutex_lock(&t->lock);
	if (!t->disk_tried && t->cache_dir.n &&
	    !rc_ok(table_disk_new(t->cache_dir, t->cache_bytes, &t->disk, &err)))
		log_event(LOG_WARN, "tables", "committed metadata isn't cached on disk",
			  F_STR("error", str_c(err.msg)));
	t->disk_tried = true;
	d = t->disk;
	pthread_mutex_unlock(&t->lock);
	return d;
}

/* With the lock, but the reference is given to the caller: closing a file is not for under it. */
static struct sstable *take_out(struct tables *t, struct open_table *o)
{
	struct sstable *table = o->table;

	lru_remove(&t->open, &o->node);
	free(o);
	return table;
}

void tables_free(struct tables *t)
{
	struct lru_node *n;

	if (!t)
		return;
	assert(!t->fetches);
	while ((n = lru_oldest(&t->open)))
		sstable_unref(take_out(t, (struct open_table *)n));
	lru_deinit(&t->open);
	block_cache_free(t->blocks);
	table_disk_free(t->disk);
	pthread_mutex_destroy(&t->lock);
	free((char *)(uintptr_t)t->cache_dir.p);
	free(t);
}

void tables_close_all(struct tables *t)
{
	struct sstable *table;

	do {
		struct lru_node *n;

		pthread_mutex_lock(&t->lock);
		n = lru_oldest(&t->open);
		table = n ? take_out(t, (struct open_table *)n) : NULL;
		pthread_mutex_unlock(&t->lock);
		sstable_unref(table);
	} while (table);
}

bool is_table_id(struct str s)
{
	if (s.n != SSTABLE_ID_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

struct str table_key(struct vcall *c, struct str id)
{
	return arena_printf(c->a, "%s/" STR_FMT, c->v->block_prefix, STR_ARG(id));
}

struct str table_name(struct arena *a, const struct repo *r, struct str id)
{
	uint8_t sum[DIGEST_MAX];
	struct str space;

	digest_of(DIGEST_SHA256, r->storage_namespace, sum);
	space = hex_encode(a, str_make(sum, digest_size(DIGEST_SHA256)));
	return arena_join(a,
			  (struct str[]){r->storage_id.n ? hex_encode(a, r->storage_id) : STR("-"),
					 STR("/"), space, STR("/"), id},
			  5);
}

/* Its name among those that are open: made for each look-up, so without a digest. No id is shorter than another. */
static struct str open_name(struct arena *a, const struct repo *r, struct str id)
{
	return arena_join(a, (struct str[]){id, r->storage_id, str_make("", 1), r->storage_namespace}, 4);
}

struct object_ptr table_pointer(struct vcall *c, const struct repo *r, struct str id)
{
	return repo_pointer(r, table_key(c, id));
}

/* Sources. */

struct file_source {
	int fd;
};

static rc read_file(void *ud, uint64_t offset, void *dst, size_t n, struct err *reterr)
{
	struct file_source *f = ud;
	bool loop = on_loop();
	char *p = dst;

	while (n) {
		struct iovec v = {p, n};
		ssize_t got = preadv2(f->fd, &v, 1, (off_t)offset, loop ? RWF_NOWAIT : 0);

		if (got < 0 && errno == EINTR)
			continue;
		/* on a loop: not in memory, or a file system that can't tell */
		if (got <= 0 && loop)
			return RC(WOULD_BLOCK);
		if (got < 0)
			return err_set(reterr, ERR_IO, "reading a table: %s", strerror(errno));
		if (got == 0)
			return err_set(reterr, ERR_CORRUPT, "the file ends before its end");
		p += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return RC_OK;
}

static void close_file(void *ud)
{
	struct file_source *f = ud;

	close(f->fd);
	free(f);
}

/* The file is the source's, also on failure. */
static rc open_fd(struct tables *t, int fd, struct sstable **ret, struct err *reterr)
{
	struct file_source *f = malloc(sizeof(*f));
	struct sstable_open_options o = {.cache = t->blocks};
	struct stat st;
	rc opened;

	if (!f)
		abort();
	f->fd = fd;
	if (fstat(fd, &st))
		opened = err_set(reterr, ERR_IO, "a table's file: %s", strerror(errno));
	else
		opened = sstable_open(&(struct sstable_source){read_file, close_file, f,
							       (uint64_t)st.st_size},
				      &o, ret, reterr);
	if (!rc_ok(opened))
		close_file(f);
	return opened;
}

/* Straight from the store, where no disk takes a copy. */
struct store_source {
	struct backend *b; /* referenced */
	struct object_ptr p;
	struct arena *a;
};

static rc read_store(void *ud, uint64_t offset, void *dst, size_t n, struct err *reterr)
{
	struct store_source *s = ud;
	size_t got;

	if (on_loop())
		return RC(WOULD_BLOCK);
	TRY(backend_read_now(s->b, &s->p, offset, dst, n, &got, reterr));
	if (got != n)
		return err_set(reterr, ERR_CORRUPT, "the object ends before its end");
	return RC_OK;
}

static void close_store(void *ud)
{
	struct store_source *s = ud;

	backend_unref(s->b);
	arena_free(s->a);
}

static rc open_store(struct tables *t, struct backend *b, const struct object_ptr *p, uint64_t size,
		     struct sstable **ret, struct err *reterr)
{
	struct arena *a = arena_new();
	struct store_source *s = ARENA_NEW(a, struct store_source);
	struct sstable_open_options o = {.cache = t->blocks};
	rc opened;

	*s = (struct store_source){.b = b, .a = a, .p = *p};
	s->p.store_id = arena_dup(a, p->store_id);
	s->p.space = arena_dup(a, p->space);
	s->p.key = arena_dup(a, p->key);
	backend_ref(b);
	opened = sstable_open(&(struct sstable_source){read_store, close_store, s, size}, &o, ret, reterr);
	if (!rc_ok(opened))
		close_store(s);
	return opened;
}

/* Fetching. */

static rc write_all(int fd, const char *p, size_t n, struct err *reterr)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_set(reterr, ERR_IO, "the cache's disk: %s", strerror(errno));
		p += put;
		n -= (size_t)put;
	}
	return RC_OK;
}

/* *ret_disk: it is the cache's disk that failed, not the store. */
static rc copy_down(struct backend *b, const struct object_ptr *p, uint64_t size, int fd, bool *ret_disk,
		    struct err *reterr)
{
	char *buf = malloc(COPY_BYTES);
	rc r = RC_OK;

	if (!buf)
		abort();
	*ret_disk = false;
	for (uint64_t at = 0; rc_ok(r) && at < size;) {
		size_t n = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES, got = 0;

		r = backend_read_now(b, p, at, buf, n, &got, reterr);
		if (rc_ok(r) && got != n)
			r = err_set(reterr, ERR_CORRUPT, "the object ends before its end");
		if (!rc_ok(r))
			break;
		r = write_all(fd, buf, n, reterr);
		*ret_disk = !rc_ok(r);
		at += n;
	}
	free(buf);
	return r;
}

/* From the store by way of the disk, or without it where that fails. */
static rc download(struct vcall *c, struct tables *t, struct backend *b, const struct object_ptr *p,
		   struct str name, struct sstable **ret)
{
	struct table_disk *d = tables_disk(t);
	struct table_spool spool;
	struct backend_stat st;
	bool disk = true;
	rc r;

	TRY(backend_head_now(b, p, c->a, &st, c->err));
	if (!d)
		return open_store(t, b, p, st.size, ret, c->err);
	r = table_spool_open(d, &spool, c->err);
	if (rc_ok(r) && spool.name[0])
		r = copy_down(b, p, st.size, spool.fd, &disk, c->err);
	if (!rc_ok(r) || !spool.name[0]) {
		table_spool_close(d, &spool);
		return disk ? open_store(t, b, p, st.size, ret, c->err) : r;
	}
	table_spool_keep(d, &spool, name, st.size);
	r = open_fd(t, dup(spool.fd), ret, c->err);
	table_spool_close(d, &spool);
	return r;
}

static rc open_anew(struct vcall *c, const struct repo *r, struct str id, struct sstable **ret)
{
	struct tables *t = c->v->tables;
	struct object_ptr p = table_pointer(c, r, id);
	struct table_disk *d;
	struct backend_stat st;
	struct backend *b;
	struct str name;
	int fd;
	rc opened;

	TRY(repo_backend(c, r, &b));
	if (b->caps & BACKEND_CAP_FILE) {
		TRY(b->blocking->open_file(b, &p, &fd, &st, c->err));
		return open_fd(t, fd, ret, c->err);
	}
	name = table_name(c->a, r, id);
	d = tables_disk(t);
	fd = d ? table_disk_open(d, name) : -1;
	if (fd >= 0) {
		opened = open_fd(t, fd, ret, c->err);
		if (rc_ok(opened))
			return opened;
		table_disk_drop(d, name); /* damaged: once more, from the store */
	}
	return download(c, t, b, &p, name, ret);
}

static rc tell(struct vcall *c, const struct repo *r, struct str id, rc failed)
{
	if (rc_is(failed, NOT_FOUND))
		return err_set(c->err, ERR_NoData,
			       "table " STR_FMT " of repository " STR_FMT " is not in its store (" STR_FMT ")",
			       STR_ARG(id), STR_ARG(r->id), STR_ARG(r->storage_namespace));
	return err_wrap(failed, c->err, "table " STR_FMT " of repository " STR_FMT, STR_ARG(id),
			STR_ARG(r->id));
}

/* Open ones. */

static struct sstable *find_open(struct tables *t, struct str name)
{
	struct lru_node *n = lru_get(&t->open, name);

	return n ? sstable_ref(((struct open_table *)n)->table) : NULL;
}

/* Answers one that had to go, to be unreferenced without the lock. */
static struct sstable *keep_open(struct tables *t, struct str name, struct sstable *table)
{
	struct open_table *o = calloc(1, sizeof(*o) + name.n);
	struct sstable *out = NULL;

	if (!o)
		abort();
	if (t->open.n >= t->open_max)
		out = take_out(t, (struct open_table *)lru_oldest(&t->open));
	memcpy(o->text, name.p, name.n);
	o->node.key = str_make(o->text, name.n);
	o->table = sstable_ref(table);
	lru_add(&t->open, &o->node);
	return out;
}

static struct fetch *find_fetch(struct tables *t, struct str name)
{
	struct fetch *f = t->fetches;

	while (f && !str_eq(f->name, name))
		f = f->next;
	return f;
}

/* With the lock: waits for another's. The waiter doesn't need a pool's thread to go on: the fetching one
 * is running. */
static rc join(struct tables *t, struct fetch *f, struct sstable **ret, struct err *reterr)
{
	rc result;

	f->waiting++;
	while (!f->done)
		pthread_cond_wait(&f->changed, &t->lock);
	result = f->result;
	if (rc_ok(result))
		*ret = sstable_ref(f->table);
	else if (reterr)
		*reterr = f->err;
	if (--f->waiting == 0)
		pthread_cond_signal(&f->changed);
	return result;
}

static void drop_fetch(struct tables *t, struct fetch *f)
{
	struct fetch **at = &t->fetches;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
}

/* With the lock, which is let go meanwhile. f lives on this stack: the last waiter lets us go. */
static rc lead(struct vcall *c, const struct repo *r, struct str id, struct str name, struct sstable **ret)
{
	struct tables *t = c->v->tables;
	struct fetch f = {.next = t->fetches, .name = name};
	struct sstable *out = NULL;

	pthread_cond_init(&f.changed, NULL);
	t->fetches = &f;
	pthread_mutex_unlock(&t->lock);
	f.result = open_anew(c, r, id, &f.table);
	if (!rc_ok(f.result))
		f.result = tell(c, r, id, f.result);
	if (c->err)
		f.err = *c->err;
	pthread_mutex_lock(&t->lock);
	if (rc_ok(f.result))
		out = keep_open(t, name, f.table);
	drop_fetch(t, &f);
	f.done = true;
	pthread_cond_broadcast(&f.changed);
	while (f.waiting)
		pthread_cond_wait(&f.changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	pthread_cond_destroy(&f.changed);
	sstable_unref(out);
	*ret = f.table;
	pthread_mutex_lock(&t->lock);
	return f.result;
}

rc table_get(struct vcall *c, const struct repo *r, struct str id, struct sstable **ret)
{
	struct tables *t = c->v->tables;
	struct str name;
	struct fetch *f;
	rc result = RC_OK;

	if (!is_table_id(id))
		return err_set(c->err, ERR_CORRUPT, "'" STR_FMT "' is no table's id",
			       STR_ARG(str_head(id, 100)));
	name = open_name(c->a, r, id);
	pthread_mutex_lock(&t->lock);
	*ret = find_open(t, name);
	if (*ret)
		;
	else if (c->wait == KV_NOWAIT || on_loop())
		result = RC(WOULD_BLOCK);
	else if ((f = find_fetch(t, name)))
		result = join(t, f, ret, c->err);
	else
		result = lead(c, r, id, name, ret);
	pthread_mutex_unlock(&t->lock);
	return result;
}

void table_damaged(struct versions *v, const struct repo *r, struct str id)
{
	struct tables *t = v->tables;
	struct table_disk *d = tables_disk(t);
	struct arena *a = arena_new();
	struct sstable *out = NULL;
	struct lru_node *n;

	pthread_mutex_lock(&t->lock);
	n = lru_get(&t->open, open_name(a, r, id));
	if (n)
		out = take_out(t, (struct open_table *)n);
	pthread_mutex_unlock(&t->lock);
	sstable_unref(out);
	if (d)
		table_disk_drop(d, table_name(a, r, id));
	arena_free(a);
}

rc table_exists(struct vcall *c, const struct repo *r, struct str id, bool *ret)
{
	struct object_ptr p = table_pointer(c, r, id);
	struct backend_stat st;
	struct backend *b;
	rc found;

	*ret = false;
	if (!is_table_id(id))
		return RC_OK;
	TRY(repo_backend(c, r, &b));
	found = backend_head_now(b, &p, c->a, &st, c->err);
	*ret = rc_ok(found);
	return rc_is(found, NOT_FOUND) ? RC_OK : found;
}

struct str metadata_address(struct vcall *c, struct str id)
{
	return table_key(c, id);
}
