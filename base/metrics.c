/* Families are kept sorted by name; within one, metrics in the order of their first use. One lock
 * guards the lists and is never taken by an update. */
#include "base/metrics.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	BUCKETS = 16,
	HASH = 1024,
	METRICS_MAX = 20000, /* label combinations; past it, one that isn't shown takes the rest */
};

static const struct {
	int64_t us;
	const char *le;
} bucket_bounds[BUCKETS] = {
	{500, "0.0005"},   {1000, "0.001"},   {2500, "0.0025"},	 {5000, "0.005"},
	{10000, "0.01"},   {25000, "0.025"},  {50000, "0.05"},	 {100000, "0.1"},
	{250000, "0.25"},  {500000, "0.5"},   {1000000, "1"},	 {2500000, "2.5"},
	{5000000, "5"},	   {10000000, "10"},  {30000000, "30"},	 {60000000, "60"},
};

struct metric {
	enum metric_kind kind;
	const char *labels; /* "" for none */
	struct family *family;
	struct metric *next, *same_hash;
	_Atomic int64_t value; /* histogram: the sum in microseconds */
	_Atomic int64_t *buckets; /* histogram: BUCKETS and the rest, not cumulative */
};

struct family {
	enum metric_kind kind;
	const char *name, *help;
	struct metric *first, **last;
	struct family *next;
};

static struct {
	pthread_mutex_t mutex;
	struct family *families;
	struct metric *by_hash[HASH];
	unsigned n;
} locked = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void *must_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort();
	return p;
}

static char *must_dup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(must_alloc(n), s, n);
}

/* FNV-1a */
static unsigned hash_of(const char *name, const char *labels)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	for (; *labels; labels++)
		h = (h ^ (unsigned char)*labels) * 16777619u;
	return h % HASH;
}

static struct family *family_locked(enum metric_kind kind, const char *name, const char *help)
{
	struct family **at = &locked.families, *f;

	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	if (*at && strcmp((*at)->name, name) == 0)
		return *at;
	f = must_alloc(sizeof(*f));
	*f = (struct family){.kind = kind, .name = must_dup(name), .help = must_dup(help)};
	f->last = &f->first;
	f->next = *at;
	return *at = f;
}

static struct metric *metric_new(enum metric_kind kind, const char *labels)
{
	struct metric *m = must_alloc(sizeof(*m));

	m->kind = kind;
	m->labels = must_dup(labels);
	if (kind == METRIC_HISTOGRAM)
		m->buckets = must_alloc((BUCKETS + 1) * sizeof(*m->buckets));
	return m;
}

static struct metric *overflow_locked(enum metric_kind kind)
{
	static struct metric *rest[METRIC_HISTOGRAM + 1];

	if (!rest[kind])
		rest[kind] = metric_new(kind, "");
	return rest[kind];
}

static struct metric *get_locked(enum metric_kind kind, const char *name, const char *help,
				 const char *labels)
{
	unsigned h = hash_of(name, labels);
	struct metric *m;

	for (m = locked.by_hash[h]; m; m = m->same_hash)
		if (strcmp(m->family->name, name) == 0 && strcmp(m->labels, labels) == 0)
			return m;
	if (locked.n == METRICS_MAX)
		return overflow_locked(kind);
	locked.n++;
	m = metric_new(kind, labels);
	m->family = family_locked(kind, name, help);
	assert(m->family->kind == kind);
	m->same_hash = locked.by_hash[h];
	locked.by_hash[h] = m;
	*m->family->last = m;
	m->family->last = &m->next;
	return m;
}

struct metric *metric_get(enum metric_kind kind, const char *name, const char *help,
			  const char *labels)
{
	struct metric *m;

	pthread_mutex_lock(&locked.mutex);
	m = get_locked(kind, name, help, labels ? labels : "");
	pthread_mutex_unlock(&locked.mutex);
	return m;
}

void metric_add(struct metric *m, int64_t n)
{
	assert(m->kind == METRIC_GAUGE || (m->kind == METRIC_COUNTER && n >= 0));
	atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_outcome(struct metric *slots[2], const char *name, const char *help, const char *operation,
		    bool failed)
{
	struct metric *m = __atomic_load_n(&slots[failed], __ATOMIC_ACQUIRE);
	char labels[128];

	if (!m) {
		snprintf(labels, sizeof(labels), "operation=\"%s\",outcome=\"%s\"", operation,
			 failed ? "error" : "ok");
		m = metric_get(METRIC_COUNTER, name, help, labels);
		__atomic_store_n(&slots[failed], m, __ATOMIC_RELEASE);
	}
	metric_add(m, 1);
}

void metric_set(struct metric *m, int64_t v)
{
	assert(m->kind == METRIC_GAUGE);
	atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

void metric_observe_us(struct metric *m, int64_t us)
{
	int i = 0;

	assert(m->kind == METRIC_HISTOGRAM);
	while (i < BUCKETS && us > bucket_bounds[i].us)
		i++;
	atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->value, us, memory_order_relaxed);
}

int64_t metric_value(const struct metric *m)
{
	int64_t n = 0;

	if (m->kind != METRIC_HISTOGRAM)
		return atomic_load_explicit(&m->value, memory_order_relaxed);
	for (int i = 0; i <= BUCKETS; i++)
		n += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
	return n;
}

static void write_histogram(struct buf *out, const struct metric *m)
{
	const char *name = m->family->name, *comma = *m->labels ? "," : "";
	const char *open = *m->labels ? "{" : "", *close = *m->labels ? "}" : "";
	int64_t n = 0, us = atomic_load_explicit(&m->value, memory_order_relaxed);

	for (int i = 0; i <= BUCKETS; i++) {
		n += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRId64 "\n", name, m->labels, comma,
			   i < BUCKETS ? bucket_bounds[i].le : "+Inf", n);
	}
	buf_printf(out, "%s_sum%s%s%s %.6f\n", name, open, m->labels, close, (double)us / 1e6);
	buf_printf(out, "%s_count%s%s%s %" PRId64 "\n", name, open, m->labels, close, n);
}

static void write_metric(struct buf *out, const struct metric *m)
{
	if (m->kind == METRIC_HISTOGRAM)
		write_histogram(out, m);
	else if (*m->labels)
		buf_printf(out, "%s{%s} %" PRId64 "\n", m->family->name, m->labels, metric_value(m));
	else
		buf_printf(out, "%s %" PRId64 "\n", m->family->name, metric_value(m));
}

static void write_head(struct buf *out, const char *name, const char *help, const char *type)
{
	buf_printf(out, "# HELP %s ", name);
	for (; *help; help++) {
		if (*help == '\\' || *help == '\n')
			buf_add_c(out, '\\');
		buf_add_c(out, *help == '\n' ? 'n' : *help);
	}
	buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

static void write_process_metric(struct buf *out, const char *name, const char *help,
				 const char *type, double v)
{
	write_head(out, name, help, type);
	buf_printf(out, "%s %.*f\n", name, v == (double)(int64_t)v ? 0 : 6, v);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and d's own */
}

/* proc(5): the 22nd field of stat counts clock ticks since boot; the second may hold anything. */
static double start_time(void)
{
	FILE *f = fopen("/proc/self/stat", "re");
	char line[1024];
	unsigned long long ticks = 0;
	struct timespec boot;
	size_t n;
	char *p;

	if (!f)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = 0;
	p = strrchr(line, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return 0;
	ticks = strtoull(p, NULL, 10);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)wall_now().s - (double)boot.tv_sec +
	       (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void write_process(struct buf *out)
{
	write_process_metric(out, "process_cpu_seconds_total", "User and system CPU time spent.",
			     "counter", cpu_seconds());
	write_process_metric(out, "process_resident_memory_bytes", "Resident memory size.", "gauge",
			     resident_bytes());
	write_process_metric(out, "process_open_fds", "Open file descriptors.", "gauge", open_fds());
	write_process_metric(out, "process_start_time_seconds", "Start time since the epoch.",
			     "gauge", start_time());
}

void metrics_write(struct buf *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	pthread_mutex_lock(&locked.mutex);
	for (struct family *f = locked.families; f; f = f->next) {
		write_head(out, f->name, f->help, types[f->kind]);
		for (struct metric *m = f->first; m; m = m->next)
			write_metric(out, m);
	}
	pthread_mutex_unlock(&locked.mutex);
	write_process(out);
}
