/* Records are gathered into blocks, blocks go to chunks, a chunk's blocks are worked off one after the other, by
 * one job at a time: it encodes, hashes, cuts and uploads. A chunk ends where the rule surely cuts, so that
 * several chunks can be under way at once and the cuts are the same as if there were one.
 *
 * Small ranges beside what is written are read and written anew with it: else a thousand commits of one object
 * each at the end of a branch would leave a thousand ranges. */
#include "versions/mr_writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "versions/internal.h"
#include "versions/range_info.h"

enum {
	BLOCK_BYTES = 512 * 1024,
	BLOCKS_MAX = 48, /* filled and not yet worked off: 24 MiB */
	/* A range of less than a 64th of the greatest size is small; those that are written anew together
	 * don't grow past a 16th. */
	SMALL_PART = 64,
	JOIN_PART = 16,
};

struct block {
	struct block *next;
	size_t n, cap;
	char data[];
};

struct chunk {
	struct chunk *next; /* in the order of keys */
	struct mr_writer *w;
	/* a reused range, and nothing else */
	bool reused;
	/* the results; text in a */
	struct arena *a;
	struct range_info *ranges;
	size_t n, cap;
	/* under the writer's lock */
	struct block *first, *last;
	bool ended, running, finished;
	/* the job's */
	struct work work;
	struct table_writer *table;
	rc result;
	struct err err;
};

struct mr_writer {
	struct versions *v;
	const struct repo *repo;
	struct arena *a;
	struct meta *props; /* "type" first written, the rest the caller's */
	size_t props_n;
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
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned blocks;
	bool failed;
};

static uint64_t fnv1a(struct str s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
	return h;
}

static bool is_ragged(const struct mr_writer *w, struct str key)
{
	return fnv1a(key) % w->v->split.raggedness == 0;
}

/* Wherever a range may be closed before its greatest size, these keys close it. */
static bool surely_cuts(const struct mr_writer *w, struct str key)
{
	return w->v->split.min_bytes == 0 && is_ragged(w, key);
}

static const struct meta *props_of(struct mr_writer *w, struct str type, struct arena *a, size_t *ret_n)
{
	struct meta *m = arena_alloc(a, (w->props_n + 1) * sizeof(*m));

	m[0] = (struct meta){STR("type"), type};
	for (size_t i = 0; i < w->props_n; i++)
		m[i + 1] = w->props[i];
	*ret_n = meta_sort(m, w->props_n + 1);
	return m;
}

rc mr_writer_new(struct vcall *c, const struct repo *r, const struct meta *props, size_t n,
		 struct mr_writer **ret)
{
	struct mr_writer *w;

	if (!c->v->tables)
		return err_set(c->err, ERR_UNSUPPORTED, "there is no place for committed metadata");
	w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->v = c->v;
	w->repo = r;
	w->a = arena_new();
	w->pending_a = arena_new();
	w->props_n = n;
	w->props = arena_alloc(w->a, n * sizeof(*w->props) + 1);
	for (size_t i = 0; i < n; i++)
		w->props[i] = (struct meta){arena_dup(w->a, props[i].key),
					    arena_dup(w->a, props[i].value)};
	buf_init(&w->last_key, 1 << 20);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	*ret = w;
	return RC_OK;
}

/* The job: what of a chunk's is there. */

static rc close_table(struct chunk *k)
{
	struct range_info *more;
	rc r;

	if (!k->table)
		return RC_OK;
	if (k->n == k->cap) {
		k->cap = k->cap ? k->cap * 2 : 4;
		more = arena_alloc(k->a, k->cap * sizeof(*more));
		if (k->n)
			memcpy(more, k->ranges, k->n * sizeof(*more));
		k->ranges = more;
	}
	r = table_writer_finish(k->table, k->a, &k->ranges[k->n], &k->err);
	k->n += rc_ok(r);
	table_writer_free(k->table);
	k->table = NULL;
	return r;
}

static rc take_record(struct chunk *k, struct str key, struct str value)
{
	const struct mr_writer *w = k->w;
	uint64_t size;

	if (!k->table) {
		struct arena *a = arena_new();
		size_t n;
		const struct meta *props = props_of(k->w, STR("ranges"), a, &n);
		rc made = table_writer_new(w->v, w->repo, props, n, &k->table, &k->err);

		arena_free(a);
		TRY(made);
	}
	TRY(table_writer_add(k->table, key, value, &k->err));
	size = table_writer_size(k->table);
	if (size >= w->v->split.min_bytes && (size >= w->v->split.max_bytes || is_ragged(w, key)))
		return close_table(k);
	return RC_OK;
}

static void get_length(const char **p, size_t *ret)
{
	uint32_t n;

	memcpy(&n, *p, sizeof(n));
	*p += sizeof(n);
	*ret = n;
}

static rc take_block(struct chunk *k, const struct block *b)
{
	const char *p = b->data, *end = b->data + b->n;

	while (p < end) {
		struct str key, value;

		get_length(&p, &key.n);
		get_length(&p, &value.n);
		key.p = p;
		value.p = p + key.n;
		p = value.p + value.n;
		TRY(take_record(k, key, value));
	}
	return RC_OK;
}

static bool has_more(const struct chunk *k)
{
	return k->first || (k->ended && !k->finished);
}

static void work_off(struct chunk *k)
{
	struct mr_writer *w = k->w;

	pthread_mutex_lock(&w->lock);
	while (has_more(k)) {
		struct block *b = k->first;

		if (b)
			k->first = b->next;
		pthread_mutex_unlock(&w->lock);
		if (rc_ok(k->result))
			k->result = b ? take_block(k, b) : close_table(k);
		free(b);
		pthread_mutex_lock(&w->lock);
		k->finished = !b;
		w->blocks -= b != NULL;
		w->failed |= !rc_ok(k->result);
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
}

static void run(struct work *work)
{
	work_off((struct chunk *)((char *)work - offsetof(struct chunk, work)));
}

static void start(struct chunk *k);

/* The pool is done with the job: only now may there be another one, or the end be told. */
static void ran(struct work *work)
{
	struct chunk *k = (struct chunk *)((char *)work - offsetof(struct chunk, work));
	struct mr_writer *w = k->w;
	bool more;

	pthread_mutex_lock(&w->lock);
	more = has_more(k);
	if (!more) {
		k->running = false;
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	if (more)
		start(k);
}

/* On the pool, or here and now where there is none or it has too much to do. */
static void start(struct chunk *k)
{
	struct work_pool *pool = k->w->v->ranges;

	k->work = (struct work){.run = run, .done = ran};
	if (pool && work_submit(pool, &k->work))
		return;
	work_off(k);
	ran(&k->work);
}

/* The writer's side. */

static struct chunk *add_chunk(struct mr_writer *w)
{
	struct chunk *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	k->w = w;
	k->a = arena_new();
	if (w->last)
		w->last->next = k;
	else
		w->first = k;
	return w->last = k;
}

static void send_block(struct mr_writer *w, bool ends)
{
	struct chunk *k = w->open;
	struct block *b = w->block;
	bool idle;

	w->block = NULL;
	pthread_mutex_lock(&w->lock);
	while (w->blocks >= BLOCKS_MAX)
		pthread_cond_wait(&w->changed, &w->lock);
	if (b) {
		b->next = NULL;
		if (k->first)
			k->last->next = b;
		else
			k->first = b;
		k->last = b;
		w->blocks++;
	}
	k->ended = ends;
	idle = !k->running;
	k->running = true;
	pthread_mutex_unlock(&w->lock);
	if (idle)
		start(k);
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

static void put_length(char **p, size_t n)
{
	uint32_t v = (uint32_t)n;

	memcpy(*p, &v, sizeof(v));
	*p += sizeof(v);
}

static void add_to_block(struct mr_writer *w, struct str key, struct str value)
{
	size_t need = 2 * sizeof(uint32_t) + key.n + value.n;
	char *p;

	if (w->block && w->block->cap - w->block->n < need)
		send_block(w, false);
	if (!w->block) {
		size_t cap = need > BLOCK_BYTES ? need : BLOCK_BYTES;

		w->block = malloc(sizeof(*w->block) + cap);
		if (!w->block)
			abort();
		w->block->cap = cap;
		w->block->n = 0;
	}
	p = w->block->data + w->block->n;
	put_length(&p, key.n);
	put_length(&p, value.n);
	memcpy(p, key.p, key.n);
	memcpy(p + key.n, value.p, value.n);
	w->tail = str_make(p, key.n);
	w->block->n += need;
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

	pthread_mutex_lock(&w->lock);
	for (struct chunk *k = w->first; k; k = k->next)
		if (k->finished && !rc_ok(k->result)) {
			result = k->result;
			if (reterr)
				*reterr = k->err;
			break;
		}
	pthread_mutex_unlock(&w->lock);
	return result;
}

static bool has_failed(struct mr_writer *w)
{
	bool failed;

	pthread_mutex_lock(&w->lock);
	failed = w->failed;
	pthread_mutex_unlock(&w->lock);
	return failed;
}

static void wait_for_jobs(struct mr_writer *w)
{
	pthread_mutex_lock(&w->lock);
	for (struct chunk *k = w->first; k; k = k->next)
		while (k->running)
			pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static rc give_up(struct mr_writer *w, struct err *reterr)
{
	end_chunk(w);
	wait_for_jobs(w);
	return failure(w, reterr);
}

static rc add_record(struct mr_writer *w, struct str key, struct str value, struct err *reterr)
{
	if (!w->open) {
		TRY(check_above(w, key, reterr));
		w->open = add_chunk(w);
	}
	add_to_block(w, key, value);
	if (surely_cuts(w, key)) {
		end_chunk(w);
		if (has_failed(w))
			return give_up(w, reterr);
	}
	return RC_OK;
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
	k->reused = k->finished = true;
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
	return range->size < w->v->split.max_bytes / SMALL_PART && !surely_cuts(w, range->max);
}

/* Its records, read and written anew. */
static rc rewrite(struct mr_writer *w, const struct range_info *range, struct err *reterr)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = NULL;
	struct vcall c = {.v = w->v, .a = arena_new(), .wait = KV_BLOCK, .err = reterr};
	struct sstable_record record;
	struct sstable *table;
	rc got = table_get(&c, w->repo, range->id, &table);
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
	uint64_t most = w->v->split.max_bytes / JOIN_PART;

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
	const struct meta *props = props_of(w, STR("metaranges"), w->a, &n);
	rc r;

	TRY(table_writer_new(w->v, w->repo, props, n, &t, reterr));
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

static void free_chunk(struct chunk *k)
{
	table_writer_free(k->table);
	while (k->first) {
		struct block *b = k->first;

		k->first = b->next;
		free(b);
	}
	arena_free(k->a);
	free(k);
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
		free_chunk(k);
	}
	buf_deinit(&w->last_key);
	arena_free(w->pending_a);
	arena_free(w->a);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	free(w);
}

void mr_writer_freep(struct mr_writer **w)
{
	mr_writer_free(*w);
}
