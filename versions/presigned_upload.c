#include "versions/presigned_upload.h"

#include <stdlib.h>

#include "versions/internal.h"

rc presigned_upload_store(struct vcall *c, const struct repo *r, struct backend **ret)
{
	TRY(repo_backend(c, r, ret));
	if (!((*ret)->caps & BACKEND_CAP_PRESIGN_PART))
		return err_set(c->err, ERR_UNSUPPORTED, "presign multipart upload API is not supported");
	return RC_OK;
}

struct object_ptr presigned_upload_to(const struct repo *r, const struct presigned_upload *u)
{
	return repo_pointer(r, u->address);
}

static rc gone(struct vcall *c, rc result)
{
	return rc_is(result, NOT_FOUND) ? err_default(c->err, ERR_NoSuchUpload) : result;
}

rc presigned_upload_create(struct vcall *c, const struct repo *r, struct presigned_upload *u)
{
	const struct backend_put_options o = {.content_type = STR_NONE};
	const struct object_ptr to = presigned_upload_to(r, u);
	struct backend *b;

	TRY(presigned_upload_store(c, r, &b));
	return b->blocking->mpu_create(b, &to, &o, c->a, &u->id, c->err);
}

/* Completing. */

static int by_number(const void *a, const void *b)
{
	const struct backend_part *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static rc sort_parts(struct vcall *c, struct backend_part *parts, size_t n)
{
	if (n == 0 || n > MULTIPART_MAX_PARTS)
		return err_set(c->err, ERR_INVALID, "an upload has 1 to %d parts", MULTIPART_MAX_PARTS);
	qsort(parts, n, sizeof(*parts), by_number);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].number < 1 || parts[i].number > MULTIPART_MAX_PARTS)
			return err_set(c->err, ERR_INVALID, "part numbers go from 1 to %d",
				       MULTIPART_MAX_PARTS);
		if (i && parts[i].number == parts[i - 1].number)
			return err_set(c->err, ERR_INVALID, "part %u is named twice", parts[i].number);
		parts[i].size = BACKEND_SIZE_UNKNOWN;
	}
	return RC_OK;
}

rc presigned_upload_complete(struct vcall *c, const struct repo *r, const struct presigned_upload *u,
			     struct str branch, struct str path, struct backend_part *parts, size_t n,
			     struct entry *entry)
{
	const struct object_ptr to = presigned_upload_to(r, u);
	struct backend_stat stat;
	struct backend *b;
	bool sent;

	TRY(presigned_upload_store(c, r, &b));
	TRY(sort_parts(c, parts, n));
	TRY(gone(c, b->blocking->mpu_complete(b, &to, u->id, parts, n, c->a, &stat, c->err)));
	entry->address = u->address;
	entry->address_type = ADDRESS_RELATIVE;
	entry->etag = stat.etag;
	entry->size = (int64_t)stat.size;
	entry->modified = (struct timestamp){.s = stat.mtime_s};
	TRY(entry_check(entry, c->err));
	return object_stage(c, r, branch, path, entry, STAGE_ALWAYS, STR_NONE, &sent);
}

rc presigned_upload_abort(struct vcall *c, const struct repo *r, const struct presigned_upload *u)
{
	const struct object_ptr to = presigned_upload_to(r, u);
	struct backend *b;

	TRY(presigned_upload_store(c, r, &b));
	return b->blocking->mpu_abort(b, &to, u->id, c->err);
}

/* Copying. */

/* The store doesn't tell which of the two isn't there. */
static rc copy_failed(struct vcall *c, struct backend *b, const struct object_ptr *from, rc result)
{
	struct backend_stat stat;

	if (!rc_is(result, NOT_FOUND))
		return result;
	if (rc_is(backend_head_now(b, from, c->a, &stat, NULL), NOT_FOUND))
		return err_default(c->err, ERR_NoSuchVersion);
	return gone(c, result);
}

rc presigned_upload_copy(struct vcall *c, const struct repo *r, const struct presigned_upload *u,
			 const struct repo *from_repo, const struct entry *from, uint64_t offset,
			 struct backend_part *part)
{
	const struct object_ptr to = presigned_upload_to(r, u), source = object_pointer(from_repo, from);
	struct backend *b, *other;

	TRY(presigned_upload_store(c, r, &b));
	TRY(repo_backend(c, from_repo, &other));
	if (b != other || !b->blocking->mpu_copy_part)
		return err_set(c->err, ERR_INVALID,
			       "the source is in another store: upload the part by its presigned URL");
	return copy_failed(c, b, &source,
			   b->blocking->mpu_copy_part(b, &source, &to, u->id, offset, c->a, part, c->err));
}
