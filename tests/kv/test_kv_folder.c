/* What is refused before anything is opened, and that refusing changes nothing. */
#include "tests/kv/conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "kv/folder.h"

/* The folders that were synced, one a line; this program's fsync comes before the C library's. */
static char synced[4096];

int fsync(int fd)
{
	char link[64], path[1024];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	if (n > 0 && strlen(synced) + (size_t)n + 2 < sizeof(synced))
		sprintf(synced + strlen(synced), "%.*s\n", (int)n, path);
	return (int)syscall(SYS_fsync, fd);
}

static int setup(void **state)
{
	struct kv_fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new();
	scratch_new(f->folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct kv_fixture *f = *state;

	arena_free(f->arena);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static struct str below(struct kv_fixture *f, const char *name)
{
	return arena_printf(f->arena, "%s/%s", f->folder, name);
}

static void touch(struct kv_fixture *f, const char *name)
{
	int fd = open(below(f, name).p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int files(const char *folder)
{
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void assert_refused(struct kv_fixture *f, struct str path, const char *says)
{
	struct kv_rocksdb_options o = {.path = path, .sync_writes = true};
	struct kv *kv;

	f->err.msg[0] = 0;
	assert_rc(kv_rocksdb_open(&o, &kv, &f->err), CONFIG);
	if (!strstr(f->err.msg, says) || !strstr(f->err.msg, "database.local.path"))
		fail_msg("\"%s\" doesn't say \"%s\"", f->err.msg, says);
}

static void assert_taken(struct kv_fixture *f, struct str path)
{
	struct kv_folder *claim = NULL;

	assert_ok(kv_folder_claim(path, false, &claim, &f->err), f);
	assert_true(str_eq(str_c(kv_folder_path(claim)), path));
	kv_folder_release(claim);
}

static void test_folder__badger(void **state)
{
	static const char *const marks[] = {"000001.vlog", "KEYREGISTRY", "MANIFEST"};
	struct kv_fixture *f = *state;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		touch(f, marks[i]);
		assert_refused(f, str_c(f->folder), "refs-dump");
		assert_int_equal(files(f->folder), 2 + 1);
		assert_int_equal(unlink(below(f, marks[i]).p), 0);
	}
	touch(f, "000001.sst"); /* Badger's tables, too, are called that */
	touch(f, "MANIFEST");
	assert_refused(f, str_c(f->folder), "Badger");
}

static void test_folder__data_without_current(void **state)
{
	struct kv_fixture *f = *state;

	touch(f, "000007.sst");
	touch(f, "MANIFEST-000004");
	assert_refused(f, str_c(f->folder), "CURRENT");
	assert_int_equal(files(f->folder), 2 + 2);
}

static void test_folder__foreign_files(void **state)
{
	struct kv_fixture *f = *state;

	touch(f, "thesis.tex");
	assert_refused(f, str_c(f->folder), "thesis.tex");
	assert_int_equal(files(f->folder), 2 + 1);
}

/* Those do no harm: a mount point, a hidden file, a first start that was cut short. */
static void test_folder__as_good_as_empty(void **state)
{
	struct kv_fixture *f = *state;
	static const char *const names[] = {".keep", "lost+found", "LOCK", "LOG", "IDENTITY",
					    "MANIFEST-000001", "000001.dbtmp"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		touch(f, names[i]);
	assert_taken(f, str_c(f->folder));
}

static void test_folder__not_a_folder(void **state)
{
	struct kv_fixture *f = *state;

	touch(f, "file");
	assert_refused(f, below(f, "file"), "not a folder");
	assert_refused(f, below(f, "file/below"), "not a folder");
	assert_refused(f, STR(""), "name a folder");
	assert_refused(f, STR_NONE, "name a folder");
	assert_refused(f, STR("a\0b"), "name a folder");
}

static void test_folder__made_with_its_parents(void **state)
{
	struct kv_fixture *f = *state;
	struct stat st;

	synced[0] = 0;
	assert_taken(f, below(f, "a//b/c/"));
	assert_string_equal(synced, arena_printf(f->arena, "%s\n%s/a\n%s/a/b\n", f->folder,
						 f->folder, f->folder)
					    .p);
	assert_int_equal(stat(below(f, "a/b/c").p, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(chdir(f->folder), 0);
	assert_taken(f, STR("relative/one"));
	assert_int_equal(stat(below(f, "relative/one").p, &st), 0);
	assert_int_equal(chdir("/"), 0);
}

static void test_folder__claimed_once(void **state)
{
	struct kv_fixture *f = *state;
	struct kv_folder *claim = NULL, *second = NULL;

	assert_ok(kv_folder_claim(str_c(f->folder), false, &claim, &f->err), f);
	assert_rc(kv_folder_claim(below(f, "missing"), true, &second, &f->err), NOT_FOUND);
	assert_non_null(strstr(f->err.msg, "there is no KV"));
	assert_int_not_equal(access(below(f, "missing").p, F_OK), 0);
	assert_rc(kv_folder_claim(below(f, "."), false, &second, &f->err), CONFIG);
	assert_non_null(strstr(f->err.msg, "already"));
	kv_folder_release(claim);
	assert_taken(f, str_c(f->folder));
	kv_folder_release(NULL);
}

/* In a child, since root may do everything. */
static void test_folder__no_permission(void **state)
{
	struct kv_fixture *f = *state;
	int status;
	pid_t child;

	assert_int_equal(chmod(f->folder, 0555), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct kv_folder *claim;
		bool ok = true;

		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(2);
		ok &= rc_is(kv_folder_claim(str_c(f->folder), false, &claim, &f->err), CONFIG) &&
		      strstr(f->err.msg, "owner and mode");
		ok &= rc_is(kv_folder_claim(below(f, "sub"), false, &claim, &f->err), CONFIG) &&
		      strstr(f->err.msg, "sub");
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(chmod(f->folder, 0700), 0);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(test_folder__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(badger),
		TEST(data_without_current),
		TEST(foreign_files),
		TEST(as_good_as_empty),
		TEST(not_a_folder),
		TEST(made_with_its_parents),
		TEST(claimed_once),
		TEST(no_permission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
