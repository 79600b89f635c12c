/* Whether a dump is whole: what it names is in the namespace. Looks at the store alone, never at the KV, so that it
 * tells whether a namespace can be restored wherever a server may read it.
 *
 *   dump      its tables have the identities that are their names; commits have the ids of their content and parents
 *             that are in it; branches and tags name commits that are in it
 *   tables    of commits: each metarange and each range, whole, as fsck reads them
 *   bodies    (asked for) what RELATIVE entries name is there, with the right size; with `content` they are read, and
 *             compared with their MD5 and checksums where those are known
 *
 * What a restore can afford (`heads`) is less of the tables: of branches and tags, and of DUMP_CHECK_READ more of the
 * commits, the metarange is read and its ranges must be there to their ends; of all others the metarange must be
 * there.
 *
 * Memory: as fsck, and 32 bytes for each object that a listing shows, up to FSCK_IDS_MAX; what lies beyond is asked
 * for one by one.
 */
#pragma once

#include "versions/fsck.h"

enum { DUMP_CHECK_READ = 2000 };

struct dump_check_options {
	bool heads;
	bool bodies, content; /* not with heads */
	/* Of each finding; its text lives until it returns. */
	void (*found)(void *ud, const struct fsck_finding *f);
	void *ud;
	struct progress *progress; /* NULL: nobody asks */
	/* Kept up to date, so that whoever asks meanwhile can be told; NULL: nobody does. */
	_Atomic int64_t *counts; /* DUMP_CHECK_COUNTS */
};
enum { DUMP_CHECK_COMMITS, DUMP_CHECK_BRANCHES, DUMP_CHECK_TAGS, DUMP_CHECK_TABLES, DUMP_CHECK_ENTRIES,
       DUMP_CHECK_BODIES, DUMP_CHECK_MISSING, DUMP_CHECK_DAMAGED, DUMP_CHECK_COUNTS };

/* Of r only its store and namespace count. RC_OK however much was found; an error is what kept it from looking. */
rc dump_check(struct vcall *c, const struct repo *r, const struct refs_dump *d, const struct dump_check_options *o,
	      struct fsck_counts *ret);

/* What is missing or damaged, as far as an error can name it; an o->found with its ud. */
struct dump_lacking {
	char text[320];
	int64_t n, named;
};
void dump_lacking_add(void *lacking, const struct fsck_finding *f);
/* RC_OK when nothing is; else DumpNotWhole: "<what>: in <space> <things>". */
rc dump_lacking_told(const struct dump_lacking *l, struct err *reterr, const char *what, struct str space);
