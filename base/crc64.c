/* CRC-64/NVME: by carry-less multiplication where the processor has it (four at once where it can do
 * that), else by slices of eight bytes.
 *
 * Folding: a block of 128 bits that stands D bits before another may be replaced by its product with
 * x^D mod P, added to that other. A block is reflected: its lower word has the higher powers, H, its
 * upper one L, so the product is H * x^(D+64) + L * x^D. Multiplying two reflected words leaves one
 * x too many, hence the constants x^(D+63) and x^(D-1).
 */
#include "base/crc64.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* 0xad93d23594c93659 with its bits in the other order: the first bit of a byte is its lowest. */
#define POLY_REFLECTED 0x9a6c9329ac4bc9b5u

static uint64_t table[8][256];
static bool has_clmul, has_wide_clmul;
static struct {
	uint64_t low, high;
} by_2048, by_512, by_128; /* constants for the lower and the upper word */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* x^n mod P, reflected. */
static uint64_t power(unsigned n)
{
	uint64_t v = 1ull << 63;

	while (n--)
		v = v & 1 ? v >> 1 ^ POLY_REFLECTED : v >> 1;
	return v;
}

static void make_constants(void)
{
	by_2048.low = power(2048 + 63);
	by_2048.high = power(2048 - 1);
	by_512.low = power(512 + 63);
	by_512.high = power(512 - 1);
	by_128.low = power(128 + 63);
	by_128.high = power(128 - 1);
#ifdef __x86_64__
	has_clmul = __builtin_cpu_supports("pclmul");
	has_wide_clmul = has_clmul && __builtin_cpu_supports("avx512f") &&
			 __builtin_cpu_supports("vpclmulqdq");
#endif
}

static void make_tables(void)
{
	make_constants();
	for (unsigned i = 0; i < 256; i++) {
		uint64_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLY_REFLECTED : c >> 1;
		table[0][i] = c;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

static uint64_t by_bytes(uint64_t crc, const uint8_t *p, size_t n)
{
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return crc;
}

static uint64_t by_slices(uint64_t crc, const uint8_t *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		v = le64toh(v) ^ crc;
		crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^
		      table[4][v >> 24 & 255] ^ table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^
		      table[1][v >> 48 & 255] ^ table[0][v >> 56];
	}
	return by_bytes(crc, p, n);
}

#ifdef __x86_64__
#define CLMUL __attribute__((target("pclmul")))

CLMUL static __m128i fold(__m128i x, __m128i k, __m128i onto)
{
	__m128i low = _mm_clmulepi64_si128(x, k, 0x00), high = _mm_clmulepi64_si128(x, k, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

CLMUL static __m128i load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

/* n at least 64. Four blocks side by side, since a multiplication takes several cycles but one can
 * begin in each. What is left of the last block is reduced by the tables. */
CLMUL static uint64_t by_folding(uint64_t crc, const uint8_t *p, size_t n)
{
	__m128i k512 = _mm_set_epi64x((long long)by_512.high, (long long)by_512.low);
	__m128i k128 = _mm_set_epi64x((long long)by_128.high, (long long)by_128.low);
	__m128i x0 = _mm_xor_si128(load(p), _mm_cvtsi64_si128((long long)crc));
	__m128i x1 = load(p + 16), x2 = load(p + 32), x3 = load(p + 48);
	uint8_t last[16];

	for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
		x0 = fold(x0, k512, load(p));
		x1 = fold(x1, k512, load(p + 16));
		x2 = fold(x2, k512, load(p + 32));
		x3 = fold(x3, k512, load(p + 48));
	}
	x3 = fold(fold(fold(x0, k128, x1), k128, x2), k128, x3);
	for (; n >= 16; p += 16, n -= 16)
		x3 = fold(x3, k128, load(p));
	_mm_storeu_si128((__m128i *)last, x3);
	return by_slices(by_slices(0, last, sizeof(last)), p, n);
}

#define WIDE __attribute__((target("avx512f,vpclmulqdq")))

WIDE static __m512i fold_wide(__m512i x, __m512i k, const uint8_t *onto)
{
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, k, 0x00),
					 _mm512_clmulepi64_epi128(x, k, 0x11),
					 _mm512_loadu_si512(onto), 0x96);
}

/* n at least 256: the same, four blocks a register. The sixteen that are left stand for all that was
 * before them, so they are folded as if they were the message. */
WIDE static uint64_t by_wide_folding(uint64_t crc, const uint8_t *p, size_t n)
{
	__m512i k = _mm512_broadcast_i32x4(
		_mm_set_epi64x((long long)by_2048.high, (long long)by_2048.low));
	__m512i x[4];
	uint8_t last[sizeof(x)];

	for (int i = 0; i < 4; i++)
		x[i] = _mm512_loadu_si512(p + 64 * i);
	x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)crc)));
	for (p += 256, n -= 256; n >= 256; p += 256, n -= 256)
		for (int i = 0; i < 4; i++)
			x[i] = fold_wide(x[i], k, p + 64 * i);
	memcpy(last, x, sizeof(last));
	crc = by_folding(0, last, sizeof(last));
	return n >= 64 ? by_folding(crc, p, n) : by_slices(crc, p, n);
}
#else
static uint64_t by_folding(uint64_t crc, const uint8_t *p, size_t n)
{
	return by_slices(crc, p, n);
}

static uint64_t by_wide_folding(uint64_t crc, const uint8_t *p, size_t n)
{
	return by_slices(crc, p, n);
}
#endif

uint64_t crc64nvme_update(uint64_t crc, const void *p, size_t n)
{
	return crc64nvme_update_by(CRC64_BEST, crc, p, n);
}

uint64_t crc64nvme_update_by(enum crc64_way way, uint64_t crc, const void *p, size_t n)
{
	pthread_once(&once, make_tables);
	if (way >= CRC64_WIDE && has_wide_clmul && n >= 512)
		return ~by_wide_folding(~crc, p, n);
	if (way >= CRC64_FOLDED && has_clmul && n >= 128)
		return ~by_folding(~crc, p, n);
	return ~by_slices(~crc, p, n);
}
