/* Heads of REST requests: which row each is, what its path and query say, and that nothing in them is taken for what it
 * isn't. */
#include "fuzz/api_request.h"

static bool has_name(const struct api_route *o, const char *name)
{
	return strstr(o->path, name) != NULL;
}

/* A name is there exactly when the row has it. */
static void name_check(const struct request *q, const char *name, struct str value)
{
	MUST((value.p != NULL) == has_name(q->r.route, name));
	MUST(!value.p || (value.n && str_is_utf8(value)));
}

static void row_check(const struct request *q)
{
	const struct api_req *r = &q->r;

	MUST(r->route && r->route->handlers);
	MUST(str_eq(str_c(r->route->method), http_req_method(&q->http)));
	MUST(api_owns(http_req_target(&q->http)));
	name_check(q, "{repository}", r->repository);
	name_check(q, "{branch}", r->branch);
	name_check(q, "{ref}", r->ref);
	name_check(q, "{other_ref}", r->other_ref);
	name_check(q, "{tag}", r->tag);
	name_check(q, "{id}", r->id);
	name_check(q, "{sub}", r->sub);
	name_check(q, "{user_id}", r->user_id);
	name_check(q, "{group_id}", r->group_id);
	name_check(q, "{policy_id}", r->policy_id);
	name_check(q, "{access_key}", r->access_key);
	MUST(r->params_n <= API_PARAMS_MAX);
	for (size_t i = 0; i < r->params_n; i++)
		MUST(str_is_utf8(r->params[i].key) && str_is_utf8(r->params[i].value));
}

static void query_check(struct request *q)
{
	struct api_page page;
	struct str path;
	bool force;
	rc got = api_query_page(&q->r, &page);

	if (rc_ok(got))
		MUST(page.amount >= 1 && page.amount <= API_PAGE_MAX && page.prefix.p && (!page.after.p || page.after.n));
	else
		refusal_check(q, got);
	got = api_query_bool(&q->r, "force", false, &force);
	if (!rc_ok(got))
		refusal_check(q, got);
	got = api_query_required(&q->r, "path", &path);
	if (rc_ok(got))
		MUST(path.n);
	else
		refusal_check(q, got);
}

/* What reads the query alone: it may be repeated. */
static void parse_check(struct request *q)
{
	const struct api_route *o = q->r.route;

	for (unsigned i = 0; i < 2 && o->handlers->parse && !(o->flags & R_JSON); i++) {
		rc got = o->handlers->parse(&q->r);

		if (!rc_ok(got))
			refusal_check(q, got);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request q;
	rc routed;

	request_open(&q);
	if (request_parse(&q, str_make(data, size)) && api_owns(http_req_target(&q.http)) &&
	    !str_starts(http_req_target(&q.http), STR("/openapi.json"))) {
		routed = api_route(&q.r);
		if (rc_ok(routed)) {
			row_check(&q);
			query_check(&q);
			parse_check(&q);
		} else {
			refusal_check(&q, routed);
		}
	}
	request_close(&q);
	return 0;
}
