/* Connections that break. */
#include "tests/kv/cut.h"

#include <libpq-fe.h>

#include "base/clock.h"
#include "tests/kv/pg_cluster.h"

static unsigned table;
static PGconn *observer;

static struct kv *open_kv(int port, int64_t call_ms)
{
	struct kv_postgres_options o = {
		.max_open_connections = 2, .max_idle_connections = 2, .call_ms = call_ms};
	char more[64], uri[256];
	int64_t until = mono_ms() + (call_ms ? 60000 : 0);
	struct kv *ret = NULL;
	struct err e = {0};

	snprintf(more, sizeof(more), "&lakefskv_table=cut%u", table);
	o.connection_string = str_c(pg_cluster_uri(pg_cluster_shared(), port, more, uri));
	while (!rc_ok(kv_postgres_open(&o, &ret, &e)))
		if (mono_ms() >= until)
			fail_msg("%s", e.msg);
	return ret;
}

/* A session whose client was cut off may still be carrying out what it was told. */
static void wait_for_orphans(void)
{
	int64_t end = mono_ms() + 60000;
	uint64_t n = 0;

	do {
		PGresult *r = PQexec(observer, "SELECT count(*) FROM pg_stat_activity WHERE "
					       "backend_type = 'client backend' AND "
					       "pid <> pg_backend_pid()");

		assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
		assert_true(str_to_u64(str_c(PQgetvalue(r, 0, 0)), &n));
		PQclear(r);
		assert_true(mono_ms() < end);
	} while (n > 1 + cutter_live(cut.cutter)); /* cut.direct has one */
}

static int setup_for(int64_t call_ms)
{
	/* Every byte of the head, where messages are short, then every third. */
	static const struct cut_driver driver = {
		.open = open_kv, .settle = wait_for_orphans, .head = 40, .step = 3};
	char uri[256];

	table++;
	cut_setup(&driver, pg_cluster_shared()->port, call_ms);
	observer = PQconnectdb(pg_cluster_uri(pg_cluster_shared(), 0, "", uri));
	assert_int_equal(PQstatus(observer), CONNECTION_OK);
	return 0;
}

static int setup(void **state)
{
	return setup_for(0);
}

static int setup_hasty(void **state)
{
	return setup_for(800);
}

static int teardown(void **state)
{
	PQfinish(observer);
	cut_teardown();
	return 0;
}

/* Its read must go through whatever becomes of the write, and come after it. */
static rc call_write_then_read(struct err *e)
{
	struct kv_write w = {.partition = CUT_P, .key = CUT_K, .value = STR("new"), .err = e};
	struct kv_read r = {.partition = CUT_P, .key = CUT_K, .a = cut.arena};

	kv_write_then_read(cut.kv, &w, 1, &r, 1);
	assert_true(rc_ok(r.result));
	assert_true(str_eq(r.value, STR("new")) ||
		    (str_eq(r.value, STR("old")) && rc_is(w.result, UNKNOWN_OUTCOME)));
	return w.result;
}

/* What wasn't cut is done; it isn't only when its time was over. */
static bool is_fate_of_gone(rc r)
{
	if (cut.hasty && rc_is(r, ServiceUnavailable))
		return cut_value("gone");
	return rc_ok(r) ? !cut_value("gone") : rc_is(r, UNKNOWN_OUTCOME);
}

/* Two sets in one statement, deletions in one transaction: each group has one fate. */
static rc call_write_many(struct err *e)
{
	struct kv_write w[] = {
		{.partition = CUT_P, .key = CUT_K, .value = STR("new"), .err = e},
		{.partition = CUT_P, .key = STR("k2"), .value = STR("new")},
		{.partition = CUT_P, .key = STR("gone"), .remove = true},
		{.partition = CUT_P, .key = STR("gone2"), .remove = true},
	};

	for (int i = 0; i < 4; i++)
		cut_prepare(i == 0 ? "k" : i == 1 ? "k2" : i == 2 ? "gone" : "gone2", "old");
	kv_write_many(cut.kv, w, 4);
	wait_for_orphans();
	assert_int_equal(w[0].result.code, w[1].result.code);
	assert_int_equal(w[2].result.code, w[3].result.code);
	assert_true(cut_is(cut_value("k"), cut_value("k2")));
	assert_true(cut_is(cut_value("gone"), cut_value("gone2")));
	assert_true(is_fate_of_gone(w[2].result));
	return w[0].result;
}

static const struct cut_call calls[] = {
	CUT_CHANGES,
	{"write_then_read", "old", "new", call_write_then_read},
	{"write_many", "old", "new", call_write_many},
	CUT_READS,
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void sweep(const struct cut_call *c, enum cutter_way way)
{
	struct cut_outcome o;

	cut_sweep(c, way, &o);
	assert_true(o.bytes >= 30);
	if (cut_reads(c))
		assert_true(o.done > 30 && o.unknown_old + o.unknown_new == 0);
	else if (way == CUTTER_TO_SERVER)
		assert_true(o.unknown_old > 30);
	else
		assert_true(o.unknown_new > 10 && o.unknown_old == 0);
}

static void test_cut__sweep(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		for (int way = 0; way < 2; way++)
			sweep(&calls[i], (enum cutter_way)way);
}

static void test_cut__idle_connections(void **state)
{
	cut_idle(calls, CALLS);
}

/* The call ends at its deadline. */
static void test_cut__silence(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		for (int way = 0; way < 2; way++) {
			const struct cut_call *c = &calls[i];
			int64_t since = mono_ms();

			if (c->make == call_write_then_read)
				continue; /* its read would have no time left */
			cut_silence(c, (enum cutter_way)way,
				    cut_reads(c) ? ERR_ServiceUnavailable : ERR_UNKNOWN_OUTCOME);
			assert_in_range(mono_ms() - since, 500, 60000);
		}
	cut_warm_up();
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(test_cut__##name, with, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(sweep, setup),
		TEST(idle_connections, setup),
		TEST(silence, setup_hasty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
