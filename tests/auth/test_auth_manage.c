/* Users, groups, policies and credentials against what must be so: also when the KV fails at each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/manage.h"
#include "lakefs_records.h"

#define SECRET STR("encrypt-me")
#define REPO "arn:lakefs:fs:::repository/r"

struct fixture {
	struct kv *kv;
	struct auth *x;
	struct arena *a;
	struct err err;
	struct auth_call c;
};

static struct fixture f;

static void open_with(struct str secret, bool single)
{
	f.x = auth_new(&(struct auth_options){.kv = f.kv,
					      .encrypt_secret = secret,
					      .cache_ms = 60000,
					      .cache_size = 100,
					      .single = single,
					      .login_ms = 1000000});
	f.c = (struct auth_call){.x = f.x, .a = f.a, .err = &f.err, .by = STR("tester")};
}

static int set_up(void **state)
{
	f = (struct fixture){.kv = kv_fault_new(kv_mem_new()), .a = arena_new()};
	open_with(SECRET, false);
	return 0;
}

static int tear_down(void **state)
{
	auth_free(f.x);
	kv_free(f.kv);
	arena_free(f.a);
	return 0;
}

static void reopen(struct str secret, bool single)
{
	auth_free(f.x);
	open_with(secret, single);
}

static void ok(rc r)
{
	if (!rc_ok(r))
		fail_msg("%s", f.err.msg);
}

static void add_user(const char *name)
{
	struct auth_person u;

	ok(auth_user_create(&f.c, str_c(name), &u));
}

static void add_group(const char *name)
{
	struct auth_group g;

	ok(auth_group_create(&f.c, str_c(name), STR(""), &g));
}

static struct auth_document document(const char *effect, const char *action)
{
	struct auth_rule *rule = ARENA_NEW(f.a, struct auth_rule);

	rule->effect = str_c(effect);
	rule->resource = STR("*");
	rule->actions = ARENA_NEW(f.a, struct str);
	rule->actions[0] = str_c(action);
	rule->actions_n = 1;
	return (struct auth_document){rule, 1};
}

static void add_policy(const char *name, const char *effect, const char *action)
{
	struct auth_document d = document(effect, action);
	struct auth_policy p;

	ok(auth_policy_create(&f.c, str_c(name), &d, &p));
}

static struct auth_credentials add_key(const char *user, int64_t expires_s)
{
	struct auth_credential k;
	struct str secret;

	ok(auth_credential_create(&f.c, str_c(user), STR("n"), expires_s, &k, &secret));
	return (struct auth_credentials){k.access_key, secret};
}

/* What the key's owner may do; false when nobody owns it. */
static bool may(struct str key, const char *action)
{
	struct auth_need need = {NEED_PERMISSION, str_c(action), STR(REPO), NULL, 0};
	struct auth_user *u;
	struct str secret;
	bool yes;

	if (!rc_ok(auth_find_key(f.x, KV_BLOCK, key, f.a, &u, &secret, NULL)))
		return false;
	yes = rc_ok(auth_allows(u, &need, NULL, NULL));
	auth_user_unref(u);
	return yes;
}

static size_t keys_under(const char *prefix)
{
	struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end = false;
	size_t n = 0;

	ok(kv_scan(f.kv, STR("auth"), str_c(prefix), 0, &it, &f.err));
	for (;; n++) {
		ok(kv_iter_next(it, &e, &end, &f.err));
		if (end || !str_starts(e.key, str_c(prefix)))
			break;
	}
	kv_iter_close(it);
	return n;
}

static size_t links(void)
{
	return keys_under("gUsers/") + keys_under("uPolicies/") + keys_under("gPolicies/") +
	       keys_under("uCredentials/");
}

/* joe: may read by his group, may write by himself, may not delete by his group. */
static struct str make_joe(void)
{
	add_user("joe");
	add_group("g");
	add_policy("read", "allow", "fs:Read*");
	add_policy("write", "allow", "fs:WriteObject");
	add_policy("all", "allow", "fs:Delete*");
	add_policy("never", "deny", "fs:Delete*");
	ok(auth_member_add(&f.c, STR("g"), STR("joe")));
	ok(auth_policy_attach(&f.c, AUTH_OF_GROUP, STR("g"), STR("read")));
	ok(auth_policy_attach(&f.c, AUTH_OF_GROUP, STR("g"), STR("never")));
	ok(auth_policy_attach(&f.c, AUTH_OF_USER, STR("joe"), STR("write")));
	ok(auth_policy_attach(&f.c, AUTH_OF_USER, STR("joe"), STR("all")));
	return add_key("joe", 0).access_key;
}

static void test_manage__what_is_changed_counts_at_once(void **state)
{
	struct str key = make_joe();
	struct auth_document d = document("allow", "fs:List*");
	struct auth_policy p;

	assert_true(may(key, "fs:ReadObject") && may(key, "fs:WriteObject") && !may(key, "fs:DeleteObject"));
	ok(auth_policy_detach(&f.c, AUTH_OF_USER, STR("joe"), STR("write")));
	assert_false(may(key, "fs:WriteObject"));
	ok(auth_policy_update(&f.c, STR("read"), &d, &p));
	assert_true(may(key, "fs:ListObjects") && !may(key, "fs:ReadObject"));
	ok(auth_policy_delete(&f.c, STR("never")));
	assert_true(may(key, "fs:DeleteObject"));
	ok(auth_group_delete(&f.c, STR("g")));
	assert_false(may(key, "fs:ListObjects"));
	ok(auth_credential_delete(&f.c, STR("joe"), key));
	assert_false(may(key, "fs:DeleteObject"));
	ok(auth_user_delete(&f.c, STR("joe")));
	assert_int_equal(links(), 0);
	assert_true(rc_is(auth_user_delete(&f.c, STR("joe")), NOT_FOUND));
}

/* Stopped after each of its steps, a deletion has happened or not: never does it leave rights that there weren't
 * before, and whoever makes one of the same name finds nothing of the old one. */
static void stop_user_deletion(uint64_t step, bool *ret_untouched)
{
	struct str key = make_joe();
	rc r;

	kv_fault_arm(f.kv, KV_CALL_WRITES, step, ERR_IO, false);
	r = auth_user_delete(&f.c, STR("joe"));
	kv_fault_arm(f.kv, 0, 0, ERR_NONE, false);
	*ret_untouched = rc_ok(r);
	assert_false(may(key, "fs:DeleteObject"));
	if (!rc_ok(r) && step > 1)
		assert_false(may(key, "fs:ReadObject"));
	if (!rc_ok(r) && step > 1) {
		add_user("joe");
		assert_false(may(key, "fs:ReadObject"));
		key = add_key("joe", 0).access_key;
		assert_false(may(key, "fs:ReadObject") || may(key, "fs:WriteObject"));
	}
}

static void test_manage__user_deletion_stopped(void **state)
{
	bool untouched = false;
	uint64_t step;

	for (step = 1; !untouched; step++) {
		stop_user_deletion(step, &untouched);
		tear_down(NULL);
		set_up(NULL);
	}
	assert_in_range(step, 5, 10);
}

static void stop_group_deletion(uint64_t step, bool *ret_untouched)
{
	struct str key = make_joe();
	bool could = may(key, "fs:DeleteObject");
	rc r;

	kv_fault_arm(f.kv, KV_CALL_WRITES, step, ERR_IO, false);
	r = auth_group_delete(&f.c, STR("g"));
	kv_fault_arm(f.kv, 0, 0, ERR_NONE, false);
	*ret_untouched = rc_ok(r);
	assert_false(could);
	if (step == 1) {
		assert_true(may(key, "fs:ReadObject") && !may(key, "fs:DeleteObject"));
		return;
	}
	/* All of it, what it allowed and what it denied. */
	assert_true(!may(key, "fs:ReadObject") && may(key, "fs:DeleteObject"));
	add_group("g");
	assert_true(!may(key, "fs:ReadObject") && may(key, "fs:DeleteObject"));
	ok(auth_group_delete(&f.c, STR("g")));
	assert_int_equal(keys_under("gUsers/") + keys_under("gPolicies/"), 0);
}

static void test_manage__group_deletion_stopped(void **state)
{
	bool untouched = false;
	uint64_t step;

	for (step = 1; !untouched; step++) {
		stop_group_deletion(step, &untouched);
		tear_down(NULL);
		set_up(NULL);
	}
	assert_in_range(step, 4, 8);
}

static void test_manage__policy_deletion_stopped(void **state)
{
	bool untouched = false;

	for (uint64_t step = 1; !untouched; step++) {
		struct str key = make_joe();
		rc r;

		kv_fault_arm(f.kv, KV_CALL_WRITES, step, ERR_IO, false);
		r = auth_policy_delete(&f.c, STR("read"));
		kv_fault_arm(f.kv, 0, 0, ERR_NONE, false);
		untouched = rc_ok(r);
		assert_int_equal(may(key, "fs:ReadObject"), step == 1);
		if (step > 1) {
			add_policy("read", "allow", "fs:*");
			assert_false(may(key, "fs:ReadObject"));
		}
		tear_down(NULL);
		set_up(NULL);
	}
}

/* A key of joe's that is still good when it is looked up; false: its time was over before. */
static bool short_key(struct auth_credentials *ret, struct auth_user **ret_user)
{
	int64_t expires_s = wall_now().s + 1;
	struct auth_credential c;
	struct str secret;
	rc r = auth_credential_create(&f.c, STR("joe"), STR("n"), expires_s, &c, &secret);

	*ret_user = NULL;
	if (rc_ok(r)) {
		*ret = (struct auth_credentials){c.access_key, secret};
		ok(auth_find_key(f.x, KV_BLOCK, ret->access_key, f.a, ret_user, &secret, &f.err));
		assert_true(auth_secret_is(secret, ret->secret));
		r = auth_not_expired(*ret_user, &f.err);
	}
	if (!rc_ok(r) && wall_now().s >= expires_s) {
		auth_user_unref(*ret_user);
		return false;
	}
	ok(r);
	return true;
}

static void test_manage__expiry(void **state)
{
	struct auth_credentials k;
	struct auth_credential c;
	struct auth_user *u;
	struct str secret;
	int tries = 1;

	add_user("joe");
	assert_true(rc_is(auth_credential_create(&f.c, STR("joe"), STR(""), wall_now().s, &c, &secret), INVALID));
	while (!short_key(&k, &u))
		assert_in_range(++tries, 2, AUTH_MAX_USER_KEYS);
	while (wall_now().s < (ok(auth_credential_get(&f.c, STR("joe"), k.access_key, &c)), c.expires_s))
		;
	assert_true(rc_is(auth_not_expired(u, &f.err), ExpiredToken));
	assert_non_null(strstr(f.err.msg, k.access_key.p));
	auth_user_unref(u);
}

static void test_manage__too_many_keys(void **state)
{
	struct auth_credential c;
	struct str secret;

	add_user("joe");
	for (int i = 0; i < AUTH_MAX_USER_KEYS; i++)
		add_key("joe", 0);
	assert_true(rc_is(auth_credential_create(&f.c, STR("joe"), STR(""), 0, &c, &secret), INVALID));
}

static void put_lakefs(void)
{
	ok(kv_set(f.kv, STR("basicAuth"), STR("users/superAdmin"), LAKEFS_USER, &f.err));
	ok(kv_set(f.kv, STR("basicAuth"), STR("uCredentials/superAdmin/credentials/AKIAIOSFODNN7EXAMPLE"),
		  LAKEFS_CREDENTIAL, &f.err));
	reopen(LAKEFS_ENCRYPT_SECRET, false);
}

static void test_manage__takeover_stopped_anywhere(void **state)
{
	bool untouched = false;

	for (uint64_t step = 1; !untouched; step++) {
		put_lakefs();
		kv_fault_arm(f.kv, KV_CALL_WRITES, step, ERR_IO, false);
		untouched = rc_ok(auth_take_over(f.x, &f.err));
		kv_fault_arm(f.kv, 0, 0, ERR_NONE, false);
		assert_int_equal(may(LAKEFS_ACCESS_KEY, "fs:DeleteRepository"), untouched);
		ok(auth_take_over(f.x, &f.err));
		assert_true(may(LAKEFS_ACCESS_KEY, "fs:DeleteRepository") && may(LAKEFS_ACCESS_KEY, "auth:CreateUser"));
		tear_down(NULL);
		set_up(NULL);
	}
}

static void test_manage__what_was_taken_over_doesnt_come_back(void **state)
{
	put_lakefs();
	ok(auth_take_over(f.x, &f.err));
	ok(auth_member_remove(&f.c, STR("Admins"), STR("admin")));
	ok(auth_take_over(f.x, &f.err));
	assert_false(may(LAKEFS_ACCESS_KEY, "fs:ReadObject"));
	ok(auth_credential_delete(&f.c, STR("admin"), LAKEFS_ACCESS_KEY));
	ok(auth_take_over(f.x, &f.err));
	assert_int_equal(keys_under("uCredentials/"), 0);
	ok(auth_user_delete(&f.c, STR("admin")));
	ok(auth_take_over(f.x, &f.err));
	assert_int_equal(keys_under("users/"), 0);
	reopen(LAKEFS_ENCRYPT_SECRET, true);
	assert_false(may(LAKEFS_ACCESS_KEY, "fs:ReadObject"));
}

static void test_manage__without_access_control(void **state)
{
	struct auth_person u, *list;
	struct auth_group g;
	struct auth_credential k;
	struct str secret;
	size_t n;
	bool more;

	put_lakefs();
	reopen(LAKEFS_ENCRYPT_SECRET, true);
	assert_true(may(LAKEFS_ACCESS_KEY, "fs:DeleteRepository") && may(LAKEFS_ACCESS_KEY, "auth:CreateUser"));
	ok(auth_users_list(&f.c, &(struct auth_page){STR(""), STR_NONE, 10}, &list, &n, &more));
	assert_true(n == 1 && str_eq(list[0].id, STR("admin")) && !more);
	assert_true(rc_is(auth_user_create(&f.c, STR("joe"), &u), EXISTS));
	assert_true(rc_is(auth_user_delete(&f.c, STR("admin")), INVALID));
	assert_true(rc_is(auth_group_create(&f.c, STR("g"), STR(""), &g), UNSUPPORTED));
	assert_true(rc_is(auth_credential_create(&f.c, STR("admin"), STR(""), 0, &k, &secret), INVALID));
	ok(auth_credential_get(&f.c, STR("admin"), LAKEFS_ACCESS_KEY, &k));
	assert_true(rc_is(auth_credential_delete(&f.c, STR("admin"), LAKEFS_ACCESS_KEY), UNSUPPORTED));
}

static void test_manage__any_user_may_everything_without_access_control(void **state)
{
	struct str key;

	add_user("joe");
	key = add_key("joe", 0).access_key;
	assert_false(may(key, "fs:ReadObject"));
	reopen(SECRET, true);
	assert_true(may(key, "fs:ReadObject"));
}

static void test_manage__setup_without_access_control_is_lakefss(void **state)
{
	struct auth_credentials c;
	struct str value;

	reopen(SECRET, true);
	ok(auth_setup(f.x, STR("admin"), NULL, f.a, &c, &f.err));
	assert_true(may(c.access_key, "auth:CreateUser"));
	ok(kv_get(f.kv, KV_BLOCK, STR("basicAuth"), STR("users/superAdmin"), f.a, &value, &f.err));
	assert_int_equal(keys_under("users/") + keys_under("groups/"), 0);
	/* Later with it: taken over. */
	reopen(SECRET, false);
	ok(auth_take_over(f.x, &f.err));
	assert_true(may(c.access_key, "auth:CreateUser"));
}

static void test_manage__pages_agree_with_a_model(void **state)
{
	char name[16];

	for (int i = 0; i < 23; i++) {
		snprintf(name, sizeof(name), "%c%02d", i % 3 ? 'a' : 'b', i);
		add_user(name);
	}
	for (size_t amount = 1; amount < 26; amount++) {
		struct auth_page p = {STR("a"), STR_NONE, amount};
		struct auth_person *list;
		size_t n, seen = 0;
		bool more = true;

		while (more) {
			ok(auth_users_list(&f.c, &p, &list, &n, &more));
			assert_true(n <= amount && (n == amount || !more));
			for (size_t i = 0; i < n; i++, seen++) {
				assert_true(!p.after.p || str_cmp(list[i].id, p.after) > 0);
				assert_true(str_starts(list[i].id, STR("a")));
				p.after = list[i].id;
			}
		}
		assert_int_equal(seen, 15);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_manage__what_is_changed_counts_at_once),
		T(test_manage__user_deletion_stopped),
		T(test_manage__group_deletion_stopped),
		T(test_manage__policy_deletion_stopped),
		T(test_manage__expiry),
		T(test_manage__too_many_keys),
		T(test_manage__takeover_stopped_anywhere),
		T(test_manage__what_was_taken_over_doesnt_come_back),
		T(test_manage__without_access_control),
		T(test_manage__any_user_may_everything_without_access_control),
		T(test_manage__setup_without_access_control_is_lakefss),
		T(test_manage__pages_agree_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
