#include "versions/sstable_block.h"

#include <assert.h>
#include <stdlib.h>

#include "versions/sstable.h"
#include "versions/sstable_format.h"

struct raw_entry {
	size_t shared, rest_n;
	const char *rest;
	struct str value;
	size_t next; /* offset of what follows */
};

struct sstable_block *sstable_block_new(size_t n)
{
	struct sstable_block *b = malloc(sizeof(*b) + n);

	assert(n <= SSTABLE_BLOCK_MAX + SST_BLOCK_TRAILER);
	if (!b)
		abort();
	*b = (struct sstable_block){.refs = 1, .memory = sizeof(*b) + n, .payload_n = n};
	return b;
}

struct sstable_block *sstable_block_ref(struct sstable_block *b)
{
	unsigned before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return b;
}

void sstable_block_unref(struct sstable_block *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(b->last_mem);
	free(b);
}

void sstable_block_unrefp(struct sstable_block **b)
{
	sstable_block_unref(*b);
}

static bool entry_at(const struct sstable_block *b, size_t at, struct raw_entry *ret)
{
	const char *p = b->payload + at, *end = b->payload + b->entries_n;
	uint64_t shared, rest_n, value_n;

	if (!sst_varint(&p, end, &shared) || !sst_varint(&p, end, &rest_n) ||
	    !sst_varint(&p, end, &value_n))
		return false;
	if (rest_n > (uint64_t)(end - p) || value_n > (uint64_t)(end - p) - rest_n)
		return false;
	*ret = (struct raw_entry){
		.shared = shared,
		.rest_n = rest_n,
		.rest = p,
		.value = str_make(p + rest_n, value_n),
		.next = (size_t)(p + rest_n + value_n - b->payload),
	};
	return true;
}

static size_t restart_at(const struct sstable_block *b, uint32_t i)
{
	return sst_get32(b->payload + b->entries_n + 4 * (size_t)i);
}

static void key_room(struct sst_cursor *c, size_t n)
{
	if (c->key && n <= c->key_cap)
		return;
	free(c->key);
	c->key = malloc(n ? n : 1);
	if (!c->key)
		abort();
	c->key_cap = n;
}

static void cursor_take(struct sst_cursor *c, const struct raw_entry *e)
{
	memcpy(c->key + e->shared, e->rest, e->rest_n);
	c->key_n = e->shared + e->rest_n;
	c->value = e->value;
	c->at = e->next;
}

static struct str user_key(const struct sst_cursor *c)
{
	return str_make(c->key, c->key_n - c->block->trailer);
}

/* Whether the entry's user key lies after the current one's; what both share isn't looked at, so that
 * all of a block takes no longer than its bytes. */
static bool ascends(const struct sst_cursor *c, const struct raw_entry *e)
{
	size_t old_n = c->key_n - SST_TRAILER, new_n = e->shared + e->rest_n - SST_TRAILER;
	size_t from = e->shared < old_n ? e->shared : old_n;

	if (new_n < from)
		return false;
	/* Between `from` and e->shared the new key is the old one with its trailer: only longer. */
	if (from < e->shared)
		return new_n > old_n;
	return str_cmp(str_make(c->key + from, old_n - from), str_make(e->rest, new_n - from)) < 0;
}

static const char *check_entry(struct sst_cursor *c, const struct raw_entry *e, enum sst_keys keys)
{
	bool first = c->at == 0;

	if (e->shared > (first ? 0 : c->key_n))
		return "a key shares more than there is";
	if (e->shared + e->rest_n > SSTABLE_KEY_MAX + SST_TRAILER)
		return "a key is too long";
	if (keys == SST_KEYS_NAMES)
		return NULL;
	if (e->shared + e->rest_n < SST_TRAILER)
		return "a key is too short";
	if (!first && !ascends(c, e))
		return "keys are not in ascending order";
	return NULL;
}

static const char *check_restarts(struct sstable_block *b)
{
	if (b->payload_n < 8)
		return "it is too short";
	b->restarts = sst_get32(b->payload + b->payload_n - 4);
	if (b->restarts == 0 || b->restarts > b->payload_n / 4 - 1)
		return "its number of restarts is impossible";
	b->entries_n = b->payload_n - 4 * ((size_t)b->restarts + 1);
	if (restart_at(b, 0) != 0)
		return "its first restart is not its start";
	if (b->entries_n == 0 && b->restarts > 1)
		return "it is empty and has restarts";
	return NULL;
}

static void keep_last(struct sstable_block *b, const struct sst_cursor *c)
{
	struct str last = user_key(c);

	b->last_mem = malloc(last.n ? last.n : 1);
	if (!b->last_mem)
		abort();
	if (last.n)
		memcpy(b->last_mem, last.p, last.n);
	b->last = str_make(b->last_mem, last.n);
	b->memory += last.n;
}

static const char *walk(struct sstable_block *b, enum sst_keys keys, struct sst_cursor *c)
{
	uint32_t restart = 0;
	struct raw_entry e;
	const char *wrong;

	while (c->at < b->entries_n) {
		bool restarts = restart < b->restarts && restart_at(b, restart) == c->at;

		if (!entry_at(b, c->at, &e))
			return "an entry exceeds it";
		if (restarts && e.shared)
			return "a restart shares a key";
		restart += restarts;
		wrong = check_entry(c, &e, keys);
		if (wrong)
			return wrong;
		if (c->at == 0)
			b->first = str_make(e.rest, e.rest_n - b->trailer);
		cursor_take(c, &e);
		b->key_max = c->key_n > b->key_max ? c->key_n : b->key_max;
	}
	if (restart != b->restarts)
		return "a restart is not at an entry";
	keep_last(b, c);
	return NULL;
}

const char *sstable_block_verify(struct sstable_block *b, enum sst_keys keys)
{
	struct sst_cursor c = {.block = b};
	const char *wrong = check_restarts(b);

	if (wrong || sstable_block_empty(b))
		return wrong;
	b->trailer = keys == SST_KEYS_SORTED ? SST_TRAILER : 0;
	key_room(&c, SSTABLE_KEY_MAX + SST_TRAILER);
	wrong = walk(b, keys, &c);
	sst_cursor_deinit(&c);
	return wrong;
}

void sst_cursor_deinit(struct sst_cursor *c)
{
	free(c->key);
	*c = (struct sst_cursor){0};
}

void sst_cursor_start(struct sst_cursor *c, const struct sstable_block *block)
{
	c->block = block;
	c->at = c->key_n = 0;
	c->pending = false;
	if (block)
		key_room(c, block->key_max);
}

static struct str restart_key(const struct sstable_block *b, uint32_t i)
{
	struct raw_entry e;
	bool ok = entry_at(b, restart_at(b, i), &e);

	assert(ok);
	return str_make(e.rest, e.rest_n - b->trailer);
}

/* The last restart whose key lies before `key`, else the first. */
static uint32_t restart_before(const struct sstable_block *b, struct str key)
{
	uint32_t low = 0, high = b->restarts - 1;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (str_cmp(restart_key(b, middle), key) < 0)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

void sst_cursor_seek(struct sst_cursor *c, const struct sstable_block *block, struct str key)
{
	struct str at, value;

	sst_cursor_start(c, block);
	if (sstable_block_empty(block))
		return;
	c->at = restart_at(block, restart_before(block, key));
	while (sst_cursor_next(c, &at, &value)) {
		if (str_cmp(at, key) < 0)
			continue;
		c->pending = true;
		return;
	}
}

bool sst_cursor_next(struct sst_cursor *c, struct str *ret_key, struct str *ret_value)
{
	struct raw_entry e;

	if (!c->pending) {
		bool ok;

		if (!c->block || c->at >= c->block->entries_n)
			return false;
		ok = entry_at(c->block, c->at, &e);
		assert(ok);
		cursor_take(c, &e);
	}
	c->pending = false;
	*ret_key = user_key(c);
	*ret_value = c->value;
	return true;
}
