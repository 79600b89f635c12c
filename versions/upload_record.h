/* Records of multipart uploads and their parts (UploadData, PartData). Private to versions/. */
#pragma once

#include "versions/multipart.h"

struct upload_record {
	struct upload u;
	struct str partition;  /* of the repository */
	struct str completing; /* the ETag of a begun Complete; "" for none */
	struct str raw;
};

struct str upload_encode(const struct upload_record *u, struct arena *a);
rc upload_decode(struct str bytes, struct arena *a, struct upload_record *ret, struct err *reterr);
struct str part_encode(const struct upload_part *p, struct arena *a);
rc part_decode(struct str bytes, struct arena *a, struct upload_part *ret, struct err *reterr);

/* A new id, and the prefix that all ids of the repository have. */
struct str upload_new_id(struct arena *a, const struct repo *r);
struct str upload_id_prefix(struct arena *a, const struct repo *r);
/* Whether it may be one of the repository's. */
bool upload_id_ok(struct arena *a, const struct repo *r, struct str id);

/* "<upload id>/<number, 5 digits>" in partition "sluice-parts". */
struct str part_key(struct arena *a, struct str upload_id, unsigned number);
/* NoSuchUpload, also when it is somebody else's. */
rc upload_read(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	       struct str id, struct upload_record *ret);

/* The store's multipart operations, UNSUPPORTED where it has none. */
rc multipart_store(struct vcall *c, const struct repo *r, struct backend **ret);
/* The next part of a scan of PARTITION_PARTS, as long as its key begins so. */
rc upload_next_part(struct vcall *c, struct kv_iter *it, struct str prefix, struct upload_part *ret,
		    bool *ret_end);
/* The records of all parts go. */
rc upload_drop_parts(struct vcall *c, const struct upload *u);
/* The entry that the parts make: sizes, ETag, checksums. */
rc upload_entry(struct vcall *c, const struct upload *u, const struct upload_part *parts, size_t n,
		struct entry *ret);
/* S3's ETag of the parts' ETags. False: one of them is no MD5. */
bool upload_etag(struct arena *a, const struct upload_part *parts, size_t n, struct str *ret);
/* The checksum of the parts together; STR_NONE when a part has none of that kind or, for one of the
 * whole, when the kind can't be combined. */
struct str upload_checksum(struct arena *a, enum digest_kind k, bool full,
			   const struct upload_part *parts, size_t n);
