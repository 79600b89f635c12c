#include "tests/http/rig.h"

#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

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

static void test_server__hello(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, GET("/hello"));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 200);
	assert_str(buf_str(&a.body), STR("hello"));
	assert_string_equal(answer_header(&a, "content-length"), "5");
	assert_string_equal(answer_header(&a, "content-type"), "text/plain");
	assert_string_equal(answer_header(&a, "server"), "rig");
	assert_string_equal(answer_header(&a, "connection"), "");
	assert_int_equal(strlen(answer_header(&a, "date")), 29);
	answer_free(&a);
	client_close(&c);
}

static void test_server__keep_alive(void **state)
{
	struct client c;

	client_open(&c, &rig);
	for (int i = 0; i < 50; i++) {
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 200, "hello");
	}
	client_send_c(&c, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	client_expect(&c, 200, "hello");
	client_expect_eof(&c);
	client_close(&c);
}

static void test_server__http10_closes(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	client_answer(&c, &a, false);
	assert_string_equal(answer_header(&a, "connection"), "close");
	assert_str(buf_str(&a.body), STR("hello"));
	answer_free(&a);
	client_expect_eof(&c);
	client_close(&c);
}

static void test_server__byte_at_a_time(void **state)
{
	const char *text = GET("/headers");
	struct client c;

	client_open(&c, &rig);
	for (int twice = 0; twice < 2; twice++) {
		for (const char *p = text; *p; p++) {
			client_send(&c, str_make(p, 1));
			usleep(500);
		}
		client_expect(&c, 200, "GET /headers\nhost=h\n");
	}
	client_close(&c);
}

static void test_server__headers_in_order(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, "GET http://other/headers?x=%2f HTTP/1.1\r\nHost: h\r\nB: 2\r\nA:1 \r\nb: 3\r\n\r\n");
	client_expect(&c, 200, "GET /headers?x=%2f\nhost=other\nb=2\na=1\nb=3\n");
	client_close(&c);
}

static void test_server__pipelined_mix(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c,
		      GET("/hello")
		      "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz"
		      "PUT /echo-chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" GET("/worker?1") GET("/hello")
		      "\r\n\r\n" GET("/worker?2"));
	client_expect(&c, 200, "hello");
	client_expect(&c, 200, "xyz");
	client_expect(&c, 200, "abcde");
	client_expect(&c, 200, "worker says /worker?1");
	client_expect(&c, 200, "hello");
	client_expect(&c, 200, "worker says /worker?2");
	client_close(&c);
}

static void test_server__pipelined_many(void **state)
{
	enum { N = 1000 };
	struct buf all = BUF_INIT(1 << 20);
	struct client c;

	for (int i = 0; i < N; i++)
		buf_add(&all, i % 10 == 9 ? STR(GET("/worker?x")) : STR(GET("/hello")));
	client_open(&c, &rig);
	client_send(&c, buf_str(&all));
	for (int i = 0; i < N; i++)
		client_expect(&c, 200, i % 10 == 9 ? "worker says /worker?x" : "hello");
	client_expect_silence(&c, 20);
	client_close(&c);
	buf_deinit(&all);
}

static void test_server__head(void **state)
{
	struct client c;
	struct answer a;
	static const struct {
		const char *path, *length;
	} rows[] = {{"/hello", "5"}, {"/length", "12345"}, {"/stream?7,7", "7"}, {"/file?0,9", "9"}};

	rig_make_file(&rig, 10);
	client_open(&c, &rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[100];

		snprintf(text, sizeof(text), "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].path);
		client_send_c(&c, text);
		client_answer(&c, &a, true);
		assert_string_equal(answer_header(&a, "content-length"), rows[i].length);
	}
	client_send_c(&c, GET("/hello"));
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_server__bodiless_statuses(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, GET("/status?204") GET("/status?304") GET("/status?201"));
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 204);
	assert_string_equal(answer_header(&a, "content-length"), "");
	client_answer(&c, &a, false);
	assert_int_equal(a.status, 304);
	assert_string_equal(answer_header(&a, "content-length"), "");
	client_expect(&c, 201, "body");
	client_close(&c);
}

static void test_server__refused_heads(void **state)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\nHost: h\n\n", 400},
		{"\x16\x03\x01", 400},
		{"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400},
		{"PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
		 400},
		{"PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
		 400},
		{"PUT /sink HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"GET / HTTP/3.0\r\n\r\n", 505},
		{"PUT /sink HTTP/1.1\r\nHost: h\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", 417},
	};
	unsigned started = atomic_load(&rig.started);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client c;
		struct answer a;

		client_open(&c, &rig);
		/* What follows must never be taken for a request. */
		client_send_c(&c, rows[i].text);
		client_send_c(&c, GET("/hello"));
		client_answer(&c, &a, false);
		assert_int_equal(a.status, rows[i].status);
		assert_string_equal(answer_header(&a, "connection"), "close");
		assert_true(a.body.n > 0);
		answer_free(&a);
		client_expect_eof(&c);
		client_close(&c);
	}
	assert_int_equal(atomic_load(&rig.started), started);
}

static void test_server__large_answer_to_a_slow_reader(void **state)
{
	enum { N = 20 * 1000 * 1000 };
	struct client c;
	struct answer a;

	client_open_rcvbuf(&c, &rig, 8192);
	client_send_c(&c, GET("/bytes?20000000"));
	usleep(50000);
	client_answer(&c, &a, false);
	assert_int_equal(a.body.n, N);
	for (size_t i = 0; i < N; i += 997)
		assert_int_equal(a.body.p[i], rig_byte(i));
	answer_free(&a);
	client_send_c(&c, GET("/hello"));
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_server__worker(void **state)
{
	struct client c[8];

	for (int i = 0; i < 8; i++) {
		client_open(&c[i], &rig);
		client_send_c(&c[i], GET("/worker?a"));
	}
	for (int i = 0; i < 8; i++) {
		client_expect(&c[i], 200, "worker says /worker?a");
		client_close(&c[i]);
	}
}

static void test_server__gone(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, GET("/hold"));
	rig_await(&rig.started, 1);
	client_close(&c);
	rig_await(&rig.gone, 1);

	client_open(&c, &rig);
	client_send_c(&c, GET("/hold"));
	rig_await(&rig.started, 2);
	client_abort(&c);
	rig_await(&rig.gone, 2);
	rig_await(&rig.freed, 2);
}

static void test_server__pipelined_behind_a_held_one(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, GET("/hold"));
	rig_await(&rig.started, 1);
	client_send_c(&c, GET("/hello") GET("/hello"));
	client_expect_silence(&c, 30);
	assert_int_equal(atomic_load(&rig.gone), 0);
	atomic_store(&rig.release, true);
	client_expect(&c, 200, "released");
	client_expect(&c, 200, "hello");
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_server__leaving_during_an_answer(void **state)
{
	struct client c;

	for (int i = 0; i < 20; i++) {
		client_open_rcvbuf(&c, &rig, 4096);
		client_send_c(&c, i % 2 ? GET("/bytes?30000000") : GET("/stream?30000000"));
		usleep(2000);
		client_abort(&c);
	}
	rig_await(&rig.freed, 20);
}

/* A client that has ended its side gets the answer that was ready at once. */
static void test_server__half_closed(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, GET("/hello"));
	shutdown(c.fd, SHUT_WR);
	client_expect(&c, 200, "hello");
	client_expect_eof(&c);
	client_close(&c);

	client_open_rcvbuf(&c, &rig, 8192);
	client_send_c(&c, GET("/bytes?5000000"));
	shutdown(c.fd, SHUT_WR);
	client_expect(&c, 200, NULL);
	client_expect_eof(&c);
	client_close(&c);
}

static void test_server__no_header_in_a_value(void **state)
{
	struct client c;
	struct answer a;

	client_open(&c, &rig);
	client_send_c(&c, GET("/dirty"));
	client_answer(&c, &a, false);
	assert_string_equal(answer_header(&a, "x-evil"), "");
	assert_string_equal(answer_header(&a, "x-meta"), "a  x-evil: 1 b");
	answer_free(&a);
	client_close(&c);
}

static void test_server__peer_and_id(void **state)
{
	struct client c;
	struct answer a, b;

	client_open(&c, &rig);
	client_send_c(&c, GET("/peer") GET("/id") GET("/id"));
	client_expect(&c, 200, "127.0.0.1");
	client_answer(&c, &a, false);
	client_answer(&c, &b, false);
	assert_int_equal(a.body.n, 16);
	assert_int_equal(b.body.n, 16);
	assert_memory_not_equal(a.body.p, b.body.p, 16);
	answer_free(&a);
	answer_free(&b);
	client_close(&c);
}

static void test_server__many_idle(void **state)
{
	enum { N = 1000 };
	static struct client c[N];

	for (int i = 0; i < N; i++)
		client_open(&c[i], &rig);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++)
			client_send_c(&c[i], GET("/hello"));
		for (int i = 0; i < N; i++)
			client_expect(&c[i], 200, "hello");
	}
	for (int i = 0; i < N; i++)
		client_close(&c[i]);
}

static void test_server__metrics(void **state)
{
	struct metric *ok = metric_get(METRIC_COUNTER, "http_requests_total", NULL, "code=\"2xx\"");
	struct metric *bad = metric_get(METRIC_COUNTER, "http_requests_total", NULL, "code=\"4xx\"");
	struct metric *out = metric_get(METRIC_COUNTER, "http_sent_bytes_total", NULL, NULL);
	struct metric *in = metric_get(METRIC_COUNTER, "http_received_bytes_total", NULL, NULL);
	struct metric *open = metric_get(METRIC_GAUGE, "http_connections", NULL, NULL);
	int64_t ok0 = metric_value(ok), bad0 = metric_value(bad), out0 = metric_value(out),
		in0 = metric_value(in), open0 = metric_value(open);
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, GET("/hello") GET("/nowhere"));
	client_send_c(&c, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789"
		      GET("/hello"));
	client_expect(&c, 200, "hello");
	client_expect(&c, 404, "no such route");
	client_expect(&c, 200, "0123456789");
	client_expect(&c, 200, "hello");
	assert_true(metric_value(open) == open0 + 1);
	client_close(&c);
	rig_await(&rig.freed, 4);
	assert_true(metric_value(ok) == ok0 + 3);
	assert_true(metric_value(bad) == bad0 + 1);
	assert_true(metric_value(out) == out0 + 5 + 13 + 10 + 5);
	assert_true(metric_value(in) == in0 + 10);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_server__##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(hello),
		T(keep_alive),
		T(http10_closes),
		T(byte_at_a_time),
		T(headers_in_order),
		T(pipelined_mix),
		T(pipelined_many),
		T(head),
		T(bodiless_statuses),
		T(refused_heads),
		T(large_answer_to_a_slow_reader),
		T(worker),
		T(gone),
		T(pipelined_behind_a_held_one),
		T(leaving_during_an_answer),
		T(half_closed),
		T(no_header_in_a_value),
		T(peer_and_id),
		T(many_idle),
		T(metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
