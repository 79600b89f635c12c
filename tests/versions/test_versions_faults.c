/* Two faults of lakeFS (FORMATS.md section 9) that are not here. */
#include "tests/versions/world.h"

#include "versions/head.h"
#include "versions/object.h"
#include "versions/ref.h"

static void put(struct world *w, const struct repo *r, const char *branch, const char *path, unsigned content)
{
	struct entry e = some_entry(w->a, content);
	bool sent = false;

	assert_ok(object_stage(&w->c, r, str_c(branch), str_c(path), &e, STAGE_ALWAYS, STR_NONE, &sent));
}

static struct commit commit(struct world *w, const struct repo *r, const char *branch, struct meta *m, size_t n)
{
	struct commit_request q = {.branch = str_c(branch), .committer = STR("c"), .message = STR("m"),
				   .metadata = m, .metadata_n = n};
	struct commit made;

	assert_ok(branch_commit(&w->c, r, &q, &made));
	return made;
}

/* lakeFS compares a record with the next one of the base by identity alone, which leaves the path out: a copy of
 * a file that the destination removed was lost. */
static void test_faults__merge_keeps_copies_of_what_was_removed(void **state)
{
	struct merge_request q = {.source = STR("dev"), .destination = STR("main"), .committer = STR("c")};
	enum { SAME = 77 };
	struct commit made;
	struct world w;
	struct repo r;
	struct entry e;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	put(&w, &r, "main", "a0", 1);
	put(&w, &r, "main", "z9", SAME);
	commit(&w, &r, "main", NULL, 0);
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR("main")));
	put(&w, &r, "dev", "y5", SAME);
	commit(&w, &r, "dev", NULL, 0);
	put(&w, &r, "main", "a0", 2);
	assert_ok(object_delete(&w.c, &r, STR("main"), STR("z9")));
	commit(&w, &r, "main", NULL, 0);
	assert_ok(branch_merge(&w.c, &r, &q, &made));
	assert_ok(object_stat(&w.c, &r, STR("main"), STR("y5"), &e));
	assert_int_equal(e.size, SAME);
	assert_ok(object_stat(&w.c, &r, STR("main"), STR("a0"), &e));
	assert_int_equal(e.size, 2);
	assert_rc(object_stat(&w.c, &r, STR("main"), STR("z9"), &e), NOT_FOUND);
	world_close(&w);
}

/* lakeFS changes the metadata of the picked commit that it remembers: its id led nowhere until it was forgotten. */
static void test_faults__picked_commit_stays_as_it_was(void **state)
{
	struct meta m[] = {{STR("k"), STR("v")}};
	struct commit picked, made, again;
	struct pick_request q = {.branch = STR("main"), .committer = STR("picker")};
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(branch_create(&w.c, &r, STR("dev"), STR("main")));
	put(&w, &r, "dev", "a", 1);
	picked = commit(&w, &r, "dev", m, 1);
	q.ref = picked.id;
	assert_ok(branch_cherry_pick(&w.c, &r, &q, &made));
	assert_int_equal(made.metadata_n, 3);
	assert_ok(ref_commit(&w.c, &r, picked.id, &again));
	assert_int_equal(again.metadata_n, 1);
	assert_str(commit_id(&again, w.a), picked.id);
	assert_ok(ref_commit(&w.c, &r, STR("dev"), &again));
	assert_str(again.id, picked.id);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults__merge_keeps_copies_of_what_was_removed),
		cmocka_unit_test(test_faults__picked_commit_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
