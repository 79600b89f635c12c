/* Tables, documents, values; where files may go; the crew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/ctl/crew.h"
#include "cli/ctl/files.h"
#include "cli/ctl/out.h"

/* What is printed until `captured`. */
static FILE *kept;
static int terminal = -1;

static void capture(void)
{
	fflush(stdout);
	terminal = dup(STDOUT_FILENO);
	kept = tmpfile();
	assert_true(kept && dup2(fileno(kept), STDOUT_FILENO) >= 0);
}

static struct str captured(char *text, size_t max)
{
	size_t n;

	fflush(stdout);
	dup2(terminal, STDOUT_FILENO);
	close(terminal);
	rewind(kept);
	n = fread(text, 1, max, kept);
	fclose(kept);
	return str_make(text, n);
}

static void must_be(struct str have, const char *want)
{
	if (!str_eq(have, str_c(want)))
		fail_msg("'" STR_FMT "' and not '%s'", STR_ARG(have), want);
}

static struct str table(bool interactive, struct arena *a, char *text, size_t max)
{
	static const char *const headers[] = {"NAME", "N"};
	struct args args = {.program = "sluicectl"};
	struct ctl c = {.a = a, .args = &args, .interactive = interactive};
	struct json *page;
	struct table t;

	assert_true(
		rc_ok(json_parse(a, STR("{\"pagination\":{\"has_more\":true,\"next_offset\":\"b\"}}"), &page, NULL)));
	table_init(&t, headers, 2);
	t.numbers = 2;
	table_add(&t, STR("h\xc3\xa9"));
	table_add(&t, STR("7"));
	table_add(&t, STR("longer"));
	table_add(&t, STR("12345"));
	capture();
	table_end(&c, &t, page, 2);
	return captured(text, max);
}

static void test_out__tables(void **state)
{
	struct arena *a = arena_new();
	char text[1000];

	must_be(table(false, a, text, sizeof(text)), "h\xc3\xa9\t7\nlonger\t12345\n\n");
	must_be(table(true, a, text, sizeof(text)),
		"+--------+-------+\n"
		"| NAME   | N     |\n"
		"+--------+-------+\n"
		"| h\xc3\xa9     |     7 |\n"
		"| longer | 12345 |\n"
		"+--------+-------+\n"
		"for more results run with \033[93m--amount 2 --after \"b\"\033[0m\n\n");
	arena_free(a);
}

static void test_out__documents(void **state)
{
	static const char *const rows[][2] = {
		{"{}", "{}\n"},
		{"[ ]", "[]\n"},
		{"{\"a\":1,\"b\":[true,{}],\"c\":{\"d\":\"x,{\\\"}\"}}\n",
		 "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {}\n  ],\n  \"c\": {\n    \"d\": \"x,{\\\"}\"\n  }\n}\n"},
		/* Text that is none must end, too. */
		{"\"open\\", "\"open\\\n"},
		{"}}]", "\n}\n}\n]\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1000];

		capture();
		out_document(str_c(rows[i][0]));
		must_be(captured(text, sizeof(text)), rows[i][1]);
	}
}

static void test_out__values(void **state)
{
	struct arena *a = arena_new();

	must_be(out_size(a, 0), "0 B");
	must_be(out_size(a, 999), "999 B");
	must_be(out_size(a, 1000), "1.0 kB");
	must_be(out_size(a, 1234567), "1.2 MB");
	must_be(out_size(a, INT64_MAX), "9.2 EB");
	must_be(out_date(a, 1700000000), "2023-11-14 22:13:20 +0000 UTC");
	must_be(out_moment(a, STR("2026-11-21T04:40:02.65Z")), "2026-11-21 04:40:02.65 +0000 UTC");
	must_be(out_moment(a, STR("no time")), "no time");
	arena_free(a);
}

/* Files. */

static void test_files__keys(void **state)
{
	static const char *const good[] = {"a", "a/b", ".hidden", "a/...", "dir/", "a b/\n"},
				 *const bad[] = {"",	 "/",	   "/a",  "a//b", "..",	 ".",  "../a",
						 "a/..", "a/../b", "./a", "a/.",  "a//", "../"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(files_key_is_safe(str_c(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (files_key_is_safe(str_c(bad[i])))
			fail_msg("'%s'", bad[i]);
	assert_false(files_key_is_safe(str_make("a\0b", 3)));
}

static void test_files__whole_or_not_at_all(void **state)
{
	char folder[] = "/tmp/test-ctl-files-XXXXXX";
	struct arena *a = arena_new();
	struct new_file f;
	struct str path;
	struct stat st;

	assert_non_null(mkdtemp(folder));
	path = files_join(a, str_c(folder), STR("x/y/z"));
	assert_true(files_make_folders(a, path) && files_make_folders(a, path));
	assert_true(files_begin(a, path, &f) && write(f.fd, "ab", 2) == 2);
	assert_int_not_equal(stat(path.p, &st), 0);
	assert_true(files_commit(&f));
	assert_true(stat(path.p, &st) == 0 && st.st_size == 2);
	assert_true(files_begin(a, path, &f) && write(f.fd, "abc", 3) == 3);
	files_abandon(&f);
	assert_true(stat(path.p, &st) == 0 && st.st_size == 2);
	assert_int_equal(stat(f.temp.p, &st), -1);
	/* A file is no folder. */
	assert_false(files_make_folders(a, files_join(a, path, STR("below/x"))));
	assert_int_equal(unlink(path.p), 0);
	assert_int_equal(rmdir(files_join(a, str_c(folder), STR("x/y")).p), 0);
	assert_int_equal(rmdir(files_join(a, str_c(folder), STR("x")).p), 0);
	assert_int_equal(rmdir(folder), 0);
	arena_free(a);
}

/* The crew. */

static atomic_uint done;

static void one(void *ud, void *item)
{
	atomic_fetch_add(&done, *(unsigned *)item);
	free(item);
}

static void test_crew__takes_all(void **state)
{
	struct crew *c = crew_new(7, one, NULL);

	for (unsigned i = 0; i < 5000; i++) {
		unsigned *n = malloc(sizeof(*n));

		*n = i;
		crew_add(c, n);
	}
	crew_end(c);
	assert_int_equal(atomic_load(&done), 4999 * 5000 / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out__tables),
		cmocka_unit_test(test_out__documents),
		cmocka_unit_test(test_out__values),
		cmocka_unit_test(test_files__keys),
		cmocka_unit_test(test_files__whole_or_not_at_all),
		cmocka_unit_test(test_crew__takes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
