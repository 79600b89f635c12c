/* Forms: whatever pieces they come in, the field's bytes and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/form_body.h"
#include "base/buf.h"
#include "tests/drip.h"

/* True: the form was whole, and held `want` with that type. */
static bool reads(const char *form, size_t step, size_t cap, const char *want, const char *type)
{
	struct arena *a = arena_new();
	struct buf out = BUF_INIT(1 << 20);
	struct err err = {0};
	enum body_state s;
	struct drip d;
	struct body *b;
	size_t n;
	bool same;

	b = form_body_new(a, drip_init(&d, str_c(form), step), STR("b"), "content");
	do {
		char *to = buf_reserve(&out, cap);

		s = body_pull(b, to, cap, &n, &err);
		if (s == BODY_MORE) {
			assert_true(n >= 1 && n <= cap);
			out.n += n;
		}
	} while (s == BODY_MORE);
	assert_true(s == BODY_END || (s == BODY_FAIL && err.code == ERR_INVALID));
	same = s == BODY_END && str_eq(buf_str(&out), str_c(want)) &&
	       str_eq(form_body_type(b), str_c(type));
	body_close(b);
	buf_deinit(&out);
	arena_free(a);
	return same;
}

static bool holds(const char *form, const char *want, const char *type)
{
	bool all = true;

	for (size_t step = 1; step < 9; step++)
		for (size_t cap = 1; cap < 9; cap++)
			all &= reads(form, step, cap, want, type);
	return all && reads(form, 65536, 65536, want, type);
}

#define FIELD(name, more) "--b\r\nContent-Disposition: form-data; name=" name "\r\n" more "\r\n"

static void test_form__fields(void **state)
{
	assert_true(holds(FIELD("\"content\"", "") "x\r\n--b--", "x", ""));
	assert_true(holds(FIELD("\"content\"", "Content-Type: a/b\r\n") "\r\n--b--\r\n", "", "a/b"));
	assert_true(holds("before\r\n" FIELD("\"o\"", "") "no\r\n" FIELD("content", "") "yes\r\n" FIELD("z", "")
			  "no\r\n--b--\r\nafter", "yes", ""));
	assert_true(holds(FIELD("o", "") "\r\n" FIELD("\"content\"", "") "\r\n-\r\n--\r\r\n\r\n--b--",
			  "\r\n-\r\n--\r\r\n", ""));
	assert_true(holds("--b\r\n\r\nno headers\r\n" FIELD("\"content\"", "") "x\r\n--b--", "x", ""));
}

static void test_form__refused(void **state)
{
	static const char *const bad[] = {
		"", "x", "--b", "--b--", "--b\r\n", "--bX", FIELD("\"content\"", ""),
		FIELD("\"content\"", "") "x", FIELD("\"content\"", "") "x\r\n--",
		FIELD("\"other\"", "") "x\r\n--b--", "--b\r\nname=content\r\n\r\nx\r\n--b--"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t step = 1; step < 5; step++)
			if (reads(bad[i], step, 7, "x", ""))
				fail_msg("accepted: %s", bad[i]);
}

static void test_form__boundaries(void **state)
{
	struct str b;

	assert_true(form_boundary(STR("multipart/form-data; boundary=abc"), &b) && str_eq(b, STR("abc")));
	assert_true(form_boundary(STR("Multipart/Form-Data; x=y; Boundary=\"a c\""), &b) && str_eq(b, STR("a c")));
	assert_false(form_boundary(STR("multipart/form-data"), &b));
	assert_false(form_boundary(STR("multipart/form-data; boundary="), &b));
	assert_false(form_boundary(STR("multipart/mixed; boundary=x"), &b));
	assert_false(form_boundary(STR("multipart/form-data; boundary="
				       "0123456789012345678901234567890123456789012345678901234567890123456789x"),
				   &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form__fields),
		cmocka_unit_test(test_form__refused),
		cmocka_unit_test(test_form__boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
