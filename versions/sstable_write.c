/* Streaming a table out: blocks as they fill, then what leads to them. */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "versions/snappy.h"
#include "versions/sstable.h"
#include "versions/sstable_build.h"
#include "versions/sstable_id.h"
#include "versions/sstable_props.h"
#include "versions/wire.h"

enum {
	FLUSH_AT = 64 << 10,
	OUT_MAX = SSTABLE_BLOCK_MAX + SSTABLE_BLOCK_MAX / 4,
	DERIVED = 4,
};

/* Kind 255, which no record has: an empty table's only key in the index. */
#define NO_KEY_TRAILER "\xff\0\0\0\0\0\0\0"
/* The highest sequence number, kind 17: a key that is no record's. */
#define SEPARATOR_TRAILER "\x11\xff\xff\xff\xff\xff\xff\xff"

/* A finished block of a two-level index, kept until all data is written. */
struct partition {
	struct partition *next;
	struct str payload, last_key;
	const char *last_trailer;
};

struct sstable_writer {
	struct sstable_writer_options o;
	struct arena *a;
	struct sst_id *id;
	struct buf out;
	uint64_t offset; /* in the file, of what comes next */
	struct sst_builder data, index;
	struct buf separator;
	struct partition *parts, **parts_end;
	const char *index_trailer;
	struct sst_facts facts;
	struct str min_key;
	bool finished;
};

static void copy_props(struct sstable_writer *w)
{
	struct meta *m = arena_alloc(w->a, (w->o.props_n + DERIVED) * sizeof(*m));

	for (size_t i = 0; i < w->o.props_n; i++) {
		assert(i == 0 || str_cmp(w->o.props[i - 1].key, w->o.props[i].key) < 0);
		m[i].key = arena_dup(w->a, w->o.props[i].key);
		m[i].value = arena_dup(w->a, w->o.props[i].value);
	}
	w->o.props = m;
}

struct sstable_writer *sstable_writer_new(const struct sstable_writer_options *o)
{
	struct arena *a = arena_new();
	struct sstable_writer *w = ARENA_NEW(a, struct sstable_writer);

	w->a = a;
	w->o = *o;
	copy_props(w);
	w->id = sst_id_new(a);
	buf_init(&w->out, OUT_MAX);
	buf_init(&w->separator, SSTABLE_KEY_MAX);
	sst_builder_init(&w->data, SST_RESTART_DATA, SSTABLE_BLOCK_MAX - SST_BLOCK_TARGET);
	sst_builder_init(&w->index, SST_RESTART_INDEX, SSTABLE_INDEX_MAX / 2);
	w->parts_end = &w->parts;
	return w;
}

void sstable_writer_free(struct sstable_writer *w)
{
	if (!w)
		return;
	buf_deinit(&w->out);
	buf_deinit(&w->separator);
	sst_builder_deinit(&w->data);
	sst_builder_deinit(&w->index);
	arena_free(w->a);
}

static rc flush(struct sstable_writer *w, struct err *reterr)
{
	TRY(w->o.append(w->o.ud, w->out.p, w->out.n, reterr));
	buf_reset(&w->out);
	return RC_OK;
}

static size_t pack(struct sstable_writer *w, struct str raw, char *to)
{
	size_t n = w->o.compress ? w->o.compress(w->o.compress_ud, raw.p, raw.n, to)
				 : snappy_pack(raw.p, raw.n, to);

	return n < raw.n - raw.n / 8 ? n : 0;
}

/* compress: unless it gains too little. */
static rc write_block(struct sstable_writer *w, struct str payload, bool compress,
		      struct sst_handle *ret, struct err *reterr)
{
	char *to = buf_reserve(&w->out, snappy_max(payload.n) + SST_BLOCK_TRAILER);
	size_t n;

	assert(to);
	n = compress ? pack(w, payload, to) : 0;
	to[n ? n : payload.n] = n ? SST_SNAPPY : SST_RAW;
	if (!n)
		memcpy(to, payload.p, n = payload.n);
	sst_put32(to + n + 1, sst_crc(to, n + 1));
	*ret = (struct sst_handle){w->offset, n};
	w->out.n += n + SST_BLOCK_TRAILER;
	w->offset += n + SST_BLOCK_TRAILER;
	return w->out.n >= FLUSH_AT ? flush(w, reterr) : RC_OK;
}

static size_t put_handle(struct sst_handle h, unsigned char to[SST_HANDLE_MAX])
{
	return (size_t)(wire_put_varint(wire_put_varint(to, h.offset), h.length) - to);
}

static rc add_handle(struct sst_builder *b, struct str key, const char *trailer,
		     struct sst_handle h, struct err *reterr)
{
	unsigned char raw[SST_HANDLE_MAX];

	if (!sst_builder_add(b, key, trailer, str_make(raw, put_handle(h, raw))))
		return err_set(reterr, ERR_INVALID, "a table has too many records for its index");
	return RC_OK;
}

static void end_partition(struct sstable_writer *w)
{
	struct partition *p = ARENA_NEW(w->a, struct partition);
	struct str last = str_make(w->index.last.p, w->index.last.n - SST_TRAILER);

	p->last_key = arena_dup(w->a, last);
	p->last_trailer = w->index_trailer;
	p->payload = arena_dup(w->a, sst_builder_finish(&w->index));
	*w->parts_end = p;
	w->parts_end = &p->next;
	w->facts.index_partitions++;
	w->facts.index_size += p->payload.n;
	sst_builder_reset(&w->index);
}

static struct str last_key(const struct sstable_writer *w)
{
	return w->facts.records ? str_make(w->data.last.p, w->data.last.n - SST_TRAILER) : STR("");
}

/* Ends the data block; next_key NULL: there is no other. */
static rc end_block(struct sstable_writer *w, const struct str *next_key, struct err *reterr)
{
	struct sst_handle h;
	const char *trailer;
	bool is_short;

	TRY(write_block(w, sst_builder_finish(&w->data), true, &h, reterr));
	sst_separator(last_key(w), next_key, &w->separator, &is_short);
	trailer = is_short	     ? SEPARATOR_TRAILER
		  : w->facts.records ? SST_VALUE_TRAILER
				     : NO_KEY_TRAILER;
	if (sst_builder_full(&w->index, w->separator.n + SST_TRAILER, SST_HANDLE_MAX))
		end_partition(w);
	w->index_trailer = trailer;
	TRY(add_handle(&w->index, buf_str(&w->separator), trailer, h, reterr));
	w->facts.data_blocks++;
	return RC_OK;
}

static rc check_record(const struct sstable_writer *w, struct str key, struct err *reterr)
{
	if (key.n > SSTABLE_KEY_MAX)
		return err_set(reterr, ERR_INVALID, "a table's key of %zu bytes: more than %d",
			       key.n, SSTABLE_KEY_MAX);
	if (w->facts.records && str_cmp(last_key(w), key) >= 0)
		return err_set(reterr, ERR_INVALID,
			       "a table's keys must ascend: \"%.*s\" after \"%.*s\"",
			       STR_ARG(str_head(key, 128)), STR_ARG(str_head(last_key(w), 128)));
	return RC_OK;
}

rc sstable_writer_add(struct sstable_writer *w, struct str key, struct str value,
		      struct err *reterr)
{
	assert(!w->finished);
	TRY(check_record(w, key, reterr));
	if (sst_builder_full(&w->data, key.n + SST_TRAILER, value.n)) {
		TRY(end_block(w, &key, reterr));
		sst_builder_reset(&w->data);
	}
	if (!sst_builder_add(&w->data, key, SST_VALUE_TRAILER, value))
		return err_set(reterr, ERR_INVALID, "a table's record of %zu bytes: too large",
			       value.n);
	if (w->facts.records++ == 0)
		w->min_key = arena_dup(w->a, key);
	w->facts.raw_key_size += key.n + SST_TRAILER;
	w->facts.raw_value_size += value.n;
	sst_id_record(w->id, key, value);
	return RC_OK;
}

uint64_t sstable_writer_estimated_size(const struct sstable_writer *w)
{
	assert(!w->finished);
	return w->offset + sst_builder_size(&w->data) + sst_builder_size(&w->index);
}

static rc write_partitions(struct sstable_writer *w, struct sst_handle *ret, struct err *reterr)
{
	struct str top;

	end_partition(w);
	for (const struct partition *p = w->parts; p; p = p->next) {
		struct sst_handle h;

		TRY(write_block(w, p->payload, true, &h, reterr));
		TRY(add_handle(&w->index, p->last_key, p->last_trailer, h, reterr));
	}
	top = sst_builder_finish(&w->index);
	w->facts.top_index_size = top.n;
	w->facts.index_size += top.n + SST_BLOCK_TRAILER;
	return write_block(w, top, true, ret, reterr);
}

static rc write_index(struct sstable_writer *w, struct sst_handle *ret, struct err *reterr)
{
	struct str payload;

	w->facts.data_size = w->offset;
	if (w->parts)
		return write_partitions(w, ret, reterr);
	payload = sst_builder_finish(&w->index);
	w->facts.index_size = payload.n + SST_BLOCK_TRAILER;
	return write_block(w, payload, true, ret, reterr);
}

static size_t add_derived(struct sstable_writer *w, const struct sstable_summary *s,
			  struct meta *props, size_t n)
{
	props[n++] = (struct meta){STR("count"), arena_printf(w->a, "%" PRIu64, s->count)};
	props[n++] = (struct meta){STR("estimated_size_bytes"),
				   arena_printf(w->a, "%" PRIu64, s->estimated_size)};
	props[n++] = (struct meta){STR("max_key"), s->max_key};
	props[n++] = (struct meta){STR("min_key"), s->min_key};
	return n;
}

static rc write_properties(struct sstable_writer *w, const struct sstable_summary *s,
			   struct sst_handle *ret, struct err *reterr)
{
	struct meta *props = (struct meta *)w->o.props;
	size_t n = add_derived(w, s, props, w->o.props_n);
	struct sst_builder b;
	struct str payload;
	rc done;

	sst_builder_init(&b, UINT_MAX, SSTABLE_PROPERTIES_MAX / 2);
	done = sst_properties_build(&w->facts, props, n, w->a, &b, &payload, reterr);
	if (rc_ok(done))
		done = write_block(w, payload, false, ret, reterr);
	sst_builder_deinit(&b);
	return done;
}

static rc write_metaindex(struct sstable_writer *w, struct sst_handle properties,
			  struct sst_handle *ret, struct err *reterr)
{
	struct sst_builder b;
	rc done;

	sst_builder_init(&b, SST_RESTART_INDEX, SST_BLOCK_TARGET);
	done = add_handle(&b, STR(SST_PROPERTIES), NULL, properties, reterr);
	if (rc_ok(done))
		done = write_block(w, sst_builder_finish(&b), false, ret, reterr);
	sst_builder_deinit(&b);
	return done;
}

static void add_footer(struct sstable_writer *w, struct sst_handle metaindex,
		       struct sst_handle index)
{
	unsigned char raw[SST_FOOTER] = {SST_CRC32C};
	size_t n = 1;

	n += put_handle(metaindex, raw + n);
	put_handle(index, raw + n);
	sst_put32(raw + SST_FOOTER_HANDLES_END, SST_VERSION);
	memcpy(raw + SST_FOOTER - 8, SST_MAGIC, 8);
	buf_add(&w->out, str_make(raw, SST_FOOTER));
	w->offset += SST_FOOTER;
}

rc sstable_writer_finish(struct sstable_writer *w, struct sstable_summary *ret, struct err *reterr)
{
	struct sst_handle index, properties, metaindex;

	*ret = (struct sstable_summary){
		.count = w->facts.records,
		.estimated_size = sstable_writer_estimated_size(w),
		.min_key = w->facts.records ? w->min_key : STR(""),
		.max_key = arena_dup(w->a, last_key(w)),
	};
	w->finished = true;
	sst_id_finish(w->id, w->o.props, w->o.props_n, ret->id);
	TRY(end_block(w, NULL, reterr));
	TRY(write_index(w, &index, reterr));
	TRY(write_properties(w, ret, &properties, reterr));
	TRY(write_metaindex(w, properties, &metaindex, reterr));
	add_footer(w, metaindex, index);
	TRY(flush(w, reterr));
	ret->file_size = w->offset;
	return RC_OK;
}
