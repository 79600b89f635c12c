/* From a request's target to its row, the names in its path and its parameters. */
#include "api/rest.h"
#include "base/encode.h"

#define ROOT STR("/api/v1")

bool api_owns(struct str target)
{
	struct str path = str_head(target, str_index(target, '?'));

	return str_eq(path, ROOT) || str_starts(path, STR("/api/v1/")) || str_eq(path, STR("/openapi.json"));
}

static rc bad_query(struct api_req *r, const char *why)
{
	return err_set(&r->err, ERR_INVALID, "the request's query %s", why);
}

rc api_parse_params(struct api_req *r, struct str query)
{
	size_t max = 1;

	for (size_t i = 0; i < query.n; i++)
		max += query.p[i] == '&';
	if (max > API_PARAMS_MAX)
		return bad_query(r, "has too many parameters");
	r->params = arena_alloc(r->a, max * sizeof(*r->params));
	while (query.n) {
		struct str value, pair = str_cut(query, '&', &query);
		struct api_param *p = &r->params[r->params_n];

		if (pair.n == 0)
			continue;
		p->key = str_cut(pair, '=', &value);
		if (!uri_decode(r->a, p->key, true, &p->key) ||
		    !uri_decode(r->a, value.p ? value : STR(""), true, &p->value))
			return bad_query(r, "has a malformed percent-encoding");
		if (!str_is_utf8(p->key) || !str_is_utf8(p->value))
			return bad_query(r, "is not valid UTF-8");
		r->params_n++;
	}
	return RC_OK;
}

/* Where a component of the path goes. */
static struct str *member(struct api_req *r, struct str name)
{
	static const struct {
		const char *name;
		size_t at;
	} members[] = {
		{"repository", offsetof(struct api_req, repository)},
		{"branch", offsetof(struct api_req, branch)},
		{"ref", offsetof(struct api_req, ref)},
		{"other_ref", offsetof(struct api_req, other_ref)},
		{"tag", offsetof(struct api_req, tag)},
		{"id", offsetof(struct api_req, id)},
		{"user_id", offsetof(struct api_req, user_id)},
		{"group_id", offsetof(struct api_req, group_id)},
		{"policy_id", offsetof(struct api_req, policy_id)},
		{"access_key", offsetof(struct api_req, access_key)},
		{"sub", offsetof(struct api_req, sub)},
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (str_eq(name, str_c(members[i].name)))
			return (struct str *)((char *)r + members[i].at);
	return NULL;
}

static bool is_name(struct str component)
{
	return component.n > 2 && component.p[0] == '{';
}

static bool matches(struct str path, struct str pattern)
{
	while (path.p && pattern.p) {
		struct str have = str_cut(path, '/', &path), want = str_cut(pattern, '/', &pattern);

		if (is_name(want) ? have.n == 0 : !str_eq(have, want))
			return false;
	}
	return !path.p && !pattern.p;
}

static rc take_names(struct api_req *r, struct str path, struct str pattern)
{
	while (path.p && pattern.p) {
		struct str have = str_cut(path, '/', &path), want = str_cut(pattern, '/', &pattern), *to;

		if (!is_name(want))
			continue;
		to = member(r, str_head(str_skip(want, 1), want.n - 2));
		if (!uri_decode(r->a, have, false, to) || !str_is_utf8(*to))
			return err_set(&r->err, ERR_INVALID,
				       "the request's path has a malformed percent-encoding, or isn't UTF-8");
	}
	return RC_OK;
}

rc api_route(struct api_req *r)
{
	struct str query, path = str_cut(http_req_target(r->http), '?', &query);
	struct str method = http_req_method(r->http);

	path = str_skip(path, ROOT.n);
	for (size_t i = 0; i < API_OPS && path.n; i++) {
		const struct api_route *o = &api_routes[i];

		if (!str_eq(method, str_c(o->method)) || !matches(path, str_c(o->path)))
			continue;
		r->route = o;
		TRY(take_names(r, path, str_c(o->path)));
		return query.p ? api_parse_params(r, query) : RC_OK;
	}
	return err_set(&r->err, ERR_NOT_FOUND, "invalid API endpoint");
}
