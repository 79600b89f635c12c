/* Reading what a commit holds: a metarange names ranges, disjoint and ascending; each range is a table of
 * records (FORMATS.md 4). Private to versions/; workers only, but for metarange_get.
 *
 * An iterator stands at the head of a range, before its first record, or at a record within: whoever
 * compares or merges looks at heads first and passes over whole ranges unread.
 */
#pragma once

#include "versions/layer.h"
#include "versions/record.h"
#include "versions/tables.h"

/* What the metarange has for a key; the data is in c->a. NOT_FOUND. May be tried on a loop with
 * KV_NOWAIT. id "" is the empty one. */
rc metarange_get(struct vcall *c, const struct repo *r, struct str id, struct str key,
		 struct record *ret);

struct mr_iter;

enum mr_at { MR_HEAD, MR_RECORD, MR_END };

/* Memory of its own, freed by close; before the first range. id "": nothing in it. `scan`: blocks that are read
 * don't drive others out of memory. */
rc mr_iter_open(struct vcall *c, const struct repo *r, struct str id, bool scan, struct mr_iter **ret);
void mr_iter_close(struct mr_iter *it); /* NULL is allowed */
void mr_iter_closep(struct mr_iter **it);

/* From a head into its range: the first record. From a record: the next one, or the next range's head.
 * From the start: the first head. */
rc mr_iter_next(struct mr_iter *it, struct err *reterr);
/* From anywhere in a range to the next one's head. */
rc mr_iter_next_range(struct mr_iter *it, struct err *reterr);
/* Forward to the first key >= `key`: at the head of a range that begins there or later, else at the record.
 * Never backward: a key that lies behind changes nothing. */
rc mr_iter_seek(struct mr_iter *it, struct str key, struct err *reterr);

/* What it has for a key: identity NULL for nothing. Seeks there; the bytes live until the next call. */
rc mr_iter_find(struct mr_iter *it, struct str key, struct record *ret, struct err *reterr);
/* Whether two such are the same: equal identities, or nothing both times. */
bool record_same(const struct record *a, const struct record *b);

enum mr_at mr_iter_at(const struct mr_iter *it);
/* The range it stands in (head or record). Lives until the iterator leaves the range. */
const struct range_info *mr_iter_range(const struct mr_iter *it);
/* At a record: lives until the next call. At a head: a key that is a lower bound, no value. */
const struct record *mr_iter_record(const struct mr_iter *it);
/* The key it stands at: a record's, or at a head the range's first. */
struct str mr_iter_key(const struct mr_iter *it);
/* Whether both stand at heads of the same range. */
bool mr_iter_same_range(const struct mr_iter *a, const struct mr_iter *b);

/* As a layer, for listings. */
rc metarange_layer(struct vcall *c, const struct repo *r, struct str id, struct str from,
		   struct layer **ret);
