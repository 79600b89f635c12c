/* The object store interface: what every kind of store looks like from above.
 *
 * A pointer names an object: store id, the repository's storage namespace and a key relative to it
 * (or a full address). Physical keys never derive from logical ones.
 *
 * Two forms. The *asynchronous* one is for loops: the caller owns a struct backend_op, which lives
 * until its done(), always later, always on op->home's loop. The *blocking* one is for workers
 * (asserts !on_loop()). An adapter implements the blocking one, as plain sequential code, and backend.c
 * derives the other, as jobs of the store's pool: `data` for local ones; a remote store has a pool of
 * its own, so that one that hangs takes no other's workers. A job never waits for a client: writers and
 * readers rest between jobs.
 *
 * Writes: a put is all or nothing. Until done() says RC_OK nobody sees the object; a body that fails
 * (BODY_FAIL, a mismatching digest) leaves nothing behind. RC_OK means durable: it survives a crash.
 *
 * Errors: NOT_FOUND, INVALID (a pointer that the store can't have), EXISTS, InvalidRange, IO,
 * UNKNOWN_OUTCOME (writes), SlowDown, ServiceUnavailable; a failed body's own error passes unchanged.
 */
#pragma once

#include "base/arena.h"
#include "base/body.h"
#include "base/work.h"

enum address_type { ADDRESS_RELATIVE = 1, ADDRESS_FULL = 2 }; /* lakeFS's numbers */

struct object_ptr {
	struct str store_id;  /* the store's id; "" in a single-store configuration */
	struct str space;     /* storage namespace: "local://name/...", "s3://bucket/prefix" */
	struct str key;       /* RELATIVE: below the namespace; FULL: a whole address */
	enum address_type type;
};

/* Capability bits. */
enum {
	BACKEND_CAP_FILE = 1,     /* get may answer with a file descriptor (sendfile) */
	BACKEND_CAP_BLOCKING = 2, /* the blocking form is quick (a disk's, memory's): any worker may do all
				   * of it, instead of one of the store's pool */
	BACKEND_CAP_COPY = 4,     /* copy inside the store without the bytes passing through here */
	BACKEND_CAP_PRESIGN = 8,
	BACKEND_CAP_MULTIPART = 16,
	BACKEND_CAP_NOWAIT = 32,  /* get_file_nowait may succeed */
	BACKEND_CAP_PRESIGN_PART = 64, /* also for parts of its uploads, and those are as the store has them:
					* whoever wrote them knows their ETags */
};

/* What a presigned URL gives its bearer. */
struct backend_presign {
	struct str method; /* GET, HEAD, PUT */
	int64_t expires_s; /* since 1970; S3's and Google's work for seven days at most */
	struct str filename;  /* GET: what a browser saves it as: of a path what follows its last slash;
			       * STR_NONE: nothing is said of that */
	struct str upload_id; /* PUT, of a part of this upload (CAP_PRESIGN_PART); STR_NONE: of the object */
	unsigned part;
};

struct backend_presigned {
	struct str url;    /* a secret */
	int64_t expires_s; /* as asked for, or earlier: the store's own credentials end then */
};

/* Of the presigned URLs that clients of this store are given; as configured (open.c). */
struct backend_presigning {
	int64_t life_s;
	bool pages; /* also to those of a browser */
};

struct backend;

struct backend_stat {
	uint64_t size;
	int64_t mtime_s;
	struct str etag; /* the store's own, without quotes; STR_NONE where it has none (local's
			  * and mem's objects; their parts do have one) */
};

struct backend_put_options {
	struct str content_type;  /* STR_NONE: the store's default */
	struct str storage_class; /* STR_NONE */
	bool if_absent;           /* EXISTS when there is one (stores that can; else INVALID) */
	/* How many bytes will be written, where that is known: a hint to plan with. Writing more or fewer
	 * fails (IO). backend.c sets it from the body's length. */
	bool sized;
	uint64_t size;
};

#define BACKEND_SIZE_UNKNOWN UINT64_MAX

struct backend_part {
	unsigned number; /* 1 to 10,000 */
	/* As put_part answered, and required: of a part that was put twice it names the one that is
	 * meant. */
	struct str etag;
	uint64_t size; /* BACKEND_SIZE_UNKNOWN: the bearer of a presigned URL wrote it */
};

struct backend_list_entry {
	struct str key; /* relative to the namespace */
	struct backend_stat stat;
};

/* Blocking form. Bodies are pulled to the end on the calling worker and must never answer BODY_WAIT
 * (memory, a whole relay, a file); streaming bodies go through the asynchronous form or a writer. */
struct backend_writer;
struct backend_reader;

/* One of several writers that are committed together. */
struct backend_commit {
	struct backend_writer *writer; /* freed */
	struct arena *a;
	struct err *err; /* its own; NULL: nobody wants the story */
	struct backend_stat stat;
	rc result;
};

/* A sweep: what no operation will come back to goes. */
struct backend_sweep {
	int64_t now_s;
	int64_t temporaries_s; /* temporaries that nobody writes, last written longer ago than this */
	/* Uploads of which nobody has a record, last touched longer ago than this: longer than it may
	 * take from the store's upload to its record. 0: none. */
	int64_t uploads_s;
	bool (*recorded)(void *ud, struct str upload_id); /* whether somebody has one; when in doubt, yes */
	void *ud;
	size_t max;               /* removals */
	const _Atomic bool *stop; /* NULL, or turns true when it should end soon */
	struct err *err;          /* of the first failure, or NULL */
	/* out */
	size_t files, uploads; /* removed */
	size_t failures;
	rc failure; /* the first one */
};

struct backend_blocking_ops {
	/* A stream into the store: open, any number of writes, then commit or abort (either frees it).
	 * One thread at a time. */
	rc (*open_writer)(struct backend *b, const struct object_ptr *to,
			  const struct backend_put_options *o, struct backend_writer **ret,
			  struct err *reterr);
	rc (*write)(struct backend_writer *w, const void *p, size_t n, struct err *reterr);
	rc (*commit)(struct backend_writer *w, struct arena *a, struct backend_stat *ret,
		     struct err *reterr);
	/* Optional: several at once, where that is cheaper. */
	void (*commit_many)(struct backend *b, struct backend_commit *c, size_t n);
	/* Whether small ones are cheaper that way just now than on a thread each; also on loops.
	 * NULL: always. */
	bool (*commit_many_pays)(struct backend *b);
	void (*abort)(struct backend_writer *w);
	/* Reads [offset, offset + n) into dst; fewer only at the object's end. */
	rc (*read)(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		   size_t n, size_t *ret_n, struct err *reterr);
	/* Optional, for stores where each read costs a round trip: the bytes [offset, offset + length) as a
	 * stream (length UINT64_MAX: to the end). ret tells of the whole object. InvalidRange as
	 * backend_get. read_next fills dst, with fewer bytes only at the end; a stream that breaks off
	 * fails. One thread at a time; close also on loops. */
	rc (*open_reader)(struct backend *b, const struct object_ptr *p, uint64_t offset,
			  uint64_t length, struct arena *a, struct backend_reader **ret,
			  struct backend_stat *ret_stat, struct err *reterr);
	rc (*read_next)(struct backend_reader *r, void *dst, size_t n, size_t *ret_n,
			struct err *reterr);
	void (*close_reader)(struct backend_reader *r);
	/* Optional, both: the next bytes of a stream without their passing through memory, into an empty,
	 * non-blocking pipe: at least one of the next n, fewer than n where the pipe is full or at the end; no
	 * read_next afterwards. Only where can_splice says so; worth it for many bytes. */
	bool (*can_splice)(struct backend_reader *r);
	rc (*splice_next)(struct backend_reader *r, int pipe, size_t n, size_t *ret_n,
			  struct err *reterr);
	/* An open file positioned anywhere (CAP_FILE); the caller closes it. */
	rc (*open_file)(struct backend *b, const struct object_ptr *p, int *ret_fd,
			struct backend_stat *ret, struct err *reterr);
	/* On loops, too: WOULD_BLOCK unless the name is cached (CAP_NOWAIT). */
	rc (*open_file_nowait)(struct backend *b, const struct object_ptr *p, int *ret_fd,
			       struct backend_stat *ret, struct err *reterr);
	rc (*head)(struct backend *b, const struct object_ptr *p, struct arena *a,
		   struct backend_stat *ret, struct err *reterr);
	/* Removing what isn't there is no error. Not synced: a crash may bring the object back. */
	rc (*remove)(struct backend *b, const struct object_ptr *p, struct err *reterr);
	/* Up to `max` keys below space with the prefix, after `after`, in byte order. */
	rc (*list)(struct backend *b, struct str space, struct str prefix, struct str after,
		   size_t max, struct arena *a, struct backend_list_entry **ret, size_t *ret_n,
		   bool *ret_more, struct err *reterr);
	rc (*copy)(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
		   struct arena *a, struct backend_stat *ret, struct err *reterr);
	/* Multipart: parts of an upload to `to`; a part put again leaves the old one to whoever has
	 * its etag until the upload ends. complete joins the parts in the given order into `to`, and
	 * is repeatable after a crash until it has answered RC_OK once; abort is idempotent. Of parts whose
	 * sizes aren't known it answers the whole object's stat, as head would.
	 * NOT_FOUND: no such upload; InvalidPart: no such part in it. */
	rc (*mpu_create)(struct backend *b, const struct object_ptr *to,
			 const struct backend_put_options *o, struct arena *a,
			 struct str *ret_upload_id, struct err *reterr);
	rc (*mpu_open_part)(struct backend *b, const struct object_ptr *to, struct str upload_id,
			    unsigned number, const struct backend_put_options *o,
			    struct backend_writer **ret, struct err *reterr);
	rc (*mpu_complete)(struct backend *b, const struct object_ptr *to, struct str upload_id,
			   const struct backend_part *parts, size_t n, struct arena *a,
			   struct backend_stat *ret, struct err *reterr);
	rc (*mpu_abort)(struct backend *b, const struct object_ptr *to, struct str upload_id,
			struct err *reterr);
	/* Optional: the bytes [offset, offset + part->size) of `from`, in this store, as the part of
	 * that number; the size UNKNOWN: all of it. Sets its etag. */
	rc (*mpu_copy_part)(struct backend *b, const struct object_ptr *from,
			    const struct object_ptr *to, struct str upload_id, uint64_t offset,
			    struct arena *a, struct backend_part *part, struct err *reterr);
	/* Optional, NULL: this kind of store leaves nothing behind that it could find. Several at once
	 * do no harm. A failure doesn't end it; the first one is the answer. */
	rc (*sweep)(struct backend *b, struct backend_sweep *s);
	/* Optional: whether the store answers and lets us see where the namespace is (its bucket,
	 * container); space STR_NONE: whether it answers at all. NOT_FOUND: no such bucket;
	 * AccessDenied: not for us; else as any call. NULL: always. */
	rc (*probe)(struct backend *b, struct str space, struct err *reterr);
};

/* Asynchronous form (one shape for all): fill `in`, call the function, wait for done(). */
struct backend_op {
	void (*done)(struct backend_op *op);
	struct mailbox *home;
	struct arena *a; /* results live here; the op's alone until done() */
	struct object_ptr to, from;
	struct backend_put_options put;
	struct body *body;        /* put, part: pulled by the store; closed by the caller in or after
				   * done(), before `a` is freed */
	struct str upload_id;     /* part, complete, abort; out of create */
	unsigned part;
	const struct backend_part *parts;
	size_t parts_n;
	uint64_t offset, length;  /* get; length UINT64_MAX: to the end */
	/* out */
	rc result;
	struct err err;
	struct backend_stat stat;
	struct body *got;         /* get: the bytes, pulled on the loop of `home`; the caller closes it */
	/* private: a struct backend_flight (impl.h) while the operation is under way */
	struct work work;
	void *impl;
	bool cancelled;
};

struct backend_async_ops {
	void (*put)(struct backend *b, struct backend_op *op);
	void (*get)(struct backend *b, struct backend_op *op);
	void (*head)(struct backend *b, struct backend_op *op);
	void (*remove)(struct backend *b, struct backend_op *op);
	void (*copy)(struct backend *b, struct backend_op *op);
	void (*mpu_create)(struct backend *b, struct backend_op *op);
	void (*mpu_put_part)(struct backend *b, struct backend_op *op);
	void (*mpu_complete)(struct backend *b, struct backend_op *op);
	void (*mpu_abort)(struct backend *b, struct backend_op *op);
};

/* How a store is doing, as its calls have found it (filters.h, health). */
enum backend_state { BACKEND_OK, BACKEND_FAILING, BACKEND_DOWN };

struct backend_health {
	enum backend_state state;
	int64_t since_s;   /* of the state; 0: from the beginning */
	unsigned failures; /* in a row */
	char reason[256];  /* of the last of them; "" without */
};

struct backend {
	const char *type; /* "local", "mem", "s3", "azure", "gs" */
	struct str id;    /* the store's id in the configuration */
	unsigned caps;
	const struct backend_blocking_ops *blocking; /* NULL: derived from async */
	const struct backend_async_ops *async;       /* NULL: derived from blocking */
	struct work_pool *pool;                      /* where derived asynchronous calls run */
	/* Whether a namespace may live in this store ("local://..."); the reason in reterr. */
	rc (*check_space)(struct backend *b, struct str space, struct err *reterr);
	/* A URL that gives the bearer this one access; UNSUPPORTED without CAP_PRESIGN. May ask for keys, so
	 * on workers. */
	rc (*presign)(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
		      struct arena *a, struct backend_presigned *ret, struct err *reterr);
	struct backend_presigning presigning;
	/* Optional, also on loops, never blocks: whether it makes sense to ask the store for anything just now;
	 * ServiceUnavailable with the reason. Asked before a job is queued. */
	rc (*admit)(struct backend *b, struct err *reterr);
	/* Optional; any thread. */
	void (*health)(struct backend *b, struct backend_health *ret);
	/* The last user has gone. May block; neither on a loop nor on a worker of `pool`. */
	void (*free)(struct backend *b);
	/* private to backend*.c */
	bool own_pool; /* free() ends it */
	_Atomic unsigned refs;
	struct backend_writer *_Atomic orphans;
	_Atomic unsigned spliced; /* readers that have pipes */
};

/* Asynchronous calls, on the loop of op->home. A full pool answers SlowDown through done(). The
 * body that get answers reads ahead on the pool, two slots of 512 KiB at most, the first of all 128 KiB, or where
 * the store can splice two pipes of 1 MiB, as many such bodies at once as the pool has threads;
 * should the pool be full when both are drained, it fails with SlowDown. UNSUPPORTED: what neither form offers. */
void backend_put(struct backend *b, struct backend_op *op);
void backend_get(struct backend *b, struct backend_op *op);
void backend_head(struct backend *b, struct backend_op *op);
void backend_remove(struct backend *b, struct backend_op *op);
void backend_copy(struct backend *b, struct backend_op *op);
void backend_mpu_create(struct backend *b, struct backend_op *op);
void backend_mpu_put_part(struct backend *b, struct backend_op *op);
void backend_mpu_complete(struct backend *b, struct backend_op *op);
void backend_mpu_abort(struct backend *b, struct backend_op *op);
/* The caller lost interest: done() still comes, soon, with CANCELLED or the outcome. */
void backend_cancel(struct backend_op *op);

/* Blocking calls, on workers. Bodies as above. */
rc backend_put_now(struct backend *b, const struct object_ptr *to,
		   const struct backend_put_options *o, struct body *body, struct arena *a,
		   struct backend_stat *ret, struct err *reterr);
/* The two halves of backend_put_now: to a writer that is ready to be committed or aborted (a failure
 * leaves none), and the commits of several, all of this store: each as if alone, with its own result. */
rc backend_write_now(struct backend *b, const struct object_ptr *to,
		     const struct backend_put_options *o, struct body *body,
		     struct backend_writer **ret, struct err *reterr);
void backend_commit_now(struct backend *b, struct backend_commit *c, size_t n);
bool backend_commit_many_pays(struct backend *b); /* also on loops */
void backend_abort_now(struct backend *b, struct backend_writer *w);
rc backend_read_now(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		    size_t n, size_t *ret_n, struct err *reterr);
rc backend_head_now(struct backend *b, const struct object_ptr *p, struct arena *a,
		    struct backend_stat *ret, struct err *reterr);
rc backend_remove_now(struct backend *b, const struct object_ptr *p, struct err *reterr);

/* Adapters. */
struct backend_local_options {
	struct str id;
	struct str path; /* the root folder; made when missing */
	struct work_pool *pool;
	bool sync;       /* false only in tests */
	uint64_t direct_bytes; /* from here on a large object bypasses the page cache; 0: never */
};
rc backend_local_open(const struct backend_local_options *o, struct backend **ret,
		      struct err *reterr);
struct backend *backend_mem_new(struct str id, struct work_pool *pool);
rc backend_admit(struct backend *b, struct err *reterr);
/* BACKEND_OK where nobody counts. */
void backend_health(struct backend *b, struct backend_health *ret);

/* Stores are counted: who keeps one over the end of the call that it was got by holds a reference. The last
 * reference may go anywhere: on a loop or a worker of the store, a thread of its own ends the store. */
void backend_ref(struct backend *b);
void backend_unref(struct backend *b);
void backend_free(struct backend *b); /* backend_unref; NULL is allowed */
/* Waits until all stores that such threads are ending have ended: before what they use ends. */
void backend_settle(void);
