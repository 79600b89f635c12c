/* lakeFS's identities (FORMATS.md section 3): every item self-describing, fed to SHA-256. */
#pragma once

#include "base/buf.h"
#include "versions/entry.h"

/* The preimage grows in a buffer of the caller's, whose max must admit it. */
void ident_int(struct buf *b, int64_t v);
void ident_bytes(struct buf *b, struct str s);
void ident_string(struct buf *b, struct str s);
void ident_strings(struct buf *b, const struct str *s, size_t n);
/* m sorted by key. */
void ident_map(struct buf *b, const struct meta *m, size_t n);
/* Another identity inside this one. */
void ident_hash(struct buf *b, const uint8_t hash[32]);
/* SHA-256 of what was gathered; empties the buffer. */
void ident_finish(struct buf *b, uint8_t out[32]);
