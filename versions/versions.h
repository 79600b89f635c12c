/* The version graph: what every module of versions/ shares.
 *
 * Functions are plain sequential C over the KV. They run on workers, or, with wait = KV_NOWAIT, on a
 * loop, where they answer WOULD_BLOCK instead of blocking (the caller repeats them on a worker; reads only).
 */
#pragma once

#include "backends/registry.h"
#include "base/clock.h"
#include "kv/kv.h"

struct versions;

struct versions_options {
	struct kv *kv;              /* borrowed */
	struct registry *registry;  /* referenced */
	struct work_pool *meta;     /* for object.c's and multipart.c's jobs */
	struct work_pool *data;
	int64_t repo_cache_ms;      /* 5,000; jittered by a quarter */
	size_t repo_cache_size;     /* 1,000 */
	bool ensure_readable_root;  /* graveler.ensure_readable_root_namespace */
	struct str block_prefix;    /* "_lakefs" */
};

struct versions *versions_new(const struct versions_options *o);
void versions_free(struct versions *v); /* no call may be under way */
struct kv *versions_kv(struct versions *v);
struct registry *versions_registry(struct versions *v); /* referenced for the caller */

/* A call: where results and errors go. Results live in `a`. */
struct vcall {
	struct versions *v;
	struct arena *a;
	enum kv_wait wait;
	struct err *err;
};

/* Names (FORMATS.md section 10). INVALID with the rule. */
rc valid_repo_name(struct str name, struct err *reterr);
rc valid_branch_name(struct str name, struct err *reterr);
rc valid_path(struct str path, struct err *reterr); /* 1 to 1,024 bytes, no NUL */
