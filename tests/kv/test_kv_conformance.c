/* What every driver does, one caller at a time. */
#include "tests/kv/conformance.h"

#include <string.h>

#include "base/work.h"

static const struct str P = STR("p");

static void test_kv__get_set_delete(void **state)
{
	struct kv_fixture *f = *state;
	struct str v;

	assert_rc(kv_get(f->kv, KV_BLOCK, P, STR("k"), f->arena, &v, &f->err), NOT_FOUND);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
	assert_ok(kv_delete(f->kv, P, STR("k"), &f->err), f);
	assert_ok(kv_text_set(f, "p", "k", "one"), f);
	assert_string_equal(kv_text_get(f, "p", "k"), "one");
	assert_ok(kv_text_set(f, "p", "k", "two, longer"), f);
	assert_string_equal(kv_text_get(f, "p", "k"), "two, longer");
	assert_null(kv_text_get(f, "p", "k2"));
	assert_null(kv_text_get(f, "p2", "k"));
	assert_ok(kv_delete(f->kv, P, STR("k"), &f->err), f);
	assert_null(kv_text_get(f, "p", "k"));
	assert_ok(kv_delete(f->kv, P, STR("k"), &f->err), f);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "");
}

static void test_kv__a_value_is_a_copy(void **state)
{
	struct kv_fixture *f = *state;
	struct str v;
	char bytes[] = "before";

	assert_ok(kv_set(f->kv, P, STR("k"), str_make(bytes, 6), &f->err), f);
	memcpy(bytes, "after!", 6);
	assert_ok(kv_get(f->kv, KV_BLOCK, P, STR("k"), f->arena, &v, &f->err), f);
	assert_ok(kv_set(f->kv, P, STR("k"), STR("later"), &f->err), f);
	assert_true(str_eq(v, STR("before")));
}

static void test_kv__empty_values(void **state)
{
	struct kv_fixture *f = *state;
	struct str v = STR_NONE;

	assert_ok(kv_set(f->kv, P, STR("empty"), STR(""), &f->err), f);
	assert_ok(kv_set(f->kv, P, STR("none"), STR_NONE, &f->err), f);
	assert_ok(kv_get(f->kv, KV_BLOCK, P, STR("empty"), f->arena, &v, &f->err), f);
	assert_int_equal(v.n, 0);
	assert_non_null(v.p);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "empty= none=");
	assert_rc(kv_set_if(f->kv, P, STR("empty"), STR("x"), KV_IF_ABSENT, STR_NONE, &f->err),
		  PREDICATE);
	assert_ok(kv_set_if(f->kv, P, STR("empty"), STR("x"), KV_IF_VALUE, STR(""), &f->err), f);
	assert_string_equal(kv_text_get(f, "p", "empty"), "x");
}

static void test_kv__order_is_bytewise(void **state)
{
	struct kv_fixture *f = *state;
	static const struct str sorted[] = {
		STR("\0"),   STR("\0\0"),   STR("\0\xff"), STR("\1"),	    STR("/"),
		STR("0"),    STR("A"),	    STR("a"),	   STR("a\0"),	    STR("a\0b"),
		STR("a/"),   STR("a/b"),    STR("aa"),	   STR("\x7f"),	    STR("\x80"),
		STR("\xfe"), STR("\xfe\xff"), STR("\xff"), STR("\xff\0"), STR("\xff\xff"),
	};
	enum { N = sizeof(sorted) / sizeof(sorted[0]) };
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	for (size_t i = 0; i < N; i++) /* 7 and 20 have no common divisor */
		assert_ok(kv_set(f->kv, P, sorted[i * 7 % N], sorted[i * 7 % N], &f->err), f);
	assert_ok(kv_scan(f->kv, P, STR_NONE, N, &it, &f->err), f);
	for (size_t i = 0; i < N; i++) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		assert_false(end);
		assert_true(str_eq(e.key, sorted[i]));
		assert_true(str_eq(e.value, sorted[i]));
	}
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(end);
}

static struct str repeated(struct kv_fixture *f, char c, size_t n)
{
	char *p = arena_alloc(f->arena, n);

	memset(p, c, n);
	return str_make(p, n);
}

/* Pairs that a driver which merely joins partition and key would take for one, or mix in a scan. */
static void test_kv__partitions_are_apart(void **state)
{
	struct kv_fixture *f = *state;
	struct kv_entry pairs[] = {
		{STR("a"), STR("b/c")},
		{STR("a/b"), STR("c")},
		{STR("a/b/c"), STR("d")},
		{STR("ab"), STR("c")},
		{STR("abc"), STR("abc")},
		{STR("a\0"), STR("b")},
		{STR("\0a"), STR("b")},
		{STR("\0\1a"), STR("b")},
		{STR("\xff"), STR("\xff")},
		{STR("\xff\xff"), STR("\xff")},
		{STR("\xff\xff\xff"), STR("\xff")},
		{STR("\0"), STR("\0")},
		{repeated(f, 'x', 255), STR("k")},
		{repeated(f, 'x', 256), STR("k")},
		{repeated(f, 'x', 257), STR("k")},
		{repeated(f, '\xff', KV_PARTITION_MAX), STR("k")},
		{repeated(f, '\0', KV_PARTITION_MAX), STR("k")},
	};
	enum { N = sizeof(pairs) / sizeof(pairs[0]) };
	struct str v;

	for (size_t i = 0; i < N; i++)
		assert_ok(kv_set(f->kv, pairs[i].key, pairs[i].value,
				 arena_printf(f->arena, "%zu", i), &f->err),
			  f);
	for (size_t i = 0; i < N; i++) {
		struct str want = arena_printf(f->arena, "%zu", i);

		assert_ok(kv_get(f->kv, KV_BLOCK, pairs[i].key, pairs[i].value, f->arena, &v,
				 &f->err),
			  f);
		assert_true(str_eq(v, want));
		assert_string_equal(kv_text_scan(f, pairs[i].key, STR_NONE),
				    arena_printf(f->arena, "%.*s=%zu", STR_ARG(pairs[i].value), i)
					    .p);
	}
	assert_string_equal(kv_text_scan(f, STR("a/"), STR_NONE), "");
}

static void assert_round_trip(struct kv_fixture *f, struct str partition, struct str key,
			      struct str value)
{
	struct str v;

	assert_ok(kv_set(f->kv, partition, key, value, &f->err), f);
	assert_ok(kv_get(f->kv, KV_BLOCK, partition, key, f->arena, &v, &f->err), f);
	assert_true(str_eq(v, value));
}

static size_t least(size_t a, size_t b)
{
	return a && a < b ? a : b;
}

static void test_kv__big_values_and_keys(void **state)
{
	struct kv_fixture *f = *state;
	size_t most = least(f->row->value_max, KV_VALUE_MAX), big = least(most, 1 << 20);
	char *random = arena_alloc(f->arena, 1 << 20);
	uint32_t x = 1;

	for (size_t i = 0; i < 1 << 20; i++)
		random[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	assert_round_trip(f, P, STR("256k"), str_make(random, 256 << 10));
	assert_round_trip(f, P, STR("1m"), str_make(random, big));
	assert_round_trip(f, P, STR("max"), repeated(f, 'v', most));
	assert_round_trip(f, repeated(f, 'p', KV_PARTITION_MAX),
			  repeated(f, '\xff', least(f->row->key_max, KV_KEY_MAX)), STR("v"));
	assert_ok(kv_set_if(f->kv, P, STR("1m"), STR("small"), KV_IF_VALUE, str_make(random, big),
			    &f->err),
		  f);
	assert_string_equal(kv_text_get(f, "p", "1m"), "small");
}

static void assert_refused(struct kv_fixture *f, struct str partition, struct str key,
			   struct str value)
{
	struct str v;

	assert_rc(kv_set(f->kv, partition, key, value, &f->err), INVALID);
	assert_int_equal(f->err.code, ERR_INVALID);
	assert_rc(kv_set_if(f->kv, partition, key, value, KV_IF_ABSENT, STR_NONE, &f->err), INVALID);
	assert_rc(kv_set_guarded(f->kv, partition, key, value, P, STR("g"), STR("g"), &f->err),
		  INVALID);
	if (value.n)
		return; /* partition and key are right, then */
	assert_rc(kv_get(f->kv, KV_BLOCK, partition, key, f->arena, &v, &f->err), INVALID);
	assert_rc(kv_get(f->kv, KV_NOWAIT, partition, key, f->arena, &v, &f->err), INVALID);
	assert_rc(kv_delete(f->kv, partition, key, &f->err), INVALID);
	assert_rc(kv_set_guarded(f->kv, P, STR("k"), STR("v"), partition, key, STR("g"), &f->err),
		  INVALID);
}

static void test_kv__limits(void **state)
{
	struct kv_fixture *f = *state;
	struct kv_iter *it;

	assert_ok(kv_text_set(f, "p", "g", "g"), f);
	assert_refused(f, STR(""), STR("k"), STR(""));
	assert_refused(f, STR_NONE, STR("k"), STR(""));
	assert_refused(f, P, STR(""), STR(""));
	assert_refused(f, P, STR_NONE, STR(""));
	assert_refused(f, repeated(f, 'p', KV_PARTITION_MAX + 1), STR("k"), STR(""));
	assert_refused(f, P, repeated(f, 'k', KV_KEY_MAX + 1), STR(""));
	assert_refused(f, P, STR("k"), repeated(f, 'v', KV_VALUE_MAX + 1));
	assert_rc(kv_scan(f->kv, STR(""), STR_NONE, 0, &it, &f->err), INVALID);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "g=g");
}

static void test_kv__scan_from(void **state)
{
	struct kv_fixture *f = *state;

	for (const char *k = "bdfh"; *k; k++)
		assert_ok(kv_set(f->kv, P, str_make(k, 1), str_make(k, 1), &f->err), f);
	assert_ok(kv_text_set(f, "o", "z", "before"), f);
	assert_ok(kv_text_set(f, "q", "a", "after"), f);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "b=b d=d f=f h=h");
	assert_string_equal(kv_text_scan(f, P, STR("")), "b=b d=d f=f h=h");
	assert_string_equal(kv_text_scan(f, P, STR("d")), "d=d f=f h=h");
	assert_string_equal(kv_text_scan(f, P, STR("d\0")), "f=f h=h");
	assert_string_equal(kv_text_scan(f, P, STR("e")), "f=f h=h");
	assert_string_equal(kv_text_scan(f, P, STR("i")), "");
	assert_string_equal(kv_text_scan(f, P, repeated(f, '\xff', 2 * KV_KEY_MAX)), "");
	assert_string_equal(kv_text_scan(f, STR("none"), STR_NONE), "");
}

static struct str next_key(struct kv_fixture *f, struct kv_iter *it)
{
	struct kv_entry e = {0};
	bool end;

	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	return end ? STR_NONE : e.key;
}

static void assert_next(struct kv_fixture *f, struct kv_iter *it, const char *want)
{
	struct str got = next_key(f, it);

	if (!str_eq(got, str_c(want)) || !want != !got.p)
		fail_msg("next key: \"%.*s\", expected \"%s\"", STR_ARG(got), want ? want : "(end)");
}

static void test_kv__seek(void **state)
{
	struct kv_fixture *f = *state;
	static const char *const keys[] = {"a", "b/1", "b/2", "b/3", "c", "d", "e"};
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str at_hand;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_ok(kv_text_set(f, "p", keys[i], ""), f);
	assert_ok(kv_text_set(f, "q", "f", ""), f);
	assert_ok(kv_scan(f->kv, P, STR("a"), 2, &it, &f->err), f);
	assert_next(f, it, "a");
	/* The place to seek to may be the iterator's own memory. */
	at_hand = next_key(f, it);
	assert_ok(kv_iter_seek(it, at_hand, &f->err), f);
	assert_next(f, it, "b/1");
	assert_ok(kv_iter_seek(it, STR("b0"), &f->err), f);
	assert_next(f, it, "c");
	assert_ok(kv_iter_seek(it, STR("d"), &f->err), f);
	assert_ok(kv_iter_seek(it, STR("d"), &f->err), f);
	assert_next(f, it, "d");
	assert_next(f, it, "e");
	assert_next(f, it, NULL);
	assert_next(f, it, NULL);
	assert_ok(kv_iter_seek(it, STR("f"), &f->err), f);
	assert_next(f, it, NULL);
	assert_next(f, it, NULL);
}

static void test_kv__the_end_stays_the_end(void **state)
{
	struct kv_fixture *f = *state;
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;

	assert_ok(kv_text_set(f, "p", "a", ""), f);
	assert_ok(kv_scan(f->kv, P, STR_NONE, 0, &it, &f->err), f);
	assert_next(f, it, "a");
	assert_next(f, it, NULL);
	assert_ok(kv_text_set(f, "p", "b", ""), f);
	assert_next(f, it, NULL);
}

static struct str numbered(struct kv_fixture *f, const char *prefix, int i)
{
	return arena_printf(f->arena, "%s%05d", prefix, i);
}

/* Everything that was there before is seen once, in order, whatever is written meanwhile. */
static void test_kv__scan_while_writing(void **state)
{
	struct kv_fixture *f = *state;
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	int n = f->row->slow ? 150 : 1000, seen = 0;
	struct kv_entry e;
	bool end;

	for (int i = 0; i < n; i++)
		assert_ok(kv_set(f->kv, P, numbered(f, "k", i), STR("old"), &f->err), f);
	assert_ok(kv_scan(f->kv, P, STR_NONE, 0, &it, &f->err), f);
	for (;;) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		if (end)
			break;
		if (str_starts(e.key, STR("z")))
			continue;
		assert_true(str_eq(e.key, numbered(f, "k", seen)));
		assert_ok(kv_set(f->kv, P, numbered(f, "a", seen), STR("new"), &f->err), f);
		assert_ok(kv_set(f->kv, P, numbered(f, "z", seen), STR("new"), &f->err), f);
		assert_ok(kv_delete(f->kv, P, numbered(f, "k", seen), &f->err), f);
		seen++;
	}
	assert_int_equal(seen, n);
}

/* What was there when the scan was made, wherever it goes. */
static void test_kv__scan_of_a_moment(void **state)
{
	const struct str prefixes[KV_MOMENT_PREFIXES] = {STR("b"), STR("t")};
	struct kv_fixture *f = *state;
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	const int n = f->row->moment_max ? f->row->moment_max : f->row->slow ? 600 : 3000;
	struct kv_entry e;
	bool end;

	assert_ok(kv_set(f->kv, P, STR("a"), STR("before"), &f->err), f);
	assert_ok(kv_set(f->kv, P, STR("c"), STR("between"), &f->err), f);
	assert_ok(kv_set(f->kv, STR("q"), STR("b"), STR("elsewhere"), &f->err), f);
	for (int i = 0; i < n; i++)
		assert_ok(kv_set(f->kv, P, numbered(f, i % 2 ? "b" : "t", i), STR("old"), &f->err), f);
	assert_ok(kv_scan_moment(f->kv, P, prefixes, &it, &f->err), f);
	assert_ok(kv_iter_seek(it, STR("b"), &f->err), f);
	for (int i = 0; i < n; i++) {
		struct str key = numbered(f, i % 2 ? "b" : "t", i);

		if (i % 3)
			assert_ok(kv_set(f->kv, P, key, STR("new"), &f->err), f);
		else
			assert_ok(kv_delete(f->kv, P, key, &f->err), f);
		assert_ok(kv_set(f->kv, P, arena_printf(f->arena, STR_FMT "-", STR_ARG(key)), STR("new"), &f->err), f);
	}
	for (int i = 1; i < n; i += 2) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		assert_true(!end && str_eq(e.key, numbered(f, "b", i)) && str_eq(e.value, STR("old")));
	}
	assert_ok(kv_iter_seek(it, STR("t"), &f->err), f);
	for (int i = 0; i < n; i += 2) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		assert_true(!end && str_eq(e.key, numbered(f, "t", i)) && str_eq(e.value, STR("old")));
	}
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(end);
	kv_iter_close(it);
	it = NULL;
	if (f->row->moment_max) /* now there are more */
		assert_rc(kv_scan_moment(f->kv, P, prefixes, &it, &f->err), UNSUPPORTED);
	assert_ok(kv_scan_moment(f->kv, STR("none"), prefixes, &it, &f->err), f);
	assert_ok(kv_iter_seek(it, STR("b"), &f->err), f);
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(end);
}

static void test_kv__set_if(void **state)
{
	struct kv_fixture *f = *state;
	struct kv *kv = f->kv;
	struct str k = STR("k"), no = STR_NONE;

	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_PRESENT, no, &f->err), PREDICATE);
	assert_int_equal(f->err.code, ERR_PREDICATE);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_VALUE, STR("1"), &f->err), PREDICATE);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_VALUE, STR(""), &f->err), PREDICATE);
	assert_null(kv_text_get(f, "p", "k"));
	assert_ok(kv_set_if(kv, P, k, STR("1"), KV_IF_ABSENT, no, &f->err), f);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_ABSENT, no, &f->err), PREDICATE);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_VALUE, STR("10"), &f->err), PREDICATE);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_VALUE, STR(""), &f->err), PREDICATE);
	assert_string_equal(kv_text_get(f, "p", "k"), "1");
	assert_ok(kv_set_if(kv, P, k, STR("2"), KV_IF_PRESENT, no, &f->err), f);
	assert_ok(kv_set_if(kv, P, k, STR("3\0\xff"), KV_IF_VALUE, STR("2"), &f->err), f);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_VALUE, STR("3\0"), &f->err), PREDICATE);
	assert_ok(kv_set_if(kv, P, k, STR("4"), KV_IF_VALUE, STR("3\0\xff"), &f->err), f);
	assert_ok(kv_set_if(kv, P, k, STR("4"), KV_IF_VALUE, STR("4"), &f->err), f);
	assert_string_equal(kv_text_get(f, "p", "k"), "4");
	assert_ok(kv_delete(kv, P, k, &f->err), f);
	assert_rc(kv_set_if(kv, P, k, STR("x"), KV_IF_VALUE, STR("4"), &f->err), PREDICATE);
	assert_ok(kv_set_if(kv, P, k, STR("5"), KV_IF_ABSENT, no, &f->err), f);
	assert_string_equal(kv_text_get(f, "p", "k"), "5");
}

static void test_kv__set_guarded(void **state)
{
	struct kv_fixture *f = *state;
	struct kv *kv = f->kv;
	struct str g = STR("guard"), k = STR("k");

	if (!kv_has_guarded(kv)) {
		assert_rc(kv_set_guarded(kv, P, k, STR("1"), P, g, STR("on"), &f->err),
			  UNSUPPORTED);
		return;
	}
	assert_rc(kv_set_guarded(kv, P, k, STR("1"), P, g, STR("on"), &f->err), PREDICATE);
	assert_rc(kv_set_guarded(kv, P, k, STR("1"), P, g, STR(""), &f->err), PREDICATE);
	assert_null(kv_text_get(f, "p", "k"));
	assert_ok(kv_set(kv, P, g, STR("on"), &f->err), f);
	assert_ok(kv_set_guarded(kv, P, k, STR("1"), P, g, STR("on"), &f->err), f);
	assert_ok(kv_set_guarded(kv, STR("q"), k, STR("2"), P, g, STR("on"), &f->err), f);
	assert_rc(kv_set_guarded(kv, P, k, STR("x"), P, g, STR("o"), &f->err), PREDICATE);
	assert_rc(kv_set_guarded(kv, P, k, STR("x"), STR("q"), g, STR("on"), &f->err), PREDICATE);
	assert_string_equal(kv_text_get(f, "p", "k"), "1");
	assert_string_equal(kv_text_get(f, "q", "k"), "2");
	assert_string_equal(kv_text_get(f, "p", "guard"), "on");
	assert_ok(kv_set_guarded(kv, P, g, STR("off"), P, g, STR("on"), &f->err), f);
	assert_rc(kv_set_guarded(kv, P, k, STR("x"), P, g, STR("on"), &f->err), PREDICATE);
	assert_ok(kv_delete(kv, P, g, &f->err), f);
	assert_rc(kv_set_guarded(kv, P, k, STR("x"), P, g, STR("off"), &f->err), PREDICATE);
	assert_string_equal(kv_text_get(f, "p", "k"), "1");
}

static struct kv_write plain_write(const char *key, const char *value)
{
	return (struct kv_write){.partition = P, .key = str_c(key), .value = str_c(value)};
}

static struct kv_write guarded_write(const char *key, const char *value, const char *guard,
				     const char *guard_value)
{
	struct kv_write w = plain_write(key, value);

	w.has_guard = true;
	w.guard_partition = P;
	w.guard_key = str_c(guard);
	w.guard_value = str_c(guard_value);
	return w;
}

static void test_kv__write_many_sets(void **state)
{
	struct kv_fixture *f = *state;
	struct err errs[6] = {0};
	struct kv_write w[] = {
		plain_write("a", "1"),	   plain_write("b", "2"), plain_write("", "no key"),
		plain_write("twice", "x"), plain_write("c", "3"), plain_write("twice", "last"),
	};

	for (size_t i = 0; i < 6; i++)
		w[i].err = &errs[i];
	w[4].result = RC(IncompleteBody);
	w[1].value = STR_NONE;
	kv_write_many(f->kv, w, 6);
	assert_rc(w[2].result, INVALID);
	assert_int_equal(errs[2].code, ERR_INVALID);
	assert_rc(w[4].result, IncompleteBody);
	for (size_t i = 0; i < 6; i++)
		if (i != 2 && i != 4)
			assert_ok(w[i].result, f);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "a=1 b= twice=last");
	kv_write_many(f->kv, w, 0);
	kv_write_many(f->kv, w + 4, 1);
	assert_rc(w[4].result, IncompleteBody);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "a=1 b= twice=last");
}

static void test_kv__write_many_deletes(void **state)
{
	struct kv_fixture *f = *state;
	struct kv_write w[] = {
		plain_write("a", ""),	plain_write("absent", ""), plain_write("b", "new"),
		plain_write("c", "3"), plain_write("c", ""),	   plain_write("d", ""),
		plain_write("d", "4"),
	};

	for (size_t i = 0; i < 7; i++)
		w[i].remove = i < 2 || i == 4 || i == 5;
	assert_ok(kv_text_set(f, "p", "a", "1"), f);
	assert_ok(kv_text_set(f, "p", "b", "2"), f);
	assert_ok(kv_text_set(f, "p", "d", "x"), f);
	kv_write_many(f->kv, w, 7);
	for (size_t i = 0; i < 7; i++)
		assert_ok(w[i].result, f);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "b=new d=4");
}

static void test_kv__write_many_guarded(void **state)
{
	struct kv_fixture *f = *state;
	struct err errs[8] = {0};
	struct kv_write w[] = {
		guarded_write("a", "1", "g1", "on"),   guarded_write("b", "2", "g1", "off"),
		guarded_write("c", "3", "g2", "two"),  guarded_write("d", "4", "none", ""),
		plain_write("e", "5"),		       guarded_write("f", "6", "g1", "on"),
		guarded_write("g", "7", "g1", "off"),  guarded_write("a", "8", "g2", "two"),
	};
	static const bool fails[8] = {[1] = true, [3] = true, [6] = true};

	if (!kv_has_guarded(f->kv)) {
		kv_write_many(f->kv, w, 8);
		assert_rc(w[0].result, UNSUPPORTED);
		assert_ok(w[4].result, f);
		return;
	}
	for (size_t i = 0; i < 8; i++)
		w[i].err = i == 1 ? NULL : &errs[i];
	assert_ok(kv_text_set(f, "p", "g1", "on"), f);
	assert_ok(kv_text_set(f, "p", "g2", "two"), f);
	kv_write_many(f->kv, w, 8);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(w[i].result.code, fails[i] ? ERR_PREDICATE : ERR_NONE);
		if (fails[i] && i != 1)
			assert_int_equal(errs[i].code, ERR_PREDICATE);
	}
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "a=8 c=3 e=5 f=6 g1=on g2=two");
}

static void test_kv__write_then_read(void **state)
{
	struct kv_fixture *f = *state;
	struct err errs[4] = {0};
	struct kv_write w[] = {plain_write("a", "1"), plain_write("b", "2"), plain_write("gone", ""),
			       plain_write("a", "last"), plain_write("", "no key")};
	struct kv_read r[] = {{.partition = P, .key = STR("a")},
			      {.partition = P, .key = STR("there")},
			      {.partition = P, .key = STR("gone")},
			      {.partition = P, .key = STR("none")}};

	for (size_t i = 0; i < 4; i++) {
		r[i].a = f->arena;
		r[i].err = &errs[i];
	}
	w[2].remove = true;
	assert_ok(kv_text_set(f, "p", "there", "still"), f);
	assert_ok(kv_text_set(f, "p", "gone", "before"), f);
	kv_write_then_read(f->kv, w, 5, r, 4);
	for (size_t i = 0; i < 4; i++)
		assert_ok(w[i].result, f);
	assert_rc(w[4].result, INVALID);
	assert_ok(r[0].result, f);
	assert_true(str_eq(r[0].value, STR("last")));
	assert_ok(r[1].result, f);
	assert_true(str_eq(r[1].value, STR("still")));
	assert_rc(r[2].result, NOT_FOUND);
	assert_rc(r[3].result, NOT_FOUND);
	assert_int_equal(errs[3].code, ERR_NOT_FOUND);
	assert_string_equal(kv_text_scan(f, P, STR_NONE), "a=last b=2 there=still");
	/* Nothing to write, or nothing that can be. */
	kv_write_then_read(f->kv, w + 4, 1, r, 1);
	assert_ok(r[0].result, f);
	kv_write_then_read(f->kv, NULL, 0, r + 1, 1);
	assert_true(str_eq(r[1].value, STR("still")));
	kv_write_then_read(f->kv, w, 1, NULL, 0);
	assert_string_equal(kv_text_get(f, "p", "a"), "1");
}

/* More than a driver may want to send at once. */
static void test_kv__write_many_big(void **state)
{
	struct kv_fixture *f = *state;
	enum { N = 24, BIG = 3 << 20 };
	struct str big = repeated(f, 'x', BIG), got;
	struct kv_write w[N + 1];
	struct kv_read r = {.partition = P, .key = STR("k23"), .a = f->arena};

	if (!str_eq(str_c(f->row->name), STR("postgres")))
		return;
	for (int i = 0; i < N; i++)
		w[i] = (struct kv_write){
			.partition = P, .key = arena_printf(f->arena, "k%02d", i), .value = big};
	w[N] = plain_write("k00", "");
	w[N].remove = true;
	kv_write_then_read(f->kv, w, N + 1, &r, 1);
	for (int i = 0; i <= N; i++)
		assert_ok(w[i].result, f);
	assert_ok(r.result, f);
	assert_true(str_eq(r.value, big));
	assert_rc(kv_get(f->kv, KV_BLOCK, P, STR("k00"), f->arena, &got, &f->err), NOT_FOUND);
}

static void test_kv__write_many_at_its_bound(void **state)
{
	struct kv_fixture *f = *state;
	struct kv_write *w = arena_zalloc(f->arena, KV_WRITES_MAX * sizeof(*w));
	char big[600];

	memset(big, 'k', sizeof(big));
	for (int i = 0; i < KV_WRITES_MAX; i++) {
		char *guard = arena_cstr(f->arena, arena_printf(f->arena, "g%d", i));

		w[i] = guarded_write("", "v", guard, "on");
		w[i].key = arena_printf(f->arena, "%.*s%04d", i % 2 ? 600 : 1, big, i);
		if (!kv_has_guarded(f->kv))
			w[i].has_guard = false;
		else if (i % 3)
			assert_ok(kv_text_set(f, "p", guard, "on"), f);
	}
	kv_write_many(f->kv, w, KV_WRITES_MAX);
	for (int i = 0; i < KV_WRITES_MAX; i++) {
		bool written = i % 3 || !w[i].has_guard;
		struct str v;

		assert_int_equal(w[i].result.code, written ? ERR_NONE : ERR_PREDICATE);
		assert_int_equal(kv_get(f->kv, KV_BLOCK, P, w[i].key, f->arena, &v, NULL).code,
				 written ? ERR_NONE : ERR_NOT_FOUND);
	}
}

/* WOULD_BLOCK is always allowed; any other answer must be the right one. */
static void test_kv__nowait_on_a_loop(void **state)
{
	struct kv_fixture *f = *state;
	struct str v = STR_NONE;
	rc there, absent;

	assert_ok(kv_text_set(f, "p", "k", "v"), f);
	thread_is_loop(true);
	there = kv_get(f->kv, KV_NOWAIT, P, STR("k"), f->arena, &v, &f->err);
	absent = kv_get(f->kv, KV_NOWAIT, P, STR("none"), f->arena, &v, &f->err);
	thread_is_loop(false);
	if (f->kv->ops->has_nowait) {
		assert_ok(there, f); /* just written: in memory */
		assert_true(str_eq(v, STR("v")));
		assert_rc(absent, NOT_FOUND);
	} else {
		assert_rc(there, WOULD_BLOCK);
		assert_rc(absent, WOULD_BLOCK);
	}
}

/* --- random calls against a model: an array of what each of a few keys should hold --- */

enum { MODEL_PARTITIONS = 3, MODEL_KEYS = 40 };

struct model {
	int value[MODEL_PARTITIONS][MODEL_KEYS]; /* -1: absent */
	uint32_t random;
};

static unsigned draw(struct model *m, unsigned below)
{
	m->random = m->random * 1664525 + 1013904223;
	return (m->random >> 8) % below;
}

static struct str model_partition(struct kv_fixture *f, unsigned p)
{
	return str_head(STR("abc"), p + 1);
}

static void model_write(struct kv_fixture *f, struct model *m, int n)
{
	unsigned p = draw(m, MODEL_PARTITIONS), k = draw(m, MODEL_KEYS), guess = draw(m, 4);
	int *at = &m->value[p][k], old = *at;
	struct str part = model_partition(f, p), key = numbered(f, "", (int)k);
	struct str value = numbered(f, "v", n), was = numbered(f, "v", guess ? old : n + 1);
	bool hit = true;
	rc r;

	switch (draw(m, 6)) {
	case 0:
		assert_ok(kv_delete(f->kv, part, key, &f->err), f);
		*at = -1;
		return;
	case 1:
		hit = old < 0;
		r = kv_set_if(f->kv, part, key, value, KV_IF_ABSENT, STR_NONE, &f->err);
		break;
	case 2:
		hit = old >= 0;
		r = kv_set_if(f->kv, part, key, value, KV_IF_PRESENT, STR_NONE, &f->err);
		break;
	case 3:
		hit = old >= 0 && guess;
		r = kv_set_if(f->kv, part, key, value, KV_IF_VALUE, was, &f->err);
		break;
	case 4:
		if (kv_has_guarded(f->kv)) {
			unsigned g = draw(m, MODEL_KEYS);
			int guard = m->value[p][g];

			hit = guard >= 0 && guess;
			r = kv_set_guarded(f->kv, part, key, value, part, numbered(f, "", (int)g),
					   numbered(f, "v", guess ? guard : n + 1), &f->err);
			break;
		}
		[[fallthrough]];
	default:
		r = kv_set(f->kv, part, key, value, &f->err);
	}
	if (hit)
		assert_ok(r, f);
	else
		assert_rc(r, PREDICATE);
	if (hit)
		*at = n;
}

static void model_compare(struct kv_fixture *f, struct model *m)
{
	unsigned p = draw(m, MODEL_PARTITIONS), from = draw(m, MODEL_KEYS);
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	assert_ok(kv_scan(f->kv, model_partition(f, p), numbered(f, "", (int)from), draw(m, 50),
			  &it, &f->err),
		  f);
	for (unsigned k = from; k < MODEL_KEYS; k++) {
		if (m->value[p][k] < 0)
			continue;
		if (draw(m, 8) == 0)
			assert_ok(kv_iter_seek(it, numbered(f, "", (int)k), &f->err), f);
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		assert_false(end);
		assert_true(str_eq(e.key, numbered(f, "", (int)k)));
		assert_true(str_eq(e.value, numbered(f, "v", m->value[p][k])));
	}
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(end);
}

static void test_kv__random_calls_equal_a_model(void **state)
{
	struct kv_fixture *f = *state;
	struct model m = {.random = 42};
	int n = f->row->slow ? 1500 : 20000;

	memset(m.value, -1, sizeof(m.value));
	for (int i = 0; i < n; i++) {
		struct arena_mark mark = arena_mark(f->arena);

		model_write(f, &m, i);
		if (i % 10 == 0)
			model_compare(f, &m);
		arena_rewind(f->arena, mark);
	}
}

/* All partitions from `from` on, each once, as "name name". */
static const char *partitions(struct kv_fixture *f, struct str from)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str list = STR("");
	struct kv_entry e;
	bool end;

	assert_ok(kv_partitions(f->kv, from, &it, &f->err), f);
	for (;;) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		if (end)
			break;
		assert_int_equal(e.value.n, 0);
		list = arena_printf(f->arena, "%.*s%s%.*s", STR_ARG(list), list.n ? " " : "",
				    STR_ARG(e.key));
	}
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(end);
	return list.p;
}

static void test_kv__partitions(void **state)
{
	struct kv_fixture *f = *state;
	static const char *const names[] = {"graveler", "a", "b", "aa", "ab", "zz", "a/b", "long-one", "~"};
	struct kv_iter *it;

	if (!f->kv->ops->partitions) {
		assert_rc(kv_partitions(f->kv, STR_NONE, &it, &f->err), UNSUPPORTED);
		return;
	}
	assert_string_equal(partitions(f, STR_NONE), "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_ok(kv_text_set(f, names[i], "k", "v"), f);
		assert_ok(kv_text_set(f, names[i], "\xff", ""), f);
	}
	assert_string_equal(partitions(f, STR_NONE), "a a/b aa ab b graveler long-one zz ~");
	assert_string_equal(partitions(f, STR("a")), "a a/b aa ab b graveler long-one zz ~");
	assert_string_equal(partitions(f, STR("a\0")), "a/b aa ab b graveler long-one zz ~");
	assert_string_equal(partitions(f, STR("ab")), "ab b graveler long-one zz ~");
	assert_string_equal(partitions(f, STR("abc")), "b graveler long-one zz ~");
	assert_string_equal(partitions(f, STR("graveler-and-more")), "long-one zz ~");
	assert_string_equal(partitions(f, STR("\x7f")), "");
	assert_ok(kv_delete(f->kv, STR("b"), STR("k"), &f->err), f);
	assert_string_equal(partitions(f, STR("ab")), "ab b graveler long-one zz ~");
	assert_ok(kv_delete(f->kv, STR("b"), STR("\xff"), &f->err), f);
	assert_ok(kv_delete(f->kv, STR("~"), STR("k"), &f->err), f);
	assert_ok(kv_delete(f->kv, STR("~"), STR("\xff"), &f->err), f);
	assert_string_equal(partitions(f, STR("ab")), "ab graveler long-one zz");
	assert_ok(kv_partitions(f->kv, STR("a"), &it, &f->err), f);
	assert_next(f, it, "a");
	assert_ok(kv_iter_seek(it, next_key(f, it), &f->err), f);
	assert_next(f, it, "a/b");
	assert_ok(kv_iter_seek(it, STR("h"), &f->err), f);
	assert_next(f, it, "long-one");
	kv_iter_close(it);
}

/* Names that are hard to find one's way between; and what is deleted meanwhile. */
static void test_kv__odd_partitions(void **state)
{
	struct kv_fixture *f = *state;
	const struct str sorted[] = {
		STR("\0"), STR("\0\0"), STR("\0\xff"), STR("a"), STR("a\0"), STR("a\xff"), STR("a\xff\xff"),
		STR("b"), repeated(f, 'x', 255), repeated(f, 'x', 256), repeated(f, 'x', KV_PARTITION_MAX),
		STR("\xff"), STR("\xff\0"), STR("\xff\xff"), repeated(f, '\xff', KV_PARTITION_MAX),
	};
	enum { N = sizeof(sorted) / sizeof(sorted[0]) };
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	if (!f->kv->ops->partitions)
		return;
	for (size_t i = 0; i < N; i++) /* 7 and 15 have no common divisor */
		assert_ok(kv_set(f->kv, sorted[i * 7 % N], STR("k"), STR("v"), &f->err), f);
	assert_ok(kv_partitions(f->kv, STR_NONE, &it, &f->err), f);
	for (size_t i = 0; i < N; i++) {
		assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
		assert_false(end);
		assert_true(str_eq(e.key, sorted[i]));
		assert_ok(kv_delete(f->kv, sorted[i], STR("k"), &f->err), f);
	}
	assert_ok(kv_iter_next(it, &e, &end, &f->err), f);
	assert_true(end);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_kv__##name, kv_setup, kv_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(get_set_delete),
		TEST(a_value_is_a_copy),
		TEST(empty_values),
		TEST(order_is_bytewise),
		TEST(partitions_are_apart),
		TEST(big_values_and_keys),
		TEST(limits),
		TEST(scan_from),
		TEST(seek),
		TEST(the_end_stays_the_end),
		TEST(scan_while_writing),
		TEST(scan_of_a_moment),
		TEST(set_if),
		TEST(set_guarded),
		TEST(write_many_sets),
		TEST(write_many_deletes),
		TEST(write_many_guarded),
		TEST(write_then_read),
		TEST(write_many_big),
		TEST(write_many_at_its_bound),
		TEST(partitions),
		TEST(odd_partitions),
		TEST(nowait_on_a_loop),
		TEST(random_calls_equal_a_model),
	};

	return kv_run_rows(tests, sizeof(tests) / sizeof(tests[0]));
}
