/* Objects as records: list and stat. */
#include "api/rest.h"
#include "versions/listing.h"

struct listing {
	struct api_page page;
	struct str delimiter;
	bool metadata;
};

/* No store that is there so far can make links. */
static rc refuse_presign(struct api_req *r)
{
	bool presign;

	TRY(api_query_bool(r, "presign", false, &presign));
	if (presign)
		return err_set(&r->err, ERR_INVALID, "presigned URL: operation not supported by the store");
	return RC_OK;
}

static rc parse_list(struct api_req *r)
{
	struct listing *l = ARENA_NEW(r->a, struct listing);

	r->op_state = l;
	TRY(api_query_page(r, &l->page));
	TRY(api_query_bool(r, "user_metadata", true, &l->metadata));
	l->delimiter = api_query(r, "delimiter");
	return refuse_presign(r);
}

static void show_prefix(struct api_req *r, struct str prefix)
{
	jw_object(&r->w, NULL);
	jw_str(&r->w, "checksum", STR(""));
	jw_int(&r->w, "mtime", 0);
	jw_str(&r->w, "path", prefix);
	jw_str(&r->w, "path_type", STR("common_prefix"));
	jw_str(&r->w, "physical_address", STR(""));
	jw_end_object(&r->w);
}

static rc run_list(struct api_req *r)
{
	struct listing *l = r->op_state;
	struct vcall c = api_vcall(r);
	const struct list_request q = {.prefix = l->page.prefix,
				       .after = l->page.after,
				       .delimiter = l->delimiter.n ? l->delimiter : STR_NONE,
				       .max = l->page.amount};
	struct list_page page;
	rc listed = objects_list(&c, &r->repo, r->ref, &q, &page);

	if (rc_is(listed, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	TRY(listed);
	api_page_begin(r);
	for (size_t i = 0; i < page.n; i++) {
		if (page.items[i].is_prefix)
			show_prefix(r, page.items[i].key);
		else
			api_show_entry(r, page.items[i].key, &page.items[i].entry,
				       l->metadata ? SHOW_METADATA : 0);
	}
	api_page_end(r, page.n, page.truncated, page.next);
	return RC_OK;
}

const struct api_handlers handlers_listObjects = {.parse = parse_list, .run = run_list};

struct stat {
	bool metadata;
	struct entry entry;
};

static rc parse_stat(struct api_req *r)
{
	struct stat *s = ARENA_NEW(r->a, struct stat);

	r->op_state = s;
	TRY(api_query_bool(r, "user_metadata", true, &s->metadata));
	return refuse_presign(r);
}

static rc plan_stat(struct api_req *r)
{
	struct stat *s = r->op_state;
	struct vcall c = api_vcall(r);
	rc found = object_stat(&c, &r->repo, r->ref, r->path, &s->entry);

	return rc_is(found, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "not found") : found;
}

static void reply_stat(struct api_req *r)
{
	struct stat *s = r->op_state;

	api_show_entry(r, r->path, &s->entry, SHOW_EMPTY_METADATA | (s->metadata ? SHOW_METADATA : 0));
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_statObject = {
	.parse = parse_stat, .plan = plan_stat, .reply = reply_stat};
