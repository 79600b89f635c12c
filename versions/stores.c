#include "versions/stores.h"

#include <stdlib.h>

#include "backends/filters.h"
#include "base/metrics.h"
#include "versions/internal.h"

enum { PAGE = 500 };

static const char *state_name(enum backend_state s)
{
	return s == BACKEND_OK ? "ok" : s == BACKEND_FAILING ? "failing" : "down";
}

static struct str copied(struct arena *a, struct str s)
{
	return s.p ? arena_dup(a, s) : STR("");
}

static struct store_info info_of(struct arena *a, const struct registry_store *s, bool is_default)
{
	unsigned caps = s->b->caps;
	struct backend_health h;

	backend_health(s->b, &h);
	return (struct store_info){
		.id = arena_dup(a, s->b->id),
		.type = str_c(s->b->type),
		.description = copied(a, s->description),
		.namespace_prefix = s->namespace_prefix.p ? arena_dup(a, s->namespace_prefix) : STR_NONE,
		.presign = caps & BACKEND_CAP_PRESIGN,
		.presign_pages = (caps & BACKEND_CAP_PRESIGN) && s->b->presigning.pages,
		.presign_parts = caps & BACKEND_CAP_PRESIGN_PART,
		.is_default = is_default,
		.state = state_name(h.state),
		.since_s = h.since_s,
		.reason = h.state == BACKEND_OK ? STR("") : arena_dup(a, str_c(h.reason)),
	};
}

void stores_list(struct vcall *c, struct store_info **ret, size_t *ret_n)
{
	struct registry *stores = versions_registry(c->v);
	const struct registry_store *fallback = registry_fallback(stores);
	size_t n = registry_count(stores);
	struct store_info *list = arena_alloc(c->a, n * sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = info_of(c->a, registry_at(stores, i), registry_at(stores, i) == fallback);
	registry_unref(stores);
	*ret = list;
	*ret_n = n;
}

const struct store_info *stores_default(const struct store_info *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].is_default)
			return &list[i];
	return NULL;
}

/* Surveys. */

struct survey {
	struct store_info *list;
	size_t n, cap;
};

static const char *const gone = "the configuration lacks it: put it back into blockstores.stores, or delete "
				"its repositories";
static const char *const nameless = "these repositories name no store: mark theirs as backward_compatible";

static size_t place(struct vcall *c, struct survey *s, struct str id)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->list[i].id, id))
			return i;
	if (s->n == s->cap) {
		size_t cap = 2 * s->cap + 8;
		struct store_info *list = arena_alloc(c->a, cap * sizeof(*list));

		if (s->n)
			memcpy(list, s->list, s->n * sizeof(*list));
		s->list = list;
		s->cap = cap;
	}
	s->list[s->n] = (struct store_info){
		.id = arena_dup(c->a, id),
		.type = STR(""),
		.description = STR(""),
		.namespace_prefix = STR_NONE,
		.missing = true,
		.state = "missing",
		.reason = str_c(id.n ? gone : nameless),
	};
	return s->n++;
}

static void count(struct vcall *c, struct survey *s, const struct repo *r)
{
	size_t at = place(c, s, r->storage_id); /* may move the list */
	struct store_info *i = &s->list[at];
	struct str *ids;

	i->repositories++;
	if (!i->missing || i->repository_ids_n == STORE_REPOS_TOLD)
		return;
	if (!i->repository_ids)
		i->repository_ids = arena_alloc(c->a, STORE_REPOS_TOLD * sizeof(*ids));
	ids = (struct str *)(uintptr_t)i->repository_ids;
	ids[i->repository_ids_n++] = arena_dup(c->a, r->id);
}

/* One page; its records go at once, since there may be many. */
static rc count_page(struct vcall *c, struct survey *s, struct str *after, bool *ret_more)
{
	struct arena *a = arena_new();
	struct vcall own = *c;
	struct repo *list;
	size_t n;
	rc r;

	own.a = a;
	r = repo_list(&own, STR(""), *after, PAGE, &list, &n, ret_more);
	for (size_t i = 0; rc_ok(r) && i < n; i++)
		count(c, s, &list[i]);
	if (rc_ok(r) && n)
		*after = arena_dup(c->a, list[n - 1].id);
	arena_free(a);
	return r;
}

/* A store that comes back, or goes, is told under both. */
static void tell_metrics(struct arena *a, const struct survey *s)
{
	static const char name[] = "sluice_store_repositories",
			  help[] = "Repositories on a store, which the configuration may lack (configured=\"false\").";

	for (size_t i = 0; i < s->n; i++) {
		const struct store_info *one = &s->list[i];
		struct str label = backend_metric_label(a, one->id);

		for (int configured = 0; configured < 2; configured++)
			metric_set(metric_get(METRIC_GAUGE, name, help,
					      arena_printf(a, STR_FMT ",configured=\"%s\"", STR_ARG(label),
							   configured ? "true" : "false").p),
				   configured == !one->missing ? one->repositories : 0);
	}
}

rc stores_survey(struct vcall *c, struct store_info **ret, size_t *ret_n)
{
	struct survey s = {0};
	struct str after = STR_NONE;
	bool more = true;

	stores_list(c, &s.list, &s.n);
	s.cap = s.n;
	while (more)
		TRY(count_page(c, &s, &after, &more));
	tell_metrics(c->a, &s);
	*ret = s.list;
	*ret_n = s.n;
	return RC_OK;
}

/* Checks. */

struct walk {
	bool (*visit)(void *ud, const struct repo *r);
	void *ud;
	char from[KV_KEY_MAX + 1]; /* the next page begins here */
	size_t from_n;
	bool end;
};

/* One record; what can't be read is fsck's to tell. */
static bool visit_record(struct walk *w, struct str value)
{
	struct arena *a = arena_new();
	struct repo r;
	bool on = !rc_ok(repo_decode(value, a, &r, NULL)) || w->visit(w->ud, &r);

	arena_free(a);
	return on;
}

static rc visit_page(struct kv *kv, struct walk *w, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;

	TRY(kv_scan(kv, PARTITION_GRAVELER, str_make(w->from, w->from_n), PAGE, &it, reterr));
	for (size_t n = 0; n < PAGE; n++) {
		TRY(kv_iter_next(it, &e, &w->end, reterr));
		w->end = w->end || !str_starts(e.key, STR("repos/")) || !visit_record(w, e.value);
		if (w->end)
			return RC_OK;
		memcpy(w->from, e.key.p, e.key.n); /* and a NUL: the key after it */
		w->from[e.key.n] = 0;
		w->from_n = e.key.n + 1;
	}
	return RC_OK;
}

rc stores_each_repo(struct kv *kv, bool (*visit)(void *ud, const struct repo *r), void *ud,
		    struct err *reterr)
{
	struct walk w = {.visit = visit, .ud = ud, .from = "repos/", .from_n = sizeof("repos/") - 1};

	while (!w.end)
		TRY(visit_page(kv, &w, reterr));
	return RC_OK;
}

struct nameless {
	struct arena *a;
	struct str repo;
};

static bool until_nameless(void *ud, const struct repo *r)
{
	struct nameless *n = ud;

	if (r->storage_id.n)
		return true;
	n->repo = arena_dup(n->a, r->id);
	return false;
}

rc stores_check(struct kv *kv, struct registry *stores, struct err *reterr)
{
	struct nameless n = {.a = arena_new(), .repo = STR_NONE};
	struct backend *b;
	rc r = RC_OK;

	if (!rc_ok(registry_get(stores, STR(""), &b, NULL)))
		r = stores_each_repo(kv, until_nameless, &n, reterr);
	if (rc_ok(r) && n.repo.p)
		r = err_set(reterr, ERR_CONFIG,
			    "blockstores.stores: repository \"" STR_FMT
			    "\" was made before there were several stores and names none: set "
			    "backward_compatible: true for the store that was blockstore before",
			    STR_ARG(n.repo));
	arena_free(n.a);
	return r;
}
