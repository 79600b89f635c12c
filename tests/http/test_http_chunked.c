#include "tests/http/check.h"

#include "base/buf.h"
#include "http/chunked.h"

#include <stdio.h>

/* Decodes what is given in pieces of n bytes; data go to out. */
static enum chunked_state feed(struct chunked *d, struct str in, struct buf *out, size_t *ret_used)
{
	size_t all = in.n;

	for (;;) {
		size_t used = 0;
		enum chunked_state s = d->step == CHUNKED_IN_DATA ? CHUNKED_DATA
								  : chunked_frame(d, in, &used);

		in = str_skip(in, used);
		*ret_used = all - in.n;
		if (s != CHUNKED_DATA)
			return s;
		if (!in.n)
			return CHUNKED_PARTIAL;
		used = in.n < d->left ? in.n : (size_t)d->left;
		buf_add(out, str_head(in, used));
		chunked_took(d, used);
		in = str_skip(in, used);
	}
}

static enum chunked_state decode(struct str in, size_t piece, struct buf *out, size_t *ret_used)
{
	struct chunked d = {0};
	enum chunked_state s = CHUNKED_PARTIAL;

	*ret_used = 0;
	buf_reset(out);
	while (in.n && s == CHUNKED_PARTIAL) {
		struct str now = str_head(in, piece);
		size_t used;

		s = feed(&d, now, out, &used);
		*ret_used += used;
		in = str_skip(in, now.n);
	}
	return s;
}

#define BODY                                                                                       \
	"5\r\nhello\r\n00A;name=\"v\";x\r\n, world...\r\n0;last\r\nTrailer: one\r\nother: two\r\n\r\n"
static const struct str body = {BODY, sizeof(BODY) - 1};

static void test_chunked__every_piece_size(void **state)
{
	struct buf out = BUF_INIT(1000);
	size_t used;

	for (size_t piece = 1; piece <= body.n; piece++) {
		assert_int_equal(decode(body, piece, &out, &used), CHUNKED_END);
		assert_int_equal(used, body.n);
		assert_str(buf_str(&out), STR("hello, world..."));
	}
	buf_deinit(&out);
}

static void test_chunked__every_split(void **state)
{
	struct buf out = BUF_INIT(1000);
	size_t used;

	for (size_t cut = 0; cut < body.n; cut++) {
		struct chunked d = {0};

		buf_reset(&out);
		assert_int_equal(feed(&d, str_head(body, cut), &out, &used), CHUNKED_PARTIAL);
		assert_int_equal(used, cut);
		assert_int_equal(feed(&d, str_skip(body, cut), &out, &used), CHUNKED_END);
		assert_str(buf_str(&out), STR("hello, world..."));
	}
	buf_deinit(&out);
}

static void test_chunked__leaves_what_follows(void **state)
{
	const struct str in = STR("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
	struct buf out = BUF_INIT(1000);
	size_t used;

	assert_int_equal(decode(in, in.n, &out, &used), CHUNKED_END);
	assert_str(str_skip(in, used), STR("GET / HTTP/1.1\r\n"));
	buf_deinit(&out);
}

static void test_chunked__large_size(void **state)
{
	struct chunked d = {0};
	size_t used;

	assert_int_equal(chunked_frame(&d, STR("7ffffffffffffff\r\n"), &used), CHUNKED_DATA);
	assert_true(d.left == 0x7ffffffffffffff);
}

static void test_chunked__bad(void **state)
{
	static const char *const rows[] = {
		"\r\n",
		"g\r\n",
		"-1\r\n",
		" 1\r\nx\r\n",
		"1 \r\nx\r\n",
		"0x1\r\nx\r\n",
		";a\r\n",
		"1\nx\r\n",
		"1\rx",
		"1;a\nx\r\n",
		"1;a\x01\r\nx\r\n",
		"1\r\nxy",
		"1\r\nx\n",
		"1\r\nx\ry",
		"1\r\nx\r\n\r\n",
		"0\r\n\n",
		"0\r\nA: b\n\r\n",
		"0\r\n folded\r\n\r\n",
		"0\r\n: x\r\n\r\n",
		"0\r\nA: \x7f\r\n\r\n",
		"0\r\n\rx",
		"10000000000000000\r\n",
		"ffffffffffffffff\r\n",
		"0000000000000001\r\nx\r\n",
	};
	struct buf out = BUF_INIT(1000);
	size_t used;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str in = str_c(rows[i]);

		for (size_t piece = 1; piece <= in.n; piece++)
			if (decode(in, piece, &out, &used) != CHUNKED_BAD)
				fail_msg("row %zu in pieces of %zu", i, piece);
	}
	buf_deinit(&out);
}

static enum chunked_state decode_long(const char *before, size_t n, const char *after)
{
	struct buf in = BUF_INIT(100000), out = BUF_INIT(1000);
	enum chunked_state s;
	size_t used;

	buf_add_cstr(&in, before);
	for (size_t i = 0; i < n; i++)
		buf_add_c(&in, 'e');
	buf_add_cstr(&in, after);
	s = decode(buf_str(&in), 7, &out, &used);
	buf_deinit(&in);
	buf_deinit(&out);
	return s;
}

static void test_chunked__bounds(void **state)
{
	assert_int_equal(decode_long("1;", CHUNKED_MAX_EXTENSION, "\r\nx\r\n0\r\n\r\n"), CHUNKED_END);
	assert_int_equal(decode_long("1;", CHUNKED_MAX_EXTENSION + 1, "\r\nx\r\n0\r\n\r\n"),
			 CHUNKED_BAD);
	assert_int_equal(decode_long("0\r\n", CHUNKED_MAX_TRAILERS, "\r\n\r\n"), CHUNKED_END);
	assert_int_equal(decode_long("0\r\n", CHUNKED_MAX_TRAILERS + 1, "\r\n\r\n"), CHUNKED_BAD);
	/* Trailers are bounded together. */
	assert_int_equal(decode_long("0\r\na: b\r\n", CHUNKED_MAX_TRAILERS, "\r\n\r\n"),
			 CHUNKED_BAD);
}

/* Signed chunks as clients send them go through; a flood of extensions around single bytes doesn't. */
static void test_chunked__extensions_in_proportion(void **state)
{
	char ext[901];
	struct chunked d = {0};
	enum chunked_state s = CHUNKED_PARTIAL;
	struct str line;
	size_t used, n = 0;
	char text[1000];

	memset(ext, 'e', 900);
	ext[900] = 0;
	for (int i = 0; i < 1000; i++) {
		line = str_c("400;chunk-signature=0123456789abcdef0123456789abcdef\r\n");
		assert_int_equal(chunked_frame(&d, line, &used), CHUNKED_DATA);
		chunked_took(&d, 0x400);
		assert_int_equal(chunked_frame(&d, STR("\r\n"), &used), CHUNKED_PARTIAL);
	}
	d = (struct chunked){0};
	line = str_make(text, (size_t)snprintf(text, sizeof(text), "1;%s\r\n", ext));
	while (s != CHUNKED_BAD && n < 1000) {
		s = chunked_frame(&d, line, &used);
		if (s != CHUNKED_DATA)
			break;
		chunked_took(&d, 1);
		s = chunked_frame(&d, STR("\r\n"), &used);
		n++;
	}
	assert_int_equal(s, CHUNKED_BAD);
	assert_int_equal(n, CHUNKED_FREE_EXTENSIONS / (900 - CHUNKED_EACH_EXTENSIONS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked__every_piece_size),
		cmocka_unit_test(test_chunked__every_split),
		cmocka_unit_test(test_chunked__leaves_what_follows),
		cmocka_unit_test(test_chunked__large_size),
		cmocka_unit_test(test_chunked__bad),
		cmocka_unit_test(test_chunked__bounds),
		cmocka_unit_test(test_chunked__extensions_in_proportion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
