/* A repository, a branch or a tag that is deleted, moved or made anew while somebody works on what
 * he has found of it before: he is told that it is gone, or that others were quicker, and never
 * that something is damaged. */
#include "tests/versions/rich_repo.h"

#include "versions/compare.h"
#include "versions/dump.h"
#include "versions/fsck.h"
#include "versions/gc_commits.h"
#include "versions/gc_rules.h"
#include "versions/gc_uncommitted.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/listing.h"
#include "versions/multipart.h"
#include "versions/object.h"
#include "versions/ref.h"
#include "versions/repo_metadata.h"
#include "versions/symlinks.h"
#include "versions/tag.h"
#include "versions/upload_record.h"

enum { PAGE = 100, READS_MAX = 2000, EACH_MAX = 16, SOME = 13 };

static struct upload upload; /* an open one, with a part */
static struct upload_part part;

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

static rc put_if_same(struct vcall *c, const struct repo *r)
{
	const struct entry e = some_entry(c->a, 7);
	struct entry was;
	bool sent;

	TRY(object_stat(c, r, STR("main"), STR("many/0001"), &was));
	return object_stage(c, r, STR("main"), STR("many/0001"), &e, STAGE_IF_ETAG, was.etag,
			    &sent);
}

static rc put_if_absent(struct vcall *c, const struct repo *r)
{
	return put(c, r, STAGE_IF_ABSENT);
}

static rc delete_one(struct vcall *c, const struct repo *r)
{
	return object_delete(c, r, STR("main"), STR("many/0001"));
}

static rc delete_many(struct vcall *c, const struct repo *r)
{
	struct object_delete_item items[] = {
	    {.branch = STR("main"), .path = STR("many/0001")},
	    {.branch = STR("dev"), .path = STR("many/0002")},
	    {.branch = STR("main"),
	     .path = STR("many/0003"),
	     .match = &(struct object_match){.etag = STR("*")}},
	};

	objects_delete(c, r, items, 3);
	for (size_t i = 0; i < 3; i++)
		if (!rc_ok(items[i].result))
			return err_set(c->err, items[i].result.code, "%s", items[i].err->msg);
	return RC_OK;
}

static rc no_change(void *ud, struct entry *e)
{
	return RC_OK;
}

static rc change(struct vcall *c, const struct repo *r)
{
	return object_change(c, r, STR("main"), STR("many/0001"), no_change, NULL);
}

static rc complete(struct vcall *c, const struct repo *r, enum stage_cond cond)
{
	const struct upload_completion how = {.parts = &part, .n = 1, .cond = cond};
	struct entry e;

	return upload_complete(c, r, upload.branch, upload.path, upload.id, &how, &e);
}

static rc complete_upload(struct vcall *c, const struct repo *r)
{
	return complete(c, r, STAGE_ALWAYS);
}

static rc complete_if_absent(struct vcall *c, const struct repo *r)
{
	return complete(c, r, STAGE_IF_ABSENT);
}

static rc list_uploads(struct vcall *c, const struct repo *r)
{
	const struct uploads_request q = {.branch = STR_NONE, .max = PAGE};
	struct uploads_page page;

	return uploads_list(c, r, &q, &page);
}

static rc create_upload(struct vcall *c, const struct repo *r)
{
	const struct upload in = {
	    .branch = STR("main"), .path = STR("new"), .checksum = DIGEST_KINDS};
	struct upload made;

	return upload_create(c, r, &in, &made);
}

static rc delete_branch(struct vcall *c, const struct repo *r)
{
	return branch_delete(c, r, STR("dev"));
}

static rc delete_tag(struct vcall *c, const struct repo *r)
{
	return tag_delete(c, r, STR("v1"), false);
}

static rc remove_repo(struct vcall *c, const struct repo *r)
{
	return repo_delete(c, r->id);
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

static rc pick(struct vcall *c, const struct repo *r)
{
	const struct pick_request q = {
	    .branch = STR("old"), .ref = STR("dev"), .parent = 1, .committer = STR("x")};
	struct commit made;

	return branch_cherry_pick(c, r, &q, &made);
}

static rc reset_staged(struct vcall *c, const struct repo *r)
{
	return branch_reset(c, r, STR("dev"), false);
}

static rc reset_prefix(struct vcall *c, const struct repo *r)
{
	return branch_reset_prefix(c, r, STR("dev"), STR("sta"), false);
}

static rc diff_in(struct vcall *c, const struct repo *r, bool three_dot)
{
	const struct compare_request q = {
	    .prefix = STR(""), .delimiter = STR_NONE, .after = STR_NONE, .max = PAGE};
	struct compare_page page;

	return compare_refs(c, r, STR("v1"), STR("dev"), three_dot, &q, &page);
}

static rc compare(struct vcall *c, const struct repo *r)
{
	return diff_in(c, r, false);
}

static rc compare_with_base(struct vcall *c, const struct repo *r)
{
	return diff_in(c, r, true);
}

static rc compare_staged(struct vcall *c, const struct repo *r)
{
	const struct compare_request q = {
	    .prefix = STR(""), .delimiter = STR_NONE, .after = STR_NONE, .max = PAGE};
	struct compare_page page;

	return compare_uncommitted(c, r, STR("dev"), &q, &page);
}

static rc set_metadata(struct vcall *c, const struct repo *r)
{
	return repo_metadata_update(c, r, &(struct meta){STR("k"), STR("v")}, 1, NULL, 0);
}

static rc collect(struct vcall *c, const struct repo *r)
{
	struct gc_run run;

	TRY(gc_rules_set(c, r, &(struct gc_rules){.default_days = 1}));
	return gc_prepare_commits(c, r, NULL, &run);
}

static rc collect_staged(struct vcall *c, const struct repo *r)
{
	struct gc_listed listed;

	return gc_list_uncommitted(c, r, STR(""), &listed);
}

static rc write_symlinks(struct vcall *c, const struct repo *r)
{
	struct str at;

	return symlinks_write(c, r, STR("main"), STR("many/"), &at);
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

static rc look_for_damage(struct vcall *c, const struct repo *r)
{
	const struct fsck_options all = {.bodies = true};
	struct fsck_counts n;

	TRY(fsck_run(c, r, &all, &n));
	if (n.missing + n.damaged)
		return err_set(c->err, ERR_CORRUPT, "fsck: %llu missing, %llu damaged",
			       (unsigned long long)n.missing, (unsigned long long)n.damaged);
	return RC_OK;
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
    {"put if it is the same", put_if_same},
    {"delete", delete_one},
    {"delete many", delete_many},
    {"change", change},
    {"delete a branch", delete_branch},
    {"delete a tag", delete_tag},
    {"delete the repository", remove_repo},
    {"create a branch", create_branch},
    {"create a tag", create_tag},
    {"commit", commit},
    {"merge", merge},
    {"revert", revert},
    {"cherry-pick", pick},
    {"hard reset", reset},
    {"reset", reset_staged},
    {"reset a prefix", reset_prefix},
    {"difference", compare},
    {"difference from the merge base", compare_with_base},
    {"what is staged", compare_staged},
    {"metadata", set_metadata},
    {"what to collect of commits", collect},
    {"what to collect of staging", collect_staged},
    {"symlinks", write_symlinks},
    {"log", look_at_log},
    {"commit's record", look_at_commit},
    {"dump", dump},
    {"fsck", look_for_damage},
};

static const struct use upload_uses[] = {
    {"create an upload", create_upload},
    {"complete an upload", complete_upload},
    {"complete an upload if nothing is there", complete_if_absent},
    {"list uploads", list_uploads},
};

/* What happens meanwhile, and what may be told of it beside success and that something isn't there.
 */

static rc repo_goes(struct vcall *c, const struct repo *r)
{
	return repo_delete(c, STR("rich"));
}

static rc repo_is_made_anew(struct vcall *c, const struct repo *r)
{
	const struct repo_create in = {.id = STR("rich"), .storage_namespace = STR("mem://anew")};
	struct repo made;

	TRY(repo_delete(c, STR("rich")));
	return repo_create(c, &in, &made);
}

static rc branches_go(struct vcall *c, const struct repo *r)
{
	TRY(branch_delete(c, r, STR("dev")));
	TRY(branch_delete(c, r, STR("old")));
	return tag_delete(c, r, STR("v1"), false);
}

static rc branches_are_made_anew(struct vcall *c, const struct repo *r)
{
	struct tag tag;

	TRY(branches_go(c, r));
	TRY(branch_create(c, r, STR("dev"), STR("main~1")));
	TRY(branch_create(c, r, STR("old"), STR("main~1")));
	return tag_create(c, r, STR("v1"), STR("main~1"), false, &tag);
}

static rc branches_move(struct vcall *c, const struct repo *r)
{
	const char *const names[] = {"main", "dev", "old"};
	struct commit made;

	for (size_t i = 0; i < 3; i++) {
		const struct commit_request q = {
		    .branch = str_c(names[i]), .committer = STR("x"), .message = STR("m")};

		TRY(object_delete(c, r, q.branch, STR("many/0005")));
		TRY(branch_commit(c, r, &q, &made));
	}
	return RC_OK;
}

static rc upload_goes(struct vcall *c, const struct repo *r)
{
	return upload_abort(c, r, &upload);
}

enum { CODES_MAX = 8 };

static const struct event {
	const char *name;
	rc (*run)(struct vcall *c, const struct repo *r);
	enum err_code codes[CODES_MAX];
} events[] = {
    {"the repository goes", repo_goes, {ERR_NoSuchUpload}},
    {"the repository is made anew", repo_is_made_anew, {ERR_NoSuchUpload}},
    {"branches and a tag go", branches_go, {0}},
    {"branches and a tag are made anew",
     branches_are_made_anew,
     {ERR_NoChanges, ERR_MergeConflict}},
    {"branches move",
     branches_move,
     {ERR_MergeConflict, ERR_NoChanges, ERR_DirtyBranch, ERR_ConditionalRequestConflict}},
};

static const struct event upload_events[] = {
    {"the upload goes", upload_goes, {ERR_NoSuchUpload}},
    {"the upload is completed", complete_upload, {0}},
};

struct meeting {
	struct world *w;
	const struct repo *r;
	const struct event *e;
	struct versions *other;
	bool came;
	rc result;
};

static void come(void *ud)
{
	struct meeting *m = ud;
	struct err err = {0};
	struct vcall c = {.v = m->other, .a = arena_new(), .wait = KV_BLOCK, .err = &err};

	world_hook(m->w, 0, NULL, NULL);
	m->result = m->e->run(&c, m->r);
	m->came = true;
	arena_free(c.a);
}

static void begin_upload(struct world *w, const struct repo *r)
{
	const struct upload in = {
	    .branch = STR("main"), .path = STR("in/parts"), .checksum = DIGEST_KINDS};

	assert_ok(upload_create(&w->c, r, &in, &upload));
	assert_ok(world_store_part(w, w->a, &upload, 1, STR("part"), &part));
	assert_ok(kv_set(w->kv, STR("sluice-parts"), part_key(w->a, upload.id, 1),
			 part_encode(&part, w->a), &w->err));
}

static bool may_be_told(const struct event *e, rc seen)
{
	for (size_t i = 0; i < CODES_MAX; i++)
		if (seen.code == e->codes[i])
			return true;
	return rc_ok(seen) || rc_is(seen, NOT_FOUND);
}

/* Just before the nth read of it. False: there were fewer. */
static bool meet(const struct use *u, const struct event *e, unsigned nth)
{
	struct meeting m = {.e = e};
	struct world w;
	struct repo r;
	rc seen;

	world_open(&w, PLAIN);
	r = rich_repo(&w);
	begin_upload(&w, &r);
	m.w = &w;
	m.r = &r;
	world_restart(&w); /* nothing is remembered that would spare a read */
	m.other = world_other(&w);
	world_hook(&w, nth, come, &m);
	seen = u->run(&w.c, &r);
	world_hook(&w, 0, NULL, NULL);
	if (m.came && !may_be_told(e, m.result)) /* the use may do the same */
		fail_msg("%s within %s: %s", e->name, u->name, err_name(m.result.code));
	if (!may_be_told(e, seen))
		fail_msg("%s, %s before read %u: %s: %s", u->name, e->name, nth,
			 err_name(seen.code), w.err.msg);
	world_close(&w);
	return m.came;
}

static void meet_everywhere(const struct use *u, const struct event *e)
{
	unsigned nth = 1;

	while (meet(u, e, nth)) {
		assert_in_range(nth, 1, READS_MAX);
		nth += nth < EACH_MAX ? 1 : SOME; /* walks: they are all alike */
	}
	assert_in_range(nth, 2, READS_MAX);
}

#define LENGTH(list) (sizeof(list) / sizeof((list)[0]))

static void test_gone__between_reads(void **state)
{
	for (size_t i = 0; i < LENGTH(events); i++) {
		for (size_t n = 0; n < LENGTH(uses); n++)
			meet_everywhere(&uses[n], &events[i]);
		for (size_t n = 0; n < LENGTH(upload_uses); n++)
			meet_everywhere(&upload_uses[n], &events[i]);
	}
}

static void test_gone__uploads(void **state)
{
	for (size_t i = 0; i < LENGTH(upload_events); i++)
		for (size_t n = 0; n < LENGTH(upload_uses); n++)
			meet_everywhere(&upload_uses[n], &upload_events[i]);
}

static struct refs_dump dumped;

static rc restore(struct vcall *c, const struct repo *r)
{
	return refs_restore(c, r, &dumped, false, NULL);
}

/* And goes to work at once. */
static rc restore_and_put(struct vcall *c, const struct repo *r)
{
	struct entry e = some_entry(c->a, 9);
	bool sent;

	TRY(restore(c, r));
	return object_stage(c, r, STR("dev"), STR("late"), &e, STAGE_ALWAYS, STR_NONE, &sent);
}

static const struct event restored = {"it is restored", restore_and_put, {ERR_INVALID}};

/* False: nothing was restored before the nth read or write, for there were fewer. */
static bool restored_before(unsigned nth, bool write)
{
	const struct repo_create in = {
	    .id = STR("again"), .storage_namespace = STR("mem://rich"), .bare = true};
	struct meeting m = {.e = &restored};
	struct world w;
	struct repo r;
	struct entry e;
	rc seen;

	world_open(&w, PLAIN);
	r = rich_repo(&w);
	assert_ok(refs_dump(&w.c, &r, NULL, &dumped));
	m.other = world_other(&w);
	assert_ok(repo_create(&w.c, &in, &r));
	m.w = &w;
	m.r = &r;
	(write ? world_hook_writes : world_hook)(&w, nth, come, &m);
	seen = restore(&w.c, &r);
	world_hook(&w, 0, NULL, NULL);
	if (!rc_ok(seen) && !(m.came && rc_is(seen, INVALID)))
		fail_msg("restored before %s %u: %s: %s", write ? "write" : "read", nth,
			 err_name(seen.code), w.err.msg);
	if (m.came && rc_ok(m.result))
		assert_ok(object_stat(&w.c, &r, STR("dev"), STR("late"), &e));
	world_close(&w);
	return m.came;
}

static void test_gone__restored_by_others(void **state)
{
	for (int write = 0; write < 2; write++) {
		unsigned nth = 1;

		while (restored_before(nth, write))
			assert_in_range(nth++, 1, READS_MAX);
		assert_in_range(nth, 2, READS_MAX);
	}
}

/* In a repository that stays, a commit that is missing is damage, and is told as such. */
static void test_gone__damage_is_told(void **state)
{
	static rc (*const needs[])(struct vcall *c, const struct repo *r) = {
	    list_branch, put_if_absent, commit, merge, revert, pick, look_at_commit, compare};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		static const char *const heads[] = {"main", "dev", "old"};
		struct world w;
		struct repo r;
		rc told;

		world_open(&w, PLAIN);
		r = rich_repo(&w);
		for (size_t k = 0; k < 3; k++) {
			struct str key[2] = {STR("commits/")};
			struct branch b;

			assert_ok(branch_get(&w.c, &r, str_c(heads[k]), &b));
			key[1] = b.commit_id;
			assert_ok(kv_delete(w.kv, r.partition, arena_join(w.a, key, 2), &w.err));
		}
		world_restart(&w);
		told = needs[i](&w.c, &r);
		if (!rc_is(told, CORRUPT))
			fail_msg("%zu: %s: %s", i, err_name(told.code), w.err.msg);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gone__between_reads),
	    cmocka_unit_test(test_gone__uploads),
	    cmocka_unit_test(test_gone__restored_by_others),
	    cmocka_unit_test(test_gone__damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
