/* refs/dump and refs/restore. */
#include "api/rest.h"
#include "versions/dump.h"

static rc run_dump(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct refs_dump d;

	TRY(refs_dump(&c, &r->repo, NULL, &d));
	TRY(refs_write_manifest(&c, &r->repo, &d));
	api_begin(r);
	jw_str(&r->w, "branches_meta_range_id", d.branches);
	jw_str(&r->w, "commits_meta_range_id", d.commits);
	jw_str(&r->w, "tags_meta_range_id", d.tags);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_dumpRefs = {.run = run_dump};

static rc parse_restore(struct api_req *r)
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

const struct api_handlers handlers_restoreRefs = {.parse = parse_restore, .run = run_restore};
