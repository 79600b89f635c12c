/* Writing metaranges, walking them, their differences and merges, against arrays that do the same plainly. */
#include "tests/versions/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "versions/merge3.h"
#include "versions/diff.h"
#include "versions/internal.h"

enum { KEYS = 400, CONTENTS = 6, SEEDS = 150 };

/* What each key holds: 0 nothing, else a content. Several keys have the same content. */
struct model {
	int at[KEYS];
};

static unsigned rnd_state;

static unsigned rnd(unsigned n)
{
	rnd_state = rnd_state * 1103515245u + 12345u;
	return (rnd_state >> 8) % n;
}

static struct str key_of(struct arena *a, int i)
{
	return arena_printf(a, "%s/key-%04d", i % 3 == 0 ? "a" : "b/c", i + (i % 3 ? 1000 : 0));
}

/* Keys in order: those of "a/" first. */
static void order(int ret[KEYS])
{
	int n = 0;

	for (int i = 0; i < KEYS; i += 3)
		ret[n++] = i;
	for (int i = 0; i < KEYS; i++)
		if (i % 3)
			ret[n++] = i;
	assert_int_equal(n, KEYS);
}

static int ordered[KEYS];

static struct record record_of(struct arena *a, int i, int content)
{
	struct buf b = BUF_INIT(4096);
	struct record r;
	uint8_t sum[DIGEST_MAX];
	struct str data = arena_printf(a, "content %d, which is some thirty bytes long", content), value;

	digest_of(DIGEST_SHA256, data, sum);
	record_encode(str_make(sum, 32), data, &b);
	value = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	assert_ok(record_decode(key_of(a, i), value, &r, NULL));
	return r;
}

static void mutate(struct model *m, unsigned changes)
{
	while (changes--) {
		int from = (int)rnd(KEYS), n = rnd(8) ? 1 : (int)rnd(60), content = (int)rnd(CONTENTS);

		for (int i = from; i < from + n && i < KEYS; i++)
			m->at[ordered[i]] = content;
	}
}

static struct str build(struct world *w, const struct repo *r, const struct model *m)
{
	CLEANUP(mr_writer_freep) struct mr_writer *wr = NULL;
	struct mr_summary sum;
	int64_t n = 0;

	assert_ok(mr_writer_new(&w->c, r, NULL, 0, &wr));
	for (int i = 0; i < KEYS; i++) {
		int k = ordered[i];
		struct record rec;

		if (!m->at[k])
			continue;
		rec = record_of(w->a, k, m->at[k]);
		assert_ok(mr_writer_record(wr, rec.key, rec.value, &w->err));
		n++;
	}
	assert_ok(mr_writer_finish(wr, w->a, &sum, &w->err));
	assert_int_equal(sum.records, n);
	return sum.id;
}

/* Changes from one model to another, with some that change nothing. */
struct model_changes {
	struct changes ch;
	const struct model *from, *to;
	struct arena *a;
	int i;
};

static rc next_change(struct changes *ch, struct record *ret, bool *ret_end, struct err *reterr)
{
	struct model_changes *c = (struct model_changes *)ch;

	for (; c->i < KEYS; c->i++) {
		int k = ordered[c->i];
		bool same = c->from->at[k] == c->to->at[k];

		if (same && rnd(40))
			continue;
		if (c->to->at[k])
			*ret = record_of(c->a, k, c->to->at[k]);
		else
			*ret = (struct record){.key = key_of(c->a, k)};
		c->i++;
		*ret_end = false;
		return RC_OK;
	}
	*ret_end = true;
	return RC_OK;
}

static struct str build_on(struct world *w, const struct repo *r, struct str base, const struct model *from,
			   const struct model *to)
{
	static const struct change_ops ops = {next_change};
	CLEANUP(mr_writer_freep) struct mr_writer *wr = NULL;
	struct model_changes changes = {{&ops}, from, to, w->a, 0};
	struct merge_summary what;
	struct mr_summary sum;

	assert_ok(mr_writer_new(&w->c, r, NULL, 0, &wr));
	assert_ok(apply_changes(&w->c, r, base, &changes.ch, wr, &what));
	assert_ok(mr_writer_finish(wr, w->a, &sum, &w->err));
	return sum.id;
}

static void check_holds(struct world *w, const struct repo *r, struct str id, const struct model *m)
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;

	assert_ok(mr_iter_open(&w->c, r, id, true, &it));
	assert_ok(mr_iter_next(it, &w->err));
	for (int i = 0; i < KEYS; i++) {
		int k = ordered[i];
		struct record want, got;

		if (!m->at[k]) {
			assert_rc(metarange_get(&w->c, r, id, key_of(w->a, k), &got), NOT_FOUND);
			continue;
		}
		want = record_of(w->a, k, m->at[k]);
		while (mr_iter_at(it) == MR_HEAD)
			assert_ok(mr_iter_next(it, &w->err));
		assert_int_equal(mr_iter_at(it), MR_RECORD);
		assert_str(mr_iter_record(it)->key, want.key);
		assert_str(mr_iter_record(it)->value, want.value);
		assert_ok(mr_iter_next(it, &w->err));
		assert_ok(metarange_get(&w->c, r, id, want.key, &got));
		assert_str(got.data, want.data);
	}
	assert_int_equal(mr_iter_at(it), MR_END);
}

static void check_diff(struct world *w, const struct repo *r, struct str l, struct str rt, struct str b,
		       const struct model *ml, const struct model *mr, const struct model *mb)
{
	CLEANUP(diff_closep) struct diff *d = NULL;
	struct diff_item item;
	int from = rnd(2) ? 0 : (int)rnd(KEYS);
	bool end;

	assert_ok(diff_open(&w->c, r, l, rt, b, &d));
	if (from)
		assert_ok(diff_seek(d, key_of(w->a, ordered[from]), &w->err));
	for (int i = from; i < KEYS; i++) {
		int k = ordered[i], x = ml->at[k], y = mr->at[k], z = mb ? mb->at[k] : 0;
		enum diff_type want = !x ? DIFF_ADDED : !y ? DIFF_REMOVED : DIFF_CHANGED;

		if (x == y || (mb && z == y))
			continue;
		if (mb && z != x)
			want = DIFF_CONFLICT;
		assert_ok(diff_next(d, &item, &end, &w->err));
		assert_false(end);
		assert_str(item.key, key_of(w->a, k));
		assert_int_equal(item.type, want);
		assert_int_equal(item.left.identity.p != NULL, x != 0);
		assert_int_equal(item.right.identity.p != NULL, y != 0);
	}
	assert_ok(diff_next(d, &item, &end, &w->err));
	assert_true(end);
}

static void check_merge(struct world *w, const struct repo *r, struct str d, struct str s, struct str b,
			const struct model *md, const struct model *ms, const struct model *mb,
			enum merge_strategy strategy)
{
	CLEANUP(mr_writer_freep) struct mr_writer *wr = NULL;
	struct merge_summary what;
	struct mr_summary sum;
	struct model want;
	int conflicts = 0;
	rc merged;

	for (int k = 0; k < KEYS; k++) {
		int x = md->at[k], y = ms->at[k], z = mb->at[k];

		want.at[k] = x == y || z == y ? x : z == x ? y : -1;
		if (want.at[k] < 0) {
			conflicts++;
			want.at[k] = strategy == MERGE_DEST_WINS ? x : y;
		}
	}
	assert_ok(mr_writer_new(&w->c, r, NULL, 0, &wr));
	merged = merge3(&w->c, r, d, s, b, strategy, wr, &what);
	assert_int_equal(what.conflicts, conflicts);
	if (strategy == MERGE_NONE && conflicts) {
		assert_rc(merged, MergeConflict);
		return;
	}
	assert_ok(merged);
	assert_ok(mr_writer_finish(wr, w->a, &sum, &w->err));
	check_holds(w, r, sum.id, &want);
}

static void test_metaranges__random(void **state)
{
	order(ordered);
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct model base = {0}, dest, source;
		struct world w;
		struct repo r;
		struct str b, d, s;

		rnd_state = seed * 7919;
		world_open(&w, GUARDED);
		r = world_repo(&w);
		mutate(&base, seed % 10 == 0 ? 0 : 60);
		dest = source = base;
		mutate(&dest, rnd(3) * rnd(10));
		mutate(&source, rnd(3) * rnd(10));
		if (seed % 17 == 0)
			memset(&source, 0, sizeof(source));
		b = seed % 10 == 0 && seed % 20 ? STR("") : build(&w, &r, &base);
		d = rnd(4) ? build_on(&w, &r, b, &base, &dest) : build(&w, &r, &dest);
		s = rnd(4) ? build_on(&w, &r, b, &base, &source) : build(&w, &r, &source);
		if (seed % 5 == 0)
			world_restart(&w);
		check_holds(&w, &r, b, &base);
		check_holds(&w, &r, d, &dest);
		check_holds(&w, &r, s, &source);
		check_diff(&w, &r, d, s, STR_NONE, &dest, &source, NULL);
		check_diff(&w, &r, d, s, b, &dest, &source, &base);
		check_merge(&w, &r, d, s, b, &dest, &source, &base, MERGE_NONE);
		check_merge(&w, &r, d, s, b, &dest, &source, &base, MERGE_DEST_WINS);
		check_merge(&w, &r, d, s, b, &dest, &source, &base, MERGE_SOURCE_WINS);
		world_close(&w);
	}
}

/* The same records are cut alike, whether written at once or over others. */
static void test_metaranges__cuts_are_the_records_own(void **state)
{
	struct model m = {0}, changed;
	struct world w;
	struct repo r;
	struct str first, again, back;

	order(ordered);
	rnd_state = 5;
	world_open(&w, GUARDED);
	r = world_repo(&w);
	for (int k = 0; k < KEYS; k++)
		m.at[k] = 1 + k % (CONTENTS - 1);
	changed = m;
	changed.at[7] = 0;
	first = build(&w, &r, &m);
	again = build(&w, &r, &m);
	assert_str(again, first);
	back = build_on(&w, &r, build_on(&w, &r, first, &m, &changed), &changed, &m);
	assert_str(back, first);
	assert_str(build(&w, &r, &(struct model){0}),
		   STR("00fb7eff1a97c500eb3ca8d2ef5464131d6b6a5f9512e41eba97843522213b66"));
	world_close(&w);
}

/* A thousand commits at the end of a branch don't leave a thousand ranges. */
static void test_metaranges__small_ranges_are_joined(void **state)
{
	struct model m = {0}, more;
	struct world w;
	struct repo r;
	struct str id = STR("");
	struct sstable *t;

	order(ordered);
	rnd_state = 5;
	world_open(&w, GUARDED);
	w.v->split.raggedness = 1000000;
	w.v->split.max_bytes = 1 << 20;
	r = world_repo(&w);
	for (int i = 0; i < KEYS; i++) {
		more = m;
		more.at[ordered[i]] = 1;
		id = build_on(&w, &r, id, &m, &more);
		m = more;
	}
	check_holds(&w, &r, id, &m);
	assert_ok(table_get(&w.c, &r, id, &t));
	assert_true(atoi(sstable_property(t, STR("count")).p) < 8);
	sstable_unref(t);
	world_close(&w);
}

static void test_metaranges__order_is_kept(void **state)
{
	struct mr_writer *wr;
	struct record x, y;
	struct mr_summary sum;
	struct world w;
	struct repo r;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	x = record_of(w.a, 30, 1);
	y = record_of(w.a, 3, 1);
	assert_ok(mr_writer_new(&w.c, &r, NULL, 0, &wr));
	assert_ok(mr_writer_record(wr, x.key, x.value, &w.err));
	if (rc_ok(mr_writer_record(wr, y.key, y.value, &w.err)))
		assert_rc(mr_writer_finish(wr, w.a, &sum, &w.err), INVALID);
	mr_writer_free(wr);
	world_close(&w);
}

/* What the cache's disk has damaged is had from the store again; what the store has damaged is told. */
static void test_metaranges__damage(void **state)
{
	struct model m = {0};
	struct record got;
	struct world w;
	struct repo r;
	struct str id;
	char cmd[256];

	order(ordered);
	rnd_state = 11;
	world_open(&w, GUARDED);
	r = world_repo(&w);
	mutate(&m, 90);
	m.at[0] = 1;
	id = build(&w, &r, &m);
	versions_free(w.v);
	snprintf(cmd, sizeof(cmd),
		 "for f in $(find %s -type f); do printf x | dd of=$f bs=1 seek=20 conv=notrunc status=none; done",
		 w.cache);
	assert_int_equal(system(cmd), 0);
	w.v = NULL;
	world_restart(&w);
	check_holds(&w, &r, id, &m);
	assert_rc(metarange_get(&w.c, &r, STR("0000000000000000000000000000000000000000000000000000000000000000"),
				key_of(w.a, 0), &got), NoData);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metaranges__random),
		cmocka_unit_test(test_metaranges__cuts_are_the_records_own),
		cmocka_unit_test(test_metaranges__small_ranges_are_joined),
		cmocka_unit_test(test_metaranges__order_is_kept),
		cmocka_unit_test(test_metaranges__damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
