/* Digests and checksums behind one interface; several at once over the same bytes.
 *
 * MD5 and the SHAs: OpenSSL. XXH64, XXH3, XXH128: libxxhash. CRC32 (ISO-HDLC) and CRC32C: ISA-L. CRC64NVME (poly
 * 0xad93d23594c93659, reflected, init and xorout all ones): ours, check("123456789") =
 * ae8b14860a799888. CRCs and XXHs are big-endian bytes, as S3 encodes them in base64.
 */
#pragma once

#include "base/str.h"

enum digest_kind {
	DIGEST_MD5,
	DIGEST_SHA1,
	DIGEST_SHA256,
	DIGEST_SHA512,
	DIGEST_CRC32,
	DIGEST_CRC32C,
	DIGEST_CRC64NVME,
	DIGEST_XXHASH64,
	DIGEST_XXHASH3,
	DIGEST_XXHASH128,
	DIGEST_KINDS
};

enum { DIGEST_MAX = 64 };

size_t digest_size(enum digest_kind k);
/* "md5", "sha1", "sha256", "sha512", "crc32", "crc32c", "crc64nvme", "xxhash64", "xxhash3",
 * "xxhash128": S3's names in lower case, as in the
 * header x-amz-checksum-<name>. */
const char *digest_name(enum digest_kind k);
/* The same in capitals, as in S3's documents and messages. */
const char *digest_title(enum digest_kind k);
/* By that name, any case; false when unknown. */
bool digest_by_name(struct str name, enum digest_kind *ret);

/* One shot. out holds digest_size(k) bytes. */
void digest_of(enum digest_kind k, struct str data, uint8_t *out);
void hmac_sha256(struct str key, struct str data, uint8_t out[32]);
void hmac_sha1(struct str key, struct str data, uint8_t out[20]);
void hmac_sha384(struct str key, struct str data, uint8_t out[48]);
void hmac_sha512(struct str key, struct str data, uint8_t out[64]);

struct digest_set;
struct arena;
/* Kinds as bits (1u << DIGEST_MD5 | ...). Lives in the arena, which also releases it. */
struct digest_set *digest_set_new(struct arena *a, unsigned kinds);
void digest_set_update(struct digest_set *s, const void *p, size_t n);
/* The value for a kind in the set. Finishes it at the first call; no update after that. */
struct str digest_set_value(struct digest_set *s, enum digest_kind k);
bool digest_set_has(const struct digest_set *s, enum digest_kind k);
uint64_t digest_set_bytes(const struct digest_set *s);

/* Same time whatever the contents (not the lengths). */
bool const_time_eq(struct str a, struct str b);
