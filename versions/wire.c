#include "versions/wire.h"

bool wire_varint(struct wire *w, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && w->p < w->end; shift += 7) {
		unsigned char c = *w->p++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	w->bad = true;
	return false;
}

static bool take(struct wire *w, uint64_t n, struct str *ret)
{
	if (n > (uint64_t)(w->end - w->p)) {
		w->bad = true;
		return false;
	}
	*ret = str_make(w->p, (size_t)n);
	w->p += n;
	return true;
}

bool wire_next(struct wire *w, struct wire_field *ret)
{
	uint64_t tag, n;

	if (w->bad || w->p == w->end || !wire_varint(w, &tag))
		return false;
	ret->number = (uint32_t)(tag >> 3);
	ret->type = (enum wire_type)(tag & 7);
	switch (ret->type) {
	case WIRE_VARINT:
		return wire_varint(w, &ret->v);
	case WIRE_BYTES:
		return wire_varint(w, &n) && take(w, n, &ret->bytes);
	case WIRE_64:
		return take(w, 8, &ret->bytes);
	case WIRE_32:
		return take(w, 4, &ret->bytes);
	}
	w->bad = true; /* groups: proto3 has none */
	return false;
}

size_t wire_varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

unsigned char *wire_put_varint(unsigned char *to, uint64_t v)
{
	while (v > 0x7f) {
		*to++ = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	*to++ = (unsigned char)v;
	return to;
}

unsigned char *wire_put_uint(unsigned char *to, uint32_t field, uint64_t v)
{
	return wire_put_varint(wire_put_varint(to, (uint64_t)field << 3 | WIRE_VARINT), v);
}

unsigned char *wire_put_head(unsigned char *to, uint32_t field, size_t n)
{
	return wire_put_varint(wire_put_varint(to, (uint64_t)field << 3 | WIRE_BYTES), n);
}

unsigned char *wire_put_bytes(unsigned char *to, uint32_t field, struct str s)
{
	to = wire_put_head(to, field, s.n);
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}
