/* Conditional writes and deletions: what they promise, and that nobody who comes between loses anything. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "versions/object.h"

#define MAIN STR("main")
#define KEY STR("k")

static rc put(struct vcall *c, const struct repo *r, struct str path, unsigned seed)
{
	struct entry e = some_entry(c->a, seed);
	bool sent;

	return object_stage(c, r, MAIN, path, &e, STAGE_ALWAYS, STR_NONE, &sent);
}

static rc put_if(struct vcall *c, const struct repo *r, unsigned seed, unsigned over)
{
	struct entry e = some_entry(c->a, seed), was = some_entry(c->a, over);
	bool sent;

	return object_stage(c, r, MAIN, KEY, &e, over ? STAGE_IF_ETAG : STAGE_IF_ABSENT, was.etag,
			    &sent);
}

static rc delete_match(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		       const struct object_match *m)
{
	struct object_delete_item item = {.branch = branch, .path = path, .match = m};

	objects_delete(c, r, &item, 1);
	assert_int_equal(rc_ok(item.result), item.err == NULL);
	return item.result;
}

static rc delete_if(struct vcall *c, const struct repo *r, unsigned seed)
{
	const struct object_match m = {.etag = some_entry(c->a, seed).etag};

	return delete_match(c, r, MAIN, KEY, &m);
}

/* The entry of that seed, tagged. */
static rc retag(struct vcall *c, const struct repo *r, unsigned seed)
{
	struct entry was = some_entry(c->a, seed), e = was;

	e.metadata = &(struct meta){STR("tag"), STR("1")};
	e.metadata_n = 1;
	return object_replace(c, r, MAIN, KEY, &was, &e);
}

static void test_conditional__deletes(void **state)
{
	struct world w;
	struct repo r;
	struct entry e;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	for (unsigned sealed = 0; sealed < 2; sealed++) {
		const struct {
			struct object_match m;
			bool holds;
		} rows[] = {
			{{.etag = STR("*")}, true},
			{{.etag = some_entry(w.a, 7).etag}, true},
			{{.etag = STR("x")}, false},
			{{.etag = STR("")}, false},
			{{.has_size = true, .size = 7}, true},
			{{.has_size = true, .size = 8}, false},
			{{.has_modified = true, .modified = {.s = 1795000007}}, true},
			{{.has_modified = true, .modified = {.s = 1795000007, .ns = 999}}, true},
			{{.has_modified = true, .modified = {.s = 1795000007, .ns = 1000000}}, false},
			{{.has_modified = true, .modified = {.s = 1795000006}}, false},
			{{.etag = STR("*"), .has_size = true, .size = 1}, false},
			{{.etag = STR("x"), .has_size = true, .size = 7}, false},
		};

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			assert_ok(put(&w.c, &r, KEY, 7));
			if (sealed)
				world_seal(&w.c, &r, MAIN);
			if (rows[i].holds) {
				assert_ok(delete_match(&w.c, &r, MAIN, KEY, &rows[i].m));
				assert_rc(object_stat(&w.c, &r, MAIN, KEY, &e), NOT_FOUND);
				assert_rc(delete_match(&w.c, &r, MAIN, KEY, &rows[i].m), NOT_FOUND);
			} else {
				assert_rc(delete_match(&w.c, &r, MAIN, KEY, &rows[i].m), PREDICATE);
				assert_ok(object_stat(&w.c, &r, MAIN, KEY, &e));
			}
		}
	}
	assert_rc(delete_match(&w.c, &r, STR("none"), KEY, &(struct object_match){.etag = STR("*")}),
		  NOT_FOUND);
	r.read_only = true;
	assert_rc(delete_match(&w.c, &r, MAIN, KEY, &(struct object_match){.etag = STR("*")}),
		  ReadOnlyRepository);
	world_close(&w);
}

/* Conditional ones among others, in the order given. */
static void test_conditional__many(void **state)
{
	const struct object_match any = {.etag = STR("*")}, other = {.etag = STR("x")};
	struct object_delete_item items[] = {
		{.branch = MAIN, .path = STR("a")},
		{.branch = MAIN, .path = STR("b"), .match = &any},
		{.branch = MAIN, .path = STR("c")},
		{.branch = MAIN, .path = STR("d"), .match = &other},
		{.branch = MAIN, .path = STR("a"), .match = &any},
		{.branch = MAIN, .path = STR("b")},
	};
	struct world w;
	struct repo r;
	struct entry e;

	world_open(&w, PLAIN);
	r = world_repo(&w);
	for (size_t i = 0; i < 4; i++)
		assert_ok(put(&w.c, &r, items[i].path, 1));
	objects_delete(&w.c, &r, items, 6);
	assert_ok(items[0].result);
	assert_ok(items[1].result);
	assert_ok(items[2].result);
	assert_rc(items[3].result, PREDICATE);
	assert_rc(items[4].result, NOT_FOUND);
	assert_ok(items[5].result);
	assert_ok(object_stat(&w.c, &r, MAIN, STR("d"), &e));
	assert_rc(object_stat(&w.c, &r, MAIN, STR("b"), &e), NOT_FOUND);
	world_close(&w);
}

static void test_conditional__replace(void **state)
{
	struct world w;
	struct repo r;
	struct entry e;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_rc(retag(&w.c, &r, 1), NOT_FOUND);
	assert_ok(put(&w.c, &r, KEY, 1));
	assert_rc(retag(&w.c, &r, 2), PREDICATE);
	assert_ok(retag(&w.c, &r, 1));
	assert_ok(object_stat(&w.c, &r, MAIN, KEY, &e));
	assert_int_equal(e.metadata_n, 1);
	assert_int_equal(e.modified.s, 1795000001);
	/* The same body and time, but not the same entry any more. */
	assert_rc(retag(&w.c, &r, 1), PREDICATE);
	assert_ok(put(&w.c, &r, KEY, 1));
	world_seal(&w.c, &r, MAIN);
	assert_ok(retag(&w.c, &r, 1));
	world_close(&w);
}

/* What somebody else does just before the n-th read of ours. */

enum other { SEAL, MOVE, PUT, DELETE, PUT_IF, DELETE_IF, RETAG, OTHERS };

struct between {
	struct world *w;
	struct repo *r;
	enum other what;
	bool fired;
	rc result;
};

static void act(void *ud)
{
	struct between *b = ud;
	struct vcall c = b->w->c;
	struct err err;

	b->fired = true;
	world_hook(b->w, 0, NULL, NULL);
	c.a = arena_new();
	c.err = &err;
	world_seal(&c, b->r, MAIN);
	if (b->what == MOVE)
		world_move_sealed(&c, b->r, MAIN);
	b->result = b->what == PUT	 ? put(&c, b->r, KEY, 9)
		    : b->what == DELETE	 ? object_delete(&c, b->r, MAIN, KEY)
		    : b->what == PUT_IF	 ? put_if(&c, b->r, 9, 1)
		    : b->what == DELETE_IF ? delete_if(&c, b->r, 1)
		    : b->what == RETAG	 ? retag(&c, b->r, 1)
					 : RC_OK;
	arena_free(c.a);
}

static unsigned seed_now(struct world *w, struct repo *r, bool *ret_tagged)
{
	struct entry e;
	rc got = object_stat(&w->c, r, MAIN, KEY, &e);

	*ret_tagged = false;
	if (rc_is(got, NOT_FOUND))
		return 0;
	assert_ok(got);
	*ret_tagged = e.metadata_n != 0;
	return (unsigned)e.size;
}

enum mine { MY_PUT, MY_DELETE, MY_RETAG, MINE };

static rc do_mine(struct world *w, struct repo *r, enum mine mine)
{
	return mine == MY_PUT	    ? put_if(&w->c, r, 2, 1)
	       : mine == MY_DELETE  ? delete_if(&w->c, r, 1)
				    : retag(&w->c, r, 1);
}

/* The object of seed 1, and somebody who comes before the nth read from now; b->r is the caller's to set. */
static struct repo await_other(struct world *w, struct between *b, unsigned nth)
{
	struct repo r;

	world_open(w, PLAIN);
	r = world_repo(w);
	assert_ok(put(&w->c, &r, KEY, 1));
	b->w = w;
	world_hook(w, nth, act, b);
	return r;
}

/* Each is allowed on the object of seed 1 only, so that of two one at most may succeed. */
static void meet(enum mine mine, enum other other, unsigned nth)
{
	static const unsigned left[] = {[MY_PUT] = 2, [MY_DELETE] = 0, [MY_RETAG] = 1};
	struct between b = {.what = other};
	bool tagged, allowed;
	struct world w;
	struct repo r;
	unsigned now;
	rc got;

	r = await_other(&w, &b, nth);
	b.r = &r;
	got = do_mine(&w, &r, mine);
	if (!b.fired)
		act(&b);
	allowed = rc_ok(got) || rc_is(got, PREDICATE) || rc_is(got, NOT_FOUND) ||
		  rc_is(got, ConditionalRequestConflict);
	assert_true(allowed);
	now = seed_now(&w, &r, &tagged);
	switch (other) {
	case SEAL:
		assert_ok(got);
		assert_int_equal(now, left[mine]);
		assert_int_equal(tagged, mine == MY_RETAG);
		break;
	case MOVE: /* may have carried it away before we saw what became of it */
		if (rc_ok(got))
			assert_int_equal(now, left[mine]);
		break;
	case PUT:
		assert_ok(b.result);
		assert_int_equal(now, 9);
		break;
	case DELETE:
		assert_ok(b.result);
		assert_int_equal(now, 0);
		break;
	default:
		/* A changed tag leaves the ETag: what asks for that may follow it. */
		if (other != RETAG && mine != MY_RETAG)
			assert_false(rc_ok(got) && rc_ok(b.result));
		assert_true(rc_ok(got) || rc_ok(b.result));
		if (!rc_ok(got) && other == RETAG)
			assert_int_equal(now, 1);
		if (rc_ok(got) && !rc_ok(b.result))
			assert_int_equal(now, left[mine]);
		if (!rc_ok(got) && other != RETAG)
			assert_int_equal(now, other == PUT_IF ? 9 : 0);
	}
	world_close(&w);
}

static void test_conditional__somebody_between(void **state)
{
	for (int mine = 0; mine < MINE; mine++)
		for (int other = 0; other < OTHERS; other++)
			for (unsigned nth = 1; nth < 12; nth++)
				meet((enum mine)mine, (enum other)other, nth);
}

static rc add_tag(void *ud, struct entry *e)
{
	e->metadata = ARENA_NEW(ud, struct meta);
	e->metadata[0] = (struct meta){STR("tag"), STR("1")};
	e->metadata_n = 1;
	return RC_OK;
}

static void change_beside(enum other other, unsigned nth)
{
	struct between b = {.what = other};
	struct world w;
	struct repo r;
	bool tagged;
	unsigned now;
	rc got;

	r = await_other(&w, &b, nth);
	b.r = &r;
	got = object_change(&w.c, &r, MAIN, KEY, add_tag, w.a);
	now = seed_now(&w, &r, &tagged);
	if (!rc_ok(got) && !(rc_is(got, NOT_FOUND) && now == 0))
		fail_msg("other %d before read %u: %s: %s", (int)other, nth, err_name(got.code), w.err.msg);
	/* Before ours or after it: nothing else is told than that it is changed. */
	if (rc_ok(got) && other != PUT && other != PUT_IF && now)
		assert_true(tagged);
	world_close(&w);
}

/* Somebody else's change in between is no reason to refuse ours. */
static void test_conditional__change(void **state)
{
	for (int other = 0; other < OTHERS; other++)
		for (unsigned nth = 1; nth < 16; nth++)
			change_beside((enum other)other, nth);
}

/* On threads. */

enum { THREADS = 6, ROUNDS = 30 };

struct thread {
	pthread_t id;
	struct world *w;
	struct repo *r;
	unsigned number, won, unsure;
};

static atomic_bool stop;
static atomic_uint fault_period;

static struct vcall call_new(struct thread *t, struct err *err)
{
	return (struct vcall){.v = t->w->v, .a = arena_new(), .wait = KV_BLOCK, .err = err};
}

static void *seal(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned n = 0; !atomic_load(&stop); n++) {
		struct vcall c = call_new(t, &err);
		struct branch b;
		unsigned period = atomic_load(&fault_period);

		if (period)
			kv_fault_arm(t->w->kv, KV_CALL_SET_IF, 1 + n % period, ERR_UNKNOWN_OUTCOME,
				     n % 2);
		/* Not by its own faults. */
		if (period == 0 && rc_ok(branch_get(&c, t->r, MAIN, &b)) && b.sealed_n < 20)
			world_seal(&c, t->r, MAIN);
		usleep(200);
		arena_free(c.a);
	}
	return NULL;
}

static void run(enum world_kind kind, unsigned period, void *(*main_of)(void *), struct thread *t,
		struct world *w, struct repo *r)
{
	world_open(w, kind);
	*r = world_repo(w);
	atomic_store(&stop, false);
	atomic_store(&fault_period, period);
	for (unsigned i = 0; i <= THREADS; i++) {
		t[i] = (struct thread){.w = w, .r = r, .number = i};
		assert_int_equal(
			pthread_create(&t[i].id, NULL, i < THREADS ? main_of : seal, &t[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i].id, NULL);
	atomic_store(&stop, true);
	pthread_join(t[THREADS].id, NULL);
	kv_fault_arm(w->kv, 0, 0, ERR_NONE, false);
}

static struct str etag_of(struct arena *a, int64_t count, unsigned thread)
{
	return arena_printf(a, "%08llx%024x", (unsigned long long)count, thread);
}

/* A counter: the size. Who reads n may write n + 1 if n is still there. */
static void *count_up(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vcall c = call_new(t, &err);
		struct entry was, e;
		bool sent, there;
		rc res = object_stat(&c, t->r, MAIN, KEY, &was);

		there = rc_ok(res);
		e = some_entry(c.a, t->number * 1000 + i);
		e.size = there ? was.size + 1 : 1;
		e.etag = etag_of(c.a, e.size, t->number);
		if (there || rc_is(res, NOT_FOUND))
			res = object_stage(&c, t->r, MAIN, KEY, &e,
					   there ? STAGE_IF_ETAG : STAGE_IF_ABSENT,
					   there ? was.etag : STR_NONE, &sent);
		t->won += rc_ok(res);
		t->unsure += rc_is(res, ConditionalRequestConflict) || rc_is(res, SlowDown) ||
			     rc_is(res, UNKNOWN_OUTCOME);
		if (!rc_ok(res) && !rc_is(res, PREDICATE) && !rc_is(res, SlowDown) &&
		    !rc_is(res, ConditionalRequestConflict) && !rc_is(res, UNKNOWN_OUTCOME))
			fail_msg("%s", err_name(res.code));
		arena_free(c.a);
	}
	return NULL;
}

static void counts_right(enum world_kind kind, unsigned period)
{
	struct thread t[THREADS + 1];
	unsigned won = 0, unsure = 0;
	struct world w;
	struct repo r;
	struct entry e;

	run(kind, period, count_up, t, &w, &r);
	for (unsigned i = 0; i < THREADS; i++) {
		won += t[i].won;
		unsure += t[i].unsure;
	}
	assert_ok(object_stat(&w.c, &r, MAIN, KEY, &e));
	assert_true(won > 0);
	if (won > (unsigned)e.size || (unsigned)e.size > won + unsure)
		fail_msg("%u won, %u unsure, the count is %lld", won, unsure, (long long)e.size);
	world_close(&w);
}

static void test_conditional__no_lost_update(void **state)
{
	counts_right(GUARDED, 0);
	counts_right(PLAIN, 0);
	counts_right(GUARDED, 5);
	counts_right(PLAIN, 7);
}

static atomic_uint made;

/* Everybody deletes the same version; before that one of them puts it, and is done with that: a put that
 * is tried again, by itself or by whoever was told SlowDown, would bring back what was deleted meanwhile. */
static void *delete_same(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vcall c = call_new(t, &err);
		struct str path = arena_printf(c.a, "d/%03u", i);
		struct entry e = some_entry(c.a, i + 1);
		const struct object_match m = {.etag = e.etag};
		bool sent;
		rc res;

		/* Only the first creation counts; a deleted one doesn't come back. */
		if (t->number == 0) {
			do
				res = object_stage(&c, t->r, MAIN, path, &e, STAGE_ALWAYS, STR_NONE,
						   &sent);
			while (rc_is(res, SlowDown));
			atomic_store(&made, i + 1);
		}
		while (atomic_load(&made) <= i)
			usleep(100);
		do
			res = delete_match(&c, t->r, MAIN, path, &m);
		while (rc_is(res, NOT_FOUND) && t->number == 0 ? false : rc_is(res, SlowDown));
		if (rc_ok(res))
			t->won++;
		else
			t->unsure += rc_is(res, ConditionalRequestConflict);
		arena_free(c.a);
	}
	return NULL;
}

static void one_deletes(enum world_kind kind)
{
	struct thread t[THREADS + 1];
	unsigned won = 0, unsure = 0;
	struct world w;
	struct repo r;
	struct entry e;

	atomic_store(&made, 0);
	run(kind, 0, delete_same, t, &w, &r);
	for (unsigned i = 0; i < THREADS; i++) {
		won += t[i].won;
		unsure += t[i].unsure;
	}
	assert_in_range(won, ROUNDS - unsure, ROUNDS);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_rc(object_stat(&w.c, &r, MAIN, arena_printf(w.a, "d/%03u", i), &e), NOT_FOUND);
	world_close(&w);
}

static void test_conditional__one_deletes(void **state)
{
	one_deletes(GUARDED);
	one_deletes(PLAIN);
}

/* One puts, one object after the other; the others tag whatever is there. */
static void *put_or_tag(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vcall c = call_new(t, &err);
		struct entry was, e;
		rc res;

		if (t->number == 0) {
			do
				res = put(&c, t->r, KEY, i + 1);
			while (rc_is(res, SlowDown));
			assert_ok(res);
		} else if (rc_ok(object_stat(&c, t->r, MAIN, KEY, &was))) {
			e = was;
			e.metadata = &(struct meta){STR("of"), was.address};
			e.metadata_n = 1;
			res = object_replace(&c, t->r, MAIN, KEY, &was, &e);
			t->won += rc_ok(res);
		}
		arena_free(c.a);
	}
	return NULL;
}

static void tags_lose_nothing(enum world_kind kind)
{
	struct thread t[THREADS + 1];
	struct world w;
	struct repo r;
	struct entry e;

	run(kind, 0, put_or_tag, t, &w, &r);
	assert_ok(object_stat(&w.c, &r, MAIN, KEY, &e));
	assert_int_equal(e.size, ROUNDS);
	if (e.metadata_n)
		assert_str(e.metadata[0].value, e.address);
	world_close(&w);
}

static void test_conditional__tags_and_puts(void **state)
{
	tags_lose_nothing(GUARDED);
	tags_lose_nothing(PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditional__deletes),
		cmocka_unit_test(test_conditional__many),
		cmocka_unit_test(test_conditional__replace),
		cmocka_unit_test(test_conditional__somebody_between),
		cmocka_unit_test(test_conditional__change),
		cmocka_unit_test(test_conditional__no_lost_update),
		cmocka_unit_test(test_conditional__one_deletes),
		cmocka_unit_test(test_conditional__tags_and_puts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
