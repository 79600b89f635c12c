#include "kv/tally.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"

struct kv_tally {
	struct arena *all_arena, *arena; /* the digests live in them */
	struct digest_set *all, *one;	 /* one NULL: no partition yet */
	struct buf name, given;
	uint64_t records, bytes;
	struct kv_totals totals;
};

struct kv_tally *kv_tally_new(void)
{
	struct kv_tally *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	t->all_arena = arena_new();
	t->all = digest_set_new(t->all_arena, 1u << DIGEST_SHA256);
	t->name = BUF_INIT(KV_PARTITION_MAX);
	t->given = BUF_INIT(KV_PARTITION_MAX);
	return t;
}

void kv_tally_free(struct kv_tally *t)
{
	if (!t)
		return;
	arena_free(t->arena);
	arena_free(t->all_arena);
	buf_deinit(&t->name);
	buf_deinit(&t->given);
	free(t);
}

static void add_u32(struct digest_set *to, size_t n)
{
	const uint8_t be[] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	digest_set_update(to, be, 4);
}

static void add_bytes(struct digest_set *to, struct str s)
{
	add_u32(to, s.n);
	digest_set_update(to, s.p, s.n);
}

static void end_partition(struct kv_tally *t, struct kv_tally_partition *ret)
{
	*ret = (struct kv_tally_partition){.name = STR_NONE};
	if (!t->one)
		return;
	buf_reset(&t->given);
	buf_add(&t->given, buf_str(&t->name));
	ret->name = buf_str(&t->given);
	ret->records = t->records;
	ret->bytes = t->bytes;
	memcpy(ret->digest, digest_set_value(t->one, DIGEST_SHA256).p, KV_DIGEST_SIZE);
	add_bytes(t->all, ret->name);
	add_u32(t->all, (size_t)(t->records >> 32));
	add_u32(t->all, (size_t)(t->records & 0xffffffff));
	digest_set_update(t->all, ret->digest, KV_DIGEST_SIZE);
	t->totals.partitions++;
	t->totals.records += t->records;
	t->totals.bytes += t->bytes;
	t->one = NULL;
	arena_free(t->arena);
	t->arena = NULL;
}

bool kv_tally_add(struct kv_tally *t, const struct kv_record *r, struct kv_tally_partition *ret_before)
{
	bool begins = !t->one || !str_eq(buf_str(&t->name), r->partition);

	if (begins) {
		end_partition(t, ret_before);
		buf_reset(&t->name);
		buf_add(&t->name, r->partition);
		t->records = t->bytes = 0;
		t->arena = arena_new();
		t->one = digest_set_new(t->arena, 1u << DIGEST_SHA256);
	}
	add_bytes(t->one, r->key);
	add_bytes(t->one, r->value);
	t->records++;
	t->bytes += r->key.n + r->value.n;
	return begins;
}

bool kv_tally_close(struct kv_tally *t, struct kv_tally_partition *ret)
{
	end_partition(t, ret);
	return ret->name.p != NULL;
}

bool kv_tally_end(struct kv_tally *t, struct kv_tally_partition *ret_last, struct kv_totals *ret)
{
	end_partition(t, ret_last);
	memcpy(t->totals.digest, digest_set_value(t->all, DIGEST_SHA256).p, KV_DIGEST_SIZE);
	*ret = t->totals;
	return ret_last->name.p != NULL;
}

void kv_digest_hex(const uint8_t digest[KV_DIGEST_SIZE], char out[KV_DIGEST_HEX])
{
	for (size_t i = 0; i < KV_DIGEST_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
