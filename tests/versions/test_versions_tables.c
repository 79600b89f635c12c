/* Tables by id: who misses one fetches it once for all, the disk cache keeps its bound, and does without a disk. */
#include "tests/versions/world.h"

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "versions/internal.h"
#include "versions/mr_writer.h"

enum { RECORDS = 3000, READERS = 8 };

/* The store's reads, counted. */
static struct backend_blocking_ops counted;
static rc (*real_read)(struct backend *, const struct object_ptr *, uint64_t, void *, size_t, size_t *, struct err *);
static rc (*real_head)(struct backend *, const struct object_ptr *, struct arena *, struct backend_stat *, struct err *);
static atomic_uint reads, heads;

static rc count_read(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst, size_t n,
		     size_t *ret_n, struct err *reterr)
{
	atomic_fetch_add(&reads, 1);
	return real_read(b, p, offset, dst, n, ret_n, reterr);
}

static rc count_head(struct backend *b, const struct object_ptr *p, struct arena *a, struct backend_stat *ret,
		     struct err *reterr)
{
	atomic_fetch_add(&heads, 1);
	return real_head(b, p, a, ret, reterr);
}

static void count_calls(struct world *w)
{
	if (w->store->blocking != &counted) {
		counted = *w->store->blocking;
		real_read = counted.read;
		real_head = counted.head;
		counted.read = count_read;
		counted.head = count_head;
		w->store->blocking = &counted;
	}
	atomic_store(&reads, 0);
	atomic_store(&heads, 0);
}

static struct record record_of(struct arena *a, unsigned i)
{
	struct buf b = BUF_INIT(4096);
	struct record r;
	struct str value;
	uint8_t id[IDENTITY_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8)};

	record_encode(str_make(id, sizeof(id)), arena_printf(a, "data of %u", i), &b);
	value = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	assert_ok(record_decode(arena_printf(a, "key/%06u", i), value, &r, NULL));
	return r;
}

static struct str write_some(struct world *w, const struct repo *r)
{
	CLEANUP(mr_writer_freep) struct mr_writer *wr = NULL;
	struct mr_summary sum;

	assert_ok(mr_writer_new(&w->c, r, NULL, 0, &wr));
	for (unsigned i = 0; i < RECORDS; i++) {
		struct record rec = record_of(w->a, i);

		assert_ok(mr_writer_record(wr, rec.key, rec.value, &w->err));
	}
	assert_ok(mr_writer_finish(wr, w->a, &sum, &w->err));
	assert_true(sum.ranges > 50);
	return sum.id;
}

static void check_all(struct world *w, const struct repo *r, struct str id)
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;
	unsigned n = 0;

	assert_ok(mr_iter_open(&w->c, r, id, false, &it));
	for (;;) {
		assert_ok(mr_iter_next(it, &w->err));
		if (mr_iter_at(it) == MR_END)
			break;
		if (mr_iter_at(it) == MR_RECORD)
			assert_str(mr_iter_record(it)->value, record_of(w->a, n++).value);
	}
	assert_int_equal(n, RECORDS);
}

static uint64_t cached_bytes;

static int add_size(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	if (flag == FTW_F)
		cached_bytes += (uint64_t)st->st_size;
	return 0;
}

static int remove_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return flag == FTW_F ? remove(path) : 0;
}

struct reader {
	pthread_t id;
	struct world *w;
	const struct repo *r;
	struct str table;
	pthread_barrier_t *start;
};

static void *get_table(void *arg)
{
	struct reader *t = arg;
	struct err err;
	struct vcall c = {.v = t->w->v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};
	struct sstable *table;

	pthread_barrier_wait(t->start);
	assert_ok(table_get(&c, t->r, t->table, &table));
	sstable_unref(table);
	arena_free(c.a);
	return NULL;
}

static void test_tables__fetched_once(void **state)
{
	pthread_barrier_t start;
	struct reader t[READERS];
	struct world w;
	struct repo r;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	id = write_some(&w, &r);
	for (int round = 0; round < 20; round++) {
		world_restart(&w);
		nftw(w.cache, remove_file, 10, FTW_PHYS);
		world_restart(&w);
		count_calls(&w);
		pthread_barrier_init(&start, NULL, READERS);
		for (int i = 0; i < READERS; i++) {
			t[i] = (struct reader){.w = &w, .r = &r, .table = id, .start = &start};
			pthread_create(&t[i].id, NULL, get_table, &t[i]);
		}
		for (int i = 0; i < READERS; i++)
			pthread_join(t[i].id, NULL);
		assert_int_equal(atomic_load(&heads), 1);
		pthread_barrier_destroy(&start);
	}
	world_close(&w);
}

/* The bound holds while everything is read again and again, and what is on the disk isn't fetched. */
static void test_tables__disk_is_bounded(void **state)
{
	struct world w;
	struct repo r;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	id = write_some(&w, &r);
	for (int i = 0; i < 3; i++)
		check_all(&w, &r, id);
	cached_bytes = 0;
	nftw(w.cache, add_size, 10, FTW_PHYS);
	assert_true(cached_bytes > 0 && cached_bytes <= 256 * 1024);
	world_restart(&w);
	count_calls(&w);
	check_all(&w, &r, id);
	assert_int_equal(atomic_load(&reads), atomic_load(&heads)); /* each that was fetched: once, in one piece */
	world_close(&w);
}

/* A folder that can't be made: everything is read from the store itself. */
static void test_tables__without_a_disk(void **state)
{
	struct world w;
	struct repo r;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	id = write_some(&w, &r);
	versions_free(w.v);
	w.v = versions_new(&(struct versions_options){.kv = w.kv, .registry = w.registry, .meta = w.meta,
						       .data = w.data, .repo_cache_ms = 5000, .repo_cache_size = 10,
						       .block_prefix = STR("_lakefs"), .max_range_bytes = 4096,
						       .range_raggedness = 10});
	versions_open_tables(w.v, &(struct tables_options){.cache_dir = STR("/proc/none/of/this"),
							   .cache_bytes = 1 << 20, .open_max = 3});
	w.c.v = w.v;
	check_all(&w, &r, id);
	assert_str(write_some(&w, &r), id);
	world_close(&w);
}

/* What the store can't give is told to all who wait, and may be had later. */
static void test_tables__failures_are_shared(void **state)
{
	struct record got;
	struct world w;
	struct repo r;
	struct str id;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	id = write_some(&w, &r);
	world_restart(&w);
	nftw(w.cache, remove_file, 10, FTW_PHYS);
	world_restart(&w);
	backend_fault_arm(w.store, BACKEND_CALL_GET, 1, ERR_ServiceUnavailable, false);
	assert_rc(metarange_get(&w.c, &r, id, STR("key/000100"), &got), ServiceUnavailable);
	assert_non_null(strstr(w.err.msg, "metarange"));
	assert_ok(metarange_get(&w.c, &r, id, STR("key/000100"), &got));
	w.c.wait = KV_NOWAIT;
	assert_ok(metarange_get(&w.c, &r, id, STR("key/000100"), &got));
	assert_rc(metarange_get(&w.c, &r, id, STR("key/002900"), &got), WOULD_BLOCK);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables__fetched_once),
		cmocka_unit_test(test_tables__disk_is_bounded),
		cmocka_unit_test(test_tables__without_a_disk),
		cmocka_unit_test(test_tables__failures_are_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
