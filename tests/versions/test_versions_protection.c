/* Branch protection: its globs, its record, and what it stops. */
#include "tests/versions/world.h"

#include "base/encode.h"
#include "versions/glob.h"
#include "versions/head.h"
#include "versions/object.h"
#include "versions/protection.h"

static void test_protection__globs(void **state)
{
	static const struct {
		const char *glob, *name;
		bool matches;
	} list[] = {
		{"main", "main", true},	      {"main", "mains", false},	   {"main", "mai", false},
		{"*", "", true},	      {"*", "x-y", true},	   {"**", "abc", true},
		{"rel-*", "rel-", true},      {"rel-*", "rel", false},	   {"*-rel", "x-rel-rel", true},
		{"a*b*c", "axxbyyc", true},   {"a*b*c", "axxcyyb", false}, {"v?", "v1", true},
		{"v?", "v", false},	      {"v[0-9]", "v7", true},	   {"v[0-9]", "vx", false},
		{"v[!0-9]", "vx", true},      {"v[!0-9]", "v5", false},	   {"v[abc]", "vb", true},
		{"v[abc]", "vd", false},      {"v[!abc]", "vd", true},	   {"{a,b}", "b", true},
		{"{a,b}", "c", false},	      {"x{a,bc}y", "xbcy", true},  {"x{a,bc}y", "xacy", false},
		{"{a{b,c},d*}", "ac", true},  {"{a{b,c},d*}", "dzz", true}, {"{a{b,c},d*}", "a", false},
		{"{,x}y", "y", true},	      {"{a*,b}c", "axxc", true},   {"\\*", "*", true},
		{"\\*", "a", false},	      {"a,b", "a,b", true},	   {"a}", "a}", true},
		{"*{,,,,}*", "anything", true},
	};
	static const char *const bad[] = {"", "{a", "[a", "[]", "[z-a]", "[a-z0-9]", "a\\", "{a,{b}"};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		assert_ok(glob_check(str_c(list[i].glob), NULL));
		if (glob_matches(str_c(list[i].glob), str_c(list[i].name)) != list[i].matches)
			fail_msg("%s on %s", list[i].glob, list[i].name);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_rc(glob_check(str_c(bad[i]), NULL), INVALID);
		glob_matches(str_c(bad[i]), STR("abc")); /* of a foreign record: no harm */
	}
}

/* Backtracking would take ages. */
static void test_protection__hard_globs(void **state)
{
	char glob[1025], name[901];

	for (int i = 0; i < 1024; i += 2)
		memcpy(glob + i, "*a", 2);
	glob[1023] = 'b';
	memset(name, 'a', 900);
	assert_ok(glob_check(str_make(glob, 1024), NULL));
	assert_false(glob_matches(str_make(glob, 1024), str_make(name, 900)));
}

static void test_protection__record(void **state)
{
	const struct protection_rule rules[] = {{STR("prot*"), PROTECT_COMMIT},
						{STR("main"), PROTECT_STAGING},
						{STR("prot*"), PROTECT_STAGING | PROTECT_COMMIT}};
	struct protection p;
	struct world w;
	struct repo r;
	struct str raw, first;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(protection_get(&w.c, &r, &p));
	assert_int_equal(p.n, 0);
	assert_str(p.checksum, STR(""));
	assert_rc(protection_set(&w.c, &r, rules, 3, STR("00")), PREDICATE);
	assert_ok(protection_set(&w.c, &r, rules + 2, 1, STR("")));
	assert_ok(kv_get(w.kv, KV_BLOCK, r.partition, STR("settings/protected_branches"), w.a, &raw, NULL));
	/* as lakeFS writes it */
	assert_str(hex_encode(w.a, raw), STR("0a0d0a0570726f742a12040a020001"));
	assert_ok(protection_get(&w.c, &r, &p));
	first = p.checksum;
	assert_int_equal(first.n, 64);
	assert_rc(protection_set(&w.c, &r, rules, 3, STR("")), PREDICATE);
	assert_ok(protection_set(&w.c, &r, rules, 3, first));
	assert_rc(protection_set(&w.c, &r, rules, 1, first), PREDICATE);
	assert_ok(protection_get(&w.c, &r, &p));
	assert_int_equal(p.n, 2);
	assert_str(p.rules[0].pattern, STR("main"));
	assert_int_equal(p.rules[0].blocked, PROTECT_STAGING);
	assert_int_equal(p.rules[1].blocked, PROTECT_STAGING | PROTECT_COMMIT);
	assert_rc(protection_set(&w.c, &r, &(struct protection_rule){STR("[a"), PROTECT_COMMIT}, 1, STR_NONE),
		  INVALID);
	assert_ok(protection_set(&w.c, &r, NULL, 0, STR_NONE));
	assert_ok(protection_get(&w.c, &r, &p));
	assert_int_equal(p.n, 0);
	world_close(&w);
}

static void set_rule(struct world *w, const struct repo *r, unsigned blocked)
{
	assert_ok(protection_set(&w->c, r, &(struct protection_rule){STR("m*"), blocked}, 1, STR_NONE));
}

static void test_protection__stops_writes(void **state)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		struct commit_request q = {.branch = STR("main"), .committer = STR("c"), .message = STR("m"),
					   .allow_empty = true};
		struct object_match any = {.etag = STR("*")};
		struct object_delete_item item = {.branch = STR("main"), .path = STR("a"), .match = &any};
		struct commit made;
		struct world w;
		struct repo r;
		struct entry e, was;
		bool sent;

		world_open(&w, kind ? PLAIN : GUARDED);
		r = world_repo(&w);
		e = some_entry(w.a, 1);
		assert_ok(branch_create(&w.c, &r, STR("dev"), STR("main")));
		assert_ok(object_stage(&w.c, &r, STR("main"), STR("a"), &e, STAGE_ALWAYS, STR_NONE, &sent));
		assert_ok(object_stat(&w.c, &r, STR("main"), STR("a"), &was));
		set_rule(&w, &r, PROTECT_STAGING);
		assert_rc(object_stage(&w.c, &r, STR("main"), STR("b"), &e, STAGE_ALWAYS, STR_NONE, &sent),
			  WriteToProtectedBranch);
		assert_false(sent);
		assert_rc(object_stage(&w.c, &r, STR("main"), STR("b"), &e, STAGE_IF_ABSENT, STR_NONE, &sent),
			  WriteToProtectedBranch);
		assert_rc(object_replace(&w.c, &r, STR("main"), STR("a"), &was, &e), WriteToProtectedBranch);
		assert_rc(object_delete(&w.c, &r, STR("main"), STR("a")), WriteToProtectedBranch);
		objects_delete(&w.c, &r, &item, 1);
		assert_rc(item.result, WriteToProtectedBranch);
		assert_ok(object_stage(&w.c, &r, STR("dev"), STR("b"), &e, STAGE_ALWAYS, STR_NONE, &sent));
		assert_ok(object_stat(&w.c, &r, STR("main"), STR("a"), &was));
		assert_ok(branch_commit(&w.c, &r, &q, &made));
		set_rule(&w, &r, PROTECT_COMMIT);
		assert_rc(branch_commit(&w.c, &r, &q, &made), ProtectedBranch);
		assert_ok(object_delete(&w.c, &r, STR("main"), STR("a")));
		world_close(&w);
	}
}

/* One look into the KV, until somebody here sets them; another server's rules come with time. */
static void test_protection__remembered(void **state)
{
	struct world w;
	struct repo r;
	uint64_t calls;

	world_open(&w, GUARDED);
	r = world_repo(&w);
	assert_ok(protection_check(&w.c, &r, STR("main"), PROTECT_STAGING));
	calls = kv_fault_calls(w.kv, KV_CALL_ANY);
	for (unsigned i = 0; i < 100; i++)
		assert_ok(protection_check(&w.c, &r, STR("main"), PROTECT_STAGING));
	assert_int_equal(kv_fault_calls(w.kv, KV_CALL_ANY), calls);
	set_rule(&w, &r, PROTECT_STAGING);
	assert_rc(protection_check(&w.c, &r, STR("main"), PROTECT_STAGING), WriteToProtectedBranch);
	assert_ok(protection_check(&w.c, &r, STR("main"), PROTECT_COMMIT));
	assert_ok(protection_check(&w.c, &r, STR("dev"), PROTECT_STAGING));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protection__globs),
		cmocka_unit_test(test_protection__hard_globs),
		cmocka_unit_test(test_protection__record),
		cmocka_unit_test(test_protection__stops_writes),
		cmocka_unit_test(test_protection__remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
