/* Count and SHA-256 of a partition, and of all of them: what two KVs are compared by.
 *
 * A partition's digest is that of its records in order, each as u32 BE length of the key, key, u32 BE
 * length of the value, value. The digest of all is that of the partitions in order, each as u32 BE
 * length of the name, name, u64 BE number of records, its digest. Streaming: nothing is kept. */
#pragma once

#include "kv/stream.h"

enum { KV_DIGEST_SIZE = 32, KV_DIGEST_HEX = 65 };

struct kv_tally_partition {
	struct str name; /* lives until the next call on the tally */
	uint64_t records, bytes;
	uint8_t digest[KV_DIGEST_SIZE];
};

struct kv_totals {
	uint64_t partitions, records, bytes; /* bytes of keys and values */
	uint8_t digest[KV_DIGEST_SIZE];
};

struct kv_tally;
struct kv_tally *kv_tally_new(void);
void kv_tally_free(struct kv_tally *t); /* NULL is allowed */
/* In order. True: the record begins a partition, and *ret_before is the one that it ended (if there was
 * one: its name is STR_NONE else). */
bool kv_tally_add(struct kv_tally *t, const struct kv_record *r, struct kv_tally_partition *ret_before);
/* Ends the partition (false: there is none); the next add begins one. */
bool kv_tally_close(struct kv_tally *t, struct kv_tally_partition *ret);
/* Ends the last partition, as above. No add after it. */
bool kv_tally_end(struct kv_tally *t, struct kv_tally_partition *ret_last, struct kv_totals *ret);
void kv_digest_hex(const uint8_t digest[KV_DIGEST_SIZE], char out[KV_DIGEST_HEX]);
