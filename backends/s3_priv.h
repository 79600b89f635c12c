/* What the files of the S3 store share. */
#pragma once

#include <pthread.h>

#include "backends/s3.h"
#include "base/lru.h"

struct xml_node;

#define S3_SCHEME STR("s3://")

struct s3_endpoint {
	struct str scheme; /* "https://" */
	struct str host;   /* with its port, unless it is the scheme's; STR_NONE: AWS's own */
	struct str path;   /* "" or "/base" */
	bool path_style;   /* whatever the bucket */
};

struct s3 {
	struct remote r;
	struct arena *a; /* of the options and addresses */
	struct backend_s3_options o;
	struct s3_endpoint endpoint, presigned;
	struct aws_credentials *keys;
	struct {
		pthread_mutex_t lock;
		struct lru buckets;
		/* The bucket of which presigning last found that nobody knows, and when. */
		char unsure[64];
		int64_t unsure_ms;
	} regions;
};

/* What a call is about: remote_call.ud. */
struct s3_target {
	struct str bucket, key;	       /* "": the service, the bucket */
	bool probing;		       /* its refusals are the answer */
	struct str access_key, region; /* of the last attempt */
};

static inline struct s3 *s3_of(struct backend *b)
{
	return CONTAINER(CONTAINER(b, struct remote, b), struct s3, r);
}

/* Addresses. */
rc s3_endpoint_parse(struct arena *a, struct str url, bool path_style, struct s3_endpoint *ret,
		     struct err *reterr);
/* Bucket and prefix ("" or "a/b/") of a namespace. */
rc s3_space(struct arena *a, struct str space, struct str *ret_bucket, struct str *ret_prefix,
	    struct err *reterr);
/* An initialised call (but method and body) about the object, or about a bucket. */
rc s3_call(struct s3 *s, struct remote_call *c, struct arena *a, const char *method,
	   const struct object_ptr *p, struct err *reterr);
void s3_call_bucket(struct remote_call *c, struct arena *a, const char *method, struct str bucket);
/* The same for a call that remote.c has initialised. */
rc s3_aim(struct remote_call *c, const struct object_ptr *p, struct err *reterr);
/* The headers of a new object. */
void s3_headers(const struct s3 *s, struct remote_call *c, const struct backend_put_options *o);
struct str s3_base(const struct s3_endpoint *e, struct str bucket, struct str region,
		   struct arena *a, struct str *ret_host);
struct str s3_path(const struct s3_endpoint *e, const struct s3_target *t, struct arena *a);

/* Signing. */
rc s3_sign(struct remote *r, struct remote_call *c, struct err *reterr);
rc s3_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
	      struct arena *a, struct backend_presigned *ret, struct err *reterr);

/* Regions. */
void s3_regions_init(struct s3 *s);
void s3_regions_deinit(struct s3 *s);
/* The bucket's region in the arena: as known, as asked for now, or as configured. The first time
 * for a bucket it asks, also when discover_bucket_region is off: what the service is shows, too. */
rc s3_region(struct s3 *s, struct str bucket, struct arena *a, struct str *ret, struct err *reterr);
void s3_region_set(struct s3 *s, struct str bucket, struct str region);

/* Answers. */
rc s3_refuse(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	     struct err *reterr);
bool s3_learn(struct remote *r, struct remote_call *c, const struct http_answer *w);
rc s3_stat(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	   struct arena *a, struct backend_stat *ret, struct err *reterr);
/* The document of a success. An <Error> in a 200 is told like another one; IO: it isn't XML. */
rc s3_document(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	       struct xml_node **ret, struct err *reterr);
struct str s3_unquote(struct str etag);

/* Operations. */
rc s3_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	   struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	   struct err *reterr);
rc s3_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	   struct arena *a, struct backend_stat *ret, struct err *reterr);
rc s3_mpu_create(struct backend *b, const struct object_ptr *to,
		 const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		 struct err *reterr);
rc s3_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		   const struct backend_part *parts, size_t n, struct arena *a,
		   struct backend_stat *ret, struct err *reterr);
rc s3_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		struct err *reterr);
rc s3_mpu_copy_part(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
		    struct str upload_id, uint64_t offset, struct arena *a,
		    struct backend_part *part, struct err *reterr);
