/* A filter that counts. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/filter.h"
#include "base/clock.h"
#include "base/metrics.h"

enum kind { PUT, PART, GET, HEAD, REMOVE, LIST, COPY, MULTIPART, SWEEP, PROBE, PRESIGN, KINDS };

static const char *const names[KINDS] = {
	[PUT] = "put",	 [PART] = "part", [GET] = "get",	       [HEAD] = "head",	  [REMOVE] = "remove",
	[LIST] = "list", [COPY] = "copy", [MULTIPART] = "multipart", [SWEEP] = "sweep", [PROBE] = "probe",
	[PRESIGN] = "presign",
};

static const enum kind kinds[FILTER_OPS] = {
	[FILTER_OPEN_WRITER] = PUT,	 [FILTER_WRITE] = PUT,
	[FILTER_COMMIT] = PUT,		 [FILTER_OPEN_PART] = PART,
	[FILTER_WRITE_PART] = PART,	 [FILTER_COMMIT_PART] = PART,
	[FILTER_READ] = GET,		 [FILTER_OPEN_READER] = GET,
	[FILTER_READ_NEXT] = GET,	 [FILTER_OPEN_FILE] = GET,
	[FILTER_OPEN_FILE_NOWAIT] = GET, [FILTER_HEAD] = HEAD,
	[FILTER_REMOVE] = REMOVE,	 [FILTER_LIST] = LIST,
	[FILTER_COPY] = COPY,		 [FILTER_MPU_CREATE] = MULTIPART,
	[FILTER_MPU_COMPLETE] = MULTIPART, [FILTER_MPU_ABORT] = MULTIPART,
	[FILTER_MPU_COPY_PART] = PART,	 [FILTER_SWEEP] = SWEEP,
	[FILTER_PROBE] = PROBE,		 [FILTER_PRESIGN] = PRESIGN,
};

struct counted {
	struct filter f;
	struct metric *read, *written, *flying;
	/* Made when first needed. */
	_Atomic(struct metric *) calls[KINDS][2], seconds[KINDS];
};

struct str backend_metric_label(struct arena *a, struct str id)
{
	char *p = arena_alloc(a, 2 * id.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < id.n; i++) {
		if (id.p[i] == '"' || id.p[i] == '\\')
			p[n++] = '\\';
		p[n++] = id.p[i];
	}
	return arena_printf(a, "store=\"" STR_FMT "\"", STR_ARG(str_make(p, n)));
}

static struct metric *get(struct counted *m, enum metric_kind kind, const char *name, const char *help,
			  const char *more)
{
	struct arena *a = arena_new();
	struct str label = backend_metric_label(a, m->f.b.id);
	struct metric *got = metric_get(kind, name, help, arena_printf(a, STR_FMT "%s", STR_ARG(label), more).p);

	arena_free(a);
	return got;
}

static struct metric *calls_of(struct counted *m, enum kind k, bool failed)
{
	struct metric *got = atomic_load_explicit(&m->calls[k][failed], memory_order_acquire);
	char more[64];

	if (got)
		return got;
	snprintf(more, sizeof(more), ",operation=\"%s\",outcome=\"%s\"", names[k], failed ? "error" : "ok");
	got = get(m, METRIC_COUNTER, "sluice_store_calls_total", "Calls of stores.", more);
	atomic_store_explicit(&m->calls[k][failed], got, memory_order_release);
	return got;
}

static struct metric *seconds_of(struct counted *m, enum kind k)
{
	struct metric *got = atomic_load_explicit(&m->seconds[k], memory_order_acquire);
	char more[64];

	if (got)
		return got;
	snprintf(more, sizeof(more), ",operation=\"%s\"", names[k]);
	got = get(m, METRIC_HISTOGRAM, "sluice_store_call_seconds", "How long calls of stores take.", more);
	atomic_store_explicit(&m->seconds[k], got, memory_order_release);
	return got;
}

static rc before(struct filter *f, struct filter_call *c, struct err *reterr)
{
	struct counted *m = CONTAINER(f, struct counted, f);

	metric_add(m->flying, 1);
	c->began_us = mono_us();
	return RC_OK;
}

/* What the store was asked and has answered is no failure of its. */
static bool is_failure(rc r)
{
	switch (r.code) {
	case ERR_NONE:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_InvalidRange:
	case ERR_WOULD_BLOCK:
		return false;
	default:
		return true;
	}
}

static rc after(struct filter *f, struct filter_call *c, rc result, struct err *reterr)
{
	struct counted *m = CONTAINER(f, struct counted, f);
	enum kind k = kinds[c->op];

	metric_add(m->flying, -1);
	if (rc_is(result, WOULD_BLOCK))
		return result;
	metric_observe_us(seconds_of(m, k), mono_us() - c->began_us);
	metric_add(calls_of(m, k, is_failure(result)), 1);
	if (rc_ok(result) && c->bytes)
		metric_add(k == GET ? m->read : m->written, (int64_t)c->bytes);
	return result;
}

static void counted_free(struct filter *f)
{
	free(CONTAINER(f, struct counted, f));
}

static const struct filter_hooks hooks = {.before = before, .after = after, .free = counted_free};

struct backend *backend_metrics_new(struct backend *next)
{
	struct counted *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	filter_init(&m->f, next, &hooks);
	m->read = get(m, METRIC_COUNTER, "sluice_store_read_bytes_total", "Bytes read from stores.", "");
	m->written = get(m, METRIC_COUNTER, "sluice_store_written_bytes_total", "Bytes written to stores.", "");
	m->flying = get(m, METRIC_GAUGE, "sluice_store_calls_in_flight", "Calls of stores under way.", "");
	return &m->f.b;
}
