/* Everything that a KV or a dump holds, as one stream of records, ascending by partition, then key
 * (bytewise), what kv/marks.h describes left out. One thread at a time. */
#pragma once

#include "kv/kv.h"

struct kv_record {
	struct str partition, key, value;
};

struct kv_stream;
struct kv_stream_ops {
	/* Begins at the first record; with a partition (not STR_NONE), at the first one after
	 * (partition, key). May be called again at any time. */
	rc (*begin)(struct kv_stream *s, struct str partition, struct str key, struct err *reterr);
	/* The record's bytes live until the next call on the stream. */
	rc (*next)(struct kv_stream *s, struct kv_record *ret, bool *ret_end, struct err *reterr);
	void (*free)(struct kv_stream *s);
};
struct kv_stream {
	const struct kv_stream_ops *ops;
};

/* Doesn't own the KV. UNSUPPORTED (from begin): the driver can't list its partitions. */
struct kv_stream *kv_stream_new(struct kv *kv);
void kv_stream_free(struct kv_stream *s); /* NULL is allowed */
