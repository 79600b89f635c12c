/* What the files of fsck share: fsck.c the order and the findings, fsck_refs.c, fsck_tables.c, fsck_task.c. */
#pragma once

#include "versions/fsck.h"
#include "versions/id_set.h"
#include "versions/internal.h"
#include "versions/pb.h"
#include "versions/tables.h"

struct fsck;

/* Of a walk that looks at more than whether all is there; each NULL: nothing is to be done. */
struct fsck_hooks {
	/* Instead of looking for the entry's body. */
	rc (*body)(struct fsck *f, struct vcall *c, const struct entry *e, struct str named_by, struct str path);
	/* A table that was walked through, and all that it names. */
	rc (*table)(struct fsck *f, struct vcall *c, struct str id, uint64_t bytes);
};

/* A record of a range. */
typedef rc fsck_record_fn(struct fsck *f, struct vcall *c, const struct record *record, struct str named_by);

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
	/* ---- of walks from a dump alone (dump_check.c) ---- */
	fsck_record_fn *record;  /* what ranges hold; NULL: entries */
	struct id_set *there;    /* NULL, or fsck_listed() of all that a listing showed */
	bool as_readers;         /* tables may come from caches, their identity isn't computed */
	bool ends_only;          /* of ranges only that they are there, to their end */
	bool bodies_once;        /* bodies are remembered from range to range */
	const struct fsck_hooks *hooks;
	void *ud;
};

void fsck_found(struct fsck *f, enum fsck_kind kind, struct str thing, struct str named_by,
		const char *story);
/* What a failure of reading `thing` means: a finding, or the failure. */
rc fsck_judge(struct fsck *f, rc failed, struct str thing, struct str named_by);
rc fsck_tick(struct fsck *f);
/* Findings kept for a task's result: the first ones. */
struct fsck_kept {
	struct arena *a;
	Pb__FsckFinding *list[FSCK_KEPT_MAX];
	size_t n, bytes;
};
void fsck_keep(void *kept, const struct fsck_finding *f);
struct fsck_finding *fsck_kept_of(Pb__FsckFinding **list, size_t n, struct arena *a);

/* c with an arena of its own. */
struct vcall fsck_call(struct fsck *f, struct arena *a);

rc fsck_refs(struct fsck *f);
/* Once, however often it is named. id "" is none. */
rc fsck_metarange(struct fsck *f, struct str id, struct str named_by);
/* Whether the table is there. */
rc fsck_table_there(struct fsck *f, struct vcall *c, struct str kind, struct str id, struct str named_by);
/* How `there` notes an object. */
struct str fsck_listed(struct arena *a, struct str key, uint64_t size);
rc fsck_garbage(struct fsck *f);
/* The entry's body, if it is asked for. */
rc fsck_body(struct fsck *f, struct vcall *c, const struct entry *e, struct str named_by, struct str path);
