/* The azure adapter against a server that says what Azurite never would: tokens, slow copies,
 * halves of answers, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/azure_priv.h"
#include "base/clock.h"
#include "tests/backends/stores.h"
#include "tests/http/fake.h"

#define SPACE "https://acct1.blob.core.windows.net/c"
#define NOW "Last-Modified: Sun, 29 Nov 2026 10:00:00 GMT\r\nETag: \"0x1\"\r\n"

typedef void answer_f(void *ud, const struct fake_request *q, struct fake_answer *w);

static struct fake f;
static struct {
	pthread_mutex_t lock; /* held while answer() runs */
	answer_f *answer;
	void *ud;
} service = {.lock = PTHREAD_MUTEX_INITIALIZER};
static char base_url[40];
static struct store s;
static struct arena *a;

static void handle(struct fake *fake, const struct fake_request *q, struct fake_answer *w)
{
	pthread_mutex_lock(&service.lock);
	service.answer(service.ud, q, w);
	pthread_mutex_unlock(&service.lock);
}

static void serve(answer_f *answer, void *ud)
{
	service.answer = answer;
	service.ud = ud;
	fake_start(&f, handle);
	snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", f.port);
}

static void reply(struct fake_answer *w, const struct fake_request *q, int status,
		  const char *headers, struct str body)
{
	w->status = status;
	w->headers = arena_dup(q->a, str_c(headers));
	w->body = arena_dup(q->a, body);
}

/* What the test and the service's threads know of each other's memory. */
static void sync_service(void)
{
	pthread_mutex_lock(&service.lock);
	pthread_mutex_unlock(&service.lock);
}

static void open_store(struct backend_azure_options o)
{
	o.remote.id = STR("store");
	o.remote.workers = 4;
	o.remote.max_retries = o.remote.max_retries ? o.remote.max_retries : 3;
	o.endpoint = str_c(base_url);
	s = (struct store){.space = STR(SPACE)};
	ok(backend_azure_open(&o, &s.b, &test_err));
}

static void open_with_key(void)
{
	open_store((struct backend_azure_options){.key = STR("a2V5")});
}

static rc synced(rc r)
{
	sync_service();
	return r;
}

static rc put_k(void)
{
	sync_service();
	return synced(put_bytes(&s, "k", STR("x")));
}

static const char *const environment[] = {
    "AZURE_TENANT_ID",	    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",  "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",	    "AZURE_POD_IDENTITY_AUTHORITY_HOST"};

static int setup(void **state)
{
	for (size_t i = 0; i < sizeof(environment) / sizeof(*environment); i++)
		unsetenv(environment[i]);
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	backend_free(s.b);
	s.b = NULL;
	fake_stop(&f);
	arena_free(a);
	return 0;
}

/* Tokens. */

struct tokens {
	unsigned asked, refused_from, refused_to; /* of blobs' requests: 401 within */
	unsigned blobs, life_s;
	bool broken;
	char wanted[300]; /* what the request for a token must hold */
	char wrong[400];  /* what it was, if it didn't */
	char bearer[40];  /* of the last request for a blob */
};

static void token_answer(struct tokens *t, const struct fake_request *q, struct fake_answer *w)
{
	char json[200], all[1000];

	snprintf(all, sizeof(all), STR_FMT " " STR_FMT "%s" STR_FMT " " STR_FMT " " STR_FMT,
		 STR_ARG(q->method), STR_ARG(q->path), q->query.n ? "?" : "", STR_ARG(q->query),
		 STR_ARG(q->head), STR_ARG(q->body));
	for (const char *want = t->wanted; *want; want += strlen(want) + 1)
		if (!strstr(all, want))
			snprintf(t->wrong, sizeof(t->wrong), "no %.100s in %.250s", want, all);
	if (t->broken) {
		reply(w, q, 401, "",
		      STR("{\"error\":\"x\",\"error_description\":\"AADSTS7000215: wrong\"}"));
		return;
	}
	/* A number, or a text, as its senders have it. */
	snprintf(json, sizeof(json),
		 t->asked % 2 ? "{\"access_token\":\"token-%u\",\"expires_in\":%u}"
			      : "{\"access_token\":\"token-%u\",\"expires_in\":\"%u\",\"extra\":1}",
		 t->asked + 1, t->life_s);
	t->asked++;
	reply(w, q, 200, "Content-Type: application/json\r\n", str_c(json));
}

static bool for_token(const struct fake_request *q)
{
	return str_ends(q->path, STR("token")) || str_starts(q->path, STR("/msi"));
}

static void tokens_and_blobs(void *ud, const struct fake_request *q, struct fake_answer *w)
{
	struct tokens *t = ud;
	unsigned nth = t->blobs;

	if (for_token(q)) {
		token_answer(t, q, w);
		return;
	}
	t->blobs++;
	snprintf(t->bearer, sizeof(t->bearer), STR_FMT, STR_ARG(fake_header(q, "authorization")));
	if (nth >= t->refused_from && nth < t->refused_to)
		reply(w, q, 401, "x-ms-error-code: InvalidAuthenticationInfo\r\n", STR(""));
	else
		reply(w, q, 200, NOW, STR(""));
}

static rc head_k(void)
{
	struct object_ptr p = at(&s, "k");
	struct backend_stat st;

	sync_service();
	return synced(backend_head_now(s.b, &p, a, &st, &test_err));
}

static void want(struct tokens *t, const char *const *v, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(t->wanted + at, sizeof(t->wanted) - at, "%s", v[i]) + 1;
	t->wanted[at] = 0;
}
#define WANT(t, ...)                                                                               \
	want(t, (const char *const[]){__VA_ARGS__},                                                \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* The first token, kept for as long as it lives. */
static void check_identity(struct tokens *t)
{
	open_store((struct backend_azure_options){0});
	assert_false(s.b->caps & BACKEND_CAP_PRESIGN);
	for (int i = 0; i < 3; i++)
		ok(head_k());
	if (t->wrong[0])
		fail_msg("%s", t->wrong);
	assert_int_equal(t->asked, 1);
	assert_int_equal(t->blobs, 3);
	assert_string_equal(t->bearer, "Bearer token-1");
}

static void test_wire__identity_by_secret(void **state)
{
	struct tokens t = {.life_s = 3600};

	serve(tokens_and_blobs, &t);
	WANT(&t, "POST /tenant-1/oauth2/v2.0/token ", "client_id=app%201", "client_secret=s%26cret",
	     "grant_type=client_credentials", "scope=https%3A%2F%2Fstorage.azure.com%2F.default");
	setenv("AZURE_AUTHORITY_HOST", base_url, 1);
	setenv("AZURE_TENANT_ID", "tenant-1", 1);
	setenv("AZURE_CLIENT_ID", "app 1", 1);
	setenv("AZURE_CLIENT_SECRET", "s&cret", 1);
	check_identity(&t);
}

static void test_wire__identity_by_assertion(void **state)
{
	struct tokens t = {.life_s = 3600};
	char dir[64], path[80];
	FILE *file;

	serve(tokens_and_blobs, &t);
	store_dir_new(dir);
	snprintf(path, sizeof(path), "%s/token", dir);
	file = fopen(path, "w");
	fputs("eyJ.a+b.c\n", file);
	fclose(file);
	WANT(&t, "POST /tenant-1/oauth2/v2.0/token ", "client_assertion=eyJ.a%2Bb.c&",
	     "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-"
	     "bearer");
	setenv("AZURE_AUTHORITY_HOST", base_url, 1);
	setenv("AZURE_TENANT_ID", "tenant-1", 1);
	setenv("AZURE_CLIENT_ID", "app-1", 1);
	setenv("AZURE_FEDERATED_TOKEN_FILE", path, 1);
	check_identity(&t);
	store_dir_remove(dir);
}

static void test_wire__identity_of_the_machine(void **state)
{
	struct tokens t = {.life_s = 3600};

	serve(tokens_and_blobs, &t);
	WANT(&t, "GET /metadata/identity/oauth2/token?api-version=2018-02-01&",
	     "resource=https%3A%2F%2Fstorage.azure.com%2F", "metadata: true");
	setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", base_url, 1);
	check_identity(&t);
}

static void test_wire__identity_of_app_service(void **state)
{
	struct tokens t = {.life_s = 3600};
	char url[80];

	serve(tokens_and_blobs, &t);
	WANT(&t, "GET /msi/tok?api-version=2019-08-01&", "x-identity-header: the-header",
	     "client_id=mine");
	snprintf(url, sizeof(url), "%s/msi/tok", base_url);
	setenv("IDENTITY_ENDPOINT", url, 1);
	setenv("IDENTITY_HEADER", "the-header", 1);
	setenv("AZURE_CLIENT_ID", "mine", 1);
	check_identity(&t);
}

/* After three quarters of a short life. */
static void test_wire__tokens_are_renewed_ahead(void **state)
{
	struct tokens t = {.life_s = 8};
	int64_t until = mono_ms() + 60000;

	serve(tokens_and_blobs, &t);
	setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", base_url, 1);
	open_store((struct backend_azure_options){0});
	ok(head_k());
	t.life_s = 3600;
	while (t.asked < 2) {
		assert_true(mono_ms() < until);
		ok(head_k());
		usleep(100000);
	}
	ok(head_k());
	assert_string_equal(t.bearer, "Bearer token-2");
	assert_int_equal(t.asked, 2);
}

static void test_wire__a_refused_token_is_replaced(void **state)
{
	struct tokens t = {.life_s = 3600, .refused_from = 1, .refused_to = 2};

	serve(tokens_and_blobs, &t);
	setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", base_url, 1);
	open_store((struct backend_azure_options){0});
	ok(head_k());
	ok(head_k());
	assert_int_equal(t.asked, 2);
	assert_string_equal(t.bearer, "Bearer token-2");
	t.refused_to = 1000;
	fails(head_k(), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "identity"));
	assert_null(strstr(test_err.msg, "token-"));
}

static void test_wire__no_token(void **state)
{
	struct tokens t = {.broken = true};

	serve(tokens_and_blobs, &t);
	setenv("AZURE_AUTHORITY_HOST", base_url, 1);
	setenv("AZURE_TENANT_ID", "tenant-1", 1);
	setenv("AZURE_CLIENT_ID", "app-1", 1);
	setenv("AZURE_CLIENT_SECRET", "hush", 1);
	open_store((struct backend_azure_options){0});
	fails(head_k(), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "AADSTS7000215"));
	assert_non_null(strstr(test_err.msg, "AZURE_CLIENT_SECRET"));
	assert_null(strstr(test_err.msg, "hush"));
	assert_int_equal(t.blobs, 0);
	fails(put_k(), ServiceUnavailable);
	t.broken = false;
	t.life_s = 3600;
	for (int i = 0; i < 100 && !rc_ok(head_k()); i++)
		usleep(200000);
	ok(head_k());
}

static void test_wire__identity_configuration(void **state)
{
	struct backend_azure_options o = {.remote.id = STR("store")};
	struct backend *b;

	serve(tokens_and_blobs, NULL);
	setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://example.com", 1);
	fails(backend_azure_open(&o, &b, &test_err), CONFIG);
	setenv("AZURE_TENANT_ID", "t", 1);
	setenv("AZURE_CLIENT_ID", "c", 1);
	setenv("AZURE_CLIENT_SECRET", "s", 1);
	setenv("AZURE_AUTHORITY_HOST", "http://login.example.com", 1);
	fails(backend_azure_open(&o, &b, &test_err), CONFIG);
	setenv("AZURE_AUTHORITY_HOST", "login.example.com", 1);
	ok(backend_azure_open(&o, &b, &test_err));
	s = (struct store){.b = b, .space = STR("http://acct1.blob.core.windows.net/c")};
	fails(head_k(), INVALID); /* a token in clear text */
}

/* Copies that take their time. */

struct copy {
	unsigned looks, enough;
	const char *end;
	bool aborted;
};

static void copying(void *ud, const struct fake_request *q, struct fake_answer *w)
{
	struct copy *c = ud;
	char headers[300];
	const char *status = "pending";

	if (str_eq(q->method, STR("HEAD")) && ++c->looks >= c->enough)
		status = c->end;
	snprintf(headers, sizeof(headers),
		 NOW "x-ms-copy-id: copy-1\r\nx-ms-copy-status: "
		     "%s\r\nx-ms-copy-status-description: 500 because\r\n",
		 status);
	reply(w, q, str_eq(q->method, STR("PUT")) ? 202 : 200, headers, STR(""));
}

static rc copy_a_to_b(void)
{
	struct object_ptr from = at(&s, "a"), to = at(&s, "b");
	struct backend_stat st;

	sync_service();
	return synced(s.b->blocking->copy(s.b, &from, &to, a, &st, &test_err));
}

static void test_wire__copies_are_waited_for(void **state)
{
	struct copy c = {.enough = 3, .end = "success"};

	serve(copying, &c);
	open_with_key();
	ok(copy_a_to_b());
	assert_int_equal(c.looks, 4); /* and once for its size */
	c = (struct copy){.enough = 2, .end = "failed"};
	fails(copy_a_to_b(), IO);
	assert_non_null(strstr(test_err.msg, "500 because"));
}

/* Refusals. */

struct refusal {
	int status;
	const char *code;
	unsigned times; /* then it goes well */
	unsigned seen;
	unsigned delay_ms;
};

static void refusing(void *ud, const struct fake_request *q, struct fake_answer *w)
{
	struct refusal *r = ud;
	char headers[100], body[300];

	if (r->seen++ >= r->times) {
		reply(w, q, str_eq(q->method, STR("PUT")) ? 201 : 200, NOW, STR(""));
		return;
	}
	w->delay_ms = r->delay_ms;
	snprintf(headers, sizeof(headers), "x-ms-error-code: %s\r\n", r->code);
	snprintf(body, sizeof(body),
		 "\xef\xbb\xbf<?xml version=\"1.0\" "
		 "encoding=\"utf-8\"?><Error><Code>%s</Code><Message>It "
		 "says so.\nRequestId:1\nTime:2</Message></Error>",
		 r->code);
	reply(w, q, r->status, headers, str_eq(q->method, STR("HEAD")) ? STR("") : str_c(body));
}

static void test_wire__refusals(void **state)
{
	static const struct {
		int status;
		const char *code;
		enum err_code is;
	} rows[] = {
	    {403, "AuthenticationFailed", ERR_ServiceUnavailable},
	    {403, "AuthorizationPermissionMismatch", ERR_ServiceUnavailable},
	    {404, "ContainerNotFound", ERR_ServiceUnavailable},
	    {409, "ContainerBeingDeleted", ERR_ServiceUnavailable},
	    {404, "BlobNotFound", ERR_NOT_FOUND},
	    {404, "CannotVerifyCopySource", ERR_NOT_FOUND},
	    {409, "BlobAlreadyExists", ERR_EXISTS},
	    {412, "ConditionNotMet", ERR_EXISTS},
	    {409, "BlobArchived", ERR_IO},
	    {400, "InvalidBlockList", ERR_InvalidPart},
	    {400, "InvalidResourceName", ERR_INVALID},
	    {400, "InvalidHeaderValue", ERR_IO},
	    {413, "RequestBodyTooLarge", ERR_EntityTooLarge},
	};
	struct refusal r;

	serve(refusing, &r);
	open_with_key();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r = (struct refusal){.status = rows[i].status, .code = rows[i].code, .times = 1000};
		check_code(put_k(), rows[i].is, &test_err, __FILE__, __LINE__);
		assert_int_equal(r.seen, 1);
		assert_null(strstr(test_err.msg, "RequestId"));
		check_code(head_k(), rows[i].is, &test_err, __FILE__, __LINE__);
	}
}

static void test_wire__busy_services_are_asked_again(void **state)
{
	static const struct refusal rows[] = {
	    {.status = 503, .code = "ServerBusy", .times = 2},
	    {.status = 500, .code = "OperationTimedOut", .times = 2},
	    {.status = 500, .code = "InternalError", .times = 2}};
	struct refusal r;

	serve(refusing, &r);
	open_with_key();
	for (size_t i = 0; i < 3; i++) {
		r = rows[i];
		ok(put_k());
		assert_int_equal(r.seen, 3);
	}
	r = (struct refusal){.status = 503, .code = "ServerBusy", .times = 1000};
	fails(put_k(), SlowDown);
	assert_int_equal(r.seen, 4);
	r = (struct refusal){.status = 500, .code = "OperationTimedOut", .times = 1000};
	fails(head_k(), IO);
}

/* What it saw of the calls since `times` were to be met by silence. */
static unsigned seen_of(struct refusal *r)
{
	unsigned n;

	pthread_mutex_lock(&service.lock);
	n = r->seen;
	pthread_mutex_unlock(&service.lock);
	return n;
}

static void be_silent(struct refusal *r, unsigned times)
{
	pthread_mutex_lock(&service.lock);
	*r = (struct refusal){.status = 403, .code = "NeverSeen", .times = times, .delay_ms = 2000};
	pthread_mutex_unlock(&service.lock);
}

/* azure.try_timeout ends an attempt, and another one is made. Where the machine takes longer than that for one that
 * is answered at once, it is one more, or comes to the service after the call, or never: then once more. */
static void test_wire__silence(void **state)
{
	enum { TRIES = 20 };
	static struct refusal r; /* for who comes after the test */
	bool met = false;

	serve(refusing, &r);
	open_store((struct backend_azure_options){.key = STR("a2V5"), .try_ms = 300});
	for (int i = 0; i < TRIES && !met; i++) {
		be_silent(&r, 1);
		met = rc_ok(head_k()) && seen_of(&r) == 2;
	}
	assert_true(met);
	met = false;
	for (int i = 0; i < TRIES && !met; i++) {
		be_silent(&r, 100);
		fails(put_k(), IO);
		assert_non_null(strstr(test_err.msg, "127.0.0.1"));
		met = seen_of(&r) == 4;
	}
	assert_true(met);
}

/* Whether the second attempt would have found the first one's work can't be told. */
static void test_wire__conditional_writes_are_not_guessed(void **state)
{
	struct refusal r = {.status = 500, .code = "OperationTimedOut", .times = 1};
	struct backend_put_options o = {.if_absent = true};
	struct object_ptr p = at(&s, "k");
	struct backend_stat st;
	struct body *body = body_mem_new(a, STR("x"));

	serve(refusing, &r);
	open_with_key();
	p.space = s.space;
	fails(synced(backend_put_now(s.b, &p, &o, body, a, &st, &test_err)), UNKNOWN_OUTCOME);
	assert_int_equal(r.seen, 1);
	body_close(body);
}

/* Listings. */

static void out_of_order(void *ud, const struct fake_request *q, struct fake_answer *w)
{
	reply(w, q, 200, "",
	      STR("<EnumerationResults><Blobs>"
		  "<Blob><Name>d</Name><Properties><Content-Length>0</"
		  "Content-Length><ResourceType>directory"
		  "</ResourceType></Properties></Blob>"
		  "<Blob><Name>d/x</Name><Properties><Content-Length>1</"
		  "Content-Length></Properties></Blob>"
		  "<Blob><Name>d-y</Name><Properties><Content-Length>1</"
		  "Content-Length></Properties></Blob>"
		  "</Blobs><NextMarker/></EnumerationResults>"));
}

/* Names would be missed, were that listing gone on with. */
static void test_wire__hierarchical_namespaces(void **state)
{
	struct backend_list_entry *v;
	size_t n;
	bool more;

	serve(out_of_order, NULL);
	open_with_key();
	fails(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 10, a, &v, &n, &more, &test_err),
	      UNSUPPORTED);
	assert_non_null(strstr(test_err.msg, "hierarchical"));
}

enum { NAMES = 100 };

struct pages {
	unsigned requests;
};

static uint64_t parameter(struct str query, const char *name, uint64_t otherwise)
{
	size_t at = str_find(query, str_c(name));
	struct str value = str_skip(query, at < query.n ? at + strlen(name) : query.n);
	uint64_t n;

	return str_to_u64(str_head(value, str_index(value, '&')), &n) ? n : otherwise;
}

/* n000 to n099; a marker is a number. */
static void paging(void *ud, const struct fake_request *q, struct fake_answer *w)
{
	struct pages *p = ud;
	uint64_t from = parameter(q->query, "marker=", 0),
		 max = parameter(q->query, "maxresults=", 1);
	struct buf b = BUF_INIT(64 * 1024);

	p->requests++;
	buf_add_cstr(&b, "<EnumerationResults><Blobs>");
	for (; from < NAMES && max; from++, max--)
		buf_printf(&b,
			   "<Blob><Name>n%03u</Name><Properties><Content-Length>1</Content-Length>"
			   "</Properties></Blob>",
			   (unsigned)from);
	buf_add_cstr(&b, "</Blobs>");
	if (from < NAMES)
		buf_printf(&b, "<NextMarker>%u</NextMarker>", (unsigned)from);
	buf_add_cstr(&b, "</EnumerationResults>");
	reply(w, q, 200, "", buf_str(&b));
	buf_deinit(&b);
}

static unsigned walk(struct str from, size_t page)
{
	unsigned all = 0;
	bool more = true;

	while (more) {
		struct backend_list_entry *v;
		size_t n;

		sync_service();
		ok(synced(s.b->blocking->list(s.b, s.space, STR(""), from, page, a, &v, &n, &more,
					      &test_err)));
		assert_true(n > 0 && str_cmp(v[0].key, from) > 0);
		from = v[n - 1].key;
		all += (unsigned)n;
	}
	return all;
}

/* A request for each page, and none for what was answered before. */
static void test_wire__listings_go_on_where_they_ended(void **state)
{
	struct pages p = {0};

	serve(paging, &p);
	open_with_key();
	assert_int_equal(walk(STR(""), 10), NAMES);
	assert_int_equal(p.requests, 10);
	assert_int_equal(walk(STR("n049"), 25), 50);
	assert_int_equal(p.requests, 12);
	assert_int_equal(walk(STR("n0495"), 25),
			 50); /* nobody was there before: once from the start */
	assert_true(p.requests <= 14);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_wire__##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(identity_by_secret),
	    T(identity_by_assertion),
	    T(identity_of_the_machine),
	    T(identity_of_app_service),
	    T(tokens_are_renewed_ahead),
	    T(a_refused_token_is_replaced),
	    T(no_token),
	    T(identity_configuration),
	    T(copies_are_waited_for),
	    T(refusals),
	    T(busy_services_are_asked_again),
	    T(silence),
	    T(conditional_writes_are_not_guessed),
	    T(hierarchical_namespaces),
	    T(listings_go_on_where_they_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
