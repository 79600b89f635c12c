#include "bench/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LATENCIES = 100 * 1000 * 1000 };

void latencies_add(struct latencies *l, int64_t us)
{
	if (l->n == MAX_LATENCIES)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap * 2 + 4096;
		l->us = realloc(l->us, l->cap * sizeof(*l->us));
		if (!l->us)
			abort();
	}
	l->us[l->n++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void latencies_sort(struct latencies *l)
{
	if (l->n)
		qsort(l->us, l->n, sizeof(*l->us), compare);
}

uint32_t latencies_quantile(const struct latencies *l, double q)
{
	size_t at = (size_t)(q * (double)l->n);

	assert(q >= 0 && q <= 1);
	if (!l->n)
		return 0;
	return l->us[at < l->n ? at : l->n - 1];
}

void latencies_deinit(struct latencies *l)
{
	free(l->us);
	*l = (struct latencies){};
}

/* All its threads', those that ended as well. */
static double server_cpu_s(long pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid((pid_t)pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t peak_kib(long pid)
{
	unsigned long long kib = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct usage usage_now(long pid)
{
	struct rusage self;

	getrusage(RUSAGE_SELF, &self);
	return (struct usage){
		.server_cpu_s = pid ? server_cpu_s(pid) : 0,
		.client_cpu_s = seconds_of(self.ru_utime) + seconds_of(self.ru_stime),
		.peak_kib = pid ? peak_kib(pid) : 0,
	};
}

struct figures {
	double ops_s, mib_s, p50_ms, p99_ms, max_ms, server_us, server_s, client_us, peak_mib;
};

static struct figures figures_of(struct results *r, double seconds, uint64_t bytes_per_op,
				 const struct usage *before, const struct usage *after)
{
	double n = (double)r->latencies.n, all = n + (double)r->errors;
	struct figures f = {};

	latencies_sort(&r->latencies);
	f.p50_ms = latencies_quantile(&r->latencies, .5) / 1e3;
	f.p99_ms = latencies_quantile(&r->latencies, .99) / 1e3;
	f.max_ms = latencies_quantile(&r->latencies, 1) / 1e3;
	f.server_s = after->server_cpu_s - before->server_cpu_s;
	f.peak_mib = (double)after->peak_kib / 1024;
	if (seconds > 0) {
		f.ops_s = n / seconds;
		f.mib_s = n * (double)bytes_per_op / seconds / (1 << 20);
	}
	if (all > 0) {
		f.server_us = f.server_s * 1e6 / all;
		f.client_us = (after->client_cpu_s - before->client_cpu_s) * 1e6 / all;
	}
	return f;
}

static void print_json(const struct bench_options *o, const struct results *r,
		       const struct figures *f, double seconds)
{
	printf("{\"op\":\"%s\",\"size\":%llu,\"connections\":%u,\"signed\":%s,\"ops\":%zu,"
	       "\"errors\":%llu,\"reconnects\":%llu,\"seconds\":%.3f,\"ops_per_s\":%.1f,"
	       "\"mib_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
	       "\"client_cpu_us_per_op\":%.1f",
	       bench_op_names[o->op], (unsigned long long)o->size, o->connections,
	       o->signed_payload ? "true" : "false", r->latencies.n,
	       (unsigned long long)r->errors, (unsigned long long)r->reconnects, seconds, f->ops_s,
	       f->mib_s, f->p50_ms, f->p99_ms, f->max_ms, f->client_us);
	if (o->pid)
		printf(",\"server_cpu_s\":%.3f,\"server_cpu_us_per_op\":%.1f,\"server_peak_mib\":%.1f",
		       f->server_s, f->server_us, f->peak_mib);
	puts("}");
}

static void print_text(const struct bench_options *o, const struct results *r,
		       const struct figures *f)
{
	printf("%-9s %10llu B x%-3u %9.1f ops/s %8.1f MiB/s  p50 %8.3f ms  p99 %8.3f ms  "
	       "errors %llu  client %.0f us/op",
	       bench_op_names[o->op], (unsigned long long)o->size, o->connections, f->ops_s,
	       f->mib_s, f->p50_ms, f->p99_ms, (unsigned long long)r->errors, f->client_us);
	if (o->pid)
		printf("  server %.0f us/op, peak %.1f MiB", f->server_us, f->peak_mib);
	putchar('\n');
}

void report_print(const struct bench_options *o, struct results *r, double seconds,
		  uint64_t bytes_per_op, const struct usage *before, const struct usage *after)
{
	struct figures f = figures_of(r, seconds, bytes_per_op, before, after);

	if (o->json)
		print_json(o, r, &f, seconds);
	else
		print_text(o, r, &f);
	if (r->errors)
		fprintf(stderr, "first error: %s\n", r->first_error);
}
