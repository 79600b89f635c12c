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

static bool readable(struct client *c, int ms)
{
	struct pollfd p = {c->fd, POLLIN, 0};

	return poll(&p, 1, ms) == 1;
}

static void test_limits__head_takes_too_long(void **state)
{
	struct client c;
	int64_t start = mono_ms();

	rig_start(&rig, (struct http_limits){.head_ms = 500});
	client_open(&c, &rig);
	client_send_c(&c, "GET / HTTP/1.1\r\n");
	/* Drops don't prolong it. */
	while (!readable(&c, 10) && since(start) < 20000)
		client_try_send(&c, STR("a"));
	client_expect(&c, 408, NULL);
	assert_in_range(since(start), 500, 20000);
	client_expect_end(&c);
	client_close(&c);
}

enum { IDLE_MS = 1000 };

/* One more request, unless the connection was closed: false, and then nothing had been sent since `from` for too
 * long. */
static bool asks_again(struct client *c, int64_t from)
{
	char peeked;

	if (client_try_send(c, STR(GET("/hello"))) && client_recv(c, &peeked, 1, MSG_PEEK) > 0) {
		client_expect(c, 200, "hello");
		return true;
	}
	assert_true(since(from) >= IDLE_MS);
	return false;
}

/* Four times, with pauses that aren't too long unless the machine makes them so: false. */
static bool used_in_time(void)
{
	int64_t from, now = mono_ms();
	struct client c;
	int asked = 0;

	client_open(&c, &rig);
	do {
		usleep(300000);
		from = now;
		now = mono_ms();
	} while (asks_again(&c, from) && ++asked < 4);
	if (asked == 4)
		client_expect_eof(&c);
	client_close(&c);
	return asked == 4;
}

static void test_limits__idle(void **state)
{
	struct client c;
	int64_t start = mono_ms();
	int tries = 1;

	rig_start(&rig, (struct http_limits){.idle_ms = IDLE_MS});
	client_open(&c, &rig);
	client_expect_eof(&c);
	assert_in_range(since(start), IDLE_MS, 50000);
	client_close(&c);
	while (!used_in_time())
		assert_in_range(++tries, 2, 20);
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
	/* Where the machine stood still, it may have come earlier, but then the sending has lasted as long. */
	assert_in_range(since(start), 1700, 50000);
	client_expect_end(&c);
	client_close(&c);
}

static void test_limits__reader_stalls(void **state)
{
	struct client c;
	int64_t start = mono_ms();

	rig_start(&rig, (struct http_limits){.write_ms = 200});
	client_open_rcvbuf(&c, &rig, 4096);
	client_send_c(&c, GET("/bytes?30000000"));
	rig_await(&rig.freed, 1);
	client_close(&c);

	client_open_rcvbuf(&c, &rig, 4096);
	client_send_c(&c, GET("/stream?30000000"));
	rig_await(&rig.freed, 2);
	client_close(&c);
	assert_in_range(since(start), 400, 50000);
}

/* Whether all of it came; *longest: between two parts. */
static bool read_slowly(int64_t *longest)
{
	enum { ALL = 10000000, PARTS = 30 };
	static char part[200000];
	int64_t last = mono_ms();
	struct client c;
	size_t all = 0;
	ssize_t n;

	*longest = 0;
	client_open_rcvbuf(&c, &rig, 65536);
	client_send_c(&c, GET("/stream?10000000,10000000"));
	while (all < ALL && (n = client_recv(&c, part, sizeof(part), MSG_WAITALL)) > 0) {
		all += (size_t)n;
		if (since(last) > *longest)
			*longest = since(last);
		last = mono_ms();
		if (all < PARTS * sizeof(part))
			usleep(80000);
	}
	client_close(&c);
	return all >= ALL;
}

/* Slow, but it goes on: no time-out. */
static void test_limits__reader_is_slow(void **state)
{
	int64_t longest;
	int tries = 1;

	rig_start(&rig, (struct http_limits){.write_ms = 1500});
	while (!read_slowly(&longest)) {
		assert_true(longest >= 300); /* the machine's doing */
		assert_in_range(++tries, 2, 20);
	}
}

static void test_limits__linger(void **state)
{
	struct client c;
	int64_t took;
	int tries = 1;

	rig_start(&rig, (struct http_limits){.linger_ms = 200});
	do {
		int64_t start = mono_ms();

		client_open(&c, &rig);
		client_send_c(&c, PUT("/deny", "Content-Length: 5000000\r\n") "abc");
		client_expect(&c, 403, "denied");
		client_expect_eof(&c);
		while (client_try_send(&c, STR("x")) && since(start) < 5000)
			usleep(5000);
		took = since(start);
		assert_true(took >= 190);
		client_close(&c);
	} while (took > 4000 && tries++ < 10); /* the machine's doing, once */
	assert_true(took <= 4000);
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

static void test_limits__connections(void **state)
{
	enum { MAX = 5, MORE = 3, EVICT_MS = 1000 };
	struct client c[MAX + MORE];
	int64_t start = mono_ms();

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
	/* Unless the others have waited for another request for so long that they are closed. */
	for (int i = MAX; i < MAX + MORE; i++)
		if (readable(&c[i], 50))
			assert_true(since(start) >= EVICT_MS);
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
	int tries = 1;

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
	/* A hypervisor's time may be counted as ours, but not each time. */
	do {
		cpu = cpu_ms();
		assert_false(readable(&waiting, 500));
		cpu = cpu_ms() - cpu;
	} while (cpu >= 200 && tries++ < 10);
	assert_true(cpu < 200);
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
	int slow = 0;

	rig_start(&rig, (struct http_limits){0});
	rig_make_file(&rig, 64 << 20);
	for (int i = 0; i < BIG; i++) {
		client_open(&big[i], &rig);
		client_send_c(&big[i], i % 2 ? GET("/stream?1000000000") : GET("/file?0,67108864"));
	}
	client_open(&c, &rig);
	for (int round = 0; round < 20;) {
		int64_t start;

		for (int i = 0; i < BIG; i++)
			assert_true(client_recv(&big[i], part, sizeof(part), 0) > 0);
		start = mono_ms();
		client_send_c(&c, GET("/hello"));
		client_expect(&c, 200, "hello");
		if (since(start) < 2000) {
			round++;
			slow = 0;
		} else {
			assert_in_range(++slow, 1, 4); /* once, it may have been the machine */
		}
	}
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
