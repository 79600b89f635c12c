#include "http/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

static void on_write_timeout(struct loop_timer *t)
{
	conn_close(CONTAINER_OF(t, struct conn, writing));
}

static void written(struct conn *c, size_t n)
{
	unsigned whole = 0;

	while (whole < c->out_n && n >= c->out[whole].iov_len)
		n -= c->out[whole++].iov_len;
	c->out_n -= whole;
	memmove(c->out, c->out + whole, c->out_n * sizeof(c->out[0]));
	if (c->out_n) {
		c->out[0].iov_base = (char *)c->out[0].iov_base + n;
		c->out[0].iov_len -= n;
	}
}

static bool file_follows(const struct conn *c)
{
	const struct http_req *r = c->req;

	return r->resp.begun && r->resp.source == RESPONSE_FILE && r->resp.left > 0;
}

/* DATA: everything has been written. */
static enum response_step flush(struct conn *c, size_t *burst)
{
	while (c->out_n) {
		ssize_t n = stream_write(&c->stream, c->out, c->out_n, file_follows(c));

		if (n <= 0)
			return n == STREAM_AGAIN ? RESPONSE_BLOCKED : RESPONSE_FAIL;
		*burst += (size_t)n;
		written(c, (size_t)n);
		if (*burst >= BURST)
			return RESPONSE_BLOCKED; /* go on after the others */
	}
	return RESPONSE_DATA;
}

static enum response_step next(struct http_req *r, size_t *burst)
{
	switch (r->resp.source) {
	case RESPONSE_FILE:
		return response_file_next(r, burst);
	case RESPONSE_BODY:
		return response_body_next(r, burst);
	case RESPONSE_NONE:
		break;
	}
	return RESPONSE_DONE;
}

static enum response_step write_on(struct conn *c, size_t *burst)
{
	enum response_step step;

	do {
		if (*burst >= BURST)
			return RESPONSE_BLOCKED;
		step = flush(c, burst);
		if (step != RESPONSE_DATA)
			return step;
		if (!c->req->resp.begun)
			return RESPONSE_WAITING; /* it was 100 Continue */
		step = next(c->req, burst);
	} while (step == RESPONSE_DATA);
	return step;
}

void response_pump(struct conn *c)
{
	size_t burst = 0;
	enum response_step step;

	if (c->state != CONN_REQUEST)
		return;
	step = write_on(c, &burst);
	if (step != RESPONSE_BLOCKED)
		loop_timer_cancel(&c->writing);
	else if (burst || !loop_timer_set_p(&c->writing))
		loop_timer_set(c->sl->loop, &c->writing, c->sl->server->limits.write_ms,
			       on_write_timeout);
	switch (step) {
	case RESPONSE_BLOCKED:
		loop_fd_await_writable(&c->fd);
		break;
	case RESPONSE_DONE:
		conn_answered(c);
		break;
	case RESPONSE_FAIL:
		conn_close(c);
		break;
	case RESPONSE_WAITING:
	case RESPONSE_DATA:
		break;
	}
}

void response_release(struct http_req *r)
{
	struct response *resp = &r->resp;

	loop_timer_cancel(&resp->retry);
	response_file_close(resp);
	if (resp->body)
		body_close(resp->body);
	resp->body = NULL;
	if (resp->block)
		block_give(&r->sl->outputs, resp->block);
	resp->block = NULL;
	free(resp->spill);
	resp->spill = NULL;
}

/* False when nobody will see the answer. */
static bool answer_begins(struct http_req *r, int status)
{
	assert(loop_current() == r->sl->loop && !r->answered);
	assert(status >= 200 && status < 600);
	http_req_on_gone(r, NULL, NULL);
	r->answered = true;
	r->status = status;
	return r->conn && r->conn->state != CONN_CLOSED;
}

static void answer_ends(struct http_req *r)
{
	if (!r->conn && !r->logged)
		request_finish(r);
	http_req_unref(r);
}

static bool bodiless(const struct http_req *r)
{
	return r->status == 204 || r->status == 304 || str_eq(r->head.method, STR("HEAD"));
}

/* Whether the next request can be found behind this one. */
static bool may_keep(const struct http_req *r, bool drain)
{
	const struct request_body *rb = &r->body;

	if (!r->head.keep_alive || r->sl->stopping)
		return false;
	if (rb->state == REQUEST_BODY_ENDED)
		return true;
	return drain && rb->state == REQUEST_BODY_OPEN && !rb->expect && r->head.length > 0 &&
	       rb->left <= DRAIN_MAX;
}

static void push(struct conn *c, struct str s)
{
	assert(c->out_n < sizeof(c->out) / sizeof(c->out[0]));
	c->out[c->out_n++] = (struct iovec){(char *)s.p, s.n};
}

/* Decides on the connection and puts the head out. False when the connection went meanwhile. */
static bool begin(struct http_req *r, const struct http_header *h, size_t n, int64_t length,
		  bool drain)
{
	if (drain)
		request_body_settle(r);
	if (r->conn->state == CONN_CLOSED)
		return false;
	r->resp.keep = r->resp.keep && may_keep(r, drain);
	r->resp.begun = true;
	push(r->conn, response_head(r, h, n, r->status == 204 ? -1 : length));
	return true;
}

/* What the socket didn't take at once must outlive the caller's memory. */
static void spill(struct http_req *r)
{
	struct conn *c = r->conn;
	struct iovec *last;

	if (!c || c->state == CONN_CLOSED || !c->out_n)
		return;
	last = &c->out[c->out_n - 1];
	r->resp.spill = malloc(last->iov_len);
	if (!r->resp.spill)
		abort();
	memcpy(r->resp.spill, last->iov_base, last->iov_len);
	last->iov_base = r->resp.spill;
}

void http_respond(struct http_req *r, int status, const struct http_header *h, size_t n,
		  struct str body)
{
	r->resp.keep = true;
	if (answer_begins(r, status) &&
	    begin(r, h, n, status == 304 ? -1 : (int64_t)body.n, true)) {
		if (body.n && !bodiless(r)) {
			push(r->conn, body);
			r->bytes_out = body.n;
		}
		response_pump(r->conn);
		spill(r);
	}
	answer_ends(r);
}

void http_respond_head(struct http_req *r, int status, const struct http_header *h, size_t n,
		       int64_t length)
{
	r->resp.keep = true;
	if (answer_begins(r, status) && begin(r, h, n, length, true))
		response_pump(r->conn);
	answer_ends(r);
}

void http_respond_file(struct http_req *r, int status, const struct http_header *h, size_t n, int fd,
		       uint64_t offset, uint64_t length, struct work_pool *cold)
{
	struct response *resp = &r->resp;
	size_t burst = 0;

	assert(fd >= 0 && length <= INT64_MAX);
	resp->keep = true;
	resp->fd = fd;
	resp->offset = resp->warm = offset;
	resp->cold = cold;
	if (answer_begins(r, status) &&
	    begin(r, h, n, status == 304 ? -1 : (int64_t)length, true)) {
		if (!bodiless(r)) {
			resp->source = RESPONSE_FILE;
			resp->left = (int64_t)length;
		}
		/* A small file goes out together with the head. */
		if (resp->left > 0 && resp->left <= OUTPUT_BLOCK)
			(void)next(r, &burst);
		response_pump(r->conn);
	} else {
		response_file_close(resp);
	}
	answer_ends(r);
}

static bool chunked_p(const struct http_req *r, int64_t length)
{
	return length < 0 && !r->head.http10;
}

/* The first bytes, if they are here, go out together with the head; and the head knows then whether
 * a body that comes from the request itself has been read to its end. */
static void start_body(struct http_req *r, const struct http_header *h, size_t n, int64_t length)
{
	struct conn *c = r->conn;
	enum response_step step = response_body_fetch(r);

	if (step == RESPONSE_FAIL) {
		conn_close(c);
		return;
	}
	if (!begin(r, h, n, length, false))
		return;
	if (step == RESPONSE_DATA)
		response_body_push(r);
	response_pump(c);
}

void http_respond_body(struct http_req *r, int status, const struct http_header *h, size_t n,
		       struct body *body, int64_t length)
{
	struct response *resp = &r->resp;
	bool alive = answer_begins(r, status), bare = bodiless(r);

	resp->keep = length >= 0 || bare || chunked_p(r, length);
	resp->chunked = !bare && chunked_p(r, length);
	resp->body = body;
	if (alive && !bare) {
		resp->source = RESPONSE_BODY;
		resp->left = length;
		start_body(r, h, n, length);
	} else {
		response_release(r);
		if (alive && begin(r, h, n, status == 304 ? -1 : length, true))
			response_pump(r->conn);
	}
	answer_ends(r);
}

void response_refuse(struct conn *c, int status, const char *why)
{
	struct http_req *r = c->req;
	struct http_header type = {STR("Content-Type"), STR("text/plain; charset=utf-8")};

	if (!r)
		r = c->req = request_new(c);
	c->state = CONN_REQUEST;
	loop_timer_cancel(&c->reading);
	r->head.keep_alive = false;
	r->body.state = REQUEST_BODY_FAILED;
	http_req_log(r, STR_NONE, STR_NONE, STR("Refused"));
	http_req_ref(r);
	http_respond(r, status, &type, 1, arena_printf(r->arena, "%s\n", why));
}
