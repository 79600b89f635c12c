#include "versions/mr_chunk.h"

#include <stdlib.h>

/* Cuts. */

static uint64_t fnv1a(struct str s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
	return h;
}

static bool is_ragged(const struct chunks *c, struct str key)
{
	return fnv1a(key) % c->v->split.raggedness == 0;
}

bool surely_cuts(const struct chunks *c, struct str key)
{
	return c->v->split.min_bytes == 0 && is_ragged(c, key);
}

/* Blocks. */

size_t block_bytes(struct str key, struct str value)
{
	return 2 * sizeof(uint32_t) + key.n + value.n;
}

static void put_length(char **p, size_t n)
{
	uint32_t v = (uint32_t)n;

	memcpy(*p, &v, sizeof(v));
	*p += sizeof(v);
}

void put_record(struct block *b, struct str key, struct str value)
{
	char *p = b->data + b->n;

	put_length(&p, key.n);
	put_length(&p, value.n);
	memcpy(p, key.p, key.n);
	memcpy(p + key.n, value.p, value.n);
	b->n += block_bytes(key, value);
}

static void get_length(const char **p, size_t *ret)
{
	uint32_t n;

	memcpy(&n, *p, sizeof(n));
	*p += sizeof(n);
	*ret = n;
}

/* The job. */

const struct meta *table_props(const struct chunks *c, struct str type, struct arena *a, size_t *ret_n)
{
	struct meta *m = arena_alloc(a, (c->props_n + 1) * sizeof(*m));

	m[0] = (struct meta){STR("type"), type};
	for (size_t i = 0; i < c->props_n; i++)
		m[i + 1] = c->props[i];
	*ret_n = meta_sort(m, c->props_n + 1);
	return m;
}

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
	const struct chunks *c = k->of;
	uint64_t size;

	if (!k->table) {
		struct arena *a = arena_new();
		size_t n;
		const struct meta *props = table_props(c, STR("ranges"), a, &n);
		rc made = table_writer_new(c->v, c->repo, props, n, &k->table, &k->err);

		arena_free(a);
		TRY(made);
	}
	TRY(table_writer_add(k->table, key, value, &k->err));
	size = table_writer_size(k->table);
	if (size >= c->v->split.min_bytes && (size >= c->v->split.max_bytes || is_ragged(c, key)))
		return close_table(k);
	return RC_OK;
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
	struct chunks *c = k->of;

	pthread_mutex_lock(&c->lock);
	while (has_more(k)) {
		struct block *b = k->first;

		if (b)
			k->first = b->next;
		pthread_mutex_unlock(&c->lock);
		if (rc_ok(k->result))
			k->result = b ? take_block(k, b) : close_table(k);
		free(b);
		pthread_mutex_lock(&c->lock);
		k->finished = !b;
		c->blocks -= b != NULL;
		c->failed |= !rc_ok(k->result);
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
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
	struct chunks *c = k->of;
	bool more;

	pthread_mutex_lock(&c->lock);
	more = has_more(k);
	if (!more) {
		k->running = false;
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
	if (more)
		start(k);
}

/* On the pool, or here and now where there is none or it has too much to do. */
static void start(struct chunk *k)
{
	struct work_pool *pool = k->of->v->ranges;

	k->work = (struct work){.run = run, .done = ran};
	if (pool && work_submit(pool, &k->work))
		return;
	work_off(k);
	ran(&k->work);
}

/* The writer's side. */

void chunk_send(struct chunk *k, struct block *b, bool ends)
{
	struct chunks *c = k->of;
	bool idle;

	pthread_mutex_lock(&c->lock);
	while (c->blocks >= BLOCKS_MAX)
		pthread_cond_wait(&c->changed, &c->lock);
	if (b) {
		b->next = NULL;
		if (k->first)
			k->last->next = b;
		else
			k->first = b;
		k->last = b;
		c->blocks++;
	}
	k->ended = ends;
	idle = !k->running;
	k->running = true;
	pthread_mutex_unlock(&c->lock);
	if (idle)
		start(k);
}

struct chunk *chunk_new(struct chunks *of)
{
	struct chunk *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	k->of = of;
	k->a = arena_new();
	return k;
}

void chunk_free(struct chunk *k)
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
