/* A repository that is deleted while somebody works on what he has found of it before: he is told
 * that it is gone, and never that something is damaged. */
#include "tests/versions/rich_repo.h"

#include "versions/dump.h"
#include "versions/fsck.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/ref.h"
#include "versions/tag.h"

enum { PAGE = 100, READS_MAX = 2000 };

static rc list_in(struct vcall *c, const struct repo *r, struct str ref)
{
	const struct list_request all = {.prefix = STR(""), .after = STR_NONE, .max = PAGE};
	struct list_page page;

	return objects_list(c, r, ref, &all, &page);
}

static rc list_branch(struct vcall *c, const struct repo *r)
{
	return list_in(c, r, STR("dev"));
}

static rc list_tag(struct vcall *c, const struct repo *r)
{
	return list_in(c, r, STR("v1"));
}

static rc stat_in(struct vcall *c, const struct repo *r, struct str ref)
{
	struct entry e;

	return object_stat(c, r, ref, STR("many/0001"), &e);
}

static rc stat_branch(struct vcall *c, const struct repo *r)
{
	return stat_in(c, r, STR("main"));
}

static rc stat_ancestor(struct vcall *c, const struct repo *r)
{
	return stat_in(c, r, STR("main~2"));
}

static rc put(struct vcall *c, const struct repo *r, enum stage_cond cond)
{
	struct entry e = some_entry(c->a, 7);
	bool sent;

	return object_stage(c, r, STR("main"), STR("new"), &e, cond, STR_NONE, &sent);
}

static rc put_always(struct vcall *c, const struct repo *r)
{
	return put(c, r, STAGE_ALWAYS);
}

static rc put_if_absent(struct vcall *c, const struct repo *r)
{
	return put(c, r, STAGE_IF_ABSENT);
}

static rc delete_one(struct vcall *c, const struct repo *r)
{
	return object_delete(c, r, STR("main"), STR("many/0001"));
}

static rc create_branch(struct vcall *c, const struct repo *r)
{
	return branch_create(c, r, STR("new"), STR("main~1"));
}

static rc create_tag(struct vcall *c, const struct repo *r)
{
	struct tag tag;

	return tag_create(c, r, STR("new"), STR("main~1"), false, &tag);
}

static rc commit(struct vcall *c, const struct repo *r)
{
	const struct commit_request q = {
	    .branch = STR("dev"), .committer = STR("x"), .message = STR("m")};
	struct commit made;

	return branch_commit(c, r, &q, &made);
}

static rc merge(struct vcall *c, const struct repo *r)
{
	const struct merge_request q = {
	    .source = STR("v2-ünï"), .destination = STR("old"), .committer = STR("x")};
	struct commit made;

	return branch_merge(c, r, &q, &made);
}

static rc revert(struct vcall *c, const struct repo *r)
{
	const struct pick_request q = {
	    .branch = STR("main"), .ref = STR("main"), .parent = 1, .committer = STR("x")};
	struct commit made;

	return branch_revert(c, r, &q, &made);
}

static rc reset(struct vcall *c, const struct repo *r)
{
	return branch_hard_reset(c, r, STR("main"), STR("v1"), false);
}

static rc look_at_log(struct vcall *c, const struct repo *r)
{
	struct log_request q = {
	    .max = PAGE, .after = STR_NONE, .since = INT64_MIN, .stop_at = STR_NONE};
	struct log_page page;
	struct ref at;

	TRY(ref_resolve(c, r, STR("main"), &at));
	q.from = at.commit_id;
	return history_log(c, r, &q, &page);
}

static rc look_at_commit(struct vcall *c, const struct repo *r)
{
	struct commit found;

	return ref_commit(c, r, STR("main"), &found);
}

static rc dump(struct vcall *c, const struct repo *r)
{
	struct refs_dump made;

	return refs_dump(c, r, NULL, &made);
}

static const struct use {
	const char *name;
	rc (*run)(struct vcall *c, const struct repo *r);
} uses[] = {
    {"list a branch", list_branch},
    {"list a tag", list_tag},
    {"stat", stat_branch},
    {"stat in an ancestor", stat_ancestor},
    {"put", put_always},
    {"put if absent", put_if_absent},
    {"delete", delete_one},
    {"create a branch", create_branch},
    {"create a tag", create_tag},
    {"commit", commit},
    {"merge", merge},
    {"revert", revert},
    {"reset", reset},
    {"log", look_at_log},
    {"commit's record", look_at_commit},
    {"dump", dump},
};

struct meeting {
	struct world *w;
	bool came;
};

static void delete_repo(void *ud)
{
	struct meeting *m = ud;
	struct err err;
	struct vcall c = {.v = m->w->v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	assert_ok(repo_delete(&c, STR("rich")));
	m->came = true;
	arena_free(c.a);
}

/* The repository goes just before the nth read. False: there were fewer. */
static bool goes_before(const struct use *u, unsigned nth)
{
	struct world w;
	struct meeting m = {&w, false};
	struct repo r;
	rc seen;

	world_open(&w, PLAIN);
	r = rich_repo(&w);
	world_restart(&w); /* nothing is remembered that would spare a read */
	world_hook(&w, nth, delete_repo, &m);
	seen = u->run(&w.c, &r);
	world_hook(&w, 0, NULL, NULL);
	if (!rc_ok(seen) && !rc_is(seen, NOT_FOUND))
		fail_msg("%s, gone before read %u: %s: %s", u->name, nth, err_name(seen.code),
			 w.err.msg);
	world_close(&w);
	return m.came;
}

static void test_gone__between_reads(void **state)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		unsigned nth = 1;

		while (goes_before(&uses[i], nth))
			assert_in_range(nth++, 1, READS_MAX);
		assert_in_range(nth, 2, READS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gone__between_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
