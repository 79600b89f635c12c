/* A link is a libcurl multi handle with its own kept connection, and one easy handle: what one exchange at a
 * time uses. The pool lends the link that was used last, whose connection is the least likely to have
 * been closed meanwhile. libcurl's callbacks run inside the caller's own calls, so that nothing
 * here needs a lock but the pool's list and what libcurl shares. */
#include "http/client_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/work.h"

enum {
	KEPT = 64,
	CONNECT_MS = 10000,
	STALL_MS = 60000,
	IDLE_S = 50,    /* servers close idle connections after a minute or more */
	UPLOAD_BYTES = 256 * 1024,
	BUFFER_BYTES = 128 * 1024,
	SPILL_BYTES = CURL_MAX_WRITE_SIZE,
	HEAD_MAX = 64 * 1024,
	HEADERS_MAX = 200,
};

/* The pool. */

static void share_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *ud)
{
	pthread_mutex_lock(&((struct http_pool *)ud)->share_locks[data]);
}

static void share_unlock(CURL *easy, curl_lock_data data, void *ud)
{
	pthread_mutex_unlock(&((struct http_pool *)ud)->share_locks[data]);
}

static void init_curl(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

struct http_pool *http_pool_new(const struct http_pool_options *o)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_pool *p = calloc(1, sizeof(*p));

	pthread_once(&once, init_curl);
	if (!p || !(p->share = curl_share_init()))
		abort();
	p->o = *o;
	p->a = arena_new();
	p->o.ca_file = o->ca_file.n ? arena_dup(p->a, o->ca_file) : STR_NONE;
	p->o.kept = o->kept ? o->kept : KEPT;
	p->o.connect_ms = o->connect_ms ? o->connect_ms : CONNECT_MS;
	p->o.stall_ms = o->stall_ms ? o->stall_ms : STALL_MS;
	pthread_mutex_init(&p->locked.lock, NULL);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&p->share_locks[i], NULL);
	curl_share_setopt(p->share, CURLSHOPT_LOCKFUNC, share_lock);
	curl_share_setopt(p->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	curl_share_setopt(p->share, CURLSHOPT_USERDATA, p);
	curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return p;
}

static void link_free(struct link *l)
{
	curl_easy_cleanup(l->easy);
	curl_multi_cleanup(l->multi);
	free(l);
}

void http_pool_free(struct http_pool *p)
{
	if (!p)
		return;
	assert(atomic_load(&p->open) == 0);
	while (p->locked.free) {
		struct link *l = p->locked.free;

		p->locked.free = l->next;
		link_free(l);
	}
	curl_share_cleanup(p->share);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_destroy(&p->share_locks[i]);
	pthread_mutex_destroy(&p->locked.lock);
	arena_free(p->a);
	free(p);
}

void http_pool_stop(struct http_pool *p)
{
	atomic_store(&p->stopped, true);
}

static struct link *borrow(struct http_pool *p)
{
	struct link *l;

	pthread_mutex_lock(&p->locked.lock);
	l = p->locked.free;
	if (l) {
		p->locked.free = l->next;
		p->locked.n--;
	}
	pthread_mutex_unlock(&p->locked.lock);
	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l || !(l->multi = curl_multi_init()) || !(l->easy = curl_easy_init()))
		abort();
	curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, 1L);
	for (unsigned i = 0; i < LINK_SOCKETS; i++)
		l->sockets[i] = -1;
	return l;
}

static void give_back(struct http_pool *p, struct link *l)
{
	bool keep;

	curl_multi_remove_handle(l->multi, l->easy);
	curl_easy_reset(l->easy);
	pthread_mutex_lock(&p->locked.lock);
	keep = p->locked.n < p->o.kept;
	if (keep) {
		l->next = p->locked.free;
		p->locked.free = l;
		p->locked.n++;
	}
	pthread_mutex_unlock(&p->locked.lock);
	if (!keep)
		link_free(l);
}

/* libcurl's callbacks. */

static void moved(struct http_exchange *x)
{
	x->moved_ms = mono_ms();
}

static size_t on_read(char *p, size_t size, size_t n, void *ud)
{
	struct http_exchange *x = ud;

	n *= size;
	moved(x);
	if (x->out_n == 0) {
		x->paused_out = !x->out_over;
		return x->out_over ? 0 : CURL_READFUNC_PAUSE;
	}
	n = n < x->out_n ? n : x->out_n;
	memcpy(p, x->out, n);
	x->out += n;
	x->out_n -= n;
	return n;
}

/* A kept connection was dead: from the beginning again, which only a body in memory can. */
static int on_seek(void *ud, curl_off_t offset, int origin)
{
	struct http_exchange *x = ud;

	if (x->q.body != HTTP_BYTES || origin != SEEK_SET || offset < 0 ||
	    (uint64_t)offset > x->q.bytes.n)
		return CURL_SEEKFUNC_CANTSEEK;
	x->out = x->q.bytes.p + offset;
	x->out_n = x->q.bytes.n - (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_body(char *p, size_t size, size_t n, void *ud)
{
	struct http_exchange *x = ud;
	size_t k;

	n *= size;
	if (x->taken)
		return http_splice_keep(x, p, n);
	if (x->dst_n == 0 || x->spill_n || n > SPILL_BYTES + x->dst_n) {
		x->paused_in = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	moved(x);
	x->came += n;
	k = n < x->dst_n ? n : x->dst_n;
	memcpy(x->dst, p, k);
	x->dst += k;
	x->dst_n -= k;
	if (k == n)
		return n;
	if (!x->spill && !(x->spill = malloc(SPILL_BYTES)))
		abort();
	memcpy(x->spill, p + k, n - k);
	x->spill_at = 0;
	x->spill_n = n - k;
	return n;
}

static bool add_header(struct http_exchange *x, struct str line)
{
	struct str value, name = str_cut(line, ':', &value);

	if (!value.p || x->got_n == HEADERS_MAX)
		return !value.p;
	if (!x->got)
		x->got = arena_alloc(x->a, HEADERS_MAX * sizeof(*x->got));
	x->got[x->got_n++] = (struct http_header){lower_case(x->a, str_trim(name)),
						  arena_dup(x->a, str_trim(value))};
	return true;
}

static size_t on_header(char *p, size_t size, size_t n, void *ud)
{
	struct http_exchange *x = ud;
	struct str line = str_make(p, n * size);
	long status = 0;

	moved(x);
	if ((x->head_bytes += line.n) > HEAD_MAX)
		return 0;
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (str_starts(line, STR("HTTP/"))) {
		x->got_n = 0; /* what came before was an interim answer */
		return n * size;
	}
	if (line.n)
		return x->status || add_header(x, line) ? n * size : 0; /* trailers are nobody's */
	curl_easy_getinfo(x->link->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && !x->status) {
		x->status = (int)status;
		x->early = x->q.body == HTTP_SENT && !(x->out_over && x->out_n == 0);
	}
	return n * size;
}

/* Driving. */

struct str http_exchange_peer(const struct http_exchange *x)
{
	return str_head(str_head(x->q.url, str_index(x->q.url, '?')), 200);
}

static rc failure(struct http_exchange *x, struct err *reterr)
{
	long sent = 0;
	bool before;

	curl_easy_getinfo(x->link->easy, CURLINFO_REQUEST_SIZE, &sent);
	before = sent == 0 && x->status == 0;
	return err_set(reterr, before ? ERR_ServiceUnavailable : ERR_IO, STR_FMT " " STR_FMT ": %s",
		       STR_ARG(x->q.method), STR_ARG(http_exchange_peer(x)),
		       x->error[0] ? x->error : curl_easy_strerror(x->code));
}

rc http_stalled(struct http_exchange *x, unsigned stall_ms, struct err *reterr)
{
	return err_set(reterr, ERR_IO, STR_FMT " " STR_FMT ": nothing came for %u s", STR_ARG(x->q.method),
		       STR_ARG(http_exchange_peer(x)), stall_ms / 1000);
}

static void step(struct http_exchange *x)
{
	CURLMsg *m;
	int n;

	curl_multi_perform(x->link->multi, &n);
	while ((m = curl_multi_info_read(x->link->multi, &n)))
		if (m->msg == CURLMSG_DONE) {
			x->over = true;
			x->code = m->data.result;
		}
}

/* Until until(x) or the exchange is over; the failure of an exchange is the next caller's to tell. */
static rc drive(struct http_exchange *x, bool (*until)(const struct http_exchange *x), unsigned stall_ms,
		struct err *reterr)
{
	int n;

	assert(!on_loop());
	moved(x);
	while (!x->over && !until(x)) {
		step(x);
		if (x->over || until(x))
			break;
		if (atomic_load(&x->pool->stopped))
			return err_default(reterr, ERR_CANCELLED);
		if (mono_ms() - x->moved_ms > stall_ms)
			return http_stalled(x, stall_ms, reterr);
		curl_multi_poll(x->link->multi, NULL, 0, HTTP_SLICE_MS, &n);
	}
	return RC_OK;
}

void http_exchange_resume(struct http_exchange *x)
{
	if (!x->over)
		curl_easy_pause(x->link->easy, (x->paused_in ? CURLPAUSE_RECV : 0) |
						       (x->paused_out ? CURLPAUSE_SEND : 0));
}

/* Opening. */

static void set_headers(struct http_exchange *x, const struct http_request *q)
{
	for (size_t i = 0; i < q->headers_n; i++) {
		struct str name = q->headers[i].name, value = q->headers[i].value;

		x->headers = curl_slist_append(
			x->headers, arena_printf(x->a, value.n ? STR_FMT ": " STR_FMT : STR_FMT ";",
						 STR_ARG(name), STR_ARG(value))
					    .p);
	}
	/* What libcurl would add of its own. */
	x->headers = curl_slist_append(x->headers, "Expect:");
	x->headers = curl_slist_append(x->headers, "Accept:");
	if (q->body == HTTP_SENT && q->length < 0)
		x->headers = curl_slist_append(x->headers, "Transfer-Encoding: chunked");
	curl_easy_setopt(x->link->easy, CURLOPT_HTTPHEADER, x->headers);
}

static void set_body(struct http_exchange *x, const struct http_request *q)
{
	CURL *e = x->link->easy;

	if (str_eq(q->method, STR("HEAD")))
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	if (q->body != HTTP_NO_BODY) {
		int64_t length = q->body == HTTP_BYTES ? (int64_t)q->bytes.n : q->length;

		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		if (length < 0 || length > UPLOAD_BYTES)
			curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, x);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, x);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length);
	}
	if (q->body == HTTP_BYTES) {
		x->out = q->bytes.p;
		x->out_n = q->bytes.n;
		x->out_over = true;
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, x->q.method.p);
}

static void set_limits(struct http_exchange *x)
{
	const struct http_pool_options *o = &x->pool->o;
	CURL *e = x->link->easy;

	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
	curl_easy_setopt(e, CURLOPT_SHARE, x->pool->share);
	if (o->ca_file.n)
		curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file.p);
	if (o->insecure) {
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (x->q.fresh)
		curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	if (!o->proxies)
		curl_easy_setopt(e, CURLOPT_PROXY, "");
}

static void set_callbacks(struct http_exchange *x)
{
	CURL *e = x->link->easy;

	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->error);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
}

struct http_exchange *http_open(struct http_pool *p, const struct http_request *q)
{
	struct http_exchange *x = calloc(1, sizeof(*x));

	if (!x)
		abort();
	atomic_fetch_add(&p->open, 1);
	x->pool = p;
	x->a = arena_new();
	x->link = borrow(p);
	x->q = *q;
	x->q.method = str_c(arena_cstr(x->a, q->method));
	x->q.url = str_c(arena_cstr(x->a, q->url));
	moved(x);
	curl_easy_setopt(x->link->easy, CURLOPT_URL, x->q.url.p);
	set_callbacks(x);
	set_headers(x, q);
	set_body(x, q);
	set_limits(x);
	http_link_watch(x->link);
	curl_multi_add_handle(x->link->multi, x->link->easy);
	return x;
}

/* The exchange. */

static bool taken(const struct http_exchange *x)
{
	return x->out_n == 0 || x->status;
}

rc http_send(struct http_exchange *x, const void *p, size_t n, struct err *reterr)
{
	assert(x->q.body == HTTP_SENT && !x->out_over);
	if (x->status || n == 0)
		return RC_OK;
	x->out = p;
	x->out_n = n;
	if (x->paused_out) {
		x->paused_out = false;
		http_exchange_resume(x);
	}
	TRY(drive(x, taken, x->pool->o.stall_ms, reterr));
	if (x->over && !x->status)
		return failure(x, reterr);
	x->out_n = 0;
	return RC_OK;
}

static bool answered(const struct http_exchange *x)
{
	return x->status != 0;
}

static int64_t content_length(const struct http_answer *w)
{
	struct str s = http_answer_header(w, "content-length");
	uint64_t n;

	return s.n && str_to_u64(s, &n) && n <= INT64_MAX ? (int64_t)n : -1;
}

rc http_answer(struct http_exchange *x, struct arena *a, struct http_answer *ret, struct err *reterr)
{
	x->out_over = true;
	if (x->paused_out) {
		x->paused_out = false;
		http_exchange_resume(x);
	}
	TRY(drive(x, answered, x->q.answer_ms ? x->q.answer_ms : x->pool->o.stall_ms, reterr));
	if (!x->status)
		return failure(x, reterr);
	if (x->early && x->status < 300)
		return err_set(reterr, ERR_IO,
			       STR_FMT " " STR_FMT ": answered %d before it had all of the body",
			       STR_ARG(x->q.method), STR_ARG(http_exchange_peer(x)), x->status);
	*ret = (struct http_answer){.status = x->status, .headers_n = x->got_n};
	ret->headers = arena_alloc(a, (x->got_n + 1) * sizeof(*ret->headers));
	for (size_t i = 0; i < x->got_n; i++)
		ret->headers[i] = (struct http_header){arena_dup(a, x->got[i].name),
						       arena_dup(a, x->got[i].value)};
	ret->length = content_length(ret);
	x->length = http_answer_header(ret, "transfer-encoding").p ? -1 : ret->length;
	return RC_OK;
}

static bool read_enough(const struct http_exchange *x)
{
	return x->dst_n == 0;
}

static size_t take_spill(struct http_exchange *x, char *dst, size_t n)
{
	n = n < x->spill_n ? n : x->spill_n;
	if (n)
		memcpy(dst, x->spill + x->spill_at, n);
	x->spill_at += n;
	x->spill_n -= n;
	return n;
}

rc http_read(struct http_exchange *x, void *dst, size_t n, size_t *ret_n, struct err *reterr)
{
	size_t had = take_spill(x, dst, n);
	rc r = RC_OK;

	assert(!x->taken);
	x->dst = (char *)dst + had;
	x->dst_n = n - had;
	if (x->dst_n && x->paused_in) {
		x->paused_in = false;
		http_exchange_resume(x);
	}
	if (x->dst_n)
		r = drive(x, read_enough, x->pool->o.stall_ms, reterr);
	*ret_n = n - x->dst_n;
	x->dst_n = 0;
	TRY(r);
	/* What libcurl has to say of an upload that was refused early is no failure of the answer. */
	if (*ret_n < n && x->over && x->code != CURLE_OK && !x->early)
		return failure(x, reterr);
	return RC_OK;
}

void http_close(struct http_exchange *x)
{
	if (!x)
		return;
	if (x->status && !x->over && x->spill_n == 0 && !x->taken)
		step(x); /* libcurl may not have seen yet that this was all: else the connection is lost */
	curl_slist_free_all(x->headers);
	give_back(x->pool, x->link);
	atomic_fetch_sub(&x->pool->open, 1);
	free(x->spill);
	arena_free(x->a);
	free(x);
}

static rc read_all(struct http_exchange *x, size_t max, struct arena *a, struct http_answer *ret,
		   struct err *reterr)
{
	size_t cap = ret->length >= 0 && (uint64_t)ret->length <= max ? (size_t)ret->length : max, n;
	char *p, *more;

	if (str_eq(x->q.method, STR("HEAD")))
		return RC_OK;
	/* One byte more than may come: so that the end, or too much, is seen. */
	p = malloc(cap + 1);
	if (!p)
		abort();
	more = p;
	rc r = http_read(x, more, cap + 1, &n, reterr);

	if (rc_ok(r) && n > cap)
		r = err_set(reterr, ERR_IO, STR_FMT " " STR_FMT ": the answer has more than %zu bytes",
			    STR_ARG(x->q.method), STR_ARG(http_exchange_peer(x)), cap);
	if (rc_ok(r))
		ret->body = arena_dup(a, str_make(p, n));
	free(p);
	return r;
}

rc http_ask(struct http_pool *p, const struct http_request *q, size_t max, struct arena *a,
	    struct http_answer *ret, struct err *reterr)
{
	struct http_exchange *x = http_open(p, q);
	rc r;

	assert(q->body != HTTP_SENT);
	r = http_answer(x, a, ret, reterr);
	if (rc_ok(r))
		r = read_all(x, max, a, ret, reterr);
	http_close(x);
	return r;
}

struct str http_answer_header(const struct http_answer *w, const char *name)
{
	for (size_t i = 0; i < w->headers_n; i++)
		if (str_eq(w->headers[i].name, str_c(name)))
			return w->headers[i].value;
	return STR_NONE;
}
