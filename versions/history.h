/* The graph of commits: log and merge base. */
#pragma once

#include "versions/commit_record.h"

struct log_request {
	struct str from;   /* commit id */
	struct str after;  /* commit id, exclusive: `next` of the page before; STR_NONE */
	size_t max;        /* 1 to 1,000 */
	bool first_parent;
	int64_t since;     /* unix seconds; commits before it end the walk; INT64_MIN: none */
	struct str stop_at; /* commit id: the walk ends with it, it included; STR_NONE */
	/* Only commits that changed one of these, compared with their first parent (a merge: with each).
	 * Ranges that both have are passed over unread. */
	const struct str *objects, *prefixes;
	size_t objects_n, prefixes_n;
	/* Of a filtered walk: commits looked at before the page ends early, with `next` to go on from; 0: any
	 * number. */
	size_t scan_max;
};

struct log_page {
	struct commit *commits;
	size_t n;
	bool more;
	struct str next; /* `after` of the next page */
};

/* By creation date, then id, both descending, each once; children never after parents of a sane clock.
 * NOT_FOUND: from or after is no commit, or after isn't on the walk. Each page walks from `from` again (a first-parent
 * walk goes on from `after`). */
rc history_log(struct vcall *c, const struct repo *r, const struct log_request *q,
	       struct log_page *ret);

/* The best common ancestor (FORMATS.md 8). NOT_FOUND: none. */
rc merge_base(struct vcall *c, const struct repo *r, struct str a, struct str b, struct str *ret);
