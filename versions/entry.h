/* Entries: what a path points at (Entry and StagedEntryData, FORMATS.md 3 and 5).
 *
 * Identity = SHA-256 over size, ETag, metadata and content type. What sluice keeps beyond lakeFS:
 * content-derived attributes in fields from 1000 on (outside the identity): checksums and part sizes;
 * what a user sets, in metadata keys "::sluice::..." (inside it).
 */
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/digest.h"

struct meta {
	struct str key, value; /* UTF-8 */
};

struct entry {
	struct str address;
	enum address_type address_type; /* BY_PREFIX_DEPRECATED (0) is resolved when read */
	struct timestamp modified;
	int64_t size;
	struct str etag; /* lower-case hex, no quotes; multipart: S3's hex-N */
	struct meta *metadata; /* ascending by key, no duplicates */
	size_t metadata_n;
	struct str content_type;
	/* extension fields */
	struct str checksum[DIGEST_KINDS]; /* raw bytes; STR_NONE when not known */
	bool checksum_composite;           /* of a multipart object: over the parts' checksums */
	uint64_t *part_sizes;
	size_t parts_n; /* 0: not multipart */
	/* The parts' checksums one behind the other, raw; STR_NONE when not known. */
	enum digest_kind part_checksum_kind;
	struct str part_checksums;
};

/* Of the i-th part, from 0; STR_NONE when not known. */
struct str entry_part_checksum(const struct entry *e, size_t i);

/* Emitted in ascending field order, maps as sorted by entry_sort_metadata. */
struct str entry_encode(const struct entry *e, struct arena *a);
/* CORRUPT. Unknown fields are ignored. Text points into `bytes`, which must live as long. */
rc entry_decode(struct str bytes, struct arena *a, struct entry *ret, struct err *reterr);
enum { IDENTITY_BYTES = 32 };
void entry_identity(const struct entry *e, uint8_t out[IDENTITY_BYTES]);
/* Sorts by key; the last of equal keys wins. Answers how many are left. */
size_t meta_sort(struct meta *m, size_t n);
void entry_sort_metadata(struct entry *e);

/* Text that lakeFS must be able to read again: valid UTF-8 everywhere, no repeated metadata key.
 * INVALID says which. Metadata sorted before. */
rc entry_check(const struct entry *e, struct err *reterr);

/* The number of a digest kind in records (field Checksum.kind), and back; false when unknown. */
unsigned checksum_number(enum digest_kind k);
bool checksum_kind(unsigned number, enum digest_kind *ret);

/* StagedEntryData; no entry: a tombstone. */
struct str staged_encode(struct str key, const struct entry *e_or_null, struct arena *a);
rc staged_decode(struct str bytes, struct arena *a, struct entry *ret, bool *ret_tombstone,
		 struct err *reterr);
/* Only the Entry's bytes within, STR_NONE for a tombstone: what a listing needs before it knows
 * whether the entry will be shown. */
rc staged_data(struct str bytes, struct str *ret_entry, struct err *reterr);
/* And the identity beside it, as whoever staged it wrote it; STR_NONE when it isn't one. */
rc staged_parts(struct str bytes, struct str *ret_identity, struct str *ret_entry, struct err *reterr);
