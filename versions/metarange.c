#include "versions/metarange.h"

#include <assert.h>
#include <stdlib.h>

#include "versions/internal.h"
#include "versions/layer.h"
#include "versions/range_info.h"

struct mr_iter {
	struct versions *v;
	const struct repo *repo;
	enum sstable_scan scan;
	struct str id;
	struct arena *a; /* scratch */
	struct sstable_iter *ranges; /* NULL: an empty metarange */
	struct buf behind;           /* where it is to be read from, should its file be damaged */
	bool ranges_mended;
	struct range_info range;
	struct sstable_iter *records; /* of the range; NULL: not entered */
	/* Where the records' iterator stands, should its file turn out to be damaged: so many after the first
	 * one >= `from`. */
	struct buf from;
	size_t passed;
	bool mended;
	struct record record;
	enum mr_at at;
	bool started;
};

/* What is damaged is told with its name, and had anew by the next reader. */
static rc in_table(struct versions *v, const struct repo *r, const char *kind, struct str id, rc failed,
		   struct err *reterr)
{
	if (rc_ok(failed) || rc_is(failed, WOULD_BLOCK))
		return failed;
	if (rc_is(failed, CORRUPT))
		table_damaged(v, r, id);
	return err_wrap(failed, reterr, "%s " STR_FMT, kind, STR_ARG(id));
}

static rc in_metarange(const struct mr_iter *it, rc failed, struct err *reterr)
{
	return in_table(it->v, it->repo, "metarange", it->id, failed, reterr);
}

static rc in_range(const struct mr_iter *it, rc failed, struct err *reterr)
{
	return in_table(it->v, it->repo, "range", it->range.id, failed, reterr);
}

rc mr_iter_open(struct vcall *c, const struct repo *r, struct str id, bool scan, struct mr_iter **ret)
{
	struct sstable *table = NULL;
	struct mr_iter *it;

	if (id.n)
		TRY(table_get(c, r, id, &table));
	it = calloc(1, sizeof(*it));
	if (!it)
		abort();
	it->v = c->v;
	it->repo = r;
	it->scan = scan ? SSTABLE_PASSING : SSTABLE_KEEP;
	it->a = arena_new();
	buf_init(&it->from, 1 << 20);
	buf_init(&it->behind, 1 << 20);
	it->id = arena_dup(it->a, id);
	if (table)
		it->ranges = sstable_iter_new(table, it->scan);
	sstable_unref(table);
	*ret = it;
	return RC_OK;
}

static void leave_range(struct mr_iter *it)
{
	sstable_iter_close(it->records);
	it->records = NULL;
}

void mr_iter_close(struct mr_iter *it)
{
	if (!it)
		return;
	leave_range(it);
	sstable_iter_close(it->ranges);
	buf_deinit(&it->from);
	buf_deinit(&it->behind);
	arena_free(it->a);
	free(it);
}

void mr_iter_closep(struct mr_iter **it)
{
	mr_iter_close(*it);
}

static rc open_table(struct mr_iter *it, struct str id, struct sstable_iter **ret, struct err *reterr)
{
	struct arena_mark m = arena_mark(it->a);
	struct vcall c = {.v = it->v, .a = it->a, .wait = KV_BLOCK, .err = reterr};
	struct sstable *table;
	rc got = table_get(&c, it->repo, id, &table);

	arena_rewind(it->a, m);
	TRY(got);
	*ret = sstable_iter_new(table, it->scan);
	sstable_unref(table);
	return RC_OK;
}

/* The next range's record. A file of the cache that is damaged is had from the store anew, once. */
static rc read_range(struct mr_iter *it, struct sstable_record *ret, bool *ret_end, struct err *reterr)
{
	rc r = sstable_iter_next(it->ranges, ret, ret_end, reterr);

	if (rc_is(r, CORRUPT) && !it->ranges_mended) {
		it->ranges_mended = true;
		table_damaged(it->v, it->repo, it->id);
		sstable_iter_close(it->ranges);
		it->ranges = NULL;
		TRY(open_table(it, it->id, &it->ranges, reterr));
		TRY(sstable_iter_seek(it->ranges, buf_str(&it->behind), reterr));
		r = sstable_iter_next(it->ranges, ret, ret_end, reterr);
	}
	if (rc_ok(r) && !*ret_end) {
		buf_reset(&it->behind);
		buf_add(&it->behind, ret->key);
		buf_add_c(&it->behind, 0);
	}
	return r;
}

static rc seek_range(struct mr_iter *it, struct str key, struct err *reterr)
{
	buf_reset(&it->behind);
	buf_add(&it->behind, key);
	return sstable_iter_seek(it->ranges, key, reterr);
}

/* To the head of the range that the metarange's iterator comes to next. */
static rc next_head(struct mr_iter *it, struct err *reterr)
{
	struct sstable_record raw;
	struct record record;
	bool end = !it->ranges;

	leave_range(it);
	it->mended = false;
	it->started = true;
	if (!end)
		TRY(in_metarange(it, read_range(it, &raw, &end, reterr), reterr));
	if (end) {
		it->at = MR_END;
		return RC_OK;
	}
	TRY(in_metarange(it, record_decode(raw.key, raw.value, &record, reterr), reterr));
	TRY(in_metarange(it, range_info_decode(&record, &it->range, reterr), reterr));
	it->at = MR_HEAD;
	return RC_OK;
}

static rc enter_range(struct mr_iter *it, struct err *reterr)
{
	TRY(in_metarange(it, open_table(it, it->range.id, &it->records, reterr), reterr));
	buf_reset(&it->from);
	it->passed = 0;
	return RC_OK;
}

static rc seek_record(struct mr_iter *it, struct str key, struct err *reterr)
{
	buf_reset(&it->from);
	buf_add(&it->from, key);
	it->passed = 0;
	return sstable_iter_seek(it->records, key, reterr);
}

/* A file of the cache that is damaged is had from the store anew, once: to where we were. */
static rc mend(struct mr_iter *it, struct sstable_record *ret, bool *ret_end, struct err *reterr)
{
	struct str from = arena_dup(it->a, buf_str(&it->from));
	size_t passed = it->passed;

	table_damaged(it->v, it->repo, it->range.id);
	it->mended = true;
	leave_range(it);
	TRY(enter_range(it, reterr));
	if (from.n)
		TRY(seek_record(it, from, reterr));
	for (it->passed = passed; passed + 1; passed--)
		TRY(sstable_iter_next(it->records, ret, ret_end, reterr));
	return RC_OK;
}

static rc read_record(struct mr_iter *it, struct sstable_record *ret, bool *ret_end, struct err *reterr)
{
	rc r = sstable_iter_next(it->records, ret, ret_end, reterr);

	if (rc_is(r, CORRUPT) && !it->mended)
		r = mend(it, ret, ret_end, reterr);
	it->passed++;
	return r;
}

static rc next_record(struct mr_iter *it, struct err *reterr)
{
	struct sstable_record raw;
	bool end;

	TRY(in_range(it, read_record(it, &raw, &end, reterr), reterr));
	if (end)
		return next_head(it, reterr);
	if (str_cmp(raw.key, it->range.min) < 0 || str_cmp(raw.key, it->range.max) > 0)
		return in_range(it, err_set(reterr, ERR_CORRUPT, "a record lies outside of it"), reterr);
	TRY(in_range(it, record_decode(raw.key, raw.value, &it->record, reterr), reterr));
	it->at = MR_RECORD;
	return RC_OK;
}

rc mr_iter_next(struct mr_iter *it, struct err *reterr)
{
	if (!it->started || it->at == MR_END)
		return it->started ? RC_OK : next_head(it, reterr);
	if (it->at == MR_HEAD)
		TRY(enter_range(it, reterr));
	return next_record(it, reterr);
}

rc mr_iter_next_range(struct mr_iter *it, struct err *reterr)
{
	return it->started && it->at == MR_END ? RC_OK : next_head(it, reterr);
}

rc mr_iter_seek(struct mr_iter *it, struct str key, struct err *reterr)
{
	if (it->started && (it->at == MR_END || str_cmp(key, mr_iter_key(it)) <= 0))
		return RC_OK;
	if (!it->started || str_cmp(key, it->range.max) > 0) {
		if (it->ranges)
			TRY(in_metarange(it, seek_range(it, key, reterr), reterr));
		TRY(next_head(it, reterr));
		if (it->at == MR_END || str_cmp(key, it->range.min) <= 0)
			return RC_OK;
	}
	if (!it->records)
		TRY(enter_range(it, reterr));
	it->mended = false;
	TRY(in_range(it, seek_record(it, key, reterr), reterr));
	return next_record(it, reterr);
}

rc mr_iter_find(struct mr_iter *it, struct str key, struct record *ret, struct err *reterr)
{
	*ret = (struct record){0};
	TRY(mr_iter_seek(it, key, reterr));
	if (it->at == MR_HEAD && str_eq(it->range.min, key))
		TRY(mr_iter_next(it, reterr));
	if (it->at == MR_RECORD && str_eq(it->record.key, key))
		*ret = it->record;
	return RC_OK;
}

bool record_same(const struct record *a, const struct record *b)
{
	if (!a->identity.p || !b->identity.p)
		return !a->identity.p && !b->identity.p;
	return str_eq(a->identity, b->identity);
}

enum mr_at mr_iter_at(const struct mr_iter *it)
{
	assert(it->started);
	return it->at;
}

const struct range_info *mr_iter_range(const struct mr_iter *it)
{
	assert(it->at != MR_END);
	return &it->range;
}

const struct record *mr_iter_record(const struct mr_iter *it)
{
	assert(it->at == MR_RECORD);
	return &it->record;
}

struct str mr_iter_key(const struct mr_iter *it)
{
	assert(it->at != MR_END);
	return it->at == MR_HEAD ? it->range.min : it->record.key;
}

bool mr_iter_same_range(const struct mr_iter *a, const struct mr_iter *b)
{
	return a->at == MR_HEAD && b->at == MR_HEAD && str_eq(a->range.id, b->range.id);
}

/* One key. */

static rc find_range(struct vcall *c, const struct repo *r, struct str id, struct str key,
		     struct range_info *ret)
{
	CLEANUP(sstable_unrefp) struct sstable *table = NULL;
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = NULL;
	struct sstable_record raw;
	struct record record;
	bool end;

	TRY(table_get(c, r, id, &table));
	it = sstable_iter_new(table, SSTABLE_KEEP);
	TRY(sstable_iter_seek(it, key, c->err));
	TRY(sstable_iter_next(it, &raw, &end, c->err));
	if (end)
		return RC(NOT_FOUND);
	TRY(record_decode(raw.key, raw.value, &record, c->err));
	TRY(range_info_decode(&record, ret, c->err));
	ret->id = arena_dup(c->a, ret->id);
	return str_cmp(key, ret->min) < 0 ? RC(NOT_FOUND) : RC_OK;
}

static rc find_record(struct vcall *c, const struct repo *r, struct str range, struct str key,
		      struct record *ret)
{
	CLEANUP(sstable_unrefp) struct sstable *table = NULL;
	struct str value;

	TRY(table_get(c, r, range, &table));
	TRY(sstable_get(table, key, c->a, &value, c->err));
	return record_decode(key, value, ret, c->err);
}

static rc find(struct vcall *c, const struct repo *r, struct str id, struct str key, struct record *ret)
{
	struct range_info range;
	rc found = find_range(c, r, id, key, &range);

	if (rc_is(found, NOT_FOUND))
		return found;
	TRY(in_table(c->v, r, "metarange", id, found, c->err));
	found = find_record(c, r, range.id, key, ret);
	return rc_is(found, NOT_FOUND) ? found : in_table(c->v, r, "range", range.id, found, c->err);
}

rc metarange_get(struct vcall *c, const struct repo *r, struct str id, struct str key,
		 struct record *ret)
{
	rc found = id.n ? find(c, r, id, key, ret) : RC(NOT_FOUND);

	if (rc_is(found, CORRUPT)) /* a damaged file of the cache's: it was dropped */
		found = find(c, r, id, key, ret);
	if (rc_is(found, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "path not found");
	return found;
}

/* As a layer. */

struct committed_layer {
	struct layer layer;
	struct mr_iter *it;
	bool fresh; /* it stands before what is to be answered next */
};

static struct mr_iter *iter_of(struct layer *l)
{
	return ((struct committed_layer *)l)->it;
}

static rc layer_next(struct layer *l, struct layer_item *ret, bool *ret_end, struct err *reterr)
{
	struct committed_layer *cl = (struct committed_layer *)l;

	if (!cl->fresh)
		TRY(mr_iter_next(cl->it, reterr));
	cl->fresh = false;
	while (mr_iter_at(cl->it) == MR_HEAD)
		TRY(mr_iter_next(cl->it, reterr));
	*ret_end = mr_iter_at(cl->it) == MR_END;
	if (!*ret_end)
		*ret = (struct layer_item){.key = mr_iter_record(cl->it)->key,
					   .entry = mr_iter_record(cl->it)->data,
					   .identity = mr_iter_record(cl->it)->identity};
	return RC_OK;
}

static rc layer_seek(struct layer *l, struct str from, struct err *reterr)
{
	struct mr_iter *it = iter_of(l);
	bool behind = mr_iter_at(it) != MR_END && str_cmp(from, mr_iter_key(it)) > 0;

	/* standing on the last answer: seeking what lies behind or on it must not answer it again */
	if (!behind)
		return RC_OK;
	((struct committed_layer *)l)->fresh = true;
	return mr_iter_seek(it, from, reterr);
}

static void layer_close(struct layer *l)
{
	mr_iter_close(iter_of(l));
}

rc metarange_layer(struct vcall *c, const struct repo *r, struct str id, struct str from,
		   struct layer **ret)
{
	static const struct layer_ops ops = {layer_next, layer_seek, layer_close};
	struct committed_layer *l = ARENA_NEW(c->a, struct committed_layer);
	rc sought;

	l->layer.ops = &ops;
	l->fresh = true;
	TRY(mr_iter_open(c, r, id, false, &l->it));
	sought = mr_iter_seek(l->it, from, c->err);
	if (!rc_ok(sought)) {
		mr_iter_close(l->it);
		return sought;
	}
	*ret = &l->layer;
	return RC_OK;
}
