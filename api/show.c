/* Records as the schemas of lakeFS's API have them. */
#include "api/rest.h"

void api_begin(struct api_req *r)
{
	jw_object(&r->w, NULL);
}

void api_end(struct api_req *r)
{
	jw_end_object(&r->w);
}

void api_page_begin(struct api_req *r)
{
	jw_object(&r->w, NULL);
	jw_array(&r->w, "results");
}

void api_page_end(struct api_req *r, size_t n, bool more, struct str next)
{
	jw_end_array(&r->w);
	jw_object(&r->w, "pagination");
	jw_bool(&r->w, "has_more", more);
	jw_int(&r->w, "max_per_page", API_PAGE_MAX);
	jw_str(&r->w, "next_offset", more ? next : STR(""));
	jw_int(&r->w, "results", (int64_t)n);
	jw_end_object(&r->w);
	jw_end_object(&r->w);
}

void api_show_meta(struct json_out *w, const char *key, const struct meta *m, size_t n)
{
	jw_object(w, key);
	for (size_t i = 0; i < n; i++)
		jw_str_of(w, m[i].key, m[i].value);
	jw_end_object(w);
}

void api_show_ref(struct json_out *w, struct str id, struct str commit_id)
{
	jw_object(w, NULL);
	jw_str(w, "commit_id", commit_id);
	jw_str(w, "id", id);
	jw_end_object(w);
}

void api_show_commit(struct json_out *w, const struct commit *c)
{
	api_show_commit_as(w, NULL, c);
}

void api_show_commit_as(struct json_out *w, const char *key, const struct commit *c)
{
	jw_object(w, key);
	jw_str(w, "committer", c->committer);
	jw_int(w, "creation_date", c->created.s);
	jw_int(w, "generation", c->generation);
	jw_str(w, "id", c->id);
	jw_str(w, "message", c->message);
	jw_str(w, "meta_range_id", c->meta_range_id);
	api_show_meta(w, "metadata", c->metadata, c->metadata_n);
	jw_array(w, "parents");
	for (size_t i = 0; i < c->parents_n; i++)
		jw_str(w, NULL, c->parents[i]);
	jw_end_array(w);
	jw_int(w, "version", c->version);
	jw_end_object(w);
}

void api_show_repo(struct json_out *w, const struct repo *r)
{
	jw_object(w, NULL);
	jw_int(w, "creation_date", r->created.s);
	jw_str(w, "default_branch", r->default_branch);
	jw_str(w, "id", r->id);
	jw_bool(w, "read_only", r->read_only);
	jw_str(w, "storage_id", r->storage_id);
	jw_str(w, "storage_namespace", r->storage_namespace);
	jw_end_object(w);
}

/* A whole address: below the repository's namespace, or as it is. */
static struct str address(struct api_req *r, const struct entry *e)
{
	return e->address_type == ADDRESS_FULL ? e->address : repo_address(&r->repo, e->address, r->a);
}

struct str api_content_type(const struct entry *e)
{
	return e->content_type.n ? e->content_type : STR("application/octet-stream");
}

void api_show_entry(struct api_req *r, struct str path, const struct entry *e, unsigned flags)
{
	api_show_entry_at(r, path, e, flags, NULL);
}

void api_show_entry_at(struct api_req *r, struct str path, const struct entry *e, unsigned flags,
		       const struct backend_presigned *at)
{
	struct json_out *w = &r->w;
	size_t n = flags & SHOW_METADATA ? e->metadata_n : 0;

	jw_object(w, NULL);
	jw_str(w, "checksum", e->etag);
	jw_str(w, "content_type", api_content_type(e));
	if (n || (flags & SHOW_EMPTY_METADATA))
		api_show_meta(w, "metadata", e->metadata, n);
	jw_int(w, "mtime", e->modified.s);
	jw_str(w, "path", path);
	jw_str(w, "path_type", STR("object"));
	jw_str(w, "physical_address", at ? at->url : address(r, e));
	if (at)
		jw_int(w, "physical_address_expiry", at->expires_s);
	jw_int(w, "size_bytes", e->size);
	jw_end_object(w);
}
