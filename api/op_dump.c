/* refs/dump and refs/restore. */
#include "api/rest.h"
#include "versions/dump.h"

void api_show_dump(struct api_req *r, const char *key, const struct refs_dump *d)
{
	jw_object(&r->w, key);
	jw_str(&r->w, "branches_meta_range_id", d->branches);
	jw_str(&r->w, "commits_meta_range_id", d->commits);
	jw_str(&r->w, "tags_meta_range_id", d->tags);
	jw_end_object(&r->w);
}

static rc run_dump(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct refs_dump d;

	TRY(refs_dump(&c, &r->repo, NULL, &d));
	TRY(refs_write_manifest(&c, &r->repo, &d));
	api_show_dump(r, NULL, &d);
	return RC_OK;
}

const struct api_handlers handlers_dumpRefs = {.run = run_dump};

rc api_parse_restore(struct api_req *r)
{
	static const char schema[] = "RefsRestore";
	struct refs_dump *d = ARENA_NEW(r->a, struct refs_dump);

	r->op_state = d;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "branches_meta_range_id", true, &d->branches));
	TRY(api_body_str(r, schema, "commits_meta_range_id", true, &d->commits));
	TRY(api_body_str(r, schema, "tags_meta_range_id", true, &d->tags));
	return api_body_bool(r, schema, "force", &r->force);
}

static rc run_restore(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	return refs_restore(&c, &r->repo, r->op_state, r->force, NULL);
}

const struct api_handlers handlers_restoreRefs = {.parse = api_parse_restore, .run = run_restore};
