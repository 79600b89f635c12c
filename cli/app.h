/* The parts that make a server, put together from a configuration; shared by the commands. */
#pragma once

#include "auth/auth.h"
#include "base/admission.h"
#include "conf/conf.h"
#include "kv/drivers.h"
#include "versions/hygiene.h"
#include "versions/versions.h"

struct app {
	struct arena *a; /* lives as long as the app */
	struct str conf_path; /* STR_NONE: the environment alone */
	struct conf *conf;
	struct kv *kv;
	struct work_pool *meta, *data, *heavy, *ranges;
	struct admission *admission;
	struct registry *registry;
	struct versions *versions;
	struct auth *auth;
	struct hygiene *hygiene; /* NULL: not started */
};

/* Reads the configuration (path NULL: where lakeFS looks), says every finding on stderr, sets up the log.
 * False when it has errors: exit code 2. */
bool app_configure(struct app *app, const char *path);
/* SIGHUP: reads the configuration again and takes its logging section and its stores: new ones are there, changed
 * ones opened anew, the others go on as they are; requests under way end on the stores that they have. What else
 * has changed needs a restart. A configuration with errors, or with a store that can't be opened, changes
 * nothing: CONFIG with the first of them. */
rc app_reload(struct app *app, struct err *reterr);
/* Logs stores that repositories are on and that the configuration lacks. Reads all repositories' records. */
void app_tell_missing_stores(struct app *app);
/* What the configuration says of the KV, for kv_open. */
struct kv_options app_kv_options(const struct conf *c);
/* Opens KV and stores. On failure everything is closed again by app_close. */
rc app_open(struct app *app, struct err *reterr);
/* From then on long work can be submitted, and what a lost server left goes on: a server's, not a command's.
 * versions_stop_tasks tells it to end, app_end_workers waits for that. */
void app_start_tasks(struct app *app);
/* Sweeps from time to time, as configured, until app_stop_hygiene: a server's, not a command's. */
void app_start_hygiene(struct app *app);
void app_stop_hygiene(struct app *app);
/* Waits for what they are doing: http_server_stop gives up requests that take too long, but a worker
 * may still be at one and use all that it was made with. Then nothing can be submitted any more. */
void app_end_workers(struct app *app);
void app_close(struct app *app);
/* First start with installation.* configured: sets up without being asked. */
rc app_auto_setup(struct app *app, struct err *reterr);
