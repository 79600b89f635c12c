/* getMetaRange, getRange: where committed metadata lies; and commit records that are put in from elsewhere. */
#include "api/rest.h"

static void reply_address(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct str address = metadata_address(&c, r->id);

	api_add_header(r, "location", address);
	api_begin(r);
	jw_str(&r->w, "location", address);
	api_end(r);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getMetaRange = {.reply = reply_address};
const struct api_handlers handlers_getRange = {.reply = reply_address};

static const char schema[] = "CommitRecordCreation";

static rc parse_parents(struct api_req *r, struct commit *c)
{
	struct json *list = json_member(r->doc, "parents");

	if (json_type(list) != JSON_ARRAY)
		return api_bad_body(r, schema, "parents", "value must be an array");
	c->parents_n = json_count(list);
	c->parents = arena_alloc(r->a, c->parents_n * sizeof(*c->parents) + 1);
	for (size_t i = 0; i < c->parents_n; i++) {
		if (json_type(json_at(list, i)) != JSON_STRING)
			return api_bad_body(r, schema, "parents", "value must be a string");
		c->parents[i] = json_str(json_at(list, i));
	}
	return RC_OK;
}

static rc parse_number(struct api_req *r, const char *key, int64_t max, int64_t *ret)
{
	bool there;

	TRY(api_body_int(r, schema, key, true, ret, &there));
	if (*ret < 0 || *ret > max)
		return err_set(&r->err, ERR_INVALID,
			       "request body has an error: doesn't match schema #/components/schemas/%s: Error at "
			       "\"/%s\": number must be at %s %lld",
			       schema, key, *ret < 0 ? "least" : "most", *ret < 0 ? 0LL : (long long)max);
	return RC_OK;
}

static rc parse_record(struct api_req *r)
{
	struct commit *c = ARENA_NEW(r->a, struct commit);
	int64_t version, generation;

	r->op_state = c;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "commit_id", true, &c->id));
	TRY(parse_number(r, "version", COMMIT_VERSION, &version));
	TRY(api_body_str(r, schema, "committer", true, &c->committer));
	TRY(api_body_str(r, schema, "message", true, &c->message));
	TRY(api_body_str(r, schema, "metarange_id", true, &c->meta_range_id));
	TRY(parse_number(r, "creation_date", INT64_MAX, &c->created.s));
	TRY(parse_parents(r, c));
	TRY(parse_number(r, "generation", INT32_MAX, &generation));
	TRY(api_json_metadata(r, r->doc, "metadata", &c->metadata, &c->metadata_n));
	c->version = (int32_t)version;
	c->generation = (int32_t)generation;
	return api_body_bool(r, schema, "force", &r->force);
}

static rc run_record(struct api_req *r)
{
	struct commit *commit = r->op_state, there;
	struct vcall c = api_vcall(r);
	rc found;

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	TRY(commit_check(commit, &r->err));
	if (!str_eq(commit_id(commit, r->a), commit->id))
		return err_set(&r->err, ERR_INVALID, "commit id: invalid value: validation error");
	found = commit_get(&c, &r->repo, commit->id, &there);
	if (rc_ok(found))
		return err_set(&r->err, ERR_EXISTS, "commit already exists: not unique");
	return rc_is(found, NOT_FOUND) ? commit_add(&c, &r->repo, commit) : found;
}

const struct api_handlers handlers_CreateCommitRecord = {.parse = parse_record, .run = run_record};
