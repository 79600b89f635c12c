/* /openapi.json: the operations that are served, no more and no fewer, for what makes clients of such a
 * description. From routes.def, describe.def and schemas.def. */
#include "api/describe.h"

static struct str lower(struct api_req *r, const char *method)
{
	struct buf b = BUF_INIT(16);
	struct str s;

	for (; *method; method++)
		buf_add_c(&b, (char)(*method | 0x20));
	s = arena_dup(r->a, buf_str(&b));
	buf_deinit(&b);
	return s;
}

static void show_operation(struct api_req *r, const struct api_route *o)
{
	struct str method = lower(r, o->method);

	jw_object(&r->w, method.p);
	jw_str(&r->w, "operationId", str_c(o->name));
	if (o->permits[0].on == ON_PUBLIC) {
		jw_array(&r->w, "security");
		jw_end_array(&r->w);
	}
	describe_operation(r, o);
	jw_end_object(&r->w);
}

static bool shown_before(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(api_routes[k].path, api_routes[i].path))
			return true;
	return false;
}

static void show_paths(struct api_req *r)
{
	jw_object(&r->w, "paths");
	for (size_t i = 0; i < API_OPS; i++) {
		if (shown_before(i) || api_routes[i].path[0] != '/')
			continue;
		jw_object(&r->w, api_routes[i].path);
		for (size_t k = i; k < API_OPS; k++)
			if (!strcmp(api_routes[k].path, api_routes[i].path))
				show_operation(r, &api_routes[k]);
		jw_end_object(&r->w);
	}
	jw_end_object(&r->w);
}

static void show_security(struct api_req *r)
{
	jw_object(&r->w, "components");
	describe_schemas(&r->w);
	jw_object(&r->w, "securitySchemes");
	jw_object(&r->w, "basic_auth");
	jw_str(&r->w, "scheme", STR("basic"));
	jw_str(&r->w, "type", STR("http"));
	jw_end_object(&r->w);
	jw_object(&r->w, "jwt_token");
	jw_str(&r->w, "bearerFormat", STR("JWT"));
	jw_str(&r->w, "scheme", STR("bearer"));
	jw_str(&r->w, "type", STR("http"));
	jw_end_object(&r->w);
	jw_end_object(&r->w);
	jw_end_object(&r->w);
	jw_array(&r->w, "security");
	jw_object(&r->w, NULL);
	jw_array(&r->w, "basic_auth");
	jw_end_array(&r->w);
	jw_end_object(&r->w);
	jw_object(&r->w, NULL);
	jw_array(&r->w, "jwt_token");
	jw_end_array(&r->w);
	jw_end_object(&r->w);
	jw_end_array(&r->w);
}

static void describe(struct api_req *r)
{
	api_begin(r);
	jw_str(&r->w, "openapi", STR("3.0.3"));
	jw_object(&r->w, "info");
	jw_str(&r->w, "title", STR("lakeFS API, as sluice serves it"));
	jw_str(&r->w, "version", STR(SLUICE_VERSION));
	jw_end_object(&r->w);
	jw_array(&r->w, "servers");
	jw_object(&r->w, NULL);
	jw_str(&r->w, "url", STR("/api/v1"));
	jw_end_object(&r->w);
	jw_end_array(&r->w);
	show_security(r);
	show_paths(r);
	api_end(r);
}

bool api_page_of(struct api_req *r)
{
	struct str target = http_req_target(r->http), method = http_req_method(r->http);

	if (!str_eq(str_head(target, str_index(target, '?')), STR("/openapi.json")) ||
	    !(str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"))))
		return false;
	describe(r);
	http_req_log(r->http, STR("openapi"), STR_NONE, STR_NONE);
	api_reply_json(r, 200);
	return true;
}
