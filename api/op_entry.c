/* What is asked about an object, and what of it may be changed, beside its bytes. */
#include "api/rest.h"
#include "versions/protection.h"

/* Whether one may upload there: the row's permission is the answer. */
const struct api_handlers handlers_uploadObjectPreflight = {0};

static rc plan_properties(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct entry e;
	rc found = object_stat(&c, &r->repo, r->ref, r->path, &e);

	return rc_is(found, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "not found") : found;
}

/* No store that is there so far has classes. */
static void reply_properties(struct api_req *r)
{
	api_begin(r);
	jw_null(&r->w, "storage_class");
	api_end(r);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getUnderlyingProperties = {
	.plan = plan_properties, .reply = reply_properties};

/* updateObjectUserMetadata. */

enum { METADATA_BYTES_MAX = 65536 };

struct change {
	struct meta *set;
	size_t n;
};

static rc parse_change(struct api_req *r)
{
	static const char schema[] = "UpdateObjectUserMetadata";
	struct change *ch = ARENA_NEW(r->a, struct change);
	size_t bytes = 0;

	r->op_state = ch;
	TRY(api_body_object(r, schema));
	TRY(api_body_there(r, schema, "set"));
	TRY(api_json_metadata(r, r->doc, "set", &ch->set, &ch->n));
	for (size_t i = 0; i < ch->n; i++)
		bytes += ch->set[i].key.n + ch->set[i].value.n;
	if (bytes > METADATA_BYTES_MAX)
		return err_set(&r->err, ERR_INVALID, "too much user metadata");
	return RC_OK;
}

static rc plan_change(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return protection_check(&c, &r->repo, r->branch, PROTECT_STAGING);
}

static bool is_own(struct str key)
{
	return str_starts(key, STR("::sluice::"));
}

/* What S3 clients set (tags, Cache-Control ...) is kept there, too, and isn't the user's metadata: it stays,
 * also when somebody sends back all that they have read. */
static rc merge(void *ud, struct entry *e)
{
	struct api_req *r = ud;
	const struct change *ch = r->op_state;
	struct meta *m = arena_alloc(r->a, (e->metadata_n + ch->n) * sizeof(*m) + 1);
	size_t n = 0;

	for (size_t i = 0; i < e->metadata_n; i++)
		if (is_own(e->metadata[i].key))
			m[n++] = e->metadata[i];
	for (size_t i = 0; i < ch->n; i++)
		if (!is_own(ch->set[i].key))
			m[n++] = ch->set[i];
	e->metadata = m;
	e->metadata_n = meta_sort(m, n);
	return RC_OK;
}

static rc run_change(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	rc done = object_change(&c, &r->repo, r->branch, r->path, merge, r);

	if (rc_is(done, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND,
			       "update user metadata on " STR_FMT "/" STR_FMT "/" STR_FMT ": not found",
			       STR_ARG(r->repository), STR_ARG(r->branch), STR_ARG(r->path));
	return done;
}

const struct api_handlers handlers_updateObjectUserMetadata = {
	.parse = parse_change, .plan = plan_change, .run = run_change};
