/* Metaranges of any shape, made of each other by changes and merges, against arrays that do the same plainly: keys
 * that begin with each other, of all bytes and of the greatest length; ranges of one record and of hundreds. */
#include "tests/versions/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "versions/diff.h"
#include "versions/internal.h"
#include "versions/merge3.h"

enum { KEYS = 300, CONTENTS = 4, VERSIONS = 24, KEY_MAX = 1024 };

struct version {
	int at[KEYS]; /* 0: nothing */
	struct str id;
};

struct test {
	struct world w;
	struct repo r;
	struct str keys[KEYS]; /* ascending */
	struct str values[CONTENTS + 1];
	int n;
	struct version v[VERSIONS];
	int versions;
	uint64_t rnd;
	unsigned seed;
};

#define CHECK(t, cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("seed %u, line %d: %s (%s)", (t)->seed, __LINE__, #cond, (t)->w.err.msg); \
	} while (0)

static unsigned rnd(struct test *t, unsigned n)
{
	t->rnd = t->rnd * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(t->rnd >> 33) % n;
}

/* Keys. */

static struct str random_key(struct test *t, struct str last)
{
	char text[KEY_MAX];
	size_t n = 0;
	unsigned kind = rnd(t, 10);

	if (kind < 3 && last.n && last.n < KEY_MAX) { /* the last one and some more */
		memcpy(text, last.p, last.n);
		n = last.n;
		text[n++] = (char)(kind == 0 ? 0 : kind == 1 ? 0xff : 'a');
	} else if (kind == 3) {
		n = KEY_MAX - rnd(t, 2);
		memset(text, 'k', n);
		text[n - 1] = (char)rnd(t, 256);
	} else if (kind == 4) {
		n = 1 + rnd(t, 3);
		for (size_t i = 0; i < n; i++)
			text[i] = (char)(rnd(t, 2) ? 0xff : 0);
	} else {
		n = (size_t)snprintf(text, sizeof(text), "d%u/f%u", rnd(t, 4), rnd(t, 500));
	}
	return arena_dup(t->w.a, str_make(text, n));
}

static int key_order(const void *x, const void *y)
{
	const struct str *a = x, *b = y;

	return str_cmp(*a, *b);
}

static void make_keys(struct test *t)
{
	int want = 1 + (int)rnd(t, rnd(t, 2) ? 40 : KEYS), n = 0;
	struct str last = STR("");

	for (int i = 0; i < want; i++)
		t->keys[i] = last = random_key(t, last);
	qsort(t->keys, (size_t)want, sizeof(t->keys[0]), key_order);
	for (int i = 0; i < want; i++)
		if (!n || !str_eq(t->keys[i], t->keys[n - 1]))
			t->keys[n++] = t->keys[i];
	t->n = n;
}

/* Several keys have the same content, and so the same identity. */
static void make_values(struct test *t)
{
	for (int i = 1; i <= CONTENTS; i++) {
		struct str data = arena_printf(t->w.a, "content %d %0*d", i, (int)rnd(t, 60), 7);
		struct buf b = BUF_INIT(4096);
		uint8_t sum[DIGEST_MAX];

		digest_of(DIGEST_SHA256, data, sum);
		record_encode(str_make(sum, 32), data, &b);
		t->values[i] = arena_dup(t->w.a, buf_str(&b));
		buf_deinit(&b);
	}
}

static struct record record_of(struct test *t, int k, int content)
{
	struct record r;

	assert_ok(record_decode(t->keys[k], t->values[content], &r, NULL));
	return r;
}

/* Long runs and single keys. */
static void mutate(struct test *t, int at[KEYS])
{
	for (unsigned n = 1 + rnd(t, 4); n; n--) {
		int from = (int)rnd(t, (unsigned)t->n), run = rnd(t, 3) ? 1 + (int)rnd(t, 3) : (int)rnd(t, KEYS);
		int content = (int)rnd(t, CONTENTS + 1);
		bool same = rnd(t, 2);

		for (int k = from; k < from + run && k < t->n; k++)
			at[k] = same ? content : (int)rnd(t, CONTENTS + 1);
	}
}

/* Changes: of one array to another, or of a difference. */

struct source {
	struct changes ch;
	struct test *t;
	const int *from, *to;
	int k;
	struct diff *diff;
};

static rc next_change(struct changes *ch, struct record *ret, bool *ret_end, struct err *reterr)
{
	struct source *s = (struct source *)ch;

	while (s->k < s->t->n && s->from[s->k] == s->to[s->k] && rnd(s->t, 30))
		s->k++;
	*ret_end = s->k == s->t->n;
	if (*ret_end)
		return RC_OK;
	*ret = s->to[s->k] ? record_of(s->t, s->k, s->to[s->k]) : (struct record){.key = s->t->keys[s->k]};
	s->k++;
	return RC_OK;
}

static rc next_of_diff(struct changes *ch, struct record *ret, bool *ret_end, struct err *reterr)
{
	struct diff_item item;

	TRY(diff_next(((struct source *)ch)->diff, &item, ret_end, reterr));
	if (*ret_end)
		return RC_OK;
	*ret = item.right;
	ret->key = item.key;
	return RC_OK;
}

static struct str apply(struct test *t, struct str base, struct changes *ch)
{
	CLEANUP(mr_writer_freep) struct mr_writer *w = NULL;
	struct merge_summary what;
	struct mr_summary sum;

	CHECK(t, rc_ok(mr_writer_new(&t->w.c, &t->r, NULL, 0, &w)));
	CHECK(t, rc_ok(apply_changes(&t->w.c, &t->r, base, ch, w, &what)));
	CHECK(t, rc_ok(mr_writer_finish(w, t->w.a, &sum, &t->w.err)));
	return sum.id;
}

static void check_holds(struct test *t, struct str id, const int at[KEYS])
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;

	CHECK(t, rc_ok(mr_iter_open(&t->w.c, &t->r, id, true, &it)));
	CHECK(t, rc_ok(mr_iter_next(it, &t->w.err)));
	for (int k = 0; k < t->n; k++) {
		struct record got;

		if (!at[k])
			continue;
		while (mr_iter_at(it) == MR_HEAD)
			CHECK(t, rc_ok(mr_iter_next(it, &t->w.err)));
		CHECK(t, mr_iter_at(it) == MR_RECORD && str_eq(mr_iter_key(it), t->keys[k]));
		CHECK(t, str_eq(mr_iter_record(it)->value, t->values[at[k]]));
		CHECK(t, rc_ok(mr_iter_next(it, &t->w.err)));
		if (rnd(t, 8) == 0)
			CHECK(t, rc_ok(metarange_get(&t->w.c, &t->r, id, t->keys[k], &got)));
	}
	CHECK(t, mr_iter_at(it) == MR_END);
}

static struct version *add(struct test *t, const int at[KEYS], struct str id)
{
	struct version *v = &t->v[t->versions++];

	memcpy(v->at, at, sizeof(v->at));
	v->id = id;
	check_holds(t, id, at);
	return v;
}

static struct version *some(struct test *t)
{
	return &t->v[rnd(t, (unsigned)t->versions)];
}

/* Steps. */

static void change_some(struct test *t)
{
	const struct version *from = some(t);
	int at[KEYS];

	memcpy(at, from->at, sizeof(at));
	mutate(t, at);
	add(t, at, apply(t, from->id, &(struct source){{&(struct change_ops){next_change}}, t, from->at, at, 0, NULL}.ch));
}

static int three_way(int d, int s, int b, enum merge_strategy strategy, int *conflicts)
{
	if (d == s || s == b)
		return d;
	if (d == b)
		return s;
	++*conflicts;
	return strategy == MERGE_SOURCE_WINS ? s : d;
}

/* False: conflicts. */
static bool merge(struct test *t, const struct version *d, const struct version *s, const struct version *b,
		  enum merge_strategy strategy, int ret[KEYS], struct str *ret_id)
{
	CLEANUP(mr_writer_freep) struct mr_writer *w = NULL;
	struct merge_summary what;
	struct mr_summary sum;
	int conflicts = 0;
	bool same = true;
	rc merged;

	memset(ret, 0, KEYS * sizeof(*ret));
	for (int k = 0; k < t->n; k++) {
		ret[k] = three_way(d->at[k], s->at[k], b->at[k], strategy, &conflicts);
		same &= ret[k] == d->at[k];
	}
	CHECK(t, rc_ok(mr_writer_new(&t->w.c, &t->r, NULL, 0, &w)));
	merged = merge3(&t->w.c, &t->r, d->id, s->id, b->id, strategy, w, &what);
	CHECK(t, what.conflicts == conflicts);
	if (strategy == MERGE_NONE && conflicts) {
		CHECK(t, rc_is(merged, MergeConflict));
		return false;
	}
	CHECK(t, rc_ok(merged));
	CHECK(t, same == (what.added + what.removed + what.changed == 0));
	CHECK(t, rc_ok(mr_writer_finish(w, t->w.a, &sum, &t->w.err)));
	check_holds(t, sum.id, ret);
	*ret_id = sum.id;
	return true;
}

/* Any three: bases that are no ancestors, that are newer, that are one of the sides. And the other way round it
 * is the same. */
static void merge_some(struct test *t)
{
	const struct version *d = some(t), *s = some(t), *b = some(t);
	int at[KEYS], back[KEYS];
	struct str id, back_id;
	bool clear = merge(t, d, s, b, MERGE_NONE, at, &id);

	CHECK(t, merge(t, s, d, b, MERGE_NONE, back, &back_id) == clear);
	if (clear) {
		CHECK(t, !memcmp(at, back, sizeof(at)));
		add(t, at, id);
		return;
	}
	merge(t, d, s, b, MERGE_DEST_WINS, at, &id);
	merge(t, s, d, b, MERGE_SOURCE_WINS, back, &back_id);
	CHECK(t, !memcmp(at, back, sizeof(at)));
	add(t, at, rnd(t, 2) ? id : back_id);
}

static void diff_some(struct test *t)
{
	const struct version *x = some(t), *y = some(t);
	CLEANUP(diff_closep) struct diff *d = NULL;

	CHECK(t, rc_ok(diff_open(&t->w.c, &t->r, x->id, y->id, STR_NONE, &d)));
	check_holds(t, apply(t, x->id, &(struct source){{&(struct change_ops){next_of_diff}}, .diff = d}.ch), y->at);
}

static void run_seed(struct test *t, unsigned seed)
{
	struct versions *v = t->w.v;
	int none[KEYS] = {0};

	t->seed = seed;
	t->rnd = seed * 2654435761u;
	t->versions = 0;
	v->split.raggedness = 1 + rnd(t, 50);
	v->split.max_bytes = rnd(t, 3) ? 200 + rnd(t, 3800) : 1 << 20; /* with the great one small ranges are joined */
	v->split.min_bytes = rnd(t, 4) ? 0 : rnd(t, 600);
	make_keys(t);
	make_values(t);
	add(t, none, STR(""));
	while (t->versions < VERSIONS) {
		unsigned step = rnd(t, 8);

		if (step < 3 || t->versions < 3)
			change_some(t);
		else if (step < 6)
			merge_some(t);
		else
			diff_some(t);
	}
}

static void tables_without_disk(struct world *w)
{
	tables_free(w->v->tables);
	w->v->tables = tables_new(&(struct tables_options){.block_cache_bytes = 64 * 1024, .open_max = 20});
}

static void test_merges__random(void **state)
{
	const char *want = getenv("SLUICE_MERGE_SEEDS");
	unsigned seeds = want ? (unsigned)atoi(want) : 60;
	struct test *t = calloc(1, sizeof(*t));

	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct arena *kept = NULL;

		if (seed % 40 == 1) {
			world_open(&t->w, GUARDED);
			t->r = world_repo(&t->w);
			if (seed > 40) /* without a disk, which is faster */
				tables_without_disk(&t->w);
		}
		kept = t->w.a; /* has the repository */
		t->w.a = t->w.c.a = arena_new();
		run_seed(t, seed);
		arena_free(t->w.a);
		t->w.a = t->w.c.a = kept;
		if (seed % 40 == 0 || seed == seeds)
			world_close(&t->w);
	}
	free(t);
}

/* Whatever fails while it is written: an error, never a result, no hang; and afterwards it goes. */
static rc write_many(struct world *w, const struct repo *r, struct str reused, unsigned n, struct str *ret)
{
	CLEANUP(mr_writer_freep) struct mr_writer *wr = NULL;
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;
	struct mr_summary sum;

	TRY(mr_writer_new(&w->c, r, NULL, 0, &wr));
	if (reused.n) {
		TRY(mr_iter_open(&w->c, r, reused, true, &it));
		TRY(mr_iter_next(it, &w->err));
		while (mr_iter_at(it) != MR_END) {
			TRY(mr_writer_range(wr, mr_iter_range(it), &w->err));
			TRY(mr_iter_next_range(it, &w->err));
		}
	}
	for (unsigned i = 0; i < n; i++) {
		struct str value = arena_printf(w->a, "value %06u", i);
		struct buf b = BUF_INIT(4096);
		rc added;

		record_encode(STR("0123456789abcdef0123456789abcdef"), value, &b);
		added = mr_writer_record(wr, arena_printf(w->a, "%s%06u", reused.n ? "z" : "a", i), buf_str(&b), &w->err);
		buf_deinit(&b);
		TRY(added);
	}
	TRY(mr_writer_finish(wr, w->a, &sum, &w->err));
	*ret = sum.id;
	return RC_OK;
}

static void test_merges__stores_fail(void **state)
{
	struct work_pool *pool;
	struct str base, want, got;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	pool = w.v->ranges;
	w.v->split.max_bytes = 1 << 20; /* joins */
	w.v->split.raggedness = 30;
	assert_ok(write_many(&w, &r, STR(""), 100, &base));
	assert_ok(write_many(&w, &r, base, 400, &want));
	for (unsigned alone = 0; alone < 2; alone++) {
		unsigned untouched = 0;

		w.v->ranges = alone ? NULL : pool;
		for (uint64_t n = 1; untouched < 3; n++) {
			rc res;

			backend_fault_arm(w.store, BACKEND_CALL_ALL, n, n % 2 ? ERR_IO : ERR_UNKNOWN_OUTCOME, n % 2 == 0);
			got = STR_NONE;
			res = write_many(&w, &r, base, 400, &got);
			backend_fault_arm(w.store, BACKEND_CALL_ALL, 0, ERR_IO, false);
			untouched = rc_ok(res) ? untouched + 1 : 0;
			if (rc_ok(res))
				assert_str(got, want);
			else
				assert_true(rc_is(res, IO) || rc_is(res, UNKNOWN_OUTCOME));
			assert_true(n < 200);
		}
		assert_ok(write_many(&w, &r, base, 400, &got));
		assert_str(got, want);
	}
	w.v->ranges = pool;
	world_close(&w);
}

static void hold(struct work *work)
{
	struct timespec t = {0, 2000000};

	nanosleep(&t, NULL);
}

static void held(struct work *work)
{
}

/* The pool takes nothing, or little: the writer does it itself, the result is the same. */
static void test_merges__pool_refuses(void **state)
{
	struct work_pool *pool;
	struct work *busy = calloc(64, sizeof(*busy));
	struct str want, got;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	pool = w.v->ranges;
	w.v->split.raggedness = 3;
	w.v->ranges = NULL;
	assert_ok(write_many(&w, &r, STR(""), 500, &want));
	for (unsigned i = 0; i < 10; i++) {
		w.v->ranges = work_pool_new("few", 1 + i % 2, 1 + i % 3);
		for (unsigned k = 0; k < 64; k++) {
			busy[k] = (struct work){.run = hold, .done = held};
			work_submit(w.v->ranges, &busy[k]);
		}
		assert_ok(write_many(&w, &r, STR(""), 500, &got));
		assert_str(got, want);
		work_pool_free(w.v->ranges);
	}
	w.v->ranges = pool;
	free(busy);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merges__random),
		cmocka_unit_test(test_merges__stores_fail),
		cmocka_unit_test(test_merges__pool_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
