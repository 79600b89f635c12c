/* Removing branches and repositories that must be empty: stopped after each step, and beside writers. Nothing
 * that was acknowledged is lost. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <unistd.h>

#include "versions/branch_remove.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/staging.h"

#define DEV STR("dev")

static const enum world_kind kinds[] = {GUARDED, PLAIN};

static struct repo with_dev(struct world *w, enum world_kind kind)
{
	struct repo r;

	world_open(w, kind);
	r = world_repo(w);
	assert_ok(branch_create(&w->c, &r, DEV, STR_NONE));
	return r;
}

static rc put(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	      enum stage_cond cond)
{
	struct entry e = some_entry(c->a, 7);
	bool sent;

	return object_stage(c, r, branch, path, &e, cond, STR_NONE, &sent);
}

static rc look(struct vcall *c, const struct repo *r, struct str branch, struct str path)
{
	struct entry e;

	return object_stat(c, r, branch, path, &e);
}

/* As if its times lay an hour back. */
static void age(struct world *w, const struct repo *r, struct str name)
{
	struct branch b, old;

	assert_ok(branch_read(&w->c, r, name, &b));
	old = b;
	old.closed_ms = b.closed_ms ? b.closed_ms - 3600 * 1000 : 0;
	old.removed_ms = b.removed_ms ? b.removed_ms - 3600 * 1000 : 0;
	assert_ok(branch_replace(&w->c, r, &b, &old));
}

static void test_remove__branch(void **state)
{
	for (size_t k = 0; k < 2; k++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[k]);
		struct branch b;

		assert_rc(branch_remove_empty(&w.c, &r, STR("main")), INVALID);
		assert_rc(branch_remove_empty(&w.c, &r, STR("none")), NOT_FOUND);
		assert_ok(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS));
		assert_rc(branch_remove_empty(&w.c, &r, DEV), BucketNotEmpty);
		assert_non_null(strstr(w.err.msg, "'a'"));
		/* It was looked first: nobody was disturbed. */
		assert_ok(branch_get(&w.c, &r, DEV, &b));
		assert_int_equal(b.sealed_n, 0);
		assert_ok(object_delete(&w.c, &r, DEV, STR("a")));
		assert_ok(branch_remove_empty(&w.c, &r, DEV));
		assert_rc(branch_read(&w.c, &r, DEV, &b), NOT_FOUND);
		assert_rc(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS), NOT_FOUND);
		assert_ok(branch_create(&w.c, &r, DEV, STR_NONE));
		assert_ok(put(&w.c, &r, DEV, STR("a"), STAGE_IF_ABSENT));
		world_close(&w);
	}
}

static void test_remove__closed(void **state)
{
	for (size_t k = 0; k < 2; k++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[k]);
		struct branch b, later;

		assert_ok(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS));
		assert_ok(branch_close(&w.c, &r, DEV, &b));
		assert_ok(look(&w.c, &r, DEV, STR("a")));
		assert_rc(put(&w.c, &r, DEV, STR("b"), STAGE_ALWAYS), SlowDown);
		assert_non_null(strstr(w.err.msg, "being deleted"));
		assert_rc(put(&w.c, &r, DEV, STR("b"), STAGE_IF_ABSENT), SlowDown);
		assert_rc(object_delete(&w.c, &r, DEV, STR("a")), SlowDown);
		assert_rc(object_delete(&w.c, &r, DEV, STR("b")), SlowDown);
		age(&w, &r, DEV);
		assert_ok(look(&w.c, &r, DEV, STR("a")));
		assert_ok(put(&w.c, &r, DEV, STR("b"), STAGE_IF_ABSENT));
		assert_ok(look(&w.c, &r, DEV, STR("a")));
		/* Who closed it learns that. */
		assert_rc(branch_mark_removed(&w.c, &r, &b), PREDICATE);
		/* A clock that was set back doesn't keep it closed for ever. */
		assert_ok(branch_close(&w.c, &r, DEV, &b));
		later = b;
		later.closed_ms += 3600 * 1000;
		assert_ok(branch_replace(&w.c, &r, &b, &later));
		assert_ok(put(&w.c, &r, DEV, STR("c"), STAGE_ALWAYS));
		world_close(&w);
	}
}

/* A server that was killed in the middle of a removal, and started again: who has the KV for himself waits for nobody. */
static void test_remove__left_by_an_earlier_process(void **state)
{
	for (unsigned alone = 0; alone < 2; alone++) {
		struct world w;
		struct repo r = with_dev(&w, GUARDED);
		const struct str half = STR("half");
		struct branch b;

		w.alone = alone;
		assert_ok(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS));
		assert_ok(branch_close(&w.c, &r, DEV, &b));
		assert_ok(branch_create(&w.c, &r, half, STR_NONE));
		assert_ok(branch_get(&w.c, &r, half, &b));
		assert_ok(branch_mark_removed(&w.c, &r, &b));
		usleep(2000); /* a millisecond later, at least */
		world_restart(&w);
		if (alone) {
			assert_ok(put(&w.c, &r, DEV, STR("b"), STAGE_ALWAYS));
			assert_ok(branch_create(&w.c, &r, half, STR_NONE));
			assert_ok(put(&w.c, &r, half, STR("b"), STAGE_ALWAYS));
			/* Its own are another matter. */
			assert_ok(branch_close(&w.c, &r, DEV, &b));
		}
		assert_rc(put(&w.c, &r, DEV, STR("b"), STAGE_ALWAYS), SlowDown);
		assert_ok(look(&w.c, &r, DEV, STR("a")));
		if (!alone)
			assert_rc(branch_create(&w.c, &r, half, STR_NONE), SlowDown);
		world_close(&w);
	}
}

/* Attempts don't make the list of sealed tokens longer. */
static void test_remove__seals_are_dropped(void **state)
{
	for (size_t k = 0; k < 2; k++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[k]);
		struct branch b;

		for (unsigned i = 0; i < 20; i++) {
			assert_ok(branch_close(&w.c, &r, DEV, &b));
			assert_ok(branch_close(&w.c, &r, DEV, &b)); /* another one takes over */
			assert_ok(branch_reopen(&w.c, &r, &b));
			assert_int_equal(b.sealed_n, 0);
		}
		assert_ok(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS));
		assert_ok(branch_close(&w.c, &r, DEV, &b));
		assert_ok(branch_reopen(&w.c, &r, &b));
		assert_int_equal(b.sealed_n, 1);
		assert_ok(look(&w.c, &r, DEV, STR("a")));
		world_close(&w);
	}
}

static void test_remove__left_record(void **state)
{
	for (size_t k = 0; k < 2; k++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[k]);
		struct branch b, *list;
		size_t n;
		bool more;

		assert_ok(branch_get(&w.c, &r, DEV, &b));
		assert_ok(branch_mark_removed(&w.c, &r, &b));
		assert_rc(branch_get(&w.c, &r, DEV, &b), NOT_FOUND);
		assert_rc(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS), NOT_FOUND);
		assert_rc(put(&w.c, &r, DEV, STR("a"), STAGE_IF_ABSENT), NOT_FOUND);
		assert_rc(branch_delete(&w.c, &r, DEV), NOT_FOUND);
		assert_ok(branch_list(&w.c, &r, STR(""), STR_NONE, 10, true, &list, &n, &more));
		assert_int_equal(n, 1);
		assert_rc(branch_create(&w.c, &r, DEV, STR_NONE), SlowDown);
		age(&w, &r, DEV);
		assert_ok(branch_create(&w.c, &r, DEV, STR_NONE));
		assert_rc(branch_create(&w.c, &r, DEV, STR_NONE), EXISTS);
		assert_ok(put(&w.c, &r, DEV, STR("a"), STAGE_ALWAYS));
		world_close(&w);
	}
}

/* What a client finds after a stop, whatever the stop left; and that in the end everything works again. */
static void check_branch_after_stop(struct world *w, const struct repo *r, bool holds, bool told_gone)
{
	struct branch b;
	rc found;

	w->c.err = &w->err;
	found = branch_get(&w->c, r, DEV, &b);
	if (holds) {
		assert_ok(found);
		assert_ok(look(&w->c, r, DEV, STR("kept")));
	}
	if (told_gone)
		assert_rc(found, NOT_FOUND);
	if (rc_ok(branch_read(&w->c, r, DEV, &b)))
		age(w, r, DEV);
	if (!rc_ok(found))
		assert_ok(branch_create(&w->c, r, DEV, STR_NONE));
	assert_ok(put(&w->c, r, DEV, STR("new"), STAGE_IF_ABSENT));
	assert_ok(look(&w->c, r, DEV, STR("new")));
	assert_rc(branch_remove_empty(&w->c, r, DEV), BucketNotEmpty);
	assert_ok(object_delete(&w->c, r, DEV, STR("new")));
	assert_ok(object_delete(&w->c, r, DEV, STR("kept")));
	assert_ok(branch_remove_empty(&w->c, r, DEV));
}

static bool stop_branch_at(enum world_kind kind, unsigned nth, bool after, bool holds, bool closed)
{
	struct world w;
	struct repo r = with_dev(&w, kind);
	struct branch b;
	uint64_t calls;
	rc res;

	assert_ok(put(&w.c, &r, DEV, STR("gone"), STAGE_ALWAYS));
	assert_ok(object_delete(&w.c, &r, DEV, STR("gone")));
	if (holds)
		assert_ok(put(&w.c, &r, DEV, STR("kept"), STAGE_ALWAYS));
	if (closed) /* by one who died */
		assert_ok(branch_close(&w.c, &r, DEV, &b));
	calls = kv_fault_calls(w.kv, KV_CALL_ANY);
	kv_fault_arm(w.kv, KV_CALL_ANY, nth, after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
	res = branch_remove_empty(&w.c, &r, DEV);
	calls = kv_fault_calls(w.kv, KV_CALL_ANY) - calls;
	kv_fault_arm(w.kv, 0, 0, ERR_NONE, false);
	if (holds)
		assert_false(rc_ok(res));
	world_restart(&w);
	check_branch_after_stop(&w, &r, holds, rc_ok(res));
	world_close(&w);
	return nth <= calls;
}

static void test_remove__branch_stopped_anywhere(void **state)
{
	for (unsigned i = 0; i < 16; i++)
		for (unsigned nth = 1;
		     stop_branch_at(kinds[i & 1], nth, i & 2, i & 4, i & 8); nth++)
			assert_in_range(nth, 1, 100);
}

static bool stop_create_at(enum world_kind kind, unsigned nth, bool after)
{
	struct world w;
	struct repo r;
	struct branch b;
	uint64_t calls;
	rc res;

	world_open(&w, kind);
	r = world_repo(&w);
	calls = kv_fault_calls(w.kv, KV_CALL_ANY);
	kv_fault_arm(w.kv, KV_CALL_ANY, nth, after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
	res = branch_create(&w.c, &r, DEV, STR_NONE);
	calls = kv_fault_calls(w.kv, KV_CALL_ANY) - calls;
	kv_fault_arm(w.kv, 0, 0, ERR_NONE, false);
	world_restart(&w);
	if (rc_ok(res))
		assert_ok(put(&w.c, &r, DEV, STR("at once"), STAGE_ALWAYS));
	if (rc_ok(branch_read(&w.c, &r, DEV, &b)))
		age(&w, &r, DEV);
	res = branch_create(&w.c, &r, DEV, STR_NONE);
	assert_true(rc_ok(res) || rc_is(res, EXISTS));
	assert_ok(put(&w.c, &r, DEV, STR("new"), STAGE_ALWAYS));
	assert_ok(look(&w.c, &r, DEV, STR("new")));
	world_close(&w);
	return nth <= calls;
}

static void test_remove__create_stopped_anywhere(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned nth = 1; stop_create_at(kinds[i & 1], nth, i & 2); nth++)
			assert_in_range(nth, 1, 100);
}

static void test_remove__repository(void **state)
{
	for (size_t k = 0; k < 2; k++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[k]), again;

		assert_rc(repo_delete_empty(&w.c, STR("none")), NOT_FOUND);
		assert_rc(repo_delete_empty(&w.c, r.id), BucketNotEmpty);
		assert_non_null(strstr(w.err.msg, "dev"));
		assert_ok(branch_remove_empty(&w.c, &r, DEV));
		assert_ok(put(&w.c, &r, STR("main"), STR("x"), STAGE_ALWAYS));
		assert_rc(repo_delete_empty(&w.c, r.id), BucketNotEmpty);
		assert_ok(object_delete(&w.c, &r, STR("main"), STR("x")));
		assert_ok(kv_set(w.kv, r.partition, STR("tags/v1"), STR("t"), &w.err));
		assert_rc(repo_delete_empty(&w.c, r.id), BucketNotEmpty);
		assert_non_null(strstr(w.err.msg, "v1"));
		assert_ok(kv_delete(w.kv, r.partition, STR("tags/v1"), &w.err));
		assert_ok(repo_delete_empty(&w.c, r.id));
		assert_rc(repo_get(&w.c, r.id, &again), NOT_FOUND);
		assert_rc(repo_delete_empty(&w.c, r.id), NOT_FOUND);
		/* Who has found it before. */
		assert_rc(put(&w.c, &r, STR("main"), STR("x"), STAGE_ALWAYS), NOT_FOUND);
		assert_rc(branch_create(&w.c, &r, DEV, STR_NONE), NOT_FOUND);
		world_close(&w);
	}
}

static void check_repo_after_stop(struct world *w, struct repo *r, bool holds)
{
	struct repo now;
	struct branch b;
	rc found = repo_get(&w->c, r->id, &now);

	if (holds) {
		assert_ok(found);
		assert_ok(look(&w->c, &now, STR("main"), STR("kept")));
		age(w, &now, STR("main"));
		assert_ok(object_delete(&w->c, &now, STR("main"), STR("kept")));
	}
	/* Without its default branch it takes nothing any more, and can be deleted. */
	if (rc_ok(found) && rc_ok(branch_read(&w->c, &now, STR("main"), &b)) && b.removed_ms) {
		assert_rc(branch_create(&w->c, &now, DEV, STR_NONE), NOT_FOUND);
		assert_rc(put(&w->c, &now, STR("main"), STR("x"), STAGE_ALWAYS), NOT_FOUND);
	} else if (rc_ok(found)) {
		age(w, &now, STR("main"));
		assert_ok(put(&w->c, &now, STR("main"), STR("x"), STAGE_ALWAYS));
		assert_ok(branch_create(&w->c, &now, DEV, STR_NONE));
		assert_rc(repo_delete_empty(&w->c, r->id), BucketNotEmpty);
		assert_ok(object_delete(&w->c, &now, STR("main"), STR("x")));
		assert_ok(branch_remove_empty(&w->c, &now, DEV));
	}
	if (rc_ok(found))
		assert_ok(repo_delete_empty(&w->c, r->id));
	/* One that is marked is gone, and only its record is still to go. */
	found = repo_delete(&w->c, r->id);
	assert_true(rc_ok(found) || rc_is(found, NOT_FOUND));
	assert_rc(repo_read(&w->c, r->id, &now), NOT_FOUND);
}

static bool stop_repo_at(enum world_kind kind, unsigned nth, bool after, bool holds)
{
	struct world w;
	struct repo r;
	uint64_t calls;
	rc res;

	world_open(&w, kind);
	r = world_repo(&w);
	if (holds)
		assert_ok(put(&w.c, &r, STR("main"), STR("kept"), STAGE_ALWAYS));
	calls = kv_fault_calls(w.kv, KV_CALL_ANY);
	kv_fault_arm(w.kv, KV_CALL_ANY, nth, after ? ERR_UNKNOWN_OUTCOME : ERR_IO, after);
	res = repo_delete_empty(&w.c, r.id);
	calls = kv_fault_calls(w.kv, KV_CALL_ANY) - calls;
	kv_fault_arm(w.kv, 0, 0, ERR_NONE, false);
	if (holds)
		assert_false(rc_ok(res));
	world_restart(&w);
	check_repo_after_stop(&w, &r, holds);
	world_close(&w);
	return nth <= calls;
}

static void test_remove__repository_stopped_anywhere(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		for (unsigned nth = 1; stop_repo_at(kinds[i & 1], nth, i & 2, i & 4); nth++)
			assert_in_range(nth, 1, 200);
}

/* Two at once, step by step: the one does all of its work between two reads of the other. */

struct meeting {
	struct world *w;
	struct repo *r;
	struct str branch;
	enum stage_cond cond;
	rc result;
};

static struct vcall own_call(struct world *w, struct err *err)
{
	return (struct vcall){.v = w->v, .a = arena_new(), .wait = KV_BLOCK, .err = err};
}

static void put_between(void *ud)
{
	struct meeting *m = ud;
	struct err err;
	struct vcall c = own_call(m->w, &err);

	m->result = put(&c, m->r, m->branch, STR("x"), m->cond);
	arena_free(c.a);
}

static void remove_branch_between(void *ud)
{
	struct meeting *m = ud;
	struct err err;
	struct vcall c = own_call(m->w, &err);

	m->result = branch_remove_empty(&c, m->r, DEV);
	arena_free(c.a);
}

static void remove_repo_between(void *ud)
{
	struct meeting *m = ud;
	struct err err;
	struct vcall c = own_call(m->w, &err);

	m->result = repo_delete_empty(&c, m->r->id);
	arena_free(c.a);
}

static void create_and_put_between(void *ud)
{
	struct meeting *m = ud;
	struct err err;
	struct vcall c = own_call(m->w, &err);

	m->result = branch_create(&c, m->r, DEV, STR_NONE);
	if (rc_ok(m->result))
		m->result = put(&c, m->r, DEV, STR("x"), m->cond);
	arena_free(c.a);
}

/* The acknowledged write is there, or it was refused. */
static void judge(struct meeting *m, rc removed, rc wrote)
{
	assert_false(rc_ok(removed) && rc_ok(wrote));
	if (rc_ok(wrote))
		assert_ok(look(&m->w->c, m->r, m->branch, STR("x")));
	else
		assert_true(rc_is(wrote, NOT_FOUND) || rc_is(wrote, SlowDown));
	if (!rc_ok(removed))
		assert_true(rc_is(removed, BucketNotEmpty) || rc_is(removed, SlowDown));
}

static void test_remove__write_between_steps(void **state)
{
	for (unsigned nth = 1; nth < 25; nth++)
		for (unsigned i = 0; i < 4; i++) {
			struct world w;
			struct repo r = with_dev(&w, PLAIN);
			struct meeting m = {&w, &r, DEV, i & 1 ? STAGE_ALWAYS : STAGE_IF_ABSENT,
					    RC(SlowDown)};
			rc res;

			world_hook(&w, nth, i & 2 ? put_between : remove_branch_between, &m);
			if (i & 2)
				res = branch_remove_empty(&w.c, &r, DEV);
			else
				res = put(&w.c, &r, DEV, STR("x"), m.cond);
			world_hook(&w, 0, NULL, NULL);
			judge(&m, i & 2 ? res : m.result, i & 2 ? m.result : res);
			world_close(&w);
		}
}

/* One who read the branch before it was closed, and writes after it was looked through. */
static void test_remove__late_writer(void **state)
{
	for (size_t k = 0; k < 2; k++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[k]);
		struct branch before, b;
		bool sent = false;

		assert_ok(branch_get_open(&w.c, &r, DEV, &before));
		assert_ok(branch_close(&w.c, &r, DEV, &b));
		assert_ok(branch_lists_nothing(&w.c, &r, DEV));
		assert_rc(staging_write(&w.c, &r, &before, STR("x"), STR("v"), &sent), PREDICATE);
		assert_rc(staging_replace(&w.c, &r, &before, STR("y"), STR("v"), KV_IF_ABSENT, STR_NONE,
					  &sent),
			  PREDICATE);
		world_close(&w);
	}
}

/* A branch that comes too late for who is deleting its repository holds nothing that was acknowledged. */
static void test_remove__late_branch(void **state)
{
	for (unsigned nth = 1; nth < 20; nth++) {
		struct world w;
		struct repo r;
		struct branch b;
		struct meeting m = {&w, &r, DEV, STAGE_ALWAYS, RC(SlowDown)};

		world_open(&w, PLAIN);
		r = world_repo(&w);
		assert_ok(branch_close(&w.c, &r, STR("main"), &b));
		world_hook(&w, nth, put_between, &m);
		assert_rc(branch_create(&w.c, &r, DEV, STR_NONE), SlowDown);
		world_hook(&w, 0, NULL, NULL);
		assert_true(rc_is(m.result, SlowDown) || rc_is(m.result, NOT_FOUND));
		assert_rc(branch_get(&w.c, &r, DEV, &b), NOT_FOUND);
		world_close(&w);
	}
}

static void test_remove__repository_between_steps(void **state)
{
	for (unsigned nth = 1; nth < 30; nth++)
		for (unsigned i = 0; i < 3; i++) {
			struct world w;
			struct repo r;
			struct meeting m = {&w, &r, i ? DEV : STR("main"), STAGE_ALWAYS, RC(SlowDown)};
			rc res, wrote;

			world_open(&w, PLAIN);
			r = world_repo(&w);
			if (i < 2) {
				world_hook(&w, nth, i ? create_and_put_between : put_between, &m);
				res = repo_delete_empty(&w.c, r.id);
				wrote = m.result;
			} else {
				world_hook(&w, nth, remove_repo_between, &m);
				wrote = branch_create(&w.c, &r, DEV, STR_NONE);
				if (rc_ok(wrote))
					wrote = put(&w.c, &r, DEV, STR("x"), STAGE_ALWAYS);
				res = m.result;
			}
			world_hook(&w, 0, NULL, NULL);
			judge(&m, res, wrote);
			world_close(&w);
		}
}

/* The same on threads. */

enum { WRITERS = 3, ROUNDS = 60 };

struct thread {
	pthread_t id;
	struct world *w;
	struct repo *r;
	pthread_barrier_t *go;
	unsigned number;
	bool repo, create;
	rc result;
};

static void *write_one(void *arg)
{
	struct thread *t = arg;
	struct err err;
	struct vcall c = own_call(t->w, &err);
	struct str branch = t->repo ? STR("main") : DEV;

	pthread_barrier_wait(t->go);
	t->result = RC_OK;
	if (t->create) {
		branch = arena_printf(c.a, "new%u", t->number);
		t->result = branch_create(&c, t->r, branch, STR_NONE);
	}
	if (rc_ok(t->result))
		t->result = put(&c, t->r, branch, arena_printf(c.a, "w%u", t->number),
				t->number & 1 ? STAGE_ALWAYS : STAGE_IF_ABSENT);
	arena_free(c.a);
	return NULL;
}

static void *remove_one(void *arg)
{
	struct thread *t = arg;
	struct err err;
	struct vcall c = own_call(t->w, &err);

	pthread_barrier_wait(t->go);
	t->result = t->repo ? repo_delete_empty(&c, t->r->id) : branch_remove_empty(&c, t->r, DEV);
	arena_free(c.a);
	return NULL;
}

static void check_round(struct thread *t)
{
	bool removed = rc_ok(t[WRITERS].result) || rc_ok(t[WRITERS + 1].result);
	struct world *w = t[0].w;

	for (unsigned i = 0; i < WRITERS; i++) {
		struct str path = arena_printf(w->a, "w%u", i);
		struct str branch = t[i].create ? arena_printf(w->a, "new%u", i)
				    : t[i].repo ? STR("main")
						: DEV;

		if (!rc_ok(t[i].result)) {
			if (!rc_is(t[i].result, NOT_FOUND) && !rc_is(t[i].result, SlowDown))
				fail_msg("writer %u: %s", i, err_name(t[i].result.code));
			continue;
		}
		assert_false(removed);
		assert_ok(look(&w->c, t->r, branch, path));
	}
}

static void run_round(struct world *w, struct repo *r, bool repo)
{
	struct thread t[WRITERS + 2];
	pthread_barrier_t go;

	pthread_barrier_init(&go, NULL, WRITERS + 2);
	for (unsigned i = 0; i < WRITERS + 2; i++) {
		t[i] = (struct thread){.w = w, .r = r, .go = &go, .number = i, .repo = repo,
				       .create = repo && i == 0};
		assert_int_equal(pthread_create(&t[i].id, NULL, i < WRITERS ? write_one : remove_one,
						&t[i]),
				 0);
	}
	for (unsigned i = 0; i < WRITERS + 2; i++)
		pthread_join(t[i].id, NULL);
	pthread_barrier_destroy(&go);
	check_round(t);
}

static void test_remove__branch_races(void **state)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct world w;
		struct repo r = with_dev(&w, kinds[i & 1]);

		run_round(&w, &r, false);
		world_close(&w);
	}
}

static void test_remove__repository_races(void **state)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct world w;
		struct repo r;

		world_open(&w, kinds[i & 1]);
		r = world_repo(&w);
		run_round(&w, &r, true);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remove__branch),
		cmocka_unit_test(test_remove__closed),
		cmocka_unit_test(test_remove__left_by_an_earlier_process),
		cmocka_unit_test(test_remove__seals_are_dropped),
		cmocka_unit_test(test_remove__left_record),
		cmocka_unit_test(test_remove__branch_stopped_anywhere),
		cmocka_unit_test(test_remove__create_stopped_anywhere),
		cmocka_unit_test(test_remove__repository),
		cmocka_unit_test(test_remove__repository_stopped_anywhere),
		cmocka_unit_test(test_remove__write_between_steps),
		cmocka_unit_test(test_remove__late_writer),
		cmocka_unit_test(test_remove__late_branch),
		cmocka_unit_test(test_remove__repository_between_steps),
		cmocka_unit_test(test_remove__branch_races),
		cmocka_unit_test(test_remove__repository_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
