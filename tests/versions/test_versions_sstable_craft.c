/* Tables put together by hand, with good checksums: what others may write and must be read, and what
 * nobody may. */
#include "tests/versions/table_files.h"

#include <stdio.h>

#include "versions/snappy.h"
#include "versions/sstable_build.h"

/* RocksDB's kinds, as they stand in keys' trailers. */
#define DELETION "\0\x2a\0\0\0\0\0\0"
#define SEPARATOR "\x16\xff\xff\xff\xff\xff\xff\xff"

static struct err err;

struct craft {
	struct buf file, got;
	struct sst_builder data, index, props;
	struct sst_handle at; /* of the block added last */
	uint8_t index_type;   /* what compression its index claims to have */
};

static void begin(struct craft *c)
{
	*c = (struct craft){.file = BUF_INIT(8 << 20), .got = BUF_INIT(8 << 20)};
	sst_builder_init(&c->data, 3, 8 << 20);
	sst_builder_init(&c->index, 2, 8 << 20);
	sst_builder_init(&c->props, 1, 8 << 20);
}

static void add_block(struct craft *c, struct str payload, uint8_t type)
{
	char trailer[SST_BLOCK_TRAILER] = {(char)type};

	c->at = (struct sst_handle){c->file.n, payload.n};
	buf_add(&c->file, payload);
	buf_add(&c->file, str_make(trailer, sizeof(trailer)));
	sst_put32(c->file.p + c->file.n - 4, sst_crc(c->file.p + c->at.offset, payload.n + 1));
}

static struct str handle_bytes(struct sst_handle h, char room[SST_HANDLE_MAX])
{
	size_t n = 0;

	for (int part = 0; part < 2; part++) {
		uint64_t v = part ? h.length : h.offset;

		for (; v > 0x7f; v >>= 7)
			room[n++] = (char)(v | 0x80);
		room[n++] = (char)v;
	}
	return str_make(room, n);
}

static void point_at(struct craft *c, const char *separator, struct sst_handle h)
{
	char room[SST_HANDLE_MAX];

	assert_true(sst_builder_add(&c->index, str_c(separator), SEPARATOR, handle_bytes(h, room)));
}

/* A data block of one-letter keys, and its entry in the index. */
static void add_data(struct craft *c, const char *keys, const char *separator)
{
	sst_builder_reset(&c->data);
	for (; *keys; keys++)
		sst_builder_add(&c->data, str_make(keys, 1), DELETION, STR("v"));
	add_block(c, sst_builder_finish(&c->data), SST_RAW);
	point_at(c, separator, c->at);
}

static void add_property(struct craft *c, const char *name, struct str value)
{
	assert_true(sst_builder_add(&c->props, str_c(name), NULL, value));
}

static void add_footer(struct craft *c, struct sst_handle metaindex, struct sst_handle index)
{
	char raw[SST_FOOTER] = {SST_CRC32C}, room[SST_HANDLE_MAX];
	struct str h = handle_bytes(metaindex, room);
	size_t n = 1;

	memcpy(raw + n, h.p, h.n);
	n += h.n;
	h = handle_bytes(index, room);
	memcpy(raw + n, h.p, h.n);
	sst_put32(raw + SST_FOOTER_HANDLES_END, SST_VERSION);
	memcpy(raw + SST_FOOTER - 8, SST_MAGIC, 8);
	buf_add(&c->file, str_make(raw, sizeof(raw)));
}

static struct sst_handle add_metaindex(struct craft *c)
{
	char room[SST_HANDLE_MAX];
	struct sst_builder meta;

	sst_builder_init(&meta, 1, 4096);
	sst_builder_add(&meta, STR("filter.of.another"), NULL, STR("\x01\x02"));
	if (c->props.n) {
		add_block(c, sst_builder_finish(&c->props), SST_RAW);
		sst_builder_add(&meta, STR(SST_PROPERTIES), NULL, handle_bytes(c->at, room));
	}
	add_block(c, sst_builder_finish(&meta), SST_RAW);
	sst_builder_deinit(&meta);
	return c->at;
}

static rc scan(struct sstable *t, struct buf *keys)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = sstable_iter_new(t, SSTABLE_KEEP);
	struct sstable_record r;
	bool end;

	for (;;) {
		TRY(sstable_iter_next(it, &r, &end, &err));
		if (end)
			return RC_OK;
		buf_add(keys, r.key);
	}
}

static rc read_keys(struct str file, struct buf *keys)
{
	struct mem_file f = {.bytes = file};
	struct sstable_source source = mem_source(&f);
	CLEANUP(sstable_unrefp) struct sstable *t = NULL;

	buf_reset(keys);
	err.msg[0] = '\0';
	TRY(sstable_open(&source, NULL, &t, &err));
	return scan(t, keys);
}

static rc end(struct craft *c)
{
	struct sst_handle index;

	add_block(c, sst_builder_finish(&c->index), c->index_type);
	index = c->at;
	add_footer(c, add_metaindex(c), index);
	return read_keys(buf_str(&c->file), &c->got);
}

static void drop(struct craft *c)
{
	buf_deinit(&c->file);
	buf_deinit(&c->got);
	sst_builder_deinit(&c->data);
	sst_builder_deinit(&c->index);
	sst_builder_deinit(&c->props);
}

#define expect_keys(c, keys)                                                                       \
	do {                                                                                       \
		assert_ok(end(c));                                                                 \
		assert_cstr(buf_str(&(c)->got), keys);                                             \
		drop(c);                                                                           \
	} while (0)

#define expect_refusal(c, errcode, word)                                                           \
	do {                                                                                       \
		assert_true(rc_is(end(c), errcode));                                               \
		if (!strstr(err.msg, word))                                                        \
			fail_msg("\"%s\" lacks \"%s\"", err.msg, word);                            \
		drop(c);                                                                           \
	} while (0)

/* No properties, other restarts, other kinds, an index that doesn't shorten. */
static void test_sstable_craft__foreign(void **state)
{
	struct craft c;

	begin(&c);
	add_data(&c, "abcdefg", "g");
	add_data(&c, "hijk", "k");
	add_data(&c, "z", "z");
	expect_keys(&c, "abcdefghijkz");
}

/* RocksDB's way of having nothing: an index without entries. */
static void test_sstable_craft__no_blocks(void **state)
{
	struct craft c;

	begin(&c);
	expect_keys(&c, "");
}

static void test_sstable_craft__compressed(void **state)
{
	char packed[256];
	struct craft c;
	struct str raw;

	begin(&c);
	for (const char *k = "abc"; *k; k++)
		sst_builder_add(&c.data, str_make(k, 1), DELETION, STR("v"));
	raw = sst_builder_finish(&c.data);
	assert_true(snappy_max(raw.n) <= sizeof(packed));
	add_block(&c, str_make(packed, snappy_pack(raw.p, raw.n, packed)), SST_SNAPPY);
	point_at(&c, "c", c.at);
	expect_keys(&c, "abc");
}

static void test_sstable_craft__order(void **state)
{
	static const struct {
		const char *first, *first_key, *second, *second_key, *word;
	} bad[] = {
		{"ba", "b", "c", "c", "ascending"},	     /* within a block */
		{"aa", "a", "c", "c", "ascending"},	     /* twice */
		{"abc", "b", "d", "d", "last key"},	     /* beyond its key in the index */
		{"abc", "d", "d", "e", "first key"},	     /* before the end of the one before */
		{"ab", "c", "de", "b", "ascending"},	     /* the index itself */
		{"ab", "b", "", "c", "empty"},
		{"", "b", "c", "c", "empty"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct craft c;

		begin(&c);
		add_data(&c, bad[i].first, bad[i].first_key);
		add_data(&c, bad[i].second, bad[i].second_key);
		expect_refusal(&c, CORRUPT, bad[i].word);
	}
}

static void test_sstable_craft__properties(void **state)
{
	static const struct {
		const char *name;
		struct str value;
		const char *word; /* NULL: it is read */
	} cases[] = {
		{"rocksdb.comparator", STR("leveldb.BytewiseComparator"), NULL},
		{"rocksdb.comparator", STR("rocksdb.ReverseBytewiseComparator"), "comparator"},
		{"rocksdb.merge.operator", STR("nullptr"), NULL},
		{"rocksdb.merge.operator", STR("pebble.concatenate"), NULL},
		{"rocksdb.merge.operator", STR("uint64add"), "uint64add"},
		{"rocksdb.index.key.is.user.key", STR("\0"), NULL},
		{"rocksdb.index.key.is.user.key", STR("\1"), "user.key"},
		{"rocksdb.index.value.is.delta.encoded", STR("\1"), "delta"},
		{"rocksdb.block.based.table.index.type", STR("\1\0\0\0"), NULL},
		{"rocksdb.block.based.table.index.type", STR("\3\0\0\0"), "type 3"},
		{"unheard.of", STR("what"), NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct craft c;

		begin(&c);
		add_data(&c, "abc", "c");
		add_property(&c, cases[i].name, cases[i].value);
		if (cases[i].word)
			expect_refusal(&c, UNSUPPORTED, cases[i].word);
		else
			expect_keys(&c, "abc");
	}
}

static void test_sstable_craft__too_many_properties(void **state)
{
	char name[8] = "p000000";
	struct craft c;

	begin(&c);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "p%06u", i);
		add_property(&c, name, STR(""));
	}
	expect_refusal(&c, CORRUPT, "too many");
}

/* A little block that shares a long name with itself again and again. */
static void test_sstable_craft__properties_that_swell(void **state)
{
	static char name[8000];
	struct craft c;

	memset(name, 'n', sizeof(name));
	begin(&c);
	sst_builder_deinit(&c.props);
	sst_builder_init(&c.props, 1000, 1 << 20);
	for (unsigned i = 0; i < 900; i++) {
		name[sizeof(name) - 2] = (char)('0' + i / 30);
		name[sizeof(name) - 1] = (char)('0' + i % 30);
		assert_true(sst_builder_add(&c.props, str_make(name, sizeof(name)), NULL, STR("")));
	}
	assert_true(sst_builder_size(&c.props) < 20000);
	expect_refusal(&c, CORRUPT, "too many");
}

static void test_sstable_craft__malformed_blocks(void **state)
{
	static const struct {
		struct str payload;
		const char *word;
	} bad[] = {
		{STR(""), "too short"},
		{STR("\1\0\0\0"), "too short"},
		{STR("\0\0\0\0\0\0\0\0"), "restarts"},
		{STR("\0\0\0\0\2\0\0\0"), "restarts"},
		{STR("\0\0\0\0\xff\xff\xff\xff"), "restarts"},
		{STR("\1\0\0\0\1\0\0\0"), "start"},
		{STR("\0\0\0\0\0\0\0\0\2\0\0\0"), "empty"},
		{STR("\0\x09\1a" DELETION "\0\0\0\0\1\0\0\0"), "exceeds"}, /* value */
		{STR("\0\x7f\0a" DELETION "\0\0\0\0\1\0\0\0"), "exceeds"},
		{STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0\0\1\0\0\0"), "exceeds"},
		{STR("\1\x08\0" DELETION "\0\0\0\0\1\0\0\0"), "restart shares"},
		{STR("\0\x07\0abcdefg\0\0\0\0\1\0\0\0"), "too short"},
		{STR("\0\x09\0a" DELETION "\x0a\x09\0b" DELETION "\0\0\0\0\1\0\0\0"), "shares more"},
		{STR("\0\x09\0a" DELETION "\0\0\0\0\5\0\0\0\2\0\0\0"), "not at an entry"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct craft c;

		begin(&c);
		add_block(&c, bad[i].payload, SST_RAW);
		point_at(&c, "x", c.at);
		expect_refusal(&c, CORRUPT, bad[i].word);
	}
}

static void test_sstable_craft__compression(void **state)
{
	static const struct {
		struct str payload;
		uint8_t type;
		bool foreign; /* not damaged: unsupported */
		const char *word;
	} bad[] = {
		{STR(""), SST_SNAPPY, false, "not well compressed"},
		{STR("\xff\xff\xff\xff\xff\xff"), SST_SNAPPY, false, "not well compressed"},
		{STR("\xff\xff\xff\xff\x0f" "aaaaaaaa"), SST_SNAPPY, false, "not well compressed"}, /* 4 GiB */
		{STR("\x20" "\x04" "aa"), SST_SNAPPY, false, "not well compressed"},
		{STR("anything"), SST_ZSTD, true, "Zstandard"},
		{STR("anything"), 42, true, "unknown compression"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct craft c;

		begin(&c);
		add_block(&c, bad[i].payload, bad[i].type);
		point_at(&c, "x", c.at);
		if (bad[i].foreign)
			expect_refusal(&c, UNSUPPORTED, bad[i].word);
		else
			expect_refusal(&c, CORRUPT, bad[i].word);
	}
}

/* Small in the file, but past the bound once it is uncompressed. */
static void test_sstable_craft__bomb(void **state)
{
	struct arena *a = arena_new();
	size_t n = SSTABLE_BLOCK_MAX + 1;
	char *packed = arena_alloc(a, snappy_max(n));
	struct craft c;

	begin(&c);
	n = snappy_pack(arena_zalloc(a, n), n, packed);
	add_block(&c, str_make(packed, n), SST_SNAPPY);
	point_at(&c, "x", c.at);
	expect_refusal(&c, CORRUPT, "too large when uncompressed");
	arena_free(a);
}

static void test_sstable_craft__handles(void **state)
{
	static const struct sst_handle bad[] = {
		{0, 1 << 20}, {1 << 20, 8}, {UINT64_MAX, 8}, {UINT64_MAX - 12, 8}, {8, UINT64_MAX}, {0, UINT64_MAX},
	};
	struct craft c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(&c);
		point_at(&c, "x", bad[i]);
		expect_refusal(&c, CORRUPT, "not within the file");
	}
	begin(&c);
	sst_builder_add(&c.index, STR("x"), SEPARATOR, STR("\x80"));
	expect_refusal(&c, CORRUPT, "malformed");
	begin(&c);
	sst_builder_add(&c.index, STR("x"), SEPARATOR, STR("\1\2\3"));
	expect_refusal(&c, CORRUPT, "malformed");
}

/* An index of two levels: good, with a hole, and one that is its own partition. */
static void test_sstable_craft__two_levels(void **state)
{
	static const struct {
		const char *top_key, *word;
	} cases[] = {{"g", NULL}, {"x", NULL}, {"c", "last key"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct craft c;

		begin(&c);
		add_data(&c, "ab", "c");
		add_data(&c, "ef", "g");
		add_block(&c, sst_builder_finish(&c.index), SST_RAW);
		sst_builder_reset(&c.index);
		point_at(&c, cases[i].top_key, c.at);
		add_property(&c, "rocksdb.block.based.table.index.type", STR("\2\0\0\0"));
		if (cases[i].word)
			expect_refusal(&c, CORRUPT, cases[i].word);
		else
			expect_keys(&c, "abef");
	}
}

static void test_sstable_craft__index_within_itself(void **state)
{
	struct craft c;
	struct sst_handle self = {0, 23};

	begin(&c);
	point_at(&c, "x", self);
	assert_int_equal(sst_builder_size(&c.index), self.length - 1);
	sst_builder_reset(&c.index);
	self.length = 22;
	point_at(&c, "x", self);
	add_property(&c, "rocksdb.block.based.table.index.type", STR("\2\0\0\0"));
	/* The index is its own partition and its own data: one record, the index's. */
	expect_keys(&c, "x");
}

static void test_sstable_craft__footer(void **state)
{
	static const struct {
		size_t at;
		struct str bytes;
		bool foreign;
		const char *word;
	} cases[] = {
		{0, STR("\3"), true, "xxHash64"},
		{0, STR("\0"), false, "checksum"},
		{1, STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false, "malformed"},
		{41, STR("\5"), true, "version 5"},
		{45, STR("\x57\xfb\x80\x8b\x24\x75\x47\xdb"), false, "no table"}, /* LevelDB's */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct craft c;
		rc done;

		begin(&c);
		add_data(&c, "abc", "c");
		assert_ok(end(&c));
		memcpy(c.file.p + c.file.n - SST_FOOTER + cases[i].at, cases[i].bytes.p,
		       cases[i].bytes.n);
		done = read_keys(buf_str(&c.file), &c.got);
		assert_true(cases[i].foreign ? rc_is(done, UNSUPPORTED) : rc_is(done, CORRUPT));
		assert_non_null(strstr(err.msg, cases[i].word));
		drop(&c);
	}
}

/* Keys that share bytes of the trailer before them, as this format's writers may. */
static void test_sstable_craft__sharing_trailers(void **state)
{
	struct craft c;

	begin(&c);
	sst_builder_add(&c.data, STR("a"), DELETION, STR("v"));
	sst_builder_add(&c.data, STR("a\0\x2a\0\0b"), DELETION, STR("v"));
	add_block(&c, sst_builder_finish(&c.data), SST_RAW);
	point_at(&c, "b", c.at);
	assert_ok(end(&c));
	assert_str(buf_str(&c.got), STR("aa\0\x2a\0\0b"));
	drop(&c);
	/* The whole key before, trailer and all: the same user key twice. */
	begin(&c);
	add_block(&c, STR("\0\x09\0a" DELETION "\x09\0\0\0\0\0\0\1\0\0\0"), SST_RAW);
	point_at(&c, "b", c.at);
	expect_refusal(&c, CORRUPT, "ascending");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sstable_craft__foreign),
		cmocka_unit_test(test_sstable_craft__no_blocks),
		cmocka_unit_test(test_sstable_craft__compressed),
		cmocka_unit_test(test_sstable_craft__order),
		cmocka_unit_test(test_sstable_craft__properties),
		cmocka_unit_test(test_sstable_craft__too_many_properties),
		cmocka_unit_test(test_sstable_craft__properties_that_swell),
		cmocka_unit_test(test_sstable_craft__malformed_blocks),
		cmocka_unit_test(test_sstable_craft__compression),
		cmocka_unit_test(test_sstable_craft__bomb),
		cmocka_unit_test(test_sstable_craft__handles),
		cmocka_unit_test(test_sstable_craft__two_levels),
		cmocka_unit_test(test_sstable_craft__index_within_itself),
		cmocka_unit_test(test_sstable_craft__footer),
		cmocka_unit_test(test_sstable_craft__sharing_trailers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
