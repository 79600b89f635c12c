/* Small puts that wait at once and deletions by the hundred: what shares its writes keeps its own result. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/base/fake_loop.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/protection.h"

enum { POOL = 2, MANY = 2000 };

struct rig;

struct one {
	struct object_put put;
	struct arena *a;
	struct body *chain;
	struct rig *rig;
	struct str bytes;
	rc refuse;        /* by complete */
	size_t announced; /* beyond what comes */
	unsigned times;
};

struct rig {
	struct world w;
	struct fake_loop *loop;
	struct repo r;
	struct one *ones;
	size_t n;
	atomic_uint done;
	sem_t hold, held, all;
	struct work holders[POOL];
	void (*on_complete)(struct rig *rig);
};

static void rig_open(struct rig *g, enum world_kind kind, size_t n)
{
	*g = (struct rig){.n = n};
	world_open(&g->w, kind);
	g->r = world_repo(&g->w);
	g->loop = fake_loop_new();
	g->ones = calloc(n, sizeof(*g->ones));
	sem_init(&g->hold, 0, 0);
	sem_init(&g->held, 0, 0);
	sem_init(&g->all, 0, 0);
	for (size_t i = 0; i < n; i++) {
		struct one *o = &g->ones[i];

		o->a = arena_new();
		o->rig = g;
		o->refuse = RC_OK;
		o->bytes = arena_printf(o->a, "the bytes of %zu", i);
		o->put.path = arena_printf(o->a, "p/%04zu", i);
		o->put.branch = STR("main");
		o->put.repo = &g->r;
	}
}

static void rig_close(struct rig *g)
{
	fake_loop_free(g->loop);
	world_close(&g->w);
	for (size_t i = 0; i < g->n; i++)
		arena_free(g->ones[i].a);
	free(g->ones);
	sem_destroy(&g->hold);
	sem_destroy(&g->held);
	sem_destroy(&g->all);
}

static void put_done(struct object_put *p)
{
	struct one *o = p->ud;

	assert_true(on_loop());
	assert_int_equal(o->times++, 0);
	body_close(o->chain);
	if (atomic_fetch_add(&o->rig->done, 1) + 1 == o->rig->n)
		sem_post(&o->rig->all);
}

static rc complete(struct object_put *p, struct entry *e)
{
	struct one *o = p->ud;

	assert_false(on_loop());
	if (o->rig->on_complete)
		o->rig->on_complete(o->rig);
	return rc_ok(o->refuse) ? RC_OK : err_default(&p->err, o->refuse.code);
}

static void start(void *ud)
{
	struct one *o = ud;
	struct object_put *p = &o->put;
	struct body *b = body_mem_new(o->a, o->bytes);

	p->digests = digest_set_new(o->a, 1u << DIGEST_MD5);
	if (o->announced)
		b = body_length_new(o->a, b, o->bytes.n + o->announced);
	p->body = o->chain = body_digest_new(o->a, b, p->digests);
	p->done = put_done;
	p->home = fake_loop_mailbox(o->rig->loop);
	p->v = o->rig->w.v;
	p->a = o->a;
	p->complete = complete;
	p->ud = o;
	object_put_start(p);
	assert_int_equal(o->times, 0);
}

static void start_all(void *ud)
{
	struct rig *g = ud;

	for (size_t i = 0; i < g->n; i++)
		start(&g->ones[i]);
}

static struct rig *holding; /* whose workers are held */

static void hold_one(struct work *w)
{
	struct rig *g = holding;

	sem_post(&g->held);
	while (sem_wait(&g->hold))
		;
}

/* The data workers have something else to do until release. */
static void hold(struct rig *g)
{
	holding = g;
	for (int i = 0; i < POOL; i++) {
		g->holders[i] = (struct work){.run = hold_one};
		assert_true(work_submit(g->w.data, &g->holders[i]));
		sem_wait(&g->held);
	}
}

static void release(struct rig *g)
{
	for (int i = 0; i < POOL; i++)
		sem_post(&g->hold);
}

static void await(struct rig *g)
{
	while (sem_wait(&g->all))
		;
}

/* All in one batch (up to its bounds). */
static void run_together(struct rig *g)
{
	hold(g);
	fake_loop_call(g->loop, start_all, g);
	release(g);
	await(g);
}

static size_t bodies(struct rig *g)
{
	struct backend_list_entry *list;
	size_t n;
	bool more;

	assert_ok(g->w.store->blocking->list(g->w.store, STR("mem://repo1"), STR("data/"), STR(""),
					     MANY, g->w.a, &list, &n, &more, &g->w.err));
	assert_false(more);
	return n;
}

static bool visible(struct rig *g, const struct one *o)
{
	struct entry e;
	rc seen = object_stat(&g->w.c, o->put.repo, o->put.branch, o->put.path, &e);
	struct object_ptr p;
	char got[64];
	size_t n;

	if (!rc_ok(seen)) {
		assert_rc(seen, NOT_FOUND);
		return false;
	}
	p = object_pointer(o->put.repo, &e);
	assert_ok(backend_read_now(o->put.backend, &p, 0, got, sizeof(got), &n, &g->w.err));
	assert_str(str_make(got, n), o->bytes);
	assert_str(e.etag, o->put.entry.etag);
	return true;
}

static void test_batch__all_are_there(void **state)
{
	static const size_t sizes[] = {1, 2, 64, 65, 100, 500};

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rig g;

		rig_open(&g, i % 2 ? PLAIN : GUARDED, sizes[i / 2]);
		run_together(&g);
		for (size_t k = 0; k < g.n; k++) {
			assert_ok(g.ones[k].put.result);
			assert_int_equal(g.ones[k].put.err.code, ERR_NONE);
			assert_true(visible(&g, &g.ones[k]));
		}
		assert_int_equal(bodies(&g), g.n);
		rig_close(&g);
	}
}

/* Each of these fails for its own reason, the others don't notice. */
static void test_batch__failures_are_their_own(void **state)
{
	static const enum err_code want[] = {ERR_NONE,	    ERR_BadDigest, ERR_NONE,
					     ERR_NOT_FOUND, ERR_IncompleteBody, ERR_INVALID,
					     ERR_NONE,	    ERR_SlowDown};
	enum { N = sizeof(want) / sizeof(want[0]) };

	for (int kind = 0; kind < 2; kind++) {
		struct rig g;

		rig_open(&g, kind ? PLAIN : GUARDED, N);
		g.ones[1].refuse = RC(BadDigest);
		g.ones[3].put.branch = STR("nosuch");
		g.ones[4].announced = 1;
		g.ones[5].put.content_type = STR("\xff");
		/* The fourth write into the KV: 0, 2 and 6 come before it. */
		kv_fault_arm(g.w.kv, KV_CALL_WRITES, 4, ERR_SlowDown, false);
		run_together(&g);
		for (unsigned i = 0; i < N; i++) {
			assert_int_equal(g.ones[i].put.result.code, want[i]);
			assert_int_equal(g.ones[i].put.err.code, want[i]);
			if (i != 3)
				assert_int_equal(visible(&g, &g.ones[i]), want[i] == ERR_NONE);
		}
		assert_int_equal(bodies(&g), 3);
		rig_close(&g);
	}
}

static void test_batch__the_last_of_one_path_stays(void **state)
{
	struct rig g;

	rig_open(&g, GUARDED, 3);
	for (unsigned i = 0; i < 3; i++)
		g.ones[i].put.path = STR("same");
	run_together(&g);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(g.ones[i].put.result);
	assert_true(visible(&g, &g.ones[2]));
	rig_close(&g);
}

/* What was acknowledged is there; what failed before a write was sent left no body; what is visible has
 * its body. */
static void check_honest(struct rig *g, enum err_code code, bool in_store, bool after)
{
	size_t seen = 0, unknown = 0;

	for (size_t i = 0; i < g->n; i++) {
		struct one *o = &g->ones[i];
		bool there = visible(g, o);

		assert_int_equal(o->times, 1);
		assert_int_equal(o->put.err.code, o->put.result.code);
		seen += there;
		if (rc_ok(o->put.result)) {
			assert_true(there);
			continue;
		}
		assert_int_equal(o->put.result.code, code);
		/* Without guards it is the look at the branch afterwards that may fail. */
		if (there)
			assert_true(!in_store && (after || g->w.plain));
		else if (!in_store && code != ERR_SlowDown)
			unknown++;
	}
	assert_in_range(bodies(g), seen, seen + unknown);
}

static unsigned stopped_at(enum world_kind kind, bool in_store, bool after, enum err_code code,
			   unsigned nth)
{
	unsigned failed = 0;
	struct rig g;

	rig_open(&g, kind, 3);
	if (after) /* there are no rules: a look that answers so can't fail afterwards */
		assert_ok(protection_check(&g.w.c, &g.r, STR("main"), PROTECT_STAGING));
	if (in_store)
		backend_fault_arm(g.w.store, BACKEND_CALL_PUT, nth, code, after);
	else
		kv_fault_arm(g.w.kv, KV_CALL_ANY, nth, code, after);
	run_together(&g);
	backend_fault_arm(g.w.store, BACKEND_CALL_ALL, 0, code, after);
	kv_fault_arm(g.w.kv, KV_CALL_ANY, 0, code, after);
	for (unsigned i = 0; i < 3; i++)
		failed += !rc_ok(g.ones[i].put.result);
	check_honest(&g, code, in_store, after);
	rig_close(&g);
	return failed;
}

static void test_batch__stopped_at_each_call(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		bool in_store = i & 1, after = i & 2;
		enum err_code code = i & 4 ? ERR_UNKNOWN_OUTCOME : ERR_SlowDown;
		enum world_kind kind = i & 8 ? PLAIN : GUARDED;
		unsigned nth = 1, failed;

		if (after && code == ERR_SlowDown)
			continue; /* nobody answers so */
		while ((failed = stopped_at(kind, in_store, after, code, nth)) > 0) {
			/* One, or all that read the branch together. */
			assert_true(failed == 1 || failed == 3);
			nth++;
		}
		assert_in_range(nth, in_store ? 9 : 4, 10);
	}
}

/* The branch moves between its read and the write: staged again. */
static void test_batch__branch_moved(void **state)
{
	for (unsigned nth = 1; nth <= 3; nth++) {
		struct rig g;

		rig_open(&g, GUARDED, 3);
		kv_fault_arm(g.w.kv, KV_CALL_GUARDED, nth, ERR_PREDICATE, false);
		run_together(&g);
		for (unsigned i = 0; i < 3; i++) {
			assert_ok(g.ones[i].put.result);
			assert_true(visible(&g, &g.ones[i]));
		}
		rig_close(&g);
	}
}

static void seal_now(void *ud)
{
	struct rig *g = ud;
	struct err err;
	struct vcall c = {.v = g->w.v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	world_seal(&c, &g->r, STR("main"));
	arena_free(c.a);
}

/* All three must be under the new token: a commit that has listed the old one misses the first try. */
static void test_batch__branch_moved_without_guards(void **state)
{
	for (unsigned nth = 1; nth <= 2; nth++) {
		struct branch b;
		struct str raw;
		struct rig g;

		rig_open(&g, PLAIN, 3);
		world_hook(&g.w, nth, seal_now, &g);
		run_together(&g);
		assert_ok(branch_get(&g.w.c, &g.r, STR("main"), &b));
		assert_int_equal(b.sealed_n, 1);
		for (unsigned i = 0; i < 3; i++) {
			assert_ok(g.ones[i].put.result);
			assert_ok(kv_get(g.w.kv, KV_BLOCK, b.staging_token, g.ones[i].put.path,
					 g.w.a, &raw, &g.w.err));
		}
		rig_close(&g);
	}
}

/* A KV whose reads cost a round trip: the branch as it was read before is tried first. Answers how many reads three
 * puts together took. */
static uint64_t reads_with(enum world_kind kind, bool seen, int64_t age_ms, bool seal)
{
	struct branch_seen known = {0};
	struct branch b;
	struct str raw;
	struct rig g;
	uint64_t reads;

	rig_open(&g, kind, 3);
	((struct kv_ops *)g.w.kv->ops)->has_nowait = false; /* the filter's own */
	assert_ok(branch_get(&g.w.c, &g.r, STR("main"), &known.b));
	assert_ok(protection_check(&g.w.c, &g.r, STR("main"), PROTECT_STAGING)); /* remembered */
	if (seal)
		seal_now(&g);
	for (unsigned i = 0; i < 3; i++)
		g.ones[i].put.seen = &known;
	reads = kv_fault_calls(g.w.kv, KV_CALL_GET);
	if (seen)
		known.at_ms = mono_ms() - age_ms;
	run_together(&g);
	reads = kv_fault_calls(g.w.kv, KV_CALL_GET) - reads;
	assert_ok(branch_get(&g.w.c, &g.r, STR("main"), &b));
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(g.ones[i].put.result);
		assert_ok(kv_get(g.w.kv, KV_BLOCK, b.staging_token, g.ones[i].put.path, g.w.a,
				 &raw, &g.w.err));
	}
	rig_close(&g);
	return reads;
}

static void test_batch__the_branch_as_it_was_seen(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		enum world_kind k = kind ? PLAIN : GUARDED;
		uint64_t unseen = reads_with(k, false, 0, false);

		assert_int_equal(reads_with(k, true, 0, false), unseen - 1);
		assert_int_equal(reads_with(k, true, 60000, false), unseen);
		/* It was another by then: a try for nothing, and then as ever. */
		assert_int_equal(reads_with(k, true, 0, true), unseen + kind);
		assert_int_equal(reads_with(k, false, 0, true), unseen);
	}
}

static atomic_bool stop;

/* Not for ever, and not faster than anybody can read: that is what SlowDown is for. */
static void *seal_on(void *ud)
{
	for (unsigned i = 0; i < 60 && !atomic_load(&stop); i++) {
		seal_now(ud);
		usleep(500);
	}
	return NULL;
}

/* Nothing acknowledged is lost to seals; each is under one of the branch's tokens. */
static void test_batch__puts_and_seals(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		pthread_t sealer;
		struct rig g;

		rig_open(&g, kind ? PLAIN : GUARDED, 300);
		atomic_store(&stop, false);
		assert_int_equal(pthread_create(&sealer, NULL, seal_on, &g), 0);
		for (size_t i = 0; i < g.n; i++)
			fake_loop_call(g.loop, start, &g.ones[i]);
		await(&g);
		atomic_store(&stop, true);
		pthread_join(sealer, NULL);
		for (size_t i = 0; i < g.n; i++) {
			struct one *o = &g.ones[i];

			if (!rc_is(o->put.result, SlowDown))
				assert_ok(o->put.result);
			if (rc_ok(o->put.result))
				assert_true(visible(&g, o));
		}
		rig_close(&g);
	}
}

/* Puts into several branches, repositories and stores at once. */
static void test_batch__mixed(void **state)
{
	static const char *const branches[] = {"main", "other", "third"};
	struct backend *stores[2], *was;
	struct registry *both, *first;
	struct repo repos[2];
	struct rig g;

	rig_open(&g, GUARDED, 16);
	stores[0] = backend_mem_new(STR("one"), g.w.data);
	stores[1] = backend_mem_new(STR("two"), g.w.data);
	both = registry_of(stores, 2, STR("one"));
	first = g.w.registry;
	was = g.w.store;
	g.w.registry = both;
	world_restart(&g.w);
	for (unsigned i = 0; i < 2; i++) {
		const struct repo_create in = {
			.id = i ? STR("repo-b") : STR("repo-a"),
			.storage_namespace = i ? STR("mem://b") : STR("mem://a"),
			.storage_id = i ? STR("two") : STR("one"),
		};

		assert_ok(repo_create(&g.w.c, &in, &repos[i]));
		for (unsigned k = 1; k < 3; k++)
			assert_ok(branch_create(&g.w.c, &repos[i], str_c(branches[k]), STR_NONE));
	}
	for (unsigned i = 0; i < g.n; i++) {
		g.ones[i].put.repo = &repos[i % 2];
		g.ones[i].put.branch = str_c(branches[i / 2 % 3]);
		g.ones[i].put.path = STR("a/path");
		g.ones[i].bytes = arena_printf(g.ones[i].a, "%u/%u", i % 2, i / 2 % 3);
	}
	run_together(&g);
	for (unsigned i = 0; i < g.n; i++) {
		assert_ok(g.ones[i].put.result);
		assert_ptr_equal(g.ones[i].put.backend, stores[i % 2]);
		assert_true(visible(&g, &g.ones[i]));
	}
	g.w.registry = first;
	world_restart(&g.w);
	assert_ptr_equal(was, g.w.store);
	registry_unref(both);
	rig_close(&g);
}

static void cancel(void *ud)
{
	struct one *o = ud;

	if (!o->times)
		object_put_cancel(&o->put);
	if (!o->times)
		object_put_cancel(&o->put);
}

static void test_batch__cancelled_in_the_queue(void **state)
{
	for (unsigned which = 0; which < 3; which++) {
		struct rig g;

		rig_open(&g, GUARDED, 3);
		hold(&g);
		fake_loop_call(g.loop, start_all, &g);
		fake_loop_call(g.loop, cancel, &g.ones[which]);
		release(&g);
		await(&g);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(g.ones[i].put.result.code,
					 i == which ? ERR_CANCELLED : ERR_NONE);
			assert_int_equal(visible(&g, &g.ones[i]), i != which);
		}
		assert_int_equal(bodies(&g), 2);
		rig_close(&g);
	}
}

static void test_batch__cancelled_anywhere(void **state)
{
	for (unsigned round = 0; round < 40; round++) {
		size_t there = 0;
		struct rig g;

		rig_open(&g, GUARDED, 20);
		fake_loop_call(g.loop, start_all, &g);
		for (volatile unsigned k = 0; k < round * 500; k++)
			;
		for (size_t i = round % 3; i < g.n; i += 3)
			fake_loop_call(g.loop, cancel, &g.ones[i]);
		await(&g);
		for (size_t i = 0; i < g.n; i++) {
			bool seen = visible(&g, &g.ones[i]);

			assert_int_equal(seen, rc_ok(g.ones[i].put.result));
			there += seen;
		}
		assert_int_equal(bodies(&g), there);
		rig_close(&g);
	}
}

/* The queue has an end. */
static void test_batch__queue_full(void **state)
{
	size_t done = 0;
	struct rig g;

	rig_open(&g, GUARDED, 1100);
	run_together(&g);
	for (size_t i = 0; i < g.n; i++) {
		rc r = g.ones[i].put.result;

		if (rc_ok(r))
			done++;
		else
			assert_rc(r, SlowDown);
		assert_int_equal(visible(&g, &g.ones[i]), rc_ok(r));
	}
	assert_in_range(done, 1000, g.n - 1);
	assert_int_equal(bodies(&g), done);
	rig_close(&g);
}

static struct work second;
static atomic_uint completed;

/* Fills the pool's queue while its one worker has a batch in hand. */
static void crowd(struct rig *g)
{
	if (atomic_fetch_add(&completed, 1) == 0)
		assert_true(work_submit(g->w.data, &second));
}

/* The pool has no room for another batch: those that wait for one hear of it. */
static void test_batch__pool_full(void **state)
{
	struct work_pool *stores;
	struct work first = {.run = hold_one};
	struct rig g;

	rig_open(&g, GUARDED, 65);
	stores = g.w.data;
	g.w.data = work_pool_new("data", 1, 1);
	world_restart(&g.w);
	holding = &g;
	second = (struct work){.run = hold_one};
	atomic_store(&completed, 0);
	g.on_complete = crowd;
	assert_true(work_submit(g.w.data, &first));
	sem_wait(&g.held);
	fake_loop_call(g.loop, start_all, &g);
	sem_post(&g.hold);
	await(&g);
	sem_wait(&g.held);
	for (unsigned i = 0; i < 65; i++) {
		assert_int_equal(g.ones[i].put.result.code, i < 64 ? ERR_NONE : ERR_SlowDown);
		assert_int_equal(visible(&g, &g.ones[i]), i < 64);
	}
	/* And the next one at once, while there is something else in the queue. */
	{
		struct work third = {.run = hold_one};
		struct one *o = &g.ones[64];

		assert_true(work_submit(g.w.data, &third));
		o->times = 0;
		atomic_store(&g.done, 64);
		fake_loop_call(g.loop, start, o);
		await(&g);
		assert_rc(o->put.result, SlowDown);
		sem_post(&g.hold);
		sem_post(&g.hold);
		work_pool_free(g.w.data);
	}
	g.w.data = stores;
	world_restart(&g.w);
	rig_close(&g);
}

/* Deletions. */

static struct str path_of(struct world *w, unsigned i)
{
	return arena_printf(w->a, "d/%05u", i);
}

static void stage_some(struct world *w, const struct repo *r, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct entry e = some_entry(w->a, i + 1);
		bool sent;

		assert_ok(object_stage(&w->c, r, STR("main"), path_of(w, i), &e, STAGE_ALWAYS,
				       STR_NONE, &sent));
	}
}

static struct object_delete_item *items_of(struct world *w, unsigned n)
{
	struct object_delete_item *items = arena_zalloc(w->a, n * sizeof(*items));

	for (unsigned i = 0; i < n; i++)
		items[i] = (struct object_delete_item){.branch = STR("main"), .path = path_of(w, i)};
	return items;
}

static size_t listed(struct world *w, const struct repo *r)
{
	const struct list_request q = {.prefix = STR("d/"), .after = STR(""), .max = 5000};
	struct list_page page;

	assert_ok(objects_list(&w->c, r, STR("main"), &q, &page));
	return page.n;
}

/* Some are staged, some lie below, some are nowhere. */
static void test_batch__delete_many(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		struct object_delete_item *items;
		struct world w;
		struct repo r;
		struct entry e;

		world_open(&w, kind ? PLAIN : GUARDED);
		r = world_repo(&w);
		stage_some(&w, &r, 0, 300);
		world_seal(&w.c, &r, STR("main"));
		stage_some(&w, &r, 200, 600);
		items = items_of(&w, 1000);
		items[7].branch = STR("nosuch");
		items[8].path = STR("");
		items[10].path = items[9].path;
		objects_delete(&w.c, &r, items, 1000);
		for (unsigned i = 0; i < 1000; i++) {
			if (i == 7)
				assert_rc(items[i].result, NOT_FOUND);
			else if (i == 8)
				assert_rc(items[i].result, INVALID);
			else
				assert_ok(items[i].result);
			assert_int_equal(items[i].err ? items[i].err->code : ERR_NONE,
					 items[i].result.code);
		}
		assert_int_equal(listed(&w, &r), 3); /* 7, 8 and 10 */
		assert_ok(object_stat(&w.c, &r, STR("main"), path_of(&w, 7), &e));
		r.read_only = true;
		objects_delete(&w.c, &r, items, 3);
		assert_rc(items[2].result, ReadOnlyRepository);
		world_close(&w);
	}
}

/* Only what hides something is written. */
static void test_batch__delete_writes_little(void **state)
{
	struct object_delete_item *items;
	uint64_t writes;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	stage_some(&w, &r, 0, 10);
	items = items_of(&w, 100);
	writes = kv_fault_calls(w.kv, KV_CALL_WRITES);
	objects_delete(&w.c, &r, items, 100);
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_WRITES) - writes, 10);
	objects_delete(&w.c, &r, items, 100);
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_WRITES) - writes, 10);
	world_close(&w);
}

static void test_batch__delete_stopped_at_each_call(void **state)
{
	for (int after = 0; after < 2; after++) {
		const enum err_code code = after ? ERR_UNKNOWN_OUTCOME : ERR_SlowDown;
		unsigned failed = 1;

		for (unsigned nth = 1; failed; nth++) {
			struct object_delete_item *items;
			struct world w;
			struct repo r;
			struct entry e;

			world_open(&w, GUARDED);
			r = world_repo(&w);
			stage_some(&w, &r, 0, 2);
			world_seal(&w.c, &r, STR("main"));
			stage_some(&w, &r, 1, 3);
			items = items_of(&w, 4);
			kv_fault_arm(w.kv, KV_CALL_ANY, nth, code, after);
			objects_delete(&w.c, &r, items, 4);
			kv_fault_arm(w.kv, KV_CALL_ANY, 0, code, after);
			failed = 0;
			for (unsigned i = 0; i < 4; i++) {
				failed += !rc_ok(items[i].result);
				if (rc_ok(items[i].result))
					assert_rc(object_stat(&w.c, &r, STR("main"),
							      items[i].path, &e),
						  NOT_FOUND);
				else
					assert_int_equal(items[i].result.code, code);
			}
			world_close(&w);
		}
	}
}

static void *put_on(void *ud)
{
	struct rig *g = ud;
	struct err err;
	struct vcall c = {.v = g->w.v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	for (unsigned i = 0; i < 200; i++) {
		struct entry e = some_entry(c.a, i + 1);
		bool sent;

		while (rc_is(object_stage(&c, &g->r, STR("main"), arena_printf(c.a, "d/%05u", i), &e,
					  STAGE_ALWAYS, STR_NONE, &sent),
			     SlowDown))
			;
	}
	arena_free(c.a);
	return NULL;
}

/* Puts that were acknowledged before the deletion began are gone after it, seals or not; those of others
 * that run beside it stay. */
static void test_batch__deletes_and_seals(void **state)
{
	pthread_t sealer, putter;
	struct object_delete_item *items;
	struct rig g;

	rig_open(&g, GUARDED, 1);
	stage_some(&g.w, &g.r, 200, 500);
	items = items_of(&g.w, 500);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&sealer, NULL, seal_on, &g), 0);
	assert_int_equal(pthread_create(&putter, NULL, put_on, &g), 0);
	for (unsigned i = 200; i < 500; i += 50)
		do
			objects_delete(&g.w.c, &g.r, items + i, 50);
		while (rc_is(items[i].result, SlowDown));
	pthread_join(putter, NULL);
	atomic_store(&stop, true);
	pthread_join(sealer, NULL);
	for (unsigned i = 200; i < 500; i++)
		assert_true(rc_ok(items[i].result) || rc_is(items[i].result, SlowDown));
	assert_in_range(listed(&g.w, &g.r), 200, 500);
	objects_delete(&g.w.c, &g.r, items, 500);
	assert_int_equal(listed(&g.w, &g.r), 0);
	rig_close(&g);
}

static struct rig *moving;

static void seal_hook(void *ud)
{
	seal_now(moving);
}

/* Without guards a tombstone may land where a commit has already looked: it must come again. */
static void test_batch__delete_moved_without_guards(void **state)
{
	for (unsigned nth = 1; nth <= 6; nth++) {
		struct object_delete_item *items;
		struct branch b;
		struct str raw;
		struct rig g;

		rig_open(&g, PLAIN, 1);
		stage_some(&g.w, &g.r, 0, 2);
		items = items_of(&g.w, 3);
		moving = &g;
		world_hook(&g.w, nth, seal_hook, NULL);
		objects_delete(&g.w.c, &g.r, items, 3);
		world_hook(&g.w, 0, NULL, NULL);
		for (unsigned i = 0; i < 3; i++)
			assert_ok(items[i].result);
		assert_int_equal(listed(&g.w, &g.r), 0);
		assert_ok(branch_get(&g.w.c, &g.r, STR("main"), &b));
		if (b.sealed_n)
			for (unsigned i = 0; i < 2; i++)
				assert_ok(kv_get(g.w.kv, KV_BLOCK, b.staging_token, items[i].path,
						 g.w.a, &raw, &g.w.err));
		rig_close(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch__all_are_there),
		cmocka_unit_test(test_batch__failures_are_their_own),
		cmocka_unit_test(test_batch__the_last_of_one_path_stays),
		cmocka_unit_test(test_batch__stopped_at_each_call),
		cmocka_unit_test(test_batch__branch_moved),
		cmocka_unit_test(test_batch__branch_moved_without_guards),
		cmocka_unit_test(test_batch__the_branch_as_it_was_seen),
		cmocka_unit_test(test_batch__puts_and_seals),
		cmocka_unit_test(test_batch__mixed),
		cmocka_unit_test(test_batch__cancelled_in_the_queue),
		cmocka_unit_test(test_batch__cancelled_anywhere),
		cmocka_unit_test(test_batch__queue_full),
		cmocka_unit_test(test_batch__pool_full),
		cmocka_unit_test(test_batch__delete_many),
		cmocka_unit_test(test_batch__delete_writes_little),
		cmocka_unit_test(test_batch__delete_stopped_at_each_call),
		cmocka_unit_test(test_batch__deletes_and_seals),
		cmocka_unit_test(test_batch__delete_moved_without_guards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
