/* What the multipart operations share (op_multipart.c, op_parts.c, op_part_copy.c, op_uploads.c). */
#pragma once

#include "gateway/s3.h"

/* The upload that uploadId names, of this key. NoSuchUpload. */
rc s3_the_upload(struct s3_req *r, struct upload *ret);
/* partNumber. InvalidArgument. */
rc s3_part_number(struct s3_req *r, unsigned *ret);
/* x-amz-checksum-type. InvalidRequest. */
rc s3_checksum_type(struct s3_req *r, enum upload_type *ret);

/* <Bucket>, <Key> and, if there is one, <UploadId>. */
void s3_address_xml(struct s3_req *r, struct str upload_id);
/* <Initiator>, <Owner> and <StorageClass>. */
void s3_owners_xml(struct s3_req *r);
/* <ChecksumAlgorithm> and <ChecksumType> of an upload that a checksum was asked of. */
void s3_upload_checksum_xml(struct s3_req *r, enum digest_kind k, bool full, bool implied);
/* <ChecksumCRC32> and so on, of a part. */
void s3_checksum_xml(struct s3_req *r, enum digest_kind k, struct str raw);
/* As headers, or as XML: what a client of the upload knows of a part's checksums. */
void s3_part_checksum_xml(struct s3_req *r, const struct upload *u, const struct upload_part *p);
void s3_part_checksum_headers(struct s3_req *r, const struct upload *u, const struct upload_part *p);

/* UploadPart and UploadPartCopy: starts op, whose done, number, body, complete and ud the caller has set. */
void s3_part_start(struct s3_req *r, struct upload_part_put *op, const struct upload *u);
/* Its end, whatever it was. */
void s3_part_done(struct s3_req *r, rc result, const struct err *why);
