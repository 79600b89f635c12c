/* Large objects past the page cache: whatever their sizes and however their bytes come, they are whole. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/local.h"
#include "tests/backends/stores.h"

enum { KIB = 1024, FROM = 64 * KIB };

static struct store s;
static struct arena *a;

static void reopen(uint64_t from)
{
	struct backend_local_options o = {
		.path = str_c(s.root), .sync = true, .direct_bytes = from};

	backend_free(s.b);
	ok(backend_local_open(&o, &s.b, &test_err));
}

static int setup(void **state)
{
	store_open(&s, STORE_LOCAL, NULL);
	reopen(FROM);
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	arena_free(a);
	store_close(&s);
	return 0;
}

static void put_in_pieces(const char *key, struct str bytes, size_t piece)
{
	struct object_ptr to = at(&s, key);
	struct backend_writer *w;
	struct backend_stat st;

	ok(s.b->blocking->open_writer(s.b, &to, NULL, &w, &test_err));
	for (size_t i = 0; i < bytes.n; i += piece)
		ok(s.b->blocking->write(w, bytes.p + i,
					bytes.n - i < piece ? bytes.n - i : piece, &test_err));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	assert_int_equal(st.size, bytes.n);
	assert_true(holds(&s, key, bytes));
}

static void test_direct__sizes_and_pieces(void **state)
{
	static const size_t sizes[] = {FROM - 1, FROM, FROM + 1, FROM + 4096, 320 * KIB,
				       320 * KIB + 1, FROM + 256 * KIB - 1, FROM + 256 * KIB,
				       FROM + 256 * KIB + 4095, 1500 * KIB + 77};
	static const size_t pieces[] = {777, 4096, FROM, FROM + 5, 2000 * KIB};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t k = 0; k < sizeof(pieces) / sizeof(*pieces); k++) {
			struct arena_mark m = arena_mark(a);

			put_in_pieces("x", pattern_new(a, sizes[i], (unsigned)(i * 10 + k)),
				      pieces[k]);
			arena_rewind(a, m);
		}
}

/* A threshold that isn't aligned: everything by way of the cache. */
static void test_direct__odd_threshold(void **state)
{
	reopen(FROM + 1);
	put_in_pieces("x", pattern_new(a, 300 * KIB, 1), 10000);
	reopen(0);
	put_in_pieces("x", pattern_new(a, 300 * KIB, 2), 10000);
}

static void test_direct__aborted_leaves_nothing(void **state)
{
	struct object_ptr to = at(&s, "gone");
	struct str bytes = pattern_new(a, 700 * KIB, 3);
	size_t before = store_files(s.root);
	struct backend_writer *w;

	ok(s.b->blocking->open_writer(s.b, &to, NULL, &w, &test_err));
	ok(s.b->blocking->write(w, bytes.p, bytes.n, &test_err));
	s.b->blocking->abort(w);
	assert_int_equal(store_files(s.root), before);
}

static struct backend_part put_part(const struct object_ptr *to, struct str id, unsigned number,
				    struct str bytes)
{
	struct backend_writer *w;
	struct backend_stat st;

	ok(s.b->blocking->mpu_open_part(s.b, to, id, number, NULL, &w, &test_err));
	ok(s.b->blocking->write(w, bytes.p, bytes.n, &test_err));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	return (struct backend_part){.number = number, .etag = st.etag, .size = bytes.n};
}

static void join(const size_t *sizes, size_t n)
{
	struct object_ptr to = at(&s, "joined");
	struct backend_part parts[8];
	struct backend_stat st;
	struct str id, all = pattern_new(a, 8 << 20, 9);
	size_t total = 0;

	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &id, &test_err));
	for (size_t i = 0; i < n; i++) {
		parts[i] = put_part(&to, id, (unsigned)i + 1, str_make(all.p + total, sizes[i]));
		total += sizes[i];
	}
	ok(s.b->blocking->mpu_complete(s.b, &to, id, parts, n, a, &st, &test_err));
	assert_int_equal(st.size, total);
	assert_true(holds(&s, "joined", str_head(all, total)));
}

static void test_direct__parts_of_any_size(void **state)
{
	join((size_t[]){1 << 20, 1 << 20, 5}, 3);
	join((size_t[]){(1 << 20) + 1, 333, 4096, (2 << 20) - 7, 1}, 5);
	join((size_t[]){1}, 1);
	join((size_t[]){256 * KIB, 256 * KIB}, 2);
	((struct local *)s.b)->whole.clones_not = true; /* on any file system */
	join((size_t[]){(1 << 20) + 1, 333, 4096, (2 << 20) - 7, 1}, 5);
	((struct local *)s.b)->whole.clones_not = false;
	join((size_t[]){(1 << 20) + 1, 333, 4096, (2 << 20) - 7, 1}, 5);
}

/* A file system that has none of it says EINVAL to the first write: the bytes go the other way. */
static void test_direct__refused(void **state)
{
	struct local *l = (struct local *)s.b;
	struct str bytes = pattern_new(a, 600 * KIB, 4);
	int ends[2];
	struct direct d = {0};

	assert_int_equal(pipe(ends), 0);
	if (direct_start(&d, l, ends[1], 0)) {
		assert_int_not_equal(direct_write(&d, bytes.p, bytes.n), 0); /* no pwrite on a pipe */
		direct_free(&d);
	}
	close(ends[0]);
	close(ends[1]);
	atomic_store(&l->direct, false);
	put_in_pieces("x", bytes, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_direct__sizes_and_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct__odd_threshold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct__aborted_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct__parts_of_any_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct__refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
