/* The bytes of a table (FORMATS.md 2); what its reader and its writer share. Private to sstable_*.
 *
 *     file     := data block* partition* index properties metaindex footer
 *     block    := payload | type:1 | crc:4          (a handle's length is the payload's)
 *     payload  := entry* restart offset:4 * n | n:4           (uncompressed; type 1: Snappy)
 *     entry    := varint shared | varint unshared | varint value length | key[shared:] | value
 *     handle   := varint offset | varint length
 *     footer   := checksum type:1 | metaindex handle | index handle | 0 up to 41 | version:4 | magic:8
 *
 * Integers are little-endian. crc: CRC-32C over payload and type, rotated and offset. Keys of data and
 * index blocks end with a trailer of 8 bytes (sequence number and kind) which only the writer's library
 * cares for. An index's key lies at or after all keys of its block and before those of the next; its value
 * is that block's handle. With partitions, `index` is an index of them. Properties and metaindex are
 * never compressed and their keys have no trailer.
 */
#pragma once

#include "base/digest.h"

enum {
	SST_TRAILER = 8,       /* of a key */
	SST_BLOCK_TRAILER = 5, /* of a block: type, crc */
	SST_FOOTER = 53,
	SST_FOOTER_HANDLES_END = 41,
	SST_VERSION = 2,
	SST_HANDLE_MAX = 20,
	SST_RESTART_DATA = 16, /* entries from one restart to the next */
	SST_RESTART_INDEX = 1,
	SST_BLOCK_TARGET = 4096,
};

enum sst_block_type { SST_RAW = 0, SST_SNAPPY = 1, SST_ZSTD = 7 };
enum sst_checksum { SST_CRC32C = 1, SST_XXHASH64 = 3 };
enum sst_index_type { SST_INDEX_ONE_LEVEL = 0, SST_INDEX_HASH = 1, SST_INDEX_TWO_LEVELS = 2 };

#define SST_MAGIC "\xf7\xcf\xf4\x85\xb7\x41\xe2\x88"
#define SST_COMPARATOR "leveldb.BytewiseComparator"
#define SST_MERGER "pebble.concatenate"
#define SST_PROPERTIES "rocksdb.properties"
/* Sequence number 0, kind 1 (a value). */
#define SST_VALUE_TRAILER "\x01\0\0\0\0\0\0\0"

struct sst_handle {
	uint64_t offset, length;
};

static inline uint32_t sst_get32(const void *p)
{
	const uint8_t *b = p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline void sst_put32(void *p, uint32_t v)
{
	uint8_t *b = p;

	for (unsigned i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> 8 * i);
}

/* False when it doesn't end before `end` or exceeds 64 bits. */
static inline bool sst_varint(const char **p, const char *end, uint64_t *ret)
{
	const char *at = *p;
	uint64_t v = 0;

	if (at < end && (uint8_t)*at < 0x80) { /* most of them */
		*ret = (uint8_t)*at;
		*p = at + 1;
		return true;
	}
	for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
		uint8_t c = (uint8_t)*at++;

		if (shift == 63 && c > 1)
			return false;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80) {
			*p = at;
			*ret = v;
			return true;
		}
	}
	return false;
}

static inline bool sst_handle(const char **p, const char *end, struct sst_handle *ret)
{
	return sst_varint(p, end, &ret->offset) && sst_varint(p, end, &ret->length);
}

/* What a block's trailer says over its n bytes, the type included. */
static inline uint32_t sst_crc(const void *p, size_t n)
{
	uint8_t be[DIGEST_MAX];
	uint32_t c;

	digest_of(DIGEST_CRC32C, str_make(p, n), be);
	c = (uint32_t)be[0] << 24 | (uint32_t)be[1] << 16 | (uint32_t)be[2] << 8 | be[3];
	return (c >> 15 | c << 17) + 0xa282ead8;
}
