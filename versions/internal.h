/* What the files of versions/ share and nobody else sees. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/rand.h"
#include "versions/cache.h"
#include "versions/repo.h"

/* Tries against a branch that keeps changing under a reader or writer; SlowDown after them. */
enum { BRANCH_TRIES = 10 };

struct versions {
	struct kv *kv;
	pthread_mutex_t registry_lock;
	struct registry *registry_locked; /* by versions_registry */
	struct work_pool *meta, *data;
	_Atomic uint64_t usage; /* requests that were counted (usage.h) */
	struct put_batch *puts;
	struct turns *turns;
	struct tasks *tasks;       /* NULL: this process runs none */
	struct tables *tables;     /* NULL: commits can't be read (tests of other things) */
	struct {
		uint64_t min_bytes, max_bytes, raggedness; /* committed.permanent.* */
	} split;
	struct {
		uint64_t file_bytes;
		int64_t call_ms;
	} gc; /* ugc.* */
	struct work_pool *ranges;  /* jobs that wait for nobody; NULL: whoever writes ranges does it alone */
	int64_t repo_cache_ms;
	bool ensure_readable_root;
	bool actions;
	int64_t closed_ms;
	int64_t alone_since_ms; /* 0: it isn't alone */
	char *block_prefix;
	struct cache *repos;   /* repository id -> its record */
	struct cache *commits; /* partition/commit id -> metarange id */
	struct cache *commit_records; /* partition/commit id -> its record */
	struct cache *settings; /* partition/name -> its record, "" for none */
	/* Held over the last step of creating and of deleting a repository or a branch: the KV has no conditional
	 * delete, so at least this process must not delete what it has just created anew. */
	pthread_mutex_t names;
	pthread_mutex_t ids;
	struct {
		char partition[XID_CHARS + 1];
		unsigned left;
		int64_t expires_ms;
	} ids_locked;
};

/* Partitions and key prefixes (FORMATS.md 6.4); "sluice-" ones are sluice's own. */
#define PARTITION_GRAVELER STR("graveler")
#define PARTITION_CLEANUP STR("cleanup-tokens")
#define PARTITION_MULTIPARTS STR("multiparts")
#define PARTITION_PARTS STR("sluice-parts")
#define PARTITION_NAMESPACES STR("sluice-namespaces")
#define PARTITION_LEASES STR("sluice-leases")

static inline int64_t wall_ms(void)
{
	struct timestamp now = wall_now();

	return now.s * 1000 + now.ns / 1000000;
}

static inline struct str key_join(struct arena *a, struct str prefix, struct str name)
{
	const struct str pieces[] = {prefix, name};

	return arena_join(a, pieces, 2);
}

/* Where a scan for keys with the prefix and > after begins. */
struct str scan_from(struct arena *a, struct str prefix, struct str after);

/* Whether a failed KV write surely left nothing behind. Anything else may have been carried out. */
static inline bool surely_unwritten(rc r)
{
	return rc_is(r, PREDICATE) || rc_is(r, SlowDown) || rc_is(r, ServiceUnavailable) ||
	       rc_is(r, UNSUPPORTED) || rc_is(r, INVALID);
}

/* One more step of a long operation: tells c->progress now and then; CANCELLED ends it. */
rc vcall_tick(struct vcall *c, int64_t step);

rc read_only_refused(const struct repo *r, struct err *reterr);
/* An entry's bytes are not in its store. */
static inline rc object_gone(struct err *reterr)
{
	return err_set(reterr, ERR_NoSuchVersion,
		       "The object's data is not in its store any more.");
}
