#include "bench/load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

enum { READ_BYTES = 64 * 1024, DROP_BYTES = 4 << 20, EVENTS = 256, HEAD_MAX = 64 * 1024 };

struct conn {
	struct load *load;
	int fd;
	bool busy;
	bool wants_out; /* registered for EPOLLOUT, too */
	bool retried;
	uint64_t served; /* responses on this socket */
	int64_t begun_us;
	struct operation op;
	struct buf head;
	size_t head_sent;
	struct str body; /* repeated up to body_size */
	uint64_t body_size, body_sent;
	struct str tail; /* behind it; lives with the workload */
	size_t tail_sent;
	struct response response;
};

struct load {
	struct workload *w;
	struct results *results;
	struct arena *scratch; /* rewound at each request */
	struct conn *conns;
	int epoll;
	unsigned busy;
	int64_t checked_us; /* for time-outs */
	char *read;
};

static void watch(struct conn *c, int how, bool out)
{
	struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};

	if (how == EPOLL_CTL_MOD && c->wants_out == out)
		return;
	if (epoll_ctl(c->load->epoll, how, c->fd, &e))
		abort();
	c->wants_out = out;
}

static void disconnect(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Waits for the connection: the server is near, and nothing is measured meanwhile but this. */
static rc reconnect(struct conn *c, struct err *reterr)
{
	const struct sockaddr_in *to = &c->load->w->o->address;
	int one = 1;

	disconnect(c);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_errno(reterr, ERR_IO, errno, "can't make a socket");
	if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to)))
		return err_errno(reterr, ERR_IO, errno, "can't connect to " STR_FMT,
				 STR_ARG(c->load->w->o->host));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->served = 0;
	watch(c, EPOLL_CTL_ADD, false);
	return RC_OK;
}

static void note_error(struct conn *c, const char *what)
{
	struct results *to = c->load->results;
	const struct response *r = &c->response;

	if (to->errors++)
		return;
	snprintf(to->first_error, sizeof(to->first_error), "%s of %s: status %d: %.*s", what,
		 c->op.key, r->status, (int)(r->kept.n < 300 ? r->kept.n : 300),
		 r->kept.p ? r->kept.p : "");
}

/* True when something was sent; *ret_error is set when the connection is of no more use. */
static bool send_some(struct conn *c, bool *ret_error)
{
	struct iovec v[3];
	struct msghdr m = {.msg_iov = v};
	size_t at = c->body.n ? (size_t)(c->body_sent % c->body.n) : 0;
	uint64_t left = c->body_size - c->body_sent;
	ssize_t n;

	if (c->head_sent < c->head.n)
		v[m.msg_iovlen++] = (struct iovec){c->head.p + c->head_sent, c->head.n - c->head_sent};
	if (left)
		v[m.msg_iovlen++] = (struct iovec){
			(char *)c->body.p + at, left < c->body.n - at ? (size_t)left : c->body.n - at};
	if (left <= c->body.n - at && c->tail_sent < c->tail.n)
		v[m.msg_iovlen++] = (struct iovec){(char *)c->tail.p + c->tail_sent,
						   c->tail.n - c->tail_sent};
	n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	if (n < 0) {
		*ret_error = errno != EAGAIN && errno != EINTR;
		return false;
	}
	if (c->head_sent < c->head.n) {
		size_t of_head = c->head.n - c->head_sent;

		of_head = (size_t)n < of_head ? (size_t)n : of_head;
		c->head_sent += of_head;
		n -= (ssize_t)of_head;
	}
	left = left < (uint64_t)n ? left : (uint64_t)n;
	c->body_sent += left;
	c->tail_sent += (size_t)((uint64_t)n - left);
	return true;
}

static bool all_sent(const struct conn *c)
{
	return c->head_sent == c->head.n && c->body_sent == c->body_size &&
	       c->tail_sent == c->tail.n;
}

/* False: the connection broke. (What the server answered before may still be read.) */
static bool send_all(struct conn *c)
{
	bool error = false;

	while (!all_sent(c))
		if (!send_some(c, &error))
			break;
	if (!error)
		watch(c, EPOLL_CTL_MOD, !all_sent(c));
	return !error;
}

static void prepare(struct conn *c)
{
	struct load *l = c->load;
	struct arena_mark mark = arena_mark(l->scratch);
	struct request r = workload_request(l->w, &c->op, l->scratch, &c->body);

	buf_reset(&c->head);
	request_head(l->w->o, &r, l->scratch, &c->head);
	c->head_sent = 0;
	c->body_size = r.body_size;
	c->tail = r.tail;
	c->body_sent = c->tail_sent = 0;
	response_reset(&c->response, l->w->o->op == BENCH_HEAD);
	arena_rewind(l->scratch, mark);
}

static rc begin(struct conn *c, struct err *reterr)
{
	if (!workload_begin(c->load->w, &c->op)) {
		c->busy = false;
		c->load->busy--;
		disconnect(c);
		return RC_OK;
	}
	if (c->fd < 0)
		TRY(reconnect(c, reterr));
	c->retried = false;
	c->begun_us = mono_us();
	prepare(c);
	/* A broken connection shows when it is read. */
	(void)send_all(c);
	return RC_OK;
}

static rc fail(struct conn *c, const char *what, struct err *reterr)
{
	note_error(c, what);
	disconnect(c);
	c->load->results->reconnects++;
	return begin(c, reterr);
}

/* A server may close a connection that was idle a moment; that is no failure of the request. */
static rc broken(struct conn *c, struct err *reterr)
{
	if (!c->served || c->retried || c->response.head.n || c->response.state != RESPONSE_IN_HEAD)
		return fail(c, "broken connection", reterr);
	c->retried = true;
	c->load->results->reconnects++;
	TRY(reconnect(c, reterr));
	c->head_sent = 0;
	c->body_sent = c->tail_sent = 0;
	(void)send_all(c);
	return RC_OK;
}

static rc answered(struct conn *c, struct err *reterr)
{
	enum outcome outcome = workload_response(c->load->w, &c->op, &c->response);
	bool reusable = !c->response.close && all_sent(c);

	c->served++;
	if (outcome == OUTCOME_DONE)
		latencies_add(&c->load->results->latencies, mono_us() - c->begun_us);
	if (outcome == OUTCOME_FAILED)
		note_error(c, "request");
	if (!reusable) {
		disconnect(c);
		c->load->results->reconnects++;
	}
	if (outcome != OUTCOME_STEP && outcome != OUTCOME_PREPARED)
		return begin(c, reterr);
	if (c->fd < 0)
		TRY(reconnect(c, reterr));
	if (outcome == OUTCOME_PREPARED)
		c->begun_us = mono_us();
	prepare(c);
	(void)send_all(c);
	return RC_OK;
}

/* Big bodies aren't even copied out of the kernel. */
static ssize_t receive(struct conn *c)
{
	uint64_t droppable = response_droppable(&c->response);
	ssize_t n;

	if (!droppable)
		return recv(c->fd, c->load->read, READ_BYTES, 0);
	n = recv(c->fd, NULL, droppable < DROP_BYTES ? (size_t)droppable : DROP_BYTES, MSG_TRUNC);
	if (n > 0)
		response_dropped(&c->response, (uint64_t)n);
	return n;
}

static rc readable(struct conn *c, struct err *reterr)
{
	for (;;) {
		bool dropping = response_droppable(&c->response) > 0;
		ssize_t n = receive(c);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return RC_OK;
		if (n <= 0)
			return broken(c, reterr);
		if (!dropping)
			response_feed(&c->response, str_make(c->load->read, (size_t)n));
		if (c->response.state == RESPONSE_BAD)
			return fail(c, "unreadable answer", reterr);
		if (c->response.state == RESPONSE_DONE)
			return answered(c, reterr);
		if (!dropping && n < READ_BYTES)
			return RC_OK;
	}
}

static rc check_timeouts(struct load *l, struct err *reterr)
{
	const struct bench_options *o = l->w->o;
	int64_t now = mono_us();

	if (now - l->checked_us < 200000)
		return RC_OK;
	l->checked_us = now;
	for (unsigned i = 0; i < o->connections; i++)
		if (l->conns[i].busy && now - l->conns[i].begun_us > o->timeout_ms * 1000)
			TRY(fail(&l->conns[i], "time-out", reterr));
	return RC_OK;
}

static rc turn(struct load *l, struct err *reterr)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(l->epoll, events, EVENTS, 250);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if ((events[i].events & EPOLLOUT) && !all_sent(c))
			(void)send_all(c);
		if (events[i].events & ~(uint32_t)EPOLLOUT)
			TRY(readable(c, reterr));
	}
	return check_timeouts(l, reterr);
}

static rc run(struct load *l, struct err *reterr)
{
	for (unsigned i = 0; i < l->w->o->connections; i++) {
		l->conns[i].busy = true;
		l->busy++;
		TRY(begin(&l->conns[i], reterr));
	}
	while (l->busy)
		TRY(turn(l, reterr));
	return RC_OK;
}

static void load_init(struct load *l, struct workload *w, struct results *results)
{
	*l = (struct load){.w = w, .results = results, .scratch = arena_new()};
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->conns = calloc(w->o->connections, sizeof(*l->conns));
	l->read = malloc(READ_BYTES);
	if (l->epoll < 0 || !l->conns || !l->read)
		abort();
	for (unsigned i = 0; i < w->o->connections; i++) {
		struct conn *c = &l->conns[i];

		c->load = l;
		c->fd = -1;
		c->head = BUF_INIT(HEAD_MAX);
		operation_init(&c->op);
		c->op.lane = i;
		response_init(&c->response);
	}
}

static void load_deinit(struct load *l)
{
	for (unsigned i = 0; i < l->w->o->connections; i++) {
		struct conn *c = &l->conns[i];

		disconnect(c);
		operation_deinit(&c->op);
		response_deinit(&c->response);
		buf_deinit(&c->head);
	}
	close(l->epoll);
	free(l->conns);
	free(l->read);
	arena_free(l->scratch);
}

rc load_run(struct workload *w, struct results *ret, struct err *reterr)
{
	struct load l;
	rc r;

	load_init(&l, w, ret);
	r = run(&l, reterr);
	load_deinit(&l);
	return r;
}
