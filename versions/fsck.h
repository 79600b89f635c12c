/* Checks a repository against its store, reading only:
 *
 *   refs     commits have the ids of their content, parents that are there and older; branches and tags name
 *            commits that are there; a staging token belongs to one branch, and nobody is about to empty it;
 *            what is staged can be read
 *   tables   every metarange of a commit and every range that it names is in the store and has the identity that
 *            is its name; ranges follow one another, and hold what the metarange says of them
 *   bodies   (asked for) what RELATIVE entries name is in the store and has the right size
 *   garbage  tables that no commit names: of dumps, of commits that failed, of other repositories there
 *
 * Each table is read once, however many commits name it, and past the caches. Memory: a page of records, the
 * blocks that are read, and 32 bytes for each table, up to FSCK_IDS_MAX tables; with more of them some are read
 * again, and garbage isn't looked for. What is written meanwhile may be seen or not; it is never a finding.
 */
#pragma once

#include "versions/dump.h"
#include "versions/task.h"

enum { FSCK_IDS_MAX = 4 << 20, FSCK_KEPT_MAX = 1000, FSCK_KEPT_BYTES = 256 * 1024 };

enum fsck_kind { FSCK_MISSING = 1, FSCK_DAMAGED, FSCK_UNREACHABLE };
/* "missing" ... */
const char *fsck_kind_name(enum fsck_kind k);

struct fsck_finding {
	enum fsck_kind kind;
	struct str thing;    /* "commit <id>", "range <id>", "body <address>" */
	struct str named_by; /* who needs it; "" for what is unreachable */
	struct str story;
};

struct fsck_counts {
	int64_t commits, branches, tags, tables, entries, bodies; /* looked at */
	int64_t missing, damaged, unreachable, unreachable_bytes;
};

struct fsck_options {
	bool bodies;
	/* Of each finding; its text lives until it returns. */
	void (*found)(void *ud, const struct fsck_finding *f);
	void *ud;
	struct progress *progress; /* NULL: nobody asks; counts tables and bodies */
};

/* RC_OK however much was found; an error is what kept it from looking (of the KV, the store, CANCELLED). */
rc fsck_run(struct vcall *c, const struct repo *r, const struct fsck_options *o,
	    struct fsck_counts *ret);

/* As a task (TASK_FSCK): the counts, and the first findings, as many as fit into FSCK_KEPT_*. */
rc task_submit_fsck(struct vcall *c, const struct repo *r, bool bodies, struct str *ret_id);
rc task_fsck_result(struct vcall *c, const struct task *t, struct fsck_counts *ret,
		    struct fsck_finding **ret_findings, size_t *ret_n);
