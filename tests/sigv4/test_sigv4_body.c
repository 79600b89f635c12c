/* The aws-chunked stage: whole bodies in all splits, and everything that may be wrong with them. */
#include "request.h"

#include <stdlib.h>

#include "base/encode.h"

#define DATE STR("20130524T000000Z")
#define SCOPE STR("20130524/us-east-1/s3/aws4_request")
#define SEED STR("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")

static struct sigv4 signed_as(enum sigv4_payload payload)
{
	struct sigv4 s = {.form = SIGV4_HEADER, .payload = payload, .amz_date = DATE,
			  .scope = SCOPE, .signature = SEED};

	memset(s.signing_key, 7, sizeof(s.signing_key));
	return s;
}

struct writer {
	struct arena *a;
	struct sigv4 s;
	struct str out, previous;
};

static void put(struct writer *w, struct str s)
{
	struct str pieces[] = {w->out, s};

	w->out = arena_join(w->a, pieces, 2);
}

static void put_chunk(struct writer *w, struct str data)
{
	bool is_signed = w->s.payload != SIGV4_CHUNKED_UNSIGNED_TRAILER;

	w->previous = sigv4_chunk_signature(w->s.signing_key, DATE, SCOPE, w->previous, data, w->a);
	put(w, arena_printf(w->a, "%zx", data.n));
	if (is_signed)
		put(w, arena_printf(w->a, ";chunk-signature=" STR_FMT, STR_ARG(w->previous)));
	put(w, STR("\r\n"));
	if (data.n == 0)
		return;
	put(w, data);
	put(w, STR("\r\n"));
}

static struct str body_of(struct arena *a, enum sigv4_payload payload, const size_t *sizes,
			  size_t n, struct str data, const char *trailers, const char *eol)
{
	struct writer w = {a, signed_as(payload), STR(""), SEED};
	struct str rest = str_c(trailers);

	for (size_t i = 0; i < n; i++) {
		put_chunk(&w, str_head(data, sizes[i]));
		data = str_skip(data, sizes[i]);
	}
	put_chunk(&w, STR(""));
	while (rest.n) {
		put(&w, str_cut(rest, '\n', &rest));
		put(&w, str_c(eol));
	}
	if (payload == SIGV4_CHUNKED_TRAILER)
		put(&w, arena_printf(a, "%sx-amz-trailer-signature:" STR_FMT "\r\n",
				     strcmp(eol, "\n") ? "" : "\r\n",
				     STR_ARG(sigv4_trailer_signature(w.s.signing_key, DATE, SCOPE,
								     w.previous, str_c(trailers),
								     a))));
	put(&w, STR("\r\n"));
	return w.out;
}

static struct str noise(struct arena *a, size_t n, unsigned seed)
{
	char *p = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(rand_r(&seed) % 8 ? rand_r(&seed) : "\r\n0;"[rand_r(&seed) % 4]);
	return str_make(p, n);
}

static const enum sigv4_payload kinds[] = {SIGV4_CHUNKED, SIGV4_CHUNKED_TRAILER,
					   SIGV4_CHUNKED_UNSIGNED_TRAILER};

static const char *trailers_for(enum sigv4_payload payload)
{
	return payload == SIGV4_CHUNKED ? ""
					: "x-amz-checksum-crc32:AAAAAA==\nx-other:1\n"
					  "x-amz-checksum-sha256:long/value+==\n";
}

#define ANNOUNCED STR("X-Amz-Checksum-CRC32, x-amz-checksum-sha256,x-other")

static void split_check(enum sigv4_payload payload, unsigned seed)
{
	const size_t sizes[] = {1, 4096, 8192, 13, 5000};
	struct arena *a = arena_new();
	struct str data = noise(a, 1 + 4096 + 8192 + 13 + 5000, seed), got;
	struct str raw = body_of(a, payload, sizes, 5, data, trailers_for(payload), "\r\n");
	struct sigv4 s = signed_as(payload);
	struct err e = {0};
	struct body *b = sigv4_body_new(&s, a, pieces_new(a, raw, 1 + seed * seed * 7, true, seed),
					data.n, ANNOUNCED);

	assert_int_equal(b->length, data.n);
	if (pull_all(b, 1 + seed * 37, a, &got, &e) != BODY_END)
		fail_msg("seed %u: %s", seed, e.msg);
	assert_true(str_eq(got, data));
	assert_int_equal(body_pull(b, (char[1]){0}, 1, &(size_t){0}, &e), BODY_END);
	if (payload != SIGV4_CHUNKED) {
		assert_str(sigv4_body_trailer(b, STR("x-amz-checksum-crc32")), "AAAAAA==");
		assert_str(sigv4_body_trailer(b, STR("x-amz-checksum-sha256")), "long/value+==");
	}
	assert_str(sigv4_body_trailer(b, STR("x-other")), payload == SIGV4_CHUNKED ? "" : "1");
	body_close(b);
	arena_free(a);
}

static void test_body__any_split(void **unused)
{
	for (size_t k = 0; k < 3; k++)
		for (unsigned seed = 0; seed < 40; seed++)
			split_check(kinds[k], seed);
}

/* How a raw body of 10 decoded bytes ends. */
static rc end_of(enum sigv4_payload payload, struct arena *a, struct str raw, const char *announced,
		 struct err *e)
{
	struct sigv4 s = signed_as(payload);
	struct str got;
	struct body *b = sigv4_body_new(&s, a, pieces_new(a, raw, 50, false, 3), 10,
					str_c(announced));
	enum body_state end = pull_all(b, 100, a, &got, e);

	assert_true(end == BODY_END || end == BODY_FAIL);
	if (end == BODY_FAIL) {
		struct err again = {0};

		assert_int_equal(body_pull(b, (char[1]){0}, 1, &(size_t){0}, &again), BODY_FAIL);
		assert_int_equal(again.code, e->code);
		assert_true(e->msg[0]);
	}
	body_close(b);
	return end == BODY_END ? RC_OK : (rc){e->code};
}

static void expect(enum sigv4_payload payload, struct str raw, const char *announced,
		   const char *code)
{
	struct arena *a = arena_new();
	struct err e = {0};
	rc got = end_of(payload, a, raw, announced, &e);

	if (strcmp(err_name(got.code), code) != 0)
		fail_msg("" STR_FMT ": %s, not %s: %s", STR_ARG(raw), err_name(got.code), code,
			 e.msg);
	arena_free(a);
}

#define UNSIGNED(text, announced, code)                                                            \
	expect(SIGV4_CHUNKED_UNSIGNED_TRAILER, STR(text), announced, code)

static void test_body__framing(void **unused)
{
	UNSIGNED("a\r\n0123456789\r\n0\r\n\r\n", "", "NONE");
	UNSIGNED("A\r\n0123456789\r\n0\r\n\r\n", "", "NONE");
	UNSIGNED("0000000000000005;x=y\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", "", "NONE");
	UNSIGNED("", "", "IncompleteBody");
	UNSIGNED("a\r\n01234", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n0\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n0\r\n\r", "", "IncompleteBody");
	UNSIGNED("9\r\n012345678\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("b\r\n0123456789a\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("ffffffffffffffff\r\n0123456789\r\n", "", "IncompleteBody");
	UNSIGNED("00000000000000000a\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a\n0123456789\n0\n\n", "", "IncompleteBody");
	UNSIGNED("\r\na\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("+a\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("0xa\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a \r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("-1\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("9\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n0\r\n\r\nx", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n0\r\n\r\nxy", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n0\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n0\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", "", "IncompleteBody");
}

#define DATA "a\r\n0123456789\r\n0\r\n"

static void test_body__trailers(void **unused)
{
	UNSIGNED(DATA "x-a:1\r\n\r\n", "x-a", "NONE");
	UNSIGNED(DATA "X-A:  1  \r\n\r\n", "x-a", "NONE");
	UNSIGNED(DATA "x-b:1\r\n\r\n", "", "MalformedTrailer");
	UNSIGNED(DATA "x-a:1\r\nx-b:1\r\n\r\n", "x-a", "MalformedTrailer");
	UNSIGNED(DATA "x-a:1\rx\r\n\r\n", "x-a", "IncompleteBody");
	UNSIGNED(DATA "x-a:1\n\r\n\r\n", "x-a", "NONE");
	UNSIGNED(DATA "x-a:\r\n\r\n", "x-a", "NONE");
	UNSIGNED(DATA "x-a:1\r\n\r\n", "x-a, ,", "NONE");
	UNSIGNED(DATA "\r\n", "x-a", "MalformedTrailer");
	UNSIGNED(DATA "x-b:1\r\n\r\n", "x-a", "MalformedTrailer");
	UNSIGNED(DATA "x-a:1\r\n\r\n", "x-a,x-b", "MalformedTrailer");
	UNSIGNED(DATA "x-a:1\r\nx-a:1\r\n\r\n", "x-a", "MalformedTrailer");
	UNSIGNED(DATA "x-a\r\n\r\n", "", "MalformedTrailer");
	UNSIGNED(DATA ":1\r\n\r\n", "", "MalformedTrailer");
	UNSIGNED(DATA "x a:1\r\n\r\n", "", "MalformedTrailer");
	UNSIGNED(DATA "\n\r\n", "", "MalformedTrailer");
	UNSIGNED(DATA "x-a:1\r\n", "x-a", "IncompleteBody");
	UNSIGNED(DATA "x-a:1", "x-a", "IncompleteBody");
	expect(SIGV4_CHUNKED_TRAILER, STR("0"), "", "IncompleteBody");
}

static struct str repeated(struct arena *a, const char *head, const char *what, size_t n)
{
	struct str *pieces = arena_alloc(a, (n + 2) * sizeof(*pieces));

	pieces[0] = str_c(head);
	for (size_t i = 1; i <= n; i++)
		pieces[i] = str_c(what);
	pieces[n + 1] = STR("\r\n\r\n");
	return arena_join(a, pieces, n + 2);
}

/* n trailers of `bytes` each, all of them announced. */
static void trailers_check(unsigned n, size_t bytes, const char *code)
{
	struct arena *a = arena_new();
	struct str body = STR(DATA), announced = STR("");

	for (unsigned i = 0; i < n; i++) {
		struct str name = arena_printf(a, "x%u", i);
		struct str value = repeated(a, ":", "x", bytes); /* ends with CR LF twice */

		announced = arena_join(a, (struct str[]){announced, STR(","), name}, 3);
		body = arena_join(a, (struct str[]){body, name, str_head(value, value.n - 2)}, 3);
	}
	body = arena_join(a, (struct str[]){body, STR("\r\n")}, 2);
	expect(SIGV4_CHUNKED_UNSIGNED_TRAILER, body, arena_cstr(a, announced), code);
	arena_free(a);
}

static void least_chunk_check(const size_t *sizes, size_t n, bool fine)
{
	struct arena *a = arena_new();
	size_t sum = 0;
	struct str raw, got;
	struct err e = {0};
	struct sigv4 s = signed_as(SIGV4_CHUNKED);
	struct body *b;

	for (size_t i = 0; i < n; i++)
		sum += sizes[i];
	raw = body_of(a, SIGV4_CHUNKED, sizes, n, noise(a, sum, 1), "", "\r\n");
	b = sigv4_body_new(&s, a, pieces_new(a, raw, 4096, false, 1), sum, STR(""));
	sigv4_body_least_chunk(b, 8192);
	if (pull_all(b, 4096, a, &got, &e) == BODY_END)
		assert_true(fine);
	else
		assert_string_equal(err_name(e.code), fine ? "NONE" : "InvalidChunkSize");
	arena_free(a);
}

static void test_body__least_chunk(void **unused)
{
	least_chunk_check((const size_t[]){100}, 1, true);
	least_chunk_check((const size_t[]){8192, 100}, 2, true);
	least_chunk_check((const size_t[]){8192, 9000, 1}, 3, true);
	least_chunk_check((const size_t[]){8191, 1}, 2, false);
	least_chunk_check((const size_t[]){9000, 10, 8192}, 3, false);
}

/* Bytes beyond the announced length are never passed on. */
static void test_body__overrun(void **unused)
{
	UNSIGNED("c\r\n0123456789ab\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("a\r\n0123456789\r\n2\r\nab\r\n0\r\n\r\n", "", "IncompleteBody");
	UNSIGNED("fffffff\r\n0123456789ab", "", "IncompleteBody");
	UNSIGNED("c\r\n0123456789ab", "", "IncompleteBody");
}

static void test_body__bounds(void **unused)
{
	struct arena *a = arena_new();

	expect(SIGV4_CHUNKED_UNSIGNED_TRAILER, repeated(a, "a;", "x", 1000), "", "IncompleteBody");
	expect(SIGV4_CHUNKED_UNSIGNED_TRAILER, repeated(a, "a;", "x", 1030), "", "IncompleteBody");
	expect(SIGV4_CHUNKED_UNSIGNED_TRAILER, repeated(a, "a;", "x", 100000), "",
	       "IncompleteBody");
	trailers_check(32, 1, "NONE");
	trailers_check(33, 1, "MalformedTrailer");
	trailers_check(1, 4000, "NONE");
	trailers_check(1, 4096, "MalformedTrailer");
	arena_free(a);
}

static void test_body__trailer_bytes(void **unused)
{
	trailers_check(4, 4000, "NONE");
	trailers_check(5, 4000, "MalformedTrailer");
}

static void test_body__minio_line_ends(void **unused)
{
	const size_t sizes[] = {10};
	struct arena *a = arena_new();

	expect(SIGV4_CHUNKED_TRAILER,
	       body_of(a, SIGV4_CHUNKED_TRAILER, sizes, 1, STR("0123456789"), "x-a:1\n", "\n"),
	       "x-a", "NONE");
	arena_free(a);
}

/* A trailer's name may come in any case, and blanks before its line's end mean nothing. */
static bool same_anyway(struct str raw, size_t i, char changed)
{
	size_t line = i;

	if (i < str_find(raw, STR("x-a:")))
		return false;
	while (line && raw.p[line - 1] != '\n')
		line--;
	if (raw.p[i] == '\r')
		return changed == '\t' && i > line;
	return str_index(str_skip(raw, line), ':') > i - line && raw.p[i] >= 'a' &&
	       changed == raw.p[i] - ('a' - 'A');
}

static void flips_check(enum sigv4_payload payload, struct str raw, const char *announced, size_t i)
{
	struct arena *a = arena_new();
	struct str changed = arena_dup(a, raw);
	struct err e = {0};

	for (int bit = 0; bit < 8; bit++) {
		char c = ((char *)changed.p)[i] = (char)(raw.p[i] ^ 1 << bit);

		if (rc_ok(end_of(payload, a, changed, announced, &e)) != same_anyway(raw, i, c))
			fail_msg("byte %zu, bit %d of " STR_FMT, i, bit, STR_ARG(raw));
	}
	if (rc_ok(end_of(payload, a, str_head(raw, i), announced, &e)))
		fail_msg("cut at %zu", i);
	arena_free(a);
}

static void test_body__one_byte_changed(void **unused)
{
	const size_t sizes[] = {4, 6};

	for (size_t k = 0; k < 2; k++) {
		struct arena *a = arena_new();
		const char *announced = k ? "x-a" : "";
		struct str raw = body_of(a, kinds[k], sizes, 2, STR("0123456789"),
					 k ? "x-a:1\n" : "", "\r\n");
		struct err e = {0};

		assert_ok(end_of(kinds[k], a, raw, announced, &e));
		for (size_t i = 0; i < raw.n; i++)
			flips_check(kinds[k], raw, announced, i);
		arena_free(a);
	}
}

static void test_body__signatures(void **unused)
{
	const size_t sizes[] = {4, 6};
	struct arena *a = arena_new();
	struct str data = STR("0123456789");
	struct str raw = body_of(a, SIGV4_CHUNKED, sizes, 2, data, "", "\r\n");
	struct str swapped = body_of(a, SIGV4_CHUNKED, sizes + 1, 1, data, "", "\r\n");
	struct str both[] = {swapped, raw};
	char *p = arena_cstr(a, raw);

	p[str_find(raw, STR("0123\r\n"))] = 'x';
	expect(SIGV4_CHUNKED, str_make(p, raw.n), "", "SignatureDoesNotMatch");
	expect(SIGV4_CHUNKED, arena_join(a, both, 2), "", "IncompleteBody");
	expect(SIGV4_CHUNKED, STR("a\r\n0123456789\r\n0\r\n\r\n"), "", "IncompleteBody");
	raw = body_of(a, SIGV4_CHUNKED_TRAILER, sizes, 2, data, "x-a:1\n", "\r\n");
	p = arena_cstr(a, raw);
	p[str_find(raw, STR("x-a:1")) + 4] = '2';
	expect(SIGV4_CHUNKED_TRAILER, str_make(p, raw.n), "x-a", "SignatureDoesNotMatch");
	raw = body_of(a, SIGV4_CHUNKED, sizes, 2, data, "", "\r\n");
	expect(SIGV4_CHUNKED_TRAILER, raw, "", "IncompleteBody");
	both[0] = raw;
	both[1] = STR("\r\n");
	expect(SIGV4_CHUNKED_TRAILER, arena_join(a, both, 2), "", "IncompleteBody");
	raw = body_of(a, SIGV4_CHUNKED, sizes, 2, data, "x-a:1\n", "\r\n");
	expect(SIGV4_CHUNKED, raw, "x-a", "IncompleteBody");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body__least_chunk),
		cmocka_unit_test(test_body__overrun),
		cmocka_unit_test(test_body__any_split),
		cmocka_unit_test(test_body__framing),
		cmocka_unit_test(test_body__trailers),
		cmocka_unit_test(test_body__bounds),
		cmocka_unit_test(test_body__trailer_bytes),
		cmocka_unit_test(test_body__minio_line_ends),
		cmocka_unit_test(test_body__one_byte_changed),
		cmocka_unit_test(test_body__signatures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
