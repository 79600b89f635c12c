/* CRC-64/NVME by slices of eight bytes. */
#include "base/crc64.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

/* 0xad93d23594c93659 with its bits in the other order: the first bit of a byte is its lowest. */
#define POLY_REFLECTED 0x9a6c9329ac4bc9b5u

static uint64_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
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

uint64_t crc64nvme_update(uint64_t crc, const void *p, size_t n)
{
	pthread_once(&once, make_table);
	return ~by_slices(~crc, p, n);
}
