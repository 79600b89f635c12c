/* Whose a request is that came through proxies: what only a trusted one wrote counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/forwarded.h"

static void test_forwarded__nearest_that_is_not_trusted(void **state)
{
	static const struct {
		const char *trusted[2], *peer, *lines[2], *real, *source;
	} rows[] = {
		/* Nobody is trusted: headers are nothing. */
		{{NULL}, "1.1.1.1", {"2.2.2.2"}, "3.3.3.3", "1.1.1.1"},
		{{"10.0.0.0/8"}, "1.1.1.1", {"2.2.2.2"}, "3.3.3.3", "1.1.1.1"},
		{{"10.0.0.0/8"}, "11.0.0.1", {"10.0.0.1"}, NULL, "11.0.0.1"},
		/* The rightmost that is not trusted; what is left of it, anybody may have written. */
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2"}, NULL, "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"9.9.9.9, 2.2.2.2"}, NULL, "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"9.9.9.9 ,2.2.2.2 , 10.3.3.3"}, NULL, "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"10.9.9.9,2.2.2.2,10.3.3.3"}, NULL, "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"9.9.9.9", "2.2.2.2,10.0.0.2"}, NULL, "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2", "10.0.0.2"}, NULL, "2.2.2.2"},
		{{"10.0.0.1", "192.0.2.7"}, "10.0.0.1", {"2.2.2.2,192.0.2.7"}, NULL, "2.2.2.2"},
		{{"10.0.0.1"}, "10.0.0.1", {"2.2.2.2,192.0.2.7"}, NULL, "192.0.2.7"},
		/* All of them are: the farthest. */
		{{"10.0.0.0/8"}, "10.0.0.1", {"10.0.0.3, 10.0.0.2"}, NULL, "10.0.0.3"},
		{{"0.0.0.0/0"}, "10.0.0.1", {"9.9.9.9, 2.2.2.2"}, NULL, "9.9.9.9"},
		/* Without that header, the other; never beside it, nor two of them. */
		{{"10.0.0.0/8"}, "10.0.0.1", {NULL}, "3.3.3.3", "3.3.3.3"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2"}, "3.3.3.3", "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {NULL}, NULL, "10.0.0.1"},
		{{"10.0.0.0/8"}, "10.0.0.1", {NULL}, "", "10.0.0.1"},
		/* Ways to write an address. */
		{{"10.0.0.0/8"}, "::ffff:10.0.0.1", {"2.2.2.2"}, NULL, "2.2.2.2"},
		{{"fd00::/8"}, "fd00::1", {"2001:db8::1"}, NULL, "2001:db8::1"},
		{{"fd00::/8"}, "fd00::1", {"[2001:db8::1]:443"}, NULL, "2001:db8::1"},
		{{"fd00::/8"}, "fd00::1", {"2.2.2.2:443, [fd00::2]:80"}, NULL, "2.2.2.2"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2, 10.0.0.2:8080"}, NULL, "2.2.2.2"},
		/* What is none is nobody's, and hides what is before it. */
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2, unknown"}, NULL, "unknown"},
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2,"}, NULL, ""},
		{{"10.0.0.0/8"}, "10.0.0.1", {"2.2.2.2, 10.0.0.256"}, NULL, "10.0.0.256"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str trusted[2];
		struct http_header h[4] = {{STR("host"), STR("x")}};
		size_t trusted_n = 0, n = 1;
		struct arena *a = arena_new();
		struct str got;

		while (trusted_n < 2 && rows[i].trusted[trusted_n]) {
			trusted[trusted_n] = str_c(rows[i].trusted[trusted_n]);
			trusted_n++;
		}
		for (size_t k = 0; k < 2 && rows[i].lines[k]; k++)
			h[n++] = (struct http_header){STR("x-forwarded-for"), str_c(rows[i].lines[k])};
		if (rows[i].real)
			h[n++] = (struct http_header){STR("x-real-ip"), str_c(rows[i].real)};
		got = http_source_of(str_c(rows[i].peer), h, n, trusted, trusted_n, a);
		if (!str_eq(got, str_c(rows[i].source)))
			fail_msg("row %zu: " STR_FMT " instead of %s", i, STR_ARG(got), rows[i].source);
		arena_free(a);
	}
}

static void test_forwarded__two_real_ips_are_none(void **state)
{
	const struct http_header h[] = {{STR("x-real-ip"), STR("2.2.2.2")}, {STR("x-real-ip"), STR("3.3.3.3")}};
	const struct str trusted = STR("10.0.0.0/8");
	struct arena *a = arena_new();

	assert_true(str_eq(http_source_of(STR("10.0.0.1"), h, 2, &trusted, 1, a), STR("10.0.0.1")));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwarded__nearest_that_is_not_trusted),
		cmocka_unit_test(test_forwarded__two_real_ips_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
