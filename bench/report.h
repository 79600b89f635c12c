/* What a run was like: latencies, errors, and what it cost the server (from /proc). */
#pragma once

#include "bench/bench.h"

struct latencies {
	uint32_t *us;
	size_t n, cap;
};

struct results {
	struct latencies latencies; /* of operations that succeeded */
	uint64_t errors, reconnects;
	char first_error[512];
};

/* CPU time used so far and the peak of memory; all 0 where pid isn't known or gone. */
struct usage {
	double server_cpu_s, client_cpu_s;
	uint64_t peak_kib;
};
struct usage usage_now(long pid);

void latencies_add(struct latencies *l, int64_t us);
/* Sorted; q from 0 to 1. */
uint32_t latencies_quantile(const struct latencies *l, double q);
void latencies_sort(struct latencies *l);
void latencies_deinit(struct latencies *l);

/* One line. bytes_per_op: of objects. */
void report_print(const struct bench_options *o, struct results *r, double seconds,
		  uint64_t bytes_per_op, const struct usage *before, const struct usage *after);
