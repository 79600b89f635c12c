/* How many requests of whom we know were answered, by months: lakeFS's usage report. Counted in memory, and added to the KV
 * when it is asked for, by hygiene, and when the server stops; what a crash loses is what was counted since.
 *
 * KV: partition "usage", key usage/monthly/<installation>/<YYYYMM>, value a decimal number, which all processes add to. */
#pragma once

#include "versions/versions.h"

/* Thread-safe; never blocks. */
void usage_count(struct versions *v);

/* Adds what was counted to the month of now_s. Workers; what can't be written is counted again. */
rc usage_flush(struct vcall *c, int64_t now_s);

struct usage_month {
	int year, month;
	uint64_t count;
};

enum { USAGE_MONTHS_MAX = 1200 };

/* Ascending, at most USAGE_MONTHS_MAX; *ret_id: the installation's. NOT_FOUND: it has none, so nothing is counted. */
rc usage_list(struct vcall *c, struct str *ret_id, struct usage_month **ret, size_t *ret_n);
