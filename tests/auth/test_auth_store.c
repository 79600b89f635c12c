/* Effective policies from stored records, written as lakeFS's ACL server and setup write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/store.h"

struct fixture {
	struct kv *kv;
	struct arena *a;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){kv_mem_new(), arena_new()};
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	kv_free(f->kv);
	arena_free(f->a);
	return 0;
}

static void put(struct fixture *f, const char *key, const ProtobufCMessage *m)
{
	assert_true(rc_ok(auth_store_put(f->kv, str_c(key), m, false, NULL)));
}

static void put_user(struct fixture *f, const char *key)
{
	AuthPb__UserData u = AUTH_PB__USER_DATA__INIT;

	put(f, key, &u.base);
}

static void put_group(struct fixture *f, const char *key)
{
	AuthPb__GroupData g = AUTH_PB__GROUP_DATA__INIT;

	put(f, key, &g.base);
}

static void index_to(struct fixture *f, const char *key, const char *path)
{
	assert_true(rc_ok(auth_store_put_index(f->kv, str_c(key), str_c(path), NULL)));
}

static void put_policy(struct fixture *f, const char *key, const char *effect, const char *action,
		       const char *resource)
{
	AuthPb__StatementData s = AUTH_PB__STATEMENT_DATA__INIT, *list[] = {&s};
	AuthPb__PolicyData p = AUTH_PB__POLICY_DATA__INIT;
	char *actions[] = {(char *)action};

	s.effect = (char *)effect;
	s.n_action = 1;
	s.action = actions;
	s.resource = (char *)resource;
	p.n_statement = 1;
	p.statement = list;
	put(f, key, &p.base);
}

static struct auth_user *load(struct fixture *f, const char *name)
{
	struct auth_user *u = NULL;
	struct err err = {};

	if (!rc_ok(auth_store_load_user(f->kv, str_c(name), &u, &err)))
		fail_msg("%s", err.msg);
	return u;
}

static bool may(const struct auth_user *u, const char *action, const char *resource,
		const char *source_ip)
{
	struct auth_need need = {NEED_PERMISSION, str_c(action), str_c(resource), NULL, 0};
	struct auth_context ctx = {.source_ip = str_c(source_ip)};

	return rc_ok(auth_allows(u, &need, &ctx, NULL));
}

static void test_store__own_and_group_policies(void **state)
{
	struct fixture *f = *state;
	struct auth_user *u;

	put_user(f, "users/joe");
	put_user(f, "users/joey");
	put_group(f, "groups/G");
	put_group(f, "groups/Other");
	put_policy(f, "policies/read", "allow", "fs:Read*", "*");
	put_policy(f, "policies/write", "allow", "fs:WriteObject", "*");
	put_policy(f, "policies/delete", "allow", "fs:DeleteObject", "*");
	put_policy(f, "policies/no", "deny", "fs:ReadObject", "arn:lakefs:fs:::repository/x/*");
	index_to(f, "uPolicies/joe/policies/read", "policies/read");
	index_to(f, "uPolicies/joe/policies/gone", "policies/gone");
	index_to(f, "uPolicies/joey/policies/delete", "policies/delete");
	index_to(f, "gUsers/G/users/joe", "users/joe");
	index_to(f, "gPolicies/G/policies/read", "policies/read");
	index_to(f, "gPolicies/G/policies/write", "policies/write");
	index_to(f, "gPolicies/G/policies/no", "policies/no");
	index_to(f, "gPolicies/Other/policies/delete", "policies/delete");

	u = load(f, "joe");
	assert_true(str_eq(auth_user_name(u), STR("joe")));
	assert_true(may(u, "fs:ReadObject", "arn:lakefs:fs:::repository/r/object/o", NULL));
	assert_true(may(u, "fs:WriteObject", "arn:lakefs:fs:::repository/r/object/o", NULL));
	assert_false(may(u, "fs:DeleteObject", "arn:lakefs:fs:::repository/r/object/o", NULL));
	assert_false(may(u, "fs:ReadObject", "arn:lakefs:fs:::repository/x/object/o", NULL));
	auth_user_unref(u);
	u = load(f, "joey");
	assert_true(may(u, "fs:DeleteObject", "arn:lakefs:fs:::repository/r/object/o", NULL));
	assert_false(may(u, "fs:WriteObject", "arn:lakefs:fs:::repository/r/object/o", NULL));
	auth_user_unref(u);
}

static void test_store__unknown_user(void **state)
{
	struct fixture *f = *state;
	struct auth_user *u = NULL;

	assert_true(rc_is(auth_store_load_user(f->kv, STR("nobody"), &u, NULL), NOT_FOUND));
}

static void one_policy(struct fixture *f, const char *effect, const char *resource)
{
	put_user(f, "users/joe");
	put_policy(f, "policies/p", effect, "fs:*", resource);
	put_policy(f, "policies/all", "allow", "ci:*", "*");
	index_to(f, "uPolicies/joe/policies/p", "policies/p");
	index_to(f, "uPolicies/joe/policies/all", "policies/all");
}

static void test_store__lists_of_resources(void **state)
{
	struct fixture *f = *state;
	struct auth_user *u;

	one_policy(f, "allow",
		   "[\"arn:lakefs:fs:::repository/a\", \"arn:lakefs:fs:::repository/${user}\"]");
	u = load(f, "joe");
	assert_true(may(u, "fs:ReadRepository", "arn:lakefs:fs:::repository/a", NULL));
	assert_true(may(u, "fs:ReadRepository", "arn:lakefs:fs:::repository/joe", NULL));
	assert_false(may(u, "fs:ReadRepository", "arn:lakefs:fs:::repository/b", NULL));
	auth_user_unref(u);
}

static void test_store__what_cant_be_read_denies(void **state)
{
	static const char *const rows[][2] = {
		{"allow", "[not json]"}, {"allow", "[1]"}, {"allow", "[\"*\", null]"}, {"maybe", "*"},
		{"", "*"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_user *u;

		one_policy(f, rows[i][0], rows[i][1]);
		u = load(f, "joe");
		if (may(u, "fs:ReadRepository", "arn:lakefs:fs:::repository/a", NULL) ||
		    may(u, "ci:ReadAction", "arn:lakefs:fs:::repository/a", NULL))
			fail_msg("'%s' on '%s' let through", rows[i][0], rows[i][1]);
		auth_user_unref(u);
	}
}

static void test_store__damaged_policy_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct auth_user *u = NULL;
	struct err err;

	one_policy(f, "deny", "*");
	assert_true(rc_ok(kv_set(f->kv, AUTH_PARTITION, STR("policies/p"), STR("\xff\xff"), NULL)));
	assert_true(rc_is(auth_store_load_user(f->kv, STR("joe"), &u, &err), CORRUPT));
	assert_non_null(strstr(err.msg, "policies/p"));
}

/* statement 1 { effect "allow", action "fs:*", resource "*", condition } as raw bytes: the maps'
 * encoding is not left to the library that reads them. */
static void put_conditional(struct fixture *f, struct str condition)
{
	struct str head = STR("\x0a\x05" "allow" "\x12\x04" "fs:*" "\x1a\x01*" "\x22");
	char n = (char)condition.n, whole = (char)(head.n + 1 + condition.n);
	struct str parts[] = {STR("\x1a"), {&whole, 1}, head, {&n, 1}, condition};

	assert_true(rc_ok(kv_set(f->kv, AUTH_PARTITION, STR("policies/p"), arena_join(f->a, parts, 5),
				 NULL)));
}

static void test_store__conditions(void **state)
{
	struct fixture *f = *state;
	struct auth_user *u;

	one_policy(f, "allow", "*");
	put_conditional(f, STR("\x0a\x09" "IpAddress" "\x12\x18" "\x0a\x16" "\x0a\x08" "SourceIp"
			       "\x12\x0a" "\x0a\x08" "10.0.0/8"));
	u = load(f, "joe");
	assert_false(may(u, "fs:ReadRepository", "r", "10.0.0.1"));
	assert_false(may(u, "ci:ReadAction", "r", "10.0.0.1"));
	auth_user_unref(u);
	put_conditional(f, STR("\x0a\x09" "IpAddress" "\x12\x1a" "\x0a\x18" "\x0a\x08" "SourceIp"
			       "\x12\x0c" "\x0a\x0a" "10.0.0.0/8"));
	u = load(f, "joe");
	assert_true(may(u, "fs:ReadRepository", "r", "10.0.0.1"));
	assert_false(may(u, "fs:ReadRepository", "r", "11.0.0.1"));
	assert_false(may(u, "fs:ReadRepository", "r", NULL));
	assert_true(may(u, "ci:ReadAction", "r", "11.0.0.1"));
	auth_user_unref(u);
	/* An operator that nobody knows, without fields. */
	put_conditional(f, STR("\x0a\x03" "New"));
	u = load(f, "joe");
	assert_false(may(u, "ci:ReadAction", "r", "11.0.0.1"));
	auth_user_unref(u);
}

static void test_store__bounded(void **state)
{
	struct fixture *f = *state;
	struct auth_user *u = NULL;
	char key[64];
	struct err err;

	put_user(f, "users/joe");
	for (int i = 0; i <= AUTH_MAX_POLICIES; i++) {
		snprintf(key, sizeof(key), "uPolicies/joe/policies/p%d", i);
		index_to(f, key, key + strlen("uPolicies/joe/"));
	}
	assert_true(rc_is(auth_store_load_user(f->kv, STR("joe"), &u, &err), UNSUPPORTED));
	assert_non_null(strstr(err.msg, "1000 policies"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_store__own_and_group_policies),
		T(test_store__unknown_user),
		T(test_store__lists_of_resources),
		T(test_store__what_cant_be_read_denies),
		T(test_store__damaged_policy_is_an_error),
		T(test_store__conditions),
		T(test_store__bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
