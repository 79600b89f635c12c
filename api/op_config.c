/* healthCheck, the config family, and what clients tell and ask of the installation. */
#include "api/rest.h"
#include "versions/link_address.h"
#include "versions/stores.h"
#include "versions/usage.h"

const struct api_handlers handlers_healthCheck = {0};

/* What a namespace on such a store begins with. */
const char *api_scheme(struct str type)
{
	static const struct {
		const char *type, *scheme;
	} kinds[] = {{"azure", "https"}, {"gs", "gs"}, {"s3", "s3"}, {"mem", "mem"}, {"local", "local"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_eq(type, str_c(kinds[i].type)))
			return kinds[i].scheme;
	return "local";
}

static void show_store(struct api_req *r, const char *key, const struct store_info *s)
{
	const char *scheme = api_scheme(s->type);
	bool azure = str_eq(s->type, STR("azure"));
	struct str regex = arena_printf(r->a, "^%s://", azure ? "https?" : scheme);
	struct str example = azure ? STR("https://mystorageaccount.blob.core.windows.net/mycontainer/")
				   : arena_printf(r->a, "%s://example-bucket/", scheme);

	jw_object(&r->w, key);
	jw_str(&r->w, "blockstore_description", s->description);
	jw_str(&r->w, "blockstore_id", s->id);
	jw_str(&r->w, "blockstore_namespace_ValidityRegex", regex);
	jw_str(&r->w, "blockstore_namespace_example", example);
	jw_str(&r->w, "blockstore_type", s->type);
	jw_str(&r->w, "default_namespace_prefix", s->namespace_prefix.p ? s->namespace_prefix : STR(""));
	jw_bool(&r->w, "import_support", false);
	jw_str(&r->w, "import_validity_regex", regex);
	jw_bool(&r->w, "pre_sign_multipart_upload", s->presign_parts);
	jw_bool(&r->w, "pre_sign_support", s->presign);
	jw_bool(&r->w, "pre_sign_support_ui", s->presign_pages);
	jw_end_object(&r->w);
}

struct stores {
	struct store_info *list;
	size_t n;
};

static struct stores stores_of(struct api_req *r)
{
	struct vcall c = api_vcall(r);
	struct stores s;

	stores_list(&c, &s.list, &s.n);
	return s;
}

/* Clients die without one: of several, the first stands for those without a default. */
static const struct store_info *standing(const struct stores *s)
{
	const struct store_info *d = stores_default(s->list, s->n);

	return d ? d : &s->list[0];
}

static bool is_azure(const struct store_info *s)
{
	return str_eq(s->type, STR("azure"));
}

/* The one that clients take for all, who look no further (lakeFS's Python SDK): it can what each of them can. And
 * Azure wants a header with what is put by a presigned URL, which they send where they take the store for one. */
static struct store_info common(const struct stores *s)
{
	struct store_info all = *standing(s);

	for (size_t i = 0; i < s->n; i++) {
		all.presign &= s->list[i].presign && (is_azure(&all) || !is_azure(&s->list[i]));
		all.presign_pages &= s->list[i].presign_pages;
		all.presign_parts &= s->list[i].presign_parts;
	}
	all.presign_pages &= all.presign;
	all.presign_parts &= all.presign;
	return all;
}

/* The list is empty with a single store that has no id. Of one that has, repositories tell the id, and lakeFS's Python SDK
 * and Hadoop client look for it in the list. With several the default is first: clients that look no further take it. */
static void show_stores(struct api_req *r)
{
	struct stores s = stores_of(r);
	const struct store_info *first = standing(&s), all = common(&s);
	bool listed = s.n > 1 || first->id.n > 0;

	show_store(r, "storage_config", &all);
	jw_array(&r->w, "storage_config_list");
	if (listed)
		show_store(r, NULL, first);
	for (size_t i = 0; i < s.n; i++)
		if (&s.list[i] != first)
			show_store(r, NULL, &s.list[i]);
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

static void get_version(struct api_req *r)
{
	api_begin(r);
	jw_str(&r->w, "version", STR(SLUICE_VERSION));
	jw_str(&r->w, "version_context", STR("lakeFS"));
	api_end(r);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getLakeFSVersion = {.reply = get_version};

static void get_storage(struct api_req *r)
{
	struct stores s = stores_of(r);
	struct store_info all = common(&s);

	show_store(r, NULL, &all);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getStorageConfig = {.reply = get_storage};

/* How long an address that was given out may be written to and linked: what collectors must spare. */
static void get_grace(struct api_req *r)
{
	api_begin(r);
	jw_int(&r->w, "grace_period", LINK_ADDRESS_LIFE_S);
	api_end(r);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getGarbageCollectionConfig = {.reply = get_grace};

/* What clients count is looked at for their sake, and dropped: nothing here is told to anybody. */
static rc parse_events(struct api_req *r)
{
	static const char schema[] = "StatsEventsList";
	struct json *list = json_member(r->doc, "events");

	TRY(api_body_object(r, schema));
	TRY(api_body_there(r, schema, "events"));
	if (json_type(list) != JSON_ARRAY)
		return api_bad_body(r, schema, "events", "value must be an array");
	for (size_t i = 0; i < json_count(list); i++) {
		static const char *const keys[] = {"class", "name", "count"};
		struct json *event = json_at(list, i);

		for (size_t k = 0; k < 3; k++) {
			struct json *v = json_member(event, keys[k]);

			if (json_type(v) != (k < 2 ? JSON_STRING : JSON_INT))
				return err_set(&r->err, ERR_INVALID,
					       "request body has an error: doesn't match schema "
					       "#/components/schemas/%s: Error at \"/events/%zu/%s\": property "
					       "\"%s\" is %s",
					       schema, i, keys[k], keys[k], v ? "of another type" : "missing");
			if (k < 2 && !json_str(v).n)
				return err_set(&r->err, ERR_INVALID, "invalid value: %s is required", keys[k]);
			if (k == 2 && json_int(v) < 0)
				return err_set(&r->err, ERR_INVALID,
					       "invalid value: count must be a non-negative integer");
		}
	}
	return RC_OK;
}

const struct api_handlers handlers_postStatsEvents = {.parse = parse_events};

/* The usage report. */

struct report {
	struct str installation;
	struct usage_month *months;
	size_t n;
};

static rc run_report(struct api_req *r)
{
	struct report *u = ARENA_NEW(r->a, struct report);
	struct vcall c = api_vcall(r);
	rc listed;

	r->op_state = u;
	TRY(usage_flush(&c, wall_now().s));
	listed = usage_list(&c, &u->installation, &u->months, &u->n);
	return rc_is(listed, NOT_FOUND) ? err_set(&r->err, ERR_NOT_FOUND, "usage report is not enabled") : listed;
}

static void report_text(struct api_req *r, const struct report *u)
{
	struct str text = arena_printf(r->a, "Usage for installation ID: " STR_FMT "\n", STR_ARG(u->installation));

	for (size_t i = 0; i < u->n; i++)
		text = arena_printf(r->a, STR_FMT "%d-%02d: %12llu\n", STR_ARG(text), u->months[i].year,
				    u->months[i].month, (unsigned long long)u->months[i].count);
	api_add_header(r, "cache-control", STR("no-store, must-revalidate"));
	api_add_header(r, "content-security-policy", STR("default-src 'none'"));
	api_add_header(r, "expires", STR("0"));
	api_add_header(r, "x-frame-options", STR("SAMEORIGIN"));
	api_reply_text(r, r->route->status, text);
}

/* Text for who asks for it and nothing else. */
static void reply_report(struct api_req *r)
{
	const struct report *u = r->op_state;

	if (str_eq(str_trim(api_header(r, "accept")), STR("text/plain"))) {
		report_text(r, u);
		return;
	}
	api_begin(r);
	jw_str(&r->w, "installation_id", u->installation);
	jw_array(&r->w, "reports");
	for (size_t i = 0; i < u->n; i++) {
		jw_object(&r->w, NULL);
		jw_int(&r->w, "count", (int64_t)u->months[i].count);
		jw_int(&r->w, "month", u->months[i].month);
		jw_int(&r->w, "year", u->months[i].year);
		jw_end_object(&r->w);
	}
	jw_end_array(&r->w);
	api_end(r);
	api_reply_json(r, r->route->status);
}

const struct api_handlers handlers_getUsageReportSummary = {.run = run_report, .reply = reply_report};
