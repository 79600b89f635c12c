/* Tables that real lakeFS wrote: read, identified, and written again. */
#include "tests/versions/table_files.h"

#include <stdlib.h>

#include "base/encode.h"
#include "versions/record.h"
#include "versions/snappy.h"
#include "versions/sstable_file.h"

/* In both namespaces together. */
enum { RANGES = 34, METARANGES = 19, RECORDS = 7253 };

static struct arena *a;
static struct err err;
static struct fixture_table tables[FIXTURE_TABLES_MAX];
static size_t tables_n;

static int setup(void **state)
{
	a = arena_new();
	tables_n = fixture_tables(a, tables);
	return 0;
}

static int teardown(void **state)
{
	arena_free(a);
	return 0;
}

static struct sstable *open_table(struct mem_file *f, const struct fixture_table *from)
{
	struct sstable_source source;
	struct sstable *t = NULL;

	*f = (struct mem_file){.bytes = from->bytes};
	source = mem_source(f);
	assert_ok(sstable_open(&source, NULL, &t, &err));
	return t;
}

static uint64_t number(struct str decimal)
{
	uint64_t v = 0;

	assert_true(str_to_u64(decimal, &v));
	return v;
}

/* FORMATS.md 13: verify_ids.py counts the same. */
static void test_sstable_lakefs__identities(void **state)
{
	size_t ranges = 0, metaranges = 0, records = 0;

	for (size_t i = 0; i < tables_n; i++) {
		struct mem_file f;
		struct sstable *t = open_table(&f, &tables[i]);
		char id[SSTABLE_ID_LEN + 1];
		uint64_t count;

		assert_ok(sstable_identity(t, id, &count, &err));
		assert_cstr(tables[i].id, id);
		assert_int_equal(count, number(sstable_property(t, STR("count"))));
		if (str_eq(sstable_property(t, STR("type")), STR("ranges")))
			ranges++;
		else
			metaranges++;
		records += count;
		sstable_unref(t);
		assert_int_equal(f.closed, 1);
	}
	assert_int_equal(ranges, RANGES);
	assert_int_equal(metaranges, METARANGES);
	assert_int_equal(records, RECORDS);
}

/* Every key is found, what lies beside it isn't, and all values are records. */
static void look_up_all(struct sstable *t)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = sstable_iter_new(t, SSTABLE_KEEP);
	struct arena_mark mark = arena_mark(a);
	struct sstable_record r, first;
	struct str last = STR_NONE;
	bool end;

	for (unsigned i = 0;; i++) {
		struct record parts;
		struct str value;

		assert_ok(sstable_iter_next(it, &r, &end, &err));
		if (end)
			break;
		assert_ok(record_decode(r.key, r.value, &parts, &err));
		assert_true(parts.identity.n == 32 || parts.identity.n == 64 ||
			    parts.identity.n < 32);
		if (i % 7)
			continue;
		assert_ok(sstable_get(t, r.key, a, &value, &err));
		assert_str(value, r.value);
		last = arena_dup(a, r.key);
		value = arena_join(a, (struct str[]){r.key, STR("\0")}, 2);
		assert_true(rc_is(sstable_get(t, value, a, &value, &err), NOT_FOUND));
	}
	if (last.p) {
		assert_ok(sstable_iter_seek(it, last, &err));
		assert_ok(sstable_iter_next(it, &first, &end, &err));
		assert_false(end);
		assert_str(first.key, last);
	}
	arena_rewind(a, mark);
}

static void test_sstable_lakefs__look_ups(void **state)
{
	for (size_t i = 0; i < tables_n; i++) {
		struct mem_file f;
		struct sstable *t = open_table(&f, &tables[i]);

		look_up_all(t);
		sstable_unref(t);
	}
}

static void test_sstable_lakefs__two_levels(void **state)
{
	size_t found = 0;

	for (size_t i = 0; i < tables_n; i++) {
		struct mem_file f;
		struct sstable *t = open_table(&f, &tables[i]);

		if (t->two_levels) {
			assert_str(sstable_property(t, STR("count")), STR("6000"));
			assert_str(sstable_property(t, STR("rocksdb.index.partitions")), STR("\x03"));
			found++;
		}
		sstable_unref(t);
	}
	assert_int_equal(found, 1);
}

/* The blocks of a file with what they hold, so that a writer can be made to choose as lakeFS's did. */
struct choices {
	struct {
		struct sstable_block *raw;
		struct str stored;
	} block[1024];
	size_t n;
	bool all_known;
};

static size_t choose(void *ud, const void *raw, size_t n, void *out)
{
	struct choices *c = ud;

	for (size_t i = 0; i < c->n; i++) {
		struct str stored = c->block[i].stored;

		if (!str_eq(str_make(c->block[i].raw->payload, c->block[i].raw->payload_n),
			    str_make(raw, n)))
			continue;
		memcpy(out, stored.p, stored.n);
		return stored.n == n ? 0 : stored.n;
	}
	c->all_known = false;
	return 0;
}

static void add_choice(struct choices *c, struct sstable *t, struct mem_file *f,
		       const struct sst_kind *kind, struct sst_handle h)
{
	assert_true(c->n < 1024);
	assert_ok(sstable_block_read(t, kind, h, &c->block[c->n].raw, &err));
	c->block[c->n++].stored = str_make(f->bytes.p + h.offset, h.length);
}

static void add_index(struct choices *c, struct sstable *t, struct mem_file *f, struct sst_handle h,
		      bool top)
{
	struct sst_cursor at = {0};
	struct str key, value;

	add_choice(c, t, f, &sst_index, h);
	sst_cursor_start(&at, c->block[c->n - 1].raw);
	while (sst_cursor_next(&at, &key, &value)) {
		const char *p = value.p;
		struct sst_handle to;

		assert_true(sst_handle(&p, value.p + value.n, &to));
		if (top)
			add_index(c, t, f, to, false);
		else
			add_choice(c, t, f, &sst_data, to);
	}
	sst_cursor_deinit(&at);
}

static struct choices *choices_of(struct sstable *t, struct mem_file *f)
{
	struct choices *c = calloc(1, sizeof(*c));
	const char *footer = f->bytes.p + f->bytes.n - SST_FOOTER, *p = footer + 1;
	struct sst_handle metaindex, index;

	c->all_known = true;
	assert_true(sst_handle(&p, footer + 41, &metaindex) && sst_handle(&p, footer + 41, &index));
	add_index(c, t, f, index, t->two_levels);
	return c;
}

static void choices_free(struct choices *c)
{
	for (size_t i = 0; i < c->n; i++)
		sstable_block_unref(c->block[i].raw);
	free(c);
}

static void write_again(struct sstable *t, struct choices *c, struct buf *to,
			struct sstable_summary *ret)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = sstable_iter_new(t, SSTABLE_PASSING);
	struct meta props[16];
	size_t n, kept = 0;
	const struct meta *user = sstable_user_properties(t, &n);
	struct sstable_writer *w;
	struct sstable_record r;
	bool end;

	for (size_t i = 0; i < n; i++)
		if (!str_eq(user[i].key, STR("count")) && !str_ends(user[i].key, STR("_key")) &&
		    !str_eq(user[i].key, STR("estimated_size_bytes")))
			props[kept++] = user[i];
	w = sstable_writer_new(&(struct sstable_writer_options){
		.append = buf_append,
		.ud = to,
		.props = props,
		.props_n = kept,
		.compress = c ? choose : NULL,
		.compress_ud = c,
	});
	for (;;) {
		assert_ok(sstable_iter_next(it, &r, &end, &err));
		if (end)
			break;
		assert_ok(sstable_writer_add(w, r.key, r.value, &err));
	}
	assert_ok(sstable_writer_finish(w, ret, &err));
	sstable_writer_free(w);
	assert_int_equal(ret->file_size, to->n);
}

/* With lakeFS's own choice of compressed bytes, all else must be the same, byte for byte. */
static void test_sstable_lakefs__written_again_identical(void **state)
{
	for (size_t i = 0; i < tables_n; i++) {
		struct buf again = BUF_INIT(FILE_MAX_BYTES);
		struct mem_file f;
		struct sstable *t = open_table(&f, &tables[i]);
		struct choices *c = choices_of(t, &f);
		struct sstable_summary s;

		write_again(t, c, &again, &s);
		assert_true(c->all_known);
		assert_cstr(tables[i].id, s.id);
		assert_int_equal(s.estimated_size,
				 number(sstable_property(t, STR("estimated_size_bytes"))));
		if (!str_eq(buf_str(&again), f.bytes))
			fail_msg("table %.*s is not identical", STR_ARG(tables[i].id));
		choices_free(c);
		sstable_unref(t);
		buf_deinit(&again);
	}
}

/* libsnappy doesn't always choose as lakeFS's compressor does: what is in the table must be the same, and
 * only block offsets and estimates may differ. */
static void test_sstable_lakefs__written_again(void **state)
{
	size_t identical = 0;

	for (size_t i = 0; i < tables_n; i++) {
		struct buf again = BUF_INIT(FILE_MAX_BYTES);
		struct mem_file f, g;
		struct sstable *t = open_table(&f, &tables[i]), *u;
		struct sstable_summary s;
		char id[SSTABLE_ID_LEN + 1];

		write_again(t, NULL, &again, &s);
		u = open_table(&g, &(struct fixture_table){.bytes = buf_str(&again)});
		assert_ok(sstable_identity(u, id, NULL, &err));
		assert_cstr(tables[i].id, id);
		for (size_t k = 0; k < t->props_n; k++) {
			assert_str(u->props[k].key, t->props[k].key);
			if (!str_eq(t->props[k].key, STR("rocksdb.data.size")) &&
			    !str_eq(t->props[k].key, STR("rocksdb.index.size")) &&
			    !str_eq(t->props[k].key, STR("rocksdb.top-level.index.size")) &&
			    !str_eq(t->props[k].key, STR("estimated_size_bytes")))
				assert_str(u->props[k].value, t->props[k].value);
		}
		identical += str_eq(buf_str(&again), f.bytes);
		sstable_unref(u);
		sstable_unref(t);
		buf_deinit(&again);
	}
	print_message("%zu of %zu are identical to the byte\n", identical, tables_n);
	assert_true(identical > 0);
}

/* FORMATS.md 2 shows its bytes; these are the pieces around the properties, which are 756 bytes. */
static void test_sstable_lakefs__minimal(void **state)
{
	static const struct {
		size_t at;
		const char *hex;
	} pieces[] = {
		{0, "000b05" "6b6579" "0100000000000000" "76616c7565" "0000000001000000" "00" "3693565c"},
		{32, "000902" "6c" "11ffffffffffffff" "001b" "0000000001000000" "00" "556078c8"},
		{820, "001203" "726f636b7364622e70726f70657274696573" "3bf405" "0000000001000000" "00"
		      "bacade02"},
		{857, "01" "b40620" "2016"},
		{857 + 41, "02000000" "f7cff485b741e288"},
	};
	struct buf out = BUF_INIT(1 << 16);
	struct meta type = {STR("type"), STR("ranges")};
	struct sstable_writer *w = sstable_writer_new(&(struct sstable_writer_options){
		.append = buf_append, .ud = &out, .props = &type, .props_n = 1});
	struct sstable_summary s;

	assert_ok(sstable_writer_add(w, STR("key"), STR("value"), &err));
	assert_ok(sstable_writer_finish(w, &s, &err));
	assert_int_equal(s.estimated_size, 31);
	assert_int_equal(s.count, 1);
	assert_int_equal(out.n, 857 + 53);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct str want;

		assert_true(hex_decode(a, str_c(pieces[i].hex), &want));
		assert_memory_equal(out.p + pieces[i].at, want.p, want.n);
	}
	for (size_t i = 857 + 7; i < 857 + 41; i++)
		assert_int_equal(out.p[i], 0);
	sstable_writer_free(w);
	buf_deinit(&out);
}

static void test_sstable_lakefs__identity_without_properties(void **state)
{
	struct buf out = BUF_INIT(1 << 16);
	struct sstable_writer *w = sstable_writer_new(&(struct sstable_writer_options){
		.append = buf_append, .ud = &out});
	struct sstable_summary s;

	assert_ok(sstable_writer_add(w, STR("key"), STR("value"), &err));
	assert_ok(sstable_writer_finish(w, &s, &err));
	assert_string_equal(s.id, "1f60902cb44890618d61597673a62e44cf526f5991d9db687141218985fe60b8");
	assert_str(s.min_key, STR("key"));
	assert_str(s.max_key, STR("key"));
	sstable_writer_free(w);
	buf_deinit(&out);
}

static void test_sstable_lakefs__empty_metarange(void **state)
{
	struct buf out = BUF_INIT(1 << 16);
	struct meta type = {STR("type"), STR("metaranges")};
	struct sstable_writer *w = sstable_writer_new(&(struct sstable_writer_options){
		.append = buf_append, .ud = &out, .props = &type, .props_n = 1});
	struct sstable_summary s;
	struct sstable_iter *it;
	struct sstable_record r;
	struct sstable *t;
	struct mem_file f;
	bool end = false;

	assert_ok(sstable_writer_finish(w, &s, &err));
	assert_string_equal(s.id, "00fb7eff1a97c500eb3ca8d2ef5464131d6b6a5f9512e41eba97843522213b66");
	assert_int_equal(s.count, 0);
	assert_int_equal(s.min_key.n + s.max_key.n, 0);
	t = open_table(&f, &(struct fixture_table){.bytes = buf_str(&out)});
	it = sstable_iter_new(t, SSTABLE_KEEP);
	assert_ok(sstable_iter_next(it, &r, &end, &err));
	assert_true(end);
	assert_ok(sstable_iter_seek(it, STR("a"), &err));
	assert_ok(sstable_iter_next(it, &r, &end, &err));
	assert_true(end);
	sstable_iter_close(it);
	sstable_unref(t);
	sstable_writer_free(w);
	buf_deinit(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sstable_lakefs__identities),
		cmocka_unit_test(test_sstable_lakefs__look_ups),
		cmocka_unit_test(test_sstable_lakefs__two_levels),
		cmocka_unit_test(test_sstable_lakefs__written_again_identical),
		cmocka_unit_test(test_sstable_lakefs__written_again),
		cmocka_unit_test(test_sstable_lakefs__minimal),
		cmocka_unit_test(test_sstable_lakefs__identity_without_properties),
		cmocka_unit_test(test_sstable_lakefs__empty_metarange),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
