#include "versions/sstable_props.h"

#include "versions/sstable.h"
#include "versions/wire.h"

#define COMPRESSION_OPTIONS                                                                        \
	"window_bits=-14; level=32767; strategy=0; max_dict_bytes=0; zstd_max_train_bytes=0; "     \
	"enabled=0; "

/* The same in each table. */
static const struct meta constants[] = {
	{STR("rocksdb.block.based.table.prefix.filtering"), STR("0")},
	{STR("rocksdb.block.based.table.whole.key.filtering"), STR("0")},
	{STR("rocksdb.column.family.id"), STR("\xff\xff\xff\xff\x07")},
	{STR("rocksdb.comparator"), STR(SST_COMPARATOR)},
	{STR("rocksdb.compression"), STR("Snappy")},
	{STR("rocksdb.compression_options"), STR(COMPRESSION_OPTIONS)},
	{STR("rocksdb.creation.time"), STR("\0")},
	{STR("rocksdb.deleted.keys"), STR("\0")},
	{STR("rocksdb.external_sst_file.global_seqno"), STR("\0\0\0\0\0\0\0\0")},
	{STR("rocksdb.external_sst_file.version"), STR("\2\0\0\0")},
	{STR("rocksdb.filter.size"), STR("\0")},
	{STR("rocksdb.fixed.key.length"), STR("\0")},
	{STR("rocksdb.format.version"), STR("\0")},
	{STR("rocksdb.index.key.is.user.key"), STR("\0")},
	{STR("rocksdb.index.value.is.delta.encoded"), STR("\0")},
	{STR("rocksdb.merge.operands"), STR("\0")},
	{STR("rocksdb.merge.operator"), STR(SST_MERGER)},
	{STR("rocksdb.num.range-deletions"), STR("\0")},
	{STR("rocksdb.oldest.key.time"), STR("\0")},
	{STR("rocksdb.prefix.extractor.name"), STR("nullptr")},
	{STR("rocksdb.property.collectors"), STR("[static]")},
};

enum { CONSTANTS = sizeof(constants) / sizeof(constants[0]), COUNTED = 8 };

static struct str varint(struct arena *a, uint64_t v)
{
	unsigned char *p = arena_alloc(a, WIRE_VARINT_MAX);

	return str_make(p, (size_t)(wire_put_varint(p, v) - p));
}

static size_t add_counted(const struct sst_facts *f, struct arena *a, struct meta *to)
{
	bool two_levels = f->index_partitions > 0;
	const struct {
		struct str name;
		uint64_t v;
		bool absent;
	} counted[COUNTED] = {
		{STR("rocksdb.data.size"), f->data_size, false},
		{STR("rocksdb.index.partitions"), f->index_partitions, !two_levels},
		{STR("rocksdb.index.size"), f->index_size, false},
		{STR("rocksdb.num.data.blocks"), f->data_blocks, false},
		{STR("rocksdb.num.entries"), f->records, false},
		{STR("rocksdb.raw.key.size"), f->raw_key_size, false},
		{STR("rocksdb.raw.value.size"), f->raw_value_size, false},
		{STR("rocksdb.top-level.index.size"), f->top_index_size, !two_levels},
	};
	size_t n = 0;

	for (size_t i = 0; i < COUNTED; i++)
		if (!counted[i].absent)
			to[n++] = (struct meta){counted[i].name, varint(a, counted[i].v)};
	to[n++] = (struct meta){STR("rocksdb.block.based.table.index.type"),
				two_levels ? STR("\2\0\0\0") : STR("\0\0\0\0")};
	return n;
}

rc sst_properties_build(const struct sst_facts *f, const struct meta *user, size_t user_n,
			struct arena *a, struct sst_builder *b, struct str *ret,
			struct err *reterr)
{
	struct meta *all = arena_alloc(a, (CONSTANTS + COUNTED + 1 + user_n) * sizeof(*all));
	size_t n = CONSTANTS;

	memcpy(all, constants, sizeof(constants));
	n += add_counted(f, a, all + n);
	for (size_t i = 0; i < user_n; i++)
		all[n++] = user[i];
	n = meta_sort(all, n);
	for (size_t i = 0; i < n; i++)
		if (all[i].key.n > SSTABLE_KEY_MAX ||
		    !sst_builder_add(b, all[i].key, NULL, all[i].value))
			return err_set(reterr, ERR_INVALID,
				       "properties of a table: more than %d bytes",
				       SSTABLE_PROPERTIES_MAX);
	*ret = sst_builder_finish(b);
	return RC_OK;
}
