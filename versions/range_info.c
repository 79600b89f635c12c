#include "versions/range_info.h"

#include "versions/wire.h"

enum { MIN_KEY = 1, MAX_KEY, ESTIMATED_SIZE, COUNT };

static void take_field(const struct wire_field *f, struct range_info *ret)
{
	if (f->number == MIN_KEY && f->type == WIRE_BYTES)
		ret->min = f->bytes;
	else if (f->number == ESTIMATED_SIZE && f->type == WIRE_VARINT)
		ret->size = f->v;
	else if (f->number == COUNT && f->type == WIRE_VARINT)
		ret->count = (int64_t)f->v;
}

rc range_info_decode(const struct record *record, struct range_info *ret, struct err *reterr)
{
	struct wire w = wire_of(record->data);
	struct wire_field f;

	*ret = (struct range_info){.id = record->identity, .min = STR(""), .max = record->key};
	while (wire_next(&w, &f))
		take_field(&f, ret);
	if (w.bad || !is_table_id(ret->id))
		return err_set(reterr, ERR_CORRUPT, "a metarange's record of a range can't be decoded");
	/* the id becomes a file's name: is_table_id() let nothing else through */
	if (str_cmp(ret->min, ret->max) > 0)
		return err_set(reterr, ERR_CORRUPT, "range " STR_FMT " ends before it begins",
			       STR_ARG(ret->id));
	return RC_OK;
}

struct str range_info_encode(const struct range_info *r, struct arena *a)
{
	size_t most = 2 * (WIRE_HEAD_MAX + WIRE_VARINT_MAX) + 2 * WIRE_HEAD_MAX + r->min.n + r->max.n;
	unsigned char *data = arena_alloc(a, most), *p = data;
	struct buf b = BUF_INIT(most + r->id.n + 2 * WIRE_VARINT_MAX);
	struct str value;

	if (r->min.n)
		p = wire_put_bytes(p, MIN_KEY, r->min);
	if (r->max.n)
		p = wire_put_bytes(p, MAX_KEY, r->max);
	if (r->size)
		p = wire_put_uint(p, ESTIMATED_SIZE, r->size);
	if (r->count)
		p = wire_put_uint(p, COUNT, (uint64_t)r->count);
	record_encode(r->id, str_make(data, (size_t)(p - data)), &b);
	value = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return value;
}
