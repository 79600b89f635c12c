/* A request inside the gateway: the row of the table it is, and its way through the steps.
 *
 *   route -> admission (http/admit.h): a place, a wait for one, or 503
 *         -> authenticate -> find the repository -> authorize -> plan      on the loop if nothing
 *                                                                            blocks, else on a worker
 *   [read the XML body | start: stream a body]                              loop (bodies: workers)
 *   run                                                                     worker
 *   reply                                                                   loop
 *
 * Each operation is a row of ops.def and its struct s3_handlers. The dispatcher alone authenticates and
 * authorizes; a handler can't be reached without.
 */
#pragma once

#include "auth/auth.h"
#include "base/buf.h"
#include "base/xml.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "sigv4/sigv4.h"
#include "versions/copy.h"
#include "versions/listing.h"
#include "versions/multipart.h"
#include "versions/object.h"

enum {
	OP_XML = 1,    /* the body is an XML document: read (bounded) and parsed into r->doc before run */
	OP_LONG = 2,   /* run on the data pool: it moves bytes */
	OP_DATA = 64,  /* of admission's class "data": a body comes or goes; with OP_LONG, too */
	OP_AHEAD = 128, /* goes on with an upload: ahead of what is new */
	OP_ABSENT = 4, /* NotImplemented */
	OP_LATE = 32, /* the answer may begin before run has ended (late.c) */
	OP_NEW_BUCKET = 8, /* the bucket needn't be there: r->repo is not looked up */
	OP_XML_OPTIONAL = 16, /* with OP_XML: an empty body is none, r->doc NULL */
};

enum s3_level { LEVEL_SERVICE, LEVEL_BUCKET, LEVEL_OBJECT };
enum s3_resource {
	RES_ALL,
	RES_REPO,
	RES_OBJECT,
	RES_SOMEWHERE,
	RES_LISTING,
	RES_PER_KEY,
	RES_COPY,
	/* A bucket that is to be made or removed: a repository (fs:CreateRepository and
	 * fs:AttachStorageNamespace; fs:DeleteRepository) or a branch (fs:CreateBranch;
	 * fs:DeleteBranch). CreateBucket's handler asks, for it alone knows the namespace. */
	RES_BUCKET,
};

enum s3_op_id {
#define S3_OP(name, ...) S3_##name,
#define S3_NO(name, ...) S3_##name,
#include "gateway/ops.def"
#undef S3_OP
#undef S3_NO
	S3_OPS
};

struct s3_req;

struct s3_op {
	enum s3_op_id id;
	const char *name, *method;
	enum s3_level level;
	const char *query, *header;
	const char *action;
	enum s3_resource resource;
	unsigned flags;
	const struct s3_handlers *handlers; /* NULL: absent */
};

/* What an operation does, in the order in which it is done; each is optional but reply. */
struct s3_handlers {
	/* Reads only, repeatable: first on the loop with r->wait KV_NOWAIT, then, if that answered
	 * WOULD_BLOCK, on a worker. */
	rc (*plan)(struct s3_req *r);
	/* On the loop: streams a body, then calls s3_done; instead of run. */
	void (*start)(struct s3_req *r);
	/* On a worker; may block. */
	rc (*run)(struct s3_req *r);
	/* On the loop, after success: answers. */
	void (*reply)(struct s3_req *r);
};

extern const struct s3_op s3_ops[S3_OPS];

struct s3_param {
	struct str key, value; /* decoded; value "" without '=' */
	bool has_value;
};

/* What the address names. A bucket is a repository, and the key's first component is the ref; or it is
 * `repository.ref` (repository names hold no dot), and the whole key is the path. */
struct s3_address {
	struct str bucket, key; /* decoded; key without its leading '/' */
	struct str repo, ref, path;
	bool ref_bucket; /* the bucket names the ref, too */
	bool virtual_host;
	struct str raw_path; /* as on the wire, for signatures */
	struct str raw_query;
};

enum { S3_MAX_PARAMS = 64 };
/* Admits 10,000 parts with checksums, or 1,000 escaped keys of 1 KiB (TRAPS 25). */
#define S3_MAX_XML ((size_t)8 << 20)
/* Of everything, by the id that listings show; users are not owners. */
#define S3_OWNER "sluice"
#define S3_XMLNS "http://s3.amazonaws.com/doc/2006-03-01/"
#define S3_MAX_PUT ((uint64_t)5 << 30)

struct s3_req {
	struct gateway *g;
	struct http_req *http;
	struct arena *a;
	struct err err;
	const struct s3_op *op;
	struct s3_address at;
	struct s3_param params[S3_MAX_PARAMS];
	size_t params_n;

	/* The head's, and behind them x-amz-... parameters of a link. */
	const struct http_header *headers;
	size_t headers_n;

	struct sigv4 sig;
	struct auth_user *user;
	bool authenticated, authorized;
	bool have_repo;
	struct repo repo;
	struct branch_seen seen; /* the branch of `at`, by s3_writable */
	enum kv_wait wait;

	struct http_admit admit;
	struct work work;
	rc result;

	/* the response under way */
	int status;
	struct http_header *out;
	size_t out_n, out_cap;
	struct buf xml; /* request's XML before run, the answer's after */

	struct s3_late *late; /* NULL: it isn't allowed */
	void *op_state; /* the operation's own, in the arena */
	struct upload_stream *up;
	struct xml_node *doc;
};

/* request.c */
const struct s3_param *s3_param(const struct s3_req *r, const char *key);
struct str s3_query(const struct s3_req *r, const char *key); /* value, or STR_NONE */
struct str s3_header(const struct s3_req *r, const char *name);
/* Non-negative number of a query key; def when absent; InvalidArgument naming it. */
rc s3_query_u64(struct s3_req *r, const char *key, uint64_t def, uint64_t max, uint64_t *ret);
struct vcall s3_vcall(struct s3_req *r);

/* listing.c: what listings have in common. encoding-type: "url" or none. InvalidArgument. */
rc s3_encoding_type(struct s3_req *r, bool *ret_url);
/* A key, or another text out of keys, as encoding-type=url shows it: '/' stays. */
struct str s3_shown(struct s3_req *r, bool url, struct str s);
void s3_common_prefix_xml(struct s3_req *r, struct str shown);
/* <Owner>, or <Initiator>: S3_OWNER. */
void s3_owner_xml(struct s3_req *r, const char *element);
/* A listing that r->xml doesn't hold isn't cut short but fails. IO. */
rc s3_listing_whole(struct s3_req *r);

/* route.c: address, parameters, row. */
rc s3_route(struct s3_req *r);
/* address.c: r->at of the host and r->at.raw_path. InvalidURI. */
rc s3_parse_address(struct s3_req *r);
/* A key like "a/../../b", which S3 refuses. */
bool s3_climbs_out(struct str key);
/* Repository, ref and path of a bucket and a key. */
void s3_split_address(struct str bucket, struct str key, struct s3_address *ret);
/* The key that a client of this bucket knows a path of `at`'s ref by. */
struct str s3_key_of(struct s3_req *r, const struct s3_address *at, struct str path);

/* copy_source.c
 * x-amz-copy-source, "[/]repo/ref/path[?versionId=null]" encoded: the permission that is asked and the
 * object that is read must be of the same address, so both take it from here. */
rc s3_copy_source(struct s3_req *r, struct s3_address *ret);
/* The object there, and its repository. NoSuchBucket, NoSuchKey. */
rc s3_find_source(struct s3_req *r, const struct s3_address *from, struct repo *ret_repo, struct entry *ret);

/* missing.c: S3's words for what isn't there; any other result passes.
 * A read's NOT_FOUND or INVALID: NoSuchKey, or NoSuchBucket where the ref was the bucket's. */
rc s3_read_missing(struct s3_req *r, const struct repo *repo, const struct s3_address *at, rc result);
/* A write's result (object_put, object_stage, upload_*): PREDICATE is PreconditionFailed; NOT_FOUND is
 * NoSuchKey under If-Match, else NoSuchBucket naming the branch, as lakeFS has it (API.md 3.5), or saying
 * what is there under its name. */
rc s3_write_missing(struct s3_req *r, rc result);
/* The ref that the bucket names: any expression. NoSuchBucket. */
rc s3_bucket_there(struct s3_req *r);
/* What is written to must be a branch. NoSuchBucket, as s3_write_missing. */
rc s3_branch_there(struct s3_req *r, const struct s3_address *at);
/* The repository takes writes, the ref is a branch, and no rule protects it; else as above. */
rc s3_writable(struct s3_req *r);
/* list_branches.c: the page of a repository's branches as common prefixes "branch/", in their order: those
 * with the prefix and > after. */
rc s3_list_branches(struct s3_req *r, struct str prefix, struct str after, size_t max,
		    struct list_page *ret);

/* permit.c */
rc s3_authenticate(struct s3_req *r);
/* r->have_repo stays false where S3's answer tells who may not list repositories nothing of them anyway. */
rc s3_find_repo(struct s3_req *r);
rc s3_authorize(struct s3_req *r);
/* fs:<action> on an object of a repository; for operations that check each key. */
rc s3_allows_object(struct s3_req *r, const char *action, struct str repo, struct str path);
/* storage_id: the repository's; STR_NONE: not known, so that conditions on it don't apply. */
bool s3_allows_repo(struct s3_req *r, const char *action, struct str repo, struct str storage_id);
/* For operations that ask for themselves (RES_BUCKET). AccessDenied. */
rc s3_allows_arn(struct s3_req *r, const char *action, struct str arn);
struct str s3_repo_arn(struct s3_req *r, struct str repo);
struct str s3_branch_arn(struct s3_req *r, struct str repo, struct str branch);
/* NoSuchBucket, or AccessDenied to who may not know. */
rc s3_no_such_repo(struct s3_req *r);

/* reply.c */
void s3_add_header(struct s3_req *r, const char *name, struct str value);
/* The operation's answer when everything went well or not: result and r->err decide. */
void s3_done(struct s3_req *r, rc result);
/* Makes r->err what `result` says: a failure that nobody gave a story has its code's words, not those of
 * an earlier one; internal stories go to the log. */
void s3_settle(struct s3_req *r, rc result);
void s3_reply_xml(struct s3_req *r, int status);  /* r->xml is the document */
void s3_reply_empty(struct s3_req *r, int status);
void s3_reply_error(struct s3_req *r);
/* late.c: from now on the answer (an XML document, 200) may begin before the result is known, once that has
 * taken some seconds. gone(ud), if not NULL, takes http_req_on_gone's place then: the client went before
 * s3_done. On the loop. */
void s3_answer_late(struct s3_req *r, void (*gone)(void *ud), void *ud);
/* For reply.c: the result is known. True: the answer has begun, and s3_late_finish ends it with the
 * document in r->xml. */
bool s3_late_settle(struct s3_req *r);
void s3_late_finish(struct s3_req *r);
/* An entity tag in its quotes (str_unquote takes them away). */
struct str s3_quoted(struct s3_req *r, struct str etag);

/* upload_body.c: a request's body as a verified stream. */
struct upload_stream {
	struct body *relay, *head;
	struct digest_set *digests;
	uint64_t length; /* decoded */
	/* expectations, raw bytes; STR_NONE: none */
	struct str want_md5, want_sha256;
	enum digest_kind checksum; /* what the client gave, or what is kept; DIGEST_KINDS: none */
	struct str want_checksum;  /* from a header; a trailer's is taken at the end; STR_NONE: none */
	struct body *chunked;      /* the sigv4 stage, when trailers may come */
	struct str trailer_name;
	struct arena *a;
};
/* Headers checked, chain built; max bytes allowed. Nothing is read yet. `also` is computed besides what the
 * client gave; DIGEST_KINDS: CRC64NVME where the client gave none, as S3 does. */
rc s3_upload_open(struct s3_req *r, uint64_t max, enum digest_kind also, struct upload_stream **ret);
/* checksums.c
 * x-amz-checksum-<kind>, not decoded; DIGEST_KINDS and STR_NONE without one. InvalidRequest. */
rc s3_given_checksum(struct s3_req *r, enum digest_kind *ret, struct str *ret_text);
/* The body's: from header or trailer, into u. InvalidRequest. */
rc s3_body_checksum(struct s3_req *r, struct upload_stream *u);
/* x-amz-checksum-algorithm; DIGEST_KINDS without one. InvalidRequest. */
rc s3_checksum_algorithm(struct s3_req *r, enum digest_kind *ret);
/* FULL_OBJECT or COMPOSITE */
struct str s3_checksum_type_name(bool full);
void s3_checksum_header(struct s3_req *r, enum digest_kind k, struct str raw, bool composite,
			size_t parts);
/* What is kept of an object's, as headers or as elements of r->xml. */
void s3_write_checksums(struct s3_req *r, const struct entry *e);
void s3_checksums_xml(struct s3_req *r, const struct entry *e);
/* Reads a small body whole (an XML document) into r->xml, then next(r) on the loop; errors go to
 * s3_done. SlowDown where all requests' documents together are too much. */
void s3_slurp(struct s3_req *r, size_t max, void (*next)(struct s3_req *r));

/* headers.c: objects' headers, in and out */
struct object_attrs {
	struct str content_type;
	struct meta *metadata;
	size_t metadata_n;
	struct str storage_class;
};
rc s3_read_attrs(struct s3_req *r, struct object_attrs *ret);
/* x-amz-website-redirect-location is each object's own: a copy has that of its request or none.
 * InvalidRedirectLocation. */
rc s3_set_redirect(struct s3_req *r, struct entry *e);
/* What may not be dropped silently (TRAPS 27). */
rc s3_refuse_unsupported(struct s3_req *r);
void s3_write_attrs(struct s3_req *r, const struct entry *e);
/* x-amz-expected-bucket-owner and, of copies, x-amz-source-expected-bucket-owner: AccessDenied unless it
 * is the one owner that there is, by the id that listings show. */
rc s3_check_owner(struct s3_req *r);
/* An object's tags as tagging.h encodes them; STR_NONE without any. */
struct str s3_tagging(const struct entry *e);
/* e's metadata anew, with these tags; without any for "". */
void s3_set_tagging(struct s3_req *r, struct entry *e, struct str text);
/* x-amz-tagging, checked and encoded anew; "" without it. InvalidArgument, InvalidTag, BadRequest. */
rc s3_read_tagging(struct s3_req *r, struct str *ret);

/* conditions.c */
struct s3_range {
	bool partial;
	uint64_t offset, length;
};
/* NotModified or PreconditionFailed (RFC 9110 section 13.2.2). prefix: "" or "x-amz-copy-source-". */
rc s3_check_conditions(struct s3_req *r, const struct entry *e, const char *prefix);
/* Single ranges, If-Range; anything malformed is the whole object. InvalidRange. */
rc s3_parse_range(struct s3_req *r, const struct entry *e, struct s3_range *ret);
/* x-amz-copy-source-range: "bytes=first-last", both there and within the object: none of a GET's leniency.
 * The whole without it. InvalidArgument. */
rc s3_copy_range(struct s3_req *r, uint64_t size, uint64_t *ret_offset, uint64_t *ret_length);
/* If-None-Match: * and If-Match of writes. */
rc s3_write_condition(struct s3_req *r, enum stage_cond *ret, struct str *ret_etag);
/* A deletion's conditions, from headers or elements; absent ones STR_NONE. *ret_any: there are some.
 * InvalidArgument: what can't be understood must not be ignored. */
rc s3_delete_condition(struct s3_req *r, struct str etag, struct str modified, struct str size,
		       struct object_match *ret, bool *ret_any);

/* engine, dispatch.c */
struct gateway {
	struct gateway_options o;
	struct str *domains;
	size_t documents; /* bytes of XML bodies in memory; atomic */
};
