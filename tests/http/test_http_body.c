#include "tests/http/rig.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define PUT(path, more) "PUT " path " HTTP/1.1\r\nHost: h\r\n" more "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static struct rig rig;

static int set_up(void **state)
{
	rig_start(&rig, (struct http_limits){0});
	return 0;
}

static int tear_down(void **state)
{
	rig_stop(&rig);
	return 0;
}

static char *pattern(size_t n)
{
	char *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = rig_byte(i);
	return p;
}

static void test_body__counted(void **state)
{
	enum { N = 3000000 };
	char *p = pattern(N), head[200];
	static const size_t sizes[] = {0, 1, 10, 3000, 4096, 5000, 65536, N};
	struct client c;

	client_open(&c, &rig);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(head, sizeof(head), PUT("/sink", "Content-Length: %zu\r\n"), sizes[i]);
		client_send_c(&c, head);
		client_send(&c, str_make(p, sizes[i]));
		snprintf(head, sizeof(head), "%zu", sizes[i]);
		client_expect(&c, 200, head);
	}
	client_close(&c);
	free(p);
}

static void add_chunk(struct buf *b, const char *p, size_t n, const char *extension)
{
	buf_printf(b, "%zx%s\r\n", n, extension);
	buf_add(b, str_make(p, n));
	buf_add(b, STR("\r\n"));
}

static void test_body__chunked_of_any_size(void **state)
{
	enum { N = 400000 };
	static const size_t sizes[] = {1, 7, 100, 4090, 10000, 70000, N};
	char *p = pattern(N);
	struct client c;

	client_open(&c, &rig);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf b = BUF_INIT(10 * N);
		size_t total = sizes[i] < 100 ? 20000 : N;
		char want[30];

		buf_add(&b, STR(PUT("/sink", CHUNKED)));
		for (size_t at = 0; at < total; at += sizes[i])
			add_chunk(&b, p + at, total - at < sizes[i] ? total - at : sizes[i], ";e=1");
		buf_add(&b, STR("0\r\nX-Trailer: t\r\n\r\n"));
		client_send(&c, buf_str(&b));
		snprintf(want, sizeof(want), "%zu", total);
		client_expect(&c, 200, want);
		buf_deinit(&b);
	}
	client_close(&c);
	free(p);
}

static void test_body__chunked_byte_at_a_time(void **state)
{
	const char *text = PUT("/echo-chunked", CHUNKED) "5;x=y\r\nhello\r\n3\r\n, w\r\n0\r\nT: u\r\n\r\n"
							 "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
	struct client c;

	client_open(&c, &rig);
	/* The second one comes too late if the server has answered the first one by then. */
	for (const char *p = text; *p && client_try_send(&c, str_make(p, 1)); p++)
		usleep(300);
	client_expect(&c, 200, "hello, w");
	/* The answer began before the body's end: whether another request follows wasn't known. */
	client_close(&c);
}

static void test_body__continue_comes_at_the_first_pull(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, PUT("/sink", "Content-Length: 1\r\nExpect: 100-continue\r\n"));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 100);
	client_expect_silence(&c, 30);
	client_send(&c, STR("\0"));
	client_expect(&c, 200, "1");

	client_send_c(&c, PUT("/sink", CHUNKED "Expect: 100-continue\r\n"));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 100);
	client_send(&c, STR("1\r\n\0\r\n0\r\n\r\n"));
	client_expect(&c, 200, "1");

	/* A client that didn't wait isn't told. */
	client_send(&c, STR(PUT("/sink", "Content-Length: 1\r\nExpect: 100-continue\r\n") "\0"));
	client_expect(&c, 200, "1");
	client_close(&c);
}

static void test_body__no_continue_before_a_refusal(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, PUT("/deny", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 403);
	assert_string_equal(answer_header(&a, "connection"), "close");
	answer_free(&a);
	client_expect_eof(&c);
	client_close(&c);
}

static void test_body__truncated(void **state)
{
	static const char *const rows[] = {
		PUT("/sink", "Content-Length: 5\r\n") "abc",
		PUT("/sink", CHUNKED) "5\r\nabc",
		PUT("/sink", CHUNKED) "3\r\nabc\r\n",
		PUT("/sink", CHUNKED) "3\r\nabc\r\n0\r\n",
		PUT("/sink", CHUNKED) "3\r\nabc\r\n0\r\n\r",
		PUT("/sink", CHUNKED),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client c;

		client_open(&c, &rig);
		client_send_c(&c, rows[i]);
		shutdown(c.fd, SHUT_WR);
		client_expect(&c, 400, "IncompleteBody");
		client_expect_eof(&c);
		client_close(&c);
	}
}

static void test_body__wrong_framing(void **state)
{
	static const char *const rows[] = {
		PUT("/sink", CHUNKED) "g\r\n",
		PUT("/sink", CHUNKED) "1\nx\n0\n\n",
		PUT("/sink", CHUNKED) "3\r\nabcd\r\n0\r\n\r\n",
		PUT("/sink", CHUNKED) "ffffffffffffffff1\r\nabc",
		PUT("/sink", CHUNKED) "-1\r\nabc\r\n0\r\n\r\n",
	};
	unsigned started = atomic_load(&rig.started);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client c;

		client_open(&c, &rig);
		client_send_c(&c, rows[i]);
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 400, "IncompleteBody");
		client_expect_end(&c);
		client_close(&c);
	}
	assert_int_equal(atomic_load(&rig.started), started + 5);
}

static void test_body__client_gone(void **state)
{
	struct client c;

	for (int i = 0; i < 10; i++) {
		client_open(&c, &rig);
		client_send_c(&c, i % 2 ? PUT("/sink", "Content-Length: 50\r\n") "abc"
					: PUT("/sink", CHUNKED) "50\r\nabc");
		rig_await(&rig.started, (unsigned)i + 1);
		client_abort(&c);
	}
	rig_await(&rig.freed, 10);
}

/* A little that nobody read doesn't cost the connection. */
static void test_body__small_unread_rest(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, PUT("/deny", "Content-Length: 5\r\n") "abcde" GET("/hello"));
	client_expect(&c, 403, "denied");
	client_expect(&c, 200, "hello");
	client_send_c(&c, PUT("/deny", CHUNKED) "5\r\nabcde\r\n0\r\n\r\n" GET("/hello"));
	client_expect(&c, 403, "denied");
	client_expect(&c, 200, "hello");
	/* The rest comes after the answer. */
	client_send_c(&c, PUT("/sip", "Content-Length: 30013\r\n") "0123456789abc");
	client_expect(&c, 200, "0123456789");
	for (int i = 0; i < 30000; i += 3)
		client_send_c(&c, "xyz");
	client_send_c(&c, "\r\n" GET("/hello"));
	client_expect(&c, 200, "hello");
	client_close(&c);
}

/* The client sees the answer although it sends on and on, and is cut off in the end. */
static void test_body__large_unread_rest(void **state)
{
	static char part[100000];
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, PUT("/deny", "Content-Length: 5000000000\r\n"));
	for (int i = 0; i < 100; i++)
		client_send(&c, str_make(part, sizeof(part)));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 403);
	assert_string_equal(answer_header(&a, "connection"), "close");
	assert_str(buf_str(&a.body), STR("denied"));
	answer_free(&a);
	for (int i = 0; i < 3000 && client_try_send(&c, str_make(part, sizeof(part))); i++)
		;
	assert_false(client_try_send(&c, str_make(part, sizeof(part))));
	client_close(&c);
}

static void test_body__unread_chunks(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, PUT("/deny", CHUNKED) "5\r\nabc");
	client_expect(&c, 403, "denied");
	client_expect_eof(&c);
	client_close(&c);
}

struct sending {
	struct client *c;
	char *p;
	size_t n;
};

static void *send_all(void *arg)
{
	struct sending *s = arg;

	for (size_t at = 0; at < s->n; at += 100000)
		client_try_send(s->c, str_make(s->p + at, s->n - at < 100000 ? s->n - at : 100000));
	return NULL;
}

/* Both directions at once, far more than any buffer holds. */
static void echo(const char *path, bool chunked_answer)
{
	enum { N = 16000000 };
	struct client c;
	struct sending s = {&c, pattern(N), N};
	char head[200];
	struct answer a;
	pthread_t t;

	client_open(&c, &rig);
	snprintf(head, sizeof(head), PUT("%s", "Content-Length: %d\r\n"), path, N);
	client_send_c(&c, head);
	pthread_create(&t, NULL, send_all, &s);
	client_answer(&c, &a, false);
	pthread_join(t, NULL);
	assert_int_equal(a.status, 200);
	assert_true(!*answer_header(&a, "content-length") == chunked_answer);
	assert_int_equal(a.body.n, N);
	assert_memory_equal(a.body.p, s.p, N);
	answer_free(&a);
	client_close(&c);
	free(s.p);
}

static void test_body__echo(void **state)
{
	echo("/echo", false);
	echo("/echo-chunked", true);
}

static void test_body__slow_source(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, GET("/drip?100") GET("/drip?100,1") GET("/drip?0") GET("/hello"));
	client_answer(&c, &a, false);
	assert_int_equal(a.body.n, 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(a.body.p[i], rig_byte(i));
	answer_free(&a);
	client_answer(&c, &a, false);
	assert_string_equal(answer_header(&a, "content-length"), "100");
	assert_int_equal(a.body.n, 100);
	answer_free(&a);
	client_expect(&c, 200, "");
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_body__leaving_a_slow_source(void **state)
{
	struct client c;

	for (int i = 0; i < 5; i++) {
		client_open(&c, &rig);
		client_send_c(&c, GET("/drip?100000"));
		usleep(5000);
		client_abort(&c);
	}
	rig_await(&rig.freed, 5);
}

static void expect_streamed(struct client *c, size_t n, const char *length, const char *coding)
{
	struct answer a;

	client_answer(c, &a, false);
	assert_int_equal(a.status, 200);
	assert_string_equal(answer_header(&a, "content-length"), length);
	assert_string_equal(answer_header(&a, "transfer-encoding"), coding);
	assert_int_equal(a.body.n, n);
	for (size_t i = 0; i < n; i++)
		if (a.body.p[i] != rig_byte(i))
			fail_msg("byte %zu differs", i);
	answer_free(&a);
}

static void test_body__streamed_answers(void **state)
{
	/* Around the size of the server's block. */
	static const size_t sizes[] = {1, 65500, 65506, 65507, 65508, 65536, 200000, 5000000};
	struct client c;

	client_open(&c, &rig);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char text[100], n[20];

		snprintf(n, sizeof(n), "%zu", sizes[i]);
		snprintf(text, sizeof(text), GET("/stream?%s,%s"), n, n);
		client_send_c(&c, text);
		expect_streamed(&c, sizes[i], n, "");
		snprintf(text, sizeof(text), GET("/stream?%s"), n);
		client_send_c(&c, text);
		expect_streamed(&c, sizes[i], "", "chunked");
	}
	client_close(&c);
	client_open(&c, &rig);
	client_send_c(&c, "GET /stream?100000 HTTP/1.0\r\n\r\n");
	expect_streamed(&c, 100000, "", "");
	client_close(&c);
}

/* The body is cut short, so that the client can tell. */
static void expect_cut(const char *request, size_t announced)
{
	struct client c;
	char part[4096];
	ssize_t n, all = 0;

	client_open(&c, &rig);
	client_send_c(&c, request);
	while ((n = client_recv(&c, part, sizeof(part), 0)) > 0)
		all += n;
	assert_true((size_t)all < announced);
	client_close(&c);
}

static void test_body__failing_source(void **state)
{
	struct client c;
	char text[1 << 18];
	size_t all = 0;
	ssize_t n;

	expect_cut(GET("/fail?500000"), 1000000);
	expect_cut(GET("/fail?0"), 1);
	/* All that was announced, but its end is a failure: the last block must not arrive. */
	expect_cut(GET("/fail?1000000"), 1000000);
	/* Longer and shorter than announced. */
	expect_cut(GET("/stream?500000,1000000"), 1000000);
	expect_cut(GET("/stream?1000001,1000000"), 1000000);

	client_open(&c, &rig);
	client_send_c(&c, GET("/fail?100000,1"));
	while ((n = client_recv(&c, text + all, sizeof(text) - all, 0)) > 0)
		all += (size_t)n;
	assert_true(all < 5 || memcmp(text + all - 5, "0\r\n\r\n", 5) != 0);
	client_close(&c);
}

static size_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long total, resident = 0;

	if (fscanf(f, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* A server that can't pass an upload on takes no more of it: here, what nobody reads. */
static void test_body__back_pressure(void **state)
{
	static char part[1000000];
	struct client c;
	struct timeval soon = {.tv_usec = 300000};
	size_t before = resident_bytes(), sent = 0;

	client_open(&c, &rig);
	setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	client_send_c(&c, PUT("/hold", "Content-Length: 1000000000\r\n"));
	while (sent < 100 * sizeof(part) && client_try_send(&c, str_make(part, sizeof(part))))
		sent += sizeof(part);
	assert_true(sent < 20 * sizeof(part));
	assert_true(resident_bytes() < before + 8000000);
	client_abort(&c);
	atomic_store(&rig.release, true);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_body__##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(counted),
		T(chunked_of_any_size),
		T(chunked_byte_at_a_time),
		T(continue_comes_at_the_first_pull),
		T(no_continue_before_a_refusal),
		T(truncated),
		T(wrong_framing),
		T(client_gone),
		T(small_unread_rest),
		T(large_unread_rest),
		T(unread_chunks),
		T(echo),
		T(slow_source),
		T(leaving_a_slow_source),
		T(streamed_answers),
		T(failing_source),
		T(back_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
