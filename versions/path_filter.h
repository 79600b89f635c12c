/* Which commits changed any of some paths. Private to versions/; workers only. */
#pragma once

#include "versions/commit_record.h"

struct path_filter;

/* In the call's arena; the texts are borrowed. */
struct path_filter *path_filter_new(struct vcall *c, const struct repo *r, const struct str *objects,
				    size_t objects_n, const struct str *prefixes, size_t prefixes_n);
/* Whether the commit differs there from its first parent; a merge: from each parent. Ranges that both have
 * are passed over unread, and so is what lies between the paths. */
rc path_filter_changed(struct path_filter *f, const struct commit *commit, bool *ret);
