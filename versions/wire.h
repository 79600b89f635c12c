/* The protobuf wire format, read in place and written into memory of known size: what entry.c needs
 * to decode a page of a listing without a copy. Private to versions/. */
#pragma once

#include "base/str.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct wire {
	const unsigned char *p, *end;
	bool bad; /* malformed: wire_next has answered false because of it */
};

struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t v;       /* VARINT */
	struct str bytes; /* BYTES: points into the input */
};

static inline struct wire wire_of(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	return (struct wire){.p = p, .end = p + s.n};
}

/* False at the end or at something malformed. */
bool wire_next(struct wire *w, struct wire_field *ret);
bool wire_varint(struct wire *w, uint64_t *ret);

size_t wire_varint_size(uint64_t v);
/* Each returns where the next byte goes. */
unsigned char *wire_put_varint(unsigned char *to, uint64_t v);
unsigned char *wire_put_uint(unsigned char *to, uint32_t field, uint64_t v);
unsigned char *wire_put_bytes(unsigned char *to, uint32_t field, struct str s);
/* The tag and the length of a field whose n bytes follow. */
unsigned char *wire_put_head(unsigned char *to, uint32_t field, size_t n);
enum { WIRE_VARINT_MAX = 10, WIRE_HEAD_MAX = 5 + WIRE_VARINT_MAX };
