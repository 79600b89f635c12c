#include "tests/http/rig.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- handlers, on the loop */

static struct str query(const struct http_req *r)
{
	struct str rest;

	str_cut(http_req_target(r), '?', &rest);
	return rest;
}

static void two_numbers(struct str s, uint64_t *a, uint64_t *b)
{
	struct str rest, first = str_cut(s, ',', &rest);

	*a = *b = 0;
	str_to_u64(first, a);
	str_to_u64(rest, b);
}

static void text(struct http_req *r, int status, struct str body)
{
	const struct http_header h = {STR("Content-Type"), STR("text/plain")};

	http_respond(r, status, &h, 1, body);
}

static void do_hello(struct http_req *r, struct rig *g)
{
	text(r, 200, STR("hello"));
}

static void do_deny(struct http_req *r, struct rig *g)
{
	text(r, 403, STR("denied"));
}

static void do_bytes(struct http_req *r, struct rig *g)
{
	uint64_t n, unused;
	char *p;

	two_numbers(query(r), &n, &unused);
	p = malloc(n + 1);
	for (uint64_t i = 0; i < n; i++)
		p[i] = rig_byte(i);
	http_respond(r, 200, NULL, 0, str_make(p, n));
	free(p);
}

static void do_file(struct http_req *r, struct rig *g)
{
	uint64_t offset, length;

	two_numbers(query(r), &offset, &length);
	http_respond_file(r, 206, NULL, 0, dup(g->file), offset, length, g->pool);
}

static void do_file_on_loop(struct http_req *r, struct rig *g)
{
	uint64_t offset, length;

	two_numbers(query(r), &offset, &length);
	http_respond_file(r, 200, NULL, 0, dup(g->file), offset, length, NULL);
}

static void do_echo(struct http_req *r, struct rig *g)
{
	struct body *b = http_req_body(r);

	http_respond_body(r, 200, NULL, 0, b, b->length);
}

static void do_echo_chunked(struct http_req *r, struct rig *g)
{
	http_respond_body(r, 200, NULL, 0, http_req_body(r), -1);
}

struct sink {
	struct http_req *r;
	uint64_t n, sum;
};

static void sink_on(void *ud)
{
	struct sink *s = ud;
	struct body *b = http_req_body(s->r);
	struct err err;
	char part[10000];

	for (;;) {
		size_t n;

		switch (body_pull(b, part, sizeof(part), &n, &err)) {
		case BODY_MORE:
			for (size_t i = 0; i < n; i++)
				s->sum += (unsigned char)(part[i] ^ rig_byte(s->n + i));
			s->n += n;
			break;
		case BODY_WAIT:
			body_arm(b, sink_on, s);
			return;
		case BODY_END:
			text(s->r, s->sum ? 422 : 200,
			     arena_printf(http_req_arena(s->r), "%llu", (unsigned long long)s->n));
			return;
		case BODY_FAIL:
			text(s->r, err_status(err.code), str_c(err_name(err.code)));
			return;
		}
	}
}

static void do_sink(struct http_req *r, struct rig *g)
{
	struct sink *s = ARENA_NEW(http_req_arena(r), struct sink);

	s->r = r;
	sink_on(s);
}

static void do_doze(struct http_req *r, struct rig *g)
{
	while (!atomic_load(&g->release))
		usleep(1000);
	text(r, 200, STR("awake"));
}

/* Reads 10 bytes, then answers. */
static void do_sip(struct http_req *r, struct rig *g)
{
	char part[10];
	size_t n;
	struct err err;

	if (body_pull(http_req_body(r), part, sizeof(part), &n, &err) == BODY_MORE)
		text(r, 200, str_make(part, n));
	else
		text(r, 500, STR("no body"));
}

struct job {
	struct work work;
	struct http_req *r;
	struct str answer;
};

static void job_run(struct work *w)
{
	struct job *j = (struct job *)w;

	j->answer = arena_printf(http_req_arena(j->r), "worker says " STR_FMT,
				 STR_ARG(http_req_target(j->r)));
}

static void job_done(struct work *w)
{
	struct job *j = (struct job *)w;

	text(j->r, 200, j->answer);
	http_req_unref(j->r);
}

static void do_worker(struct http_req *r, struct rig *g)
{
	struct job *j = ARENA_NEW(http_req_arena(r), struct job);

	j->r = http_req_ref(r);
	j->work = (struct work){.run = job_run, .done = job_done,
				.home = loop_mailbox(http_req_loop(r))};
	if (!work_submit(g->pool, &j->work)) {
		text(r, 503, STR("full"));
		http_req_unref(r);
	}
}

struct hold {
	struct http_req *r;
	struct rig *g;
	struct loop_timer t;
};

static void hold_look(struct loop_timer *t)
{
	struct hold *h = (struct hold *)((char *)t - offsetof(struct hold, t));

	if (atomic_load(&h->g->release))
		text(h->r, 200, STR("released"));
	else
		loop_timer_set(http_req_loop(h->r), t, 2, hold_look);
}

static void hold_gone(void *ud)
{
	struct hold *h = ud;

	if (!http_req_gone(h->r))
		abort(); /* cmocka's own asserts are for its thread */
	loop_timer_cancel(&h->t);
	atomic_fetch_add(&h->g->gone, 1);
	text(h->r, 200, STR("in vain"));
}

static void do_hold(struct http_req *r, struct rig *g)
{
	struct hold *h = ARENA_NEW(http_req_arena(r), struct hold);

	h->r = r;
	h->g = g;
	http_req_on_gone(r, hold_gone, h);
	hold_look(&h->t);
}

/* A source that has a byte each millisecond. */
struct drip {
	struct body body;
	struct loop *loop;
	uint64_t at, n;
	bool has;
	body_ready_fn *fn;
	void *ud;
	struct loop_timer t;
};

static enum body_state drip_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				 struct err *reterr)
{
	struct drip *d = (struct drip *)b;

	if (d->at == d->n)
		return BODY_END;
	if (!d->has)
		return BODY_WAIT;
	d->has = false;
	*(char *)dst = rig_byte(d->at++);
	*ret_n = 1;
	return BODY_MORE;
}

static void drip_tick(struct loop_timer *t)
{
	struct drip *d = (struct drip *)((char *)t - offsetof(struct drip, t));

	d->has = true;
	d->fn(d->ud);
}

static void drip_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	struct drip *d = (struct drip *)b;

	d->fn = fn;
	d->ud = ud;
	loop_timer_set(d->loop, &d->t, 1, drip_tick);
}

static void drip_close(struct body *b)
{
	loop_timer_cancel(&((struct drip *)b)->t);
}

static void do_drip(struct http_req *r, struct rig *g)
{
	static const struct body_ops ops = {.name = "drip", .pull = drip_pull, .arm = drip_arm, .close = drip_close};
	struct drip *d = ARENA_NEW(http_req_arena(r), struct drip);
	uint64_t known;

	two_numbers(query(r), &d->n, &known);
	d->loop = http_req_loop(r);
	body_init(&d->body, &ops, NULL, -1);
	http_respond_body(r, 200, NULL, 0, &d->body, known ? (int64_t)d->n : -1);
}

/* Gives n bytes, then fails or ends. */
struct limited {
	struct body body;
	uint64_t at, n;
	bool fails;
};

static enum body_state limited_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				    struct err *reterr)
{
	struct limited *l = (struct limited *)b;
	uint64_t left = l->n - l->at;

	if (!left && !l->fails)
		return BODY_END;
	if (!left) {
		IGNORE_RC(err_set(reterr, ERR_IO, "the source broke")); /* the state says it */
		return BODY_FAIL;
	}
	*ret_n = left < cap ? left : cap;
	for (size_t i = 0; i < *ret_n; i++)
		((char *)dst)[i] = rig_byte(l->at++);
	return BODY_MORE;
}

static void limited_close(struct body *b)
{
}

static void do_limited(struct http_req *r, uint64_t n, bool fails, int64_t length)
{
	static const struct body_ops ops = {.name = "limited", .pull = limited_pull, .close = limited_close};
	struct limited *l = ARENA_NEW(http_req_arena(r), struct limited);

	l->n = n;
	l->fails = fails;
	body_init(&l->body, &ops, NULL, (int64_t)n);
	http_respond_body(r, 200, NULL, 0, &l->body, length);
}

static void do_fail(struct http_req *r, struct rig *g)
{
	uint64_t n, chunked;

	two_numbers(query(r), &n, &chunked);
	do_limited(r, n, true, chunked ? -1 : 1000000);
}

static void do_stream(struct http_req *r, struct rig *g)
{
	uint64_t n, length;

	two_numbers(query(r), &n, &length);
	do_limited(r, n, false, length ? (int64_t)length : -1);
}

static void do_status(struct http_req *r, struct rig *g)
{
	uint64_t status, unused;

	two_numbers(query(r), &status, &unused);
	http_respond(r, (int)status, NULL, 0, STR("body"));
}

static void do_length(struct http_req *r, struct rig *g)
{
	http_respond_head(r, 200, NULL, 0, 12345);
}

static void do_dirty(struct http_req *r, struct rig *g)
{
	const struct http_header h = {STR("x-meta"), STR("a\r\nx-evil: 1\nb")};

	http_respond(r, 200, &h, 1, STR("ok"));
}

static void do_headers(struct http_req *r, struct rig *g)
{
	struct buf out = BUF_INIT(100000);
	const struct http_header *h;
	size_t n = http_req_headers(r, &h);

	buf_printf(&out, STR_FMT " " STR_FMT "\n", STR_ARG(http_req_method(r)),
		   STR_ARG(http_req_target(r)));
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, STR_FMT "=" STR_FMT "\n", STR_ARG(h[i].name), STR_ARG(h[i].value));
	text(r, 200, buf_str(&out));
	buf_deinit(&out);
}

static void do_peer(struct http_req *r, struct rig *g)
{
	text(r, 200, http_req_peer(r));
}

static void do_id(struct http_req *r, struct rig *g)
{
	text(r, 200, http_req_id(r));
}

static void count_freed(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

void rig_handle(struct http_req *r, void *ud)
{
	static const struct {
		const char *path;
		void (*run)(struct http_req *r, struct rig *g);
	} routes[] = {
		{"/hello", do_hello},
		{"/deny", do_deny},
		{"/bytes", do_bytes},
		{"/file", do_file},
		{"/file-on-loop", do_file_on_loop},
		{"/echo", do_echo},
		{"/echo-chunked", do_echo_chunked},
		{"/sink", do_sink},
		{"/sip", do_sip},
		{"/worker", do_worker},
		{"/hold", do_hold},
		{"/doze", do_doze},
		{"/drip", do_drip},
		{"/fail", do_fail},
		{"/stream", do_stream},
		{"/status", do_status},
		{"/length", do_length},
		{"/dirty", do_dirty},
		{"/headers", do_headers},
		{"/peer", do_peer},
		{"/id", do_id},
	};
	struct rig *g = ud;
	struct str rest, path = str_cut(http_req_target(r), '?', &rest);

	arena_defer(http_req_arena(r), count_freed, &g->freed);
	atomic_fetch_add(&g->started, 1);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (str_eq(path, str_c(routes[i].path))) {
			routes[i].run(r, g);
			return;
		}
	text(r, 404, STR("no such route"));
}

/* ---- the server */

enum { LOOPS = 2, PATIENCE_S = 60 };

struct hello {
	struct mail mail;
	atomic_uint *heard;
};

static void hear(struct mail *m)
{
	atomic_fetch_add(((struct hello *)m)->heard, 1);
}

/* Threads open descriptors when they begin. */
static void await_loops(struct rig *g, unsigned loops)
{
	struct hello hello[LOOPS];
	atomic_uint heard = 0;

	for (unsigned i = 0; i < loops; i++) {
		hello[i] = (struct hello){{.deliver = hear}, &heard};
		mailbox_post(loop_mailbox(http_server_loop(g->server, i)), &hello[i].mail);
	}
	rig_await(&heard, loops);
}

static void start(struct rig *g, struct http_options o)
{
	struct err err;

	*g = (struct rig){.file = -1};
	g->pool = work_pool_new("cold", 2, 64);
	o.listen = STR("127.0.0.1:0");
	if (!o.loops)
		o.loops = LOOPS;
	o.handler = rig_handle;
	o.ud = g;
	o.server_name = STR("rig");
	/* The shortest ones: a test's thread may stand still for some seconds. */
	if (!o.limits.linger_ms)
		o.limits.linger_ms = PATIENCE_S * 1000;
	if (!o.limits.tls_ms)
		o.limits.tls_ms = PATIENCE_S * 1000;
	if (!rc_ok(http_server_start(&o, &g->server, &err)))
		fail_msg("%s", err.msg);
	await_loops(g, (unsigned)o.loops);
}

void rig_start(struct rig *g, struct http_limits limits)
{
	start(g, (struct http_options){.limits = limits});
}

void rig_start_one_loop(struct rig *g, struct http_limits limits)
{
	start(g, (struct http_options){.limits = limits, .loops = 1});
}

void rig_start_tls(struct rig *g, struct http_limits limits, const char *cert, const char *key)
{
	start(g, (struct http_options){.limits = limits, .tls_cert_file = str_c(cert),
				       .tls_key_file = str_c(key)});
}

void rig_stop(struct rig *g)
{
	http_server_stop(g->server, 5000);
	work_pool_free(g->pool);
	if (g->file >= 0)
		close(g->file);
	assert_int_equal(atomic_load(&g->freed), atomic_load(&g->started));
}

void rig_make_file(struct rig *g, uint64_t n)
{
	FILE *f = tmpfile();
	char part[4096];

	assert_non_null(f);
	for (uint64_t at = 0; at < n; at += sizeof(part)) {
		size_t len = n - at < sizeof(part) ? n - at : sizeof(part);

		for (size_t i = 0; i < len; i++)
			part[i] = rig_byte(at + i);
		assert_int_equal(fwrite(part, 1, len, f), len);
	}
	assert_int_equal(fflush(f), 0);
	g->file = dup(fileno(f));
	g->file_bytes = n;
	fclose(f);
}

void rig_await(atomic_uint *what, unsigned n)
{
	int64_t end = mono_ms() + PATIENCE_S * 1000;

	while (atomic_load(what) < n) {
		if (mono_ms() > end)
			fail_msg("waited for %u, have %u", n, atomic_load(what));
		usleep(1000);
	}
}

unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- the client */

void client_open_rcvbuf(struct client *c, struct rig *g, int bytes)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((in_port_t)http_server_port(g->server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval wait = {.tv_sec = PATIENCE_S};

	*c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_true(c->fd >= 0);
	if (bytes)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	/* Before there are time-outs: with them, a process that is stopped and goes on finds EINTR. */
	assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

void client_open(struct client *c, struct rig *g)
{
	client_open_rcvbuf(c, g, 0);
}

bool client_tls(struct client *c, SSL_CTX *ctx)
{
	int r;

	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	ERR_clear_error();
	do {
		errno = 0;
		r = SSL_connect(c->ssl);
	} while (r < 0 && errno == EINTR);
	return r == 1;
}

void client_close(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
	free(c->in);
	*c = (struct client){.fd = -1};
}

void client_abort(struct client *c)
{
	struct linger l = {.l_onoff = 1};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	client_close(c);
}

bool client_try_send(struct client *c, struct str s)
{
	while (s.n) {
		ssize_t n;

		errno = 0;
		n = c->ssl ? SSL_write(c->ssl, s.p, (int)s.n) : send(c->fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = str_skip(s, (size_t)n);
	}
	return true;
}

void client_send(struct client *c, struct str s)
{
	assert_true(client_try_send(c, s));
}

void client_send_c(struct client *c, const char *s)
{
	client_send(c, str_c(s));
}

ssize_t client_recv(struct client *c, void *dst, size_t n, int flags)
{
	ssize_t k;

	do {
		errno = 0;
		k = c->ssl ? SSL_read(c->ssl, dst, (int)n) : recv(c->fd, dst, n, flags);
	} while (k < 0 && errno == EINTR);
	return k;
}

static ssize_t receive(struct client *c)
{
	ssize_t n;

	if (c->at == c->n)
		c->at = c->n = 0;
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 65536;
		c->in = realloc(c->in, c->cap);
	}
	n = client_recv(c, c->in + c->n, c->cap - c->n, 0);
	if (n < 0 && !c->ssl && (errno == EAGAIN || errno == EWOULDBLOCK))
		fail_msg("nothing came in %d s", PATIENCE_S);
	if (n > 0)
		c->n += (size_t)n;
	return n;
}

static struct str have(const struct client *c)
{
	return c->in ? str_make(c->in + c->at, c->n - c->at) : STR_NONE;
}

/* n bytes to out (NULL: thrown away); false when the server ends before. */
static bool take(struct client *c, size_t n, struct buf *out)
{
	while (n) {
		struct str s = str_head(have(c), n);

		if (!s.n) {
			if (receive(c) <= 0)
				return false;
			continue;
		}
		if (out)
			buf_add(out, s);
		c->at += s.n;
		n -= s.n;
	}
	return true;
}

static size_t take_line(struct client *c, char *out, size_t cap)
{
	size_t n = 0;
	struct buf b = BUF_INIT(1);

	while (n + 1 < cap) {
		buf_reset(&b);
		if (!take(c, 1, &b))
			fail_msg("the answer ends in a line");
		out[n++] = b.p[0];
		if (b.p[0] == '\n')
			break;
	}
	out[n] = 0;
	buf_deinit(&b);
	return n;
}

const char *answer_header(struct answer *a, const char *name)
{
	static char value[1024];
	const char *p = a->head;
	size_t n = strlen(name);

	while ((p = strchr(p, '\n')) && *++p)
		if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + n + 2, "\r\n"),
				 p + n + 2);
			return value;
		}
	return "";
}

static void take_chunks(struct client *c, struct answer *a)
{
	char line[64];
	unsigned long n;

	do {
		take_line(c, line, sizeof(line));
		n = strtoul(line, NULL, 16);
		assert_true(take(c, n, &a->body));
		take_line(c, line, sizeof(line));
		assert_string_equal(line, "\r\n");
	} while (n);
}

void client_answer(struct client *c, struct answer *a, bool head)
{
	size_t n = 0, line;

	a->body = BUF_INIT((size_t)1 << 30);
	do {
		line = take_line(c, a->head + n, sizeof(a->head) - n);
		n += line;
	} while (line > 2);
	assert_int_equal(strncmp(a->head, "HTTP/1.1 ", 9), 0);
	a->status = atoi(a->head + 9);
	if (head || a->status < 200 || a->status == 204 || a->status == 304)
		return;
	if (strcasecmp(answer_header(a, "transfer-encoding"), "chunked") == 0)
		take_chunks(c, a);
	else if (*answer_header(a, "content-length"))
		assert_true(take(c, strtoull(answer_header(a, "content-length"), NULL, 10),
				 &a->body));
	else
		while (take(c, 1, &a->body))
			;
}

void answer_free(struct answer *a)
{
	buf_deinit(&a->body);
}

void client_expect(struct client *c, int status, const char *body)
{
	struct answer a;

	client_answer(c, &a, false);
	assert_int_equal(a.status, status);
	if (body)
		assert_str(buf_str(&a.body), str_c(body));
	answer_free(&a);
}

void client_expect_eof(struct client *c)
{
	assert_int_equal(have(c).n, 0);
	assert_int_equal(receive(c), 0);
}

void client_expect_end(struct client *c)
{
	while (receive(c) > 0)
		c->at = c->n = 0;
}

void client_expect_silence(struct client *c, int ms)
{
	struct pollfd p = {c->fd, POLLIN, 0};

	assert_int_equal(have(c).n, 0);
	assert_int_equal(poll(&p, 1, ms), 0);
}
