/* Metrics: counters, gauges and histograms in Prometheus's text exposition format 0.0.4.
 *
 * Each is defined once, statically, and registers itself at its first use; updates are relaxed
 * atomics, cheap enough for every request. Labels are fixed at definition: a family with labels has
 * one metric for each combination that is used, made by metric_child (cached by the caller).
 */
#pragma once

#include "base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric;
/* Same name and labels: same metric. labels as they stand between the braces, for example
 * `operation="GetObject",code="200"`, or NULL. Never freed. Histogram: seconds, buckets from
 * 0.5 ms to 60 s. */
struct metric *metric_get(enum metric_kind kind, const char *name, const char *help,
			  const char *labels);
void metric_add(struct metric *m, int64_t n);
/* Counts one more of an operation, by how it ended: counter `name` with labels operation and outcome ("ok",
 * "error"). slots: two pointers of the caller's for this operation, static and NULL at first. Any thread. */
void metric_outcome(struct metric *slots[2], const char *name, const char *help, const char *operation,
		    bool failed);
void metric_set(struct metric *m, int64_t v);
void metric_observe_us(struct metric *m, int64_t us);
int64_t metric_value(const struct metric *m); /* a histogram's count */
/* All of them, and the process's own (process_cpu_seconds_total, process_resident_memory_bytes,
 * process_open_fds, process_start_time_seconds). */
void metrics_write(struct buf *out);
