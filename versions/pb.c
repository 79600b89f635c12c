#include "versions/pb.h"

static void *pb_alloc(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void pb_no_free(void *a, void *p)
{
}

struct str pb_pack(const ProtobufCMessage *m, struct arena *a)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *p = arena_alloc(a, n + 1);

	protobuf_c_message_pack(m, p);
	return str_make(p, n);
}

void *pb_unpack(const ProtobufCMessageDescriptor *d, struct str bytes, struct arena *a)
{
	ProtobufCAllocator in = {.alloc = pb_alloc, .free = pb_no_free, .allocator_data = a};

	return protobuf_c_message_unpack(d, &in, bytes.n, (const uint8_t *)bytes.p);
}

struct timestamp pb_time(const Pb__Timestamp *t)
{
	if (!t)
		return (struct timestamp){0};
	return (struct timestamp){
		.s = t->seconds,
		.ns = t->nanos < 0 || t->nanos > 999999999 ? 0 : t->nanos,
	};
}

ProtobufCBinaryData *pb_strings(const struct str *s, size_t n, struct arena *a)
{
	ProtobufCBinaryData *b = arena_alloc(a, n * sizeof(*b));

	for (size_t i = 0; i < n; i++)
		b[i] = pb_bytes(s[i]);
	return b;
}

struct str *pb_strings_of(const ProtobufCBinaryData *b, size_t n, struct arena *a)
{
	struct str *s = arena_alloc(a, n * sizeof(*s));

	for (size_t i = 0; i < n; i++)
		s[i] = pb_str(b[i]);
	return s;
}

Pb__Pair **pb_pairs(const struct meta *m, size_t n, struct arena *a)
{
	Pb__Pair **list = arena_alloc(a, n * sizeof(*list));
	Pb__Pair *pairs = arena_alloc(a, n * sizeof(*pairs));

	for (size_t i = 0; i < n; i++) {
		pb__pair__init(&pairs[i]);
		pairs[i].key = pb_bytes(m[i].key);
		pairs[i].value = pb_bytes(m[i].value);
		list[i] = &pairs[i];
	}
	return list;
}

struct meta *pb_pairs_of(Pb__Pair *const *p, size_t n, struct arena *a)
{
	struct meta *m = arena_alloc(a, n * sizeof(*m));

	for (size_t i = 0; i < n; i++)
		m[i] = (struct meta){.key = pb_str(p[i]->key), .value = pb_str(p[i]->value)};
	return m;
}

Pb__Checksum **pb_checksums(const struct str sums[DIGEST_KINDS], struct arena *a, size_t *ret_n)
{
	Pb__Checksum **list = arena_alloc(a, DIGEST_KINDS * sizeof(*list));
	size_t n = 0;

	for (unsigned k = 0; k < DIGEST_KINDS; k++) {
		if (!sums[k].p)
			continue;
		list[n] = ARENA_NEW(a, Pb__Checksum);
		pb__checksum__init(list[n]);
		list[n]->kind = checksum_number(k);
		list[n++]->value = pb_bytes(sums[k]);
	}
	*ret_n = n;
	return list;
}

void pb_checksums_of(Pb__Checksum *const *p, size_t n, struct str sums[DIGEST_KINDS])
{
	enum digest_kind k;

	for (size_t i = 0; i < n; i++)
		if (checksum_kind(p[i]->kind, &k) && p[i]->value.len == digest_size(k))
			sums[k] = pb_str(p[i]->value);
}
