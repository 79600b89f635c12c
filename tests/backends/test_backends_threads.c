/* Many threads on one local store: shared syncs, folders that come and go. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/local.h"
#include "base/metrics.h"
#include "tests/backends/stores.h"

enum { THREADS = 32, PUTS = 20, ROUNDS = 20 };

static struct store s;
static _Atomic unsigned failures;

static void in_threads(void *(*fn)(void *))
{
	pthread_t t[THREADS];

	atomic_store(&failures, 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, fn, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&failures), 0);
}

static rc put_mem(const char *key, struct str bytes, bool if_absent)
{
	struct backend_put_options o = {.if_absent = if_absent};
	struct object_ptr p = at(&s, key);
	struct arena *a = arena_new();
	struct body *body = body_mem_new(a, bytes);
	struct backend_stat st;
	struct err e;
	rc r = backend_put_now(s.b, &p, &o, body, a, &st, &e);

	if (!rc_ok(r) && !rc_is(r, EXISTS))
		print_error("%s\n", e.msg);
	body_close(body);
	arena_free(a);
	return r;
}

static void *put_many(void *arg)
{
	char key[64];

	for (int i = 0; i < PUTS; i++) {
		snprintf(key, sizeof(key), "data/folder/%zu-%d", (size_t)arg, i);
		if (!rc_ok(put_mem(key, str_c(key), false)))
			atomic_fetch_add(&failures, 1);
	}
	return NULL;
}

static int64_t folder_syncs(void)
{
	return metric_value(metric_get(METRIC_COUNTER, "sluice_local_folder_syncs_total", "", NULL));
}

static int64_t file_syncs(void)
{
	return metric_value(metric_get(METRIC_COUNTER, "sluice_local_file_syncs_total", "", NULL));
}

static void test_threads__folder_syncs_are_shared(void **state)
{
	int64_t folders, files;
	char key[64];

	store_open(&s, STORE_LOCAL, NULL);
	((struct local *)s.b)->whole.able = false;
	folders = folder_syncs();
	files = file_syncs();
	in_threads(put_many);
	folders = folder_syncs() - folders;
	files = file_syncs() - files;
	print_message("  %d puts: %d file syncs, %d folder syncs\n", THREADS * PUTS, (int)files,
		      (int)folders);
	assert_int_equal(files, THREADS * PUTS);
	assert_true(folders < THREADS * PUTS);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < PUTS; i++) {
			snprintf(key, sizeof(key), "data/folder/%d-%d", t, i);
			assert_true(holds(&s, key, str_c(key)));
		}
	/* Alone, each put syncs its folder once. */
	folders = folder_syncs();
	assert_true(rc_ok(put_mem("data/folder/alone", STR("x"), false)));
	assert_int_equal(folder_syncs() - folders, 1);
	store_close(&s);
}

static int64_t store_syncs(void)
{
	return metric_value(metric_get(METRIC_COUNTER, "sluice_local_store_syncs_total", "", NULL));
}

/* Small objects that wait at once share a sync of the store; where that was slow, each has its own. */
static void test_threads__store_syncs_are_shared(void **state)
{
	struct local *l;
	int64_t whole, files;
	bool shared;
	char key[64];

	store_open(&s, STORE_LOCAL, NULL);
	l = (struct local *)s.b;
	l->whole.able = true; /* whatever the file system of the tests: it is the sharing that counts */
	l->whole.dev = ({
		struct stat st;
		fstat(l->root_fd, &st);
		st.st_dev;
	});
	atomic_store(&l->whole.again_ms, 0);
	assert_true(rc_ok(put_mem("data/folder/first", STR("x"), false)));
	shared = false;
	for (int round = 0; round < ROUNDS && !shared; round++) {
		atomic_store(&l->whole.again_ms, 0); /* a busy disk's slow sync has them go alone for a while */
		whole = store_syncs();
		files = file_syncs();
		in_threads(put_many);
		whole = store_syncs() - whole;
		files = file_syncs() - files;
		print_message("  %d puts: %d store syncs, %d file syncs\n", THREADS * PUTS, (int)whole,
			      (int)files);
		shared = whole + files < THREADS * PUTS;
	}
	assert_true(shared);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < PUTS; i++) {
			snprintf(key, sizeof(key), "data/folder/%d-%d", t, i);
			assert_true(holds(&s, key, str_c(key)));
		}
	atomic_store(&l->whole.again_ms, INT64_MAX);
	whole = store_syncs();
	files = file_syncs();
	assert_true(rc_ok(put_mem("data/folder/alone", STR("x"), false)));
	assert_int_equal(store_syncs() - whole, 0);
	assert_int_equal(file_syncs() - files, 1);
	store_close(&s);
}

static _Atomic unsigned winners;

static void *put_once(void *arg)
{
	rc r = put_mem("data/once", STR("same"), true);

	if (rc_ok(r))
		atomic_fetch_add(&winners, 1);
	else if (!rc_is(r, EXISTS))
		atomic_fetch_add(&failures, 1);
	return NULL;
}

static void test_threads__if_absent_has_one_winner(void **state)
{
	EACH_KIND (k) {
		store_open(&s, k, NULL);
		atomic_store(&winners, 0);
		in_threads(put_once);
		assert_int_equal(atomic_load(&winners), 1);
		store_close(&s);
	}
}

/* A store that keeps objects as files may answer 409 where a folder goes at that moment; the adapter says of it that
 * it is to be tried again. */
static rc put_at_last(const char *key)
{
	rc r = put_mem(key, str_c(key), false);

	for (int i = 0; i < ROUNDS && rc_is(r, SlowDown); i++)
		r = put_mem(key, str_c(key), false);
	return r;
}

/* Removing empties folders that others are about to put into. */
static void *put_and_remove(void *arg)
{
	char key[64];

	for (int i = 0; i < PUTS; i++) {
		struct object_ptr p;
		struct err e;

		snprintf(key, sizeof(key), "a/b%d/%zu", i % 3, (size_t)arg);
		p = at(&s, key);
		if (!rc_ok(put_at_last(key)) || !holds(&s, key, str_c(key)))
			atomic_fetch_add(&failures, 1);
		if (!rc_ok(backend_remove_now(s.b, &p, &e))) {
			print_error("%s\n", e.msg);
			atomic_fetch_add(&failures, 1);
		}
	}
	return NULL;
}

static void test_threads__folders_come_and_go(void **state)
{
	EACH_KIND (k) {
		store_open(&s, k, NULL);
		if (k < STORE_MEM)
			((struct local *)s.b)->sync = false;
		in_threads(put_and_remove);
		if (s.root[0])
			assert_int_equal(store_files(s.root), 0);
		store_close(&s);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest local[] = {
		cmocka_unit_test(test_threads__folder_syncs_are_shared),
		cmocka_unit_test(test_threads__store_syncs_are_shared),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads__if_absent_has_one_winner),
		cmocka_unit_test(test_threads__folders_come_and_go),
	};

	store_group(argc, argv);
	if (argc == 1 && cmocka_run_group_tests(local, NULL, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
