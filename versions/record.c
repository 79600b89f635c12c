#include "versions/record.h"

#include <assert.h>

#include "versions/wire.h"

/* A zig-zag length and that many bytes. */
static bool take_part(struct wire *w, struct str *ret)
{
	uint64_t zigzag;

	if (!wire_varint(w, &zigzag) || zigzag & 1 || zigzag >> 1 > RECORD_PART_MAX ||
	    zigzag >> 1 > (uint64_t)(w->end - w->p))
		return false;
	*ret = str_make(w->p, (size_t)(zigzag >> 1));
	w->p += zigzag >> 1;
	return true;
}

rc record_decode(struct str key, struct str value, struct record *ret, struct err *reterr)
{
	struct wire w = wire_of(value);

	*ret = (struct record){.key = key, .value = value};
	if (!take_part(&w, &ret->identity) || !take_part(&w, &ret->data))
		return err_set(reterr, ERR_CORRUPT, "record \"%.*s\": its value is malformed",
			       STR_ARG(str_head(key, 256)));
	return RC_OK;
}

size_t record_size(struct str identity, struct str data)
{
	return wire_varint_size((uint64_t)identity.n << 1) + identity.n +
	       wire_varint_size((uint64_t)data.n << 1) + data.n;
}

static unsigned char *put_part(unsigned char *to, struct str s)
{
	to = wire_put_varint(to, (uint64_t)s.n << 1);
	return s.n ? mempcpy(to, s.p, s.n) : to;
}

bool record_encode(struct str identity, struct str data, struct buf *b)
{
	size_t n = record_size(identity, data);
	char *to = buf_reserve(b, n);

	assert(identity.n <= RECORD_PART_MAX && data.n <= RECORD_PART_MAX);
	if (!to)
		return false;
	put_part(put_part((unsigned char *)to, identity), data);
	b->n += n;
	return true;
}
