/* Tables written, then read in every way there is. */
#include "tests/versions/table_files.h"

#include <pthread.h>
#include <stdlib.h>

#include "versions/record.h"
#include "versions/sstable_file.h"

static struct err err;

struct table {
	struct arena *a;
	struct sstable_record *r;
	size_t n;
	struct buf bytes;
	struct sstable_summary summary;
	struct mem_file file;
	struct sstable *t;
};

static struct sstable *open_with(struct mem_file *f, struct str bytes, struct block_cache *cache)
{
	struct sstable_open_options o = {.cache = cache};
	struct sstable_source source;
	struct sstable *t = NULL;

	*f = (struct mem_file){.bytes = bytes};
	source = mem_source(f);
	assert_ok(sstable_open(&source, &o, &t, &err));
	return t;
}

static void table_make(struct table *t, enum table_shape shape, unsigned seed, size_t n,
		       struct block_cache *cache)
{
	*t = (struct table){.a = arena_new(), .n = n, .bytes = BUF_INIT(FILE_MAX_BYTES)};
	t->r = table_records(t->a, shape, seed, &t->n);
	table_write(t->r, t->n, &t->bytes, &t->summary);
	t->t = open_with(&t->file, buf_str(&t->bytes), cache);
}

static void table_drop(struct table *t)
{
	sstable_unref(t->t);
	buf_deinit(&t->bytes);
	arena_free(t->a);
}

static void expect(struct sstable_iter *it, const struct table *t, size_t i)
{
	struct sstable_record r;
	bool end;

	assert_ok(sstable_iter_next(it, &r, &end, &err));
	assert_int_equal(end, i == t->n);
	if (end)
		return;
	assert_str(r.key, t->r[i].key);
	assert_true(str_eq(r.value, t->r[i].value));
}

static size_t lower_bound(const struct table *t, struct str key)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (str_cmp(t->r[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void seek_and_expect(struct sstable_iter *it, const struct table *t, struct str key)
{
	size_t at = lower_bound(t, key);

	assert_ok(sstable_iter_seek(it, key, &err));
	for (size_t i = at; i <= t->n && i < at + 3; i++)
		expect(it, t, i);
}

/* Each key, what lies just before and after it, and its beginnings. */
static void seek_everywhere(const struct table *t, size_t step)
{
	struct sstable_iter *it = sstable_iter_new(t->t, SSTABLE_KEEP);
	struct arena *a = arena_new();

	seek_and_expect(it, t, STR(""));
	seek_and_expect(it, t, STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
	for (size_t i = 0; i < t->n; i += step) {
		struct str key = t->r[i].key;

		seek_and_expect(it, t, key);
		seek_and_expect(it, t, arena_join(a, (struct str[]){key, STR("\0")}, 2));
		if (key.n)
			seek_and_expect(it, t, str_head(key, key.n - 1));
		if (key.n)
			seek_and_expect(it, t, str_head(key, key.n / 2));
	}
	sstable_iter_close(it);
	arena_free(a);
}

static void check_whole(const struct table *t, size_t step)
{
	struct sstable_iter *it = sstable_iter_new(t->t, SSTABLE_PASSING);
	char id[SSTABLE_ID_LEN + 1];
	uint64_t count;

	for (size_t i = 0; i <= t->n; i++)
		expect(it, t, i);
	expect(it, t, t->n);
	sstable_iter_close(it);
	assert_ok(sstable_identity(t->t, id, &count, &err));
	assert_string_equal(id, t->summary.id);
	assert_int_equal(count, t->n);
	if (t->n) {
		assert_str(sstable_property(t->t, STR("min_key")), t->r[0].key);
		assert_str(sstable_property(t->t, STR("max_key")), t->r[t->n - 1].key);
	}
	seek_everywhere(t, step);
}

static void test_sstable__round_trips(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 33, 100, 400};

	for (int shape = 0; shape < SHAPES; shape++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct table t;

			if (shape == SHAPE_LARGE && sizes[i] > 100)
				continue;
			table_make(&t, (enum table_shape)shape, (unsigned)i, sizes[i], NULL);
			check_whole(&t, 1);
			table_drop(&t);
		}
	}
}

static void test_sstable__many_records(void **state)
{
	for (int shape = 0; shape < SHAPES; shape++) {
		struct table t;

		if (shape == SHAPE_LARGE)
			continue;
		table_make(&t, (enum table_shape)shape, 7, 20000, NULL);
		check_whole(&t, 37);
		table_drop(&t);
	}
}

/* As large as ranges get. */
static void test_sstable__20_mib(void **state)
{
	struct table t;

	table_make(&t, SHAPE_PATHS, 1, 140000, NULL);
	assert_true(t.bytes.n > 20 << 20);
	assert_true(t.t->two_levels);
	check_whole(&t, 4999);
	table_drop(&t);
}

static void test_sstable__get(void **state)
{
	struct block_cache *cache = block_cache_new(1 << 20);
	struct block_cache_stats stats;
	struct table t;
	unsigned reads;
	struct str value;

	table_make(&t, SHAPE_PATHS, 3, 1000, cache);
	for (size_t i = 0; i < t.n; i++) {
		assert_ok(sstable_get(t.t, t.r[i].key, t.a, &value, &err));
		assert_str(value, t.r[i].value);
	}
	reads = t.file.reads;
	assert_ok(sstable_get(t.t, t.r[0].key, t.a, &value, &err));
	assert_int_equal(t.file.reads, reads);
	assert_true(rc_is(sstable_get(t.t, STR("tables/"), t.a, &value, &err), NOT_FOUND));
	assert_true(rc_is(sstable_get(t.t, STR("zzz"), t.a, &value, &err), NOT_FOUND));
	assert_true(err.msg[0]);
	block_cache_stats(cache, &stats);
	assert_true(stats.hits > 900);
	assert_true(stats.misses < 100);
	table_drop(&t);
	block_cache_free(cache);
}

/* A long scan leaves the cache as it is. */
static void test_sstable__passing(void **state)
{
	struct block_cache *cache = block_cache_new(8 << 20);
	struct block_cache_stats stats;
	struct sstable_iter *it;
	struct table t;

	table_make(&t, SHAPE_PATHS, 3, 5000, cache);
	it = sstable_iter_new(t.t, SSTABLE_PASSING);
	for (size_t i = 0; i <= t.n; i++)
		expect(it, &t, i);
	block_cache_stats(cache, &stats);
	assert_int_equal(stats.blocks, 0);
	sstable_iter_close(it);
	table_drop(&t);
	block_cache_free(cache);
}

static void test_sstable__iterator_outlives_reference(void **state)
{
	struct sstable_iter *it;
	struct table t;

	table_make(&t, SHAPE_PATHS, 4, 300, NULL);
	it = sstable_iter_new(t.t, SSTABLE_KEEP);
	sstable_unref(t.t);
	t.t = NULL;
	for (size_t i = 0; i <= t.n; i++)
		expect(it, &t, i);
	assert_int_equal(t.file.closed, 0);
	sstable_iter_close(it);
	assert_int_equal(t.file.closed, 1);
	table_drop(&t);
}

/* The n-th read fails, for every n: its error comes through, and the iterator is good once sought anew. */
static void test_sstable__source_fails(void **state)
{
	struct table t;
	bool whole = false;

	table_make(&t, SHAPE_PATHS, 5, 400, NULL);
	for (unsigned n = 1; !whole; n++) {
		struct mem_file f = {.bytes = buf_str(&t.bytes), .fail_at = n};
		struct sstable_source source = mem_source(&f);
		struct sstable_iter *it;
		struct sstable_record r;
		struct sstable *u;
		bool end = false;
		rc done = sstable_open(&source, NULL, &u, &err);

		if (!rc_ok(done)) {
			assert_true(rc_is(done, IO));
			assert_int_equal(f.closed, 0);
			continue;
		}
		it = sstable_iter_new(u, SSTABLE_KEEP);
		while (!end && rc_ok(done))
			done = sstable_iter_next(it, &r, &end, &err);
		whole = rc_ok(done);
		assert_true(whole || rc_is(done, IO));
		f.fail_at = 0;
		seek_and_expect(it, &t, t.r[100].key);
		sstable_iter_close(it);
		sstable_unref(u);
	}
	table_drop(&t);
}

static struct sstable_writer *writer(struct buf *out)
{
	return sstable_writer_new(&(struct sstable_writer_options){.append = buf_append, .ud = out});
}

static void test_sstable__writer_refuses(void **state)
{
	static char long_key[SSTABLE_KEY_MAX + 1];
	static const struct {
		struct str first, second;
	} bad[] = {
		{STR("b"), STR("a")},
		{STR("b"), STR("b")},
		{STR("b\0"), STR("b")},
		{STR("\xff"), STR("\x7f")},
		{STR(""), STR("")},
		{STR("a"), {long_key, sizeof(long_key)}},
	};

	memset(long_key, 'x', sizeof(long_key));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf out = BUF_INIT(1 << 20);
		struct sstable_writer *w = writer(&out);

		assert_ok(sstable_writer_add(w, bad[i].first, STR("v"), &err));
		assert_true(rc_is(sstable_writer_add(w, bad[i].second, STR("v"), &err), INVALID));
		assert_true(err.msg[0]);
		sstable_writer_free(w);
		buf_deinit(&out);
	}
}

/* The longest key and the longest value that lakeFS allows, and one that no block could hold. */
static void test_sstable__extremes(void **state)
{
	struct buf out = BUF_INIT((size_t)SSTABLE_BLOCK_MAX * 2);
	struct arena *a = arena_new();
	char *huge = arena_zalloc(a, SSTABLE_BLOCK_MAX), *key = arena_zalloc(a, SSTABLE_KEY_MAX);
	struct sstable_writer *w = writer(&out);
	struct sstable_summary s;
	struct mem_file f;
	struct sstable *t;
	struct str value;

	assert_ok(sstable_writer_add(w, STR("\0"), STR("small"), &err));
	assert_ok(sstable_writer_add(w, str_make(key, SSTABLE_KEY_MAX),
				     str_make(huge, RECORD_PART_MAX), &err));
	assert_ok(sstable_writer_finish(w, &s, &err));
	sstable_writer_free(w);
	t = open_with(&f, buf_str(&out), NULL);
	assert_ok(sstable_get(t, str_make(key, SSTABLE_KEY_MAX), a, &value, &err));
	assert_int_equal(value.n, RECORD_PART_MAX);
	assert_ok(sstable_get(t, STR("\0"), a, &value, &err));
	assert_str(value, STR("small"));
	sstable_unref(t);

	buf_reset(&out);
	w = writer(&out);
	assert_true(rc_is(sstable_writer_add(w, STR("k"), str_make(huge, SSTABLE_BLOCK_MAX), &err),
			  INVALID));
	sstable_writer_free(w);
	buf_deinit(&out);
	arena_free(a);
}

static void test_sstable__sink_fails(void **state)
{
	struct buf out = BUF_INIT(100 << 10);
	struct arena *a = arena_new();
	size_t n = 3000, i = 0;
	struct sstable_record *r = table_records(a, SHAPE_PATHS, 9, &n);
	struct sstable_writer *w = writer(&out);
	rc done = RC_OK;

	for (; i < n && rc_ok(done); i++)
		done = sstable_writer_add(w, r[i].key, r[i].value, &err);
	assert_true(i < n);
	assert_true(rc_is(done, IO));
	assert_string_equal(err.msg, "no space");
	sstable_writer_free(w);
	buf_deinit(&out);
	arena_free(a);
}

/* What the split rule sees grows with each record and is, in the end, what the property says. */
static void test_sstable__estimated_size(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	struct arena *a = arena_new();
	size_t n = 1000;
	struct sstable_record *r = table_records(a, SHAPE_PATHS, 11, &n);
	struct sstable_writer *w = writer(&out);
	struct sstable_summary s;
	uint64_t last = sstable_writer_estimated_size(w);

	assert_int_equal(last, 8);
	for (size_t i = 0; i < n; i++) {
		assert_ok(sstable_writer_add(w, r[i].key, r[i].value, &err));
		assert_true(sstable_writer_estimated_size(w) > last / 2);
		last = sstable_writer_estimated_size(w);
	}
	assert_ok(sstable_writer_finish(w, &s, &err));
	assert_int_equal(s.estimated_size, last);
	assert_true(last > out.n * 9 / 10 && last < out.n + 4096);
	sstable_writer_free(w);
	buf_deinit(&out);
	arena_free(a);
}

struct reader {
	const struct table *t;
	pthread_t thread;
	unsigned seed;
	bool wrong;
};

static void *read_at_random(void *arg)
{
	struct reader *me = arg;
	const struct table *t = me->t;
	struct arena *a = arena_new();
	unsigned at = me->seed;
	struct err why;

	for (unsigned i = 0; i < 2000; i++) {
		struct arena_mark mark = arena_mark(a);
		struct str value;

		at = at * 1664525 + 1013904223;
		if (!rc_ok(sstable_get(t->t, t->r[at % t->n].key, a, &value, &why)) ||
		    !str_eq(value, t->r[at % t->n].value))
			me->wrong = true;
		arena_rewind(a, mark);
	}
	arena_free(a);
	return NULL;
}

/* One table, one cache that is too small for it, several threads. */
static void test_sstable__threads(void **state)
{
	enum { READERS = 4 };
	struct block_cache *cache = block_cache_new(256 << 10);
	struct reader readers[READERS];
	struct block_cache_stats stats;
	struct table t;

	table_make(&t, SHAPE_PATHS, 13, 5000, cache);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.t = &t, .seed = i};
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_at_random, &readers[i]), 0);
	}
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_false(readers[i].wrong);
	}
	block_cache_stats(cache, &stats);
	assert_true(stats.evictions > 0 && stats.hits > 0);
	assert_true(stats.bytes <= 256 << 10);
	table_drop(&t);
	block_cache_free(cache);
}

static void test_sstable__record_values(void **state)
{
	static const char *const malformed[] = {"", "\x02", "\x02" "a", "\x01" "a\x02" "b", "\x04" "a\x02",
						"\x02" "a\x04" "b", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"};
	struct buf b = BUF_INIT(1 << 20);
	struct record r;

	assert_true(record_encode(STR("id"), STR("some data"), &b));
	assert_int_equal(b.n, record_size(STR("id"), STR("some data")));
	assert_str(buf_str(&b), STR("\x04id\x12some data"));
	buf_add_cstr(&b, "ignored");
	assert_ok(record_decode(STR("k"), buf_str(&b), &r, &err));
	assert_str(r.key, STR("k"));
	assert_str(r.identity, STR("id"));
	assert_str(r.data, STR("some data"));
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_true(rc_is(record_decode(STR("k"), str_c(malformed[i]), &r, &err), CORRUPT));
	assert_non_null(strstr(err.msg, "\"k\""));
	buf_reset(&b);
	assert_true(record_encode(STR(""), STR(""), &b));
	assert_ok(record_decode(STR("k"), buf_str(&b), &r, &err));
	assert_int_equal(r.identity.n + r.data.n, 0);
	buf_deinit(&b);
	b = BUF_INIT(4);
	assert_false(record_encode(STR("id"), STR("some data"), &b));
	assert_true(b.overflow);
	buf_deinit(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sstable__round_trips),
		cmocka_unit_test(test_sstable__many_records),
		cmocka_unit_test(test_sstable__20_mib),
		cmocka_unit_test(test_sstable__get),
		cmocka_unit_test(test_sstable__passing),
		cmocka_unit_test(test_sstable__iterator_outlives_reference),
		cmocka_unit_test(test_sstable__source_fails),
		cmocka_unit_test(test_sstable__writer_refuses),
		cmocka_unit_test(test_sstable__extremes),
		cmocka_unit_test(test_sstable__sink_fails),
		cmocka_unit_test(test_sstable__estimated_size),
		cmocka_unit_test(test_sstable__threads),
		cmocka_unit_test(test_sstable__record_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
