#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/auth.h"

#define LEN(x) (sizeof(x) / sizeof((x)[0]))

/* One action, one resource, at most one condition. */
static struct auth_statement statement(bool allow, struct str *action, struct str *resource,
				       struct auth_condition *condition)
{
	return (struct auth_statement){
		.allow = allow,
		.actions = action,
		.actions_n = 1,
		.resources = resource,
		.resources_n = 1,
		.conditions = condition,
		.conditions_n = condition ? 1 : 0,
	};
}

static struct auth_need permission(const char *action, const char *resource)
{
	return (struct auth_need){NEED_PERMISSION, str_c(action), str_c(resource), NULL, 0};
}

static bool allowed(const struct auth_user *u, const char *action, const char *resource)
{
	struct auth_need need = permission(action, resource);

	return rc_ok(auth_allows(u, &need, NULL, NULL));
}

static void test_policy__arns(void **state)
{
	static const struct {
		const char *pattern, *resource;
		bool match;
	} rows[] = {
		{"*", "arn:lakefs:fs:::repository/r", true},
		{"*", "*", true},
		{"arn:lakefs:fs:::repository/r", "arn:lakefs:fs:::repository/r", true},
		{"arn:lakefs:fs:::repository/r", "arn:lakefs:fs:::repository/r2", false},
		{"arn:lakefs:fs:::repository/r*", "arn:lakefs:fs:::repository/r2", true},
		{"arn:lakefs:fs:::repository/*", "arn:lakefs:fs:::repository/r/object/a/b", true},
		{"arn:lakefs:fs:::repository/?/object/*", "arn:lakefs:fs:::repository/r/object/", true},
		{"arn:lakefs:fs:::*", "arn:lakefs:fs:::namespace/s3://b/p", true},
		{"arn:lakefs:fs:::namespace/s3://b/*", "arn:lakefs:fs:::namespace/s3://b/p", true},
		/* Everything but the resource is compared; the region is not. */
		{"arn:lakefs:fs:eu:::repository/r", "arn:lakefs:fs:::repository/r", false},
		{"arn:lakefs:fs:eu::repository/r", "arn:lakefs:fs:::repository/r", true},
		{"arn:lakefs:auth:::user/u", "arn:lakefs:fs:::user/u", false},
		{"arn:lakefs:*:::user/u", "arn:lakefs:auth:::user/u", false},
		{"arn:aws:auth:::user/u", "arn:lakefs:auth:::user/u", false},
		{"arn:lakefs:auth::1:user/u", "arn:lakefs:auth:::user/u", false},
		/* No ARN matches nothing. */
		{"arn:lakefs:fs::*", "arn:lakefs:fs:::repository/r", false},
		{"repository/*", "arn:lakefs:fs:::repository/r", false},
		{"", "arn:lakefs:fs:::repository/r", false},
		{"**", "arn:lakefs:fs:::repository/r", false},
		{"arn:lakefs:fs:::repository/r", "*", false},
		{"arn", "arn:lakefs:fs:::repository/r", false},
	};
	struct str action = STR("fs:*");

	for (size_t i = 0; i < LEN(rows); i++) {
		struct str pattern = str_c(rows[i].pattern);
		struct auth_statement s = statement(true, &action, &pattern, NULL);
		struct auth_user *u = auth_user_of(STR("u"), &s, 1);

		if (allowed(u, "fs:ReadObject", rows[i].resource) != rows[i].match)
			fail_msg("%s against %s", rows[i].pattern, rows[i].resource);
		auth_user_unref(u);
	}
}

static void test_policy__actions_and_several(void **state)
{
	struct str actions[] = {STR("fs:Read*"), STR("fs:WriteObject")};
	struct str resources[] = {STR("arn:lakefs:fs:::repository/a"),
				  STR("arn:lakefs:fs:::repository/b")};
	struct auth_statement s = {true, false, actions, 2, resources, 2, NULL, 0};
	struct auth_user *u = auth_user_of(STR("u"), &s, 1);

	assert_true(allowed(u, "fs:ReadObject", resources[0].p));
	assert_true(allowed(u, "fs:WriteObject", resources[1].p));
	assert_false(allowed(u, "fs:DeleteObject", resources[1].p));
	assert_false(allowed(u, "fs:ReadObject", "arn:lakefs:fs:::repository/c"));
	assert_true(auth_allows_somewhere(u, STR("fs:ReadObject")));
	assert_false(auth_allows_somewhere(u, STR("fs:ListRepositories")));
	assert_true(str_eq(auth_user_name(u), STR("u")));
	auth_user_unref(u);
}

static void test_policy__user_in_resource(void **state)
{
	struct str action = STR("auth:*"), resource = STR("arn:lakefs:auth:::user/${user}");
	struct auth_statement s = statement(true, &action, &resource, NULL);
	struct auth_user *u = auth_user_of(STR("joe"), &s, 1);

	assert_true(allowed(u, "auth:ReadUser", "arn:lakefs:auth:::user/joe"));
	assert_false(allowed(u, "auth:ReadUser", "arn:lakefs:auth:::user/jo"));
	auth_user_unref(u);

	/* A name is no pattern. */
	u = auth_user_of(STR("j*?"), &s, 1);
	assert_true(allowed(u, "auth:ReadUser", "arn:lakefs:auth:::user/j*?"));
	assert_false(allowed(u, "auth:ReadUser", "arn:lakefs:auth:::user/joe"));
	auth_user_unref(u);
}

static void test_policy__deny_wins_and_neutral_is_no(void **state)
{
	struct str all = STR("*"), read = STR("fs:ReadObject");
	struct str secret = STR("arn:lakefs:fs:::repository/r/object/secret/*");
	struct auth_statement s[] = {statement(true, &all, &all, NULL),
				     statement(false, &read, &secret, NULL)};
	struct auth_user *u = auth_user_of(STR("u"), s, 2);
	struct auth_need need = permission("fs:ReadObject", "arn:lakefs:fs:::repository/r/object/secret/1");
	struct err err;

	assert_true(rc_is(auth_allows(u, &need, NULL, &err), AccessDenied));
	assert_string_equal(err.msg, "insufficient permissions: denied permission to fs:ReadObject on "
				     "arn:lakefs:fs:::repository/r/object/secret/1");
	assert_true(allowed(u, "fs:ReadObject", "arn:lakefs:fs:::repository/r/object/1"));
	auth_user_unref(u);

	u = auth_user_of(STR("u"), NULL, 0);
	assert_true(rc_is(auth_allows(u, &need, NULL, &err), AccessDenied));
	assert_string_equal(err.msg, "insufficient permissions: not allowed to fs:ReadObject on "
				     "arn:lakefs:fs:::repository/r/object/secret/1");
	assert_false(auth_allows_somewhere(u, STR("fs:ReadObject")));
	auth_user_unref(u);
}

static void test_policy__broken_statement_denies_all(void **state)
{
	struct str all = STR("*"), other = STR("x:y");
	struct auth_statement s[] = {statement(true, &all, &all, NULL),
				     statement(true, &other, &all, NULL)};
	struct auth_user *u;

	s[1].broken = true;
	u = auth_user_of(STR("u"), s, 2);
	assert_false(allowed(u, "fs:ReadObject", "arn:lakefs:fs:::repository/r"));
	auth_user_unref(u);
}

static void test_policy__trees(void **state)
{
	/* May a, is denied d, b is neutral. */
	struct str a = STR("x:a"), d = STR("x:d"), all = STR("*");
	struct auth_statement s[] = {statement(true, &a, &all, NULL),
				     statement(false, &d, &all, NULL)};
	struct auth_user *u = auth_user_of(STR("u"), s, 2);
	static const struct {
		enum auth_need_kind kind;
		const char *kids[3];
		bool ok;
		const char *told;
	} rows[] = {
		{NEED_AND, {"x:a", "x:a"}, true, NULL},
		{NEED_AND, {"x:a", "x:b"}, false, "not allowed to x:b on r"},
		{NEED_AND, {"x:a", "x:b", "x:d"}, false, "not allowed to x:b on r"},
		{NEED_AND, {"x:d", "x:b"}, false, "denied permission to x:d on r"},
		{NEED_OR, {"x:b", "x:a"}, true, NULL},
		{NEED_OR, {"x:b", "x:b"}, false, "not allowed to x:b on r"},
		{NEED_OR, {"x:a", "x:d"}, false, "denied permission to x:d on r"},
		{NEED_OR, {"x:d"}, false, "denied permission to x:d on r"},
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct auth_need kids[3], need = {rows[i].kind, STR_NONE, STR_NONE, kids, 0};
		struct auth_need outer[2] = {permission("x:a", "r"), need}, tree;
		struct err err = {};

		while (need.kids_n < 3 && rows[i].kids[need.kids_n]) {
			kids[need.kids_n] = permission(rows[i].kids[need.kids_n], "r");
			need.kids_n++;
		}
		outer[1] = need;
		tree = (struct auth_need){NEED_AND, STR_NONE, STR_NONE, outer, 2};
		assert_int_equal(rc_ok(auth_allows(u, &need, NULL, &err)), rows[i].ok);
		assert_int_equal(rc_ok(auth_allows(u, &tree, NULL, &err)), rows[i].ok);
		if (rows[i].told)
			assert_non_null(strstr(err.msg, rows[i].told));
	}
	auth_user_unref(u);
}

enum { NO, YES, ALL_DENIED };

struct condition_row {
	const char *op, *field, *values[3], *source_ip;
	int applies;
};

/* An allow and a deny statement with the condition, each beside an unconditional allow of x:free. */
static void check_condition(const struct condition_row *row)
{
	struct str all = STR("*"), free_action = STR("x:free"), values[3];
	struct auth_condition c = {str_c(row->op), str_c(row->field), values, 0};
	struct auth_context ctx = {.source_ip = str_c(row->source_ip)};
	struct auth_need any = permission("x:any", "r"), free_need = permission("x:free", "r");

	while (c.values_n < 3 && row->values[c.values_n]) {
		values[c.values_n] = str_c(row->values[c.values_n]);
		c.values_n++;
	}
	for (int allow = 0; allow < 2; allow++) {
		struct auth_statement s[] = {statement(true, &free_action, &all, NULL),
					     statement(allow, &all, &all, &c)};
		struct auth_user *u = auth_user_of(STR("u"), s, 2);
		bool any_ok = rc_ok(auth_allows(u, &any, &ctx, NULL));
		bool free_ok = rc_ok(auth_allows(u, &free_need, &ctx, NULL));

		if (any_ok != (allow && row->applies == YES) ||
		    free_ok != (row->applies == NO || (allow && row->applies == YES)))
			fail_msg("%s %s %s for %s", row->op, row->field, row->values[0],
				 row->source_ip ? row->source_ip : "-");
		assert_int_equal(auth_allows_somewhere(u, STR("x:any")), allow);
		auth_user_unref(u);
	}
}

static void test_policy__conditions(void **state)
{
	static const struct condition_row rows[] = {
		{"IpAddress", "SourceIp", {"10.0.0.0/8"}, "10.255.0.1", YES},
		{"IpAddress", "SourceIp", {"10.0.0.0/8"}, "11.0.0.1", NO},
		{"IpAddress", "SourceIp", {"10.0.0.7/8"}, "10.1.1.1", YES},
		{"IpAddress", "SourceIp", {"10.1.2.3"}, "10.1.2.3", YES},
		{"IpAddress", "SourceIp", {"10.1.2.3"}, "10.1.2.4", NO},
		{"IpAddress", "SourceIp", {"192.168.0.0/23"}, "192.168.1.255", YES},
		{"IpAddress", "SourceIp", {"192.168.0.0/23"}, "192.168.2.0", NO},
		{"IpAddress", "SourceIp", {"0.0.0.0/0"}, "1.2.3.4", YES},
		{"IpAddress", "SourceIp", {"0.0.0.0/0"}, "::1", NO},
		{"IpAddress", "SourceIp", {"1.1.1.1", "2.2.2.2"}, "2.2.2.2", YES},
		{"IpAddress", "SourceIp", {"2001:db8::/32"}, "2001:db8:ffff::1", YES},
		{"IpAddress", "SourceIp", {"2001:db8::/32"}, "2001:db9::1", NO},
		{"IpAddress", "SourceIp", {"2001:db8::/33"}, "2001:db8:8000::", NO},
		{"IpAddress", "SourceIp", {"::1"}, "0:0:0:0:0:0:0:1", YES},
		{"IpAddress", "SourceIp", {"::/0"}, "fe80::1", YES},
		{"IpAddress", "SourceIp", {"10.0.0.0/8"}, "::ffff:10.2.3.4", YES},
		{"IpAddress", "SourceIp", {"::ffff:10.0.0.0/104"}, "10.2.3.4", YES},
		{"NotIpAddress", "SourceIp", {"10.0.0.0/8"}, "10.0.0.1", NO},
		{"NotIpAddress", "SourceIp", {"10.0.0.0/8"}, "11.0.0.1", YES},
		{"NotIpAddress", "SourceIp", {"10.0.0.0/8", "::1"}, "::1", NO},
		{"NotIpAddress", "SourceIp", {"2001:db8::/32"}, "1.2.3.4", YES},
		{"StringLike", "SourceIp", {"10.*"}, "10.9.8.7", YES},
		{"StringLike", "SourceIp", {"a", "1?.*"}, "10.9.8.7", YES},
		{"StringLike", "SourceIp", {"11.*"}, "10.9.8.7", NO},
		{"StringNotLike", "SourceIp", {"11.*"}, "10.9.8.7", YES},
		{"StringNotLike", "SourceIp", {"11.*", "10.*"}, "10.9.8.7", NO},
		{"StringLike", "SourceIp", {NULL}, "1.1.1.1", NO},
		/* A field that isn't known: the statement doesn't count, whatever the operator. */
		{"IpAddress", "SourceIp", {"0.0.0.0/0"}, NULL, NO},
		{"NotIpAddress", "SourceIp", {"10.0.0.0/8"}, NULL, NO},
		{"StringNotLike", "UserAgent", {"x"}, "1.1.1.1", NO},
		{"StringNotLike", "StorageId", {"x"}, "1.1.1.1", NO},
		/* What can't be evaluated denies. */
		{"NumericLess", "SourceIp", {"1"}, "1.1.1.1", ALL_DENIED},
		{"NumericLess", NULL, {NULL}, "1.1.1.1", ALL_DENIED},
		{"ipaddress", "SourceIp", {"1.1.1.1"}, NULL, ALL_DENIED},
		{"IpAddress", "SourceIp", {"10.0.0.0/33"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"10.0.0/8"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"10.0.0.0/"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"10.0.0.0/-1"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"::/129"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"::ffff:10.0.0.0/95"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {""}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"/8"}, "1.1.1.1", ALL_DENIED},
		{"NotIpAddress", "SourceIp", {"here"}, "1.1.1.1", ALL_DENIED},
		{"IpAddress", "SourceIp", {"1.1.1.1"}, "unix:", ALL_DENIED},
		{"NotIpAddress", "SourceIp", {"1.1.1.1"}, "1.1.1.1, 2.2.2.2", ALL_DENIED},
		/* In order: the second value isn't reached. */
		{"IpAddress", "SourceIp", {"1.1.1.1", "bad"}, "1.1.1.1", YES},
		{"IpAddress", "SourceIp", {"bad", "1.1.1.1"}, "1.1.1.1", ALL_DENIED},
	};

	for (size_t i = 0; i < LEN(rows); i++)
		check_condition(&rows[i]);
}

static void test_policy__all_conditions_must_hold(void **state)
{
	struct str all = STR("*"), net = STR("10.0.0.0/8"), store = STR("s?");
	struct auth_condition c[] = {{STR("IpAddress"), STR("SourceIp"), &net, 1},
				     {STR("StringLike"), STR("StorageId"), &store, 1}};
	struct auth_statement s = {true, false, &all, 1, &all, 1, c, 2};
	struct auth_user *u = auth_user_of(STR("u"), &s, 1);
	struct auth_need need = permission("x:y", "r");
	struct auth_context both = {STR("10.1.1.1"), STR("s1")}, one = {STR("10.1.1.1"), STR("t")};
	struct auth_context none = {STR("10.1.1.1"), STR_NONE};

	assert_true(rc_ok(auth_allows(u, &need, &both, NULL)));
	assert_false(rc_ok(auth_allows(u, &need, &one, NULL)));
	assert_false(rc_ok(auth_allows(u, &need, &none, NULL)));
	assert_false(rc_ok(auth_allows(u, &need, NULL, NULL)));
	auth_user_unref(u);
}

/* The model: the rules of API.md 2.5 written down once more, over small alphabets and without
 * wildcards but a whole "*". */
enum { ACTIONS = 4, RESOURCES = 3, MAX_STATEMENTS = 6, ANY = -1 };

struct model_statement {
	bool allow, conditional, inside;
	int action, resource;
};

static int model_permission(const struct model_statement *s, int n, int action, int resource,
			    bool inside)
{
	int allow = 0;

	for (int i = 0; i < n; i++) {
		if (s[i].conditional && s[i].inside != inside)
			continue;
		if (s[i].action != ANY && s[i].action != action)
			continue;
		if (s[i].resource != ANY && s[i].resource != resource)
			continue;
		if (!s[i].allow)
			return -1;
		allow = 1;
	}
	return allow;
}

static int model(const struct model_statement *s, int n, const struct auth_need *need, bool inside)
{
	int all = 1, any = 0;

	if (need->kind == NEED_PERMISSION)
		return model_permission(s, n, need->action.p[2] - '0',
					need->resource.p[need->resource.n - 1] - '0', inside);
	for (size_t i = 0; i < need->kids_n; i++) {
		int kid = model(s, n, &need->kids[i], inside);

		if (all == 1)
			all = kid;
		if (any != -1 && kid != 0)
			any = kid;
	}
	return need->kind == NEED_AND ? all : any;
}

static const struct str model_actions[ACTIONS + 1] = {
	{"x:0", 3}, {"x:1", 3}, {"x:2", 3}, {"x:3", 3}, {"x:*", 3}};
static const struct str model_resources[RESOURCES + 1] = {
	{"arn:lakefs:fs:::r/0", 19}, {"arn:lakefs:fs:::r/1", 19}, {"arn:lakefs:fs:::r/2", 19},
	{"arn:lakefs:fs:::r/*", 19}};

static void random_statement(unsigned *seed, struct model_statement *m, struct auth_statement *s,
			     struct auth_condition *c, struct str *net)
{
	m->allow = rand_r(seed) % 3;
	m->action = rand_r(seed) % (ACTIONS + 1);
	m->resource = rand_r(seed) % (RESOURCES + 1);
	m->conditional = rand_r(seed) % 3 == 0;
	m->inside = rand_r(seed) % 2;
	*net = STR("10.0.0.0/8");
	*c = (struct auth_condition){m->inside ? STR("IpAddress") : STR("NotIpAddress"),
				     STR("SourceIp"), net, 1};
	*s = statement(m->allow, (struct str *)&model_actions[m->action],
		       (struct str *)&model_resources[m->resource], m->conditional ? c : NULL);
	if (m->action == ACTIONS)
		m->action = ANY;
	if (m->resource == RESOURCES)
		m->resource = ANY;
}

static struct auth_need random_need(unsigned *seed, struct auth_need *pool, size_t *used, int depth)
{
	struct auth_need need = {};
	struct auth_need kids[3];

	if (depth == 0 || rand_r(seed) % 2) {
		need.action = model_actions[rand_r(seed) % ACTIONS];
		need.resource = model_resources[rand_r(seed) % RESOURCES];
		return need;
	}
	need.kind = rand_r(seed) % 2 ? NEED_AND : NEED_OR;
	need.kids_n = 1 + rand_r(seed) % 3;
	for (size_t i = 0; i < need.kids_n; i++)
		kids[i] = random_need(seed, pool, used, depth - 1);
	memcpy(pool + *used, kids, sizeof(kids));
	need.kids = pool + *used;
	*used += 3;
	return need;
}

static void test_policy__as_the_model(void **state)
{
	struct auth_need pool[200];
	unsigned seed = 11;
	int answers[3] = {};

	for (int round = 0; round < 20000; round++) {
		struct model_statement m[MAX_STATEMENTS];
		struct auth_statement s[MAX_STATEMENTS];
		struct auth_condition c[MAX_STATEMENTS];
		struct str net[MAX_STATEMENTS];
		int n = rand_r(&seed) % (MAX_STATEMENTS + 1), expected;
		bool inside = rand_r(&seed) % 2;
		struct auth_context ctx = {inside ? STR("10.3.2.1") : STR("12.3.2.1"), STR_NONE};
		size_t used = 0;
		struct auth_need need = random_need(&seed, pool, &used, 3);
		struct auth_user *u;

		for (int i = 0; i < n; i++)
			random_statement(&seed, &m[i], &s[i], &c[i], &net[i]);
		u = auth_user_of(STR("u"), s, n);
		expected = model(m, n, &need, inside);
		answers[expected + 1]++;
		assert_int_equal(rc_ok(auth_allows(u, &need, &ctx, NULL)), expected == 1);
		auth_user_unref(u);
	}
	for (int i = 0; i < 3; i++)
		assert_true(answers[i] > 1000);
}

/* Of all that begins so: one allow must cover it, and no deny touch it. */
static void test_policy__below(void **state)
{
#define OBJECTS "arn:lakefs:fs:::repository/r/object/"
	static const struct {
		const char *allow, *deny;
		bool answer;
	} rows[] = {
		{"*", NULL, true},
		{"arn:lakefs:fs:::*", NULL, true},
		{"arn:lakefs:fs:::repository/r/*", NULL, true},
		{OBJECTS "*", NULL, true},
		{"arn:lakefs:fs:::repository/?/object/*", NULL, true},
		{"arn:lakefs:fs:::repository/*/object/*", NULL, true},
		/* some of them */
		{OBJECTS "public/*", NULL, false},
		{OBJECTS "?", NULL, false},
		{OBJECTS "?*", NULL, false},
		{OBJECTS "*a", NULL, false},
		{OBJECTS, NULL, false},
		{"arn:lakefs:fs:::repository/q/object/*", NULL, false},
		{"arn:lakefs:auth:::*", NULL, false},
		/* all but one */
		{"*", OBJECTS "secret", false},
		{"*", OBJECTS "secret/*", false},
		{"*", "arn:lakefs:fs:::repository/*secret", false},
		{"*", "arn:lakefs:fs:::repository/?/object/x", false},
		{"*", "arn:lakefs:fs:::*/y", false},
		{"*", "*", false},
		{"*", OBJECTS, false},
		/* others */
		{"*", "arn:lakefs:fs:::repository/q/object/*", true},
		{"*", "arn:lakefs:fs:::repository/r/branch/*", true},
		{"*", "arn:lakefs:fs:::repository/r", true},
		{"*", "arn:lakefs:auth:::*", true},
	};
	struct str action = STR("fs:ReadObject");
	const struct auth_need need = {NEED_BELOW, action, STR(OBJECTS), NULL, 0};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct str allow = str_c(rows[i].allow), deny = str_c(rows[i].deny ? rows[i].deny : "");
		struct auth_statement s[] = {statement(true, &action, &allow, NULL),
					     statement(false, &action, &deny, NULL)};
		struct auth_user *u = auth_user_of(STR("u"), s, rows[i].deny ? 2 : 1);
		struct err err = {0};

		if (rc_ok(auth_allows(u, &need, NULL, &err)) != rows[i].answer)
			fail_msg("%s but %s", rows[i].allow, rows[i].deny ? rows[i].deny : "nothing");
		if (!rows[i].answer)
			assert_non_null(strstr(err.msg, OBJECTS "*"));
		auth_user_unref(u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy__arns),
		cmocka_unit_test(test_policy__actions_and_several),
		cmocka_unit_test(test_policy__user_in_resource),
		cmocka_unit_test(test_policy__deny_wins_and_neutral_is_no),
		cmocka_unit_test(test_policy__broken_statement_denies_all),
		cmocka_unit_test(test_policy__below),
		cmocka_unit_test(test_policy__trees),
		cmocka_unit_test(test_policy__conditions),
		cmocka_unit_test(test_policy__all_conditions_must_hold),
		cmocka_unit_test(test_policy__as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
