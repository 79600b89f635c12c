/* Operations of lakeFS that clients may ask for and that aren't served: each says so, and what to do. */
#include "api/rest.h"

static rc no_pulls(struct api_req *r)
{
	return err_set(&r->err, ERR_UNSUPPORTED,
		       "pull requests are not supported: compare and merge the branches themselves");
}

const struct api_handlers handlers_listPullRequests = {.plan = no_pulls};
const struct api_handlers handlers_createPullRequest = {.plan = no_pulls};
const struct api_handlers handlers_getPullRequest = {.plan = no_pulls};
const struct api_handlers handlers_updatePullRequest = {.plan = no_pulls};
const struct api_handlers handlers_mergePullRequest = {.plan = no_pulls};

static rc no_import(struct api_req *r)
{
	return err_set(&r->err, ERR_UNSUPPORTED, "imports are not supported: upload the objects");
}

const struct api_handlers handlers_importStart = {.plan = no_import};
const struct api_handlers handlers_importStatus = {.plan = no_import};
const struct api_handlers handlers_importCancel = {.plan = no_import};
