/* Entries as they were at one moment, all in memory: the iterator of kv_scan_moment for drivers whose scans are
 * more than one query. The driver adds them ascending, from one query (or under one lock). */
#pragma once

#include "kv/kv.h"

struct kv_moment;

struct kv_moment *kv_moment_new(void);
/* Both are copied. False: it would be more than KV_MOMENT_BYTES. */
bool kv_moment_add(struct kv_moment *m, struct str key, struct str value);
/* Forgets what was added: the query is begun anew. */
void kv_moment_reset(struct kv_moment *m);
/* It is freed with the iterator. */
struct kv_iter *kv_moment_iter(struct kv_moment *m);
void kv_moment_free(struct kv_moment *m);

/* UNSUPPORTED, as kv_scan_moment says it. */
rc kv_moment_too_large(struct err *reterr);
