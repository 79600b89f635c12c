/* What only the local store has: paths that must not escape, crashes, shared syncs. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
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
#include "base/metrics.h"
#include "tests/backends/stores.h"

static struct store s;
static struct arena *a;

static int setup(void **state)
{
	store_open(&s, STORE_LOCAL, NULL);
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	local_step_hook = NULL;
	arena_free(a);
	store_close(&s);
	return 0;
}

static void reopen(void)
{
	struct backend_local_options o = {.path = str_c(s.root), .sync = true};

	backend_free(s.b);
	ok(backend_local_open(&o, &s.b, &test_err));
}

static const char *path_of(const char *below)
{
	return arena_printf(a, "%s/%s", s.root, below).p;
}

static rc put_at(const struct object_ptr *p, struct str bytes)
{
	struct body *body = body_mem_new(a, bytes);
	struct backend_stat st;
	rc r = backend_put_now(s.b, p, NULL, body, a, &st, &test_err);

	body_close(body);
	return r;
}

static void refused(struct object_ptr p)
{
	struct backend_writer *w;
	struct backend_stat st;
	struct str id;
	int fd;

	fails(put_at(&p, STR("x")), INVALID);
	fails(backend_head_now(s.b, &p, a, &st, &test_err), INVALID);
	fails(backend_remove_now(s.b, &p, &test_err), INVALID);
	fails(s.b->blocking->open_file(s.b, &p, &fd, &st, &test_err), INVALID);
	fails(s.b->blocking->open_file_nowait(s.b, &p, &fd, &st, &test_err), INVALID);
	fails(s.b->blocking->open_writer(s.b, &p, NULL, &w, &test_err), INVALID);
	fails(s.b->blocking->mpu_create(s.b, &p, NULL, a, &id, &test_err), INVALID);
}

static void test_local__paths_that_escape(void **state)
{
	static const char *const keys[] = {"..",     "../x",  "a/../x", "a/..", "a/../../../x", ".",
					   "./x",    "a/./x", "",       "/",    "/x",           "a//x",
					   "a/",     "/etc/passwd"};
	static const char *const spaces[] = {"local://..",      "local://a/../b", "local://.",
					     "local://",        "local:///",      "local://a//b",
					     "local://.sluice", "local://.sluice/tmp", "local:a",
					     "file://a"};
	struct object_ptr p;
	char name[300];

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		refused(at(&s, keys[i]));
	p = at(&s, "x");
	p.key = str_make("a\0b", 3);
	refused(p);
	memset(name, 'n', sizeof(name));
	p.key = str_make(name, 256);
	refused(p);
	p.key = str_make(name, 255);
	ok(put_at(&p, STR("x")));
	for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
		p = at(&s, "x");
		p.space = str_c(spaces[i]);
		refused(p);
		fails(s.b->check_space(s.b, p.space, &test_err), INVALID);
	}
	assert_int_equal(store_files(s.root), 1);
}

/* Names, nothing more: no decoding happens here. */
static void test_local__escapes_are_names(void **state)
{
	ok(put_bytes(&s, "%2e%2e/%2e", STR("dots")));
	ok(put_bytes(&s, "...", STR("three")));
	ok(put_bytes(&s, ".sluice/tmp/x", STR("not ours")));
	assert_int_equal(access(path_of("space/of names/%2e%2e/%2e"), F_OK), 0);
	assert_int_equal(access(path_of("space/of names/.sluice/tmp/x"), F_OK), 0);
	assert_true(holds(&s, "...", STR("three")));
}

static struct object_ptr full(const char *address)
{
	return (struct object_ptr){.space = s.space, .key = str_c(address), .type = ADDRESS_FULL};
}

static void test_local__full_addresses(void **state)
{
	struct object_ptr p =
		full(arena_printf(a, "local://%s/space/of names/full", s.root).p);

	ok(put_at(&p, STR("by its whole address")));
	assert_true(holds(&s, "full", STR("by its whole address")));
	p = full("local://space/of names/full");
	ok(backend_remove_now(s.b, &p, &test_err));
	assert_false(holds(&s, "full", STR("by its whole address")));
	refused(full("local:///etc/passwd"));
	refused(full(arena_printf(a, "local://%s", s.root).p));
	refused(full(arena_printf(a, "local://%s/", s.root).p));
	refused(full(arena_printf(a, "local://%s/toplevel", s.root).p));
	refused(full(arena_printf(a, "local://%s-other/x/y", s.root).p));
	refused(full(arena_printf(a, "local://%s/../x/y", s.root).p));
	refused(full(arena_printf(a, "local://%s/.sluice/tmp/x", s.root).p));
	refused(full("s3://bucket/key"));
}

static void test_local__links_are_not_followed(void **state)
{
	struct object_ptr inside, file;
	struct backend_list_entry *v;
	struct backend_stat st;
	char outside[64];
	size_t n;
	bool more;
	int fd;

	store_dir_new(outside);
	ok(put_bytes(&s, "real", STR("real")));
	assert_int_equal(symlink(outside, path_of("space/of names/link")), 0);
	assert_int_equal(symlink("/etc/passwd", path_of("space/of names/passwd")), 0);
	inside = at(&s, "link/x");
	fails(put_at(&inside, STR("x")), INVALID);
	inside = at(&s, "link/new/x");
	fails(put_at(&inside, STR("x")), INVALID);
	fails(backend_head_now(s.b, &inside, a, &st, &test_err), INVALID);
	fails(backend_remove_now(s.b, &inside, &test_err), INVALID);
	file = at(&s, "passwd");
	fails(backend_head_now(s.b, &file, a, &st, &test_err), INVALID);
	fails(s.b->blocking->open_file(s.b, &file, &fd, &st, &test_err), INVALID);
	ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 10, a, &v, &n, &more, &test_err));
	assert_int_equal(n, 1);
	assert_int_equal(store_files(outside), 0);
	/* Replaces the link, not what it points at. */
	ok(put_at(&file, STR("mine")));
	assert_true(holds(&s, "passwd", STR("mine")));
	store_dir_remove(outside);
}

static void test_local__folders_and_pipes_are_no_objects(void **state)
{
	struct object_ptr p = at(&s, "a");
	struct backend_stat st;
	int fd;

	ok(put_bytes(&s, "a/b", STR("x")));
	fails(put_at(&p, STR("x")), INVALID);
	fails(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
	fails(s.b->blocking->open_file(s.b, &p, &fd, &st, &test_err), NOT_FOUND);
	ok(backend_remove_now(s.b, &p, &test_err));
	p = at(&s, "a/b/c");
	fails(put_at(&p, STR("x")), INVALID);
	fails(backend_head_now(s.b, &p, a, &st, &test_err), NOT_FOUND);
	assert_int_equal(mkfifo(path_of("space/of names/pipe"), 0600), 0);
	p = at(&s, "pipe");
	fails(s.b->blocking->open_file(s.b, &p, &fd, &st, &test_err), NOT_FOUND);
	assert_true(holds(&s, "a/b", STR("x")));
}

static void test_local__open_nowait(void **state)
{
	struct object_ptr p = at(&s, "data/x");
	struct backend_stat st;
	char bytes[8];
	int fd;
	rc r;

	ok(put_bytes(&s, "data/x", STR("cached")));
	ok(s.b->blocking->open_file(s.b, &p, &fd, &st, &test_err));
	close(fd);
	r = s.b->blocking->open_file_nowait(s.b, &p, &fd, &st, &test_err);
	if (!rc_is(r, WOULD_BLOCK)) {
		ok(r);
		assert_int_equal(st.size, 6);
		assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 6);
		close(fd);
	}
	p = at(&s, "data/never seen");
	r = s.b->blocking->open_file_nowait(s.b, &p, &fd, &st, &test_err);
	assert_true(rc_is(r, WOULD_BLOCK) || rc_is(r, NOT_FOUND));
}

static void test_local__list_of_many(void **state)
{
	struct backend_list_entry *v;
	struct str last = STR("");
	size_t n, all = 0;
	bool more = true;

	((struct local *)s.b)->sync = false;
	for (int i = 0; i < 5000; i++)
		ok(put_bytes(&s, arena_printf(a, "d/%d", i * 7919 % 5000).p, STR("x")));
	while (more) {
		ok(s.b->blocking->list(s.b, s.space, STR("d/"), last, 700, a, &v, &n, &more,
				       &test_err));
		for (size_t i = 0; i < n; i++) {
			assert_true(str_cmp(last, v[i].key) < 0);
			last = v[i].key;
		}
		all += n;
	}
	assert_int_equal(all, 5000);
	ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 9000, a, &v, &n, &more, &test_err));
	assert_int_equal(n, 5000);
	assert_false(more);
}

static void test_local__more_folders_than_are_cached(void **state)
{
	((struct local *)s.b)->sync = false;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 600; i++)
			ok(put_bytes(&s, arena_printf(a, "%d/x", i).p, STR("x")));
	assert_true(((struct local *)s.b)->folders.n <= FOLDERS_CACHED);
	for (int i = 0; i < 600; i++) {
		struct object_ptr p = at(&s, arena_printf(a, "%d/x", i).p);

		ok(backend_remove_now(s.b, &p, &test_err));
	}
	assert_int_not_equal(access(path_of("space/of names/7"), F_OK), 0);
	assert_int_equal(access(path_of("space/of names"), F_OK), 0);
}

/* Somebody removes the folder behind our back while it is cached, even between write and name. */
static void remove_folder(const char *step)
{
	if (strcmp(step, "synced") == 0)
		rmdir(path_of("space/of names/gone"));
}

static void test_local__folder_removed_meanwhile(void **state)
{
	for (int named = 0; named < 2; named++) {
		struct object_ptr p = at(&s, "gone/x");

		((struct local *)s.b)->named = named;
		((struct local *)s.b)->whole.able = false;
		ok(put_at(&p, STR("x")));
		unlink(path_of("space/of names/gone/x"));
		rmdir(path_of("space/of names/gone"));
		ok(put_at(&p, STR("y")));
		assert_true(holds(&s, "gone/x", STR("y")));
		unlink(path_of("space/of names/gone/x"));
		local_step_hook = remove_folder;
		ok(put_at(&p, STR("z")));
		local_step_hook = NULL;
		assert_true(holds(&s, "gone/x", STR("z")));
	}
}

static void test_local__full_disk(void **state)
{
	struct rlimit old, small;
	struct object_ptr p = at(&s, "big");

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 100000;
	setrlimit(RLIMIT_FSIZE, &small);
	fails(put_at(&p, pattern_new(a, 300000, 1)), IO);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(store_files(s.root), 0);
	fails(local_write_error((struct local *)s.b, ENOSPC, "writing", "x", &test_err), IO);
	assert_non_null(strstr(test_err.msg, "full"));
}

static int broken_fd;

static void break_sync(const char *step)
{
	struct folder *f;

	if (strcmp(step, "named") != 0)
		return;
	ok(folder_get((struct local *)s.b, "space/of names", 14, FOLDER_LOOK, &f, &test_err));
	assert_true(dup2(broken_fd, folder_fd(f)) >= 0);
	folder_put((struct local *)s.b, f);
}

/* The same of the store's own sync: the object's name is there, whether its bytes are nobody knows. */
static void break_store_sync(const char *step)
{
	if (strcmp(step, "linked first") == 0)
		assert_true(dup2(broken_fd, ((struct local *)s.b)->root_fd) >= 0);
}

static void test_local__failed_store_sync_stays_failed(void **state)
{
	struct object_ptr p = at(&s, "first"), q = at(&s, "second");
	struct local *l = (struct local *)s.b;
	struct stat st;

	assert_int_equal(fstat(l->root_fd, &st), 0);
	ok(put_at(&q, STR("before"))); /* the folder is known now */
	l->whole.able = true;
	l->whole.dev = st.st_dev;
	atomic_store(&l->whole.again_ms, 0); /* a slow sync has the next ones go alone for a while */
	broken_fd = open(s.root, O_PATH); /* syncfs of such: EBADF */
	assert_true(broken_fd >= 0);
	local_step_hook = break_store_sync;
	fails(put_at(&p, STR("x")), UNKNOWN_OUTCOME);
	local_step_hook = NULL;
	fails(put_at(&q, STR("y")), IO);
	reopen();
	ok(put_at(&q, STR("y")));
	close(broken_fd);
}

static void write_three(struct backend_commit c[3], struct err errs[3], unsigned classic)
{
	static const char *const keys[] = {"three/0", "three/1", "three/2"};

	for (unsigned i = 0; i < 3; i++) {
		struct backend_put_options o = {.if_absent = i == classic};
		struct object_ptr p = at(&s, keys[i]);
		struct body *body = body_mem_new(a, str_c(keys[i]));

		c[i] = (struct backend_commit){.a = a, .err = &errs[i]};
		errs[i] = (struct err){0};
		ok(backend_write_now(s.b, &p, &o, body, &c[i].writer, &test_err));
		body_close(body);
	}
}

/* One sync of the store for those that it serves; should it fail, for all of them and no other. */
static void test_local__commit_many_shares_a_sync(void **state)
{
	struct local *l = (struct local *)s.b;
	struct metric *syncs = metric_get(METRIC_COUNTER, "sluice_local_store_syncs_total", "", NULL);
	struct backend_commit c[3];
	struct err errs[3];
	struct stat st;
	int64_t before;

	assert_int_equal(fstat(l->root_fd, &st), 0);
	l->whole.able = true;
	l->whole.dev = st.st_dev;
	assert_true(backend_commit_many_pays(s.b));
	atomic_store(&l->whole.again_ms, INT64_MAX);
	assert_false(backend_commit_many_pays(s.b));
	atomic_store(&l->whole.again_ms, 0);
	write_three(c, errs, 3);
	before = metric_value(syncs);
	backend_commit_now(s.b, c, 3);
	assert_int_equal(metric_value(syncs) - before, 1);
	for (unsigned i = 0; i < 3; i++) {
		ok(c[i].result);
		assert_int_equal(c[i].stat.size, 7);
		unlink(path_of((const char *[]){"space/of names/three/0", "space/of names/three/1",
						"space/of names/three/2"}[i]));
	}
	write_three(c, errs, 1);
	atomic_store(&l->whole.again_ms, 0); /* the same */
	broken_fd = open(s.root, O_PATH);
	local_step_hook = break_store_sync;
	backend_commit_now(s.b, c, 3);
	local_step_hook = NULL;
	for (unsigned i = 0; i < 3; i++)
		check_code(c[i].result, i == 1 ? ERR_NONE : ERR_UNKNOWN_OUTCOME, &errs[i], __FILE__,
			   __LINE__);
	assert_true(holds(&s, "three/1", STR("three/1")));
	close(broken_fd);
	reopen();
}

static void test_local__failed_sync_stays_failed(void **state)
{
	struct object_ptr p = at(&s, "x"), q = at(&s, "other/y");
	int ends[2];

	((struct local *)s.b)->whole.able = false;
	ok(put_at(&p, STR("before")));
	assert_int_equal(pipe(ends), 0);
	broken_fd = ends[0]; /* fsync of a pipe: EINVAL */
	local_step_hook = break_sync;
	fails(put_at(&p, STR("x")), UNKNOWN_OUTCOME);
	local_step_hook = NULL;
	fails(put_at(&q, STR("y")), IO);
	assert_true(holds(&s, "x", STR("x")));
	reopen();
	ok(put_at(&q, STR("y")));
	close(ends[0]);
	close(ends[1]);
}

static void test_local__sweeps_old_temporaries(void **state)
{
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	const char *stale = path_of(".sluice/tmp/stale"), *young = path_of(".sluice/tmp/young");

	close(creat(stale, 0600));
	close(creat(young, 0600));
	assert_int_equal(utimensat(AT_FDCWD, stale, old, 0), 0);
	assert_int_equal(mkdir(path_of(".sluice/tmp/ended"), 0700), 0);
	close(creat(path_of(".sluice/tmp/ended/00001.x"), 0600));
	reopen();
	assert_int_not_equal(access(stale, F_OK), 0);
	assert_int_equal(access(young, F_OK), 0);
	assert_int_not_equal(access(path_of(".sluice/tmp/ended"), F_OK), 0);
}

/* Crashes. */

static void child_writes(struct str bytes)
{
	for (unsigned i = 0;; i++) {
		((struct local *)s.b)->named = i & 1;
		if (!rc_ok(put_bytes(&s, i & 2 ? "t/replaced" : arena_printf(a, "t/%u", i % 50).p,
				     bytes)))
			_exit(1);
	}
}

static void test_local__killed_while_writing(void **state)
{
	struct str bytes = pattern_new(a, 150000, 5);

	for (unsigned round = 0; round < 20; round++) {
		struct backend_list_entry *v;
		size_t n;
		bool more;
		int status;
		pid_t child = fork();

		if (child == 0)
			child_writes(bytes);
		usleep(1000 + (unsigned)rand() % 20000);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		reopen();
		ok(s.b->blocking->list(s.b, s.space, STR(""), STR(""), 1000, a, &v, &n, &more,
				       &test_err));
		for (size_t i = 0; i < n; i++)
			assert_true(holds(&s, arena_cstr(a, v[i].key), bytes));
	}
}

static unsigned steps_left;

static void die_at_step(const char *step)
{
	if (steps_left-- == 0)
		_exit(77);
}

/* Runs fn in a child that dies after `steps` steps; true when it did. */
static bool died_at(unsigned steps, void (*fn)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		steps_left = steps;
		local_step_hook = die_at_step;
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0);
	return WEXITSTATUS(status) == 77;
}

static struct str upload;
static struct backend_part parts[3];
static bool named;

static void child_completes(void)
{
	struct object_ptr to = at(&s, "joined/target");
	struct backend_stat st;

	((struct local *)s.b)->named = named;
	if (!rc_ok(s.b->blocking->mpu_complete(s.b, &to, upload, parts, 3, a, &st, &test_err)))
		_exit(1);
}

static void upload_parts(struct str bytes)
{
	struct object_ptr to = at(&s, "joined/target");

	ok(s.b->blocking->mpu_create(s.b, &to, NULL, a, &upload, &test_err));
	for (unsigned i = 0; i < 3; i++) {
		struct backend_writer *w;
		struct backend_stat st;

		ok(s.b->blocking->mpu_open_part(s.b, &to, upload, i + 1, NULL, &w, &test_err));
		ok(s.b->blocking->write(w, bytes.p + i * 1000, 1000, &test_err));
		ok(s.b->blocking->commit(w, a, &st, &test_err));
		parts[i] = (struct backend_part){.number = i + 1, .etag = st.etag, .size = 1000};
	}
}

static void test_local__complete_survives_a_crash_at_each_step(void **state)
{
	struct str bytes = pattern_new(a, 3000, 7);
	unsigned crashes = 0;

	for (int i = 0; i < 2; i++) {
		bool died = true;

		named = i;
		for (unsigned steps = 0; died; steps++) {
			struct object_ptr to = at(&s, "joined/target");
			struct backend_stat st;

			upload_parts(bytes);
			died = died_at(steps, child_completes);
			crashes += died;
			reopen();
			if (backend_head_now(s.b, &to, a, &st, &test_err).code == ERR_NONE)
				assert_true(holds(&s, "joined/target", bytes));
			ok(s.b->blocking->mpu_complete(s.b, &to, upload, parts, 3, a, &st,
						       &test_err));
			assert_int_equal(st.size, 3000);
			assert_true(holds(&s, "joined/target", bytes));
			ok(backend_remove_now(s.b, &to, &test_err));
			fails(s.b->blocking->mpu_complete(s.b, &to, upload, parts, 3, a, &st,
							  &test_err),
			      NOT_FOUND);
			assert_int_equal(store_files(path_of(".sluice/multipart")), 0);
			reopen();
		}
	}
	assert_true(crashes > 8);
}

static void child_puts(void)
{
	((struct local *)s.b)->named = named;
	if (!rc_ok(put_bytes(&s, "new/folder/x", STR("new"))))
		_exit(1);
}

static void test_local__put_dies_at_each_step(void **state)
{
	for (int i = 0; i < 2; i++) {
		bool died = true;

		named = i;
		for (unsigned steps = 0; died; steps++) {
			struct object_ptr p = at(&s, "new/folder/x");

			if (steps % 2)
				ok(put_bytes(&s, "new/folder/x", STR("old")));
			died = died_at(steps, child_puts);
			reopen();
			if (!died || !steps || !(steps % 2))
				;
			else
				assert_true(holds(&s, "new/folder/x", STR("old")) ||
					    holds(&s, "new/folder/x", STR("new")));
			ok(put_bytes(&s, "new/folder/x", STR("again")));
			assert_true(holds(&s, "new/folder/x", STR("again")));
			ok(backend_remove_now(s.b, &p, &test_err));
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_local__##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(paths_that_escape),
		TEST(escapes_are_names),
		TEST(full_addresses),
		TEST(links_are_not_followed),
		TEST(folders_and_pipes_are_no_objects),
		TEST(open_nowait),
		TEST(list_of_many),
		TEST(more_folders_than_are_cached),
		TEST(folder_removed_meanwhile),
		TEST(full_disk),
		TEST(failed_store_sync_stays_failed),
		TEST(commit_many_shares_a_sync),
		TEST(failed_sync_stays_failed),
		TEST(sweeps_old_temporaries),
		TEST(killed_while_writing),
		TEST(complete_survives_a_crash_at_each_step),
		TEST(put_dies_at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
