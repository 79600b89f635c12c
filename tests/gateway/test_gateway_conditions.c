/* Conditional requests (RFC 9110 section 13.2.2) and ranges. */
#include "tests/gateway/fake.h"

#define ETAG "9b2cf535f27731c974343645a3985328"
/* 2026-11-21T06:00:00Z, and half a second: dates of HTTP have none. */
enum { MODIFIED = 1795240800 };
#define SAME "Sat, 21 Nov 2026 06:00:00 GMT"
#define BEFORE "Sat, 21 Nov 2026 05:59:59 GMT"
#define AFTER "Sat, 21 Nov 2026 06:00:01 GMT"

static const struct entry entry = {
	.etag = {ETAG, 32}, .size = 100, .modified = {.s = MODIFIED, .ns = 500000000}};

static void request(struct fake *f, const char *headers)
{
	char head[2048];

	snprintf(head, sizeof(head), "GET /r/main/k HTTP/1.1\nHost: h\n%s", headers);
	fake_open(f, head, NULL);
	assert_true(rc_ok(s3_route(&f->r)));
}

static void check(const char *headers, const char *prefix, enum err_code want)
{
	struct fake f;
	rc got;

	request(&f, headers);
	got = s3_check_conditions(&f.r, &entry, prefix);
	if (got.code != want)
		fail_msg("%s: %s", headers, err_name(got.code));
	if (want == ERR_NotModified)
		assert_int_equal(f.r.out_n, 2); /* ETag and Last-Modified go with it */
	fake_close(&f);
}

static void test_conditions__of_reads(void **state)
{
	static const struct {
		const char *headers;
		enum err_code want;
	} rows[] = {
		{"", ERR_NONE},
		{"If-Match: \"" ETAG "\"\n", ERR_NONE},
		{"If-Match: " ETAG "\n", ERR_NONE},
		{"If-Match: *\n", ERR_NONE},
		{"If-Match: \"x\", \"" ETAG "\"\n", ERR_NONE},
		{"If-Match: \"x\"\n", ERR_PreconditionFailed},
		{"If-Match: W/\"" ETAG "\"\n", ERR_PreconditionFailed},
		{"If-None-Match: \"x\"\n", ERR_NONE},
		{"If-None-Match: \"" ETAG "\"\n", ERR_NotModified},
		{"If-None-Match: W/\"" ETAG "\"\n", ERR_NotModified},
		{"If-None-Match: *\n", ERR_NotModified},
		{"If-Modified-Since: " BEFORE "\n", ERR_NONE},
		{"If-Modified-Since: " SAME "\n", ERR_NotModified},
		{"If-Modified-Since: " AFTER "\n", ERR_NotModified},
		{"If-Modified-Since: yesterday\n", ERR_NONE},
		{"If-Unmodified-Since: " BEFORE "\n", ERR_PreconditionFailed},
		{"If-Unmodified-Since: " SAME "\n", ERR_NONE},
		{"If-Unmodified-Since: " AFTER "\n", ERR_NONE},
		{"If-Unmodified-Since: never\n", ERR_NONE},
		/* The order: an ETag beats a date, what must match comes before what must not. */
		{"If-Match: \"" ETAG "\"\nIf-Unmodified-Since: " BEFORE "\n", ERR_NONE},
		{"If-None-Match: \"x\"\nIf-Modified-Since: " AFTER "\n", ERR_NONE},
		{"If-None-Match: \"" ETAG "\"\nIf-Modified-Since: " BEFORE "\n", ERR_NotModified},
		{"If-Match: \"x\"\nIf-None-Match: \"" ETAG "\"\n", ERR_PreconditionFailed},
		{"If-Match: \"" ETAG "\"\nIf-None-Match: \"" ETAG "\"\n", ERR_NotModified},
		{"If-Unmodified-Since: " BEFORE "\nIf-None-Match: \"" ETAG "\"\n",
		 ERR_PreconditionFailed},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].headers, "", rows[i].want);
}

static void test_conditions__of_copies(void **state)
{
	check("x-amz-copy-source-if-none-match: " ETAG "\n", "x-amz-copy-source-",
	      ERR_PreconditionFailed);
	check("x-amz-copy-source-if-modified-since: " AFTER "\n", "x-amz-copy-source-",
	      ERR_PreconditionFailed);
	check("x-amz-copy-source-if-match: \"x\"\n", "x-amz-copy-source-", ERR_PreconditionFailed);
	check("x-amz-copy-source-if-match: \"" ETAG "\"\n", "x-amz-copy-source-", ERR_NONE);
	check("If-None-Match: *\n", "x-amz-copy-source-", ERR_NONE);
}

enum { WHOLE = -1, NONE = -2 };

static void check_range(const char *headers, int64_t size, int64_t offset, int64_t length)
{
	struct entry e = entry;
	struct s3_range got;
	struct fake f;
	rc parsed;

	e.size = size;
	request(&f, headers);
	parsed = s3_parse_range(&f.r, &e, &got);
	if (offset == NONE) {
		assert_true(rc_is(parsed, InvalidRange));
		assert_int_equal(f.r.out_n, 1);
	} else {
		assert_true(rc_ok(parsed));
		if (got.partial != (offset != WHOLE) ||
		    got.offset != (offset == WHOLE ? 0 : (uint64_t)offset) ||
		    got.length != (offset == WHOLE ? (uint64_t)size : (uint64_t)length))
			fail_msg("%s: %llu, %llu", headers, (unsigned long long)got.offset,
				 (unsigned long long)got.length);
	}
	fake_close(&f);
}

static void test_conditions__ranges(void **state)
{
	check_range("", 100, WHOLE, 0);
	check_range("Range: bytes=0-0\n", 100, 0, 1);
	check_range("Range: bytes=0-99\n", 100, 0, 100);
	check_range("Range: bytes=99-\n", 100, 99, 1);
	check_range("Range: BYTES=5-9\n", 100, 5, 5);
	check_range("Range: bytes=90-1000\n", 100, 90, 10);
	check_range("Range: bytes=90-99999999999999999999999\n", 100, 90, 10);
	check_range("Range: bytes=-1\n", 100, 99, 1);
	check_range("Range: bytes=-1000\n", 100, 0, 100);
	check_range("Range: bytes=-99999999999999999999999\n", 100, 0, 100);
	check_range("Range: bytes=100-\n", 100, NONE, 0);
	check_range("Range: bytes=99999999999999999999999-\n", 100, NONE, 0);
	check_range("Range: bytes=18446744073709551615-\n", 100, NONE, 0);
	check_range("Range: bytes=-0\n", 100, NONE, 0);
	check_range("Range: bytes=0-\n", 0, NONE, 0);
	check_range("Range: bytes=-5\n", 0, WHOLE, 0);
	check_range("Range: bytes= 0-1\n", 100, WHOLE, 0);
	check_range("Range: bytes=0 -1\n", 100, WHOLE, 0);
	/* What is no range is ignored. */
	check_range("Range: bytes=5-2\n", 100, WHOLE, 0);
	check_range("Range: bytes=0-1,3-4\n", 100, WHOLE, 0);
	check_range("Range: bytes=\n", 100, WHOLE, 0);
	check_range("Range: bytes=-\n", 100, WHOLE, 0);
	check_range("Range: bytes=a-b\n", 100, WHOLE, 0);
	check_range("Range: bytes=--5\n", 100, WHOLE, 0);
	check_range("Range: lines=1-2\n", 100, WHOLE, 0);
	check_range("Range: 1-2\n", 100, WHOLE, 0);
}

static void test_conditions__if_range(void **state)
{
	check_range("Range: bytes=0-9\nIf-Range: \"" ETAG "\"\n", 100, 0, 10);
	check_range("Range: bytes=0-9\nIf-Range: " ETAG "\n", 100, 0, 10);
	check_range("Range: bytes=0-9\nIf-Range: \"x\"\n", 100, WHOLE, 0);
	check_range("Range: bytes=0-9\nIf-Range: W/\"" ETAG "\"\n", 100, WHOLE, 0);
	check_range("Range: bytes=0-9\nIf-Range: " SAME "\n", 100, 0, 10);
	check_range("Range: bytes=0-9\nIf-Range: " BEFORE "\n", 100, WHOLE, 0);
	check_range("Range: bytes=0-9\nIf-Range: " AFTER "\n", 100, WHOLE, 0);
	check_range("Range: bytes=500-\nIf-Range: \"x\"\n", 100, WHOLE, 0);
	check_range("If-Range: \"x\"\n", 100, WHOLE, 0);
}

static void check_write(const char *headers, enum err_code want, enum stage_cond cond,
			const char *etag)
{
	enum stage_cond got;
	struct str got_etag;
	struct fake f;
	rc parsed;

	request(&f, headers);
	parsed = s3_write_condition(&f.r, &got, &got_etag);
	assert_int_equal(parsed.code, want);
	if (want == ERR_NONE) {
		assert_int_equal(got, cond);
		assert_true(str_eq(got_etag, str_c(etag)));
	}
	fake_close(&f);
}

static void test_conditions__of_writes(void **state)
{
	check_write("", ERR_NONE, STAGE_ALWAYS, NULL);
	check_write("If-None-Match: *\n", ERR_NONE, STAGE_IF_ABSENT, NULL);
	check_write("If-None-Match: \"x\"\n", ERR_NotImplemented, STAGE_ALWAYS, NULL);
	check_write("If-Match: \"" ETAG "\"\n", ERR_NONE, STAGE_IF_ETAG, ETAG);
	check_write("If-Match: " ETAG "\n", ERR_NONE, STAGE_IF_ETAG, ETAG);
	check_write("If-Match: *\n", ERR_NONE, STAGE_IF_ETAG, "*");
	check_write("If-Match: x\nIf-None-Match: *\n", ERR_NotImplemented, STAGE_ALWAYS, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions__of_reads),
		cmocka_unit_test(test_conditions__of_copies),
		cmocka_unit_test(test_conditions__ranges),
		cmocka_unit_test(test_conditions__if_range),
		cmocka_unit_test(test_conditions__of_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
