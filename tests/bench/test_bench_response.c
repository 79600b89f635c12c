#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/response.h"

struct row {
	const char *bytes;
	bool no_body;
	enum response_state state;
	int status;
	uint64_t body;
	bool close;
	const char *kept, *rest; /* what isn't taken */
};

static const struct row rows[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloNEXT", false, RESPONSE_DONE, 200, 5, false,
	 "hello", "NEXT"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nNEXT", false, RESPONSE_DONE, 200, 0, false, "",
	 "NEXT"},
	{"HTTP/1.1 200 OK\r\ncontent-length:  7 \r\nETAG: \"x\"\r\n\r\n", true, RESPONSE_DONE, 200, 0,
	 false, "", ""},
	{"HTTP/1.1 204 No Content\r\n\r\n", false, RESPONSE_DONE, 204, 0, false, "", ""},
	{"HTTP/1.1 404 Not Found\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", false,
	 RESPONSE_DONE, 404, 1, true, "x", ""},
	{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, RESPONSE_DONE, 200, 1, true, "x", ""},
	{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false,
	 RESPONSE_DONE, 200, 1, false, "x", ""},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;q=1\r\n0123456789\r\n0\r\n"
	 "x: y\r\n\r\nNEXT",
	 false, RESPONSE_DONE, 200, 15, false, "hello0123456789", "NEXT"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", false, RESPONSE_IN_BODY, 200, 3, false,
	 "hel", ""},
	{"HTTP/1.1 200 OK\r\n\r\n", false, RESPONSE_BAD, 200, 0, false, "", ""},
	{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, RESPONSE_BAD, 200, 0, false, "", ""},
	{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", false, RESPONSE_BAD, 200, 0, false, "", ""},
	{"SSH-2.0\r\n\r\n", false, RESPONSE_BAD, 0, 0, false, "", ""},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, RESPONSE_BAD, 200, 0,
	 false, "", ""},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", false, RESPONSE_BAD, 200,
	 1, false, "a", NULL},
};

static void check(const struct row *row, struct response *r, struct str rest)
{
	assert_int_equal(r->state, row->state);
	assert_int_equal(r->status, row->status);
	assert_int_equal(r->body_bytes, row->body);
	if (row->state == RESPONSE_BAD)
		return;
	assert_int_equal(r->close, row->close);
	assert_true(str_eq(buf_str(&r->kept), str_c(row->kept)));
	assert_true(str_eq(rest, str_c(row->rest)));
}

static void test_response__table(void **state)
{
	struct response r;

	response_init(&r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str all = str_c(rows[i].bytes);
		size_t taken;

		response_reset(&r, rows[i].no_body);
		taken = response_feed(&r, all);
		check(&rows[i], &r, str_skip(all, taken));
		/* Byte by byte. */
		response_reset(&r, rows[i].no_body);
		for (taken = 0; taken < all.n; taken++)
			if (!response_feed(&r, str_make(all.p + taken, 1)))
				break;
		check(&rows[i], &r, str_skip(all, taken));
	}
	response_deinit(&r);
}

static void test_response__etag(void **state)
{
	struct response r;

	response_init(&r);
	response_reset(&r, false);
	response_feed(&r, STR("HTTP/1.1 200 OK\r\nEtag: \"abc-2\"\r\nContent-Length: 0\r\n\r\n"));
	assert_true(str_eq(r.etag, STR("\"abc-2\"")));
	response_deinit(&r);
}

static void test_response__big_bodies_are_droppable(void **state)
{
	static char chunk[RESPONSE_KEPT_MAX + 10];
	struct response r;

	response_init(&r);
	response_reset(&r, false);
	response_feed(&r, STR("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"));
	assert_int_equal(response_droppable(&r), 0);
	assert_int_equal(response_feed(&r, str_make(chunk, sizeof(chunk))), sizeof(chunk));
	assert_int_equal(response_droppable(&r), 1073741824 - sizeof(chunk));
	assert_int_equal(r.kept.n, RESPONSE_KEPT_MAX);
	response_dropped(&r, response_droppable(&r));
	assert_int_equal(r.state, RESPONSE_DONE);
	assert_int_equal(r.body_bytes, 1073741824);
	response_deinit(&r);
}

static void test_response__endless_head(void **state)
{
	struct response r;

	response_init(&r);
	response_reset(&r, false);
	for (int i = 0; i < 40000 && r.state == RESPONSE_IN_HEAD; i++)
		response_feed(&r, STR("x"));
	assert_int_equal(r.state, RESPONSE_BAD);
	response_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_response__table),
		cmocka_unit_test(test_response__etag),
		cmocka_unit_test(test_response__big_bodies_are_droppable),
		cmocka_unit_test(test_response__endless_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
