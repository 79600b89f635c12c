/* lakefs:// addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/ctl/uri.h"

static void test_uri__parts(void **state)
{
	static const struct {
		enum uri_kind kind;
		struct str text, base, repo, ref, path;
	} rows[] = {
		{URI_REPO, STR("lakefs://abc"), STR(""), STR("abc"), STR(""), STR("")},
		{URI_REPO, STR("lakefs://abc/"), STR(""), STR("abc"), STR(""), STR("")},
		{URI_BRANCH, STR("lakefs://abc/main"), STR(""), STR("abc"), STR("main"), STR("")},
		{URI_BRANCH, STR("lakefs://abc/_a-B9/"), STR(""), STR("abc"), STR("_a-B9"), STR("")},
		{URI_TAG, STR("lakefs://abc/v@1.0"), STR(""), STR("abc"), STR("v@1.0"), STR("")},
		{URI_REF, STR("lakefs://abc/main~2^1"), STR(""), STR("abc"), STR("main~2^1"), STR("")},
		{URI_PATH, STR("lakefs://abc/main/"), STR(""), STR("abc"), STR("main"), STR("")},
		{URI_PATH, STR("lakefs://abc/main/a//b%20?x#y"), STR(""), STR("abc"), STR("main"), STR("a//b%20?x#y")},
		{URI_PATH, STR("/main/x"), STR("lakefs://abc"), STR("abc"), STR("main"), STR("x")},
		{URI_PATH, STR("x/y"), STR("lakefs://abc/main/"), STR("abc"), STR("main"), STR("x/y")},
		{URI_PATH, STR("lakefs://other/main/x"), STR("lakefs://abc/main/"), STR("other"), STR("main"),
		 STR("x")},
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str why = STR_NONE;
		struct uri u;

		if (!uri_want(rows[i].kind, rows[i].text, rows[i].base, a, &u, &why))
			fail_msg("row %zu: " STR_FMT, i, STR_ARG(why));
		assert_true(str_eq(u.repo, rows[i].repo) && str_eq(u.ref, rows[i].ref) && str_eq(u.path, rows[i].path));
	}
	arena_free(a);
}

static void test_uri__what_is_wrong(void **state)
{
	static const struct {
		enum uri_kind kind;
		struct str text, why;
	} rows[] = {
		{URI_REPO, STR("abc"), STR("repository URI malformed lakefs URI")},
		{URI_REPO, STR("s3://abc"), STR("repository URI malformed lakefs URI")},
		{URI_REPO, STR("lakefs://"), STR("repository URI malformed lakefs URI")},
		{URI_REPO, STR("lakefs:///main"), STR("repository URI malformed lakefs URI")},
		{URI_REPO, STR("lakefs://Bad_Name"),
		 STR("repository URI contains invalid repository name (repo=Bad_Name): not a valid repo URI")},
		{URI_REPO, STR("lakefs://ab"),
		 STR("repository URI contains invalid repository name (repo=ab): not a valid repo URI")},
		{URI_REPO, STR("lakefs://-abc"),
		 STR("repository URI contains invalid repository name (repo=-abc): not a valid repo URI")},
		{URI_REPO, STR("lakefs://abc/main"),
		 STR("repository URI repository URI includes a ref part (ref=main): not a valid repo URI")},
		{URI_BRANCH, STR("lakefs://abc"), STR("branch URI missing reference part: not a valid ref URI")},
		{URI_BRANCH, STR("lakefs://abc/b@2"),
		 STR("branch URI contains invalid branch name: not a valid branch URI")},
		{URI_BRANCH, STR("lakefs://abc/-b"),
		 STR("branch URI contains invalid branch name: not a valid branch URI")},
		{URI_BRANCH, STR("lakefs://abc/b/p"),
		 STR("branch URI includes a path part (path=p): not a valid ref URI")},
		{URI_COMMIT, STR("lakefs://abc//x"), STR("commit URI missing reference part: not a valid ref URI")},
		{URI_PATH, STR("lakefs://abc"), STR("path URI missing reference part: not a valid ref URI")},
		{URI_PATH, STR("lakefs://abc/main"), STR("path URI missing path part: not a valid path URI")},
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str why = STR_NONE;
		struct uri u;

		assert_false(uri_want(rows[i].kind, rows[i].text, STR_NONE, a, &u, &why));
		if (!str_eq(why, rows[i].why))
			fail_msg("row %zu: " STR_FMT, i, STR_ARG(why));
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uri__parts),
		cmocka_unit_test(test_uri__what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
