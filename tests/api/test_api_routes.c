/* The table of operations, and a request's way from its target to its row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/rest.h"
#include "http/conn.h"

struct fake {
	struct arena *a;
	struct http_req http;
	struct api *x;
	struct api_req r;
};

static void open_request(struct fake *f, const char *method, const char *target)
{
	struct http_scan scan = {0};
	const char *why = "";
	struct str text;

	*f = (struct fake){.a = arena_new()};
	text = arena_printf(f->a, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
	assert_int_equal(http_scan(&scan, text), HTTP_SCAN_WHOLE);
	assert_false(http_head_parse((char *)text.p, text.n, scan.lines, 100, f->a, &f->http.head, &why));
	f->x = api_new(&(struct api_options){0});
	f->r = (struct api_req){.x = f->x, .http = &f->http, .a = f->a};
}

static void close_request(struct fake *f)
{
	api_free(f->x);
	arena_free(f->a);
}

static const char *row_of(struct fake *f, const char *method, const char *target)
{
	open_request(f, method, target);
	return rc_ok(api_route(&f->r)) ? f->r.route->name : "";
}

static void test_routes__each_row_says_who_may(void **state)
{
	for (size_t i = 0; i < API_OPS; i++) {
		const struct api_route *o = &api_routes[i];

		assert_int_equal(o->id, i);
		assert_non_null(o->handlers);
		assert_true(o->permits_n >= 1 && o->permits_n <= API_PERMITS_MAX);
		for (size_t k = 0; k < o->permits_n; k++) {
			const struct api_permit *p = &o->permits[k];
			bool open = p->on == ON_PUBLIC || p->on == ON_VISITOR || p->on == ON_AUTHENTICATED;

			if (open != (p->action == NULL) || (open && o->permits_n != 1))
				fail_msg("%s: a permission without an action, or beside none", o->name);
		}
		/* Nothing of a repository is anybody's. */
		if (o->permits[0].on <= ON_AUTHENTICATED)
			assert_null(strstr(o->path, "{repository}"));
	}
}

/* Whoever adds a row without a permission has to say so here, too. */
static void test_routes__who_needs_no_permission(void **state)
{
	static const struct {
		enum api_resource on;
		const char *name;
	} rows[] = {
		{ON_PUBLIC, "healthCheck"},
		{ON_PUBLIC, "login"},
		{ON_PUBLIC, "getAuthCapabilities"},
		{ON_PUBLIC, "oauthCallback"},
		{ON_PUBLIC, "stsLogin"},
		{ON_PUBLIC, "externalPrincipalLogin"},
		{ON_PUBLIC, "getSetupState"},
		{ON_PUBLIC, "setup"}, /* once */
		{ON_PUBLIC, "setupCommPrefs"},
		{ON_VISITOR, "getCurrentUser"},
		{ON_AUTHENTICATED, "getConfig"},
		{ON_AUTHENTICATED, "getLakeFSVersion"},
		{ON_AUTHENTICATED, "getGarbageCollectionConfig"},
		{ON_AUTHENTICATED, "postStatsEvents"},
		{ON_AUTHENTICATED, "getUsageReportSummary"},
		/* For oneself, and no more than oneself. */
		{ON_AUTHENTICATED, "sluiceCreateSession"},
		{ON_AUTHENTICATED, "stsGetSessionToken"},
		{ON_AUTHENTICATED, "stsGetFederationToken"},
		{ON_AUTHENTICATED, "stsGetCallerIdentity"},
		/* The handler asks for each. */
		{ON_EACH, "deleteObjects"},
	};
	size_t n = 0;

	for (size_t i = 0; i < API_OPS; i++) {
		enum api_resource on = api_routes[i].permits[0].on;
		bool listed = false;

		if (on != ON_PUBLIC && on != ON_VISITOR && on != ON_AUTHENTICATED && on != ON_EACH)
			continue;
		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
			listed |= rows[k].on == on && !strcmp(rows[k].name, api_routes[i].name);
		if (!listed)
			fail_msg("%s asks for no permission", api_routes[i].name);
		n++;
	}
	assert_int_equal(n, sizeof(rows) / sizeof(rows[0]));
}

static void test_routes__what_permissions_are_asked_on_is_there(void **state)
{
	for (size_t i = 0; i < API_OPS; i++) {
		const struct api_route *o = &api_routes[i];

		for (size_t k = 0; k < o->permits_n; k++) {
			bool parsed = (o->flags & R_JSON) && o->handlers->parse;

			switch (o->permits[k].on) {
			case ON_REPO:
				assert_true(strstr(o->path, "{repository}") || parsed);
				break;
			case ON_BRANCH:
				assert_true(strstr(o->path, "{branch}") || parsed);
				break;
			case ON_REF:
				assert_non_null(strstr(o->path, "{ref}"));
				break;
			case ON_TAG:
				assert_true(strstr(o->path, "{tag}") || parsed);
				break;
			case ON_OBJECT:
				/* Or the paths' beginning, from the query. */
				assert_true((o->flags & R_PATH) || parsed || o->id == API_createSymlinkFile);
				break;
			case ON_USER:
				assert_true(strstr(o->path, "{user_id}") || parsed);
				break;
			case ON_GROUP:
			case ON_ACL_POLICY:
				assert_true(strstr(o->path, "{group_id}") || parsed);
				break;
			case ON_POLICY:
				assert_true(strstr(o->path, "{policy_id}") || parsed);
				break;
			default:
				break;
			}
		}
	}
}

static void test_routes__no_two_are_the_same(void **state)
{
	for (size_t i = 0; i < API_OPS; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(strcmp(api_routes[i].method, api_routes[k].method) ||
				    strcmp(api_routes[i].path, api_routes[k].path));
}

static void test_routes__rows_are_found(void **state)
{
	static const char *const rows[][3] = {
		{"GET", "/api/v1/healthcheck", "healthCheck"},
		{"GET", "/api/v1/repositories", "listRepositories"},
		{"POST", "/api/v1/repositories?bare=true", "createRepository"},
		{"GET", "/api/v1/repositories/r/branches/b", "getBranch"},
		{"GET", "/api/v1/repositories/r/refs/x/objects", "getObject"},
		{"HEAD", "/api/v1/repositories/r/refs/x/objects", "headObject"},
		{"GET", "/api/v1/repositories/r/refs/x/objects/ls", "listObjects"},
		{"PUT", "/api/v1/repositories/r/refs/dump", "dumpRefs"},
		{"POST", "/api/v1/repositories/r/refs/dump/merge/b", "mergeIntoBranch"},
		{"GET", "/api/v1", ""},
		{"GET", "/api/v1/", ""},
		{"GET", "/api/v1/repositories/", ""},
		{"GET", "/api/v1/repositories//branches", ""},
		{"PATCH", "/api/v1/repositories", ""},
		{"GET", "/api/v1/repositories/r/nothing", ""},
		{"GET", "/api/v1/healthcheck/x", ""},
	};
	struct fake f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(row_of(&f, rows[i][0], rows[i][1]), rows[i][2]);
		close_request(&f);
	}
}

static bool is(struct str s, const char *text)
{
	return str_eq(s, str_c(text));
}

static void test_routes__names_and_parameters(void **state)
{
	struct fake f;

	row_of(&f, "GET", "/api/v1/repositories/r1/refs/a%2Fb~1/diff/main%5E2?prefix=a+b%2f&prefix=c&x&after=");
	assert_true(is(f.r.repository, "r1"));
	assert_true(is(f.r.ref, "a/b~1"));
	assert_true(is(f.r.other_ref, "main^2"));
	assert_true(is(api_query(&f.r, "prefix"), "a b/"));
	assert_true(is(api_query(&f.r, "x"), "") && api_query(&f.r, "x").p);
	assert_null(api_query(&f.r, "y").p);
	close_request(&f);
}

static void test_routes__malformed(void **state)
{
	static const char *const bad[] = {
		"/api/v1/repositories/%zz", "/api/v1/repositories/%ff", "/api/v1/repositories?a=%f",
		"/api/v1/repositories?%ff=x"};
	struct fake f;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_request(&f, "GET", bad[i]);
		assert_true(rc_is(api_route(&f.r), INVALID));
		close_request(&f);
	}
}

static void check_amount(const char *value, enum err_code want, size_t amount)
{
	struct api_page page;
	struct fake f;
	char target[128];

	snprintf(target, sizeof(target), "/api/v1/repositories?amount=%s", value);
	row_of(&f, "GET", target);
	assert_int_equal(api_query_page(&f.r, &page).code, want);
	if (!want)
		assert_int_equal(page.amount, amount);
	close_request(&f);
}

static void test_routes__amounts(void **state)
{
	check_amount("1", ERR_NONE, 1);
	check_amount("1000", ERR_NONE, 1000);
	check_amount("0", ERR_NONE, 100);
	check_amount("-1", ERR_NONE, 100);
	check_amount("-2", ERR_INVALID, 0);
	check_amount("1001", ERR_INVALID, 0);
	check_amount("", ERR_INVALID, 0);
	check_amount("x", ERR_INVALID, 0);
	check_amount("99999999999999999999", ERR_INVALID, 0);
}

static void test_routes__statuses(void **state)
{
	assert_int_equal(api_status(ERR_AccessDenied), 401);
	assert_int_equal(api_status(ERR_NoData), 410);
	assert_int_equal(api_status(ERR_PREDICATE), 412);
	assert_int_equal(api_status(ERR_MergeConflict), 409);
	assert_int_equal(api_status(ERR_SlowDown), 503);
	for (int i = 1; i < ERR_COUNT; i++)
		assert_true(api_status((enum err_code)i) >= 300 && api_status((enum err_code)i) < 600);
}

static void test_routes__paths_of_the_api(void **state)
{
	assert_true(api_owns(STR("/api/v1")) && api_owns(STR("/api/v1/x")) && api_owns(STR("/api/v1?x=/y")));
	assert_false(api_owns(STR("/api/v10")));
	assert_false(api_owns(STR("/api/v2/x")));
	assert_false(api_owns(STR("/bucket/api/v1/x")));
	assert_false(api_owns(STR("/?x=/api/v1/")));
}

static void test_routes__reference_is_up_to_date(void **state)
{
	const char *source = getenv("SLUICE_SOURCE");
	struct buf page = BUF_INIT(1 << 20), have = BUF_INIT(1 << 20);
	char path[4096];
	FILE *f;

	if (!source)
		skip();
	snprintf(path, sizeof(path), "%s/docs/reference/rest.md", source);
	f = fopen(path, "r");
	assert_non_null(f);
	have.n = fread(buf_reserve(&have, 1 << 19), 1, 1 << 19, f);
	fclose(f);
	api_reference(&page);
	if (!str_eq(buf_str(&page), buf_str(&have)))
		fail_msg("write it anew: sluice reference rest > docs/reference/rest.md");
	buf_deinit(&page);
	buf_deinit(&have);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes__each_row_says_who_may),
		cmocka_unit_test(test_routes__who_needs_no_permission),
		cmocka_unit_test(test_routes__what_permissions_are_asked_on_is_there),
		cmocka_unit_test(test_routes__no_two_are_the_same),
		cmocka_unit_test(test_routes__rows_are_found),
		cmocka_unit_test(test_routes__names_and_parameters),
		cmocka_unit_test(test_routes__malformed),
		cmocka_unit_test(test_routes__amounts),
		cmocka_unit_test(test_routes__statuses),
		cmocka_unit_test(test_routes__paths_of_the_api),
		cmocka_unit_test(test_routes__reference_is_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
