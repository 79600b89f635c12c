/* Buckets made and removed, over the wire: names, conflicts, permissions, what is asked for along with them. */
#include <stdio.h>

#include "tests/gateway/site.h"

static struct site site;

#define R(x) "arn:lakefs:fs:::repository/" x
#define N(x) "arn:lakefs:fs:::namespace/" x
#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ALLOW(action_, resource_) {.effect = "allow", .action = action_, .resource = resource_}

static void add_users(void)
{
	static const struct site_statement repo_only[] = {ALLOW("fs:CreateRepository", "*")};
	static const struct site_statement space_only[] = {ALLOW("fs:AttachStorageNamespace", "*")};
	static const struct site_statement maker[] = {
		ALLOW("fs:CreateRepository", R("made-*")), ALLOW("fs:AttachStorageNamespace", N("mem://made-*")),
		ALLOW("fs:DeleteRepository", R("made-*"))};
	static const struct site_statement writer[] = {
		ALLOW("fs:*Object*", R("one*")), ALLOW("fs:ReadRepository", R("one"))};
	static const struct site_statement brancher[] = {
		ALLOW("fs:CreateBranch", R("one/branch/b-*")), ALLOW("fs:DeleteBranch", R("one/branch/b-*")),
		ALLOW("fs:ListRepositories", "*"), ALLOW("fs:WriteObject", "*")};

	site_add_user(&site, "repo_only", repo_only, LEN(repo_only));
	site_add_user(&site, "space_only", space_only, LEN(space_only));
	site_add_user(&site, "maker", maker, LEN(maker));
	site_add_user(&site, "writer", writer, LEN(writer));
	site_add_user(&site, "brancher", brancher, LEN(brancher));
}

static int set_up(void **state)
{
	site_open(&site, &(struct site_options){.bare = true});
	site_add_repo(&site, "one", false);
	site_add_repo(&site, "frozen", true);
	add_users();
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

static void create(int status, const char *code, const char *user, const char *target)
{
	expect_error(&site, status, code, .user = user, .method = "PUT", .target = target);
}

static void test_buckets__names(void **state)
{
	static const char *const bad[] = {"/ab", "/Capital", "/-first", "/one.", "/one.-b", "/one.a.b", "/one.a%20b",
					  "/a_b_c", "/.main"};

	for (size_t i = 0; i < LEN(bad); i++)
		create(400, "InvalidBucketName", "admin", bad[i]);
	create(404, "NoSuchBucket", "admin", "/none.dev");
	/* Who may not list isn't told. */
	create(403, "AccessDenied", "writer", "/none.dev");
}

static void test_buckets__permissions(void **state)
{
	create(403, "AccessDenied", "repo_only", "/made-a");
	create(403, "AccessDenied", "space_only", "/made-a");
	create(403, "AccessDenied", "writer", "/made-a");
	create(403, "AccessDenied", "maker", "/other-a");
	create(403, "AccessDenied", "", "/made-a");
	create(200, "", "maker", "/made-a");
	expect(&site, 200, .method = "HEAD", .target = "/made-a");
	create(403, "AccessDenied", "writer", "/one.b-1");
	create(403, "AccessDenied", "brancher", "/one.c-1");
	create(200, "", "brancher", "/one.b-1");
	expect_error(&site, 403, "AccessDenied", .user = "writer", .method = "DELETE", .target = "/one.b-1");
	expect_error(&site, 403, "AccessDenied", .user = "brancher", .method = "DELETE", .target = "/one");
	expect_error(&site, 403, "AccessDenied", .user = "brancher", .method = "DELETE", .target = "/made-a");
	expect(&site, 204, .user = "brancher", .method = "DELETE", .target = "/one.b-1");
	expect_error(&site, 403, "AccessDenied", .user = "writer", .method = "DELETE", .target = "/made-a");
	expect(&site, 204, .user = "maker", .method = "DELETE", .target = "/made-a");
}

/* Tools make their bucket first, and go on if they hear that it is theirs: whoever may use it does. */
static void test_buckets__existing(void **state)
{
	create(409, "BucketAlreadyOwnedByYou", "admin", "/one");
	create(409, "BucketAlreadyOwnedByYou", "writer", "/one");
	create(409, "BucketAlreadyOwnedByYou", "admin", "/one.main");
	create(409, "BucketAlreadyExists", "repo_only", "/one");
	create(403, "AccessDenied", "space_only", "/one");
	create(403, "AccessDenied", "brancher", "/one");
	create(403, "AccessDenied", "brancher", "/one.main");
	create(200, "", "admin", "/one.b-2");
	create(409, "BucketAlreadyExists", "brancher", "/one.b-2");
	create(409, "BucketAlreadyOwnedByYou", "admin", "/frozen");
}

static void configured(int status, const char *code, const char *xml)
{
	expect_error(&site, status, code, .method = "PUT", .target = "/conf-a", .body = str_c(xml));
	if (status == 200)
		expect(&site, 204, .method = "DELETE", .target = "/conf-a");
}

#define CONFIGURATION(inner) "<CreateBucketConfiguration>" inner "</CreateBucketConfiguration>"

static void test_buckets__configuration(void **state)
{
	configured(200, "", CONFIGURATION(""));
	configured(200, "", CONFIGURATION("<LocationConstraint/>"));
	configured(200, "", CONFIGURATION("<LocationConstraint> us-east-1 </LocationConstraint>"));
	configured(200, "", "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			    "<LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>");
	configured(400, "InvalidLocationConstraint",
		   CONFIGURATION("<LocationConstraint>mars</LocationConstraint>"));
	/* A store that has no place for it says what to do. */
	configured(400, "InvalidRequest", CONFIGURATION("<LocationConstraint>bare</LocationConstraint>"));
	configured(501, "NotImplemented", CONFIGURATION("<Tags><Tag/></Tags>"));
	configured(501, "NotImplemented", CONFIGURATION("<Location><Name>x</Name></Location>"));
	configured(501, "NotImplemented", CONFIGURATION("<Bucket><Type>Directory</Type></Bucket>"));
	configured(400, "MalformedXML", CONFIGURATION("<Other/>"));
	configured(400, "MalformedXML", "<Delete/>");
	configured(400, "MalformedXML", "<CreateBucketConf");
	configured(400, "MalformedXML", " ");
	expect_error(&site, 400, "InvalidLocationConstraint", .method = "PUT", .target = "/one.b-3",
		     .body = str_c(CONFIGURATION("<LocationConstraint>mars</LocationConstraint>")));
	expect(&site, 404, .method = "HEAD", .target = "/one.b-3");
}

static void asked(int status, const char *code, const char *name, const char *value)
{
	expect_error(&site, status, code, .method = "PUT", .target = "/asked-a", .headers = {{name, value}});
	if (status == 200)
		expect(&site, 204, .method = "DELETE", .target = "/asked-a");
}

static void test_buckets__headers(void **state)
{
	struct answer a;
	char value[1024];

	asked(200, "", "x-amz-acl", "private");
	asked(501, "NotImplemented", "x-amz-acl", "public-read");
	asked(501, "NotImplemented", "x-amz-grant-read", "id=x");
	asked(200, "", "x-amz-object-ownership", "BucketOwnerEnforced");
	asked(200, "", "x-amz-object-ownership", "ObjectWriter");
	asked(400, "InvalidArgument", "x-amz-object-ownership", "Nobody");
	asked(501, "NotImplemented", "x-amz-bucket-object-lock-enabled", "true");
	asked(200, "", "x-amz-bucket-object-lock-enabled", "false");
	site_call(&site, &(struct call){.method = "PUT", .target = "/asked-b"}, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(answer_header(&a, "location", value), "/asked-b");
	answer_free(&a);
}

static void test_buckets__delete(void **state)
{
	struct answer a;

	create(200, "", "admin", "/full");
	expect(&site, 200, .method = "PUT", .target = "/full/main/a/b", .body = STR("x"));
	site_call(&site, &(struct call){.method = "DELETE", .target = "/full"}, &a);
	assert_int_equal(a.status, 409);
	assert_true(answer_has(&a, "<Code>BucketNotEmpty</Code>"));
	assert_true(answer_has(&a, "&apos;a/b&apos;") || answer_has(&a, "'a/b'"));
	answer_free(&a);
	expect(&site, 204, .method = "DELETE", .target = "/full/main/a/b");
	create(200, "", "admin", "/full.dev");
	expect_error(&site, 409, "BucketNotEmpty", .method = "DELETE", .target = "/full");
	expect_error(&site, 409, "InvalidBucketState", .method = "DELETE", .target = "/full.main");
	expect(&site, 204, .method = "DELETE", .target = "/full.dev");
	expect_error(&site, 404, "NoSuchBucket", .method = "DELETE", .target = "/full.dev");
	expect(&site, 204, .method = "DELETE", .target = "/full");
	expect_error(&site, 404, "NoSuchBucket", .method = "DELETE", .target = "/full");
	expect_error(&site, 403, "ErrReadOnlyRepository", .method = "DELETE", .target = "/frozen");
	create(403, "ErrReadOnlyRepository", "admin", "/frozen.dev");
}

/* Sub-resources that nobody has set; setting them is another matter. */
static void test_buckets__unset(void **state)
{
	expect(&site, 200, .target = "/one?versioning");
	expect(&site, 200, .user = "writer", .target = "/one?acl");
	expect_error(&site, 404, "NoSuchBucketPolicy", .user = "writer", .target = "/one?policy");
	expect_error(&site, 403, "AccessDenied", .user = "brancher", .target = "/one?policy");
	expect_error(&site, 403, "AccessDenied", .user = "brancher", .target = "/one?acl");
	expect_error(&site, 404, "NoSuchBucket", .target = "/none?policy");
	expect_error(&site, 404, "NoSuchBucket", .target = "/one.none?policy");
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main/none?acl");
	expect(&site, 200, .method = "PUT", .target = "/one/main/there", .body = STR("x"));
	expect(&site, 200, .target = "/one/main/there?acl");
	expect_error(&site, 403, "AccessDenied", .user = "brancher", .target = "/one/main/there?acl");
	expect_error(&site, 501, "NotImplemented", .method = "PUT", .target = "/one?policy", .body = STR("{}"));
	expect_error(&site, 501, "NotImplemented", .method = "DELETE", .target = "/one?cors");
	expect_error(&site, 501, "NotImplemented", .method = "PUT", .target = "/one/main/there?acl");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets__names),
		cmocka_unit_test(test_buckets__permissions),
		cmocka_unit_test(test_buckets__existing),
		cmocka_unit_test(test_buckets__configuration),
		cmocka_unit_test(test_buckets__headers),
		cmocka_unit_test(test_buckets__delete),
		cmocka_unit_test(test_buckets__unset),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
