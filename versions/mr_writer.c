/* Records are gathered into blocks, blocks go to chunks (mr_chunk.h), whose jobs work them off. A chunk ends where
 * the rule surely cuts, so that several chunks can be under way at once and the cuts are the same as if there
 * were one.
 *
 * Small ranges beside what is written are read and written anew with it: else a thousand commits of one object
 * each at the end of a branch would leave a thousand ranges. */
#include "versions/mr_writer.h"

#include <stdlib.h>

#include "versions/mr_chunk.h"
#include "versions/range_info.h"

enum {
	/* A range of less than a 64th of the greatest size is small; those that are written anew together
	 * don't grow past a 16th. */
	SMALL_PART = 64,
	JOIN_PART = 16,
};

struct mr_writer {
	struct chunks shared;
	struct arena *a;
	struct chunk *first, *last;
	struct chunk *open;       /* takes records; NULL: the next record begins one */
	struct block *block;      /* being filled */
	struct str tail;          /* its last key */
	uint64_t open_bytes;      /* of the open chunk, uncompressed */
	struct buf last_key;      /* of what was ended */
	bool any;
	struct range_info pending; /* a small reused range that the next record may join; id STR_NONE: none */
	struct arena *pending_a;
	size_t reused;
};

rc mr_writer_new(struct vcall *c, const struct repo *r, const struct meta *props, size_t n,
		 struct mr_writer **ret)
{
	struct mr_writer *w;

	if (!c->v->tables)
		return err_set(c->err, ERR_UNSUPPORTED, "there is no place for committed metadata");
	w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->shared.v = c->v;
	w->shared.repo = r;
	w->a = arena_new();
	w->pending_a = arena_new();
	w->shared.props_n = n;
	w->shared.props = arena_alloc(w->a, n * sizeof(*w->shared.props) + 1);
	for (size_t i = 0; i < n; i++)
		w->shared.props[i] = (struct meta){arena_dup(w->a, props[i].key),
					    arena_dup(w->a, props[i].value)};
	buf_init(&w->last_key, 1 << 20);
	pthread_mutex_init(&w->shared.lock, NULL);
	pthread_cond_init(&w->shared.changed, NULL);
	*ret = w;
	return RC_OK;
}

/* The writer's side. */

static struct chunk *add_chunk(struct mr_writer *w)
{
	struct chunk *k = chunk_new(&w->shared);

	if (w->last)
		w->last->next = k;
	else
		w->first = k;
	return w->last = k;
}

static void send_block(struct mr_writer *w, bool ends)
{
	struct block *b = w->block;

	w->block = NULL;
	chunk_send(w->open, b, ends);
}

static void set_last(struct mr_writer *w, struct str key)
{
	buf_reset(&w->last_key);
	buf_add(&w->last_key, key);
	w->any = true;
}

static void end_chunk(struct mr_writer *w)
{
	if (w->open) {
		set_last(w, w->tail); /* the block at hand has the last record: it was added to it */
		send_block(w, true);
	}
	w->open = NULL;
	w->open_bytes = 0;
}

static struct block *block_new(size_t need)
{
	size_t cap = need > BLOCK_BYTES ? need : BLOCK_BYTES;
	struct block *b = malloc(sizeof(*b) + cap);

	if (!b)
		abort();
	b->cap = cap;
	b->n = 0;
	return b;
}

static void add_to_block(struct mr_writer *w, struct str key, struct str value)
{
	size_t need = block_bytes(key, value);

	if (w->block && w->block->cap - w->block->n < need)
		send_block(w, false);
	if (!w->block)
		w->block = block_new(need);
	put_record(w->block, key, value);
	w->tail = str_make(w->block->data + w->block->n - value.n - key.n, key.n);
	w->open_bytes += need;
}

static rc check_above(struct mr_writer *w, struct str key, struct err *reterr)
{
	if (w->any && str_cmp(key, buf_str(&w->last_key)) <= 0)
		return err_set(reterr, ERR_INVALID,
			       "keys must be added in strictly increasing order: '" STR_FMT "' came after '" STR_FMT "'",
			       STR_ARG(str_head(key, 200)), STR_ARG(str_head(buf_str(&w->last_key), 200)));
	return RC_OK;
}

/* The story of the first chunk, by keys, that failed. Only with no job under way, or for a hurried end. */
static rc failure(struct mr_writer *w, struct err *reterr)
{
	rc result = RC(IO);

	pthread_mutex_lock(&w->shared.lock);
	for (struct chunk *k = w->first; k; k = k->next)
		if (k->finished && !rc_ok(k->result)) {
			result = k->result;
			if (reterr)
				*reterr = k->err;
			break;
		}
	pthread_mutex_unlock(&w->shared.lock);
	return result;
}

static bool has_failed(struct mr_writer *w)
{
	bool failed;

	pthread_mutex_lock(&w->shared.lock);
	failed = w->shared.failed;
	pthread_mutex_unlock(&w->shared.lock);
	return failed;
}

static void wait_for_jobs(struct mr_writer *w)
{
	pthread_mutex_lock(&w->shared.lock);
	for (struct chunk *k = w->first; k; k = k->next)
		while (k->running)
			pthread_cond_wait(&w->shared.changed, &w->shared.lock);
	pthread_mutex_unlock(&w->shared.lock);
}

static rc give_up(struct mr_writer *w, struct err *reterr)
{
	end_chunk(w);
	wait_for_jobs(w);
	return failure(w, reterr);
}

static rc add_record(struct mr_writer *w, struct str key, struct str value, struct err *reterr)
{
	bool begins; /* a block: now and then it is looked whether all is well */

	if (!w->open) {
		TRY(check_above(w, key, reterr));
		w->open = add_chunk(w);
	}
	begins = !w->block || w->block->cap - w->block->n < block_bytes(key, value);
	add_to_block(w, key, value);
	if (surely_cuts(&w->shared, key))
		end_chunk(w);
	return (begins || !w->open) && has_failed(w) ? give_up(w, reterr) : RC_OK;
}

/* Whole ranges. */

static void add_reused(struct mr_writer *w, const struct range_info *range)
{
	struct chunk *k = add_chunk(w);

	k->ranges = ARENA_NEW(k->a, struct range_info);
	*k->ranges = (struct range_info){
		.id = arena_dup(k->a, range->id),
		.min = arena_dup(k->a, range->min),
		.max = arena_dup(k->a, range->max),
		.size = range->size,
		.count = range->count,
	};
	k->n = 1;
	k->finished = true;
	w->reused++;
}

static void drop_pending(struct mr_writer *w)
{
	arena_free(w->pending_a);
	w->pending_a = arena_new();
	w->pending = (struct range_info){0};
}

static void settle_pending(struct mr_writer *w)
{
	if (!w->pending.id.p)
		return;
	add_reused(w, &w->pending);
	set_last(w, w->pending.max);
	drop_pending(w);
}

static bool is_small(const struct mr_writer *w, const struct range_info *range)
{
	return range->size < w->shared.v->split.max_bytes / SMALL_PART && !surely_cuts(&w->shared, range->max);
}

/* Its records, read and written anew. */
static rc rewrite(struct mr_writer *w, const struct range_info *range, struct err *reterr)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = NULL;
	struct vcall c = {.v = w->shared.v, .a = arena_new(), .wait = KV_BLOCK, .err = reterr};
	struct sstable_record record;
	struct sstable *table;
	rc got = table_get(&c, w->shared.repo, range->id, &table);
	bool end;

	arena_free(c.a);
	TRY(got);
	it = sstable_iter_new(table, SSTABLE_PASSING);
	sstable_unref(table);
	for (;;) {
		TRY(sstable_iter_next(it, &record, &end, reterr));
		if (end)
			return RC_OK;
		TRY(add_record(w, record.key, record.value, reterr));
	}
}

rc mr_writer_record(struct mr_writer *w, struct str key, struct str value, struct err *reterr)
{
	struct range_info range = w->pending;

	if (range.id.p) {
		w->pending.id = STR_NONE;
		TRY(rewrite(w, &range, reterr));
		drop_pending(w);
	}
	return add_record(w, key, value, reterr);
}

rc mr_writer_range(struct mr_writer *w, const struct range_info *range, struct err *reterr)
{
	uint64_t most = w->shared.v->split.max_bytes / JOIN_PART;

	if (w->open && is_small(w, range) && w->open_bytes + range->size < most)
		return rewrite(w, range, reterr);
	settle_pending(w);
	end_chunk(w);
	TRY(check_above(w, range->min, reterr));
	if (!is_small(w, range)) {
		add_reused(w, range);
		set_last(w, range->max);
		return RC_OK;
	}
	w->pending = (struct range_info){
		.id = arena_dup(w->pending_a, range->id),
		.min = arena_dup(w->pending_a, range->min),
		.max = arena_dup(w->pending_a, range->max),
		.size = range->size,
		.count = range->count,
	};
	return RC_OK;
}

/* The end. */

static rc write_ranges(struct mr_writer *w, struct table_writer *t, struct mr_summary *ret,
		       struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = RC_OK;

	for (struct chunk *k = w->first; k && rc_ok(r); k = k->next)
		for (size_t i = 0; i < k->n && rc_ok(r); i++) {
			struct arena_mark m = arena_mark(a);

			r = table_writer_add(t, k->ranges[i].max, range_info_encode(&k->ranges[i], a),
					     reterr);
			ret->ranges++;
			ret->records += k->ranges[i].count;
			arena_rewind(a, m);
		}
	arena_free(a);
	return r;
}

static rc write_metarange(struct mr_writer *w, struct arena *a, struct mr_summary *ret, struct err *reterr)
{
	struct table_writer *t;
	struct range_info whole;
	size_t n;
	const struct meta *props = table_props(&w->shared, STR("metaranges"), w->a, &n);
	rc r;

	TRY(table_writer_new(w->shared.v, w->shared.repo, props, n, &t, reterr));
	r = write_ranges(w, t, ret, reterr);
	if (rc_ok(r))
		r = table_writer_finish(t, a, &whole, reterr);
	table_writer_free(t);
	ret->id = whole.id;
	return r;
}

rc mr_writer_finish(struct mr_writer *w, struct arena *a, struct mr_summary *ret, struct err *reterr)
{
	*ret = (struct mr_summary){0};
	settle_pending(w);
	end_chunk(w);
	wait_for_jobs(w);
	if (has_failed(w))
		return failure(w, reterr);
	ret->ranges_reused = w->reused;
	return write_metarange(w, a, ret, reterr);
}

void mr_writer_free(struct mr_writer *w)
{
	if (!w)
		return;
	wait_for_jobs(w);
	free(w->block);
	while (w->first) {
		struct chunk *k = w->first;

		w->first = k->next;
		chunk_free(k);
	}
	buf_deinit(&w->last_key);
	arena_free(w->pending_a);
	arena_free(w->a);
	pthread_mutex_destroy(&w->shared.lock);
	pthread_cond_destroy(&w->shared.changed);
	free(w);
}

void mr_writer_freep(struct mr_writer **w)
{
	mr_writer_free(*w);
}
