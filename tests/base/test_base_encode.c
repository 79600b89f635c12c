#include "check.h"

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

static void test_encode__hex(void **state)
{
	struct str out;

	assert_cstr(hex_encode(*state, STR("\x00\x7f\xff" "a")), "007fff61");
	assert_cstr(hex_encode(*state, STR("")), "");
	assert_true(hex_decode(*state, STR("007FfF61"), &out));
	assert_str(out, STR("\x00\x7f\xff" "a"));
	assert_true(hex_decode(*state, STR(""), &out));
	assert_int_equal(out.n, 0);
	assert_false(hex_decode(*state, STR("0"), &out));
	assert_false(hex_decode(*state, STR("0g"), &out));
	assert_false(hex_decode(*state, STR(" 0"), &out));
}

/* RFC 4648 section 10 */
static void test_encode__base64_vectors(void **state)
{
	static const char *const v[][2] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	};
	static const char *const bad_url[] = {"+/8", "-_8=", "A", "-_9", "-_8 "};
	struct str back;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct str out;

		assert_cstr(base64_encode(*state, str_c(v[i][0])), v[i][1]);
		assert_true(base64_decode(*state, str_c(v[i][1]), &out));
		assert_cstr(out, v[i][0]);
	}
	assert_cstr(base64url_encode(*state, STR("\xfb\xff")), "-_8");
	assert_true(base64url_decode(*state, STR("-_8"), &back));
	assert_true(str_eq(back, STR("\xfb\xff")));
	assert_true(base64url_decode(*state, STR(""), &back) && back.n == 0);
	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		assert_false(base64url_decode(*state, str_c(bad_url[i]), &back));
	assert_cstr(base64_encode(*state, STR("\xfb\xff")), "+/8=");
}

static void test_encode__base64_is_strict(void **state)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "A===", "Zg==Zg==",
					  "Zm9v\n", "Zm 9", "Z-_9", "=Zg="};
	struct str out;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (base64_decode(*state, str_c(bad[i]), &out))
			fail_msg("took \"%s\"", bad[i]);
}

static void test_encode__base64_every_byte(void **state)
{
	char all[256 + 1];
	struct str out;

	for (int i = 0; i < 257; i++)
		all[i] = (char)i;
	for (size_t n = 254; n <= 257; n++) {
		assert_true(base64_decode(*state, base64_encode(*state, str_make(all, n)), &out));
		assert_str(out, str_make(all, n));
	}
}

static void test_encode__uri(void **state)
{
	struct str out;

	assert_cstr(uri_encode(*state, STR("a/b c+~%\xc3\xa9"), true), "a/b%20c%2B~%25%C3%A9");
	assert_cstr(uri_encode(*state, STR("a/b"), false), "a%2Fb");
	assert_cstr(uri_encode(*state, STR("-._~AZaz09"), false), "-._~AZaz09");
	assert_true(uri_decode(*state, STR("a%2fb%20c+d"), false, &out));
	assert_cstr(out, "a/b c+d");
	assert_true(uri_decode(*state, STR("a+b%2B%00"), true, &out));
	assert_str(out, STR("a b+\0"));
	assert_false(uri_decode(*state, STR("%"), false, &out));
	assert_false(uri_decode(*state, STR("%4"), false, &out));
	assert_false(uri_decode(*state, STR("%4x"), false, &out));
	assert_false(uri_decode(*state, STR("%%41"), false, &out));
	assert_true(uri_decode(*state, STR("%41"), false, &out));
	assert_cstr(out, "A");
}

/* RFC 2047 section 8, those in charsets that are known here. */
static void test_encode__rfc2047_examples(void **state)
{
	static const char *const v[][2] = {
		{"(=?ISO-8859-1?Q?a?=)", "(a)"},
		{"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
		{"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
		{"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"},
		{"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld J\xc3\xb8rn Simonsen"},
		{"=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard"},
		{"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"},
		{"=?utf-8*en?b?w6k=?=", "\xc3\xa9"},
		{"=?UTF-8?B?w?= =?UTF-8?Q?x?=", NULL},
		{"=?ISO-8859-2?Q?_b?=", NULL},
		{"=?UTF-8?Q?=zz?=", NULL},
		{"=?UTF-8?Q?=ff?=", NULL},
		{"plain", "plain"},
		{"=?not a word", "=?not a word"},
		{"=?UTF-8?X?a?=", "=?UTF-8?X?a?="},
		{"=?UTF-8?Q?a", "=?UTF-8?Q?a"},
		{"=?UTF-8?Q?a?", "=?UTF-8?Q?a?"},
		{"=?", "=?"},
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct str out;
		bool ok = rfc2047_decode(*state, str_c(v[i][0]), &out);

		if (ok != (v[i][1] != NULL))
			fail_msg("%s: %s", v[i][0], ok ? "taken" : "refused");
		if (ok)
			assert_cstr(out, v[i][1]);
	}
}

static void test_encode__rfc2047_round_trip(void **state)
{
	static const char *const v[] = {
		"", "plain text", "\xc3\xa9t\xc3\xa9", "=?looks like one?=", " leading", "trailing ",
		"line\r\nbreak: x", "tab\there", "\x7f",
		"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
		"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80 and words between "
		"that go on and on until another encoded word is due \xc3\xa9",
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct str enc = rfc2047_encode(*state, str_c(v[i])), word, rest = enc, out;

		for (size_t j = 0; j < enc.n; j++)
			assert_true(enc.p[j] >= ' ' && enc.p[j] <= '~');
		while (rest.n && str_starts(enc, STR("=?"))) {
			word = str_cut(rest, ' ', &rest);
			assert_true(word.n <= 75);
			assert_true(rfc2047_decode(*state, word, &out));
		}
		assert_true(rfc2047_decode(*state, enc, &out));
		assert_cstr(out, v[i]);
	}
	assert_cstr(rfc2047_encode(*state, STR("\xc3\xa9 x")), "=?UTF-8?Q?=C3=A9_x?=");
	assert_cstr(rfc2047_encode(*state, STR("as it is (?)")), "as it is (?)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_encode__hex, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_encode__base64_vectors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_encode__base64_is_strict, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_encode__base64_every_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_encode__uri, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_encode__rfc2047_examples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_encode__rfc2047_round_trip, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
