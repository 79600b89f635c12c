/* What a sweep of the local store takes, and what it leaves; and a process that may open no more files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/local.h"
#include "base/clock.h"
#include "tests/backends/stores.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

static struct store s;
static struct arena *a;

static int setup(void **state)
{
	store_open(&s, STORE_LOCAL, NULL);
	a = arena_new();
	return 0;
}

static int setup_named(void **state)
{
	store_open(&s, STORE_LOCAL_NAMED, NULL);
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	arena_free(a);
	store_close(&s);
	return 0;
}

static const char *path_of(const char *below)
{
	return arena_printf(a, "%s/%s", s.root, below).p;
}

static bool there(const char *below)
{
	struct stat st;

	return lstat(path_of(below), &st) == 0;
}

static void make_file(const char *below)
{
	int fd = open(path_of(below), O_CREAT | O_WRONLY | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void make_older(const char *below, int64_t by_s)
{
	struct timespec t = {.tv_sec = wall_now().s - by_s};
	const struct timespec both[2] = {t, t};

	assert_int_equal(utimensat(AT_FDCWD, path_of(below), both, AT_SYMLINK_NOFOLLOW), 0);
}

static bool recorded_none(void *ud, struct str id)
{
	return false;
}

static bool recorded_one(void *ud, struct str id)
{
	return str_eq(*(struct str *)ud, id);
}

static struct backend_sweep sweep_of(void)
{
	return (struct backend_sweep){.now_s = wall_now().s,
				      .temporaries_s = DAY,
				      .uploads_s = 9 * DAY,
				      .recorded = recorded_none,
				      .max = 1000,
				      .err = &test_err};
}

static struct backend_sweep sweep_ok(void)
{
	struct backend_sweep w = sweep_of();

	ok(s.b->blocking->sweep(s.b, &w));
	assert_int_equal(w.failures, 0);
	return w;
}

static void test_sweep__temporaries(void **state)
{
	struct backend_sweep w;

	make_file(".sluice/tmp/0123456789abcdef0123456789abcdef");
	make_file(".sluice/tmp/young");
	make_file("outside");
	assert_int_equal(symlink("../../outside", path_of(".sluice/tmp/link")), 0);
	assert_int_equal(mkdir(path_of(".sluice/tmp/ended"), 0700), 0);
	make_file(".sluice/tmp/ended/00001.x");
	make_older(".sluice/tmp/0123456789abcdef0123456789abcdef", DAY + 10);
	make_older(".sluice/tmp/young", DAY - 600);
	make_older(".sluice/tmp/link", 2 * DAY);
	make_older("outside", 2 * DAY);
	w = sweep_ok();
	assert_true(w.files == 3 && w.uploads == 0);
	assert_false(there(".sluice/tmp/0123456789abcdef0123456789abcdef"));
	assert_false(there(".sluice/tmp/ended"));
	assert_false(there(".sluice/tmp/link"));
	assert_true(there(".sluice/tmp/young"));
	assert_true(there("outside"));
	assert_int_equal(sweep_ok().files, 0);
}

static const char *only_temporary(void)
{
	char *found = NULL;
	DIR *dir = opendir(path_of(".sluice/tmp"));
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.') {
			assert_null(found);
			found = arena_cstr(a, arena_printf(a, ".sluice/tmp/%s", e->d_name));
		}
	closedir(dir);
	assert_non_null(found);
	return found;
}

/* However slow its client is. */
static void test_sweep__leaves_what_is_being_written(void **state)
{
	struct object_ptr p = at(&s, "slow");
	struct backend_writer *w;
	struct backend_stat st;
	const char *name;

	ok(s.b->blocking->open_writer(s.b, &p, NULL, &w, &test_err));
	ok(s.b->blocking->write(w, "slow ", 5, &test_err));
	name = only_temporary();
	make_older(name, 30 * DAY);
	assert_int_equal(sweep_ok().files, 0);
	ok(s.b->blocking->write(w, "body", 4, &test_err));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	assert_true(holds(&s, "slow", STR("slow body")));
}

/* Its lock goes with the process. */
static void test_sweep__writer_died(void **state)
{
	struct object_ptr p = at(&s, "dead");
	struct backend_writer *w;
	const char *name;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ok(s.b->blocking->open_writer(s.b, &p, NULL, &w, &test_err));
		ok(s.b->blocking->write(w, "x", 1, &test_err));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	name = only_temporary();
	assert_int_equal(sweep_ok().files, 0);
	make_older(name, 2 * DAY);
	assert_int_equal(sweep_ok().files, 1);
	assert_false(there(name));
}

static struct str new_upload(struct object_ptr *p)
{
	struct backend_writer *w;
	struct backend_stat st;
	struct str id;

	ok(s.b->blocking->mpu_create(s.b, p, NULL, a, &id, &test_err));
	ok(s.b->blocking->mpu_open_part(s.b, p, id, 1, NULL, &w, &test_err));
	ok(s.b->blocking->write(w, "part", 4, &test_err));
	ok(s.b->blocking->commit(w, a, &st, &test_err));
	return arena_printf(a, ".sluice/multipart/%.*s\x1f%.*s", STR_ARG(id), STR_ARG(st.etag));
}

struct upload_files {
	const char *folder, *part;
	struct str id;
};

static struct upload_files files_of(struct str both)
{
	struct str etag, folder = str_cut(both, '\x1f', &etag);
	struct upload_files f = {.folder = arena_cstr(a, folder)};

	f.part = arena_printf(a, "%s/00001.%.*s", f.folder, STR_ARG(etag)).p;
	f.id = str_skip(folder, sizeof(".sluice/multipart"));
	return f;
}

static void test_sweep__uploads(void **state)
{
	struct object_ptr p = at(&s, "target");
	struct upload_files f = files_of(new_upload(&p)), other = files_of(new_upload(&p));
	struct backend_sweep w;

	make_older(f.folder, 10 * DAY);
	assert_int_equal(sweep_ok().uploads, 0); /* its part is younger */
	make_older(f.part, 10 * DAY);
	make_older(f.folder, 8 * DAY);
	assert_int_equal(sweep_ok().uploads, 0);
	make_older(f.folder, 10 * DAY);
	w = sweep_of();
	w.recorded = recorded_one;
	w.ud = &f.id;
	ok(s.b->blocking->sweep(s.b, &w));
	assert_int_equal(w.uploads, 0);
	w = sweep_of();
	w.uploads_s = 0;
	ok(s.b->blocking->sweep(s.b, &w));
	assert_int_equal(w.uploads, 0);
	assert_true(there(f.part));
	assert_int_equal(sweep_ok().uploads, 1);
	assert_false(there(f.folder));
	assert_true(there(other.part));
	assert_int_equal(sweep_ok().uploads, 0);
}

static void test_sweep__foreign_names_in_multipart(void **state)
{
	make_file("outside");
	assert_int_equal(symlink(s.root, path_of(".sluice/multipart/"
						 "0123456789abcdef0123456789abcdef")),
			 0);
	assert_int_equal(mkdir(path_of(".sluice/multipart/somebodys"), 0700), 0);
	make_older("outside", 20 * DAY);
	make_older(".sluice/multipart/somebodys", 20 * DAY);
	make_older(".sluice/multipart/0123456789abcdef0123456789abcdef", 20 * DAY);
	assert_int_equal(sweep_ok().uploads, 0);
	assert_true(there("outside"));
	assert_true(there(".sluice/multipart/somebodys"));
}

static void test_sweep__bounded_and_stopped(void **state)
{
	_Atomic bool stop = true;
	struct backend_sweep w;

	for (int i = 0; i < 10; i++) {
		const char *name = arena_printf(a, ".sluice/tmp/%d", i).p;

		make_file(name);
		make_older(name, 2 * DAY);
	}
	w = sweep_of();
	w.stop = &stop;
	ok(s.b->blocking->sweep(s.b, &w));
	assert_int_equal(w.files, 0);
	w = sweep_of();
	w.max = 4;
	ok(s.b->blocking->sweep(s.b, &w));
	assert_int_equal(w.files, 4);
	assert_int_equal(sweep_ok().files, 6);
}

static void *sweep_thread(void *ud)
{
	struct err err = {0};
	struct backend_sweep w = sweep_of();

	w.err = &err;
	*(rc *)ud = s.b->blocking->sweep(s.b, &w);
	return NULL;
}

static void test_sweep__two_at_once(void **state)
{
	struct object_ptr p = at(&s, "target");
	pthread_t t[2];
	rc r[2];

	for (int i = 0; i < 100; i++) {
		struct upload_files f = files_of(new_upload(&p));
		const char *name = arena_printf(a, ".sluice/tmp/%d", i).p;

		make_older(f.part, 10 * DAY);
		make_older(f.folder, 10 * DAY);
		make_file(name);
		make_older(name, 2 * DAY);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sweep_thread, &r[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	ok(r[0]);
	ok(r[1]);
	assert_int_equal(store_files(s.root), 0);
}

/* A process without a free descriptor says so in S3's words, and serves again once it has one. */
static void test_sweep__too_many_files(void **state)
{
	struct object_ptr p = at(&s, "x"), q = at(&s, "new/folder/y");
	struct rlimit old, none;
	struct backend_stat st;
	struct backend_writer *w;
	int fd;

	ok(put_bytes(&s, "x", STR("x")));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){0, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fails(s.b->blocking->open_file(s.b, &p, &fd, &st, &test_err), SlowDown);
	assert_non_null(strstr(test_err.msg, "too many files are open"));
	assert_non_null(strstr(test_err.msg, "ulimit -n"));
	fails(s.b->blocking->head(s.b, &p, a, &st, &test_err), SlowDown);
	fails(s.b->blocking->open_writer(s.b, &p, NULL, &w, &test_err), SlowDown);
	fails(s.b->blocking->open_writer(s.b, &q, NULL, &w, &test_err), SlowDown);
	assert_non_null(strstr(test_err.msg, "too many files are open"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	ok(s.b->blocking->open_file(s.b, &p, &fd, &st, &test_err));
	close(fd);
	ok(put_bytes(&s, "new/folder/y", STR("y")));
	assert_true(holds(&s, "x", STR("x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sweep__temporaries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep__leaves_what_is_being_written,
						setup_named, teardown),
		cmocka_unit_test_setup_teardown(test_sweep__writer_died, setup_named, teardown),
		cmocka_unit_test_setup_teardown(test_sweep__uploads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep__foreign_names_in_multipart, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_sweep__bounded_and_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep__two_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep__too_many_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
