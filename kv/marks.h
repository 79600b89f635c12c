/* What sluice keeps in a KV about the KV itself: who writes to it, whether it is frozen, whether it is
 * being filled. One partition, which no dump or migration carries over.
 *
 *	incoming	a migration or load fills this KV: nobody may use it; its state, to go on from
 *	frozen		it is being read as a whole, or was moved: nobody may write to it
 *	writers/<xid>	a heartbeat of each process that may write (shared drivers only)
 *
 * Values are JSON. All calls may block.
 */
#pragma once

#include "kv/kv.h"

#define KV_MARKS STR("sluice-kv")
#define KV_WRITERS_PREFIX STR("writers/")

enum kv_phase { KV_PHASE_CLEAR, KV_PHASE_COPY, KV_PHASE_VERIFY };

struct kv_incoming {
	struct str run;	   /* of whoever works on it; another run takes over with its own */
	struct str source; /* digest of all that is to be copied, in hex */
	struct str from;   /* for people */
	enum kv_phase phase;
	uint64_t beats;		   /* moves while somebody works on it */
	uint64_t records, copied;  /* of the source; so far */
	bool has_place;		   /* what is at and before it has been copied */
	struct str partition, key; /* the place */
};

/* The record as it stands in *ret_raw (STR_NONE: there is none), for a compare-and-set later. CORRUPT: it
 * is from a newer sluice, or damaged. In `a`. */
rc kv_incoming_get(struct kv *kv, struct arena *a, struct kv_incoming *ret, struct str *ret_raw,
		   struct err *reterr);
/* While the record is `was` (STR_NONE: absent); *ret_raw is then what it is. PREDICATE: somebody else
 * changed it. */
rc kv_incoming_put(struct kv *kv, const struct kv_incoming *in, struct str was, struct arena *a,
		   struct str *ret_raw, struct err *reterr);
rc kv_incoming_remove(struct kv *kv, struct err *reterr);
/* CONFIG, with what to do, when the KV is being filled: to be called before anything uses it. */
rc kv_check_incoming(struct kv *kv, struct err *reterr);

struct kv_freeze {
	struct str id;	/* made up by whoever froze it; STR_NONE: it isn't frozen */
	struct str why; /* a sentence for people */
};

rc kv_freeze_get(struct kv *kv, struct arena *a, struct kv_freeze *ret, struct err *reterr);
/* PREDICATE: it is frozen already. */
rc kv_freeze_put(struct kv *kv, const struct kv_freeze *f, struct arena *a, struct err *reterr);
/* Only what the id names (STR_NONE: whatever there is) is removed. */
rc kv_freeze_remove(struct kv *kv, struct str id, struct err *reterr);

struct kv_writer {
	struct str key;	   /* of the record: KV_WRITERS_PREFIX, xid */
	uint64_t beats;	   /* moves while it lives */
	struct str frozen; /* the freeze that it keeps to: it writes no more; or "" */
	struct str about;  /* for people: host, process, address */
};

struct str kv_writer_encode(const struct kv_writer *w, struct arena *a);
/* At most KV_WRITERS_MAX of them. */
enum { KV_WRITERS_MAX = 1000 };
rc kv_writers_list(struct kv *kv, struct arena *a, struct kv_writer **ret, size_t *ret_n,
		   struct err *reterr);
