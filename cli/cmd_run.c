/* sluice run: the server, from a configuration to the last request. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/log.h"
#include "cli/app.h"
#include "cli/cmd.h"
#include "cli/options.h"
#include "cli/scrape.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "versions/task.h"

struct site {
	struct gateway *gateway;
	struct api *api;
	struct scrapes *scrapes;
};

static void health(struct http_req *req)
{
	static const struct http_header h[] = {{{"content-type", 12}, {"text/plain", 10}}};

	http_respond(req, 200, h, 1, STR("alive!"));
}

/* Whether somebody signed it: then it is S3's, whatever its path. */
static bool is_signed(struct http_req *req)
{
	struct str target = http_req_target(req);

	return http_req_header(req, "authorization").p ||
	       str_find(target, STR("X-Amz-Credential=")) < target.n ||
	       str_find(target, STR("AWSAccessKeyId=")) < target.n;
}

/* An AWS signature, or a host that is the gateway's. */
static bool is_s3(struct site *site, struct http_req *req)
{
	struct str authorization = http_req_header(req, "authorization");
	struct str target = http_req_target(req);
	struct str query = str_skip(target, str_index(target, '?'));

	return str_starts(authorization, STR("AWS4")) || str_starts(authorization, STR("AWS ")) ||
	       http_req_header(req, "x-amz-signature").p ||
	       str_find(query, STR("X-Amz-Credential=")) < query.n ||
	       str_find(query, STR("AWSAccessKeyId=")) < query.n ||
	       gateway_owns_host(site->gateway, http_req_header(req, "host"));
}

static void handle(struct http_req *req, void *ud)
{
	struct site *site = ud;
	struct str target = http_req_target(req);
	struct str method = http_req_method(req);

	if ((str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"))) && !is_signed(req)) {
		if (str_eq(target, STR("/_health"))) {
			health(req);
			return;
		}
		if (str_eq(target, STR("/metrics"))) {
			scrape(site->scrapes, req);
			return;
		}
		if (str_eq(str_head(target, str_index(target, '?')), STR("/logout"))) {
			api_logout(site->api, req);
			return;
		}
	}
	if (api_owns(target) && !is_s3(site, req))
		api_handle(site->api, req);
	else if (api_owns_sts(req))
		api_sts(site->api, req);
	else
		gateway_handle(site->gateway, req);
}

static struct http_admission admission_of(const struct app *app)
{
	return (struct http_admission){app->admission, (unsigned)app->conf->server.admission.wait};
}

static struct api *open_api(struct app *app)
{
	return api_new(&(struct api_options){
		.versions = app->versions,
		.auth = app->auth,
		.meta = app->meta,
		.data = app->data,
		.heavy = app->heavy,
		.admission = admission_of(app),
		.signing_secret = app->conf->blockstores.signing.secret_key,
		.slot_bytes = (size_t)app->conf->server.body_slot_bytes,
		.rbac = app->conf->auth.ui_config.rbac,
		.logout_url = app->conf->auth.logout_redirect_url,
		.trusted_proxies = app->conf->server.trusted_proxies.v,
		.trusted_proxies_n = app->conf->server.trusted_proxies.n,
	});
}

static struct gateway *open_gateway(struct app *app)
{
	const struct conf *c = app->conf;

	return gateway_new(&(struct gateway_options){
		.versions = app->versions,
		.auth = app->auth,
		.meta = app->meta,
		.data = app->data,
		.admission = admission_of(app),
		.region = c->gateways.s3.region,
		.verify_region = c->gateways.s3.verify_region,
		.domains = c->gateways.s3.domain_name.v,
		.domains_n = c->gateways.s3.domain_name.n,
		.slot_bytes = (size_t)c->server.body_slot_bytes,
		.trusted_proxies = c->server.trusted_proxies.v,
		.trusted_proxies_n = c->server.trusted_proxies.n,
		.list_branch_buckets = c->gateways.s3.list_branch_buckets,
	});
}

static rc listen_on(struct app *app, struct site *site, struct http_server **ret,
		    struct err *reterr)
{
	const struct conf *c = app->conf;

	return http_server_start(
		&(struct http_options){
			.listen = c->listen_address,
			.loops = (unsigned)c->server.loops,
			.limits = {.head_bytes = (size_t)c->server.head_bytes,
				   .headers = (unsigned)c->server.headers,
				   .head_ms = (unsigned)c->server.head_timeout,
				   .idle_ms = (unsigned)c->server.idle_timeout,
				   .body_ms = (unsigned)c->server.body_timeout,
				   .write_ms = (unsigned)c->server.write_timeout,
				   .connections = (size_t)c->server.connections},
			.tls_cert_file = c->tls.enabled ? c->tls.cert_file : STR_NONE,
			.tls_key_file = c->tls.enabled ? c->tls.key_file : STR_NONE,
			.handler = handle,
			.ud = site,
			.server_name = STR("sluice"),
		},
		ret, reterr);
}

static void reload(struct app *app, struct http_server *server)
{
	struct err err = {0};

	bool taken = rc_ok(app_reload(app, &err));

	if (!taken) {
		log_reopen();
		log_event(LOG_ERROR, "server", "the configuration was not taken, the old one goes on",
			  F_CSTR("error", err.msg));
	}
	if (app->conf->tls.enabled && !rc_ok(http_server_reload_tls(server, &err)))
		log_event(LOG_ERROR, "server", "the certificate was not reloaded",
			  F_CSTR("error", err.msg));
	if (taken) {
		log_event(LOG_INFO, "server", "reloaded: logging, stores and certificate");
		app_tell_missing_stores(app);
	}
}

/* Signals are blocked in every thread; this one waits for them (TRAPS 34). */
static void wait_for_stop(struct app *app, struct http_server *server, const sigset_t *set)
{
	for (;;) {
		int sig = 0;

		if (sigwait(set, &sig))
			continue;
		if (sig == SIGHUP) {
			reload(app, server);
			continue;
		}
		log_event(LOG_INFO, "server", "stopping", F_INT("signal", sig));
		return;
	}
}

static rc serve(struct app *app, const sigset_t *set, struct err *reterr)
{
	struct site site;
	struct http_server *server;
	rc result;

	TRY(app_open(app, reterr));
	TRY(app_auto_setup(app, reterr));
	app_start_tasks(app);
	site.gateway = open_gateway(app);
	site.api = open_api(app);
	site.scrapes = scrapes_new(app->versions, app->meta);
	result = listen_on(app, &site, &server, reterr);
	if (rc_ok(result)) {
		log_event(LOG_INFO, "server", "listening",
			  F_STR("address", app->conf->listen_address),
			  F_INT("port", http_server_port(server)), F_CSTR("version", SLUICE_VERSION));
		app_tell_missing_stores(app);
		app_start_hygiene(app);
		wait_for_stop(app, server, set);
		admission_stop(app->admission);
		versions_stop_tasks(app->versions);
		app_stop_hygiene(app);
		http_server_stop(server, (unsigned)app->conf->server.stop_grace);
		log_event(LOG_INFO, "server", "stopped");
	}
	app_end_workers(app);
	gateway_free(site.gateway);
	api_free(site.api);
	scrapes_free(site.scrapes);
	return result;
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int cmd_run(int argc, char **argv)
{
	const char *config = NULL, *word;
	const struct option_spec specs[] = {{"config", &config}};
	struct app app;
	struct err err = {0};
	sigset_t set;
	size_t n;
	rc result;

	if (!options_parse(argc, argv, specs, 1, &word, 0, &n))
		return 2;
	block_signals(&set);
	/* Two heaps, not one for each of dozens of threads: freed memory is found again. */
	mallopt(M_ARENA_MAX, 2);
	if (!app_configure(&app, config)) {
		app_close(&app);
		return 2;
	}
	result = serve(&app, &set, &err);
	if (!rc_ok(result))
		fprintf(stderr, "sluice run: %s\n", err.msg);
	app_close(&app);
	return rc_ok(result) ? 0 : rc_is(result, CONFIG) ? 2 : 1;
}
