/* What the tests of versions/ stand on: a KV in memory behind a fault filter (with guarded sets or
 * without), a store in memory behind one, a registry, pools, and a call with an arena. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/filters.h"
#include "versions/branch.h"
#include "versions/entry.h"
#include "versions/repo.h"

struct world {
	struct kv *kv;         /* the fault filter */
	struct kv *plain;      /* of a PLAIN world: the driver below it */
	struct backend *store; /* the fault filter */
	struct backend *other; /* NULL, or a second one, "other" */
	struct registry *registry;
	struct work_pool *meta, *data, *ranges;
	char cache[64]; /* the folder of the tables' cache */
	struct versions *v;
	struct versions *second; /* world_other's; NULL: there is none */
	bool alone; /* from the next restart on the process has the KV for itself */
	struct arena *a;
	struct err err;
	struct vcall c;
};

enum world_kind { GUARDED, PLAIN };

void world_open(struct world *w, enum world_kind kind);
/* With two stores. */
void world_open_two(struct world *w);
void world_close(struct world *w);
/* Forgets what the versions remember (repository cache), keeps KV and store: a restart. */
void world_restart(struct world *w);
/* Another process on the same KV and store, from then on; both with leases on heads. */
struct versions *world_other(struct world *w);
int64_t world_lease_ms(void);
/* With leases of another length than world_lease_ms. */
struct versions *world_other_with(struct world *w, int64_t lease_ms);
/* The same of two that look at no leases, and so never wait for each other. */
struct versions *world_peer(struct world *w);
/* The database that SLUICE_WORLD_KV names, with an empty table; NULL: none. */
struct kv *world_database(void);
/* The KV is lost, the stores are all that is left. */
void world_lose_kv(struct world *w);
/* Frees all results so far. */
void world_forget(struct world *w);

/* "repo1" on mem://repo1 with branch main. */
struct repo world_repo(struct world *w);

/* What a commit's first step does, as the record says: sealed = [token] + sealed, a new token. */
void world_seal(struct vcall *c, const struct repo *r, struct str branch);

/* What a commit does to readers: entries that were in the sealed tokens are in another layer from one
 * moment to the next and, worse than in a real one, gone from the old ones at once. One at a time. */
void world_move_sealed(struct vcall *c, const struct repo *r, struct str branch);

/* How many keys a partition has. */
size_t world_keys(struct world *w, struct str partition);

/* A part's bytes into the store, and what its record says of them, as part_put.c does it without its loop
 * (test_versions_put.c has that); the record is the caller's to write. On any thread. */
struct upload;
struct upload_part;
rc world_store_part(struct world *w, struct arena *a, const struct upload *u, unsigned number,
		    struct str bytes, struct upload_part *ret);

/* Of a PLAIN world: hook(ud) just before the n-th get or scan from now. */
void world_hook(struct world *w, unsigned nth, void (*hook)(void *ud), void *ud);
/* Just before the n-th set, conditional or not. */
void world_hook_writes(struct world *w, unsigned nth, void (*hook)(void *ud), void *ud);

struct entry some_entry(struct arena *a, unsigned seed);

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		rc ok_ = (call);                                                                   \
		if (!rc_ok(ok_))                                                                   \
			fail_msg("%s: %s", #call, err_name(ok_.code));                             \
	} while (0)
#define assert_rc(call, name)                                                                      \
	do {                                                                                       \
		rc got_ = (call);                                                                  \
		if (!rc_is(got_, name))                                                            \
			fail_msg("%s: %s, not " #name, #call, err_name(got_.code));                \
	} while (0)
#define assert_str(got, want)                                                                      \
	do {                                                                                       \
		struct str got_ = (got), want_ = (want);                                           \
		if (!str_eq(got_, want_))                                                          \
			fail_msg("got \"" STR_FMT "\", not \"" STR_FMT "\"", STR_ARG(got_),        \
				 STR_ARG(want_));                                                  \
	} while (0)
