/* The filter, the table of drivers, and what kv.c adds to every call. */
#include "tests/kv/conformance.h"

#include <string.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "kv/drivers.h"

static const struct str P = STR("p");


static int setup(void **state)
{
	struct kv_fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new();
	f->kv = kv_fault_new(kv_mem_new());
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct kv_fixture *f = *state;

	kv_free(f->kv);
	arena_free(f->arena);
	free(f);
	return 0;
}

static void test_fault__fails_the_nth_once(void **state)
{
	struct kv_fixture *f = *state;

	kv_fault_arm(f->kv, KV_CALL_SET, 2, ERR_IO, false);
	assert_ok(kv_text_set(f, "p", "a", "1"), f);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
	assert_rc(kv_text_set(f, "p", "a", "2"), IO);
	assert_int_equal(f->err.code, ERR_IO);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
	assert_ok(kv_text_set(f, "p", "a", "3"), f);
	assert_string_equal(kv_text_get(f, "p", "a"), "3");
}

static void test_fault__after_the_call(void **state)
{
	struct kv_fixture *f = *state;

	kv_fault_arm(f->kv, KV_CALL_WRITES, 1, ERR_UNKNOWN_OUTCOME, true);
	assert_rc(kv_text_set(f, "p", "a", "1"), UNKNOWN_OUTCOME);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
	kv_fault_arm(f->kv, KV_CALL_WRITES, 1, ERR_UNKNOWN_OUTCOME, true);
	assert_rc(kv_delete(f->kv, P, STR("a"), &f->err), UNKNOWN_OUTCOME);
	assert_null(kv_text_get(f, "p", "a"));
	/* What the driver says by itself is kept. */
	kv_fault_arm(f->kv, KV_CALL_SET_IF, 1, ERR_UNKNOWN_OUTCOME, true);
	assert_rc(kv_set_if(f->kv, P, STR("a"), STR("2"), KV_IF_PRESENT, STR_NONE, &f->err),
		  PREDICATE);
}

static void test_fault__disarm(void **state)
{
	struct kv_fixture *f = *state;

	kv_fault_arm(f->kv, KV_CALL_ANY, 1, ERR_IO, false);
	kv_fault_arm(f->kv, 0, 0, ERR_NONE, false);
	assert_ok(kv_text_set(f, "p", "a", "1"), f);
}

/* Each kind of call once: 8 calls in all, one of each kind but two of next. */
static rc scenario(struct kv_fixture *f)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	struct str v;
	bool end;

	TRY(kv_set(f->kv, P, STR("g"), STR("on"), &f->err));
	TRY(kv_set_if(f->kv, P, STR("a"), STR("1"), KV_IF_ABSENT, STR_NONE, &f->err));
	TRY(kv_set_guarded(f->kv, P, STR("b"), STR("2"), P, STR("g"), STR("on"), &f->err));
	TRY(kv_get(f->kv, KV_NOWAIT, P, STR("a"), f->arena, &v, &f->err));
	TRY(kv_scan(f->kv, P, STR_NONE, 0, &it, &f->err));
	TRY(kv_iter_seek(it, STR("b"), &f->err));
	TRY(kv_iter_next(it, &e, &end, &f->err));
	assert_false(end);
	assert_true(str_eq(e.key, STR("b")));
	return kv_delete(f->kv, P, STR("a"), &f->err);
}

static void test_fault__a_sweep_reaches_every_call(void **state)
{
	struct kv_fixture *f = *state;
	uint64_t before = 0;
	int failures = 0;

	for (int after = 0; after < 2; after++)
		for (uint64_t nth = 1;; nth++) {
			rc r;

			kv_fault_arm(f->kv, 0, 0, ERR_NONE, false);
			assert_ok(kv_delete(f->kv, P, STR("a"), &f->err), f);
			before = kv_fault_calls(f->kv, KV_CALL_ANY);
			kv_fault_arm(f->kv, KV_CALL_ANY, nth, ERR_IO, after);
			r = scenario(f);
			if (rc_ok(r))
				break;
			assert_rc(r, IO);
			assert_int_equal(kv_fault_calls(f->kv, KV_CALL_ANY) - before, nth);
			failures++;
		}
	assert_int_equal(failures, 2 * 8);
	assert_int_equal(kv_fault_calls(f->kv, KV_CALL_ANY) - before, 8);
}

/* Each item of a batch is a call: the others pass. */
static void test_fault__one_of_many(void **state)
{
	struct kv_fixture *f = *state;
	static const char *const left[2][3] = {{"g=on y=2 z=3", "g=on x=1 z=3", "g=on x=1 y=2"},
					       {"g=on x=1 y=2 z=3", "g=on x=1 y=2 z=3",
						"g=on x=1 y=2 z=3"}};

	for (int after = 0; after < 2; after++)
		for (unsigned nth = 1; nth <= 3; nth++) {
			struct kv_write w[3] = {
				{.partition = P, .key = STR("x"), .value = STR("1")},
				{.partition = P, .key = STR("y"), .value = STR("2"),
				 .has_guard = true, .guard_partition = P, .guard_key = STR("g"),
				 .guard_value = STR("on")},
				{.partition = P, .key = STR("z"), .value = STR("3")},
			};

			assert_ok(kv_text_set(f, "p", "g", "on"), f);
			kv_fault_arm(f->kv, KV_CALL_WRITES, nth, ERR_UNKNOWN_OUTCOME, after);
			kv_write_many(f->kv, w, 3);
			for (unsigned i = 0; i < 3; i++)
				assert_int_equal(w[i].result.code,
						 i + 1 == nth ? ERR_UNKNOWN_OUTCOME : ERR_NONE);
			assert_string_equal(kv_text_scan(f, P, STR_NONE), left[after][nth - 1]);
			for (unsigned i = 0; i < 3; i++)
				assert_ok(kv_delete(f->kv, P, w[i].key, &f->err), f);
		}
	assert_int_equal(kv_fault_calls(f->kv, KV_CALL_GUARDED), 6);
	assert_int_equal(kv_fault_calls(f->kv, KV_CALL_SET), 6 + 12);
}

/* --- a driver that can do the least --- */

static rc least_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key,
		    struct arena *a, struct str *ret_value, struct err *reterr)
{
	assert_int_equal(wait, KV_BLOCK);
	return err_default(reterr, ERR_NOT_FOUND);
}

static void least_free(struct kv *kv)
{
}

static void test_kv__what_a_driver_lacks(void **state)
{
	static const struct kv_ops ops = {.name = "least", .get = least_get, .free = least_free};
	struct kv least = {&ops};
	struct kv *filter = kv_fault_new(&least);
	struct kv *both[] = {&least, filter};
	struct kv_fixture *f = *state;
	struct str v;

	for (int i = 0; i < 2; i++) {
		assert_false(kv_has_guarded(both[i]));
		assert_rc(kv_set_guarded(both[i], P, STR("k"), STR("v"), P, STR("g"), STR("on"),
					 &f->err),
			  UNSUPPORTED);
		assert_rc(kv_get(both[i], KV_NOWAIT, P, STR("k"), f->arena, &v, &f->err),
			  WOULD_BLOCK);
		assert_rc(kv_get(both[i], KV_BLOCK, P, STR("k"), f->arena, &v, &f->err), NOT_FOUND);
	}
	kv_free(filter);
	kv_free(NULL);
	kv_iter_close(NULL);
}

static void test_kv__metrics(void **state)
{
	struct kv_fixture *f = *state;
	CLEANUP(buf_deinit) struct buf out = BUF_INIT(1 << 20);
	struct metric *misses;
	int64_t before;

	assert_null(kv_text_get(f, "p", "none"));
	misses = metric_get(METRIC_COUNTER, "kv_requests_total", "KV calls.",
			    "operation=\"get\",result=\"not_found\"");
	before = metric_value(misses);
	assert_null(kv_text_get(f, "p", "none"));
	assert_true(metric_value(misses) > before);
	metrics_write(&out);
	assert_true(str_find(buf_str(&out), STR("kv_request_seconds_count{operation=\"get\"}")) <
		    out.n);
}

static void test_drivers__table(void **state)
{
	struct kv_fixture *f = *state;
	struct kv_options o = {.type = STR("mem")};
	struct kv *kv;

	assert_ok(kv_open(&o, &kv, &f->err), f);
	assert_string_equal(kv->ops->name, "mem");
	kv_free(kv);
	o = (struct kv_options){.type = STR("local"), .local.path = STR("memory:x")};
	assert_ok(kv_open(&o, &kv, &f->err), f);
	assert_string_equal(kv->ops->name, "mem");
	kv_free(kv);
	o.type = STR("cassandra");
	assert_rc(kv_open(&o, &kv, &f->err), CONFIG);
	assert_non_null(strstr(f->err.msg, "\"cassandra\""));
	assert_non_null(strstr(f->err.msg, "local, mem, postgres"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(fault__fails_the_nth_once),
		TEST(fault__after_the_call),
		TEST(fault__disarm),
		TEST(fault__a_sweep_reaches_every_call),
		TEST(fault__one_of_many),
		TEST(kv__what_a_driver_lacks),
		TEST(kv__metrics),
		TEST(drivers__table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
