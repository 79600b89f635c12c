#include "kv/stream.h"

#include <stdlib.h>

#include "base/buf.h"
#include "kv/marks.h"

enum { PAGE = 1000 };

struct of_kv {
	struct kv_stream s;
	struct kv *kv;
	struct kv_iter *partitions, *entries; /* entries NULL: the next partition comes first */
	struct buf partition, after;	      /* after: of the first partition alone, with has_after */
	bool has_after;
};

static void stop(struct of_kv *s)
{
	kv_iter_closep(&s->entries);
	kv_iter_closep(&s->partitions);
}

static rc of_kv_begin(struct kv_stream *base, struct str partition, struct str key, struct err *reterr)
{
	struct of_kv *s = (struct of_kv *)base;

	stop(s);
	buf_reset(&s->partition);
	buf_reset(&s->after);
	s->has_after = partition.p != NULL;
	if (s->has_after) {
		buf_add(&s->partition, partition);
		buf_add(&s->after, key);
	}
	return kv_partitions(s->kv, s->has_after ? buf_str(&s->partition) : STR_NONE, &s->partitions,
			     reterr);
}

/* The place to go on from: in the partition that was left, past the key; else at the start. */
static rc open_partition(struct of_kv *s, struct str partition, struct err *reterr)
{
	bool same = s->has_after && str_eq(partition, buf_str(&s->partition));

	s->has_after = false;
	buf_reset(&s->partition);
	buf_add(&s->partition, partition);
	if (same)
		buf_add_c(&s->after, 0); /* the least key above */
	else
		buf_reset(&s->after);
	return kv_scan(s->kv, buf_str(&s->partition), buf_str(&s->after), PAGE, &s->entries, reterr);
}

static rc of_kv_next(struct kv_stream *base, struct kv_record *ret, bool *ret_end, struct err *reterr)
{
	struct of_kv *s = (struct of_kv *)base;
	struct kv_entry e;

	for (;;) {
		if (!s->entries) {
			TRY(kv_iter_next(s->partitions, &e, ret_end, reterr));
			if (*ret_end)
				return RC_OK;
			if (str_eq(e.key, KV_MARKS))
				continue;
			TRY(open_partition(s, e.key, reterr));
		}
		TRY(kv_iter_next(s->entries, &e, ret_end, reterr));
		if (!*ret_end) {
			*ret = (struct kv_record){buf_str(&s->partition), e.key, e.value};
			return RC_OK;
		}
		kv_iter_closep(&s->entries);
	}
}

static void of_kv_free(struct kv_stream *base)
{
	struct of_kv *s = (struct of_kv *)base;

	stop(s);
	buf_deinit(&s->partition);
	buf_deinit(&s->after);
	free(s);
}

struct kv_stream *kv_stream_new(struct kv *kv)
{
	static const struct kv_stream_ops ops = {of_kv_begin, of_kv_next, of_kv_free};
	struct of_kv *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	*s = (struct of_kv){
		.s.ops = &ops,
		.kv = kv,
		.partition = BUF_INIT(KV_PARTITION_MAX),
		.after = BUF_INIT(KV_KEY_MAX + 1),
	};
	return &s->s;
}

void kv_stream_free(struct kv_stream *s)
{
	if (s)
		s->ops->free(s);
}
