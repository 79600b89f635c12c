/* Connections that break: whatever was written is known again by its mark, so that a write which was carried out
 * says so. */
#include "tests/kv/cut.h"
#include "tests/kv/ddb_service.h"

static char table[32];

static struct kv *open_kv(int port, int64_t call_ms)
{
	struct kv_dynamodb_options o =
	    ddb_service_options(ddb_service_shared(), cut.arena, port, table);
	struct kv *ret = NULL;
	struct err e = {0};

	o.max_connections = 2;
	o.call_ms = call_ms;
	if (!rc_ok(kv_dynamodb_open(&o, &ret, &e)))
		fail_msg("%s", e.msg);
	return ret;
}

static int setup_for(int64_t call_ms)
{
	static const struct cut_driver driver = {.open = open_kv, .head = 6, .step = 13};
	static unsigned n;

	snprintf(table, sizeof(table), "cut-%u", n++);
	cut_setup(&driver, ddb_service_shared()->port, call_ms);
	return 0;
}

static int setup(void **state)
{
	return setup_for(0);
}

static int setup_hasty(void **state)
{
	return setup_for(3000);
}

static int teardown(void **state)
{
	cut_teardown();
	return 0;
}

/* Each of a batch has its own fate. */
static rc call_write_many(struct err *e)
{
	struct kv_write w[] = {
	    {.partition = CUT_P, .key = CUT_K, .value = STR("new"), .err = e},
	    {.partition = CUT_P, .key = STR("k2"), .value = STR("new")},
	    {.partition = CUT_P, .key = STR("gone"), .remove = true},
	};

	cut_prepare("k2", "old");
	cut_prepare("gone", "old");
	kv_write_many(cut.kv, w, 3);
	assert_true(rc_ok(w[1].result) ? cut_is(cut_value("k2"), "new")
				       : rc_is(w[1].result, UNKNOWN_OUTCOME));
	assert_true(rc_ok(w[2].result) ? !cut_value("gone") : rc_is(w[2].result, UNKNOWN_OUTCOME));
	return w[0].result;
}

static rc call_partitions(struct err *e)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry entry;
	bool end;

	TRY(kv_partitions(cut.kv, STR_NONE, &it, e));
	TRY(kv_iter_next(it, &entry, &end, e));
	assert_true(!end && str_eq(entry.key, CUT_P));
	return RC_OK;
}

static const struct cut_call calls[] = {
    CUT_CHANGES,
    {"write_many", "old", "new", call_write_many},
    CUT_READS,
    {"partitions", "old", "old", call_partitions},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void sweep(const struct cut_call *c, enum cutter_way way)
{
	struct cut_outcome o;

	cut_sweep(c, way, &o);
	assert_true(o.bytes >= 100);
	if (cut_reads(c))
		assert_true(o.done > 10 && o.unknown_old + o.unknown_new == 0);
	else if (way == CUTTER_TO_SERVER)
		assert_true(o.done == 0 && o.unknown_new == 0 && o.unknown_old > 10);
	else if (c->make == cut_delete)
		assert_true(o.unknown_new > 5 && o.unknown_old == 0);
	else
		assert_true(o.done > 5 && o.unknown_new == 0 && o.unknown_old == 0);
}

static void test_cut__sweep_to_the_server(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		sweep(&calls[i], CUTTER_TO_SERVER);
}

static void test_cut__sweep_to_the_client(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		sweep(&calls[i], CUTTER_TO_CLIENT);
}

static void test_cut__idle_connections(void **state)
{
	cut_idle(calls, CALLS);
}

/* A read is asked for again, a write is looked for. */
static void test_cut__silence(void **state)
{
	for (size_t i = 0; i < CALLS; i++)
		for (int way = 0; way < 2; way++) {
			const struct cut_call *c = &calls[i];
			bool told = cut_reads(c) || (way == CUTTER_TO_CLIENT && c->make != cut_delete);

			cut_silence(c, (enum cutter_way)way, told ? ERR_NONE : ERR_UNKNOWN_OUTCOME);
		}
	cut_warm_up();
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(test_cut__##name, with, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(sweep_to_the_server, setup),
	    TEST(sweep_to_the_client, setup),
	    TEST(idle_connections, setup),
	    TEST(silence, setup_hasty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
