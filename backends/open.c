#include "backends/open.h"

#include "backends/azure.h"
#include "backends/filters.h"
#include "backends/gcs.h"
#include "backends/s3.h"

/* As many as s3.max_retries has by default; the others have no key for it. */
enum { REMOTE_RETRIES = 5 };

#define AZURE_DOMAIN "blob.core.windows.net"

struct opening {
	const struct conf *c;
	const struct conf_store *s;
	struct work_pool *shared;
};

static rc open_mem(const struct opening *o, struct backend **ret, struct err *reterr)
{
	*ret = backend_mem_new(o->s->id, o->shared);
	return RC_OK;
}

static rc open_local(const struct opening *o, struct backend **ret, struct err *reterr)
{
	return backend_local_open(
		&(struct backend_local_options){
			.id = o->s->id,
			.path = o->s->local.path,
			.pool = o->shared,
			.sync = true,
			.direct_bytes = (uint64_t)o->c->server.direct_io_bytes,
		},
		ret, reterr);
}

static struct remote_options remote_options(const struct opening *o, unsigned max_retries)
{
	return (struct remote_options){
		.id = o->s->id,
		.workers = (unsigned)o->c->server.stores.connections,
		.queue = (size_t)o->c->server.stores.queue,
		.max_retries = max_retries,
	};
}

/* The filters above have it from the store. */
static void presigning(struct backend *b, int64_t expiry_ms, bool no_pages)
{
	b->presigning.life_s = expiry_ms / 1000;
	b->presigning.pages = !no_pages;
}

static rc open_s3(const struct opening *o, struct backend **ret, struct err *reterr)
{
	const struct conf_store *s = o->s;
	struct remote_options remote = remote_options(o, (unsigned)s->s3.max_retries);

	remote.insecure = s->s3.skip_verify_certificate_test_only;
	remote.log_retries = s->s3.client_log_retries;
	remote.log_requests = s->s3.client_log_request;
	TRY(backend_s3_open(
		&(struct backend_s3_options){
			.remote = remote,
			.credentials = {.access_key = s->s3.credentials.access_key_id,
					.secret = s->s3.credentials.secret_access_key,
					.token = s->s3.credentials.session_token,
					.profile = s->s3.profile,
					.credentials_file = s->s3.credentials_file,
					.region = s->s3.region,
					.session_s = s->s3.web_identity.session_duration / 1000,
					.window_s = s->s3.web_identity.session_expiry_window / 1000},
			.endpoint = s->s3.endpoint,
			.region = s->s3.region,
			.pre_signed_endpoint = s->s3.pre_signed_endpoint,
			.server_side_encryption = s->s3.server_side_encryption,
			.server_side_encryption_kms_key_id = s->s3.server_side_encryption_kms_key_id,
			.force_path_style = s->s3.force_path_style,
			.discover_bucket_region = s->s3.discover_bucket_region,
			.disable_pre_signed = s->s3.disable_pre_signed,
			.disable_pre_signed_multipart = s->s3.disable_pre_signed_multipart,
		},
		ret, reterr));
	presigning(*ret, s->s3.pre_signed_expiry, s->s3.disable_pre_signed_ui);
	return RC_OK;
}

static rc open_azure(const struct opening *o, struct backend **ret, struct err *reterr)
{
	const struct conf_store *s = o->s;

	TRY(backend_azure_open(
		&(struct backend_azure_options){
			.remote = remote_options(o, REMOTE_RETRIES),
			.account = s->azure.storage_account,
			.key = s->azure.storage_access_key,
			.domain = s->azure.china_cloud && str_eq(s->azure.domain, STR(AZURE_DOMAIN))
					  ? STR("blob.core.chinacloudapi.cn")
					  : s->azure.domain,
			.endpoint = s->azure.test_endpoint_url,
			.try_ms = (unsigned)s->azure.try_timeout,
			.no_presign = s->azure.disable_pre_signed,
		},
		ret, reterr));
	presigning(*ret, s->azure.pre_signed_expiry, s->azure.disable_pre_signed_ui);
	return RC_OK;
}

static rc open_gs(const struct opening *o, struct backend **ret, struct err *reterr)
{
	const struct conf_store *s = o->s;

	TRY(backend_gcs_open(
		&(struct backend_gcs_options){
			.remote = remote_options(o, REMOTE_RETRIES),
			.endpoint = s->gs.endpoint,
			.credentials_file = s->gs.credentials_file,
			.credentials_json = s->gs.credentials_json,
			.data_credentials_file = s->gs.data_credentials_file,
			.data_credentials_json = s->gs.data_credentials_json,
			.kms_key = s->gs.server_side_encryption_kms_key_id,
			.customer_key = s->gs.server_side_encryption_customer_supplied,
			.disable_pre_signed = s->gs.disable_pre_signed,
		},
		ret, reterr));
	presigning(*ret, s->gs.pre_signed_expiry, s->gs.disable_pre_signed_ui);
	return RC_OK;
}

static const struct {
	const char *type;
	rc (*open)(const struct opening *o, struct backend **ret, struct err *reterr);
} kinds[] = {{"mem", open_mem}, {"local", open_local}, {"s3", open_s3}, {"azure", open_azure}, {"gs", open_gs}};

static rc open_bare(const struct opening *o, struct backend **ret, struct err *reterr)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_eq(o->s->type, str_c(kinds[i].type)))
			return kinds[i].open(o, ret, reterr);
	return err_set(reterr, ERR_CONFIG, "this version has no stores of type \"" STR_FMT "\"",
		       STR_ARG(o->s->type));
}

/* Memory doesn't hang; a disk that does takes nothing from others where there are none. */
bool store_is_limited(const struct conf *c, struct str type)
{
	if (str_eq(type, STR("mem")))
		return false;
	return !str_eq(type, STR("local")) || c->blockstores.stores_n > 1;
}

/* metrics > limit > health > retry > the store: what limit refuses is no news of the store's health, and
 * all that is refused is counted. */
static struct backend *filtered(const struct opening *o, struct backend *b)
{
	const struct conf *c = o->c;
	const struct backend_health_options health = {
		.down_after = (unsigned)c->server.stores.down_after,
		.probe_ms = (unsigned)c->server.stores.probe_interval,
	};
	const struct backend_limit_options limit = {
		.share = (unsigned)c->server.stores.share,
		.patience_ms = (unsigned)c->server.stores.patience,
		.own_pool = b->own_pool,
	};

	/* Remote ones try again themselves. */
	if ((b->caps & BACKEND_CAP_BLOCKING) && c->server.stores.local_retries)
		b = backend_retry_new(b, (unsigned)c->server.stores.local_retries);
	b = backend_health_new(b, &health);
	if (store_is_limited(c, str_c(b->type)))
		b = backend_limit_new(b, &limit);
	return backend_metrics_new(b);
}

rc store_open_configured(const struct conf *c, const struct conf_store *s, struct work_pool *shared,
			 struct backend **ret, struct err *reterr)
{
	const struct opening o = {c, s, shared};
	struct backend *b;

	TRY(open_bare(&o, &b, reterr));
	*ret = filtered(&o, b);
	return RC_OK;
}
