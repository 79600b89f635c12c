#include "check.h"

#include "base/arena.h"
#include "base/body.h"
#include "base/digest.h"
#include "base/encode.h"

static int set_up(void **state)
{
	*state = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	arena_free(*state);
	return 0;
}

/* A source that follows a script: a letter is a byte, '.' is BODY_WAIT, '!' BODY_FAIL; then it ends. */
struct scripted {
	struct body body;
	const char *script;
	body_ready_fn *fn;
	void *ud;
	int closed;
};

static enum body_state scripted_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
				     struct err *reterr)
{
	struct scripted *s = (struct scripted *)b;
	size_t n = strcspn(s->script, ".!");

	if (n == 0) {
		if (!*s->script)
			return BODY_END;
		if (*s->script++ == '.')
			return BODY_WAIT;
		IGNORE_RC(err_set(reterr, ERR_RequestTimeout, "the script says so"));
		return BODY_FAIL;
	}
	n = n < cap ? n : cap;
	memcpy(dst, s->script, n);
	s->script += n;
	*ret_n = n;
	return BODY_MORE;
}

static void scripted_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	((struct scripted *)b)->fn = fn;
	((struct scripted *)b)->ud = ud;
}

static void scripted_close(struct body *b)
{
	((struct scripted *)b)->closed++;
}

static const struct body_ops scripted_ops = {
	.name = "script", .pull = scripted_pull, .arm = scripted_arm, .close = scripted_close};

static struct scripted *scripted(struct arena *a, const char *script)
{
	struct scripted *s = ARENA_NEW(a, struct scripted);

	body_init(&s->body, &scripted_ops, NULL, -1);
	s->script = script;
	return s;
}

/* Pulls by `cap` bytes, past every BODY_WAIT (shown as '.'), to the end or the failure. */
static enum body_state drain(struct arena *a, struct body *b, size_t cap, struct str *ret,
			     struct err *e)
{
	char *out = arena_alloc(a, 1000);
	size_t n = 0, got;
	enum body_state s;

	while ((s = body_pull(b, out + n, cap, &got, e)) == BODY_MORE || s == BODY_WAIT) {
		if (s == BODY_WAIT)
			out[n] = '.';
		n += s == BODY_WAIT ? 1 : got;
	}
	*ret = str_make(out, n);
	return s;
}

static void expect(struct arena *a, struct body *b, enum body_state state, enum err_code code,
		   const char *bytes)
{
	struct err e = {0};
	struct str got;
	char c;
	size_t n;

	assert_int_equal(drain(a, b, 3, &got, &e), state);
	assert_cstr(got, bytes);
	assert_int_equal(e.code, code);
	/* Over is over. */
	e.code = 0;
	assert_int_equal(body_pull(b, &c, 1, &n, &e), state);
	assert_int_equal(e.code, code);
	assert_int_equal(body_pull(b, &c, 1, &n, NULL), state);
}

static void test_body__memory(void **state)
{
	struct body *b = body_mem_new(*state, STR("some bytes"));

	assert_int_equal(b->length, 10);
	expect(*state, b, BODY_END, 0, "some bytes");
	expect(*state, body_mem_new(*state, STR_NONE), BODY_END, 0, "");
	body_close(b);
}

static void test_body__length(void **state)
{
	struct body *b = body_length_new(*state, &scripted(*state, "ab.cd")->body, 4);

	assert_int_equal(b->length, 4);
	expect(*state, b, BODY_END, 0, "ab.cd");
	expect(*state, body_length_new(*state, &scripted(*state, "abcd.")->body, 4), BODY_END, 0, "abcd.");
	expect(*state, body_length_new(*state, &scripted(*state, "abc")->body, 4), BODY_FAIL,
	       ERR_IncompleteBody, "abc");
	expect(*state, body_length_new(*state, &scripted(*state, "")->body, 4), BODY_FAIL,
	       ERR_IncompleteBody, "");
	expect(*state, body_length_new(*state, &scripted(*state, "abcd.e")->body, 4), BODY_FAIL,
	       ERR_InvalidRequest, "abcd.");
	expect(*state, body_length_new(*state, &scripted(*state, "x")->body, 0), BODY_FAIL,
	       ERR_InvalidRequest, "");
	expect(*state, body_length_new(*state, &scripted(*state, "")->body, 0), BODY_END, 0, "");
	expect(*state, body_length_new(*state, &scripted(*state, "ab!")->body, 4), BODY_FAIL,
	       ERR_RequestTimeout, "ab");
}

static void test_body__max(void **state)
{
	expect(*state, body_max_new(*state, &scripted(*state, "ab.cd")->body, 4), BODY_END, 0, "ab.cd");
	expect(*state, body_max_new(*state, &scripted(*state, "abc.de")->body, 4), BODY_FAIL,
	       ERR_EntityTooLarge, "abc.");
	expect(*state, body_max_new(*state, &scripted(*state, "")->body, 0), BODY_END, 0, "");
	expect(*state, body_max_new(*state, &scripted(*state, "a!")->body, 4), BODY_FAIL,
	       ERR_RequestTimeout, "a");
}

static void test_body__clip(void **state)
{
	struct scripted *s = scripted(*state, "0123.456789");
	struct body *b = body_clip_new(*state, &s->body, 2, 5);

	assert_int_equal(b->length, 5);
	expect(*state, b, BODY_END, 0, "23.456");
	assert_string_equal(s->script, "789");
	s = scripted(*state, "abc");
	expect(*state, body_clip_new(*state, &s->body, 7, 0), BODY_END, 0, "");
	assert_string_equal(s->script, "abc");
	expect(*state, body_clip_new(*state, &scripted(*state, "abc")->body, 1, 3), BODY_FAIL, ERR_IO,
	       "bc");
	expect(*state, body_clip_new(*state, &scripted(*state, "abc")->body, 4, 3), BODY_FAIL, ERR_IO,
	       "");
	expect(*state, body_clip_new(*state, &scripted(*state, "abcd")->body, 1, 3), BODY_END, 0, "bcd");
	expect(*state, body_clip_new(*state, &scripted(*state, "abc!")->body, 1, 3), BODY_FAIL,
	       ERR_RequestTimeout, "bc");
	expect(*state, body_clip_new(*state, &scripted(*state, ".....a")->body, 0, 1), BODY_END, 0,
	       ".....a");
}

static void test_body__digest(void **state)
{
	struct digest_set *set = digest_set_new(*state, 1u << DIGEST_MD5 | 1u << DIGEST_CRC64NVME);
	struct body *b = body_mem_new(*state, STR("123456789"));

	expect(*state, body_digest_new(*state, b, set), BODY_END, 0, "123456789");
	assert_int_equal(digest_set_bytes(set), 9);
	assert_cstr(hex_encode(*state, digest_set_value(set, DIGEST_CRC64NVME)), "ae8b14860a799888");
}

static rc count_and_agree(void *ud, struct err *reterr)
{
	++*(int *)ud;
	return RC_OK;
}

static rc count_and_refuse(void *ud, struct err *reterr)
{
	++*(int *)ud;
	return err_default(reterr, ERR_BadDigest);
}

static void test_body__check(void **state)
{
	int n = 0;

	expect(*state, body_check_new(*state, &scripted(*state, "a.b.")->body, count_and_agree, &n),
	       BODY_END, 0, "a.b.");
	assert_int_equal(n, 1);
	expect(*state, body_check_new(*state, &scripted(*state, "ab")->body, count_and_refuse, &n),
	       BODY_FAIL, ERR_BadDigest, "ab");
	assert_int_equal(n, 2);
	expect(*state, body_check_new(*state, &scripted(*state, "a!")->body, count_and_agree, &n),
	       BODY_FAIL, ERR_RequestTimeout, "a");
	assert_int_equal(n, 2);
}

static void nothing(void *ud)
{
}

static void test_body__arm_asks_the_far_end(void **state)
{
	struct scripted *s = scripted(*state, ".");
	struct body *b = body_max_new(*state, body_clip_new(*state, &s->body, 0, 1), 1);

	body_arm(b, nothing, &b);
	assert_ptr_equal(s->fn, nothing);
	assert_ptr_equal(s->ud, &b);
}

static char closings[8];

static void note_closing(struct body *b)
{
	strcat(closings, b->ops->name);
}

static void test_body__close_goes_down(void **state)
{
	static const struct body_ops top = {.name = "1", .pull = scripted_pull, .close = note_closing},
				     middle = {.name = "2", .pull = scripted_pull, .close = note_closing},
				     end = {.name = "3", .pull = scripted_pull, .arm = scripted_arm, .close = note_closing};
	struct body b[3];

	body_init(&b[2], &end, NULL, -1);
	body_init(&b[1], &middle, &b[2], -1);
	body_init(&b[0], &top, &b[1], -1);
	body_close(&b[0]);
	assert_string_equal(closings, "123");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_body__memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body__length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body__max, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body__clip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body__digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body__check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body__arm_asks_the_far_end, set_up, tear_down),
		cmocka_unit_test(test_body__close_goes_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
