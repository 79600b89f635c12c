/* The client against the server of this project: both directions, failures, ends at any time. */
#include "tests/http/rig.h"

#include "base/work.h"
#include "http/client.h"
#include "tests/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig g;
static struct http_pool *pool;
static struct err err;

static int setup_with(struct http_pool_options o)
{
	rig_start(&g, (struct http_limits){0});
	pool = http_pool_new(&o);
	return 0;
}

static int setup(void **state)
{
	return setup_with((struct http_pool_options){0});
}

static int setup_impatient(void **state)
{
	return setup_with((struct http_pool_options){.stall_ms = 400});
}

static void be_patient(void)
{
	http_pool_free(pool);
	pool = http_pool_new(&(struct http_pool_options){0});
}

static int teardown(void **state)
{
	http_pool_free(pool);
	rig_stop(&g);
	return 0;
}

static struct str url(struct arena *a, const char *path)
{
	return arena_printf(a, "http://127.0.0.1:%u%s", http_server_port(g.server), path);
}

static rc ask(struct arena *a, const char *method, const char *path, struct http_answer *w)
{
	const struct http_request q = {.method = str_c(method), .url = url(a, path)};

	return http_ask(pool, &q, 64 << 20, a, w, &err);
}

static void test_client__gets(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct arena *a = arena_new();
		struct http_answer w;

		assert_true(rc_ok(ask(a, "GET", "/hello", &w)));
		assert_int_equal(w.status, 200);
		assert_true(w.body.n > 0);
		assert_int_equal(w.length, w.body.n);
		assert_true(http_answer_header(&w, "content-length").n > 0);
		arena_free(a);
	}
}

static void test_client__uses_connections_again(void **state)
{
	struct arena *a = arena_new();
	struct http_answer w;
	unsigned before;

	assert_true(rc_ok(ask(a, "GET", "/hello", &w)));
	before = open_descriptors();
	for (int i = 0; i < 50; i++)
		assert_true(rc_ok(ask(a, "GET", i % 2 ? "/bytes?100000" : "/hello", &w)));
	assert_in_range(open_descriptors(), 1, before + 2); /* the server's side comes and goes a little later */
	arena_free(a);
}

/* Pulled in pieces that fit nothing, with a pause in which the peer fills what it may. */
static void test_client__large_answers_in_pieces(void **state)
{
	struct arena *a = arena_new();
	const struct http_request q = {.method = STR("GET"), .url = url(a, "/bytes?20000000")};
	struct http_exchange *x = http_open(pool, &q);
	char *buf = malloc(50021);
	struct http_answer w;
	size_t at = 0, n;

	assert_true(rc_ok(http_answer(x, a, &w, &err)));
	assert_int_equal(w.length, 20000000);
	do {
		size_t want = at % 3 ? 50021 : 4099;

		assert_true(rc_ok(http_read(x, buf, want, &n, &err)));
		assert_true(n == want || at + n == 20000000);
		for (size_t i = 0; i < n; i += 97)
			assert_int_equal(buf[i], rig_byte(at + i));
		if (at < 1000000 && at + n >= 1000000)
			usleep(20000);
		at += n;
	} while (n);
	assert_int_equal(at, 20000000);
	http_close(x);
	free(buf);
	arena_free(a);
}

/* Bytes [at, ...) of the rig's out of the pipe, n of them. */
static void drain_pipe(int pipe, size_t at, size_t n)
{
	char buf[65536];

	while (n) {
		ssize_t k = read(pipe, buf, n < sizeof(buf) ? n : sizeof(buf));

		assert_true(k > 0);
		for (ssize_t i = 0; i < k; i++)
			assert_int_equal(buf[i], rig_byte(at + (size_t)i));
		at += (size_t)k;
		n -= (size_t)k;
	}
	assert_int_equal(read(pipe, buf, 1), -1); /* no more than was told */
}

/* An answer of `size` bytes: `first` of them read, the rest spliced, at most n at a time. */
static void spliced(size_t size, size_t first, size_t n, int pipe_bytes)
{
	struct arena *a = arena_new();
	const struct http_request q = {
		.method = STR("GET"),
		.url = url(a, (char *)arena_printf(a, "/bytes?%zu", size).p)};
	struct http_exchange *x = http_open(pool, &q);
	char *buf = malloc(first + 1);
	struct http_answer w;
	int pipes[2];
	size_t at, k;

	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, pipe_bytes) >= pipe_bytes);
	assert_true(rc_ok(http_answer(x, a, &w, &err)));
	if (first)
		assert_true(rc_ok(http_read(x, buf, first, &at, &err)));
	at = first;
	assert_true(http_can_splice(x));
	do {
		assert_true(rc_ok(http_splice(x, pipes[1], n, &k, &err)));
		assert_true(k <= n && (k || at == size));
		drain_pipe(pipes[0], at, k);
		at += k;
	} while (k);
	assert_int_equal(at, size);
	http_close(x);
	close(pipes[0]);
	close(pipes[1]);
	free(buf);
	arena_free(a);
}

static void test_client__splices(void **state)
{
	static const size_t sizes[] = {1, 100, 131072, 200000, 5000000, 20000000};
	struct arena *a = arena_new();
	struct http_answer w;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		spliced(sizes[i], 0, 1 << 20, 1 << 20);
		spliced(sizes[i], sizes[i] / 3, 300000, 1 << 20);
		spliced(sizes[i], sizes[i] < 70001 ? sizes[i] : 70001, 1 << 20, 4096);
	}
	/* The pool is as good as before. */
	assert_true(rc_ok(ask(a, "GET", "/hello", &w)));
	arena_free(a);
}

static void test_client__what_cannot_be_spliced(void **state)
{
	static const struct {
		const char *method, *path;
	} t[] = {{"HEAD", "/bytes?5000"}, {"GET", "/stream?5000,0"}, {"GET", "/deny"}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct arena *a = arena_new();
		const struct http_request q = {.method = str_c(t[i].method), .url = url(a, t[i].path)};
		struct http_exchange *x = http_open(pool, &q);
		struct http_answer w;

		assert_true(rc_ok(http_answer(x, a, &w, &err)));
		assert_false(http_can_splice(x));
		http_close(x);
		arena_free(a);
	}
}

/* A peer that sends half of what it says, and then `ends` or says nothing more. */
struct half {
	int fd;
	bool ends;
	pthread_t thread;
};

static void *half_run(void *ud)
{
	struct half *h = ud;
	int c = accept(h->fd, NULL, NULL);
	char buf[200000];

	assert_true(read(c, buf, sizeof(buf)) > 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = rig_byte(i);
	/* Nothing is wrong if the client has given up. */
	if (loopback_send(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")))
		loopback_send(c, str_make(buf, sizeof(buf)));
	if (h->ends)
		shutdown(c, SHUT_WR);
	while (read(c, buf, sizeof(buf)) > 0)
		;
	close(c);
	return NULL;
}

/* False: the peer took so long that not even the half came; only where the pool is impatient. */
static bool half_spliced(bool ends, bool stops, enum err_code code, const char *says)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct half h = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .ends = ends};
	socklen_t len = sizeof(at);
	struct arena *a = arena_new();
	struct http_request q = {.method = STR("GET")};
	struct http_exchange *x;
	struct http_answer w;
	size_t got = 0, k;
	int pipes[2];
	bool whole;
	rc r;

	assert_int_equal(bind(h.fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(h.fd, 1), 0);
	getsockname(h.fd, (struct sockaddr *)&at, &len);
	pthread_create(&h.thread, NULL, half_run, &h);
	q.url = arena_printf(a, "http://127.0.0.1:%u/half?secret", ntohs(at.sin_port));
	x = http_open(pool, &q);
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
	r = http_answer(x, a, &w, &err);
	if (stops)
		http_pool_stop(pool);
	k = 1;
	while (rc_ok(r) && k) {
		r = http_splice(x, pipes[1], 400000, &k, &err);
		drain_pipe(pipes[0], got, k);
		got += k;
	}
	assert_int_equal(r.code, code);
	whole = stops || got == 200000; /* what came is there all the same */
	assert_true(got <= 200000 && (whole || strstr(err.msg, "nothing came for")));
	if (says) {
		assert_non_null(strstr(err.msg, says));
		assert_null(strstr(err.msg, "secret"));
	}
	http_close(x);
	pthread_join(h.thread, NULL);
	close(h.fd);
	close(pipes[0]);
	close(pipes[1]);
	arena_free(a);
	return whole;
}

static void test_client__splices_that_fail(void **state)
{
	int tries = 1;

	while (!half_spliced(false, false, ERR_IO, "nothing came for"))
		assert_in_range(++tries, 2, 50);
	be_patient();
	assert_true(half_spliced(true, false, ERR_IO, "the connection ended with 200000 of 400000 bytes to come"));
	assert_true(half_spliced(false, true, ERR_CANCELLED, NULL));
}

static void test_client__head_has_no_body(void **state)
{
	struct arena *a = arena_new();
	struct http_answer w;

	assert_true(rc_ok(ask(a, "HEAD", "/bytes?5000", &w)));
	assert_int_equal(w.status, 200);
	assert_int_equal(w.length, 5000);
	assert_int_equal(w.body.n, 0);
	arena_free(a);
}

static void test_client__too_much_is_an_error(void **state)
{
	struct arena *a = arena_new();
	const struct http_request q = {.method = STR("GET"), .url = url(a, "/bytes?5000")};
	struct http_answer w;

	assert_int_equal(http_ask(pool, &q, 4999, a, &w, &err).code, ERR_IO);
	assert_true(rc_ok(http_ask(pool, &q, 5000, a, &w, &err)));
	arena_free(a);
}

static void sink(size_t size, bool chunked, size_t piece)
{
	struct arena *a = arena_new();
	const struct http_request q = {.method = STR("PUT"),
				       .url = url(a, "/sink"),
				       .body = HTTP_SENT,
				       .length = chunked ? -1 : (int64_t)size};
	struct http_exchange *x = http_open(pool, &q);
	char *buf = calloc(1, size + 1), count[32] = "";
	struct http_answer w;
	size_t n;

	for (size_t i = 0; i < size; i++)
		buf[i] = rig_byte(i);
	for (size_t at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		assert_true(rc_ok(http_send(x, buf + at, n, &err)));
	}
	if (!rc_ok(http_answer(x, a, &w, &err)))
		fail_msg("%zu bytes, chunked %d, in %zu: %s", size, chunked, piece, err.msg);
	assert_int_equal(w.status, 200);
	assert_true(rc_ok(http_read(x, count, sizeof(count) - 1, &n, &err)));
	assert_int_equal(strtoull(count, NULL, 10), size);
	http_close(x);
	free(buf);
	arena_free(a);
}

static void test_client__sends(void **state)
{
	static const size_t sizes[] = {0, 1, 100000};

	for (int chunked = 0; chunked < 2; chunked++)
		for (size_t i = 0; i < 3; i++) {
			sink(sizes[i], chunked, 1000);
			sink(sizes[i], chunked, 70000);
		}
}

/* A success that can't know the whole body is none. */
static void test_client__early_success(void **state)
{
	struct arena *a = arena_new();
	const struct http_request q = {
		.method = STR("PUT"), .url = url(a, "/echo"), .body = HTTP_SENT, .length = 50000000};
	struct http_exchange *x = http_open(pool, &q);
	char *buf = calloc(1, 1000000);
	struct http_answer w;

	for (int i = 0; i < 20; i++)
		assert_true(rc_ok(http_send(x, buf, 1000000, &err)));
	assert_int_equal(http_answer(x, a, &w, &err).code, ERR_IO);
	http_close(x);
	free(buf);
	arena_free(a);
}

static void test_client__sends_much(void **state)
{
	sink(30000000, false, 300000);
	sink(30000000, true, 300000);
}

static void test_client__bytes(void **state)
{
	struct arena *a = arena_new();
	const struct http_request q = {
		.method = STR("PUT"), .url = url(a, "/echo"), .body = HTTP_BYTES, .bytes = STR("hello")};
	struct http_answer w;

	assert_true(rc_ok(http_ask(pool, &q, 100, a, &w, &err)));
	assert_str(w.body, STR("hello"));
	arena_free(a);
}

static void test_client__early_refusal(void **state)
{
	struct arena *a = arena_new();
	const struct http_request q = {
		.method = STR("PUT"), .url = url(a, "/deny"), .body = HTTP_SENT, .length = 50000000};
	struct http_exchange *x = http_open(pool, &q);
	char *buf = calloc(1, 1000000);
	struct http_answer w;

	for (int i = 0; i < 50; i++)
		assert_true(rc_ok(http_send(x, buf, 1000000, &err)));
	assert_true(rc_ok(http_answer(x, a, &w, &err)));
	assert_int_equal(w.status, 403);
	http_close(x);
	free(buf);
	arena_free(a);
}

static void test_client__broken_answers_fail(void **state)
{
	struct arena *a = arena_new();
	struct http_answer w;

	assert_int_equal(ask(a, "GET", "/fail?1000,1", &w).code, ERR_IO);
	arena_free(a);
}

static void test_client__nobody_there(void **state)
{
	struct arena *a = arena_new();
	const struct http_request q = {.method = STR("GET"), .url = STR("http://127.0.0.1:1/?secret")};
	struct http_answer w;

	assert_int_equal(http_ask(pool, &q, 100, a, &w, &err).code, ERR_ServiceUnavailable);
	assert_non_null(strstr(err.msg, "127.0.0.1"));
	assert_null(strstr(err.msg, "secret"));
	arena_free(a);
}

/* Somebody who listens and says nothing. */
static void test_client__stalls_end(void **state)
{
	struct arena *a = arena_new();
	struct http_answer w;

	assert_int_equal(ask(a, "GET", "/hold", &w).code, ERR_IO);
	assert_non_null(strstr(err.msg, "nothing came"));
	g.release = true;
	arena_free(a);
}

static rc read_with_a_pause(void)
{
	struct arena *a = arena_new();
	const struct http_request q = {.method = STR("GET"), .url = url(a, "/bytes?3000000")};
	struct http_exchange *x = http_open(pool, &q);
	char *buf = malloc(3000001);
	struct http_answer w;
	size_t n;
	rc r;

	r = http_answer(x, a, &w, &err);
	if (rc_ok(r)) {
		usleep(900 * 1000);
		r = http_read(x, buf, 3000001, &n, &err);
	}
	if (rc_ok(r))
		assert_int_equal(n, 3000000);
	http_close(x);
	free(buf);
	arena_free(a);
	return r;
}

/* A consumer that takes its time isn't a stall. (A server that stands still with its machine is one.) */
static void test_client__own_pauses_are_no_stalls(void **state)
{
	int tries = 1;

	while (!rc_ok(read_with_a_pause())) {
		assert_non_null(strstr(err.msg, "nothing came for"));
		assert_in_range(++tries, 2, 10);
	}
}

static void *stop_soon(void *ud)
{
	rig_await(&g.started, 1);
	http_pool_stop(pool);
	return NULL;
}

static void test_client__stopped(void **state)
{
	struct arena *a = arena_new();
	struct http_answer w;
	pthread_t t;

	pthread_create(&t, NULL, stop_soon, NULL);
	assert_int_equal(ask(a, "GET", "/hold", &w).code, ERR_CANCELLED);
	pthread_join(t, NULL);
	g.release = true;
	arena_free(a);
}

/* At every point of an exchange. */
static void test_client__closed_any_time(void **state)
{
	char buf[1000];
	size_t n;

	for (int i = 0; i < 20; i++) {
		struct arena *a = arena_new();
		const struct http_request get = {.method = STR("GET"), .url = url(a, "/bytes?5000000")};
		const struct http_request put = {
			.method = STR("PUT"), .url = url(a, "/sink"), .body = HTTP_SENT, .length = 100000};
		struct http_exchange *x = http_open(pool, i % 2 ? &get : &put);
		struct http_answer w;

		if (i % 2 == 0 && i > 5)
			assert_true(rc_ok(http_send(x, buf, sizeof(buf), &err)));
		if (i % 2 && i > 3)
			assert_true(rc_ok(http_answer(x, a, &w, &err)));
		if (i % 2 && i > 11)
			assert_true(rc_ok(http_read(x, buf, sizeof(buf), &n, &err)));
		http_close(x);
		arena_free(a);
	}
}

/* A peer that answers one request on each connection as if more might follow, and closes it. */
enum { KEPT = 5 };

struct hasty {
	int fd;
	unsigned served;
	sem_t closed;
	pthread_t thread;
};

static bool take_request(int c)
{
	char got[4096];
	size_t n = 0;
	ssize_t k;

	while (n < sizeof(got) && (k = read(c, got + n, sizeof(got) - n)) > 0) {
		n += (size_t)k;
		if (n >= 5 && memcmp(got + n - 5, "again", 5) == 0)
			return true;
	}
	return false;
}

static void *hasty_run(void *ud)
{
	static const struct str answer = STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	struct hasty *h = ud;

	while (h->served < KEPT) {
		int c = accept(h->fd, NULL, NULL);

		if (take_request(c)) {
			h->served++;
			assert_true(loopback_send(c, answer));
			close(c);
			sem_post(&h->closed);
		} else {
			close(c);
		}
	}
	return NULL;
}

/* The peer closes what it had kept: the next request must not fail of it. */
static void test_client__kept_connection_has_died(void **state)
{
	struct arena *a = arena_new();
	struct http_request q = {.method = STR("PUT"), .body = HTTP_BYTES, .bytes = STR("again")};
	struct hasty h = {0};
	struct http_answer w;
	unsigned port;

	h.fd = loopback_listen(&port);
	sem_init(&h.closed, 0, 0);
	pthread_create(&h.thread, NULL, hasty_run, &h);
	q.url = arena_printf(a, "http://127.0.0.1:%u/", port);
	for (int i = 0; i < KEPT; i++) {
		assert_true(rc_ok(http_ask(pool, &q, 100, a, &w, &err)));
		assert_str(w.body, STR("ok"));
		while (sem_wait(&h.closed))
			;
	}
	pthread_join(h.thread, NULL);
	assert_int_equal(h.served, KEPT);
	sem_destroy(&h.closed);
	close(h.fd);
	arena_free(a);
}

static void *ask_often(void *ud)
{
	struct err own;

	for (int i = 0; i < 10; i++) {
		struct arena *a = arena_new();
		const struct http_request q = {.method = STR("GET"),
					       .url = url(a, i % 2 ? "/bytes?300000" : "/worker")};
		struct http_answer w;

		assert_true(rc_ok(http_ask(pool, &q, 1 << 20, a, &w, &own)));
		assert_int_equal(w.status, 200);
		if (i % 2)
			assert_int_equal(w.body.n, 300000);
		arena_free(a);
	}
	return NULL;
}

static void test_client__many_at_once(void **state)
{
	enum { N = 24 };
	pthread_t t[N];

	for (size_t i = 0; i < N; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_often, NULL), 0);
	for (size_t i = 0; i < N; i++)
		pthread_join(t[i], NULL);
}

#define TEST_WITH(setup_fn, name) cmocka_unit_test_setup_teardown(test_client__##name, setup_fn, teardown)
#define TEST(name) TEST_WITH(setup, name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gets),
		TEST(uses_connections_again),
		TEST(large_answers_in_pieces),
		TEST(splices),
		TEST(what_cannot_be_spliced),
		TEST_WITH(setup_impatient, splices_that_fail),
		TEST(head_has_no_body),
		TEST(too_much_is_an_error),
		TEST(sends),
		TEST(sends_much),
		TEST(bytes),
		TEST(early_refusal),
		TEST(early_success),
		TEST(broken_answers_fail),
		TEST(nobody_there),
		TEST_WITH(setup_impatient, stalls_end),
		TEST_WITH(setup_impatient, own_pauses_are_no_stalls),
		TEST(stopped),
		TEST(closed_any_time),
		TEST(kept_connection_has_died),
		TEST(many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
