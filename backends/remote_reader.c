/* Reading from remote stores: a GET as a stream, taken up again where it broke off; small reads; HEAD. */
#include <assert.h>
#include <stdlib.h>

#include "backends/remote_priv.h"

struct backend_reader {
	struct remote *r;
	struct arena *a;
	struct object_ptr p;
	struct http_exchange *x; /* NULL: nothing (more) is to come */
	uint64_t at, end;        /* what is to come yet */
	struct str etag;         /* of what was begun: a successor of another kind is no continuation */
};

static rc invalid_range(uint64_t offset, struct err *reterr)
{
	return err_set(reterr, ERR_InvalidRange, "the object ends before the range, which begins at %llu",
		       (unsigned long long)offset);
}

static rc get_call(struct remote *r, struct arena *a, const struct object_ptr *p, uint64_t offset,
		   uint64_t length, struct remote_call *c, struct err *reterr)
{
	remote_call_init(c, a, "GET");
	c->repeatable = true;
	TRY(r->ops->get(r, c, p, reterr));
	if (length != UINT64_MAX)
		remote_header(c, "range",
			      arena_printf(a, "bytes=%llu-%llu", (unsigned long long)offset,
					   (unsigned long long)(offset + length - 1)));
	else if (offset)
		remote_header(c, "range", arena_printf(a, "bytes=%llu-", (unsigned long long)offset));
	return RC_OK;
}

/* The stream's head, with attempts. */
static rc get(struct remote *r, struct arena *a, const struct object_ptr *p, uint64_t offset,
	      uint64_t length, struct http_exchange **ret, struct backend_stat *ret_stat,
	      struct http_answer *w, struct err *reterr)
{
	struct err own = {0}, *e = reterr ? reterr : &own;
	struct remote_attempts t;
	struct remote_call c;
	bool learnt = false;
	rc done;

	TRY(get_call(r, a, p, offset, length, &c, reterr));
	remote_attempts_init(&t, r);
	for (;;) {
		done = remote_open(r, &c, ret, w, e);
		if (rc_ok(done) || w->status == 416)
			break;
		if (w->status && !learnt && r->ops->learn && r->ops->learn(r, &c, w)) {
			learnt = true;
			continue;
		}
		if (!remote_worth_another(done, w->status, true) || !remote_attempt_again(&t, &c, e->msg))
			break;
	}
	if (!rc_ok(done) && w->status == 416)
		return invalid_range(offset, reterr);
	TRY(done);
	done = r->ops->stat(r, &c, w, a, ret_stat, reterr);
	if (rc_ok(done) && w->status == 206 && offset >= ret_stat->size)
		done = invalid_range(offset, reterr); /* some send nothing, and call it a part */
	else if (rc_ok(done) && w->status != 206 && (offset || ret_stat->size > length))
		done = err_set(reterr, ERR_IO, STR_FMT ": the store answered %d to a request for a range",
			       STR_ARG(c.what), w->status);
	if (!rc_ok(done))
		http_close(*ret);
	return done;
}

static rc remote_head(struct backend *b, const struct object_ptr *p, struct arena *a,
		      struct backend_stat *ret, struct err *reterr)
{
	struct remote *r = CONTAINER(b, struct remote, b);
	struct http_answer w;
	struct remote_call c;

	remote_call_init(&c, a, "HEAD");
	c.repeatable = true;
	TRY(r->ops->head(r, &c, p, reterr));
	TRY(remote_ask(r, &c, NULL, &w, reterr));
	return r->ops->stat(r, &c, &w, a, ret, reterr);
}

static rc open_reader(struct backend *b, const struct object_ptr *p, uint64_t offset, uint64_t length,
		      struct arena *a, struct backend_reader **ret, struct backend_stat *ret_stat,
		      struct err *reterr)
{
	struct remote *r = CONTAINER(b, struct remote, b);
	struct backend_reader *s;
	struct http_exchange *x = NULL;
	struct http_answer w;
	uint64_t left;
	rc done;

	assert(length > 0 && (length == UINT64_MAX || offset + length >= offset));
	done = get(r, a, p, offset, length, &x, ret_stat, &w, reterr);
	if (rc_is(done, InvalidRange) && offset == 0) {
		x = NULL; /* HTTP has no range of an empty thing */
		TRY(remote_head(b, p, a, ret_stat, reterr));
		if (ret_stat->size)
			return done;
		done = RC_OK;
	}
	TRY(done);
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	left = ret_stat->size - (offset < ret_stat->size ? offset : ret_stat->size);
	s->r = r;
	s->a = arena_new();
	s->p = (struct object_ptr){arena_dup(s->a, p->store_id), arena_dup(s->a, p->space),
				   arena_dup(s->a, p->key), p->type};
	s->etag = ret_stat->etag.p ? arena_dup(s->a, ret_stat->etag) : STR_NONE;
	s->x = x;
	s->at = offset;
	s->end = offset + (length < left ? length : left);
	*ret = s;
	return RC_OK;
}

/* Objects are never written again under their names, so what broke off can be continued. */
static rc go_on(struct backend_reader *s, struct err *reterr)
{
	struct arena *a = arena_new();
	struct http_exchange *x;
	struct backend_stat st;
	struct http_answer w;
	rc done;

	http_close(s->x);
	s->x = NULL;
	done = get(s->r, a, &s->p, s->at, s->end - s->at, &x, &st, &w, reterr);
	if (rc_ok(done) && s->etag.p && !str_eq(st.etag, s->etag)) {
		http_close(x);
		done = err_set(reterr, ERR_IO, "\"" STR_FMT "\" was replaced while it was being read",
			       STR_ARG(s->p.key));
	}
	if (rc_ok(done))
		s->x = x;
	arena_free(a);
	return done;
}

static rc broke_off(const struct backend_reader *s, struct err *reterr)
{
	return err_set(reterr, ERR_IO, "\"" STR_FMT "\" broke off", STR_ARG(s->p.key));
}

static rc too_short(const struct backend_reader *s, struct err *reterr)
{
	return err_set(reterr, ERR_IO, "\"" STR_FMT "\" ended before its end", STR_ARG(s->p.key));
}

static rc next(struct backend_reader *s, void *dst, size_t n, size_t *ret_n, struct err *reterr)
{
	*ret_n = 0;
	return s->x ? http_read(s->x, dst, n, ret_n, reterr) : broke_off(s, reterr);
}

/* A connection whose last byte was read serves others. */
static void end_of(struct backend_reader *s)
{
	if (s->at < s->end)
		return;
	http_close(s->x);
	s->x = NULL;
}

static rc read_next(struct backend_reader *s, void *dst, size_t n, size_t *ret_n, struct err *reterr)
{
	size_t got = 0, k = 0;

	if (s->end - s->at < n)
		n = (size_t)(s->end - s->at);
	for (unsigned broken = 0; got < n;) {
		rc r = next(s, (char *)dst + got, n - got, &k, reterr);

		got += k;
		s->at += k;
		if (rc_ok(r) && got < n)
			r = too_short(s, reterr);
		if (rc_ok(r))
			break;
		if (rc_is(r, CANCELLED) || broken++ >= s->r->o.max_retries)
			return r;
		TRY(go_on(s, reterr));
	}
	end_of(s);
	*ret_n = got;
	return RC_OK;
}

static bool can_splice(struct backend_reader *s)
{
	return s->x && http_can_splice(s->x);
}

static rc splice_some(struct backend_reader *s, int pipe, size_t n, size_t *ret_n, struct err *reterr)
{
	*ret_n = 0;
	return can_splice(s) ? http_splice(s->x, pipe, n, ret_n, reterr) : broke_off(s, reterr);
}

static rc splice_next(struct backend_reader *s, int pipe, size_t n, size_t *ret_n, struct err *reterr)
{
	if (s->end - s->at < n)
		n = (size_t)(s->end - s->at);
	for (unsigned broken = 0;;) {
		rc r = splice_some(s, pipe, n, ret_n, reterr);

		s->at += *ret_n;
		if (rc_ok(r) && *ret_n == 0)
			r = too_short(s, reterr);
		if (rc_ok(r))
			break;
		if (rc_is(r, CANCELLED) || broken++ >= s->r->o.max_retries)
			return r;
		if (s->at < s->end)
			TRY(go_on(s, reterr));
		if (*ret_n)
			break;
	}
	end_of(s);
	return RC_OK;
}

static void close_reader(struct backend_reader *s)
{
	http_close(s->x);
	arena_free(s->a);
	free(s);
}

static rc remote_read(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst, size_t n,
		      size_t *ret_n, struct err *reterr)
{
	struct arena *a = arena_new();
	struct backend_reader *s;
	struct backend_stat st;
	rc done;

	*ret_n = 0;
	done = n ? open_reader(b, p, offset, n, a, &s, &st, reterr) : remote_head(b, p, a, &st, reterr);
	if (rc_ok(done) && n) {
		done = read_next(s, dst, n, ret_n, reterr);
		close_reader(s);
	}
	arena_free(a);
	return rc_is(done, InvalidRange) ? RC_OK : done;
}

void remote_reader_ops(struct backend_blocking_ops *ops)
{
	ops->head = remote_head;
	ops->read = remote_read;
	ops->open_reader = open_reader;
	ops->read_next = read_next;
	ops->can_splice = can_splice;
	ops->splice_next = splice_next;
	ops->close_reader = close_reader;
}
