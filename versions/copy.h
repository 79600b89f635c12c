/* Copying objects, and what it stands on: a stored object's bytes as a body. Both asynchronous, on a loop:
 * the caller owns the struct until done() (always later, on home's loop). */
#pragma once

#include "versions/object.h"

/* store -> clip -> relay -> digests: a chain that workers may pull, as object_put and upload_part_put
 * want one. */
struct object_source {
	void (*done)(struct object_source *s);
	struct mailbox *home;
	struct versions *v;
	struct arena *a;
	const struct repo *repo;
	const struct entry *entry;
	uint64_t offset, length; /* within the entry's size */
	unsigned digests_of;     /* digest kinds as bits; may be 0 */
	size_t slot_bytes;       /* of the relay */
	void *ud;
	/* out. NoSuchVersion: the bytes are gone; CORRUPT: there are fewer than the entry says. */
	rc result;
	struct err err;
	struct body *relay, *body; /* NULL unless RC_OK; the caller closes body, on the loop */
	struct digest_set *digests; /* NULL without digests_of */
	/* private */
	struct backend *backend;
	struct backend_op op;
	struct mail mail;
};
void object_source_open(struct object_source *s);
/* The caller lost interest: done() still comes. */
void object_source_cancel(struct object_source *s);

/* Within a repository the copy shares the body (TRAPS 7), unless it is to be whole. Else it has one of its own:
 * copied by the store where both repositories are pinned to one that can, or streamed through here. */
struct object_copy {
	void (*done)(struct object_copy *c);
	struct mailbox *home;
	struct versions *v;
	struct arena *a;
	const struct repo *from_repo, *repo;
	struct str branch, path;
	/* In: the source as object_stat answered it, with the metadata (sorted) and content type that the
	 * copy is to have. Out: as staged. ETag, checksums and part sizes go with the bytes. */
	struct entry entry;
	enum digest_kind checksum; /* to be there in any case; DIGEST_KINDS: none */
	struct str storage_class;
	enum stage_cond cond;
	struct str cond_etag;
	bool whole; /* a body of its own in any case */
	uint64_t max_streamed; /* InvalidRequest for longer bodies that would pass through here */
	size_t slot_bytes;
	void *ud;
	/* out: as object_stage and object_source */
	rc result;
	struct err err;
	/* private */
	struct object_put put;
	struct object_source source;
	struct object_ptr from;
	struct entry origin;
	struct work work;
	struct mail mail;
	enum body_state pulled;
	int state;
	bool ran, cancelled;
};
void object_copy_start(struct object_copy *c);
void object_copy_cancel(struct object_copy *c);
