/* Signature Version 2: the examples of S3's "Signing and authenticating REST requests". */
#include "request.h"

#include "base/clock.h"

struct example {
	const char *method, *target, *headers, *bucket_path, *signature;
};

static const struct example examples[] = {
	{"GET", "/photos/puppy.jpg",
	 "host:johnsmith.s3.amazonaws.com\ndate:Tue, 27 Mar 2007 19:36:42 +0000\n", "/johnsmith",
	 "bWq2s1WEIj+Ydj0vQ697zp+IXMU="},
	{"PUT", "/photos/puppy.jpg",
	 "host:johnsmith.s3.amazonaws.com\ncontent-type:image/jpeg\ncontent-length:94328\n"
	 "date:Tue, 27 Mar 2007 21:15:45 +0000\n",
	 "/johnsmith", "MyyxeRY7whkBe+bq8fHCL/2kKUg="},
	{"GET", "/?prefix=photos&max-keys=50&marker=puppy",
	 "user-agent:Mozilla/5.0\nhost:johnsmith.s3.amazonaws.com\n"
	 "date:Tue, 27 Mar 2007 19:42:41 +0000\n",
	 "/johnsmith", "htDYFYduRNen8P9ZfE/s9SuKy0U="},
	{"GET", "/?acl",
	 "host:johnsmith.s3.amazonaws.com\ndate:Tue, 27 Mar 2007 19:44:46 +0000\n", "/johnsmith",
	 "c2WLPFtWHVgbEmeEG93a4cG37dM="},
	{"PUT", "/db-backup.dat.gz",
	 "user-agent:curl/7.15.5\nhost:static.johnsmith.net:8080\n"
	 "date:Tue, 27 Mar 2007 21:06:08 +0000\nx-amz-acl:public-read\n"
	 "content-type:application/x-download\ncontent-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-meta-reviewedby:joe@johnsmith.net\nx-amz-meta-reviewedby:jane@johnsmith.net\n"
	 "x-amz-meta-filechecksum:0x02661779\nx-amz-meta-checksumalgorithm:crc32\n"
	 "content-disposition:attachment; filename=database.dat\ncontent-encoding:gzip\n"
	 "content-length:5913339\n",
	 "/static.johnsmith.net", "ilyl83RwaSoYIEdixDQcA4OnAnc="},
	{"GET", "/", "host:s3.amazonaws.com\ndate:Wed, 28 Mar 2007 01:29:59 +0000\n", "",
	 "qGdzdERIC03wnaRNKh6OqZehG9s="},
	{"GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
	 "host:s3.amazonaws.com\ndate:Wed, 28 Mar 2007 01:49:49 +0000\n", "",
	 "DNEZGsoieTZ92F3bUfSPQcbGmlM="},
	/* A sub-resource is one however it is written: else a link to an object were one to its ACL, too. */
	{"GET", "/?%61cl",
	 "host:johnsmith.s3.amazonaws.com\ndate:Tue, 27 Mar 2007 19:44:46 +0000\n", "/johnsmith",
	 "c2WLPFtWHVgbEmeEG93a4cG37dM="},
	/* botocore: signed as "/dictionary/" */
	{"GET", "/dictionary?prefix=x",
	 "host:s3.amazonaws.com\ndate:Wed, 28 Mar 2007 01:29:59 +0000\n", "",
	 "ueXFDA4s5rI2JP0hdsd17Df/qKY="},
};

static int64_t date_of(struct sigv4_request r)
{
	int64_t s = 0;

	for (size_t i = 0; i < r.headers_n; i++) {
		char text[32];

		if (!str_eq(r.headers[i].name, STR("date")))
			continue;
		snprintf(text, sizeof(text), "%.*sGMT", (int)r.headers[i].value.n - 5,
			 r.headers[i].value.p);
		assert_true(time_parse_http(str_c(text), &s));
	}
	return s;
}

static void test_v2__examples(void **unused)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *x = &examples[i];
		struct arena *a = arena_new();
		struct sigv4_request r = request_of(a, x->method, x->target, x->headers);
		int64_t signed_at_s = date_of(r);
		struct sigv4 s;
		struct err e;

		r = request_with(a, r, "authorization",
				 arena_printf(a, "AWS AKIAIOSFODNN7EXAMPLE:%s", x->signature));
		assert_ok(sigv4_parse(&r, signed_at_s + 900, a, &s, &e));
		assert_int_equal(s.form, SIGV2_HEADER);
		assert_int_equal(s.payload, SIGV4_UNSIGNED);
		assert_str(s.access_key, "AKIAIOSFODNN7EXAMPLE");
		assert_ok(sigv4_verify(&s, &r, AWS_SECRET, str_c(x->bucket_path), a, &e));
		assert_code(sigv4_verify(&s, &r, AWS_SECRET, STR("/other"), a, &e),
			    SignatureDoesNotMatch);
		assert_code(sigv4_parse(&r, signed_at_s + 901, a, &s, &e), RequestTimeTooSkewed);
		arena_free(a);
	}
}

static void test_v2__malformed(void **unused)
{
	static const char *const values[] = {"AWS", "AWS ", "AWS AKIAIOSFODNN7EXAMPLE",
					     "AWS AKIAIOSFODNN7EXAMPLE:", "AWS :c2ln",
					     "AWS a/b/c:c2ln"};
	struct arena *a = arena_new();
	struct sigv4 s;
	struct err e;

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct sigv4_request r =
			request_of(a, "GET", "/", "host:h\nx-amz-date:20130524T000000Z\n");

		r = request_with(a, r, "authorization", str_c(values[i]));
		assert_code(sigv4_parse(&r, MAY_24_2013, a, &s, &e), InvalidArgument);
	}
	arena_free(a);
}

/* botocore 1.44's link with a session's token: under the signature, as if it were a header. */
static void test_v2__token_of_a_link(void **unused)
{
#define LINK "/repo/main/x?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=xM7NriMuCiloAwu8Zo2o4wvpa8c%3D&Expires=1795240177"
	static const struct {
		const char *target;
		bool good;
	} rows[] = {
		{LINK "&x-amz-security-token=tok%2Fen%2B%3D%3D", true},
		{LINK "&x-amz-security-token=tok%2Fen%2B%3D", false},
		{LINK "&x-amz-security-token=", false},
		{LINK, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new();
		struct sigv4_request r = request_of(a, "GET", rows[i].target, "host:127.0.0.1:8000\n");
		struct sigv4 s;
		struct err e;

		assert_ok(sigv4_parse(&r, 1795236577, a, &s, &e));
		assert_int_equal(rc_ok(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e)), rows[i].good);
		if (rows[i].good)
			assert_str(s.token, "tok/en+==");
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v2__token_of_a_link),
		cmocka_unit_test(test_v2__examples),
		cmocka_unit_test(test_v2__malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
