/* Tags, commits and expressions over the wire: read like branches, written never; protected branches; the order
 * of branches in a listing. */
#include <stdio.h>

#include "tests/gateway/site.h"
#include "versions/head.h"
#include "versions/protection.h"
#include "versions/tag.h"

static struct site site;
static struct arena *a;
static struct repo one;
static char head_id[65];

static struct vcall call(void)
{
	return (struct vcall){.v = site.versions, .a = a, .wait = KV_BLOCK};
}

static void ok(rc done)
{
	assert_int_equal(done.code, ERR_NONE);
}

static void commit(const char *message)
{
	struct commit_request q = {.branch = STR("main"), .committer = STR("c"), .message = str_c(message)};
	struct vcall c = call();
	struct commit made;

	ok(branch_commit(&c, &one, &q, &made));
	memcpy(head_id, made.id.p, 64);
}

static int set_up(void **state)
{
	struct vcall c;
	struct tag tag;

	site_open(&site, &(struct site_options){.store = SITE_LOCAL});
	a = arena_new();
	c = call();
	site_add_repo(&site, "one", false);
	ok(repo_get(&c, STR("one"), &one));
	expect(&site, 200, .method = "PUT", .target = "/one/main/dir/x", .body = STR("first"));
	commit("1");
	ok(tag_create(&c, &one, STR("v1.0"), STR("main"), false, &tag));
	expect(&site, 200, .method = "PUT", .target = "/one/main/dir/x", .body = STR("second!"));
	expect(&site, 200, .method = "PUT", .target = "/one/main/dir/y", .body = STR("y"));
	commit("2");
	expect(&site, 200, .method = "PUT", .target = "/one/main/dir/x", .body = STR("staged"));
	return 0;
}

static int tear_down(void **state)
{
	arena_free(a);
	site_close(&site);
	return 0;
}

static void check_body(const char *target, const char *body)
{
	struct answer got;

	site_call(&site, &(struct call){.target = target}, &got);
	if (got.status != 200 || !str_eq(buf_str(&got.body), str_c(body)))
		fail_msg("%s: %d " STR_FMT, target, got.status, STR_ARG(buf_str(&got.body)));
	answer_free(&got);
}

static const char *at(const char *before, const char *after)
{
	return arena_printf(a, "%s%s%s", before, head_id, after).p;
}

static void test_refs__read(void **state)
{
	check_body("/one/main/dir/x", "staged");
	check_body("/one/main$/dir/x", "staged");
	check_body("/one/main%40/dir/x", "second!");
	check_body("/one/main~1/dir/x", "first");
	check_body("/one/main%5E/dir/x", "first");
	check_body("/one/v1.0/dir/x", "first");
	check_body(at("/one/", "/dir/x"), "second!");
	check_body(at("/one/", "~1/dir/x"), "first");
	check_body("/one.v1.0/dir/x", "first");
	check_body(at("/one.", "/dir/y"), "y");
	head_id[12] = 0; /* the beginning of it */
	check_body(at("/one/", "/dir/x"), "second!");
	expect(&site, 200, .method = "HEAD", .target = "/one.v1.0");
	expect(&site, 200, .method = "HEAD", .target = "/one/v1.0/dir/x");
	expect_error(&site, 404, "NoSuchKey", .target = "/one/v1.0/dir/y");
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main~9/dir/x");
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main~x/dir/x");
	expect_error(&site, 404, "NoSuchKey", .target = "/one/nosuch/dir/x");
	expect_error(&site, 404, "NoSuchBucket", .target = "/one.nosuch/dir/x");
	expect_error(&site, 404, "NoSuchKey", .target = "/one.v1.0/dir/y");
}

static void check_listed(const char *target, const char *there, const char *not_there)
{
	struct answer got;

	site_call(&site, &(struct call){.target = target}, &got);
	assert_int_equal(got.status, 200);
	assert_true(answer_has(&got, there));
	assert_false(not_there && answer_has(&got, not_there));
	answer_free(&got);
}

static void test_refs__listed(void **state)
{
	check_listed("/one?list-type=2&prefix=v1.0/", "<Key>v1.0/dir/x</Key>", "dir/y");
	check_listed("/one?list-type=2&prefix=main~1/dir/", "<Key>main~1/dir/x</Key>", "dir/y");
	check_listed("/one.v1.0?list-type=2", "<Key>dir/x</Key>", "dir/y");
	check_listed("/one?prefix=nosuch/", "<IsTruncated>false", "<Key>");
	expect_error(&site, 404, "NoSuchBucket", .target = "/one.nosuch?list-type=2");
}

static void test_refs__copied(void **state)
{
	expect(&site, 200, .method = "PUT", .target = "/one/main/copy",
	       .headers = {{"x-amz-copy-source", "/one/main~1/dir/x"}});
	check_body("/one/main/copy", "first");
	expect(&site, 200, .method = "PUT", .target = "/one/main/copy",
	       .headers = {{"x-amz-copy-source", "/one.v1.0/dir/x"}});
	expect_error(&site, 404, "NoSuchKey", .method = "PUT", .target = "/one/main/copy",
		     .headers = {{"x-amz-copy-source", "/one/v1.0/dir/y"}});
}

static void check_refused(const char *method, const char *target, const char *why)
{
	struct answer got;

	site_call(&site, &(struct call){.method = method, .target = target, .body = STR("x")}, &got);
	assert_int_equal(got.status, 404);
	assert_true(answer_has(&got, "<Code>NoSuchBucket</Code>"));
	if (!answer_has(&got, why))
		fail_msg("%s: " STR_FMT, target, STR_ARG(buf_str(&got.body)));
	answer_free(&got);
}

static void test_refs__not_written(void **state)
{
	check_refused("PUT", "/one/v1.0/dir/z", "is a tag, which can't be written to");
	check_refused("PUT", "/one.v1.0/dir/z", "is a tag, which can't be written to");
	check_refused("PUT", "/one/main~1/dir/z", "is an expression of what can be read");
	check_refused("PUT", "/one/main$/dir/z", "is an expression of what can be read");
	check_refused("PUT", at("/one/", "/dir/z"), "is a commit, which can't be written to");
	check_refused("PUT", "/one/nosuch/dir/z", "has no branch 'nosuch'");
	check_refused("POST", "/one/v1.0/dir/z?uploads", "is a tag, which can't be written to");
	check_refused("DELETE", "/one.v1.0/dir/x", "is a tag, which can't be written to");
	expect(&site, 204, .method = "DELETE", .target = "/one/v1.0/dir/x"); /* as lakeFS */
	check_body("/one/v1.0/dir/x", "first");
	expect_error(&site, 404, "NoSuchBucket", .method = "DELETE", .target = "/one.v1.0");
}

static void test_refs__protected(void **state)
{
	struct vcall c = call();
	const struct protection_rule rule = {STR("prot*"), PROTECT_STAGING};

	expect(&site, 200, .method = "PUT", .target = "/one.protected");
	expect(&site, 200, .method = "PUT", .target = "/one/protected/a", .body = STR("a"));
	ok(protection_set(&c, &one, &rule, 1, STR_NONE));
	expect_error(&site, 403, "ErrWriteToProtectedBranch", .method = "PUT", .target = "/one/protected/b",
		     .body = STR("b"));
	expect_error(&site, 403, "ErrWriteToProtectedBranch", .method = "DELETE", .target = "/one/protected/a");
	expect_error(&site, 403, "ErrWriteToProtectedBranch", .method = "POST",
		     .target = "/one/protected/a?uploads");
	expect_error(&site, 400, "InvalidRequest", .method = "PUT", .target = "/one/protected/b",
		     .headers = {{"x-amz-copy-source", "/one/main/dir/x"}});
	check_body("/one/protected/a", "a");
	ok(protection_set(&c, &one, NULL, 0, STR_NONE));
	expect(&site, 204, .method = "DELETE", .target = "/one/protected/a");
}

static void add_branch(const char *name, bool hidden)
{
	const struct branch_request q = {.name = str_c(name), .hidden = hidden};
	struct vcall c = call();

	ok(branch_create_with(&c, &one, &q));
}

/* "a-b/" before "a/" before "a0/", whatever the page's size, and from any place on. */
static void test_refs__branches_in_order(void **state)
{
	static const char *const names[] = {"l",     "l-b",   "l-b-c", "l-c",  "l0", "l0-a", "l_",
					    "l-b_c", "l-b-d", "l-b0", "lA", "la"};
	static const char *const order[] = {"l-b-c/", "l-b-d/", "l-b/", "l-b0/", "l-b_c/", "l-c/",
					    "l/",     "l0-a/",	"l0/",	"lA/",	 "l_/",	   "la/"};
	size_t n = sizeof(order) / sizeof(order[0]);

	for (size_t i = 0; i < n; i++)
		add_branch(names[i], false);
	add_branch("l-hidden", true);
	for (unsigned max = 1; max <= n + 1; max++)
		for (size_t i = 0; i <= n; i++) {
			const char *after = i ? order[i - 1] : "";
			struct answer got;
			char target[200], text[1024];
			size_t want = n - i < max ? n - i : max;

			snprintf(target, sizeof(target), "/one?prefix=l&marker=%s&max-keys=%u", after, max);
			site_call(&site, &(struct call){.target = target}, &got);
			assert_int_equal(got.status, 200);
			for (size_t k = 0; k < n; k++) {
				snprintf(text, sizeof(text), "<CommonPrefixes><Prefix>%s</Prefix>", order[k]);
				assert_int_equal(answer_has(&got, text), k >= i && k < i + want);
			}
			assert_int_equal(answer_has(&got, "<IsTruncated>true"), i + want < n);
			if (i + want < n)
				assert_string_equal(answer_element(&got, "NextMarker", text), order[i + want - 1]);
			answer_free(&got);
		}
	check_listed("/one?list-type=2&prefix=l-b&start-after=l-b", "<Prefix>l-b-c/</Prefix>", "l-c/");
	check_listed("/one?list-type=2&prefix=l-b&start-after=l-b", "<Prefix>l-b/</Prefix>", "l-hidden/");
	check_listed("/one?list-type=2&prefix=l-b&start-after=l-b/x/y", "<Prefix>l-b0/</Prefix>", "<Prefix>l-b/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refs__read),
		cmocka_unit_test(test_refs__listed),
		cmocka_unit_test(test_refs__copied),
		cmocka_unit_test(test_refs__not_written),
		cmocka_unit_test(test_refs__protected),
		cmocka_unit_test(test_refs__branches_in_order),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
