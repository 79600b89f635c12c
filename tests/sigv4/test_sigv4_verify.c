/* Requests that others signed, requests that we sign, and both with something changed on the way. */
#include "request.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "vectors.h"

enum { VECTORS_AT = 1795236577 }; /* 20261121T044937Z */

static rc check(struct arena *a, struct sigv4_request r, int64_t now_s, struct err *e)
{
	struct sigv4 s;

	TRY(sigv4_parse(&r, now_s, a, &s, e));
	assert_int_not_equal(s.form, SIGV4_NONE);
	return sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, e);
}

static void test_verify__botocore(void **unused)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		const struct vector *v = &vectors[i];
		struct arena *a = arena_new();
		struct sigv4_request r = request_of(a, v->method, v->target, v->headers);
		struct err e = {0};
		rc got = check(a, r, VECTORS_AT, &e);

		if (!rc_ok(got))
			fail_msg("vector %zu (%s %s %s): %s", i, v->form, v->method, v->target,
				 e.msg);
		r.method = STR("PATCH");
		assert_code(check(a, r, VECTORS_AT, &e), SignatureDoesNotMatch);
		arena_free(a);
	}
}

#define HEADERS                                                                                    \
	"host:127.0.0.1:8000\nx-amz-date:20130524T000000Z\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n"
static const struct sigv4_credentials credentials = {AWS_KEY, AWS_SECRET, {NULL, 0}};

static struct sigv4_request sign(struct arena *a, struct sigv4_request r)
{
	return request_with(a, r, "authorization",
			    sigv4_sign_header(&r, &credentials, STR("eu-central-1"), STR("s3"),
					      MAY_24_2013, STR("UNSIGNED-PAYLOAD"), a));
}

/* What is sent may differ from what was signed as long as it means the same. */
static void test_verify__spellings(void **unused)
{
	static const struct {
		const char *signed_as, *sent;
		bool same;
	} cases[] = {
		{"/b/a%40b", "/b/a@b", true},
		{"/b/a%2Bb", "/b/a+b", true},
		{"/b/a%2Bb", "/b/a%2bb", true},
		{"/b/%7Ea", "/b/~a", true},
		{"/b/%C3%A9", "/b/\303\251", true},
		{"/b/a/b", "/b/a%2Fb", true},
		{"/b/a%2Fb", "/b/a%2fb", true},
		{"/b/a%2Fb", "/b/a/b", false},
		{"/b/a%20b", "/b/a+b", false},
		{"/b/a//b", "/b/a/b", false},
		{"/b/./a", "/b/a", false},
		{"/b/x/../a", "/b/a", false},
		{"/b/%2541", "/b/%41", false},
		{"/b/%zz", "/b/%25zz", true},
		{"/b?a=1&b=2", "/b?b=2&a=1", true},
		{"/b?a=1&a=2", "/b?a=2&a=1", true},
		{"/b?a", "/b?a=", true},
		{"/b?a", "/b?a&", true},
		{"/b?a=x%20y", "/b?a=x+y", true},
		{"/b?a=%40", "/b?a=@", true},
		{"/b?a=%2F", "/b?a=/", true},
		{"/b?a=b=c", "/b?a=b%3Dc", true},
		{"/b?a=%2B", "/b?a=+", false},
		{"/b?a=1&a=2", "/b?a=1", false},
		{"/b?a=1", "/b?A=1", false},
		{"", "/", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct arena *a = arena_new();
		struct sigv4_request r = sign(a, request_of(a, "GET", cases[i].signed_as, HEADERS));
		struct sigv4_request sent = request_of(a, "GET", cases[i].sent, HEADERS);
		struct err e;

		sent.headers = r.headers;
		sent.headers_n = r.headers_n;
		if (rc_ok(check(a, sent, MAY_24_2013, &e)) != cases[i].same)
			fail_msg("%s sent as %s", cases[i].signed_as, cases[i].sent);
		arena_free(a);
	}
}

static void test_verify__header_values(void **unused)
{
	static const struct {
		const char *signed_as, *sent;
		bool same;
	} cases[] = {
		{"x-amz-meta-a:a b\n", "x-amz-meta-a:  a \t  b  \n", true},
		{"x-amz-meta-a:1,2\n", "x-amz-meta-a:1\nx-amz-meta-a:2\n", true},
		{"x-amz-meta-a:1\nx-amz-meta-b:3\nx-amz-meta-a:2\n",
		 "x-amz-meta-b:3\nx-amz-meta-a:1\nx-amz-meta-a:2\n", true},
		{"x-amz-meta-a:2,1\n", "x-amz-meta-a:1\nx-amz-meta-a:2\n", false},
		{"x-amz-meta-a:\n", "x-amz-meta-a:\n", true},
		{"x-amz-meta-a:a\n", "x-amz-meta-a:A\n", false},
		{"x-amz-meta-a:ab\n", "x-amz-meta-a:a b\n", false},
		{"range:bytes=0-1\n", "\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct arena *a = arena_new();
		char *text = arena_cstr(a, arena_printf(a, HEADERS "%s", cases[i].signed_as));
		struct sigv4_request r = sign(a, request_of(a, "GET", "/", text));
		struct err e;

		text = arena_cstr(a, arena_printf(a, HEADERS "%s", cases[i].sent));
		r = request_with(a, request_of(a, "GET", "/", text), "authorization",
				 r.headers[r.headers_n - 1].value);
		if (rc_ok(check(a, r, MAY_24_2013, &e)) != cases[i].same)
			fail_msg("case %zu", i);
		arena_free(a);
	}
}

static struct str random_text(struct arena *a, unsigned *seed, const char *alphabet, size_t most)
{
	size_t n = (size_t)rand_r(seed) % (most + 1), of = strlen(alphabet);
	char *p = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = alphabet[(size_t)rand_r(seed) % of];
	return str_make(p, n);
}

static struct sigv4_request nasty_request(struct arena *a, unsigned *seed)
{
	static const char in_target[] = "ab/%2F%20+@&=;?:~.-_*!'()\303\251\001\377%";
	struct str target = random_text(a, seed, in_target, 80);
	struct sigv4_request r = request_of_str(
		a, STR("PUT"), arena_printf(a, "/" STR_FMT, STR_ARG(target)), STR(HEADERS));

	r = request_with(a, r, "x-amz-meta-x", random_text(a, seed, "ab  \t,;:\303\251", 40));
	return request_with(a, r, "content-type", random_text(a, seed, "text/plain; ", 20));
}

static void test_verify__round_trips(void **unused)
{
	unsigned seed = 7;

	for (int i = 0; i < 2000; i++) {
		struct arena *a = arena_new();
		struct sigv4_request r = nasty_request(a, &seed);
		struct err e = {0};

		assert_ok(check(a, sign(a, r), MAY_24_2013, &e));
		arena_free(a);
	}
}

static void test_verify__presign_round_trips(void **unused)
{
	struct sigv4_credentials with_token = {AWS_KEY, AWS_SECRET, STR("a/token+with=signs")};
	unsigned seed = 11;

	for (int i = 0; i < 500; i++) {
		struct arena *a = arena_new();
		struct sigv4_request r = nasty_request(a, &seed);
		struct err e = {0};

		r.headers_n = 1; /* host */
		r.query = sigv4_presign(&r, i % 2 ? &credentials : &with_token, STR("r"), STR("s3"),
					MAY_24_2013, SIGV4_MAX_EXPIRES_S, a);
		assert_ok(check(a, r, MAY_24_2013 + SIGV4_MAX_EXPIRES_S, &e));
		assert_code(check(a, r, MAY_24_2013 + SIGV4_MAX_EXPIRES_S + 1, &e), AccessDenied);
		arena_free(a);
	}
}

/* The one byte that is changed comes out the same only if the canonical request does. */
static void flipped_check(struct arena *a, const struct sigv4_request *was,
			  const struct sigv4_request *is, bool query_form, const char *where)
{
	struct str list = STR("content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-x");
	struct str hash = STR("UNSIGNED-PAYLOAD");
	struct str before = sigv4_canonical_request(was, list, hash, query_form, a);
	struct str after = sigv4_canonical_request(is, list, hash, query_form, a);
	struct err e = {0};
	rc got = check(a, *is, MAY_24_2013, &e);

	if (rc_ok(got) != str_eq(before, after))
		fail_msg("a changed byte in %s: %s", where, e.msg);
}

static void flip(struct str s, size_t i, unsigned bit)
{
	((char *)s.p)[i] ^= (char)(1u << bit);
}

static void flip_all(struct arena *a, struct sigv4_request *was, struct sigv4_request *is,
		     struct str *part, bool query_form, const char *where)
{
	struct str original = *part;

	for (size_t i = 0; i < original.n; i++) {
		struct arena_mark m = arena_mark(a);

		*part = arena_dup(a, original);
		flip(*part, i, i % 7);
		flipped_check(a, was, is, query_form, where);
		*part = original;
		arena_rewind(a, m);
	}
}

static void test_verify__one_byte_changed(void **unused)
{
	struct arena *a = arena_new();
	char *headers = arena_cstr(a, STR(HEADERS "x-amz-meta-x:some value\n"
						  "content-type:text/plain\n"));
	struct sigv4_request r = sign(a, request_of(a, "PUT", "/repo/main/k%20@y?b=1&a=%2F", headers));
	struct sigv4_request changed = r;
	struct sigv4_header v[8];

	memcpy(v, r.headers, r.headers_n * sizeof(*v));
	changed.headers = v;
	flip_all(a, &r, &changed, &changed.method, false, "method");
	flip_all(a, &r, &changed, &changed.path, false, "path");
	flip_all(a, &r, &changed, &changed.query, false, "query");
	for (size_t i = 0; i + 1 < r.headers_n; i++)
		flip_all(a, &r, &changed, &v[i].value, false, "header");
	arena_free(a);
}

/* Each byte of what carries the signature itself. */
static void test_verify__signature_changed(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4_request r = sign(a, request_of(a, "GET", "/repo/main/key", HEADERS));
	struct sigv4_header *last = (struct sigv4_header *)&r.headers[r.headers_n - 1];
	struct str authorization = last->value;
	struct err e;

	for (size_t i = 0; i < authorization.n; i++) {
		struct arena_mark m = arena_mark(a);
		bool access_key = i >= 28 && i < 48;

		last->value = arena_dup(a, authorization);
		flip(last->value, i, 1);
		/* Whose key it is, is for the caller to look up: the secret is another one then. */
		if (!access_key && str_starts(last->value, STR("AWS4-")))
			assert_false(rc_ok(check(a, r, MAY_24_2013, &e)));
		arena_rewind(a, m);
	}
	arena_free(a);
}

static void test_verify__presigned_changed(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(a, "GET", "/repo/main/key", "host:127.0.0.1:8000\n");
	struct str query = sigv4_presign(&r, &credentials, STR("us-east-1"), STR("s3"), MAY_24_2013,
					 3600, a);
	struct sigv4 s;
	struct err e;
	size_t refused = 0;

	for (size_t i = 0; i < query.n; i++) {
		struct arena_mark m = arena_mark(a);
		rc got;

		r.query = arena_dup(a, query);
		flip(r.query, i, 0);
		got = sigv4_parse(&r, MAY_24_2013, a, &s, &e);
		if (rc_ok(got) && s.form != SIGV4_NONE && str_eq(s.access_key, AWS_KEY))
			got = sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e);
		else if (rc_ok(got))
			got = RC(AccessDenied);
		refused += !rc_ok(got);
		arena_rewind(a, m);
	}
	assert_int_equal(refused, query.n);
	arena_free(a);
}

/* The thread's cache must never answer for another secret, date or region. */
static void test_verify__key_cache(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(a, "GET", "/repo/main/key", HEADERS);
	struct err e;

	for (int i = 0; i < 300; i++) {
		char key[32], secret[80];
		struct sigv4_credentials c = {STR_NONE, STR_NONE, STR_NONE};
		struct sigv4_request with;
		struct sigv4 s;

		snprintf(key, sizeof(key), "AKIA%d", i % 100);
		/* every third secret is too long for the cache */
		snprintf(secret, sizeof(secret), "%0*d", i % 3 ? 40 : 70, i);
		c.access_key = str_c(key);
		c.secret = str_c(secret);
		with = request_with(a, r, "authorization",
				    sigv4_sign_header(&r, &c, STR("eu"), STR("s3"), MAY_24_2013,
						      STR("UNSIGNED-PAYLOAD"), a));
		assert_ok(sigv4_parse(&with, MAY_24_2013, a, &s, &e));
		assert_ok(sigv4_verify(&s, &with, c.secret, STR(""), a, &e));
		secret[3] ^= 1;
		assert_code(sigv4_verify(&s, &with, c.secret, STR(""), a, &e),
			    SignatureDoesNotMatch);
	}
	arena_free(a);
}

static void test_verify__over_long_secret(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4_request r = sign(a, request_of(a, "GET", "/", HEADERS));
	char secret[2000] = {0};
	struct sigv4 s;
	struct err e;

	assert_ok(sigv4_parse(&r, MAY_24_2013, a, &s, &e));
	assert_code(sigv4_verify(&s, &r, str_make(secret, sizeof(secret)), STR(""), a, &e),
		    SignatureDoesNotMatch);
	arena_free(a);
}

/* botocore 1.44's query of STS: no header tells the body's hash, and the service is another. */
static void test_verify__another_service(void **unused)
{
	static const char headers[] =
		"host:127.0.0.1:8000\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\n"
		"x-amz-date:20261121T044937Z\nx-amz-security-token:tok/en+==\n"
		"authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/sts/aws4_request, "
		"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
		"Signature=16c0171b8683b521e1b8645d57be4874be6fd34372ed233c3b1b8fa4f12d85cf\n";
	struct str body = STR("Action=GetSessionToken&Version=2011-06-15");
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(a, "POST", "/", headers);
	struct sigv4 s;
	uint8_t hash[32];
	struct err e;

	assert_code(sigv4_parse(&r, VECTORS_AT, a, &s, &e), AuthorizationHeaderMalformed);
	r.service = STR("sts");
	assert_ok(sigv4_parse(&r, VECTORS_AT, a, &s, &e));
	assert_int_equal(s.payload, SIGV4_SHA256);
	assert_null(s.payload_hash.p);
	assert_str(s.token, "tok/en+==");
	digest_of(DIGEST_SHA256, body, hash);
	s.payload_hash = hex_encode(a, str_make(hash, sizeof(hash)));
	assert_ok(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e));
	digest_of(DIGEST_SHA256, str_head(body, body.n - 1), hash);
	s.payload_hash = hex_encode(a, str_make(hash, sizeof(hash)));
	assert_code(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e), SignatureDoesNotMatch);
	r.service = STR("iam");
	assert_code(sigv4_parse(&r, VECTORS_AT, a, &s, &e), AuthorizationHeaderMalformed);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verify__another_service),
		cmocka_unit_test(test_verify__botocore),
		cmocka_unit_test(test_verify__spellings),
		cmocka_unit_test(test_verify__header_values),
		cmocka_unit_test(test_verify__round_trips),
		cmocka_unit_test(test_verify__presign_round_trips),
		cmocka_unit_test(test_verify__one_byte_changed),
		cmocka_unit_test(test_verify__signature_changed),
		cmocka_unit_test(test_verify__presigned_changed),
		cmocka_unit_test(test_verify__key_cache),
		cmocka_unit_test(test_verify__over_long_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
