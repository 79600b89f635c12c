/* What the files of backends/ share: the base of writers, operations in flight, counting. */
#pragma once

#include <stddef.h>

#include "backends/backend.h"

#define CONTAINER(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* First member of every adapter's writer. */
struct backend_writer {
	struct backend *b; /* whose ops it takes */
	struct backend_writer *next_orphan;
};

/* First member of whatever op->impl points at. */
struct backend_flight {
	void (*cancel)(struct backend_op *op);
};

void backend_init(struct backend *b, const char *type, struct str id, struct work_pool *pool,
		  const struct backend_blocking_ops *ops);

/* Aborting a writer blocks, and a loop that holds one may find the pool full: it leaves the writer
 * here, and the store's next job, or its end, aborts it. */
void backend_orphan(struct backend *b, struct backend_writer *w);
void backend_reap(struct backend *b);

/* One operation on its way through the pool; in op->a. The writers below (put) extend it. */
struct job {
	struct backend_flight flight;
	struct backend *b;
	struct backend_op *op;
	struct mail mail;
	rc (*call)(struct backend *b, struct backend_op *op);
	bool submitted; /* loop: run() may be going on */
	bool ran;       /* run() was not skipped */
};

/* A zeroed job of `size` bytes as op->impl, its op made ready, holding b. */
void *job_new(struct backend *b, struct backend_op *op, size_t size);
bool job_submit(struct job *j);
/* Later, on op->home's loop. */
void job_post(struct job *j, void (*deliver)(struct mail *m));
/* Lets go of b and tells the caller. */
void job_finish(struct job *j);
/* Instead of submitting. */
void job_refuse(struct job *j, rc why);
/* The first submission, unless the store says that there is no sense in it. */
void job_begin(struct job *j);
/* SlowDown: the store's workers have too much to do. */
rc backend_busy(const struct backend *b, struct err *reterr);

/* What a put may know of its body beforehand. */
void backend_size_from(struct backend_put_options *o, const struct body *body);

void backend_derived_put(struct backend *b, struct backend_op *op, bool part);
void backend_derived_get(struct backend *b, struct backend_op *op);

rc backend_no_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
		      struct arena *a, struct backend_presigned *ret, struct err *reterr);

/* presign.c. INVALID, UNSUPPORTED: what no store can sign, or this one not for parts. most_s: for how long
 * at most; 0: for ever. */
rc backend_presign_check(const struct backend *b, const struct backend_presign *q, int64_t now_s,
			 int64_t most_s, struct err *reterr);
/* A Content-Disposition that has a browser save what comes under this name. */
struct str backend_attachment(struct arena *a, struct str path);
