/* Staging and listing against a model in memory, under random operations and seals. */
#include "tests/versions/world.h"

#include <stdlib.h>

#include "versions/listing.h"
#include "base/rand.h"
#include "versions/object.h"

enum { KEYS = 60 };

/* Keys that lie badly: prefixes of each other, delimiters everywhere, the ends of Unicode. */
static const char *const parts[] = {"a", "b", "/", "//", "a/", "ä", "\xf4\x8f\xbf\xbf", "0", "~", ".",
				    "\xff", "\x01"};

struct model {
	struct str key[KEYS]; /* ascending, distinct */
	unsigned value[KEYS]; /* seed of the entry, 0: none */
	size_t n;
};

static int by_str(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void model_init(struct model *m, struct arena *a)
{
	struct str all[KEYS];

	*m = (struct model){0};
	for (size_t i = 0; i < KEYS; i++) {
		all[i] = STR("");
		for (unsigned k = 0; k <= (unsigned)random() % 6; k++)
			all[i] = arena_printf(a, "%.*s%s", STR_ARG(all[i]),
					      parts[(size_t)random() % (sizeof(parts) /
									sizeof(parts[0]))]);
	}
	qsort(all, KEYS, sizeof(all[0]), by_str);
	for (size_t i = 0; i < KEYS; i++)
		if (i == 0 || !str_eq(all[i], all[i - 1]))
			m->key[m->n++] = all[i];
}

static bool prefix_of(const struct list_request *q, struct str key, struct str *ret)
{
	struct str rest;
	size_t at;

	if (!q->delimiter.n)
		return false;
	rest = str_skip(key, q->prefix.n);
	at = str_find(rest, q->delimiter);
	if (at == rest.n)
		return false;
	*ret = str_head(key, q->prefix.n + at + q->delimiter.n);
	return true;
}

/* The naive listing: every key, in order. */
static void check_page(const struct model *m, const struct list_request *q,
		       const struct list_page *page)
{
	struct str last = STR_NONE, prefix;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct str key = m->key[i];
		bool rolled;

		if (!m->value[i] || !str_starts(key, q->prefix) || str_cmp(key, q->after) <= 0)
			continue;
		rolled = prefix_of(q, key, &prefix);
		if (rolled && (str_eq(prefix, q->after) || (last.p && str_eq(prefix, last))))
			continue;
		if (n == q->max) {
			assert_true(page->truncated);
			assert_str(page->next, page->items[n - 1].key);
			assert_int_equal(page->n, n);
			return;
		}
		assert_in_range(n + 1, 1, page->n);
		assert_int_equal(page->items[n].is_prefix, rolled);
		assert_str(page->items[n].key, rolled ? prefix : key);
		if (!rolled)
			assert_int_equal(page->items[n].entry.size, m->value[i]);
		last = rolled ? prefix : STR_NONE;
		n++;
	}
	assert_int_equal(page->n, n);
	assert_false(page->truncated);
}

static struct str pick(const struct model *m)
{
	struct str k = m->key[(size_t)random() % m->n];

	switch (random() % 4) {
	case 0:
		return STR("");
	case 1:
		return str_head(k, (size_t)random() % (k.n + 1));
	default:
		return k;
	}
}

static void check_listing(struct world *w, const struct repo *r, const struct model *m)
{
	static const char *const delimiters[] = {"", "/", "//", "a", "/a", "\xf4\x8f\xbf\xbf", "\xff"};
	struct list_request q = {
		.prefix = random() % 2 ? STR("") : pick(m),
		.delimiter = str_c(delimiters[random() % 7]),
		.after = random() % 2 ? STR("") : pick(m),
		.max = 1 + (size_t)random() % 20,
	};
	struct list_page page;

	/* Each page is right, and so is what follows it, to the end. */
	do {
		assert_ok(objects_list(&w->c, r, STR("main"), &q, &page));
		check_page(m, &q, &page);
		q.after = page.next;
	} while (page.truncated);
}

static void check_stat(struct world *w, const struct repo *r, const struct model *m, size_t i)
{
	struct entry e;
	rc got = object_stat(&w->c, r, STR("main"), m->key[i], &e);

	if (!m->value[i]) {
		assert_rc(got, NOT_FOUND);
		return;
	}
	assert_ok(got);
	assert_int_equal(e.size, m->value[i]);
}

static void stage(struct world *w, const struct repo *r, struct model *m, size_t i, unsigned seed)
{
	struct entry e = some_entry(w->a, seed);
	enum stage_cond cond = (enum stage_cond)(random() % 3);
	bool sent, right = random() % 2;
	struct str etag = right ? arena_printf(w->a, "%032x", m->value[i]) : STR("other");
	rc got = object_stage(&w->c, r, STR("main"), m->key[i], &e, cond, etag, &sent);

	if (cond == STAGE_IF_ABSENT && m->value[i]) {
		assert_rc(got, PREDICATE);
	} else if (cond == STAGE_IF_ETAG && !m->value[i]) {
		assert_rc(got, NOT_FOUND);
	} else if (cond == STAGE_IF_ETAG && !right) {
		assert_rc(got, PREDICATE);
	} else {
		assert_ok(got);
		assert_true(sent);
		m->value[i] = seed;
		return;
	}
	assert_false(sent);
}

static void step(struct world *w, const struct repo *r, struct model *m, unsigned seed)
{
	size_t i = (size_t)random() % m->n;

	switch (random() % 8) {
	case 0:
	case 1:
	case 2:
		stage(w, r, m, i, seed);
		break;
	case 3:
	case 4:
		assert_ok(object_delete(&w->c, r, STR("main"), m->key[i]));
		m->value[i] = 0;
		break;
	case 5:
		check_stat(w, r, m, i);
		break;
	case 6:
		check_listing(w, r, m);
		break;
	case 7:
		if (random() % 4 == 0)
			world_seal(&w->c, r, STR("main"));
	}
}

static void run_model(enum world_kind kind)
{
	for (unsigned round = 0; round < 12; round++) {
		struct arena *keep = arena_new();
		struct repo made, r;
		struct model m;
		struct world w;

		srandom(100 + round);
		world_open(&w, kind);
		made = world_repo(&w);
		assert_ok(repo_decode(arena_dup(keep, repo_encode(&made, keep)), keep, &r, NULL));
		model_init(&m, keep);
		for (unsigned i = 1; i <= 400; i++) {
			step(&w, &r, &m, i);
			if (i % 50 == 0)
				world_forget(&w);
		}
		for (size_t i = 0; i < m.n; i++)
			check_stat(&w, &r, &m, i);
		for (unsigned i = 0; i < 30; i++)
			check_listing(&w, &r, &m);
		world_close(&w);
		arena_free(keep);
	}
}

static void test_staging__model_guarded(void **state)
{
	run_model(GUARDED);
}

static void test_staging__model_plain(void **state)
{
	run_model(PLAIN);
}

static void put(struct world *w, const struct repo *r, const char *path, unsigned seed)
{
	struct entry e = some_entry(w->a, seed);
	bool sent;

	assert_ok(object_stage(&w->c, r, STR("main"), str_c(path), &e, STAGE_ALWAYS, STR_NONE, &sent));
}

static void test_staging__delete_writes(void **state)
{
	struct world w;
	struct repo r;
	struct branch b;
	struct str raw;
	uint64_t writes;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	/* Nothing anywhere: nothing is written but the try. */
	assert_ok(object_delete(&w.c, &r, STR("main"), STR("a")));
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_rc(kv_get(w.kv, KV_BLOCK, b.staging_token, STR("a"), w.a, &raw, NULL), NOT_FOUND);
	/* Beneath only: a tombstone. */
	put(&w, &r, "a", 1);
	world_seal(&w.c, &r, STR("main"));
	assert_ok(object_delete(&w.c, &r, STR("main"), STR("a")));
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	assert_ok(kv_get(w.kv, KV_BLOCK, b.staging_token, STR("a"), w.a, &raw, NULL));
	assert_str(raw, STR("\x0a\x01" "a"));
	/* A tombstone beneath: nothing. */
	world_seal(&w.c, &r, STR("main"));
	writes = kv_fault_calls(w.kv, KV_CALL_GUARDED | KV_CALL_SET);
	assert_ok(object_delete(&w.c, &r, STR("main"), STR("a")));
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_GUARDED | KV_CALL_SET), writes);
	assert_rc(object_delete(&w.c, &r, STR("nosuch"), STR("a")), NOT_FOUND);
	r.read_only = true;
	assert_rc(object_delete(&w.c, &r, STR("main"), STR("a")), ReadOnlyRepository);
	world_close(&w);
}

static void test_staging__refused(void **state)
{
	struct world w;
	struct repo r;
	struct entry e;
	bool sent;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	e = some_entry(w.a, 1);
	assert_rc(object_stage(&w.c, &r, STR("nosuch"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent),
		  NOT_FOUND);
	assert_rc(object_stage(&w.c, &r, STR("main"), STR(""), &e, STAGE_ALWAYS, STR_NONE, &sent),
		  INVALID);
	e.etag = STR("\xff");
	assert_rc(object_stage(&w.c, &r, STR("main"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent),
		  INVALID);
	assert_false(sent);
	assert_rc(object_stat(&w.c, &r, STR("nosuch"), STR("a"), &e), NOT_FOUND);
	assert_string_equal(w.err.msg, "ref 'nosuch': not found");
	assert_rc(object_stat(&w.c, &r, STR("main"), STR("a"), &e), NOT_FOUND);
	assert_string_equal(w.err.msg, "path not found");
	e = some_entry(w.a, 1);
	r.read_only = true;
	assert_rc(object_stage(&w.c, &r, STR("main"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent),
		  ReadOnlyRepository);
	world_close(&w);
}

/* An unclear write is never called failed, and after it there is the old object or the new one. */
static void test_staging__stopped(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		for (int cond = STAGE_ALWAYS; cond <= STAGE_IF_ETAG; cond++) {
			for (uint64_t nth = 1; nth < 12; nth++) {
				struct world w;
				struct repo r;
				struct entry e, got;
				bool sent;
				rc staged;

				world_open(&w, (enum world_kind)(nth % 2));
				r = world_repo(&w);
				if (cond != STAGE_IF_ABSENT)
					put(&w, &r, "a", 1);
				e = some_entry(w.a, 2);
				kv_fault_arm(w.kv, KV_CALL_ANY, nth, ERR_UNKNOWN_OUTCOME, kind);
				staged = object_stage(&w.c, &r, STR("main"), STR("a"), &e,
						      (enum stage_cond)cond,
						      STR("00000000000000000000000000000001"),
						      &sent);
				kv_fault_arm(w.kv, KV_CALL_ANY, 0, ERR_IO, false);
				if (rc_ok(object_stat(&w.c, &r, STR("main"), STR("a"), &got)) &&
				    got.size == 2)
					assert_true(sent);
				else
					assert_false(rc_ok(staged));
				world_close(&w);
			}
		}
	}
}

/* TRAPS: what a branch's commit holds, where it can't be read, isn't taken for nothing. */
static void test_staging__committed_is_refused(void **state)
{
	struct world w;
	struct repo r;
	struct branch b;
	struct str raw;
	struct entry e;
	struct list_page page;
	const struct list_request q = {.prefix = STR(""), .after = STR(""), .max = 10};

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(branch_get(&w.c, &r, STR("main"), &b));
	raw = arena_printf(w.a, "commits/%.*s", STR_ARG(b.commit_id));
	assert_ok(kv_set(w.kv, r.partition, raw, STR("\x2a\x02xy\x40\x01\x48\x01"), &w.err));
	put(&w, &r, "a", 1);
	assert_ok(object_stat(&w.c, &r, STR("main"), STR("a"), &e));
	assert_rc(object_stat(&w.c, &r, STR("main"), STR("b"), &e), CORRUPT);
	assert_rc(objects_list(&w.c, &r, STR("main"), &q, &page), CORRUPT);
	assert_ok(kv_delete(w.kv, r.partition, raw, &w.err));
	world_restart(&w);
	assert_rc(object_stat(&w.c, &r, STR("main"), STR("b"), &e), CORRUPT);
	world_close(&w);
}

static void test_staging__addresses(void **state)
{
	struct world w;
	struct str x, y;

	world_open(&w, GUARDED);
	x = object_new_address(w.v, w.a);
	y = object_new_address(w.v, w.a);
	assert_int_equal(x.n, 5 + 20 + 1 + 20);
	assert_true(str_starts(x, STR("data/")));
	assert_true(xid_valid(str_head(str_skip(x, 5), 20), NULL));
	assert_true(xid_valid(str_skip(x, 26), NULL));
	assert_str(str_head(x, 26), str_head(y, 26));
	assert_true(!str_eq(x, y));
	for (unsigned i = 0; i < 50000; i++)
		y = object_new_address(w.v, w.a);
	assert_true(!str_eq(str_head(x, 26), str_head(y, 26)));
	world_close(&w);
}

/* Two reads where the entry is in the token; no matter how many are in the branch. */
static void test_staging__cost(void **state)
{
	struct world w;
	struct repo r;
	struct entry e;
	struct list_page page;
	struct list_request q = {.prefix = STR(""), .delimiter = STR("/"), .after = STR(""), .max = 10};
	uint64_t calls;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	for (unsigned i = 1; i <= 2000; i++)
		put(&w, &r, arena_cstr(w.a, arena_printf(w.a, "dir%u/%04u", i % 2, i)), i);
	calls = kv_fault_calls(w.kv, KV_CALL_ANY);
	assert_ok(object_stat(&w.c, &r, STR("main"), STR("dir1/0007"), &e));
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_ANY), calls + 2);
	calls = kv_fault_calls(w.kv, KV_CALL_NEXT);
	assert_ok(objects_list(&w.c, &r, STR("main"), &q, &page));
	assert_int_equal(page.n, 2);
	assert_str(page.items[1].key, STR("dir1/"));
	assert_in_range(kv_fault_calls(w.kv, KV_CALL_NEXT) - calls, 1, 6);
	q.delimiter = STR_NONE;
	calls = kv_fault_calls(w.kv, KV_CALL_NEXT);
	assert_ok(objects_list(&w.c, &r, STR("main"), &q, &page));
	assert_int_equal(page.n, 10);
	assert_in_range(kv_fault_calls(w.kv, KV_CALL_NEXT) - calls, 1, 12);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_staging__model_guarded),
		cmocka_unit_test(test_staging__model_plain),
		cmocka_unit_test(test_staging__delete_writes),
		cmocka_unit_test(test_staging__refused),
		cmocka_unit_test(test_staging__stopped),
		cmocka_unit_test(test_staging__committed_is_refused),
		cmocka_unit_test(test_staging__addresses),
		cmocka_unit_test(test_staging__cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
