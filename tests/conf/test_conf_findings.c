#include "tests/conf/conf_test.h"

#include <sys/stat.h>
#include <unistd.h>

#define STORES DATABASE AUTH "blockstores:\n" SIGNING "  stores:\n" /* 5 lines */

struct bad {
	const char *yaml;
	unsigned line;
	const char *key, *words;
};

/* Each has this one error, and no other. */
static const struct bad errors[] = {
	/* unknown keys */
	{MINIMAL "lisen_address: a:1\n", 4, "lisen_address", "did you mean listen_address?"},
	{MINIMAL "tls:\n  enabeld: true\n", 5, "tls.enabeld", "did you mean tls.enabled?"},
	{MINIMAL "graveller:\n  x: 1\n", 4, "graveller", "did you mean graveler?"},
	{MINIMAL "gateways: {s3: {domain: a}}\n", 4, "gateways.s3.domain", "unknown key; remove it"},
	{MINIMAL "domain_name: a\n", 4, "domain_name", "did you mean gateways.s3.domain_name?"},
	{MINIMAL "zzz:\n", 4, "zzz", "unknown key"},
	{DATABASE AUTH "blockstore:\n  type: mem\n  s3: {regoin: x}\n", 5, "blockstore.s3.regoin",
	 "did you mean blockstore.s3.region?"},
	{DATABASE AUTH "blockstore: {type: mem, id: x}\n", 3, "blockstore.id",
	 "configured under `blockstores.stores`"},
	{STORES "  - id: a\n    tpye: mem\n    type: mem\n", 7, "blockstores.stores[0].tpye",
	 "did you mean blockstores.stores[0].type?"},
	/* sections and values */
	{MINIMAL "tls: true\n", 4, "tls", "is a section; write its keys below it"},
	{MINIMAL "tls: []\n", 4, "tls", "is a section"},
	{DATABASE AUTH "blockstores:\n" SIGNING "  stores: {id: a}\n", 5, "blockstores.stores",
	 "is a list; write each store as `- id: name`"},
	{STORES "  - {id: a, type: mem}\n  - b\n", 7, "blockstores.stores[1]", "a store is a section"},
	/* twice */
	{MINIMAL "tls: {enabled: false}\ntls: {enabled: true}\n", 5, "tls", "first at line 4; keep one"},
	{MINIMAL "tls:\n  enabled: false\n  enabled: true\n", 6, "tls.enabled", "first at line 5"},
	{MINIMAL "tls:\n  enabled: false\n  Enabled: true\n", 6, "tls.Enabled", "first at line 5"},
	{MINIMAL "tls.enabled: false\ntls:\n  enabled: true\n", 6, "tls.enabled",
	 "set twice, first at line 4"},
	{DATABASE AUTH "blockstore:\n  type: gs\n  gs: {endpoint: a}\n  gcs: {endpoint: b}\n", 6,
	 "blockstore.gcs.endpoint", "set twice, first at line 5"},
	{STORES "  - {id: a, type: mem}\nblockstores.stores: []\n", 7, "blockstores.stores",
	 "set twice, first at line 5"},
	/* missing */
	{AUTH STORE, 0, "database.type", "missing; write it in the file or set SLUICE_DATABASE_TYPE"},
	{AUTH STORE "database:\n  local:\n    path: x\n", 3, "database.type", "missing"},
	{DATABASE STORE, 0, "auth.encrypt.secret_key", "SLUICE_AUTH_ENCRYPT_SECRET_KEY"},
	{DATABASE STORE "auth:\n  encrypt:\n    secret_key: \"\"\n", 5, "auth.encrypt.secret_key",
	 "missing"},
	{DATABASE STORE "auth:\n  encrypt:\n    secret_key:\n", 4, "auth.encrypt.secret_key", "missing"},
	{DATABASE AUTH, 0, "blockstore.type", "or list several stores under blockstores.stores"},
	{DATABASE AUTH "blockstore: {signing: {secret_key: x}}\n", 3, "blockstore.type", "missing"},
	{DATABASE AUTH "blockstore: {local: {path: /x}}\n", 3, "blockstore.type",
	 "SLUICE_BLOCKSTORE_TYPE"},
	{DATABASE AUTH "blockstores:\n  stores:\n  - {id: a, type: mem}\n", 3,
	 "blockstores.signing.secret_key", "SLUICE_BLOCKSTORES_SIGNING_SECRET_KEY"},
	{STORES "  - type: mem\n", 6, "blockstores.stores[0].id", "SLUICE_BLOCKSTORES_STORES_0_ID"},
	{STORES "  - id: a\n", 6, "blockstores.stores[0].type", "missing"},
	{STORES "  - id: a\n    type: local\n", 6, "blockstores.stores[0].local.path",
	 "missing for a store of type local"},
	{STORES "  - id: a\n    type: local\n    local: {import_enabled: true}\n", 8,
	 "blockstores.stores[0].local.path", "SLUICE_BLOCKSTORES_STORES_0_LOCAL_PATH"},
	{DATABASE AUTH "blockstores:\n" SIGNING "  stores: []\n", 5, "blockstores.stores",
	 "write at least one store"},
	{MINIMAL "tls:\n  enabled: true\n  cert_file: /c\n", 4, "tls.key_file",
	 "missing where tls.enabled is true"},
	/* choices */
	{AUTH STORE "database:\n  type: badger\n", 4, "database.type",
	 "write one of local, mem, postgres, dynamodb"},
	{AUTH STORE "database:\n  type: redis\n", 4, "database.type", "\"redis\" is not known here"},
	{DATABASE AUTH "blockstore: {type: ftp}\n", 3, "blockstore.type",
	 "write one of local, s3, azure, gs, mem"},
	{STORES "  - id: a\n    type: ftp\n", 7, "blockstores.stores[0].type", "\"ftp\""},
	/* stores that contradict each other */
	{STORES "  - {id: a, type: mem}\n  - {id: b, type: mem}\n  - {id: a, type: s3}\n", 8,
	 "blockstores.stores[2].id", "\"a\" is another store's id, too (line 6)"},
	{STORES "  - {id: a, type: mem, backward_compatible: true}\n"
		"  - {id: b, type: mem}\n  - {id: c, type: mem, backward_compatible: true}\n", 8,
	 "blockstores.stores[2].backward_compatible",
	 "a second backward compatible store (the first: line 6); set it for one store only"},
	{STORES "  - {id: a, type: local, local: {path: /x}}\n"
		"  - {id: b, type: local, local: {path: /x/}}\n", 7,
	 "blockstores.stores[1].local.path", "another store has the same folder (line 6)"},
	{MINIMAL "blockstores:\n  stores:\n  - {id: a, type: mem}\n", 5, "blockstores.stores",
	 "`blockstore` is configured, too (line 3)"},
	{MINIMAL "blockstores:\n  stores:\n  - {id: a, type: mem}\n", 5, "blockstores.stores",
	 "move the single store into this list with backward_compatible: true"},
	{STORES "  - {id: a, type: mem, colour: red}\n", 6, "blockstores.stores[0].colour", "unknown key"},
	{STORES "  - {id: a, type: local, local: {path: /x, import_enable: true}}\n", 6,
	 "blockstores.stores[0].local.import_enable", "did you mean blockstores.stores[0].local.import_enabled"},
	{STORES "  - {id: \"a\\nb\", type: mem}\n", 6, "blockstores.stores[0].id", "not a store's id"},
	{AUTH "database: {type: local, local: {path: /d}}\n"
	      "blockstore: {type: local, local: {path: /d/}}\n", 3, "blockstore.local.path",
	 "also the folder of the database"},
	/* keys that go together */
	{DATABASE AUTH "blockstore:\n  type: s3\n  s3: {credentials: {access_key_id: k}}\n", 5,
	 "blockstore.s3.credentials.secret_access_key",
	 "missing beside s3.credentials.access_key_id"},
	{DATABASE AUTH "blockstore: {type: azure, azure: {storage_access_key: k}}\n", 3,
	 "blockstore.azure.storage_account", "missing beside azure.storage_access_key"},
	{MINIMAL "installation: {access_key_id: k}\n", 4, "installation.secret_access_key",
	 "missing beside"},
	{MINIMAL "committed:\n  permanent:\n    min_range_size_bytes: 30MiB\n", 6,
	 "committed.permanent.min_range_size_bytes", "greater than committed.permanent.max"},
	{MINIMAL "committed: {local_cache: {range_proportion: 1}}\n", 4,
	 "committed.local_cache.range_proportion", "more than 1 together"},
	{MINIMAL "auth.login_duration: 999h\n", 4, "auth.login_duration",
	 "greater than auth.login_max_duration"},
};

static void test_findings__errors(void **state)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const struct bad *e = &errors[i];
		struct loaded l = load(e->yaml);
		struct str line;

		assert_true(rc_is(l.rc, CONFIG));
		assert_true(has_finding(&l, false, e->line, e->key, e->words));
		if (count(&l, false) != 1) {
			print_findings(&l);
			fail_msg("more than one error in: %s", e->yaml);
		}
		for (size_t j = 0; j < l.findings.n; j++) {
			line = conf_finding_line(&l.findings.v[j], l.a);
			assert_true(str_starts(line, STR("t.yaml:")));
			assert_int_equal(str_index(line, '\n'), line.n);
		}
		unload(&l);
	}
}

static const struct bad warnings[] = {
	{MINIMAL "stats: {enabled: false}\n", 4, "stats.enabled", "accepted, has no effect here"},
	{MINIMAL "email_subscription:\n  enabled: false\n", 5, "email_subscription.enabled",
	 "accepted"},
	{MINIMAL "ui:\n  snippets: [{id: a, code: b}]\n", 5, "ui.snippets", "accepted"},
	{MINIMAL "database.redis.password: x\n", 4, "database.redis.password", "accepted"},
	{MINIMAL "database.cosmosdb: {throughput: 400}\n", 4, "database.cosmosdb.throughput",
	 "accepted"},
	{MINIMAL "auth.oidc:\n  validate_id_token_claims: {a: b}\n", 5,
	 "auth.oidc.validate_id_token_claims", "accepted"},
	{DATABASE STORE "auth:\n  encrypt:\n    secret_key: <secret>\n", 5,
	 "auth.encrypt.secret_key", "looks like a placeholder"},
	{MINIMAL "auth.ui_config.rbac: external\n", 4, "auth.ui_config.rbac", "write internal"},
	{STORES "  - {id: a, type: mem, s3: {region: r, profile: p}}\n", 6,
	 "blockstores.stores[0].s3.region", "a store of type mem doesn't use it"},
};

static void test_findings__warnings(void **state)
{
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		struct loaded l = load(warnings[i].yaml);

		assert_true(has_finding(&l, true, warnings[i].line, warnings[i].key,
					warnings[i].words));
		assert_int_equal(l.findings.n, 1);
		assert_non_null(l.conf);
		unload(&l);
	}
}

static void test_findings__all_at_once(void **state)
{
	struct loaded l = load("listen_address: nowhere\n"
			       "database: {type: oracle}\n"
			       "tls:\n"
			       "  enabled: perhaps\n"
			       "blockstores:\n"
			       "  stores:\n"
			       "    - {id: a, type: local}\n"
			       "    - {id: a, type: cloud}\n"
			       "stats: {enabled: true}\n"
			       "what: ever\n");

	assert_true(has_finding(&l, false, 1, "listen_address", "host:port"));
	assert_true(has_finding(&l, false, 2, "database.type", "oracle"));
	assert_true(has_finding(&l, false, 4, "tls.enabled", "true or false"));
	assert_true(has_finding(&l, false, 7, "blockstores.stores[0].local.path", "missing"));
	assert_true(has_finding(&l, false, 8, "blockstores.stores[1].id", "another store's id"));
	assert_true(has_finding(&l, false, 8, "blockstores.stores[1].type", "cloud"));
	assert_true(has_finding(&l, true, 9, "stats.enabled", "no effect"));
	assert_true(has_finding(&l, false, 10, "what", "unknown key"));
	assert_true(has_finding(&l, false, 5, "blockstores.signing.secret_key", "missing"));
	assert_true(has_finding(&l, false, 0, "auth.encrypt.secret_key", "missing"));
	assert_int_equal(l.findings.n, 10);
	assert_true(rc_is(l.rc, CONFIG));
	assert_string_equal(l.err.msg, "t.yaml:1: listen_address: \"nowhere\" is not an address; write "
				       "host:port, such as 127.0.0.1:8000 (and 8 more errors)");
	unload(&l);
}

static void test_findings__bounded(void **state)
{
	struct buf b = BUF_INIT(1 << 18);
	struct loaded l;

	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "unknown_%d: x\n", i);
	buf_add_c(&b, 0);
	l = load(b.p);
	assert_int_equal(l.findings.n, 200);
	assert_true(has_finding(&l, false, 0, "", "there are more findings"));
	unload(&l);
	buf_deinit(&b);
}

static bool any_says(const struct loaded *l, const char *words)
{
	for (size_t i = 0; i < l->findings.n; i++) {
		struct str line = conf_finding_line(&l->findings.v[i], l->a);

		if (str_find(line, str_c(words)) < line.n)
			return true;
	}
	return false;
}

static void test_findings__no_secret(void **state)
{
	struct loaded l = load(DATABASE STORE "auth: {encrypt: {secret_key: \"hush\\0hush\"}}\n"
					      "auth.api.token: hush\n"
					      "database.redis.password: hush\n");

	assert_true(has_finding(&l, false, 3, "auth.encrypt.secret_key", "NUL byte"));
	assert_false(any_says(&l, "hush"));
	unload(&l);
}

static void test_findings__one_line_each(void **state)
{
	struct loaded l = load(MINIMAL "\"a\\nb\": 1\nlogging.format: \"x\\ny\"\n");

	assert_true(has_finding(&l, false, 4, "a\\x0ab", "unknown key"));
	assert_true(has_finding(&l, false, 5, "logging.format", "\"x\\x0ay\""));
	unload(&l);
}

static void touch(const char *dir, const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
}

static void untouch(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static size_t errors_with_kv(const char *dir)
{
	char yaml[256];
	struct loaded l;
	size_t n;

	snprintf(yaml, sizeof(yaml), AUTH STORE "database:\n  type: local\n  local:\n    path: %s\n",
		 dir);
	l = load(yaml);
	n = count(&l, false);
	if (n)
		assert_true(has_finding(&l, false, 6, "database.local.path",
					"dump the refs with lakeFS"));
	unload(&l);
	return n;
}

static void test_findings__badger(void **state)
{
	char dir[] = "/tmp/conf-test-XXXXXX";

	assert_int_equal(errors_with_kv("/nonexistent/folder"), 0);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(errors_with_kv(dir), 0);
	touch(dir, "MANIFEST");
	assert_int_equal(errors_with_kv(dir), 0);
	touch(dir, "000001.vlog");
	assert_int_equal(errors_with_kv(dir), 1);
	untouch(dir, "MANIFEST");
	untouch(dir, "000001.vlog");
	touch(dir, "KEYREGISTRY");
	assert_int_equal(errors_with_kv(dir), 1);
	touch(dir, "CURRENT"); /* RocksDB's */
	assert_int_equal(errors_with_kv(dir), 0);
	untouch(dir, "KEYREGISTRY");
	untouch(dir, "CURRENT");
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_findings__errors),
		cmocka_unit_test(test_findings__warnings),
		cmocka_unit_test(test_findings__all_at_once),
		cmocka_unit_test(test_findings__bounded),
		cmocka_unit_test(test_findings__no_secret),
		cmocka_unit_test(test_findings__one_line_each),
		cmocka_unit_test(test_findings__badger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
