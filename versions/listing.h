/* Listing a ref: the merge of its layers (staging, sealed tokens newest first, committed), tombstones
 * hidden, with prefix, delimiter and pages. */
#pragma once

#include "versions/branch.h"
#include "versions/entry.h"

struct list_item {
	struct str key; /* whole path, or common prefix including its delimiter */
	bool is_prefix;
	struct entry entry; /* when not a prefix */
};

struct list_request {
	struct str prefix;
	struct str delimiter; /* STR_NONE: none; any string */
	/* Keys (and common prefixes) > after; an `after` that lies inside a common prefix skips that
	 * prefix when it ends with the delimiter (a page's continuation), as S3 does. */
	struct str after;
	size_t max; /* 1 to 10,000 */
};

struct list_page {
	struct list_item *items;
	size_t n;
	bool truncated;
	struct str next; /* the `after` of the next page */
};

/* Of a ref expression (ref.h). NOT_FOUND: no such ref; INVALID: no expression. A branch's page is of one moment or of two: after its end the branch is read again, and
 * the page is made anew if a commit moved entries meanwhile. Cost: that of the page, not of the branch. */
rc objects_list(struct vcall *c, const struct repo *r, struct str ref,
		const struct list_request *q, struct list_page *ret);
