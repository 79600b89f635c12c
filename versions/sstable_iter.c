/* Walks and look-ups. */
#include <assert.h>
#include <stdlib.h>

#include "versions/sstable_file.h"

struct sstable_iter {
	struct sstable *t;
	enum sstable_scan scan;
	struct sst_cursor top, part, data;
	struct sstable_block *part_block, *data_block;
	/* The index's key of the block that was left last: all that follows lies after it. */
	char *floor;
	size_t floor_n, floor_cap;
	bool has_floor;
	bool failed;
};

struct sstable_iter *sstable_iter_new(struct sstable *t, enum sstable_scan scan)
{
	struct sstable_iter *it = calloc(1, sizeof(*it));

	if (!it)
		abort();
	it->t = sstable_ref(t);
	it->scan = scan;
	sst_cursor_start(&it->top, t->index);
	return it;
}

void sstable_iter_close(struct sstable_iter *it)
{
	if (!it)
		return;
	sst_cursor_deinit(&it->top);
	sst_cursor_deinit(&it->part);
	sst_cursor_deinit(&it->data);
	sstable_block_unref(it->part_block);
	sstable_block_unref(it->data_block);
	free(it->floor);
	sstable_unref(it->t);
	free(it);
}

void sstable_iter_closep(struct sstable_iter **it)
{
	sstable_iter_close(*it);
}

static void set_floor(struct sstable_iter *it, struct str key)
{
	if (key.n > it->floor_cap) {
		it->floor_cap = key.n + 64;
		free(it->floor);
		it->floor = malloc(it->floor_cap);
		if (!it->floor)
			abort();
	}
	if (key.n)
		memcpy(it->floor, key.p, key.n);
	it->floor_n = key.n;
	it->has_floor = true;
}

/* A block must hold what the index says: keys after those of the blocks before, none after `limit`.
 * Only an empty table has an empty block, and its key in the index is empty. */
static const char *check_place(const struct sstable_iter *it, const struct sstable_block *b,
			       struct str limit)
{
	if (sstable_block_empty(b))
		return limit.n || it->has_floor ? "it is empty" : NULL;
	if (str_cmp(b->last, limit) > 0)
		return "its last key lies after the index's";
	if (it->has_floor && str_cmp(b->first, str_make(it->floor, it->floor_n)) <= 0)
		return "its first key does not lie after the block before";
	return NULL;
}

static rc load(struct sstable_iter *it, const struct sst_kind *kind, struct str limit,
	       struct str handle, struct sstable_block **block, struct err *reterr)
{
	const char *p = handle.p, *end = handle.p + handle.n, *wrong;
	struct sst_handle h;

	sstable_block_unref(*block);
	*block = NULL;
	if (!sst_handle(&p, end, &h) || p != end)
		return err_set(reterr, ERR_CORRUPT, "index: the handle of a %s block is malformed",
			       kind->name);
	TRY(sstable_block_get(it->t, kind, h, it->scan, block, reterr));
	wrong = check_place(it, *block, limit);
	return wrong ? sst_corrupt(reterr, kind, h, wrong) : RC_OK;
}

static rc next_part(struct sstable_iter *it, bool *ret_end, struct err *reterr)
{
	struct str limit, handle;

	sst_cursor_start(&it->part, NULL);
	*ret_end = !sst_cursor_next(&it->top, &limit, &handle);
	if (*ret_end)
		return RC_OK;
	TRY(load(it, &sst_index, limit, handle, &it->part_block, reterr));
	sst_cursor_start(&it->part, it->part_block);
	return RC_OK;
}

/* The next entry of the lowest level of the index. */
static rc next_leaf(struct sstable_iter *it, struct str *ret_limit, struct str *ret_handle,
		    bool *ret_end, struct err *reterr)
{
	*ret_end = false;
	if (!it->t->two_levels) {
		*ret_end = !sst_cursor_next(&it->top, ret_limit, ret_handle);
		return RC_OK;
	}
	while (!sst_cursor_next(&it->part, ret_limit, ret_handle)) {
		TRY(next_part(it, ret_end, reterr));
		if (*ret_end)
			return RC_OK;
	}
	return RC_OK;
}

static rc next_data(struct sstable_iter *it, bool *ret_end, struct err *reterr)
{
	struct str limit, handle;

	sst_cursor_start(&it->data, NULL);
	TRY(next_leaf(it, &limit, &handle, ret_end, reterr));
	if (*ret_end)
		return RC_OK;
	TRY(load(it, &sst_data, limit, handle, &it->data_block, reterr));
	set_floor(it, limit);
	sst_cursor_start(&it->data, it->data_block);
	return RC_OK;
}

static rc find_next(struct sstable_iter *it, struct sstable_record *ret, bool *ret_end,
		    struct err *reterr)
{
	*ret_end = false;
	while (!sst_cursor_next(&it->data, &ret->key, &ret->value)) {
		TRY(next_data(it, ret_end, reterr));
		if (*ret_end)
			return RC_OK;
	}
	return RC_OK;
}

rc sstable_iter_next(struct sstable_iter *it, struct sstable_record *ret, bool *ret_end,
		     struct err *reterr)
{
	rc done;

	assert(!it->failed);
	done = find_next(it, ret, ret_end, reterr);
	it->failed = !rc_ok(done);
	return done;
}

static rc seek(struct sstable_iter *it, struct str key, struct err *reterr)
{
	bool end = false;

	it->has_floor = false;
	sst_cursor_start(&it->data, NULL);
	sst_cursor_start(&it->part, NULL);
	sst_cursor_seek(&it->top, it->t->index, key);
	if (it->t->two_levels) {
		TRY(next_part(it, &end, reterr));
		if (!end && it->part_block)
			sst_cursor_seek(&it->part, it->part_block, key);
	}
	if (!end)
		TRY(next_data(it, &end, reterr));
	if (!end)
		sst_cursor_seek(&it->data, it->data_block, key);
	return RC_OK;
}

rc sstable_iter_seek(struct sstable_iter *it, struct str key, struct err *reterr)
{
	rc done = seek(it, key, reterr);

	it->failed = !rc_ok(done);
	return done;
}

rc sstable_get(struct sstable *t, struct str key, struct arena *a, struct str *ret,
	       struct err *reterr)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = sstable_iter_new(t, SSTABLE_KEEP);
	struct sstable_record r;
	bool end;

	TRY(sstable_iter_seek(it, key, reterr));
	TRY(sstable_iter_next(it, &r, &end, reterr));
	if (end || !str_eq(r.key, key))
		return err_set(reterr, ERR_NOT_FOUND, "the table has no such key");
	*ret = arena_dup(a, r.value);
	return RC_OK;
}
