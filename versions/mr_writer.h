/* Writing a metarange: records and whole ranges of others, ascending; cut into ranges by lakeFS's rule
 * (FORMATS.md 4). Private to versions/; workers only.
 *
 * Where the rule allows it (no least size) the records between two sure cuts are a job of their own, and
 * several jobs encode, hash and upload at once on the `ranges` pool, whose jobs wait for nobody. Memory:
 * what `ranges_memory` allows for records that wait for a job; the writer waits when that is full.
 */
#pragma once

#include "versions/metarange.h"

struct mr_writer;

/* props: the type excepted, what both ranges and metarange get besides (a dump's entity and schema). */
rc mr_writer_new(struct vcall *c, const struct repo *r, const struct meta *props, size_t n,
		 struct mr_writer **ret);
/* The value is an encoded record (record.h). Strictly ascending. */
rc mr_writer_record(struct mr_writer *w, struct str key, struct str value, struct err *reterr);
/* A whole range, unread; it ends the one under way. */
rc mr_writer_range(struct mr_writer *w, const struct range_info *range, struct err *reterr);

struct mr_summary {
	struct str id; /* the metarange's, 64 hex digits; also of nothing at all */
	size_t ranges, ranges_reused;
	int64_t records;
};
/* All uploaded when it answers. Text in `a`. Frees nothing. */
rc mr_writer_finish(struct mr_writer *w, struct arena *a, struct mr_summary *ret, struct err *reterr);
void mr_writer_free(struct mr_writer *w); /* NULL is allowed; waits for its jobs */
void mr_writer_freep(struct mr_writer **w);
