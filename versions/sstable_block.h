/* A block of a table in memory, uncompressed, and a cursor over its entries. Private to sstable_*.
 *
 * Blocks are filled, verified once, and constant from then on: they are shared between iterators and the
 * cache by counted references. Cursors rely on the verification.
 */
#pragma once

#include <stdatomic.h>

#include "base/str.h"

struct sstable_block {
	atomic_uint refs;
	uint32_t restarts;
	unsigned trailer;  /* bytes at each key's end that aren't the user's */
	size_t memory;     /* all that it takes */
	size_t payload_n;
	size_t entries_n;  /* bytes of payload before the restart array */
	size_t key_max;    /* the longest key, with its trailer */
	struct str first, last; /* user keys; unless it is empty */
	char *last_mem;
	char payload[];
};

static inline bool sstable_block_empty(const struct sstable_block *b)
{
	return b->entries_n == 0;
}

/* Room for n bytes of payload, for the caller to fill; one reference. */
struct sstable_block *sstable_block_new(size_t n);
struct sstable_block *sstable_block_ref(struct sstable_block *b);
void sstable_block_unref(struct sstable_block *b); /* NULL is allowed */
void sstable_block_unrefp(struct sstable_block **b);

enum sst_keys {
	SST_KEYS_NAMES, /* no trailer, any order */
	SST_KEYS_SORTED /* with a trailer; user keys strictly ascending */
};

/* NULL: every entry lies within, restarts are where they should, keys are of bounded length and in order.
 * Else what is wrong. */
const char *sstable_block_verify(struct sstable_block *b, enum sst_keys keys);

/* Where one is in a block, which the owner keeps referenced. Zeroed: at the end of none. */
struct sst_cursor {
	const struct sstable_block *block;
	size_t at;    /* the entry after the current one */
	bool pending; /* the current one is yet to be given */
	char *key;
	size_t key_n, key_cap;
	struct str value;
};

void sst_cursor_deinit(struct sst_cursor *c);
/* Before the first entry. block NULL: at the end. */
void sst_cursor_start(struct sst_cursor *c, const struct sstable_block *block);
/* Before the first entry >= key. */
void sst_cursor_seek(struct sst_cursor *c, const struct sstable_block *block, struct str key);
/* False at the end. The user key lives until the next call on the cursor, the value as the block. */
bool sst_cursor_next(struct sst_cursor *c, struct str *ret_key, struct str *ret_value);
