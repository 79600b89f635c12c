#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/wildcard.h"
#include "base/clock.h"

static void test_wildcard__table(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} rows[] = {
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"*", "anything/at all", true},
		{"**", "", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "ab", false},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "bca", true},
		{"*a", "ab", false},
		{"a*b*c", "a1b2b3c", true},
		{"a*b*c", "a1c2b", false},
		{"fs:Read*", "fs:ReadObject", true},
		{"fs:Read*", "fs:read", false},
		{"repository/*/object/x?", "repository/a/b/object/x1", true},
		{"*?", "", false},
		{"*?", "ab", true},
		{"?*?", "a", false},
		{"?*?", "ab", true},
		{"*.csv*", "a.csv", true},
		{"*.csv", "a.csv.csv", true},
		{"[a]", "a", false},
		{"\\*", "*", false},
		/* '?' is a character, not a byte. */
		{"?", "\xc3\xa9", true},
		{"??", "\xc3\xa9", false},
		{"*??", "\xc3\xa9", false},
		{"*?", "\xc3\xa9", true},
		{"a?b", "a\xe2\x82\xac" "b", true},
		{"a?b", "a\xf0\x9f\x98\x80" "b", true},
		/* What is no UTF-8 counts by the byte. */
		{"??", "\xc3(", true},
		{"?", "\x80", true},
		{"??", "\xe2\x82", true},
		/* Literal wildcards. */
		{"\xfe", "*", true},
		{"\xfe", "a", false},
		{"u/\xfe\xff", "u/*?", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (auth_wildcard(str_c(rows[i].pattern), str_c(rows[i].text)) != rows[i].match)
			fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].text);
}

static bool naive(const char *p, const char *t)
{
	if (!*p)
		return !*t;
	if (*p == '*')
		return naive(p + 1, t) || (*t && naive(p, t + 1));
	return *t && (*p == '?' || *p == *t) && naive(p + 1, t + 1);
}

static void test_wildcard__as_the_definition(void **state)
{
	unsigned seed = 7, matched = 0;

	for (int round = 0; round < 200000; round++) {
		char p[8] = "", t[9] = "";
		int pn = rand_r(&seed) % 8, tn = rand_r(&seed) % 9;

		for (int i = 0; i < pn; i++)
			p[i] = "aab*?"[rand_r(&seed) % 5];
		for (int i = 0; i < tn; i++)
			t[i] = "aab"[rand_r(&seed) % 3];
		if (auth_wildcard(str_c(p), str_c(t)) != naive(p, t))
			fail_msg("'%s' against '%s'", p, t);
		matched += naive(p, t);
	}
	assert_true(matched > 1000);
}

static void test_wildcard__many_stars_are_no_trap(void **state)
{
	enum { STARS = 2000, TEXT = 4000 };
	static char pattern[2 * STARS + 1], text[TEXT];
	int64_t took = INT64_MAX;

	for (int i = 0; i < STARS; i++)
		memcpy(pattern + 2 * i, "a*", 2);
	pattern[2 * STARS] = 'b';
	/* A trap is one each time, a machine that stands still isn't. */
	for (int tries = 0; tries < 10 && took >= 1000; tries++) {
		int64_t begun = mono_ms();

		memset(text, 'a', sizeof(text));
		assert_false(auth_wildcard(str_make(pattern, sizeof(pattern)), str_make(text, sizeof(text))));
		text[TEXT - 1] = 'b';
		assert_true(auth_wildcard(str_make(pattern, sizeof(pattern)), str_make(text, sizeof(text))));
		took = mono_ms() - begun;
	}
	assert_true(took < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wildcard__table),
		cmocka_unit_test(test_wildcard__as_the_definition),
		cmocka_unit_test(test_wildcard__many_stars_are_no_trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
