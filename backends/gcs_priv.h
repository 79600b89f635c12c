/* What the files of gcs.h share. */
#pragma once

#include "backends/gcs.h"
#include "backends/gcs_identity.h"
#include "base/json.h"

struct gcs {
	struct remote r; /* first */
	struct str base; /* "https://host" */
	struct str kms_key, customer_key;
	struct gcs_identity *identity,
	    *data;	       /* data: of objects' bytes, the same where there is only one */
	struct str key_sha256; /* of customer_key, base64 */
	rc (*base_open_part)(struct backend *b, const struct object_ptr *to, struct str upload_id,
			     unsigned number, const struct backend_put_options *o,
			     struct backend_writer **ret, struct err *reterr);
};

static inline struct gcs *gcs_of(struct backend *b)
{
	return CONTAINER(b, struct gcs, r.b);
}

/* What a call is about: remote_call.ud. */
struct gcs_target {
	struct str bucket, key;
	bool bytes;	 /* objects' bytes: the data account's */
	bool of_bucket;	 /* where nothing but the bucket can be missing */
	struct str etag; /* of a part: what it will be known by */
	struct str token;
	/* For the envelope. */
	struct str content_type, properties, boundary;
};

/* gs://bucket[/prefix]; prefix is "" or ends with "/". INVALID. */
rc gcs_space(struct arena *a, struct str space, struct str *ret_bucket, struct str *ret_prefix,
	     struct err *reterr);
/* Bucket and key of a pointer. */
rc gcs_aim(struct arena *a, const struct object_ptr *p, struct gcs_target **ret,
	   struct err *reterr);

/* A call of the JSON API below /storage/v1; key STR_NONE: of the bucket. */
void gcs_call(struct gcs *s, struct remote_call *c, struct arena *a, const char *method,
	      struct str bucket, struct str key, const char *tail);
/* Headers of a customer's key. */
void gcs_encrypt(const struct gcs *s, struct remote_call *c);
/* An upload of one request. */
void gcs_upload(struct gcs *s, struct remote_call *c, struct str bucket, struct str key);

/* uploadType=media, or with properties (a document; STR_NONE) multipart: gcs_envelope() puts them
 * before the bytes. */
void gcs_upload_as(struct remote_call *c, struct str content_type, struct str properties);
struct str gcs_envelope(struct remote *r, struct remote_call *c, struct str bytes);
bool gcs_has_class(const struct backend_put_options *o);
/* The name as Google has it, or STR_NONE: clients of S3 name S3's. */
struct str gcs_class(struct str storage_class);
/* {"contentType", "storageClass", "metadata": {name: value}}; what is STR_NONE is left out. */
struct str gcs_properties(struct arena *a, struct str content_type, struct str storage_class,
			  const char *name, struct str value);

rc gcs_sign(struct remote *r, struct remote_call *c, struct err *reterr);
rc gcs_refuse(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	      struct err *reterr);
bool gcs_learn(struct remote *r, struct remote_call *c, const struct http_answer *w);
/* A document that must be there: size, updated, etag. */
rc gcs_stat_of(struct remote *r, const struct remote_call *c, const struct json *j, struct arena *a,
	       struct backend_stat *ret, struct err *reterr);
rc gcs_document(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		struct json **ret, struct err *reterr);

/* What lies below a namespace, out of sight of listings. */
#define GCS_OWN "_sluice/"
/* own: that, too. */
rc gcs_list_all(struct gcs *s, struct str space, struct str prefix, struct str after, size_t max,
		bool own, struct arena *a, struct backend_list_entry **ret, size_t *ret_n,
		bool *ret_more, struct err *reterr);
rc gcs_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	    struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	    struct err *reterr);
/* properties: of the copy; STR_NONE: the source's. */
rc gcs_rewrite(struct gcs *s, const struct gcs_target *from, const struct gcs_target *to,
	       struct str properties, struct arena *a, struct backend_stat *ret,
	       struct err *reterr);
rc gcs_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	    struct arena *a, struct backend_stat *ret, struct err *reterr);
rc gcs_remove(struct backend *b, const struct object_ptr *p, struct err *reterr);
rc gcs_remove_key(struct gcs *s, struct str bucket, struct str key, struct err *reterr);
rc gcs_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
	       struct arena *a, struct backend_presigned *ret, struct err *reterr);

rc gcs_session_open(struct remote *r, const struct object_ptr *to,
		    const struct backend_put_options *o, struct arena *a, struct str *ret,
		    struct err *reterr);
rc gcs_session_send(struct remote *r, struct remote_call *c, struct str session, uint64_t offset,
		    bool last, uint64_t *ret_kept, struct backend_stat *ret, struct err *reterr);
void gcs_session_end(struct remote *r, struct str session);

rc gcs_mpu_create(struct backend *b, const struct object_ptr *to,
		  const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		  struct err *reterr);
rc gcs_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
		     unsigned number, const struct backend_put_options *o,
		     struct backend_writer **ret, struct err *reterr);
rc gcs_put_part(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		struct str upload_id, unsigned number, struct err *reterr);
/* The part has been stored: RC_OK unless its upload ended meanwhile. */
rc gcs_part_stays(struct gcs *s, const struct gcs_target *part, struct err *reterr);
rc gcs_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		    const struct backend_part *parts, size_t n, struct arena *a,
		    struct backend_stat *ret, struct err *reterr);
rc gcs_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		 struct err *reterr);
