#include "tests/conf/conf_test.h"

#define ENV(...) ((char *const[]){"HOME=/home/me", "PATH=/bin", __VA_ARGS__, NULL})

static struct loaded good(const char *yaml, char *const *env)
{
	struct loaded l = load_with(yaml, env);

	if (!l.conf)
		print_findings(&l);
	assert_non_null(l.conf);
	return l;
}

static bool env_finding(const struct loaded *l, bool warning, const char *name, const char *words)
{
	for (size_t i = 0; i < l->findings.n; i++)
		if (str_eq(l->findings.v[i].key, str_c(name)) &&
		    !str_eq(l->findings.v[i].file, STR("environment")))
			return false;
	return has_finding(l, warning, 0, name, words);
}

static void test_env__alone(void **state)
{
	char *const *env = ENV("LAKEFS_DATABASE_TYPE=local", "LAKEFS_DATABASE_LOCAL_PATH=/kv",
			       "LAKEFS_AUTH_ENCRYPT_SECRET_KEY=s", "LAKEFS_BLOCKSTORE_TYPE=s3",
			       "LAKEFS_BLOCKSTORE_S3_CREDENTIALS_ACCESS_KEY_ID=k",
			       "LAKEFS_BLOCKSTORE_S3_CREDENTIALS_SECRET_ACCESS_KEY=v=w",
			       "LAKEFS_BLOCKSTORE_SIGNING_SECRET_KEY=x",
			       "LAKEFS_GATEWAYS_S3_DOMAIN_NAME=a.example.com, b.example.com",
			       "LAKEFS_AUTH_CACHE_TTL=1m30s");
	struct loaded l = {.a = arena_new()};

	l.rc = conf_load(STR_NONE, env, l.a, &l.findings, &l.conf, &l.err);
	assert_true(rc_ok(l.rc));
	assert_int_equal(l.findings.n, 0);
	assert_str(l.conf->database.type, "local");
	assert_str(l.conf->database.local.path, "/kv");
	assert_true(l.conf->blockstores.single);
	assert_str(l.conf->blockstores.stores[0].s3.credentials.secret_access_key, "v=w");
	assert_str(l.conf->blockstores.signing.secret_key, "x");
	assert_int_equal(l.conf->gateways.s3.domain_name.n, 2);
	assert_str(l.conf->gateways.s3.domain_name.v[1], "b.example.com");
	assert_int_equal(l.conf->auth.cache.ttl, 90000);
	unload(&l);
}

static void test_env__wins(void **state)
{
	struct loaded l = good(MINIMAL "listen_address: file:1\n"
				       "logging: {level: error, format: json}\n",
			       ENV("SLUICE_LISTEN_ADDRESS=own:3", "LAKEFS_LISTEN_ADDRESS=lakefs:2",
				   "LAKEFS_LOGGING_LEVEL=debug", "SLUICE_LOGGING_FORMAT="));

	assert_int_equal(l.findings.n, 0);
	assert_str(l.conf->listen_address, "own:3");
	assert_str(l.conf->logging.level, "debug");
	assert_str(l.conf->logging.format, "json"); /* an empty variable is none */
	unload(&l);
}

static void test_env__stores(void **state)
{
	struct loaded l = good(DATABASE AUTH "blockstores:\n" SIGNING
					     "  stores: [{id: a, type: local, local: {path: /a}}]\n",
			       ENV("SLUICE_BLOCKSTORES_STORES_0_LOCAL_PATH=/b",
				   "LAKEFS_BLOCKSTORES_STORES_2_ID=c",
				   "LAKEFS_BLOCKSTORES_STORES_2_TYPE=gcs",
				   "LAKEFS_BLOCKSTORES_STORES_2_GCS_BUCKET_PROJECT_ID=p",
				   "SLUICE_BLOCKSTORES_STORES_1_ID=b",
				   "SLUICE_BLOCKSTORES_STORES_1_TYPE=s3",
				   "SLUICE_BLOCKSTORES_STORES_1_BACKWARD_COMPATIBLE=true"));
	const struct conf_store *s = l.conf->blockstores.stores;

	assert_int_equal(l.findings.n, 0);
	assert_int_equal(l.conf->blockstores.stores_n, 3);
	assert_str(s[0].id, "a");
	assert_str(s[0].local.path, "/b");
	assert_str(s[1].id, "b");
	assert_true(s[1].backward_compatible);
	assert_str(s[2].type, "gs");
	assert_str(s[2].gs.bucket_project_id, "p");
	unload(&l);
}

static void test_env__bad_stores(void **state)
{
	struct loaded l = load_with(DATABASE AUTH, ENV("SLUICE_BLOCKSTORES_SIGNING_SECRET_KEY=x",
						       "SLUICE_BLOCKSTORES_STORES_1_ID=b",
						       "SLUICE_BLOCKSTORES_STORES_1_TYPE=s3"));

	assert_true(env_finding(&l, false, "SLUICE_BLOCKSTORES_STORES_1_ID", "store 0 is missing"));
	unload(&l);
	l = load_with(MINIMAL, ENV("SLUICE_BLOCKSTORES_STORES_0_ID=b"));
	assert_true(env_finding(&l, false, "SLUICE_BLOCKSTORES_STORES_0_ID",
				"`blockstore` is configured, too (line 3)"));
	unload(&l);
	l = load_with(MINIMAL, ENV("SLUICE_BLOCKSTORES_STORES_256_ID=b"));
	assert_true(env_finding(&l, false, "SLUICE_BLOCKSTORES_STORES_256_ID",
				"more than 256 stores"));
	unload(&l);
	l = load_with(MINIMAL, ENV("SLUICE_BLOCKSTORES_STORES_X_ID=b", "SLUICE_BLOCKSTORE_ID=b"));
	assert_true(env_finding(&l, false, "SLUICE_BLOCKSTORES_STORES_X_ID", "no key has this name"));
	assert_true(env_finding(&l, false, "SLUICE_BLOCKSTORE_ID", "no key has this name"));
	unload(&l);
}

static void test_env__findings(void **state)
{
	struct loaded l = load_with(MINIMAL, ENV("LAKEFS_NO_SUCH=1", "SLUICE_NO_SUCH=1",
						 "SLUICE_SERVER_QUEUE=many",
						 "LAKEFS_STATS_ENABLED=false",
						 "SLUICE_AUTH_ENCRYPT_SECRET_KEY=<secret>"));

	assert_true(env_finding(&l, true, "LAKEFS_NO_SUCH", "it has no effect"));
	assert_true(env_finding(&l, false, "SLUICE_NO_SUCH", "correct or unset it"));
	assert_true(env_finding(&l, false, "SLUICE_SERVER_QUEUE", "\"many\" is not a whole number"));
	assert_true(env_finding(&l, true, "LAKEFS_STATS_ENABLED", "accepted, has no effect here"));
	assert_true(env_finding(&l, true, "SLUICE_AUTH_ENCRYPT_SECRET_KEY", "placeholder"));
	assert_int_equal(l.findings.n, 5);
	assert_str(conf_finding_line(&l.findings.v[0], l.a),
		   "environment: LAKEFS_NO_SUCH: warning: no key has this name; it has no effect (the "
		   "key a.b_c is LAKEFS_A_B_C)");
	unload(&l);
}

static void test_env__not_keys(void **state)
{
	struct loaded l = good(MINIMAL, ENV("SLUICE_SOURCE=/x", "SLUICE_TEST_ANYTHING=1",
					    "SLUICE_PORT=tcp://10.0.0.1:80",
					    "SLUICE_PORT_80_TCP_ADDR=10.0.0.1",
					    "LAKEFS_SERVICE_HOST=10.0.0.1", "SLUICE=1", "LAKEFSX=1",
					    "no equals sign"));

	assert_int_equal(l.findings.n, 0);
	unload(&l);
}

/* A value in the file that is wrong stays an error when a variable replaces it. */
static void test_env__does_not_hide(void **state)
{
	struct loaded l = load_with(MINIMAL "server: {queue: x}\n", ENV("SLUICE_SERVER_QUEUE=7"));

	assert_true(has_finding(&l, false, 4, "server.queue", "is not a whole number"));
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_env__alone),
		cmocka_unit_test(test_env__wins),
		cmocka_unit_test(test_env__stores),
		cmocka_unit_test(test_env__bad_stores),
		cmocka_unit_test(test_env__findings),
		cmocka_unit_test(test_env__not_keys),
		cmocka_unit_test(test_env__does_not_hide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
