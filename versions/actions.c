#include "versions/actions.h"

#include "versions/internal.h"
#include "versions/listing.h"

#define ACTIONS STR("_lakefs_actions/")

rc actions_refuse(struct vcall *c, const struct repo *r, struct str ref)
{
	const struct list_request one = {.prefix = ACTIONS, .max = 1};
	struct list_page page;
	rc listed;

	if (!c->v->actions)
		return RC_OK;
	listed = objects_list(c, r, ref, &one, &page);
	if (rc_is(listed, NOT_FOUND)) /* for the operation to tell */
		return RC_OK;
	TRY(listed);
	if (!page.n)
		return RC_OK;
	return err_set(c->err, ERR_PreconditionFailed,
		       "'" STR_FMT "' of " STR_FMT
		       " guards commits and merges, and this server doesn't run actions: remove it, or set actions.enabled: false in the server's configuration to let all pass",
		       STR_ARG(str_head(page.items[0].key, 200)), STR_ARG(str_head(ref, 100)));
}
