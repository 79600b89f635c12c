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

/* "<upload id>/<number, 5 digits>" in partition "sluice-parts". */
struct str part_key(struct arena *a, struct str upload_id, unsigned number);
/* NoSuchUpload, also when it is somebody else's. */
rc upload_read(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	       struct str id, struct upload_record *ret);
