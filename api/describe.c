#include "api/describe.h"

#include <stdio.h>

struct description {
	const char *parameters, *body, *answer, *errors;
};

static const struct description descriptions[API_OPS] = {
#define DESCRIBE(name, parameters_, body_, answer_, errors_)                                       \
	[API_##name] = {parameters_, body_, answer_, errors_},
#include "api/describe.def"
#undef DESCRIBE
};

static const struct {
	const char *name, *members;
} schemas[] = {
#define SCHEMA(name, members) {#name, members},
#include "api/schemas.def"
#undef SCHEMA
};

/* Types. */

static void put(struct json_out *w, const char *key, const char *value)
{
	jw_str(w, key, str_c(value));
}

static void scalar(struct json_out *w, struct str type)
{
	static const struct {
		const char *name, *type, *format;
	} scalars[] = {
		{"str", "string", NULL},      {"int", "integer", NULL}, {"i64", "integer", "int64"},
		{"bool", "boolean", NULL},    {"rfc3339", "string", "date-time"},
		{"header", "string", NULL},   {"object", "object", NULL},
	};

	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
		if (!str_eq(type, str_c(scalars[i].name)))
			continue;
		put(w, "type", scalars[i].type);
		if (scalars[i].format)
			put(w, "format", scalars[i].format);
	}
}

static void one_of(struct json_out *w, struct str words)
{
	put(w, "type", "string");
	jw_array(w, "enum");
	while (words.p)
		jw_str(w, NULL, str_cut(words, '|', &words));
	jw_end_array(w);
}

static void reference(struct json_out *w, struct str name)
{
	char to[128];

	snprintf(to, sizeof(to), "#/components/schemas/" STR_FMT, STR_ARG(name));
	put(w, "$ref", to);
}

static void show_type(struct json_out *w, const char *key, struct str type);

static void type_members(struct json_out *w, struct str type)
{
	if (type.p[0] == '[') {
		put(w, "type", "array");
		show_type(w, "items", str_head(str_skip(type, 1), type.n - 2));
	} else if (type.p[0] == '{') {
		put(w, "type", "object");
		show_type(w, "additionalProperties", str_head(str_skip(type, 5), type.n - 6));
	} else if (str_index(type, '|') < type.n) {
		one_of(w, type);
	} else if (type.p[0] >= 'A' && type.p[0] <= 'Z') {
		reference(w, type);
	} else {
		scalar(w, type);
	}
}

static void show_type(struct json_out *w, const char *key, struct str type)
{
	jw_object(w, key);
	type_members(w, type);
	jw_end_object(w);
}

struct member {
	struct str name, type;
	bool required;
};

/* The next of a list; false at its end. */
static bool next_member(struct str *list, struct member *ret)
{
	struct str one = str_trim(str_cut(*list, ',', list));

	if (!one.n)
		return false;
	ret->name = str_cut(one, ' ', &ret->type);
	ret->required = str_ends(ret->name, STR("*"));
	if (ret->required)
		ret->name.n--;
	return true;
}

static void required_names(struct json_out *w, struct str list)
{
	struct member m;
	bool any = false;

	while (next_member(&list, &m)) {
		if (!m.required)
			continue;
		if (!any)
			jw_array(w, "required");
		any = true;
		jw_str(w, NULL, m.name);
	}
	if (any)
		jw_end_array(w);
}

static void show_members(struct json_out *w, struct str list)
{
	struct member m;

	put(w, "type", "object");
	required_names(w, list);
	jw_object(w, "properties");
	while (next_member(&list, &m)) {
		char name[64];

		snprintf(name, sizeof(name), STR_FMT, STR_ARG(m.name));
		show_type(w, name, m.type);
	}
	jw_end_object(w);
}

void describe_schemas(struct json_out *w)
{
	jw_object(w, "schemas");
	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		struct str members = str_c(schemas[i].members);

		jw_object(w, schemas[i].name);
		if (members.p[0] == '[' || members.p[0] == '{' || str_eq(members, STR("object")))
			type_members(w, members);
		else
			show_members(w, members);
		jw_end_object(w);
	}
	jw_end_object(w);
}

/* Parameters. */

static void begin_parameter(struct json_out *w, const char *in, struct str name, bool required)
{
	jw_object(w, NULL);
	put(w, "in", in);
	jw_str(w, "name", name);
	if (required)
		jw_bool(w, "required", true);
}

static void show_page(struct json_out *w)
{
	begin_parameter(w, "query", STR("after"), false);
	show_type(w, "schema", STR("str"));
	jw_end_object(w);
	begin_parameter(w, "query", STR("amount"), false);
	jw_object(w, "schema");
	put(w, "type", "integer");
	jw_int(w, "minimum", -1);
	jw_int(w, "maximum", API_PAGE_MAX);
	jw_int(w, "default", API_PAGE);
	jw_end_object(w);
	jw_end_object(w);
}

static void path_parameters(struct json_out *w, struct str path)
{
	while (path.n) {
		struct str name = str_cut(path, '/', &path);

		if (name.n < 3 || name.p[0] != '{')
			continue;
		begin_parameter(w, "path", str_head(str_skip(name, 1), name.n - 2), true);
		show_type(w, "schema", STR("str"));
		jw_end_object(w);
	}
}

static void show_parameters(struct json_out *w, const struct api_route *o, struct str list)
{
	struct member m;

	jw_array(w, "parameters");
	path_parameters(w, str_c(o->path));
	while (next_member(&list, &m)) {
		bool header = str_eq(m.type, STR("header"));

		if (str_eq(m.name, STR("page"))) {
			show_page(w);
			continue;
		}
		begin_parameter(w, header ? "header" : "query", m.name, m.required);
		show_type(w, "schema", m.type.n ? m.type : STR("str"));
		jw_end_object(w);
	}
	jw_end_array(w);
}

/* Bodies and answers. */

static void content(struct json_out *w, const char *type, struct str schema)
{
	jw_object(w, type);
	show_type(w, "schema", schema);
	jw_end_object(w);
}

static void binary(struct json_out *w, const char *name)
{
	jw_object(w, name);
	put(w, "type", "string");
	put(w, "format", "binary");
	jw_end_object(w);
}

static void bytes(struct json_out *w)
{
	jw_object(w, "application/octet-stream");
	binary(w, "schema");
	jw_end_object(w);
}

static void form(struct json_out *w)
{
	jw_object(w, "multipart/form-data");
	jw_object(w, "schema");
	put(w, "type", "object");
	jw_object(w, "properties");
	binary(w, "content");
	jw_end_object(w);
	jw_end_object(w);
	jw_end_object(w);
}

static void show_body(struct json_out *w, const struct api_route *o, const char *body)
{
	bool upload = !strcmp(body, "upload");

	if (!*body)
		return;
	jw_object(w, "requestBody");
	jw_bool(w, "required", !upload && !(o->flags & R_OPTIONAL));
	jw_object(w, "content");
	if (upload) {
		form(w);
		bytes(w);
	} else {
		content(w, "application/json", str_c(body));
	}
	jw_end_object(w);
	jw_end_object(w);
}

static void show_answer(struct json_out *w, struct str status, const char *answer, const char *what)
{
	char key[8];

	snprintf(key, sizeof(key), STR_FMT, STR_ARG(status));
	jw_object(w, key);
	put(w, "description", what);
	if (*answer) {
		jw_object(w, "content");
		if (!strcmp(answer, "octets"))
			bytes(w);
		else if (!strcmp(answer, "text"))
			content(w, "text/plain", STR("str"));
		else
			content(w, "application/json", str_c(answer));
		jw_end_object(w);
	}
	jw_end_object(w);
}

static void show_error(struct json_out *w, struct str status)
{
	struct str schema, number = str_cut(status, ':', &schema);
	char name[64] = "Error";

	if (schema.p)
		snprintf(name, sizeof(name), STR_FMT, STR_ARG(schema));
	if (str_starts(number, STR("3")))
		show_answer(w, number, "", "it is at the Location");
	else
		show_answer(w, number, name, "an error");
}

static bool below_repository(const struct api_route *o)
{
	return strstr(o->path, "{repository}") != NULL;
}

static void show_responses(struct api_req *r, const struct api_route *o, const struct description *d)
{
	struct str more = str_c(d->errors), status;
	bool refused = str_eq(more, STR("501")) && !*d->answer && !*d->body; /* whatever is asked */

	jw_object(&r->w, "responses");
	if (!refused)
		show_answer(&r->w, arena_printf(r->a, "%d", o->status), d->answer, "success");
	if (below_repository(o) || *d->body || *d->parameters)
		show_error(&r->w, STR("400"));
	if (o->permits[0].on != ON_PUBLIC)
		show_error(&r->w, STR("401"));
	if (below_repository(o) && !(o->flags & R_FORGIVING))
		show_error(&r->w, STR("404"));
	while (more.n) {
		status = str_cut(more, ' ', &more);
		show_error(&r->w, status);
	}
	show_error(&r->w, STR("default"));
	jw_end_object(&r->w);
}

void describe_operation(struct api_req *r, const struct api_route *o)
{
	static const struct description nothing = {"", "", "", ""};
	const struct description *d = descriptions[o->id].answer ? &descriptions[o->id] : &nothing;

	show_parameters(&r->w, o, str_c(d->parameters));
	show_body(&r->w, o, d->body);
	show_responses(r, o, d);
}
