#include "versions/sstable_build.h"

#include <assert.h>

#include "versions/sstable.h"
#include "versions/wire.h"

/* A block past nine tenths of the target may end early. */
enum { KEEP_UP_TO = SST_BLOCK_TARGET * 9 / 10 + 1, KEY_ROOM = SSTABLE_KEY_MAX + SST_TRAILER };

void sst_builder_init(struct sst_builder *b, unsigned interval, size_t max)
{
	*b = (struct sst_builder){
		.entries = BUF_INIT(max),
		.restart = BUF_INIT(max),
		.last = BUF_INIT(KEY_ROOM),
		.interval = interval,
	};
}

void sst_builder_deinit(struct sst_builder *b)
{
	buf_deinit(&b->entries);
	buf_deinit(&b->restart);
	buf_deinit(&b->last);
}

void sst_builder_reset(struct sst_builder *b)
{
	buf_reset(&b->entries);
	buf_reset(&b->restart);
	buf_reset(&b->last);
	b->n = 0;
}

static bool add_restart(struct sst_builder *b)
{
	char raw[4];

	sst_put32(raw, (uint32_t)b->entries.n);
	return buf_add(&b->restart, str_make(raw, 4));
}

/* At most the user key's length: only the key before may be shared with its trailer. */
static size_t shared_with_last(const struct sst_builder *b, struct str key)
{
	size_t max = key.n < b->last.n ? key.n : b->last.n, n = 0;

	while (n < max && b->last.p[n] == key.p[n])
		n++;
	return n;
}

static void keep_last(struct sst_builder *b, struct str key, const char *trailer, size_t shared)
{
	b->last.n = shared;
	buf_add(&b->last, str_skip(key, shared));
	if (trailer)
		buf_add(&b->last, str_make(trailer, SST_TRAILER));
}

bool sst_builder_add(struct sst_builder *b, struct str key, const char *trailer, struct str value)
{
	size_t trailer_n = trailer ? SST_TRAILER : 0, shared = 0;
	unsigned char *at, *to;

	assert(key.n <= SSTABLE_KEY_MAX);
	if (b->n % b->interval == 0) {
		if (!add_restart(b))
			return false;
	} else {
		shared = shared_with_last(b, key);
	}
	at = to = (unsigned char *)buf_reserve(
		&b->entries, 3 * WIRE_VARINT_MAX + key.n - shared + trailer_n + value.n);
	if (!at)
		return false;
	at = wire_put_varint(at, shared);
	at = wire_put_varint(at, key.n - shared + trailer_n);
	at = wire_put_varint(at, value.n);
	at = mempcpy(at, key.p + shared, key.n - shared);
	if (trailer)
		at = mempcpy(at, trailer, SST_TRAILER);
	if (value.n)
		at = mempcpy(at, value.p, value.n);
	b->entries.n += (size_t)(at - to);
	b->n++;
	keep_last(b, key, trailer, shared);
	return true;
}

size_t sst_builder_size(const struct sst_builder *b)
{
	return b->entries.n + b->restart.n + 4;
}

bool sst_builder_full(const struct sst_builder *b, size_t key_n, size_t value_n)
{
	size_t size = sst_builder_size(b);

	if (b->n == 0 || size <= KEEP_UP_TO)
		return b->n && size >= SST_BLOCK_TARGET;
	if (size >= SST_BLOCK_TARGET)
		return true;
	size += key_n + value_n + (b->n % b->interval == 0 ? 4 : 0) + 4;
	return size + wire_varint_size(key_n) + wire_varint_size(value_n) > SST_BLOCK_TARGET;
}

struct str sst_builder_finish(struct sst_builder *b)
{
	char count[4];

	if (b->n == 0)
		add_restart(b);
	sst_put32(count, (uint32_t)(b->restart.n / 4));
	b->entries.max += b->restart.n + 4;
	buf_add(&b->entries, buf_str(&b->restart));
	buf_add(&b->entries, str_make(count, 4));
	b->entries.max -= b->restart.n + 4;
	return buf_str(&b->entries);
}

/* a[:n] with its last byte one higher. */
static void stepped(struct str a, size_t n, struct buf *to)
{
	buf_add(to, str_head(a, n));
	to->p[n - 1]++;
}

/* The first byte from `at` on that can be raised, and what precedes it. */
static bool raise_from(struct str a, size_t at, struct buf *to)
{
	for (; at < a.n; at++) {
		if ((uint8_t)a.p[at] == 0xff)
			continue;
		stepped(a, at + 1, to);
		return true;
	}
	return false;
}

static bool between(struct str a, struct str b, struct buf *to)
{
	size_t min = a.n < b.n ? a.n : b.n, d = 0;

	while (d < min && a.p[d] == b.p[d])
		d++;
	if (d == min || (uint8_t)a.p[d] >= (uint8_t)b.p[d])
		return false;
	if (d + 1 < b.n || (uint8_t)a.p[d] + 1 < (uint8_t)b.p[d]) {
		stepped(a, d + 1, to);
		return true;
	}
	return raise_from(a, d + 1, to);
}

void sst_separator(struct str a, const struct str *b, struct buf *to, bool *ret_short)
{
	buf_reset(to);
	*ret_short = b ? between(a, *b, to) : raise_from(a, 0, to);
	if (!*ret_short)
		buf_add(to, a);
}
