/* JSON bodies: read, bounded, and taken apart; what is wrong with them in the words of lakeFS's validator. */
#include "api/rest.h"

rc api_bad_body(struct api_req *r, const char *schema, const char *key, const char *what)
{
	return err_set(&r->err, ERR_INVALID,
		       "request body has an error: doesn't match schema%s%s: %s%s%s%s",
		       schema ? " #/components/schemas/" : "", schema ? schema : "",
		       key ? "Error at \"/" : "", key ? key : "", key ? "\": " : "", what);
}

static rc missing(struct api_req *r, const char *schema, const char *key)
{
	return err_set(&r->err, ERR_INVALID,
		       "request body has an error: doesn't match schema #/components/schemas/%s: Error at "
		       "\"/%s\": property \"%s\" is missing",
		       schema, key, key);
}

rc api_body_object(struct api_req *r, const char *schema)
{
	if (r->doc && json_type(r->doc) != JSON_OBJECT)
		return api_bad_body(r, schema, NULL, "value must be an object");
	return RC_OK;
}

rc api_body_there(struct api_req *r, const char *schema, const char *key)
{
	return json_member(r->doc, key) ? RC_OK : missing(r, schema, key);
}

rc api_body_str(struct api_req *r, const char *schema, const char *key, bool required, struct str *ret)
{
	struct json *j = json_member(r->doc, key);

	*ret = json_str(j);
	if (!j)
		return required ? missing(r, schema, key) : RC_OK;
	if (json_type(j) != JSON_STRING)
		return api_bad_body(r, schema, key, "value must be a string");
	return RC_OK;
}

rc api_body_bool(struct api_req *r, const char *schema, const char *key, bool *ret)
{
	struct json *j = json_member(r->doc, key);

	*ret = json_bool(j);
	if (j && json_type(j) != JSON_BOOL)
		return api_bad_body(r, schema, key, "value must be a boolean");
	return RC_OK;
}

rc api_body_int(struct api_req *r, const char *schema, const char *key, bool required, int64_t *ret,
		bool *ret_there)
{
	struct json *j = json_member(r->doc, key);

	*ret = json_int(j);
	*ret_there = j != NULL;
	if (!j)
		return required ? missing(r, schema, key) : RC_OK;
	if (json_type(j) != JSON_INT)
		return api_bad_body(r, schema, key, "value must be an integer");
	return RC_OK;
}

rc api_json_metadata(struct api_req *r, const struct json *j, const char *key, struct meta **ret,
		     size_t *ret_n)
{
	struct json *map = json_member(j, key);
	size_t n = json_count(map);

	*ret = arena_alloc(r->a, n * sizeof(**ret) + 1);
	*ret_n = 0;
	if (!map || json_type(map) == JSON_NULL)
		return RC_OK;
	if (json_type(map) != JSON_OBJECT)
		return api_bad_body(r, NULL, key, "value must be an object");
	for (size_t i = 0; i < n; i++) {
		struct meta *m = &(*ret)[i];
		struct json *value = json_member_at(map, i, &m->key);

		if (json_type(value) != JSON_STRING)
			return api_bad_body(r, NULL, key, "value must be a string");
		m->value = json_str(value);
	}
	*ret_n = meta_sort(*ret, n);
	return RC_OK;
}

struct slurp {
	struct api_req *r;
	void (*next)(struct api_req *r);
};

static void slurp_on(void *ud)
{
	struct slurp *s = ud;
	struct api_req *r = s->r;
	enum body_state state;
	size_t n;

	do {
		char *to = buf_reserve(&r->body, 16384);

		if (!to) {
			api_done(r, err_set(&r->err, ERR_EntityTooLarge,
					    "the request's body has more than %zu bytes", API_BODY_MAX));
			return;
		}
		state = body_pull(r->stream, to, 16384, &n, &r->err);
		if (state == BODY_MORE)
			r->body.n += n;
	} while (state == BODY_MORE);
	if (state == BODY_WAIT)
		body_arm(r->stream, slurp_on, s);
	else if (state == BODY_FAIL)
		api_done(r, (rc){r->err.code});
	else
		s->next(r);
}

void api_slurp(struct api_req *r, void (*next)(struct api_req *r))
{
	struct slurp *s = ARENA_NEW(r->a, struct slurp);

	r->stream = body_max_new(r->a, http_req_body(r->http), API_BODY_MAX);
	*s = (struct slurp){.r = r, .next = next};
	slurp_on(s);
}
