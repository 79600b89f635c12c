/* Exit codes: 0 every operation succeeded, 1 some failed or the server wasn't there, 2 wrong usage. */
#include <stdio.h>

#include "base/clock.h"
#include "bench/load.h"

static int measure(const struct bench_options *o, struct arena *a)
{
	struct usage before, after;
	struct results results = {};
	struct workload w;
	struct err err;
	int64_t begun_us;
	double seconds;
	int code = 1;

	if (!rc_ok(workload_init(&w, o, a, &err))) {
		fprintf(stderr, "sluice-bench: %s\n", err.msg);
		return 2;
	}
	before = usage_now(o->pid);
	begun_us = mono_us();
	if (rc_ok(load_run(&w, &results, &err))) {
		seconds = (double)(mono_us() - begun_us) / 1e6;
		after = usage_now(o->pid);
		report_print(o, &results, seconds, workload_bytes(&w), &before, &after);
		code = results.errors ? 1 : 0;
	} else {
		fprintf(stderr, "sluice-bench: %s\n", err.msg);
	}
	latencies_deinit(&results.latencies);
	return code;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct bench_options o;
	struct err err;
	int code = 2;

	if (rc_ok(bench_options_parse(argc, argv, a, &o, &err))) {
		code = measure(&o, a);
	} else {
		fprintf(stderr, "sluice-bench: %s\n", err.msg);
		bench_usage();
	}
	arena_free(a);
	return code;
}
