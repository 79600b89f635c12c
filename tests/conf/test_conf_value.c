#include "tests/conf/conf_test.h"

#include <inttypes.h>

#include "conf/value.h"

static void test_value__durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
		{"0", 0},	{"500ms", 500},	   {"20s", 20000},   {"1h5m", 3900000},
		{"1.5s", 1500}, {".5h", 1800000},  {"1ns", 1},	     {"1500us", 2},
		{"2\xc2\xb5s", 1}, {"168h", 604800000}, {"1h0m0s", 3600000}, {"0.0000001s", 1},
		{"", -1},	{"5", -1},	   {"s", -1},	     {"5x", -1},
		{"-5s", -1},	{"5 s", -1},	   {"5s ", -1},	     {"1h5", -1},
		{"..5s", -1},	{"9223372036854775807h", -1},	     {"2562048h", -1},
		{"99999999999999999999s", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ms = -1;
		bool ok = conf_duration_parse(str_c(cases[i].text), &ms);

		if (ok != (cases[i].ms >= 0) || (ok && ms != cases[i].ms))
			fail_msg("%s: %d, %" PRId64, cases[i].text, ok, ms);
	}
}

static void test_value__sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} cases[] = {
		{"0", 0},	   {"262144", 262144},	   {"20MiB", 20 << 20}, {"1GiB", 1 << 30},
		{"1.5KiB", 1536},  {"10MB", 10000000},	   {"7B", 7},		{"2 KiB", 2048},
		{"1TiB", 1LL << 40}, {"", -1},		   {"MiB", -1},		{"1.5", -1},
		{"010", -1},	   {"-1", -1},		   {"20mib", -1},	{"20 MiB ", -1},
		{"20M", -1},	   {"9999999TiB", -1},	   {"1e6", -1},		{"1.", -1},
		{"9223372036854775807", INT64_MAX},	   {"9223372036854775808", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t v = -1;
		bool ok = conf_size_parse(str_c(cases[i].text), &v);

		if (ok != (cases[i].bytes >= 0) || (ok && v != cases[i].bytes))
			fail_msg("%s: %d, %" PRId64, cases[i].text, ok, v);
	}
}

/* Each row: the line `key: value` at the top of a file, and what the error says; NULL: it is fine. */
static void test_value__types(void **state)
{
	static const struct {
		const char *key, *value, *words;
	} cases[] = {
		{"tls.enabled", "false", NULL},
		{"tls.enabled", "\"False\"", NULL},
		{"tls.enabled", "0", NULL},
		{"tls.enabled", "no", "\"no\" is not a bool; write true or false"},
		{"tls.enabled", "[true]", "takes one value (true/false), not a list"},
		{"tls.enabled", "{a: b}", "takes one value (true/false), not a section"},
		{"logging.files_keep", "12", NULL},
		{"logging.files_keep", "\"12\"", NULL},
		{"logging.files_keep", "1.5", "is not a whole number"},
		{"logging.files_keep", "010", "is not a whole number"},
		{"logging.files_keep", "ten", "is not a whole number"},
		{"logging.files_keep", "-1", "-1 is out of range; write a value from 0 to 100000"},
		{"logging.files_keep", "99999999999999999999", "is not a whole number"},
		{"server.headers", "15", "from 16 to 10000"},
		{"server.headers", "16", NULL},
		{"server.headers", "10000", NULL},
		{"server.headers", "10001", "from 16 to 10000"},
		{"server.head_bytes", "64KiB", NULL},
		{"server.head_bytes", "2MiB", "2MiB is out of range; write a value from 4KiB to 1MiB"},
		{"server.head_timeout", "5m", NULL},
		{"server.head_timeout", "5", "is not a duration; write numbers with units"},
		{"server.head_timeout", "1ms", "from 10ms to 24h"},
		{"committed.local_cache.range_proportion", "0.25", NULL},
		{"committed.local_cache.range_proportion", "1e-1", NULL},
		{"committed.local_cache.range_proportion", "1.5", "from 0 to 1"},
		{"committed.local_cache.range_proportion", "nan", "is not a number"},
		{"committed.local_cache.range_proportion", "0x1", "is not a number"},
		{"committed.local_cache.range_proportion", "1e999", "is not a number"},
		{"listen_address", "\":8000\"", NULL},
		{"listen_address", "\"[::1]:8000\"", NULL},
		{"listen_address", "localhost:0", NULL},
		{"listen_address", "localhost", "write host:port"},
		{"listen_address", "localhost:99999", "write host:port"},
		{"listen_address", "\"::1:80\"", "write host:port"},
		{"logging.format", "JSON", NULL},
		{"logging.format", "xml", "\"xml\" is not known here; write one of text, json"},
		{"server.trusted_proxies", "10.0.0.0/8", NULL},
		{"server.trusted_proxies", "[10.0.0.1, \"::1\", \"fd00::/8\"]", NULL},
		{"server.trusted_proxies", "[10.0.0.0/33]", "write one such as 10.0.0.0/8"},
		{"server.trusted_proxies", "proxy.example.com", "write one such as 10.0.0.0/8"},
		{"gateways.s3.domain_name", "[a, {b: c}]", "an element of the list is no text"},
		{"gateways.s3.region", "\"a\\0b\"", "NUL byte"},
		{"database.postgres.connection_string", "[a]", "takes one value (text), not a list"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char yaml[400];
		struct loaded l;

		snprintf(yaml, sizeof(yaml), "# dotted keys are sections\n%s: %s\n" MINIMAL,
			 cases[i].key, cases[i].value);
		l = load(yaml);
		if (cases[i].words) {
			assert_null(l.conf);
			assert_true(has_finding(&l, false, 2, cases[i].key, cases[i].words));
			assert_int_equal(count(&l, false), 1);
		} else if (l.findings.n) {
			print_findings(&l);
			fail_msg("%s: %s was refused", cases[i].key, cases[i].value);
		}
		unload(&l);
	}
}

static void test_value__shown(void **state)
{
	struct arena *a = arena_new();
	char longer[200];
	struct str s;

	memset(longer, 'x', sizeof(longer));
	assert_str(conf_shown(STR("a\nb\x7f"), a), "a\\x0ab\\x7f");
	assert_str(conf_shown(STR("\xc3\xa4"), a), "\xc3\xa4");
	assert_str(conf_shown(STR("\xff"), a), "\\xff");
	s = conf_shown(str_make(longer, sizeof(longer)), a);
	assert_int_equal(s.n, 83);
	assert_true(str_ends(s, STR("x...")));
	memcpy(longer + 79, "\xe2\x82\xac", 3); /* a character across the cut goes whole */
	s = conf_shown(str_make(longer, sizeof(longer)), a);
	assert_true(str_is_utf8(s));
	assert_true(str_ends(s, STR("x...")));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value__durations),
		cmocka_unit_test(test_value__sizes),
		cmocka_unit_test(test_value__types),
		cmocka_unit_test(test_value__shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
