/* Dump and restore: one moment, all or nothing, repeatable; what is missing is named before anything is written. */
#include "tests/versions/rich_repo.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "versions/branch_remove.h"
#include "versions/commit_record.h"
#include "versions/dump_check.h"
#include "versions/head.h"
#include "versions/internal.h"
#include "versions/metarange.h"
#include "versions/mr_writer.h"
#include "versions/object.h"
#include "versions/pb.h"
#include "versions/tag.h"
#include "versions/task.h"

#define RICH STR("mem://rich")

static struct repo bare(struct world *w, const char *name, struct str space)
{
	const struct repo_create in = {.id = str_c(name), .storage_namespace = space, .bare = true};
	struct repo r;

	assert_ok(repo_create(&w->c, &in, &r));
	return r;
}

static bool says(const struct world *w, const char *what)
{
	return strstr(w->err.msg, what) != NULL;
}

static struct object_ptr table(struct world *w, struct str id)
{
	return (struct object_ptr){.space = RICH, .key = arena_printf(w->a, "_lakefs/" STR_FMT, STR_ARG(id))};
}

/* The first range of a metarange. */
static struct str range_of(struct world *w, const struct repo *r, struct str metarange)
{
	struct mr_iter *it;
	struct str id;

	assert_ok(mr_iter_open(&w->c, r, metarange, true, &it));
	assert_ok(mr_iter_next(it, NULL));
	id = arena_dup(w->a, mr_iter_range(it)->id);
	mr_iter_close(it);
	return id;
}

static struct str metarange_of(struct world *w, const struct repo *r, const char *branch)
{
	struct commit commit;
	struct branch b;

	assert_ok(branch_get(&w->c, r, str_c(branch), &b));
	assert_ok(commit_get(&w->c, r, b.commit_id, &commit));
	return commit.meta_range_id;
}

static void test_dump__round_trip(void **state)
{
	struct world w;
	struct repo r, again;
	struct refs_dump d, e;
	struct str before;

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	before = rich_told(&w, &r);
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	assert_ok(refs_write_manifest(&w.c, &r, &d));
	world_lose_kv(&w);
	again = rich_restored(&w, "another", STR_NONE, RICH);
	assert_str(rich_told(&w, &again), before);
	/* What was restored dumps as the same tables, and can be gone on with. */
	assert_ok(refs_dump(&w.c, &again, NULL, &e));
	assert_str(e.commits, d.commits);
	assert_str(e.branches, d.branches);
	assert_str(e.tags, d.tags);
	rich_put(&w, &again, "main", "after", STR("the restore"));
	rich_commit(&w, &again, "main", "after");
	world_close(&w);
}

static void test_dump__removed_branch(void **state)
{
	struct world w;
	struct repo r, again;
	struct refs_dump d;
	struct branch b;

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	assert_ok(branch_delete(&w.c, &r, STR("old")));
	assert_ok(branch_create(&w.c, &r, STR("gone"), STR("main")));
	assert_ok(branch_get(&w.c, &r, STR("gone"), &b));
	b.removed_ms = 1; /* removed, and not swept yet */
	assert_ok(kv_set(w.kv, r.partition, STR("branches/gone"), branch_encode(&b, w.a), NULL));
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	again = bare(&w, "again", RICH);
	assert_ok(refs_restore(&w.c, &again, &d, false, NULL));
	assert_rc(branch_get(&w.c, &again, STR("old"), &b), NOT_FOUND);
	assert_rc(branch_get(&w.c, &again, STR("gone"), &b), NOT_FOUND);
	assert_ok(branch_get(&w.c, &again, STR("dev"), &b));
	world_close(&w);
}

/* Two branches that are moved together, between any two reads of a dump: it has both as they were, or both as they
 * are. */
struct mover {
	struct world *w;
	const struct repo *r;
	struct str to;
	bool moved;
};

static void move_both(void *ud)
{
	struct mover *m = ud;
	struct arena *a = arena_new();
	struct vcall c = {.v = m->w->v, .a = a, .wait = KV_BLOCK};

	m->moved = true;
	assert_ok(branch_hard_reset(&c, m->r, STR("a"), m->to, false));
	assert_ok(branch_hard_reset(&c, m->r, STR("z"), m->to, false));
	arena_free(a);
}

static struct str dumped(struct world *w, const struct repo *r, const struct refs_dump *d, const char *branch)
{
	struct record record;

	assert_ok(metarange_get(&w->c, r, d->branches, str_c(branch), &record));
	return record.identity;
}

static void test_dump__one_moment(void **state)
{
	struct world w;
	struct repo r;
	bool fired = true;

	world_open(&w, PLAIN);
	r = rich_repo(&w);
	assert_ok(branch_create(&w.c, &r, STR("a"), STR("v1")));
	assert_ok(branch_create(&w.c, &r, STR("z"), STR("v1")));
	for (unsigned nth = 1; fired; nth++) {
		struct mover m = {&w, &r, nth % 2 ? STR("main") : STR("v1"), false};
		struct refs_dump d;

		assert_in_range(nth, 1, 1000);
		world_hook(&w, nth, move_both, &m);
		assert_ok(refs_dump(&w.c, &r, NULL, &d));
		fired = m.moved;
		world_hook(&w, 0, move_both, &m);
		assert_str(dumped(&w, &r, &d, "a"), dumped(&w, &r, &d, "z"));
	}
	world_close(&w);
}

/* Writers commit, tag, branch and delete while dumps are made: what each names is in it. */
enum { WRITERS = 3, ROUNDS = 50 };

struct writer {
	struct world *w;
	const struct repo *r;
	unsigned n;
	_Atomic unsigned *left; /* writers */
};

static void write_once(struct vcall *c, const struct writer *me, unsigned i)
{
	struct str branch = arena_printf(c->a, "w%u", me->n), path = arena_printf(c->a, "p%u", i % 50);
	struct entry e = some_entry(c->a, me->n * 100000 + i);
	const struct commit_request q = {.branch = branch, .committer = STR("w"), .message = path};
	struct commit made;
	struct tag tag;
	bool sent;

	assert_ok(object_stage(c, me->r, branch, path, &e, STAGE_ALWAYS, STR_NONE, &sent));
	assert_ok(branch_commit(c, me->r, &q, &made));
	assert_ok(tag_create(c, me->r, arena_printf(c->a, "t%u-%u", me->n, i), branch, false, &tag));
	if (i % 10 == 0)
		assert_ok(branch_create(c, me->r, arena_printf(c->a, "b%u-%u", me->n, i), branch));
	if (i % 10 == 5)
		assert_ok(branch_delete(c, me->r, arena_printf(c->a, "b%u-%u", me->n, i - 5)));
}

static void *write_on(void *arg)
{
	const struct writer *me = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct arena *a = arena_new();
		struct vcall c = {.v = me->w->v, .a = a, .wait = KV_BLOCK};

		write_once(&c, me, i);
		arena_free(a);
	}
	atomic_fetch_sub(me->left, 1);
	return NULL;
}

static void told(void *ud, const struct fsck_finding *f)
{
	print_message("%s: " STR_FMT " of " STR_FMT ": " STR_FMT "\n", fsck_kind_name(f->kind), STR_ARG(f->thing),
		      STR_ARG(f->named_by), STR_ARG(f->story));
}

static void test_dump__while_written(void **state)
{
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	_Atomic unsigned left = WRITERS;
	int64_t tags = 0;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_ok(branch_create(&w.c, &r, arena_printf(w.a, "w%u", i), STR("main")));
		writers[i] = (struct writer){&w, &r, i, &left};
		assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
	}
	do {
		const struct dump_check_options o = {.found = told};
		struct fsck_counts n;
		struct refs_dump d;

		assert_ok(refs_dump(&w.c, &r, NULL, &d));
		assert_ok(dump_check(&w.c, &r, &d, &o, &n));
		assert_int_equal(n.missing + n.damaged, 0);
		assert_true(n.commits >= n.tags && n.tags >= tags);
		tags = n.tags;
	} while (atomic_load(&left));
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	world_close(&w);
}

/* Each call of KV and store fails once, in each half: the repository stays bare, and the same restore goes well. */
static void sweep(unsigned kv_calls, bool after)
{
	struct world w;
	struct repo r, again;
	struct refs_dump d;
	struct str before;
	rc done = RC(IO);

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	before = rich_told(&w, &r);
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	for (unsigned nth = 1; !rc_ok(done); nth++) {
		char name[32];

		assert_in_range(nth, 1, 5000);
		snprintf(name, sizeof(name), "again-%u", nth);
		again = bare(&w, name, RICH);
		if (kv_calls)
			kv_fault_arm(w.kv, kv_calls, nth, ERR_IO, after);
		else
			backend_fault_arm(w.store, BACKEND_CALL_ALL, nth, ERR_IO, after);
		done = refs_restore(&w.c, &again, &d, false, NULL);
		kv_fault_arm(w.kv, KV_CALL_ANY, 0, ERR_IO, false);
		backend_fault_arm(w.store, BACKEND_CALL_ALL, 0, ERR_IO, false);
		if (!rc_ok(done) && nth % 7 == 0)
			world_restart(&w); /* it died there */
		if (!rc_ok(done) && !rc_ok(refs_check_bare(&w.c, &again, false)))
			assert_true(after); /* the last write was done, and not acknowledged */
		else if (!rc_ok(done))
			assert_ok(refs_restore(&w.c, &again, &d, false, NULL));
		if (nth % 5 == 0 || rc_ok(done))
			assert_str(rich_told(&w, &again), before);
	}
	world_close(&w);
}

static void test_restore__each_step_fails(void **state)
{
	sweep(KV_CALL_WRITES, false);
	sweep(KV_CALL_WRITES, true);
	sweep(KV_CALL_GET | KV_CALL_SCAN | KV_CALL_NEXT, false);
	sweep(0, false);
}

/* What is missing is named, and nothing was written; once it is back, all goes well. */
struct damaged {
	struct world w;
	struct repo r;
	struct refs_dump d;
	struct str before;
	unsigned n;
};

static struct str bytes_of(struct damaged *s, const struct object_ptr *at)
{
	struct backend_stat st;
	char *bytes;
	size_t n;

	assert_ok(backend_head_now(s->w.store, at, s->w.a, &st, NULL));
	bytes = arena_alloc(s->w.a, st.size + 1);
	assert_ok(backend_read_now(s->w.store, at, 0, bytes, st.size, &n, NULL));
	return str_make(bytes, n);
}

static void put(struct damaged *s, const struct object_ptr *at, struct str bytes)
{
	struct backend_stat st;

	assert_ok(backend_put_now(s->w.store, at, NULL, body_mem_new(s->w.a, bytes), s->w.a, &st, NULL));
}

static void refused(struct damaged *s, const char *kind, struct str id)
{
	struct repo again = bare(&s->w, arena_printf(s->w.a, "again-%u", s->n++).p, RICH);

	world_restart(&s->w); /* without what is in memory */
	assert_rc(refs_restore(&s->w.c, &again, &s->d, false, NULL), DumpNotWhole);
	if (!says(&s->w, "nothing was restored") || !says(&s->w, "mem://rich") || !says(&s->w, kind) ||
	    !says(&s->w, arena_cstr(s->w.a, id)))
		fail_msg("%s of " STR_FMT ": %s", kind, STR_ARG(id), s->w.err.msg);
	assert_int_equal(world_keys(&s->w, again.partition), 0);
}

static void with_damage(struct damaged *s, const char *kind, struct str id)
{
	const struct object_ptr at = table(&s->w, id);
	struct str good = bytes_of(s, &at);

	assert_ok(backend_remove_now(s->w.store, &at, NULL));
	refused(s, kind, id);
	put(s, &at, str_head(good, good.n - 30));
	refused(s, kind, id);
	put(s, &at, STR(""));
	refused(s, kind, id);
	put(s, &at, good);
}

static void test_restore__names_what_is_missing(void **state)
{
	struct damaged *s = test_malloc(sizeof(*s));
	struct repo again;

	*s = (struct damaged){0};
	world_open(&s->w, GUARDED);
	s->r = rich_repo(&s->w);
	s->before = rich_told(&s->w, &s->r);
	assert_ok(refs_dump(&s->w.c, &s->r, NULL, &s->d));
	with_damage(s, "metarange", s->d.commits);
	with_damage(s, "metarange", s->d.branches);
	with_damage(s, "metarange", s->d.tags);
	with_damage(s, "range", range_of(&s->w, &s->r, s->d.commits));
	with_damage(s, "range", range_of(&s->w, &s->r, s->d.branches));
	with_damage(s, "metarange", metarange_of(&s->w, &s->r, "main"));
	with_damage(s, "metarange", metarange_of(&s->w, &s->r, "old"));
	with_damage(s, "range", range_of(&s->w, &s->r, metarange_of(&s->w, &s->r, "main")));
	again = bare(&s->w, "whole", RICH);
	assert_ok(refs_restore(&s->w.c, &again, &s->d, false, NULL));
	assert_str(rich_told(&s->w, &again), s->before);
	world_close(&s->w);
	test_free(s);
}

static void test_restore__refusals(void **state)
{
	const struct refs_dump none = {STR("x"), STR("y"), STR("z")};
	const struct repo_create trunk = {
		.id = STR("trunk"), .storage_namespace = RICH, .bare = true, .default_branch = STR("trunk")};
	struct world w;
	struct repo r, other;
	struct refs_dump d, swapped;

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	assert_rc(refs_restore(&w.c, &r, &d, false, NULL), INVALID);
	assert_true(says(&w, "can only restore into a bare repository"));
	/* another namespace than the dump's */
	other = bare(&w, "other", STR("mem://other"));
	assert_rc(refs_restore(&w.c, &other, &d, false, NULL), DumpNotWhole);
	assert_true(says(&w, "mem://other") && says(&w, "is missing"));
	assert_int_equal(world_keys(&w, other.partition), 0);
	/* what are no ids, and the ids of other things */
	other = bare(&w, "ids", RICH);
	assert_rc(refs_restore(&w.c, &other, &none, false, NULL), DumpNotWhole);
	swapped = (struct refs_dump){.commits = d.branches, .branches = d.commits, .tags = d.tags};
	assert_rc(refs_restore(&w.c, &other, &swapped, false, NULL), DumpNotWhole);
	swapped = (struct refs_dump){.commits = metarange_of(&w, &r, "main"), .branches = d.branches, .tags = d.tags};
	assert_rc(refs_restore(&w.c, &other, &swapped, false, NULL), DumpNotWhole);
	assert_int_equal(world_keys(&w, other.partition), 0);
	/* another default branch */
	assert_ok(repo_create(&w.c, &trunk, &other));
	assert_rc(refs_restore(&w.c, &other, &d, false, NULL), INVALID);
	assert_true(says(&w, "the dump has no branch 'trunk'"));
	assert_int_equal(world_keys(&w, other.partition), 0);
	world_close(&w);
}

/* A manifest that names less than three tables is refused by what it is: no store and no record is asked, no task is
 * made. */
static void nameless(struct world *w, const struct repo *into, struct refs_dump d)
{
	const struct {
		struct str id;
		const char *key;
	} kinds[] = {{d.commits, "no commits (commits_meta_range_id)"},
		     {d.branches, "no branches (branches_meta_range_id)"},
		     {d.tags, "no tags (tags_meta_range_id)"}};
	const uint64_t store = backend_fault_calls(w->store, BACKEND_CALL_ALL);
	const uint64_t kv = kv_fault_calls(w->kv, KV_CALL_ANY);
	struct str id;

	for (unsigned submit = 0; submit < 2; submit++) {
		assert_rc(submit ? task_submit_restore(&w->c, into, &d, false, &id) :
				   refs_restore(&w->c, into, &d, false, NULL),
			  INVALID);
		assert_true(says(w, "the manifest names no ") && says(w, "what refs-dump printed") &&
			    says(w, "_lakefs/refs_manifest.json"));
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			assert_int_equal(says(w, kinds[i].key), !kinds[i].id.n);
	}
	assert_int_equal(backend_fault_calls(w->store, BACKEND_CALL_ALL), store);
	assert_int_equal(kv_fault_calls(w->kv, KV_CALL_ANY), kv);
	assert_int_equal(world_keys(w, into->partition), 0);
}

static void test_restore__nameless_manifests(void **state)
{
	struct world w;
	struct repo r, other;
	struct refs_dump d;

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	other = bare(&w, "other", RICH);
	nameless(&w, &other, (struct refs_dump){STR_NONE, d.tags, d.branches});
	nameless(&w, &other, (struct refs_dump){d.commits, STR_NONE, d.branches});
	nameless(&w, &other, (struct refs_dump){d.commits, d.tags, STR_NONE});
	nameless(&w, &other, (struct refs_dump){d.commits, d.tags, STR("")});
	nameless(&w, &other, (struct refs_dump){STR(""), STR(""), d.branches});
	nameless(&w, &other, (struct refs_dump){STR(""), STR(""), STR("")});
	nameless(&w, &other, (struct refs_dump){STR_NONE, STR_NONE, STR_NONE});
	/* Nor does it matter what it would have been restored into. */
	assert_rc(refs_restore(&w.c, &r, &(struct refs_dump){STR(""), STR(""), STR("")}, false, NULL), INVALID);
	assert_true(says(&w, "the manifest names no "));
	assert_ok(refs_restore(&w.c, &other, &d, false, NULL));
	world_close(&w);
}

/* A dump of which the tables are whole, and what is in them isn't. */
static struct str forged(struct world *w, const struct repo *r, const struct commit *c)
{
	struct buf value = BUF_INIT(1 << 16);
	struct mr_writer *out;
	struct mr_summary sum;

	assert_ok(mr_writer_new(&w->c, r, NULL, 0, &out));
	assert_true(record_encode(c->id, commit_encode(c, w->a), &value));
	assert_ok(mr_writer_record(out, c->id, buf_str(&value), NULL));
	assert_ok(mr_writer_finish(out, w->a, &sum, NULL));
	mr_writer_free(out);
	buf_deinit(&value);
	return sum.id;
}

static void test_restore__forged_commits(void **state)
{
	struct world w;
	struct repo r, other;
	struct refs_dump d;
	struct commit commit;
	struct branch b;

	world_open(&w, GUARDED);
	r = rich_repo(&w);
	assert_ok(refs_dump(&w.c, &r, NULL, &d));
	other = bare(&w, "other", RICH);
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_ok(commit_get(&w.c, &r, b.commit_id, &commit));
	/* its parents aren't in the dump, nor what other branches name */
	d.commits = forged(&w, &r, &commit);
	assert_rc(refs_restore(&w.c, &other, &d, false, NULL), DumpNotWhole);
	assert_true(says(&w, "commit") && says(&w, "is missing"));
	commit.message = STR("another one");
	d.commits = forged(&w, &r, &commit);
	assert_rc(refs_restore(&w.c, &other, &d, false, NULL), DumpNotWhole);
	assert_true(says(&w, arena_cstr(w.a, commit.id)) && says(&w, "damaged"));
	commit.generation = 0;
	commit.id = commit_id(&commit, w.a);
	d.commits = forged(&w, &r, &commit);
	assert_rc(refs_restore(&w.c, &other, &d, false, NULL), DumpNotWhole);
	assert_int_equal(world_keys(&w, other.partition), 0);
	world_close(&w);
}

static void test_restore__manifests(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{}", "{\"branches_meta_range_id\": \"x\"}",
					  "{\"branches_meta_range_id\": 1, \"commits_meta_range_id\": 2, \"tags_meta_range_id\": 3}"};
	struct damaged *s = test_malloc(sizeof(*s));
	const struct object_ptr at = {.space = RICH, .key = STR("_lakefs/refs_manifest.json")};
	struct refs_dump d;

	*s = (struct damaged){0};
	world_open(&s->w, GUARDED);
	s->r = rich_repo(&s->w);
	assert_rc(refs_read_manifest(&s->w.c, &s->r, &d), NOT_FOUND);
	assert_true(says(&s->w, "mem://rich/_lakefs/refs_manifest.json"));
	assert_ok(refs_dump(&s->w.c, &s->r, NULL, &s->d));
	assert_ok(refs_write_manifest(&s->w.c, &s->r, &s->d));
	assert_ok(refs_read_manifest(&s->w.c, &s->r, &d));
	assert_str(d.commits, s->d.commits);
	assert_str(d.branches, s->d.branches);
	assert_str(d.tags, s->d.tags);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(s, &at, str_c(bad[i]));
		assert_rc(refs_read_manifest(&s->w.c, &s->r, &d), DumpNotWhole);
	}
	world_close(&s->w);
	test_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump__round_trip),
		cmocka_unit_test(test_dump__removed_branch),
		cmocka_unit_test(test_dump__one_moment),
		cmocka_unit_test(test_dump__while_written),
		cmocka_unit_test(test_restore__each_step_fails),
		cmocka_unit_test(test_restore__names_what_is_missing),
		cmocka_unit_test(test_restore__refusals),
		cmocka_unit_test(test_restore__nameless_manifests),
		cmocka_unit_test(test_restore__forged_commits),
		cmocka_unit_test(test_restore__manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
