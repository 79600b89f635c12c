#include "tests/backends/gcs_gate_priv.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "tests/loopback.h"

#define BUCKET "the-bucket"

/* Bytes. */

/* The next bytes of the request's body, at most n. */
static ssize_t take(struct visit *v, char *to, size_t n)
{
	ssize_t k;

	if (n > v->left)
		n = (size_t)v->left;
	if (v->early.n) {
		k = (ssize_t)(n < v->early.n ? n : v->early.n);
		memcpy(to, v->early.p, (size_t)k);
		v->early = str_skip(v->early, (size_t)k);
	} else {
		k = recv(v->near, to, n, 0);
	}
	if (k > 0)
		v->left -= (uint64_t)k;
	return k;
}

bool gate_take_all(struct visit *v, char *to, uint64_t n)
{
	char piece[4096];

	while (n) {
		ssize_t k =
		    take(v, to ? to : piece, to || n < sizeof(piece) ? (size_t)n : sizeof(piece));

		if (k <= 0)
			return false;
		to = to ? to + k : NULL;
		n -= (uint64_t)k;
	}
	return true;
}

void gate_answer(struct visit *v, int status, const char *headers, struct str body)
{
	if (v->left)
		gate_take_all(v, NULL, v->left); /* or the reset would take the answer with it */
	loopback_send(v->near,
		  arena_printf(
		      v->a,
		      "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n" STR_FMT,
		      status, body.n, headers, STR_ARG(body)));
}

void gate_refuse(struct visit *v, int status, const char *message)
{
	gate_answer(v, status, "Content-Type: application/json\r\n",
		    arena_printf(v->a, "{\"error\": {\"code\": %d, \"message\": \"%s\"}}", status,
				 message));
}

/* The request's head. */

struct str gate_header(const struct visit *v, const char *name)
{
	struct str rest = v->lines;

	while (rest.p && rest.n) {
		struct str line = str_cut(rest, '\n', &rest), value;
		struct str got = str_cut(line, ':', &value);

		if (value.p && str_eq_nocase(got, str_c(name)))
			return str_trim(str_head(value, str_index(value, '\r')));
	}
	return STR_NONE;
}

static bool read_head(struct visit *v)
{
	char *p = arena_alloc(v->a, HEAD_MAX);
	struct str got = str_make(p, 0), rest;
	size_t end;

	while ((end = str_find(got, STR("\r\n\r\n"))) == got.n) {
		ssize_t k = got.n < HEAD_MAX ? recv(v->near, p + got.n, HEAD_MAX - got.n, 0) : 0;

		if (k <= 0)
			return false;
		got.n += (size_t)k;
	}
	v->early = str_skip(got, end + 4);
	v->method = str_cut(str_head(got, end + 2), ' ', &rest);
	v->target = str_cut(rest, ' ', &rest);
	str_cut(rest, '\n', &v->lines);
	v->path = str_cut(v->target, '?', &v->query);
	if (!str_to_u64(gate_header(v, "content-length"), &v->length))
		v->length = 0;
	v->left = v->length;
	if (gate_header(v, "expect").n)
		loopback_send(v->near, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	return true;
}

struct str gate_parameter(const struct visit *v, const char *name)
{
	struct str rest = v->query, value;

	while (rest.p) {
		struct str one = str_cut(rest, '&', &rest);

		if (str_eq(str_cut(one, '=', &value), str_c(name)))
			return value;
	}
	return STR_NONE;
}

/* On to the service. */

static bool send_head(struct visit *v, uint64_t length)
{
	static const char *const own[] = {"host",	    "connection",    "expect",
					  "content-length", "content-range", "authorization"};
	struct str rest = v->lines, range = v->range.n ? v->range : gate_header(v, "content-range");
	struct buf b = BUF_INIT(2 * HEAD_MAX);
	bool sent;

	buf_add(&b, arena_printf(v->a,
				 STR_FMT " " STR_FMT
					 " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n"
					 "Content-Length: %llu\r\n",
				 STR_ARG(v->method), STR_ARG(v->target), v->g->to,
				 (unsigned long long)length));
	if (range.n)
		buf_add(&b, arena_printf(v->a, "Content-Range: " STR_FMT "\r\n", STR_ARG(range)));
	while (rest.p && rest.n) {
		struct str line = str_cut(rest, '\n', &rest), value;
		struct str name = str_cut(line, ':', &value);
		bool drop = !value.p;

		for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
			drop |= str_eq_nocase(name, str_c(own[i]));
		if (!drop)
			buf_add(&b, arena_printf(v->a, STR_FMT "\n", STR_ARG(line)));
	}
	buf_add(&b, STR("\r\n"));
	sent = loopback_send(v->far, buf_str(&b));
	buf_deinit(&b);
	return sent;
}

/* One piece of the body; false when it broke off. */
static bool up(struct visit *v, uint64_t *n)
{
	char piece[PIECE];
	ssize_t k = take(v, piece, *n < sizeof(piece) ? (size_t)*n : sizeof(piece));

	*n -= k > 0 ? (uint64_t)k : 0;
	return k > 0 && loopback_send(v->far, str_make(piece, (size_t)k));
}

/* One piece of the answer; false at its end. */
static bool down(struct visit *v)
{
	char piece[PIECE];
	ssize_t k = recv(v->far, piece, sizeof(piece), 0);

	if (k <= 0)
		return false;
	if (v->answer.n < HEAD_MAX)
		buf_add(&v->answer, str_make(piece, (size_t)k));
	return v->mute || loopback_send(v->near, str_make(piece, (size_t)k));
}

/* A body at hand, until the service has heard enough: a refusal may come early, with the end of the
 * connection. */
static void send_small(struct visit *v)
{
	struct pollfd p = {.fd = v->far, .events = POLLIN | POLLOUT};
	struct str rest = v->small;

	while (rest.n && poll(&p, 1, -1) > 0 && !(p.revents & ~POLLOUT)) {
		ssize_t k = send(v->far, rest.p, rest.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k < 0)
			return;
		rest = str_skip(rest, (size_t)k);
	}
}

/* The next n bytes of the body, and the answer. False: it broke off before all was sent. */
bool gate_forward(struct visit *v, uint64_t n)
{
	bool going = true;

	v->far = loopback_dial(v->g->to);
	if (v->far < 0 && v->near >= 0)
		gate_refuse(v, 503, arena_printf(v->a, "127.0.0.1:%u is down", v->g->to).p);
	if (v->far < 0 || !send_head(v, v->small.p ? v->small.n : n))
		return false;
	send_small(v);
	while (going && !v->g->stopping) {
		struct pollfd p[] = {{.fd = n ? v->near : -1, .events = POLLIN},
				     {.fd = v->far, .events = POLLIN}};

		if (poll(p, 2, v->early.n && n ? 0 : 50) < 0)
			return false;
		if (n && (v->early.n || p[0].revents) && !up(v, &n))
			return false;
		if (p[1].revents)
			going = down(v);
	}
	return n == 0;
}

int gate_status(const struct visit *v)
{
	uint64_t status;

	return v->answer.n > 12 && str_to_u64(str_make(v->answer.p + 9, 3), &status) ? (int)status
										     : 0;
}

/* Compose. */

static bool is_there(struct visit *v, struct str bucket, struct str name)
{
	struct visit other = {.g = v->g,
			      .a = v->a,
			      .near = -1,
			      .method = STR("GET"),
			      .mute = true,
			      .answer = BUF_INIT(4 * HEAD_MAX)};
	bool yes;

	other.target = arena_printf(v->a, "/storage/v1/b/" STR_FMT "/o/" STR_FMT, STR_ARG(bucket),
				    STR_ARG(uri_encode(v->a, name, false)));
	other.lines = STR("");
	gate_forward(&other, 0);
	yes = gate_status(&other) == 200;
	if (other.far >= 0)
		close(other.far);
	buf_deinit(&other.answer);
	return yes;
}

static void compose(struct visit *v)
{
	char *text = arena_alloc(v->a, SMALL_MAX);
	size_t n = (size_t)v->left;
	struct json *j, *sources;

	if (n > SMALL_MAX || !gate_take_all(v, text, n))
		return;
	v->small = str_make(text, n);
	if (!rc_ok(json_parse(v->a, v->small, &j, NULL))) {
		gate_refuse(v, 400, "Parse Error");
		return;
	}
	sources = json_member(j, "sourceObjects");
	for (size_t i = 0; i < json_count(sources); i++)
		if (!is_there(v, STR(BUCKET), json_str(json_member(json_at(sources, i), "name")))) {
			gate_refuse(v, 404, "Object not found.");
			return;
		}
	gate_forward(v, 0);
}

/* Who comes. */

/* When the body is whole: fake-gcs-server holds its lock while one comes. */
static void pass_on(struct visit *v)
{
	uint64_t n = v->left;
	char *text = malloc(n + 1);

	if (text && gate_take_all(v, text, n)) {
		v->small = str_make(text, (size_t)n);
		gate_forward(v, 0);
	}
	free(text);
}

/* False: this one breaks off. */
static bool lives(struct visit *v)
{
	struct gcs_gate *g = v->g;
	bool alive;

	pthread_mutex_lock(&g->lock);
	alive = !g->dead;
	if (alive && g->failing && !str_eq(v->method, STR("GET")) && --g->fail_nth == 0) {
		g->dead = true;
		alive = g->fail_after;
		v->mute = true;
	}
	pthread_mutex_unlock(&g->lock);
	return alive;
}

static struct str bucket_of(const struct visit *v)
{
	static const struct str before[] = {STR("/storage/v1/b/"), STR("/upload/storage/v1/b/"),
					    STR("/")};
	struct str rest;

	for (size_t i = 0; i < 3; i++)
		if (str_starts(v->path, before[i]))
			return str_cut(str_skip(v->path, before[i].n), '/', &rest);
	return STR("");
}

static void serve(struct visit *v)
{
	struct str id = gate_parameter(v, "upload_id");

	atomic_fetch_add(&v->g->requests, 1);
	if (!lives(v)) {
		loopback_harden(v->near);
	} else if (str_eq(v->path, STR("/token"))) {
		gate_token(v);
	} else if (gate_parameter(v, "X-Goog-Signature").p ? !gate_is_signed(v) : !gate_bears(v)) {
		atomic_fetch_add(&v->g->turned_away, 1);
		gate_refuse(v, gate_parameter(v, "X-Goog-Signature").p ? 403 : 401,
			    "Invalid Credentials");
	} else if (!str_eq(bucket_of(v), STR(BUCKET))) {
		gate_refuse(v, 404, "The specified bucket does not exist.");
	} else if (id.n && str_eq(v->method, STR("PUT"))) {
		gate_chunk(v, id);
	} else if (str_ends(v->path, STR("/compose"))) {
		compose(v);
	} else {
		pass_on(v);
	}
}

static void *visit(void *ud)
{
	struct visit *v = ud;
	bool muted;

	if (read_head(v))
		serve(v);
	pthread_mutex_lock(&v->g->lock);
	muted = v->g->dead;
	pthread_mutex_unlock(&v->g->lock);
	if (v->left || muted)
		loopback_harden(v->near);
	if (v->far >= 0) {
		if (v->left)
			loopback_harden(v->far);
		close(v->far);
	}
	close(v->near);
	buf_deinit(&v->answer);
	arena_free(v->a);
	atomic_fetch_sub(&v->g->open, 1);
	free(v);
	return NULL;
}

static void *run(void *ud)
{
	struct gcs_gate *g = ud;

	while (!g->stopping) {
		struct pollfd p = {.fd = g->fd, .events = POLLIN};
		int fd = poll(&p, 1, 50) == 1 ? accept(g->fd, NULL, NULL) : -1;
		struct visit *v;
		pthread_t t;

		if (fd < 0)
			continue;
		v = calloc(1, sizeof(*v));
		*v = (struct visit){.g = g,
				    .a = arena_new(),
				    .near = fd,
				    .far = -1,
				    .answer = BUF_INIT(4 * HEAD_MAX)};
		atomic_fetch_add(&g->open, 1);
		if (pthread_create(&t, NULL, visit, v) != 0)
			abort();
		pthread_detach(t);
	}
	return NULL;
}

void gcs_gate_fail(struct gcs_gate *g, unsigned nth, bool after)
{
	pthread_mutex_lock(&g->lock);
	g->failing = nth > 0;
	g->fail_nth = nth;
	g->fail_after = after;
	g->dead = false;
	pthread_mutex_unlock(&g->lock);
}

bool gcs_gate_failed(struct gcs_gate *g)
{
	bool failed;

	pthread_mutex_lock(&g->lock);
	failed = g->dead;
	pthread_mutex_unlock(&g->lock);
	return failed;
}

void gcs_gate_start(struct gcs_gate *g, unsigned to_port)
{
	*g = (struct gcs_gate){.to = to_port, .life_ms = 3600000};
	pthread_mutex_init(&g->lock, NULL);
	g->fd = loopback_listen(&g->port);
	if (pthread_create(&g->thread, NULL, run, g) != 0)
		abort();
}

void gcs_gate_stop(struct gcs_gate *g)
{
	g->stopping = true;
	pthread_join(g->thread, NULL);
	close(g->fd);
	while (g->open)
		usleep(1000);
	for (unsigned i = 0; i < GATE_SESSIONS; i++)
		free(g->sessions[i].answer);
	pthread_mutex_destroy(&g->lock);
}
