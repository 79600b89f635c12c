/* The Google Cloud Storage store against made-up answers: what fake-gcs-server never says, and what
 * a store sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "tests/backends/gcs_gate.h"
#include "tests/backends/presigned.h"
#include "tests/backends/stores.h"
#include "tests/http/fake.h"

#define MIB (1024 * 1024)
#define OBJECT                                                                                     \
	"{\"name\": \"k\", \"size\": \"5\", \"updated\": \"2026-11-21T04:49:37.123Z\", "           \
	"\"generation\": \"77\"}"

static struct fake fake;
static struct arena *a;
static struct backend *b;
static const struct object_ptr k = {
    .space = STR("gs://the-bucket/p"), .key = STR("k"), .type = ADDRESS_RELATIVE};

/* The nth request gets the nth of these. */
static struct {
	int status;
	const char *headers, *body;
} plan[12];
static struct {
	char line[2048], head[4096], body[2048];
} seen[12];

static void handle(struct fake *f, const struct fake_request *q, struct fake_answer *w)
{
	unsigned n = f->requests - 1;

	if (n >= sizeof(plan) / sizeof(*plan))
		abort();
	snprintf(seen[n].line, sizeof(seen[n].line), STR_FMT " " STR_FMT "?" STR_FMT,
		 STR_ARG(q->method), STR_ARG(q->path), STR_ARG(q->query));
	snprintf(seen[n].head, sizeof(seen[n].head), STR_FMT, STR_ARG(q->head));
	snprintf(seen[n].body, sizeof(seen[n].body), STR_FMT, STR_ARG(str_head(q->body, 2000)));
	w->status = plan[n].status ? plan[n].status : 200;
	w->headers = plan[n].headers ? arena_dup(q->a, str_c(plan[n].headers)) : STR("");
	w->body = plan[n].body ? arena_dup(q->a, str_c(plan[n].body)) : STR(OBJECT);
}

static struct backend_gcs_options options(void)
{
	return (struct backend_gcs_options){
	    .remote = {.id = STR("store"), .workers = 2, .max_retries = 3},
	    .endpoint = arena_printf(a, "http://127.0.0.1:%u", fake.port),
	};
}

static void reopen(const struct backend_gcs_options *o)
{
	if (b)
		backend_free(b);
	b = NULL;
	ok(backend_gcs_open(o, &b, &test_err));
}

static int set_up(void **state)
{
	struct backend_gcs_options o;

	unsetenv("STORAGE_EMULATOR_HOST");
	memset(plan, 0, sizeof(plan));
	memset(seen, 0, sizeof(seen));
	a = arena_new();
	fake_start(&fake, handle);
	o = options();
	reopen(&o);
	return 0;
}

static int tear_down(void **state)
{
	backend_free(b);
	b = NULL;
	fake_stop(&fake);
	arena_free(a);
	return 0;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

static rc put(struct str bytes, const struct backend_put_options *o)
{
	struct body *body = body_mem_new(a, bytes);
	struct backend_stat st;
	rc r = backend_put_now(b, &k, o, body, a, &st, &test_err);

	body_close(body);
	return r;
}

static rc head(struct backend_stat *st)
{
	return backend_head_now(b, &k, a, st, &test_err);
}

/* Answers and what they are here. */
static void test_gcs_answers__refusals(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_code is;
		const char *says;
	} rows[] = {
	    {404, "{\"error\": {\"message\": \"No such object: the-bucket/p/k\"}}", ERR_NOT_FOUND,
	     "No such object"},
	    {404, "{\"error\": {\"message\": \"The specified bucket does not exist.\"}}",
	     ERR_ServiceUnavailable, "make the bucket"},
	    {400, "{\"error\": {\"message\": \"Bad\"}}", ERR_INVALID, "Bad"},
	    {401, "{\"error\": {\"message\": \"Invalid Credentials\"}}", ERR_ServiceUnavailable,
	     "credentials_file"},
	    {403, "{\"error\": {\"message\": \"x lacks storage.objects.get\"}}",
	     ERR_ServiceUnavailable, "lacks storage.objects.get"},
	    {412, "", ERR_EXISTS, "412"},
	    {413, "", ERR_EntityTooLarge, "413"},
	    {501, "Not here\nat all", ERR_UNSUPPORTED, "Not here"},
	    {418, "{\"error\": \"plain\"}", ERR_IO, "plain"},
	    {307, "", ERR_IO, "307"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct backend_stat st;

		fake.requests = 0;
		for (size_t n = 0; n < 4; n++) {
			plan[n].status = rows[i].status;
			plan[n].body = rows[i].body;
		}
		check_code(head(&st), rows[i].is, &test_err, __FILE__, __LINE__);
		has(test_err.msg, rows[i].says);
		has(test_err.msg, "store \"store\", GET gs://the-bucket/p/k");
		has(seen[0].line, "GET /storage/v1/b/the-bucket/o/p%2Fk?");
	}
}

static void test_gcs_answers__tried_again(void **state)
{
	struct backend_stat st;

	plan[0].status = 429;
	plan[1].status = 503;
	plan[2].status = 500;
	ok(head(&st));
	assert_int_equal(fake.requests, 4);
	assert_int_equal(st.size, 5);
	assert_int_equal(st.mtime_s, 1795236577);
	assert_true(str_eq(st.etag, STR("77")));
	/* A conditional write: after 429, but not after 502. */
	fake.requests = 0;
	plan[1].status = 502;
	fails(put(STR("bytes"), &(struct backend_put_options){.if_absent = true}), UNKNOWN_OUTCOME);
	assert_int_equal(fake.requests, 2);
	has(seen[1].line,
	    "POST "
	    "/upload/storage/v1/b/the-bucket/o?name=p%2Fk&uploadType=media&ifGenerationMatch=0");
}

/* A copy in steps, with the token of each for the next. */
static void test_gcs_answers__rewrite(void **state)
{
	const struct object_ptr from = {.key = STR("gs://other-bucket/a/b c"),
					.type = ADDRESS_FULL};
	struct backend_stat st;

	plan[0].body = "{\"done\": false, \"rewriteToken\": \"first/token\"}";
	plan[1].body = "{\"done\": false, \"rewriteToken\": \"second\"}";
	plan[2].status = 503;
	plan[3].body = "{\"done\": true, \"resource\": " OBJECT "}";
	ok(b->blocking->copy(b, &from, &k, a, &st, &test_err));
	assert_int_equal(st.size, 5);
	assert_int_equal(fake.requests, 4);
	assert_string_equal(
	    seen[0].line,
	    "POST /storage/v1/b/other-bucket/o/a%2Fb%20c/rewriteTo/b/the-bucket/o/p%2Fk?");
	has(seen[1].line, "?rewriteToken=first%2Ftoken");
	has(seen[2].line, "?rewriteToken=second");
	has(seen[3].line, "?rewriteToken=second");
	fake.requests = 0;
	plan[0].body = "{\"done\": false}";
	fails(b->blocking->copy(b, &from, &k, a, &st, &test_err), IO);
	has(test_err.msg, "without a token");
}

/* Of a class: composed where nobody looks, then copied with the class and the upload's id. */
static void test_gcs_answers__complete_with_a_class(void **state)
{
	struct backend_part part = {
	    .number = 1, .etag = STR("00112233445566778899aabbccddeeff"), .size = 5};
	struct str id;
	struct backend_stat st;

	ok(b->blocking->mpu_create(b, &k,
				   &(struct backend_put_options){.storage_class = STR("NEARLINE")},
				   a, &id, &test_err));
	has(seen[0].line, "uploadType=multipart");
	has(seen[0].body, "{\"contentType\":\"application/"
			  "octet-stream\",\"metadata\":{\"sluice-class\":\"NEARLINE\"}}");
	plan[1].body =
	    "{\"contentType\": \"text/x\", \"metadata\": {\"sluice-class\": \"NEARLINE\"}}";
	plan[3].body = "{\"done\": true, \"resource\": " OBJECT "}";
	plan[5].body = "{\"items\": []}";
	ok(b->blocking->mpu_complete(b, &k, id, &part, 1, a, &st, &test_err));
	has(seen[2].line, "%2Fjoined/compose?");
	has(seen[2].body, "00001-00112233445566778899aabbccddeeff");
	has(seen[3].line, "%2Fjoined/rewriteTo/b/the-bucket/o/p%2Fk?");
	has(seen[3].body,
	    arena_printf(a,
			 "{\"contentType\":\"text/x\",\"storageClass\":\"NEARLINE\",\"metadata\":{"
			 "\"sluice-upload\":\"" STR_FMT "\"}}",
			 STR_ARG(id))
		.p);
	has(seen[4].line, "DELETE");
	has(seen[4].line, "%2Fupload?");
}

static rc write_all(size_t n)
{
	struct str bytes = pattern_new(a, n, 1);
	struct backend_writer *w;
	struct backend_stat st;
	rc r;

	ok(b->blocking->open_writer(b, &k, &(struct backend_put_options){0}, &w, &test_err));
	r = b->blocking->write(w, bytes.p, n, &test_err);
	if (rc_ok(r))
		return b->blocking->commit(w, a, &st, &test_err);
	b->blocking->abort(w);
	return r;
}

/* Wherever its address points, a session is spoken to at the endpoint. */
static void test_gcs_answers__session_address(void **state)
{
	plan[0].headers =
	    "Location: https://elsewhere.example.com/upload/storage/v1/b/x/o?upload_id=U%2F1\r\n";
	plan[1].status = 308;
	plan[1].headers = "Range: bytes=0-5242879\r\n";
	ok(write_all(6 * MIB));
	has(seen[0].line, "uploadType=resumable");
	assert_string_equal(seen[1].line, "PUT /upload/storage/v1/b/x/o?upload_id=U%2F1");
	has(seen[1].head, "bytes 0-5242879/*");
	has(seen[2].head, "bytes 5242880-6291455/6291456");
}

/* Sessions that keep nothing, keep more than they got, end early, don't end, have no address:
 * errors, and no loop. */
static void test_gcs_answers__session_nonsense(void **state)
{
	static const struct {
		const char *location;
		int status[2];
		const char *range[2];
		const char *says;
	} rows[] = {
	    {"", {0}, {0}, "without an address"},
	    {"Location: /u?upload_id=1\r\n", {308}, {""}, "none of"},
	    {"Location: /u?upload_id=1\r\n", {308}, {"Range: bytes=0-99999999\r\n"}, "none of"},
	    {"Location: /u?upload_id=1\r\n", {308}, {"Range: bytes=5-7\r\n"}, "none of"},
	    {"Location: /u?upload_id=1\r\n", {200}, {""}, "too early"},
	    {"Location: /u?upload_id=1\r\n",
	     {308, 308},
	     {"Range: bytes=0-5242879\r\n", "Range: bytes=0-6291455\r\n"},
	     "doesn't end"},
	    {"Location: /u?upload_id=1\r\n", {410}, {""}, "410"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fake.requests = 0;
		memset(plan, 0, sizeof(plan));
		plan[0].headers = rows[i].location;
		for (size_t n = 0; n < 2; n++) {
			plan[n + 1].status = rows[i].status[n];
			plan[n + 1].headers = rows[i].range[n];
		}
		fails(write_all(6 * MIB), IO);
		has(test_err.msg, rows[i].says);
	}
}

static void test_gcs_answers__too_large(void **state)
{
	struct backend_writer *w;

	fails(b->blocking->open_writer(
		  b, &k,
		  &(struct backend_put_options){.sized = true, .size = ((uint64_t)5 << 40) + 1}, &w,
		  &test_err),
	      EntityTooLarge);
	has(test_err.msg, "5 TiB");
	assert_int_equal(fake.requests, 0);
}

/* lakeFS's hex and Google's base64 are one key; it goes with everything that reads or writes bytes.
 */
static void test_gcs_answers__customer_key(void **state)
{
	static const char *const keys[] = {
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="};
	struct backend_gcs_options o = options();
	char *account = gcs_gate_account(fake.port, false);
	struct str url;

	for (size_t i = 0; i < 2; i++) {
		fake.requests = 0;
		o.customer_key = str_c(keys[i]);
		reopen(&o);
		ok(put(STR("bytes"), NULL));
		has(seen[0].head, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
		has(seen[0].head, "Yw3NKWbEM2aRElRIu7JbT/QSpJxzLbLIq8G4WBvXEN0=");
		has(seen[0].head, "AES256");
		plan[1].body = "{\"done\": true, \"resource\": " OBJECT "}";
		ok(b->blocking->copy(b, &k, &k, a, &(struct backend_stat){0}, &test_err));
		has(seen[1].head, "x-goog-copy-source-encryption-key: AAEC");
	}
	/* Whoever had an address would need the key. */
	o.credentials_json = str_c(account);
	reopen(&o);
	assert_false(b->caps & BACKEND_CAP_PRESIGN);
	o.customer_key = STR_NONE;
	reopen(&o);
	assert_true(b->caps & BACKEND_CAP_PRESIGN);
	ok(presign(b, &k, STR("GET"), wall_now().s + 60, a, &url, &test_err));
	o.disable_pre_signed = true;
	reopen(&o);
	assert_false(b->caps & BACKEND_CAP_PRESIGN);
	free(account);
}

static void test_gcs_answers__kms_key(void **state)
{
	struct backend_gcs_options o = options();

	o.kms_key = STR("projects/p/locations/l/keyRings/r/cryptoKeys/k");
	reopen(&o);
	ok(put(STR("bytes"), NULL));
	has(seen[0].line,
	    "kmsKeyName=projects%2Fp%2Flocations%2Fl%2FkeyRings%2Fr%2FcryptoKeys%2Fk");
	plan[1].body = "{\"done\": true, \"resource\": " OBJECT "}";
	ok(b->blocking->copy(b, &k, &k, a, &(struct backend_stat){0}, &test_err));
	has(seen[1].line, "destinationKmsKeyName=projects%2Fp");
}

static void refused(struct backend_gcs_options o, const char *says)
{
	struct backend *other;

	fails(backend_gcs_open(&o, &other, &test_err), CONFIG);
	has(test_err.msg, says);
}

static void test_gcs_answers__options(void **state)
{
	static const char *const urls[] = {"http://h/path", "ftp://h", "http://", "http://u@h",
					   "http://h?x"};
	struct backend_gcs_options o = options();

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		o.endpoint = str_c(urls[i]);
		refused(o, "gs.endpoint");
	}
	o = options();
	o.customer_key = STR("0011");
	refused(o, "32 bytes");
	o.customer_key = STR("zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	refused(o, "32 bytes");
	o.kms_key = STR("k");
	refused(o, "exclude each other");
	o = options();
	o.data_credentials_json = STR("{}");
	refused(o, "type");
	/* Nobody by http only: what the environment has is for Google, wherever its endpoint. */
	setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json", 1);
	o = options();
	reopen(&o);
	o.endpoint = STR("https://private.example.com");
	refused(o, "GOOGLE_APPLICATION_CREDENTIALS");
	unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
	/* The emulators' variable, with and without a scheme. */
	for (int scheme = 0; scheme < 2; scheme++) {
		fake.requests = 0;
		setenv("STORAGE_EMULATOR_HOST",
		       arena_printf(a, "%s127.0.0.1:%u", scheme ? "http://" : "", fake.port).p, 1);
		o = options();
		o.endpoint = STR_NONE;
		reopen(&o);
		ok(head(&(struct backend_stat){0}));
		assert_int_equal(fake.requests, 1);
	}
	unsetenv("STORAGE_EMULATOR_HOST");
}

/* Pages: `after` itself comes first, what is the store's own isn't shown, and disorder is told. */
static void test_gcs_answers__pages(void **state)
{
	struct backend_list_entry *v;
	size_t n;
	bool more;

	plan[0].body =
	    "{\"nextPageToken\": \"t+1\", \"items\": ["
	    "{\"name\": \"p/a\", \"size\": \"1\"}, {\"name\": \"p/b\", \"size\": \"2\"}]}";
	plan[1].body = "{\"nextPageToken\": \"t2\"}";
	plan[2].body = "{\"items\": [{\"name\": \"p/c\", \"size\": \"3\"}, {\"name\": \"p/d\", "
		       "\"size\": \"4\"}]}";
	ok(b->blocking->list(b, k.space, STR(""), STR("a"), 2, a, &v, &n, &more, &test_err));
	assert_int_equal(n, 2);
	assert_true(more);
	assert_true(str_eq(v[0].key, STR("b")) && str_eq(v[1].key, STR("c")));
	assert_int_equal(v[1].stat.size, 3);
	has(seen[0].line, "maxResults=4&");
	has(seen[0].line, "prefix=p%2F&startOffset=p%2Fa");
	has(seen[1].line, "pageToken=t%2B1");
	has(seen[2].line, "pageToken=t2");
	fake.requests = 0;
	plan[0].body = "{\"items\": [{\"name\": \"p/_sluice/uploads/x\", \"size\": \"1\"}, "
		       "{\"name\": \"p/\", \"size\": "
		       "\"0\"}, {\"name\": \"p/z\", \"size\": \"2\"}]}";
	ok(b->blocking->list(b, k.space, STR(""), STR(""), 1, a, &v, &n, &more, &test_err));
	assert_int_equal(n, 1);
	assert_false(more);
	assert_true(str_eq(v[0].key, STR("z")));
	fake.requests = 0;
	plan[0].body = "{\"items\": [{\"name\": \"p/b\", \"size\": \"1\"}, {\"name\": \"p/a\", "
		       "\"size\": \"2\"}]}";
	fails(b->blocking->list(b, k.space, STR(""), STR(""), 9, a, &v, &n, &more, &test_err), IO);
	fake.requests = 0;
	plan[0].body = "<html>";
	fails(b->blocking->list(b, k.space, STR(""), STR(""), 9, a, &v, &n, &more, &test_err), IO);
	has(test_err.msg, "no JSON");
}

static void test_gcs_answers__spaces(void **state)
{
	static const char *const bad[] = {"gs://", "gs://ab", "s3://bucket", "gs:/bucket",
					  "gs:///x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		fails(b->check_space(b, str_c(bad[i]), &test_err), INVALID);
	ok(b->check_space(b, STR("gs://bucket"), &test_err));
	ok(b->check_space(b, STR("gs://bucket/a/b/"), &test_err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_gcs_answers__##name, set_up, tear_down)
	    T(refusals),	T(tried_again),	     T(rewrite),   T(complete_with_a_class),
	    T(session_address), T(session_nonsense), T(too_large), T(customer_key),
	    T(kms_key),		T(options),	     T(pages),	   T(spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
