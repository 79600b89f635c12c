/* Inside hygiene: what the sweeps of the kinds share. Private to versions/hygiene*.c. */
#pragma once

#include "versions/hygiene.h"
#include "versions/internal.h"

#define PARTITION_DROPPED STR("sluice-dropped-tokens")

struct sweep {
	const struct hygiene_options *o;
	int64_t now_ms;
	struct hygiene_counts *counts;
	size_t left; /* removals of this kind */
	rc first;    /* failure */
	struct err *err;
	/* Set by a visit, in the call's arena: entries before this key are of no interest. */
	struct str resume;
};

/* c: an arena for the page that the entry is of. */
typedef rc sweep_visit(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud);
/* Each entry of the partition, a page at a time; no scan is open during a visit. A visit that fails
 * is noted, and the next one follows. */
void sweep_each(struct sweep *s, struct str partition, sweep_visit *visit, void *ud);
/* Deletes the keys with the prefix; *ret_done: all of them. */
rc sweep_empty(struct sweep *s, struct vcall *c, struct str partition, struct str prefix,
	       size_t *count, bool *ret_done);
rc sweep_delete(struct sweep *s, struct vcall *c, struct str partition, struct str key);
/* The bound is reached, or the server stops. */
bool sweep_over(struct sweep *s);
bool sweep_stopped(const struct sweep *s);
void sweep_failed(struct sweep *s, const char *what, struct str name, rc failure,
		  const struct err *err);

/* The repository's record as it is now, also while it is being deleted. NOT_FOUND. */
rc sweep_repo(struct vcall *c, struct str id, struct repo *ret);

void sweep_uploads(struct sweep *s);
void sweep_parts(struct sweep *s);
void sweep_tokens(struct sweep *s);
void sweep_namespaces(struct sweep *s);
void sweep_stores(struct sweep *s);
void sweep_tasks(struct sweep *s);
