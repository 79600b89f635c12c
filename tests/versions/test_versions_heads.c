/* Heads under bad conditions: each operation stopped at each of its calls and repeated, and writers, committers,
 * mergers and readers on threads. */
#include "tests/versions/world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "versions/compare.h"
#include "versions/head.h"
#include "versions/hygiene.h"
#include "versions/internal.h"
#include "versions/listing.h"
#include "versions/object.h"

/* Stopping. */

enum { FILES = 30 };

static rc put(struct vcall *c, const struct repo *r, const char *branch, struct str path, unsigned version)
{
	struct entry e = some_entry(c->a, version);
	bool sent;

	return object_stage(c, r, str_c(branch), path, &e, STAGE_ALWAYS, STR_NONE, &sent);
}

static rc commit(struct vcall *c, const struct repo *r, const char *branch)
{
	struct commit_request q = {.branch = str_c(branch), .committer = STR("c"), .message = STR("m")};
	struct commit made;

	return branch_commit(c, r, &q, &made);
}

static rc merge(struct vcall *c, const struct repo *r, const char *source, const char *dest)
{
	struct merge_request q = {.source = str_c(source), .destination = str_c(dest), .committer = STR("c")};
	struct commit made;

	return branch_merge(c, r, &q, &made);
}

static struct str file(struct arena *a, unsigned i)
{
	return arena_printf(a, "f/%03u", i);
}

/* What a client sees of main: a number for each file, 0 where there is none. */
struct view {
	int64_t size[FILES];
};

static struct view look(struct world *w, const struct repo *r, const char *branch)
{
	struct list_request q = {.max = 1000};
	struct list_page page;
	struct view v = {{0}};

	assert_ok(objects_list(&w->c, r, str_c(branch), &q, &page));
	for (size_t i = 0; i < page.n; i++) {
		unsigned n;
		struct entry e;

		assert_int_equal(sscanf(arena_cstr(w->a, page.items[i].key), "f/%u", &n), 1);
		v.size[n] = page.items[i].entry.size;
		assert_ok(object_stat(&w->c, r, str_c(branch), page.items[i].key, &e));
		assert_int_equal(e.size, v.size[n]);
	}
	return v;
}

/* main: committed files, some changed and removed and not committed; dev: other ones committed. */
static struct repo prepare(struct world *w, bool clean)
{
	struct repo r = world_repo(w);

	for (unsigned i = 0; i < FILES; i += 2)
		assert_ok(put(&w->c, &r, "main", file(w->a, i), 10 + i));
	assert_ok(commit(&w->c, &r, "main"));
	assert_ok(branch_create(&w->c, &r, STR("dev"), STR("main")));
	for (unsigned i = 1; i < FILES; i += 3)
		assert_ok(put(&w->c, &r, "dev", file(w->a, i), 500 + i));
	assert_ok(object_delete(&w->c, &r, STR("dev"), file(w->a, 4)));
	assert_ok(commit(&w->c, &r, "dev"));
	if (clean)
		return r;
	assert_ok(put(&w->c, &r, "main", file(w->a, 0), 900));
	assert_ok(put(&w->c, &r, "main", file(w->a, 29), 901));
	assert_ok(object_delete(&w->c, &r, STR("main"), file(w->a, 2)));
	return r;
}

struct operation {
	const char *name;
	bool clean;
	rc (*run)(struct vcall *c, const struct repo *r);
	enum err_code done_before; /* what a repetition answers if the first one had done it all */
};

static rc run_commit(struct vcall *c, const struct repo *r)
{
	return commit(c, r, "main");
}

static rc run_merge(struct vcall *c, const struct repo *r)
{
	return merge(c, r, "dev", "main");
}

static rc run_revert(struct vcall *c, const struct repo *r)
{
	struct pick_request q = {.branch = STR("main"), .ref = STR("dev~1"), .committer = STR("c")};
	struct commit made;

	return branch_revert(c, r, &q, &made);
}

static rc run_reset(struct vcall *c, const struct repo *r)
{
	return branch_reset(c, r, STR("main"), false);
}

static rc run_reset_prefix(struct vcall *c, const struct repo *r)
{
	return branch_reset_prefix(c, r, STR("main"), STR("f/00"), false);
}

static rc run_hard_reset(struct vcall *c, const struct repo *r)
{
	return branch_hard_reset(c, r, STR("main"), STR("dev"), false);
}

static const struct operation operations[] = {
	{"commit", false, run_commit, ERR_NoChanges},
	{"merge", true, run_merge, ERR_NoChanges},
	{"revert", true, run_revert, ERR_NoChanges},
	{"reset", false, run_reset, 0},
	{"reset of a prefix", false, run_reset_prefix, 0},
	{"hard reset", true, run_hard_reset, 0},
};

static void arm(struct world *w, bool store, uint64_t nth, bool after)
{
	enum err_code code = after ? ERR_UNKNOWN_OUTCOME : ERR_IO;

	if (store)
		backend_fault_arm(w->store, BACKEND_CALL_ALL, nth, code, after);
	else
		kv_fault_arm(w->kv, KV_CALL_ANY, nth, code, after);
}

/* False when the operation had no such call. */
static bool stop_at(const struct operation *op, bool store, uint64_t nth, bool after)
{
	struct view was, is, then;
	struct world w;
	struct repo r;
	rc first, again;

	world_open(&w, nth % 2 ? GUARDED : PLAIN);
	r = prepare(&w, op->clean);
	was = look(&w, &r, "main");
	arm(&w, store, nth, after);
	first = op->run(&w.c, &r);
	arm(&w, store, 0, false);
	world_restart(&w);
	is = look(&w, &r, "main");
	again = op->run(&w.c, &r);
	then = look(&w, &r, "main");
	if (!rc_ok(again) && again.code != op->done_before)
		fail_msg("%s stopped at %s call %d (%s): again: %s: %s", op->name, store ? "store" : "KV",
			 (int)nth, after ? "after" : "before", err_name(again.code), w.err.msg);
	/* a reset of a prefix goes path by path; the others are before or behind us */
	if (op->run != run_reset_prefix && memcmp(&is, &was, sizeof(is)) && memcmp(&is, &then, sizeof(is)))
		fail_msg("%s stopped at %s call %d (%s): neither the old state nor the new one", op->name,
			 store ? "store" : "KV", (int)nth, after ? "after" : "before");
	if (op->run == run_commit && memcmp(&was, &then, sizeof(was)))
		fail_msg("%s stopped at call %d: a commit changed what is read", op->name, (int)nth);
	world_close(&w);
	return !rc_ok(first);
}

static void test_heads__stopped_at_each_step(void **state)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		for (int store = 0; store < 2; store++)
			for (int after = 0; after < 2; after++) {
				unsigned untouched = 0;

				/* calls whose failure is overcome (a clean-up's) don't end the sweep */
				for (uint64_t n = 1; untouched < 12; n++)
					untouched = stop_at(&operations[i], store, n, after)
							    ? 0
							    : untouched + 1;
			}
}

/* Failing commits don't make the list of sealed tokens grow without bound, nor lose what is in it. */
static void test_heads__sealed_are_bounded(void **state)
{
	struct view was;
	struct branch b;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = prepare(&w, false);
	for (unsigned i = 0; i < SEALED_MAX + 10; i++) {
		assert_ok(put(&w.c, &r, "main", file(w.a, i % FILES), 1000 + i));
		backend_fault_arm(w.store, BACKEND_CALL_PUT, 1, ERR_IO, false);
		assert_rc(commit(&w.c, &r, "main"), IO);
	}
	backend_fault_arm(w.store, BACKEND_CALL_ALL, 0, ERR_IO, false);
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_true(b.sealed_n <= SEALED_MAX);
	was = look(&w, &r, "main");
	assert_int_equal(was.size[(SEALED_MAX + 9) % FILES], 1000 + SEALED_MAX + 9);
	assert_ok(commit(&w.c, &r, "main"));
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_int_equal(b.sealed_n, 0);
	assert_memory_equal(&was, &(struct view[]){look(&w, &r, "main")}[0], sizeof(was));
	world_close(&w);
}

/* Others who come in between. */

struct meanwhile {
	struct world *w;
	struct repo *r;
	void (*act)(struct meanwhile *m, struct vcall *c);
	unsigned times;
};

/* As another process on the same KV would. */
static void come_between(void *ud)
{
	struct meanwhile *m = ud;
	struct err err = {0};
	struct vcall c = {.v = m->w->beside, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	m->times++;
	m->act(m, &c);
	arena_free(c.a);
}

/* Seals, joins where the list is full, and fails then. */
static void fail_to_commit(struct meanwhile *m, struct vcall *c)
{
	struct commit_request q = {.branch = STR("main"), .committer = STR("c"), .message = STR("m"),
				   .source_metarange = STR("none")};
	struct commit made;

	assert_rc(branch_commit(c, m->r, &q, &made), DirtyBranch);
}

static void join_twice(struct meanwhile *m, struct vcall *c)
{
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(put(c, m->r, "main", STR("g/late"), 5000 + i));
		fail_to_commit(m, c);
	}
}

/* One who joins sealed tokens is overtaken by others, wherever he is: what they acknowledged stays. */
static void test_heads__joins_at_once(void **state)
{
	for (unsigned nth = 1; nth <= 140; nth += nth < 12 ? 1 : 9) {
		struct meanwhile m = {.act = join_twice};
		struct entry e;
		struct world w;
		struct repo r;

		world_open(&w, PLAIN);
		world_beside(&w);
		r = world_repo(&w);
		m.w = &w;
		m.r = &r;
		for (unsigned i = 0; i <= SEALED_MAX; i++) {
			if (i < 3) /* in the oldest ones alone */
				assert_ok(put(&w.c, &r, "main", STR("f/001"), 1000 + i));
			assert_ok(put(&w.c, &r, "main", STR("g/each"), 2000 + i));
			if (i < SEALED_MAX)
				world_seal(&w.c, &r, STR("main"));
		}
		world_hook_writes(&w, nth, come_between, &m);
		fail_to_commit(&m, &w.c);
		world_hook(&w, 0, come_between, &m);
		for (int committed = 0; committed < 2; committed++) {
			struct str ref = committed ? STR("main@") : STR("main");

			if (committed)
				assert_ok(commit(&w.c, &r, "main"));
			assert_ok(object_stat(&w.c, &r, ref, STR("f/001"), &e));
			assert_int_equal(e.size, 1002);
			assert_ok(object_stat(&w.c, &r, ref, STR("g/each"), &e));
			assert_int_equal(e.size, 2000 + SEALED_MAX);
			if (m.times) {
				assert_ok(object_stat(&w.c, &r, ref, STR("g/late"), &e));
				assert_int_equal(e.size, 5002);
			}
		}
		world_close(&w);
	}
}

static void commit_all(struct meanwhile *m, struct vcall *c)
{
	rc res = commit(c, m->r, "main");

	if (!rc_ok(res))
		assert_rc(res, NoChanges);
}

/* A reset beside a commit leaves nothing staged that undoes the commit. */
static void test_heads__reset_beside_commit(void **state)
{
	for (int one = 0; one < 2; one++) {
		unsigned acted = 1;

		for (unsigned nth = 1; acted; nth++) {
			struct meanwhile m = {.act = commit_all};
			struct compare_request q = {.max = 100};
			struct compare_page page;
			struct world w;
			struct repo r;

			world_open(&w, PLAIN);
			world_beside(&w);
			r = prepare(&w, false);
			m.w = &w;
			m.r = &r;
			world_hook(&w, nth, come_between, &m);
			if (one)
				assert_ok(branch_reset_object(&w.c, &r, STR("main"), file(w.a, 0), false));
			else
				assert_ok(branch_reset_prefix(&w.c, &r, STR("main"), STR("f/0"), false));
			world_hook(&w, 0, come_between, &m);
			assert_ok(compare_uncommitted(&w.c, &r, STR("main"), &q, &page));
			for (size_t i = 0; i < page.n; i++)
				if (one ? str_eq(page.items[i].path, file(w.a, 0)) : str_starts(page.items[i].path, STR("f/0")))
					fail_msg("call %u: " STR_FMT " is staged after its reset", nth,
						 STR_ARG(page.items[i].path));
			acted = m.times;
			world_close(&w);
		}
	}
}

/* Many that are staged and don't differ, before prefixes that do: each prefix is told once. */
static void test_heads__staged_prefixes_are_told_once(void **state)
{
	enum { SAME = 985, PREFIXES = 30 };
	struct compare_request q = {.delimiter = STR("/"), .max = 1000};
	struct compare_page page;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	for (int staged = 0; staged < 2; staged++) {
		for (unsigned i = 0; i < SAME; i++)
			assert_ok(put(&w.c, &r, "main", arena_printf(w.a, "a%04u", i), i));
		if (!staged)
			assert_ok(commit(&w.c, &r, "main"));
	}
	for (unsigned i = 0; i < PREFIXES; i++)
		for (unsigned k = 0; k < 3; k++)
			assert_ok(put(&w.c, &r, "main", arena_printf(w.a, "p%02u/%u", i, k), 1));
	assert_ok(compare_uncommitted(&w.c, &r, STR("main"), &q, &page));
	assert_int_equal(page.n, PREFIXES);
	for (unsigned i = 0; i < PREFIXES; i++)
		assert_str(page.items[i].path, arena_printf(w.a, "p%02u/", i));
	world_close(&w);
}

/* A client's name of a metarange is no path. */
static void test_heads__metaranges_are_named_by_digits(void **state)
{
	const struct str names[] = {
		STR("../../../../../../../../../../../../../../../../../../etc/passwd"), STR("x"),
		STR("00FB7EFF1A97C500EB3CA8D2EF5464131D6B6A5F9512E41EBA97843522213B66"),
	};
	struct commit_request q = {.branch = STR("main"), .committer = STR("c"), .message = STR("m")};
	struct commit made;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = prepare(&w, true);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sstable *t;

		q.source_metarange = names[i];
		assert_rc(branch_commit(&w.c, &r, &q, &made), NOT_FOUND);
		assert_rc(table_get(&w.c, &r, names[i], &t), CORRUPT);
	}
	world_close(&w);
}

/* Two processes on one KV, whose writes now and then end with an unknown outcome, or which come between each other's
 * calls; and the clean-up right behind them. Each writes paths of its own, so that it is known what may be there. */

enum { OWN = 8, TURNS = 150 };

struct process {
	struct versions *v;
	/* what each of its paths may hold: versions, 0 for nothing */
	unsigned may[OWN][64], may_n[OWN];
};

struct two {
	struct world w;
	struct repo r;
	struct process p[2];
	unsigned rnd, seed, turn, version;
	int64_t now_ms;
};

static unsigned rnd(struct two *t, unsigned n)
{
	t->rnd = t->rnd * 1664525u + 1013904223u;
	return (t->rnd >> 9) % n;
}

static struct versions *process_new(struct world *w)
{
	struct versions *v = versions_new(&(struct versions_options){
		.kv = w->kv,
		.registry = w->registry,
		.meta = w->meta,
		.data = w->data,
		.repo_cache_size = 10,
		.block_prefix = STR("_lakefs"),
		.max_range_bytes = 4096,
		.range_raggedness = 5,
		.lease_ms = 50,
	});

	versions_open_tables(v, &(struct tables_options){.block_cache_bytes = 64 * 1024, .open_max = 20});
	return v;
}

static struct str path_of(struct arena *a, unsigned who, unsigned i)
{
	return arena_printf(a, "p%u/%u", who, i);
}

static void write_one(struct two *t, struct vcall *c, unsigned who)
{
	struct process *p = &t->p[who];
	unsigned i = rnd(t, OWN), version = rnd(t, 4) ? ++t->version : 0;
	struct str path = path_of(c->a, who, i);
	rc res = version ? put(c, &t->r, "main", path, version) : object_delete(c, &t->r, STR("main"), path);

	if (rc_ok(res))
		p->may_n[i] = 0;
	else if (!rc_is(res, UNKNOWN_OUTCOME))
		assert_rc(res, SlowDown);
	p->may[i][p->may_n[i]++] = version;
}

static void commit_one(struct two *t, struct vcall *c)
{
	struct commit_request q = {.branch = STR("main"), .committer = STR("c"), .message = STR("m")};
	struct commit made;
	rc res;

	if (rnd(t, 3) == 0)
		q.source_metarange = STR("none"); /* it seals, and fails */
	res = branch_commit(c, &t->r, &q, &made);
	if (!rc_ok(res) && !rc_is(res, NoChanges) && !rc_is(res, DirtyBranch) && !rc_is(res, NOT_FOUND) &&
	    !rc_is(res, SlowDown))
		assert_rc(res, UNKNOWN_OUTCOME);
}

/* As if nobody were slow. */
static void clean_up(struct two *t)
{
	const struct hygiene_options o = {.versions = t->p[0].v, .tokens_ms = 1, .max = 100000};
	struct hygiene_counts counts;

	for (int i = 0; i < 2; i++)
		assert_ok(hygiene_sweep(&o, t->now_ms += 1000, &counts, &t->w.err));
}

static void act(struct two *t, struct vcall *c, unsigned who)
{
	switch (rnd(t, 3)) {
	case 0: commit_one(t, c); break;
	default: write_one(t, c, who);
	}
}

static void other_acts(void *ud)
{
	struct two *t = ud;
	struct err err = {0};
	struct vcall c = {.v = t->p[1].v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	for (unsigned n = 1 + rnd(t, 4); n; n--)
		act(t, &c, 1);
	clean_up(t);
	arena_free(c.a);
}

/* What is there is one of what may be, and from now on nothing else is. */
static void check_path(struct two *t, struct vcall *c, unsigned who, unsigned i)
{
	struct process *p = &t->p[who];
	struct entry e;
	rc res = object_stat(c, &t->r, STR("main"), path_of(c->a, who, i), &e);
	unsigned is = rc_ok(res) ? (unsigned)e.size : 0, n = 0;

	if (!rc_ok(res))
		assert_rc(res, NOT_FOUND);
	while (n < p->may_n[i] && p->may[i][n] != is)
		n++;
	if (n == p->may_n[i])
		fail_msg("seed %u, turn %u: p%u/%u is %u, not %u", t->seed, t->turn, who, i, is, p->may[i][0]);
	p->may[i][0] = is;
	p->may_n[i] = 1;
}

static void take_turn(struct two *t)
{
	unsigned who = rnd(t, 2);
	struct err err = {0};
	struct vcall c = {.v = t->p[who].v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	if (rnd(t, 3) == 0)
		kv_fault_arm(t->w.kv, KV_CALL_WRITES, 1 + rnd(t, 6), ERR_UNKNOWN_OUTCOME, rnd(t, 2));
	else if (who == 0 && t->w.plain && rnd(t, 2))
		(rnd(t, 2) ? world_hook : world_hook_writes)(&t->w, 1 + rnd(t, 12), other_acts, t);
	act(t, &c, who);
	kv_fault_arm(t->w.kv, 0, 0, ERR_IO, false);
	if (t->w.plain)
		world_hook(&t->w, 0, other_acts, t);
	if (rnd(t, 3) == 0)
		clean_up(t);
	for (unsigned k = 0; k < 2 * OWN; k++)
		check_path(t, &(struct vcall){.v = t->p[rnd(t, 2)].v, .a = c.a, .wait = KV_BLOCK, .err = &err}, k % 2, k / 2);
	arena_free(c.a);
}

static void test_heads__two_processes(void **state)
{
	const char *want = getenv("SLUICE_HEADS_SEEDS");
	unsigned seeds = want ? (unsigned)atoi(want) : 12;
	struct two *t = malloc(sizeof(*t));

	for (unsigned seed = 1; seed <= seeds; seed++) {
		*t = (struct two){.seed = seed, .rnd = seed * 2654435761u, .now_ms = 1700000000000};
		world_open(&t->w, seed % 3 ? PLAIN : GUARDED);
		t->r = world_repo(&t->w);
		for (unsigned who = 0; who < 2; who++) {
			t->p[who].v = process_new(&t->w);
			for (unsigned i = 0; i < OWN; i++)
				t->p[who].may_n[i] = 1;
		}
		for (t->turn = 0; t->turn < TURNS; t->turn++)
			take_turn(t);
		versions_free(t->p[0].v);
		versions_free(t->p[1].v);
		world_close(&t->w);
	}
	free(t);
}

/* Actions. */

static void test_heads__actions_are_no_open_gate(void **state)
{
	struct pick_request pick = {.branch = STR("main"), .ref = STR("dev"), .committer = STR("c")};
	struct str action = STR("_lakefs_actions/pre.yaml");
	struct commit made;
	struct view was;
	struct branch b;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	w.v->actions = true;
	r = prepare(&w, false);
	assert_ok(commit(&w.c, &r, "main"));
	was = look(&w, &r, "main");
	assert_ok(put(&w.c, &r, "main", action, 1)); /* staged counts */
	assert_rc(commit(&w.c, &r, "main"), PreconditionFailed);
	assert_non_null(strstr(w.err.msg, "_lakefs_actions/pre.yaml"));
	assert_non_null(strstr(w.err.msg, "actions.enabled: false"));
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_int_equal(b.sealed_n, 0);
	w.v->actions = false; /* as configured */
	assert_ok(commit(&w.c, &r, "main"));
	w.v->actions = true;
	assert_ok(put(&w.c, &r, "main", file(w.a, 1), 1));
	assert_rc(commit(&w.c, &r, "main"), PreconditionFailed);
	assert_ok(branch_reset(&w.c, &r, STR("main"), false));
	assert_rc(branch_revert(&w.c, &r, &pick, &made), PreconditionFailed);
	assert_rc(branch_cherry_pick(&w.c, &r, &pick, &made), PreconditionFailed);
	assert_rc(merge(&w.c, &r, "main", "dev"), PreconditionFailed);
	assert_ok(object_delete(&w.c, &r, STR("main"), action)); /* removing it is allowed */
	assert_ok(commit(&w.c, &r, "main"));
	assert_memory_equal(&was, &(struct view[]){look(&w, &r, "main")}[0], sizeof(was));
	assert_rc(commit(&w.c, &r, "nosuch"), NOT_FOUND);
	world_close(&w);
}

/* Threads. */

enum { WRITERS = 3, PATHS = 8, ROUNDS = 40 };

struct shared {
	struct world *w;
	struct repo *r;
	atomic_uint acked[WRITERS][PATHS]; /* the last version that was acknowledged */
	atomic_bool stop;
};

struct thread {
	pthread_t id;
	struct shared *s;
	unsigned number;
};

static struct vcall call_new(struct thread *t, struct err *err)
{
	return (struct vcall){.v = t->s->w->v, .a = arena_new(), .wait = KV_BLOCK, .err = err};
}

static struct str own_path(struct arena *a, unsigned writer, unsigned i)
{
	return arena_printf(a, "w%u/%02u", writer, i);
}

static void *write_versions(void *arg)
{
	struct thread *t = arg;
	struct err err;

	for (unsigned v = 1; v <= ROUNDS; v++)
		for (unsigned i = 0; i < PATHS; i++) {
			struct vcall c = call_new(t, &err);
			rc res;

			do
				res = put(&c, t->s->r, "main", own_path(c.a, t->number, i), v);
			while (rc_is(res, SlowDown));
			assert_ok(res);
			atomic_store(&t->s->acked[t->number][i], v);
			arena_free(c.a);
		}
	return NULL;
}

static void *commit_always(void *arg)
{
	struct thread *t = arg;
	struct err err;

	while (!atomic_load(&t->s->stop)) {
		struct vcall c = call_new(t, &err);
		rc res = commit(&c, t->s->r, "main");

		if (!rc_ok(res) && !rc_is(res, NoChanges) && !rc_is(res, SlowDown))
			fail_msg("commit: %s: %s", err_name(res.code), err.msg);
		arena_free(c.a);
	}
	return NULL;
}

static void *merge_always(void *arg)
{
	struct thread *t = arg;
	struct err err;

	while (!atomic_load(&t->s->stop)) {
		struct vcall c = call_new(t, &err);
		rc res = merge(&c, t->s->r, "main", "dev");

		if (!rc_ok(res) && !rc_is(res, NoChanges) && !rc_is(res, SlowDown))
			fail_msg("merge: %s: %s", err_name(res.code), err.msg);
		arena_free(c.a);
	}
	return NULL;
}

/* What was acknowledged before the read began is there, or something newer. */
static void *read_always(void *arg)
{
	struct thread *t = arg;
	unsigned n = t->number;
	struct err err;

	while (!atomic_load(&t->s->stop)) {
		unsigned writer = n % WRITERS, i = n / WRITERS % PATHS;
		unsigned least = atomic_load(&t->s->acked[writer][i]);
		struct vcall c = call_new(t, &err);
		struct entry e;
		rc res = object_stat(&c, t->s->r, STR("main"), own_path(c.a, writer, i), &e);

		if (rc_ok(res) ? e.size < least : !rc_is(res, SlowDown) && (least || !rc_is(res, NOT_FOUND)))
			fail_msg("w%u/%02u: %s, %lld, not %u", writer, i, err_name(res.code),
				 rc_ok(res) ? (long long)e.size : -1, least);
		arena_free(c.a);
		n++;
	}
	return NULL;
}

static void *list_always(void *arg)
{
	struct thread *t = arg;
	struct err err;

	while (!atomic_load(&t->s->stop)) {
		struct list_request q = {.max = WRITERS * PATHS};
		unsigned least[WRITERS * PATHS] = {0}, n = 0;
		struct vcall c = call_new(t, &err);
		struct list_page page;
		rc res;

		for (unsigned k = 0; k < WRITERS * PATHS; k++)
			least[k] = atomic_load(&t->s->acked[k / PATHS][k % PATHS]);
		res = objects_list(&c, t->s->r, STR("main"), &q, &page);
		for (unsigned k = 0; rc_ok(res) && k < WRITERS * PATHS; k++) {
			bool there = n < page.n &&
				     str_eq(page.items[n].key, own_path(c.a, k / PATHS, k % PATHS));

			if (there ? page.items[n].entry.size < least[k] : least[k] != 0)
				fail_msg("listing: w%u/%02u is older than what was acknowledged", k / PATHS,
					 k % PATHS);
			n += there;
		}
		if (!rc_ok(res))
			assert_rc(res, SlowDown);
		arena_free(c.a);
	}
	return NULL;
}

static void run_threads(enum world_kind kind)
{
	static void *(*const others[])(void *) = {commit_always, commit_always, merge_always, read_always,
						  read_always, list_always};
	enum { OTHERS = sizeof(others) / sizeof(others[0]) };
	struct thread t[WRITERS + OTHERS];
	struct world w;
	struct repo r;
	struct shared *s = calloc(1, sizeof(*s));

	world_open(&w, kind);
	r = world_repo(&w);
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR("main")));
	s->w = &w;
	s->r = &r;
	for (unsigned i = 0; i < WRITERS + OTHERS; i++) {
		t[i] = (struct thread){.s = s, .number = i};
		assert_int_equal(pthread_create(&t[i].id, NULL, i < WRITERS ? write_versions : others[i - WRITERS], &t[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(t[i].id, NULL);
	atomic_store(&s->stop, true);
	for (unsigned i = WRITERS; i < WRITERS + OTHERS; i++)
		pthread_join(t[i].id, NULL);
	for (unsigned k = 0; k < WRITERS * PATHS; k++) {
		struct entry e;

		assert_ok(object_stat(&w.c, &r, STR("main"), own_path(w.a, k / PATHS, k % PATHS), &e));
		assert_int_equal(e.size, ROUNDS);
	}
	/* and all of it can be committed, and merged */
	IGNORE_RC(commit(&w.c, &r, "main"));
	IGNORE_RC(merge(&w.c, &r, "main", "dev"));
	for (unsigned k = 0; k < WRITERS * PATHS; k++) {
		struct entry e;

		assert_ok(object_stat(&w.c, &r, STR("dev"), own_path(w.a, k / PATHS, k % PATHS), &e));
		assert_int_equal(e.size, ROUNDS);
	}
	world_close(&w);
	free(s);
}

static void test_heads__threads(void **state)
{
	run_threads(GUARDED);
}

static void test_heads__threads_without_guards(void **state)
{
	run_threads(PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads__stopped_at_each_step),
		cmocka_unit_test(test_heads__sealed_are_bounded),
		cmocka_unit_test(test_heads__joins_at_once),
		cmocka_unit_test(test_heads__reset_beside_commit),
		cmocka_unit_test(test_heads__staged_prefixes_are_told_once),
		cmocka_unit_test(test_heads__metaranges_are_named_by_digits),
		cmocka_unit_test(test_heads__two_processes),
		cmocka_unit_test(test_heads__actions_are_no_open_gate),
		cmocka_unit_test(test_heads__threads),
		cmocka_unit_test(test_heads__threads_without_guards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
