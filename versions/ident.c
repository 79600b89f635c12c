#include "versions/ident.h"

#include <assert.h>

enum { IDENT_BYTES = 0, IDENT_STRING = 1, IDENT_INT = 2, IDENT_LIST = 3, IDENT_MAP = 4,
       IDENT_HASH = 5 };

void ident_int(struct buf *b, int64_t v)
{
	char raw[10] = {IDENT_INT, 8};

	for (unsigned i = 0; i < 8; i++)
		raw[2 + i] = (char)((uint64_t)v >> (56 - 8 * i));
	buf_add(b, str_make(raw, sizeof(raw)));
}

static void add_counted(struct buf *b, char type, struct str s)
{
	buf_add_c(b, type);
	ident_int(b, (int64_t)s.n);
	buf_add(b, s);
}

void ident_bytes(struct buf *b, struct str s)
{
	add_counted(b, IDENT_BYTES, s);
}

void ident_string(struct buf *b, struct str s)
{
	add_counted(b, IDENT_STRING, s);
}

void ident_strings(struct buf *b, const struct str *s, size_t n)
{
	buf_add_c(b, IDENT_LIST);
	ident_int(b, (int64_t)n);
	for (size_t i = 0; i < n; i++)
		ident_string(b, s[i]);
}

void ident_map(struct buf *b, const struct meta *m, size_t n)
{
	buf_add_c(b, IDENT_MAP);
	ident_int(b, (int64_t)n);
	for (size_t i = 0; i < n; i++) {
		ident_string(b, m[i].key);
		ident_string(b, m[i].value);
	}
}

void ident_hash(struct buf *b, const uint8_t hash[32])
{
	buf_add_c(b, IDENT_HASH);
	ident_bytes(b, str_make(hash, 32));
}

void ident_finish(struct buf *b, uint8_t out[32])
{
	uint8_t sum[DIGEST_MAX];

	assert(!b->overflow);
	digest_of(DIGEST_SHA256, buf_str(b), sum);
	memcpy(out, sum, 32);
	buf_reset(b);
}
