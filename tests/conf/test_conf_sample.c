#include "tests/conf/conf_test.h"

#include "conf/table.h"

static struct loaded load_buf(struct buf *b)
{
	buf_add_c(b, 0);
	b->n--;
	return load_good(b->p);
}

static void test_sample__loads(void **state)
{
	struct buf b = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct loaded l;

	conf_sample(&b);
	conf_sample(&again);
	assert_false(b.overflow);
	assert_false(str_eq(buf_str(&b), buf_str(&again))); /* secrets of its own */
	l = load_buf(&b);
	assert_int_equal(l.findings.n, 0);
	assert_int_equal(l.conf->blockstores.stores_n, 1);
	assert_int_equal(l.conf->auth.encrypt.secret_key.n, 64);
	unload(&l);
	buf_deinit(&b);
	buf_deinit(&again);
}

/* Every key of the sample without its '#': the defaults, said aloud. */
static void test_sample__loads_uncommented(void **state)
{
	struct buf b = BUF_INIT(1 << 20), all = BUF_INIT(1 << 20);
	struct str rest;
	struct loaded l;

	conf_sample(&b);
	rest = buf_str(&b);
	while (rest.p) {
		struct str line = str_cut(rest, '\n', &rest);
		size_t hash = str_index(line, '#');

		buf_add(&all, str_head(line, hash));
		if (hash < line.n && line.p[hash + 1] != ' ')
			buf_add(&all, str_skip(line, hash + 1));
		else if (hash < line.n)
			buf_add(&all, str_skip(line, hash));
		buf_add_c(&all, '\n');
	}
	l = load_buf(&all);
	assert_int_equal(count(&l, true), 3); /* sections of other stores */
	assert_int_equal(l.conf->server.data_workers, 32);
	assert_str(l.conf->logging.output.v[0], "-");
	unload(&l);
	buf_deinit(&b);
	buf_deinit(&all);
}

static void test_sample__has_every_key(void **state)
{
	struct buf sample = BUF_INIT(1 << 20), page = BUF_INIT(1 << 20);

	conf_sample(&sample);
	conf_reference(&page);
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *k = &conf_keys[i];
		struct str s = buf_str(&sample), p = buf_str(&page);
		const char *dot = strrchr(k->path, '.');
		char last[100], full[100];

		snprintf(last, sizeof(last), "%s:", dot ? dot + 1 : k->path);
		snprintf(full, sizeof(full), "%s`", k->path);
		assert_true(str_find(p, str_c(full)) < p.n);
		if (!(k->flags & KEY_IGNORED))
			assert_true(str_find(s, str_c(last)) < s.n);
		assert_true(strlen(k->doc) > 10);
	}
	buf_deinit(&sample);
	buf_deinit(&page);
}

static void test_sample__reference_is_up_to_date(void **state)
{
	const char *source = getenv("SLUICE_SOURCE");
	struct buf page = BUF_INIT(1 << 20), file = BUF_INIT(1 << 20);
	char path[1024];
	size_t n;
	FILE *f;

	if (!source)
		skip();
	snprintf(path, sizeof(path), "%s/docs/reference/configuration.md", source);
	f = fopen(path, "r");
	assert_non_null(f);
	while ((n = fread(buf_reserve(&file, 4096), 1, 4096, f)) > 0)
		file.n += n;
	fclose(f);
	conf_reference(&page);
	if (!str_eq(buf_str(&page), buf_str(&file)))
		fail_msg("write it anew: sluice config reference > "
			 "docs/reference/configuration.md");
	buf_deinit(&page);
	buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample__loads),
		cmocka_unit_test(test_sample__loads_uncommented),
		cmocka_unit_test(test_sample__has_every_key),
		cmocka_unit_test(test_sample__reference_is_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
