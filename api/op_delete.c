/* deleteObject and deleteObjects. */
#include "api/rest.h"

enum { PATHS_MAX = 1000 };

static rc parse_one(struct api_req *r)
{
	bool no_tombstone; /* of no consequence: what isn't committed needs none, what is does */

	return api_query_bool(r, "no_tombstone", false, &no_tombstone);
}

static rc run_one(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	return object_delete(&c, &r->repo, r->branch, r->path);
}

const struct api_handlers handlers_deleteObject = {.parse = parse_one, .run = run_one};

/* Many. */

struct many {
	struct object_delete_item *items;
	size_t n;
};

static rc parse_many(struct api_req *r)
{
	static const char schema[] = "PathList";
	struct many *m = ARENA_NEW(r->a, struct many);
	struct json *paths = json_member(r->doc, "paths");

	r->op_state = m;
	TRY(parse_one(r));
	TRY(api_body_object(r, schema));
	if (!paths)
		return err_set(&r->err, ERR_INVALID,
			       "request body has an error: doesn't match schema #/components/schemas/PathList: "
			       "Error at \"/paths\": property \"paths\" is missing");
	if (json_type(paths) != JSON_ARRAY)
		return api_bad_body(r, schema, "paths", "value must be an array");
	if (json_count(paths) > PATHS_MAX)
		return err_set(&r->err, ERR_INVALID, "request size exceeded, max paths is set to %d", PATHS_MAX);
	m->items = arena_zalloc(r->a, json_count(paths) * sizeof(*m->items) + 1);
	for (size_t i = 0; i < json_count(paths); i++) {
		struct json *path = json_at(paths, i);

		if (json_type(path) != JSON_STRING)
			return api_bad_body(r, schema, "paths", "value must be a string");
		if (json_str(path).n)
			m->items[m->n++] = (struct object_delete_item){.branch = r->branch, .path = json_str(path)};
	}
	return RC_OK;
}

static void show_error(struct api_req *r, struct str path, const struct err *e)
{
	jw_object(&r->w, NULL);
	jw_str(&r->w, "message", api_message(r, e));
	jw_str(&r->w, "path", path);
	jw_int(&r->w, "status_code", api_status(e->code));
	jw_end_object(&r->w);
}

/* Those that the caller may delete; the others are answered. */
static void keep_allowed(struct api_req *r, struct many *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (rc_ok(api_allows_object(r, "fs:DeleteObject", m->items[i].path)))
			m->items[kept++] = m->items[i];
		else
			show_error(r, m->items[i].path, &r->err);
	}
	m->n = kept;
}

/* Where there is no such repository or branch, nothing is to be deleted, as in lakeFS. */
static rc run_many(struct api_req *r)
{
	struct many *m = r->op_state;
	struct vcall c = api_vcall(r);

	api_begin(r);
	jw_array(&r->w, "errors");
	keep_allowed(r, m);
	if (r->have_repo && m->n)
		objects_delete(&c, &r->repo, m->items, m->n);
	for (size_t i = 0; i < m->n && r->have_repo; i++)
		if (!rc_ok(m->items[i].result) && !rc_is(m->items[i].result, NOT_FOUND))
			show_error(r, m->items[i].path, m->items[i].err);
	jw_end_array(&r->w);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_deleteObjects = {.parse = parse_many, .run = run_many};
