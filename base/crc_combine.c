/* A CRC is the message's remainder modulo P, a polynomial over GF(2). Bytes that follow shift what came
 * before by x^8 each, so CRC(A B) = CRC(A) * x^(8 |B|) + CRC(B) mod P. The inversions at both ends, which
 * all three have, cancel out in that sum. Words are reflected: the highest bit is x^0.
 */
#include "base/crc_combine.h"

#include <assert.h>

static const struct {
	unsigned bits;
	uint64_t poly; /* reflected, without its highest power */
} params[DIGEST_KINDS] = {
	[DIGEST_CRC32] = {32, 0xedb88320u},
	[DIGEST_CRC32C] = {32, 0x82f63b78u},
	[DIGEST_CRC64NVME] = {64, 0x9a6c9329ac4bc9b5u},
};

bool crc_combinable(enum digest_kind k)
{
	assert(k < DIGEST_KINDS);
	return params[k].bits != 0;
}

static uint64_t multiply(enum digest_kind k, uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = 1ull << (params[k].bits - 1); bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ params[k].poly : b >> 1;
	}
	return product;
}

/* x^(8 bytes) mod P, by squaring: x^8, x^16, x^32 ... for each bit of the length. */
static uint64_t shift_of(enum digest_kind k, uint64_t bytes)
{
	uint64_t power = 1ull << (params[k].bits - 9), factor = 1ull << (params[k].bits - 1);

	for (; bytes; bytes >>= 1) {
		if (bytes & 1)
			factor = multiply(k, factor, power);
		power = multiply(k, power, power);
	}
	return factor;
}

void crc_sum_init(struct crc_sum *s, enum digest_kind k)
{
	assert(crc_combinable(k));
	*s = (struct crc_sum){.kind = k, .factor = shift_of(k, 0)};
}

void crc_sum_add(struct crc_sum *s, struct str crc, uint64_t bytes)
{
	uint64_t v = 0;

	assert(crc.n == digest_size(s->kind));
	for (size_t i = 0; i < crc.n; i++)
		v = v << 8 | (unsigned char)crc.p[i];
	if (bytes != s->bytes) {
		s->bytes = bytes;
		s->factor = shift_of(s->kind, bytes);
	}
	s->crc = multiply(s->kind, s->crc, s->factor) ^ v;
}

void crc_sum_value(const struct crc_sum *s, uint8_t out[DIGEST_MAX])
{
	size_t n = digest_size(s->kind);

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(s->crc >> (n - 1 - i) * 8);
}
