/* What the files of the azure adapter share. */
#pragma once

#include <pthread.h>

#include "backends/azure.h"
#include "backends/azure_identity.h"
#include "base/xml.h"

#define AZURE_VERSION "2021-12-02" /* of the service's API; what signatures are made for */

enum {
	AZURE_PAGE = 1000, /* names in one answer to a listing: 25 XML nodes each (base/xml.h) */
	AZURE_PLACES = 32, /* listings that can be gone on with at once without beginning anew */
	AZURE_BLOCK_MAX_MIB = 4000,
	AZURE_PUT_MAX_MIB = 4999, /* Azure's limit is 5,000 */
};

/* Where a listing can be gone on with: the page that begins with what comes after `after`, or
 * before it. */
struct azure_list_place {
	struct str where, after, marker; /* malloc'd */
	uint64_t used;
};

struct azure {
	struct remote r;
	struct str account, domain;
	struct str key; /* decoded; STR_NONE: identity */
	struct azure_identity *identity;
	/* remote.c's, which open_part calls */
	rc (*open_part)(struct backend *b, const struct object_ptr *to, struct str upload_id,
			unsigned number, const struct backend_put_options *o,
			struct backend_writer **ret, struct err *reterr);
	struct str endpoint,
	    endpoint_path; /* STR_NONE: each account's own; "http://host:port", "/account" or "" */
	struct {
		pthread_mutex_t lock;
		uint64_t clock;
		struct azure_list_place v[AZURE_PLACES];
	} places;
};

static inline struct azure *azure_of(struct backend *b)
{
	return CONTAINER(CONTAINER(b, struct remote, b), struct azure, r);
}

/* azure_place.c: names and addresses. */
struct azure_place {
	bool tls;
	struct str account, container;
	struct str
	    blob; /* decoded; of a namespace: its prefix, without a slash at its end; may be "" */
};
/* INVALID: none of ours, with the reason. */
rc azure_space(struct azure *s, struct arena *a, struct str space, struct azure_place *ret,
	       struct err *reterr);
rc azure_object(struct azure *s, struct arena *a, const struct object_ptr *p,
		struct azure_place *ret, struct err *reterr);
rc azure_check_space(struct backend *b, struct str space, struct err *reterr);
bool azure_same(const struct azure_place *a, const struct azure_place *b);

/* azure_call.c: requests. What remote_call.ud points at: */
struct azure_call {
	struct azure_place at;
	struct str part_etag; /* Put Block: how its block will be named */
	bool probing;	      /* a refusal is the answer, not a failure */
};
/* Addresses c, which is initialised. An empty container: the service; blob false: the container. */
struct azure_call *azure_address(struct azure *s, struct remote_call *c,
				 const struct azure_place *at, bool blob);
/* A call for a blob, which may be repeated. */
void azure_call(struct azure *s, struct remote_call *c, struct arena *a, const char *method,
		const struct azure_place *at);
rc azure_sign(struct remote *r, struct remote_call *c, struct err *reterr);
bool azure_learn(struct remote *r, struct remote_call *c, const struct http_answer *w);
rc azure_stat(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	      struct arena *a, struct backend_stat *ret, struct err *reterr);
/* An answer's body; the root lives in c->a. */
rc azure_document(const struct remote_call *c, const struct http_answer *w, struct xml_node **ret,
		  struct err *reterr);
/* Content type and tier, where they are given. */
void azure_put_headers(struct remote_call *c, struct str content_type, struct str storage_class);
/* One HEAD; size, time and tag of a blob. */
rc azure_head_place(struct azure *s, struct arena *a, const struct azure_place *at,
		    struct backend_stat *ret, struct err *reterr);
rc azure_remove_place(struct azure *s, const struct azure_place *at, struct err *reterr);

/* azure_shared_key.c: signatures with the account's key. Pure. */
struct str azure_string_to_sign(const struct remote_call *c, struct str account);
struct str azure_authorization(const struct remote_call *c, struct str account, struct str key);
/* The query of a service SAS for one blob. disposition: the Content-Disposition of its answers;
 * STR_NONE: the blob's own. */
struct str azure_sas(struct arena *a, const struct azure_place *at, struct str key,
		     struct str permissions, bool tls_only, int64_t expires_s,
		     struct str disposition);
rc azure_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
		 struct arena *a, struct backend_presigned *ret, struct err *reterr);

/* azure_errors.c */
rc azure_refuse(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		struct err *reterr);

/* azure_blocks.c: parts and the writing of objects from them. */
rc azure_put_part(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		  struct str upload_id, unsigned number, struct err *reterr);
rc azure_mpu_create(struct backend *b, const struct object_ptr *to,
		    const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		    struct err *reterr);
rc azure_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		      const struct backend_part *parts, size_t n, struct arena *a,
		      struct backend_stat *ret, struct err *reterr);
rc azure_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		   struct err *reterr);

/* azure_list.c */
#define AZURE_OWN                                                                                  \
	"_sluice/" /* below a namespace: what the adapter keeps there; hidden from listings */
rc azure_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	      struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	      struct err *reterr);
void azure_places_free(struct azure *s);

/* azure_copy.c */
rc azure_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	      struct arena *a, struct backend_stat *ret, struct err *reterr);
