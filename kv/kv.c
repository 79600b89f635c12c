#include "kv/kv.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/work.h"

enum operation { OP_GET, OP_SET, OP_SET_IF, OP_DELETE, OP_SCAN, OP_SET_GUARDED,
		 OP_WRITE_MANY, OP_PARTITIONS, OP_WRITE_THEN_READ, OPERATIONS };
enum result { RES_OK, RES_NOT_FOUND, RES_PREDICATE, RES_WOULD_BLOCK, RES_ERROR, RESULTS };

static const char *const operation_names[OPERATIONS] = {"get",	  "set",  "set_if",
							"delete", "scan", "set_guarded",
							"write_many", "partitions", "write_then_read"};
static const char *const result_names[RESULTS] = {"ok", "not_found", "predicate", "would_block",
						  "error"};

static struct {
	pthread_once_t once;
	struct metric *requests[OPERATIONS][RESULTS];
	struct metric *seconds[OPERATIONS];
	char labels[OPERATIONS][RESULTS][64];
	char seconds_labels[OPERATIONS][32];
} metrics = {.once = PTHREAD_ONCE_INIT};

static void metrics_init(void)
{
	for (int op = 0; op < OPERATIONS; op++) {
		char *l = metrics.seconds_labels[op];

		snprintf(l, sizeof(metrics.seconds_labels[op]), "operation=\"%s\"",
			 operation_names[op]);
		metrics.seconds[op] = metric_get(METRIC_HISTOGRAM, "kv_request_seconds",
						 "Time of KV calls that may wait.", l);
		for (int res = 0; res < RESULTS; res++) {
			l = metrics.labels[op][res];
			snprintf(l, sizeof(metrics.labels[op][res]),
				 "operation=\"%s\",result=\"%s\"", operation_names[op],
				 result_names[res]);
			metrics.requests[op][res] = metric_get(
				METRIC_COUNTER, "kv_requests_total", "KV calls.", l);
		}
	}
}

static enum result result_of(rc r)
{
	switch (r.code) {
	case ERR_NONE:
		return RES_OK;
	case ERR_NOT_FOUND:
		return RES_NOT_FOUND;
	case ERR_PREDICATE:
		return RES_PREDICATE;
	case ERR_WOULD_BLOCK:
		return RES_WOULD_BLOCK;
	default:
		return RES_ERROR;
	}
}

static rc counted(enum operation op, rc r)
{
	pthread_once(&metrics.once, metrics_init);
	metric_add(metrics.requests[op][result_of(r)], 1);
	return r;
}

static rc timed(enum operation op, int64_t since_us, rc r)
{
	r = counted(op, r);
	metric_observe_us(metrics.seconds[op], mono_us() - since_us);
	return r;
}

static rc check_size(const char *what, size_t n, size_t min, size_t max, struct err *reterr)
{
	if (n >= min && n <= max)
		return RC_OK;
	return err_set(reterr, ERR_INVALID, "KV: a %s has %zu to %zu bytes, this one %zu", what,
		       min, max, n);
}

static rc check_key(struct str partition, struct str key, struct err *reterr)
{
	TRY(check_size("partition", partition.n, 1, KV_PARTITION_MAX, reterr));
	return check_size("key", key.n, 1, KV_KEY_MAX, reterr);
}

static rc check_write(struct str partition, struct str key, struct str *value, struct err *reterr)
{
	TRY(check_key(partition, key, reterr));
	TRY(check_size("value", value->n, 0, KV_VALUE_MAX, reterr));
	if (!value->p)
		*value = STR("");
	return RC_OK;
}

static rc get_nowait(struct kv *kv, struct str partition, struct str key, struct arena *a,
		     struct str *ret_value, struct err *reterr)
{
	if (!kv->ops->has_nowait)
		return err_default(reterr, ERR_WOULD_BLOCK);
	return kv->ops->get(kv, KV_NOWAIT, partition, key, a, ret_value, reterr);
}

rc kv_get(struct kv *kv, enum kv_wait wait, struct str partition, struct str key, struct arena *a,
	  struct str *ret_value, struct err *reterr)
{
	int64_t since_us;

	assert(wait == KV_NOWAIT || !on_loop());
	TRY(check_key(partition, key, reterr));
	if (wait == KV_NOWAIT)
		return counted(OP_GET, get_nowait(kv, partition, key, a, ret_value, reterr));
	since_us = mono_us();
	return timed(OP_GET, since_us,
		     kv->ops->get(kv, wait, partition, key, a, ret_value, reterr));
}

rc kv_set(struct kv *kv, struct str partition, struct str key, struct str value, struct err *reterr)
{
	int64_t since_us = mono_us();

	assert(!on_loop());
	TRY(check_write(partition, key, &value, reterr));
	return timed(OP_SET, since_us, kv->ops->set(kv, partition, key, value, reterr));
}

rc kv_set_if(struct kv *kv, struct str partition, struct str key, struct str value,
	     enum kv_cond cond, struct str current, struct err *reterr)
{
	int64_t since_us = mono_us();

	assert(!on_loop());
	assert(cond == KV_IF_ABSENT || cond == KV_IF_PRESENT || cond == KV_IF_VALUE);
	TRY(check_write(partition, key, &value, reterr));
	return timed(OP_SET_IF, since_us,
		     kv->ops->set_if(kv, partition, key, value, cond, current, reterr));
}

rc kv_delete(struct kv *kv, struct str partition, struct str key, struct err *reterr)
{
	int64_t since_us = mono_us();

	assert(!on_loop());
	TRY(check_key(partition, key, reterr));
	return timed(OP_DELETE, since_us, kv->ops->delete(kv, partition, key, reterr));
}

rc kv_scan(struct kv *kv, struct str partition, struct str from, size_t batch, struct kv_iter **ret,
	   struct err *reterr)
{
	int64_t since_us = mono_us();

	assert(!on_loop());
	TRY(check_size("partition", partition.n, 1, KV_PARTITION_MAX, reterr));
	return timed(OP_SCAN, since_us, kv->ops->scan(kv, partition, from, batch, ret, reterr));
}

rc kv_scan_moment(struct kv *kv, struct str partition, const struct str prefix[KV_MOMENT_PREFIXES],
		  struct kv_iter **ret, struct err *reterr)
{
	int64_t since_us = mono_us();

	if (kv->ops->snapshots)
		return kv_scan(kv, partition, prefix[0], 0, ret, reterr);
	assert(!on_loop());
	TRY(check_size("partition", partition.n, 1, KV_PARTITION_MAX, reterr));
	if (!kv->ops->scan_moment)
		return err_set(reterr, ERR_UNSUPPORTED, "the KV driver %s can't read many entries at one moment",
			       kv->ops->name);
	return timed(OP_SCAN, since_us, kv->ops->scan_moment(kv, partition, prefix, ret, reterr));
}

rc kv_partitions(struct kv *kv, struct str from, struct kv_iter **ret, struct err *reterr)
{
	int64_t since_us = mono_us();

	assert(!on_loop());
	if (!kv->ops->partitions)
		return err_set(reterr, ERR_UNSUPPORTED,
			       "the KV driver %s can't list its partitions", kv->ops->name);
	return timed(OP_PARTITIONS, since_us, kv->ops->partitions(kv, from, ret, reterr));
}

static rc no_guarded(const struct kv *kv, struct err *reterr)
{
	return err_set(reterr, ERR_UNSUPPORTED, "the KV driver %s has no guarded set",
		       kv->ops->name);
}

rc kv_set_guarded(struct kv *kv, struct str partition, struct str key, struct str value,
		  struct str guard_partition, struct str guard_key, struct str guard_value,
		  struct err *reterr)
{
	int64_t since_us = mono_us();

	assert(!on_loop());
	TRY(check_write(partition, key, &value, reterr));
	TRY(check_key(guard_partition, guard_key, reterr));
	if (!kv_has_guarded(kv))
		return no_guarded(kv, reterr);
	return timed(OP_SET_GUARDED, since_us,
		     kv->ops->set_guarded(kv, partition, key, value, guard_partition, guard_key,
					  guard_value, reterr));
}

static rc check_one_of_many(struct kv *kv, struct kv_write *w)
{
	assert(!w->remove || !w->has_guard);
	TRY(check_write(w->partition, w->key, &w->value, w->err));
	if (!w->has_guard)
		return RC_OK;
	TRY(check_key(w->guard_partition, w->guard_key, w->err));
	return kv_has_guarded(kv) ? RC_OK : no_guarded(kv, w->err);
}

static void write_one_of_many(struct kv *kv, struct kv_write *w)
{
	if (w->has_guard)
		w->result = kv->ops->set_guarded(kv, w->partition, w->key, w->value,
						 w->guard_partition, w->guard_key, w->guard_value,
						 w->err);
	else if (w->remove)
		w->result = kv->ops->delete(kv, w->partition, w->key, w->err);
	else
		w->result = kv->ops->set(kv, w->partition, w->key, w->value, w->err);
}

/* How many are left to be carried out. */
static size_t check_many(struct kv *kv, struct kv_write *w, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		if (rc_ok(w[i].result))
			w[i].result = check_one_of_many(kv, &w[i]);
		left += rc_ok(w[i].result);
	}
	return left;
}

void kv_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	int64_t since_us = mono_us();

	assert(!on_loop() && n <= KV_WRITES_MAX);
	if (!check_many(kv, w, n))
		return;
	if (kv->ops->write_many) {
		kv->ops->write_many(kv, w, n);
	} else {
		for (size_t i = 0; i < n; i++)
			if (rc_ok(w[i].result))
				write_one_of_many(kv, &w[i]);
	}
	for (size_t i = 0; i < n; i++)
		IGNORE_RC(counted(OP_WRITE_MANY, w[i].result));
	metric_observe_us(metrics.seconds[OP_WRITE_MANY], mono_us() - since_us);
}

static void read_one_by_one(struct kv *kv, struct kv_read *r, size_t m)
{
	for (size_t i = 0; i < m; i++)
		r[i].result = kv_get(kv, KV_BLOCK, r[i].partition, r[i].key, r[i].a, &r[i].value,
				     r[i].err);
}

static bool check_reads(struct kv_read *r, size_t m)
{
	bool good = true;

	for (size_t i = 0; i < m; i++)
		good &= rc_ok(check_key(r[i].partition, r[i].key, NULL));
	return good;
}

void kv_write_then_read(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r, size_t m)
{
	int64_t since_us = mono_us();

	assert(!on_loop() && n <= KV_WRITES_MAX && m <= KV_WRITES_MAX);
	if (!kv->ops->write_then_read || !check_reads(r, m) || !check_many(kv, w, n)) {
		kv_write_many(kv, w, n);
		read_one_by_one(kv, r, m);
		return;
	}
	kv->ops->write_then_read(kv, w, n, r, m);
	for (size_t i = 0; i < n; i++)
		IGNORE_RC(counted(OP_WRITE_THEN_READ, w[i].result));
	for (size_t i = 0; i < m; i++)
		IGNORE_RC(counted(OP_GET, r[i].result));
	metric_observe_us(metrics.seconds[OP_WRITE_THEN_READ], mono_us() - since_us);
}

bool kv_has_guarded(const struct kv *kv)
{
	return kv->ops->set_guarded != NULL;
}

rc kv_iter_next(struct kv_iter *it, struct kv_entry *ret, bool *ret_end, struct err *reterr)
{
	assert(!on_loop());
	*ret_end = false;
	return it->ops->next(it, ret, ret_end, reterr);
}

rc kv_iter_seek(struct kv_iter *it, struct str from, struct err *reterr)
{
	assert(!on_loop());
	return it->ops->seek(it, from, reterr);
}

void kv_iter_close(struct kv_iter *it)
{
	if (it)
		it->ops->close(it);
}

void kv_iter_closep(struct kv_iter **it)
{
	kv_iter_close(*it);
	*it = NULL;
}

void kv_free(struct kv *kv)
{
	if (kv)
		kv->ops->free(kv);
}
