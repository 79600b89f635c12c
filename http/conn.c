#include "http/conn.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <assert.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PIPELINED_PER_TURN = 16,
	EVICT_MS = 1000,
	EVICT_LOOKS = 16,
};

static void on_later(struct loop_timer *t);
static void on_read_timeout(struct loop_timer *t);

static const struct http_limits *limits(const struct conn *c)
{
	return &c->sl->server->limits;
}

static void set_timeout(struct conn *c, unsigned ms)
{
	loop_timer_set(c->sl->loop, &c->reading, ms, on_read_timeout);
}

static void go_on_later(struct conn *c)
{
	loop_timer_set(c->sl->loop, &c->later, 0, on_later);
}

static void wait_ends(struct conn *c)
{
	struct server_loop *sl = c->sl;

	if (!c->waits)
		return;
	c->waits = false;
	if (c->wait_prev)
		c->wait_prev->wait_next = c->wait_next;
	else
		sl->first_waiting = c->wait_next;
	if (c->wait_next)
		c->wait_next->wait_prev = c->wait_prev;
	else
		sl->last_waiting = c->wait_prev;
}

static void wait_begins(struct conn *c)
{
	struct server_loop *sl = c->sl;

	wait_ends(c);
	c->waits = true;
	c->since_ms = mono_ms();
	c->wait_next = NULL;
	c->wait_prev = sl->last_waiting;
	if (c->wait_prev)
		c->wait_prev->wait_next = c;
	else
		sl->first_waiting = c;
	sl->last_waiting = c;
}

/* Whether it has sent something that its loop, which may have stood still, comes to next. */
static bool sent_more(const struct conn *c)
{
	char byte;

	return recv(c->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool conn_evict(struct server_loop *sl)
{
	int64_t now = mono_ms();
	struct conn *c = sl->first_waiting;

	for (int i = 0; i < EVICT_LOOKS && c && now - c->since_ms >= EVICT_MS; i++, c = c->wait_next) {
		if (sent_more(c))
			continue;
		conn_close(c);
		metric_add(sl->server->metrics.evicted, 1);
		return true;
	}
	return false;
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	wait_ends(c);
	c->state = CONN_CLOSED;
	loop_fd_close(&c->fd);
	c->stream.fd = -1;
	loop_timer_cancel(&c->reading);
	loop_timer_cancel(&c->writing);
	if (c->req)
		c->req->gone = true;
	atomic_fetch_sub(&c->sl->server->connections, 1);
	metric_add(c->sl->server->metrics.connections, -1);
	go_on_later(c);
}

static void conn_bury(struct conn *c)
{
	struct server_loop *sl = c->sl;
	struct http_req *r = c->req;

	c->req = NULL;
	if (r)
		request_detach(r);
	input_trim(&c->in, &sl->inputs, true);
	SSL_free(c->stream.ssl);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	sl->conns_n--;
	free(c);
	listener_room(sl);
	server_loop_ended(sl);
}

void conn_watch(struct conn *c)
{
	loop_fd_watch(&c->fd, true);
}

void conn_await_body(struct conn *c)
{
	set_timeout(c, limits(c)->body_ms);
	conn_watch(c);
}

ssize_t conn_take(struct conn *c, void *dst, size_t cap)
{
	struct str have = input_str(&c->in);

	if (c->state == CONN_CLOSED)
		return STREAM_FAIL;
	if (!have.n)
		return c->peer_eof ? STREAM_EOF : stream_read(&c->stream, dst, cap);
	have = str_head(have, cap);
	memcpy(dst, have.p, have.n);
	input_drop(&c->in, have.n);
	input_trim(&c->in, &c->sl->inputs, false);
	return (ssize_t)have.n;
}

/* Waiting for a request, which may be here already. */
static void idle(struct conn *c)
{
	c->state = CONN_IDLE;
	if (c->peer_eof && !input_str(&c->in).n) {
		conn_close(c);
		return;
	}
	wait_begins(c);
	set_timeout(c, limits(c)->idle_ms);
	conn_watch(c);
	if (!c->parsing && (input_str(&c->in).n || stream_pending(&c->stream)))
		go_on_later(c);
}

/* Empty lines before a request are skipped (RFC 9112, section 2.2). False: nothing of one is here. */
static bool head_begins(struct conn *c)
{
	while (str_starts(input_str(&c->in), STR("\r\n")))
		input_drop(&c->in, 2);
	if (!input_str(&c->in).n || str_eq(input_str(&c->in), STR("\r")))
		return false;
	c->state = CONN_HEAD;
	c->start_us = mono_us();
	c->scan = (struct http_scan){0};
	return true;
}

static void start_request(struct conn *c)
{
	struct http_req *r = request_new(c);
	size_t n = c->scan.at;
	char *text = arena_alloc(r->arena, n);
	const char *why;
	int status;

	memcpy(text, input_str(&c->in).p, n);
	input_drop(&c->in, n);
	wait_ends(c);
	c->req = r;
	c->state = CONN_REQUEST;
	loop_timer_cancel(&c->reading);
	status = http_head_parse(text, n, c->scan.lines, limits(c)->headers, r->arena, &r->head,
				 &why);
	if (status) {
		response_refuse(c, status, why);
		return;
	}
	request_body_start(r);
	http_req_ref(r);
	c->sl->server->handler(r, c->sl->server->ud);
}

/* True when there may be another one to parse. */
static bool parse_one(struct conn *c)
{
	bool begins = c->state == CONN_IDLE;
	struct str in;

	if (begins && !head_begins(c))
		return false;
	in = str_head(input_str(&c->in), limits(c)->head_bytes);
	switch (http_scan(&c->scan, in)) {
	case HTTP_SCAN_WHOLE:
		start_request(c);
		return true;
	case HTTP_SCAN_BAD:
		response_refuse(c, 400, "The request is not valid HTTP/1.1.");
		return false;
	case HTTP_SCAN_PARTIAL:
		break;
	}
	if (in.n == limits(c)->head_bytes)
		response_refuse(c, 431, "The request's head is too large.");
	else if (begins)
		set_timeout(c, limits(c)->head_ms);
	return false;
}

static bool parsable(const struct conn *c)
{
	return (c->state == CONN_IDLE || c->state == CONN_HEAD) && input_str(&c->in).n;
}

/* Requests that are answered at once follow each other here, not on top of each other. */
static void parse_input(struct conn *c)
{
	bool more = true;

	c->parsing = true;
	for (int i = 0; more && parsable(c) && i < PIPELINED_PER_TURN; i++)
		more = parse_one(c);
	c->parsing = false;
	if (c->state == CONN_CLOSED)
		return;
	if ((more && parsable(c)) ||
	    ((c->state == CONN_IDLE || c->state == CONN_HEAD) && stream_pending(&c->stream)))
		go_on_later(c);
	else if (c->state == CONN_IDLE && c->peer_eof)
		conn_close(c);
	input_trim(&c->in, &c->sl->inputs, false);
}

static ssize_t fill_input(struct conn *c, size_t max)
{
	ssize_t n;

	if (!input_room(&c->in, &c->sl->inputs, max))
		return STREAM_AGAIN;
	n = stream_read(&c->stream, c->in.p + c->in.n, c->in.cap - c->in.n);
	if (n > 0)
		c->in.n += (size_t)n;
	else
		input_trim(&c->in, &c->sl->inputs, false);
	return n;
}

static void read_head(struct conn *c)
{
	ssize_t n = fill_input(c, limits(c)->head_bytes);

	if (n > 0)
		parse_input(c);
	else if (n != STREAM_AGAIN)
		conn_close(c);
}

/* Nothing is expected while a request is worked on: a next request, or the client's leaving. */
static void read_ahead(struct conn *c)
{
	ssize_t n;

	if (c->peer_eof || c->in.n) {
		loop_fd_watch(&c->fd, false);
		return;
	}
	n = fill_input(c, INPUT_BLOCK);
	if (n > 0 || n == STREAM_AGAIN)
		return;
	c->peer_eof = true;
	loop_fd_watch(&c->fd, false);
	/* Whoever has ended its side only may still take an answer that is under way. */
	if (n == STREAM_FAIL || !c->req->answered)
		conn_close(c);
}

static void request_readable(struct conn *c)
{
	struct request_body *rb = &c->req->body;

	if (rb->ready && rb->state == REQUEST_BODY_OPEN)
		request_body_readable(c->req);
	else if (rb->state == REQUEST_BODY_ENDED)
		read_ahead(c);
	else
		loop_fd_watch(&c->fd, false); /* nobody pulls: the client has to wait */
}

static void drain(struct conn *c)
{
	while (c->drain) {
		size_t most = c->drain < SCRATCH ? (size_t)c->drain : SCRATCH;
		ssize_t n = conn_take(c, c->sl->scratch, most);

		if (n == STREAM_AGAIN) {
			conn_watch(c);
			return;
		}
		if (n <= 0) {
			conn_close(c);
			return;
		}
		c->drain -= (uint64_t)n;
	}
	idle(c);
}

/* Raw bytes, also of TLS: nobody wants to know them. */
static void linger(struct conn *c)
{
	ssize_t n = read(c->fd.fd, c->sl->scratch, SCRATCH);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (uint64_t)n > c->drain)
		conn_close(c);
	else
		c->drain -= (uint64_t)n;
}

static bool unread_in_kernel(const struct conn *c)
{
	int n = 0;

	return ioctl(c->fd.fd, FIONREAD, &n) == 0 && n > 0;
}

/* Closing a socket with unread input resets it, and the client may lose the answer that it hasn't read
 * yet: so end our side only and let it finish. */
static void end(struct conn *c, bool unread)
{
	stream_end(&c->stream);
	if (c->peer_eof || !(unread || input_str(&c->in).n || unread_in_kernel(c))) {
		conn_close(c);
		return;
	}
	c->state = CONN_LINGER;
	c->drain = LINGER_MAX;
	input_trim(&c->in, &c->sl->inputs, true);
	set_timeout(c, limits(c)->linger_ms);
	conn_watch(c);
}

void conn_answered(struct conn *c)
{
	struct http_req *r = c->req;
	bool unread = r->body.state != REQUEST_BODY_ENDED;
	bool keep = r->resp.keep && !c->sl->stopping;

	loop_timer_cancel(&c->reading);
	c->drain = r->body.left;
	c->req = NULL;
	request_detach(r);
	if (!keep) {
		end(c, unread);
	} else if (unread) {
		c->state = CONN_DRAIN;
		set_timeout(c, limits(c)->linger_ms);
		drain(c);
	} else {
		idle(c);
	}
}

static void handshake(struct conn *c)
{
	switch (stream_handshake(&c->stream)) {
	case STREAM_TLS_DONE:
		idle(c);
		break;
	case STREAM_TLS_WANT_READ:
		conn_watch(c);
		break;
	case STREAM_TLS_WANT_WRITE:
		loop_fd_watch(&c->fd, false);
		loop_fd_await_writable(&c->fd);
		break;
	case STREAM_TLS_FAIL:
		conn_close(c);
		break;
	}
}

static void on_readable(struct loop_fd *w)
{
	struct conn *c = CONTAINER_OF(w, struct conn, fd);

	switch (c->state) {
	case CONN_HANDSHAKE:
		handshake(c);
		break;
	case CONN_IDLE:
	case CONN_HEAD:
		read_head(c);
		break;
	case CONN_REQUEST:
		request_readable(c);
		break;
	case CONN_DRAIN:
		drain(c);
		break;
	case CONN_LINGER:
		linger(c);
		break;
	case CONN_CLOSED:
		break;
	}
}

static void on_writable(struct loop_fd *w)
{
	struct conn *c = CONTAINER_OF(w, struct conn, fd);

	if (c->state == CONN_HANDSHAKE)
		handshake(c);
	else if (c->state == CONN_REQUEST)
		response_pump(c);
}

static void on_later(struct loop_timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, later);

	if (c->state == CONN_CLOSED)
		conn_bury(c);
	else if (parsable(c))
		parse_input(c);
	else if (c->state == CONN_IDLE || c->state == CONN_HEAD)
		read_head(c);
}

static void on_read_timeout(struct loop_timer *t)
{
	struct conn *c = CONTAINER_OF(t, struct conn, reading);

	if (c->state == CONN_HEAD)
		response_refuse(c, 408, "The request's head took too long.");
	else if (c->state == CONN_REQUEST)
		request_body_timeout(c->req);
	else
		conn_close(c);
}

/* Without the port; IPv4 clients of an IPv6 socket in their own form. */
static uint8_t peer_text(const struct sockaddr_storage *sa, char out[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

	if (sa->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, out, INET6_ADDRSTRLEN);
	else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, out, INET6_ADDRSTRLEN);
	return (uint8_t)strlen(out);
}

static void link_conn(struct server_loop *sl, struct conn *c)
{
	c->next = sl->conns;
	c->link = &sl->conns;
	if (c->next)
		c->next->link = &c->next;
	sl->conns = c;
	sl->conns_n++;
}

static SSL *ssl_for(SSL_CTX *tls, int fd)
{
	SSL *ssl = SSL_new(tls);

	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		abort(); /* out of memory */
	return ssl;
}

void conn_new(struct server_loop *sl, int fd, SSL_CTX *tls, const struct sockaddr_storage *peer)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->sl = sl;
	c->peer_n = peer_text(peer, c->peer);
	c->fd.readable = on_readable;
	c->fd.writable = on_writable;
	loop_fd_open(sl->loop, &c->fd, fd);
	c->stream = (struct stream){.fd = fd, .ssl = tls ? ssl_for(tls, fd) : NULL};
	link_conn(sl, c);
	metric_add(sl->server->metrics.connections, 1);
	if (!tls) {
		idle(c);
		return;
	}
	c->state = CONN_HANDSHAKE;
	wait_begins(c);
	set_timeout(c, limits(c)->tls_ms);
	handshake(c);
}
