#include "api/rest.h"

#define ROUTE(name, ...) extern const struct api_handlers handlers_##name;
#include "api/routes.def"
#undef ROUTE

#define PERMIT(action, on) {ON_##on, action},
#define PUBLIC {ON_PUBLIC, NULL},
#define VISITOR {ON_VISITOR, NULL},
#define AUTHENTICATED {ON_AUTHENTICATED, NULL},
#define COUNT(...) (sizeof((const struct api_permit[]){__VA_ARGS__}) / sizeof(struct api_permit))

const struct api_route api_routes[API_OPS] = {
#define ROUTE(rname, rmethod, rpath, rstatus, rflags, rpermits)                                    \
	[API_##rname] = {                                                                          \
		.id = API_##rname,                                                                 \
		.name = #rname,                                                                    \
		.method = #rmethod,                                                                \
		.path = rpath,                                                                     \
		.status = rstatus,                                                                 \
		.flags = rflags,                                                                   \
		.permits = {rpermits},                                                             \
		.permits_n = COUNT(rpermits),                                                      \
		.handlers = &handlers_##rname,                                                     \
	},
#include "api/routes.def"
};

static const char *const resources[] = {
	[ON_PUBLIC] = "anybody",	  [ON_AUTHENTICATED] = "any user",
	[ON_SOMEWHERE] = "each repository", [ON_REPO] = "repository",
	[ON_BRANCH] = "branch",		  [ON_REF] = "branch",
	[ON_TAG] = "tag",		  [ON_OBJECT] = "object",
	[ON_OBJECTS] = "every object",
	[ON_NAMESPACE] = "namespace",	  [ON_EACH] = "each object",
	[ON_VISITOR] = "anybody",	  [ON_ALL] = "everything",
	[ON_USER] = "user",		  [ON_GROUP] = "group",
	[ON_POLICY] = "policy",		  [ON_ACL_POLICY] = "the group's policy",
	[ON_PRINCIPAL] = "external principal",
};

void api_reference(struct buf *out)
{
	buf_add_cstr(out, "# REST operations\n\n"
			  "Made from `api/routes.def` by `sluice reference rest`. Paths are below `/api/v1`; what begins "
			  "with `?Action=` are AWS STS's queries, at `/`, signed for the service `sts`.\n\n"
			  "| operation | method | path | permission |\n|---|---|---|---|\n");
	for (size_t i = 0; i < API_OPS; i++) {
		const struct api_route *o = &api_routes[i];

		buf_printf(out, "| %s | %s | %s | ", o->name, o->method, o->path);
		for (size_t k = 0; k < o->permits_n; k++) {
			const struct api_permit *p = &o->permits[k];

			buf_printf(out, "%s%s%s%s", k ? ", " : "", p->action ? p->action : "",
				   p->action ? " on " : "", resources[p->on]);
		}
		buf_add_cstr(out, " |\n");
	}
}
