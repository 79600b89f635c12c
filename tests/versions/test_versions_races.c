/* Writers against seals and commits, readers among them, on threads. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <stdatomic.h>

#include "versions/listing.h"
#include "versions/object.h"

enum { WRITERS = 3, PATHS = 40, CONTESTED = 25 };

struct thread {
	pthread_t id;
	struct world *w;
	struct repo *r;
	unsigned number;
	unsigned won;
};

static atomic_bool stop;

static struct vcall call_new(struct thread *t, struct err *err)
{
	return (struct vcall){.v = t->w->v, .a = arena_new(), .wait = KV_BLOCK, .err = err};
}

/* Too busy is an answer; nothing acknowledged is ever lost. */
static rc stage(struct vcall *c, struct repo *r, struct str path, unsigned seed,
		enum stage_cond cond)
{
	for (;;) {
		struct entry e = some_entry(c->a, seed);
		bool sent;
		rc res = object_stage(c, r, STR("main"), path, &e, cond, STR_NONE, &sent);

		if (!rc_is(res, SlowDown))
			return res;
	}
}

static void *write_own(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned i = 0; i < PATHS; i++) {
		struct vcall c = call_new(t, &err);
		struct str path = arena_printf(c.a, "w%u/%03u", t->number, i);
		struct entry e;
		rc seen;

		assert_ok(stage(&c, t->r, path, i + 1, STAGE_ALWAYS));
		do
			seen = object_stat(&c, t->r, STR("main"), path, &e);
		while (rc_is(seen, SlowDown));
		assert_ok(seen);
		assert_int_equal(e.size, i + 1);
		arena_free(c.a);
	}
	return NULL;
}

/* What a client does that was told 409: it was sent and may have counted, so it looks. */
static bool is_mine(struct vcall *c, const struct thread *t, struct str path)
{
	struct entry e;
	rc seen;

	do
		seen = object_stat(c, t->r, STR("main"), path, &e);
	while (rc_is(seen, SlowDown));
	return rc_ok(seen) && e.size == 1000 + t->number;
}

static void *write_contested(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned i = 0; i < CONTESTED; i++) {
		struct vcall c = call_new(t, &err);
		struct str path = arena_printf(c.a, "c/%03u", i);
		rc res = stage(&c, t->r, path, 1000 + t->number, STAGE_IF_ABSENT);

		if (rc_is(res, ConditionalRequestConflict) ? is_mine(&c, t, path) : rc_ok(res))
			t->won++;
		else if (!rc_is(res, ConditionalRequestConflict))
			assert_rc(res, PREDICATE);
		arena_free(c.a);
	}
	return NULL;
}

static void *seal(void *arg)
{
	struct thread *t = arg;
	struct err err;

	while (!atomic_load(&stop)) {
		struct vcall c = call_new(t, &err);
		struct branch b;

		assert_ok(branch_get(&c, t->r, STR("main"), &b));
		if (b.sealed_n > 2)
			world_move_sealed(&c, t->r, STR("main"));
		else
			world_seal(&c, t->r, STR("main"));
		sched_yield();
		arena_free(c.a);
	}
	return NULL;
}

static void *list(void *arg)
{
	const struct list_request q = {.prefix = STR("w0/"), .after = STR(""), .max = 1000};
	struct thread *t = arg;
	struct err err;
	size_t last = 0;

	while (!atomic_load(&stop)) {
		struct vcall c = call_new(t, &err);
		struct list_page page;
		rc got = objects_list(&c, t->r, STR("main"), &q, &page);

		if (rc_ok(got)) {
			/* One writer, in order: what was there once stays. */
			assert_true(page.n >= last);
			last = page.n;
		} else {
			assert_rc(got, SlowDown);
		}
		arena_free(c.a);
	}
	return NULL;
}

static void run(enum world_kind kind, void *(*writer)(void *), struct thread *t, struct world *w,
		struct repo *r)
{
	world_open(w, kind);
	*r = world_repo(w);
	atomic_store(&stop, false);
	for (unsigned i = 0; i < WRITERS + 2; i++) {
		t[i] = (struct thread){.w = w, .r = r, .number = i};
		assert_int_equal(pthread_create(&t[i].id, NULL,
						i < WRITERS ? writer : i == WRITERS ? seal : list,
						&t[i]),
				 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(t[i].id, NULL);
	atomic_store(&stop, true);
	pthread_join(t[WRITERS].id, NULL);
	pthread_join(t[WRITERS + 1].id, NULL);
}

static void nothing_lost(enum world_kind kind)
{
	struct thread t[WRITERS + 2];
	struct world w;
	struct repo r;
	struct entry e;

	run(kind, write_own, t, &w, &r);
	for (unsigned n = 0; n < WRITERS; n++)
		for (unsigned i = 0; i < PATHS; i++)
			assert_ok(object_stat(&w.c, &r, STR("main"),
					      arena_printf(w.a, "w%u/%03u", n, i), &e));
	world_close(&w);
}

static void test_races__stage_and_seal_guarded(void **state)
{
	nothing_lost(GUARDED);
}

static void test_races__stage_and_seal_plain(void **state)
{
	nothing_lost(PLAIN);
}

static void one_wins(enum world_kind kind)
{
	struct thread t[WRITERS + 2];
	unsigned won = 0;
	struct world w;
	struct repo r;

	run(kind, write_contested, t, &w, &r);
	for (unsigned i = 0; i < WRITERS; i++)
		won += t[i].won;
	assert_int_equal(won, CONTESTED);
	world_close(&w);
}

static void test_races__conditional_guarded(void **state)
{
	one_wins(GUARDED);
}

static void test_races__conditional_plain(void **state)
{
	one_wins(PLAIN);
}

static void *create(void *arg)
{
	const struct repo_create in = {.id = STR("other"), .storage_namespace = STR("mem://other")};
	struct thread *t = arg;
	struct err err;

	for (unsigned i = 0; i < 10; i++) {
		struct vcall c = call_new(t, &err);
		struct repo made, r;
		rc res = repo_create(&c, &in, &made);

		if (rc_ok(res))
			t->won++;
		assert_true(rc_ok(res) || rc_is(res, EXISTS) || rc_is(res, INVALID));
		res = repo_get(&c, STR("other"), &r);
		assert_true(rc_ok(res) || rc_is(res, NOT_FOUND));
		arena_free(c.a);
	}
	return NULL;
}

static void test_races__create_once(void **state)
{
	struct thread t[WRITERS + 2];
	unsigned won = 0;
	struct world w;
	struct branch b;
	struct repo r;

	run(GUARDED, create, t, &w, &r);
	for (unsigned i = 0; i < WRITERS; i++)
		won += t[i].won;
	assert_int_equal(won, 1);
	assert_ok(repo_get(&w.c, STR("other"), &r));
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	world_close(&w);
}

/* The same, step by step: the branch moves between any two reads of a reader. */

struct moving {
	struct world *w;
	struct repo *r;
};

static void seal_and_move(void *ud)
{
	struct moving *m = ud;
	struct vcall c = m->w->c;
	struct err err;

	c.a = arena_new();
	c.err = &err;
	world_seal(&c, m->r, STR("main"));
	world_move_sealed(&c, m->r, STR("main"));
	arena_free(c.a);
}

static void test_races__reader_between_moves(void **state)
{
	const struct list_request q = {.prefix = STR(""), .after = STR(""), .max = 10};

	for (unsigned nth = 1; nth < 8; nth++) {
		for (unsigned layers = 0; layers < 2; layers++) {
			struct moving m;
			struct list_page page;
			struct world w;
			struct repo r;
			struct entry e;
			bool sent;

			world_open(&w, PLAIN);
			r = world_repo(&w);
			m = (struct moving){&w, &r};
			assert_ok(stage(&w.c, &r, STR("a"), 1, STAGE_ALWAYS));
			if (layers)
				world_seal(&w.c, &r, STR("main"));
			assert_ok(stage(&w.c, &r, STR("b"), 2, STAGE_ALWAYS));
			world_hook(&w, nth, seal_and_move, &m);
			assert_ok(object_stat(&w.c, &r, STR("main"), STR("a"), &e));
			assert_int_equal(e.size, 1);
			world_hook(&w, nth, seal_and_move, &m);
			assert_ok(objects_list(&w.c, &r, STR("main"), &q, &page));
			assert_int_equal(page.n, 2);
			world_hook(&w, nth, seal_and_move, &m);
			assert_rc(stage(&w.c, &r, STR("a"), 3, STAGE_IF_ABSENT), PREDICATE);
			world_hook(&w, nth, seal_and_move, &m);
			e = some_entry(w.a, 5);
			assert_ok(object_stage(&w.c, &r, STR("main"), STR("a"), &e, STAGE_IF_ETAG,
					       STR("*"), &sent));
			world_hook(&w, nth, seal_and_move, &m);
			assert_ok(stage(&w.c, &r, STR("c"), 4, STAGE_IF_ABSENT));
			assert_ok(object_stat(&w.c, &r, STR("main"), STR("c"), &e));
			world_hook(&w, nth, seal_and_move, &m);
			assert_ok(object_delete(&w.c, &r, STR("main"), STR("b")));
			world_hook(&w, 0, NULL, NULL);
			assert_rc(object_stat(&w.c, &r, STR("main"), STR("b"), &e), NOT_FOUND);
			assert_ok(objects_list(&w.c, &r, STR("main"), &q, &page));
			assert_int_equal(page.n, 2);
			world_close(&w);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_races__stage_and_seal_guarded),
		cmocka_unit_test(test_races__stage_and_seal_plain),
		cmocka_unit_test(test_races__conditional_guarded),
		cmocka_unit_test(test_races__conditional_plain),
		cmocka_unit_test(test_races__create_once),
		cmocka_unit_test(test_races__reader_between_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
