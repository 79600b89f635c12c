/* Dumps: written, read, loaded; damaged in every byte, cut at every length; and lakeFS's. */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kv/dump.h"
#include "tests/kv/migrating.h"

struct fixture {
	struct kv *kv;
	struct arena *arena;
	struct err err;
	char folder[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->kv = kv_mem_new();
	f->arena = arena_new();
	scratch_new(f->folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kv_free(f->kv);
	arena_free(f->arena);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

static const char *path(struct fixture *f)
{
	return arena_printf(f->arena, "%s/kv.dump", f->folder).p;
}

static rc dump(struct fixture *f, const struct kv_dump *more, struct kv_totals *t)
{
	struct kv_stream *s = kv_stream_new(f->kv);
	struct kv_dump d = more ? *more : (struct kv_dump){};
	rc r;

	d.from = s;
	d.by = STR("a test");
	r = kv_dump_file(&d, path(f), t, &f->err);
	kv_stream_free(s);
	return r;
}

static struct str read_file(struct fixture *f)
{
	FILE *in = fopen(path(f), "rb");
	char *p;
	long n;

	assert_non_null(in);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	n = ftell(in);
	rewind(in);
	p = arena_alloc(f->arena, (size_t)n + 1);
	assert_int_equal(fread(p, 1, (size_t)n, in), n);
	fclose(in);
	return str_make(p, (size_t)n);
}

static rc open_bytes(struct str bytes, struct kv_stream **ret, struct err *reterr)
{
	FILE *in = fmemopen(bytes.n ? (void *)bytes.p : "", bytes.n ? bytes.n : 1, "rb");

	assert_non_null(in);
	if (!bytes.n)
		(void)fgetc(in);
	return kv_dump_open(in, "FILE", ret, reterr);
}

/* All of it. */
static rc check_bytes(struct str bytes, struct err *reterr)
{
	struct kv_stream *s;
	struct kv_record r;
	bool end = false;
	rc result;

	TRY(open_bytes(bytes, &s, reterr));
	result = s->ops->begin(s, STR_NONE, STR_NONE, reterr);
	while (rc_ok(result) && !end)
		result = s->ops->next(s, &r, &end, reterr);
	kv_stream_free(s);
	return result;
}

static unsigned seen;
static int count_one(const char *p, const struct stat *st, int type, struct FTW *at)
{
	seen += type == FTW_F;
	return 0;
}

static unsigned count_files(struct fixture *f)
{
	seen = 0;
	nftw(f->folder, count_one, 8, FTW_PHYS);
	return seen;
}

static void test_dump__round_trip(void **state)
{
	struct fixture *f = *state;
	struct kv *to = kv_mem_new();
	struct kv_migration m = {.to = to, .name = STR("a dump")};
	struct kv_migrated out;
	struct kv_totals t;
	struct kv_stream *s;
	FILE *in;

	fill(f->kv, 500);
	assert_ok(dump(f, NULL, &t), f);
	assert_int_equal(t.records, 501);
	assert_int_equal(t.partitions, 6);
	assert_int_equal(count_files(f), 1);
	in = fopen(path(f), "rb");
	assert_ok(kv_dump_open(in, path(f), &s, &f->err), f);
	m.from = s;
	assert_ok(kv_migrate(&m, &out, &f->err), f);
	assert_string_equal(everything(f->kv, f->arena), everything(to, f->arena));
	assert_memory_equal(out.source.digest, t.digest, KV_DIGEST_SIZE);
	kv_stream_free(s);
	kv_free(to);
}

static void test_dump__shape(void **state)
{
	struct fixture *f = *state;
	struct kv_totals t;
	struct str all, rest;

	assert_ok(kv_set(f->kv, STR("graveler"), STR("repos/\"x\""), STR("\1\2\3"), &f->err), f);
	assert_ok(kv_set(f->kv, STR("graveler"), STR("repos/\xff"), STR(""), &f->err), f);
	assert_ok(kv_set(f->kv, STR("z\0"), STR("k\x7f"), STR(""), &f->err), f);
	assert_ok(dump(f, NULL, &t), f);
	all = read_file(f);
	assert_true(str_starts(str_cut(all, '\n', &rest), STR("{\"sluice_kv_dump\":1,\"id\":\"")));
	assert_true(str_eq(str_cut(rest, '\n', &rest), STR("{\"partition\":\"graveler\"}")));
	assert_true(str_starts(str_cut(rest, '\n', &rest),
			       STR("{\"key\":\"repos/\\\"x\\\"\",\"value\":\"AQID\",\"crc32c\":\"")));
	assert_true(str_starts(str_cut(rest, '\n', &rest), STR("{\"key64\":\"cmVwb3Mv/w==\",\"value\":\"\",")));
	assert_true(str_starts(str_cut(rest, '\n', &rest), STR("{\"records\":2,\"sha256\":\"")));
	assert_true(str_eq(str_cut(rest, '\n', &rest), STR("{\"partition64\":\"egA=\"}")));
	assert_true(str_starts(str_cut(rest, '\n', &rest), STR("{\"key64\":\"a38=\",")));
	assert_true(str_starts(str_cut(rest, '\n', &rest), STR("{\"records\":1,")));
	assert_true(str_starts(str_cut(rest, '\n', &rest), STR("{\"partitions\":2,\"records\":3,\"digest\":\"")));
	assert_int_equal(rest.n, 0);
	assert_ok(check_bytes(all, &f->err), f);
}

static void test_dump__empty(void **state)
{
	struct fixture *f = *state;
	struct kv_totals t;

	assert_ok(dump(f, NULL, &t), f);
	assert_int_equal(t.records, 0);
	assert_ok(check_bytes(read_file(f), &f->err), f);
}

static struct str small_dump(struct fixture *f)
{
	struct kv_totals t;

	fill(f->kv, 12);
	assert_ok(dump(f, NULL, &t), f);
	return read_file(f);
}

static void assert_refused(struct fixture *f, struct str bytes, const char *what, size_t at)
{
	rc r = check_bytes(bytes, &f->err);

	if (rc_ok(r))
		fail_msg("%s at %zu was not noticed", what, at);
	if (!rc_is(r, CORRUPT) && !rc_is(r, INVALID) && !rc_is(r, CONFIG))
		fail_msg("%s at %zu: %s", what, at, f->err.msg);
	assert_non_null(strstr(f->err.msg, "FILE"));
}

static void test_dump__every_byte_damaged(void **state)
{
	struct fixture *f = *state;
	struct str good = small_dump(f);
	char *bad = arena_alloc(f->arena, good.n + 1);

	for (size_t i = 0; i < good.n; i++) {
		static const unsigned char flips[] = {1, 0x20, 0x80, 0xff};

		for (size_t k = 0; k < sizeof(flips); k++) {
			memcpy(bad, good.p, good.n);
			bad[i] = (char)((unsigned char)bad[i] ^ flips[k]);
			assert_refused(f, str_make(bad, good.n), "a damaged byte", i);
		}
		memcpy(bad, good.p, i);
		memcpy(bad + i, good.p + i + 1, good.n - i - 1);
		assert_refused(f, str_make(bad, good.n - 1), "a missing byte", i);
		memcpy(bad, good.p, i);
		bad[i] = good.p[i];
		memcpy(bad + i + 1, good.p + i, good.n - i);
		assert_refused(f, str_make(bad, good.n + 1), "a doubled byte", i);
	}
}

static void test_dump__cut_at_every_length(void **state)
{
	struct fixture *f = *state;
	struct str good = small_dump(f);

	for (size_t n = 0; n < good.n; n++)
		assert_refused(f, str_head(good, n), "the end", n);
	assert_rc(check_bytes(str_head(good, good.n / 2), &f->err), CORRUPT);
	assert_non_null(strstr(f->err.msg, "damaged at byte"));
}

/* Lines taken out, doubled and exchanged. */
static void test_dump__lines_moved(void **state)
{
	struct fixture *f = *state;
	struct str good = small_dump(f), lines[64], rest = good;
	size_t n = 0;

	while (rest.n && n < 64) {
		struct str line = str_cut(rest, '\n', &rest);

		lines[n++] = str_make(line.p, line.n + 1);
	}
	for (size_t i = 0; i < n; i++) {
		struct str before = str_make(good.p, (size_t)(lines[i].p - good.p));
		struct str after = str_skip(good, before.n + lines[i].n);
		struct str twice[] = {before, lines[i], lines[i], after};
		struct str none[] = {before, after};

		assert_refused(f, arena_join(f->arena, twice, 4), "a doubled line", i);
		assert_refused(f, arena_join(f->arena, none, 2), "a missing line", i);
		if (i + 1 < n) {
			struct str swapped[] = {before, lines[i + 1], lines[i], str_skip(after, lines[i + 1].n)};

			assert_refused(f, arena_join(f->arena, swapped, 4), "an exchanged line", i);
		}
	}
}

/* A load that meets damage: nothing was written. */
static void test_dump__a_damaged_one_is_not_loaded(void **state)
{
	struct fixture *f = *state;
	struct str good = small_dump(f);
	struct kv *to = kv_fault_new(kv_mem_new());
	struct kv_migration m = {.to = to, .name = STR("a dump")};
	struct kv_migrated out;
	struct kv_stream *s;

	assert_ok(open_bytes(str_head(good, good.n - 10), &s, &f->err), f);
	m.from = s;
	assert_rc(kv_migrate(&m, &out, &f->err), CORRUPT);
	assert_int_equal(kv_fault_calls(to, KV_CALL_WRITES), 0);
	kv_stream_free(s);
	kv_free(to);
}

static void test_dump__a_load_goes_on(void **state)
{
	struct fixture *f = *state;
	struct kv *to = kv_fault_new(kv_mem_new());
	struct kv_migration m = {.to = to, .name = STR("a dump")};
	struct kv_migrated out;
	struct kv_totals t;
	struct kv_stream *s;

	fill(f->kv, 600);
	assert_ok(dump(f, NULL, &t), f);
	for (uint64_t n = 1; n <= 601; n += 60) {
		struct kv *fresh = kv_fault_new(kv_mem_new());

		m.to = fresh;
		assert_ok(kv_dump_open(fopen(path(f), "rb"), path(f), &s, &f->err), f);
		m.from = s;
		kv_fault_arm(fresh, KV_CALL_SET, n, ERR_IO, false);
		assert_rc(kv_migrate(&m, &out, &f->err), IO);
		assert_false(usable(fresh));
		kv_stream_free(s);
		assert_ok(kv_dump_open(fopen(path(f), "rb"), path(f), &s, &f->err), f);
		m.from = s;
		assert_ok(kv_migrate(&m, &out, &f->err), f);
		assert_true(out.resumed);
		assert_string_equal(everything(f->kv, f->arena), everything(fresh, f->arena));
		kv_stream_free(s);
		kv_free(fresh);
	}
	kv_free(to);
}

static void test_dump__begin_after(void **state)
{
	struct fixture *f = *state;
	struct str good = small_dump(f);
	struct kv_stream *s, *of_kv = kv_stream_new(f->kv);
	struct kv_record a, b, at;
	bool end = false, end_b;

	assert_ok(open_bytes(good, &s, &f->err), f);
	assert_ok(of_kv->ops->begin(of_kv, STR_NONE, STR_NONE, &f->err), f);
	for (;;) {
		assert_ok(of_kv->ops->next(of_kv, &at, &end, &f->err), f);
		if (end)
			break;
		at.partition = arena_dup(f->arena, at.partition);
		at.key = arena_dup(f->arena, at.key);
		assert_ok(s->ops->begin(s, at.partition, at.key, &f->err), f);
		assert_ok(of_kv->ops->begin(of_kv, at.partition, at.key, &f->err), f);
		assert_ok(s->ops->next(s, &a, &end, &f->err), f);
		assert_ok(of_kv->ops->next(of_kv, &b, &end_b, &f->err), f);
		assert_int_equal(end, end_b);
		if (!end)
			assert_true(str_eq(a.partition, b.partition) && str_eq(a.key, b.key));
		assert_ok(of_kv->ops->begin(of_kv, at.partition, at.key, &f->err), f);
	}
	kv_stream_free(s);
	kv_stream_free(of_kv);
}

static rc refuse(void *ud, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG, "no");
}

static rc unknown(void *ud, const struct kv_record *r, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG, "unknown");
}

/* What is there stays there until the new one is whole. */
static void test_dump__a_failure_leaves_the_old_file(void **state)
{
	struct fixture *f = *state;
	struct str before = small_dump(f), after;
	struct kv *good = f->kv;
	struct kv_totals t;

	f->kv = kv_fault_new(kv_mem_new());
	fill(f->kv, 40);
	for (uint64_t n = 1; n < 40; n++) {
		kv_fault_arm(f->kv, KV_CALL_SCAN | KV_CALL_NEXT, n, ERR_IO, false);
		assert_rc(dump(f, NULL, &t), IO);
	}
	kv_fault_arm(f->kv, 0, 0, ERR_NONE, false);
	assert_rc(dump(f, &(struct kv_dump){.last_check = refuse}, &t), CONFIG);
	assert_rc(dump(f, &(struct kv_dump){.known = unknown}, &t), CONFIG);
	after = read_file(f);
	assert_true(str_eq(before, after));
	assert_int_equal(count_files(f), 1);
	assert_ok(dump(f, NULL, &t), f);
	assert_false(str_eq(before, read_file(f)));
	assert_int_equal(count_files(f), 1);
	kv_free(good);
}

static void test_dump__no_room(void **state)
{
	struct fixture *f = *state;
	struct kv_stream *s = kv_stream_new(f->kv);
	const struct kv_dump d = {.from = s, .by = STR("a test")};
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct kv_totals t;

	assert_true(full >= 0);
	assert_rc(kv_dump_write(&d, full, &t, &f->err), IO);
	close(full);
	assert_rc(kv_dump_file(&d, arena_printf(f->arena, "%s/none/x", f->folder).p, &t, &f->err), CONFIG);
	kv_stream_free(s);
}

static void test_dump__a_newer_format(void **state)
{
	struct fixture *f = *state;

	assert_rc(check_bytes(STR("{\"sluice_kv_dump\":2,\"id\":\"x\"}\n"), &f->err), CONFIG);
	assert_non_null(strstr(f->err.msg, "newer"));
	assert_rc(check_bytes(STR("hello"), &f->err), INVALID);
	assert_rc(check_bytes(STR("{}"), &f->err), INVALID);
	assert_rc(check_bytes(STR(""), &f->err), INVALID);
}

#define LAKEFS "{\"version\":\"1.0\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"entries\":"

static void test_dump__lakefs(void **state)
{
	struct fixture *f = *state;
	struct str doc = STR(LAKEFS "[\n {\"partition\":\"pulls\",\"key\":\"b\",\"value\":\"AQI=\"},"
				    "{\"partition\":\"auth\",\"key\":\"users/x\",\"value\":\"\"},"
				    "{\"partition\":\"pulls\",\"key\":\"a\",\"value\":\"AA==\"}]}\n");
	struct kv_migration m = {.to = f->kv, .name = STR("a dump")};
	struct kv_migrated out;
	struct kv_stream *s;
	struct str v;

	assert_ok(open_bytes(doc, &s, &f->err), f);
	m.from = s;
	assert_ok(kv_migrate(&m, &out, &f->err), f);
	assert_int_equal(out.source.records, 3);
	assert_int_equal(out.source.partitions, 2);
	assert_ok(kv_get(f->kv, KV_BLOCK, STR("pulls"), STR("b"), f->arena, &v, &f->err), f);
	assert_true(str_eq(v, STR("\1\2")));
	kv_stream_free(s);
	assert_ok(open_bytes(STR(LAKEFS "[{\"partition\":\"sluice-kv\",\"key\":\"frozen\",\"value\":\"\"}]}"), &s,
			     &f->err),
		  f);
	m.from = s;
	assert_rc(kv_migrate(&m, &out, &f->err), INVALID); /* a mark from outside */
	kv_stream_free(s);
	assert_ok(check_bytes(STR(LAKEFS "null}"), &f->err), f);
	assert_ok(check_bytes(STR(LAKEFS "[]}"), &f->err), f);
}

static void test_dump__lakefs_refused(void **state)
{
	struct fixture *f = *state;
	const struct {
		struct str doc;
		enum err_code code;
	} rows[] = {
		{STR("{\"version\":\"2.0\",\"timestamp\":\"\",\"entries\":[]}"), ERR_CONFIG},
		{STR("{\"version\":\"1.0\",\"entries\":[]}"), ERR_INVALID},
		{STR(LAKEFS "{}}"), ERR_INVALID},
		{STR(LAKEFS "[{}]}"), ERR_CORRUPT},
		{STR(LAKEFS "[{\"partition\":\"\",\"key\":\"k\",\"value\":\"\"}]}"), ERR_CORRUPT},
		{STR(LAKEFS "[{\"partition\":\"p\",\"key\":\"k\",\"value\":\"?\"}]}"), ERR_CORRUPT},
		{STR(LAKEFS "[{\"partition\":\"p\",\"key\":\"k\"}]}"), ERR_CORRUPT},
		{STR(LAKEFS "[{\"partition\":\"p\",\"key\":\"k\\ufffd\",\"value\":\"\"}]}"), ERR_CORRUPT},
		{STR(LAKEFS "[{\"partition\":\"p\",\"key\":\"k\",\"value\":\"\"},"
			    "{\"partition\":\"p\",\"key\":\"k\",\"value\":\"\"}]}"),
		 ERR_CORRUPT},
		{STR(LAKEFS "[{\"partition\":\"p\",\"key\":\"k\",\"value\":\"\"}"), ERR_INVALID},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (check_bytes(rows[i].doc, &f->err).code != rows[i].code)
			fail_msg("row %zu: %s", i, f->err.msg);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_dump__##name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(round_trip),
		TEST(shape),
		TEST(empty),
		TEST(every_byte_damaged),
		TEST(cut_at_every_length),
		TEST(lines_moved),
		TEST(a_damaged_one_is_not_loaded),
		TEST(a_load_goes_on),
		TEST(begin_after),
		TEST(a_failure_leaves_the_old_file),
		TEST(no_room),
		TEST(a_newer_format),
		TEST(lakefs),
		TEST(lakefs_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
