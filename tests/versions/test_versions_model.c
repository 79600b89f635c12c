/* Random histories of a repository, beside arrays that do the same plainly: writes, deletes, commits, branches,
 * merges with every strategy, reverts, cherry-picks and resets. After each step listings, differences and what
 * was refused must be the same. */
#include "tests/versions/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "versions/compare.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/listing.h"
#include "versions/object.h"
#include "versions/ref.h"

enum { KEYS = 48, CONTENTS = 5, COMMITS = 400, BRANCHES = 4, STEPS = 60 };

struct commit_model {
	char id[65];
	int at[KEYS];
	int parents[2], parents_n;
};

struct branch_model {
	char name[16];
	int head;
	int staged[KEYS]; /* -1: nothing staged; 0: a tombstone; else a content */
};

struct history {
	struct world w;
	struct repo r;
	struct commit_model commits[COMMITS];
	int commits_n;
	struct branch_model branches[BRANCHES];
	int branches_n;
	unsigned rnd, seed, step;
	int64_t clock;
};

static unsigned rnd(struct history *h, unsigned n)
{
	h->rnd = h->rnd * 1664525u + 1013904223u;
	return (h->rnd >> 8) % n;
}

static struct str key_of(struct history *h, int k)
{
	return arena_printf(h->w.a, "%s%03d", k % 4 == 0 ? "a/" : k % 4 == 1 ? "a/b/" : "z-", k);
}

static int key_order(const void *x, const void *y)
{
	const struct str *a = x, *b = y;

	return str_cmp(*a, *b);
}

static struct entry entry_of(struct history *h, int content)
{
	return (struct entry){
		.address = arena_printf(h->w.a, "data/x/content%d", content),
		.address_type = ADDRESS_RELATIVE,
		.modified = {.s = 1700000000 + content},
		.size = content * 10,
		.etag = arena_printf(h->w.a, "etag%d", content),
		.content_type = STR("text/plain"),
	};
}

static int seen(const struct history *h, const struct branch_model *b, int k)
{
	return b->staged[k] >= 0 ? b->staged[k] : h->commits[b->head].at[k];
}

static bool is_dirty(const struct history *h, const struct branch_model *b)
{
	for (int k = 0; k < KEYS; k++)
		if (b->staged[k] >= 0 && b->staged[k] != h->commits[b->head].at[k])
			return true;
	return false;
}

static void forget_staged(struct branch_model *b)
{
	memset(b->staged, 0xff, sizeof(b->staged));
}

static int find_commit(const struct history *h, struct str id)
{
	for (int i = 0; i < h->commits_n; i++)
		if (str_eq(str_c(h->commits[i].id), id))
			return i;
	fail_msg("no commit " STR_FMT, STR_ARG(id));
	return -1;
}

static int add_commit(struct history *h, struct str id, const int at[KEYS], int first, int second)
{
	struct commit_model *c = &h->commits[h->commits_n];

	assert_true(h->commits_n < COMMITS);
	snprintf(c->id, sizeof(c->id), STR_FMT, STR_ARG(id));
	memcpy(c->at, at, sizeof(c->at));
	c->parents_n = (first >= 0) + (second >= 0);
	c->parents[0] = first;
	c->parents[1] = second;
	return h->commits_n++;
}

static struct branch_model *some_branch(struct history *h)
{
	return &h->branches[rnd(h, (unsigned)h->branches_n)];
}

#define EXPECT(h, call, want)                                                                      \
	do {                                                                                       \
		rc got_ = (call);                                                                  \
		if ((unsigned)got_.code != (unsigned)(want))                                       \
			fail_msg("seed %u step %u: %s: %s (%s), not %s", (h)->seed, (h)->step, #call,     \
				 err_name(got_.code), (h)->w.err.msg, err_name(want));             \
	} while (0)

/* Steps. */

static void write_some(struct history *h)
{
	struct branch_model *b = some_branch(h);
	int n = rnd(h, 5) ? 1 : (int)rnd(h, 20);

	while (n-- > 0) {
		int k = (int)rnd(h, KEYS), content = (int)rnd(h, CONTENTS);
		bool sent;

		if (content) {
			struct entry e = entry_of(h, content);

			EXPECT(h, object_stage(&h->w.c, &h->r, str_c(b->name), key_of(h, k), &e, STAGE_ALWAYS,
					       STR_NONE, &sent), 0);
			b->staged[k] = content;
		} else {
			EXPECT(h, object_delete(&h->w.c, &h->r, str_c(b->name), key_of(h, k)), 0);
			b->staged[k] = 0;
		}
	}
}

static void commit_some(struct history *h)
{
	struct branch_model *b = some_branch(h);
	struct commit_request q = {.branch = str_c(b->name), .committer = STR("c"), .message = STR("m"),
				   .has_date = true, .date = ++h->clock, .allow_empty = rnd(h, 6) == 0};
	int at[KEYS];
	struct commit made;

	if (!is_dirty(h, b) && !q.allow_empty) {
		EXPECT(h, branch_commit(&h->w.c, &h->r, &q, &made), ERR_NoChanges);
		return;
	}
	EXPECT(h, branch_commit(&h->w.c, &h->r, &q, &made), 0);
	for (int k = 0; k < KEYS; k++)
		at[k] = seen(h, b, k);
	b->head = add_commit(h, made.id, at, b->head, -1);
	forget_staged(b);
}

static void branch_some(struct history *h)
{
	struct branch_model *b, *from = some_branch(h);

	if (h->branches_n == BRANCHES)
		return;
	b = &h->branches[h->branches_n];
	snprintf(b->name, sizeof(b->name), "b%d", h->branches_n);
	EXPECT(h, branch_create(&h->w.c, &h->r, str_c(b->name), str_c(from->name)), 0);
	b->head = from->head;
	forget_staged(b);
	h->branches_n++;
}

/* -1: a conflict that nothing decides. */
static int three_way(int dest, int source, int base, enum merge_strategy strategy)
{
	if (dest == source || source == base)
		return dest;
	if (dest == base)
		return source;
	return strategy == MERGE_NONE ? -1 : strategy == MERGE_DEST_WINS ? dest : source;
}

static bool merge_models(const int dest[KEYS], const int source[KEYS], const int base[KEYS],
			 enum merge_strategy strategy, int ret[KEYS])
{
	for (int k = 0; k < KEYS; k++) {
		ret[k] = three_way(dest[k], source[k], base[k], strategy);
		if (ret[k] < 0)
			return false;
	}
	return true;
}

static void merge_some(struct history *h)
{
	struct branch_model *d = some_branch(h), *s = some_branch(h);
	struct merge_request q = {.source = str_c(s->name), .destination = str_c(d->name), .committer = STR("c"),
				  .strategy = (enum merge_strategy)rnd(h, 3), .squash = rnd(h, 5) == 0};
	int at[KEYS], *base;
	struct commit made;
	struct str base_id;

	if (d == s) {
		EXPECT(h, branch_merge(&h->w.c, &h->r, &q, &made), ERR_INVALID);
		return;
	}
	if (is_dirty(h, d)) {
		EXPECT(h, branch_merge(&h->w.c, &h->r, &q, &made), ERR_DirtyBranch);
		return;
	}
	EXPECT(h, merge_base(&h->w.c, &h->r, str_c(h->commits[d->head].id), str_c(h->commits[s->head].id), &base_id), 0);
	base = h->commits[find_commit(h, base_id)].at;
	if (!memcmp(h->commits[s->head].at, base, sizeof(at))) {
		EXPECT(h, branch_merge(&h->w.c, &h->r, &q, &made), ERR_NoChanges);
		return;
	}
	if (!merge_models(h->commits[d->head].at, h->commits[s->head].at, base, q.strategy, at)) {
		EXPECT(h, branch_merge(&h->w.c, &h->r, &q, &made), ERR_MergeConflict);
		return;
	}
	EXPECT(h, branch_merge(&h->w.c, &h->r, &q, &made), 0);
	d->head = add_commit(h, made.id, at, d->head, q.squash ? -1 : s->head);
	forget_staged(d);
}

static void pick_some(struct history *h, bool revert)
{
	struct branch_model *b = some_branch(h);
	int which = (int)rnd(h, (unsigned)h->commits_n), parent = 0, at[KEYS], none[KEYS] = {0};
	const struct commit_model *c = &h->commits[which];
	struct pick_request q = {.branch = str_c(b->name), .ref = str_c(c->id), .committer = STR("c")};
	const int *before;
	struct commit made;
	rc (*op)(struct vcall *, const struct repo *, const struct pick_request *, struct commit *) =
		revert ? branch_revert : branch_cherry_pick;

	if (is_dirty(h, b)) {
		EXPECT(h, op(&h->w.c, &h->r, &q, &made), ERR_DirtyBranch);
		return;
	}
	if (c->parents_n == 2) {
		EXPECT(h, op(&h->w.c, &h->r, &q, &made), ERR_MergeWithoutParent);
		parent = (int)rnd(h, 2);
		q.parent = (unsigned)parent + 1;
	}
	before = c->parents_n ? h->commits[c->parents[parent]].at : none;
	if (!merge_models(h->commits[b->head].at, revert ? before : c->at, revert ? c->at : before, MERGE_NONE,
			  at)) {
		EXPECT(h, op(&h->w.c, &h->r, &q, &made), ERR_MergeConflict);
		return;
	}
	if (revert && !memcmp(at, h->commits[b->head].at, sizeof(at))) {
		EXPECT(h, op(&h->w.c, &h->r, &q, &made), ERR_NoChanges);
		return;
	}
	EXPECT(h, op(&h->w.c, &h->r, &q, &made), 0);
	b->head = add_commit(h, made.id, at, b->head, -1);
	forget_staged(b);
}

static void reset_some(struct history *h)
{
	struct branch_model *b = some_branch(h);
	struct str prefix = STR("a/b/");
	int k = (int)rnd(h, KEYS), to;

	switch (rnd(h, 4)) {
	case 0:
		EXPECT(h, branch_reset(&h->w.c, &h->r, str_c(b->name), false), 0);
		forget_staged(b);
		break;
	case 1:
		EXPECT(h, branch_reset_prefix(&h->w.c, &h->r, str_c(b->name), prefix, false), 0);
		for (k = 0; k < KEYS; k++)
			if (str_starts(key_of(h, k), prefix))
				b->staged[k] = -1;
		break;
	case 2:
		EXPECT(h, branch_reset_object(&h->w.c, &h->r, str_c(b->name), key_of(h, k), false), 0);
		b->staged[k] = -1;
		break;
	default: /* what is staged stays */
		to = (int)rnd(h, (unsigned)h->commits_n);
		if (is_dirty(h, b))
			break; /* identical entries that are staged would begin to differ: its own test */
		EXPECT(h, branch_reset(&h->w.c, &h->r, str_c(b->name), false), 0);
		forget_staged(b);
		EXPECT(h, branch_hard_reset(&h->w.c, &h->r, str_c(b->name), str_c(h->commits[to].id), false), 0);
		b->head = to;
	}
}

/* Checks. */

struct want {
	struct str key;
	int k;
};

static const struct want *in_order(struct history *h)
{
	struct want *w = arena_alloc(h->w.a, KEYS * sizeof(*w));

	for (int k = 0; k < KEYS; k++)
		w[k] = (struct want){key_of(h, k), k};
	qsort(w, KEYS, sizeof(*w), key_order);
	return w;
}

static void check_listing(struct history *h, struct str ref, const int at[KEYS])
{
	const struct want *want = in_order(h);
	struct list_request q = {.max = 1 + rnd(h, 30)};
	struct list_page page = {.truncated = true};
	size_t i = 0;

	for (int n = 0; n < KEYS; n++) {
		if (!at[want[n].k])
			continue;
		if (i == page.n) {
			assert_true(page.truncated);
			EXPECT(h, objects_list(&h->w.c, &h->r, ref, &q, &page), 0);
			q.after = page.next;
			i = 0;
			assert_true(page.n > 0);
		}
		assert_str(page.items[i].key, want[n].key);
		assert_int_equal(page.items[i].entry.size, at[want[n].k] * 10);
		i++;
	}
	if (page.truncated && i == page.n) {
		EXPECT(h, objects_list(&h->w.c, &h->r, ref, &q, &page), 0);
		i = 0;
	}
	assert_int_equal(i, page.n);
	assert_false(page.truncated);
}

static void check_uncommitted(struct history *h, const struct branch_model *b)
{
	const struct want *want = in_order(h);
	struct compare_request q = {.max = KEYS};
	struct compare_page page;
	size_t i = 0;

	EXPECT(h, compare_uncommitted(&h->w.c, &h->r, str_c(b->name), &q, &page), 0);
	for (int n = 0; n < KEYS; n++) {
		int k = want[n].k, was = h->commits[b->head].at[k], is = seen(h, b, k);

		if (was == is)
			continue;
		assert_true(i < page.n);
		assert_str(page.items[i].path, want[n].key);
		assert_int_equal(page.items[i].type, !was ? DIFF_ADDED : !is ? DIFF_REMOVED : DIFF_CHANGED);
		i++;
	}
	assert_int_equal(i, page.n);
}

static void check_compare(struct history *h)
{
	const struct branch_model *l = some_branch(h), *r = some_branch(h);
	const struct want *want = in_order(h);
	struct compare_request q = {.max = KEYS};
	bool three = rnd(h, 2), staged = rnd(h, 2);
	struct str base_id, right = arena_printf(h->w.a, "%s%s", r->name, staged ? "$" : "");
	const int *x = h->commits[l->head].at, *z = NULL;
	struct compare_page page;
	size_t i = 0;

	EXPECT(h, merge_base(&h->w.c, &h->r, str_c(h->commits[l->head].id), str_c(h->commits[r->head].id), &base_id), 0);
	if (three)
		z = h->commits[find_commit(h, base_id)].at;
	EXPECT(h, compare_refs(&h->w.c, &h->r, str_c(l->name), right, three, &q, &page), 0);
	for (int n = 0; n < KEYS; n++) {
		int k = want[n].k, y = staged ? seen(h, r, k) : h->commits[r->head].at[k];

		if (x[k] == y || (z && z[k] == y))
			continue;
		if (i >= page.n || !str_eq(page.items[i].path, want[n].key))
			fail_msg("seed %u step %u: compare %s..%.*s lacks %.*s", h->seed, h->step, l->name,
				 STR_ARG(right), STR_ARG(want[n].key));
		assert_int_equal(page.items[i].type, z && z[k] != x[k] ? DIFF_CONFLICT
						     : !x[k]	       ? DIFF_ADDED
						     : !y	       ? DIFF_REMOVED
								       : DIFF_CHANGED);
		i++;
	}
	assert_int_equal(i, page.n);
}

static void check(struct history *h)
{
	struct branch_model *b = some_branch(h);
	int at[KEYS], c = (int)rnd(h, (unsigned)h->commits_n);

	for (int k = 0; k < KEYS; k++)
		at[k] = seen(h, b, k);
	check_listing(h, str_c(b->name), at);
	check_listing(h, str_c(h->commits[c].id), h->commits[c].at);
	check_uncommitted(h, b);
	check_compare(h);
}

static void begin(struct history *h, unsigned seed)
{
	struct branch main_branch;

	*h = (struct history){.rnd = seed * 2654435761u, .seed = seed, .clock = 1700000000};
	world_open(&h->w, seed % 2 ? GUARDED : PLAIN);
	h->r = world_repo(&h->w);
	EXPECT(h, branch_get(&h->w.c, &h->r, STR("main"), &main_branch), 0);
	add_commit(h, main_branch.commit_id, (int[KEYS]){0}, -1, -1);
	snprintf(h->branches[0].name, sizeof(h->branches[0].name), "main");
	forget_staged(&h->branches[0]);
	h->branches_n = 1;
}

static void run(struct history *h)
{
	for (h->step = 0; h->step < STEPS; h->step++) {
		/* the repository's text must outlive the arena that is forgotten */
		struct arena *keep = h->w.a;

		switch (rnd(h, 12)) {
		case 0: case 1: case 2: case 3: write_some(h); break;
		case 4: case 5: commit_some(h); break;
		case 6: branch_some(h); break;
		case 7: case 8: merge_some(h); break;
		case 9: pick_some(h, true); break;
		case 10: pick_some(h, false); break;
		default: reset_some(h);
		}
		check(h);
		if (rnd(h, 40) == 0)
			world_restart(&h->w);
		assert_ptr_equal(keep, h->w.a);
	}
}

static void test_model__histories(void **state)
{
	const char *want = getenv("SLUICE_MODEL_SEEDS");
	unsigned seeds = want ? (unsigned)atoi(want) : 60;
	struct history *h = malloc(sizeof(*h));

	for (unsigned seed = 1; seed <= seeds; seed++) {
		begin(h, seed);
		run(h);
		world_close(&h->w);
	}
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model__histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
