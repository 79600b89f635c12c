#include "tests/http/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

enum { FILE_BYTES = 5 * 1024 * 1024 + 123 };

static struct rig rig;

static int set_up(void **state)
{
	rig_start(&rig, (struct http_limits){0});
	rig_make_file(&rig, FILE_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	rig_stop(&rig);
	return 0;
}

static void expect_range(struct client *c, uint64_t offset, uint64_t length)
{
	struct answer a;

	client_answer(c, &a, false);
	assert_in_range(a.status, 200, 206);
	assert_int_equal(a.body.n, length);
	for (uint64_t i = 0; i < length; i++)
		if (a.body.p[i] != rig_byte(offset + i))
			fail_msg("byte %llu differs", (unsigned long long)(offset + i));
	answer_free(&a);
}

static void get(struct client *c, const char *path, uint64_t offset, uint64_t length)
{
	char text[200];

	snprintf(text, sizeof(text), GET("%s?%llu,%llu"), path, (unsigned long long)offset,
		 (unsigned long long)length);
	client_send_c(c, text);
	expect_range(c, offset, length);
}

static const struct {
	uint64_t offset, length;
} ranges[] = {
	{0, 0},	  {0, 1},	 {0, 1024},	  {7, 65535},	 {1, 65536},
	{3, 65537}, {0, 131072},	 {1, 1048576},	  {5, 1048577},	 {FILE_BYTES - 1, 1},
	{0, FILE_BYTES}, {12345, FILE_BYTES - 12345}, {FILE_BYTES, 0},
};

static void test_file__ranges(void **state)
{
	struct client c;

	client_open(&c, &rig);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		get(&c, "/file", ranges[i].offset, ranges[i].length);
		get(&c, "/file-on-loop", ranges[i].offset, ranges[i].length);
	}
	client_close(&c);
}

/* Where the file system keeps pages at all; else these are just ranges. */
static void chill(void)
{
	assert_int_equal(fsync(rig.file), 0);
	posix_fadvise(rig.file, 0, 0, POSIX_FADV_DONTNEED);
}

static void test_file__cold(void **state)
{
	struct client c;

	client_open(&c, &rig);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		chill();
		get(&c, "/file", ranges[i].offset, ranges[i].length);
	}
	client_close(&c);
}

static void test_file__several_cold_at_once(void **state)
{
	enum { N = 20 };
	struct client c[N];

	chill();
	for (int i = 0; i < N; i++) {
		client_open_rcvbuf(&c[i], &rig, 16384);
		client_send_c(&c[i], i % 4 ? GET("/file?100,3000000") : GET("/file?9,50000"));
	}
	for (int i = 0; i < N; i += 5)
		client_abort(&c[i]);
	for (int i = 0; i < N; i++) {
		if (i % 5 == 0)
			continue;
		expect_range(&c[i], i % 4 ? 100 : 9, i % 4 ? 3000000 : 50000);
		client_close(&c[i]);
	}
}

static void test_file__pipelined(void **state)
{
	struct client c;

	client_open(&c, &rig);
	client_send_c(&c, GET("/file?0,2000000") GET("/file?5,10") GET("/file?3,100000")
				  GET("/hello"));
	expect_range(&c, 0, 2000000);
	expect_range(&c, 5, 10);
	expect_range(&c, 3, 100000);
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_file__slow_reader(void **state)
{
	struct client c;
	static char part[50000];

	client_open_rcvbuf(&c, &rig, 4096);
	client_send_c(&c, GET("/file?0,5000000") GET("/hello"));
	for (int i = 0; i < 20; i++) {
		assert_true(client_recv(&c, part, sizeof(part), MSG_PEEK) > 0);
		usleep(1000);
	}
	expect_range(&c, 0, 5000000);
	client_expect(&c, 200, "hello");
	client_close(&c);
}

static void test_file__leaving(void **state)
{
	unsigned before = open_descriptors();
	struct client c;

	for (int i = 0; i < 20; i++) {
		client_open_rcvbuf(&c, &rig, 4096);
		if (i % 2)
			chill();
		client_send_c(&c, GET("/file?0,5000000"));
		usleep(i % 3 * 1000);
		client_abort(&c);
	}
	rig_await(&rig.freed, 20);
	assert_int_equal(open_descriptors(), before);
}

/* A file that is shorter than what was announced ends the connection. */
static void test_file__truncated(void **state)
{
	static const char *const rows[] = {GET("/file?0,6000000"), GET("/file?5240000,60000"),
					   GET("/file?9000000,10")};
	static char part[100000];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client c;
		ssize_t n;

		client_open(&c, &rig);
		client_send_c(&c, rows[i]);
		while ((n = client_recv(&c, part, sizeof(part), 0)) > 0)
			;
		assert_int_equal(n, 0);
		client_close(&c);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_file__##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(ranges),
		T(cold),
		T(several_cold_at_once),
		T(pipelined),
		T(slow_reader),
		T(leaving),
		T(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
