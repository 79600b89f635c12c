/* Damaged and hostile tables: an error with a story, or what was written; nothing else. */
#include "tests/versions/table_files.h"

static struct err err;

/* Opens, scans, and looks up. Keys must ascend whatever the file. *ret_bytes: what was read, all in one. */
static rc read_all(struct mem_file *f, struct buf *ret_bytes)
{
	struct sstable_source source = mem_source(f);
	CLEANUP(sstable_unrefp) struct sstable *t = NULL;
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = NULL;
	struct buf last = BUF_INIT(SSTABLE_KEY_MAX);
	struct sstable_record r;
	bool end = false;
	rc done = RC_OK;

	buf_reset(ret_bytes);
	err.msg[0] = '\0';
	TRY(sstable_open(&source, NULL, &t, &err));
	it = sstable_iter_new(t, SSTABLE_KEEP);
	for (size_t i = 0; rc_ok(done); i++) {
		done = sstable_iter_next(it, &r, &end, &err);
		if (!rc_ok(done) || end)
			break;
		assert_true(i == 0 || str_cmp(buf_str(&last), r.key) < 0);
		buf_reset(&last);
		buf_add(&last, r.key);
		buf_add(ret_bytes, r.key);
		buf_add(ret_bytes, r.value);
	}
	buf_deinit(&last);
	return done;
}

static void look_up(struct mem_file *f, struct str key)
{
	struct sstable_source source = mem_source(f);
	CLEANUP(sstable_unrefp) struct sstable *t = NULL;
	struct arena *a = arena_new();
	struct str value;

	if (rc_ok(sstable_open(&source, NULL, &t, &err)))
		IGNORE_RC(sstable_get(t, key, a, &value, &err)); /* that it returns is enough */
	arena_free(a);
}

static bool is_refusal(rc done)
{
	return (rc_is(done, CORRUPT) || rc_is(done, UNSUPPORTED)) && err.msg[0];
}

struct sample {
	struct arena *a;
	struct buf bytes, content, damaged, got;
	struct str some_key;
};

static void sample_make(struct sample *s, enum table_shape shape, size_t n)
{
	struct sstable_summary summary;
	struct sstable_record *r;

	*s = (struct sample){
		.a = arena_new(),
		.bytes = BUF_INIT(FILE_MAX_BYTES),
		.content = BUF_INIT(FILE_MAX_BYTES),
		.damaged = BUF_INIT(FILE_MAX_BYTES),
		.got = BUF_INIT(FILE_MAX_BYTES),
	};
	r = table_records(s->a, shape, 21, &n);
	table_write(r, n, &s->bytes, &summary);
	s->some_key = r[n / 2].key;
	assert_ok(read_all(&(struct mem_file){.bytes = buf_str(&s->bytes)}, &s->content));
}

static void sample_drop(struct sample *s)
{
	buf_deinit(&s->bytes);
	buf_deinit(&s->content);
	buf_deinit(&s->damaged);
	buf_deinit(&s->got);
	arena_free(s->a);
}

static void damage_from(struct sample *s, size_t n)
{
	buf_reset(&s->damaged);
	buf_add(&s->damaged, str_head(buf_str(&s->bytes), n));
}

/* A checksum finds every change, but for those in what nothing reads. */
static void test_sstable_damage__each_byte(void **state)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	struct sample s;

	sample_make(&s, SHAPE_PATHS, 40);
	for (size_t i = 0; i < s.bytes.n; i++) {
		for (size_t k = 0; k < sizeof(flips); k++) {
			struct mem_file f;
			rc done;

			damage_from(&s, s.bytes.n);
			s.damaged.p[i] = (char)(s.damaged.p[i] ^ flips[k]);
			f = (struct mem_file){.bytes = buf_str(&s.damaged)};
			done = read_all(&f, &s.got);
			if (!is_refusal(done) && !str_eq(buf_str(&s.got), buf_str(&s.content)))
				fail_msg("byte %zu ^ %02x: %s", i, flips[k], err.msg);
		}
	}
	sample_drop(&s);
}

static void test_sstable_damage__each_length(void **state)
{
	struct sample s;

	sample_make(&s, SHAPE_PATHS, 40);
	for (size_t n = 0; n < s.bytes.n; n++) {
		damage_from(&s, n);
		assert_true(is_refusal(read_all(
			&(struct mem_file){.bytes = buf_str(&s.damaged)}, &s.got)));
	}
	sample_drop(&s);
}

/* Behind good checksums: whatever comes out, keys ascend, and nothing is read that isn't there. */
static void test_sstable_damage__each_byte_mended(void **state)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	struct sample s;

	sample_make(&s, SHAPE_BINARY, 40);
	for (size_t i = 0; i < s.bytes.n; i++) {
		for (size_t k = 0; k < sizeof(flips); k++) {
			struct mem_file f;
			rc done;

			damage_from(&s, s.bytes.n);
			s.damaged.p[i] = (char)(s.damaged.p[i] ^ flips[k]);
			f = (struct mem_file){.bytes = buf_str(&s.damaged), .mend = true};
			done = read_all(&f, &s.got);
			assert_true(rc_ok(done) || is_refusal(done));
			look_up(&f, s.some_key);
		}
	}
	sample_drop(&s);
}

static void test_sstable_damage__at_random(void **state)
{
	struct sample s;
	uint32_t random = 5;

	for (int shape = 0; shape < SHAPES; shape++) {
		sample_make(&s, (enum table_shape)shape, shape == SHAPE_LARGE ? 20 : 3000);
		for (unsigned round = 0; round < 60; round++) {
			struct mem_file f;
			rc done;

			damage_from(&s, s.bytes.n);
			for (unsigned k = 0; k <= round % 8; k++) {
				random = random * 1664525 + 1013904223;
				s.damaged.p[random % s.damaged.n] = (char)(random >> 24);
			}
			f = (struct mem_file){.bytes = buf_str(&s.damaged), .mend = round % 4};
			done = read_all(&f, &s.got);
			assert_true(rc_ok(done) || is_refusal(done));
			look_up(&f, s.some_key);
		}
		sample_drop(&s);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sstable_damage__each_byte),
		cmocka_unit_test(test_sstable_damage__each_length),
		cmocka_unit_test(test_sstable_damage__each_byte_mended),
		cmocka_unit_test(test_sstable_damage__at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
