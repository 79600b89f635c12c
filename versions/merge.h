/* The k-way merge of layers: each key once, as its newest layer has it. Private to versions/. */
#pragma once

#include "versions/layer.h"

struct merge;

/* Of n layers, newest first; borrows them. In the arena. */
struct merge *merge_new(struct arena *a, struct layer **layers, size_t n);
/* The next key that isn't hidden by a tombstone. Its bytes live until the next call. */
rc merge_next(struct merge *m, struct layer_item *ret, bool *ret_end, struct err *reterr);
/* The same with tombstones told: entry STR_NONE. */
rc merge_next_any(struct merge *m, struct layer_item *ret, bool *ret_end, struct err *reterr);
/* Passes over everything < from, in every layer. */
rc merge_seek(struct merge *m, struct str from, struct err *reterr);
