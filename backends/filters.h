/* The filters. Each takes `next` over (backend_free of the filter frees it, too). */
#pragma once

#include "backends/backend.h"

/* fault, for tests: the nth call from now (1 is the next) of those in `mask` fails with `code`, once: before
 * it has done anything, or, with `after`, having done its work. Each of a writer's open, write and commit
 * is a call. nth 0 disarms; backend_fault_fired tells whether it came to that. */
struct backend *backend_fault_new(struct backend *next);
bool backend_fault_fired(struct backend *fault);
enum backend_call {
	BACKEND_CALL_PUT = 1,
	BACKEND_CALL_GET = 2, /* probes, too */
	BACKEND_CALL_REMOVE = 4,
	BACKEND_CALL_MPU = 8,
	BACKEND_CALL_SWEEP = 16,
	BACKEND_CALL_ALL = 31
};
void backend_fault_arm(struct backend *fault, unsigned mask, uint64_t nth, enum err_code code,
		       bool after);
/* From now on each call in mask fails, before it has done anything; mask 0: none. */
void backend_fault_always(struct backend *fault, unsigned mask, enum err_code code);
/* Calls in mask take so much longer. */
void backend_fault_delay(struct backend *fault, unsigned mask, unsigned ms);
/* Calls in mask wait until another mask is set; answers nothing. held tells how many wait. */
void backend_fault_hold(struct backend *fault, unsigned mask);
unsigned backend_fault_held(struct backend *fault);
/* The nth read from now ends so many bytes early. */
void backend_fault_truncate(struct backend *fault, uint64_t nth, uint64_t bytes);
/* How often calls in mask were made. */
uint64_t backend_fault_calls(struct backend *fault, unsigned mask);

/* retry: what failed and left nothing behind is tried again, after a pause: what only reads (IO,
 * ServiceUnavailable, SlowDown), what may be repeated or wasn't begun (the latter two). For stores that don't
 * do so themselves (remote.h does). Pauses: 10 ms, doubled each time, half of it at random. */
struct backend *backend_retry_new(struct backend *next, unsigned retries);

/* limit: the calls of one store that hold a worker of a pool that is not the store's alone are at most `share`
 * percent of that pool's threads, at least one. One more waits patience_ms for one of them to end, then
 * answers ServiceUnavailable with the store's name; the next ones do so at once until one has ended. So a store
 * that hangs leaves workers to the others, and one that answers refuses nothing. */
struct backend_limit_options {
	unsigned share;
	unsigned patience_ms;
	bool own_pool; /* next->pool is this store's alone: its threads are its bound */
};
struct backend *backend_limit_new(struct backend *next, const struct backend_limit_options *o);

/* health: counts failures in a row that are the store's fault (struct backend_health). A store that is down
 * answers ServiceUnavailable at once, with its name and the reason; every probe_ms (half to one and a half
 * of it) one call is let through, and the first that the store answers ends it. Each change is logged once.
 *
 * An answer of any kind (NOT_FOUND, EXISTS ...) says that the store is there. AccessDenied, and IO of a local
 * disk, which may be full and yet read, make a store failing, never down. */
struct backend_health_options {
	unsigned down_after; /* failures; 0: never down */
	unsigned probe_ms;
};
struct backend *backend_health_new(struct backend *next, const struct backend_health_options *o);

/* metrics, by store (and kind of call): sluice_store_calls_total with outcome,
 * sluice_store_call_seconds, sluice_store_read_bytes_total (not what leaves by a file descriptor),
 * sluice_store_written_bytes_total, sluice_store_calls_in_flight. A reader's and a writer's steps
 * count as the get or put that they are part of. */
struct backend *backend_metrics_new(struct backend *next);
/* `store="..."`, escaped, for metrics of a store. */
struct str backend_metric_label(struct arena *a, struct str id);
