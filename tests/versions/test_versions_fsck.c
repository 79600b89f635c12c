/* fsck: what lakeFS wrote is clean, and each kind of damage is found and named. */
#include "tests/versions/lakefs_repo.h"

#include <stdio.h>
#include <unistd.h>

#include "versions/commit_record.h"
#include "versions/fsck.h"
#include "versions/fsck_priv.h"
#include "versions/head.h"
#include "versions/metarange.h"
#include "versions/object.h"
#include "versions/pb.h"
#include "versions/tag.h"

enum { FOUND_MAX = 20000 };

struct report {
	struct world w;
	struct repo r;
	struct fsck_counts n;
	struct fsck_finding list[FOUND_MAX];
	size_t found;
};

static void add(void *ud, const struct fsck_finding *f)
{
	struct report *p = ud;

	assert_in_range(p->found, 0, FOUND_MAX - 1);
	p->list[p->found++] = (struct fsck_finding){
		f->kind, arena_dup(p->w.a, f->thing), arena_dup(p->w.a, f->named_by),
		arena_dup(p->w.a, f->story)};
}

static void check(struct report *p, bool bodies)
{
	p->found = 0;
	assert_ok(fsck_run(&p->w.c, &p->r,
			   &(struct fsck_options){.bodies = bodies, .found = add, .ud = p}, &p->n));
}

static bool contains(struct str s, const char *what)
{
	return str_find(s, str_c(what)) < s.n;
}

/* How many findings of that kind are there whose thing and story say that. */
static size_t has(const struct report *p, enum fsck_kind kind, struct str thing, const char *story)
{
	size_t n = 0;

	for (size_t i = 0; i < p->found; i++)
		n += p->list[i].kind == kind && str_eq(p->list[i].thing, thing) &&
		     contains(p->list[i].story, story);
	return n;
}

static void open_lakefs(struct report *p)
{
	*p = (struct report){0};
	world_open(&p->w, GUARDED);
	p->r = lakefs_repo(&p->w);
}

/* "repo1" with 300 objects in many ranges, committed, and three staged. */
static void open_own(struct report *p, struct commit *ret)
{
	const struct commit_request q = {
		.branch = STR("main"), .committer = STR("x"), .message = STR("m")};

	*p = (struct report){0};
	world_open(&p->w, GUARDED);
	p->r = world_repo(&p->w);
	for (unsigned i = 0; i < 303; i++) {
		struct entry e = some_entry(p->w.a, i);
		struct object_ptr to = {.space = p->r.storage_namespace, .key = e.address};
		struct backend_stat st;
		char bytes[400] = "";
		bool sent;

		if (i == 300)
			assert_ok(branch_commit(&p->w.c, &p->r, &q, ret));
		assert_ok(backend_put_now(p->w.store, &to, NULL,
					  body_mem_new(p->w.a, str_make(bytes, i)), p->w.a, &st, NULL));
		assert_ok(object_stage(&p->w.c, &p->r, STR("main"),
				       arena_printf(p->w.a, "dir/%05u", i), &e, STAGE_ALWAYS, STR_NONE,
				       &sent));
	}
}

static struct object_ptr at(struct report *p, const char *folder, struct str name)
{
	return (struct object_ptr){.space = p->r.storage_namespace,
				   .key = arena_printf(p->w.a, "%s" STR_FMT, folder, STR_ARG(name))};
}

/* One byte of it is another, or some are cut off. */
static void spoil(struct report *p, struct str table, bool cut)
{
	struct object_ptr to = at(p, "_lakefs/", table);
	struct backend_stat st;
	char *bytes;
	size_t n;

	assert_ok(backend_head_now(p->w.store, &to, p->w.a, &st, NULL));
	bytes = arena_alloc(p->w.a, st.size);
	assert_ok(backend_read_now(p->w.store, &to, 0, bytes, st.size, &n, NULL));
	bytes[20] ^= 1;
	assert_ok(backend_put_now(p->w.store, &to, NULL,
				  body_mem_new(p->w.a, str_make(bytes, cut ? n - 30 : n)), p->w.a, &st, NULL));
}

/* The first range of a metarange, as it says. */
static struct str first_range(struct report *p, struct str metarange)
{
	struct mr_iter *it;
	struct str id;

	assert_ok(mr_iter_open(&p->w.c, &p->r, metarange, true, &it));
	assert_ok(mr_iter_next(it, NULL));
	id = arena_dup(p->w.a, mr_iter_range(it)->id);
	mr_iter_close(it);
	return id;
}

static struct str thing(struct report *p, const char *kind, struct str name)
{
	return arena_printf(p->w.a, "%s " STR_FMT, kind, STR_ARG(name));
}

static void set(struct report *p, const char *prefix, struct str name, struct str value)
{
	assert_ok(kv_set(p->w.kv, p->r.partition, arena_printf(p->w.a, "%s" STR_FMT, prefix, STR_ARG(name)),
			 value, NULL));
}

static void test_fsck__lakefs_is_clean(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	size_t first;

	open_lakefs(p);
	check(p, false);
	assert_int_equal(p->n.missing + p->n.damaged, 0);
	assert_int_equal(p->n.commits, 14);
	assert_int_equal(p->n.branches, 5);
	assert_int_equal(p->n.tags, 3);
	assert_true(p->n.tables > 20 && p->n.entries > 1000);
	first = (size_t)p->n.tables;
	/* Its bodies aren't in this store: the oracle of `--bodies`. */
	check(p, true);
	assert_true(p->n.missing > 100 && p->n.damaged == 0);
	assert_int_equal(p->n.tables, first);
	world_close(&p->w);
	test_free(p);
}

static void test_fsck__own_is_clean(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	struct commit made;

	open_own(p, &made);
	check(p, true);
	assert_int_equal(p->found, 0);
	assert_int_equal(p->n.commits, 2);
	assert_int_equal(p->n.bodies, 303);
	assert_int_equal(p->n.entries, 303);
	check(p, false);
	assert_int_equal(p->n.bodies, 0);
	world_close(&p->w);
	test_free(p);
}

static void test_fsck__tables(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	struct commit made;
	struct object_ptr gone;
	struct str range, by;

	open_own(p, &made);
	range = first_range(p, made.meta_range_id);
	by = thing(p, "metarange", made.meta_range_id);
	spoil(p, range, false);
	check(p, false);
	assert_int_equal(p->found, 1);
	assert_int_equal(has(p, FSCK_DAMAGED, thing(p, "range", range), ""), 1);
	assert_str(p->list[0].named_by, by);
	spoil(p, range, true);
	check(p, false);
	assert_int_equal(has(p, FSCK_DAMAGED, thing(p, "range", range), ""), 1);
	gone = at(p, "_lakefs/", range);
	assert_ok(backend_remove_now(p->w.store, &gone, NULL));
	check(p, false);
	assert_int_equal(p->found, 1);
	assert_int_equal(has(p, FSCK_MISSING, thing(p, "range", range), "isn't there"), 1);
	gone = at(p, "_lakefs/", made.meta_range_id);
	spoil(p, made.meta_range_id, false);
	check(p, false);
	assert_int_equal(has(p, FSCK_DAMAGED, by, ""), 1);
	assert_ok(backend_remove_now(p->w.store, &gone, NULL));
	check(p, false);
	assert_int_equal(has(p, FSCK_MISSING, by, ""), 1);
	world_close(&p->w);
	test_free(p);
}

/* A table in the place of another: well made, but of another name. */
static void test_fsck__other_table(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	struct commit made;
	struct object_ptr from, to;
	struct backend_stat st;
	char *bytes;
	size_t n;

	open_own(p, &made);
	from = at(p, "_lakefs/", made.meta_range_id);
	to = at(p, "_lakefs/", first_range(p, made.meta_range_id));
	assert_ok(backend_head_now(p->w.store, &from, p->w.a, &st, NULL));
	bytes = arena_alloc(p->w.a, st.size);
	assert_ok(backend_read_now(p->w.store, &from, 0, bytes, st.size, &n, NULL));
	assert_ok(backend_put_now(p->w.store, &to, NULL, body_mem_new(p->w.a, str_make(bytes, n)), p->w.a,
				  &st, NULL));
	check(p, false);
	assert_int_equal(p->found, 1);
	assert_true(contains(p->list[0].story, "identity"));
	world_close(&p->w);
	test_free(p);
}

static void test_fsck__bodies(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	struct commit made;
	struct object_ptr o;
	struct backend_stat st;

	open_own(p, &made);
	o = at(p, "data/p/", STR("00000007"));
	assert_ok(backend_remove_now(p->w.store, &o, NULL));
	o = at(p, "data/p/", STR("00000302"));
	assert_ok(backend_remove_now(p->w.store, &o, NULL));
	o = at(p, "data/p/", STR("00000100"));
	assert_ok(backend_put_now(p->w.store, &o, NULL, body_mem_new(p->w.a, STR("x")), p->w.a, &st, NULL));
	check(p, true);
	assert_int_equal(p->found, 3);
	assert_int_equal(has(p, FSCK_MISSING, STR("body data/p/00000007"), ""), 1);
	assert_int_equal(has(p, FSCK_MISSING, STR("body data/p/00000302"), ""), 1);
	assert_int_equal(has(p, FSCK_DAMAGED, STR("body data/p/00000100"), "1 bytes, not 100"), 1);
	for (size_t i = 0; i < 3; i++)
		assert_true(contains(p->list[i].named_by, "path dir/00"));
	check(p, false);
	assert_int_equal(p->found, 0);
	world_close(&p->w);
	test_free(p);
}

static void test_fsck__refs(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	struct commit made, orphan;
	struct branch b;
	struct str id, raw;
	struct tag tag;

	open_own(p, &made);
	assert_ok(branch_create(&p->w.c, &p->r, STR("dev"), STR("main")));
	assert_ok(tag_create(&p->w.c, &p->r, STR("t"), STR("main"), false, &tag));
	check(p, false);
	assert_int_equal(p->found, 0);
	/* two branches with one token */
	assert_ok(branch_get(&p->w.c, &p->r, STR("main"), &b));
	raw = b.raw;
	b.id = STR("dev");
	set(p, "branches/", STR("dev"), branch_encode(&b, p->w.a));
	check(p, false);
	assert_int_equal(has(p, FSCK_DAMAGED, thing(p, "staging token", b.staging_token), "twice"), 1);
	/* a token that is about to be emptied */
	assert_ok(branch_delete(&p->w.c, &p->r, STR("dev")));
	check(p, false);
	assert_int_equal(has(p, FSCK_DAMAGED, thing(p, "staging token", b.staging_token), "emptied"), 1);
	assert_ok(kv_delete(p->w.kv, PARTITION_CLEANUP, b.staging_token, NULL));
	/* commits that aren't there, or aren't what they were */
	id = STR("0000000000000000000000000000000000000000000000000000000000000000");
	b.id = STR("main");
	b.commit_id = id;
	set(p, "branches/", STR("main"), branch_encode(&b, p->w.a));
	set(p, "tags/", STR("u"), raw);
	orphan = made;
	orphan.message = STR("another one");
	set(p, "commits/", made.id, commit_encode(&orphan, p->w.a));
	set(p, "commits/", STR("junk"), STR("\xff\xff"));
	orphan.parents = &id;
	orphan.generation = 1;
	orphan.id = commit_id(&orphan, p->w.a);
	set(p, "commits/", orphan.id, commit_encode(&orphan, p->w.a));
	check(p, false);
	assert_int_equal(has(p, FSCK_MISSING, thing(p, "commit", id), ""), 2);
	assert_int_equal(has(p, FSCK_DAMAGED, STR("tag u"), "another name"), 1);
	assert_int_equal(has(p, FSCK_DAMAGED, thing(p, "commit", made.id), "isn't that of its content"), 1);
	assert_int_equal(has(p, FSCK_DAMAGED, STR("commit junk"), ""), 1);
	world_close(&p->w);
	test_free(p);
}

/* Tables that no commit names: those of a dump, once they aren't new any more. */
static void test_fsck__unreachable(void **state)
{
	struct report *p = test_malloc(sizeof(*p));

	open_lakefs(p);
	usleep(2500 * 1000);
	check(p, false);
	assert_int_equal(p->n.missing + p->n.damaged, 0);
	assert_true(p->n.unreachable >= 6 && p->n.unreachable_bytes > 0);
	assert_int_equal(p->found, p->n.unreachable);
	assert_int_equal(has(p, FSCK_UNREACHABLE,
			     STR("table 82c7f2416548fef15842bf009adb763c7a9062123b1a69bd11ec7d5f79bfb19d"),
			     "no commit names it"),
			 1);
	world_close(&p->w);
	test_free(p);
}

/* What keeps it from looking is no finding. */
static void test_fsck__failures(void **state)
{
	struct report *p = test_malloc(sizeof(*p));
	struct commit made;
	rc r = RC(IO);

	open_own(p, &made);
	for (unsigned nth = 1; !rc_ok(r); nth++) {
		struct fsck_options o = {.found = add, .ud = p};

		assert_true(nth < 10000);
		kv_fault_arm(p->w.kv, KV_CALL_ANY, nth, ERR_IO, false);
		r = fsck_run(&p->w.c, &p->r, &o, &p->n);
		assert_true(rc_ok(r) || rc_is(r, IO));
	}
	kv_fault_arm(p->w.kv, KV_CALL_ANY, 0, ERR_IO, false);
	assert_int_equal(p->found, 0);
	world_close(&p->w);
	test_free(p);
}

static void test_fsck__id_set(void **state)
{
	struct id_set *s = id_set_new(5000);
	char text[20];

	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < 5000; i++) {
			snprintf(text, sizeof(text), "%u", i);
			assert_int_equal(id_set_add(s, str_c(text)), round);
		}
	assert_false(id_set_full(s));
	assert_false(id_set_add(s, STR("more")));
	assert_true(id_set_full(s) && !id_set_has(s, STR("more")) && id_set_has(s, STR("4999")));
	id_set_reset(s);
	assert_false(id_set_full(s) || id_set_has(s, STR("4999")));
	id_set_free(s);
}

static void test_fsck__task(void **state)
{
	const struct tasks_options quick = {.workers = 1, .max = 4};
	struct report *p = test_malloc(sizeof(*p));
	struct fsck_finding *list;
	struct commit made;
	struct object_ptr o;
	struct task t = {0};
	struct str id;
	size_t n;

	open_own(p, &made);
	o = at(p, "data/p/", STR("00000007"));
	assert_ok(backend_remove_now(p->w.store, &o, NULL));
	versions_start_tasks(p->w.v, &quick);
	assert_ok(task_submit_fsck(&p->w.c, &p->r, true, &id));
	for (unsigned i = 0; i < 12000 && !t.done; i++) {
		usleep(10000);
		assert_ok(task_get(&p->w.c, &p->r, TASK_FSCK, id, &t));
	}
	assert_true(t.done);
	assert_str(t.error, STR(""));
	assert_ok(task_fsck_result(&p->w.c, &t, &p->n, &list, &n));
	assert_int_equal(n, 1);
	assert_int_equal(p->n.missing, 1);
	assert_int_equal(p->n.bodies, 303);
	assert_str(list[0].thing, STR("body data/p/00000007"));
	versions_end_tasks(p->w.v);
	world_close(&p->w);
	test_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fsck__lakefs_is_clean), cmocka_unit_test(test_fsck__own_is_clean),
		cmocka_unit_test(test_fsck__tables),	      cmocka_unit_test(test_fsck__other_table),
		cmocka_unit_test(test_fsck__bodies),	      cmocka_unit_test(test_fsck__refs),
		cmocka_unit_test(test_fsck__unreachable),     cmocka_unit_test(test_fsck__failures),
		cmocka_unit_test(test_fsck__id_set),	      cmocka_unit_test(test_fsck__task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
