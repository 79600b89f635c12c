/* Objects: list, by pages. */
#include "backends/gcs_priv.h"

enum { PAGE = 1000 };

struct listing {
	struct gcs *s;
	struct arena *a;
	struct str bucket, space, prefix, after; /* the last as the bucket's key; "" none */
	bool own;
	struct str token;
	struct backend_list_entry *v;
	size_t n, max;
	bool more;
};

/* startOffset is inclusive, so `after` itself may come. */
static rc add(struct listing *l, const struct remote_call *c, const struct json *item,
	      struct err *reterr)
{
	struct str name = json_str(json_member(item, "name"));
	struct backend_list_entry *e = &l->v[l->n];

	if (str_cmp(name, l->after) <= 0 && l->after.n)
		return RC_OK;
	if (!str_starts(name, l->space))
		return err_set(reterr, ERR_IO,
			       "gs://" STR_FMT ": the listing has what wasn't asked for",
			       STR_ARG(l->bucket));
	if (name.n == l->space.n) /* the folder's own mark */
		return RC_OK;
	if (!l->own && str_starts(str_skip(name, l->space.n), STR(GCS_OWN)))
		return RC_OK;
	if (l->n == l->max) {
		l->more = true;
		return RC_OK;
	}
	if (l->n && str_cmp(l->v[l->n - 1].key, str_skip(name, l->space.n)) >= 0)
		return err_set(reterr, ERR_IO,
			       "gs://" STR_FMT ": the store doesn't list in the order of bytes",
			       STR_ARG(l->bucket));
	TRY(gcs_stat_of(&l->s->r, c, item, l->a, &e->stat, reterr));
	e->key = arena_dup(l->a, str_skip(name, l->space.n));
	l->n++;
	return RC_OK;
}

static rc page(struct listing *l, struct err *reterr)
{
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;
	struct json *j, *items;
	rc r;

	gcs_call(l->s, &c, a, "GET", l->bucket, STR_NONE, "/o");
	c.repeatable = true;
	/* One for `after` itself, one to know whether there are more. */
	remote_query(&c, "maxResults",
		     arena_printf(a, "%zu", l->max + 2 < PAGE ? l->max + 2 : (size_t)PAGE));
	remote_query(&c, "fields", STR("nextPageToken,items(name,size,updated,generation)"));
	if (l->prefix.n)
		remote_query(&c, "prefix", l->prefix);
	if (l->after.n)
		remote_query(&c, "startOffset", l->after);
	if (l->token.n)
		remote_query(&c, "pageToken", l->token);
	r = remote_ask(&l->s->r, &c, NULL, &w, reterr);
	if (rc_ok(r))
		r = gcs_document(&l->s->r, &c, &w, &j, reterr);
	if (rc_ok(r)) {
		items = json_member(j, "items");
		for (size_t i = 0; rc_ok(r) && i < json_count(items); i++)
			r = add(l, &c, json_at(items, i), reterr);
		l->token = json_str(json_member(j, "nextPageToken"));
		l->token = l->token.n ? arena_dup(l->a, l->token) : STR_NONE;
	}
	arena_free(a);
	return r;
}

rc gcs_list_all(struct gcs *s, struct str space, struct str prefix, struct str after, size_t max,
		bool own, struct arena *a, struct backend_list_entry **ret, size_t *ret_n,
		bool *ret_more, struct err *reterr)
{
	struct listing l = {.s = s, .a = a, .max = max, .own = own, .after = STR("")};

	TRY(gcs_space(a, space, &l.bucket, &l.space, reterr));
	l.prefix = arena_join(a, (struct str[]){l.space, prefix}, 2);
	if (after.n)
		l.after = arena_join(a, (struct str[]){l.space, after}, 2);
	l.v = arena_zalloc(a, (max + 1) * sizeof(*l.v));
	do
		TRY(page(&l, reterr));
	while (l.token.n && !l.more);
	*ret = l.v;
	*ret_n = l.n;
	*ret_more = l.more;
	return RC_OK;
}

rc gcs_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	    struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	    struct err *reterr)
{
	return gcs_list_all(gcs_of(b), space, prefix, after, max, false, a, ret, ret_n, ret_more,
			    reterr);
}
