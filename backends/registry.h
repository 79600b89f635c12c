/* The configured stores by id: immutable once built, counted, swapped whole on reload. */
#pragma once

#include "backends/backend.h"

struct conf;
struct registry;

/* Opens every store of the configuration (blockstore or blockstores). CONFIG with the store's id and
 * the remedy when one can't be opened. */
rc registry_open(const struct conf *c, struct work_pool *pool, struct registry **ret,
		 struct err *reterr);
/* Over given stores (tests); takes them over. default_id: where repositories without one go. */
struct registry *registry_of(struct backend **stores, size_t n, struct str default_id);
struct registry *registry_ref(struct registry *r);
void registry_unref(struct registry *r);

/* The store of a repository record's storage id ("" = single store, or the backward-compatible one).
 * ServiceUnavailable with the id and the remedy when the configuration lacks it. */
rc registry_get(struct registry *r, struct str id, struct backend **ret, struct err *reterr);
size_t registry_count(const struct registry *r);
struct backend *registry_at(const struct registry *r, size_t i);
/* The store that a new repository goes to when its creation names none: single or backward-compatible
 * one, else the one whose kind matches the namespace; INVALID otherwise. space may be STR_NONE. */
rc registry_default(struct registry *r, struct str space, struct backend **ret, struct err *reterr);
