/* Opening a table: footer, metaindex, properties, top index. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/arena.h"
#include "versions/sstable_file.h"

enum { PROPERTIES_MAX = 4096 }; /* how many; a table has some thirty */

struct footer {
	struct sst_handle metaindex, index;
};

static rc parse_footer(const char raw[SST_FOOTER], struct footer *ret, struct err *reterr)
{
	const char *p = raw + 1;
	uint32_t version = sst_get32(raw + SST_FOOTER_HANDLES_END);

	if (memcmp(raw + SST_FOOTER - 8, SST_MAGIC, 8) != 0)
		return err_set(reterr, ERR_CORRUPT,
			       "it does not end as a table does: cut short, or no table");
	if (version != SST_VERSION)
		return err_set(reterr, ERR_UNSUPPORTED,
			       "footer: version %" PRIu32 " of the format; only %d can be read",
			       version, SST_VERSION);
	if (raw[0] == SST_XXHASH64)
		return err_set(reterr, ERR_UNSUPPORTED,
			       "footer: checksums are xxHash64; only CRC-32C can be read");
	if (raw[0] != SST_CRC32C)
		return err_set(reterr, ERR_CORRUPT, "footer: unknown type of checksum %d", raw[0]);
	if (!sst_handle(&p, raw + SST_FOOTER_HANDLES_END, &ret->metaindex) ||
	    !sst_handle(&p, raw + SST_FOOTER_HANDLES_END, &ret->index))
		return err_set(reterr, ERR_CORRUPT, "footer: its handles are malformed");
	return RC_OK;
}

static rc read_footer(struct sstable *t, struct footer *ret, struct err *reterr)
{
	char raw[SST_FOOTER];

	if (t->source.size < SST_FOOTER)
		return err_set(reterr, ERR_CORRUPT, "it is shorter than any table: cut short");
	TRY(t->source.read(t->source.ud, t->source.size - SST_FOOTER, raw, SST_FOOTER, reterr));
	return parse_footer(raw, ret, reterr);
}

/* Where the properties are; length 0 when there are none. */
static rc find_properties(struct sstable *t, struct sst_handle metaindex, struct sst_handle *ret,
			  struct err *reterr)
{
	CLEANUP(sstable_block_unrefp) struct sstable_block *b = NULL;
	CLEANUP(sst_cursor_deinit) struct sst_cursor c = {0};
	struct str name, value;

	*ret = (struct sst_handle){0};
	TRY(sstable_block_read(t, &sst_metaindex, metaindex, &b, reterr));
	sst_cursor_start(&c, b);
	while (sst_cursor_next(&c, &name, &value)) {
		const char *p = value.p;

		if (!str_eq(name, STR(SST_PROPERTIES)))
			continue;
		if (!sst_handle(&p, value.p + value.n, ret) || ret->length == 0)
			return sst_corrupt(reterr, &sst_metaindex, metaindex,
					   "the handle of the properties is malformed");
		return RC_OK;
	}
	return RC_OK;
}

static bool is_ours(struct str name)
{
	return !str_starts(name, STR("rocksdb.")) && !str_starts(name, STR("pebble."));
}

/* Copies: a block's keys are shortened, and it isn't kept. */
static const char *take_properties(struct sstable *t, const struct sstable_block *b)
{
	CLEANUP(sst_cursor_deinit) struct sst_cursor c = {0};
	size_t n = 0, bytes = 0;
	struct meta m;

	sst_cursor_start(&c, b);
	for (; sst_cursor_next(&c, &m.key, &m.value); n++)
		bytes += m.key.n + m.value.n;
	if (n > PROPERTIES_MAX || bytes > SSTABLE_PROPERTIES_MAX)
		return "there are too many properties";
	t->props = arena_alloc(t->a, n * sizeof(m));
	t->user = arena_alloc(t->a, n * sizeof(m));
	sst_cursor_start(&c, b);
	while (sst_cursor_next(&c, &m.key, &m.value)) {
		m = (struct meta){arena_dup(t->a, m.key), arena_dup(t->a, m.value)};
		t->props[t->props_n++] = m;
		if (is_ours(m.key))
			t->user[t->user_n++] = m;
	}
	return NULL;
}

/* What was written by other rules than these is refused, not misread. Properties that are missing say
 * nothing. */
static rc check_rules(struct sstable *t, struct err *reterr)
{
	static const struct {
		struct str name;
		const char *may_be[3];
	} rules[] = {
		{STR("rocksdb.comparator"), {SST_COMPARATOR}},
		{STR("rocksdb.merge.operator"), {"", "nullptr", SST_MERGER}},
	};
	static const char *const off[] = {"rocksdb.index.key.is.user.key",
					  "rocksdb.index.value.is.delta.encoded"};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct str value = sstable_property(t, rules[i].name);
		bool ok = !value.p;

		for (size_t k = 0; k < 3 && rules[i].may_be[k]; k++)
			ok |= str_eq(value, str_c(rules[i].may_be[k]));
		if (!ok)
			return err_set(reterr, ERR_UNSUPPORTED, "property %s is \"%.64s\"",
				       rules[i].name.p, arena_cstr(t->a, value));
	}
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		struct str value = sstable_property(t, str_c(off[i]));

		if (value.n && !str_eq(value, STR("\0")))
			return err_set(reterr, ERR_UNSUPPORTED,
				       "property %s is set: its index can't be read", off[i]);
	}
	return RC_OK;
}

static rc take_index_type(struct sstable *t, struct err *reterr)
{
	struct str value = sstable_property(t, STR("rocksdb.block.based.table.index.type"));
	uint32_t type;

	if (!value.p)
		return RC_OK;
	if (value.n != 4)
		return err_set(reterr, ERR_CORRUPT, "properties: the index's type is malformed");
	type = sst_get32(value.p);
	if (type > SST_INDEX_TWO_LEVELS)
		return err_set(reterr, ERR_UNSUPPORTED, "an index of type %" PRIu32 " can't be read",
			       type);
	t->two_levels = type == SST_INDEX_TWO_LEVELS;
	return RC_OK;
}

static rc read_properties(struct sstable *t, struct sst_handle metaindex, struct err *reterr)
{
	CLEANUP(sstable_block_unrefp) struct sstable_block *b = NULL;
	struct sst_handle h;
	const char *wrong;

	TRY(find_properties(t, metaindex, &h, reterr));
	if (h.length == 0)
		return RC_OK;
	TRY(sstable_block_read(t, &sst_properties, h, &b, reterr));
	wrong = take_properties(t, b);
	if (wrong)
		return sst_corrupt(reterr, &sst_properties, h, wrong);
	TRY(check_rules(t, reterr));
	return take_index_type(t, reterr);
}

static rc read_all(struct sstable *t, struct err *reterr)
{
	struct footer f = {0};

	TRY(read_footer(t, &f, reterr));
	TRY(read_properties(t, f.metaindex, reterr));
	return sstable_block_read(t, &sst_index, f.index, &t->index, reterr);
}

static void table_free(struct sstable *t)
{
	sstable_block_unref(t->index);
	arena_free(t->a);
	free(t);
}

rc sstable_open(const struct sstable_source *source, const struct sstable_open_options *o,
		struct sstable **ret, struct err *reterr)
{
	struct sstable *t = calloc(1, sizeof(*t));
	rc done;

	if (!t)
		abort();
	t->refs = 1;
	t->source = *source;
	t->a = arena_new();
	if (o && o->cache) {
		t->cache = o->cache;
		t->file = o->file ? o->file : block_cache_file(o->cache);
	}
	done = read_all(t, reterr);
	if (rc_ok(done))
		*ret = t;
	else
		table_free(t);
	return done;
}

struct sstable *sstable_ref(struct sstable *t)
{
	unsigned before = atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return t;
}

void sstable_unref(struct sstable *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (t->source.close)
		t->source.close(t->source.ud);
	table_free(t);
}

void sstable_unrefp(struct sstable **t)
{
	sstable_unref(*t);
}

uint64_t sstable_file_bytes(const struct sstable *t)
{
	return t->source.size;
}

size_t sstable_memory(const struct sstable *t)
{
	size_t n = sizeof(*t) + t->index->memory;

	for (size_t i = 0; i < t->props_n; i++)
		n += 3 * sizeof(t->props[0]) + t->props[i].key.n + t->props[i].value.n;
	return n;
}

struct str sstable_property(const struct sstable *t, struct str name)
{
	for (size_t i = 0; i < t->props_n; i++)
		if (str_eq(t->props[i].key, name))
			return t->props[i].value;
	return STR_NONE;
}

const struct meta *sstable_user_properties(const struct sstable *t, size_t *ret_n)
{
	*ret_n = t->user_n;
	return t->user;
}
