/* healthCheck and getConfig. */
#include "api/rest.h"

const struct api_handlers handlers_healthCheck = {0};

/* What a namespace on such a store begins with. */
static const char *scheme_of(struct str type)
{
	static const struct {
		const char *type, *scheme;
	} kinds[] = {{"azure", "https"}, {"gs", "gs"}, {"s3", "s3"}, {"mem", "mem"}, {"local", "local"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_eq(type, str_c(kinds[i].type)))
			return kinds[i].scheme;
	return "local";
}

static void show_store(struct api_req *r, const char *key, const struct api_store *s)
{
	const char *scheme = scheme_of(s->type);
	struct str regex = arena_printf(r->a, "^%s://", scheme);

	jw_object(&r->w, key);
	jw_str(&r->w, "blockstore_description", s->description.p ? s->description : STR(""));
	jw_str(&r->w, "blockstore_id", s->id);
	jw_str(&r->w, "blockstore_namespace_ValidityRegex", regex);
	jw_str(&r->w, "blockstore_namespace_example", arena_printf(r->a, "%s://example-bucket/", scheme));
	jw_str(&r->w, "blockstore_type", s->type);
	jw_str(&r->w, "default_namespace_prefix", s->namespace_prefix.p ? s->namespace_prefix : STR(""));
	jw_bool(&r->w, "import_support", false);
	jw_str(&r->w, "import_validity_regex", regex);
	jw_bool(&r->w, "pre_sign_multipart_upload", false);
	jw_bool(&r->w, "pre_sign_support", false);
	jw_bool(&r->w, "pre_sign_support_ui", false);
	jw_end_object(&r->w);
}

static void show_stores(struct api_req *r)
{
	const struct api_options *o = &r->x->o;

	/* Clients die without one (API.md 1.4): of several, the first stands for those without a default. */
	show_store(r, "storage_config", o->default_store ? o->default_store : &o->stores[0]);
	jw_array(&r->w, "storage_config_list");
	for (size_t i = 0; i < o->stores_n && o->stores_n > 1; i++)
		show_store(r, NULL, &o->stores[i]);
	jw_end_array(&r->w);
}

/* lakectl warns of any other version_context than lakeFS's. */
static void get_config(struct api_req *r)
{
	api_begin(r);
	jw_object(&r->w, "capabilities_config");
	jw_end_object(&r->w);
	show_stores(r);
	jw_object(&r->w, "ui_config");
	jw_end_object(&r->w);
	jw_object(&r->w, "version_config");
	jw_str(&r->w, "version", STR(SLUICE_VERSION));
	jw_str(&r->w, "version_context", STR("lakeFS"));
	jw_end_object(&r->w);
	api_end(r);
	api_reply_json(r, 200);
}

const struct api_handlers handlers_getConfig = {.reply = get_config};
