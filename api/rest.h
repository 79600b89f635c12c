/* A request inside the API: the row of the table it is, and its way through the steps.
 *
 *   route -> admission (http/admit.h): a place, a wait for one, or 503
 *         -> authenticate -> [read the JSON body] -> parse -> authorize -> find the repository -> plan
 *                                        on the loop if nothing blocks, else on a worker
 *   [start: stream a body]                                                 loop (bodies: workers)
 *   run                                                                    worker
 *   reply                                                                  loop
 *
 * Each operation is a row of routes.def and its struct api_handlers. The dispatcher alone authenticates and
 * authorizes; a handler can't be reached without.
 */
#pragma once

#include "api/api.h"
#include "base/buf.h"
#include "base/json.h"
#include "versions/commit_record.h"
#include "versions/object.h"
#include "versions/task.h"

enum {
	R_JSON = 1,      /* the body is a JSON document: read (bounded) before parse, into r->doc */
	R_OPTIONAL = 2,  /* with R_JSON: an empty body is none, r->doc NULL */
	R_HEAVY = 4,     /* run on the heavy pool; of admission's class "long" */
	R_NEW_REPO = 8,  /* the repository needn't be there: r->repo is not looked up */
	R_PATH = 16,     /* the query's `path` is demanded: an object's, into r->path */
	R_FORCE = 32,    /* the query's `force` opens a read-only repository */
	R_DATA = 128,    /* of admission's class "data": a body comes or goes */
	R_AHEAD = 256,   /* goes on with an upload: ahead of what is new */
	R_TURN = 1024,   /* moves a branch's head: waits for others of the same branch without a worker */
	R_ALWAYS = 512,  /* tells that the server is alive: no admission */
	R_FORGIVING = 64, /* a repository that isn't there is the handler's to tell: r->have_repo */
};

enum api_resource {
	ON_PUBLIC,        /* anybody */
	ON_VISITOR,       /* anybody; who says who they are must be right: r->user or NULL */
	ON_AUTHENTICATED, /* anybody whom we know */
	ON_SOMEWHERE,     /* the entrance of a listing, which filters */
	ON_REPO,
	ON_BRANCH, /* r->branch, from the path or set by parse */
	ON_REF,    /* r->ref as if it were a branch's name */
	ON_TAG,
	ON_OBJECT,    /* r->path */
	ON_OBJECTS,   /* every object of the repository, without an exception */
	ON_NAMESPACE, /* r->space, set by parse */
	ON_EACH,      /* the handler asks for each object */
	ON_ALL,       /* "*" */
	ON_USER,      /* r->user_id, and so on */
	ON_GROUP,
	ON_POLICY,
	ON_ACL_POLICY, /* the policy in which lakeFS keeps a group's ACL */
	ON_PRINCIPAL,  /* r->id: somebody whom a cloud knows */
};

struct api_permit {
	enum api_resource on;
	const char *action;
};
enum { API_PERMITS_MAX = 8 };

enum api_op {
#define ROUTE(name, ...) API_##name,
#include "api/routes.def"
#undef ROUTE
	API_OPS
};

struct api_req;

/* What an operation does, in the order in which it is done; each is optional. */
struct api_handlers {
	/* Reads query and body: what is wrong with them is told before anything is looked up. Sets what the
	 * permissions are asked on. May be repeated. */
	rc (*parse)(struct api_req *r);
	/* Reads only, repeatable: first on the loop with r->wait KV_NOWAIT, then, if that answered
	 * WOULD_BLOCK, on a worker. */
	rc (*plan)(struct api_req *r);
	/* On the loop: streams a body, then calls api_done; instead of run. */
	void (*start)(struct api_req *r);
	/* On a worker; may block. Writes the answer into r->json. */
	rc (*run)(struct api_req *r);
	/* On the loop, after success. NULL: r->json with the row's status, or that alone if nothing was
	 * written. */
	void (*reply)(struct api_req *r);
};

struct api_route {
	enum api_op id;
	const char *name, *method, *path;
	int status;
	unsigned flags;
	struct api_permit permits[API_PERMITS_MAX];
	size_t permits_n;
	const struct api_handlers *handlers;
};
extern const struct api_route api_routes[API_OPS];

struct api_param {
	struct str key, value; /* decoded; value "" without '=' */
};

enum { API_PARAMS_MAX = 1024, API_PAGE_MAX = 1000, API_PAGE = 100, API_PATH_MAX = 1024 };
#define API_BODY_MAX ((size_t)1 << 20)
/* 1,000 entries, each with metadata of some KiB. */
#define API_ANSWER_MAX ((size_t)64 << 20)

struct api_req {
	struct api *x;
	struct http_req *http;
	struct arena *a;
	struct err err;
	const struct api_route *route;
	struct api_param *params;
	size_t params_n;

	/* from the path, the query, or parse */
	struct str repository, branch, ref, other_ref, tag, id, path, space;
	struct str user_id, group_id, policy_id, access_key;
	struct str sub; /* a second name of the path, beside id */

	struct auth_user *user;
	bool authenticated, parsed, authorized, have_repo;
	bool sts; /* sts.c: answered in XML */
	struct repo repo;
	bool force;
	enum kv_wait wait;

	struct http_admit admit;
	uint64_t lane; /* of the work that is submitted next (base/work.h) */
	struct work work;
	rc (*later)(struct api_req *r); /* what the worker runs */
	rc result;

	struct buf body; /* the request's JSON text */
	struct json *doc;

	/* the answer */
	struct buf json;
	struct json_out w;
	struct http_header *out;
	size_t out_n, out_cap;
	struct body *stream; /* closed when the request is over */
	void *op_state;      /* the operation's own, in the arena */
};

struct api {
	struct api_options o;
};

/* dispatch.c: one more request. */
struct api_req *api_req_new(struct api *x, struct http_req *http);
/* Runs run(&r->work) on the pool, then done(&r->work) on the loop, with KV_BLOCK; or answers SlowDown. */
void api_submit(struct api_req *r, struct work_pool *pool, void (*run)(struct work *), void (*done)(struct work *));
struct api_req *api_req_of(struct work *w);
/* For `start`: api_done() with what `later` answers, which a worker is asked for. */
void api_on_worker(struct api_req *r, rc (*later)(struct api_req *r));

/* sts.c: the answer to a failure of one of its queries. */
void api_sts_refuse(struct api_req *r);

/* route.c: parameters in a query's form, into r->params. INVALID. */
rc api_parse_params(struct api_req *r, struct str query);
/* row, path components and parameters. NOT_FOUND: no such endpoint. */
rc api_route(struct api_req *r);

/* pages.c: answers what isn't an operation (a description of those that are); true: it was. */
bool api_page_of(struct api_req *r);

/* dispatch.c: r->path, which a handler has set itself. */
rc api_check_path(struct api_req *r);

/* authenticate.c: sets r->user. AccessDenied; for right credentials, ExpiredToken; TooManyFailures. */
rc api_authenticate(struct api_req *r);
/* Counted: TooManyFailures. */
rc api_check_secret(struct api_req *r, struct str access_key, struct str secret);
struct auth_attempt api_attempt(struct api_req *r, struct str access_key, const char *how);

/* permit.c */
struct str api_source(struct api_req *r); /* the client's address */
rc api_authorize(struct api_req *r);
/* For rows that ask for each: the action on an object of the repository. */
rc api_allows_object(struct api_req *r, const char *action, struct str path);
/* On all that begins so below the repository ("/branch/"). */
rc api_allows_all(struct api_req *r, const char *action, const char *below);
rc api_allows_namespace(struct api_req *r, const char *action, struct str space);
bool api_allows_repo(struct api_req *r, const char *action, const struct repo *repo);
/* On an object of another repository. */
rc api_allows_object_of(struct api_req *r, const char *action, const struct repo *repo, struct str path);

/* presign.c: whether the query asks for a URL of the store; INVALID where the repository's store gives out none; one
 * that works for as long as its store is configured to (on workers). */
rc api_wants_presign(struct api_req *r, bool *ret);
rc api_can_presign(struct api_req *r, struct backend **ret);
rc api_presign(struct api_req *r, struct backend *b, const struct object_ptr *p, struct backend_presign how,
	       struct backend_presigned *ret);
rc api_presign_read(struct api_req *r, struct backend *b, const struct object_ptr *p, struct str filename,
		    struct backend_presigned *ret);
void api_redirect(struct api_req *r, struct str url);

/* query.c: INVALID in lakeFS's words for what is wrong. */
struct str api_query(const struct api_req *r, const char *key); /* the first; STR_NONE */
rc api_query_bool(struct api_req *r, const char *key, bool def, bool *ret);
rc api_query_required(struct api_req *r, const char *key, struct str *ret);
/* All values of a repeatable key. */
size_t api_query_all(struct api_req *r, const char *key, const struct str **ret);
struct api_page {
	struct str prefix, after; /* "" and STR_NONE without */
	size_t amount;            /* 1 to API_PAGE_MAX */
};
rc api_query_page(struct api_req *r, struct api_page *ret);
struct str api_header(const struct api_req *r, const char *name);

/* body.c: the JSON body's members. INVALID naming the member. `schema`: swagger's name of the body, for the
 * text. */
rc api_body_object(struct api_req *r, const char *schema);
rc api_body_str(struct api_req *r, const char *schema, const char *key, bool required, struct str *ret);
rc api_body_bool(struct api_req *r, const char *schema, const char *key, bool *ret);
rc api_body_int(struct api_req *r, const char *schema, const char *key, bool required, int64_t *ret,
		bool *ret_there);
/* INVALID unless the member is there. */
rc api_body_there(struct api_req *r, const char *schema, const char *key);
/* An object of strings, sorted by key; none when absent. */
rc api_json_metadata(struct api_req *r, const struct json *j, const char *key, struct meta **ret,
		     size_t *ret_n);
rc api_bad_body(struct api_req *r, const char *schema, const char *key, const char *what);
/* Reads the body whole into r->body, then next(r) on the loop; errors go to api_done. */
void api_slurp(struct api_req *r, void (*next)(struct api_req *r));

/* What the asynchronous forms share with the others: into r->op_state a struct commit_request, merge_request,
 * refs_dump. */
rc api_parse_commit(struct api_req *r);
rc api_parse_merge(struct api_req *r);
rc api_parse_restore(struct api_req *r);
/* op_tasks.c: {"id": of a task that was submitted}; the task r->id of that kind, NOT_FOUND; and the beginning of a
 * status with `completed`, which whoever began it ends. */
rc api_accepted(struct api_req *r, rc submitted, const struct str *id);
rc api_find_task(struct api_req *r, enum task_kind kind, struct task *ret);
void api_begin_completed(struct api_req *r, const struct task *t);
struct refs_dump;
struct fsck_finding; /* versions/fsck.h */
/* op_fsck.c: the array "findings". */
void api_show_findings(struct json_out *w, const struct fsck_finding *list, size_t n);
void api_show_dump(struct api_req *r, const char *key, const struct refs_dump *d);
/* op_staging.c: a new address, relative and signed for r's repository, branch and path; whether a whole one is such
 * a one, and the relative one that it is; metadata of the body's member `key`, without what is sluice's own. */
struct str api_link_address(struct api_req *r);
rc api_check_link_address(struct api_req *r, struct str address, struct str *ret);
rc api_entry_metadata(struct api_req *r, const char *schema, const char *key, struct entry *e);
/* op_config.c: what a namespace on a store of this type begins with, before "://". */
const char *api_scheme(struct str type);
/* op_commits.c: an expression that has what is staged with it names no commit. INVALID. */
rc api_check_committed(struct api_req *r, struct str ref);

/* show.c: records as JSON. key NULL inside arrays. */
void api_begin(struct api_req *r); /* the answer's outermost object */
void api_end(struct api_req *r);
/* Before and after the results of a page. next: of the last item; ignored unless more. */
void api_page_begin(struct api_req *r);
void api_page_end(struct api_req *r, size_t n, bool more, struct str next);
void api_show_meta(struct json_out *w, const char *key, const struct meta *m, size_t n);
void api_show_ref(struct json_out *w, struct str id, struct str commit_id);
void api_show_commit(struct json_out *w, const struct commit *c);
void api_show_commit_as(struct json_out *w, const char *key, const struct commit *c);
void api_show_repo(struct json_out *w, const struct repo *r);
struct str api_content_type(const struct entry *e); /* or what stands for none */
enum { SHOW_METADATA = 1, SHOW_EMPTY_METADATA = 2 };
void api_show_entry(struct api_req *r, struct str path, const struct entry *e, unsigned flags);
/* With a presigned URL in the address's place; NULL: none. */
void api_show_entry_at(struct api_req *r, struct str path, const struct entry *e, unsigned flags,
		       const struct backend_presigned *at);

/* reply.c */
void api_add_header(struct api_req *r, const char *name, struct str value);
/* The answer when everything went well or not: result and r->err decide. */
void api_done(struct api_req *r, rc result);
void api_add_request_id(struct api_req *r); /* for who responds without the functions below */
void api_reply_json(struct api_req *r, int status); /* r->json */
void api_reply_text(struct api_req *r, int status, struct str text);
void api_reply_empty(struct api_req *r, int status);
/* errors.c: what a client is told of an error. */
int api_status(enum err_code code);
struct str api_message(const struct api_req *r, const struct err *e);

struct vcall api_vcall(struct api_req *r);
