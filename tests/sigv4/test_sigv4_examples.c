/* The worked examples of the S3 API reference, step by step. */
#include "request.h"

#include "base/digest.h"
#include "base/encode.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SCOPE "20130524/us-east-1/s3/aws4_request"

struct example {
	const char *method, *target, *headers, *signed_headers, *payload_hash;
	const char *canonical, *canonical_hash, *signature;
};

static const struct example examples[] = {
	{
		"GET", "/test.txt",
		"host:examplebucket.s3.amazonaws.com\n"
		"range:bytes=0-9\n"
		"x-amz-content-sha256:" EMPTY_SHA256 "\n"
		"x-amz-date:20130524T000000Z\n",
		"host;range;x-amz-content-sha256;x-amz-date", EMPTY_SHA256,
		"GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
		"x-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000000Z\n\n"
		"host;range;x-amz-content-sha256;x-amz-date\n" EMPTY_SHA256,
		"7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
	},
	{
		"PUT", "/test$file.text",
		"host:examplebucket.s3.amazonaws.com\n"
		"date:Fri, 24 May 2013 00:00:00 GMT\n"
		"x-amz-date:20130524T000000Z\n"
		"x-amz-storage-class:REDUCED_REDUNDANCY\n"
		"x-amz-content-sha256:"
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\n",
		"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
		"PUT\n/test%24file.text\n\ndate:Fri, 24 May 2013 00:00:00 GMT\n"
		"host:examplebucket.s3.amazonaws.com\n"
		"x-amz-content-sha256:"
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\n"
		"x-amz-date:20130524T000000Z\nx-amz-storage-class:REDUCED_REDUNDANCY\n\n"
		"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class\n"
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
		"9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
	},
	{
		"GET", "/?lifecycle",
		"host:examplebucket.s3.amazonaws.com\n"
		"x-amz-date:20130524T000000Z\n"
		"x-amz-content-sha256:" EMPTY_SHA256 "\n",
		"host;x-amz-content-sha256;x-amz-date", EMPTY_SHA256,
		"GET\n/\nlifecycle=\nhost:examplebucket.s3.amazonaws.com\n"
		"x-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000000Z\n\n"
		"host;x-amz-content-sha256;x-amz-date\n" EMPTY_SHA256,
		"9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
	},
	{
		"GET", "/?max-keys=2&prefix=J",
		"host:examplebucket.s3.amazonaws.com\n"
		"x-amz-date:20130524T000000Z\n"
		"x-amz-content-sha256:" EMPTY_SHA256 "\n",
		"host;x-amz-content-sha256;x-amz-date", EMPTY_SHA256,
		"GET\n/\nmax-keys=2&prefix=J\nhost:examplebucket.s3.amazonaws.com\n"
		"x-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000000Z\n\n"
		"host;x-amz-content-sha256;x-amz-date\n" EMPTY_SHA256,
		"df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
	},
};

static struct str authorization(struct arena *a, const char *signed_headers, const char *signature)
{
	return arena_printf(a,
			    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/" SCOPE
			    ",SignedHeaders=%s,Signature=%s",
			    signed_headers, signature);
}

static void example_check(const struct example *x)
{
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(a, x->method, x->target, x->headers);
	struct str canonical = sigv4_canonical_request(&r, str_c(x->signed_headers),
						       str_c(x->payload_hash), false, a);
	struct sigv4_credentials c = {AWS_KEY, AWS_SECRET, STR_NONE};
	struct sigv4 s;
	struct err e;
	uint8_t key[32], mac[32];
	struct str text, signed_value;

	assert_str(canonical, x->canonical);
	text = sigv4_string_to_sign(STR("20130524T000000Z"), STR(SCOPE), canonical, a);
	assert_str(text, arena_cstr(a, arena_printf(a, "AWS4-HMAC-SHA256\n20130524T000000Z\n" SCOPE
						       "\n%s",
						    x->canonical_hash)));
	sigv4_signing_key(AWS_SECRET, STR("20130524"), STR("us-east-1"), STR("s3"), key);
	hmac_sha256(str_make(key, 32), text, mac);
	assert_str(hex_encode(a, str_make(mac, 32)), x->signature);

	signed_value = sigv4_sign_header(&r, &c, STR("us-east-1"), STR("s3"), MAY_24_2013,
					 str_c(x->payload_hash), a);
	assert_true(str_ends(signed_value, str_c(x->signature)));
	r = request_with(a, r, "authorization", authorization(a, x->signed_headers, x->signature));
	assert_ok(sigv4_parse(&r, MAY_24_2013 + 60, a, &s, &e));
	assert_int_equal(s.form, SIGV4_HEADER);
	assert_ok(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e));
	assert_code(sigv4_verify(&s, &r, STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEz"), STR(""),
				 a, &e),
		    SignatureDoesNotMatch);
	arena_free(a);
}

static void test_examples__authorization_header(void **unused)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
		example_check(&examples[i]);
}

#define PRESIGNED                                                                                  \
	"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"     \
	"us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"           \
	"X-Amz-SignedHeaders=host"
#define PRESIGNED_SIGNATURE "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

static void test_examples__presigned(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4_credentials c = {AWS_KEY, AWS_SECRET, STR_NONE};
	const char *host = "host:examplebucket.s3.amazonaws.com\n";
	struct sigv4_request r = request_of(a, "GET", "/test.txt?" PRESIGNED, host);
	struct sigv4_request plain = request_of(a, "GET", "/test.txt", host);
	struct err e;
	struct sigv4 s;

	assert_str(sigv4_canonical_request(&r, STR("host"), STR("UNSIGNED-PAYLOAD"), true, a),
		   "GET\n/test.txt\n" PRESIGNED "\nhost:examplebucket.s3.amazonaws.com\n\nhost\n"
		   "UNSIGNED-PAYLOAD");
	assert_str(sigv4_presign(&plain, &c, STR("us-east-1"), STR("s3"), MAY_24_2013, 86400, a),
		   PRESIGNED "&X-Amz-Signature=" PRESIGNED_SIGNATURE);
	r = request_of(a, "GET", "/test.txt?" PRESIGNED "&X-Amz-Signature=" PRESIGNED_SIGNATURE,
		       host);
	assert_ok(sigv4_parse(&r, MAY_24_2013 + 86400, a, &s, &e));
	assert_int_equal(s.form, SIGV4_QUERY);
	assert_int_equal(s.payload, SIGV4_UNSIGNED);
	assert_ok(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e));
	arena_free(a);
}

static struct str letters(struct arena *a, size_t n)
{
	return str_make(memset(arena_alloc(a, n), 'a', n), n);
}

/* 65 KiB of "a" in chunks of 64 KiB, 1 KiB and 0. */
static struct str chunks(struct arena *a, const char *const signatures[3], const char *end)
{
	struct str pieces[] = {
		arena_printf(a, "10000;chunk-signature=%s\r\n", signatures[0]),
		letters(a, 65536),
		arena_printf(a, "\r\n400;chunk-signature=%s\r\n", signatures[1]),
		letters(a, 1024),
		arena_printf(a, "\r\n0;chunk-signature=%s\r\n%s", signatures[2], end),
	};

	return arena_join(a, pieces, 5);
}

static void body_check(struct arena *a, const struct sigv4 *s, struct str raw, const char *names,
		       const char *trailer)
{
	struct err e = {0};
	struct str got;
	struct body *b = sigv4_body_new(s, a, pieces_new(a, raw, 40000, true, 1), 66560,
					str_c(names));
	enum body_state end = pull_all(b, 30000, a, &got, &e);

	if (end != BODY_END)
		fail_msg("%s", e.msg);
	assert_true(str_eq(got, letters(a, 66560)));
	if (trailer)
		assert_str(sigv4_body_trailer(b, STR("x-amz-checksum-crc32c")), trailer);
	body_close(b);
}

#define CHUNKED_HEADERS                                                                            \
	"host:s3.amazonaws.com\n"                                                                  \
	"x-amz-date:20130524T000000Z\n"                                                            \
	"x-amz-storage-class:REDUCED_REDUNDANCY\n"                                                 \
	"content-encoding:aws-chunked\n"                                                           \
	"x-amz-decoded-content-length:66560\n"

static void chain_check(struct arena *a, const struct sigv4 *s, const char *const want[3])
{
	const size_t sizes[3] = {65536, 1024, 0};
	struct str previous = s->signature;

	for (int i = 0; i < 3; i++) {
		previous = sigv4_chunk_signature(s->signing_key, s->amz_date, s->scope, previous,
						 letters(a, sizes[i]), a);
		assert_str(previous, want[i]);
	}
}

static void test_examples__chunked(void **unused)
{
	static const char *const signatures[] = {
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	};
	static const char seed[] =
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(
		a, "PUT", "/examplebucket/chunkObject.txt",
		CHUNKED_HEADERS "x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n"
				"content-length:66824\n");
	struct str raw = chunks(a, signatures, "\r\n");
	struct sigv4 s;
	struct err e;

	r = request_with(a, r, "authorization",
			 authorization(a,
				       "content-encoding;content-length;host;x-amz-content-sha256;"
				       "x-amz-date;x-amz-decoded-content-length;"
				       "x-amz-storage-class",
				       seed));
	assert_ok(sigv4_parse(&r, MAY_24_2013, a, &s, &e));
	assert_int_equal(s.payload, SIGV4_CHUNKED);
	assert_ok(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e));
	chain_check(a, &s, signatures);
	assert_int_equal(raw.n, 66824);
	body_check(a, &s, raw, NULL, NULL);
	arena_free(a);
}

static void test_examples__trailer(void **unused)
{
	static const char *const signatures[] = {
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
	};
	static const char seed[] =
		"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
	static const char end[] = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
				  "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
				  "\r\n\r\n";
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(
		a, "PUT", "/examplebucket/chunkObject.txt",
		CHUNKED_HEADERS "x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\n"
				"x-amz-trailer:x-amz-checksum-crc32c\n");
	struct sigv4 s;
	struct err e;

	r = request_with(a, r, "authorization",
			 authorization(a,
				       "content-encoding;host;x-amz-content-sha256;x-amz-date;"
				       "x-amz-decoded-content-length;x-amz-storage-class;"
				       "x-amz-trailer",
				       seed));
	assert_ok(sigv4_parse(&r, MAY_24_2013, a, &s, &e));
	assert_int_equal(s.payload, SIGV4_CHUNKED_TRAILER);
	assert_ok(sigv4_verify(&s, &r, AWS_SECRET, STR(""), a, &e));
	chain_check(a, &s, signatures);
	body_check(a, &s, chunks(a, signatures, end), "x-amz-checksum-crc32c", "sOO8/Q==");
	arena_free(a);
}

/* Requests of another service's, signed by botocore 1.44.8. */
static void test_examples__dynamodb(void **state)
{
	static const struct {
		const char *host, *target, *token, *body, *names, *signature;
	} v[] = {
		{"dynamodb.eu-central-1.amazonaws.com", "GetItem", NULL,
		 "{\"TableName\":\"kvstore\",\"Key\":{\"PartitionKey\":{\"B\":\"cA==\"},\"ItemKey\":{\"B\":\"aw==\"}},"
		 "\"ConsistentRead\":true}",
		 "content-type;host;x-amz-date;x-amz-target",
		 "52853023e689ce1825c99af9194632821552b55aebc729f7d262f93de715e47b"},
		{"127.0.0.1:8000", "PutItem", "FwoGZXIvYXdzEXAMPLE//token==",
		 "{\"TableName\":\"kvstore\",\"Item\":{}}",
		 "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
		 "41027c44be525ff604074c294eee3e170058243ad82effa3875af1094a2377bd"},
	};
	enum { NOV_21_2026 = 1795236577 }; /* 20261121T044937Z */

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct arena *a = arena_new();
		struct sigv4_credentials keys = {AWS_KEY, AWS_SECRET, str_c(v[i].token)};
		struct sigv4_request r = request_of(
			a, "POST", "/",
			arena_printf(a,
				     "host: %s\ncontent-type: application/x-amz-json-1.0\n"
				     "x-amz-date: 20261121T044937Z\n"
				     "x-amz-target: DynamoDB_20120810.%s\n",
				     v[i].host, v[i].target)
				.p);
		uint8_t hash[32];

		if (v[i].token)
			r = request_with(a, r, "x-amz-security-token", keys.token);
		digest_of(DIGEST_SHA256, str_c(v[i].body), hash);
		assert_str(sigv4_sign_header(&r, &keys, STR("eu-central-1"), STR("dynamodb"), NOV_21_2026,
					     hex_encode(a, str_make(hash, 32)), a),
			   arena_printf(a,
					"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/eu-central-1/"
					"dynamodb/aws4_request, SignedHeaders=%s, Signature=%s",
					v[i].names, v[i].signature)
				   .p);
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples__authorization_header),
		cmocka_unit_test(test_examples__presigned),
		cmocka_unit_test(test_examples__chunked),
		cmocka_unit_test(test_examples__trailer),
		cmocka_unit_test(test_examples__dynamodb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
