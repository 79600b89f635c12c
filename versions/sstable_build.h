/* Blocks being built: entries with shortened keys, restarts, and the rules of when a block is full and of
 * what stands in an index. Private to sstable_*. */
#pragma once

#include "base/buf.h"
#include "versions/sstable_format.h"

struct sst_builder {
	struct buf entries;
	struct buf restart; /* u32 each */
	struct buf last;    /* key, with its trailer */
	unsigned interval;  /* entries from one restart to the next */
	size_t n;
};

void sst_builder_init(struct sst_builder *b, unsigned interval, size_t max);
void sst_builder_deinit(struct sst_builder *b);
/* Empties it and keeps the memory. */
void sst_builder_reset(struct sst_builder *b);
/* key: the user's; trailer: SST_TRAILER bytes, or NULL where keys have none. False past the maximum. */
bool sst_builder_add(struct sst_builder *b, struct str key, const char *trailer, struct str value);
/* Bytes as they would be now. */
size_t sst_builder_size(const struct sst_builder *b);
/* Whether an entry of these lengths begins another block. */
bool sst_builder_full(const struct sst_builder *b, size_t key_n, size_t value_n);
/* The payload: entries and restarts. Only sst_builder_reset after it. */
struct str sst_builder_finish(struct sst_builder *b);

/* The key in the index for a block with the last user key a, where the next one begins with b (NULL: there
 * is none): short, >= a, < b. *ret_short: it isn't a itself. In `to`, which is emptied before. */
void sst_separator(struct str a, const struct str *b, struct buf *to, bool *ret_short);
