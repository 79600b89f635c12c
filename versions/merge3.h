/* Three-way merge of metaranges, by (key, identity); and a commit's own: a metarange with changes laid
 * over it. Private to versions/; workers only. */
#pragma once

#include "versions/layer.h"
#include "versions/mr_writer.h"

enum merge_strategy { MERGE_NONE, MERGE_DEST_WINS, MERGE_SOURCE_WINS };

struct merge_summary {
	int64_t added, removed, changed; /* in the destination */
	int64_t conflicts; /* with MERGE_NONE: all of them; `first` names some */
	struct str *first;
	size_t first_n; /* at most MERGE_CONFLICTS_NAMED */
};
enum { MERGE_CONFLICTS_NAMED = 10 };

/* For each key: both sides equal, or only one differs from base: clear. Else a conflict: the strategy
 * decides, or with MERGE_NONE the merge fails: ERR_MergeConflict, after all were counted. Ranges that only
 * one side changed are taken whole, unread. w gets the result; the caller finishes it. */
rc merge3(struct vcall *c, const struct repo *r, struct str dest, struct str source, struct str base,
	  enum merge_strategy strategy, struct mr_writer *w, struct merge_summary *ret);

/* base with what `changes` (a merge of staging layers that shows tombstones) says. An equal identity keeps
 * base's record, a tombstone for what isn't there is nothing. */
struct changes;
struct change_ops {
	/* Ascending; the bytes live until the next call. identity NULL: removed. */
	rc (*next)(struct changes *ch, struct record *ret, bool *ret_end, struct err *reterr);
};
struct changes {
	const struct change_ops *ops;
};
rc apply_changes(struct vcall *c, const struct repo *r, struct str base, struct changes *changes,
		 struct mr_writer *w, struct merge_summary *ret);
