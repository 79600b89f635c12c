/* Differences between two metaranges, or between two seen from a third: two-dot and three-dot. Ranges that
 * both sides share are passed over unread. Private to versions/; workers only. */
#pragma once

#include "versions/metarange.h"

enum diff_type { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED, DIFF_CONFLICT };

struct diff_item {
	enum diff_type type;
	struct str key;
	/* identity NULL: that side has none */
	struct record left, right, base;
};

struct diff;

/* What turns left into right. with base (three-dot; STR_NONE: two-dot): only what right changed since
 * base; both changed it, and differently: DIFF_CONFLICT. Ids "" are empty metaranges. */
rc diff_open(struct vcall *c, const struct repo *r, struct str left, struct str right, struct str base,
	     struct diff **ret);
/* Ascending; the item's bytes live until the next call. */
rc diff_next(struct diff *d, struct diff_item *ret, bool *ret_end, struct err *reterr);
/* Only keys < end are told from now on; what lies behind isn't read for them. STR_NONE: all. Borrowed. */
void diff_end_at(struct diff *d, struct str end);
/* Forward to keys >= key. */
rc diff_seek(struct diff *d, struct str key, struct err *reterr);
void diff_close(struct diff *d); /* NULL is allowed */
void diff_closep(struct diff **d);
