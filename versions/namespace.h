/* Which storage namespaces are taken.
 *
 * The dummy object says so, as in lakeFS. So that a creation that died half-way can be repeated, a
 * claim stands in the KV from its beginning until the repository is deleted: a dummy whose claim names
 * no repository is a left-over, a dummy without a claim is somebody's (or was: its objects may still be
 * there).
 *
 *   free --claim--> claimed --dummy--> claimed, dummy --repository record--> in use --delete--> dummy
 *
 * The repository of the claim may go on at any time (its record, written last and only if absent,
 * decides); another one only after CLAIM_LIFE_MS, if there is no such repository by then. The claim
 * outlives the creation because another one may have looked for the dummy before that and claim
 * only afterwards.
 *
 * A claim that outlived its creation is dissolved after that time: it becomes nobody's ("-" before the
 * owner's name, and the time anew, so that no creation takes it over meanwhile), its dummy goes, then
 * itself. Dying in between leaves nobody's claim, which is dissolved in its turn.
 *
 * KV: partition "sluice-namespaces", key SHA-256 of store id, NUL, namespace; value
 * "<repository id> <unix seconds> <store id in hex> <namespace>".
 */
#pragma once

#include "versions/repo.h"

/* A creation gives up after half of this. */
enum { CLAIM_LIFE_MS = 600 * 1000 };

/* Refuses (INVALID) a namespace that is taken; else claims it and writes the dummy. No repository `id`
 * exists. */
rc namespace_take(struct vcall *c, struct backend *b, struct str space, struct str id);
/* The namespace is to hold a backup of repository `id` (backup.h). It may hold one already, by its mark; else nobody's
 * data may be there. Marks it, puts the dummy there, so that nobody else takes it, and claims it: the claim, whose
 * owner is "+<id>", is dissolved after its life, the dummy stays. INVALID: it is taken. */
rc namespace_take_backup(struct vcall *c, struct backend *b, struct str space, struct str id);
/* When the repository is deleted. A failure only delays another creation there, so there is none to
 * report. */
void namespace_release(struct vcall *c, struct str store_id, struct str space);
/* Dissolves the claim `value`, as read under `key`, unless it is younger than its life or its repository
 * is there, in that namespace. One that doesn't say its namespace stays. */
rc namespace_expire(struct vcall *c, struct str key, struct str value, int64_t now_s,
		    bool *ret_removed);
