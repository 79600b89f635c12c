#include "check.h"

#include <time.h>

#include "base/clock.h"

static void test_clock__forms(void **state)
{
	char http[30], iso[25], amz[17];

	time_http(784111777, http);
	assert_string_equal(http, "Sun, 06 Nov 1994 08:49:37 GMT");
	time_http(0, http);
	assert_string_equal(http, "Thu, 01 Jan 1970 00:00:00 GMT");
	time_iso_ms((struct timestamp){784111777, 123999999}, iso);
	assert_string_equal(iso, "1994-11-06T08:49:37.123Z");
	time_amz(1440938160, amz);
	assert_string_equal(amz, "20150830T123600Z");
}

static void test_clock__calendar_is_libcs(void **state)
{
	int64_t back;
	char http[30], want[30], amz[17];

	for (int64_t s = -62135596800; s <= 253402300799; s += 86400 * 97 + 12347) {
		time_t t = s;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		if (tm.tm_year < -900)
			continue; /* libc's %Y isn't padded */
		time_http(s, http);
		assert_string_equal(http, want);
		assert_true(time_parse_http(str_c(http), &back));
		assert_int_equal(back, s);
		time_amz(s, amz);
		assert_true(time_parse_amz(str_c(amz), &back));
		assert_int_equal(back, s);
	}
}

static void test_clock__out_of_range_is_clamped(void **state)
{
	char http[30];

	time_http(INT64_MAX, http);
	assert_string_equal(http, "Fri, 31 Dec 9999 23:59:59 GMT");
	time_http(INT64_MIN, http);
	assert_string_equal(http, "Mon, 01 Jan 0001 00:00:00 GMT");
}

/* RFC 9110 section 5.6.7 */
static void test_clock__http_forms(void **state)
{
	static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
					   "Sunday, 06-Nov-94 08:49:37 GMT",
					   "Sun Nov  6 08:49:37 1994"};
	static const char *const bad[] = {
		"", "Sun", "Sun,", "Sun, ", "Xxx, 06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94", "Sun Nov 6 08:49:37 1994", "06 Nov 1994", ", ", "Sunday,"};
	int64_t s;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		s = 0;
		assert_true(time_parse_http(str_c(same[i]), &s));
		assert_int_equal(s, 784111777);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (time_parse_http(str_c(bad[i]), &s))
			fail_msg("took \"%s\"", bad[i]);
	assert_true(time_parse_http(STR("Sun Nov 16 08:49:37 1994"), &s));
}

static void test_clock__amz_exactly(void **state)
{
	static const char *const bad[] = {"", "20150830T123600", "20150830T123600z", "20150230T123600Z",
					  "20151330T123600Z", "20150830 123600Z", "2015-08-30T12:36:00Z",
					  "20150830T126000Z", "20150830T123600ZZ"};
	int64_t s;

	assert_true(time_parse_amz(STR("20150830T123600Z"), &s));
	assert_int_equal(s, 1440938160);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(time_parse_amz(str_c(bad[i]), &s));
}

/* RFC 3339 section 5.8 */
static void test_clock__rfc3339(void **state)
{
	static const char *const bad[] = {"1985-04-12T23:20:50.52", "1985-04-12T23:20:50.Z",
					  "1985-04-12T23:20:50.1234567890Z", "1985-04-12 23:20:50Z",
					  "1985-04-12T23:20:50+25:00", "1985-04-12T23:20:50+1:00",
					  "1985-02-29T00:00:00Z", "1985-04-12"};
	struct timestamp t;

	assert_true(time_parse_rfc3339(STR("1985-04-12T23:20:50.52Z"), &t));
	assert_int_equal(t.s, 482196050);
	assert_int_equal(t.ns, 520000000);
	assert_true(time_parse_rfc3339(STR("1996-12-19T16:39:57-08:00"), &t));
	assert_int_equal(t.s, 851042397);
	assert_true(time_parse_rfc3339(STR("1990-12-31T23:59:60Z"), &t));
	assert_int_equal(t.s, 662688000);
	assert_true(time_parse_rfc3339(STR("1937-01-01T12:00:27.87+00:20"), &t));
	assert_int_equal(t.s, -1041337173);
	assert_true(time_parse_rfc3339(STR("2024-02-29t00:00:00.000000001z"), &t));
	assert_int_equal(t.ns, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (time_parse_rfc3339(str_c(bad[i]), &t))
			fail_msg("took \"%s\"", bad[i]);
}

static void test_clock__goes_on(void **state)
{
	int64_t us = mono_us();

	assert_true(mono_us() >= us);
	assert_true(mono_ms() >= us / 1000);
	assert_true(wall_now().s > 1600000000);
}

static int64_t us_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void test_clock__instants(void **state)
{
	static const int64_t ms[] = {0, 1, 999, 1000, 1001, 59999, 86400000};

	for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		int64_t before = mono_us();
		struct timespec t = clock_in_ms(CLOCK_MONOTONIC, ms[i]);

		assert_in_range(us_of(t) - ms[i] * 1000, before, mono_us());
		assert_in_range(t.tv_nsec, 0, 999999999);
	}
}

static void test_clock__sleep(void **state)
{
	int64_t before = mono_us();

	sleep_us(1500);
	assert_true(mono_us() - before >= 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock__forms),
		cmocka_unit_test(test_clock__calendar_is_libcs),
		cmocka_unit_test(test_clock__out_of_range_is_clamped),
		cmocka_unit_test(test_clock__http_forms),
		cmocka_unit_test(test_clock__amz_exactly),
		cmocka_unit_test(test_clock__rfc3339),
		cmocka_unit_test(test_clock__goes_on),
		cmocka_unit_test(test_clock__instants),
		cmocka_unit_test(test_clock__sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
