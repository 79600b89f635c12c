/* Who a store is to Google: where credentials are found, what is wrong with them, and tokens that
 * are renewed ahead of their end while many threads use them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "base/encode.h"
#include "tests/backends/gcs_gate.h"
#include "tests/backends/stores.h"
#include "tests/http/fake.h"

#define USER                                                                                       \
	"{\"type\": \"authorized_user\", \"client_id\": \"the id\", \"client_secret\": "           \
	"\"a&b=c\", "                                                                              \
	"\"refresh_token\": \"1//SECRET\", \"token_uri\": \"%s\"}"

static struct fake fake;
static struct backend *b;
static struct arena *a;
static char folder[64];
static char *account, *wrong_account;

/* What the endpoint does. */
static atomic_uint given;
static atomic_int status, life_s;
static atomic_bool held, holding;
static struct {
	char method[8], path[128], form[4096], flavor[16];
} seen;

static void handle(struct fake *f, const struct fake_request *q, struct fake_answer *w)
{
	snprintf(seen.method, sizeof(seen.method), STR_FMT, STR_ARG(q->method));
	snprintf(seen.path, sizeof(seen.path), STR_FMT, STR_ARG(q->path));
	snprintf(seen.form, sizeof(seen.form), STR_FMT, STR_ARG(q->body));
	snprintf(seen.flavor, sizeof(seen.flavor), STR_FMT,
		 STR_ARG(fake_header(q, "metadata-flavor")));
	holding = true;
	while (held)
		usleep(1000);
	w->status = status;
	if (status == 200)
		w->body = arena_printf(
		    q->a,
		    "{\"access_token\": \"t%u\", \"token_type\": \"Bearer\", \"expires_in\": %d}",
		    atomic_fetch_add(&given, 1), life_s);
	else if (status == 400)
		w->body = STR("{\"error\": \"invalid_grant\", \"error_description\": \"Invalid JWT "
			      "Signature.\"}");
}

static int set_up(void **state)
{
	struct backend_gcs_options o = {
	    .remote = {.id = STR("store"), .workers = 2, .deadline_ms = 20000}};

	unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
	unsetenv("STORAGE_EMULATOR_HOST");
	store_dir_new(folder);
	setenv("HOME", folder, 1);
	given = 0;
	status = 200;
	life_s = 3600;
	held = holding = false;
	fake_start(&fake, handle);
	a = arena_new();
	o.endpoint = arena_printf(a, "http://127.0.0.1:%u", fake.port);
	account = gcs_gate_account(fake.port, false);
	wrong_account = gcs_gate_account(fake.port, true);
	return rc_ok(backend_gcs_open(&o, &b, &test_err)) ? 0 : -1;
}

static int tear_down(void **state)
{
	held = false;
	backend_free(b);
	fake_stop(&fake);
	store_dir_remove(folder);
	free(account);
	free(wrong_account);
	arena_free(a);
	return 0;
}

static struct gcs_identity *open_json(const char *json)
{
	struct gcs_identity *i = NULL;

	ok(gcs_identity_new(STR_NONE, str_c(json), false, &i, &test_err));
	return i;
}

static rc ask(struct gcs_identity *i, struct str *ret)
{
	return gcs_identity_token(i, &gcs_of(b)->r, a, ret, &test_err);
}

static void gets(struct gcs_identity *i, const char *token)
{
	struct str got;

	ok(ask(i, &got));
	if (!str_eq(got, str_c(token)))
		fail_msg("got \"" STR_FMT "\", not \"%s\"", STR_ARG(got), token);
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = arena_printf(a, "%s/%s", folder, name).p;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static struct str field(const char *name)
{
	struct str rest = str_c(seen.form), value, decoded;

	while (rest.p) {
		struct str one = str_cut(rest, '&', &rest);

		if (str_eq(str_cut(one, '=', &value), str_c(name))) {
			assert_true(uri_decode(a, value, true, &decoded));
			return decoded;
		}
	}
	return STR("");
}

/* RFC 7523: a JWT of three pieces, signed, about this account, for this endpoint, for an hour. */
static void test_gcs_identity__service_account(void **state)
{
	struct gcs_identity *i = open_json(account);
	struct str jwt, head, claims, rest, signature;
	struct json *j;

	gets(i, "t0");
	gets(i, "t0");
	assert_int_equal(fake.requests, 1);
	assert_string_equal(seen.method, "POST");
	assert_string_equal(seen.path, "/token");
	assert_true(
	    str_eq(field("grant_type"), STR("urn:ietf:params:oauth:grant-type:jwt-bearer")));
	jwt = field("assertion");
	head = str_cut(jwt, '.', &rest);
	claims = str_cut(rest, '.', &rest);
	assert_true(base64url_decode(a, rest, &signature));
	assert_true(gcs_gate_verify(str_head(jwt, head.n + 1 + claims.n), signature));
	assert_true(base64url_decode(a, head, &head) && base64url_decode(a, claims, &claims));
	assert_true(str_eq(head, STR("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}")));
	ok(json_parse(a, claims, &j, &test_err));
	assert_true(
	    str_eq(json_str(json_member(j, "iss")), STR("sluice@test.iam.gserviceaccount.com")));
	assert_true(str_ends(json_str(json_member(j, "aud")), STR("/token")));
	assert_int_equal(json_int(json_member(j, "exp")) - json_int(json_member(j, "iat")), 3600);
	assert_true(llabs(json_int(json_member(j, "iat")) - wall_now().s) < 300);
	assert_true(gcs_identity_signs(i));
	gcs_identity_free(i);
}

static void test_gcs_identity__authorized_user(void **state)
{
	char json[512];
	struct gcs_identity *i;
	struct str signature;

	snprintf(json, sizeof(json), USER,
		 arena_printf(a, "http://localhost:%u/token", fake.port).p);
	i = open_json(json);
	gets(i, "t0");
	assert_true(str_eq(field("grant_type"), STR("refresh_token")));
	assert_true(str_eq(field("client_id"), STR("the id")));
	assert_true(str_eq(field("client_secret"), STR("a&b=c")));
	assert_true(str_eq(field("refresh_token"), STR("1//SECRET")));
	assert_false(gcs_identity_signs(i));
	fails(gcs_identity_sign(i, a, STR("x"), &signature, &test_err), UNSUPPORTED);
	gcs_identity_free(i);
}

static void test_gcs_identity__metadata_server(void **state)
{
	struct gcs_identity *i;

	setenv("GCE_METADATA_HOST", arena_printf(a, "127.0.0.1:%u", fake.port).p, 1);
	ok(gcs_identity_new(STR_NONE, STR_NONE, false, &i, &test_err));
	gets(i, "t0");
	assert_string_equal(seen.method, "GET");
	assert_string_equal(seen.path,
			    "/computeMetadata/v1/instance/service-accounts/default/token");
	assert_string_equal(seen.flavor, "Google");
	gcs_identity_free(i);
	/* No account is attached to the machine. */
	status = 404;
	ok(gcs_identity_new(STR_NONE, STR_NONE, false, &i, &test_err));
	fails(ask(i, &(struct str){0}), ServiceUnavailable);
	assert_non_null(strstr(test_err.msg, "the metadata server"));
	assert_non_null(strstr(test_err.msg, "gs.credentials_file"));
	gcs_identity_free(i);
	unsetenv("GCE_METADATA_HOST");
}

/* Options before the environment before gcloud's file before the metadata server. */
static void test_gcs_identity__order(void **state)
{
	const char *file = write_file("key.json", account),
		   *broken = write_file("broken.json", "{");
	struct gcs_identity *i;

	ok(gcs_identity_new(str_c(file), STR_NONE, false, &i, &test_err));
	gets(i, "t0");
	gcs_identity_free(i);
	ok(gcs_identity_new(str_c(broken), str_c(account), false, &i, &test_err));
	gcs_identity_free(i);
	mkdir(arena_printf(a, "%s/.config", folder).p, 0700);
	mkdir(arena_printf(a, "%s/.config/gcloud", folder).p, 0700);
	write_file(".config/gcloud/application_default_credentials.json", account);
	ok(gcs_identity_new(STR_NONE, STR_NONE, false, &i, &test_err));
	assert_true(gcs_identity_signs(i));
	gcs_identity_free(i);
	setenv("GOOGLE_APPLICATION_CREDENTIALS", broken, 1);
	fails(gcs_identity_new(STR_NONE, STR_NONE, false, &i, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "GOOGLE_APPLICATION_CREDENTIALS"));
	assert_non_null(strstr(test_err.msg, broken));
	ok(gcs_identity_new(str_c(file), STR_NONE, false, &i, &test_err));
	gcs_identity_free(i);
	unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
}

static void test_gcs_identity__anonymous(void **state)
{
	struct gcs_identity *i;
	struct str token;

	ok(gcs_identity_new(STR_NONE, STR_NONE, true, &i, &test_err));
	ok(ask(i, &token));
	assert_null(token.p);
	assert_int_equal(fake.requests, 0);
	gcs_identity_free(i);
}

/* Each says where it was found and what to do, and nothing of what is in it. */
static void test_gcs_identity__bad_credentials(void **state)
{
	static const char *const bad[][2] = {
	    {"", "no JSON"},
	    {"SECRET", "no JSON"},
	    {"[\"SECRET\"]", "no JSON"},
	    {"{\"private_key\": \"SECRET\"}", "lacks \"type\""},
	    {"{\"type\": \"external_account\", \"x\": \"SECRET\"}", "\"external_account\""},
	    {"{\"type\": \"service_account\", \"private_key\": \"SECRET\"}", "\"client_email\""},
	    {"{\"type\": \"service_account\", \"client_email\": \"SECRET\"}", "\"private_key\""},
	    {"{\"type\": \"service_account\", \"client_email\": \"e\", \"private_key\": "
	     "\"SECRET\"}",
	     "private_key"},
	    {"{\"type\": \"authorized_user\", \"client_id\": \"SECRET\"}", "\"refresh_token\""},
	    {"{\"type\": \"authorized_user\", \"refresh_token\": \"SECRET\"}", "\"client_id\""},
	    {"{\"type\": \"authorized_user\", \"refresh_token\": \"SECRET\", \"client_id\": \"i\", "
	     "\"token_uri\": \"http://127.0.0.1.example.com/SECRET\"}",
	     "https://"},
	};
	struct gcs_identity *i;

	for (size_t k = 0; k < sizeof(bad) / sizeof(*bad); k++) {
		const char *file = write_file("bad.json", bad[k][0]);

		fails(gcs_identity_new(str_c(file), STR_NONE, false, &i, &test_err), CONFIG);
		assert_non_null(strstr(test_err.msg, bad[k][1]));
		assert_non_null(strstr(test_err.msg, file));
		assert_non_null(strstr(test_err.msg, "service account"));
		assert_null(strstr(test_err.msg, "SECRET"));
		if (!bad[k][0][0])
			continue;
		fails(gcs_identity_new(STR_NONE, str_c(bad[k][0]), false, &i, &test_err), CONFIG);
		assert_non_null(strstr(test_err.msg, "gs.credentials_json"));
		assert_null(strstr(test_err.msg, "SECRET"));
	}
	fails(gcs_identity_new(STR("/nowhere/key.json"), STR_NONE, false, &i, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, "\"/nowhere/key.json\""));
	fails(gcs_identity_new(str_c(folder), STR_NONE, false, &i, &test_err), CONFIG);
	assert_non_null(strstr(test_err.msg, folder));
}

/* The endpoint knows the account and says no: for good, without asking again and again. */
static void test_gcs_identity__refused(void **state)
{
	struct gcs_identity *i = open_json(wrong_account);
	int64_t begun = mono_ms();
	struct str token;

	status = 400;
	fails(ask(i, &token), AccessDenied);
	assert_non_null(strstr(test_err.msg, "the service account"));
	assert_non_null(strstr(test_err.msg, "invalid_grant Invalid JWT Signature."));
	assert_non_null(strstr(test_err.msg, "the clock"));
	assert_null(strstr(test_err.msg, "PRIVATE"));
	for (int k = 0; k < 5; k++)
		fails(ask(i, &token), AccessDenied);
	assert_true(fake.requests <= 2 + (mono_ms() - begun) / 2000);
	gcs_identity_free(i);
}

/* Answers that are no token. */
static void test_gcs_identity__nonsense(void **state)
{
	struct gcs_identity *i = open_json(account);

	status = 302;
	fails(ask(i, &(struct str){0}), ServiceUnavailable);
	gcs_identity_free(i);
	status = 200;
	life_s = 0;
	i = open_json(account);
	fails(ask(i, &(struct str){0}), ServiceUnavailable);
	life_s = -5;
	gcs_identity_free(i);
	i = open_json(account);
	fails(ask(i, &(struct str){0}), ServiceUnavailable);
	gcs_identity_free(i);
}

static void test_gcs_identity__forgotten(void **state)
{
	struct gcs_identity *i = open_json(account);

	gets(i, "t0");
	assert_false(gcs_identity_forget(i, STR("another")));
	assert_false(gcs_identity_forget(i, STR_NONE));
	gets(i, "t0");
	assert_true(gcs_identity_forget(i, STR("t0")));
	gets(i, "t1");
	assert_false(gcs_identity_forget(i, STR("t0")));
	gets(i, "t1");
	gcs_identity_free(i);
}

enum { THREADS = 8 };

struct asker {
	pthread_t thread;
	struct gcs_identity *i;
	struct arena *a;
	struct str token;
	rc r;
	_Atomic bool done;
};

static void *run_asker(void *ud)
{
	struct asker *k = ud;
	struct err e;

	k->r = gcs_identity_token(k->i, &gcs_of(b)->r, k->a, &k->token, &e);
	k->done = true;
	return NULL;
}

static void start(struct asker *v, size_t n, struct gcs_identity *i)
{
	for (size_t k = 0; k < n; k++) {
		v[k] = (struct asker){.i = i, .a = arena_new()};
		pthread_create(&v[k].thread, NULL, run_asker, &v[k]);
	}
}

static void finish(struct asker *v, size_t n, const char *token)
{
	for (size_t k = 0; k < n; k++) {
		pthread_join(v[k].thread, NULL);
		if (token) {
			assert_true(rc_ok(v[k].r));
			assert_true(str_eq(v[k].token, str_c(token)));
		} else {
			assert_true(rc_is(v[k].r, AccessDenied));
		}
		arena_free(v[k].a);
	}
}

/* There is no token yet: one asks, all wait, and all have what came of it. */
static void test_gcs_identity__waiters(void **state)
{
	struct gcs_identity *i = open_json(account);
	struct asker v[THREADS];

	held = true;
	start(v, THREADS, i);
	while (!holding)
		usleep(1000);
	usleep(50000);
	held = false;
	finish(v, THREADS, "t0");
	assert_int_equal(fake.requests, 1);
	assert_true(gcs_identity_forget(i, STR("t0")));
	status = 400;
	held = true;
	start(v, THREADS, i);
	usleep(50000);
	held = false;
	finish(v, THREADS, NULL);
	gcs_identity_free(i);
}

static void sleep_until(int64_t ms)
{
	while (mono_ms() < ms)
		usleep(10000);
}

/* Those who came to it before the token's end have the old one, the others may. */
static void finish_mixed(struct asker *v, const bool *early)
{
	for (size_t k = 0; k < THREADS; k++) {
		pthread_join(v[k].thread, NULL);
		assert_true(rc_ok(v[k].r));
		assert_true(str_eq(v[k].token, STR("t0")) || (!early[k] && str_eq(v[k].token, STR("t1"))));
		arena_free(v[k].a);
	}
}

/* One renews ahead of the end, while the others go on with the old token. False: the machine was
 * too slow to tell. */
static bool renews_ahead(void)
{
	enum { LIFE_MS = 8000 };
	struct gcs_identity *i;
	struct asker first, others[THREADS];
	int64_t begun = mono_ms();
	bool in_time, early[THREADS];

	given = 0;
	life_s = LIFE_MS / 1000;
	i = open_json(account);
	gets(i, "t0");
	sleep_until(mono_ms() + LIFE_MS * 3 / 4 + 50);
	held = true;
	holding = false;
	start(&first, 1, i);
	while (!holding)
		usleep(1000);
	start(others, THREADS, i);
	while (mono_ms() < begun + LIFE_MS && !others[THREADS - 1].done)
		usleep(1000);
	in_time = true;
	for (size_t k = 0; k < THREADS; k++)
		in_time &= early[k] = others[k].done;
	in_time &= mono_ms() < begun + LIFE_MS;
	if (in_time)
		assert_false(first.done);
	held = false;
	finish(&first, 1, "t1");
	finish_mixed(others, early);
	gcs_identity_free(i);
	return in_time;
}

static void test_gcs_identity__renewed_ahead(void **state)
{
	for (int k = 0; k < 10; k++)
		if (renews_ahead())
			return;
	fail_msg("no thread went on with the old token");
}

/* The renewal fails while the old token works: nobody notices; when it has ended: everybody; then
 * all is well again. */
static void test_gcs_identity__failure_while_the_old_one_works(void **state)
{
	struct gcs_identity *i = open_json(account);
	int64_t begun = mono_ms(), until;
	unsigned asked;
	struct str token;
	rc r;

	life_s = 6;
	gets(i, "t0");
	sleep_until(mono_ms() + 4600);
	status = 500;
	r = ask(i, &token);
	asked = fake.requests;
	if (mono_ms() < begun + 6000) {
		ok(r);
		assert_true(str_eq(token, STR("t0")));
		assert_int_equal(asked, 2);
		r = ask(i, &token);
		if (mono_ms() < begun + 6000) {
			ok(r);
			assert_int_equal(fake.requests, asked); /* not again at once */
		}
	}
	sleep_until(mono_ms() + 2000);
	fails(ask(i, &token), ServiceUnavailable);
	status = 200;
	for (until = mono_ms() + 60000; !rc_ok(ask(i, &token));) {
		assert_true(mono_ms() < until);
		usleep(20000);
	}
	assert_true(str_eq(token, STR("t1")));
	gcs_identity_free(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_gcs_identity__##name, set_up, tear_down)
	    T(service_account), T(authorized_user), T(metadata_server),
	    T(order),		T(anonymous),	    T(bad_credentials),
	    T(refused),		T(nonsense),	    T(forgotten),
	    T(waiters),		T(renewed_ahead),   T(failure_while_the_old_one_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
