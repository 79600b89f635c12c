#include "tests/conf/conf_test.h"

#include <sys/stat.h>
#include <unistd.h>

static void test_load__defaults(void **state)
{
	struct loaded l = load_good(MINIMAL);
	const struct conf *c = l.conf;

	assert_int_equal(l.findings.n, 0);
	assert_str(c->listen_address, "0.0.0.0:8000");
	assert_false(c->tls.enabled);
	assert_str(c->logging.format, "text");
	assert_str(c->logging.level, "info");
	assert_str(c->logging.audit_log_level, "debug");
	assert_int_equal(c->logging.output.n, 1);
	assert_str(c->logging.output.v[0], "-");
	assert_int_equal(c->logging.file_max_size_mb, 102400);
	assert_str(c->database.local.path, "/home/me/lakefs/metadata");
	assert_true(c->database.local.sync_writes);
	assert_int_equal(c->database.local.block_cache_bytes, 32 << 20);
	assert_int_equal(c->database.local.write_buffer_bytes, 16 << 20);
	assert_int_equal(c->database.postgres.max_open_connections, 25);
	assert_int_equal(c->database.postgres.connection_max_lifetime, 300000);
	assert_str(c->database.dynamodb.table_name, "kvstore");
	assert_int_equal(c->database.dynamodb.scan_limit, 1024);
	assert_null(c->database.postgres.connection_string.p);
	assert_true(c->auth.cache.enabled);
	assert_int_equal(c->auth.cache.ttl, 20000);
	assert_int_equal(c->auth.login_duration, 168 * 3600000LL);
	assert_str(c->auth.ui_config.rbac, "internal");
	assert_int_equal(c->gateways.s3.domain_name.n, 1);
	assert_str(c->gateways.s3.domain_name.v[0], "s3.local.lakefs.io");
	assert_true(c->gateways.s3.verify_unsupported);
	assert_false(c->gateways.s3.list_branch_buckets);
	assert_int_equal(c->committed.local_cache.size_bytes, 1LL << 30);
	assert_str(c->committed.local_cache.dir, "/home/me/lakefs/data/cache");
	assert_true(c->committed.local_cache.range_proportion == 0.9);
	assert_str(c->committed.block_storage_prefix, "_lakefs");
	assert_int_equal(c->committed.permanent.max_range_size_bytes, 20 << 20);
	assert_true(c->committed.permanent.range_raggedness_entries == 50000);
	assert_int_equal(c->committed.sstable.memory.cache_size_bytes, 400000000);
	assert_int_equal(c->graveler.repository_cache.expiry, 5000);
	assert_int_equal(c->graveler.commit_cache.size, 50000);
	assert_true(c->actions.enabled);
	unload(&l);
}

static void test_load__defaults_of_the_server(void **state)
{
	struct loaded l = load_good(MINIMAL);
	const struct conf *c = l.conf;

	assert_int_equal(c->server.loops, 0);
	assert_int_equal(c->server.data_workers, 32);
	assert_int_equal(c->server.meta_workers, 16);
	assert_int_equal(c->server.task_workers, 2);
	assert_int_equal(c->server.queue, 1024);
	assert_int_equal(c->server.connections, 10000);
	assert_int_equal(c->server.head_bytes, 32768);
	assert_int_equal(c->server.headers, 100);
	assert_int_equal(c->server.head_timeout, 30000);
	assert_int_equal(c->server.idle_timeout, 60000);
	assert_int_equal(c->server.body_timeout, 60000);
	assert_int_equal(c->server.write_timeout, 60000);
	assert_int_equal(c->server.stop_grace, 30000);
	assert_int_equal(c->server.body_slot_bytes, 262144);
	assert_int_equal(c->server.trusted_proxies.n, 0);
	unload(&l);
}

static void test_load__values(void **state)
{
	struct loaded l = load_good("listen_address: 127.0.0.1:9000\n"
				    "Logging:\n" /* lakeFS ignores case */
				    "  LEVEL: WARNING\n"
				    "  output: [\"=\", /var/log/sluice]\n"
				    "database:\n"
				    "  type: rocksdb\n"
				    "  rocksdb:\n"
				    "    path: ~/kv\n"
				    "    sync_writes: false\n"
				    "  postgres:\n" /* an empty section */
				    "gateways.s3.domain_name: a.example.com, b.example.com\n"
				    "auth: {encrypt: {secret_key: 12345}, ui_config: {rbac: none}}\n"
				    "committed:\n"
				    "  permanent: {max_range_size_bytes: 5MiB}\n" STORE);
	const struct conf *c = l.conf;

	assert_int_equal(l.findings.n, 0);
	assert_str(c->listen_address, "127.0.0.1:9000");
	assert_str(c->logging.level, "warn");
	assert_int_equal(c->logging.output.n, 2);
	assert_str(c->logging.output.v[1], "/var/log/sluice");
	assert_str(c->database.type, "local");
	assert_str(c->database.local.path, "/home/me/kv");
	assert_false(c->database.local.sync_writes);
	assert_int_equal(c->gateways.s3.domain_name.n, 2);
	assert_str(c->gateways.s3.domain_name.v[1], "b.example.com");
	assert_str(c->auth.encrypt.secret_key, "12345");
	assert_str(c->auth.ui_config.rbac, "none");
	assert_int_equal(c->committed.permanent.max_range_size_bytes, 5 << 20);
	unload(&l);
}

static void test_load__drivers_that_come_later(void **state)
{
	struct loaded l = load_good("database: {type: postgres, postgres: {connection_string: "
				    "postgres://u:p@h/db}}\n" AUTH STORE);

	assert_str(l.conf->database.type, "postgres");
	assert_str(l.conf->database.postgres.connection_string, "postgres://u:p@h/db");
	unload(&l);
	l = load_good("database: {type: dynamodb, dynamodb: {aws_region: us-east-1}}\n" AUTH STORE);
	assert_str(l.conf->database.dynamodb.aws_region, "us-east-1");
	unload(&l);
}

/* Without HOME: fatal only where a path that is used begins with "~". */
static void test_load__home(void **state)
{
	char *const none[] = {NULL};
	struct loaded l = load_with(MINIMAL "committed: {local_cache: {dir: /cache}}\n", none);

	assert_int_equal(l.findings.n, 0);
	assert_null(l.conf->database.local.path.p);
	unload(&l);
	l = load_with("database: {type: local}\n" AUTH STORE, none);
	assert_true(has_finding(&l, false, 1, "database.local.path", "HOME isn't set"));
	assert_true(has_finding(&l, false, 0, "committed.local_cache.dir", "write the path in full"));
	unload(&l);
	l = load(MINIMAL "committed: {local_cache: {dir: ~you/cache}}\n");
	assert_true(has_finding(&l, false, 4, "committed.local_cache.dir", "another user's home"));
	unload(&l);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct loaded load_path(const char *path)
{
	char *const env[] = {"HOME=/home/me", NULL};
	struct loaded l = {.a = arena_new()};

	l.rc = conf_load(str_c(path), env, l.a, &l.findings, &l.conf, &l.err);
	return l;
}

static void test_load__files(void **state)
{
	char dir[] = "/tmp/conf-test-XXXXXX", path[64];
	struct loaded l;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c.yaml", dir);
	l = load_path(path);
	assert_true(rc_is(l.rc, CONFIG));
	assert_true(has_finding(&l, false, 0, "", "can't be opened"));
	assert_non_null(strstr(l.err.msg, path));
	unload(&l);
	write_file(path, MINIMAL);
	l = load_path(path);
	assert_true(rc_ok(l.rc));
	unload(&l);
	write_file(path, MINIMAL "nonsense: 1\n");
	l = load_path(path);
	assert_true(has_finding(&l, false, 4, "nonsense", "unknown key"));
	assert_str(l.findings.v[0].file, path);
	unload(&l);
	l = load_path(dir);
	assert_true(has_finding(&l, false, 0, "", "is a folder"));
	unload(&l);
	l = load_path("/dev/zero");
	assert_true(has_finding(&l, false, 0, "", "longer than 1 MiB"));
	unload(&l);
	unlink(path);
	rmdir(dir);
}

static void test_load__default_places(void **state)
{
	char dir[] = "/tmp/conf-test-XXXXXX", old[4096], path[64];
	struct arena *a = arena_new();
	struct str found;

	assert_non_null(getcwd(old, sizeof(old)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	setenv("HOME", dir, 1);
	snprintf(path, sizeof(path), "%s/.lakefs.yaml", dir);
	write_file(path, MINIMAL);
	found = conf_default_path(a);
	if (access("/etc/lakefs/config.yaml", F_OK) != 0)
		assert_str(found, path);
	write_file("config.yaml", MINIMAL);
	assert_str(conf_default_path(a), "./config.yaml");
	unlink(path);
	unlink("config.yaml");
	assert_int_equal(chdir(old), 0);
	rmdir(dir);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load__defaults),
		cmocka_unit_test(test_load__defaults_of_the_server),
		cmocka_unit_test(test_load__values),
		cmocka_unit_test(test_load__drivers_that_come_later),
		cmocka_unit_test(test_load__home),
		cmocka_unit_test(test_load__files),
		cmocka_unit_test(test_load__default_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
