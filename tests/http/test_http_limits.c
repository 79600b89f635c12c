/* Every time-out and bound of the server, reached. */
#include "tests/http/rig.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define PUT(path, more) "PUT " path " HTTP/1.1\r\nHost: h\r\n" more "\r\n"

static struct rig rig;

static int tear_down(void **state)
{
	rig_stop(&rig);
	return 0;
}

static int64_t since(int64_t start)
{
	return mono_ms() - start;
}

static void test_limits__head_takes_too_long(void **state)
{
	struct client c;
	int64_t start = mono_ms();

	rig_start(&rig, (struct http_limits){.head_ms = 500});
	client_open(&c, &rig);
	/* Drops don't prolong it. */
	client_send_c(&c, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 15; i++) {
		usleep(10000);
		client_send_c(&c, "a");
	}
	client_expect(&c, 408, NULL);
	assert_in_range(since(start), 500, 5000);
	client_expect_end(&c);
	client_close(&c);
}

static void test_limits__idle(void **state)
{
	struct client c;
	int64_t start = mono_ms();

	rig_start(&rig, (struct http_limits){.idle_ms = 1000});
	client_open(&c, &rig);
	client_expect_eof(&c);
	assert_in_range(since(start), 1000, 5000);
	client_close(&c);

	client_open(&c, &rig);
	for (int i = 0; i < 4; i++) {
		usleep(300000);
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 200, "hello");
	}
	client_expect_eof(&c);
	client_close(&c);
}

static void test_limits__body_stalls(void **state)
{
	struct client c;
	int64_t start = mono_ms();

	rig_start(&rig, (struct http_limits){.body_ms = 800});
	client_open(&c, &rig);
	client_send_c(&c, PUT("/sink", "Content-Length: 100\r\n"));
	for (int i = 0; i < 6; i++) {
		usleep(200000);
		client_send_c(&c, "a");
	}
	client_expect(&c, 400, "RequestTimeout");
	assert_in_range(since(start), 1700, 10000);
	client_expect_end(&c);
	client_close(&c);
}

static void test_limits__reader_stalls(void **state)
{
	struct client c;

	rig_start(&rig, (struct http_limits){.write_ms = 200});
	client_open_rcvbuf(&c, &rig, 4096);
	client_send_c(&c, GET("/bytes?30000000"));
	rig_await(&rig.freed, 1);
	client_close(&c);

	client_open_rcvbuf(&c, &rig, 4096);
	client_send_c(&c, GET("/stream?30000000"));
	rig_await(&rig.freed, 2);
	client_close(&c);
}

/* Slow, but it goes on: no time-out. */
static void test_limits__reader_is_slow(void **state)
{
	enum { PARTS = 30 };
	static char part[200000];
	struct client c;
	size_t all = 0;

	rig_start(&rig, (struct http_limits){.write_ms = 1500});
	client_open_rcvbuf(&c, &rig, 65536);
	client_send_c(&c, GET("/stream?10000000,10000000"));
	for (;;) {
		ssize_t n = recv(c.fd, part, sizeof(part), MSG_WAITALL);

		if (n > 0)
			all += (size_t)n;
		if (n < (ssize_t)sizeof(part) || all >= 10000000)
			break;
		if (all < PARTS * sizeof(part))
			usleep(80000);
	}
	assert_true(all >= 10000000);
	client_close(&c);
}

static void test_limits__linger(void **state)
{
	struct client c;
	int64_t start = mono_ms();

	rig_start(&rig, (struct http_limits){.linger_ms = 200});
	client_open(&c, &rig);
	client_send_c(&c, PUT("/deny", "Content-Length: 5000000\r\n") "abc");
	client_expect(&c, 403, "denied");
	client_expect_eof(&c);
	while (client_try_send(&c, STR("x")) && since(start) < 5000)
		usleep(5000);
	assert_in_range(since(start), 190, 4000);
	client_close(&c);
}

/* A kept connection whose rest of a small body never comes. */
static void test_limits__drain(void **state)
{
	struct client c;

	rig_start(&rig, (struct http_limits){.linger_ms = 200});
	client_open(&c, &rig);
	client_send_c(&c, PUT("/deny", "Content-Length: 50\r\n") "abc");
	client_expect(&c, 403, "denied");
	client_expect_end(&c);
	client_close(&c);
}

static void expect_431(const char *text)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, text);
	client_expect(&c, 431, NULL);
	client_expect_end(&c);
	client_close(&c);
}

/* A request whose head has n bytes. */
static char *head_of(size_t n)
{
	struct buf b = BUF_INIT(n + 1);
	const struct str end = STR(" HTTP/1.1\r\nHost:h\r\n\r\n");

	buf_add(&b, STR("GET /hello?"));
	while (b.n < n - end.n)
		buf_add_c(&b, 'a');
	buf_add(&b, end);
	buf_add_c(&b, 0);
	return b.p;
}

static void test_limits__size_of_the_head(void **state)
{
	char *most = head_of(32768), *more = head_of(32769), *much = head_of(100000);
	struct client c;

	rig_start(&rig, (struct http_limits){0});
	client_open(&c, &rig);
	client_send_c(&c, most);
	client_expect(&c, 200, "hello");
	client_close(&c);
	expect_431(more);
	expect_431(much);
	free(most);
	free(more);
	free(much);
}

static void test_limits__small_head(void **state)
{
	struct client c;

	rig_start(&rig, (struct http_limits){.head_bytes = 100, .headers = 2});
	client_open(&c, &rig);
	client_send_c(&c, GET("/hello"));
	client_expect(&c, 200, "hello");
	client_close(&c);
	expect_431("GET /hello HTTP/1.1\r\nHost: h\r\na: b\r\nc: d\r\n\r\n");
	expect_431("GET /hello HTTP/1.1\r\nHost: h\r\na: 3456789 123456789 123456789 123456789 "
		   "123456789 123456789 123456789\r\n\r\n");
}

static bool readable(struct client *c, int ms)
{
	struct pollfd p = {c->fd, POLLIN, 0};

	return poll(&p, 1, ms) == 1;
}

static void test_limits__connections(void **state)
{
	enum { MAX = 5, MORE = 3 };
	struct client c[MAX + MORE];

	rig_start(&rig, (struct http_limits){.connections = MAX});
	for (int i = 0; i < MAX; i++) {
		client_open(&c[i], &rig);
		client_send_c(&c[i], GET("/hello"));
		client_expect(&c[i], 200, "hello");
	}
	for (int i = MAX; i < MAX + MORE; i++) {
		client_open(&c[i], &rig); /* by the kernel, into the backlog */
		client_send_c(&c[i], GET("/hello"));
	}
	for (int i = MAX; i < MAX + MORE; i++)
		assert_false(readable(&c[i], 50));
	for (int i = 0; i < MORE; i++)
		client_close(&c[i]);
	for (int i = MAX; i < MAX + MORE; i++)
		client_expect(&c[i], 200, "hello");
	for (int i = MORE; i < MAX + MORE; i++)
		client_close(&c[i]);
}

/* A loop that stood still makes no room by closing who has sent a request meanwhile. */
static void test_limits__connections_of_a_loop_that_stood_still(void **state)
{
	struct client idle, busy, more;

	rig_start_one_loop(&rig, (struct http_limits){.connections = 2});
	client_open(&idle, &rig);
	client_send_c(&idle, GET("/hello"));
	client_expect(&idle, 200, "hello");
	client_open(&busy, &rig);
	client_send_c(&busy, GET("/doze"));
	rig_await(&rig.started, 2);
	client_open(&more, &rig); /* it is seen first */
	client_send_c(&more, GET("/hello"));
	client_send_c(&idle, GET("/hello"));
	usleep(1100 * 1000); /* longer than a connection may be silent then */
	atomic_store(&rig.release, true);
	client_expect(&busy, 200, "awake");
	client_expect(&idle, 200, "hello");
	client_close(&idle);
	client_expect(&more, 200, "hello");
	client_close(&busy);
	client_close(&more);
}

static int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Without descriptors the server neither fails nor spins, and goes on when there are some. */
static void test_limits__no_descriptors(void **state)
{
	struct rlimit old, few;
	struct client c, waiting;
	int64_t cpu;

	rig_start(&rig, (struct http_limits){0});
	client_open(&c, &rig);
	client_send_c(&c, GET("/hello"));
	client_expect(&c, 200, "hello");
	client_open(&waiting, &rig); /* accepted or not: it makes no difference below */
	client_close(&waiting);
	usleep(50000);
	waiting = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0)};
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few);
	{
		struct sockaddr_storage sa;
		socklen_t n = sizeof(sa);

		getpeername(c.fd, (struct sockaddr *)&sa, &n);
		assert_int_equal(connect(waiting.fd, (struct sockaddr *)&sa, n), 0);
	}
	client_send_c(&waiting, GET("/hello"));
	cpu = cpu_ms();
	assert_false(readable(&waiting, 500));
	assert_true(cpu_ms() - cpu < 200);
	client_send_c(&c, GET("/hello"));
	client_expect(&c, 200, "hello");
	setrlimit(RLIMIT_NOFILE, &old);
	client_expect(&waiting, 200, "hello");
	client_close(&waiting);
	client_close(&c);
}

/* Small requests go on while others take all the bytes that they can. */
static void test_limits__fast_readers_leave_room(void **state)
{
	enum { BIG = 4 };
	struct client big[BIG], c;
	static char part[1 << 20];
	int64_t worst = 0;

	rig_start(&rig, (struct http_limits){0});
	rig_make_file(&rig, 64 << 20);
	for (int i = 0; i < BIG; i++) {
		client_open(&big[i], &rig);
		client_send_c(&big[i], i % 2 ? GET("/stream?1000000000") : GET("/file?0,67108864"));
	}
	client_open(&c, &rig);
	for (int round = 0; round < 20; round++) {
		int64_t start;

		for (int i = 0; i < BIG; i++)
			assert_true(recv(big[i].fd, part, sizeof(part), 0) > 0);
		start = mono_ms();
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 200, "hello");
		if (since(start) > worst)
			worst = since(start);
	}
	assert_true(worst < 2000);
	for (int i = 0; i < BIG; i++)
		client_abort(&big[i]);
	client_close(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(test_limits__##name, tear_down)
	const struct CMUnitTest tests[] = {
		T(head_takes_too_long),
		T(idle),
		T(body_stalls),
		T(reader_stalls),
		T(reader_is_slow),
		T(linger),
		T(drain),
		T(size_of_the_head),
		T(small_head),
		T(connections),
		T(connections_of_a_loop_that_stood_still),
		T(no_descriptors),
		T(fast_readers_leave_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
