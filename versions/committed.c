#include "versions/committed.h"

#include "versions/commit_record.h"
#include "versions/internal.h"
#include "versions/metarange.h"

/* Its metarange; "" when it holds nothing. */
static rc held(struct vcall *c, const struct repo *r, struct str commit_id, struct str *ret)
{
	TRY(commit_meta_range(c, r, commit_id, ret));
	if (ret->n && !c->v->tables)
		return err_set(c->err, ERR_UNSUPPORTED,
			       "commit " STR_FMT ": there is no place for committed metadata",
			       STR_ARG(commit_id));
	return RC_OK;
}

rc committed_get(struct vcall *c, const struct repo *r, struct str commit_id, struct str path,
		 struct entry *ret)
{
	struct str meta_range;
	struct record record;

	TRY(held(c, r, commit_id, &meta_range));
	TRY(metarange_get(c, r, meta_range, path, &record));
	return entry_decode(record.data, c->a, ret, c->err);
}

rc committed_layer(struct vcall *c, const struct repo *r, struct str commit_id, struct str from,
		   struct layer **ret)
{
	struct str meta_range;

	*ret = NULL;
	TRY(held(c, r, commit_id, &meta_range));
	return meta_range.n ? metarange_layer(c, r, meta_range, from, ret) : RC_OK;
}
