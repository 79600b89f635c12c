#include "check.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/crc_combine.h"

static const enum digest_kind kinds[] = {DIGEST_CRC32, DIGEST_CRC32C, DIGEST_CRC64NVME};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), BYTES = 300000 };

static uint8_t *bytes_new(void)
{
	uint8_t *p = malloc(BYTES);
	uint32_t x = 7;

	for (size_t i = 0; i < BYTES; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)(x >> 24);
	}
	return p;
}

static void check_split(enum digest_kind k, const uint8_t *p, size_t n, const size_t *at, size_t cuts)
{
	uint8_t want[DIGEST_MAX], got[DIGEST_MAX], piece[DIGEST_MAX];
	struct crc_sum s;
	size_t from = 0;

	crc_sum_init(&s, k);
	for (size_t i = 0; i <= cuts; i++) {
		size_t to = i < cuts ? at[i] : n;

		digest_of(k, str_make(p + from, to - from), piece);
		crc_sum_add(&s, str_make(piece, digest_size(k)), to - from);
		from = to;
	}
	crc_sum_value(&s, got);
	digest_of(k, str_make(p, n), want);
	assert_memory_equal(got, want, digest_size(k));
}

static void test_crc_combine__kinds(void **state)
{
	assert_true(crc_combinable(DIGEST_CRC32) && crc_combinable(DIGEST_CRC32C));
	assert_true(crc_combinable(DIGEST_CRC64NVME));
	assert_false(crc_combinable(DIGEST_MD5) || crc_combinable(DIGEST_SHA1));
	assert_false(crc_combinable(DIGEST_SHA256));
}

/* Cut at every place of a short message: empty pieces among them. */
static void test_crc_combine__every_cut(void **state)
{
	uint8_t *p = bytes_new();

	for (size_t k = 0; k < KINDS; k++)
		for (size_t n = 0; n <= 70; n++)
			for (size_t cut = 0; cut <= n; cut++)
				check_split(kinds[k], p, n, &cut, 1);
	free(p);
}

static void test_crc_combine__many_pieces(void **state)
{
	uint8_t *p = bytes_new();
	size_t cuts[1000], n = 0;

	for (size_t at = 0; n < 1000 && at < BYTES; at += n % 7 < 4 ? 1024 : 17 * n)
		cuts[n++] = at;
	for (size_t k = 0; k < KINDS; k++)
		check_split(kinds[k], p, BYTES, cuts, n);
	free(p);
}

/* Longer than memory: 2^40 zeros, doubled up from one, and by their length at once. */
static void test_crc_combine__large_lengths(void **state)
{
	for (size_t k = 0; k < KINDS; k++) {
		uint8_t zeros[DIGEST_MAX], sum[DIGEST_MAX], a[DIGEST_MAX], b[DIGEST_MAX];
		size_t size = digest_size(kinds[k]);
		struct crc_sum s;

		digest_of(kinds[k], str_make("", 1), zeros);
		for (int i = 0; i < 40; i++) {
			crc_sum_init(&s, kinds[k]);
			crc_sum_add(&s, str_make(zeros, size), 1ull << i);
			crc_sum_add(&s, str_make(zeros, size), 1ull << i);
			crc_sum_value(&s, zeros);
		}
		digest_of(kinds[k], STR("head"), sum);
		crc_sum_init(&s, kinds[k]);
		crc_sum_add(&s, str_make(sum, size), 4);
		crc_sum_add(&s, str_make(zeros, size), 1ull << 40);
		crc_sum_value(&s, a);
		/* In halves it is the same. */
		crc_sum_init(&s, kinds[k]);
		crc_sum_add(&s, str_make(sum, size), 4);
		digest_of(kinds[k], str_make("", 1), b);
		crc_sum_add(&s, str_make(b, size), 1);
		for (int i = 0; i < 40; i++) {
			struct crc_sum half;

			crc_sum_add(&s, str_make(b, size), 1ull << i);
			crc_sum_init(&half, kinds[k]);
			crc_sum_add(&half, str_make(b, size), 1ull << i);
			crc_sum_add(&half, str_make(b, size), 1ull << i);
			crc_sum_value(&half, b);
		}
		crc_sum_value(&s, b);
		assert_memory_equal(a, b, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_combine__kinds),
		cmocka_unit_test(test_crc_combine__every_cut),
		cmocka_unit_test(test_crc_combine__many_pieces),
		cmocka_unit_test(test_crc_combine__large_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
