/* The chain of AWS credentials: each source by files and made-up services, and renewal by many
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/aws_credentials.h"
#include "tests/http/fake.h"

static struct fake fake;
static struct arena *a;
static struct err err;
static char folder[64];

/* The environment of a test: names and values in turn. */
static const char *variables[40];

static const char *env(const char *name)
{
	for (size_t i = 0; variables[i]; i += 2)
		if (strcmp(variables[i], name) == 0)
			return variables[i + 1];
	return NULL;
}

static void set_env(const char *name, const char *value)
{
	size_t i = 0;

	while (variables[i] && strcmp(variables[i], name) != 0)
		i += 2;
	variables[i] = name;
	variables[i + 1] = arena_cstr(a, str_c(value));
}

static void write_file(const char *name, const char *text, const char *variable)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	if (variable)
		set_env(variable, path);
}

/* What the made-up services do. */
static atomic_uint sessions, fetched;
static atomic_int lives_s;
static atomic_bool broken, held, holding;
static char container_token[64], form[4096];

static void json(const struct fake_request *q, struct fake_answer *w)
{
	struct timestamp t = wall_now();
	char iso[25];

	t.s += lives_s;
	time_iso_ms(t, iso);
	w->status = 200;
	w->body = arena_printf(
	    q->a,
	    "{\"Code\":\"Success\",\"AccessKeyId\":\"AK%u\",\"SecretAccessKey\":\"SK\","
	    "\"Token\":\"T\",\"Expiration\":\"%s\"}",
	    atomic_fetch_add(&fetched, 1), iso);
}

static void instance(const struct fake_request *q, struct fake_answer *w)
{
	if (str_eq(q->path, STR("/latest/api/token"))) {
		assert_true(str_eq(q->method, STR("PUT")));
		assert_true(fake_header(q, "x-aws-ec2-metadata-token-ttl-seconds").n > 0);
		atomic_fetch_add(&sessions, 1);
		w->status = 200;
		w->body = STR("session");
		return;
	}
	if (!str_eq(fake_header(q, "x-aws-ec2-metadata-token"), STR("session"))) {
		w->status = 401;
		return;
	}
	if (str_eq(q->path, STR("/latest/meta-data/iam/security-credentials/"))) {
		w->status = 200;
		w->body = STR("the role");
	} else if (str_eq(q->path, STR("/latest/meta-data/iam/security-credentials/the%20role"))) {
		json(q, w);
	}
}

static void sts(const struct fake_request *q, struct fake_answer *w)
{
	struct timestamp t = wall_now();
	char iso[25];

	snprintf(form, sizeof(form), STR_FMT, STR_ARG(q->body));
	if (str_find(q->body, STR("WebIdentityToken=bad")) < q->body.n) {
		w->status = 400;
		w->body =
		    STR("<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>No, it is "
			"not.</Message></Error></ErrorResponse>");
		return;
	}
	t.s += lives_s;
	time_iso_ms(t, iso);
	w->status = 200;
	w->body = arena_printf(
	    q->a,
	    "<AssumeRoleWithWebIdentityResponse "
	    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
	    "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>STS%u</AccessKeyId>"
	    "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
	    "<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
	    "</AssumeRoleWithWebIdentityResponse>",
	    atomic_fetch_add(&fetched, 1), iso);
}

static void handle(struct fake *f, const struct fake_request *q, struct fake_answer *w)
{
	holding = held;
	while (held)
		usleep(1000);
	if (broken) {
		w->status = 500;
	} else if (str_eq(q->path, STR("/container"))) {
		snprintf(container_token, sizeof(container_token), STR_FMT,
			 STR_ARG(fake_header(q, "authorization")));
		json(q, w);
	} else if (str_eq(q->path, STR("/"))) {
		sts(q, w);
	} else {
		instance(q, w);
	}
}

static int setup(void **state)
{
	a = arena_new();
	memset(variables, 0, sizeof(variables));
	snprintf(folder, sizeof(folder), "/tmp/sluice-aws-XXXXXX");
	assert_non_null(mkdtemp(folder));
	fake_start(&fake, handle);
	set_env("HOME", folder);
	set_env("AWS_EC2_METADATA_DISABLED", "true");
	sessions = fetched = 0;
	lives_s = 3600;
	broken = false;
	container_token[0] = form[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"credentials", "config", "token", "other"};
	char path[128];

	fake_stop(&fake);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	arena_free(a);
	return 0;
}

static struct aws_credentials *chain(struct aws_credentials_options o)
{
	struct aws_credentials *c;
	rc r;

	o.env = env;
	r = aws_credentials_new(&o, &c, &err);
	if (!rc_ok(r))
		fail_msg("%s", err.msg);
	return c;
}

static void expect(struct aws_credentials *c, const char *id, const char *secret, const char *token)
{
	struct aws_keys k;
	rc r = aws_credentials_get(c, a, &k, &err);

	if (!rc_ok(r))
		fail_msg("%s", err.msg);
	assert_true(str_eq(k.access_key, str_c(id)));
	assert_true(str_eq(k.secret, str_c(secret)));
	assert_true(token ? str_eq(k.token, str_c(token)) : k.token.p == NULL);
}

static void expect_once(struct aws_credentials_options o, const char *id, const char *secret,
			const char *token)
{
	struct aws_credentials *c = chain(o);

	expect(c, id, secret, token);
	aws_credentials_free(c);
}

static void refused(struct aws_credentials_options o, const char *text)
{
	struct aws_credentials *c = chain(o);
	struct aws_keys k;

	assert_int_equal(aws_credentials_get(c, a, &k, &err).code, ERR_ServiceUnavailable);
	if (!strstr(err.msg, text))
		fail_msg("\"%s\" doesn't say \"%s\"", err.msg, text);
	aws_credentials_free(c);
}

static void test_aws__static_and_environment(void **state)
{
	struct aws_credentials_options o = {.access_key = STR("id"), .secret = STR("secret")};
	struct aws_credentials *c;

	set_env("AWS_ACCESS_KEY_ID", "env id");
	set_env("AWS_SECRET_ACCESS_KEY", "env secret");
	expect_once(o, "id", "secret", NULL);
	o.token = STR("token");
	expect_once(o, "id", "secret", "token");
	expect_once((struct aws_credentials_options){0}, "env id", "env secret", NULL);
	set_env("AWS_SESSION_TOKEN", "env token");
	expect_once((struct aws_credentials_options){0}, "env id", "env secret", "env token");
	o.secret = STR_NONE;
	assert_int_equal(aws_credentials_new(&o, &c, &err).code, ERR_CONFIG);
}

static const char credentials[] = "# a comment\n"
				  "[default]\n"
				  "aws_access_key_id = D1\n"
				  "aws_secret_access_key=D2\r\n"
				  "\n"
				  "[ other ]\n"
				  "aws_access_key_id=O1\n"
				  "  nested = no\n"
				  "aws_secret_access_key = O2==\n"
				  "aws_session_token = O3\n"
				  "[empty]\n"
				  "[process]\ncredential_process = /bin/true\n";

static void test_aws__profiles(void **state)
{
	char path[128];
	struct aws_credentials_options o = {.profile = STR("other")};

	write_file("credentials", credentials, "AWS_SHARED_CREDENTIALS_FILE");
	write_file("config",
		   "[profile of-config]\naws_access_key_id=C1\naws_secret_access_key=C2\n",
		   "AWS_CONFIG_FILE");
	expect_once((struct aws_credentials_options){0}, "D1", "D2", NULL);
	expect_once(o, "O1", "O2==", "O3");
	o.profile = STR("of-config");
	expect_once(o, "C1", "C2", NULL);
	set_env("AWS_PROFILE", "other");
	expect_once((struct aws_credentials_options){0}, "O1", "O2==", "O3");
	o.profile = STR("nobody");
	refused(o, "no AWS profile \"nobody\"");
	o.profile = STR("empty");
	refused(o, "has no keys");
	o.profile = STR("process");
	refused(o, "credential_process");
	snprintf(path, sizeof(path), "%s/other", folder);
	write_file("other", "[other]\naws_access_key_id=F1\naws_secret_access_key=F2\n", NULL);
	o = (struct aws_credentials_options){.credentials_file = str_c(path)};
	expect_once(o, "F1", "F2", NULL);
	o.credentials_file = STR("/nowhere/at/all");
	refused(o, "/nowhere/at/all");
}

static void sts_env(const char *token)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", fake.port);
	set_env("AWS_ENDPOINT_URL_STS", url);
	write_file("token", token, "AWS_WEB_IDENTITY_TOKEN_FILE");
	set_env("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
}

static void test_aws__web_identity(void **state)
{
	struct aws_credentials_options o = {.session_s = 900};

	sts_env("a.web+token\n");
	expect_once(o, "STS0", "s", "t");
	assert_non_null(strstr(form, "Action=AssumeRoleWithWebIdentity&"));
	assert_non_null(strstr(form, "WebIdentityToken=a.web%2Btoken"));
	assert_non_null(strstr(form, "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"));
	assert_non_null(strstr(form, "RoleSessionName=sluice-"));
	assert_non_null(strstr(form, "DurationSeconds=900"));
	set_env("AWS_ROLE_SESSION_NAME", "mine");
	expect_once((struct aws_credentials_options){0}, "STS1", "s", "t");
	assert_non_null(strstr(form, "RoleSessionName=mine"));
	assert_null(strstr(form, "DurationSeconds"));
	write_file("token", "bad", NULL);
	refused(o, "InvalidIdentityToken");
	assert_null(strstr(err.msg, "bad"));
}

static void test_aws__container(void **state)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/container", fake.port);
	set_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
	expect_once((struct aws_credentials_options){0}, "AK0", "SK", "T");
	assert_string_equal(container_token, "");
	set_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "auth");
	expect_once((struct aws_credentials_options){0}, "AK1", "SK", "T");
	assert_string_equal(container_token, "auth");
	write_file("token", "of a file\n", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	expect_once((struct aws_credentials_options){0}, "AK2", "SK", "T");
	assert_string_equal(container_token, "of a file");
	set_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/container");
	refused((struct aws_credentials_options){0}, "neither https nor of this host");
}

static void instance_env(void)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", fake.port);
	set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
	set_env("AWS_EC2_METADATA_DISABLED", "false");
}

static void test_aws__instance(void **state)
{
	instance_env();
	expect_once((struct aws_credentials_options){0}, "AK0", "SK", "T");
	assert_int_equal(sessions, 1);
	broken = true;
	refused((struct aws_credentials_options){0}, "IMDSv2");
}

static void test_aws__nothing_at_all(void **state)
{
	refused((struct aws_credentials_options){0}, "there are no AWS credentials");
	set_env("AWS_EC2_METADATA_DISABLED", "false");
	set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
	refused((struct aws_credentials_options){0}, "there are no AWS credentials");
}

/* Kept while they are good, and while renewing fails. */
static void test_aws__kept_and_renewed(void **state)
{
	struct aws_credentials *c;

	instance_env();
	c = chain((struct aws_credentials_options){0});
	expect(c, "AK0", "SK", "T");
	expect(c, "AK0", "SK", "T");
	assert_int_equal(fetched, 1);
	assert_false(aws_credentials_refused(c, STR("AK0"))); /* just fetched */
	assert_true(aws_credentials_refused(c, STR("an older one")));
	aws_credentials_free(c);
	/* Beyond its window at once, and then renewed half a minute later at the soonest. */
	lives_s = 100;
	c = chain((struct aws_credentials_options){.window_s = 300});
	expect(c, "AK1", "SK", "T");
	broken = true;
	expect(c, "AK1", "SK", "T");
	aws_credentials_free(c);
	/* Over at once. */
	broken = false;
	lives_s = -10;
	c = chain((struct aws_credentials_options){0});
	expect(c, "AK2", "SK", "T");
	expect(c, "AK3", "SK", "T");
	broken = true;
	assert_int_equal(aws_credentials_get(c, a, &(struct aws_keys){0}, &err).code,
			 ERR_ServiceUnavailable);
	aws_credentials_free(c);
}

static struct aws_credentials *shared;
static atomic_uint failures;

static void *get_often(void *ud)
{
	for (int i = 0; i < 50; i++) {
		struct arena *own = arena_new();
		struct aws_keys k;
		struct err e;

		if (!rc_ok(aws_credentials_get(shared, own, &k, &e)) ||
		    !str_starts(k.access_key, STR("AK")) || !str_eq(k.secret, STR("SK")))
			atomic_fetch_add(&failures, 1);
		arena_free(own);
	}
	return NULL;
}

/* lives_s: for ever, and so short that every get renews. */
static void test_aws__many_threads(void **state)
{
	instance_env();
	for (int i = 0; i < 2; i++) {
		pthread_t t[8];

		lives_s = i ? -1 : 3600;
		fetched = failures = 0;
		shared = chain((struct aws_credentials_options){0});
		for (size_t k = 0; k < 8; k++)
			assert_int_equal(pthread_create(&t[k], NULL, get_often, NULL), 0);
		for (size_t k = 0; k < 8; k++)
			pthread_join(t[k], NULL);
		assert_int_equal(failures, 0);
		if (i == 0)
			assert_int_equal(fetched, 1);
		aws_credentials_free(shared);
	}
}

static void *get_one(void *ud)
{
	struct arena *own = arena_new();
	struct aws_keys k;

	if (!rc_ok(aws_credentials_get(shared, own, &k, NULL)) || !str_eq(k.access_key, STR("AK1")))
		atomic_fetch_add(&failures, 1);
	arena_free(own);
	return NULL;
}

/* While one asks for new keys the others sign with the old ones. */
static void test_aws__others_go_on(void **state)
{
	int64_t until = mono_ms() + 60000;
	pthread_t t;

	instance_env();
	lives_s = 200;
	failures = 0;
	shared = chain((struct aws_credentials_options){.again_s = 1});
	expect(shared, "AK0", "SK", "T");
	usleep(2100000);
	lives_s = 3600; /* the next ones: they aren't renewed in turn */
	held = true;
	assert_int_equal(pthread_create(&t, NULL, get_one, NULL), 0);
	while (!holding && mono_ms() < until)
		usleep(1000);
	for (int i = 0; i < 5; i++)
		expect(shared, "AK0", "SK", "T");
	held = false;
	pthread_join(t, NULL);
	assert_int_equal(failures, 0);
	expect(shared, "AK1", "SK", "T");
	aws_credentials_free(shared);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_aws__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(static_and_environment),
	    TEST(profiles),
	    TEST(web_identity),
	    TEST(container),
	    TEST(instance),
	    TEST(nothing_at_all),
	    TEST(kept_and_renewed),
	    TEST(many_threads),
	    TEST(others_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
