/* How long garbage collection keeps what branches no longer show. As in lakeFS, an object of the repository's
 * own namespace, _lakefs/retention/gc/rules/config.json, which in spite of its name is a protobuf
 * GarbageCollectionRules; an empty one is none. */
#pragma once

#include "versions/repo.h"

enum { GC_RULES_MAX = 1000 };

struct gc_rule {
	struct str branch;
	int32_t days;
};

struct gc_rules {
	int32_t default_days;
	struct gc_rule *branches; /* as they were set, each branch once */
	size_t n;
};

/* Where they lie. */
struct object_ptr gc_rules_pointer(struct vcall *c, const struct repo *r);
/* On workers. NOT_FOUND: there are none. */
rc gc_rules_get(struct vcall *c, const struct repo *r, struct gc_rules *ret);
/* The last of several rules of a branch counts. INVALID: negative days, too many rules. */
rc gc_rules_set(struct vcall *c, const struct repo *r, const struct gc_rules *rules);
/* Removing what isn't there is no error. */
rc gc_rules_delete(struct vcall *c, const struct repo *r);
