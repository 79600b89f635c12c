/* Body streams: the one contract for bytes that pass through.
 *
 * A body is pulled into the caller's buffer. Stages (dechunk, length guard, digests, range clip)
 * are bodies over another body, so that a request's data is a chain with the socket or the store
 * at its far end:   PUT: socket -> relay -> dechunk -> digests -> store;  GET: store -> clip -> socket.
 *
 * Threads. A body is used by one thread at a time; whoever has it may pass it on (through a work
 * queue, which orders memory). A *source* (socket, curl) may be pulled on its loop only; body_relay
 * makes a chain that may be pulled on a worker out of one that may not. body_arm and its callback
 * are always on the loop.
 *
 * Waiting. BODY_WAIT means that nothing is there now. The owner then calls body_arm (on the loop),
 * after which the callback fires exactly once, later, never from inside body_arm or body_pull; or
 * it closes the body and the callback never fires. A failed body stays failed, an ended one ended.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

enum body_state {
	BODY_MORE, /* *ret_n bytes, at least 1, were put into dst */
	BODY_END,  /* all has been read and whatever there was to verify is right */
	BODY_WAIT,
	BODY_FAIL, /* reterr says why */
};

struct body;
typedef void body_ready_fn(void *ud);

typedef enum body_state body_pull_fn(struct body *b, void *dst, size_t cap, size_t *ret_n,
				     struct err *reterr);
/* Optional, both, at the top of a chain: bytes that may go to a plain socket without passing through memory.
 * body_spliceable: how many are at hand now for body_splice, 0: pull. body_splice: at most `max` of them into the
 * socket, as splice(2): the number, or -1 and errno. On the loop. */
typedef size_t body_spliceable_fn(struct body *b);
typedef ssize_t body_splice_fn(struct body *b, int socket, size_t max);
typedef void body_arm_fn(struct body *b, body_ready_fn *fn, void *ud);
typedef void body_close_fn(struct body *b);

struct body_ops {
	const char *name;
	body_pull_fn *pull;
	body_arm_fn *arm;     /* optional: NULL asks the body below */
	body_close_fn *close; /* optional; releases this stage only, never the one below. Final, in
			       * any state */
	body_spliceable_fn *spliceable;
	body_splice_fn *splice;
};

struct body {
	const struct body_ops *ops;
	struct body *below; /* NULL at the far end */
	/* Bytes that will come in all, -1 when unknown until the end. A hint to plan with: it is
	 * the length guard that enforces it. */
	int64_t length;
	/* private: body_pull's memory, so that a stage needn't remember that it is over */
	uint32_t magic;
	enum body_state over; /* BODY_END, BODY_FAIL, or BODY_MORE while it isn't */
	enum err_code failed;
};

#define BODY_MAGIC 0x626f6479u

void body_init(struct body *b, const struct body_ops *ops, struct body *below, int64_t length);
/* cap at least 1. After BODY_END and BODY_FAIL the stage is not asked again: the same answer comes
 * (of a failure, the code). */
enum body_state body_pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr);
void body_arm(struct body *b, body_ready_fn *fn, void *ud);
size_t body_spliceable(struct body *b);
ssize_t body_splice(struct body *b, int socket, size_t max);
/* Closes b and all below it, top first. */
void body_close(struct body *b);

struct arena;

/* A body over memory that outlives it; never waits. */
struct body *body_mem_new(struct arena *a, struct str bytes);

/* Fails with IncompleteBody when fewer, with EntityTooLarge or InvalidRequest when more than
 * `length` bytes come; BODY_END only after exactly that many. */
struct body *body_length_new(struct arena *a, struct body *below, uint64_t length);

/* Fails with EntityTooLarge once more than `max` bytes came; for bodies of unknown length. */
struct body *body_max_new(struct arena *a, struct body *below, uint64_t max);

/* Passes bytes [offset, offset + n) of what is below, then ends without reading the rest. Fails with
 * IO when that ends before. */
struct body *body_clip_new(struct arena *a, struct body *below, uint64_t offset, uint64_t n);

/* Updates each digest of the set as bytes pass (base/digest.h); finishes none. */
struct digest_set;
struct body *body_digest_new(struct arena *a, struct body *below, struct digest_set *set);

/* Calls check(ud, reterr) once, when all below has ended, before ending itself: where expectations
 * (Content-MD5, checksums) are compared with what was computed. A failure of check is the body's. */
typedef rc body_check_fn(void *ud, struct err *reterr);
struct body *body_check_new(struct arena *a, struct body *below, body_check_fn *check, void *ud);

/* The relay: two slots of `slot_bytes`, filled from `below` on the loop while the other is drained
 * on a worker. Pulling answers BODY_WAIT at the end of each slot; body_arm then swaps slots on the
 * loop, calls back as soon as the other is full or the source has ended, and begins to refill the
 * emptied one. Slots are malloced when first needed (small bodies: one, of the size needed) and
 * freed on close. So no lock is needed and a worker never waits for a client.
 *
 * `home` is the mailbox of the loop that `below` is pinned to: through it comes the callback when the
 * other slot was ready already. Arm and close on that loop only; pull wherever the chain is. Nothing is
 * read before the first arm. A slot holds at least one byte unless the source is over, and the source's
 * failure is told after the bytes that came before it.
 *
 * body_relay_whole: true once everything that the source will ever give is in the slot at hand (so
 * that pulling it to BODY_END or BODY_FAIL won't wait): a small body needs one job only. The source's
 * own BODY_END has been seen by then. For whoever may pull. */
struct mailbox;
struct body *body_relay_new(struct arena *a, struct body *below, size_t slot_bytes,
			    struct mailbox *home);
bool body_relay_whole(const struct body *relay);
