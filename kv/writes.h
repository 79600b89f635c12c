/* Many writes as drivers send them: sorted by key, of several to one key only the last, whose
 * result all of them have. */
#pragma once

#include "kv/kv.h"

/* Those that are to be carried out, by key, then by place in the caller's list. */
struct kv_write **kv_writes_sorted(struct arena *a, struct kv_write *w, size_t n, size_t *ret_n);
/* Whether no later one of the sorted list writes the same key. */
bool kv_writes_last(struct kv_write **list, size_t n, size_t i);
/* Gives earlier writes to a key the result of the last. */
void kv_writes_spread(struct kv_write **list, size_t n);
/* e: why, where r isn't RC_OK. */
void kv_write_settle(struct kv_write *w, rc r, const struct err *e);
