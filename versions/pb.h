/* Between protobuf-c's generated structs (records.proto) and ours. Private to versions/. */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "versions/entry.h"
#include "versions/records.pb-c.h"

struct str pb_pack(const ProtobufCMessage *m, struct arena *a);
/* NULL when the bytes aren't such a message. What it holds lives in the arena. */
void *pb_unpack(const ProtobufCMessageDescriptor *d, struct str bytes, struct arena *a);

static inline ProtobufCBinaryData pb_bytes(struct str s)
{
	return (ProtobufCBinaryData){.len = s.n, .data = (uint8_t *)(uintptr_t)s.p};
}

/* Never STR_NONE: proto3 knows no absent text. */
static inline struct str pb_str(ProtobufCBinaryData b)
{
	return b.len ? str_make(b.data, b.len) : STR("");
}

/* nanos outside of a second are cut: nobody but a foreign writer makes them. */
struct timestamp pb_time(const Pb__Timestamp *t);

ProtobufCBinaryData *pb_strings(const struct str *s, size_t n, struct arena *a);
struct str *pb_strings_of(const ProtobufCBinaryData *b, size_t n, struct arena *a);
Pb__Pair **pb_pairs(const struct meta *m, size_t n, struct arena *a);
struct meta *pb_pairs_of(Pb__Pair *const *p, size_t n, struct arena *a);
/* The kinds that are there, as records. */
Pb__Checksum **pb_checksums(const struct str sums[DIGEST_KINDS], struct arena *a, size_t *ret_n);
void pb_checksums_of(Pb__Checksum *const *p, size_t n, struct str sums[DIGEST_KINDS]);
