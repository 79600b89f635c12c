/* Migrations between KVs in memory, with a fault at every call. */
#include <string.h>

#include "base/clock.h"
#include "tests/kv/migrating.h"

enum { RECORDS = 280 }; /* two batches */

struct pair {
	struct kv *from, *to; /* each a fault filter */
	struct arena *a;
	struct kv_migrated out;
	struct err err;
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->from = kv_fault_new(kv_mem_new());
	p->to = kv_fault_new(kv_mem_new());
	p->a = arena_new();
	fill(p->from, RECORDS);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	kv_free(p->from);
	kv_free(p->to);
	arena_free(p->a);
	free(p);
	return 0;
}

static void fresh_target(struct pair *p)
{
	kv_free(p->to);
	p->to = kv_fault_new(kv_mem_new());
}

static void assert_same(struct pair *p)
{
	assert_string_equal(everything(p->from, p->a), everything(p->to, p->a));
	assert_true(usable(p->to));
}

static void test_migrate__copies_everything(void **state)
{
	struct pair *p = *state;

	assert_ok(kv_set(p->from, KV_MARKS, STR("writers/x"), STR("{}"), &p->err), p);
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p);
	assert_same(p);
	assert_int_equal(p->out.source.records, RECORDS + 1);
	assert_int_equal(p->out.source.partitions, 6);
	assert_int_equal(p->out.copied, RECORDS + 1);
	assert_false(p->out.resumed);
	/* marks stay where they are */
	assert_int_equal(kv_fault_calls(p->from, KV_CALL_WRITES), RECORDS + 2);
}

static void test_migrate__an_empty_source(void **state)
{
	struct pair *p = *state;
	struct kv *empty = kv_mem_new();

	assert_ok(migrate(empty, p->to, false, &p->out, &p->err), p);
	assert_int_equal(p->out.source.records, 0);
	assert_true(usable(p->to));
	kv_free(empty);
}

static void test_migrate__big_values(void **state)
{
	struct pair *p = *state;
	char *big = arena_alloc(p->a, KV_VALUE_MAX);

	memset(big, 'b', KV_VALUE_MAX);
	for (int i = 0; i < 3; i++)
		assert_ok(kv_set(p->from, STR("big"), arena_printf(p->a, "%d", i), str_make(big, KV_VALUE_MAX),
				 &p->err),
			  p);
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p);
	assert_same(p);
}

static void test_migrate__refuses_what_is_not_empty(void **state)
{
	struct pair *p = *state;
	const char *before;

	assert_ok(kv_set(p->to, STR("p"), STR("k"), STR("v"), &p->err), p);
	before = everything(p->to, p->a);
	assert_rc(migrate(p->from, p->to, false, &p->out, &p->err), EXISTS);
	assert_non_null(strstr(p->err.msg, "--clear-target"));
	assert_string_equal(everything(p->to, p->a), before);
	assert_int_equal(kv_fault_calls(p->to, KV_CALL_WRITES), 1);
	assert_ok(migrate(p->from, p->to, true, &p->out, &p->err), p);
	assert_same(p);
}

/* One run with a fault at the n-th call of the mask; then, without, to the end. False: there was no
 * n-th call any more. */
static bool run_with_fault(struct pair *p, struct kv *where, unsigned mask, uint64_t n, enum err_code code,
			   bool after, bool clear)
{
	uint64_t written = kv_fault_calls(p->from, KV_CALL_WRITES);
	rc first, second;

	fresh_target(p);
	if (!where)
		where = p->to;
	if (clear)
		fill(p->to, 300);
	kv_fault_arm(where, mask, n, code, after);
	first = migrate(p->from, p->to, clear, &p->out, &p->err);
	kv_fault_arm(where, 0, 0, ERR_NONE, false);
	assert_int_equal(kv_fault_calls(p->from, KV_CALL_WRITES), written);
	if (rc_ok(first)) {
		assert_same(p);
		return false;
	}
	assert_int_equal(first.code, code);
	/* A target that is neither marked nor whole is as it was. */
	if (usable(p->to) && !clear && strcmp(everything(p->from, p->a), everything(p->to, p->a)) != 0)
		assert_int_equal(everything(p->to, p->a)[0], '0');
	second = migrate(p->from, p->to, false, &p->out, &p->err);
	if (clear && rc_is(second, EXISTS) && usable(p->to))
		second = migrate(p->from, p->to, true, &p->out, &p->err);
	if (!rc_is(second, EXISTS)) /* else it was whole */
		assert_ok(second, p);
	assert_same(p);
	assert_int_equal(kv_fault_calls(p->from, KV_CALL_WRITES), written);
	return true;
}

static void sweep(struct pair *p, struct kv *where, unsigned mask, unsigned step, enum err_code code,
		  bool after, bool clear, uint64_t at_least)
{
	struct arena *a = p->a;
	uint64_t n = 1;

	for (;; n += step) {
		bool more;

		p->a = arena_new();
		more = run_with_fault(p, where, mask, n, code, after, clear);
		arena_free(p->a);
		if (!more)
			break;
	}
	p->a = a;
	assert_true(n > at_least);
}

static void test_migrate__a_failed_write(void **state)
{
	sweep(*state, NULL, KV_CALL_WRITES, 1, ERR_IO, false, false, RECORDS);
}

static void test_migrate__a_write_of_unknown_outcome(void **state)
{
	sweep(*state, NULL, KV_CALL_WRITES, 1, ERR_UNKNOWN_OUTCOME, true, false, RECORDS);
}

static void test_migrate__a_failed_write_while_clearing(void **state)
{
	sweep(*state, NULL, KV_CALL_WRITES, 3, ERR_IO, false, true, 2 * RECORDS);
	sweep(*state, NULL, KV_CALL_WRITES, 5, ERR_UNKNOWN_OUTCOME, true, true, 2 * RECORDS);
}

static void test_migrate__a_failed_read(void **state)
{
	struct pair *p = *state;

	sweep(p, NULL, KV_CALL_GET | KV_CALL_SCAN, 1, ERR_IO, false, false, 3);
	sweep(p, NULL, KV_CALL_NEXT, 5, ERR_CORRUPT, false, false, RECORDS);
	sweep(p, p->from, KV_CALL_GET | KV_CALL_SCAN, 1, ERR_IO, false, false, 3 * 6);
	sweep(p, p->from, KV_CALL_NEXT, 5, ERR_IO, false, false, 3 * RECORDS);
}

/* Throttled for a while: it waits, and loses nothing. */
static void test_migrate__a_slow_target(void **state)
{
	struct pair *p = *state;

	kv_fault_arm(p->to, KV_CALL_SET, 17, ERR_SlowDown, false);
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p);
	assert_same(p);
}

static void test_migrate__goes_on_where_it_was(void **state)
{
	struct pair *p = *state;

	kv_fault_arm(p->to, KV_CALL_SET, RECORDS, ERR_IO, false);
	assert_rc(migrate(p->from, p->to, false, &p->out, &p->err), IO);
	assert_false(usable(p->to));
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p);
	assert_true(p->out.resumed);
	assert_same(p);
}

/* Begun from one source, and then another comes, or the same that was written to. */
static void test_migrate__another_source(void **state)
{
	struct pair *p = *state;

	kv_fault_arm(p->to, KV_CALL_SET, RECORDS, ERR_IO, false);
	assert_rc(migrate(p->from, p->to, false, &p->out, &p->err), IO);
	assert_ok(kv_set(p->from, STR("p"), STR("new"), STR("v"), &p->err), p);
	assert_rc(migrate(p->from, p->to, false, &p->out, &p->err), EXISTS);
	assert_non_null(strstr(p->err.msg, "written to since"));
	assert_ok(migrate(p->from, p->to, true, &p->out, &p->err), p);
	assert_same(p);
}

/* Callbacks. */

struct watcher {
	struct pair *p;
	enum kv_step step; /* at which it acts */
	enum { CHANGE_SOURCE, CHANGE_TARGET, STOP } act;
	bool done;
};

static rc act(void *ud, const struct kv_progress *p, struct err *reterr)
{
	struct watcher *w = ud;

	if (w->done || p->step != w->step || (p->total && p->done < p->total))
		return RC_OK;
	w->done = true;
	if (w->act == STOP)
		return err_set(reterr, ERR_CANCELLED, "stopped");
	return kv_set(w->act == CHANGE_SOURCE ? w->p->from : w->p->to, STR("graveler"), STR("key/00000"),
		      w->act == CHANGE_SOURCE ? STR("changed") : STR("damaged"), reterr);
}

static rc refuse_last(void *ud, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG, "not yet");
}

static rc migrate_watched(struct pair *p, struct watcher *w, bool refuse, bool dry)
{
	struct kv_stream *s = kv_stream_new(p->from);
	const struct kv_migration m = {.from = s,
				       .to = p->to,
				       .name = STR("a test"),
				       .dry_run = dry,
				       .progress = w ? act : NULL,
				       .last_check = refuse ? refuse_last : NULL,
				       .ud = w};
	rc r = kv_migrate(&m, &p->out, &p->err);

	kv_stream_free(s);
	return r;
}

static void test_migrate__verification_finds_changes(void **state)
{
	struct pair *p = *state;
	struct watcher source = {p, KV_STEP_COPY, CHANGE_SOURCE, false}, target = {p, KV_STEP_COPY, CHANGE_TARGET, false};

	assert_rc(migrate_watched(p, &source, false, false), CORRUPT);
	assert_non_null(strstr(p->err.msg, "partition graveler"));
	assert_false(usable(p->to));
	fresh_target(p);
	assert_rc(migrate_watched(p, &target, false, false), CORRUPT);
	assert_non_null(strstr(p->err.msg, "their digests differ"));
	assert_false(usable(p->to));
}

static void test_migrate__stopped(void **state)
{
	struct pair *p = *state;
	struct watcher w = {p, KV_STEP_COPY, STOP, false};

	assert_rc(migrate_watched(p, &w, false, false), CANCELLED);
	assert_false(usable(p->to));
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p);
	assert_int_equal(p->out.copied, 0); /* it was stopped after the last batch, and its place was kept */
	assert_same(p);
}

static void test_migrate__the_last_check_keeps_the_mark(void **state)
{
	struct pair *p = *state;

	assert_rc(migrate_watched(p, NULL, true, false), CONFIG);
	assert_false(usable(p->to));
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p);
	assert_same(p);
}

static void test_migrate__dry_run(void **state)
{
	struct pair *p = *state;

	assert_ok(migrate_watched(p, NULL, false, true), p);
	assert_int_equal(p->out.source.records, RECORDS + 1);
	assert_int_equal(kv_fault_calls(p->to, KV_CALL_WRITES), 0);
	assert_int_equal(everything(p->to, p->a)[0], '0');
}

static rc not_that(void *ud, const struct kv_record *r, struct err *reterr)
{
	return str_starts(r->partition, STR("repo-main")) ? err_set(reterr, ERR_CONFIG, "unknown record") : RC_OK;
}

static void test_migrate__unknown_records(void **state)
{
	struct pair *p = *state;
	struct kv_stream *s = kv_stream_new(p->from);
	const struct kv_migration m = {.from = s, .to = p->to, .name = STR("a test"), .known = not_that};

	assert_rc(kv_migrate(&m, &p->out, &p->err), CONFIG);
	assert_int_equal(kv_fault_calls(p->to, KV_CALL_WRITES), 0);
	kv_stream_free(s);
}

/* Two at once on a target that both can open: the one that was first goes on, or the other takes over,
 * but never both. */
static void test_migrate__two_at_once(void **state)
{
	struct pair *p = *state;
	struct kv_incoming in = {.run = STR("r"), .source = STR("s"), .from = STR("f"), .phase = KV_PHASE_COPY};
	static struct kv_ops shared; /* lives as long as the KV */
	struct str raw, old;

	make_shared(p->to, &shared);
	kv_fault_arm(p->to, KV_CALL_SET, RECORDS, ERR_IO, false);
	assert_rc(migrate(p->from, p->to, false, &p->out, &p->err), IO);
	assert_ok(kv_incoming_get(p->to, p->a, &in, &old, &p->err), p);
	in.beats++;
	assert_ok(kv_incoming_put(p->to, &in, old, p->a, &raw, &p->err), p);
	assert_rc(kv_incoming_put(p->to, &in, old, p->a, &raw, &p->err), PREDICATE);
	assert_ok(migrate(p->from, p->to, false, &p->out, &p->err), p); /* nobody moves it any more */
	assert_same(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_migrate__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(copies_everything),
		TEST(an_empty_source),
		TEST(big_values),
		TEST(refuses_what_is_not_empty),
		TEST(a_failed_write),
		TEST(a_write_of_unknown_outcome),
		TEST(a_failed_write_while_clearing),
		TEST(a_failed_read),
		TEST(a_slow_target),
		TEST(goes_on_where_it_was),
		TEST(another_source),
		TEST(verification_finds_changes),
		TEST(stopped),
		TEST(the_last_check_keeps_the_mark),
		TEST(dry_run),
		TEST(unknown_records),
		TEST(two_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
