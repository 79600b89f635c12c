#include "check.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/crc64.h"
#include "base/digest.h"
#include "base/encode.h"

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

/* RFC 1321 A.5, FIPS 180 examples; the XXHs' by xxhsum; the CRCs' check values are those of the CRC RevEng catalogue,
 * the 32 zero bytes those of RFC 3720 B.4. */
static const struct {
	enum digest_kind kind;
	struct str in;
	const char *hex;
} vectors[] = {
	{DIGEST_MD5, STR(""), "d41d8cd98f00b204e9800998ecf8427e"},
	{DIGEST_MD5, STR("abc"), "900150983cd24fb0d6963f7d28e17f72"},
	{DIGEST_MD5, STR("message digest"), "f96b697d7cb7938d525a2f31aaf161d0"},
	{DIGEST_SHA1, STR(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
	{DIGEST_SHA1, STR("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d"},
	{DIGEST_SHA256, STR(""),
	 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{DIGEST_SHA256, STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{DIGEST_SHA512, STR("abc"),
	 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	{DIGEST_XXHASH64, STR(""), "ef46db3751d8e999"},
	{DIGEST_XXHASH64, STR("abc"), "44bc2cf5ad770999"},
	{DIGEST_XXHASH3, STR(""), "2d06800538d394c2"},
	{DIGEST_XXHASH3, STR("abc"), "78af5f94892f3950"},
	{DIGEST_XXHASH128, STR(""), "99aa06d3014798d86001c324468d497f"},
	{DIGEST_XXHASH128, STR("abc"), "06b05ab6733a618578af5f94892f3950"},
	{DIGEST_CRC32, STR(""), "00000000"},
	{DIGEST_CRC32, STR("123456789"), "cbf43926"},
	{DIGEST_CRC32C, STR("123456789"), "e3069283"},
	{DIGEST_CRC32C, STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	 "8a9136aa"},
	{DIGEST_CRC64NVME, STR(""), "0000000000000000"},
	{DIGEST_CRC64NVME, STR("123456789"), "ae8b14860a799888"},
};

static void test_digest__vectors(void **state)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t out[DIGEST_MAX];

		digest_of(vectors[i].kind, vectors[i].in, out);
		assert_cstr(hex_encode(*state, str_make(out, digest_size(vectors[i].kind))),
			    vectors[i].hex);
	}
}

/* RFC 2202 section 3 and RFC 4231 */
static void test_digest__hmac(void **state)
{
	uint8_t out[64];
	char key[131];

	memset(key, 0x0b, 20);
	hmac_sha1(str_make(key, 20), STR("Hi There"), out);
	assert_cstr(hex_encode(*state, str_make(out, 20)), "b617318655057264e28bc0b6fb378c8ef146be00");
	hmac_sha256(str_make(key, 20), STR("Hi There"), out);
	assert_cstr(hex_encode(*state, str_make(out, 32)),
		    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
	assert_cstr(hex_encode(*state, str_make(out, 32)),
		    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	hmac_sha256(str_make(key, sizeof(key)),
		    STR("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	assert_cstr(hex_encode(*state, str_make(out, 32)),
		    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_sha384(STR("Jefe"), STR("what do ya want for nothing?"), out);
	assert_cstr(hex_encode(*state, str_make(out, 48)),
		    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
	hmac_sha512(STR("Jefe"), STR("what do ya want for nothing?"), out);
	assert_cstr(hex_encode(*state, str_make(out, 64)),
		    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
	hmac_sha256(STR_NONE, STR_NONE, out);
	assert_cstr(hex_encode(*state, str_make(out, 32)),
		    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_digest__names(void **state)
{
	enum digest_kind k;

	assert_true(digest_by_name(STR("CRC64NVME"), &k));
	assert_int_equal(k, DIGEST_CRC64NVME);
	assert_false(digest_by_name(STR("crc"), &k));
	assert_false(digest_by_name(STR(""), &k));
	for (int i = 0; i < DIGEST_KINDS; i++) {
		assert_true(digest_by_name(str_c(digest_name((enum digest_kind)i)), &k));
		assert_int_equal(k, i);
	}
}

/* All kinds at once, in pieces of every size, equal the one-shot values. */
static void test_digest__set_in_pieces(void **state)
{
	size_t n = 70001;
	uint8_t *data = malloc(n), want[DIGEST_MAX];

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * i >> 3);
	for (size_t step = 1; step < n; step = step * 3 + 7) {
		struct arena *a = arena_new();
		struct digest_set *s = digest_set_new(a, (1u << DIGEST_KINDS) - 1);

		for (size_t at = 0; at < n; at += step)
			digest_set_update(s, data + at, n - at < step ? n - at : step);
		assert_int_equal(digest_set_bytes(s), n);
		for (int k = 0; k < DIGEST_KINDS; k++) {
			digest_of((enum digest_kind)k, str_make(data, n), want);
			assert_str(digest_set_value(s, (enum digest_kind)k),
				   str_make(want, digest_size((enum digest_kind)k)));
		}
		arena_free(a);
	}
	free(data);
}

/* Each length and alignment around the blocks of the fast path, against one bit at a time. */
static void test_digest__crc64_all_lengths(void **state)
{
	uint8_t data[700 + 16], out[DIGEST_MAX];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 197 + (i >> 4));
	for (size_t off = 0; off < 16; off += 5) {
		for (size_t n = 0; n <= 700; n++) {
			uint64_t crc = ~0ull, got = 0;

			for (size_t i = 0; i < n; i++) {
				crc ^= data[off + i];
				for (int b = 0; b < 8; b++)
					crc = crc >> 1 ^ (crc & 1 ? 0x9a6c9329ac4bc9b5u : 0);
			}
			digest_of(DIGEST_CRC64NVME, str_make(data + off, n), out);
			for (int i = 0; i < 8; i++)
				got = got << 8 | out[i];
			assert_int_equal(got, ~crc);
		}
	}
}

/* The ways of computing it agree: at all lengths and alignments around their blocks, and continued from
 * any value. */
static void test_digest__crc64_ways(void **state)
{
	enum { LONGEST = 2200, SPREAD = 64 };
	uint8_t data[LONGEST + SPREAD];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 131 + (i >> 3) * 7);
	for (size_t off = 0; off < SPREAD; off += 7) {
		for (size_t n = 0; n <= LONGEST; n++) {
			uint64_t start = n * 0x9e3779b97f4a7c15u, want;

			want = crc64nvme_update_by(CRC64_TABLE, start, data + off, n);
			assert_int_equal(crc64nvme_update_by(CRC64_FOLDED, start, data + off, n),
					 want);
			assert_int_equal(crc64nvme_update_by(CRC64_WIDE, start, data + off, n), want);
			assert_int_equal(crc64nvme_update(start, data + off, n), want);
		}
	}
}

/* More sets at once than a thread keeps contexts for; unfinished and empty ones as well. */
static void test_digest__many_sets(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct digest_set *s = digest_set_new(*state, 1u << DIGEST_MD5 | 1u << DIGEST_CRC32);

		assert_false(digest_set_has(s, DIGEST_SHA256));
		digest_set_update(s, "abc", 3);
		if (i % 2)
			assert_cstr(hex_encode(*state, digest_set_value(s, DIGEST_MD5)),
				    "900150983cd24fb0d6963f7d28e17f72");
	}
	assert_int_equal(digest_set_bytes(digest_set_new(*state, 0)), 0);
}

static void test_digest__const_time_eq(void **state)
{
	assert_true(const_time_eq(STR("same"), STR("same")));
	assert_false(const_time_eq(STR("same"), STR("sane")));
	assert_false(const_time_eq(STR("same"), STR("sam")));
	assert_true(const_time_eq(STR_NONE, STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_digest__vectors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_digest__hmac, set_up, tear_down),
		cmocka_unit_test(test_digest__names),
		cmocka_unit_test(test_digest__set_in_pieces),
		cmocka_unit_test(test_digest__crc64_all_lengths),
		cmocka_unit_test(test_digest__crc64_ways),
		cmocka_unit_test_setup_teardown(test_digest__many_sets, set_up, tear_down),
		cmocka_unit_test(test_digest__const_time_eq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
