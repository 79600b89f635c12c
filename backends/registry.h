/* The configured stores by id: immutable once built, counted, swapped whole on reload. */
#pragma once

#include "backends/backend.h"

struct conf;
struct registry;

/* What is known of a store beyond the store itself; the text lives as long as the registry. */
struct registry_store {
	struct backend *b;
	struct str description;      /* STR_NONE without */
	struct str namespace_prefix; /* namespaces are made below it; STR_NONE: none is known */
	bool backward_compatible;    /* at most one: that of records without a store's id */
};

/* Opens every store of the configuration (blockstore or blockstores), each behind its filters (filters.h).
 * Nothing here waits for a network: a remote store that is down shows at its first call. Those of `old`
 * (NULL: none) whose configuration is the same are taken over as they are, the others opened anew.
 * CONFIG with the store's id and the remedy when one can't be opened. */
rc registry_open(const struct conf *c, struct work_pool *pool, struct registry *old,
		 struct registry **ret, struct err *reterr);
/* Over given stores (tests); takes them over. default_id: where repositories without one go. */
struct registry *registry_of(struct backend **stores, size_t n, struct str default_id);
struct registry *registry_of_stores(const struct registry_store *stores, size_t n);
struct registry *registry_ref(struct registry *r);
void registry_unref(struct registry *r);

/* The store of a repository record's storage id ("" = single store, or the backward-compatible one), borrowed
 * from the registry. ServiceUnavailable with the id and the remedy when the configuration lacks it. */
rc registry_get(struct registry *r, struct str id, struct backend **ret, struct err *reterr);
size_t registry_count(const struct registry *r);
const struct registry_store *registry_at(const struct registry *r, size_t i);
/* The store of records without an id; NULL: none is. */
const struct registry_store *registry_fallback(const struct registry *r);
/* The store that a new repository goes to when its creation names none: the only one whose kind matches the
 * namespace; of several that one which can see the namespace (its `probe`: this may block); of none or several
 * such the backward-compatible one, if it is one of that kind. INVALID with what there is otherwise.
 * space STR_NONE: the single or backward-compatible one; never blocks. */
rc registry_default(struct registry *r, struct str space, struct backend **ret, struct err *reterr);
