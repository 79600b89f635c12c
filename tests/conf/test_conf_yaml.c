#include "tests/conf/conf_test.h"

#include "base/rand.h"
#include "conf/yaml.h"

static void test_yaml__tree_with_lines(void **state)
{
	struct arena *a = arena_new();
	struct yaml_node *root;
	struct yaml_fault fault;

	assert_true(conf_yaml_read(STR("a: 1\nb:\n  - x\n  - ~\n"), a, &root, &fault));
	assert_int_equal(root->kind, YAML_MAP);
	assert_int_equal(root->n, 2);
	assert_str(root->first->value->text, "1");
	assert_int_equal(root->first->next->key->line, 2);
	assert_int_equal(root->first->next->value->first->value->line, 3);
	assert_true(root->first->next->value->first->next->value->is_null);
	assert_true(conf_yaml_read(STR(""), a, &root, &fault));
	assert_null(root);
	arena_free(a);
}

static void test_yaml__merge_keys(void **state)
{
	struct loaded l = load_good("blockstores:\n" SIGNING
				    "  stores:\n"
				    "    - id: one\n"
				    "      type: s3\n"
				    "      s3: &common\n"
				    "        endpoint: http://a\n"
				    "        region: eu\n"
				    "        max_retries: 7\n"
				    "    - id: two\n"
				    "      type: s3\n"
				    "      s3:\n"
				    "        region: us\n"
				    "        <<: [*common, {profile: p, region: never}]\n" DATABASE AUTH);

	assert_int_equal(l.findings.n, 0);
	assert_str(l.conf->blockstores.stores[1].s3.endpoint, "http://a");
	assert_str(l.conf->blockstores.stores[1].s3.region, "us");
	assert_str(l.conf->blockstores.stores[1].s3.profile, "p");
	assert_int_equal(l.conf->blockstores.stores[1].s3.max_retries, 7);
	unload(&l);
}

struct bad {
	const char *yaml;
	unsigned line;
	const char *words;
};

static void test_yaml__faults(void **state)
{
	static const struct bad cases[] = {
		{"a: b\n\tc: d\n", 2, "YAML syntax"},
		{"a: \"b\nc: d\n", 3, "check indentation"},
		{"a: b\n c: d\n", 2, "check indentation"},
		{"a: [b\n", 2, "YAML syntax"},
		{"a: *nothing\n", 1, "an alias of nothing"},
		{"a: &x [*x]\n", 1, "an alias of nothing"},
		{"a: b\n---\nc: d\n", 2, "a second document"},
		{"a: b\n? [c]\n: d\n", 2, "a key must be a word"},
		{"a: b\n<<: c\n", 2, "<< merges mappings only"},
		{"\"a\\0\": b\n", 1, "NUL byte"},
		{"a: b\nc: \xff\xfe\n", 2, "UTF-8"},
		{"a: b\nc: \x01\n", 2, "control characters"},
		{"just words\n", 1, "not a configuration"},
		{"- a\n", 1, "not a configuration"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loaded l = load(cases[i].yaml);

		assert_true(rc_is(l.rc, CONFIG));
		assert_true(has_finding(&l, false, cases[i].line, "", cases[i].words));
		assert_int_equal(l.findings.n, 1);
		unload(&l);
	}
}

static void refused(struct str yaml, const char *words)
{
	struct loaded l = {.a = arena_new()};

	l.rc = conf_load_text(STR("t.yaml"), yaml, NULL, l.a, &l.findings, &l.conf, &l.err);
	assert_true(rc_is(l.rc, CONFIG));
	assert_int_equal(l.findings.n, 1);
	assert_true(str_find(l.findings.v[0].text, str_c(words)) < l.findings.v[0].text.n);
	unload(&l);
}

/* At most 32 deep, and one more. */
static void test_yaml__depth(void **state)
{
	struct yaml_node *root;
	struct yaml_fault fault;
	struct arena *a = arena_new();
	char yaml[2 * 33 + 1] = {0};

	memset(yaml, '[', 32);
	memset(yaml + 32, ']', 32);
	assert_true(conf_yaml_read(str_c(yaml), a, &root, &fault));
	memset(yaml, '[', 33);
	memset(yaml + 33, ']', 33);
	refused(str_make(yaml, sizeof(yaml) - 1), "nested more than 32 deep");
	arena_free(a);
}

static void test_yaml__alias_bomb(void **state)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_add_cstr(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 12; i++) {
		buf_printf(&b, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buf_printf(&b, "%s*a%d", j ? ", " : "", i - 1);
		buf_add_cstr(&b, "]\n");
	}
	refused(buf_str(&b), "more than 20000 values, aliases included");
	buf_deinit(&b);
}

static void test_yaml__merge_bomb(void **state)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_add_cstr(&b, "a: &a {");
	for (int i = 0; i < 100; i++)
		buf_printf(&b, "k%d: x, ", i);
	buf_add_cstr(&b, "}\nb: {<<: [");
	for (int i = 0; i < 100; i++)
		buf_add_cstr(&b, "*a, ");
	buf_add_cstr(&b, "]}\n");
	refused(buf_str(&b), "more than 20000 values, aliases included");
	buf_deinit(&b);
}

static void test_yaml__bounds(void **state)
{
	struct buf b = BUF_INIT(2 << 20);

	while (b.n <= 1 << 20)
		buf_add_cstr(&b, "# a comment that goes on and on and on and on and on and on\n");
	refused(buf_str(&b), "longer than 1 MiB");
	buf_reset(&b);
	buf_add_cstr(&b, "a: [");
	for (int i = 0; i < 20000; i++)
		buf_add_cstr(&b, "x,");
	buf_add_cstr(&b, "]\n");
	refused(buf_str(&b), "more than 20000 values");
	buf_reset(&b);
	for (int i = 0; i < 1001; i++)
		buf_printf(&b, "k%d: &k%d x\n", i, i);
	refused(buf_str(&b), "more than 1000 anchors");
	buf_deinit(&b);
}

static void load_bytes(struct str bytes)
{
	struct loaded l = {.a = arena_new()};

	l.rc = conf_load_text(STR("t.yaml"), bytes, NULL, l.a, &l.findings, &l.conf, &l.err);
	assert_true(rc_ok(l.rc) == (l.conf != NULL));
	assert_true(rc_ok(l.rc) || l.findings.n > 0);
	for (size_t i = 0; i < l.findings.n; i++) {
		struct str line = conf_finding_line(&l.findings.v[i], l.a);

		assert_int_equal(str_index(line, '\n'), line.n);
	}
	unload(&l);
}

/* Nothing crashes, whatever the bytes: noise, and a real text with some bytes changed or cut. */
static void test_yaml__any_bytes(void **state)
{
	struct buf sample = BUF_INIT(1 << 20);
	static const char odd[] = "\n\t :-[]{}&*<\"'#\0\xff!|>%@`x9~";
	uint32_t seed = 20261121;

	conf_sample(&sample);
	for (int round = 0; round < 300; round++) {
		char *copy = malloc(sample.n);
		size_t n = sample.n;

		assert_non_null(copy);
		memcpy(copy, sample.p, n);
		for (int i = 0; i < 1 + round % 8; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[seed % n] = odd[(seed >> 24) % sizeof(odd)];
		}
		if (round % 3 == 0)
			n = seed % n;
		load_bytes(str_make(copy, n));
		free(copy);
	}
	for (int round = 0; round < 300; round++) {
		char noise[64];

		rand_bytes(noise, sizeof(noise));
		load_bytes(str_make(noise, (size_t)round % sizeof(noise)));
	}
	buf_deinit(&sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml__tree_with_lines), cmocka_unit_test(test_yaml__merge_keys),
		cmocka_unit_test(test_yaml__faults),	      cmocka_unit_test(test_yaml__depth),
		cmocka_unit_test(test_yaml__alias_bomb),      cmocka_unit_test(test_yaml__merge_bomb),
		cmocka_unit_test(test_yaml__bounds),	      cmocka_unit_test(test_yaml__any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
