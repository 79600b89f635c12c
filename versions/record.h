/* The value of a record in a range or metarange (FORMATS.md 3): an identity and the data.
 *
 *     zigzag-varint length | identity | zigzag-varint length | data
 *
 * Ranges: 32 raw bytes and an Entry. Metaranges: a range's id as 64 hex digits and a RangeData.
 * Private to versions/. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { RECORD_PART_MAX = 640 << 16 }; /* lakeFS refuses longer identities and data */

struct record {
	struct str key;
	struct str value; /* the whole, encoded */
	struct str identity, data; /* within value */
};

/* CORRUPT, told with the key. Nothing is copied. Bytes after the data are ignored, as lakeFS does. */
rc record_decode(struct str key, struct str value, struct record *ret, struct err *reterr);
size_t record_size(struct str identity, struct str data);
/* Appended to b: false, and b's overflow, past its max. Each part within RECORD_PART_MAX (asserted). */
bool record_encode(struct str identity, struct str data, struct buf *b);
