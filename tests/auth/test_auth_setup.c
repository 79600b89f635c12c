#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/store.h"
#include "base/encode.h"
#include "lakefs_records.h"

#define META STR("kv-internal-metadata")
#define VERSION STR("kv/schema/version")
#define TIMESTAMP STR("installation_metadata/setup_timestamp")

struct fixture {
	struct kv *kv;
	struct auth *x;
	struct arena *a;
};

static int set_up(void **state)
{
	static struct fixture f;

	f.kv = kv_fault_new(kv_mem_new());
	f.x = auth_new(&(struct auth_options){
		.kv = f.kv, .encrypt_secret = STR("k"), .cache_ms = 60000, .cache_size = 100});
	f.a = arena_new();
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

static bool works(struct fixture *f, struct auth_credentials c, const char *owner)
{
	struct auth_user *u = NULL;
	struct str secret;
	bool ok = rc_ok(auth_find_key(f->x, KV_BLOCK, c.access_key, f->a, &u, &secret, NULL));

	if (ok) {
		assert_true(str_eq(secret, c.secret));
		assert_true(str_eq(auth_user_name(u), str_c(owner)));
	}
	auth_user_unref(u);
	return ok;
}

static struct str stored(struct fixture *f, struct str partition, struct str key)
{
	struct str value = STR_NONE;

	IGNORE_RC(kv_get(f->kv, KV_BLOCK, partition, key, f->a, &value, NULL));
	return value;
}

static bool is_setup(struct fixture *f)
{
	bool done;

	assert_true(rc_ok(auth_is_setup(f->x, &done, NULL)));
	return done;
}

static size_t count(struct fixture *f, struct str prefix)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	size_t n = 0;
	bool end;

	assert_true(rc_ok(kv_scan(f->kv, AUTH_PARTITION, prefix, 0, &it, NULL)));
	while (rc_ok(kv_iter_next(it, &e, &end, NULL)) && !end && str_starts(e.key, prefix))
		n++;
	return n;
}

static void test_setup__makes_an_administrator(void **state)
{
	static const char *const may[] = {"fs:DeleteRepository", "auth:CreateUser", "ci:ReadAction",
					  "retention:SetGarbageCollectionRules", "pr:WritePullRequest",
					  "branches:SetBranchProtectionRules", "catalog:DeleteTable"};
	struct fixture *f = *state;
	struct auth_credentials c;
	struct auth_user *u;
	struct timestamp t;
	struct str secret;

	assert_false(is_setup(f));
	assert_true(rc_ok(auth_setup(f->x, STR("admin"), NULL, f->a, &c, NULL)));
	assert_true(is_setup(f));
	assert_true(rc_ok(auth_find_key(f->x, KV_BLOCK, c.access_key, f->a, &u, &secret, NULL)));
	for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++) {
		struct auth_need need = {NEED_PERMISSION, str_c(may[i]), STR("arn:lakefs:x:::y"), NULL, 0};

		assert_true(rc_ok(auth_allows(u, &need, NULL, NULL)));
	}
	auth_user_unref(u);
	assert_true(str_eq(stored(f, META, VERSION), STR("4")));
	assert_int_equal(stored(f, AUTH_PARTITION, STR("installation_id")).n, 36);
	assert_true(time_parse_rfc3339(stored(f, AUTH_PARTITION, TIMESTAMP), &t));
	assert_true(wall_now().s - t.s < 60);
	assert_int_equal(count(f, STR("policies/")), 10);
	assert_int_equal(count(f, STR("groups/")), 4);
	assert_int_equal(count(f, STR("gPolicies/")), 16);
	assert_true(rc_ok(auth_check_schema(f->kv, NULL)));
}

static void test_setup__made_up_credentials_have_lakefs_form(void **state)
{
	struct fixture *f = *state;
	struct auth_credentials c;
	struct str raw;

	assert_true(rc_ok(auth_setup(f->x, STR("admin"), NULL, f->a, &c, NULL)));
	assert_int_equal(c.access_key.n, 20);
	assert_true(str_starts(c.access_key, STR("AKIAJ")));
	assert_true(str_ends(c.access_key, STR("Q")));
	for (size_t i = 5; i < 19; i++)
		assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", c.access_key.p[i]));
	assert_true(base64_decode(f->a, c.secret, &raw));
	assert_int_equal(raw.n, 30);
}

static void test_setup__given_credentials(void **state)
{
	struct fixture *f = *state;
	struct auth_credentials given = {LAKEFS_ACCESS_KEY, LAKEFS_SECRET}, c;

	assert_true(rc_ok(auth_setup(f->x, STR("admin"), &given, f->a, &c, NULL)));
	assert_true(str_eq(c.access_key, given.access_key));
	assert_true(works(f, given, "admin"));
}

static void test_setup__refuses_bad_input(void **state)
{
	static const struct {
		struct str name, access_key, secret;
		const char *told;
	} rows[] = {
		{{"", 0}, {NULL, 0}, {NULL, 0}, "name"},
		{{"a/b", 3}, {NULL, 0}, {NULL, 0}, "'/'"},
		{{"a\nb", 3}, {NULL, 0}, {NULL, 0}, "control"},
		{{"a\xff", 2}, {NULL, 0}, {NULL, 0}, "name"},
		{{"a", 1}, {"", 0}, {NULL, 0}, "access key id"},
		{{"a", 1}, {"ab", 2}, {NULL, 0}, "3 to 128"},
		{{"a", 1}, {"a/bc", 4}, {NULL, 0}, "'/'"},
		{{"a", 1}, {"a bc", 4}, {NULL, 0}, "spaces"},
		{{"a", 1}, {"abc", 3}, {"", 0}, "empty"},
		{{"a", 1}, {"abc", 3}, {"a\tb", 3}, "control"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct auth_credentials given = {rows[i].access_key, rows[i].secret}, c;
		struct err err;

		assert_true(rc_is(auth_setup(f->x, rows[i].name, &given, f->a, &c, &err), INVALID));
		assert_non_null(strstr(err.msg, rows[i].told));
	}
	assert_int_equal(kv_fault_calls(f->kv, KV_CALL_WRITES), 0);
}

static void test_setup__only_once(void **state)
{
	struct fixture *f = *state;
	struct auth_credentials first, second;
	uint64_t writes;
	struct err err;

	assert_true(rc_ok(auth_setup(f->x, STR("admin"), NULL, f->a, &first, NULL)));
	writes = kv_fault_calls(f->kv, KV_CALL_WRITES);
	assert_true(rc_is(auth_setup(f->x, STR("admin2"), NULL, f->a, &second, &err), EXISTS));
	assert_non_null(strstr(err.msg, "sluice superuser"));
	assert_int_equal(kv_fault_calls(f->kv, KV_CALL_WRITES), writes);
}

/* Setup fails at each of its calls in turn, before or after the call's effect; it may be repeated. */
static void sweep_setup(unsigned mask, enum err_code code, bool after, bool with_given)
{
	struct auth_credentials given = {STR("GIVENKEY"), STR("given secret")};
	const struct auth_credentials *g = with_given ? &given : NULL;
	bool untouched = false;

	for (uint64_t nth = 1; !untouched; nth++) {
		struct auth_credentials c;
		struct fixture *f;
		uint64_t before;
		rc r;

		set_up((void **)&f);
		before = kv_fault_calls(f->kv, mask);
		kv_fault_arm(f->kv, mask, nth, code, after);
		r = auth_setup(f->x, STR("admin"), g, f->a, &c, NULL);
		untouched = kv_fault_calls(f->kv, mask) - before < nth;
		kv_fault_arm(f->kv, 0, 0, code, false);
		if (!rc_ok(r)) {
			assert_int_equal(r.code, code);
			assert_false(is_setup(f));
			assert_true(rc_ok(auth_setup(f->x, STR("admin"), g, f->a, &c, NULL)));
		}
		assert_true(is_setup(f));
		assert_true(works(f, c, "admin"));
		assert_int_equal(count(f, STR("gPolicies/")), 16);
		assert_true(str_eq(stored(f, META, VERSION), STR("4")));
		tear_down((void **)&f);
	}
}

static void test_setup__survives_a_failure_of_each_call(void **state)
{
	sweep_setup(KV_CALL_WRITES, ERR_SlowDown, false, false);
	sweep_setup(KV_CALL_WRITES, ERR_UNKNOWN_OUTCOME, false, false);
	sweep_setup(KV_CALL_WRITES, ERR_UNKNOWN_OUTCOME, true, false);
	sweep_setup(KV_CALL_WRITES, ERR_UNKNOWN_OUTCOME, true, true);
	sweep_setup(KV_CALL_GET | KV_CALL_SCAN, ERR_IO, false, true);
}

/* Two processes at once: the other one sets up just before this one's last write. */
static void test_setup__loser_of_a_race(void **state)
{
	struct fixture *f = *state;
	struct auth_credentials winner, loser;
	struct auth *other = auth_new(&(struct auth_options){
		.kv = f->kv, .encrypt_secret = STR("k"), .cache_ms = 60000, .cache_size = 100});

	/* The loser got as far as everything but the time stamp. */
	kv_fault_arm(f->kv, KV_CALL_WRITES, 10 + 4 + 16 + 3 + 3, ERR_SlowDown, false);
	assert_true(rc_is(auth_setup(f->x, STR("admin"), NULL, f->a, &loser, NULL), SlowDown));
	assert_true(rc_ok(auth_setup(other, STR("admin"), NULL, f->a, &winner, NULL)));
	assert_true(rc_is(auth_setup(f->x, STR("admin"), NULL, f->a, &loser, NULL), EXISTS));
	assert_true(works(f, winner, "admin"));
	auth_free(other);
}

static void test_setup__superuser(void **state)
{
	struct fixture *f = *state;
	struct auth_credentials given = {STR("KEYTWO"), STR("secret two")}, first, c;
	struct err err;

	assert_true(rc_is(auth_superuser(f->x, STR("two"), NULL, f->a, &c, &err), CONFIG));
	assert_non_null(strstr(err.msg, "sluice setup"));
	assert_true(rc_ok(auth_setup(f->x, STR("admin"), NULL, f->a, &first, NULL)));
	/* Remembered as unknown until it is made here. */
	assert_false(works(f, given, "two"));
	assert_true(rc_ok(auth_superuser(f->x, STR("two"), &given, f->a, &c, NULL)));
	assert_true(works(f, given, "two"));
	assert_true(rc_is(auth_superuser(f->x, STR("two"), NULL, f->a, &c, NULL), EXISTS));
	assert_true(rc_is(auth_superuser(f->x, STR("three"), &given, f->a, &c, &err), EXISTS));
	assert_non_null(strstr(err.msg, "KEYTWO"));
	assert_true(rc_ok(auth_superuser(f->x, STR("three"), NULL, f->a, &c, NULL)));
	assert_true(works(f, c, "three"));
	assert_true(works(f, first, "admin"));
	assert_int_equal(count(f, STR("uCredentials/")), 3);
}

static void test_setup__superuser_beside_lakefs_single_user(void **state)
{
	struct fixture *f = *state;
	struct auth_credentials given = {LAKEFS_ACCESS_KEY, STR("other")}, c;

	assert_true(rc_ok(kv_set(f->kv, STR("basicAuth"), STR("users/superAdmin"), LAKEFS_USER, NULL)));
	assert_true(rc_ok(kv_set(f->kv, STR("basicAuth"),
				 STR("uCredentials/superAdmin/credentials/AKIAIOSFODNN7EXAMPLE"),
				 LAKEFS_CREDENTIAL, NULL)));
	assert_true(rc_ok(kv_set(f->kv, AUTH_PARTITION, TIMESTAMP, STR("2026-11-21T04:00:00Z"), NULL)));
	assert_true(rc_is(auth_superuser(f->x, STR("two"), &given, f->a, &c, NULL), EXISTS));
	assert_true(rc_ok(auth_superuser(f->x, STR("two"), NULL, f->a, &c, NULL)));
	assert_true(works(f, c, "two"));
}

static void test_setup__superuser_survives_a_failure_of_each_call(void **state)
{
	bool untouched = false;

	for (uint64_t nth = 1; !untouched; nth++) {
		struct auth_credentials given = {STR("KEYTWO"), STR("secret two")}, c;
		struct fixture *f;
		uint64_t before;
		rc r;

		set_up((void **)&f);
		assert_true(rc_ok(auth_setup(f->x, STR("admin"), NULL, f->a, &c, NULL)));
		before = kv_fault_calls(f->kv, KV_CALL_WRITES);
		kv_fault_arm(f->kv, KV_CALL_WRITES, nth, ERR_SlowDown, false);
		r = auth_superuser(f->x, STR("two"), &given, f->a, &c, NULL);
		untouched = kv_fault_calls(f->kv, KV_CALL_WRITES) - before < nth;
		kv_fault_arm(f->kv, 0, 0, ERR_IO, false);
		if (!rc_ok(r)) {
			assert_false(works(f, given, "two"));
			assert_true(rc_ok(auth_superuser(f->x, STR("two"), &given, f->a, &c, NULL)));
		}
		assert_true(works(f, given, "two"));
		tear_down((void **)&f);
	}
}

static void test_setup__schema_versions(void **state)
{
	static const struct {
		struct str version;
		enum err_code code;
		const char *told;
	} rows[] = {
		{{"4", 1}, ERR_NONE, NULL},
		{{"3", 1}, ERR_CONFIG, "lakefs migrate up"},
		{{"5", 1}, ERR_CONFIG, "newer"},
		{{"x", 1}, ERR_CONFIG, "not a number"},
		{{"", 0}, ERR_CONFIG, "not a number"},
	};
	struct fixture *f = *state;
	struct auth_credentials c;
	struct err err;

	assert_true(rc_ok(auth_check_schema(f->kv, NULL)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(rc_ok(kv_set(f->kv, META, VERSION, rows[i].version, NULL)));
		assert_int_equal(auth_check_schema(f->kv, &err).code, rows[i].code);
		if (!rows[i].told)
			continue;
		assert_non_null(strstr(err.msg, rows[i].told));
		assert_true(rc_is(auth_setup(f->x, STR("admin"), NULL, f->a, &c, NULL), CONFIG));
	}
	assert_int_equal(count(f, STR("users/")), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_setup__makes_an_administrator),
		T(test_setup__made_up_credentials_have_lakefs_form),
		T(test_setup__given_credentials),
		T(test_setup__refuses_bad_input),
		T(test_setup__only_once),
		cmocka_unit_test(test_setup__survives_a_failure_of_each_call),
		T(test_setup__loser_of_a_race),
		T(test_setup__superuser),
		T(test_setup__superuser_beside_lakefs_single_user),
		cmocka_unit_test(test_setup__superuser_survives_a_failure_of_each_call),
		T(test_setup__schema_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
