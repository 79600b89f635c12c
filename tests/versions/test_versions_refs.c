/* Ref expressions, tags, and reading what any ref holds: by the word of a real lakeFS, and while commits go on. */
#include "tests/versions/lakefs_repo.h"

#include "versions/head.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/ref.h"
#include "versions/tag.h"

static void test_refs__parse(void **state)
{
	static const char *const bad[] = {"",	   "~1",    "^",     "main~x", "main@1", "main$~1", "main~1@",
					  "main@$", "a b",   "a\tb", "main~2147483648", "weird~tag"};
	struct arena *a = arena_new();
	struct ref_expression x;
	struct err err = {0};

	assert_ok(ref_parse(STR("main~2^^0~"), a, &x, &err));
	assert_str(x.base, STR("main"));
	assert_int_equal(x.steps_n, 4);
	assert_int_equal(x.steps[0].kind, REF_ANCESTOR);
	assert_int_equal(x.steps[0].n, 2);
	assert_int_equal(x.steps[1].kind, REF_PARENT);
	assert_int_equal(x.steps[1].n, 1);
	assert_int_equal(x.steps[2].n, 0);
	assert_int_equal(x.steps[3].n, 1);
	assert_ok(ref_parse(STR("x$"), a, &x, &err));
	assert_int_equal(x.steps[0].kind, REF_STAGED);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_rc(ref_parse(str_c(bad[i]), a, &x, &err), INVALID);
	arena_free(a);
}

static void test_refs__as_lakefs(void **state)
{
	const struct json *refs;
	struct world w;
	struct repo r;

	refs = lakefs_world(&w, "refs", 15, &r);
	for (size_t i = 0; i < json_count(refs); i++) {
		struct str name;
		const struct json *want = json_member_at(refs, i, &name);
		struct commit commit;
		struct ref ref;

		if (json_str(want).p) {
			assert_ok(ref_commit(&w.c, &r, name, &commit));
			assert_str(commit.id, json_str(want));
		} else if (str_ends(name, STR("$"))) { /* no commit, but what is read */
			assert_ok(ref_resolve(&w.c, &r, name, &ref));
			assert_true(ref.is_branch);
		} else if (json_int(json_member(want, "status")) == 404) {
			assert_rc(ref_commit(&w.c, &r, name, &commit), NOT_FOUND);
		} else {
			assert_rc(ref_commit(&w.c, &r, name, &commit), INVALID);
		}
	}
	world_close(&w);
}

/* What it listed of each commit is what is listed, and found, here. */
static void test_refs__objects_as_lakefs(void **state)
{
	const struct json *objects;
	struct world w;
	struct repo r;

	objects = lakefs_world(&w, "objects", 10, &r);
	for (size_t i = 0; i < json_count(objects); i++) {
		struct str id;
		const struct json *want = json_member_at(objects, i, &id);
		struct list_request q = {.max = 10000};
		struct list_page page;

		assert_ok(objects_list(&w.c, &r, id, &q, &page));
		assert_int_equal(page.n, json_count(want));
		for (size_t k = 0; k < page.n; k++) {
			const struct json *o = json_at(want, k);
			struct entry e;

			assert_str(page.items[k].key, json_str(json_member(o, "path")));
			if (k % 16)
				continue;
			assert_ok(object_stat(&w.c, &r, str_head(id, 20), page.items[k].key, &e));
			assert_int_equal(e.size, json_int(json_member(o, "size_bytes")));
			assert_str(e.etag, json_str(json_member(o, "checksum")));
		}
		assert_rc(object_stat(&w.c, &r, id, STR("no/such/path"), &(struct entry){0}), NOT_FOUND);
	}
	world_close(&w);
}

static struct repo with_commits(struct world *w, unsigned n)
{
	struct repo r = world_repo(w);

	for (unsigned i = 0; i < n; i++) {
		struct commit_request q = {.branch = STR("main"), .committer = STR("c"),
					   .message = arena_printf(w->a, "%u", i), .has_date = true,
					   .date = 1700000000 + i};
		struct entry e = some_entry(w->a, i + 1);
		struct commit made;
		bool sent;

		assert_ok(object_stage(&w->c, &r, STR("main"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent));
		assert_ok(branch_commit(&w->c, &r, &q, &made));
	}
	return r;
}

static int64_t size_at(struct world *w, const struct repo *r, const char *ref)
{
	struct entry e;

	assert_ok(object_stat(&w->c, r, str_c(ref), STR("a"), &e));
	return e.size;
}

static void test_refs__staged_or_not(void **state)
{
	struct world w;
	struct repo r;
	struct entry e;
	struct list_request q = {.max = 10};
	struct list_page page;
	struct tag tag;
	bool sent;

	world_open(&w, GUARDED);
	r = with_commits(&w, 3);
	e = some_entry(w.a, 9);
	assert_ok(object_stage(&w.c, &r, STR("main"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent));
	assert_ok(object_stage(&w.c, &r, STR("main"), STR("b"), &e, STAGE_ALWAYS, STR_NONE, &sent));
	assert_ok(tag_create(&w.c, &r, STR("v.1"), STR("main~1"), false, &tag));
	assert_int_equal(size_at(&w, &r, "main"), 9);
	assert_int_equal(size_at(&w, &r, "main$"), 9);
	assert_int_equal(size_at(&w, &r, "main@"), 3);
	assert_int_equal(size_at(&w, &r, "main~0"), 3);
	assert_int_equal(size_at(&w, &r, "v.1"), 2);
	assert_int_equal(size_at(&w, &r, "v.1~1"), 1);
	assert_rc(object_stat(&w.c, &r, STR("main@"), STR("b"), &e), NOT_FOUND);
	assert_ok(objects_list(&w.c, &r, STR("main@"), &q, &page));
	assert_int_equal(page.n, 1);
	assert_ok(objects_list(&w.c, &r, STR("main$"), &q, &page));
	assert_int_equal(page.n, 2);
	assert_rc(objects_list(&w.c, &r, STR("nosuch"), &q, &page), NOT_FOUND);
	assert_rc(objects_list(&w.c, &r, STR("v.1@"), &q, &page), INVALID);
	/* what isn't a branch isn't written */
	assert_rc(object_stage(&w.c, &r, STR("v.1"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent), NOT_FOUND);
	assert_rc(object_delete(&w.c, &r, STR("main~1"), STR("a")), NOT_FOUND);
	world_close(&w);
}

static void test_refs__beginnings(void **state)
{
	struct world w;
	struct repo r;
	struct commit commit, again;
	struct ref ref;
	unsigned first[256] = {0};
	bool clash = false;

	world_open(&w, GUARDED);
	r = with_commits(&w, 20); /* and the first one: more than there are hex digits */
	for (unsigned i = 0; i < 21; i++) {
		assert_ok(ref_commit(&w.c, &r, arena_printf(w.a, "main~%u", i), &commit));
		first[(unsigned char)commit.id.p[0]]++;
		assert_ok(ref_commit(&w.c, &r, str_head(commit.id, 12), &again));
		assert_str(again.id, commit.id);
	}
	assert_rc(ref_commit(&w.c, &r, STR("main~21"), &commit), NOT_FOUND);
	assert_rc(ref_commit(&w.c, &r, STR("main^2"), &commit), INVALID);
	for (unsigned c = 0; c < 256; c++)
		if (first[c]) {
			char digit = (char)c;
			rc got = ref_resolve(&w.c, &r, str_make(&digit, 1), &ref);

			assert_true(first[c] == 1 ? rc_ok(got) : rc_is(got, NOT_FOUND));
			clash |= first[c] > 1;
		}
	assert_true(clash);
	world_close(&w);
}

static void test_refs__damaged_commit(void **state)
{
	struct world w;
	struct repo r;
	struct branch b;
	struct commit commit;
	struct str key, id;

	world_open(&w, GUARDED);
	r = with_commits(&w, 1);
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	id = b.commit_id;
	assert_ok(commit_get(&w.c, &r, id, &commit));
	commit.message = STR("another");
	key = arena_printf(w.a, "commits/" STR_FMT, STR_ARG(id));
	assert_ok(kv_set(w.kv, r.partition, key, commit_encode(&commit, w.a), NULL));
	world_restart(&w);
	assert_rc(ref_commit(&w.c, &r, id, &commit), CORRUPT);
	assert_rc(ref_commit(&w.c, &r, str_head(id, 10), &commit), CORRUPT);
	assert_ok(ref_commit(&w.c, &r, STR("main"), &commit));
	assert_ok(kv_delete(w.kv, r.partition, key, NULL));
	world_restart(&w);
	assert_rc(ref_commit(&w.c, &r, STR("main"), &commit), CORRUPT);
	assert_rc(ref_commit(&w.c, &r, id, &commit), NOT_FOUND);
	world_close(&w);
}

/* On a loop: one look into the KV for a branch; a beginning must be scanned for. */
static void test_refs__on_a_loop(void **state)
{
	struct world w;
	struct repo r;
	struct ref ref;
	uint64_t gets;

	world_open(&w, GUARDED);
	r = with_commits(&w, 2);
	w.c.wait = KV_NOWAIT;
	gets = kv_fault_calls(w.kv, KV_CALL_ANY);
	assert_ok(ref_resolve(&w.c, &r, STR("main"), &ref));
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_ANY) - gets, 1);
	assert_ok(ref_resolve(&w.c, &r, STR("main~1"), &ref));
	assert_rc(ref_resolve(&w.c, &r, str_head(ref.commit_id, 9), &ref), WOULD_BLOCK);
	assert_rc(ref_resolve(&w.c, &r, STR("nosuch"), &ref), NOT_FOUND);
	world_close(&w);
}

static void test_refs__tags(void **state)
{
	static const char *const bad[] = {"", "@", "a/b", "a..b", "a.", "a.lock", "a@{b", "a^b", "a:b",
					  "a?b", "a*b", "a[b", "a\\b", "a b", "\x01"};
	struct world w;
	struct repo r;
	struct branch b;
	struct tag t, *list;
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = with_commits(&w, 1);
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_rc(tag_create(&w.c, &r, str_c(bad[i]), STR("main"), false, &t), INVALID);
	assert_ok(tag_create(&w.c, &r, STR("-v@1"), STR("main"), false, &t));
	assert_ok(tag_create(&w.c, &r, STR("v1"), STR("main~1"), false, &t));
	assert_ok(tag_create(&w.c, &r, STR("v2"), STR("v1"), false, &t));
	assert_rc(tag_create(&w.c, &r, STR("v1"), STR("main"), false, &t), EXISTS);
	assert_rc(tag_create(&w.c, &r, STR("main"), STR("main"), false, &t), EXISTS);
	assert_rc(tag_create(&w.c, &r, b.commit_id, STR("main"), false, &t), EXISTS);
	assert_rc(tag_create(&w.c, &r, STR("v3"), STR("nosuch"), false, &t), NOT_FOUND);
	assert_rc(tag_create(&w.c, &r, STR("v3"), STR("main~x"), false, &t), INVALID);
	assert_rc(branch_create(&w.c, &r, STR("v1"), STR("main")), EXISTS);
	assert_rc(branch_create(&w.c, &r, b.commit_id, STR("main")), EXISTS);
	assert_ok(branch_create(&w.c, &r, STR("old"), STR("v2")));
	assert_ok(branch_get(&w.c, &r, STR("old"), &b));
	assert_ok(tag_get(&w.c, &r, STR("v1"), &t));
	assert_str(b.commit_id, t.commit_id);
	assert_ok(tag_list(&w.c, &r, STR("v"), STR_NONE, 1, &list, &n, &more));
	assert_int_equal(n, 1);
	assert_true(more);
	assert_str(list[0].id, STR("v1"));
	assert_ok(tag_list(&w.c, &r, STR(""), STR("-v@1"), 10, &list, &n, &more));
	assert_int_equal(n, 2);
	assert_false(more);
	assert_ok(tag_delete(&w.c, &r, STR("v1"), false));
	assert_rc(tag_delete(&w.c, &r, STR("v1"), false), NOT_FOUND);
	r.read_only = true;
	assert_rc(tag_delete(&w.c, &r, STR("v2"), false), ReadOnlyRepository);
	assert_rc(tag_create(&w.c, &r, STR("v4"), STR("main"), false, &t), ReadOnlyRepository);
	assert_ok(tag_create(&w.c, &r, STR("v4"), STR("main"), true, &t));
	world_close(&w);
}

static void test_refs__hidden_branches(void **state)
{
	struct world w;
	struct repo r;
	struct branch *list;
	size_t n;
	bool more;

	world_open(&w, GUARDED);
	r = with_commits(&w, 2);
	assert_ok(branch_create_with(&w.c, &r,
				     &(struct branch_request){
					     .name = STR("h"), .source = STR("main~1"), .hidden = true}));
	assert_ok(branch_list(&w.c, &r, STR(""), STR_NONE, 10, false, &list, &n, &more));
	assert_int_equal(n, 1);
	assert_ok(branch_list(&w.c, &r, STR(""), STR_NONE, 10, true, &list, &n, &more));
	assert_int_equal(n, 2);
	assert_int_equal(size_at(&w, &r, "h"), 1);
	world_close(&w);
}

/* A commit comes between two looks of a reader, and the clean-up right behind it. */

struct mover {
	struct world *w;
	struct repo r;
};

static void commit_and_clean(void *ud)
{
	struct mover *m = ud;
	struct vcall c = m->w->c;
	struct commit_request q = {.branch = STR("main"), .committer = STR("c"), .message = STR("m")};
	struct branch before;
	struct commit made;

	c.a = arena_new();
	assert_ok(branch_get(&c, &m->r, STR("main"), &before));
	assert_ok(branch_commit(&c, &m->r, &q, &made));
	assert_ok(kv_delete(m->w->kv, before.staging_token, STR("a"), NULL));
	arena_free(c.a);
}

static void test_refs__commits_go_on(void **state)
{
	for (unsigned removed = 0; removed < 2; removed++)
		for (unsigned nth = 1; nth <= 12; nth++) {
			struct world w;
			struct mover m = {.w = &w};
			struct list_request q = {.max = 10};
			struct list_page page;
			struct entry e;
			bool sent;

			world_open(&w, PLAIN);
			m.r = with_commits(&w, 1);
			e = some_entry(w.a, 77);
			if (removed)
				assert_ok(object_delete(&w.c, &m.r, STR("main"), STR("a")));
			else
				assert_ok(object_stage(&w.c, &m.r, STR("main"), STR("a"), &e, STAGE_ALWAYS,
						       STR_NONE, &sent));
			world_hook(&w, nth, commit_and_clean, &m);
			if (nth <= 6) {
				rc got = object_stat(&w.c, &m.r, STR("main"), STR("a"), &e);

				assert_true(removed ? rc_is(got, NOT_FOUND) : rc_ok(got) && e.size == 77);
			} else {
				world_hook(&w, nth - 6, commit_and_clean, &m);
				assert_ok(objects_list(&w.c, &m.r, STR("main"), &q, &page));
				assert_int_equal(page.n, removed ? 0 : 1);
				assert_true(removed || page.items[0].entry.size == 77);
			}
			world_hook(&w, 0, NULL, NULL);
			world_close(&w);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refs__parse),
		cmocka_unit_test(test_refs__as_lakefs),
		cmocka_unit_test(test_refs__objects_as_lakefs),
		cmocka_unit_test(test_refs__staged_or_not),
		cmocka_unit_test(test_refs__beginnings),
		cmocka_unit_test(test_refs__damaged_commit),
		cmocka_unit_test(test_refs__on_a_loop),
		cmocka_unit_test(test_refs__tags),
		cmocka_unit_test(test_refs__hidden_branches),
		cmocka_unit_test(test_refs__commits_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
