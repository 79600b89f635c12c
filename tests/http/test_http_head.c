#include "tests/http/check.h"

#include "http/head.h"

#include <stdlib.h>

struct parsed {
	struct arena *arena;
	struct http_head head;
	int status;
	const char *why;
	enum http_scan_result scan;
	size_t length;
};

/* In memory of exactly its size, so that sanitizers see a byte too many. */
static struct parsed parse_max(struct str in, unsigned max_headers)
{
	struct parsed p = {.arena = arena_new()};
	struct http_scan scan = {0};
	char *copy = malloc(in.n ? in.n : 1), *text;

	memcpy(copy, in.p, in.n);
	p.scan = http_scan(&scan, str_make(copy, in.n));
	p.length = scan.at;
	if (p.scan == HTTP_SCAN_WHOLE) {
		text = arena_alloc(p.arena, scan.at);
		memcpy(text, copy, scan.at);
		p.status = http_head_parse(text, scan.at, scan.lines, max_headers, p.arena,
					   &p.head, &p.why);
	}
	free(copy);
	return p;
}

static struct parsed parse(struct str in)
{
	return parse_max(in, 100);
}

static struct str header(const struct parsed *p, const char *name)
{
	for (size_t i = 0; i < p->head.headers_n; i++)
		if (str_eq(p->head.headers[i].name, str_c(name)))
			return p->head.headers[i].value;
	return STR_NONE;
}

static void test_head__plain(void **state)
{
	struct parsed p = parse(STR("GET /a/b%20c?x=1&y HTTP/1.1\r\nHost: h:80\r\nX-Amz-Date:\t 1 2 \r\n"
				    "empty:\r\n\r\nrest"));

	assert_int_equal(p.scan, HTTP_SCAN_WHOLE);
	assert_int_equal(p.status, 0);
	assert_str(p.head.method, STR("GET"));
	assert_str(p.head.target, STR("/a/b%20c?x=1&y"));
	assert_int_equal(p.head.headers_n, 3);
	assert_str(header(&p, "host"), STR("h:80"));
	assert_str(header(&p, "x-amz-date"), STR("1 2"));
	assert_str(header(&p, "empty"), STR(""));
	assert_int_equal(p.head.length, 0);
	assert_true(p.head.keep_alive);
	assert_false(p.head.expect_continue);
	arena_free(p.arena);
}

static void test_head__byte_at_a_time(void **state)
{
	const struct str in = STR("PUT /k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
	struct http_scan scan = {0};

	for (size_t n = 0; n < in.n; n++)
		assert_int_equal(http_scan(&scan, str_head(in, n)), HTTP_SCAN_PARTIAL);
	assert_int_equal(http_scan(&scan, in), HTTP_SCAN_WHOLE);
	assert_int_equal(scan.at, in.n);
	assert_int_equal(scan.lines, 4);
}

static void test_head__every_split(void **state)
{
	const struct str in = STR("PUT /k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");

	for (size_t n = 0; n < in.n - 5; n++) {
		struct http_scan scan = {0};

		assert_int_equal(http_scan(&scan, str_head(in, n)), HTTP_SCAN_PARTIAL);
		assert_int_equal(http_scan(&scan, in), HTTP_SCAN_WHOLE);
		assert_int_equal(scan.at, in.n - 5);
	}
}

static void test_head__good(void **state)
{
	static const struct {
		struct str in, target, host;
		int64_t length;
		bool keep, expect;
	} rows[] = {
#define ROW(text, target, host, ...) {{"" text, sizeof(text) - 1}, {target, sizeof(target) - 1}, {host, sizeof(host) - 1}, __VA_ARGS__}
		ROW("GET / HTTP/1.0\r\n\r\n", "/", "", 0, false, false),
		ROW("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/", "", 0, false, false),
		ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", "/", "", 0, true, false),
		ROW("GET //x//y HTTP/1.1\r\nHost: h\r\n\r\n", "//x//y", "h", 0, true, false),
		ROW("GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", "/\xc3\xa9", "h", 0, true, false),
		ROW("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", "h", 0, true, false),
		ROW("GET http://a.b:1/c?d HTTP/1.1\r\nHost: other\r\n\r\n", "/c?d", "a.b:1", 0,
		    true, false),
		ROW("GET HTTPS://a HTTP/1.1\r\nHost: other\r\n\r\n", "/", "a", 0, true, false),
		ROW("GET http://[::1]?q HTTP/1.1\r\nHost: o\r\n\r\n", "/?q", "[::1]", 0, true,
		    false),
		ROW("GET http://a/ HTTP/1.0\r\n\r\n", "/", "a", 0, false, false),
		ROW("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n", "/",
		    "h", INT64_MAX, true, false),
		ROW("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n",
		    "/", "h", 7, true, false),
		ROW("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n", "/", "h", -1,
		    true, false),
		ROW("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
		    "/", "h", 1, true, true),
		ROW("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "/", "",
		    1, false, false),
		ROW("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\n", "/", "h", 0,
		    false, false),
		ROW("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "/", "h", 0,
		    true, false),
		ROW("GET / HTTP/1.1\r\nHost: h\r\nv: a\tb\x80\xff\r\n\r\n", "/", "h", 0, true,
		    false),
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].in);

		if (p.scan != HTTP_SCAN_WHOLE || p.status)
			fail_msg("row %zu: %d %s", i, p.status, p.why ? p.why : "");
		assert_str(p.head.target, rows[i].target);
		assert_true(str_eq(header(&p, "host"), rows[i].host));
		assert_int_equal(p.head.length, rows[i].length);
		assert_int_equal(p.head.keep_alive, rows[i].keep);
		assert_int_equal(p.head.expect_continue, rows[i].expect);
		arena_free(p.arena);
	}
}

/* A status of 0: the scan itself refuses. */
static void test_head__bad(void **state)
{
#define H "Host: h\r\n"
#define ROW(text, status) {{"" text, sizeof(text) - 1}, status}
	static const struct {
		struct str in;
		int status;
	} rows[] = {
		ROW("\x16\x03\x01\x02", 0),
		ROW(" GET / HTTP/1.1\r\n" H "\r\n", 0),
		ROW("GET / HTTP/1.1\nHost: h\n\n", 0),
		ROW("GET / HTTP/1.1\r\nHost: h\n\r\n", 0),
		ROW("GET / HTTP/1.1\r\n" H "\n", 0),
		ROW("GET /\r\n\r\n", 400),
		ROW("GET\r\n\r\n", 400),
		ROW("GET  / HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET /a b HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET / HTTP/1.1 \r\n" H "\r\n", 400),
		ROW("GET\t/ HTTP/1.1\r\n" H "\r\n", 400),
		ROW("G(T / HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET /\0x HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET /\x7f HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET /\r HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET x HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET * HTTP/1.1\r\n" H "\r\n", 400),
		ROW("CONNECT h:80 HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET http:///x HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET http://u@h/x HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET ftp://h/x HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET / http/1.1\r\n" H "\r\n", 400),
		ROW("GET / HTTP/1.\r\n" H "\r\n", 400),
		ROW("GET / HTTP/11\r\n" H "\r\n", 400),
		ROW("GET / HTTP/2.0\r\n" H "\r\n", 505),
		ROW("PRI * HTTP/2.0\r\n\r\n", 505),
		ROW("GET / HTTP/1.2\r\n" H "\r\n", 505),
		ROW("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD / HTTP/1.1\r\n" H "\r\n", 400),
		ROW("GET / HTTP/1.1\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H H "\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a b: c\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H ": c\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "abc\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a: b\r\n c\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a: b\r\n\tc: d\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n " H "\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a: b\0c\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a: b\x01\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a: b\rc: d\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\n" H "a\xc3: b\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 2\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H
		    "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H
		    "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H
		    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 400),
		ROW("PUT / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400),
		ROW("PUT / HTTP/1.1\r\n" H "Expect: magic\r\n\r\n", 417),
	};
#undef ROW
#undef H

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].in);

		if (rows[i].status ? p.scan != HTTP_SCAN_WHOLE || p.status != rows[i].status
				   : p.scan != HTTP_SCAN_BAD)
			fail_msg("row %zu \"" STR_FMT "\": scan %d, status %d", i,
				 STR_ARG(rows[i].in), p.scan, p.status);
		if (rows[i].status)
			assert_non_null(p.why);
		arena_free(p.arena);
	}
}

static void test_head__limit_of_headers(void **state)
{
	const struct str in = STR("GET / HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\n\r\n");
	struct parsed p = parse_max(in, 3);

	assert_int_equal(p.status, 0);
	arena_free(p.arena);
	p = parse_max(in, 2);
	assert_int_equal(p.status, 431);
	arena_free(p.arena);
}

/* No single wrong byte anywhere may crash it or get through as something else than data. */
static void test_head__any_byte(void **state)
{
	const struct str in = STR("PUT /ab HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nx-y: z\r\n\r\n");
	char copy[128];

	memcpy(copy, in.p, in.n);
	for (size_t i = 0; i < in.n; i++) {
		for (int b = 0; b < 256; b++) {
			struct parsed p;

			copy[i] = (char)b;
			p = parse(str_make(copy, in.n));
			if (p.scan == HTTP_SCAN_WHOLE && !p.status) {
				assert_true(p.head.headers_n == 3);
				assert_true(p.head.length >= 0);
			}
			arena_free(p.arena);
		}
		copy[i] = in.p[i];
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head__plain),
		cmocka_unit_test(test_head__byte_at_a_time),
		cmocka_unit_test(test_head__every_split),
		cmocka_unit_test(test_head__good),
		cmocka_unit_test(test_head__bad),
		cmocka_unit_test(test_head__limit_of_headers),
		cmocka_unit_test(test_head__any_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
