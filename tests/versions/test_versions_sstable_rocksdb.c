/* RocksDB as the judge: it takes what we wrote, and we read what it writes in this format. */
#include "tests/versions/table_files.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct err err;
static char *failed; /* RocksDB's errors */

#define assert_rocksdb()                                                                           \
	do {                                                                                       \
		if (failed)                                                                        \
			fail_msg("%s", failed);                                                    \
	} while (0)

static void write_file(const char *path, struct str bytes)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
	fclose(f);
}

static void expect_all(rocksdb_iterator_t *it, const struct sstable_record *r, size_t n)
{
	size_t i = 0;

	for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it), i++) {
		size_t key_n, value_n;
		const char *key = rocksdb_iter_key(it, &key_n);
		const char *value = rocksdb_iter_value(it, &value_n);

		assert_true(i < n);
		assert_str(str_make(key, key_n), r[i].key);
		assert_true(str_eq(str_make(value, value_n), r[i].value));
	}
	rocksdb_iter_get_error(it, &failed);
	assert_rocksdb();
	assert_int_equal(i, n);
}

static void ingest_and_expect(const char *folder, const char *file, const struct sstable_record *r,
			      size_t n)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_readoptions_t *ro = rocksdb_readoptions_create();
	rocksdb_ingestexternalfileoptions_t *io = rocksdb_ingestexternalfileoptions_create();
	rocksdb_iterator_t *it;
	rocksdb_t *db;

	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_readoptions_set_verify_checksums(ro, 1);
	db = rocksdb_open(o, folder, &failed);
	assert_rocksdb();
	rocksdb_ingest_external_file(db, &file, 1, io, &failed);
	assert_rocksdb();
	it = rocksdb_create_iterator(db, ro);
	expect_all(it, r, n);
	rocksdb_iter_destroy(it);
	rocksdb_close(db);
	rocksdb_destroy_db(o, folder, &failed);
	rocksdb_ingestexternalfileoptions_destroy(io);
	rocksdb_readoptions_destroy(ro);
	rocksdb_options_destroy(o);
}

static void test_sstable_rocksdb__takes_ours(void **state)
{
	for (int shape = 0; shape < SHAPES; shape++) {
		char folder[] = "/tmp/sluice-test-XXXXXX";
		struct buf out = BUF_INIT(FILE_MAX_BYTES);
		size_t n = shape == SHAPE_LARGE ? 40 : 9000;
		struct arena *a = arena_new();
		struct sstable_record *r = table_records(a, (enum table_shape)shape, 17, &n);
		struct sstable_summary s;
		const char *file, *db;

		assert_non_null(mkdtemp(folder));
		file = arena_printf(a, "%s/table.sst", folder).p;
		db = arena_printf(a, "%s/db", folder).p;
		table_write(r, n, &out, &s);
		write_file(file, buf_str(&out));
		ingest_and_expect(db, file, r, n);
		unlink(file);
		rmdir(folder);
		buf_deinit(&out);
		arena_free(a);
	}
}

enum {
	ONE_LEVEL = rocksdb_block_based_table_index_type_binary_search,
	TWO_LEVELS = rocksdb_block_based_table_index_type_two_level_index_search,
};

struct variant {
	int index_type, compression, restart;
	size_t block;
};

static void rocksdb_writes(const struct variant *v, const char *file, const struct sstable_record *r,
			   size_t n)
{
	rocksdb_block_based_table_options_t *b = rocksdb_block_based_options_create();
	rocksdb_envoptions_t *env = rocksdb_envoptions_create();
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_sstfilewriter_t *w;

	rocksdb_block_based_options_set_format_version(b, 2);
	rocksdb_block_based_options_set_checksum(b, 1);
	rocksdb_block_based_options_set_index_type(b, v->index_type);
	rocksdb_block_based_options_set_block_restart_interval(b, v->restart);
	rocksdb_block_based_options_set_block_size(b, v->block);
	rocksdb_options_set_block_based_table_factory(o, b);
	rocksdb_options_set_compression(o, v->compression);
	w = rocksdb_sstfilewriter_create(env, o);
	rocksdb_sstfilewriter_open(w, file, &failed);
	for (size_t i = 0; i < n; i++)
		rocksdb_sstfilewriter_put(w, r[i].key.p, r[i].key.n, r[i].value.p, r[i].value.n,
					  &failed);
	rocksdb_sstfilewriter_finish(w, &failed);
	assert_rocksdb();
	rocksdb_sstfilewriter_destroy(w);
	rocksdb_options_destroy(o);
	rocksdb_envoptions_destroy(env);
	rocksdb_block_based_options_destroy(b);
}

static void read_and_expect(struct str bytes, const struct sstable_record *r, size_t n)
{
	struct mem_file f = {.bytes = bytes};
	struct sstable_source source = mem_source(&f);
	struct arena *a = arena_new();
	struct sstable_iter *it;
	struct sstable_record got;
	struct sstable *t;
	bool end;

	assert_ok(sstable_open(&source, NULL, &t, &err));
	it = sstable_iter_new(t, SSTABLE_KEEP);
	for (size_t i = 0; i <= n; i++) {
		assert_ok(sstable_iter_next(it, &got, &end, &err));
		assert_int_equal(end, i == n);
		if (end)
			break;
		assert_str(got.key, r[i].key);
		assert_true(str_eq(got.value, r[i].value));
	}
	for (size_t i = 0; i < n; i += 101) {
		struct str value;

		assert_ok(sstable_get(t, r[i].key, a, &value, &err));
		assert_true(str_eq(value, r[i].value));
	}
	sstable_iter_close(it);
	sstable_unref(t);
	arena_free(a);
}

static void test_sstable_rocksdb__ours_reads_its(void **state)
{
	static const struct variant variants[] = {
		{ONE_LEVEL, rocksdb_snappy_compression, 16, 4096}, /* as lakeFS */
		{TWO_LEVELS, rocksdb_no_compression, 16, 1024},
		{TWO_LEVELS, rocksdb_snappy_compression, 1, 512},
		{ONE_LEVEL, rocksdb_snappy_compression, 64, 16384},
	};

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		char file[] = "/tmp/sluice-test-XXXXXX";
		struct arena *a = arena_new();
		size_t n = 9000;
		struct sstable_record *r = table_records(a, SHAPE_PATHS, 19, &n);
		int fd = mkstemp(file);

		assert_true(fd >= 0);
		close(fd);
		rocksdb_writes(&variants[i], file, r, n);
		read_and_expect(read_file(a, file), r, n);
		unlink(file);
		arena_free(a);
	}
}

/* Its newer forms are told apart, not misread. */
static void test_sstable_rocksdb__newer_is_refused(void **state)
{
	for (int version = 3; version <= 5; version++) {
		char file[] = "/tmp/sluice-test-XXXXXX";
		rocksdb_block_based_table_options_t *b = rocksdb_block_based_options_create();
		rocksdb_envoptions_t *env = rocksdb_envoptions_create();
		rocksdb_options_t *o = rocksdb_options_create();
		struct arena *a = arena_new();
		rocksdb_sstfilewriter_t *w;
		struct sstable_source source;
		struct mem_file f = {0};
		struct sstable *t;

		close(mkstemp(file));
		rocksdb_block_based_options_set_format_version(b, version);
		rocksdb_options_set_block_based_table_factory(o, b);
		w = rocksdb_sstfilewriter_create(env, o);
		rocksdb_sstfilewriter_open(w, file, &failed);
		rocksdb_sstfilewriter_put(w, "k", 1, "v", 1, &failed);
		rocksdb_sstfilewriter_finish(w, &failed);
		assert_rocksdb();
		f.bytes = read_file(a, file);
		source = mem_source(&f);
		assert_true(rc_is(sstable_open(&source, NULL, &t, &err), UNSUPPORTED));
		assert_non_null(strstr(err.msg, "version"));
		rocksdb_sstfilewriter_destroy(w);
		rocksdb_options_destroy(o);
		rocksdb_envoptions_destroy(env);
		rocksdb_block_based_options_destroy(b);
		unlink(file);
		arena_free(a);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sstable_rocksdb__takes_ours),
		cmocka_unit_test(test_sstable_rocksdb__ours_reads_its),
		cmocka_unit_test(test_sstable_rocksdb__newer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
