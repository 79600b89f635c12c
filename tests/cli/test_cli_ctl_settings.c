/* Configuration of the client: file, environment, and which wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/ctl/settings.h"

static char path[64];

static void write_file(const char *text)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/test-ctl-settings-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int remove_file(void **state)
{
	if (path[0])
		unlink(path);
	path[0] = '\0';
	return 0;
}

static bool load(struct arena *a, char *const *env, struct settings *s, struct str *why)
{
	return settings_load(path[0] ? str_c(path) : STR_NONE, env, a, s, why);
}

static void test_settings__nothing_given(void **state)
{
	struct arena *a = arena_new();
	char *env[] = {"HOME=/nonexistent", "LAKECTL_SERVER_RETRIES_MAX_ATTEMPTS=", NULL};
	struct settings s;
	struct str why;

	assert_true(load(a, env, &s, &why));
	assert_true(str_eq(s.file, STR("/nonexistent/.lakectl.yaml")));
	assert_int_equal(s.endpoint.n, 0);
	assert_true(s.retries.enabled && s.retries.max_attempts == 4 && s.retries.min_wait_ms == 200 &&
		    s.retries.max_wait_ms == 30000);
	assert_int_equal(s.parallelism, 25);
	arena_free(a);
}

static void test_settings__file_then_environment(void **state)
{
	struct arena *a = arena_new();
	char *env[] = {"LAKECTL_CREDENTIALS_ACCESS_KEY_ID=of-lakectl",
		       "SLUICECTL_SERVER_RETRIES_MIN_WAIT_INTERVAL=1m30s",
		       "LAKECTL_SERVER_RETRIES_MIN_WAIT_INTERVAL=5s", "LAKECTL_OPTIONS_PARALLELISM=3", NULL};
	struct settings s;
	struct str why = STR_NONE;

	write_file("credentials:\n  access_key_id: of-file\n  secret_access_key: 'a: b'\nserver:\n  endpoint_url: "
		   "http://h/api/v1\n"
		   "  retries: {enabled: false, max_attempts: 7}\nlocal: {symlink_support: true}\nmetastore: [1, 2]\n");
	if (!load(a, env, &s, &why))
		fail_msg(STR_FMT, STR_ARG(why));
	assert_true(str_eq(s.access_key_id, STR("of-lakectl")) && str_eq(s.secret_access_key, STR("a: b")));
	assert_true(str_eq(s.endpoint, STR("http://h/api/v1")));
	assert_false(s.retries.enabled);
	assert_int_equal(s.retries.max_attempts, 7);
	assert_int_equal(s.retries.min_wait_ms, 90000);
	assert_int_equal(s.parallelism, 3);
	arena_free(a);
}

static void test_settings__what_is_wrong(void **state)
{
	static const struct {
		const char *text, *variable, *said;
	} rows[] = {
		{"server: {endpoint_url: [1]}", NULL, ":1: server.endpoint_url must be a text"},
		{"a: 1\nserver:\n  retries:\n    enabled: maybe", NULL,
		 ":4: server.retries.enabled: 'maybe' is not true or false"},
		{"server: {retries: {max_attempts: 101}}", NULL, "'101' is no number from 0 to 100"},
		{"a: [", NULL, ":"},
		{"", "LAKECTL_SERVER_RETRIES_MAX_WAIT_INTERVAL=soon",
		 "LAKECTL_SERVER_RETRIES_MAX_WAIT_INTERVAL: 'soon' is not a duration"},
		{"", "SLUICECTL_OPTIONS_PARALLELISM=0",
		 "SLUICECTL_OPTIONS_PARALLELISM: '0' is no number from 1 to 256"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new();
		char *env[] = {(char *)rows[i].variable, NULL};
		struct settings s;
		struct str why = STR_NONE;

		write_file(rows[i].text);
		assert_false(load(a, env, &s, &why));
		if (str_find(why, str_c(rows[i].said)) == why.n)
			fail_msg("row %zu: " STR_FMT, i, STR_ARG(why));
		remove_file(NULL);
		arena_free(a);
	}
}

static void test_settings__a_file_that_is_named_must_be_there(void **state)
{
	struct arena *a = arena_new();
	char *env[] = {"LAKECTL_CONFIG_FILE=/nonexistent/x", NULL},
	     *both[] = {"LAKECTL_CONFIG_FILE=/nonexistent/x", "SLUICECTL_CONFIG_FILE=/nonexistent/y", NULL};
	struct settings s;
	struct str why;

	assert_false(load(a, env, &s, &why));
	assert_true(str_starts(why, STR("open /nonexistent/x: ")));
	assert_false(load(a, both, &s, &why));
	assert_true(str_starts(why, STR("open /nonexistent/y: ")));
	arena_free(a);
}

static void test_duration__go_notation(void **state)
{
	static const struct {
		struct str text;
		int64_t ms; /* -1: none */
	} rows[] = {
		{STR("0"), 0},
		{STR("500ms"), 500},
		{STR("3s"), 3000},
		{STR("1h0m0s"), 3600000},
		{STR("1m30s"), 90000},
		{STR(""), -1},
		{STR("3"), -1},
		{STR("s"), -1},
		{STR("-1s"), -1},
		{STR("1.5s"), -1},
		{STR("1s "), -1},
		{STR("1d"), -1},
		{STR("9223372036854775807h"), -1},
		{STR("9223372036854775s9223372036854775s"), -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = -1;

		if (duration_parse(rows[i].text, &ms) != (rows[i].ms >= 0) || (rows[i].ms >= 0 && ms != rows[i].ms))
			fail_msg("row %zu: %lld", i, (long long)ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings__nothing_given),
		cmocka_unit_test_teardown(test_settings__file_then_environment, remove_file),
		cmocka_unit_test_teardown(test_settings__what_is_wrong, remove_file),
		cmocka_unit_test(test_settings__a_file_that_is_named_must_be_there),
		cmocka_unit_test(test_duration__go_notation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
