/* Those who may write, and those who want nobody to: heartbeats, freezes, holds. One KV in memory, made to
 * look as if other processes had it open. Times are short; nothing depends on their being exact. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kv/gate.h"
#include "kv/hold.h"
#include "kv/marks.h"
#include "tests/kv/migrating.h"

enum { BEAT = 20, LEASE = 120 * 1000, PATIENCE_MS = 60 * 1000 };
/* For the dead, which take as long; the living move, unless the machine holds them up for as long. */
enum { WATCH_DEAD = 1500, WATCH = 60 * 1000 };

struct fixture {
	struct kv *kv; /* as the others see it */
	struct kv *gate;
	const struct kv_ops *own; /* the driver's */
	struct kv_ops shared;
	struct arena *arena;
	struct err err;
};

/* The gate frees what it is over; the test keeps its own way to the same KV. */
static void no_free(struct kv *kv)
{
}

/* As a driver over a network has it. */
static void write_then_read(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r, size_t m)
{
	kv->ops->write_many(kv, w, n);
	for (size_t i = 0; i < m; i++)
		r[i].result = kv->ops->get(kv, KV_BLOCK, r[i].partition, r[i].key, r[i].a, &r[i].value,
					   r[i].err);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct kv_gate_options o = {.about = STR("host a, process 1"), .beat_ms = BEAT, .lease_ms = LEASE};

	f->arena = arena_new();
	f->kv = kv_mem_new();
	f->own = f->kv->ops;
	make_shared(f->kv, &f->shared);
	f->shared.free = no_free;
	f->shared.write_then_read = write_then_read;
	assert_ok(kv_gate_open(f->kv, &o, &f->gate, &f->err), f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct kv_writer *w;
	size_t n;

	kv_free(f->gate);
	assert_ok(kv_writers_list(f->kv, f->arena, &w, &n, &f->err), f);
	assert_int_equal(n, 0);
	f->kv->ops = f->own;
	kv_free(f->kv);
	arena_free(f->arena);
	free(f);
	return 0;
}

static rc put(struct fixture *f)
{
	return kv_set(f->gate, STR("p"), STR("k"), STR("v"), &f->err);
}

/* Until a write through the gate ends so. */
static void await(struct fixture *f, enum err_code want)
{
	int64_t until = mono_ms() + PATIENCE_MS;

	while (put(f).code != want) {
		assert_true(mono_ms() < until);
		usleep(5000);
	}
}

static void test_gate__passes_everything(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = {.partition = STR("p"), .key = STR("b"), .value = STR("2")};
	struct kv_iter *it;
	struct kv_writer *list;
	struct str v;
	size_t n;

	assert_ok(put(f), f);
	assert_ok(kv_set_if(f->gate, STR("p"), STR("a"), STR("1"), KV_IF_ABSENT, STR_NONE, &f->err), f);
	assert_ok(kv_set_guarded(f->gate, STR("p"), STR("c"), STR("3"), STR("p"), STR("a"), STR("1"), &f->err), f);
	kv_write_many(f->gate, &w, 1);
	assert_ok(w.result, f);
	assert_ok(kv_delete(f->gate, STR("p"), STR("a"), &f->err), f);
	assert_ok(kv_get(f->gate, KV_BLOCK, STR("p"), STR("b"), f->arena, &v, &f->err), f);
	assert_ok(kv_scan(f->gate, STR("p"), STR_NONE, 0, &it, &f->err), f);
	kv_iter_close(it);
	assert_ok(kv_partitions(f->gate, STR_NONE, &it, &f->err), f);
	kv_iter_close(it);
	assert_ok(kv_writers_list(f->kv, f->arena, &list, &n, &f->err), f);
	assert_int_equal(n, 1);
	assert_true(str_eq(list[0].about, STR("host a, process 1")));
	assert_int_equal(list[0].frozen.n, 0);
}

static void test_gate__a_freeze_refuses_all_writes(void **state)
{
	struct fixture *f = *state;
	struct err err = {};
	struct kv_write w = {.partition = STR("p"), .key = STR("b"), .value = STR("2"), .err = &err};
	struct kv_freeze freeze = {STR("id"), STR("it is being moved")};
	struct kv_read r = {.partition = STR("p"), .key = STR("k"), .a = f->arena};
	struct str v;

	assert_ok(put(f), f);
	kv_write_then_read(f->gate, NULL, 0, &r, 1);
	assert_ok(r.result, f);
	assert_ok(kv_freeze_put(f->kv, &freeze, f->arena, &f->err), f);
	await(f, ERR_ServiceUnavailable);
	assert_string_equal(f->err.msg, "it is being moved");
	assert_rc(kv_set_if(f->gate, STR("p"), STR("a"), STR("1"), KV_IF_ABSENT, STR_NONE, &f->err),
		  ServiceUnavailable);
	assert_rc(kv_set_guarded(f->gate, STR("p"), STR("c"), STR("3"), STR("p"), STR("k"), STR("v"), &f->err),
		  ServiceUnavailable);
	assert_rc(kv_delete(f->gate, STR("p"), STR("k"), &f->err), ServiceUnavailable);
	kv_write_many(f->gate, &w, 1);
	assert_rc(w.result, ServiceUnavailable);
	assert_string_equal(err.msg, "it is being moved");
	w.result = RC_OK;
	kv_write_then_read(f->gate, &w, 1, &r, 1);
	assert_rc(w.result, ServiceUnavailable);
	assert_ok(r.result, f); /* what is there may be read */
	assert_ok(kv_get(f->gate, KV_BLOCK, STR("p"), STR("k"), f->arena, &v, &f->err), f);
	assert_rc(kv_get(f->kv, KV_BLOCK, STR("p"), STR("b"), f->arena, &v, &f->err), NOT_FOUND);
	assert_ok(kv_freeze_remove(f->kv, STR("another"), &f->err), f);
	assert_rc(put(f), ServiceUnavailable);
	assert_ok(kv_freeze_remove(f->kv, STR("id"), &f->err), f);
	await(f, ERR_NONE);
}

/* While beats fail for longer than the lease, this process counts as dead: it must not write. */
static void test_gate__without_a_lease_nothing_is_written(void **state)
{
	struct fixture *f = *state;
	const struct kv_gate_options o = {.about = STR("short"), .beat_ms = 5, .lease_ms = 1};
	struct kv *gate;
	rc r;

	/* a lease of a millisecond is over as often as not */
	assert_ok(kv_gate_open(f->kv, &o, &gate, &f->err), f);
	for (int64_t until = mono_ms() + PATIENCE_MS;;) {
		r = kv_set(gate, STR("p"), STR("k"), STR("v"), &f->err);
		if (!rc_ok(r))
			break;
		assert_true(mono_ms() < until);
		usleep(500);
	}
	assert_rc(r, ServiceUnavailable);
	assert_non_null(strstr(f->err.msg, "can't reach its database"));
	kv_free(gate);
}

/* What a process that died left behind goes in the end; what lives stays. */
static void test_gate__the_dead_are_swept(void **state)
{
	struct fixture *f = *state;
	const struct kv_gate_options o = {.about = STR("sweeper"), .beat_ms = 5, .lease_ms = LEASE, .sweep_ms = 400};
	int64_t until = mono_ms() + PATIENCE_MS;
	struct kv_writer *w;
	struct kv *gate;
	size_t n = 0;

	assert_ok(kv_set(f->kv, KV_MARKS, STR("writers/dead"), STR("{}"), &f->err), f);
	assert_ok(kv_gate_open(f->kv, &o, &gate, &f->err), f);
	for (;;) {
		assert_ok(kv_writers_list(f->kv, f->arena, &w, &n, &f->err), f);
		if (n == 2)
			break;
		assert_true(mono_ms() < until);
		usleep(5000);
	}
	assert_ok(put(f), f);
	kv_free(gate);
}

static rc hold_watching(struct fixture *f, bool freeze, int64_t watch_ms, struct kv_hold *h)
{
	const struct kv_hold_options o = {.freeze = freeze, .why = STR("a dump is made"), .watch_ms = watch_ms};

	return kv_hold(f->kv, &o, f->arena, h, &f->err);
}

static rc hold(struct fixture *f, bool freeze, struct kv_hold *h)
{
	return hold_watching(f, freeze, WATCH, h);
}

static void test_hold__refuses_while_somebody_writes(void **state)
{
	struct fixture *f = *state;
	struct kv_freeze freeze;
	struct kv_hold h;

	assert_rc(hold(f, false, &h), SlowDown);
	assert_non_null(strstr(f->err.msg, "host a, process 1"));
	assert_non_null(strstr(f->err.msg, "--freeze"));
	assert_ok(kv_freeze_get(f->kv, f->arena, &freeze, &f->err), f);
	assert_null(freeze.id.p);
	assert_ok(put(f), f);
}

static void test_hold__freezes_and_releases(void **state)
{
	struct fixture *f = *state;
	struct kv_hold h, again;

	assert_ok(hold(f, true, &h), f);
	assert_rc(put(f), ServiceUnavailable); /* at once: it has answered */
	assert_string_equal(f->err.msg, "a dump is made");
	assert_ok(kv_hold_check(f->kv, &h, &f->err), f);
	assert_ok(hold(f, false, &again), f); /* it is frozen, so nobody writes */
	assert_true(again.was_frozen);
	assert_ok(kv_hold_release(f->kv, &again, &f->err), f);
	assert_rc(put(f), ServiceUnavailable); /* not its own */
	assert_ok(kv_hold_release(f->kv, &h, &f->err), f);
	await(f, ERR_NONE);
	assert_rc(kv_hold_check(f->kv, &h, &f->err), CONFIG);
}

/* A heartbeat that doesn't move is nobody's. */
static void test_hold__the_dead_are_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct kv_hold h;

	assert_ok(kv_set(f->kv, KV_MARKS, STR("writers/dead"), STR("not even JSON"), &f->err), f);
	assert_ok(hold_watching(f, true, WATCH_DEAD, &h), f);
	assert_ok(kv_hold_release(f->kv, &h, &f->err), f);
	assert_ok(kv_delete(f->kv, KV_MARKS, STR("writers/dead"), &f->err), f);
}

static void test_hold__only_owners_need_none(void **state)
{
	struct fixture *f = *state;
	struct kv *own = kv_mem_new();
	const struct kv_hold_options o = {.why = STR("why")};
	struct kv_hold h;

	assert_ok(kv_hold(own, &o, f->arena, &h, &f->err), f);
	assert_null(h.id.p);
	assert_string_equal(everything(own, f->arena), everything(own, f->arena));
	assert_ok(kv_hold_check(own, &h, &f->err), f);
	assert_ok(kv_hold_release(own, &h, &f->err), f);
	kv_free(own);
}

/* Nobody is let in while a KV is being filled, and who is in keeps it from being filled. */
static void test_gate__a_kv_that_is_being_filled(void **state)
{
	struct fixture *f = *state;
	const struct kv_gate_options o = {.about = STR("late"), .beat_ms = BEAT};
	struct kv_incoming in = {.run = STR("r"), .source = STR("s"), .from = STR("local x"), .phase = KV_PHASE_COPY};
	struct kv *from = kv_mem_new(), *late;
	struct kv_migrated out;
	struct kv_writer *w;
	struct str raw;
	size_t n;

	fill(from, 20);
	assert_rc(migrate_watching(from, f->kv, false, WATCH, &out, &f->err), SlowDown);
	assert_non_null(strstr(f->err.msg, "the target: "));
	assert_null(strstr(f->err.msg, "--freeze"));
	assert_non_null(strstr(f->err.msg, "host a, process 1"));
	assert_true(usable(f->kv));
	await(f, ERR_NONE);
	assert_ok(kv_incoming_put(f->kv, &in, STR_NONE, f->arena, &raw, &f->err), f);
	assert_rc(kv_gate_open(f->kv, &o, &late, &f->err), CONFIG);
	assert_non_null(strstr(f->err.msg, "being filled from local x"));
	assert_ok(kv_writers_list(f->kv, f->arena, &w, &n, &f->err), f);
	assert_int_equal(n, 1);
	await(f, ERR_ServiceUnavailable);
	assert_ok(kv_incoming_remove(f->kv, &f->err), f);
	await(f, ERR_NONE);
	kv_free(from);
}

/* Writers that never stop, and a freeze: what is written after kv_hold said so, isn't. */
struct busy {
	struct fixture *f;
	pthread_t thread;
	_Atomic bool stop;
	unsigned id;
};

static void *write_on(void *ud)
{
	struct busy *b = ud;
	char key[32];
	unsigned n = 0;

	while (!b->stop) {
		struct err e;
		rc r;

		snprintf(key, sizeof(key), "%u-%u", b->id, n++);
		r = kv_set(b->f->gate, STR("busy"), str_c(key), STR("v"), &e);
		CHECK(rc_ok(r) || rc_is(r, ServiceUnavailable));
		if (!rc_ok(r))
			usleep(1000);
	}
	return NULL;
}

static void test_hold__nothing_changes_while_it_stands(void **state)
{
	struct fixture *f = *state;
	struct busy busy[3] = {};
	const char *before;
	struct kv_hold h;

	for (unsigned i = 0; i < 3; i++) {
		busy[i].f = f;
		busy[i].id = i;
		CHECK(pthread_create(&busy[i].thread, NULL, write_on, &busy[i]) == 0);
	}
	for (int round = 0; round < 3; round++) {
		assert_ok(hold(f, true, &h), f);
		before = everything(f->kv, f->arena);
		usleep(100 * 1000);
		assert_string_equal(everything(f->kv, f->arena), before);
		assert_ok(kv_hold_release(f->kv, &h, &f->err), f);
		await(f, ERR_NONE);
	}
	for (unsigned i = 0; i < 3; i++) {
		busy[i].stop = true;
		pthread_join(busy[i].thread, NULL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(gate__passes_everything),
		TEST(gate__a_freeze_refuses_all_writes),
		TEST(gate__without_a_lease_nothing_is_written),
		TEST(gate__the_dead_are_swept),
		TEST(gate__a_kv_that_is_being_filled),
		TEST(hold__refuses_while_somebody_writes),
		TEST(hold__freezes_and_releases),
		TEST(hold__the_dead_are_not_waited_for),
		TEST(hold__only_owners_need_none),
		TEST(hold__nothing_changes_while_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
