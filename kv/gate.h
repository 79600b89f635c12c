/* In front of a KV that several processes may open: one of those who may write.
 *
 * It keeps a heartbeat in the KV (kv/marks.h), looks at each beat whether the KV is frozen or being
 * filled, and then refuses writes (ServiceUnavailable, with the story; nothing was written) until it
 * isn't any more. Once the writes that were under way have ended, the heartbeat says so. When beats fail
 * for longer than the lease, writes are refused, too: whoever watches takes this process for dead then.
 *
 * Reads pass. A driver that is its data's only owner needs none of this.
 */
#pragma once

#include "kv/kv.h"

/* Heartbeats that haven't moved for so long are taken away by whoever is there: their processes died. */
enum { KV_SWEEP_MS = 10 * 60 * 1000 };
enum { KV_BEAT_MS = 3 * 1000, KV_LEASE_MS = 12 * 1000 }; /* well below KV_WATCH_MS (kv/hold.h) */

struct kv_gate_options {
	struct str about; /* for people: host, process, address */
	int64_t beat_ms, lease_ms; /* 0: as above */
	int64_t sweep_ms;	   /* 0: KV_SWEEP_MS */
};

/* Writes the first heartbeat. CONFIG: the KV is being filled. *ret owns next, on success only; its kv_free
 * takes the heartbeat away. */
rc kv_gate_open(struct kv *next, const struct kv_gate_options *o, struct kv **ret, struct err *reterr);
