/* Query parameters and headers; what is wrong with them in the words of lakeFS's validator. */
#include "api/rest.h"

struct str api_query(const struct api_req *r, const char *key)
{
	struct str k = str_c(key);

	for (size_t i = 0; i < r->params_n; i++)
		if (str_eq(r->params[i].key, k))
			return r->params[i].value;
	return STR_NONE;
}

size_t api_query_all(struct api_req *r, const char *key, const struct str **ret)
{
	struct str *list = arena_alloc(r->a, (r->params_n + 1) * sizeof(*list)), k = str_c(key);
	size_t n = 0;

	for (size_t i = 0; i < r->params_n; i++)
		if (str_eq(r->params[i].key, k) && r->params[i].value.n)
			list[n++] = r->params[i].value;
	*ret = list;
	return n;
}

struct str api_header(const struct api_req *r, const char *name)
{
	return http_req_header(r->http, name);
}

static rc bad(struct api_req *r, const char *key, const char *what)
{
	return err_set(&r->err, ERR_INVALID, "parameter \"%s\" in query has an error: %s", key, what);
}

rc api_query_required(struct api_req *r, const char *key, struct str *ret)
{
	*ret = api_query(r, key);
	if (!ret->p)
		return bad(r, key, "value is required but missing");
	return ret->n ? RC_OK : bad(r, key, "empty value is not allowed");
}

static bool is_one_of(struct str v, const char *const *words)
{
	for (; *words; words++)
		if (str_eq(v, str_c(*words)))
			return true;
	return false;
}

rc api_query_bool(struct api_req *r, const char *key, bool def, bool *ret)
{
	static const char *const yes[] = {"true", "True", "TRUE", "t", "T", "1", NULL};
	static const char *const no[] = {"false", "False", "FALSE", "f", "F", "0", NULL};
	struct str v = api_query(r, key);

	*ret = v.p ? is_one_of(v, yes) : def;
	if (!v.p || *ret || is_one_of(v, no))
		return RC_OK;
	return err_set(&r->err, ERR_INVALID,
		       "parameter \"%s\" in query has an error: value " STR_FMT ": an invalid boolean: invalid syntax",
		       key, STR_ARG(str_head(v, 100)));
}

static rc amount(struct api_req *r, size_t *ret)
{
	struct str v = api_query(r, "amount");
	bool minus = v.n && v.p[0] == '-';
	uint64_t n = 0;

	*ret = API_PAGE;
	if (!v.p)
		return RC_OK;
	if (!str_to_u64(minus ? str_skip(v, 1) : v, &n))
		return err_set(&r->err, ERR_INVALID,
			       "parameter \"amount\" in query has an error: value " STR_FMT
			       ": an invalid integer: invalid syntax",
			       STR_ARG(str_head(v, 100)));
	if (minus && n > 1)
		return bad(r, "amount", "number must be at least -1");
	if (n > API_PAGE_MAX)
		return bad(r, "amount", "number must be at most 1000");
	if (n && !minus)
		*ret = (size_t)n;
	return RC_OK;
}

rc api_query_page(struct api_req *r, struct api_page *ret)
{
	*ret = (struct api_page){.prefix = api_query(r, "prefix"), .after = api_query(r, "after")};
	if (!ret->prefix.p)
		ret->prefix = STR("");
	if (!ret->after.n)
		ret->after = STR_NONE;
	return amount(r, &ret->amount);
}
