#include "versions/hygiene.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/metrics.h"
#include "versions/hygiene_kinds.h"
#include "versions/namespace.h"
#include "versions/usage.h"

enum { PAGE = KV_WRITES_MAX, WARNINGS = 20 };

bool sweep_stopped(const struct sweep *s)
{
	return s->o->stop && atomic_load_explicit(s->o->stop, memory_order_relaxed);
}

bool sweep_over(struct sweep *s)
{
	if (s->left == 0)
		s->counts->more = true;
	return s->left == 0 || sweep_stopped(s);
}

void sweep_failed(struct sweep *s, const char *what, struct str name, rc failure,
		  const struct err *err)
{
	if (s->counts->failures == 0) {
		s->first = failure;
		if (s->err)
			*s->err = *err;
	}
	/* The same disk is full for all of them. */
	if (s->counts->failures++ < WARNINGS)
		log_event(LOG_WARN, "hygiene", "not removed", F_CSTR("what", what),
			  F_STR("name", name), F_CSTR("error", err->msg));
}

struct page {
	struct kv_entry *v;
	size_t n;
	bool end;
};

static rc read_page(struct vcall *c, struct str partition, struct str from, struct page *ret)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;

	*ret = (struct page){.v = arena_alloc(c->a, PAGE * sizeof(*ret->v))};
	TRY(kv_scan(c->v->kv, partition, from, PAGE, &it, c->err));
	while (ret->n < PAGE) {
		TRY(kv_iter_next(it, &e, &ret->end, c->err));
		if (ret->end)
			break;
		ret->v[ret->n++] =
			(struct kv_entry){arena_dup(c->a, e.key), arena_dup(c->a, e.value)};
	}
	return RC_OK;
}

static void visit_page(struct sweep *s, struct vcall *c, struct str partition,
		       const struct page *p, sweep_visit *visit, void *ud)
{
	for (size_t i = 0; i < p->n && !sweep_over(s); i++) {
		rc r;

		if (s->resume.p && str_cmp(p->v[i].key, s->resume) < 0)
			continue;
		r = visit(s, c, p->v[i], ud);
		if (!rc_ok(r))
			sweep_failed(s, arena_cstr(c->a, partition), p->v[i].key, r, c->err);
	}
}

void sweep_each(struct sweep *s, struct str partition, sweep_visit *visit, void *ud)
{
	struct arena *before = arena_new();
	struct str from = STR("");
	struct page p = {.end = false};

	while (!p.end && !sweep_over(s)) {
		struct arena *a = arena_new();
		struct err err = {0};
		struct vcall c = {.v = s->o->versions, .a = a, .wait = KV_BLOCK, .err = &err};
		rc r = read_page(&c, partition, from, &p);

		if (!rc_ok(r)) {
			sweep_failed(s, "records", partition, r, &err);
			p.end = true;
		}
		s->resume = STR_NONE;
		visit_page(s, &c, partition, &p, visit, ud);
		if (!p.end) {
			from = key_join(a, p.v[p.n - 1].key, str_make("", 1));
			if (s->resume.p && str_cmp(s->resume, from) > 0)
				from = s->resume;
		}
		arena_free(before); /* what `from` was in */
		before = a;
	}
	arena_free(before);
}

rc sweep_delete(struct sweep *s, struct vcall *c, struct str partition, struct str key)
{
	TRY(kv_delete(c->v->kv, partition, key, c->err));
	if (s->left)
		s->left--;
	return RC_OK;
}

/* How many of the page's keys go: those with the prefix, as far as the bound lets them. */
static size_t choose(struct sweep *s, struct str partition, struct str prefix, const struct page *p,
		     struct kv_write *w, bool *ret_end)
{
	size_t n = 0;

	while (n < p->n && n < s->left && str_starts(p->v[n].key, prefix)) {
		w[n] = (struct kv_write){.partition = partition, .key = p->v[n].key, .remove = true};
		n++;
	}
	*ret_end = n == p->n ? p->end : !str_starts(p->v[n].key, prefix);
	return n;
}

static rc delete_all(struct sweep *s, struct vcall *c, struct kv_write *w, size_t n, size_t *count)
{
	for (size_t i = 0; i < n; i++)
		w[i].err = c->err;
	kv_write_many(c->v->kv, w, n);
	for (size_t i = 0; i < n; i++) {
		TRY(w[i].result);
		s->left--;
		++*count;
	}
	return RC_OK;
}

rc sweep_empty(struct sweep *s, struct vcall *c, struct str partition, struct str prefix,
	       size_t *count, bool *ret_done)
{
	struct kv_write *w = arena_alloc(c->a, KV_WRITES_MAX * sizeof(*w));
	struct arena_mark m = arena_mark(c->a);
	struct page p;

	*ret_done = false;
	while (!*ret_done && !sweep_over(s)) {
		bool end;
		size_t n;

		TRY(read_page(c, partition, prefix.n ? prefix : STR(""), &p));
		n = choose(s, partition, prefix, &p, w, &end);
		TRY(delete_all(s, c, w, n, count));
		arena_rewind(c->a, m);
		*ret_done = end;
	}
	return RC_OK;
}

rc sweep_repo(struct vcall *c, struct str id, struct repo *ret)
{
	struct str raw;

	if (!rc_ok(valid_repo_name(id, NULL)))
		return err_default(c->err, ERR_NOT_FOUND);
	TRY(kv_get(c->v->kv, KV_BLOCK, PARTITION_GRAVELER, key_join(c->a, STR("repos/"), id), c->a,
		   &raw, c->err));
	return repo_decode(raw, c->a, ret, c->err);
}

static rc visit_claim(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	bool removed = false;
	rc r = namespace_expire(c, e.key, e.value, s->now_ms / 1000, &removed);

	s->counts->namespaces += removed;
	s->left -= removed;
	return r;
}

void sweep_namespaces(struct sweep *s)
{
	sweep_each(s, PARTITION_NAMESPACES, visit_claim, NULL);
}

/* What the counters and the log's line show. */
static const struct {
	const char *kind, *labels;
	size_t offset;
} kinds[] = {
#define KIND(member) {#member, "kind=\"" #member "\"", offsetof(struct hygiene_counts, member)}
	KIND(uploads),	     KIND(parts),	KIND(tokens),	     KIND(staged),
	KIND(namespaces),    KIND(tasks),	KIND(store_files), KIND(store_uploads),
#undef KIND
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static size_t count_of(const struct hygiene_counts *n, size_t kind)
{
	return *(const size_t *)((const char *)n + kinds[kind].offset);
}

/* Not removed, but nobody else would bring it to the KV in time. */
static void write_usage(struct sweep *s)
{
	struct arena *a = arena_new();
	struct err err = {0};
	struct vcall c = {.v = s->o->versions, .a = a, .wait = KV_BLOCK, .err = &err};
	rc flushed = usage_flush(&c, s->now_ms / 1000);

	if (!rc_ok(flushed))
		sweep_failed(s, "usage report", STR(""), flushed, &err);
	arena_free(a);
}

static void tell(const struct hygiene_counts *n, int64_t now_ms)
{
	struct log_field fields[KINDS + 1];
	size_t any = 0;

	for (size_t i = 0; i < KINDS; i++) {
		metric_add(metric_get(METRIC_COUNTER, "sluice_hygiene_removed_total",
				      "What nobody would have finished, removed.",
				      kinds[i].labels),
			   (int64_t)count_of(n, i));
		fields[i] = F_INT(kinds[i].kind, (int64_t)count_of(n, i));
		any += count_of(n, i);
	}
	metric_set(metric_get(METRIC_GAUGE, "sluice_hygiene_last_sweep_timestamp_seconds",
			      "When the last sweep ended.", NULL),
		   now_ms / 1000);
	fields[KINDS] = F_INT("failures", (int64_t)n->failures);
	if (any && log_enabled(LOG_INFO))
		log_write(LOG_INFO, "hygiene", "removed what nobody would have finished", fields,
			  KINDS + 1);
}

rc hygiene_sweep(const struct hygiene_options *o, int64_t now_ms, struct hygiene_counts *ret,
		 struct err *reterr)
{
	static void (*const sweeps[])(struct sweep *) = {sweep_uploads, sweep_parts, sweep_tokens,
							 sweep_namespaces, sweep_stores, sweep_tasks, write_usage};
	struct sweep s = {
		.o = o, .now_ms = now_ms, .counts = ret, .first = RC_OK, .err = reterr};

	*ret = (struct hygiene_counts){0};
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]) && !sweep_stopped(&s); i++) {
		s.left = o->max;
		sweeps[i](&s);
	}
	tell(ret, now_ms);
	return s.first;
}
