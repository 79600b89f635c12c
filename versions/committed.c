#include "versions/committed.h"

#include "versions/commit_record.h"

/* RC_OK: nothing in it. */
static rc check_empty(struct vcall *c, const struct repo *r, struct str commit_id)
{
	struct str meta_range;

	TRY(commit_meta_range(c, r, commit_id, &meta_range));
	if (meta_range.n)
		return err_set(c->err, ERR_UNSUPPORTED,
			       "commit %.*s: committed data can't be read by this version",
			       STR_ARG(commit_id));
	return RC_OK;
}

rc committed_get(struct vcall *c, const struct repo *r, struct str commit_id, struct str path,
		 struct entry *ret)
{
	TRY(check_empty(c, r, commit_id));
	return err_set(c->err, ERR_NOT_FOUND, "path not found");
}

rc committed_layer(struct vcall *c, const struct repo *r, struct str commit_id, struct str from,
		   struct layer **ret)
{
	*ret = NULL;
	return check_empty(c, r, commit_id);
}
