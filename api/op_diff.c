/* Differences: of two refs, and of a branch's staging from its commit. */
#include "api/rest.h"
#include "versions/compare.h"

struct diff_page {
	struct api_page page;
	struct str delimiter;
	bool two_dot, right_stats;
};

static rc parse_branch(struct api_req *r)
{
	struct diff_page *d = ARENA_NEW(r->a, struct diff_page);

	r->op_state = d;
	d->delimiter = api_query(r, "delimiter");
	return api_query_page(r, &d->page);
}

static rc parse_refs(struct api_req *r)
{
	struct str type = api_query(r, "type");
	struct diff_page *d;

	TRY(parse_branch(r));
	d = r->op_state;
	d->two_dot = str_eq(type, STR("two_dot"));
	if (type.p && !d->two_dot && !str_eq(type, STR("three_dot")))
		return err_set(&r->err, ERR_INVALID,
			       "parameter \"type\" in query has an error: value is not one of the allowed "
			       "values [\"two_dot\",\"three_dot\"]");
	return api_query_bool(r, "include_right_stats", false, &d->right_stats);
}

static const char *type_name(const struct compare_item *i)
{
	static const char *const names[] = {[DIFF_ADDED] = "added",
					    [DIFF_REMOVED] = "removed",
					    [DIFF_CHANGED] = "changed",
					    [DIFF_CONFLICT] = "conflict"};

	return i->is_prefix ? "prefix_changed" : names[i->type];
}

static void show_stats(struct json_out *w, const struct entry *e)
{
	jw_object(w, "right");
	jw_str(w, "checksum", e->etag);
	jw_str(w, "content_type", api_content_type(e));
	api_show_meta(w, "metadata", e->metadata, e->metadata_n);
	jw_int(w, "mtime", e->modified.s);
	jw_end_object(w);
}

/* What was removed is told by what it was. */
static void show(struct api_req *r, const struct diff_page *d, const struct compare_item *i)
{
	const struct entry *e = i->has_right ? &i->right : &i->left;

	jw_object(&r->w, NULL);
	jw_str(&r->w, "path", i->path);
	jw_str(&r->w, "path_type", i->is_prefix ? STR("common_prefix") : STR("object"));
	if (!i->is_prefix && d->right_stats)
		show_stats(&r->w, e);
	if (!i->is_prefix)
		jw_int(&r->w, "size_bytes", e->size);
	jw_str(&r->w, "type", str_c(type_name(i)));
	jw_end_object(&r->w);
}

static struct compare_request request(const struct diff_page *d)
{
	return (struct compare_request){
		.prefix = d->page.prefix,
		.delimiter = d->delimiter.n ? d->delimiter : STR_NONE,
		.after = d->page.after,
		.max = d->page.amount,
	};
}

static void show_page(struct api_req *r, const struct compare_page *p)
{
	api_page_begin(r);
	for (size_t i = 0; i < p->n; i++)
		show(r, r->op_state, &p->items[i]);
	api_page_end(r, p->n, p->truncated, p->next);
}

static rc run_branch(struct api_req *r)
{
	struct compare_request q = request(r->op_state);
	struct vcall c = api_vcall(r);
	struct compare_page page;

	TRY(compare_uncommitted(&c, &r->repo, r->branch, &q, &page));
	show_page(r, &page);
	return RC_OK;
}

const struct api_handlers handlers_diffBranch = {.parse = parse_branch, .run = run_branch};

static rc check_ref(struct api_req *r, struct str ref, const char *as)
{
	struct vcall c = api_vcall(r);
	struct ref found;
	rc res = ref_resolve(&c, &r->repo, ref, &found);

	if (rc_is(res, NOT_FOUND))
		return err_set(&r->err, ERR_NOT_FOUND, "get commit by %s " STR_FMT ": not found", as,
			       STR_ARG(str_head(ref, 200)));
	return res;
}

static rc run_refs(struct api_req *r)
{
	struct diff_page *d = r->op_state;
	struct compare_request q = request(d);
	struct vcall c = api_vcall(r);
	struct compare_page page;

	TRY(check_ref(r, r->ref, "branch"));
	TRY(check_ref(r, r->other_ref, "ref"));
	TRY(compare_refs(&c, &r->repo, r->ref, r->other_ref, !d->two_dot, &q, &page));
	show_page(r, &page);
	return RC_OK;
}

const struct api_handlers handlers_diffRefs = {.parse = parse_refs, .run = run_refs};
