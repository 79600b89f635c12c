/* Who may do what through REST, asked over the wire: users with policies of their own. */
#include <stdio.h>

#include "api/rest.h"
#include "tests/gateway/site.h"

static struct site site;

#define R(x) "arn:lakefs:fs:::repository/" x
#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ALLOW(action_, resource_) {.effect = "allow", .action = action_, .resource = resource_}
#define DENY(action_, resource_) {.effect = "deny", .action = action_, .resource = resource_}
#define AT "/api/v1/repositories/one"

static const struct str proxies[] = {{"127.0.0.0/8", 11}};

static void add_users(void)
{
	static const struct site_statement one[] = {
		ALLOW("fs:ListRepositories", R("one")), ALLOW("fs:ReadRepository", R("one")),
		ALLOW("fs:List*", R("one")), ALLOW("fs:*Object", R("one/*"))};
	static const struct site_statement reader[] = {
		ALLOW("fs:Read*", "*"), ALLOW("fs:List*", "*"), DENY("fs:ReadObject", R("one/object/secret"))};
	static const struct site_statement committer[] = {
		ALLOW("fs:CreateCommit", R("one/branch/dev*")), ALLOW("fs:CreateBranch", R("one/branch/dev*")),
		ALLOW("fs:WriteObject", R("one/object/in/*")), ALLOW("fs:DeleteObject", R("one/object/in/*"))};
	static const struct site_statement maker[] = {ALLOW("fs:CreateRepository", "*")};
	static const struct site_statement office[] = {
		{"allow", "fs:*", "*", "IpAddress", "SourceIp", "192.0.2.0/24"}};
	static const struct site_statement nothing[] = {ALLOW("fs:ReadObject", R("nowhere/object/x"))};

	site_add_user(&site, "one", one, LEN(one));
	site_add_user(&site, "reader", reader, LEN(reader));
	site_add_user(&site, "committer", committer, LEN(committer));
	site_add_user(&site, "maker", maker, LEN(maker));
	site_add_user(&site, "office", office, LEN(office));
	site_add_user(&site, "nothing", nothing, LEN(nothing));
}

static int set_up(void **state)
{
	site_open(&site, &(struct site_options){.proxies = proxies, .proxies_n = LEN(proxies)});
	site_add_repo(&site, "one", false);
	site_add_repo(&site, "two", false);
	add_users();
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

#define rest(status_, ...) expect(&site, status_, .basic = true, __VA_ARGS__)

static void test_permit__strangers(void **state)
{
	rest(401, .user = "", .target = AT);
	rest(401, .user = "nobody", .target = AT);
	rest(401, .user = "nobody", .target = "/api/v1/repositories/none");
	rest(401, .user = "", .method = "POST", .target = AT "/branches", .body = STR("{"));
	rest(204, .user = "", .target = "/api/v1/healthcheck");
	rest(404, .user = "", .target = "/api/v1/none");
}

/* Every row, asked by somebody who has a key and no permission: none lets them in, none gets to its handler. */
static void test_permit__no_row_is_open(void **state)
{
	for (size_t i = 0; i < API_OPS; i++) {
		const struct api_route *o = &api_routes[i];
		struct call c = {.user = "nothing", .basic = true, .method = o->method};
		char target[512] = "/api/v1", *to = target + strlen(target);
		struct answer a;

		if (o->path[0] != '/') /* STS's: tests/e2e/client_sts_test.py */
			continue;
		for (const char *p = o->path; *p; p++) {
			if (*p != '{') {
				*to++ = *p;
				continue;
			}
			to = stpcpy(to, !strncmp(p, "{repository}", 12) ? "one" : "main");
			p = strchr(p, '}');
		}
		stpcpy(to, "?path=x&dest_path=x&ref=main&task_id=x&id=x&principalId=x&storage_namespace=mem://abc");
		c.target = target;
		if (o->flags & R_JSON)
			c.body = !strcmp(o->name, "setBranchProtectionRules") ? STR("[]") :
				 STR("{\"name\":\"abc\",\"storage_namespace\":\"mem://abc\",\"source\":\"main\","
				     "\"message\":\"m\",\"ref\":\"main\",\"id\":\"main\",\"statement\":[],\"type\":\"reset\","
				     "\"parent_number\":0,\"paths\":[\"x\"],\"commit_id\":\"x\",\"version\":1,"
				     "\"committer\":\"x\",\"metarange_id\":\"\",\"creation_date\":1,\"parents\":[],"
				     "\"generation\":1,\"branches_meta_range_id\":\"x\","
				     "\"commits_meta_range_id\":\"x\",\"tags_meta_range_id\":\"x\","
				     "\"metadata\":{},\"keys\":[],\"events\":[],\"branches\":[],"
				     "\"default_retention_days\":1,\"set\":{},\"src_path\":\"x\","
				     "\"pattern\":\"x\",\"permission\":\"Read\",\"checksum\":\"x\",\"size_bytes\":1,\"physical_address\":\"mem://x/y\","
				     "\"staging\":{\"physical_address\":\"mem://x/y\"}}");
		site_call(&site, &c, &a);
		if (o->permits[0].on == ON_PUBLIC)
			assert_true(a.status != 404 && a.status != 500);
		else if (o->permits[0].on == ON_AUTHENTICATED || o->permits[0].on == ON_VISITOR)
			assert_true(a.status == o->status ||
				    (a.status == 404 && !strcmp(o->name, "getUsageReportSummary")));
		else if (o->permits[0].on == ON_EACH)
			assert_true(a.status == 200 && answer_has(&a, "\"status_code\":401"));
		else if (a.status != 401 ||
			 (strcmp(o->method, "HEAD") && !answer_has(&a, "insufficient permissions")))
			fail_msg("%s: %d " STR_FMT, o->name, a.status, STR_ARG(buf_str(&a.body)));
		answer_free(&a);
	}
}

static void test_permit__repositories_that_one_may_see(void **state)
{
	struct answer a;

	site_call(&site, &(struct call){.user = "one", .basic = true, .target = "/api/v1/repositories"}, &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "\"id\":\"one\"") && !answer_has(&a, "\"id\":\"two\""));
	answer_free(&a);
	rest(401, .user = "nothing", .target = "/api/v1/repositories");
	rest(200, .user = "one", .target = AT);
	rest(401, .user = "one", .target = "/api/v1/repositories/two");
	/* Nor do they hear what there is. */
	rest(401, .user = "one", .target = "/api/v1/repositories/none");
	rest(404, .user = "reader", .target = "/api/v1/repositories/none");
}

static void test_permit__objects(void **state)
{
	rest(201, .method = "POST", .target = AT "/branches/main/objects?path=secret", .body = STR("s"));
	rest(201, .method = "POST", .target = AT "/branches/main/objects?path=plain", .body = STR("p"));
	rest(200, .user = "reader", .target = AT "/refs/main/objects?path=plain");
	rest(401, .user = "reader", .target = AT "/refs/main/objects?path=secret");
	rest(401, .user = "reader", .method = "HEAD", .target = AT "/refs/main/objects?path=secret");
	rest(401, .user = "reader", .target = AT "/refs/main/objects/stat?path=secret");
	rest(401, .user = "reader", .method = "DELETE", .target = AT "/branches/main/objects?path=plain");
	rest(201, .user = "committer", .method = "POST", .target = AT "/branches/main/objects?path=in/x",
	     .body = STR("x"));
	rest(401, .user = "committer", .method = "POST", .target = AT "/branches/main/objects?path=out",
	     .body = STR("x"));
}

static void test_permit__each_path_of_many(void **state)
{
	struct answer a;

	rest(201, .method = "POST", .target = AT "/branches/main/objects?path=in/gone", .body = STR("x"));
	rest(201, .method = "POST", .target = AT "/branches/main/objects?path=kept", .body = STR("x"));
	site_call(&site,
		  &(struct call){.user = "committer",
				 .basic = true,
				 .method = "POST",
				 .target = AT "/branches/main/objects/delete",
				 .body = STR("{\"paths\":[\"in/gone\",\"kept\"]}")},
		  &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "\"path\":\"kept\"") && !answer_has(&a, "in/gone"));
	answer_free(&a);
	rest(404, .target = AT "/refs/main/objects/stat?path=in/gone");
	rest(200, .target = AT "/refs/main/objects/stat?path=kept");
}

static void test_permit__branches_by_name(void **state)
{
	rest(201, .user = "committer", .method = "POST", .target = AT "/branches",
	     .body = STR("{\"name\":\"dev1\",\"source\":\"main\"}"));
	rest(401, .user = "committer", .method = "POST", .target = AT "/branches",
	     .body = STR("{\"name\":\"prod\",\"source\":\"main\"}"));
	rest(201, .user = "committer", .method = "POST", .target = AT "/branches/dev1/commits",
	     .body = STR("{\"message\":\"m\",\"allow_empty\":true}"));
	rest(401, .user = "committer", .method = "POST", .target = AT "/branches/main/commits",
	     .body = STR("{\"message\":\"m\",\"allow_empty\":true}"));
	rest(401, .user = "committer", .method = "POST", .target = AT "/refs/dev1/merge/main");
	/* Picking a commit is reading it, too. */
	rest(401, .user = "committer", .method = "POST", .target = AT "/branches/dev1/cherry-pick",
	     .body = STR("{\"ref\":\"main\"}"));
}

static void test_permit__a_repository_needs_its_namespace(void **state)
{
	rest(401, .user = "maker", .method = "POST", .target = "/api/v1/repositories",
	     .body = STR("{\"name\":\"made\",\"storage_namespace\":\"mem://made\"}"));
	rest(201, .method = "POST", .target = "/api/v1/repositories",
	     .body = STR("{\"name\":\"made\",\"storage_namespace\":\"mem://made\"}"));
}

static void test_permit__addresses(void **state)
{
	rest(401, .user = "office", .target = AT);
	rest(200, .user = "office", .target = AT, .headers = {{"x-forwarded-for", "192.0.2.7"}});
	rest(401, .user = "office", .target = AT, .headers = {{"x-forwarded-for", "192.0.2.7, 198.51.100.1"}});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permit__strangers),
		cmocka_unit_test(test_permit__no_row_is_open),
		cmocka_unit_test(test_permit__repositories_that_one_may_see),
		cmocka_unit_test(test_permit__objects),
		cmocka_unit_test(test_permit__each_path_of_many),
		cmocka_unit_test(test_permit__branches_by_name),
		cmocka_unit_test(test_permit__a_repository_needs_its_namespace),
		cmocka_unit_test(test_permit__addresses),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
