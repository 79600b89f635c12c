/* Connection strings: what goes to libpq, what is ours, and that no error quotes them. */
#include "tests/kv/conformance.h"

#include <string.h>

#include "kv/postgres_dsn.h"

static struct arena *arena;
static struct pg_dsn dsn;
static struct err err;

static int setup(void **state)
{
	arena = arena_new();
	unsetenv("PGOPTIONS");
	return 0;
}

static int teardown(void **state)
{
	arena_free(arena);
	return 0;
}

static void parse(const char *text)
{
	if (!rc_ok(pg_dsn_parse(str_c(text), 1500, arena, &dsn, &err)))
		fail_msg("%s: %s", text, err.msg);
}

static const char *value(const char *keyword)
{
	for (size_t i = 0; i < dsn.n; i++)
		if (strcmp(dsn.keywords[i], keyword) == 0)
			return dsn.values[i];
	return "(none)";
}

static void test_dsn__uri(void **state)
{
	parse("postgres://me:s%40fe@db.example:6432/lake?sslmode=require&connect_timeout=3");
	assert_string_equal(value("user"), "me");
	assert_string_equal(value("password"), "s@fe");
	assert_string_equal(value("host"), "db.example");
	assert_string_equal(value("port"), "6432");
	assert_string_equal(value("dbname"), "lake");
	assert_string_equal(value("sslmode"), "require");
	assert_string_equal(dsn.table, "\"kv\"");
	assert_string_equal(value("options"), "-c statement_timeout=1500 ");
	assert_string_equal(value("fallback_application_name"), "sluice");
	assert_string_equal(value("tcp_user_timeout"), "1500");
	assert_null(dsn.keywords[dsn.n]);
}

static void test_dsn__what_pgx_reads(void **state)
{
	parse("postgresql://h/d?lakefskv_table=my%22kv&pool_max_conns=7&search_path=a,%20b&"
	      "default_query_exec_mode=exec&statement_cache_capacity=5&sslmode=disable&"
	      "options=-c%20work_mem%3D1MB");
	assert_string_equal(dsn.table, "\"my\"\"kv\"");
	assert_string_equal(value("sslmode"), "disable");
	assert_string_equal(dsn.options_plain, "-c work_mem=1MB -c search_path=a,\\ b");
	assert_string_equal(value("options"),
			    "-c statement_timeout=1500 -c work_mem=1MB -c search_path=a,\\ b");
	assert_ptr_equal(value("options"), dsn.values[dsn.options_at]);
	assert_string_equal(value("pool_max_conns"), "(none)");
}

static void test_dsn__pairs(void **state)
{
	parse("  host = db user='a b\\'c' password=x\\ y lakefskv_table='t' dbname=d "
	      "statement_timeout=5s pool_min_conns=1 tcp_user_timeout=77");
	assert_string_equal(value("host"), "db");
	assert_string_equal(value("user"), "a b'c");
	assert_string_equal(value("password"), "x y");
	assert_string_equal(value("dbname"), "d");
	assert_string_equal(dsn.table, "\"t\"");
	assert_string_equal(value("options"), "-c statement_timeout=1500  -c statement_timeout=5s");
	assert_string_equal(value("tcp_user_timeout"), "77");
}

static void test_dsn__nothing(void **state)
{
	setenv("PGOPTIONS", "-c work_mem=2MB", 1);
	parse("");
	assert_string_equal(value("host"), "(none)"); /* left to libpq, which asks the environment */
	assert_string_equal(value("options"), "-c statement_timeout=1500 -c work_mem=2MB");
	assert_string_equal(dsn.options_plain, "-c work_mem=2MB");
}

static void test_dsn__errors_quote_nothing(void **state)
{
	static const char *const bad[] = {
		"postgres://u:SECRET%zz@h/d",	   "host=h password='SECRET",
		"postgres://u:p@h/d?SECRET%=1",	   "SECRET",
		"host=h SECRET",		   "postgres://u:p@[SECRET/d",
		"postgres://h/d?lakefskv_table=",  "host=h S-ECRET=x",
		"postgres://u:a@SECRET@h/d",	   "postgres://u:SECRET/b@h/d",
		"host=h port=SECRET",		   "postgres://h/d?a%20SECRET=1",	   "postgres://h/d?x=SECRET%f",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct err){0};
		assert_rc(pg_dsn_parse(str_c(bad[i]), 1, arena, &dsn, &err), CONFIG);
		assert_non_null(strstr(err.msg, "database.postgres.connection_string"));
		assert_null(strstr(err.msg, "SECRET"));
	}
	assert_rc(pg_dsn_parse(STR("host=\0"), 1, arena, &dsn, &err), CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_dsn__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(uri),	    TEST(what_pgx_reads),	TEST(pairs),
		TEST(nothing),	    TEST(errors_quote_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
