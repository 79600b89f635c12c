/* What sigv4_parse finds and refuses, without any secret. */
#include "request.h"

#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define CREDENTIAL "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
#define SIGNATURE "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
#define AUTHORIZATION                                                                              \
	"AWS4-HMAC-SHA256 Credential=" CREDENTIAL                                                  \
	", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" SIGNATURE
#define REST "host:h\nx-amz-date:20130524T000000Z\nx-amz-content-sha256:" SHA256 "\n"

static rc parse_at(struct arena *a, const char *target, const char *headers, int64_t now_s,
		   struct sigv4 *ret)
{
	struct sigv4_request r = request_of(a, "GET", target, headers);
	struct err e = {0};
	rc got = sigv4_parse(&r, now_s, a, ret, &e);

	if (!rc_ok(got)) {
		assert_int_equal(e.code, got.code);
		assert_true(e.msg[0]);
	}
	return got;
}

static void expect(const char *target, const char *headers, const char *code)
{
	struct arena *a = arena_new();
	struct sigv4 s;
	rc got = parse_at(a, target, headers, MAY_24_2013, &s);

	if (strcmp(err_name(got.code), code) != 0)
		fail_msg("%s | %s: %s, not %s", target, headers, err_name(got.code), code);
	arena_free(a);
}

static void test_parse__nothing_there(void **unused)
{
	static const char *const headers[] = {
		"host:h\n", "authorization:\n",
	};
	struct arena *a = arena_new();
	struct sigv4 s;
	struct err e;

	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		assert_ok(parse_at(a, "/?acl&X-Amz-Date=1", headers[i], MAY_24_2013, &s));
		assert_int_equal(s.form, SIGV4_NONE);
	}
	arena_free(a);
}

static void test_parse__header_form(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4 s;
	struct err e;

	assert_ok(parse_at(a, "/",
			   REST "x-amz-security-token:t\nauthorization:AWS4-HMAC-SHA256 "
				"Signature=" SIGNATURE ",Credential=" CREDENTIAL
				",   SignedHeaders=Host;X-Amz-Content-Sha256;x-amz-date;"
				"x-amz-security-token\n",
			   MAY_24_2013 - 900, &s));
	assert_int_equal(s.form, SIGV4_HEADER);
	assert_int_equal(s.payload, SIGV4_SHA256);
	assert_str(s.payload_hash, SHA256);
	assert_str(s.access_key, "AKIAIOSFODNN7EXAMPLE");
	assert_str(s.scope, "20130524/us-east-1/s3/aws4_request");
	assert_str(s.date, "20130524");
	assert_str(s.region, "us-east-1");
	assert_str(s.service, "s3");
	assert_str(s.amz_date, "20130524T000000Z");
	assert_str(s.signed_headers, "host;x-amz-content-sha256;x-amz-date;x-amz-security-token");
	assert_str(s.signature, SIGNATURE);
	assert_str(s.token, "t");
	assert_int_equal(s.signed_at_s, MAY_24_2013);
	arena_free(a);
}

static void test_parse__authorization_malformed(void **unused)
{
	static const char *const values[] = {
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL,
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=host",
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=host,Signature=",
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=host;;a,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=host;,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=host;host,Signature=ab",
		AUTHORIZATION ",Signature=" SIGNATURE,
		AUTHORIZATION ",Other=1",
		AUTHORIZATION " ,,",
		"AWS4-HMAC-SHA256 Credential=20130524/us-east-1/s3/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=x/" CREDENTIAL ",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=" CREDENTIAL "/x,SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=ab/20130524/r/s3/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=a b c/20130524/r/s3/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=abc/2013052/r/s3/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=abc/2013052x/r/s3/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=abc/20130525/r/s3/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=abc/20130524/r/ec2/aws4_request"
		",SignedHeaders=host,Signature=ab",
		"AWS4-HMAC-SHA256 Credential=abc/20130524/r/s3/aws5_request"
		",SignedHeaders=host,Signature=ab",
	};
	char headers[1024];

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		snprintf(headers, sizeof(headers), REST "authorization:%s\n", values[i]);
		expect("/", headers, "AuthorizationHeaderMalformed");
	}
}

static void test_parse__too_many_signed_headers(void **unused)
{
	struct arena *a = arena_new();
	struct str text = STR("authorization:AWS4-HMAC-SHA256 Credential=" CREDENTIAL
			      ",Signature=ab,SignedHeaders=host");

	for (int i = 0; i < 128; i++)
		text = arena_printf(a, STR_FMT ";a%d", STR_ARG(text), i);
	expect("/", arena_cstr(a, arena_printf(a, REST STR_FMT "\n", STR_ARG(text))),
	       "AuthorizationHeaderMalformed");
	arena_free(a);
}

#define WITHOUT_DATE                                                                               \
	"host:h\nx-amz-content-sha256:" SHA256 "\nauthorization:AWS4-HMAC-SHA256 Credential="      \
	CREDENTIAL ",SignedHeaders=host;x-amz-date,Signature=ab\n"

static void test_parse__dates(void **unused)
{
	expect("/", WITHOUT_DATE "x-amz-date:20130524T000000Z\n", "NONE");
	expect("/", WITHOUT_DATE "date:Fri, 24 May 2013 00:00:00 GMT\n", "NONE");
	expect("/", WITHOUT_DATE "date:Fri, 24 May 2013 00:00:00 +0000\n", "NONE");
	expect("/", WITHOUT_DATE "date:20130524T000000Z\n", "NONE");
	expect("/", WITHOUT_DATE "x-amz-date:20130524T000000Z\ndate:x\n", "NONE");
	expect("/", WITHOUT_DATE, "AccessDenied");
	expect("/", WITHOUT_DATE "x-amz-date:\n", "AccessDenied");
	expect("/", WITHOUT_DATE "date:yesterday\n", "AccessDenied");
	expect("/", WITHOUT_DATE "x-amz-date:20130524T000000Z\nx-amz-date:20130524T000000Z\n",
	       "AccessDenied");
	expect("/", WITHOUT_DATE "x-amz-date:20130523T234459Z\n", "RequestTimeTooSkewed");
	expect("/", WITHOUT_DATE "x-amz-date:20130523T235000Z\n", "AuthorizationHeaderMalformed");
	expect("/", WITHOUT_DATE "x-amz-date:20130524T001500Z\n", "NONE");
	expect("/", WITHOUT_DATE "x-amz-date:20130524T001501Z\n", "RequestTimeTooSkewed");
}

static void test_parse__what_must_be_signed(void **unused)
{
	expect("/", REST "authorization:" AUTHORIZATION "\n", "NONE");
	expect("/", REST "x-amz-acl:private\nauthorization:" AUTHORIZATION "\n", "AccessDenied");
	expect("/", REST "x-amz-security-token:t\nauthorization:" AUTHORIZATION "\n",
	       "AccessDenied");
	expect("/", REST "x-amzn-trace-id:1\nx-amz-cf-id:2\nrange:x\nauthorization:" AUTHORIZATION
			 "\n",
	       "NONE");
	expect("/", REST "authorization:AWS4-HMAC-SHA256 Credential=" CREDENTIAL
			 ",SignedHeaders=x-amz-date,Signature=ab\n",
	       "AccessDenied");
	expect("/", REST "authorization:AWS4-HMAC-SHA256 Credential=" CREDENTIAL
			 ",SignedHeaders=host,Signature=ab\n",
	       "AccessDenied");
	expect("/", REST "authorization:AWS4-HMAC-SHA256 Credential=" CREDENTIAL
			 ",SignedHeaders=host;x-amz-date,Signature=ab\n",
	       "NONE");
}

static void test_parse__payload(void **unused)
{
	static const struct {
		const char *text;
		enum sigv4_payload want;
	} good[] = {
		{"UNSIGNED-PAYLOAD", SIGV4_UNSIGNED},
		{SHA256, SIGV4_SHA256},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", SIGV4_CHUNKED},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", SIGV4_CHUNKED_TRAILER},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", SIGV4_CHUNKED_UNSIGNED_TRAILER},
	};
	struct arena *a = arena_new();
	char headers[1024];
	struct sigv4 s;
	struct err e;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		snprintf(headers, sizeof(headers),
			 "host:h\nx-amz-date:20130524T000000Z\nx-amz-content-sha256:%s\n"
			 "authorization:" AUTHORIZATION "\n",
			 good[i].text);
		assert_ok(parse_at(a, "/", headers, MAY_24_2013, &s));
		assert_int_equal(s.payload, good[i].want);
		assert_str(s.payload_hash, good[i].text);
	}
	arena_free(a);
	expect("/", REST "x-amz-content-sha256:" SHA256 "\nauthorization:" AUTHORIZATION "\n",
	       "InvalidArgument");
	expect("/", "host:h\nx-amz-date:20130524T000000Z\nx-amz-content-sha256:UNSIGNED\n"
		    "authorization:" AUTHORIZATION "\n",
	       "InvalidArgument");
	expect("/", "host:h\nx-amz-date:20130524T000000Z\nauthorization:" AUTHORIZATION "\n",
	       "InvalidRequest");
}

static void test_parse__mechanisms(void **unused)
{
	expect("/", REST "authorization:AWS4-ECDSA-P256-SHA256 x\n", "InvalidRequest");
	expect("/", REST "authorization:" AUTHORIZATION "\nauthorization:Basic YTpi\n",
	       "InvalidArgument");
	expect("/?X-Amz-Signature=x", REST "authorization:" AUTHORIZATION "\n", "InvalidArgument");
	expect("/?X-Amz-Algorithm=AWS4-HMAC-SHA256", REST "authorization:Basic YTpi\n",
	       "InvalidArgument");
}

#define Q_ALGORITHM "X-Amz-Algorithm=AWS4-HMAC-SHA256"
#define Q_CREDENTIAL                                                                               \
	"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
#define Q_DATE "&X-Amz-Date=20130524T000000Z"
#define Q_EXPIRES "&X-Amz-Expires=604800"
#define Q_HEADERS "&X-Amz-SignedHeaders=host"
#define Q_SIGNATURE "&X-Amz-Signature=" SIGNATURE
#define Q_BUT_EXPIRES "/?" Q_ALGORITHM Q_CREDENTIAL Q_DATE Q_HEADERS Q_SIGNATURE
#define Q_ALL Q_BUT_EXPIRES Q_EXPIRES

static void test_parse__query_form(void **unused)
{
	struct arena *a = arena_new();
	struct sigv4 s;
	struct err e;

	assert_ok(parse_at(a, Q_ALL "&X-Amz-Security%2DToken=t%2Bk&prefix=x", "host:h\n",
			   MAY_24_2013 + 604800, &s));
	assert_int_equal(s.form, SIGV4_QUERY);
	assert_int_equal(s.payload, SIGV4_UNSIGNED);
	assert_str(s.payload_hash, "UNSIGNED-PAYLOAD");
	assert_str(s.access_key, "AKIAIOSFODNN7EXAMPLE");
	assert_str(s.token, "t+k");
	assert_int_equal(s.expires_s, 604800);
	assert_code(parse_at(a, Q_ALL, "host:h\n", MAY_24_2013 + 604801, &s), AccessDenied);
	assert_ok(parse_at(a, Q_ALL, "host:h\n", MAY_24_2013 - 900, &s));
	assert_code(parse_at(a, Q_ALL, "host:h\n", MAY_24_2013 - 901, &s), AccessDenied);
	assert_ok(parse_at(a, Q_ALL "&X-Amz-Content-Sha256=" SHA256, "host:h\n", MAY_24_2013, &s));
	assert_int_equal(s.payload, SIGV4_SHA256);
	assert_ok(parse_at(a, Q_ALL, "host:h\nx-amz-content-sha256:" SHA256 "\n", MAY_24_2013, &s));
	assert_int_equal(s.payload, SIGV4_SHA256);
	arena_free(a);
}

static void test_parse__query_form_malformed(void **unused)
{
	static const char *const targets[] = {
		"/?X-Amz-Signature=x",
		"/?" Q_ALGORITHM Q_CREDENTIAL Q_DATE Q_EXPIRES Q_HEADERS,
		"/?" Q_ALGORITHM Q_CREDENTIAL Q_DATE Q_EXPIRES Q_SIGNATURE,
		"/?" Q_ALGORITHM Q_CREDENTIAL Q_EXPIRES Q_HEADERS Q_SIGNATURE,
		"/?" Q_ALGORITHM Q_DATE Q_EXPIRES Q_HEADERS Q_SIGNATURE,
		"/?" Q_CREDENTIAL Q_DATE Q_EXPIRES Q_HEADERS Q_SIGNATURE,
		Q_ALL Q_EXPIRES,
		Q_ALL Q_SIGNATURE,
		Q_ALL "&X-Amz-Algorithm",
		Q_BUT_EXPIRES,
		Q_BUT_EXPIRES "&X-Amz-Expires=",
		Q_BUT_EXPIRES "&X-Amz-Expires=0",
		Q_BUT_EXPIRES "&X-Amz-Expires=-1",
		Q_BUT_EXPIRES "&X-Amz-Expires=1.5",
		Q_BUT_EXPIRES "&X-Amz-Expires=+1",
		Q_BUT_EXPIRES "&X-Amz-Expires=604801",
		Q_BUT_EXPIRES "&X-Amz-Expires=99999999999999999999",
		"/?X-Amz-Algorithm=AWS4-HMAC-SHA1" Q_CREDENTIAL Q_DATE Q_EXPIRES Q_HEADERS
			Q_SIGNATURE,
		"/?" Q_ALGORITHM Q_CREDENTIAL "&X-Amz-Date=2013-05-24" Q_EXPIRES Q_HEADERS
			Q_SIGNATURE,
		"/?" Q_ALGORITHM Q_CREDENTIAL "&X-Amz-Date=20130525T000000Z" Q_EXPIRES Q_HEADERS
			Q_SIGNATURE,
		"/?" Q_ALGORITHM "&X-Amz-Credential=x" Q_DATE Q_EXPIRES Q_HEADERS Q_SIGNATURE,
	};

	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		expect(targets[i], "host:h\n", "AuthorizationQueryParametersError");
	expect(Q_ALL, "host:h\nx-amz-acl:private\n", "AccessDenied");
	expect("/?" Q_ALGORITHM Q_CREDENTIAL Q_DATE Q_EXPIRES "&X-Amz-SignedHeaders=range"
	       Q_SIGNATURE, "host:h\n", "AccessDenied");
	expect(Q_ALL "&X-Amz-Content-Sha256=x", "host:h\n", "InvalidArgument");
}

/* S3's words, and the fields beside them. */
static void expect_words(const char *target, const char *headers, const char *words,
			 const char *field, const char *value)
{
	struct arena *a = arena_new();
	struct sigv4_request r = request_of(a, "GET", target, headers);
	struct str n = STR_NONE, v = STR_NONE;
	struct sigv4 s;
	struct err e = {0};
	unsigned at = 0;

	assert_false(rc_ok(sigv4_parse(&r, MAY_24_2013, a, &s, &e)));
	assert_string_equal(e.msg, words);
	while (field && err_next_field(&e, &at, &n, &v) && !str_eq(n, str_c(field)))
		;
	if (field) {
		assert_str(n, field);
		assert_str(v, value);
	}
	arena_free(a);
}

static void test_parse__words_of_the_header_form(void **unused)
{
	static const char *const cases[][2] = {
		{"Credential=" CREDENTIAL ",SignedHeaders=host",
		 "the authorization header requires three components: Credential, SignedHeaders, and "
		 "Signature."},
		{"Credential=" CREDENTIAL ",SignedHeaders-host,Signature=ab",
		 "the authorization component \"SignedHeaders-host\" is malformed."},
		{"Other=" CREDENTIAL ",SignedHeaders=host,Signature=ab", "missing Credential."},
		{"Credential=" CREDENTIAL ",Other=host,Signature=ab", "missing SignedHeaders."},
		{"Credential=" CREDENTIAL ",SignedHeaders=host,Other=ab", "missing Signature."},
		{"Credential=abc/20130524/r/s3/aws4_request/x,SignedHeaders=host,Signature=ab",
		 "the Credential is mal-formed; expecting "
		 "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."},
		{"Credential=abc/1/r/ec2/aws5_request,SignedHeaders=host,Signature=ab",
		 "incorrect terminal \"aws5_request\". This endpoint uses \"aws4_request\"."},
		{"Credential=abc/1/r/ec2/aws4_request,SignedHeaders=host,Signature=ab",
		 "incorrect service \"ec2\". This endpoint belongs to \"s3\"."},
		{"Credential=abc/1/r/s3/aws4_request,SignedHeaders=host,Signature=ab",
		 "incorrect date format \"1\". This date in the credential must be in the format "
		 "\"yyyyMMdd\"."},
	};
	char headers[1024], words[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(headers, sizeof(headers), REST "authorization:AWS4-HMAC-SHA256 %s\n",
			 cases[i][0]);
		snprintf(words, sizeof(words), "The authorization header is malformed; %s",
			 cases[i][1]);
		expect_words("/", headers, words, NULL, NULL);
	}
}

static void test_parse__unknown_schemes(void **unused)
{
	expect_words("/", REST "authorization:invalid\n",
		     "Authorization header is invalid -- one and only one ' ' (space) required.",
		     "ArgumentValue", "invalid");
	expect_words("/", REST "authorization:Basic YTpi\n", "Unsupported Authorization Type",
		     "ArgumentValue", "Basic");
	expect_words("/", REST "authorization:AWS2-HMAC-SHA1 Credential=x\n",
		     "Unsupported Authorization Type", "ArgumentName", "Authorization");
}

static void test_parse__fields(void **unused)
{
	static const char unsigned_words[] =
		"There were headers present in the request which were not signed";

	expect_words("/", REST "x-amz-tagging:1\nx-amz-acl:2\nauthorization:" AUTHORIZATION "\n",
		     unsigned_words, "HeadersNotSigned", "x-amz-tagging, x-amz-acl");
	expect_words("/",
		     "host:h\nx-amz-date:20130523T000000Z\nauthorization:" AUTHORIZATION "\n",
		     err_text(ERR_RequestTimeTooSkewed), "MaxAllowedSkewMilliseconds", "900000");
	expect_words("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=abc%2F20130523%2Fr%2Fs3%2F"
		     "aws4_request&X-Amz-Date=20130523T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders="
		     "host&X-Amz-Signature=ab",
		     "host:h\n", "Request has expired.", "Expires", "2013-05-23T00:01:00.000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse__nothing_there),
		cmocka_unit_test(test_parse__words_of_the_header_form),
		cmocka_unit_test(test_parse__unknown_schemes),
		cmocka_unit_test(test_parse__fields),
		cmocka_unit_test(test_parse__header_form),
		cmocka_unit_test(test_parse__authorization_malformed),
		cmocka_unit_test(test_parse__too_many_signed_headers),
		cmocka_unit_test(test_parse__dates),
		cmocka_unit_test(test_parse__what_must_be_signed),
		cmocka_unit_test(test_parse__payload),
		cmocka_unit_test(test_parse__mechanisms),
		cmocka_unit_test(test_parse__query_form),
		cmocka_unit_test(test_parse__query_form_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
