/* Multipart uploads: create, look, complete, abort. (part_put.c takes the parts.)
 *
 * Complete, each arrow one durable step, repeatable from any state by calling it again:
 *
 *   OPEN --1--> COMPLETING --2--> JOINED --3--> VISIBLE --4--> GONE --5--> tidy
 *
 *   1 begin  the list's ETag into the upload's record, by compare-and-set: from now on only this list
 *            can be completed, so whatever object is found at the address is made of it
 *   2 join   the store joins the parts into the object at the upload's address. A repetition finds no
 *            upload in the store but an object of the right size: that is this state
 *   3 stage  the entry; a body that may be named is never removed again, not even by abort
 *   4 end    the upload's record goes: from now on NoSuchUpload
 *   5        the parts' records go (a crash before that leaves them as garbage)
 */
#include "versions/multipart.h"

#include "base/encode.h"
#include "versions/internal.h"
#include "versions/upload_record.h"

enum { ID_BYTES = 16, MD5_BYTES = 16, BEGIN_TRIES = 3 };

/* Creating. */

static rc check_new(struct vcall *c, const struct repo *r, const struct upload *u)
{
	struct entry e = {
		.content_type = u->content_type,
		.metadata = u->metadata,
		.metadata_n = u->metadata_n,
	};
	struct branch b;

	TRY(valid_path(u->path, c->err));
	TRY(read_only_refused(r, c->err));
	TRY(entry_check(&e, c->err));
	return branch_get(c, r, u->branch, &b);
}

static rc multipart_store(struct vcall *c, const struct repo *r, struct backend **ret)
{
	TRY(repo_backend(c, r, ret));
	if (!((*ret)->caps & BACKEND_CAP_MULTIPART) || !(*ret)->blocking)
		return err_set(c->err, ERR_UNSUPPORTED, "store %.*s takes no multipart uploads",
			       STR_ARG((*ret)->id));
	return RC_OK;
}

static struct upload_record planned(struct vcall *c, const struct repo *r, const struct upload *in)
{
	struct upload_record u = {.u = *in, .partition = r->partition, .completing = STR("")};
	uint8_t id[ID_BYTES];

	rand_bytes(id, sizeof(id));
	u.u.id = hex_encode(c->a, str_make(id, sizeof(id)));
	u.u.created = wall_now();
	u.u.to = (struct object_ptr){
		.store_id = r->storage_id,
		.space = r->storage_namespace,
		.key = object_new_address(c->v, c->a),
		.type = ADDRESS_RELATIVE,
	};
	return u;
}

rc upload_create(struct vcall *c, const struct repo *r, const struct upload *in, struct upload *ret)
{
	const struct backend_put_options o = {.content_type = in->content_type};
	struct upload sorted = *in;
	struct upload_record u;
	struct backend *b;
	rc res;

	sorted.metadata_n = meta_sort(sorted.metadata, sorted.metadata_n);
	TRY(check_new(c, r, &sorted));
	TRY(multipart_store(c, r, &b));
	u = planned(c, r, &sorted);
	TRY(b->blocking->mpu_create(b, &u.u.to, &o, c->a, &u.u.store_upload_id, c->err));
	res = kv_set(c->v->kv, PARTITION_MULTIPARTS, u.u.id, upload_encode(&u, c->a), c->err);
	if (surely_unwritten(res))
		IGNORE_RC(b->blocking->mpu_abort(b, &u.u.to, u.u.store_upload_id, NULL)); /* garbage */
	*ret = u.u;
	return res;
}

rc upload_get(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	      struct str id, struct upload *ret)
{
	struct upload_record u;

	TRY(upload_read(c, r, branch, path, id, &u));
	*ret = u.u;
	return RC_OK;
}

/* Parts. */

static rc next_part(struct vcall *c, struct kv_iter *it, struct str prefix, struct upload_part *ret,
		    bool *ret_end)
{
	struct kv_entry e;

	TRY(kv_iter_next(it, &e, ret_end, c->err));
	if (!*ret_end && !str_starts(e.key, prefix))
		*ret_end = true;
	if (*ret_end)
		return RC_OK;
	return part_decode(arena_dup(c->a, e.value), c->a, ret, c->err);
}

rc upload_parts(struct vcall *c, const struct upload *u, unsigned after, size_t max,
		struct upload_part **ret, size_t *ret_n, bool *ret_more)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str prefix = key_join(c->a, u->id, STR("/"));
	struct upload_part part;
	bool end = after >= MULTIPART_MAX_PARTS;

	*ret = arena_alloc(c->a, max * sizeof(**ret));
	*ret_n = 0;
	*ret_more = false;
	if (end)
		return RC_OK;
	if (c->wait == KV_NOWAIT)
		return err_default(c->err, ERR_WOULD_BLOCK);
	TRY(kv_scan(c->v->kv, PARTITION_PARTS, part_key(c->a, u->id, after + 1), max + 1, &it,
		    c->err));
	for (;;) {
		TRY(next_part(c, it, prefix, &part, &end));
		*ret_more = !end && *ret_n == max;
		if (end || *ret_more)
			return RC_OK;
		(*ret)[(*ret_n)++] = part;
	}
}

/* Completing. */

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

static bool same_part(const struct upload_part *given, const struct upload_part *recorded)
{
	if (given->number != recorded->number || !str_eq_nocase(given->etag, recorded->etag))
		return false;
	for (unsigned k = 0; k < DIGEST_KINDS; k++)
		if (given->checksum[k].p && recorded->checksum[k].p &&
		    !str_eq(given->checksum[k], recorded->checksum[k]))
			return false;
	return true;
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
		TRY(next_part(c, it, prefix, &ret[found], &end));
		if (!end && ret[found].number < given[found].number)
			continue;
		if (end || !same_part(&given[found], &ret[found]))
			return err_default(c->err, ERR_InvalidPart);
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

/* S3's: the MD5 of the parts' MD5s, and how many they are. */
static rc combined_etag(struct vcall *c, const struct upload_part *parts, size_t n, struct str *ret)
{
	struct str *sums = arena_alloc(c->a, n * sizeof(*sums));
	uint8_t md5[DIGEST_MAX];

	for (size_t i = 0; i < n; i++)
		if (!hex_decode(c->a, parts[i].etag, &sums[i]) || sums[i].n != MD5_BYTES)
			return err_set(c->err, ERR_CORRUPT, "the ETag recorded for part %u is no MD5",
				       parts[i].number);
	digest_of(DIGEST_MD5, arena_join(c->a, sums, n), md5);
	*ret = arena_printf(c->a, "%.*s-%zu", STR_ARG(hex_encode(c->a, str_make(md5, MD5_BYTES))), n);
	return RC_OK;
}

/* The checksum of the parts' checksums, when the upload asked for one and all parts have it. CRC64NVME
 * knows no such thing: S3 has it over the whole object only. */
static void combined_checksum(struct vcall *c, const struct upload *u, const struct plan *p,
			      struct entry *e)
{
	struct str *sums = arena_alloc(c->a, p->n * sizeof(*sums));
	uint8_t *sum = arena_alloc(c->a, DIGEST_MAX);

	if (u->checksum == DIGEST_KINDS || u->checksum == DIGEST_CRC64NVME)
		return;
	for (size_t i = 0; i < p->n; i++) {
		sums[i] = p->parts[i].checksum[u->checksum];
		if (!sums[i].p)
			return;
	}
	digest_of(u->checksum, arena_join(c->a, sums, p->n), sum);
	e->checksum[u->checksum] = str_make(sum, digest_size(u->checksum));
	e->checksum_composite = true;
}

static rc plan_entry(struct vcall *c, const struct upload *u, struct plan *p)
{
	struct entry *e = &p->entry;

	*e = (struct entry){
		.address = u->to.key,
		.address_type = u->to.type,
		.modified = wall_now(),
		.metadata = u->metadata,
		.metadata_n = u->metadata_n,
		.content_type = u->content_type.n ? u->content_type
						  : STR("application/octet-stream"),
		.part_sizes = arena_alloc(c->a, p->n * sizeof(*e->part_sizes)),
		.parts_n = p->n,
	};
	for (size_t i = 0; i < p->n; i++) {
		e->part_sizes[i] = p->parts[i].size;
		e->size += (int64_t)p->parts[i].size;
	}
	combined_checksum(c, u, p, e);
	return combined_etag(c, p->parts, p->n, &e->etag);
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
	return plan_entry(c, u, p);
}

/* Before anything is changed, so that a refused Complete leaves the upload open. What was staged by an
 * earlier try satisfies any condition: it was allowed then. */
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
	if (u->completing.n && str_eq(ret->address, u->u.to.key)) {
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

static rc join(struct vcall *c, struct backend *b, const struct upload *u, const struct plan *p)
{
	struct backend_stat stat;
	rc r = b->blocking->mpu_complete(b, &u->to, u->store_upload_id, p->store_parts, p->n, c->a,
					 &stat, c->err);

	if (!rc_is(r, NOT_FOUND))
		return r;
	r = backend_head_now(b, &u->to, c->a, &stat, c->err);
	if (rc_ok(r) && stat.size == (uint64_t)p->entry.size)
		return RC_OK;
	if (rc_ok(r) || rc_is(r, NOT_FOUND))
		return err_default(c->err, ERR_NoSuchUpload);
	return r;
}

/* All of them, in batches: a scan is closed before anything is deleted under it. */
static rc drop_parts(struct vcall *c, const struct upload *u)
{
	enum { BATCH = 1000 };
	struct upload_part *parts;
	bool more = true;
	size_t n;

	while (more) {
		TRY(upload_parts(c, u, 0, BATCH, &parts, &n, &more));
		for (size_t i = 0; i < n; i++)
			TRY(kv_delete(c->v->kv, PARTITION_PARTS,
				      part_key(c->a, u->id, parts[i].number), c->err));
	}
	return RC_OK;
}

/* The object is visible: what fails here can't take that back. A record that stays lets Complete be
 * repeated, a part's record that stays is garbage. */
static void end_upload(struct vcall *c, const struct upload *u)
{
	struct vcall quiet = {.v = c->v, .a = c->a};

	if (rc_ok(kv_delete(c->v->kv, PARTITION_MULTIPARTS, u->id, NULL)))
		IGNORE_RC(drop_parts(&quiet, u));
}

rc upload_complete(struct vcall *c, const struct repo *r, const struct upload *u,
		   const struct upload_part *given, size_t n, enum stage_cond cond, struct str etag,
		   struct entry *ret)
{
	struct upload_record now;
	struct backend *b;
	struct plan p;
	bool visible, sent;

	TRY(read_only_refused(r, c->err));
	TRY(upload_read(c, r, u->branch, u->path, u->id, &now));
	TRY(make_plan(c, &now.u, given, n, &p));
	TRY(multipart_store(c, r, &b));
	TRY(check_condition(c, r, &now, cond, etag, ret, &visible));
	TRY(begin(c, r, &now, p.entry.etag));
	if (!visible) {
		TRY(join(c, b, &now.u, &p));
		TRY(object_stage(c, r, now.u.branch, now.u.path, &p.entry, cond, etag, &sent));
		*ret = p.entry;
	}
	end_upload(c, &now.u);
	return RC_OK;
}

rc upload_abort(struct vcall *c, const struct repo *r, const struct upload *u)
{
	struct upload_record now;
	struct backend *b;
	rc res;

	TRY(upload_read(c, r, u->branch, u->path, u->id, &now));
	TRY(multipart_store(c, r, &b));
	res = b->blocking->mpu_abort(b, &now.u.to, now.u.store_upload_id, c->err);
	if (!rc_is(res, NOT_FOUND))
		TRY(res);
	TRY(drop_parts(c, &now.u));
	return kv_delete(c->v->kv, PARTITION_MULTIPARTS, now.u.id, c->err);
}
