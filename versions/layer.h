/* Layers: what a ref consists of, newest first: its staging token, sealed tokens, a commit's ranges.
 * Each is a sorted run of entries and tombstones, of which the newest layer's word on a key counts.
 * Private to versions/; workers only. */
#pragma once

#include "versions/branch.h"
#include "versions/entry.h"

struct layer_item {
	struct str key;
	struct str entry; /* Entry's bytes; STR_NONE: a tombstone */
	struct str identity; /* of the entry, 32 bytes; STR_NONE: of a tombstone, or the layer doesn't know */
};

struct layer;

struct layer_ops {
	/* Ascending; the item's bytes live until the next call on the layer. */
	rc (*next)(struct layer *l, struct layer_item *ret, bool *ret_end, struct err *reterr);
	/* To the first key >= from, which lies not before the last item. */
	rc (*seek)(struct layer *l, struct str from, struct err *reterr);
	void (*close)(struct layer *l);
};

struct layer {
	const struct layer_ops *ops;
};

/* In the arena; to be closed nevertheless. `batch`: how many items the caller thinks to want. */
rc staging_layer(struct vcall *c, struct str token, struct str from, size_t batch,
		 struct layer **ret);
