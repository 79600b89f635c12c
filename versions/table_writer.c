#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "versions/internal.h"
#include "versions/tables_priv.h"

enum { SPOOL_BYTES = 256 * 1024 };

struct table_writer {
	struct versions *v;
	const struct repo *repo;
	struct sstable_writer *w;
	struct table_spool spool;
	char *buf;
	size_t buffered;
	uint64_t size, spooled; /* all of it; what is in the spool */
};

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

/* The cache's disk is full or broken: what was written there, and the rest, goes to memory. */
static rc leave_disk(struct table_writer *w, struct err *reterr)
{
	struct table_spool memory;
	char chunk[16 * 1024];
	uint64_t at = 0;
	rc r = table_spool_open(NULL, &memory, reterr);

	while (rc_ok(r) && at < w->spooled) {
		size_t want = w->spooled - at < sizeof(chunk) ? (size_t)(w->spooled - at) : sizeof(chunk);
		ssize_t n = pread(w->spool.fd, chunk, want, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !write_all(memory.fd, chunk, (size_t)n))
			r = err_set(reterr, ERR_IO, "a table's file in committed.local_cache.dir can't be taken to memory: %s",
				    n ? strerror(errno) : "it is shorter than what was written");
		else
			at += (uint64_t)n;
	}
	table_spool_close(tables_disk(w->v->tables), rc_ok(r) ? &w->spool : &memory);
	if (rc_ok(r))
		w->spool = memory;
	return r;
}

static rc flush(struct table_writer *w, struct err *reterr)
{
	bool done = write_all(w->spool.fd, w->buf, w->buffered);

	if (!done && w->spool.name[0]) {
		log_event(LOG_WARN, "tables", "the cache's disk can't be written to: a table is made in memory",
			  F_STR("error", str_c(strerror(errno))));
		TRY(leave_disk(w, reterr));
		done = write_all(w->spool.fd, w->buf, w->buffered);
	}
	if (!done)
		return err_set(reterr, ERR_IO, "writing a table to memory: %s", strerror(errno));
	w->spooled += w->buffered;
	w->buffered = 0;
	return RC_OK;
}

static rc append(void *ud, const void *p, size_t n, struct err *reterr)
{
	struct table_writer *w = ud;

	w->size += n;
	while (n) {
		size_t part = SPOOL_BYTES - w->buffered;

		if (part > n)
			part = n;
		memcpy(w->buf + w->buffered, p, part);
		w->buffered += part;
		p = (const char *)p + part;
		n -= part;
		if (w->buffered == SPOOL_BYTES)
			TRY(flush(w, reterr));
	}
	return RC_OK;
}

rc table_writer_new(struct versions *v, const struct repo *r, const struct meta *props, size_t n,
		    struct table_writer **ret, struct err *reterr)
{
	struct table_writer *w = calloc(1, sizeof(*w));
	rc opened;

	if (!w)
		abort();
	w->v = v;
	w->repo = r;
	opened = table_spool_open(tables_disk(v->tables), &w->spool, reterr);
	if (!rc_ok(opened)) {
		free(w);
		return opened;
	}
	w->buf = malloc(SPOOL_BYTES);
	if (!w->buf)
		abort();
	w->w = sstable_writer_new(&(struct sstable_writer_options){
		.append = append, .ud = w, .props = props, .props_n = n});
	*ret = w;
	return RC_OK;
}

void table_writer_free(struct table_writer *w)
{
	if (!w)
		return;
	sstable_writer_free(w->w);
	table_spool_close(tables_disk(w->v->tables), &w->spool);
	free(w->buf);
	free(w);
}

rc table_writer_add(struct table_writer *w, struct str key, struct str value, struct err *reterr)
{
	return sstable_writer_add(w->w, key, value, reterr);
}

uint64_t table_writer_size(const struct table_writer *w)
{
	return sstable_writer_estimated_size(w->w);
}

/* The spool as a body. */

struct spool_body {
	struct body body;
	int fd;
	uint64_t at, size;
};

static enum body_state pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct spool_body *s = (struct spool_body *)b;
	ssize_t n;

	if (s->at == s->size)
		return BODY_END;
	do
		n = pread(s->fd, dst, cap, (off_t)s->at);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		IGNORE_RC(err_set(reterr, ERR_IO, "a table's file can't be read again: %s",
				  n ? strerror(errno) : "it is shorter than what was written"));
		return BODY_FAIL;
	}
	s->at += (uint64_t)n;
	*ret_n = (size_t)n;
	return BODY_MORE;
}

static const struct body_ops spool_ops = {.name = "spool", .pull = pull};

/* Also where a table of that name is there already: another writer may have named it a moment ago and not yet
 * synced it, or have died before it did. */
static rc upload(struct table_writer *w, struct vcall *c, struct str id)
{
	struct object_ptr to = table_pointer(c, w->repo, id);
	const struct backend_put_options o = {.content_type = STR("application/octet-stream")};
	struct spool_body body = {.fd = w->spool.fd, .size = w->size};
	struct backend_stat st;
	struct backend *b;
	rc r;

	TRY(repo_backend(c, w->repo, &b));
	body_init(&body.body, &spool_ops, NULL, (int64_t)w->size);
	r = backend_put_now(b, &to, &o, &body.body, c->a, &st, c->err);
	body_close(&body.body);
	TRY(r);
	if (!(b->caps & BACKEND_CAP_FILE))
		table_spool_keep(tables_disk(w->v->tables), &w->spool, table_name(c->a, w->repo, id), w->size);
	return RC_OK;
}

rc table_writer_finish(struct table_writer *w, struct arena *a, struct range_info *ret,
		       struct err *reterr)
{
	struct vcall c = {.v = w->v, .a = a, .wait = KV_BLOCK, .err = reterr};
	struct sstable_summary sum;
	rc r;

	TRY(sstable_writer_finish(w->w, &sum, reterr));
	TRY(flush(w, reterr));
	*ret = (struct range_info){
		.id = arena_dup(a, str_c(sum.id)),
		.min = arena_dup(a, sum.min_key),
		.max = arena_dup(a, sum.max_key),
		.size = sum.estimated_size,
		.count = (int64_t)sum.count,
	};
	r = upload(w, &c, ret->id);
	return rc_ok(r) ? r : err_wrap(r, reterr, "uploading table %s", sum.id);
}
