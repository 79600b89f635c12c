/* createSymlinkFile: what Hive reads objects by. */
#include "api/rest.h"
#include "versions/symlinks.h"

/* The paths' beginning is what the permission is asked on. */
static rc parse(struct api_req *r)
{
	r->path = api_query(r, "location");
	if (!r->path.n)
		r->path = STR("");
	return r->path.n ? api_check_path(r) : RC_OK;
}

static rc run(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str location;
	rc written = symlinks_write(&c, &r->repo, r->ref, r->path, &location);

	if (rc_is(written, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	TRY(written);
	api_begin(r);
	jw_str(&r->w, "location", location);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_createSymlinkFile = {.parse = parse, .run = run};
