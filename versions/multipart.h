/* Multipart uploads: a record of the upload (lakeFS's UploadData), one of each part, the store's own
 * multipart below. Ids are scoped by repository and path.
 *
 * KV: partition "multiparts", key <upload id>: UploadData (extension: repository partition, branch,
 * checksum algorithm); partition "sluice-parts", key <upload id>/<part number, 5 digits>: PartData.
 */
#pragma once

#include "versions/object.h"

enum { MULTIPART_MAX_PARTS = 10000 };
#define MULTIPART_MIN_PART ((uint64_t)5 << 20) /* all but the last; S3's 5 MiB */

struct upload {
	struct str id, path, branch, store_upload_id;
	struct object_ptr to;
	struct timestamp created;
	struct meta *metadata;
	size_t metadata_n;
	struct str content_type;
	enum digest_kind checksum; /* DIGEST_KINDS: none asked for */
};

struct upload_part {
	unsigned number;
	uint64_t size;
	struct str etag; /* hex MD5 of the part */
	struct str checksum[DIGEST_KINDS];
	struct timestamp modified;
	struct str store_etag;
};

/* in: path, branch, metadata, content_type, checksum. Blocking (workers). */
rc upload_create(struct vcall *c, const struct repo *r, const struct upload *in, struct upload *ret);
/* NoSuchUpload, also when the id is another repository's, branch's or path's. */
rc upload_get(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	      struct str id, struct upload *ret);
rc upload_parts(struct vcall *c, const struct upload *u, unsigned after, size_t max,
		struct upload_part **ret, size_t *ret_n, bool *ret_more);
/* given: number, etag and, where known, checksums of each, ascending. InvalidPart, InvalidPartOrder,
 * EntityTooSmall; the rest as object_stage. Answers the entry as staged. Repeatable with the same list
 * until it has answered RC_OK; a crash between its steps loses nothing. */
rc upload_complete(struct vcall *c, const struct repo *r, const struct upload *u,
		   const struct upload_part *given, size_t n, enum stage_cond cond, struct str etag,
		   struct entry *ret);
/* Also of one whose Complete has begun: should the object be visible already, it stays. */
rc upload_abort(struct vcall *c, const struct repo *r, const struct upload *u);

/* A part's body: asynchronous, as object_put (same fields mean the same; entry is not used). */
struct upload_part_put {
	void (*done)(struct upload_part_put *p);
	struct mailbox *home;
	struct versions *v;
	struct arena *a;
	const struct repo *repo;
	const struct upload *upload;
	unsigned number;
	struct body *relay, *body;
	struct digest_set *digests;
	rc (*complete)(struct upload_part_put *p, struct upload_part *part);
	void *ud;
	/* out */
	rc result;
	struct err err;
	struct upload_part part;
	/* private */
	struct backend *backend;
	struct backend_op op;
	struct work work;
	struct mail mail;
	int state;
	bool cancelled, ran;
};
/* On home's loop. */
void upload_part_start(struct upload_part_put *p);
void upload_part_cancel(struct upload_part_put *p);
