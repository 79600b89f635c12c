/* Who may do what, asked over the wire: users with policies of their own. */
#include <stdio.h>

#include "tests/gateway/site.h"

static struct site site;

#define R(x) "arn:lakefs:fs:::repository/" x
#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ALLOW(action_, resource_) {.effect = "allow", .action = action_, .resource = resource_}
#define DENY(action_, resource_) {.effect = "deny", .action = action_, .resource = resource_}

static const struct str proxies[] = {{"127.0.0.0/8", 11}, {"fd00::/8", 8}, {"10.1.2.3", 8}};

static void add_users(void)
{
	static const struct site_statement one[] = {
		ALLOW("fs:ListRepositories", R("one")), ALLOW("fs:ReadRepository", R("one")),
		ALLOW("fs:List*", R("one")), ALLOW("fs:*Object", R("one/*"))};
	static const struct site_statement reader[] = {
		ALLOW("fs:Read*", "*"), ALLOW("fs:List*", "*"),
		DENY("fs:ReadObject", R("one/object/secret"))};
	static const struct site_statement writer[] = {
		ALLOW("fs:WriteObject", R("one/object/in/*")), ALLOW("fs:ReadObject", R("one/*")),
		DENY("fs:ReadObject", R("one/object/secret"))};
	static const struct site_statement office[] = {
		{"allow", "fs:*", "*", "IpAddress", "SourceIp", "192.0.2.0/24"}};
	static const struct site_statement nothing[] = {ALLOW("auth:ReadUser", "*")};

	site_add_user(&site, "one", one, LEN(one));
	site_add_user(&site, "reader", reader, LEN(reader));
	site_add_user(&site, "writer", writer, LEN(writer));
	site_add_user(&site, "office", office, LEN(office));
	site_add_user(&site, "nothing", nothing, LEN(nothing));
}

static int set_up(void **state)
{
	site_open(&site, &(struct site_options){.proxies = proxies, .proxies_n = LEN(proxies)});
	site_add_repo(&site, "one", false);
	site_add_repo(&site, "two", false);
	site_add_repo(&site, "frozen", true);
	add_users();
	expect(&site, 200, .method = "PUT", .target = "/one/main/k", .body = STR("k"));
	expect(&site, 200, .method = "PUT", .target = "/one/main/secret", .body = STR("s"));
	expect(&site, 200, .method = "PUT", .target = "/two/main/k", .body = STR("k"));
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

static void test_permit__strangers(void **state)
{
	expect_error(&site, 403, "AccessDenied", .user = "", .target = "/");
	expect_error(&site, 403, "AccessDenied", .user = "", .target = "/one/main/k");
	expect_error(&site, 403, "AccessDenied", .user = "", .method = "PUT", .target = "/one/main/k",
		     .body = STR("x"));
	/* Nor do they hear what there is. */
	expect_error(&site, 403, "AccessDenied", .user = "", .target = "/none/main/k");
	expect_error(&site, 403, "AccessDenied", .user = "", .target = "/one/main/k?acl=");
	expect_error(&site, 403, "InvalidAccessKeyId", .user = "nobody", .target = "/one/main/k");
	expect_error(&site, 405, "MethodNotAllowed", .user = "", .method = "OPTIONS",
		     .target = "/one/main/k");
}

static void test_permit__one_repository(void **state)
{
	struct answer a;

	site_call(&site, &(struct call){.user = "one", .target = "/"}, &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "<Name>one</Name>"));
	assert_false(answer_has(&a, "<Name>two</Name>"));
	answer_free(&a);
	expect(&site, 200, .user = "one", .target = "/one/main/k");
	expect(&site, 200, .user = "one", .method = "HEAD", .target = "/one");
	expect(&site, 200, .user = "one", .target = "/one?prefix=main%2F");
	expect(&site, 200, .user = "one", .method = "PUT", .target = "/one/main/j", .body = STR("j"));
	expect_error(&site, 403, "AccessDenied", .user = "one", .target = "/two/main/k");
	expect_error(&site, 403, "AccessDenied", .user = "one", .target = "/two?prefix=main%2F");
	expect_error(&site, 403, "AccessDenied", .user = "one", .method = "PUT",
		     .target = "/two/main/k", .body = STR("x"));
	expect_error(&site, 403, "AccessDenied", .user = "one", .method = "DELETE",
		     .target = "/two/main/k");
	expect(&site, 403, .user = "one", .method = "HEAD", .target = "/two");
	expect_error(&site, 403, "AccessDenied", .user = "nothing", .target = "/");
}

/* Who may not list repositories isn't told which exist. */
static void test_permit__unknown_repositories(void **state)
{
	expect_error(&site, 404, "NoSuchBucket", .target = "/none/main/k");
	expect_error(&site, 404, "NoSuchBucket", .user = "reader", .target = "/none/main/k");
	expect_error(&site, 403, "AccessDenied", .user = "one", .target = "/none/main/k");
	expect_error(&site, 404, "NoSuchBucket", .target = "/No_Name!/main/k");
	expect_error(&site, 404, "NoSuchBucket", .target = "/api/v2/k");
	expect_error(&site, 404, "ErrNoSuchBucketPossibleAPIEndpoint", .target = "/api/v1/repositories");
}

static void test_permit__reader(void **state)
{
	expect(&site, 200, .user = "reader", .target = "/one/main/k");
	expect_error(&site, 403, "AccessDenied", .user = "reader", .target = "/one/main/secret");
	expect(&site, 403, .user = "reader", .method = "HEAD", .target = "/one/main/secret");
	expect_error(&site, 403, "AccessDenied", .user = "reader", .method = "PUT",
		     .target = "/one/main/k", .body = STR("x"));
	expect_error(&site, 403, "AccessDenied", .user = "reader", .method = "POST",
		     .target = "/one/main/k?uploads=");
	expect_error(&site, 403, "AccessDenied", .user = "reader", .method = "DELETE",
		     .target = "/one/main/k");
}

static void delete_of(const char *user, const char *key, const char *want)
{
	struct answer a;
	char xml[300];
	int n = snprintf(xml, sizeof(xml),
			 "<Delete><Object><Key>%s</Key></Object></Delete>", key);

	site_call(&site,
		  &(struct call){.user = user, .method = "POST", .target = "/one?delete=",
				 .body = str_make(xml, (size_t)n)},
		  &a);
	assert_int_equal(a.status, 200);
	if (!answer_has(&a, want))
		fail_msg("no %s in " STR_FMT, want, STR_ARG(buf_str(&a.body)));
	answer_free(&a);
}

static void test_permit__each_key_of_a_delete(void **state)
{
	delete_of("reader", "main/k", "<Code>AccessDenied</Code>");
	expect(&site, 200, .target = "/one/main/k");
	delete_of("one", "main/gone", "<Deleted><Key>main/gone</Key></Deleted>");
}

/* What is read is what was asked for, however it is written. */
static void test_permit__copies(void **state)
{
	static const char *const secret[] = {
		"one/main/secret", "/one/main/secret", "one/main/secret?versionId=null",
		"%2Fone%2Fmain%2Fsecret", "one/main/%73ecret"};

	for (size_t i = 0; i < LEN(secret); i++)
		expect_error(&site, 403, "AccessDenied", .user = "writer", .method = "PUT",
			     .target = "/one/main/in/copy",
			     .headers = {{"x-amz-copy-source", secret[i]}});
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main/in/copy");
	expect_error(&site, 403, "AccessDenied", .user = "writer", .method = "PUT",
		     .target = "/one/main/out", .headers = {{"x-amz-copy-source", "one/main/k"}});
	expect_error(&site, 403, "AccessDenied", .user = "writer", .method = "PUT",
		     .target = "/one/main/in/copy", .headers = {{"x-amz-copy-source", "two/main/k"}});
	expect(&site, 200, .user = "writer", .method = "PUT", .target = "/one/main/in/copy",
	       .headers = {{"x-amz-copy-source", "one/main/k"}});
}

static void from(int status, const char *first, const char *second)
{
	expect(&site, status, .user = "office", .target = "/one/main/k",
	       .headers = {{"x-forwarded-for", first}, {second ? "x-forwarded-for" : NULL, second}});
}

/* The tests' client comes from 127.0.0.1, a trusted proxy. */
static void test_permit__source_addresses(void **state)
{
	expect_error(&site, 403, "AccessDenied", .user = "office", .target = "/one/main/k");
	from(200, "192.0.2.7", NULL);
	from(403, "198.51.100.1", NULL);
	from(200, "198.51.100.1, 192.0.2.7", NULL);
	from(403, "192.0.2.7, 198.51.100.1", NULL);
	from(200, "192.0.2.7, 127.5.5.5, 10.1.2.3", NULL);
	from(200, "192.0.2.7,fd12::1,::ffff:10.1.2.3", NULL);
	from(403, "192.0.2.7, 10.1.2.4", NULL);
	/* What a client wrote itself comes in a line before the proxy's. */
	from(403, "192.0.2.7", "198.51.100.1");
	from(200, "198.51.100.1", "192.0.2.7");
	from(403, "192.0.2.7, nonsense", NULL);
	from(403, "192.0.2.7,,", NULL);
}

static void test_permit__read_only(void **state)
{
	expect_error(&site, 403, "ErrReadOnlyRepository", .method = "PUT",
		     .target = "/frozen/main/k", .body = STR("x"));
	expect_error(&site, 403, "ErrReadOnlyRepository", .method = "POST",
		     .target = "/frozen/main/k?uploads=");
	expect_error(&site, 403, "ErrReadOnlyRepository", .method = "DELETE",
		     .target = "/frozen/main/k");
	expect_error(&site, 403, "ErrReadOnlyRepository", .method = "POST",
		     .target = "/frozen?delete=",
		     .body = STR("<Delete><Object><Key>main/k</Key></Object></Delete>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permit__strangers),
		cmocka_unit_test(test_permit__one_repository),
		cmocka_unit_test(test_permit__unknown_repositories),
		cmocka_unit_test(test_permit__reader),
		cmocka_unit_test(test_permit__each_key_of_a_delete),
		cmocka_unit_test(test_permit__copies),
		cmocka_unit_test(test_permit__source_addresses),
		cmocka_unit_test(test_permit__read_only),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
