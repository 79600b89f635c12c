/* Syncs: before each acknowledgement, shared by those who write at once, and when they fail. This
 * program's fdatasync comes before the C library's, also for RocksDB. */
#include "tests/kv/conformance.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	atomic_long calls;
	atomic_int fail_with; /* an errno, or 0 */
	atomic_int delay_us;
	atomic_bool full, held; /* held: syncs don't end */
} disk;

int fdatasync(int fd)
{
	int delay_us = atomic_load(&disk.delay_us), error = atomic_load(&disk.fail_with);

	atomic_fetch_add(&disk.calls, 1);
	if (delay_us)
		usleep((useconds_t)delay_us);
	while (atomic_load(&disk.held))
		usleep(1000);
	if (error) {
		errno = error;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* Full for files; pipes and terminals have room. */
ssize_t write(int fd, const void *p, size_t n)
{
	struct stat st;

	if (atomic_load(&disk.full) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, fd, p, n);
}

static const struct str P = STR("p");

static struct kv *open_at(struct kv_fixture *f, bool sync)
{
	struct kv_rocksdb_options o = {.path = str_c(f->folder), .sync_writes = sync};
	struct kv *kv = NULL;

	assert_ok(kv_rocksdb_open(&o, &kv, &f->err), f);
	return kv;
}

static int setup(void **state)
{
	struct kv_fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new();
	scratch_new(f->folder);
	f->kv = open_at(f, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct kv_fixture *f = *state;

	atomic_store(&disk.fail_with, 0);
	atomic_store(&disk.delay_us, 0);
	atomic_store(&disk.full, false);
	atomic_store(&disk.held, false);
	kv_free(f->kv);
	arena_free(f->arena);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static void reopen(struct kv_fixture *f, bool sync)
{
	kv_free(f->kv);
	f->kv = open_at(f, sync);
}

static long syncs_of(struct kv_fixture *f, rc r, long before)
{
	assert_ok(r, f);
	return atomic_load(&disk.calls) - before;
}

/* Guarded by "a"; the first result. */
static rc write_three(struct kv *kv, struct str guard_value)
{
	static const struct str keys[] = {STR("x"), STR("y"), STR("z")};
	struct kv_write w[3];

	for (int i = 0; i < 3; i++)
		w[i] = (struct kv_write){
			.partition = P,
			.key = keys[i],
			.value = STR("v"),
			.has_guard = true,
			.guard_partition = P,
			.guard_key = STR("a"),
			.guard_value = guard_value,
		};
	kv_write_many(kv, w, 3);
	assert_int_equal(w[1].result.code, w[0].result.code);
	assert_int_equal(w[2].result.code, w[0].result.code);
	return w[0].result;
}

static void test_sync__before_each_acknowledgement(void **state)
{
	struct kv_fixture *f = *state;
	struct kv *kv = f->kv;

#define SYNCS_OF(call) (before = atomic_load(&disk.calls), syncs_of(f, (call), before))
	long before;

	assert_int_equal(SYNCS_OF(kv_set(kv, P, STR("a"), STR("1"), &f->err)), 1);
	assert_int_equal(SYNCS_OF(kv_set_if(kv, P, STR("a"), STR("2"), KV_IF_VALUE, STR("1"),
					    &f->err)),
			 1);
	assert_int_equal(SYNCS_OF(kv_set_guarded(kv, P, STR("b"), STR("3"), P, STR("a"), STR("2"),
						 &f->err)),
			 1);
	assert_int_equal(SYNCS_OF(kv_delete(kv, P, STR("b"), &f->err)), 1);
	assert_int_equal(SYNCS_OF(write_three(kv, STR("2"))), 1);
	before = atomic_load(&disk.calls);
	assert_rc(write_three(kv, STR("3")), PREDICATE);
	assert_int_equal(atomic_load(&disk.calls), before);
	reopen(f, false);
	kv = f->kv;
	assert_int_equal(SYNCS_OF(kv_set(kv, P, STR("a"), STR("1"), &f->err)), 0);
	assert_int_equal(SYNCS_OF(kv_delete(kv, P, STR("a"), &f->err)), 0);
}

/* --- sharing --- */

enum { WRITERS = 32, EACH = 20 };

struct writer {
	struct kv *kv;
	int me;
	bool guarded;
};

static void *write_some(void *arg)
{
	struct writer *w = arg;
	char key[32];

	for (int i = 0; i < EACH; i++) {
		struct str k = str_make(key, (size_t)sprintf(key, "%d/%d", w->me, i));

		if (w->guarded)
			CHECK(rc_ok(kv_set_guarded(w->kv, P, k, k, P, STR("guard"), STR("on"),
						   NULL)));
		else
			CHECK(rc_ok(kv_set(w->kv, P, k, k, NULL)));
	}
	return NULL;
}

static long syncs_of_many(struct kv_fixture *f, bool guarded)
{
	long before = atomic_load(&disk.calls);
	struct writer w[WRITERS];
	pthread_t t[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){f->kv, i, guarded};
		assert_int_equal(pthread_create(&t[i], NULL, write_some, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	return atomic_load(&disk.calls) - before;
}

/* The slower the machine, the longer must a sync take for so many to wait for the next one. */
static void assert_shared(struct kv_fixture *f, bool guarded)
{
	long n = 0;

	for (int delay_us = 2000; delay_us <= 128000; delay_us *= 8) {
		atomic_store(&disk.delay_us, delay_us);
		n = syncs_of_many(f, guarded);
		if (n <= WRITERS * EACH / 4)
			break;
	}
	assert_in_range(n, 1, WRITERS * EACH / 4);
}

static void test_sync__shared(void **state)
{
	struct kv_fixture *f = *state;

	assert_ok(kv_text_set(f, "p", "guard", "on"), f);
	assert_shared(f, false);
	assert_shared(f, true); /* all share the guard's stripe */
}

/* --- visibility: nobody sees what isn't durable --- */

static void *set_slowly(void *arg)
{
	struct kv_fixture *f = arg;

	CHECK(rc_ok(kv_set(f->kv, P, STR("a"), STR("new"), NULL)));
	return NULL;
}

static void test_sync__not_seen_before(void **state)
{
	struct kv_fixture *f = *state;
	pthread_t t;
	long before;

	assert_ok(kv_text_set(f, "p", "a", "old"), f);
	atomic_store(&disk.held, true);
	before = atomic_load(&disk.calls);
	assert_int_equal(pthread_create(&t, NULL, set_slowly, f), 0);
	while (atomic_load(&disk.calls) == before)
		usleep(1000);
	assert_string_equal(kv_text_get(f, "p", "a"), "old");
	atomic_store(&disk.held, false);
	pthread_join(t, NULL);
	assert_string_equal(kv_text_get(f, "p", "a"), "new");
}

/* --- failure --- */

static void test_sync__failed(void **state)
{
	struct kv_fixture *f = *state;
	const char *a;

	assert_ok(kv_text_set(f, "p", "a", "1"), f);
	atomic_store(&disk.fail_with, EIO);
	assert_rc(write_three(f->kv, STR("1")), UNKNOWN_OUTCOME);
	assert_rc(kv_text_set(f, "p", "a", "2"), UNKNOWN_OUTCOME);
	assert_non_null(strstr(f->err.msg, f->folder));
	assert_non_null(strstr(f->err.msg, "disk"));
	atomic_store(&disk.fail_with, 0);
	/* The disk may be well again; what it lost isn't known, so nothing more is written. */
	assert_rc(kv_text_set(f, "p", "b", "3"), UNKNOWN_OUTCOME);
	assert_rc(kv_set_if(f->kv, P, STR("b"), STR("3"), KV_IF_ABSENT, STR_NONE, &f->err),
		  UNKNOWN_OUTCOME);
	assert_rc(kv_delete(f->kv, P, STR("a"), &f->err), UNKNOWN_OUTCOME);
	assert_rc(kv_set_if(f->kv, P, STR("a"), STR("3"), KV_IF_VALUE, STR("0"), &f->err),
		  PREDICATE);
	reopen(f, true);
	a = kv_text_get(f, "p", "a");
	assert_non_null(a);
	assert_true(strcmp(a, "1") == 0 || strcmp(a, "2") == 0);
	assert_ok(kv_text_set(f, "p", "b", "3"), f);
}

/* A full disk isn't for ever: some time after there is room again, so is the KV. */
static void test_sync__disk_full(void **state)
{
	struct kv_fixture *f = *state;
	rc r = RC(UNKNOWN_OUTCOME);

	assert_ok(kv_text_set(f, "p", "a", "1"), f);
	atomic_store(&disk.full, true);
	assert_rc(kv_text_set(f, "p", "b", "2"), UNKNOWN_OUTCOME);
	assert_rc(kv_text_set(f, "p", "c", "3"), UNKNOWN_OUTCOME);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
	atomic_store(&disk.full, false);
	for (int i = 0; i < 6000 && !rc_ok(r); i++) {
		usleep(10000);
		r = kv_text_set(f, "p", "d", "4");
	}
	assert_ok(r, f);
	reopen(f, true);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
	assert_string_equal(kv_text_get(f, "p", "d"), "4");
	assert_ok(kv_text_set(f, "p", "e", "5"), f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_sync__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(before_each_acknowledgement),
		TEST(shared),
		TEST(not_seen_before),
		TEST(failed),
		TEST(disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
