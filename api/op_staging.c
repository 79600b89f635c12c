/* Objects whose bytes don't come through here: an address is given out, its object written by the client
 * beside this server, and linked; or an address is told. */
#include "api/rest.h"
#include "versions/link_address.h"
#include "versions/protection.h"

static struct link_target target(struct api_req *r)
{
	return (struct link_target){.repository = r->repository, .branch = r->branch, .path = r->path};
}

struct str api_link_address(struct api_req *r)
{
	struct str address = object_new_address(r->x->o.versions, r->a);
	struct link_target to = target(r);
	const struct str pieces[] = {address, STR(","),
				     link_address_sign(r->x->o.signing_secret, &to, address, r->a)};

	return arena_join(r->a, pieces, 3);
}

/* getPhysicalAddress. */

struct place {
	struct str address; /* relative, with its signature: what is written to, and linked */
	bool presign;
	struct backend *backend; /* with presign */
	struct backend_presigned link;
};

static rc parse_get(struct api_req *r)
{
	struct place *p = ARENA_NEW(r->a, struct place);

	r->op_state = p;
	return api_wants_presign(r, &p->presign);
}

static rc plan_get(struct api_req *r)
{
	struct place *p = r->op_state;

	return p->presign ? api_can_presign(r, &p->backend) : RC_OK;
}

static rc presign(struct api_req *r)
{
	struct place *p = r->op_state;
	const struct object_ptr to = repo_pointer(&r->repo, p->address);

	return api_presign(r, p->backend, &to, (struct backend_presign){.method = STR("PUT")}, &p->link);
}

static void start_get(struct api_req *r)
{
	struct place *p = r->op_state;

	p->address = api_link_address(r);
	if (p->presign)
		api_on_worker(r, presign);
	else
		api_done(r, RC_OK);
}

static void reply_get(struct api_req *r)
{
	struct place *p = r->op_state;

	api_begin(r);
	jw_str(&r->w, "physical_address", repo_address(&r->repo, p->address, r->a));
	if (p->presign) {
		jw_str(&r->w, "presigned_url", p->link.url);
		jw_int(&r->w, "presigned_url_expiry", p->link.expires_s);
	} else {
		jw_null(&r->w, "presigned_url");
	}
	api_end(r);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getPhysicalAddress = {
	.parse = parse_get, .plan = plan_get, .start = start_get, .reply = reply_get};

/* linkPhysicalAddress and stageObject: an entry is told, with its address. */

struct link {
	struct entry entry;
	struct str address; /* as given */
	enum stage_cond cond;
};

rc api_entry_metadata(struct api_req *r, const char *schema, const char *key, struct entry *e)
{
	TRY(api_json_metadata(r, r->doc, key, &e->metadata, &e->metadata_n));
	for (size_t i = 0; i < e->metadata_n; i++)
		if (str_starts(e->metadata[i].key, STR("::sluice::")))
			return api_bad_body(r, schema, key, "keys that begin with ::sluice:: are reserved");
	return RC_OK;
}

static rc read_entry(struct api_req *r, const char *schema, const char *metadata_key, struct link *l)
{
	struct entry *e = &l->entry;
	int64_t mtime;
	bool there;

	TRY(api_body_str(r, schema, "checksum", true, &e->etag));
	TRY(api_body_int(r, schema, "size_bytes", true, &e->size, &there));
	if (e->size < 0)
		return api_bad_body(r, schema, "size_bytes", "number must be at least 0");
	TRY(api_body_str(r, schema, "content_type", false, &e->content_type));
	TRY(api_entry_metadata(r, schema, metadata_key, e));
	e->modified = wall_now();
	TRY(api_body_int(r, schema, "mtime", false, &mtime, &there));
	if (there && mtime < 0)
		return api_bad_body(r, schema, "mtime", "number must be at least 0");
	if (there)
		e->modified = (struct timestamp){.s = mtime};
	if (!e->content_type.p)
		e->content_type = STR("");
	TRY(api_body_bool(r, schema, "force", &r->force));
	return entry_check(e, &r->err);
}

/* Addresses outside of the repository's data are full ones, and reach into what isn't the repository's:
 * that is what importing is, and asks for leave to. */
static rc outside(struct api_req *r, struct link *l)
{
	struct str scheme = str_head(l->address, str_find(l->address, STR("://")));

	if (!l->address.n || scheme.n == l->address.n)
		return err_set(&r->err, ERR_INVALID, "physical address is not valid: \"" STR_FMT "\" is no URI",
			       STR_ARG(str_head(l->address, 200)));
	if (l->address.n > API_PATH_MAX * 2 || !str_is_utf8(l->address))
		return err_set(&r->err, ERR_INVALID, "physical address is too long, or not UTF-8");
	TRY(api_allows_namespace(r, "fs:ImportFromStorage", l->address));
	l->entry.address = l->address;
	l->entry.address_type = ADDRESS_FULL;
	return RC_OK;
}

/* Whether the address is one that the repository's own data have, and which. */
static bool own(struct api_req *r, struct str address, struct str *ret)
{
	struct str space = repo_address(&r->repo, STR(""), r->a);

	if (!str_starts(address, space) || !str_starts(str_skip(address, space.n), STR("data/")))
		return false;
	*ret = str_skip(address, space.n);
	return true;
}

/* Nobody may have a path show other data of the repository than what they were given an address for. The
 * signature is part of where the client wrote to. */
static rc check_signed(struct api_req *r, struct str relative)
{
	struct link_target to = target(r);
	struct str signature, address = str_cut(relative, ',', &signature);

	return link_address_check(r->x->o.signing_secret, &to, address, signature, wall_now().s, r->a, &r->err);
}

rc api_check_link_address(struct api_req *r, struct str address, struct str *ret)
{
	if (!own(r, address, ret))
		return err_set(&r->err, ERR_INVALID,
			       "physical address must be relative to the storage namespace");
	return check_signed(r, *ret);
}

static rc place(struct api_req *r, struct link *l)
{
	struct str relative;

	if (!own(r, l->address, &relative))
		return outside(r, l);
	l->entry.address = relative;
	l->entry.address_type = ADDRESS_RELATIVE;
	return check_signed(r, relative);
}

static rc plan_link(struct api_req *r)
{
	struct link *l = r->op_state;
	struct vcall c = api_vcall(r);

	if (r->force)
		r->repo.read_only = false;
	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	TRY(place(r, l));
	return protection_check(&c, &r->repo, r->branch, PROTECT_STAGING);
}

static rc run_link(struct api_req *r)
{
	struct link *l = r->op_state;
	struct vcall c = api_vcall(r);
	bool sent;
	rc staged = object_stage(&c, &r->repo, r->branch, r->path, &l->entry, l->cond, STR_NONE, &sent);

	if (rc_is(staged, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "branch not found");
	return staged;
}

static void reply_link(struct api_req *r)
{
	struct link *l = r->op_state;

	api_show_entry(r, r->path, &l->entry, SHOW_METADATA | SHOW_EMPTY_METADATA);
	api_reply_json(r, r->route->status);
}

static rc parse_link(struct api_req *r)
{
	static const char schema[] = "StagingMetadata";
	struct link *l = ARENA_NEW(r->a, struct link);
	struct str absent = api_header(r, "if-none-match");

	r->op_state = l;
	TRY(api_body_object(r, schema));
	TRY(api_body_there(r, schema, "staging"));
	l->address = json_str(json_member(json_member(r->doc, "staging"), "physical_address"));
	if (!l->address.n)
		return api_bad_body(r, schema, "staging/physical_address", "an address is required");
	TRY(read_entry(r, schema, "user_metadata", l));
	l->cond = absent.p ? STAGE_IF_ABSENT : STAGE_ALWAYS;
	if (api_header(r, "if-match").p || (absent.p && !str_eq(str_trim(absent), STR("*"))))
		return err_set(&r->err, ERR_UNSUPPORTED, "Not Implemented");
	return RC_OK;
}

const struct api_handlers handlers_linkPhysicalAddress = {
	.parse = parse_link, .plan = plan_link, .run = run_link, .reply = reply_link};

static void reply_stage(struct api_req *r)
{
	struct link *l = r->op_state;

	api_show_entry(r, r->path, &l->entry, SHOW_METADATA);
	api_reply_json(r, r->route->status);
}

static rc parse_stage(struct api_req *r)
{
	static const char schema[] = "ObjectStageCreation";
	struct link *l = ARENA_NEW(r->a, struct link);

	r->op_state = l;
	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "physical_address", true, &l->address));
	return read_entry(r, schema, "metadata", l);
}

static rc plan_stage(struct api_req *r)
{
	struct link *l = r->op_state;
	struct vcall c = api_vcall(r);
	struct str scheme;
	struct backend *b;

	TRY(repo_backend(&c, &r->repo, &b));
	scheme = arena_printf(r->a, "%s://", api_scheme(str_c(b->type)));
	if (!str_starts(l->address, scheme))
		return err_set(&r->err, ERR_INVALID, "physical address is not valid for block adapter: %s",
			       b->type);
	return plan_link(r);
}

const struct api_handlers handlers_stageObject = {
	.parse = parse_stage, .plan = plan_stage, .run = run_link, .reply = reply_stage};
