/* The properties block that lakeFS's library would write. Private to sstable_*. */
#pragma once

#include "base/arena.h"
#include "versions/entry.h"
#include "versions/sstable_build.h"

struct sst_facts {
	uint64_t data_size; /* the offset after the last data block */
	uint64_t data_blocks;
	uint64_t index_size; /* uncompressed, all its blocks, and the last one's trailer */
	uint64_t index_partitions, top_index_size; /* of two levels; else 0 */
	uint64_t records, raw_key_size, raw_value_size; /* keys with their trailers */
};

/* The payload's bytes live in b. INVALID: the user's properties are too large for a reader. */
rc sst_properties_build(const struct sst_facts *f, const struct meta *user, size_t user_n,
			struct arena *a, struct sst_builder *b, struct str *ret,
			struct err *reterr);
