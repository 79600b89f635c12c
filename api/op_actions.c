/* Runs of hooks: there are none, since there are no hooks. Said as lakeFS says it of a repository without. */
#include "api/rest.h"

static rc parse_runs(struct api_req *r)
{
	struct api_page page;

	TRY(api_query_page(r, &page));
	if (api_query(r, "branch").n && api_query(r, "commit").n)
		return err_set(&r->err, ERR_INVALID,
			       "can't use both branchID and MergedCommitID: parameters conflict");
	return RC_OK;
}

static rc parse_hooks(struct api_req *r)
{
	struct api_page page;

	return api_query_page(r, &page);
}

static void reply_none(struct api_req *r)
{
	api_page_begin(r);
	api_page_end(r, 0, false, STR_NONE);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_listRepositoryRuns = {.parse = parse_runs, .reply = reply_none};
const struct api_handlers handlers_listRunHooks = {.parse = parse_hooks, .reply = reply_none};

static rc no_run(struct api_req *r)
{
	return err_set(&r->err, ERR_NOT_FOUND, "not found: not found");
}

static rc no_output(struct api_req *r)
{
	return err_set(&r->err, ERR_NOT_FOUND, "not found");
}

const struct api_handlers handlers_getRun = {.plan = no_run};
const struct api_handlers handlers_getRunHookOutput = {.plan = no_output};
