/* What is RocksDB's own: files, processes, crashes. The other process is this program with arguments
 * ("hold" or "write" and a folder), since nothing may fork once RocksDB has threads. */
#include "tests/kv/conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/work.h"

static const struct str P = STR("p");

static rc open_at(const char *folder, bool sync, struct kv **ret, struct err *reterr)
{
	struct kv_rocksdb_options o = {.path = str_c(folder),
				       .sync_writes = sync,
				       .block_cache_bytes = 1 << 20,
				       .write_buffer_bytes = 64 << 10};

	return kv_rocksdb_open(&o, ret, reterr);
}

static int setup(void **state)
{
	struct kv_fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new();
	scratch_new(f->folder);
	assert_ok(open_at(f->folder, true, &f->kv, &f->err), f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct kv_fixture *f = *state;

	kv_free(f->kv);
	arena_free(f->arena);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static void close_kv(struct kv_fixture *f)
{
	kv_free(f->kv);
	f->kv = NULL;
}

static void reopen(struct kv_fixture *f, bool sync)
{
	close_kv(f);
	assert_ok(open_at(f->folder, sync, &f->kv, &f->err), f);
}

static void test_rocksdb__reopened(void **state)
{
	struct kv_fixture *f = *state;

	assert_ok(kv_text_set(f, "p", "a", "1"), f);
	assert_ok(kv_text_set(f, "p", "b", "2"), f);
	assert_ok(kv_delete(f->kv, P, STR("a"), &f->err), f);
	reopen(f, true);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "b=2");
	assert_ok(kv_text_set(f, "p", "c", "3"), f);
	reopen(f, false);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "b=2 c=3");
}

static void test_rocksdb__unsynced(void **state)
{
	struct kv_fixture *f = *state;

	reopen(f, false);
	for (int i = 0; i < 2000; i++)
		assert_ok(kv_set(f->kv, P, arena_printf(f->arena, "%04d", i), STR("v"), &f->err), f);
	assert_ok(kv_set_if(f->kv, P, STR("0000"), STR("w"), KV_IF_VALUE, STR("v"), &f->err), f);
	reopen(f, true);
	assert_string_equal(kv_text_get(f, "p", "0000"), "w");
	assert_string_equal(kv_text_get(f, "p", "1999"), "v");
}

/* --- processes --- */

struct other {
	pid_t pid;
	int from; /* its stdout */
};

static struct other start(const char *mode, const char *folder)
{
	struct other o;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	o.pid = fork();
	assert_true(o.pid >= 0);
	if (o.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* when the test fails */
		dup2(ends[1], 1);
		execl("/proc/self/exe", "test_kv_rocksdb", mode, folder, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	o.from = ends[0];
	return o;
}

static void kill_other(struct other *o)
{
	int status;

	kill(o->pid, SIGKILL);
	waitpid(o->pid, &status, 0);
	close(o->from);
}

/* Opens the folder, says so, and waits to be killed. */
static int hold(const char *folder)
{
	struct kv *kv;
	struct err e = {0};
	rc r = open_at(folder, true, &kv, &e);

	if (!rc_ok(r)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	if (write(1, "!", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static void test_rocksdb__second_process(void **state)
{
	struct kv_fixture *f = *state;
	struct stat log, log_after;
	struct other o;
	char c;

	assert_ok(kv_text_set(f, "p", "a", "1"), f);
	close_kv(f);
	o = start("hold", f->folder);
	assert_int_equal(read(o.from, &c, 1), 1);
	assert_int_equal(stat(arena_printf(f->arena, "%s/LOG", f->folder).p, &log), 0);
	assert_rc(open_at(f->folder, true, &f->kv, &f->err), CONFIG);
	assert_non_null(strstr(f->err.msg, f->folder));
	assert_non_null(strstr(f->err.msg, "in use"));
	assert_non_null(strstr(f->err.msg, arena_printf(f->arena, "%d", (int)o.pid).p));
	/* Nothing was written: RocksDB alone would have begun a new log. */
	assert_int_equal(stat(arena_printf(f->arena, "%s/LOG", f->folder).p, &log_after), 0);
	assert_int_equal(log.st_ino, log_after.st_ino);
	kill_other(&o);
	assert_ok(open_at(f->folder, true, &f->kv, &f->err), f);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
}

/* A second one in the same process is refused and doesn't cost the first its lock. */
static void test_rocksdb__second_in_this_process(void **state)
{
	struct kv_fixture *f = *state;
	struct other o;
	struct kv *second;
	int status;
	char c;

	assert_rc(open_at(f->folder, true, &second, &f->err), CONFIG);
	assert_non_null(strstr(f->err.msg, "already"));
	o = start("hold", f->folder);
	assert_int_equal(read(o.from, &c, 1), 0);
	assert_int_equal(waitpid(o.pid, &status, 0), o.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(o.from);
	assert_ok(kv_text_set(f, "p", "a", "1"), f);
}

/* --- crashes: four threads write numbers and report each once it is acknowledged --- */

enum { CRASHES = 10, CRASH_WRITERS = 4 };

struct report {
	uint32_t writer, number;
};

struct crash_writer {
	struct kv *kv;
	uint32_t me;
};

static struct str crash_key(char *to, struct report r)
{
	return str_make(to, (size_t)sprintf(to, "%u/%08u", r.writer, r.number));
}

static void *write_and_report(void *arg)
{
	struct crash_writer *w = arg;
	struct report r = {.writer = w->me};
	char key[64];

	for (;; r.number++) {
		struct str k = crash_key(key, r);
		rc done = RC_OK;

		switch (r.number % 3) {
		case 0:
			done = kv_set(w->kv, P, k, k, NULL);
			break;
		case 1:
			done = kv_set_if(w->kv, P, k, k, KV_IF_ABSENT, STR_NONE, NULL);
			break;
		default:
			done = kv_set_guarded(w->kv, P, k, k, P, STR("guard"), STR("on"), NULL);
		}
		CHECK(rc_ok(done));
		if (write(1, &r, sizeof(r)) != sizeof(r)) /* whole, as pipes have it */
			_exit(1);
	}
}

static int write_until_killed(const char *folder)
{
	struct crash_writer w[CRASH_WRITERS];
	pthread_t t[CRASH_WRITERS];
	struct kv *kv;
	struct err e;

	if (!rc_ok(open_at(folder, true, &kv, &e)) ||
	    !rc_ok(kv_set(kv, P, STR("guard"), STR("on"), &e)))
		return 1;
	for (uint32_t i = 0; i < CRASH_WRITERS; i++) {
		w[i] = (struct crash_writer){kv, i};
		CHECK(pthread_create(&t[i], NULL, write_and_report, &w[i]) == 0);
	}
	for (;;)
		pause();
}

/* Reads reports until `until` of them came, then kills and reads the rest. */
static size_t reports(struct other *o, size_t until, struct buf *ret)
{
	struct report r;

	while (read(o->from, &r, sizeof(r)) == (ssize_t)sizeof(r)) {
		buf_add(ret, str_make(&r, sizeof(r)));
		if (ret->n == until * sizeof(r))
			kill(o->pid, SIGKILL);
	}
	kill_other(o);
	return ret->n / sizeof(r);
}

static void assert_all_there(struct kv_fixture *f, const struct buf *reported)
{
	for (size_t at = 0; at < reported->n; at += sizeof(struct report)) {
		struct report r;
		char key[64];
		const char *v;

		memcpy(&r, reported->p + at, sizeof(r));
		crash_key(key, r);
		v = kv_text_get(f, "p", key);
		assert_non_null(v);
		assert_string_equal(v, key);
	}
}

static void test_rocksdb__acknowledged_survives_kill(void **state)
{
	struct kv_fixture *f = *state;

	for (size_t crash = 0; crash < CRASHES; crash++) {
		CLEANUP(buf_deinit) struct buf reported = BUF_INIT(64 << 20);
		struct other o;

		close_kv(f);
		scratch_remove(f->folder);
		o = start("write", f->folder);
		assert_true(reports(&o, 20 + 60 * crash, &reported) >= 20);
		assert_ok(open_at(f->folder, true, &f->kv, &f->err), f);
		assert_all_there(f, &reported);
	}
}

/* --- the disk's contents --- */

static void fill(struct kv_fixture *f, int n)
{
	char value[1000];
	uint32_t x = 7;

	reopen(f, false);
	for (int i = 0; i < n; i++) {
		for (size_t j = 0; j < sizeof(value); j++)
			value[j] = (char)((x = x * 1664525 + 1013904223) >> 24);
		assert_ok(kv_set(f->kv, P, arena_printf(f->arena, "%05d", i),
				 str_make(value, sizeof(value)), &f->err),
			  f);
	}
}

/* From a cold cache a get that may not wait says so, and is answered once another one has read. */
static void test_rocksdb__nowait_from_a_cold_cache(void **state)
{
	struct kv_fixture *f = *state;
	struct str first, again;
	rc r;

	fill(f, 500);
	reopen(f, true);
	thread_is_loop(true);
	r = kv_get(f->kv, KV_NOWAIT, P, STR("00003"), f->arena, &first, &f->err);
	thread_is_loop(false);
	assert_rc(r, WOULD_BLOCK);
	assert_ok(kv_get(f->kv, KV_BLOCK, P, STR("00003"), f->arena, &first, &f->err), f);
	assert_ok(kv_get(f->kv, KV_NOWAIT, P, STR("00003"), f->arena, &again, &f->err), f);
	assert_true(str_eq(first, again));
	assert_int_equal(again.n, 1000);
}

/* Turns over the bytes of each file whose name ends so, but for its last `keep`. */
static int damage(struct kv_fixture *f, const char *suffix, off_t keep)
{
	DIR *d = opendir(f->folder);
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d))) {
		struct str path = arena_printf(f->arena, "%s/%s", f->folder, e->d_name);
		struct stat st;
		int fd;

		if (!str_ends(str_c(e->d_name), str_c(suffix)))
			continue;
		fd = open(path.p, O_RDWR | O_CLOEXEC);
		assert_int_equal(fstat(fd, &st), 0);
		for (off_t at = 100; at + keep < st.st_size; at += 100)
			assert_int_equal(pwrite(fd, "damaged!", 8, at), 8);
		close(fd);
		n++;
	}
	closedir(d);
	return n;
}

static void test_rocksdb__damaged_tables(void **state)
{
	struct kv_fixture *f = *state;
	struct str v;

	fill(f, 500);
	reopen(f, true); /* what the log had is in tables now */
	close_kv(f);
	assert_true(damage(f, ".sst", 8192) > 0);
	assert_ok(open_at(f->folder, true, &f->kv, &f->err), f);
	assert_rc(kv_get(f->kv, KV_BLOCK, P, STR("00003"), f->arena, &v, &f->err), CORRUPT);
	assert_non_null(strstr(f->err.msg, f->folder));
	assert_non_null(strstr(f->err.msg, "backup"));
	assert_rc(kv_set_if(f->kv, P, STR("00003"), STR("x"), KV_IF_PRESENT, STR_NONE, &f->err),
		  CORRUPT);
}

static void test_rocksdb__damaged_current(void **state)
{
	struct kv_fixture *f = *state;
	int fd;

	close_kv(f);
	fd = open(arena_printf(f->arena, "%s/CURRENT", f->folder).p, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "nonsense", 8), 8);
	close(fd);
	assert_rc(open_at(f->folder, true, &f->kv, &f->err), CORRUPT);
	assert_non_null(strstr(f->err.msg, f->folder));
	f->kv = NULL;
}

static void test_rocksdb__few_and_small_files(void **state)
{
	struct kv_fixture *f = *state;
	int logs = 0;
	struct dirent *e;
	DIR *d;

	for (int i = 0; i < 8; i++)
		reopen(f, true);
	d = opendir(f->folder);
	while ((e = readdir(d)))
		logs += strncmp(e->d_name, "LOG", 3) == 0;
	closedir(d);
	assert_in_range(logs, 1, 4);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(test_rocksdb__##name, setup, teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(reopened),
		TEST(unsynced),
		TEST(second_process),
		TEST(second_in_this_process),
		TEST(acknowledged_survives_kill),
		TEST(nowait_from_a_cold_cache),
		TEST(damaged_tables),
		TEST(damaged_current),
		TEST(few_and_small_files),
	};

	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2]);
	if (argc == 3 && strcmp(argv[1], "write") == 0)
		return write_until_killed(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
