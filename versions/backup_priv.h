/* What the files of backups share: backup.c the order, backup_copy.c copies, backup_target.c where to, backup_task.c
 * the tasks. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "versions/backup.h"
#include "versions/dump_walk.h"

/* ---- where to ---- */

/* INVALID: a namespace of a repository here, or one within or around such one. */
rc backup_check_target(struct vcall *c, const struct repo *target);

/* ---- copies, several at once ---- */

struct copies;
struct copies_options {
	struct versions *v;
	const struct repo *from, *to;
	struct backend *from_store, *to_store;
	_Atomic int64_t *counts; /* enum backup_count */
	bool ask;                /* the target for each, before it is copied */
	/* Of what is missing or damaged in the source; on any thread, one at a time with copies_lock. */
	void (*found)(void *ud, const struct fsck_finding *f);
	void *ud;
};
struct copies *copies_new(const struct copies_options *o);
/* Waits for those under way, without finishing them. */
void copies_free(struct copies *k); /* NULL is allowed */
void copies_lock(struct copies *k);
void copies_unlock(struct copies *k);

struct copy_what {
	struct str key; /* below both namespaces */
	uint64_t size;
	struct str etag, content_type;
	struct str thing, named_by; /* for findings */
};
/* Begins one, once there is room. The first failure of any; CANCELLED by `p`. */
rc copies_add(struct copies *k, const struct copy_what *what, struct progress *p, struct err *reterr);
/* All are done. */
rc copies_wait(struct copies *k, struct progress *p, struct err *reterr);

/* ---- the whole ---- */

/* ret->findings aren't set: they are told to `found`. */
rc backup_run(struct vcall *c, const struct repo *r, const struct backup_request *q, struct progress *p,
	      _Atomic int64_t *counts, struct fsck_kept *kept, struct refs_dump *ret);
