/* The log and merge bases: by the word of a real lakeFS, and against plain models. */
#include "tests/versions/lakefs_repo.h"

#include "versions/head.h"
#include "versions/history.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/ref.h"

static struct log_request all_from(struct str id)
{
	return (struct log_request){.from = id, .max = 1000, .since = INT64_MIN};
}

static struct str head_of(struct world *w, const struct repo *r, struct str ref)
{
	struct commit commit;

	assert_ok(ref_commit(&w->c, r, ref, &commit));
	return commit.id;
}

/* In pages of `max`. */
static void check_log(struct world *w, const struct repo *r, struct str branch, const struct json *want,
		      bool first_parent, size_t max)
{
	struct log_request q = all_from(head_of(w, r, branch));
	struct log_page page;
	size_t n = 0;

	q.max = max;
	q.first_parent = first_parent;
	do {
		assert_ok(history_log(&w->c, r, &q, &page));
		for (size_t i = 0; i < page.n; i++)
			assert_str(page.commits[i].id, json_str(json_at(want, n++)));
		assert_true(page.n == max || !page.more);
		q.after = page.next;
	} while (page.more);
	assert_int_equal(n, json_count(want));
}

static void test_history__log_as_lakefs(void **state)
{
	static const char *const which[] = {"log", "log_first_parent"};
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = lakefs_repo(&w);
	for (unsigned k = 0; k < 2; k++) {
		const struct json *logs = json_member(lakefs_expected(w.a), which[k]);

		assert_in_range(json_count(logs), 5, 100);
		for (size_t i = 0; i < json_count(logs); i++) {
			struct str branch;
			const struct json *want = json_member_at(logs, i, &branch);

			check_log(&w, &r, branch, want, k, 1000);
			check_log(&w, &r, branch, want, k, 2);
			check_log(&w, &r, branch, want, k, 1);
		}
	}
	world_close(&w);
}

static void test_history__merge_base_as_lakefs(void **state)
{
	const struct json *bases;
	struct world w;
	struct repo r;
	struct str base;

	bases = lakefs_world(&w, "merge_base", 4, &r);
	for (size_t i = 0; i < json_count(bases); i++) {
		struct str name;
		const struct json *m = json_member_at(bases, i, &name);
		struct str source = json_str(json_member(m, "source_commit_id"));
		struct str dest = json_str(json_member(m, "destination_commit_id"));

		assert_ok(merge_base(&w.c, &r, source, dest, &base));
		assert_str(base, json_str(json_member(m, "base_commit_id")));
		assert_ok(merge_base(&w.c, &r, dest, source, &base));
		assert_str(base, json_str(json_member(m, "base_commit_id")));
	}
	base = head_of(&w, &r, STR("main"));
	assert_ok(merge_base(&w.c, &r, base, base, &base));
	assert_str(base, head_of(&w, &r, STR("main")));
	world_close(&w);
}

static bool in_page(const struct log_page *page, struct str id)
{
	for (size_t i = 0; i < page->n; i++)
		if (str_eq(page->commits[i].id, id))
			return true;
	return false;
}

static bool matches(struct str key, struct str path, bool is_prefix)
{
	return is_prefix ? str_starts(key, path) : str_eq(key, path);
}

static bool same_entries(struct world *w, const struct repo *r, struct str x, struct str y, struct str path,
			 bool is_prefix)
{
	struct list_request q = {.prefix = path, .max = 10000};
	struct list_page p, o = {0};
	size_t i = 0, k = 0;

	assert_ok(objects_list(&w->c, r, x, &q, &p));
	if (y.n)
		assert_ok(objects_list(&w->c, r, y, &q, &o));
	for (;;) {
		uint8_t a[IDENTITY_BYTES], b[IDENTITY_BYTES];

		while (i < p.n && !matches(p.items[i].key, path, is_prefix))
			i++;
		while (k < o.n && !matches(o.items[k].key, path, is_prefix))
			k++;
		if (i == p.n || k == o.n)
			return i == p.n && k == o.n;
		entry_identity(&p.items[i].entry, a);
		entry_identity(&o.items[k].entry, b);
		if (!str_eq(p.items[i++].key, o.items[k++].key) || memcmp(a, b, sizeof(a)) != 0)
			return false;
	}
}

/* As the filter says it, without any of its short cuts. */
static bool changed(struct world *w, const struct repo *r, const struct commit *c, struct str path, bool is_prefix)
{
	if (!c->parents_n)
		return !same_entries(w, r, c->id, STR(""), path, is_prefix);
	for (size_t i = 0; i < c->parents_n; i++)
		if (same_entries(w, r, c->id, c->parents[i], path, is_prefix))
			return false;
	return true;
}

static void test_history__filter_against_listings(void **state)
{
	static const char *const paths[] = {"",	 "datasets/", "datasets/a/part-0000", "models/", "meta/", "zzz",
					    "datasets/a/part-00063.csv", "!bang", "models/m000/weights.bin"};
	struct log_page all, page;
	struct log_request q;
	struct world w;
	struct repo r;
	size_t hits = 0, misses = 0;

	world_open(&w, GUARDED);
	r = lakefs_repo(&w);
	q = all_from(head_of(&w, &r, STR("main")));
	assert_ok(history_log(&w.c, &r, &q, &all));
	for (size_t i = 0; i < 2 * sizeof(paths) / sizeof(paths[0]); i++) {
		struct str path = str_c(paths[i / 2]);
		bool is_prefix = i & 1;

		if (!is_prefix && !path.n)
			continue;
		q.objects = q.prefixes = &path;
		q.objects_n = !is_prefix;
		q.prefixes_n = is_prefix;
		assert_ok(history_log(&w.c, &r, &q, &page));
		for (size_t k = 0; k < all.n; k++) {
			bool want = changed(&w, &r, &all.commits[k], path, is_prefix);

			assert_int_equal(in_page(&page, all.commits[k].id), want);
			hits += want;
			misses += !want;
		}
	}
	assert_in_range(hits, 10, 1000);
	assert_in_range(misses, 10, 1000);
	world_close(&w);
}

enum { COMMITS = 120 };

/* Commit i changes f/<i mod 7>. */
static struct repo many(struct world *w)
{
	struct repo r = world_repo(w);

	for (unsigned i = 0; i < COMMITS; i++) {
		struct commit_request q = {.branch = STR("main"), .committer = STR("c"),
					   .message = arena_printf(w->a, "%u", i), .has_date = true,
					   .date = 1900000000 + i};
		struct entry e = some_entry(w->a, i + 1);
		struct commit made;
		bool sent;

		assert_ok(object_stage(&w->c, &r, STR("main"), arena_printf(w->a, "f/%u", i % 7), &e,
				       STAGE_ALWAYS, STR_NONE, &sent));
		assert_ok(branch_commit(&w->c, &r, &q, &made));
	}
	return r;
}

static void test_history__filtered_pages(void **state)
{
	const struct str objects[] = {STR("f/5"), STR("f/2"), STR("nosuch")};
	struct log_page page;
	struct log_request q;
	unsigned at = COMMITS, rounds = 0;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = many(&w);
	q = all_from(head_of(&w, &r, STR("main")));
	q.objects = objects;
	q.objects_n = 3;
	q.max = 5;
	q.scan_max = 11; /* too few for a page of five */
	do {
		assert_ok(history_log(&w.c, &r, &q, &page));
		for (size_t i = 0; i < page.n; i++) {
			while (at && (at - 1) % 7 != 5 && (at - 1) % 7 != 2)
				at--;
			at--;
			assert_str(page.commits[i].message, arena_printf(w.a, "%u", at));
		}
		assert_in_range(page.n, 0, 4);
		q.after = page.next;
		rounds++;
	} while (page.more);
	assert_int_equal(at, 2);
	assert_in_range(rounds, COMMITS / 11, COMMITS / 11 + 2);
	world_close(&w);
}

static void test_history__bounds(void **state)
{
	struct log_page page;
	struct log_request q;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = many(&w);
	q = all_from(head_of(&w, &r, STR("main")));
	q.since = 1900000000 + COMMITS - 10;
	assert_ok(history_log(&w.c, &r, &q, &page));
	assert_int_equal(page.n, 10);
	q.since = INT64_MIN;
	q.stop_at = head_of(&w, &r, STR("main~4"));
	assert_ok(history_log(&w.c, &r, &q, &page));
	assert_int_equal(page.n, 5);
	assert_false(page.more);
	assert_str(page.commits[4].id, q.stop_at);
	q.max = 2;
	q.after = head_of(&w, &r, STR("main~2"));
	assert_ok(history_log(&w.c, &r, &q, &page));
	assert_int_equal(page.n, 2);
	assert_false(page.more);
	q = all_from(head_of(&w, &r, STR("main")));
	q.after = STR("nosuch");
	assert_rc(history_log(&w.c, &r, &q, &page), NOT_FOUND);
	q = all_from(STR("nosuch"));
	assert_rc(history_log(&w.c, &r, &q, &page), NOT_FOUND);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history__log_as_lakefs),
		cmocka_unit_test(test_history__merge_base_as_lakefs),
		cmocka_unit_test(test_history__filter_against_listings),
		cmocka_unit_test(test_history__filtered_pages),
		cmocka_unit_test(test_history__bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
