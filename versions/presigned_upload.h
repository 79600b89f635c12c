/* Multipart uploads whose parts clients write into the store themselves, by presigned URLs.
 *
 * Nobody records them here. The signed address (link_address.h), which whoever calls has checked, says for
 * whom one was begun; which upload is that address's the store knows: an id is good for its key alone. Those
 * that nobody ends are the store's to remove.
 *
 * All calls block (workers). UNSUPPORTED: the store gives out no such URLs. NoSuchUpload: the address has no
 * upload of that id, or no longer.
 */
#pragma once

#include "versions/multipart.h"

struct presigned_upload {
	struct str address; /* relative, with its signature: where the object will be */
	struct str id;      /* the store's */
};

/* Whether the repository's store can. */
rc presigned_upload_store(struct vcall *c, const struct repo *r, struct backend **ret);
struct object_ptr presigned_upload_to(const struct repo *r, const struct presigned_upload *u);

/* Sets u->id. */
rc presigned_upload_create(struct vcall *c, const struct repo *r, struct presigned_upload *u);
/* Joins the parts (numbers and ETags, in whichever order; sorted) and stages what they make. entry: in, what
 * the client says of it; out, the rest. A repetition does it again, unless other parts had been joined.
 * INVALID, InvalidPart, EntityTooSmall: of the list; else as object_stage. */
rc presigned_upload_complete(struct vcall *c, const struct repo *r, const struct presigned_upload *u,
			     struct str branch, struct str path, struct backend_part *parts, size_t n,
			     struct entry *entry);
/* One that isn't there is no error. */
rc presigned_upload_abort(struct vcall *c, const struct repo *r, const struct presigned_upload *u);
/* An object's bytes [offset, offset + part->size), or with the size UNKNOWN all of them, as the part of that
 * number: both in one store. Sets its ETag. NoSuchVersion: the bytes are gone. */
rc presigned_upload_copy(struct vcall *c, const struct repo *r, const struct presigned_upload *u,
			 const struct repo *from_repo, const struct entry *from, uint64_t offset,
			 struct backend_part *part);
