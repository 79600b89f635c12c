/* The life of an object, for both protocols: choose an address, stream the body into the repository's
 * store, stage the entry, clean up.
 *
 * put:   address --body--> stored --stage--> visible
 *           \---fail--> removed   \--fails before the KV write was sent--> removed
 *                                  \--write sent, outcome unknown--> body stays; GC's business
 */
#pragma once

#include "versions/entry.h"
#include "versions/branch.h"

/* What a path of a ref (ref.h) points at: of a branch staging, sealed tokens, commit, as they were at one
 * moment of the call. NOT_FOUND: no such ref or no such path (err's text says which); INVALID: no ref
 * expression. */
rc object_stat(struct vcall *c, const struct repo *r, struct str ref, struct str path,
	       struct entry *ret);
/* Where its bytes are. */
struct object_ptr object_pointer(const struct repo *r, const struct entry *e);
/* Its bytes as an open file, which the caller closes, of a store that has them so (BACKEND_CAP_FILE). With
 * KV_NOWAIT: WOULD_BLOCK unless the name is at hand. NoSuchVersion: the bytes are gone; CORRUPT: there are
 * fewer than the entry says. */
rc object_open_file(struct vcall *c, const struct repo *r, const struct entry *e, struct backend *b,
		    int *ret_fd);

/* A fresh relative address, "data/<xid>/<xid>". Thread-safe. */
struct str object_new_address(struct versions *v, struct arena *a);

/* What must hold of the object that is there; there must be one. All that is given counts. */
struct object_match {
	struct str etag; /* STR_NONE: not asked; "*": any */
	bool has_modified, has_size;
	struct timestamp modified; /* to the millisecond; without a fraction, to the second */
	int64_t size;
	const struct entry *same; /* NULL, or exactly this one: address, time and identity */
};

/* IF_ETAG: there is an object, with that ETag ("*": with any); NOT_FOUND when there is none, as S3. */
enum stage_cond { STAGE_ALWAYS, STAGE_IF_ABSENT, STAGE_IF_ETAG };
/* Writes the entry under the branch's token; if the token changed meanwhile, again (a few times), so
 * that a commit never loses it. NOT_FOUND (branch), ReadOnlyRepository, PREDICATE (cond fails),
 * UNKNOWN_OUTCOME, SlowDown (it keeps changing), ConditionalRequestConflict (a conditional write that
 * may have been seen, and another one after it). *ret_sent: a KV write naming the body may have been
 * sent: only GC may delete it now. */
rc object_stage(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		const struct entry *e, enum stage_cond cond, struct str etag, bool *ret_sent);
/* Puts e in the place of exactly `was`, as object_stat answered it. NOT_FOUND: nothing is there, or no
 * such branch; PREDICATE: another one is; else as object_stage. */
rc object_replace(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		  const struct entry *was, const struct entry *e);
/* Puts what `change` makes of the entry that is there in its place; again, of what is there then, if somebody else was
 * quicker. NOT_FOUND: nothing is there, or no such branch; SlowDown: others keep changing it; else as object_stage. */
rc object_change(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		 rc (*change)(void *ud, struct entry *e), void *ud);
/* Removing what isn't there is no error. NOT_FOUND: no such branch. */
rc object_delete(struct vcall *c, const struct repo *r, struct str branch, struct str path);
struct object_delete_item {
	struct str branch, path;
	/* NULL: in any case; else in one step with the look at what is there. NOT_FOUND: nothing is. */
	const struct object_match *match;
	rc result;             /* out */
	const struct err *err; /* out: of one that failed, in c->a; else NULL */
};
/* Any number, in this order, each as object_delete with its own result; those without a condition for the
 * price of few synced writes. */
void objects_delete(struct vcall *c, const struct repo *r, struct object_delete_item *items,
		    size_t n);

/* Writing an object: asynchronous, on a loop. The caller owns it until done() (always later, on home's
 * loop), fills the first part and gives a body whose digests (at least MD5) are taken by `digests`. */
struct object_put {
	void (*done)(struct object_put *p);
	struct mailbox *home;
	struct versions *v;
	struct arena *a;
	const struct repo *repo;
	struct str branch, path;
	const struct branch_seen *seen; /* the branch, or NULL: may save reading it */
	/* The relay in the chain: one that nobody has armed yet, or one that is whole. NULL: the body
	 * never waits. */
	struct body *relay;
	struct body *body;    /* the chain's head; closed by the caller after done() */
	struct digest_set *digests;
	/* Instead of all three: an object of the same store, which the store copies (BACKEND_CAP_COPY);
	 * complete() then tells the entry's size and ETag. NoSuchVersion: its bytes are gone. */
	const struct object_ptr *from;
	struct str content_type, storage_class;
	struct meta *metadata;
	size_t metadata_n;
	enum stage_cond cond;
	struct str cond_etag;
	/* Called on a worker once the body is whole and before it is staged; may complete the entry
	 * (checksums) or refuse. NULL: nothing. */
	rc (*complete)(struct object_put *p, struct entry *e);
	void *ud;
	/* out */
	rc result;
	struct err err;
	struct entry entry;
	/* private */
	struct object_ptr to;
	struct backend *backend;
	struct backend_op op;
	struct work work;
	struct mail mail;
	int state;
	bool cancelled, ran, remove;
	/* private to put_batch.c */
	struct object_put *next, *prev;
	struct backend_writer *writer;
	bool queued, gone;
};
/* On home's loop. */
void object_put_start(struct object_put *p);
/* The client went away: done() still comes. */
void object_put_cancel(struct object_put *p);
