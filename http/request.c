#include "http/conn.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <netinet/tcp.h>

/* Unique in the process: the mixing (of splitmix64) is a bijection. */
static uint64_t next_id(struct server_loop *sl)
{
	uint64_t x = sl->server->id_key + (sl->ids++ << 10 | sl->index);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void write_id(uint64_t id, char out[17])
{
	for (int i = 0; i < 16; i++)
		out[i] = "0123456789abcdef"[id >> (60 - 4 * i) & 15];
	out[16] = 0;
}

struct http_req *request_new(struct conn *c)
{
	struct arena *a = arena_new();
	struct http_req *r = ARENA_NEW(a, struct http_req);

	r->arena = a;
	r->sl = c->sl;
	r->conn = c;
	r->refs = 1;
	r->tls = c->stream.ssl != NULL;
	r->start_us = c->start_us;
	r->resp.fd = -1;
	memcpy(r->peer, c->peer, c->peer_n);
	r->peer_n = c->peer_n;
	write_id(next_id(c->sl), r->id);
	c->sl->requests_n++;
	return r;
}

struct http_req *http_req_ref(struct http_req *r)
{
	assert(loop_current() == r->sl->loop);
	r->refs++;
	return r;
}

void http_req_unref(struct http_req *r)
{
	struct server_loop *sl = r->sl;

	assert(loop_current() == sl->loop && r->refs > 0);
	if (--r->refs)
		return;
	assert(!r->conn && r->answered);
	loop_timer_cancel(&r->body.fire);
	loop_timer_cancel(&r->gone_timer);
	arena_free(r->arena);
	sl->requests_n--;
	server_loop_ended(sl);
}

struct fields {
	struct log_field v[12];
	size_t n;
};

static void add_str(struct fields *f, const char *key, struct str s)
{
	if (s.p)
		f->v[f->n++] = F_STR(key, s);
}

static void add_int(struct fields *f, const char *key, int64_t i)
{
	f->v[f->n++] = F_INT(key, i);
}

static void write_log(const struct http_req *r, int64_t us)
{
	struct fields f = {.n = 0};
	struct str path = r->head.target;

	path.n = str_index(path, '?');
	add_str(&f, "method", r->head.method);
	add_str(&f, "path", path);
	add_int(&f, "status", r->status);
	add_int(&f, "bytes_in", (int64_t)r->bytes_in);
	add_int(&f, "bytes_out", (int64_t)r->bytes_out);
	f.v[f.n++] = F_FLOAT("ms", (double)us / 1000);
	add_str(&f, "peer", http_req_peer(r));
	add_str(&f, "request_id", http_req_id(r));
	add_str(&f, "operation", r->operation);
	add_str(&f, "user", r->user);
	add_str(&f, "error", r->error);
	log_write(LOG_INFO, "http", "request", f.v, f.n);
}

void request_finish(struct http_req *r)
{
	const struct server_metrics *m = &r->sl->server->metrics;
	int64_t us = mono_us() - r->start_us;

	assert(r->answered && !r->conn && !r->logged);
	r->logged = true;
	if (r->gone && !r->resp.begun)
		r->status = 499;
	if (r->gone && !r->error.p)
		r->error = STR("ConnectionLost");
	metric_add(m->requests[r->status / 100], 1);
	metric_observe_us(m->seconds, us);
	metric_add(m->bytes_in, (int64_t)r->bytes_in);
	metric_add(m->bytes_out, (int64_t)r->bytes_out);
	if (log_enabled(LOG_INFO))
		write_log(r, us);
}

static void tell_gone(struct http_req *r)
{
	void (*fn)(void *ud) = r->gone_fn;

	r->gone_fn = NULL;
	if (fn)
		fn(r->gone_ud);
}

static void on_gone_timer(struct loop_timer *t)
{
	tell_gone(CONTAINER_OF(t, struct http_req, gone_timer));
}

void request_detach(struct http_req *r)
{
	r->conn = NULL;
	response_release(r);
	request_body_fail(r, ERR_IncompleteBody,
			  r->gone ? "The connection was lost." : "The request has been answered.");
	if (r->gone)
		tell_gone(r);
	if (r->answered && !r->logged)
		request_finish(r);
	http_req_unref(r);
}

void http_req_on_gone(struct http_req *r, void (*fn)(void *ud), void *ud)
{
	assert(loop_current() == r->sl->loop);
	r->gone_fn = fn;
	r->gone_ud = ud;
	loop_timer_cancel(&r->gone_timer);
	if (fn && r->gone && !r->conn)
		loop_timer_set(r->sl->loop, &r->gone_timer, 0, on_gone_timer);
}

bool http_req_gone(const struct http_req *r)
{
	return r->gone;
}

bool http_req_left(const struct http_req *r)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	if (r->gone || !r->conn)
		return true;
	if (getsockopt(r->conn->fd.fd, IPPROTO_TCP, TCP_INFO, &info, &n))
		return false;
	return info.tcpi_state == TCP_CLOSE_WAIT || info.tcpi_state == TCP_CLOSE;
}

void http_req_log(struct http_req *r, struct str operation, struct str user, struct str error_code)
{
	if (operation.p)
		r->operation = arena_dup(r->arena, operation);
	if (user.p)
		r->user = arena_dup(r->arena, user);
	if (error_code.p)
		r->error = arena_dup(r->arena, error_code);
}

struct str http_req_method(const struct http_req *r)
{
	return r->head.method;
}

struct str http_req_target(const struct http_req *r)
{
	return r->head.target;
}

size_t http_req_headers(const struct http_req *r, const struct http_header **ret)
{
	*ret = r->head.headers;
	return r->head.headers_n;
}

struct str http_req_header(const struct http_req *r, const char *name)
{
	struct str want = str_c(name);

	for (size_t i = 0; i < r->head.headers_n; i++)
		if (str_eq(r->head.headers[i].name, want))
			return r->head.headers[i].value;
	return STR_NONE;
}

bool http_req_tls(const struct http_req *r)
{
	return r->tls;
}

struct str http_req_peer(const struct http_req *r)
{
	return str_make(r->peer, r->peer_n);
}

struct str http_req_id(const struct http_req *r)
{
	return str_make(r->id, 16);
}

struct arena *http_req_arena(struct http_req *r)
{
	return r->arena;
}

struct loop *http_req_loop(struct http_req *r)
{
	return r->sl->loop;
}

int64_t http_req_start_us(const struct http_req *r)
{
	return r->start_us;
}

struct body *http_req_body(struct http_req *r)
{
	return &r->body.body;
}
