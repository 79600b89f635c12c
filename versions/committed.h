/* What a commit holds: the layer at the bottom. Private to versions/. */
#pragma once

#include "versions/layer.h"

/* NOT_FOUND: the commit has no such path. */
rc committed_get(struct vcall *c, const struct repo *r, struct str commit_id, struct str path,
		 struct entry *ret);
/* *ret NULL: the commit holds nothing. */
rc committed_layer(struct vcall *c, const struct repo *r, struct str commit_id, struct str from,
		   struct layer **ret);
