/* Temporary credentials: what a token says is believed when it is whole and ours, and what it stands for ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/internal.h"
#include "auth/session.h"
#include "auth/store.h"
#include "auth/user.h"
#include "base/clock.h"

#define SECRET STR("encrypt-with-this")

struct fixture {
	struct kv *kv;
	struct auth *x;
	struct arena *a;
	struct err err;
	struct auth_call c;
};

static struct auth *make_auth(struct kv *kv, struct str secret, bool single)
{
	return auth_new(&(struct auth_options){
		.kv = kv, .encrypt_secret = secret, .cache_ms = 60000, .cache_size = 100, .single = single});
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){.kv = kv_mem_new(), .a = arena_new()};
	f.x = make_auth(f.kv, SECRET, false);
	f.c = (struct auth_call){.x = f.x, .a = f.a, .err = &f.err};
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	auth_free(f->x);
	kv_free(f->kv);
	arena_free(f->a);
	return 0;
}

static void ok(struct fixture *f, rc r)
{
	if (!rc_ok(r))
		fail_msg("%s: %s", err_name(r.code), f->err.msg);
}

/* A new user who may do everything of fs, with a key; expires_s 0: a key for ever. */
static struct auth_user *user(struct fixture *f, const char *name, int64_t expires_s, struct auth_credential *ret)
{
	struct auth_rule rule = {.effect = STR("allow"), .resource = STR("*"), .actions = &STR("fs:*"), .actions_n = 1};
	struct auth_document d = {&rule, 1};
	struct auth_policy p;
	struct auth_person person;
	struct auth_user *u;
	struct str secret;

	ok(f, auth_user_create(&f->c, str_c(name), &person));
	if (!rc_ok(auth_policy_get(&f->c, STR("all"), &p)))
		ok(f, auth_policy_create(&f->c, STR("all"), &d, &p));
	ok(f, auth_policy_attach(&f->c, AUTH_OF_USER, str_c(name), STR("all")));
	ok(f, auth_credential_create(&f->c, str_c(name), STR(""), expires_s, ret, &secret));
	ok(f, auth_find_key(f->x, KV_BLOCK, ret->access_key, f->a, &u, &secret, &f->err));
	return u;
}

static enum err_code find(struct fixture *f, struct auth *x, struct str key, struct str token, struct auth_user **ret)
{
	struct auth_user *u = NULL;
	struct str secret;
	rc r = auth_find_session(x, KV_BLOCK, key, token, f->a, &u, &secret, &f->err);

	if (ret)
		*ret = u;
	else
		auth_user_unref(u);
	return r.code;
}

static bool may(const struct auth_user *u, const char *action, const char *resource)
{
	struct auth_need need = {NEED_PERMISSION, str_c(action), str_c(resource), NULL, 0};

	return rc_ok(auth_allows(u, &need, NULL, NULL));
}

#define OBJECT "arn:lakefs:fs:::repository/r/object/"

static void test_session__is_of_its_user(void **state)
{
	struct fixture *f = *state;
	struct auth_credential k;
	struct auth_user *u = user(f, "joe", 0, &k), *s;
	struct auth *other = make_auth(f->kv, SECRET, false);
	struct auth_session made;
	struct str secret;

	ok(f, auth_session_make(&f->c, u, 3600, NULL, &made));
	assert_true(auth_is_temporary(made.access_key) && !auth_is_temporary(k.access_key));
	assert_int_equal(made.secret.n, 40);
	/* Another server of the installation knows it as well; one of another installation doesn't. */
	ok(f, auth_find_session(other, KV_BLOCK, made.access_key, made.token, f->a, &s, &secret, &f->err));
	assert_true(str_eq(secret, made.secret) && str_eq(auth_user_name(s), STR("joe")));
	assert_true(auth_user_is_temporary(s) && str_eq(auth_user_access_key(s), made.access_key));
	assert_true(may(s, "fs:WriteObject", OBJECT "x"));
	auth_free(other);
	other = make_auth(f->kv, STR("another"), false);
	assert_int_equal(find(f, other, made.access_key, made.token, NULL), ERR_InvalidToken);
	auth_free(other);
	/* Temporary credentials make no others; nor does who was found without an access key. */
	assert_true(rc_is(auth_session_make(&f->c, s, 3600, NULL, &made), AccessDenied));
	auth_user_unref(s);
	ok(f, auth_find_user(f->x, KV_BLOCK, STR("joe"), f->a, &s, &f->err));
	assert_true(rc_is(auth_session_make(&f->c, s, 3600, NULL, &made), AccessDenied));
	auth_user_unref(s);
	auth_user_unref(u);
}

static void test_session__every_changed_byte_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct auth_credential k;
	struct auth_user *u = user(f, "joe", 0, &k);
	struct auth_session one, two;

	ok(f, auth_session_make(&f->c, u, 3600, NULL, &one));
	ok(f, auth_session_make(&f->c, u, 3600, NULL, &two));
	assert_int_equal(find(f, f->x, one.access_key, one.token, NULL), ERR_NONE);
	for (size_t i = 0; i < one.token.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct str copy = arena_dup(f->a, one.token);

			((char *)copy.p)[i] ^= (char)(1 << bit);
			assert_int_equal(find(f, f->x, one.access_key, copy, NULL), ERR_InvalidToken);
		}
	for (size_t n = 0; n < one.token.n; n++)
		assert_int_equal(find(f, f->x, one.access_key, str_head(one.token, n), NULL), ERR_InvalidToken);
	assert_int_equal(find(f, f->x, one.access_key, arena_printf(f->a, STR_FMT "A", STR_ARG(one.token)), NULL),
			 ERR_InvalidToken);
	assert_int_equal(find(f, f->x, two.access_key, one.token, NULL), ERR_InvalidToken);
	assert_int_equal(find(f, f->x, k.access_key, one.token, NULL), ERR_InvalidToken);
	auth_user_unref(u);
}

static void test_session__ends_with_its_time_its_key_and_its_user(void **state)
{
	struct fixture *f = *state;
	struct auth_credential k, again;
	int64_t now = wall_now().s;
	struct auth_user *u = user(f, "joe", now + 1000, &k);
	AuthPb__SessionData *d;
	struct auth_session s;

	/* Not longer than its key. */
	ok(f, auth_session_make(&f->c, u, 3600, NULL, &s));
	assert_int_equal(s.expires_s, now + 1000);
	assert_true(rc_ok(auth_session_open(&f->x->session_keys, s.access_key, s.token, now + 999, f->a, &d, NULL)));
	assert_true(rc_is(auth_session_open(&f->x->session_keys, s.access_key, s.token, now + 1000, f->a, &d, NULL),
			  ExpiredToken));
	for (size_t i = 0; i < 4; i++) {
		static const int64_t bad[] = {0, 899, 129601, -1};

		assert_true(rc_is(auth_session_make(&f->c, u, bad[i], NULL, &s), INVALID));
	}
	ok(f, auth_session_make(&f->c, u, 900, NULL, &s));
	ok(f, auth_credential_delete(&f->c, STR("joe"), k.access_key));
	assert_int_equal(find(f, f->x, s.access_key, s.token, NULL), ERR_InvalidAccessKeyId);
	auth_user_unref(u);

	u = user(f, "ann", 0, &k);
	ok(f, auth_session_make(&f->c, u, 900, NULL, &s));
	ok(f, auth_user_delete(&f->c, STR("ann")));
	assert_int_equal(find(f, f->x, s.access_key, s.token, NULL), ERR_InvalidAccessKeyId);
	auth_user_unref(u);
	u = user(f, "ann", 0, &again);
	assert_int_equal(find(f, f->x, s.access_key, s.token, NULL), ERR_InvalidAccessKeyId);
	auth_user_unref(u);
}

/* The record is another one: so is the user, whatever its access key. */
static void test_session__of_a_user_who_was_made_again_with_the_same_key(void **state)
{
	struct fixture *f = *state;
	AuthPb__UserData record = AUTH_PB__USER_DATA__INIT;
	AuthPb__Timestamp t = auth_now();
	struct auth_credential k;
	struct auth_user *u = user(f, "joe", 0, &k);
	struct auth_session s;

	ok(f, auth_session_make(&f->c, u, 900, NULL, &s));
	auth_user_unref(u);
	t.nanos ^= 1;
	record.created_at = &t;
	ok(f, auth_store_put(f->kv, auth_key_user(f->a, STR("joe")), &record.base, false, &f->err));
	auth_changed(f->x);
	assert_int_equal(find(f, f->x, s.access_key, s.token, NULL), ERR_InvalidAccessKeyId);
}

static void test_session__may_what_both_allow(void **state)
{
	struct fixture *f = *state;
	struct auth_credential k;
	struct auth_user *u = user(f, "joe", 0, &k), *s;
	struct auth_rule rules[] = {
		{.effect = STR("allow"), .resource = STR(OBJECT "${user}/*"),
		 .actions = (struct str[]){STR("fs:*"), STR("auth:*"), STR("ci:*")}, .actions_n = 3},
		{.effect = STR("deny"), .resource = STR(OBJECT "joe/secret"),
		 .actions = (struct str[]){STR("fs:ReadObject")}, .actions_n = 1},
	};
	struct auth_document scope = {rules, 2};
	struct auth_session made;

	ok(f, auth_session_make(&f->c, u, 900, &scope, &made));
	assert_int_equal(find(f, f->x, made.access_key, made.token, &s), ERR_NONE);
	assert_true(may(s, "fs:ReadObject", OBJECT "joe/x") && may(s, "fs:WriteObject", OBJECT "joe/secret"));
	assert_false(may(s, "fs:ReadObject", OBJECT "joe/secret"));
	assert_false(may(s, "fs:ReadObject", OBJECT "ann/x"));
	/* The user itself may not; nor any temporary credential, whatever is written. */
	assert_false(may(s, "ci:ReadAction", OBJECT "joe/x"));
	ok(f, auth_policy_attach(&f->c, AUTH_OF_USER, STR("joe"), STR("all")));
	assert_true(auth_allows_somewhere(s, STR("fs:ReadObject")));
	assert_false(auth_allows_somewhere(s, STR("ci:ReadAction")));
	auth_user_unref(s);
	auth_user_unref(u);
}

static void test_session__nothing_of_auth(void **state)
{
	struct fixture *f = *state;
	struct str all = STR("*");
	struct auth_statement everything = {true, false, &all, 1, &all, 1, NULL, 0};
	struct auth_user *u = auth_user_of(STR("root"), &everything, 1), *s = auth_user_session(u, NULL);

	assert_true(may(u, "auth:CreateUser", "arn:lakefs:auth:::user/x") && may(s, "fs:ReadObject", OBJECT "x"));
	assert_false(may(s, "auth:CreateUser", "arn:lakefs:auth:::user/x"));
	assert_false(may(s, "auth:CreateCredentials", "arn:lakefs:auth:::user/root"));
	auth_user_unref(u);
	assert_true(may(s, "fs:ReadObject", OBJECT "x")); /* it holds its user */
	auth_user_unref(s);
	(void)f;
}

static void test_session__policies_are_checked_and_bounded(void **state)
{
	struct fixture *f = *state;
	struct auth_credential k;
	struct auth_user *u = user(f, "joe", 0, &k);
	struct str read = STR("fs:ReadObject");
	struct auth_rule rules[200];
	struct auth_document scope = {rules, 1};
	struct auth_session made;
	size_t n;

	for (size_t i = 0; i < 200; i++)
		rules[i] = (struct auth_rule){.effect = STR("allow"), .resource = STR(OBJECT "*"),
					      .actions = &read, .actions_n = 1};
	rules[0].resource = STR("nonsense");
	assert_true(rc_is(auth_session_make(&f->c, u, 900, &scope, &made), INVALID));
	rules[0].resource = rules[1].resource;
	for (n = 1; n < 200; n++) {
		rc r;

		scope.rules_n = n;
		r = auth_session_make(&f->c, u, 900, &scope, &made);
		if (rc_is(r, EntityTooLarge))
			break;
		ok(f, r);
		assert_true(made.token.n <= AUTH_SESSION_TOKEN_MAX);
		assert_int_equal(find(f, f->x, made.access_key, made.token, NULL), ERR_NONE);
	}
	assert_true(n > 10 && n < 100);
	auth_user_unref(u);
}

/* The longest names there are fit beside the longest policy. */
static void test_session__the_longest_token(void **state)
{
	struct fixture *f = *state;
	AuthPb__SessionData d = AUTH_PB__SESSION_DATA__INIT, *back;
	AuthPb__PolicyData p = AUTH_PB__POLICY_DATA__INIT;
	AuthPb__Timestamp t = {.base = PROTOBUF_C_MESSAGE_INIT(&auth_pb__timestamp__descriptor),
			       .seconds = INT64_MIN, .nanos = -1};
	char name[AUTH_MAX_ID + 1], key[AUTH_MAX_ACCESS_KEY + 1], text[AUTH_SESSION_POLICY_MAX + 1];
	struct str token;

	memset(name, 'n', sizeof(name) - 1);
	memset(key, 'k', sizeof(key) - 1);
	memset(text, 't', sizeof(text));
	name[sizeof(name) - 1] = key[sizeof(key) - 1] = text[AUTH_SESSION_POLICY_MAX - 3] = 0;
	p.display_name = text;
	assert_int_equal(auth_pb__policy_data__get_packed_size(&p), AUTH_SESSION_POLICY_MAX);
	d.user = name;
	d.access_key_id = key;
	d.issued_at = d.expires_at = INT64_MAX;
	d.user_created_at = &t;
	d.scope = &p;
	token = auth_session_seal(&f->x->session_keys, STR("ASIA0123456789012345"), &d, f->a);
	assert_true(token.n <= AUTH_SESSION_TOKEN_MAX);
	assert_true(rc_ok(auth_session_open(&f->x->session_keys, STR("ASIA0123456789012345"), token, 0, f->a, &back, NULL)));
	assert_string_equal(back->scope->display_name, text);
}

/* Without access control there are temporary credentials, too. */
static void test_session__without_access_control(void **state)
{
	struct fixture *f = *state;
	struct auth *x = make_auth(f->kv, SECRET, true);
	struct auth_credentials c;
	struct auth_session made;
	struct auth_user *u, *s;
	struct str secret;

	ok(f, auth_setup(x, STR("admin"), NULL, f->a, &c, &f->err));
	ok(f, auth_find_key(x, KV_BLOCK, c.access_key, f->a, &u, &secret, &f->err));
	f->c.x = x;
	ok(f, auth_session_make(&f->c, u, 900, NULL, &made));
	assert_int_equal(find(f, x, made.access_key, made.token, &s), ERR_NONE);
	assert_true(may(s, "fs:ReadObject", OBJECT "x"));
	auth_user_unref(s);
	auth_user_unref(u);
	auth_free(x);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_session__##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(is_of_its_user),
		T(every_changed_byte_is_noticed),
		T(ends_with_its_time_its_key_and_its_user),
		T(of_a_user_who_was_made_again_with_the_same_key),
		T(may_what_both_allow),
		T(nothing_of_auth),
		T(policies_are_checked_and_bounded),
		T(the_longest_token),
		T(without_access_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
