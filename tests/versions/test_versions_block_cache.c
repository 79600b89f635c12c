#include "tests/base/check.h"
#include "versions/block_cache.h"
#include "versions/sstable_block.h"

/* A block of one entry whose key tells its number. */
static struct sstable_block *block_of(unsigned number, size_t value_n)
{
	struct sstable_block *b = sstable_block_new(3 + 12 + value_n + 8 + 2);
	char *p = b->payload;

	memset(p, 0, b->payload_n);
	p[1] = 12;
	p[2] = (char)(value_n & 0x7f) | (char)0x80;
	p[3] = (char)((value_n >> 7 & 0x7f) | 0x80);
	p[4] = (char)(value_n >> 14);
	memcpy(p + 5, &number, sizeof(number));
	p[b->payload_n - 4] = 1;
	assert_null(sstable_block_verify(b, SST_KEYS_SORTED));
	return b;
}

static bool is(const struct sstable_block *b, unsigned number)
{
	return memcmp(b->first.p, &number, sizeof(number)) == 0;
}

static void put(struct block_cache *c, uint64_t file, uint64_t offset, unsigned number)
{
	struct sstable_block *b = block_of(number, 4000);

	block_cache_put(c, file, offset, b);
	sstable_block_unref(b);
}

static bool has(struct block_cache *c, uint64_t file, uint64_t offset, unsigned number)
{
	struct sstable_block *b = block_cache_get(c, file, offset);
	bool ret = b && is(b, number);

	assert_true(!b || ret);
	sstable_block_unref(b);
	return ret;
}

static void test_block_cache__keeps_by_file_and_offset(void **state)
{
	struct block_cache *c = block_cache_new(1 << 20);
	struct block_cache_stats stats;

	put(c, 1, 100, 7);
	put(c, 2, 100, 8);
	put(c, 1, 200, 9);
	assert_true(has(c, 1, 100, 7));
	assert_true(has(c, 2, 100, 8));
	assert_true(has(c, 1, 200, 9));
	assert_false(has(c, 2, 200, 0));
	put(c, 1, 100, 7);
	block_cache_stats(c, &stats);
	assert_int_equal(stats.blocks, 3);
	assert_int_equal(stats.hits, 3);
	assert_int_equal(stats.misses, 1);
	assert_int_equal(stats.evictions, 0);
	block_cache_free(c);
}

static void test_block_cache__least_recently_used_goes(void **state)
{
	struct block_cache *c = block_cache_new(100 << 10);
	struct block_cache_stats stats;

	for (unsigned i = 0; i < 100; i++) {
		put(c, 1, i, i);
		assert_true(has(c, 1, 0, 0));
	}
	assert_false(has(c, 1, 1, 1));
	assert_true(has(c, 1, 99, 99));
	block_cache_stats(c, &stats);
	assert_true(stats.bytes <= 100 << 10 && stats.bytes > 90 << 10);
	assert_int_equal(stats.blocks + stats.evictions, 100);
	block_cache_free(c);
}

static void test_block_cache__bound_holds_over_shards(void **state)
{
	struct block_cache *c = block_cache_new(4 << 20);
	struct block_cache_stats stats;

	for (unsigned i = 0; i < 4000; i++)
		put(c, i % 5, i, i);
	block_cache_stats(c, &stats);
	assert_true(stats.bytes <= 4 << 20 && stats.bytes > 3 << 20);
	block_cache_free(c);
}

static void test_block_cache__used_block_survives(void **state)
{
	struct block_cache *c = block_cache_new(20 << 10);
	struct sstable_block *b;

	put(c, 1, 0, 42);
	b = block_cache_get(c, 1, 0);
	for (unsigned i = 1; i < 100; i++)
		put(c, 1, i, i);
	assert_null(block_cache_get(c, 1, 0));
	block_cache_free(c);
	assert_true(is(b, 42));
	sstable_block_unref(b);
}

/* It would drive out all others. */
static void test_block_cache__too_large(void **state)
{
	struct block_cache *c = block_cache_new(100 << 10);
	struct sstable_block *b = block_of(1, 60 << 10);
	struct block_cache_stats stats;

	put(c, 1, 0, 0);
	block_cache_put(c, 1, 1, b);
	sstable_block_unref(b);
	assert_null(block_cache_get(c, 1, 1));
	assert_true(has(c, 1, 0, 0));
	block_cache_stats(c, &stats);
	assert_int_equal(stats.blocks, 1);
	block_cache_free(c);
}

static void test_block_cache__file_numbers(void **state)
{
	struct block_cache *c = block_cache_new(0);
	uint64_t first = block_cache_file(c);

	assert_int_not_equal(first, 0);
	assert_int_not_equal(block_cache_file(c), first);
	put(c, first, 0, 1);
	assert_false(has(c, first, 0, 1));
	block_cache_free(c);
	block_cache_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_cache__keeps_by_file_and_offset),
		cmocka_unit_test(test_block_cache__least_recently_used_goes),
		cmocka_unit_test(test_block_cache__bound_holds_over_shards),
		cmocka_unit_test(test_block_cache__used_block_survives),
		cmocka_unit_test(test_block_cache__too_large),
		cmocka_unit_test(test_block_cache__file_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
