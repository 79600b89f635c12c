/* Writing to remote stores, in one of three ways:
 *
 *   WHOLE   a size up to REMOTE_WHOLE: kept until commit, sent in one request, again if need be
 *   STREAM  a known size: one request that begins with the first write. Its last byte is held back until
 *           commit, so that the store never has all of a body that failed its checks at the very end. In
 *           frames (remote_frames.h) where the service would store what came of a body that broke off
 *   PARTS   no size: parts of growing size through the store's multipart upload, or chunks to a session of the
 *           service's where it has those, begun only when the first is full; what fits into one is sent as
 *           WHOLE
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/remote_frames.h"
#include "backends/remote_priv.h"

enum {
	PART_MOST = 64 * 1024 * 1024,
	GROW_EVERY = 1000, /* parts, after which they double: 10,000 of them hold 400 GiB */
	PARTS_MAX = 10000,
	FIRST_BYTES = 64 * 1024,
};

enum way { WHOLE, STREAM, PARTS };

struct writer {
	struct backend_writer base;
	struct remote *r;
	struct arena *a;
	struct object_ptr to;
	struct backend_put_options o;
	enum way way;
	uint64_t n; /* written */
	/* WHOLE, PARTS */
	char *buf;
	size_t at, cap, most;
	/* STREAM */
	struct http_exchange *x;
	struct remote_call call;
	struct remote_frames frames;
	char last;
	bool has_last;
	/* a part of an upload of somebody else's; PARTS: its own upload */
	struct str upload_id;
	unsigned number;
	struct backend_part *parts;
	size_t parts_n;
	struct str session;
	uint64_t sent; /* to it */
};

static struct writer *of(struct backend_writer *w)
{
	return CONTAINER(w, struct writer, base);
}

static struct writer *writer_new(struct backend *b, const struct object_ptr *to,
				 const struct backend_put_options *o)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->base.b = b;
	w->r = CONTAINER(b, struct remote, b);
	w->a = arena_new();
	w->to = (struct object_ptr){arena_dup(w->a, to->store_id), arena_dup(w->a, to->space),
				    arena_dup(w->a, to->key), to->type};
	if (o)
		w->o = *o;
	w->o.content_type = w->o.content_type.p ? arena_dup(w->a, w->o.content_type) : STR_NONE;
	w->o.storage_class = w->o.storage_class.p ? arena_dup(w->a, w->o.storage_class) : STR_NONE;
	return w;
}

static void writer_free(struct writer *w)
{
	http_close(w->x);
	free(w->buf);
	free(w->parts);
	arena_free(w->a);
	free(w);
}

/* The call of this object or part. */
static rc build(struct writer *w, struct remote_call *c, struct arena *a, struct err *reterr)
{
	remote_call_init(c, a, "PUT");
	c->repeatable = !w->o.if_absent;
	if (w->number)
		return w->r->ops->put_part(w->r, c, &w->to, w->upload_id, w->number, reterr);
	return w->r->ops->put(w->r, c, &w->to, &w->o, reterr);
}

/* A pointer that the store can't have is told at once. */
static rc check(struct writer *w, struct err *reterr)
{
	struct arena *a = arena_new();
	struct remote_call c;
	rc r = build(w, &c, a, reterr);

	arena_free(a);
	return r;
}

static enum way way_of(const struct writer *w)
{
	if (!w->o.sized || w->o.size > w->r->ops->put_max)
		return PARTS;
	if (w->o.size <= REMOTE_WHOLE)
		return WHOLE;
	return w->r->ops->unstreamed && w->r->ops->unstreamed(&w->o) ? PARTS : STREAM;
}

static rc begin(struct writer *w, struct backend_writer **ret, struct err *reterr)
{
	rc r = check(w, reterr);

	if (!rc_ok(r)) {
		writer_free(w);
		return r;
	}
	w->way = way_of(w);
	w->most = w->way == WHOLE ? (size_t)w->o.size : REMOTE_PART;
	*ret = &w->base;
	return r;
}

static rc open_writer(struct backend *b, const struct object_ptr *to, const struct backend_put_options *o,
		      struct backend_writer **ret, struct err *reterr)
{
	return begin(writer_new(b, to, o), ret, reterr);
}

static rc mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id, unsigned number,
			const struct backend_put_options *o, struct backend_writer **ret,
			struct err *reterr)
{
	struct writer *w;

	if (number < 1 || number > PARTS_MAX)
		return err_set(reterr, ERR_INVALID, "part number %u: 1 to 10,000 are allowed", number);
	w = writer_new(b, to, o);
	w->upload_id = arena_dup(w->a, upload_id);
	w->number = number;
	return begin(w, ret, reterr);
}

/* From memory. */

static rc send_bytes(struct writer *w, struct remote_call *c, struct str bytes, struct arena *a,
		     struct backend_stat *ret, struct err *reterr)
{
	struct http_answer got;

	c->bytes = w->r->ops->envelope ? w->r->ops->envelope(w->r, c, bytes) : bytes;
	c->size = c->bytes.n;
	TRY(remote_ask(w->r, c, NULL, &got, reterr));
	TRY(w->r->ops->stat(w->r, c, &got, a, ret, reterr));
	ret->size = bytes.n;
	return RC_OK;
}

static void grow(struct writer *w, size_t more)
{
	size_t cap = w->cap ? w->cap : FIRST_BYTES;

	while (cap < w->at + more)
		cap *= 2;
	cap = cap < w->most ? cap : w->most;
	w->buf = realloc(w->buf, cap ? cap : 1);
	if (!w->buf)
		abort();
	w->cap = cap;
}

static size_t keep(struct writer *w, const char *p, size_t n)
{
	if (n > w->most - w->at)
		n = w->most - w->at;
	if (w->cap - w->at < n)
		grow(w, n);
	if (n)
		memcpy(w->buf + w->at, p, n);
	w->at += n;
	return n;
}

static void remember(struct writer *w, const struct backend_stat *st)
{
	if ((w->parts_n & (w->parts_n - 1)) == 0) {
		w->parts = realloc(w->parts, (w->parts_n ? 2 * w->parts_n : 1) * sizeof(*w->parts));
		if (!w->parts)
			abort();
	}
	w->parts[w->parts_n] = (struct backend_part){.number = (unsigned)w->parts_n + 1,
						     .etag = arena_dup(w->a, st->etag),
						     .size = st->size};
	w->parts_n++;
	if (w->parts_n % GROW_EVERY == 0 && w->most < PART_MOST)
		w->most *= 2;
}

/* To the session, from where the service has it. */
static rc send_chunk(struct writer *w, bool last, struct arena *keep_in, struct backend_stat *ret,
		     struct err *reterr)
{
	size_t at = 0;

	if (!w->session.p)
		TRY(w->r->ops->session_open(w->r, &w->to, &w->o, w->a, &w->session, reterr));
	do {
		struct arena *a = arena_new();
		struct backend_stat st = {0};
		struct remote_call c;
		uint64_t kept = 0;
		rc r;

		remote_call_init(&c, a, "PUT");
		c.repeatable = true;
		c.bytes = str_make((w->buf ? w->buf : "") + at, w->at - at);
		r = w->r->ops->session_send(w->r, &c, w->session, w->sent + at, last, &kept, &st, reterr);
		if (rc_ok(r) && (kept <= w->sent + at || kept > w->sent + w->at) && w->at > at)
			r = err_set(reterr, ERR_IO, "the store takes none of an upload's bytes");
		if (rc_ok(r) && last && keep_in)
			*ret = (struct backend_stat){st.size, st.mtime_s,
						     st.etag.p ? arena_dup(keep_in, st.etag) : STR_NONE};
		arena_free(a);
		TRY(r);
		at = (size_t)(kept - w->sent);
	} while (at < w->at);
	w->sent += w->at;
	w->at = 0;
	return RC_OK;
}

/* What has been kept becomes the next part. */
static rc flush(struct writer *w, struct err *reterr)
{
	struct arena *a;
	struct remote_call c;
	struct backend_stat st;
	rc r;

	if (w->number)
		return err_set(reterr, ERR_EntityTooLarge,
			       "a part whose length nobody told may have %d bytes: send a Content-Length",
			       REMOTE_PART);
	if (w->r->ops->session_open)
		return send_chunk(w, false, NULL, NULL, reterr);
	if (w->o.if_absent && !w->r->ops->parts_if_absent) /* nothing of it has gone out yet */
		return err_set(reterr, ERR_INVALID,
			       "an object that must not be there yet may have %d bytes here, unless its length "
			       "is known and it can be sent in one piece",
			       REMOTE_PART);
	if (w->parts_n == PARTS_MAX)
		return err_set(reterr, ERR_EntityTooLarge,
			       "an object whose length nobody told may have %d parts: send a Content-Length",
			       PARTS_MAX);
	if (!w->upload_id.p)
		TRY(w->r->blocking.mpu_create(&w->r->b, &w->to, &w->o, w->a, &w->upload_id, reterr));
	a = arena_new();
	remote_call_init(&c, a, "PUT");
	c.repeatable = true;
	r = w->r->ops->put_part(w->r, &c, &w->to, w->upload_id, (unsigned)w->parts_n + 1, reterr);
	if (rc_ok(r))
		r = send_bytes(w, &c, str_make(w->buf, w->at), a, &st, reterr);
	if (rc_ok(r))
		remember(w, &st);
	w->at = 0;
	arena_free(a);
	return r;
}

static rc write_parts(struct writer *w, const char *p, size_t n, struct err *reterr)
{
	while (n) {
		size_t k;

		if (w->at == w->most)
			TRY(flush(w, reterr));
		k = keep(w, p, n);
		p += k;
		n -= k;
	}
	return RC_OK;
}

/* As a stream. */

static rc pass(struct writer *w, const void *p, size_t n, struct err *reterr)
{
	return w->call.framed ? remote_frames_send(&w->frames, w->x, p, n, reterr)
			      : http_send(w->x, p, n, reterr);
}

static rc start_once(struct writer *w, const void *p, size_t n, struct err *reterr)
{
	struct http_request q;
	rc r;

	TRY(remote_sign(w->r, &w->call, reterr));
	remote_fill(&w->call, &q);
	w->x = http_open(w->r->http, &q);
	remote_frames_init(&w->frames, w->a, w->o.size);
	r = pass(w, p, n, reterr);
	if (!rc_ok(r)) {
		http_close(w->x);
		w->x = NULL;
	}
	return r;
}

/* While the first bytes are at hand another connection may be tried. */
static rc start(struct writer *w, const void *p, size_t n, struct err *reterr)
{
	struct err own = {0}, *e = reterr ? reterr : &own;
	struct remote_attempts t;

	TRY(build(w, &w->call, w->a, reterr));
	w->call.streamed = true;
	w->call.framed = w->r->framed;
	w->call.decoded = w->o.size;
	w->call.size = w->call.framed ? remote_frames_length(w->o.size) : w->o.size;
	remote_attempts_init(&t, w->r);
	for (;;) {
		rc r = start_once(w, p, n, e);

		/* The store has less than all of the body, whatever happened: nothing was done. */
		if (rc_ok(r) || !(rc_is(r, ServiceUnavailable) || rc_is(r, IO)) ||
		    !remote_attempt_again(&t, &w->call, e->msg))
			return r;
	}
}

static rc write_stream(struct writer *w, const char *p, size_t n, struct err *reterr)
{
	if (w->n + n == w->o.size && n) {
		w->last = p[--n];
		w->has_last = true;
	}
	if (n == 0)
		return RC_OK;
	return w->x ? pass(w, p, n, reterr) : start(w, p, n, reterr);
}

static rc stored(struct writer *w, struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct http_answer got = {0};
	char rest[4096];
	size_t k;
	rc r = pass(w, &w->last, 1, reterr);

	if (rc_ok(r) && w->call.framed)
		r = remote_frames_end(&w->frames, w->x, reterr);
	if (rc_ok(r))
		r = http_answer(w->x, w->call.a, &got, reterr);
	if (rc_ok(r) && got.status >= 300) {
		r = remote_told(w->r, &w->call, w->x, &got, reterr);
		if (w->r->ops->learn)
			w->r->ops->learn(w->r, &w->call, &got);
		return r;
	}
	if (!rc_ok(r)) {
		w->call.repeatable = false; /* by us: the bytes are gone */
		return remote_outcome(w->r, &w->call, r, !rc_is(r, ServiceUnavailable), reterr);
	}
	if (rc_ok(http_read(w->x, rest, sizeof(rest), &k, NULL)))
		got.body = str_make(rest, k);
	TRY(w->r->ops->stat(w->r, &w->call, &got, a, ret, reterr));
	ret->size = w->n;
	return RC_OK;
}

/* The ops. */

static rc write_some(struct backend_writer *base, const void *p, size_t n, struct err *reterr)
{
	struct writer *w = of(base);

	if (w->o.sized && n > w->o.size - w->n)
		return err_set(reterr, ERR_IO, "\"" STR_FMT "\": more bytes came than the %llu announced",
			       STR_ARG(w->to.key), (unsigned long long)w->o.size);
	if (w->way == WHOLE)
		keep(w, p, n);
	else
		TRY(w->way == STREAM ? write_stream(w, p, n, reterr) : write_parts(w, p, n, reterr));
	w->n += n;
	return RC_OK;
}

static rc join(struct writer *w, struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	if (w->at)
		TRY(flush(w, reterr));
	TRY(w->r->blocking.mpu_complete(&w->r->b, &w->to, w->upload_id, w->parts, w->parts_n, a, ret,
					reterr));
	ret->size = w->n;
	return RC_OK;
}

static rc finish(struct writer *w, struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct remote_call c;

	*ret = (struct backend_stat){0};
	if (w->o.sized && w->n != w->o.size)
		return err_set(reterr, ERR_IO, "\"" STR_FMT "\": %llu bytes came of the %llu announced",
			       STR_ARG(w->to.key), (unsigned long long)w->n,
			       (unsigned long long)w->o.size);
	if (w->way == STREAM)
		return stored(w, a, ret, reterr);
	if (w->session.p) {
		TRY(send_chunk(w, true, a, ret, reterr));
		ret->size = w->n;
		return RC_OK;
	}
	if (w->parts_n)
		return join(w, a, ret, reterr);
	TRY(build(w, &c, w->a, reterr));
	return send_bytes(w, &c, str_make(w->buf ? w->buf : "", w->at), a, ret, reterr);
}

static void give_up(struct backend_writer *base)
{
	struct writer *w = of(base);

	if (w->session.p)
		w->r->ops->session_end(w->r, w->session);
	if (w->upload_id.p && !w->number) /* should this fail, it is the store's to clean up */
		IGNORE_RC(w->r->blocking.mpu_abort(&w->r->b, &w->to, w->upload_id, NULL));
	writer_free(w);
}

static rc commit(struct backend_writer *base, struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	rc r = finish(of(base), a, ret, reterr);

	if (rc_ok(r) || rc_is(r, UNKNOWN_OUTCOME))
		writer_free(of(base));
	else
		give_up(base);
	return r;
}

void remote_writer_ops(struct backend_blocking_ops *ops)
{
	ops->open_writer = open_writer;
	ops->write = write_some;
	ops->commit = commit;
	ops->abort = give_up;
	ops->mpu_open_part = mpu_open_part;
}
