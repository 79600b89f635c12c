/* Tags (TagData): names of commits, never moved. */
#pragma once

#include "versions/repo.h"

struct tag {
	struct str id, commit_id;
};

rc valid_tag_name(struct str name, struct err *reterr);
/* NOT_FOUND. */
rc tag_get(struct vcall *c, const struct repo *r, struct str id, struct tag *ret);
/* Of a ref expression. EXISTS (also a branch of that name), NOT_FOUND, INVALID, ReadOnlyRepository. */
rc tag_create(struct vcall *c, const struct repo *r, struct str id, struct str ref, bool force,
	      struct tag *ret);
/* NOT_FOUND. */
rc tag_delete(struct vcall *c, const struct repo *r, struct str id, bool force);
/* Ascending, ids > after with the prefix, at most max. */
rc tag_list(struct vcall *c, const struct repo *r, struct str prefix, struct str after, size_t max,
	    struct tag **ret, size_t *ret_n, bool *ret_more);
