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
struct turn;

struct versions_options {
	struct kv *kv;              /* borrowed */
	struct registry *registry;  /* referenced */
	struct work_pool *meta;     /* for object.c's and multipart.c's jobs */
	struct work_pool *data;
	int64_t repo_cache_ms;      /* 5,000; jittered by a quarter */
	size_t repo_cache_size;     /* 1,000 */
	int64_t closed_ms;          /* 0: 60,000; who closes a branch for so long is dead (branch_remove.c) */
	bool ensure_readable_root;  /* graveler.ensure_readable_root_namespace */
	/* actions.enabled: a repository's actions count, so what they guard is refused (actions.h). */
	bool actions;
	/* No other process uses the KV: there are no leases, and what an earlier one left half done (branch_remove.c), or
	 * owns (task.h), is nobody's any more. */
	bool alone;
	/* So long a lease on a branch's head outlives its owner (turn.h); 0: there are none. 3,000 */
	int64_t lease_ms;
	struct str block_prefix;    /* "_lakefs" */
	/* Where ranges are cut (committed.permanent.*); zeros: 0, 20 MiB, 50,000. */
	uint64_t min_range_bytes, max_range_bytes, range_raggedness;
	/* Of a file of staged bodies (gc_uncommitted.h), ugc.*; zeros: 20 MiB, a minute. */
	uint64_t gc_file_bytes;
	int64_t gc_call_ms;
	/* Encodes and uploads ranges: its jobs wait for nobody. NULL: each writer does it alone. */
	struct work_pool *ranges;
};

/* Where committed metadata is read from and written to (tables.h). */
struct tables_options {
	struct str cache_dir;     /* made when missing; STR_NONE: no disk cache */
	uint64_t cache_bytes;
	size_t block_cache_bytes; /* uncompressed blocks in memory */
	unsigned open_max;        /* tables kept open, each with a descriptor and its index; 0: 512 */
};

struct versions *versions_new(const struct versions_options *o);
/* Once, before the first call; without it commits that hold anything can neither be read nor made. */
void versions_open_tables(struct versions *v, const struct tables_options *o);
void versions_free(struct versions *v); /* no call may be under way */
struct kv *versions_kv(struct versions *v);
/* The stores as they are configured now, referenced for the caller. Any thread. */
struct registry *versions_registry(struct versions *v);
/* From now on these (references them). What is under way keeps the stores that it has; they end with it. */
void versions_set_registry(struct versions *v, struct registry *r);

/* A call: where results and errors go. Results live in `a`. */
struct vcall {
	struct versions *v;
	struct arena *a;
	enum kv_wait wait;
	struct err *err;
	/* Told by commits and merges, which it may end (dump.h); NULL: nobody asks. */
	struct progress *progress;
	struct turn *turn; /* of the head that it moves (turn.h) */
};

/* Where a metarange or range of this id lies, below its repository's namespace. */
struct str metadata_address(struct vcall *c, struct str id);

/* Names (FORMATS.md section 10). INVALID with the rule. */
rc valid_repo_name(struct str name, struct err *reterr);
rc valid_branch_name(struct str name, struct err *reterr);
rc valid_path(struct str path, struct err *reterr); /* 1 to 1,024 bytes, no NUL */
