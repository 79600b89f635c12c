/* Objects as records: list and stat. */
#include "api/rest.h"
#include "versions/listing.h"

struct listing {
	struct api_page page;
	struct str delimiter;
	bool metadata, presign;
	struct backend *backend; /* with presign */
};

static rc parse_list(struct api_req *r)
{
	struct listing *l = ARENA_NEW(r->a, struct listing);

	r->op_state = l;
	TRY(api_query_page(r, &l->page));
	TRY(api_query_bool(r, "user_metadata", true, &l->metadata));
	l->delimiter = api_query(r, "delimiter");
	return api_wants_presign(r, &l->presign);
}

static rc plan_list(struct api_req *r)
{
	struct listing *l = r->op_state;

	return l->presign ? api_can_presign(r, &l->backend) : RC_OK;
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

/* Who may not read an object is told its address, as without presign; so is everybody of one that isn't in this
 * store. */
static rc presign_entry(struct api_req *r, const struct listing *l, struct str path, const struct entry *e,
			struct backend_presigned *link, const struct backend_presigned **ret)
{
	const struct object_ptr p = object_pointer(&r->repo, e);
	rc result;

	*ret = NULL;
	if (!l->presign)
		return RC_OK;
	result = api_allows_object(r, "fs:ReadObject", path);
	if (rc_is(result, AccessDenied))
		return RC_OK;
	TRY(result);
	result = api_presign_read(r, l->backend, &p, path, link);
	if (rc_is(result, INVALID))
		return RC_OK;
	TRY(result);
	*ret = link;
	return RC_OK;
}

static rc show_object(struct api_req *r, const struct listing *l, struct str path, const struct entry *e)
{
	struct arena_mark mark = arena_mark(r->a);
	const struct backend_presigned *at;
	struct backend_presigned link;

	TRY(presign_entry(r, l, path, e, &link, &at));
	api_show_entry_at(r, path, e, l->metadata ? SHOW_METADATA : 0, at);
	arena_rewind(r->a, mark);
	return RC_OK;
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
			TRY(show_object(r, l, page.items[i].key, &page.items[i].entry));
	}
	api_page_end(r, page.n, page.truncated, page.next);
	return RC_OK;
}

const struct api_handlers handlers_listObjects = {
	.parse = parse_list, .plan = plan_list, .run = run_list};

struct stat {
	bool metadata, presign;
	struct entry entry;
	struct backend *backend; /* with presign */
	struct backend_presigned link;
};

static rc parse_stat(struct api_req *r)
{
	struct stat *s = ARENA_NEW(r->a, struct stat);

	r->op_state = s;
	TRY(api_query_bool(r, "user_metadata", true, &s->metadata));
	return api_wants_presign(r, &s->presign);
}

static rc plan_stat(struct api_req *r)
{
	struct stat *s = r->op_state;
	struct vcall c = api_vcall(r);
	rc found;

	if (s->presign)
		TRY(api_can_presign(r, &s->backend));
	found = object_stat(&c, &r->repo, r->ref, r->path, &s->entry);
	return rc_is(found, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "not found") : found;
}

static rc presign_stat(struct api_req *r)
{
	struct stat *s = r->op_state;
	const struct object_ptr p = object_pointer(&r->repo, &s->entry);

	return api_presign_read(r, s->backend, &p, r->path, &s->link);
}

static void start_stat(struct api_req *r)
{
	struct stat *s = r->op_state;

	if (s->presign)
		api_on_worker(r, presign_stat);
	else
		api_done(r, RC_OK);
}

static void reply_stat(struct api_req *r)
{
	struct stat *s = r->op_state;

	api_show_entry_at(r, r->path, &s->entry, SHOW_EMPTY_METADATA | (s->metadata ? SHOW_METADATA : 0),
			  s->presign ? &s->link : NULL);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_statObject = {
	.parse = parse_stat, .plan = plan_stat, .start = start_stat, .reply = reply_stat};
