/* Repositories: list, create, get, delete. */
#include "api/rest.h"

/* Listing shows those that the caller may see: pages of the whole are read until one of theirs is full. */
enum { SCAN = 1000, SCANS_MAX = 1000 };

struct listing {
	struct api_page page;
	struct str search;
	size_t n;
	struct str last; /* shown */
	bool more;
};

static rc parse_list(struct api_req *r)
{
	struct listing *l = ARENA_NEW(r->a, struct listing);

	r->op_state = l;
	l->search = api_query(r, "search");
	return api_query_page(r, &l->page);
}

static bool shown(struct api_req *r, const struct listing *l, const struct repo *repo)
{
	return str_starts(repo->id, l->page.prefix) &&
	       (!l->search.n || str_find(repo->id, l->search) < repo->id.n) &&
	       api_allows_repo(r, "fs:ListRepositories", repo);
}

/* True: the page is full, and there is at least one more. */
static bool take(struct api_req *r, struct listing *l, const struct repo *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!shown(r, l, &list[i]))
			continue;
		if (l->n == l->page.amount)
			return true;
		api_show_repo(&r->w, &list[i]);
		l->last = list[i].id;
		l->n++;
	}
	return false;
}

static rc run_list(struct api_req *r)
{
	struct listing *l = r->op_state;
	struct vcall c = api_vcall(r);
	struct str after = l->page.after;
	bool more = true;

	api_page_begin(r);
	for (unsigned i = 0; more && !l->more && i < SCANS_MAX; i++) {
		struct repo *list;
		size_t n;

		TRY(repo_list(&c, l->page.prefix, after, SCAN, &list, &n, &more));
		l->more = take(r, l, list, n);
		if (n)
			after = list[n - 1].id;
	}
	api_page_end(r, l->n, l->more, l->last);
	return RC_OK;
}

const struct api_handlers handlers_listRepositories = {.parse = parse_list, .run = run_list};

/* Creating. */

struct creation {
	struct repo_create in;
	bool sample_data;
};

static bool is_namespace(struct str s)
{
	static const char *const schemes[] = {"s3://", "gs://", "http://", "https://",
					      "mem://", "local://", "transient://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (str_starts(s, str_c(schemes[i])))
			return true;
	return false;
}

static rc parse_create(struct api_req *r)
{
	static const char schema[] = "RepositoryCreation";
	struct creation *n = ARENA_NEW(r->a, struct creation);
	struct repo_create *in = &n->in;

	r->op_state = n;
	TRY(api_query_bool(r, "bare", false, &in->bare));
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "name", true, &in->id));
	if (!rc_ok(valid_repo_name(in->id, NULL)))
		return api_bad_body(r, schema, "name",
				    "string doesn't match the regular expression \"^[a-z0-9][a-z0-9-]{2,62}$\"");
	TRY(api_body_str(r, schema, "storage_namespace", true, &in->storage_namespace));
	if (!is_namespace(in->storage_namespace))
		return api_bad_body(r, schema, "storage_namespace",
				    "string doesn't match the regular expression "
				    "\"^(s3|gs|https?|mem|local|transient)://.*$\"");
	TRY(api_body_str(r, schema, "storage_id", false, &in->storage_id));
	TRY(api_body_str(r, schema, "default_branch", false, &in->default_branch));
	TRY(api_body_bool(r, schema, "sample_data", &n->sample_data));
	TRY(api_body_bool(r, schema, "read_only", &in->read_only));
	if (!in->storage_id.n)
		in->storage_id = STR_NONE;
	if (!in->default_branch.n)
		in->default_branch = STR_NONE;
	r->repository = in->id;
	r->space = in->storage_namespace;
	return RC_OK;
}

static rc run_create(struct api_req *r)
{
	struct creation *n = r->op_state;
	struct vcall c = api_vcall(r);
	rc made;

	if (n->sample_data)
		return err_set(&r->err, ERR_UNSUPPORTED,
			       "sample_data is not supported: create the repository without it");
	made = repo_create(&c, &n->in, &r->repo);
	if (rc_is(made, EXISTS))
		return err_set(&r->err, ERR_EXISTS, "error creating repository: not unique");
	TRY(made);
	api_show_repo(&r->w, &r->repo);
	return RC_OK;
}

const struct api_handlers handlers_createRepository = {.parse = parse_create, .run = run_create};

static void reply_get(struct api_req *r)
{
	api_show_repo(&r->w, &r->repo);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getRepository = {.reply = reply_get};

static rc run_delete(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return repo_delete(&c, r->repository);
}

const struct api_handlers handlers_deleteRepository = {.run = run_delete};
