#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "auth/internal.h"
#include "auth/secret.h"
#include "auth/store.h"
#include "base/clock.h"
#include "lakefs_records.h"

#define SECRET STR("encrypt-with-this")

struct fixture {
	struct kv *kv; /* counts and fails calls */
	struct auth *x;
	struct arena *a;
};

static struct auth *make_auth(struct kv *kv, struct str encrypt, int64_t cache_ms)
{
	return auth_new(&(struct auth_options){
		.kv = kv, .encrypt_secret = encrypt, .cache_ms = cache_ms, .cache_size = 100});
}

static int set_up(void **state)
{
	static struct fixture f;

	f.kv = kv_fault_new(kv_mem_new());
	f.x = make_auth(f.kv, SECRET, 60000);
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

static void renew(struct fixture *f, struct str encrypt, int64_t cache_ms)
{
	auth_free(f->x);
	f->x = make_auth(f->kv, encrypt, cache_ms);
}

static void add_credential(struct fixture *f, const char *user, const char *key)
{
	AuthPb__UserData u = AUTH_PB__USER_DATA__INIT;
	AuthPb__CredentialData c = AUTH_PB__CREDENTIAL_DATA__INIT;
	struct str sealed = auth_secret_seal(SECRET, str_c(key), f->a);

	c.secret_access_key_encrypted_bytes = (ProtobufCBinaryData){sealed.n, (uint8_t *)sealed.p};
	assert_true(rc_ok(auth_store_put(f->kv, auth_key_user(f->a, str_c(user)), &u.base, false,
					 NULL)));
	assert_true(rc_ok(auth_store_put(f->kv, auth_key_credential(f->a, str_c(user), str_c(key)),
					 &c.base, false, NULL)));
}

/* The answer; the owner must be the one expected, and the secret the key itself (as above). */
static enum err_code find(struct auth *x, enum kv_wait wait, const char *key, const char *owner)
{
	struct arena *a = arena_new();
	struct auth_user *u = NULL;
	struct str secret;
	rc r = auth_find_key(x, wait, str_c(key), a, &u, &secret, NULL);

	if (rc_ok(r)) {
		assert_true(str_eq(auth_user_name(u), str_c(owner)));
		assert_true(str_eq(secret, str_c(key)));
	}
	auth_user_unref(u);
	arena_free(a);
	return r.code;
}

static uint64_t calls(struct fixture *f)
{
	return kv_fault_calls(f->kv, ~0u);
}

static void nap_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL);
}

static void test_find_key__lakefs_single_user(void **state)
{
	struct fixture *f = *state;
	struct auth_need need = {NEED_PERMISSION, STR("fs:DeleteRepository"),
				 STR("arn:lakefs:fs:::repository/r"), NULL, 0};
	struct auth_user *u;
	struct str secret;
	struct err err;

	assert_true(rc_ok(kv_set(f->kv, STR("basicAuth"), STR("users/superAdmin"), LAKEFS_USER, NULL)));
	assert_true(rc_ok(kv_set(f->kv, STR("basicAuth"),
				 STR("uCredentials/superAdmin/credentials/AKIAIOSFODNN7EXAMPLE"),
				 LAKEFS_CREDENTIAL, NULL)));
	renew(f, LAKEFS_ENCRYPT_SECRET, 60000);
	assert_true(rc_ok(auth_take_over(f->x, NULL)));
	assert_true(rc_ok(auth_find_key(f->x, KV_BLOCK, LAKEFS_ACCESS_KEY, f->a, &u, &secret, NULL)));
	assert_true(str_eq(secret, LAKEFS_SECRET));
	assert_true(str_eq(auth_user_name(u), STR("admin")));
	assert_true(rc_ok(auth_allows(u, &need, NULL, NULL)));
	auth_user_unref(u);

	renew(f, STR("not that one"), 60000);
	assert_true(rc_is(auth_find_key(f->x, KV_BLOCK, LAKEFS_ACCESS_KEY, f->a, &u, &secret, &err),
			  CORRUPT));
	assert_non_null(strstr(err.msg, "auth.encrypt.secret_key"));
	assert_non_null(strstr(err.msg, "AKIAIOSFODNN7EXAMPLE"));
}

static void test_find_key__nowait_answers_from_memory(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	add_credential(f, "joe", "KEY1");
	assert_int_equal(find(f->x, KV_NOWAIT, "KEY1", "joe"), ERR_WOULD_BLOCK);
	assert_int_equal(find(f->x, KV_BLOCK, "KEY1", "joe"), ERR_NONE);
	assert_int_equal(find(f->x, KV_BLOCK, "KEY2", "joe"), ERR_InvalidAccessKeyId);
	before = calls(f);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(find(f->x, KV_NOWAIT, "KEY1", "joe"), ERR_NONE);
		assert_int_equal(find(f->x, KV_NOWAIT, "KEY2", "joe"), ERR_InvalidAccessKeyId);
		assert_int_equal(find(f->x, KV_BLOCK, "KEY2", "joe"), ERR_InvalidAccessKeyId);
	}
	assert_int_equal(calls(f), before);
}

static void test_find_key__malformed_keys(void **state)
{
	struct fixture *f = *state;
	char longer[AUTH_MAX_ACCESS_KEY + 2] = "";

	memset(longer, 'A', sizeof(longer) - 1);
	assert_int_equal(find(f->x, KV_NOWAIT, "", ""), ERR_InvalidAccessKeyId);
	assert_int_equal(find(f->x, KV_NOWAIT, "a/b", ""), ERR_InvalidAccessKeyId);
	assert_int_equal(find(f->x, KV_NOWAIT, longer, ""), ERR_InvalidAccessKeyId);
	assert_int_equal(calls(f), 0);
}

static void test_find_key__among_many_users(void **state)
{
	struct fixture *f = *state;
	char user[40], key[32];

	for (int i = 0; i < 300; i++) {
		snprintf(user, sizeof(user), "user/with/credentials/%d", i);
		snprintf(key, sizeof(key), "KEY%d", i);
		add_credential(f, user, key);
	}
	for (int i = 0; i < 300; i += 23) {
		snprintf(user, sizeof(user), "user/with/credentials/%d", i);
		snprintf(key, sizeof(key), "KEY%d", i);
		assert_int_equal(find(f->x, KV_BLOCK, key, user), ERR_NONE);
	}
	assert_int_equal(auth_owners_scans(f->x->owners), 1);
}

static void test_find_key__user_gone(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "joe", "KEY1");
	assert_true(rc_ok(kv_delete(f->kv, AUTH_PARTITION, STR("users/joe"), NULL)));
	assert_int_equal(find(f->x, KV_BLOCK, "KEY1", "joe"), ERR_InvalidAccessKeyId);
}

static void remove_credential(struct fixture *f, const char *user, const char *key)
{
	assert_true(rc_ok(kv_delete(f->kv, AUTH_PARTITION, auth_key_credential(f->a, str_c(user), str_c(key)),
				    NULL)));
}

/* That nobody has it is remembered when jim gets it, unless the time that it is remembered for is over by then:
 * false. */
static bool jim_gets_what_nobody_has(struct fixture *f, int64_t remembered_ms)
{
	int64_t begun = mono_ms();
	enum err_code got;

	assert_int_equal(find(f->x, KV_BLOCK, "KEY1", "joe"), ERR_InvalidAccessKeyId);
	add_credential(f, "jim", "KEY1");
	got = find(f->x, KV_NOWAIT, "KEY1", "jim");
	if (got == ERR_WOULD_BLOCK && mono_ms() - begun >= remembered_ms) {
		remove_credential(f, "jim", "KEY1");
		return false;
	}
	assert_int_equal(got, ERR_InvalidAccessKeyId);
	return true;
}

static void test_find_key__expiry_sees_deletion_and_new_owner(void **state)
{
	struct fixture *f = *state;
	int tries = 1;

	renew(f, SECRET, 400);
	add_credential(f, "joe", "KEY1");
	assert_int_equal(find(f->x, KV_BLOCK, "KEY1", "joe"), ERR_NONE);
	remove_credential(f, "joe", "KEY1");
	nap_ms(450);
	assert_int_equal(find(f->x, KV_NOWAIT, "KEY1", "joe"), ERR_WOULD_BLOCK);
	while (!jim_gets_what_nobody_has(f, 400))
		assert_in_range(++tries, 2, 50);
	nap_ms(450);
	assert_int_equal(find(f->x, KV_BLOCK, "KEY1", "jim"), ERR_NONE);
}

static void test_find_key__made_up_keys_dont_scan_each(void **state)
{
	struct fixture *f = *state;
	uint64_t scans;
	char key[32];

	/* One scan of these takes long enough to show. */
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "users/u%d", i);
		assert_true(rc_ok(kv_set(f->kv, AUTH_PARTITION,
					 auth_key_credential(f->a, str_c(key), str_c(key + 6)),
					 STR("x"), NULL)));
	}
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "MADEUP%d", i);
		assert_int_equal(find(f->x, KV_BLOCK, key, ""), ERR_InvalidAccessKeyId);
	}
	scans = auth_owners_scans(f->x->owners);
	assert_true(scans >= 1 && scans < 500);
	assert_true(auth_cache_count(f->x->cache) <= 4096);
}

static void test_find_key__kv_errors_pass_and_are_not_remembered(void **state)
{
	struct fixture *f = *state;
	int failed = 0;

	renew(f, SECRET, 60000);
	add_credential(f, "joe", "KEY1");
	for (uint64_t nth = 1;; nth++) {
		renew(f, SECRET, 60000);
		kv_fault_arm(f->kv, KV_CALL_GET | KV_CALL_SCAN, nth, ERR_IO, false);
		if (find(f->x, KV_BLOCK, "KEY1", "joe") == ERR_NONE)
			break;
		failed++;
		assert_int_equal(auth_cache_count(f->x->cache), 0);
		assert_int_equal(find(f->x, KV_BLOCK, "KEY1", "joe"), ERR_NONE);
	}
	assert_true(failed >= 5);
	kv_fault_arm(f->kv, 0, 0, ERR_IO, false);
}

enum { THREADS = 6 };

static void *look_up(void *arg)
{
	struct auth *x = arg;

	for (int i = 0; i < 60; i++) {
		assert_int_equal(find(x, KV_BLOCK, "KEY1", "joe"), ERR_NONE);
		assert_int_equal(find(x, KV_BLOCK, "KEY2", "jim"), ERR_NONE);
		assert_int_equal(find(x, KV_BLOCK, "KEY3", ""), ERR_InvalidAccessKeyId);
		find(x, KV_NOWAIT, "KEY1", "joe");
		if (i % 7 == 0)
			auth_changed(x);
	}
	return NULL;
}

static void test_find_key__threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];

	renew(f, SECRET, 2);
	add_credential(f, "joe", "KEY1");
	add_credential(f, "jim", "KEY2");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, f->x), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *look_up_once(void *arg)
{
	assert_int_equal(find(arg, KV_BLOCK, "KEY1", "joe"), ERR_NONE);
	return NULL;
}

static void test_find_key__a_crowd_loads_once(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	uint64_t one, before;

	add_credential(f, "joe", "KEY1");
	before = calls(f);
	look_up_once(f->x);
	one = calls(f) - before;
	renew(f, SECRET, 60000);
	before = calls(f);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up_once, f->x), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(calls(f) - before, one);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_find_key__lakefs_single_user),
		T(test_find_key__nowait_answers_from_memory),
		T(test_find_key__malformed_keys),
		T(test_find_key__among_many_users),
		T(test_find_key__user_gone),
		T(test_find_key__expiry_sees_deletion_and_new_owner),
		T(test_find_key__made_up_keys_dont_scan_each),
		T(test_find_key__kv_errors_pass_and_are_not_remembered),
		T(test_find_key__threads),
		T(test_find_key__a_crowd_loads_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
