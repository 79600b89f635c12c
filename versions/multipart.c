/* Multipart uploads: create, look, abort. (part_put.c takes the parts, upload_complete.c joins them.) */
#include "versions/multipart.h"

#include <assert.h>

#include "base/crc_combine.h"
#include "versions/internal.h"
#include "versions/protection.h"
#include "versions/upload_record.h"

/* Creating. */

static rc check_new(struct vcall *c, const struct repo *r, const struct upload *u)
{
	struct entry e = {
		.content_type = u->content_type,
		.metadata = u->metadata,
		.metadata_n = u->metadata_n,
	};
	struct branch b;

	assert(!u->checksum_full || u->checksum == DIGEST_KINDS || crc_combinable(u->checksum));
	TRY(valid_path(u->path, c->err));
	TRY(read_only_refused(r, c->err));
	TRY(entry_check(&e, c->err));
	TRY(branch_get(c, r, u->branch, &b));
	return protection_check(c, r, u->branch, PROTECT_STAGING);
}

rc multipart_store(struct vcall *c, const struct repo *r, struct backend **ret)
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

	if (in->checksum == DIGEST_KINDS) {
		u.u.checksum = DIGEST_CRC64NVME;
		u.u.checksum_full = u.u.checksum_implied = true;
	}
	u.u.id = upload_new_id(c->a, r);
	u.u.created = wall_now();
	u.u.to = repo_pointer(r, object_new_address(c->v, c->a));
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

rc upload_next_part(struct vcall *c, struct kv_iter *it, struct str prefix, struct upload_part *ret,
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
		TRY(upload_next_part(c, it, prefix, &part, &end));
		*ret_more = !end && *ret_n == max;
		if (end || *ret_more)
			return RC_OK;
		(*ret)[(*ret_n)++] = part;
	}
}

/* All of them, in batches: a scan is closed before anything is deleted under it. */
rc upload_drop_parts(struct vcall *c, const struct upload *u)
{
	struct kv_write *w = arena_zalloc(c->a, KV_WRITES_MAX * sizeof(*w));
	struct upload_part *parts;
	bool more = true;
	size_t n;

	while (more) {
		struct arena_mark mark = arena_mark(c->a);

		TRY(upload_parts(c, u, 0, KV_WRITES_MAX, &parts, &n, &more));
		for (size_t i = 0; i < n; i++)
			w[i] = (struct kv_write){.partition = PARTITION_PARTS,
						 .key = part_key(c->a, u->id, parts[i].number),
						 .remove = true,
						 .err = c->err};
		kv_write_many(c->v->kv, w, n);
		for (size_t i = 0; i < n; i++)
			TRY(w[i].result);
		arena_rewind(c->a, mark);
	}
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
	TRY(upload_drop_parts(c, &now.u));
	return kv_delete(c->v->kv, PARTITION_MULTIPARTS, now.u.id, c->err);
}
