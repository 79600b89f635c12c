/* Members of gzip: their frame, and that what can't be made smaller fits, too. (The Parquet files made of them are read by
 * others in tests/e2e.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/gzip.h"
#include "base/rand.h"

static uint32_t le32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void check(struct str bytes)
{
	struct buf out = BUF_INIT(gzip_bound(bytes.n) + 3);
	uint8_t crc[4];

	buf_add_cstr(&out, "abc");
	assert_true(gzip_add(&out, bytes) && !out.overflow);
	assert_true(str_starts(buf_str(&out), STR("abc\x1f\x8b\x08")));
	digest_of(DIGEST_CRC32, bytes, crc);
	assert_int_equal(le32(out.p + out.n - 4), bytes.n);
	assert_int_equal(le32(out.p + out.n - 8), (uint32_t)crc[0] << 24 | crc[1] << 16 | crc[2] << 8 | crc[3]);
	buf_deinit(&out);
}

static void test_gzip__sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 1 << 20};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *p = malloc(sizes[i] + 1);

		assert_non_null(p);
		memset(p, 'x', sizes[i]);
		check(str_make(p, sizes[i]));
		rand_bytes(p, sizes[i]); /* nothing to be won */
		check(str_make(p, sizes[i]));
		free(p);
	}
}

static void test_gzip__no_room(void **state)
{
	struct buf out = BUF_INIT(100);
	char bytes[200];

	rand_bytes(bytes, sizeof(bytes));
	assert_false(gzip_add(&out, str_make(bytes, sizeof(bytes))));
	assert_true(out.overflow && out.n == 0);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gzip__sizes),
		cmocka_unit_test(test_gzip__no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
