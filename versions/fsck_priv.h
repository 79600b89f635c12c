/* What the files of fsck share: fsck.c the order and the findings, fsck_refs.c, fsck_tables.c, fsck_task.c; and
 * the set of what was seen (id_set.c). */
#pragma once

#include "versions/fsck.h"
#include "versions/internal.h"
#include "versions/tables.h"

/* A set of digests, with a bound. */
struct id_set;
struct id_set *id_set_new(size_t max);
void id_set_free(struct id_set *s);
/* Whether it was there already; past the bound nothing is added, and id_set_full says so from then on. */
bool id_set_add(struct id_set *s, struct str text);
bool id_set_has(const struct id_set *s, struct str text);
bool id_set_full(const struct id_set *s);
void id_set_reset(struct id_set *s);

struct fsck {
	struct vcall *c; /* its arena: for the whole check */
	const struct repo *r;
	const struct fsck_options *o;
	struct fsck_counts *n;
	struct backend *store;
	struct id_set *tables; /* ids, and what metaranges claim of ranges */
	struct id_set *tokens;
	struct id_set *bodies; /* addresses in the range at hand */
	struct timestamp began;
	struct str staged_in; /* "branch <name>": whose staged entries are visited */
};

void fsck_found(struct fsck *f, enum fsck_kind kind, struct str thing, struct str named_by,
		const char *story);
/* What a failure of reading `thing` means: a finding, or the failure. */
rc fsck_judge(struct fsck *f, rc failed, struct str thing, struct str named_by);
rc fsck_tick(struct fsck *f);
/* c with an arena of its own. */
struct vcall fsck_call(struct fsck *f, struct arena *a);

rc fsck_refs(struct fsck *f);
/* Of the commit. id "" is none. */
rc fsck_metarange(struct fsck *f, struct str id, struct str commit_id);
rc fsck_garbage(struct fsck *f);
/* The entry's body, if it is asked for. */
rc fsck_body(struct fsck *f, struct vcall *c, const struct entry *e, struct str named_by, struct str path);
