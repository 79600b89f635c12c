#include "check.h"

#include "base/json.h"

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

static void test_json__values(void **state)
{
	struct json *j;
	struct str key;

	assert_true(rc_ok(json_parse(*state,
				     STR("{\"z\":1,\"a\":[true,null,-9223372036854775808,\"\\u00e9\\n\"],"
					 "\"m\":{\"x\":1.5},\"b\":false}"),
				     &j, NULL)));
	assert_int_equal(json_type(j), JSON_OBJECT);
	assert_int_equal(json_count(j), 4);
	assert_int_equal(json_int(json_member_at(j, 0, &key)), 1);
	assert_cstr(key, "z");
	json_member_at(j, 2, &key);
	assert_cstr(key, "m");
	assert_null(json_member_at(j, 4, &key));
	assert_true(json_bool(json_at(json_member(j, "a"), 0)));
	assert_int_equal(json_type(json_at(json_member(j, "a"), 1)), JSON_NULL);
	assert_int_equal(json_int(json_at(json_member(j, "a"), 2)), INT64_MIN);
	assert_cstr(json_str(json_at(json_member(j, "a"), 3)), "\xc3\xa9\n");
	assert_null(json_at(json_member(j, "a"), 4));
	assert_int_equal(json_type(json_member(json_member(j, "m"), "x")), JSON_REAL);
	assert_false(json_bool(json_member(j, "b")));
}

static void test_json__what_is_not_there(void **state)
{
	struct json *j;
	struct str key;

	assert_true(rc_ok(json_parse(*state, STR(" \"text\" "), &j, NULL)));
	assert_null(json_member(j, "x"));
	assert_null(json_member(NULL, "x"));
	assert_null(json_at(j, 0));
	assert_null(json_member_at(j, 0, &key));
	assert_int_equal(json_count(j), 0);
	assert_int_equal(json_int(j), 0);
	assert_false(json_bool(j));
	assert_null(json_str(NULL).p);
	assert_int_equal(json_type(NULL), JSON_NULL);
}

static void test_json__strict(void **state)
{
	static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1,]", "{a:1}", "'x'", "01",
					  "[1] x", "\"\xff\"", "\"\\ud800\"", "\"a\nb\"", "nul",
					  "99999999999999999999", "\"\\u0000\"", "[NaN]", "// c\n1"};
	struct json *j;
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!rc_is(json_parse(*state, str_c(bad[i]), &j, &e), INVALID))
			fail_msg("took %s", bad[i]);
		assert_non_null(strstr(e.msg, "line 1"));
	}
	assert_true(rc_is(json_parse(*state, STR_NONE, &j, &e), INVALID));
	assert_true(rc_is(json_parse(*state, STR("{\n \"a\": x}"), &j, &e), INVALID));
	assert_non_null(strstr(e.msg, "line 2"));
}

static void test_json__deep_is_refused(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json *j;
	struct err e;

	for (int i = 0; i < 100000; i++)
		buf_add_c(&b, '[');
	assert_true(rc_is(json_parse(*state, buf_str(&b), &j, &e), INVALID));
	buf_deinit(&b);
}

static void test_json__writes(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct json_out w = {.to = &b};

	jw_object(&w, NULL);
	jw_str(&w, "s", STR("a\"\\\n\x01\x7f\xc3\xa9\xff<"));
	jw_array(&w, "list");
	jw_int(&w, NULL, INT64_MIN);
	jw_bool(&w, NULL, true);
	jw_null(&w, NULL);
	jw_object(&w, NULL);
	jw_end_object(&w);
	jw_array(&w, NULL);
	jw_end_array(&w);
	jw_end_array(&w);
	jw_str(&w, "k\"", STR_NONE);
	jw_end_object(&w);
	assert_cstr(buf_str(&b),
		    "{\"s\":\"a\\\"\\\\\\u000a\\u0001\x7f\xc3\xa9\xef\xbf\xbd<\","
		    "\"list\":[-9223372036854775808,true,null,{},[]],\"k\\\"\":\"\"}");
	buf_deinit(&b);
}

static void test_json__round_trip_of_every_character(void **state)
{
	struct buf b = BUF_INIT(10000);
	struct json_out w = {.to = &b};
	struct json *j;
	char text[127];

	for (int i = 0; i < 127; i++)
		text[i] = (char)(i + 1);
	jw_str(&w, NULL, str_make(text, sizeof(text)));
	assert_true(rc_ok(json_parse(*state, buf_str(&b), &j, NULL)));
	assert_str(json_str(j), str_make(text, sizeof(text)));
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_json__values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json__what_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json__strict, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json__deep_is_refused, set_up, tear_down),
		cmocka_unit_test(test_json__writes),
		cmocka_unit_test_setup_teardown(test_json__round_trip_of_every_character, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
