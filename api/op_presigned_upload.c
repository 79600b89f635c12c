/* Presigned multipart uploads: an upload is begun in the store, its parts are written there by URLs that are given
 * out, and then joined and linked. The signed address makes an upload somebody's: each call brings it along, and it is
 * good for one repository, branch and path. */
#include "api/rest.h"
#include "versions/presigned_upload.h"
#include "versions/protection.h"

enum { UPLOAD_ID_MAX = 2048, ETAG_MAX = 256, PART_DIGITS = 5 };

struct upload_state {
	struct presigned_upload u;
	int64_t parts; /* create: so many URLs are wanted */
	unsigned part;
	struct backend_presigned link;
	/* complete */
	struct backend_part *list;
	size_t n;
	struct entry entry;
	/* copy */
	struct str ref, path;
	uint64_t offset;
	struct backend_part copied;
	struct repo from_repo;
};

static struct backend_presign part_link(const struct presigned_upload *u, unsigned part)
{
	return (struct backend_presign){.method = STR("PUT"), .upload_id = u->id, .part = part};
}

/* What the store can't do is told before what is wrong with the question, as lakeFS does. */
static rc begin(struct api_req *r, struct upload_state **ret)
{
	struct vcall c = api_vcall(r);
	struct backend *b;

	*ret = ARENA_NEW(r->a, struct upload_state);
	r->op_state = *ret;
	return presigned_upload_store(&c, &r->repo, &b);
}

/* Whether it may be written there at all: better said before the bytes have been sent. */
static rc check_writable(struct api_req *r)
{
	struct vcall c = api_vcall(r);

	if (r->repo.read_only)
		return err_default(&r->err, ERR_ReadOnlyRepository);
	return protection_check(&c, &r->repo, r->branch, PROTECT_STAGING);
}

/* Whose upload it is: from the body and the path. */
static rc take_upload(struct api_req *r, const char *schema, struct upload_state *s)
{
	struct str address;

	TRY(api_body_object(r, schema));
	TRY(api_body_str(r, schema, "physical_address", true, &address));
	if (!address.n)
		return err_set(&r->err, ERR_INVALID, "physical_address is required");
	if (!r->id.n || r->id.n > UPLOAD_ID_MAX)
		return err_set(&r->err, ERR_INVALID, "upload_id is required, of at most %d bytes", UPLOAD_ID_MAX);
	s->u.id = r->id;
	return api_check_link_address(r, address, &s->u.address);
}

static rc take_part_number(struct api_req *r, unsigned *ret)
{
	uint64_t n;

	if (!str_to_u64(r->sub, &n) || r->sub.n > PART_DIGITS || n < 1 || n > MULTIPART_MAX_PARTS)
		return err_set(&r->err, ERR_INVALID,
			       "parameter \"partNumber\" in path has an error: number must be from 1 to %d",
			       MULTIPART_MAX_PARTS);
	*ret = (unsigned)n;
	return RC_OK;
}

/* create */

static rc take_parts(struct api_req *r, int64_t *ret)
{
	struct str text = api_query(r, "parts");
	uint64_t n = 0;

	if (text.p && (!str_to_u64(text, &n) || n > MULTIPART_MAX_PARTS))
		return err_set(&r->err, ERR_INVALID, "parts can be between 0 and %d", MULTIPART_MAX_PARTS);
	*ret = (int64_t)n;
	return RC_OK;
}

static rc plan_create(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct upload_state *s;
	struct branch b;
	rc found;

	TRY(begin(r, &s));
	TRY(take_parts(r, &s->parts));
	found = branch_get(&c, &r->repo, r->branch, &b);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "branch '" STR_FMT "' not found", STR_ARG(r->branch));
	TRY(found);
	return check_writable(r);
}

/* Ten thousand URLs: each goes into the answer, and its memory is had back. */
static rc show_links(struct api_req *r, struct upload_state *s)
{
	const struct object_ptr to = presigned_upload_to(&r->repo, &s->u);
	struct vcall c = api_vcall(r);
	struct backend *b;

	TRY(presigned_upload_store(&c, &r->repo, &b));
	jw_array(&r->w, "presigned_urls");
	for (int64_t i = 1; i <= s->parts; i++) {
		struct arena_mark mark = arena_mark(r->a);

		TRY(api_presign(r, b, &to, part_link(&s->u, (unsigned)i), &s->link));
		jw_str(&r->w, NULL, s->link.url);
		arena_rewind(r->a, mark);
	}
	jw_end_array(&r->w);
	return RC_OK;
}

static rc show_new(struct api_req *r, struct upload_state *s)
{
	api_begin(r);
	jw_str(&r->w, "physical_address", repo_address(&r->repo, s->u.address, r->a));
	if (s->parts)
		TRY(show_links(r, s));
	jw_str(&r->w, "upload_id", s->u.id);
	api_end(r);
	return RC_OK;
}

static rc run_create(struct api_req *r)
{
	struct upload_state *s = r->op_state;
	struct vcall c = api_vcall(r);
	struct vcall quiet = {.v = c.v, .a = c.a};
	rc shown;

	s->u.address = api_link_address(r);
	TRY(presigned_upload_create(&c, &r->repo, &s->u));
	shown = show_new(r, s);
	if (!rc_ok(shown)) /* nobody will hear of it */
		IGNORE_RC(presigned_upload_abort(&quiet, &r->repo, &s->u));
	return shown;
}

const struct api_handlers handlers_createPresignMultipartUpload = {.plan = plan_create, .run = run_create};

/* uploadPart: another URL for a part. */

static rc plan_part(struct api_req *r)
{
	struct upload_state *s;

	TRY(begin(r, &s));
	TRY(take_part_number(r, &s->part));
	TRY(take_upload(r, "UploadPartFrom", s));
	return check_writable(r);
}

static rc run_part(struct api_req *r)
{
	struct upload_state *s = r->op_state;
	const struct object_ptr to = presigned_upload_to(&r->repo, &s->u);
	struct vcall c = api_vcall(r);
	struct backend *b;

	TRY(presigned_upload_store(&c, &r->repo, &b));
	TRY(api_presign(r, b, &to, part_link(&s->u, s->part), &s->link));
	api_begin(r);
	jw_str(&r->w, "presigned_url", s->link.url);
	api_end(r);
	return RC_OK;
}

const struct api_handlers handlers_uploadPart = {.plan = plan_part, .run = run_part};

/* uploadPartCopy: the store copies the part from an object. */

static rc member_str(struct api_req *r, const struct json *of, const char *key, struct str *ret)
{
	*ret = json_str(json_member(of, key));
	if (ret->n)
		return RC_OK;
	return err_set(&r->err, ERR_INVALID,
		       "request body has an error: doesn't match schema #/components/schemas/UploadPartCopyFrom: "
		       "Error at \"/copy_source/%s\": property \"%s\" is missing",
		       key, key);
}

/* "bytes=first-last": from where on, and so many. */
static rc take_range(struct api_req *r, const struct json *source, struct upload_state *s)
{
	struct json *range = json_member(source, "range");
	struct str text = json_str(range), from, to;
	uint64_t last;

	s->copied = (struct backend_part){.number = s->part, .size = BACKEND_SIZE_UNKNOWN};
	if (!range || json_type(range) == JSON_NULL)
		return RC_OK;
	from = str_cut(str_starts(text, STR("bytes=")) ? str_skip(text, 6) : STR(""), '-', &to);
	if (!str_to_u64(from, &s->offset) || !str_to_u64(to, &last) || last < s->offset || last > INT64_MAX)
		return err_set(&r->err, ERR_INVALID, "range must be \"bytes=first-last\"");
	s->copied.size = last - s->offset + 1;
	return RC_OK;
}

static rc find_source(struct api_req *r, struct str repository, struct upload_state *s)
{
	struct vcall c = api_vcall(r);
	rc found = repo_get(&c, repository, &s->from_repo);

	if (!rc_ok(found) && !rc_is(found, NOT_FOUND))
		return found;
	if (!rc_ok(found))
		s->from_repo = (struct repo){.id = repository, .storage_id = STR_NONE};
	TRY(api_allows_object_of(r, "fs:ReadObject", &s->from_repo, s->path));
	if (!rc_ok(found))
		return err_set(&r->err, ERR_NOT_FOUND, "repository not found");
	found = object_stat(&c, &s->from_repo, s->ref, s->path, &s->entry);
	if (rc_is(found, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "not found");
	TRY(found);
	if (s->copied.size != BACKEND_SIZE_UNKNOWN && s->offset + s->copied.size > (uint64_t)s->entry.size)
		return err_default(&r->err, ERR_InvalidRange);
	return RC_OK;
}

static rc plan_copy(struct api_req *r)
{
	struct upload_state *s;
	struct json *source = json_member(r->doc, "copy_source");
	struct str repository;

	TRY(begin(r, &s));
	TRY(take_part_number(r, &s->part));
	TRY(take_upload(r, "UploadPartCopyFrom", s));
	TRY(api_body_there(r, "UploadPartCopyFrom", "copy_source"));
	TRY(member_str(r, source, "repository", &repository));
	TRY(member_str(r, source, "ref", &s->ref));
	TRY(member_str(r, source, "path", &s->path));
	TRY(take_range(r, source, s));
	TRY(check_writable(r));
	return find_source(r, repository, s);
}

static rc run_copy(struct api_req *r)
{
	struct upload_state *s = r->op_state;
	struct vcall c = api_vcall(r);

	return presigned_upload_copy(&c, &r->repo, &s->u, &s->from_repo, &s->entry, s->offset, &s->copied);
}

static void reply_copy(struct api_req *r)
{
	struct upload_state *s = r->op_state;

	api_add_header(r, "etag", arena_printf(r->a, "\"" STR_FMT "\"", STR_ARG(s->copied.etag)));
	api_reply_empty(r, r->route->status);
}

const struct api_handlers handlers_uploadPartCopy = {.plan = plan_copy, .run = run_copy, .reply = reply_copy};

/* complete */

static rc bad_part(struct api_req *r, size_t i, const char *what)
{
	return api_bad_body(r, "CompletePresignMultipartUpload", arena_printf(r->a, "parts/%zu", i).p, what);
}

static rc take_list(struct api_req *r, struct upload_state *s)
{
	struct json *list = json_member(r->doc, "parts");

	TRY(api_body_there(r, "CompletePresignMultipartUpload", "parts"));
	if (json_type(list) != JSON_ARRAY)
		return api_bad_body(r, "CompletePresignMultipartUpload", "parts", "value must be an array");
	s->n = json_count(list);
	if (!s->n || s->n > MULTIPART_MAX_PARTS)
		return err_set(&r->err, ERR_INVALID, "parts are required, at most %d", MULTIPART_MAX_PARTS);
	s->list = arena_zalloc(r->a, s->n * sizeof(*s->list));
	for (size_t i = 0; i < s->n; i++) {
		struct json *one = json_at(list, i), *number = json_member(one, "part_number");
		struct str etag = str_unquote(str_trim(json_str(json_member(one, "etag"))));

		if (json_type(number) != JSON_INT || json_int(number) < 1 || json_int(number) > MULTIPART_MAX_PARTS)
			return bad_part(r, i, "part_number must be an integer from 1 to 10000");
		if (!etag.n || etag.n > ETAG_MAX)
			return bad_part(r, i, "etag must be a string, as the store answered it");
		s->list[i] = (struct backend_part){.number = (unsigned)json_int(number), .etag = etag};
	}
	return RC_OK;
}

static rc plan_complete(struct api_req *r)
{
	static const char schema[] = "CompletePresignMultipartUpload";
	struct upload_state *s;

	TRY(begin(r, &s));
	TRY(take_upload(r, schema, s));
	TRY(take_list(r, s));
	TRY(api_body_str(r, schema, "content_type", false, &s->entry.content_type));
	if (!s->entry.content_type.p)
		s->entry.content_type = STR("");
	TRY(api_entry_metadata(r, schema, "user_metadata", &s->entry));
	TRY(entry_check(&s->entry, &r->err));
	return check_writable(r);
}

static rc run_complete(struct api_req *r)
{
	struct upload_state *s = r->op_state;
	struct vcall c = api_vcall(r);
	rc done = presigned_upload_complete(&c, &r->repo, &s->u, r->branch, r->path, s->list, s->n, &s->entry);

	return rc_is(done, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "branch not found") : done;
}

static void reply_complete(struct api_req *r)
{
	struct upload_state *s = r->op_state;

	api_show_entry(r, r->path, &s->entry, SHOW_METADATA | SHOW_EMPTY_METADATA);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_completePresignMultipartUpload = {
	.plan = plan_complete, .run = run_complete, .reply = reply_complete};

/* abort */

static rc plan_abort(struct api_req *r)
{
	struct upload_state *s;

	TRY(begin(r, &s));
	return take_upload(r, "AbortPresignMultipartUpload", s);
}

static rc run_abort(struct api_req *r)
{
	struct upload_state *s = r->op_state;
	struct vcall c = api_vcall(r);

	return presigned_upload_abort(&c, &r->repo, &s->u);
}

const struct api_handlers handlers_abortPresignMultipartUpload = {.plan = plan_abort, .run = run_abort};
