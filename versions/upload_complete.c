/* Completing a multipart upload.
 *
 * Complete, each arrow one durable step, repeatable from any state by calling it again:
 *
 *   OPEN --1--> COMPLETING --2--> JOINED --3--> VISIBLE --4--> GONE --5--> tidy
 *
 *   1 begin  the list's ETag into the upload's record, by compare-and-set: from now on only this list
 *            can be completed, so whatever object is found at the address is made of it. What the client
 *            expects of the whole was checked before
 *   2 join   the store joins the parts into the object at the upload's address. A repetition finds no
 *            upload in the store but an object of the right size: that is this state
 *   3 stage  the entry; a body that may be named is never removed again, not even by abort
 *   4 end    the upload's record goes: from now on NoSuchUpload, or success again where the object is
 *            there that the list makes
 *   5        the parts' records go (a crash before that leaves them as garbage)
 */
#include "versions/internal.h"
#include "versions/upload_record.h"

enum { BEGIN_TRIES = 3 };

struct plan {
	struct upload_part *parts; /* as recorded */
	struct backend_part *store_parts;
	size_t n;
	struct entry entry;
};

static rc check_list(struct vcall *c, const struct upload_part *given, size_t n)
{
	if (n == 0 || n > MULTIPART_MAX_PARTS)
		return err_set(c->err, ERR_InvalidRequest, "You must specify 1 to %d parts",
			       MULTIPART_MAX_PARTS);
	for (size_t i = 1; i < n; i++)
		if (given[i - 1].number >= given[i].number)
			return err_default(c->err, ERR_InvalidPartOrder);
	return RC_OK;
}

static bool is_composite(const struct upload *u)
{
	return u->checksum != DIGEST_KINDS && !u->checksum_implied && !u->checksum_full;
}

static rc checksum_missing(struct vcall *c, const struct upload *u, unsigned number)
{
	return err_set(c->err, ERR_InvalidRequest,
		       "The upload was created using a %s checksum. The complete request must include "
		       "the checksum for each part. It was missing for part %u in the request.",
		       digest_name(u->checksum), number);
}

/* A checksum that nobody recorded can't be right: S3 has two words for that. */
static rc check_checksums(struct vcall *c, const struct upload *u, const struct upload_part *given,
			  const struct upload_part *recorded)
{
	for (unsigned k = 0; k < DIGEST_KINDS; k++) {
		if (!given->checksum[k].p || str_eq(given->checksum[k], recorded->checksum[k]))
			continue;
		if (recorded->checksum[k].p || u->checksum_implied)
			return err_default(c->err, ERR_InvalidPart);
		return err_set(c->err, ERR_BadDigest,
			       "The %s you specified for part %u did not match what we received.",
			       digest_name((enum digest_kind)k), given->number);
	}
	return RC_OK;
}

/* The records of the given parts. */
static rc match_parts(struct vcall *c, const struct upload *u, const struct upload_part *given,
		      size_t n, struct upload_part *ret)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str prefix = key_join(c->a, u->id, STR("/"));
	size_t found = 0;
	bool end;

	TRY(kv_scan(c->v->kv, PARTITION_PARTS, part_key(c->a, u->id, given[0].number), n, &it,
		    c->err));
	while (found < n) {
		TRY(upload_next_part(c, it, prefix, &ret[found], &end));
		if (!end && ret[found].number < given[found].number)
			continue;
		if (end || ret[found].number != given[found].number ||
		    !str_eq_nocase(ret[found].etag, given[found].etag))
			return err_default(c->err, ERR_InvalidPart);
		if (is_composite(u) && !given[found].checksum[u->checksum].p)
			return checksum_missing(c, u, given[found].number);
		TRY(check_checksums(c, u, &given[found], &ret[found]));
		found++;
	}
	return RC_OK;
}

static rc check_sizes(struct vcall *c, const struct upload_part *parts, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (parts[i].size < MULTIPART_MIN_PART)
			return err_default(c->err, ERR_EntityTooSmall);
	return RC_OK;
}

static rc make_plan(struct vcall *c, const struct upload *u, const struct upload_part *given,
		    size_t n, struct plan *p)
{
	TRY(check_list(c, given, n));
	*p = (struct plan){
		.parts = arena_alloc(c->a, n * sizeof(*p->parts)),
		.store_parts = arena_alloc(c->a, n * sizeof(*p->store_parts)),
		.n = n,
	};
	TRY(match_parts(c, u, given, n, p->parts));
	TRY(check_sizes(c, p->parts, n));
	for (size_t i = 0; i < n; i++)
		p->store_parts[i] = (struct backend_part){
			.number = p->parts[i].number,
			.etag = p->parts[i].store_etag,
			.size = p->parts[i].size,
		};
	return upload_entry(c, u, p->parts, n, &p->entry);
}

/* What the client expects of the whole. */

static const char *type_name(bool full)
{
	return full ? "FULL_OBJECT" : "COMPOSITE";
}

static rc check_type(struct vcall *c, const struct upload *u, enum upload_type type)
{
	if (type == UPLOAD_ANY_TYPE || u->checksum == DIGEST_KINDS ||
	    (type == UPLOAD_FULL_OBJECT) == u->checksum_full)
		return RC_OK;
	return err_set(c->err, ERR_InvalidRequest,
		       "The upload was created using the %s checksum mode. The complete request must "
		       "use the same checksum mode.",
		       type_name(u->checksum_full));
}

/* The algorithm's name as S3 writes it. */
static struct str upper_name(struct arena *a, enum digest_kind k)
{
	struct str name = arena_dup(a, str_c(digest_name(k)));
	char *p = (char *)name.p;

	for (size_t i = 0; i < name.n; i++)
		if (p[i] >= 'a' && p[i] <= 'z')
			p[i] = (char)(p[i] - 'a' + 'A');
	return name;
}

static rc check_checksum(struct vcall *c, const struct upload *u, const struct plan *p,
			 const struct upload_completion *how)
{
	enum digest_kind k = how->checksum_kind;
	struct str sum;

	if (!how->checksum.p || u->checksum == DIGEST_KINDS)
		return RC_OK;
	if (k != u->checksum && !u->checksum_implied)
		return err_set(c->err, ERR_InvalidRequest,
			       "Checksum Type mismatch occurred, expected checksum Type: %s, actual "
			       "checksum Type: %s",
			       digest_name(u->checksum), digest_name(k));
	sum = upload_checksum(c->a, k, u->checksum_full, p->parts, p->n);
	if (!sum.p && u->checksum_implied)
		return RC_OK;
	if (str_eq(sum, how->checksum) && (!how->checksum_parts || how->checksum_parts == p->n))
		return RC_OK;
	return err_set(c->err, ERR_BadDigest,
		       "The %.*s you specified did not match the calculated checksum.",
		       STR_ARG(upper_name(c->a, k)));
}

static rc check_expectations(struct vcall *c, const struct upload *u, const struct plan *p,
			     const struct upload_completion *how)
{
	if (how->has_size && how->size != (uint64_t)p->entry.size)
		return err_set(c->err, ERR_InvalidRequest,
			       "The provided 'x-amz-mp-object-size' header value %llu does not match "
			       "what was computed: %lld",
			       (unsigned long long)how->size, (long long)p->entry.size);
	return check_checksum(c, u, p, how);
}

/* Before anything is changed, so that a refused Complete leaves the upload open. What was staged by another
 * try satisfies any condition: it was allowed then. */
static rc check_condition(struct vcall *c, const struct repo *r, const struct upload_record *u,
			  enum stage_cond cond, struct str etag, struct entry *ret, bool *ret_visible)
{
	bool absent;
	rc res;

	*ret_visible = false;
	if (cond == STAGE_ALWAYS)
		return RC_OK;
	res = object_stat(c, r, u->u.branch, u->u.path, ret);
	absent = rc_is(res, NOT_FOUND);
	if (absent && cond == STAGE_IF_ABSENT)
		return RC_OK; /* or there is no such branch: staging will tell */
	TRY(res);
	if (str_eq(ret->address, u->u.to.key)) {
		*ret_visible = true;
		return RC_OK;
	}
	if (cond == STAGE_IF_ABSENT)
		return err_set(c->err, ERR_PREDICATE, "path already exists");
	if (!str_eq(etag, STR("*")) && !str_eq(etag, ret->etag))
		return err_set(c->err, ERR_PREDICATE, "the object has another ETag");
	return RC_OK;
}

static rc begin(struct vcall *c, const struct repo *r, struct upload_record *u, struct str etag)
{
	for (unsigned i = 0; i < BEGIN_TRIES; i++) {
		struct str raw = u->raw;
		rc res;

		if (str_eq(u->completing, etag))
			return RC_OK;
		if (u->completing.n)
			return err_set(c->err, ERR_InvalidRequest,
				       "This upload is being completed with another list of parts; "
				       "repeat that one or abort the upload");
		u->completing = etag;
		res = kv_set_if(c->v->kv, PARTITION_MULTIPARTS, u->u.id, upload_encode(u, c->a),
				KV_IF_VALUE, raw, c->err);
		if (!rc_is(res, PREDICATE))
			return res;
		TRY(upload_read(c, r, u->u.branch, u->u.path, u->u.id, u));
	}
	return err_set(c->err, ERR_SlowDown, "the upload's record keeps changing; try again");
}

/* Parts that are missing: an abort, or another Complete, took them away where the upload is gone; the list wasn't wrong. */
static rc parts_failed(struct vcall *c, const struct repo *r, const struct upload *u, rc why)
{
	struct upload_record now;

	if (rc_is(why, InvalidPart))
		TRY(upload_read(c, r, u->branch, u->path, u->id, &now));
	return rc_is(why, InvalidPart) ? err_default(c->err, ERR_InvalidPart) : why;
}

static rc join(struct vcall *c, const struct repo *r, struct backend *b, const struct upload *u,
	       const struct plan *p)
{
	struct backend_stat stat;
	rc res = b->blocking->mpu_complete(b, &u->to, u->store_upload_id, p->store_parts, p->n, c->a,
					   &stat, c->err);

	if (!rc_is(res, NOT_FOUND))
		return parts_failed(c, r, u, res);
	res = backend_head_now(b, &u->to, c->a, &stat, c->err);
	if (rc_ok(res) && stat.size == (uint64_t)p->entry.size)
		return RC_OK;
	if (rc_ok(res) || rc_is(res, NOT_FOUND))
		return err_default(c->err, ERR_NoSuchUpload);
	return res;
}

/* The object is visible: what fails here can't take that back. A record that stays lets Complete be
 * repeated, a part's record that stays is garbage. */
static void end_upload(struct vcall *c, const struct upload *u)
{
	struct vcall quiet = {.v = c->v, .a = c->a};

	if (rc_ok(kv_delete(c->v->kv, PARTITION_MULTIPARTS, u->id, NULL)))
		IGNORE_RC(upload_drop_parts(&quiet, u));
}

/* The upload is gone. Where the object is what the list makes, an earlier Complete did it and its answer
 * was lost. */
static rc repeated(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		   struct str id, const struct upload_completion *how, struct entry *ret)
{
	struct str etag;
	rc res;

	if (!upload_id_ok(c->a, r, id) || !rc_ok(check_list(c, how->parts, how->n)) ||
	    !upload_etag(c->a, how->parts, how->n, &etag))
		return err_default(c->err, ERR_NoSuchUpload);
	res = object_stat(c, r, branch, path, ret);
	if (rc_is(res, NOT_FOUND) || (rc_ok(res) && !str_eq(ret->etag, etag)))
		return err_default(c->err, ERR_NoSuchUpload);
	return res;
}

static rc show(struct vcall *c, const struct repo *r, const struct upload_record *u, const struct entry *e,
	       const struct upload_completion *how, struct entry *ret)
{
	bool sent, visible;
	rc res = object_stage(c, r, u->u.branch, u->u.path, e, how->cond, how->etag, &sent);

	*ret = *e;
	if (!rc_is(res, PREDICATE))
		return res;
	/* By another Complete of this upload? */
	TRY(check_condition(c, r, u, how->cond, how->etag, ret, &visible));
	return visible ? RC_OK : err_default(c->err, ERR_PREDICATE);
}

static rc complete(struct vcall *c, const struct repo *r, struct upload_record *u,
		   const struct upload_completion *how, struct entry *ret)
{
	struct backend *b;
	struct plan p;
	bool visible;

	TRY(check_type(c, &u->u, how->type));
	TRY(parts_failed(c, r, &u->u, make_plan(c, &u->u, how->parts, how->n, &p)));
	TRY(check_expectations(c, &u->u, &p, how));
	TRY(multipart_store(c, r, &b));
	TRY(check_condition(c, r, u, how->cond, how->etag, ret, &visible));
	TRY(begin(c, r, u, p.entry.etag));
	if (!visible) {
		TRY(join(c, r, b, &u->u, &p));
		TRY(show(c, r, u, &p.entry, how, ret));
	}
	end_upload(c, &u->u);
	return RC_OK;
}

rc upload_complete(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		   struct str id, const struct upload_completion *how, struct entry *ret)
{
	struct upload_record u;
	rc res;

	TRY(read_only_refused(r, c->err));
	res = upload_read(c, r, branch, path, id, &u);
	if (rc_ok(res))
		res = complete(c, r, &u, how, ret);
	/* Gone before, or by another Complete of it while this one was under way. */
	return rc_is(res, NoSuchUpload) ? repeated(c, r, branch, path, id, how, ret) : res;
}
