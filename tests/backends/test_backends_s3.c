/* The S3 store against made-up answers: signatures, addresses, regions, keys that end, S3's odd
 * successes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/remote_frames.h"
#include "backends/s3_priv.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "sigv4/sigv4.h"
#include "tests/backends/presigned.h"
#include "tests/backends/stores.h"
#include "tests/http/fake.h"

#define HOST "http://s3.example.test"

static struct fake fake;
static struct arena *a;
static struct store s;
static _Atomic unsigned heads, calls;
static char
	seen[16][2000]; /* "METHOD host path?query region AKID", then the headers, of signed requests */
static const char *bad; /* what the handler found wrong */

/* What the service does with the nth signed request. */
static void (*service)(unsigned n, const struct fake_request *q, struct fake_answer *w);
static bool lax;		  /* it says that it is versitygw */
static const char *bucket_region; /* as HEAD of the bucket tells; NULL: it doesn't */
static int bucket_status;	  /* of that */
static struct str container_keys; /* at /keys */

static struct sigv4_header *headers_of(const struct fake_request *q, size_t *ret_n)
{
	struct sigv4_header *v = arena_alloc(q->a, 100 * sizeof(*v));
	struct str rest = q->head;

	*ret_n = 0;
	while (rest.p && *ret_n < 100) {
		struct str line = str_cut(rest, '\n', &rest), value,
			   name = str_cut(line, ':', &value);

		if (!value.p)
			continue;
		if (value.n && value.p[value.n - 1] == '\r')
			value.n--;
		v[*ret_n].name = lower_case(q->a, str_trim(name));
		v[(*ret_n)++].value = str_trim(value);
	}
	return v;
}

/* As the gateway itself verifies its clients'. */
static void verify(const struct fake_request *q, struct str path, unsigned n)
{
	struct sigv4_request r = {
	    .method = q->method, .path = path, .query = q->query.p ? q->query : STR("")};
	struct sigv4 sig;
	struct err e;

	r.headers = headers_of(q, &r.headers_n);
	if (!rc_ok(sigv4_parse(&r, wall_now().s, q->a, &sig, &e)) ||
	    !rc_ok(sigv4_verify(&sig, &r, STR("secret"), STR(""), q->a, &e))) {
		print_error("%s\n", e.msg);
		bad = "a signature";
		return;
	}
	snprintf(seen[n % 16], sizeof(seen[0]),
		 STR_FMT " " STR_FMT " " STR_FMT "?" STR_FMT " " STR_FMT " " STR_FMT "\n" STR_FMT
			 "\n",
		 STR_ARG(q->method), STR_ARG(fake_header(q, "host")), STR_ARG(path),
		 STR_ARG(r.query), STR_ARG(sig.region), STR_ARG(sig.access_key), STR_ARG(q->head));
}

/* By way of a proxy's requests, so that any host can be played. */
static void handle(struct fake *f, const struct fake_request *q, struct fake_answer *w)
{
	struct str path = q->path;
	unsigned n;

	if (str_starts(path, STR("http://"))) {
		path = str_skip(path, 7);
		path = str_skip(path, str_index(path, '/'));
	}
	if (str_eq(path, STR("/keys"))) {
		w->status = 200;
		w->body = container_keys;
		return;
	}
	if (!fake_header(q, "authorization").p) {
		atomic_fetch_add(&heads, 1);
		w->status = bucket_status;
		if (bucket_region)
			w->headers =
			    arena_printf(q->a, "x-amz-bucket-region: %s\r\n", bucket_region);
		else if (lax)
			w->headers = STR("Server: VERSITYGW\r\n");
		return;
	}
	n = atomic_fetch_add(&calls, 1);
	verify(q, path, n);
	service(n, q, w);
}

static void expect(unsigned n, const char *text)
{
	if (bad)
		fail_msg("%s is wrong", bad);
	if (!strstr(seen[n % 16], text))
		fail_msg("request %u has no \"%s\": %s", n, text, seen[n % 16]);
}

static int setup(void **state)
{
	char proxy[64];

	a = arena_new();
	fake_start(&fake, handle);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", fake.port);
	setenv("http_proxy", proxy, 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	heads = calls = 0;
	bad = NULL;
	bucket_region = NULL;
	bucket_status = 403;
	lax = false;
	memset(seen, 0, sizeof(seen));
	return 0;
}

static void open_with(struct backend_s3_options o)
{
	o.remote.id = STR("the-store");
	o.remote.workers = 2;
	o.remote.max_retries = o.remote.max_retries ? o.remote.max_retries : 3;
	if (!o.credentials.env) {
		o.credentials.access_key = STR("AKID");
		o.credentials.secret = STR("secret");
	}
	o.endpoint = o.endpoint.p ? o.endpoint : STR(HOST);
	ok(backend_s3_open(&o, &s.b, &test_err));
	s.space = STR("s3://bucket/a prefix/");
}

static void close_store(void)
{
	backend_free(s.b);
	s.b = NULL;
}

static int teardown(void **state)
{
	backend_free(s.b);
	s.b = NULL;
	fake_stop(&fake);
	arena_free(a);
	return 0;
}

static void fine(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	w->status = 200;
	w->headers = STR("etag: \"abc\"\r\nlast-modified: Sat, 21 Nov 2026 04:49:37 GMT\r\n");
}

static rc head(const char *key, struct backend_stat *st)
{
	struct object_ptr p = at(&s, key);

	return backend_head_now(s.b, &p, a, st, &test_err);
}

static void test_s3__addresses(void **state)
{
	static const struct {
		const char *endpoint, *space;
		bool path_style;
		const char *expected;
	} rows[] = {
	    {HOST, "s3://bucket/a b", false,
	     "HEAD bucket.s3.example.test /a%20b/k%2B/%C3%A4? us-east-1 AKID"},
	    {HOST, "s3://bucket/a b", true,
	     "HEAD s3.example.test /bucket/a%20b/k%2B/%C3%A4? us-east-1 AKID"},
	    {HOST ":80/", "s3://bucket", false, "HEAD bucket.s3.example.test /k%2B/%C3%A4? "},
	    {HOST ":8080/base/", "s3://bucket", false,
	     "HEAD bucket.s3.example.test:8080 /base/k%2B/%C3%A4? "},
	    {HOST ":8080/base", "s3://bucket//", true,
	     "HEAD s3.example.test:8080 /base/bucket/k%2B/%C3%A4? "},
	    {HOST, "s3://Upper_Case", false, "HEAD s3.example.test /Upper_Case/k%2B/%C3%A4? "},
	    {HOST, "s3://with.dots", false, "HEAD with.dots.s3.example.test /k%2B/%C3%A4? "},
	    {"http://10.1.2.3:9000", "s3://bucket", false,
	     "HEAD 10.1.2.3:9000 /bucket/k%2B/%C3%A4? "},
	    {"http://[::1]:9000", "s3://bucket", false, "HEAD [::1]:9000 /bucket/k%2B/%C3%A4? "},
	};

	service = fine;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct backend_stat st;

		open_with((struct backend_s3_options){.endpoint = str_c(rows[i].endpoint),
						      .force_path_style = rows[i].path_style});
		s.space = str_c(rows[i].space);
		ok(head("k+/\xc3\xa4", &st));
		expect(i, rows[i].expected);
		assert_true(str_eq(st.etag, STR("abc")));
		assert_int_equal(st.mtime_s, 1795236577);
		close_store();
	}
}

/* AWS's own hosts, without asking them. */
static void test_s3__aws(void **state)
{
	struct s3_endpoint e = {.scheme = STR("https://"), .path = STR("")};
	struct str host;

	assert_true(str_eq(s3_base(&e, STR("bucket"), STR("eu-west-1"), a, &host),
			   STR("https://bucket.s3.eu-west-1.amazonaws.com")));
	assert_true(str_eq(host, STR("bucket.s3.eu-west-1.amazonaws.com")));
	assert_true(str_eq(s3_base(&e, STR("bucket"), STR("cn-north-1"), a, &host),
			   STR("https://bucket.s3.cn-north-1.amazonaws.com.cn")));
	/* The certificate has one star. */
	assert_true(str_eq(s3_base(&e, STR("with.dots"), STR("us-east-1"), a, &host),
			   STR("https://s3.us-east-1.amazonaws.com")));
}

static void test_s3__bad_options(void **state)
{
	static const char *const endpoints[] = {"s3.example.test", "ftp://x", "http://",
						"http://a@b", "http://a?b"};
	struct backend *b;

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++)
		fails(backend_s3_open(&(struct backend_s3_options){.endpoint = str_c(endpoints[i])},
				      &b, &test_err),
		      CONFIG);
	fails(backend_s3_open(&(struct backend_s3_options){.credentials.access_key = STR("x")}, &b,
			      &test_err),
	      CONFIG);
}

static void test_s3__bad_pointers(void **state)
{
	struct object_ptr p = {.key = STR("s3://other-bucket/x"), .type = ADDRESS_FULL};
	struct backend_stat st;
	char *long_key = arena_zalloc(a, 1100);

	service = fine;
	open_with((struct backend_s3_options){0});
	memset(long_key, 'k', 1024);
	fails(head("", &st), INVALID);
	fails(head(long_key, &st), INVALID); /* with the prefix */
	fails(head("\xff", &st), INVALID);
	s.space = STR("s3://a");
	fails(head("k", &st), INVALID);
	s.space = STR("s3://sp ace/x");
	fails(head("k", &st), INVALID);
	ok(backend_head_now(s.b, &p, a, &st, &test_err));
	expect(0, "HEAD other-bucket.s3.example.test /x? ");
	p.key = STR("s3://other-bucket");
	fails(backend_head_now(s.b, &p, a, &st, &test_err), INVALID);
}

static void test_s3__regions_discovered(void **state)
{
	struct backend_stat st;

	service = fine;
	bucket_region = "ap-south-1";
	open_with((struct backend_s3_options){.discover_bucket_region = true,
					      .region = STR("eu-west-1")});
	for (int i = 0; i < 3; i++)
		ok(head("k", &st));
	assert_int_equal(heads, 1);
	expect(2, " ap-south-1 AKID");
	close_store();
	open_with((struct backend_s3_options){.region = STR("eu-west-1")});
	ok(head("k", &st));
	expect(3, " eu-west-1 AKID");
	close_store();
	bucket_region = NULL;
	open_with((struct backend_s3_options){.discover_bucket_region = true,
					      .region = STR("eu-west-1")});
	for (int i = 0; i < 2; i++)
		ok(head("k", &st));
	expect(5, " eu-west-1 AKID");
	assert_int_equal(heads, 3);
}

static void elsewhere(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	if (strstr(seen[n % 16], " eu-north-1 AKID")) {
		fine(n, q, w);
	} else if (str_eq(q->method, STR("HEAD"))) {
		w->status = 301;
		w->headers = STR("x-amz-bucket-region: eu-north-1\r\n");
	} else {
		w->status = 400;
		w->body =
		    STR("<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is "
			"wrong</Message><Region>eu-north-1</Region></Error>");
	}
}

static void test_s3__regions_learnt(void **state)
{
	struct backend_stat st;

	service = elsewhere;
	for (int i = 0; i < 2; i++) {
		open_with((struct backend_s3_options){0});
		calls = 0;
		ok(i ? put_bytes(&s, "k", STR("x")) : head("k", &st));
		expect(0, " us-east-1 AKID");
		expect(1, " eu-north-1 AKID");
		assert_int_equal(calls, 2);
		ok(put_bytes(&s, "k", STR("x")));
		assert_int_equal(calls, 3);
		close_store();
	}
	/* A body that was streamed is lost, but not the next one. */
	open_with((struct backend_s3_options){0});
	fails(put_bytes(&s, "k", pattern_new(a, 300000, 1)), ServiceUnavailable);
	ok(put_bytes(&s, "k", pattern_new(a, 300000, 1)));
}

static void test_s3__headers_of_objects(void **state)
{
	struct backend_put_options o = {.content_type = STR("text/x-y"),
					.storage_class = STR("STANDARD_IA"),
					.if_absent = true};
	struct object_ptr to;
	struct body *body = body_mem_new(a, STR("bytes"));
	struct backend_stat st;

	service = fine;
	open_with((struct backend_s3_options){.server_side_encryption = STR("aws:kms"),
					      .server_side_encryption_kms_key_id = STR("the-key"),
					      .credentials = {.token = STR("the token")}});
	to = at(&s, "k");
	ok(backend_put_now(s.b, &to, &o, body, a, &st, &test_err));
	body_close(body);
	assert_int_equal(st.size, 5);
	expect(0, "content-type: text/x-y");
	expect(0, "x-amz-storage-class: STANDARD_IA");
	expect(0, "if-none-match: *");
	expect(0, "x-amz-server-side-encryption: aws:kms");
	expect(0, "x-amz-server-side-encryption-aws-kms-key-id: the-key");
	expect(0, "x-amz-security-token: the token");
	/* sha256("bytes") */
	expect(0, "x-amz-content-sha256: "
		  "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9");
	ok(put_bytes(&s, "k", pattern_new(a, 300000, 1)));
	expect(1, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
	expect(1, "Content-Length: 300000");
}

/* Errors. */

static struct answer_row {
	int status;
	const char *code;
	enum err_code expected;
	const char *says;
	unsigned calls;
} answer_row;

static void refuses(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	w->status = answer_row.status;
	if (answer_row.code)
		w->body =
		    arena_printf(q->a,
				 "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>so it is"
				 "</Message><StringToSign>hush</StringToSign></Error>",
				 answer_row.code);
}

static void test_s3__errors(void **state)
{
	static const struct answer_row rows[] = {
	    {404, "NoSuchKey", ERR_NOT_FOUND, "NoSuchKey", 1},
	    {404, "NoSuchBucket", ERR_ServiceUnavailable, "make the bucket", 1},
	    {403, "AccessDenied", ERR_ServiceUnavailable, "s3:GetObject", 1},
	    {403, "InvalidAccessKeyId", ERR_ServiceUnavailable, "s3.credentials", 1},
	    {403, "SignatureDoesNotMatch", ERR_ServiceUnavailable, "s3.credentials", 1},
	    {403, "RequestTimeTooSkewed", ERR_ServiceUnavailable, "clocks", 1},
	    {403, NULL, ERR_ServiceUnavailable, "403", 1},
	    {412, "PreconditionFailed", ERR_EXISTS, "PreconditionFailed", 1},
	    {503, "SlowDown", ERR_SlowDown, "SlowDown", 3},
	    {503, NULL, ERR_ServiceUnavailable, "503", 3},
	    {500, "InternalError", ERR_IO, "InternalError", 3},
	    {502, NULL, ERR_IO, "502", 3},
	    {400, "Unheard", ERR_IO, "400 Unheard", 1},
	    {501, "NotImplemented", ERR_UNSUPPORTED, "can't", 1},
	    {400, "InvalidStorageClass", ERR_InvalidStorageClass, "InvalidStorageClass", 1},
	};

	service = refuses;
	open_with((struct backend_s3_options){.remote.max_retries = 2});
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		answer_row = rows[i];
		calls = 0;
		check_code(put_bytes(&s, "k", STR("x")), rows[i].expected, &test_err, __FILE__,
			   __LINE__);
		assert_non_null(strstr(test_err.msg, "\"the-store\""));
		if (!strstr(test_err.msg, rows[i].says))
			fail_msg("%s", test_err.msg);
		assert_null(strstr(test_err.msg, "hush"));
		assert_int_equal(calls, rows[i].calls);
	}
}

/* A write that may have been done and may not be repeated is no 412, no failure. */
static void dies_then_exists(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	if (n == 0)
		w->hang_up = true;
	else
		w->status = 412;
}

static void test_s3__unknown_outcome(void **state)
{
	struct backend_put_options o = {.if_absent = true};
	struct object_ptr to;
	struct backend_stat st;

	service = dies_then_exists;
	open_with((struct backend_s3_options){0});
	to = at(&s, "k");
	for (int i = 0; i < 2; i++) {
		struct body *body = body_mem_new(a, STR("x"));

		check_code(backend_put_now(s.b, &to, &o, body, a, &st, &test_err),
			   i ? ERR_EXISTS : ERR_UNKNOWN_OUTCOME, &test_err, __FILE__, __LINE__);
		body_close(body);
		assert_int_equal(calls, i + 1);
	}
}

/* Keys that the service calls old are asked for again. */
static char key_id[16];

static const char *env(const char *name)
{
	if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
		return key_id;
	return strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0 ? "secret" : NULL;
}

static void expires(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	if (strstr(seen[n % 16], " NEWKEY\n")) {
		fine(n, q, w);
		return;
	}
	w->status = 400;
	w->body = STR("<Error><Code>ExpiredToken</Code><Message>The provided token has "
		      "expired.</Message></Error>");
}

static void test_s3__keys_end(void **state)
{
	unsigned n;
	int64_t begun;

	service = expires;
	snprintf(key_id, sizeof(key_id), "OLDKEY");
	open_with((struct backend_s3_options){.credentials = {.env = env, .again_s = 1}});
	begun = mono_ms();
	fails(put_bytes(&s, "k", STR("x")), ServiceUnavailable);
	n = calls;
	assert_true(n == 1 || mono_ms() - begun > 1000); /* a machine that is that slow asks again */
	snprintf(key_id, sizeof(key_id), "NEWKEY");
	usleep(1100000);
	ok(put_bytes(&s, "k", STR("x")));
	assert_int_equal(calls, n + 2);
	expect(n, " OLDKEY\n");
	expect(n + 1, " NEWKEY\n");
}

/* Multipart. */

static const char *script[8]; /* "STATUS body", one for each request */

static void scripted(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	const char *line = n < 8 && script[n] ? script[n] : "500 ";

	w->status = (int)strtol(line, NULL, 10);
	w->body = str_c(line + 4);
	if (str_eq(q->method, STR("HEAD"))) {
		w->headers = w->body;
		w->body = STR("");
	}
}

static const struct backend_part parts[] = {{1, {"0cc175b9c0f1b6a831c399e269772661", 32}, 5}};

static rc complete(struct backend_stat *st)
{
	struct object_ptr to = at(&s, "k");

	return s.b->blocking->mpu_complete(s.b, &to, STR("an id&"), parts, 1, a, st, &test_err);
}

#define RESULT                                                                                     \
	"<CompleteMultipartUploadResult><ETag>&quot;e-1&quot;</ETag></"                            \
	"CompleteMultipartUploadResult>"
#define LATE_ERROR                                                                                 \
	"200 \n\n  <Error><Code>InternalError</Code><Message>We failed.</Message></Error>"
#define GONE "404 <Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>"

static void run_script(const char *const *lines, size_t n)
{
	calls = 0;
	memset(script, 0, sizeof(script));
	memcpy(script, lines, n * sizeof(*lines));
}
#define SCRIPT(...)                                                                                \
	run_script((const char *const[]){__VA_ARGS__},                                             \
		   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void test_s3__complete(void **state)
{
	struct backend_stat st;

	service = scripted;
	open_with((struct backend_s3_options){0});
	SCRIPT("200 \n\n<?xml version=\"1.0\"?>" RESULT);
	ok(complete(&st));
	expect(0, "?uploadId=an%20id%26");
	assert_int_equal(st.size, 5);
	assert_true(str_eq(st.etag, STR("e-1")));
	SCRIPT(LATE_ERROR, "200 " RESULT);
	ok(complete(&st));
	assert_int_equal(calls, 2);
	SCRIPT("200 <Error><Code>InvalidPart</Code><Message>No.</Message></Error>");
	fails(complete(&st), InvalidPart);
	SCRIPT("200 this is not XML", "200 nor this", "200 ", "200 nor that");
	fails(complete(&st), IO);
	assert_int_equal(calls, 4);
}

static void test_s3__complete_after_a_lost_answer(void **state)
{
	struct backend_stat st;
	char line[128];
	struct str etag;
	uint8_t part[16], md5[16];
	struct str bytes;

	assert_true(hex_decode(a, parts[0].etag, &bytes) && bytes.n == 16);
	memcpy(part, bytes.p, 16);
	digest_of(DIGEST_MD5, str_make(part, 16), md5);
	etag = hex_encode(a, str_make(md5, 16));
	service = scripted;
	open_with((struct backend_s3_options){0});
	snprintf(line, sizeof(line), "200 content-length: 5\r\netag: \"" STR_FMT "-1\"\r\n",
		 STR_ARG(etag));
	SCRIPT(GONE, line);
	ok(complete(&st));
	assert_int_equal(st.size, 5);
	SCRIPT(GONE, "404 ");
	fails(complete(&st), NOT_FOUND);
	assert_non_null(strstr(test_err.msg, "NoSuchUpload"));
	SCRIPT(GONE, "200 content-length: 5\r\netag: \"0cc175b9c0f1b6a831c399e269772661-1\"\r\n");
	fails(complete(&st), NOT_FOUND);
	SCRIPT(GONE, "200 content-length: 6\r\netag: \"opaque\"\r\n");
	fails(complete(&st), NOT_FOUND);
	SCRIPT(GONE, "200 content-length: 5\r\netag: \"opaque\"\r\n");
	ok(complete(&st));
}

/* Of parts that others wrote nobody knows the sizes: the object tells, and its ETag whether it is theirs. */
static void test_s3__complete_of_unknown_sizes(void **state)
{
	const struct backend_part part = {
		1, {"0cc175b9c0f1b6a831c399e269772661", 32}, BACKEND_SIZE_UNKNOWN};
	struct backend_stat st;
	struct object_ptr to;

	service = scripted;
	open_with((struct backend_s3_options){0});
	to = at(&s, "k");
	SCRIPT("200 " RESULT, "200 content-length: 7\r\netag: \"e-1\"\r\n");
	ok(s.b->blocking->mpu_complete(s.b, &to, STR("id"), &part, 1, a, &st, &test_err));
	assert_int_equal(st.size, 7);
	assert_true(str_eq(st.etag, STR("e-1")));
	SCRIPT(GONE, "200 content-length: 7\r\netag: \"0cc175b9c0f1b6a831c399e269772661-1\"\r\n");
	fails(s.b->blocking->mpu_complete(s.b, &to, STR("id"), &part, 1, a, &st, &test_err), NOT_FOUND);
	SCRIPT(GONE, "404 ");
	fails(s.b->blocking->mpu_complete(s.b, &to, STR("id"), &part, 1, a, &st, &test_err), NOT_FOUND);
	SCRIPT(GONE, "200 content-length: 7\r\netag: \"opaque\"\r\n");
	ok(s.b->blocking->mpu_complete(s.b, &to, STR("id"), &part, 1, a, &st, &test_err));
	assert_int_equal(st.size, 7);
}

static void test_s3__copy_fails_after_its_200(void **state)
{
	struct object_ptr from, to;
	struct backend_stat st;

	service = scripted;
	open_with((struct backend_s3_options){0});
	from = at(&s, "from here");
	to = at(&s, "to");
	SCRIPT("200 content-length: 5\r\n", LATE_ERROR);
	fails(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err), IO);
	expect(1, "x-amz-copy-source: /bucket/a%20prefix/from%20here");
	SCRIPT("200 content-length: 5\r\n",
	       "200 <CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>");
	ok(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err));
	assert_int_equal(st.size, 5);
	assert_true(str_eq(st.etag, STR("e")));
	/* Onto itself: S3 calls that invalid. */
	SCRIPT("200 content-length: 5\r\n");
	ok(s.b->blocking->copy(s.b, &from, &from, a, &st, &test_err));
	assert_int_equal(calls, 1);
}

/* Listings. */

static rc list(struct backend_list_entry **v, size_t *n, bool *more)
{
	return s.b->blocking->list(s.b, s.space, STR("p"), STR("p0"), 10, a, v, n, more, &test_err);
}

#define ENTRY(key)                                                                                 \
	"<Contents><Key>" key "</Key><Size>7</Size><LastModified>2026-11-21T04:49:37.000Z"         \
	"</LastModified><ETag>&quot;e&quot;</ETag></Contents>"

static void test_s3__listing(void **state)
{
	struct backend_list_entry *v;
	size_t n;
	bool more;

	service = scripted;
	open_with((struct backend_s3_options){0});
	SCRIPT(
	    "200 <ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
	    "<NextContinuationToken>to/ken</NextContinuationToken>" ENTRY("a+prefix/")
		ENTRY("a+prefix/p+1%2B%C3%A4") "</ListBucketResult>",
	    "200 <ListBucketResult><IsTruncated>false</IsTruncated>" ENTRY(
		"a prefix/p2%20") "</ListBucketResult>");
	ok(list(&v, &n, &more));
	expect(0, "GET bucket.s3.example.test "
		  "/?list-type=2&encoding-type=url&max-keys=10&prefix=a%20prefix%2Fp"
		  "&start-after=a%20prefix%2Fp0 ");
	expect(1, "continuation-token=to%2Fken");
	assert_int_equal(n, 2);
	assert_false(more);
	assert_true(str_eq(v[0].key, STR("p 1+\xc3\xa4")));
	assert_true(str_eq(v[1].key, STR("p2%20")));
	assert_int_equal(v[1].stat.size, 7);
	assert_int_equal(v[1].stat.mtime_s, 1795236577);
	assert_true(str_eq(v[1].stat.etag, STR("e")));
	SCRIPT("200 <ListBucketResult>" ENTRY("a prefix/p2")
		   ENTRY("a prefix/p1") "</ListBucketResult>");
	fails(list(&v, &n, &more), IO);
	SCRIPT("200 <ListBucketResult>" ENTRY("elsewhere/p2") "</ListBucketResult>");
	fails(list(&v, &n, &more), IO);
	SCRIPT("200 <ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>");
	fails(list(&v, &n, &more), IO);
	SCRIPT("200 <html>a login page");
	fails(list(&v, &n, &more), IO);
	assert_non_null(strstr(test_err.msg, "s3.endpoint"));
}

/* As the gateway takes its clients' bodies out of their frames, which also checks the length. */
static struct str taken, trailer;

static void take_frames(unsigned n, const struct fake_request *q, struct fake_answer *w)
{
	struct sigv4 sig = {.payload = SIGV4_CHUNKED_UNSIGNED_TRAILER};
	enum body_state state;
	struct body *body;
	uint64_t length;
	char *p;
	size_t at = 0, k;

	fine(n, q, w);
	taken = trailer = STR_NONE;
	if (!str_to_u64(fake_header(q, "x-amz-decoded-content-length"), &length))
		return;
	body = sigv4_body_new(&sig, a, body_mem_new(a, q->body), length,
			      fake_header(q, "x-amz-trailer"));
	p = arena_alloc(a, length + 1);
	while ((state = body_pull(body, p + at, length + 1 - at, &k, NULL)) == BODY_MORE)
		at += k;
	if (state == BODY_END) {
		taken = str_make(p, at);
		trailer = arena_dup(a, sigv4_body_trailer(body, STR("x-amz-checksum-crc32c")));
	}
	body_close(body);
}

static void put_framed(size_t size)
{
	struct str bytes = pattern_new(a, size, 1);
	uint8_t crc[4];

	digest_of(DIGEST_CRC32C, bytes, crc);
	ok(put_bytes(&s, "k", bytes));
	expect(calls - 1, "PUT ");
	expect(calls - 1, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
	assert_null(strstr(seen[(calls - 1) % 16], "Encoding:"));
	assert_true(str_eq(taken, bytes));
	assert_true(str_eq(trailer, base64_encode(a, str_make(crc, 4))));
}

/* A server that stores what came of a broken body gets streams whose end can't be mistaken. */
static void test_s3__versitygw_gets_frames(void **state)
{
	struct object_ptr to;
	struct backend_stat st;
	struct body *body;

	service = take_frames;
	lax = true;
	open_with((struct backend_s3_options){0});
	to = at(&s, "k");
	body = body_length_new(a, body_mem_new(a, pattern_new(a, 300000, 1)), 300001);
	fails(backend_put_now(s.b, &to, NULL, body, a, &st, &test_err), IncompleteBody);
	body_close(body);
	assert_int_equal(calls, 0);
	put_framed(300000);
	put_framed(REMOTE_FRAME - 1);
	put_framed(REMOTE_FRAME);
	put_framed(2 * REMOTE_FRAME + 1);
	assert_int_equal(calls, 4);
	ok(put_bytes(&s, "k", pattern_new(a, REMOTE_WHOLE, 1))); /* from memory: with its hash */
	assert_null(strstr(seen[4], "STREAMING"));
	assert_null(strstr(seen[4], "UNSIGNED"));
}

static void test_s3__presigned(void **state)
{
	int64_t now = wall_now().s;
	struct object_ptr p;
	struct str url;

	open_with((struct backend_s3_options){.pre_signed_endpoint =
						  STR("https://public.example.test/s3"),
					      .credentials = {.token = STR("t/t")},
					      .force_path_style = true});
	p = at(&s, "k k");
	ok(presign(s.b, &p, STR("PUT"), now + 60, a, &url, &test_err));
	assert_true(
	    str_starts(url, STR("https://public.example.test/s3/bucket/a%20prefix/k%20k?")));
	assert_true(str_find(url, STR("X-Amz-Security-Token=t%2Ft")) < url.n);
	assert_true(str_find(url, STR("X-Amz-Expires=")) < url.n);
	assert_true(str_find(url, STR("&X-Amz-Signature=")) < url.n);
	fails(presign(s.b, &p, STR("DELETE"), now + 60, a, &url, &test_err), UNSUPPORTED);
	fails(presign(s.b, &p, STR("GET"), now + 8 * 86400, a, &url, &test_err), INVALID);
	close_store();
	open_with((struct backend_s3_options){.disable_pre_signed = true});
	assert_false(s.b->caps & (BACKEND_CAP_PRESIGN | BACKEND_CAP_PRESIGN_PART));
	fails(presign(s.b, &p, STR("GET"), now + 60, a, &url, &test_err), UNSUPPORTED);
}

static void test_s3__presigned_parts(void **state)
{
	struct backend_presign q = {.method = STR("PUT"),
				    .expires_s = wall_now().s + 60,
				    .upload_id = STR("an id/+"),
				    .part = 10000};
	struct backend_presigned got;
	struct object_ptr p;

	open_with((struct backend_s3_options){.force_path_style = true});
	p = at(&s, "k");
	assert_true(s.b->caps & BACKEND_CAP_PRESIGN_PART);
	ok(s.b->presign(s.b, &p, &q, a, &got, &test_err));
	assert_true(str_find(got.url, STR("?partNumber=10000&uploadId=an%20id%2F%2B&X-Amz-Algorithm=")) <
		    got.url.n);
	assert_int_equal(got.expires_s, q.expires_s);
	q.part = 10001;
	fails(s.b->presign(s.b, &p, &q, a, &got, &test_err), INVALID);
	q.part = 0;
	fails(s.b->presign(s.b, &p, &q, a, &got, &test_err), INVALID);
	q.part = 1;
	q.method = STR("GET");
	fails(s.b->presign(s.b, &p, &q, a, &got, &test_err), INVALID);
	q.method = STR("PUT");
	q.upload_id = STR("");
	fails(s.b->presign(s.b, &p, &q, a, &got, &test_err), INVALID);
	close_store();
	open_with((struct backend_s3_options){.disable_pre_signed_multipart = true});
	q.upload_id = STR("id");
	assert_true(s.b->caps & BACKEND_CAP_PRESIGN);
	assert_false(s.b->caps & BACKEND_CAP_PRESIGN_PART);
	fails(s.b->presign(s.b, &p, &q, a, &got, &test_err), UNSUPPORTED);
}

static char keys_at[64];

static const char *container_env(const char *name)
{
	return strcmp(name, "AWS_CONTAINER_CREDENTIALS_FULL_URI") == 0 ? keys_at : NULL;
}

/* Keys that end take the URL with them. */
static void test_s3__presigned_until_its_keys_end(void **state)
{
	struct backend_presign q = {.method = STR("GET"), .expires_s = wall_now().s + 900};
	struct backend_presigned got;
	struct object_ptr p;
	char until[25];
	int64_t end = wall_now().s + 500;

	time_iso_ms((struct timestamp){.s = end}, until);
	container_keys = arena_printf(a,
				      "{\"AccessKeyId\": \"AKID\", \"SecretAccessKey\": \"secret\", "
				      "\"Token\": \"the token\", \"Expiration\": \"%s\"}",
				      until);
	snprintf(keys_at, sizeof(keys_at), "http://127.0.0.1:%u/keys", fake.port);
	open_with((struct backend_s3_options){.credentials = {.env = container_env}});
	p = at(&s, "k");
	ok(s.b->presign(s.b, &p, &q, a, &got, &test_err));
	assert_int_equal(got.expires_s, end);
	assert_true(str_find(got.url, STR("X-Amz-Expires=900")) == got.url.n);
	assert_true(str_find(got.url, STR("X-Amz-Security-Token=the%20token")) < got.url.n);
	q.expires_s = end - 100;
	ok(s.b->presign(s.b, &p, &q, a, &got, &test_err));
	assert_int_equal(got.expires_s, q.expires_s);
}

/* A thousand of them ask once for the bucket's region, whatever comes of that. */
static void test_s3__presigned_cheaply(void **state)
{
	static const int statuses[] = {403, 404, 500};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		struct backend_presign q = {.method = STR("GET"), .expires_s = wall_now().s + 900};
		struct backend_presigned got;
		struct object_ptr p;

		bucket_status = statuses[i];
		heads = 0;
		open_with((struct backend_s3_options){.discover_bucket_region = true});
		p = at(&s, "k");
		for (int k = 0; k < 1000; k++) {
			struct arena_mark mark = arena_mark(a);

			ok(s.b->presign(s.b, &p, &q, a, &got, &test_err));
			arena_rewind(a, mark);
		}
		assert_int_equal(heads, 1);
		assert_int_equal(calls, 0);
		close_store();
	}
}

/* What a browser saves it as; of reads only. */
static void test_s3__presigned_names(void **state)
{
	static const struct {
		const char *path, *disposition;
	} cases[] = {
		{"plain.csv", "attachment%3B%20filename%3Dplain.csv&"},
		{"a/b/plain.csv", "attachment%3B%20filename%3Dplain.csv&"},
		{"a b\"c\\d", "attachment%3B%20filename%3D%22a%20b%5C%22c%5C%5Cd%22&"},
		{"x/\xc3\xa4;1", "attachment%3B%20filename%2A%3Dutf-8%27%27%25C3%25A4%253B1&"},
		{"new\nline", "attachment%3B%20filename%2A%3Dutf-8%27%27new%250Aline&"},
		{"a/b/", "attachment&"},
	};
	struct backend_presign q = {
		.method = STR("GET"), .expires_s = wall_now().s + 60, .upload_id = STR_NONE};
	struct backend_presigned got;
	struct object_ptr p;

	open_with((struct backend_s3_options){.force_path_style = true});
	p = at(&s, "k");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str want = arena_printf(a, "?response-content-disposition=%s", cases[i].disposition);

		q.filename = str_c(cases[i].path);
		ok(s.b->presign(s.b, &p, &q, a, &got, &test_err));
		if (str_find(got.url, want) == got.url.n)
			fail_msg("%s: %.*s", cases[i].path, STR_ARG(got.url));
	}
	q.method = STR("PUT");
	ok(s.b->presign(s.b, &p, &q, a, &got, &test_err));
	assert_true(str_find(got.url, STR("disposition")) == got.url.n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_s3__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(addresses),
	    TEST(aws),
	    TEST(bad_options),
	    TEST(bad_pointers),
	    TEST(regions_discovered),
	    TEST(regions_learnt),
	    TEST(headers_of_objects),
	    TEST(errors),
	    TEST(unknown_outcome),
	    TEST(keys_end),
	    TEST(complete),
	    TEST(complete_after_a_lost_answer),
	    TEST(complete_of_unknown_sizes),
	    TEST(copy_fails_after_its_200),
	    TEST(listing),
	    TEST(versitygw_gets_frames),
	    TEST(presigned),
	    TEST(presigned_parts),
	    TEST(presigned_names),
	    TEST(presigned_until_its_keys_end),
	    TEST(presigned_cheaply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
