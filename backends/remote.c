/* Remote stores: requests, attempts, errors. */
#include "backends/remote.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "backends/remote_priv.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/rand.h"

enum {
	WORKERS = 64,
	QUEUE = 1024,
	DEADLINE_MS = 60000,
	PAUSE_MS = 50,
	PAUSE_MOST_MS = 5000,
	TOLD_MAX = 16 * 1024,
};

void remote_call_init(struct remote_call *c, struct arena *a, const char *method)
{
	*c = (struct remote_call){.a = a, .method = str_c(method)};
}

void remote_query(struct remote_call *c, const char *name, struct str value)
{
	assert(c->query_n < sizeof(c->query) / sizeof(*c->query));
	c->query[c->query_n++] = (struct http_header){str_c(name), value};
}

void remote_header(struct remote_call *c, const char *name, struct str value)
{
	assert(c->headers_n < REMOTE_HEADERS_MAX);
	c->headers[c->headers_n++] = (struct http_header){str_c(name), value};
}

void remote_header_set(struct remote_call *c, const char *name, struct str value)
{
	for (size_t i = 0; i < c->headers_n; i++)
		if (str_eq(c->headers[i].name, str_c(name))) {
			c->headers[i].value = value;
			return;
		}
	remote_header(c, name, value);
}

struct str remote_url(const struct remote_call *c)
{
	struct buf b = BUF_INIT(64 * 1024);
	struct str url;

	buf_add(&b, c->base);
	buf_add(&b, c->path);
	for (size_t i = 0; i < c->query_n; i++) {
		buf_add(&b, i ? STR("&") : STR("?"));
		buf_add(&b, uri_encode(c->a, c->query[i].name, false));
		if (c->query[i].value.p) {
			buf_add(&b, STR("="));
			buf_add(&b, uri_encode(c->a, c->query[i].value, false));
		}
	}
	url = arena_dup(c->a, buf_str(&b));
	buf_deinit(&b);
	return url;
}

void remote_init(struct remote *r, const char *type, const struct remote_options *o,
		 const struct remote_ops *ops, const struct backend_blocking_ops *own, unsigned caps)
{
	r->a = arena_new();
	r->o = *o;
	r->o.id = arena_dup(r->a, o->id);
	r->title = o->id.n ? arena_printf(r->a, "store \"" STR_FMT "\"", STR_ARG(o->id)) : STR("the store");
	r->o.workers = o->workers ? o->workers : WORKERS;
	r->o.queue = o->queue ? o->queue : QUEUE;
	r->o.deadline_ms = o->deadline_ms ? o->deadline_ms : DEADLINE_MS;
	r->ops = ops;
	r->http = http_pool_new(&(struct http_pool_options){.kept = r->o.workers,
							    .connect_ms = o->connect_ms,
							    .stall_ms = o->stall_ms,
							    .ca_file = o->ca_file,
							    .insecure = o->insecure,
							    .proxies = true});
	r->blocking = *own;
	remote_writer_ops(&r->blocking);
	remote_reader_ops(&r->blocking);
	backend_init(&r->b, type, r->o.id, work_pool_new(type, r->o.workers, r->o.queue), &r->blocking);
	work_pool_room(r->b.pool, 2 * r->o.queue);
	r->b.caps = caps;
	r->b.own_pool = true;
}

void remote_deinit(struct remote *r)
{
	http_pool_stop(r->http);
	work_pool_free(r->b.pool);
	http_pool_free(r->http);
	arena_free(r->a);
}

/* Attempts. */

enum verdict { DONE, REFUSED, AGAIN, MAYBE_DONE };

/* AGAIN: nothing was done; MAYBE_DONE: something may have been. */
static enum verdict judge(rc r, int status)
{
	if (rc_is(r, ServiceUnavailable))
		return AGAIN;
	if (rc_is(r, CANCELLED) || rc_is(r, AccessDenied)) /* the latter of signing */
		return REFUSED;
	if (!rc_ok(r))
		return MAYBE_DONE;
	if (status == 429 || status == 503)
		return AGAIN;
	if (status == 408 || (status >= 500 && status != 501 && status != 505))
		return MAYBE_DONE;
	return status >= 300 ? REFUSED : DONE;
}

void remote_attempts_init(struct remote_attempts *t, struct remote *r)
{
	*t = (struct remote_attempts){.r = r, .until_ms = mono_ms() + r->o.deadline_ms};
}

static void pause_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

bool remote_attempt_again(struct remote_attempts *t, const struct remote_call *c, const char *why)
{
	unsigned most = t->n < 7 ? PAUSE_MS << t->n : PAUSE_MOST_MS, ms;
	uint32_t dice;

	rand_bytes(&dice, sizeof(dice));
	ms = 1 + dice % most;

	if (c->hopeless || t->n >= t->r->o.max_retries || mono_ms() + ms > t->until_ms)
		return false;
	t->n++;
	if (t->r->o.log_retries)
		log_event(LOG_WARN, "stores", "trying again", F_STR("store", t->r->b.id),
			  F_STR("method", c->method), F_STR("what", str_head(c->what, 200)),
			  F_CSTR("why", why), F_INT("attempt", t->n + 1), F_INT("pause_ms", ms));
	pause_ms(ms);
	return true;
}

rc remote_sign(struct remote *r, struct remote_call *c, struct err *reterr)
{
	rc done = r->ops->sign(r, c, reterr);

	c->hopeless = rc_is(done, AccessDenied);
	if (!c->hopeless || c->probing)
		return done;
	if (reterr)
		reterr->code = ERR_ServiceUnavailable;
	return RC(ServiceUnavailable);
}

void remote_fill(const struct remote_call *c, struct http_request *q)
{
	*q = (struct http_request){
		.method = c->method,
		.url = remote_url(c),
		.headers = c->headers,
		.headers_n = c->headers_n,
		.body = c->streamed ? HTTP_SENT : c->bytes.p ? HTTP_BYTES : HTTP_NO_BODY,
		.bytes = c->bytes,
		.length = (int64_t)c->size,
		.answer_ms = c->answer_ms,
		.fresh = !c->repeatable && !c->streamed, /* libcurl would send it again on its own */
	};
}

static rc once(struct remote *r, struct remote_call *c, bool sign, struct http_answer *ret,
	       struct err *reterr)
{
	struct http_request q;
	rc done;

	*ret = (struct http_answer){0};
	if (sign)
		TRY(remote_sign(r, c, reterr));
	remote_fill(c, &q);
	done = http_ask(r->http, &q, REMOTE_ANSWER_MAX, c->a, ret, reterr);
	if (r->o.log_requests)
		log_event(LOG_INFO, "stores", "request", F_STR("store", r->b.id),
			  F_STR("method", c->method), F_STR("what", str_head(c->what, 200)),
			  F_INT("status", rc_ok(done) ? ret->status : 0));
	return done;
}

static bool listed(const int *also, int status)
{
	for (; also && *also; also++)
		if (*also == status)
			return true;
	return false;
}

rc remote_outcome(struct remote *r, const struct remote_call *c, rc failed, bool maybe, struct err *reterr)
{
	if (!maybe || c->repeatable)
		return failed;
	if (reterr)
		reterr->code = ERR_UNKNOWN_OUTCOME;
	return err_wrap(RC(UNKNOWN_OUTCOME), reterr, STR_FMT ": it may have been done", STR_ARG(r->title));
}

rc remote_ask(struct remote *r, struct remote_call *c, const int *also, struct http_answer *ret,
	      struct err *reterr)
{
	struct remote_attempts t;
	struct err own = {0}, *e = reterr ? reterr : &own;
	bool maybe = false, learnt = false;

	assert(!c->streamed);
	remote_attempts_init(&t, r);
	for (;;) {
		rc done = once(r, c, true, ret, e);
		enum verdict v = rc_ok(done) && listed(also, ret->status) ? DONE : judge(done, ret->status);

		if (v == DONE)
			return RC_OK;
		if (rc_ok(done) && !learnt && r->ops->learn && r->ops->learn(r, c, ret)) {
			learnt = true;
			continue;
		}
		maybe |= v == MAYBE_DONE;
		if (rc_ok(done))
			done = r->ops->refuse(r, c, ret, e);
		if (v == REFUSED)
			return remote_outcome(r, c, done, maybe, e);
		if ((v == MAYBE_DONE && !c->repeatable) || !remote_attempt_again(&t, c, e->msg))
			return remote_outcome(r, c, done, maybe, e);
	}
}

rc remote_ask_plain(struct remote *r, struct remote_call *c, struct http_answer *ret, struct err *reterr)
{
	struct remote_attempts t;
	struct err own = {0}, *e = reterr ? reterr : &own;

	remote_attempts_init(&t, r);
	for (;;) {
		rc done = once(r, c, false, ret, e);
		enum verdict v = judge(done, ret->status);

		if ((v != AGAIN && v != MAYBE_DONE) || !remote_attempt_again(&t, c, e->msg))
			return done;
	}
}

/* An exchange whose answer's head is there: a success that is to be read, or a refusal told. */
rc remote_open(struct remote *r, struct remote_call *c, struct http_exchange **ret, struct http_answer *w,
	       struct err *reterr)
{
	struct http_request q;
	struct http_exchange *x;
	rc done;

	*w = (struct http_answer){0};
	TRY(remote_sign(r, c, reterr));
	remote_fill(c, &q);
	x = http_open(r->http, &q);
	done = http_answer(x, c->a, w, reterr);
	if (rc_ok(done) && w->status >= 300)
		done = remote_told(r, c, x, w, reterr);
	if (rc_ok(done))
		*ret = x;
	else
		http_close(x);
	return done;
}

rc remote_told(struct remote *r, const struct remote_call *c, struct http_exchange *x,
	       struct http_answer *w, struct err *reterr)
{
	char *text = arena_alloc(c->a, TOLD_MAX);
	size_t n = 0;

	IGNORE_RC(http_read(x, text, TOLD_MAX, &n, NULL)); /* the status says enough */
	w->body = str_make(text, n);
	return r->ops->refuse(r, c, w, reterr);
}

bool remote_worth_another(rc failed, int status, bool repeatable)
{
	enum verdict v = judge(status ? RC_OK : failed, status);

	return v == AGAIN || (v == MAYBE_DONE && repeatable);
}
