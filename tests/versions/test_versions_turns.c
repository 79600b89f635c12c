/* Turns at a branch's head: many who merge and commit at once, in one process and in two; leases of the living and of
 * the dead. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "versions/dump.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/hygiene.h"
#include "versions/internal.h"
#include "versions/object.h"
#include "versions/turn.h"

enum { MERGERS = 16, EACH = 4 };
enum { PATIENCE_MS = 120 * 1000 };
/* Nobody dies, and who stands still for longer than a lease lives would leave his. */
enum { CROWD_LEASE_MS = 60 * 1000 };

struct crowd {
	struct world w;
	struct repo r;
	struct merger {
		pthread_t id;
		struct crowd *crowd;
		struct versions *v;
		unsigned number;
	} mergers[MERGERS];
	atomic_uint made;
};

static struct vcall call_new(struct versions *v, struct err *err)
{
	*err = (struct err){0};
	return (struct vcall){.v = v, .a = arena_new(), .wait = KV_BLOCK, .err = err};
}

static void must(rc res, const struct err *err)
{
	if (!rc_ok(res))
		fail_msg("%s: %s", err_name(res.code), err->msg);
}

static void put_and_commit(struct vcall *c, const struct repo *r, struct str branch, struct str path, unsigned n)
{
	struct commit_request q = {.branch = branch, .committer = STR("c"), .message = STR("m")};
	struct entry e = some_entry(c->a, n);
	struct commit made;
	bool sent;

	must(object_stage(c, r, branch, path, &e, STAGE_ALWAYS, STR_NONE, &sent), c->err);
	must(branch_commit(c, r, &q, &made), c->err);
}

/* Each has a branch of its own, and merges it into main again and again. */
static void *merge_all(void *arg)
{
	struct merger *m = arg;
	struct err err;

	for (unsigned i = 0; i < EACH; i++) {
		struct vcall c = call_new(m->v, &err);
		struct merge_request q = {.source = arena_printf(c.a, "b%u", m->number),
					  .destination = STR("main"),
					  .committer = STR("c")};
		struct commit made;

		put_and_commit(&c, &m->crowd->r, q.source, arena_printf(c.a, "m%u/%u", m->number, i), i + 1);
		must(branch_merge(&c, &m->crowd->r, &q, &made), &err);
		atomic_fetch_add(&m->crowd->made, 1);
		arena_free(c.a);
	}
	return NULL;
}

static unsigned commits_of(struct crowd *x)
{
	struct vcall c = x->w.c;
	struct branch b;
	struct commit at;
	unsigned n = 0;

	assert_ok(branch_get(&c, &x->r, STR("main"), &b));
	assert_ok(commit_get(&c, &x->r, b.commit_id, &at));
	while (at.parents_n) {
		assert_ok(commit_get(&c, &x->r, at.parents[0], &at));
		n++;
	}
	return n;
}

static void check_crowd(struct crowd *x)
{
	for (unsigned n = 0; n < MERGERS; n++)
		for (unsigned i = 0; i < EACH; i++) {
			struct entry e;

			assert_ok(object_stat(&x->w.c, &x->r, STR("main"), arena_printf(x->w.a, "m%u/%u", n, i), &e));
			assert_int_equal(e.size, i + 1);
		}
	assert_int_equal(atomic_load(&x->made), MERGERS * EACH);
	assert_int_equal(commits_of(x), MERGERS * EACH); /* a merge is one commit of main, and none is lost */
	assert_int_equal(world_keys(&x->w, PARTITION_LEASES), 0);
}

static void run_crowd(bool two)
{
	struct crowd x = {0};
	int64_t begun;

	world_open(&x.w, PLAIN);
	if (two)
		world_other_with(&x.w, CROWD_LEASE_MS);
	x.r = world_repo(&x.w);
	for (unsigned i = 0; i < MERGERS; i++)
		assert_ok(branch_create(&x.w.c, &x.r, arena_printf(x.w.a, "b%u", i), STR("main")));
	begun = mono_ms();
	for (unsigned i = 0; i < MERGERS; i++) {
		x.mergers[i] = (struct merger){
			.crowd = &x, .number = i, .v = two && i % 2 ? x.w.second : x.w.v};
		assert_int_equal(pthread_create(&x.mergers[i].id, NULL, merge_all, &x.mergers[i]), 0);
	}
	for (unsigned i = 0; i < MERGERS; i++)
		pthread_join(x.mergers[i].id, NULL);
	printf("%u merges of %u who merge at once, %s: %lld ms\n", MERGERS * EACH, MERGERS,
	       two ? "two processes" : "one process", (long long)(mono_ms() - begun));
	check_crowd(&x);
	world_close(&x.w);
}

static void test_turns__one_process(void **state)
{
	run_crowd(false);
}

static void test_turns__two_processes(void **state)
{
	run_crowd(true);
}

/* Those of one process go in the order in which they came. */
struct queued {
	pthread_t id;
	struct progress progress;
	struct world *w;
	struct repo *r;
	atomic_uint *order;
	atomic_bool in_line;
	unsigned place;
};

/* Who waits is asked whenever somebody's turn has ended. */
static rc note_in_line(struct progress *p, int64_t done, struct err *reterr)
{
	atomic_store(&((struct queued *)((char *)p - offsetof(struct queued, progress)))->in_line, true);
	return RC_OK;
}

static void *wait_in_line(void *arg)
{
	struct queued *q = arg;
	struct err err;
	struct vcall c = call_new(q->w->v, &err);
	struct turn t;

	c.progress = &q->progress;
	must(turn_begin(&t, &c, q->r, STR("main")), &err);
	q->place = atomic_fetch_add(q->order, 1);
	turn_end(&t);
	arena_free(c.a);
	return NULL;
}

/* A turn of another branch is nobody's but its own. */
static void await_in_line(struct queued *q)
{
	int64_t begun = mono_ms();
	struct err err;
	struct vcall c = call_new(q->w->v, &err);

	while (!atomic_load(&q->in_line)) {
		struct turn elsewhere;

		assert_true(mono_ms() - begun < PATIENCE_MS);
		must(turn_begin(&elsewhere, &c, q->r, STR("dev")), &err);
		turn_end(&elsewhere);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	arena_free(c.a);
}

static void test_turns__first_come_first_served(void **state)
{
	enum { N = 5 };
	struct queued q[N] = {0};
	atomic_uint order = 0;
	struct turn t;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(turn_begin(&t, &w.c, &r, STR("main")));
	for (unsigned i = 0; i < N; i++) {
		q[i] = (struct queued){.progress.tick = note_in_line, .w = &w, .r = &r, .order = &order};
		assert_int_equal(pthread_create(&q[i].id, NULL, wait_in_line, &q[i]), 0);
		await_in_line(&q[i]);
	}
	assert_int_equal(atomic_load(&order), 0);
	turn_end(&t);
	for (unsigned i = 0; i < N; i++)
		pthread_join(q[i].id, NULL);
	assert_int_equal(atomic_load(&order), N);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(q[i].place, i);
	world_close(&w);
}

struct stopper {
	struct progress progress;
	unsigned asked;
};

static rc stop_soon(struct progress *p, int64_t done, struct err *reterr)
{
	struct stopper *s = (struct stopper *)p;

	return ++s->asked < 2 ? RC_OK : err_default(reterr, ERR_CANCELLED);
}

static void test_turns__waiting_is_cancelled(void **state)
{
	struct stopper s = {.progress.tick = stop_soon};
	struct turn t, late;
	struct world w;
	struct repo r;
	struct err err;
	struct vcall c;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(turn_begin(&t, &w.c, &r, STR("main")));
	c = call_new(w.v, &err);
	c.progress = &s.progress;
	assert_rc(turn_begin(&late, &c, &r, STR("main")), CANCELLED);
	assert_null(c.turn);
	turn_end(&t);
	c.progress = NULL;
	assert_ok(turn_begin(&late, &c, &r, STR("main")));
	turn_end(&late);
	arena_free(c.a);
	world_close(&w);
}

/* Leases. */

static struct str lease_key(struct world *w, const struct repo *r)
{
	return arena_printf(w->a, STR_FMT "/main", STR_ARG(r->partition));
}

static bool has_lease(struct world *w, const struct repo *r)
{
	struct str raw;

	return rc_ok(kv_get(w->kv, KV_BLOCK, PARTITION_LEASES, lease_key(w, r), w->a, &raw, NULL));
}

/* Commits over a lease of somebody dead: it is waited out, taken over, and given back; but one who stands still for
 * longer than it lives before he gives it back must leave it, for somebody may have taken it from him. */
static void commit_over_a_dead_lease(struct world *w, const struct repo *r, unsigned n)
{
	int64_t begun = mono_ms(), took;

	put_and_commit(&w->c, r, STR("main"), STR("x"), n);
	took = mono_ms() - begun;
	assert_true(took >= world_lease_ms() - 50);
	if (took < 2 * world_lease_ms())
		assert_false(has_lease(w, r));
}

/* A dead process's is waited for as long as it may live, whatever its clock said, and is taken over. */
static void test_turns__dead_owner(void **state)
{
	struct world w;
	struct repo r;

	world_open(&w, PLAIN);
	world_other(&w);
	r = world_repo(&w);
	for (unsigned i = 0; i < 2; i++) {
		const char *values[] = {"somebody 7 99999999999999", "what nobody understands"};

		assert_ok(kv_set(w.kv, PARTITION_LEASES, lease_key(&w, &r), str_c(values[i]), NULL));
		commit_over_a_dead_lease(&w, &r, i + 1);
	}
	world_close(&w);
}

/* How long one who works was out of sight at most: a busy machine may take a thread's CPU away for longer than a
 * lease lives. */
struct steps {
	int64_t last_ms, longest_ms;
};

static void step(struct steps *s)
{
	int64_t now = mono_ms();

	if (s->last_ms && now - s->last_ms > s->longest_ms)
		s->longest_ms = now - s->last_ms;
	s->last_ms = now;
}

struct owner {
	struct world *w;
	struct repo *r;
	struct steps steps;
	sem_t owned;
	atomic_bool seen, gone;
};

/* Works for longer than a lease lives once it was seen, and says so. */
static void *own_a_lease(void *arg)
{
	struct owner *o = arg;
	struct err err;
	struct vcall c = call_new(o->w->second, &err);
	struct turn t;
	int64_t left = world_lease_ms() * 3 / 20;

	must(turn_begin(&t, &c, o->r, STR("main")), &err);
	must(turn_again(&t), &err);
	sem_post(&o->owned);
	while (left) {
		left -= atomic_load(&o->seen);
		step(&o->steps);
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
		turn_renew(&t);
	}
	atomic_store(&o->gone, true);
	turn_end(&t);
	step(&o->steps);
	arena_free(c.a);
	return NULL;
}

struct waiter {
	struct progress progress;
	struct steps steps;
};

static rc step_on(struct progress *p, int64_t done, struct err *reterr)
{
	step(&((struct waiter *)((char *)p - offsetof(struct waiter, progress)))->steps);
	return RC_OK;
}

/* One who lives and renews it is waited for. On a machine that stands still for so long his lease ends: then
 * he counts as dead, and nothing else is promised. */
static void test_turns__living_owner(void **state)
{
	struct waiter waiter = {.progress.tick = step_on};
	struct owner o = {0};
	struct world w;
	struct repo r;
	pthread_t id;
	int64_t begun;
	bool gone;

	world_open(&w, PLAIN);
	world_other(&w);
	r = world_repo(&w);
	o.w = &w;
	o.r = &r;
	sem_init(&o.owned, 0, 0);
	assert_int_equal(pthread_create(&id, NULL, own_a_lease, &o), 0);
	while (sem_wait(&o.owned))
		;
	assert_true(has_lease(&w, &r));
	begun = mono_ms();
	atomic_store(&o.seen, true);
	w.c.progress = &waiter.progress;
	step(&waiter.steps);
	put_and_commit(&w.c, &r, STR("main"), STR("x"), 1);
	step(&waiter.steps);
	gone = atomic_load(&o.gone);
	assert_true(mono_ms() - begun >= world_lease_ms());
	pthread_join(id, NULL);
	if (o.steps.longest_ms < world_lease_ms() / 4 && waiter.steps.longest_ms < world_lease_ms() / 4) {
		assert_true(gone);
		assert_false(has_lease(&w, &r));
	}
	sem_destroy(&o.owned);
	world_close(&w);
}

/* A KV that can't read or write leases keeps nobody from moving a head. */
static void test_turns__leases_that_fail(void **state)
{
	struct turn t;
	struct world w;
	struct repo r;

	world_open(&w, PLAIN);
	world_other(&w);
	r = world_repo(&w);
	kv_fault_arm(w.kv, KV_CALL_GET, 1, ERR_IO, false);
	assert_ok(turn_begin(&t, &w.c, &r, STR("main")));
	kv_fault_arm(w.kv, KV_CALL_SET_IF, 1, ERR_UNKNOWN_OUTCOME, true);
	assert_ok(turn_again(&t)); /* it is there, and we don't know it */
	assert_true(has_lease(&w, &r));
	assert_ok(turn_again(&t)); /* waits it out */
	kv_fault_arm(w.kv, KV_CALL_DELETE, 1, ERR_IO, false);
	turn_end(&t);
	kv_fault_arm(w.kv, 0, 0, ERR_NONE, false);
	assert_true(has_lease(&w, &r));
	commit_over_a_dead_lease(&w, &r, 1);
	world_close(&w);
}

/* It doesn't go on for ever, even if somebody always wins. */
static void test_turns__tries_are_bounded(void **state)
{
	struct turn t;
	struct world w;
	struct repo r;
	unsigned n = 0;
	rc res;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(turn_begin(&t, &w.c, &r, STR("main")));
	while (rc_ok(res = turn_again(&t)))
		assert_true(++n < 1000);
	assert_rc(res, SlowDown);
	assert_true(n >= BRANCH_TRIES);
	turn_end(&t);
	world_close(&w);
}

static void test_turns__hygiene_removes_old_leases(void **state)
{
	const int64_t now_ms = 1700000000000;
	struct hygiene_counts counts;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	for (unsigned i = 0; i < 4; i++) {
		const char *values[] = {"a 1 1699990000", "b 1 1699999990", "nobody's", ""};

		assert_ok(kv_set(w.kv, PARTITION_LEASES, arena_printf(w.a, "k%u", i), str_c(values[i]), NULL));
	}
	assert_ok(hygiene_sweep(&(struct hygiene_options){.versions = w.v, .max = 100}, now_ms, &counts, &w.err));
	assert_int_equal(world_keys(&w, PARTITION_LEASES), 1);
	assert_ok(kv_get(w.kv, KV_BLOCK, PARTITION_LEASES, STR("k1"), w.a, &(struct str){0}, NULL));
	(void)r;
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns__one_process),
		cmocka_unit_test(test_turns__two_processes),
		cmocka_unit_test(test_turns__first_come_first_served),
		cmocka_unit_test(test_turns__waiting_is_cancelled),
		cmocka_unit_test(test_turns__dead_owner),
		cmocka_unit_test(test_turns__living_owner),
		cmocka_unit_test(test_turns__leases_that_fail),
		cmocka_unit_test(test_turns__tries_are_bounded),
		cmocka_unit_test(test_turns__hygiene_removes_old_leases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
