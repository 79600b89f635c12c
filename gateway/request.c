#include "gateway/s3.h"

const struct s3_param *s3_param(const struct s3_req *r, const char *key)
{
	struct str k = str_c(key);

	for (size_t i = 0; i < r->params_n; i++)
		if (str_eq(r->params[i].key, k))
			return &r->params[i];
	return NULL;
}

struct str s3_query(const struct s3_req *r, const char *key)
{
	const struct s3_param *p = s3_param(r, key);

	return p ? p->value : STR_NONE;
}

struct str s3_header(const struct s3_req *r, const char *name)
{
	struct str want = str_c(name);

	for (size_t i = 0; i < r->headers_n; i++)
		if (str_eq(r->headers[i].name, want))
			return r->headers[i].value;
	return STR_NONE;
}

rc s3_query_u64(struct s3_req *r, const char *key, uint64_t def, uint64_t max, uint64_t *ret)
{
	struct str v = s3_query(r, key);

	*ret = def;
	if (v.n == 0)
		return RC_OK;
	if (v.p[0] == '-' && str_to_u64(str_skip(v, 1), ret))
		return err_argument(&r->err, key, v,
				    "Argument %s must be an integer between 0 and 2147483647", key);
	if (!str_to_u64(v, ret) || *ret > INT32_MAX)
		return err_argument(&r->err, key, v,
				    "Provided %s not an integer or within integer range", key);
	if (*ret > max)
		*ret = max;
	return RC_OK;
}

struct vcall s3_vcall(struct s3_req *r)
{
	return (struct vcall){
		.v = r->g->o.versions, .a = r->a, .wait = r->wait, .err = &r->err};
}
