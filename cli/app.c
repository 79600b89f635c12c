#include "cli/app.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "kv/gate.h"
#include "kv/marks.h"
#include "versions/stores.h"
#include "versions/task.h"
#include "versions/usage.h"

/* Of hygiene: a part that was on its way when its upload ended; removals between two pauses. */
enum { LEASE_MS = 3000, SHARED_TTL_MS = 5000, SHARED_JITTER_MS = 1000, LATE_PARTS_MS = 60 * 60 * 1000, SWEEP_MAX = 10000 };

static rc start_log(const struct conf *c, struct err *reterr)
{
	struct log_options o = {
		.format = str_eq(c->logging.format, STR("json")) ? LOG_JSON : LOG_TEXT,
		.outputs = c->logging.output.v,
		.outputs_n = c->logging.output.n,
		.max_mb = (unsigned)c->logging.file_max_size_mb,
		.keep = (unsigned)c->logging.files_keep,
	};

	if (!log_level_parse(c->logging.level, &o.level))
		return err_set(reterr, ERR_CONFIG, "logging.level: unknown level " STR_FMT,
			       STR_ARG(c->logging.level));
	return log_setup(&o, reterr);
}

bool app_configure(struct app *app, const char *path)
{
	struct conf_findings found = {0};
	struct err err = {0};
	rc loaded;

	*app = (struct app){.a = arena_new()};
	app->conf_path = path ? arena_dup(app->a, str_c(path)) : conf_default_path(app->a);
	loaded = conf_load(app->conf_path, environ, app->a, &found, &app->conf, &err);
	for (size_t i = 0; i < found.n; i++)
		fprintf(stderr, "%s" STR_FMT "\n", found.v[i].warning ? "warning: " : "error: ",
			STR_ARG(conf_finding_line(&found.v[i], app->a)));
	if (rc_ok(loaded))
		loaded = start_log(app->conf, &err);
	else if (found.n)
		return false;
	if (!rc_ok(loaded))
		fprintf(stderr, "error: %s\n", err.msg);
	return rc_ok(loaded);
}

static rc load_again(struct app *app, struct arena *a, struct conf **ret, struct err *reterr)
{
	struct conf_findings found = {0};
	rc loaded = conf_load(app->conf_path, environ, a, &found, ret, reterr);

	for (size_t i = 0; i < found.n && !rc_ok(loaded); i++)
		if (!found.v[i].warning)
			return err_set(reterr, ERR_CONFIG, STR_FMT,
				       STR_ARG(conf_finding_line(&found.v[i], a)));
	return loaded;
}

static struct backend *store_of(struct registry *r, struct str id)
{
	for (size_t i = 0; i < registry_count(r); i++)
		if (str_eq(registry_at(r, i)->b->id, id))
			return registry_at(r, i)->b;
	return NULL;
}

static void tell_change(struct str id, const char *what)
{
	log_event(LOG_INFO, "stores", what, F_STR("store", id));
}

static void tell_changes(struct registry *old, struct registry *now)
{
	for (size_t i = 0; i < registry_count(now); i++) {
		struct backend *b = registry_at(now, i)->b, *was = store_of(old, b->id);

		if (!was)
			tell_change(b->id, "a new store");
		else if (was != b)
			tell_change(b->id, "a store was opened anew, as it is configured now");
	}
	for (size_t i = 0; i < registry_count(old); i++)
		if (!store_of(now, registry_at(old, i)->b->id))
			tell_change(registry_at(old, i)->b->id, "a store was removed");
}

static void take_stores(struct app *app, struct registry *stores)
{
	struct registry *old = app->registry;

	versions_set_registry(app->versions, stores);
	app->registry = stores;
	tell_changes(old, stores);
	registry_unref(old);
}

/* All is looked at before anything is taken. */
static rc take(struct app *app, const struct conf *fresh, struct err *reterr)
{
	struct registry *stores = NULL;
	rc r;

	TRY(registry_open(fresh, app->data, app->registry, &stores, reterr));
	r = stores_check(app->kv, stores, reterr);
	if (rc_ok(r))
		r = start_log(fresh, reterr);
	if (rc_ok(r))
		take_stores(app, stores);
	else
		registry_unref(stores);
	return r;
}

rc app_reload(struct app *app, struct err *reterr)
{
	struct arena *a = arena_new();
	struct conf *fresh = NULL;
	rc done = load_again(app, a, &fresh, reterr);

	if (rc_ok(done))
		done = take(app, fresh, reterr);
	conf_unref(fresh);
	arena_free(a);
	return done;
}

void app_tell_missing_stores(struct app *app)
{
	struct arena *a = arena_new();
	struct err err = {0};
	struct vcall c = {.v = app->versions, .a = a, .wait = KV_BLOCK, .err = &err};
	struct store_info *list;
	size_t n = 0;

	if (!rc_ok(stores_survey(&c, &list, &n)))
		log_event(LOG_ERROR, "stores", "the repositories can't be counted", F_CSTR("error", err.msg));
	for (size_t i = 0; i < n; i++)
		if (list[i].missing)
			log_event(LOG_WARN, "stores",
				  "repositories are on a store that the configuration lacks: they answer 503",
				  F_STR("store", list[i].id), F_INT("repositories", list[i].repositories),
				  F_STR("first", list[i].repository_ids[0]));
	arena_free(a);
}

struct kv_options app_kv_options(const struct conf *c)
{
	return (struct kv_options){
		.type = c->database.type,
		.local = {
			.path = c->database.local.path,
			.sync_writes = c->database.local.sync_writes,
			.block_cache_bytes = (size_t)c->database.local.block_cache_bytes,
			.write_buffer_bytes = (size_t)c->database.local.write_buffer_bytes,
		},
		.postgres = {
			.connection_string = c->database.postgres.connection_string,
			.max_open_connections = (unsigned)c->database.postgres.max_open_connections,
			.max_idle_connections = (unsigned)c->database.postgres.max_idle_connections,
			.connection_max_lifetime_ms = c->database.postgres.connection_max_lifetime,
			.scan_page_size = (size_t)c->database.postgres.scan_page_size,
			.metrics = c->database.postgres.metrics,
		},
		.dynamodb = {
			.table_name = c->database.dynamodb.table_name,
			.endpoint = c->database.dynamodb.endpoint,
			.region = c->database.dynamodb.aws_region,
			.profile = c->database.dynamodb.aws_profile,
			.access_key = c->database.dynamodb.aws_access_key_id,
			.secret = c->database.dynamodb.aws_secret_access_key,
			.scan_limit = (size_t)c->database.dynamodb.scan_limit,
			.max_attempts = (unsigned)c->database.dynamodb.max_attempts,
			.max_connections = (unsigned)c->database.dynamodb.max_connections,
			.health_check_ms = c->database.dynamodb.health_check_interval,
		},
	};
}

/* For those who freeze the database and want to know who still writes. */
static struct str about(struct app *app)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	return arena_printf(app->a, "%s, process %ld, " STR_FMT ", sluice " SLUICE_VERSION, host, (long)getpid(),
			    STR_ARG(app->conf->listen_address));
}

/* The marks come first, then the schema, and only then is something written: a heartbeat, where others may have
 * the KV open, too. */
static rc open_kv(struct app *app, struct err *reterr)
{
	const struct kv_options o = app_kv_options(app->conf);
	struct kv *gate;

	TRY(kv_open(&o, &app->kv, reterr));
	TRY(kv_check_incoming(app->kv, reterr));
	TRY(auth_check_schema(app->kv, reterr));
	if (app->kv->ops->sole_owner)
		return RC_OK;
	TRY(kv_gate_open(app->kv, &(struct kv_gate_options){.about = about(app)}, &gate, reterr));
	app->kv = gate;
	return RC_OK;
}

/* They encode and hash: as many as there are processors, and some that wait for the store. */
static unsigned range_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 2 : n > 30 ? 32 : (unsigned)n + 2;
}

/* Of a request's jobs one is in a pool at a time: begun ones always find room. */
static struct work_pool *open_pool(const struct conf *c, const char *name, int64_t threads)
{
	struct work_pool *p = work_pool_new(name, (unsigned)threads, (size_t)c->server.queue);

	work_pool_room(p, (size_t)(c->server.queue + c->server.connections));
	return p;
}

static void open_admission(struct app *app)
{
	const struct conf *c = app->conf;
	size_t waiting = (size_t)c->server.admission.queue;

	app->admission = admission_new(&(struct admission_options){
		.of = {
			[ADMIT_METADATA] = {(size_t)c->server.admission.metadata, waiting,
					    "if the machine has room, raise server.admission.metadata and server.meta_workers"},
			[ADMIT_DATA] = {(size_t)c->server.admission.data, waiting,
					"if the machine has room, raise server.admission.data and server.data_workers"},
			[ADMIT_LONG] = {(size_t)c->server.admission.long_work, waiting,
					"if the machine has room, raise server.admission.long_work and server.heavy_workers"},
		},
		.share = (unsigned)c->server.admission.share,
	});
}

static void open_pools(struct app *app)
{
	const struct conf *c = app->conf;

	app->meta = open_pool(c, "meta", c->server.meta_workers);
	app->data = open_pool(c, "data", c->server.data_workers);
	app->heavy = open_pool(c, "heavy", c->server.heavy_workers);
	app->ranges = work_pool_new("ranges", range_workers(), (size_t)c->server.queue);
}

/* What another server takes back must be gone here within seconds. */
static int64_t remembered(const struct app *app, int64_t ms, int64_t shared_ms)
{
	return app->kv->ops->sole_owner || ms < shared_ms ? ms : shared_ms;
}

static void open_versions(struct app *app)
{
	const struct conf *c = app->conf;

	app->versions = versions_new(&(struct versions_options){
		.kv = app->kv,
		.registry = app->registry,
		.meta = app->meta,
		.data = app->data,
		.repo_cache_ms = remembered(app, c->graveler.repository_cache.expiry, SHARED_TTL_MS),
		.repo_cache_size = (size_t)c->graveler.repository_cache.size,
		.ensure_readable_root = c->graveler.ensure_readable_root_namespace,
		.actions = c->actions.enabled,
		.alone = app->kv->ops->sole_owner,
		.lease_ms = LEASE_MS,
		.block_prefix = c->committed.block_storage_prefix,
		.gc_file_bytes = (uint64_t)c->ugc.prepare_max_file_size,
		.gc_call_ms = c->ugc.prepare_interval,
		.min_range_bytes = (uint64_t)c->committed.permanent.min_range_size_bytes,
		.max_range_bytes = (uint64_t)c->committed.permanent.max_range_size_bytes,
		.range_raggedness = (uint64_t)c->committed.permanent.range_raggedness_entries,
		.ranges = app->ranges,
	});
}

static void open_tables(struct app *app)
{
	const struct conf *c = app->conf;

	versions_open_tables(
		app->versions,
		&(struct tables_options){
			.cache_dir = c->committed.local_cache.dir,
			.cache_bytes = (uint64_t)c->committed.local_cache.size_bytes,
			.block_cache_bytes = (size_t)c->committed.sstable.memory.cache_size_bytes,
		});
}

rc app_open(struct app *app, struct err *reterr)
{
	const struct conf *c = app->conf;

	TRY(open_kv(app, reterr));
	open_pools(app);
	open_admission(app);
	TRY(registry_open(c, app->data, NULL, &app->registry, reterr));
	TRY(stores_check(app->kv, app->registry, reterr));
	open_versions(app);
	open_tables(app);
	app->auth = auth_new(&(struct auth_options){
		.kv = app->kv,
		.encrypt_secret = c->auth.encrypt.secret_key,
		.cache_ms = c->auth.cache.enabled ? remembered(app, c->auth.cache.ttl, SHARED_TTL_MS) : 0,
		.cache_jitter_ms = remembered(app, c->auth.cache.jitter, SHARED_JITTER_MS),
		.cache_size = (size_t)c->auth.cache.size,
		.single = str_eq(c->auth.ui_config.rbac, STR("none")),
		.login_ms = c->auth.login_duration,
		.failures = (unsigned)c->auth.limits.failures,
		.recovery_ms = c->auth.limits.recovery,
		.session_max_ms = c->auth.sts.max_duration,
	});
	return RC_OK;
}

void app_start_tasks(struct app *app)
{
	const struct conf *c = app->conf;

	versions_start_tasks(app->versions, &(struct tasks_options){
						    .workers = (unsigned)c->server.task_workers,
						    .max = (size_t)c->server.tasks,
					    });
}

void app_start_hygiene(struct app *app)
{
	const struct conf *c = app->conf;
	const struct hygiene_options o = {
		.versions = app->versions,
		.uploads_ms = c->gateways.s3.abandoned_uploads_after,
		.tokens_ms = c->graveler.dropped_tokens_after,
		.temporaries_ms = c->server.temporaries_after,
		.parts_ms = LATE_PARTS_MS,
		.max = SWEEP_MAX,
	};

	if (c->server.hygiene_interval)
		app->hygiene = hygiene_start(&o, c->server.hygiene_interval);
}

/* Of one that was opened whole. */
static void flush_usage(struct app *app)
{
	struct arena *a;
	struct err err = {0};
	struct vcall c = {.v = app->versions, .wait = KV_BLOCK, .err = &err};

	if (!app->versions)
		return;
	c.a = a = arena_new();
	if (!rc_ok(usage_flush(&c, wall_now().s)))
		log_event(LOG_WARN, "server", "what was counted for the usage report is lost", F_CSTR("error", err.msg));
	arena_free(a);
}

void app_stop_hygiene(struct app *app)
{
	hygiene_stop(app->hygiene);
	app->hygiene = NULL;
	flush_usage(app);
}

void app_end_workers(struct app *app)
{
	work_pool_free(app->data);
	work_pool_free(app->meta);
	work_pool_free(app->heavy);
	if (app->versions)
		versions_end_tasks(app->versions);
	work_pool_free(app->ranges); /* last: those above wait for what it does */
	app->data = app->meta = app->heavy = app->ranges = NULL;
}

void app_close(struct app *app)
{
	app_stop_hygiene(app);
	app_end_workers(app);
	admission_free(app->admission);
	if (app->auth)
		auth_free(app->auth);
	if (app->versions)
		versions_free(app->versions);
	registry_unref(app->registry);
	backend_settle();
	kv_free(app->kv);
	if (app->conf)
		conf_unref(app->conf);
	arena_free(app->a);
	*app = (struct app){0};
}

rc app_auto_setup(struct app *app, struct err *reterr)
{
	const struct conf *c = app->conf;
	struct auth_credentials given = {c->installation.access_key_id,
					 c->installation.secret_access_key},
				made;
	bool done;

	TRY(auth_take_over(app->auth, reterr));
	TRY(auth_is_setup(app->auth, &done, reterr));
	if (done)
		return RC_OK;
	if (!c->installation.user_name.n) {
		log_event(LOG_WARN, "server",
			  "no user yet: run `sluice setup --user-name NAME` with this configuration");
		return RC_OK;
	}
	TRY(auth_setup(app->auth, c->installation.user_name, &given, app->a, &made, reterr));
	log_event(LOG_INFO, "server", "set up", F_STR("user", c->installation.user_name),
		  F_STR("access_key_id", made.access_key));
	return RC_OK;
}
