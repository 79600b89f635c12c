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

/* The same request on what is there (`is`) and on what isn't: their answers differ in nothing but the name. */
static void same_answer(const char *method, const char *is, const char *isnt, const char *source, struct str body)
{
	struct answer a[2];
	static const char *const names[][2] = {{"two", "nix"}, {"frozen", "absent"}};
	char code[2][1024], message[2][1024], *name;

	for (int i = 0; i < 2; i++) {
		site_call(&site,
			  &(struct call){.user = "nothing", .method = method, .target = i ? isnt : is,
					 .body = body,
					 .headers = {{source ? "x-amz-copy-source" : NULL, source}}},
			  &a[i]);
		answer_element(&a[i], "Code", code[i]);
		answer_element(&a[i], "Message", message[i]);
		for (size_t k = 0; k < LEN(names); k++)
			while ((name = strstr(message[i], names[k][1])))
				memcpy(name, names[k][0], strlen(names[k][0]));
		answer_free(&a[i]);
	}
	if (a[0].status != a[1].status || strcmp(code[0], code[1]) || strcmp(message[0], message[1]))
		fail_msg("%s %s: %d %s %s; %s: %d %s %s", method, is, a[0].status, code[0], message[0],
			 isnt, a[1].status, code[1], message[1]);
}

static void test_permit__nothing_is_told_to_strangers(void **state)
{
	static const struct {
		const char *method, *target, *source;
	} calls[] = {
		{"GET", "", NULL}, {"HEAD", "", NULL}, {"GET", "?location", NULL}, {"GET", "?versions", NULL},
		{"GET", "?uploads", NULL}, {"GET", "?versioning", NULL}, {"PUT", "?versioning", NULL},
		{"GET", "?session", NULL}, {"PUT", "?acl", NULL}, {"PUT", "", NULL}, {"DELETE", "", NULL},
		{"GET", "/main/k", NULL}, {"GET", "/main/k?attributes", NULL}, {"GET", "/main/k?tagging", NULL},
		{"PUT", "/main/k", NULL}, {"PUT", "/main/k?acl", NULL}, {"DELETE", "/main/k", NULL},
		{"PUT", "/main/x", "one/main/k"}, {"PUT", "/main/x", "one"}, {"PUT", "/main/x", "%zz"},
		{"POST", "/main/k?uploads", NULL}, {"PUT", "/main/k?partNumber=1&uploadId=x", NULL},
		{"PUT", "/main/k?partNumber=0&uploadId=x", NULL}, {"GET", "/main/k?uploadId=x", NULL},
	};
	static const char *const pairs[][2] = {
		{"/two", "/nix"}, {"/two.main", "/nix.main"}, {"/two.main", "/two.gone"},
		{"/frozen", "/absent"}};
	char is[200], isnt[200];

	for (size_t p = 0; p < 3; p++)
		for (size_t i = 0; i < LEN(calls); i++) {
			snprintf(is, sizeof(is), "%s%s", pairs[p][0], calls[i].target);
			snprintf(isnt, sizeof(isnt), "%s%s", pairs[p][1], calls[i].target);
			if (p == 2 && calls[i].target[0] == 0 && strlen(calls[i].method) != 4)
				continue; /* its permissions name the branch */
			same_answer(calls[i].method, is, isnt, calls[i].source, STR(""));
		}
	for (size_t p = 0; p < LEN(pairs); p++) {
		snprintf(is, sizeof(is), "%s?delete", pairs[p][0]);
		snprintf(isnt, sizeof(isnt), "%s?delete", pairs[p][1]);
		same_answer("POST", is, isnt, NULL, STR("<Delete/>"));
		same_answer("POST", is, isnt, NULL,
			    STR("<Delete><Object><Key>two</Key></Object><Object><Key>main/</Key></Object>"
				"</Delete>"));
	}
}

/* If-Match would tell ETags to who may not read. */
static void test_permit__conditions_of_writers(void **state)
{
	static const struct site_statement blind[] = {ALLOW("fs:WriteObject", R("one/*"))};

	site_add_user(&site, "blind", blind, LEN(blind));
	expect(&site, 200, .user = "blind", .method = "PUT", .target = "/one/main/b", .body = STR("b"));
	expect_error(&site, 412, "PreconditionFailed", .user = "blind", .method = "PUT",
		     .target = "/one/main/b", .body = STR("c"), .headers = {{"if-none-match", "*"}});
	expect_error(&site, 403, "AccessDenied", .user = "blind", .method = "PUT", .target = "/one/main/b",
		     .body = STR("c"), .headers = {{"if-match", "\"x\""}});
	expect_error(&site, 403, "AccessDenied", .user = "blind", .method = "POST",
		     .target = "/one/main/b?uploadId=x", .headers = {{"if-match", "*"}});
	expect_error(&site, 412, "PreconditionFailed", .user = "one", .method = "PUT",
		     .target = "/one/main/b", .body = STR("c"), .headers = {{"if-match", "\"x\""}});
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
		cmocka_unit_test(test_permit__nothing_is_told_to_strangers),
		cmocka_unit_test(test_permit__conditions_of_writers),
		cmocka_unit_test(test_permit__unknown_repositories),
		cmocka_unit_test(test_permit__reader),
		cmocka_unit_test(test_permit__each_key_of_a_delete),
		cmocka_unit_test(test_permit__copies),
		cmocka_unit_test(test_permit__source_addresses),
		cmocka_unit_test(test_permit__read_only),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
