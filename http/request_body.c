#include "http/conn.h"

#include <assert.h>

static struct http_req *request_of(struct request_body *rb)
{
	return CONTAINER_OF(rb, struct http_req, body);
}

static bool chunked_p(const struct http_req *r)
{
	return r->head.length < 0;
}

static void on_fire(struct loop_timer *t)
{
	struct request_body *rb = CONTAINER_OF(t, struct request_body, fire);
	body_ready_fn *fn = rb->ready;

	rb->ready = NULL;
	if (fn)
		fn(rb->ready_ud);
}

static void fire_later(struct request_body *rb)
{
	loop_timer_set(request_of(rb)->sl->loop, &rb->fire, 0, on_fire);
}

void request_body_fail(struct http_req *r, enum err_code code, const char *why)
{
	struct request_body *rb = &r->body;

	if (rb->state == REQUEST_BODY_OPEN) {
		rb->state = REQUEST_BODY_FAILED;
		rb->failure = code;
		rb->why = why;
	}
	if (rb->ready)
		fire_later(rb);
}

void request_body_timeout(struct http_req *r)
{
	request_body_fail(r, ERR_RequestTimeout, "Nothing of the body came for too long.");
}

void request_body_readable(struct http_req *r)
{
	loop_timer_cancel(&r->conn->reading);
	loop_timer_cancel(&r->body.fire);
	on_fire(&r->body.fire);
}

/* The client waits for it before it sends the body, unless it has begun to already. */
static void send_continue(struct http_req *r)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct conn *c = r->conn;

	if (!r->body.expect)
		return;
	r->body.expect = false;
	if (r->resp.begun || input_str(&c->in).n || c->state == CONN_CLOSED)
		return;
	c->out[c->out_n++] = (struct iovec){(void *)text, sizeof(text) - 1};
	response_pump(c);
}

static ssize_t eof_is_loss(struct conn *c, ssize_t n)
{
	if (n != STREAM_EOF)
		return n;
	c->peer_eof = true;
	return STREAM_FAIL;
}

/* Framing is read through the connection's input, so that no byte behind the body is taken. */
static ssize_t fill_for_framing(struct conn *c)
{
	ssize_t n;

	if (input_str(&c->in).n)
		return 1;
	if (c->state == CONN_CLOSED)
		return STREAM_FAIL;
	input_room(&c->in, &c->sl->inputs, INPUT_BLOCK);
	n = stream_read(&c->stream, c->in.p + c->in.n, c->in.cap - c->in.n);
	if (n > 0)
		c->in.n += (size_t)n;
	else
		input_trim(&c->in, &c->sl->inputs, false);
	return eof_is_loss(c, n);
}

/* > 0: data come next. 0: none will, see rb->state. Or as stream_read. */
static ssize_t to_data(struct http_req *r, bool may_read)
{
	struct request_body *rb = &r->body;
	struct conn *c = r->conn;

	for (;;) {
		size_t used;
		ssize_t n = may_read || input_str(&c->in).n ? fill_for_framing(c) : STREAM_AGAIN;
		enum chunked_state state;

		if (n <= 0)
			return n;
		state = chunked_frame(&rb->chunked, input_str(&c->in), &used);
		input_drop(&c->in, used);
		input_trim(&c->in, &c->sl->inputs, false);
		if (state == CHUNKED_DATA)
			return 1;
		if (state == CHUNKED_PARTIAL)
			continue;
		if (state == CHUNKED_END)
			rb->state = REQUEST_BODY_ENDED;
		else
			request_body_fail(r, ERR_IncompleteBody,
					  "The body's chunked framing is not valid.");
		return 0;
	}
}

/* Goes on over small chunks as long as they are here, so that each costs no pull. */
static ssize_t take_chunked(struct http_req *r, char *dst, size_t cap)
{
	struct chunked *d = &r->body.chunked;
	size_t done = 0;

	while (done < cap) {
		size_t most = cap - done;
		ssize_t n = d->step == CHUNKED_IN_DATA ? 1 : to_data(r, done == 0);

		if (n <= 0)
			return done ? (ssize_t)done : n;
		if (done && !input_str(&r->conn->in).n)
			break;
		most = d->left < most ? (size_t)d->left : most;
		n = eof_is_loss(r->conn, conn_take(r->conn, dst + done, most));
		if (n <= 0)
			return done ? (ssize_t)done : n;
		chunked_took(d, (uint64_t)n);
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static ssize_t take_counted(struct http_req *r, char *dst, size_t cap)
{
	struct request_body *rb = &r->body;
	size_t most = rb->left < cap ? (size_t)rb->left : cap;
	ssize_t n = eof_is_loss(r->conn, conn_take(r->conn, dst, most));

	if (n <= 0)
		return n;
	rb->left -= (uint64_t)n;
	if (rb->left == 0)
		rb->state = REQUEST_BODY_ENDED;
	return n;
}

/* As take_chunked: 0 when the body has ended or its framing is wrong. Only an open one. */
static ssize_t take(struct http_req *r, char *dst, size_t cap)
{
	ssize_t n = chunked_p(r) ? take_chunked(r, dst, cap) : take_counted(r, dst, cap);

	if (n > 0)
		r->bytes_in += (uint64_t)n;
	if (r->body.state == REQUEST_BODY_ENDED)
		conn_watch(r->conn);
	if (n == STREAM_FAIL) {
		request_body_fail(r, ERR_IncompleteBody,
				  "The connection was lost before the body's end.");
		/* Whoever has ended its side only may still read why. */
		if (!r->conn->peer_eof)
			conn_close(r->conn);
	}
	return n;
}

static enum body_state body_pull_request(struct body *b, void *dst, size_t cap, size_t *ret_n,
					 struct err *reterr)
{
	struct request_body *rb = CONTAINER_OF(b, struct request_body, body);
	struct http_req *r = request_of(rb);
	ssize_t n = 0;

	assert(loop_current() == r->sl->loop && cap > 0);
	if (rb->state != REQUEST_BODY_FAILED)
		send_continue(r);
	if (rb->state == REQUEST_BODY_OPEN)
		n = take(r, dst, cap);
	if (n > 0) {
		*ret_n = (size_t)n;
		return BODY_MORE;
	}
	if (rb->state == REQUEST_BODY_OPEN)
		return BODY_WAIT;
	if (rb->state == REQUEST_BODY_ENDED)
		return BODY_END;
	IGNORE_RC(err_set(reterr, rb->failure, "%s", rb->why)); /* the state says it */
	return BODY_FAIL;
}

static void body_arm_request(struct body *b, body_ready_fn *fn, void *ud)
{
	struct request_body *rb = CONTAINER_OF(b, struct request_body, body);
	struct http_req *r = request_of(rb);
	struct conn *c = r->conn;

	assert(loop_current() == r->sl->loop && !rb->ready && !rb->closed);
	rb->ready = fn;
	rb->ready_ud = ud;
	if (rb->state != REQUEST_BODY_FAILED)
		send_continue(r);
	if (rb->state != REQUEST_BODY_OPEN || c->state == CONN_CLOSED || input_str(&c->in).n ||
	    stream_pending(&c->stream)) {
		fire_later(rb); /* nothing that the descriptor would report */
		return;
	}
	conn_await_body(c);
}

static void body_close_request(struct body *b)
{
	struct request_body *rb = CONTAINER_OF(b, struct request_body, body);
	struct http_req *r = request_of(rb);

	rb->closed = true;
	rb->ready = NULL;
	loop_timer_cancel(&rb->fire);
	if (r->conn)
		loop_timer_cancel(&r->conn->reading);
}

void request_body_start(struct http_req *r)
{
	static const struct body_ops ops = {
		.name = "request",
		.pull = body_pull_request,
		.arm = body_arm_request,
		.close = body_close_request,
	};
	struct request_body *rb = &r->body;

	body_init(&rb->body, &ops, NULL, r->head.length);
	/* For an empty body, too, if it is asked for: botocore takes an answer without it for the answer to
	 * the connection's next request as well. */
	rb->expect = r->head.expect_continue;
	if (r->head.length == 0) {
		rb->state = REQUEST_BODY_ENDED;
		return;
	}
	rb->left = chunked_p(r) ? 0 : (uint64_t)r->head.length;
}

void request_body_settle(struct http_req *r)
{
	size_t most = DRAIN_MAX;

	if (r->body.expect)
		return;
	while (r->body.state == REQUEST_BODY_OPEN && most) {
		ssize_t n = take(r, r->sl->scratch, most < SCRATCH ? most : SCRATCH);

		if (n <= 0)
			break;
		most -= (size_t)n;
	}
}
