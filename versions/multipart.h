/* Multipart uploads: a record of the upload (lakeFS's UploadData), one of each part, the store's own
 * multipart below. Ids are scoped by repository and path.
 *
 * KV: partition "multiparts", key <upload id>: UploadData (extension: repository partition, branch,
 * checksum algorithm); partition "sluice-parts", key <upload id>/<part number, 5 digits>: PartData.
 * An id is 8 hex digits of the repository partition's SHA-256, an xid (time) and 16 random hex digits:
 * one prefix has all uploads of a repository, in the order of time.
 *
 * Checksums. Each upload has an algorithm, each part its checksum by it. The object's is of the parts'
 * checksums (composite), or of the whole: combined from the parts' CRCs. Who asks for none has CRC64NVME
 * of the whole, as in S3.
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
	enum digest_kind checksum; /* DIGEST_KINDS: none (of a record that lakeFS wrote) */
	bool checksum_full;        /* of the whole object; only where crc_combinable */
	bool checksum_implied;     /* nobody asked */
};

struct upload_part {
	unsigned number;
	uint64_t size;
	struct str etag; /* hex MD5 of the part */
	struct str checksum[DIGEST_KINDS]; /* the upload's, and what else the client gave */
	struct timestamp modified;
	struct str store_etag;
};

/* in: path, branch, metadata, content_type, checksum (DIGEST_KINDS: not asked for) and checksum_full.
 * Blocking (workers). */
rc upload_create(struct vcall *c, const struct repo *r, const struct upload *in, struct upload *ret);
/* NoSuchUpload, also when the id is another repository's, branch's or path's. */
rc upload_get(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	      struct str id, struct upload *ret);
rc upload_parts(struct vcall *c, const struct upload *u, unsigned after, size_t max,
		struct upload_part **ret, size_t *ret_n, bool *ret_more);

/* What a client says when it completes an upload. Its expectations are checked before anything is
 * changed: the upload stays open where they fail. */
struct upload_completion {
	const struct upload_part *parts; /* number, etag and, where given, checksums; ascending */
	size_t n;
	enum stage_cond cond;
	struct str etag;
	/* Of the whole. STR_NONE: not given; checksum_parts 0: without a number of parts behind it. Of an
	 * upload that nobody asked a checksum of, one that can't be computed from its parts is ignored. */
	enum digest_kind checksum_kind;
	struct str checksum;
	size_t checksum_parts;
	enum upload_type { UPLOAD_ANY_TYPE, UPLOAD_COMPOSITE, UPLOAD_FULL_OBJECT } type;
	bool has_size;
	uint64_t size;
};
/* InvalidPart, InvalidPartOrder, EntityTooSmall, BadDigest, InvalidRequest; the rest as object_stage.
 * Answers the entry as staged. Repeatable with the same list, also when it has answered RC_OK, as long as
 * the object is there that it made; a crash between its steps loses nothing. */
rc upload_complete(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		   struct str id, const struct upload_completion *how, struct entry *ret);
/* Also of one whose Complete has begun: should the object be visible already, it stays. */
rc upload_abort(struct vcall *c, const struct repo *r, const struct upload *u);


/* Open uploads of a repository, in the order of their keys, those of one key in the order of time. Keys
 * are paths of `branch`, or of all branches ("branch/path") when that is STR_NONE. */
struct uploads_request {
	struct str branch, prefix, delimiter;
	/* After this key; with an id, after that upload of this key. STR_NONE: from the start. */
	struct str key_marker, id_marker;
	size_t max;
};
struct uploads_item {
	struct str key;
	bool is_prefix; /* a common prefix: nothing but the key */
	struct str id;
	struct timestamp created;
	enum digest_kind checksum;
	bool checksum_full, checksum_implied;
};
struct uploads_page {
	struct uploads_item *items;
	size_t n;
	bool truncated; /* more follows the last item */
};
/* Reads the records of all the repository's uploads, holds `max` of them at most. Blocking. */
rc uploads_list(struct vcall *c, const struct repo *r, const struct uploads_request *q,
		struct uploads_page *ret);

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
