/* GCS stores: fake-gcs-server, in memory (all keys, but it forgets) and on files, behind a gate
 * each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"
#include "tests/backends/stores_gcs.h"

#define PROGRAM "go/bin/fake-gcs-server"

static struct service services[STORE_KINDS];
static struct gcs_gate gates[STORE_KINDS];
static char *accounts[STORE_KINDS][2];

static void stop_all(void)
{
	for (size_t i = 0; i < STORE_KINDS; i++)
		if (services[i].dir[0]) {
			gcs_gate_stop(&gates[i]);
			service_free(&services[i]);
			free(accounts[i][0]);
			free(accounts[i][1]);
		}
}

static void command(struct service *v, char **argv, char **env)
{
	char *args[] = {service_program(v, PROGRAM),
			"-scheme",
			"http",
			"-host",
			"127.0.0.1",
			"-port",
			service_text(v, "%u", v->port),
			"-public-host",
			service_text(v, "127.0.0.1:%u", v->port),
			"-external-url",
			service_text(v, "http://127.0.0.1:%u", v->port),
			"-log-level",
			"warn",
			"-backend",
			v == &services[STORE_GCS_MEMORY] ? "memory" : "filesystem",
			"-filesystem-root",
			service_text(v, "%s/data", v->dir)};

	memcpy(argv, args, sizeof(args));
	service_env(v, env);
}

static void make_bucket(unsigned port)
{
	struct http_pool *p = http_pool_new(&(struct http_pool_options){0});
	const struct http_header type = {STR("content-type"), STR("application/json")};
	struct arena *a = arena_new();
	const struct http_request q = {
	    .method = STR("POST"),
	    .url = arena_printf(a, "http://127.0.0.1:%u/storage/v1/b?project=p", port),
	    .headers = &type,
	    .headers_n = 1,
	    .body = HTTP_BYTES,
	    .bytes = STR("{\"name\": \"" GCS_BUCKET "\"}")};
	struct http_answer w;

	ok(http_ask(p, &q, 1 << 20, a, &w, &test_err));
	assert_int_equal(w.status, 200);
	arena_free(a);
	http_pool_free(p);
}

static struct service *service_of(enum store_kind k)
{
	struct service *v = &services[k];
	static bool stops;

	if (!stops)
		stops = atexit(stop_all) == 0;
	if (!v->dir[0]) {
		v->command = command;
		v->ready = "/_internal/healthcheck";
		service_init(v, service_program(v, PROGRAM));
		service_start(v);
		make_bucket(v->port);
		gcs_gate_start(&gates[k], v->port);
		accounts[k][0] = gcs_gate_account(gates[k].port, false);
		accounts[k][1] = gcs_gate_account(gates[k].port, true);
	}
	if (!v->pid)
		service_start(v);
	return v;
}

struct gcs_gate *store_gcs_gate(enum store_kind k)
{
	service_of(k);
	return &gates[k];
}

struct backend_gcs_options store_gcs_options(enum store_kind k, const struct store_twist *t,
					     char url[64])
{
	service_of(k);
	snprintf(url, 64, "http://127.0.0.1:%u", t->port ? t->port : gates[k].port);
	return (struct backend_gcs_options){
	    .remote = store_remote(t),
	    .endpoint = str_c(url),
	    .credentials_json = str_c(accounts[k][t->wrong_key]),
	};
}

void store_open_gcs(struct store *s, enum store_kind k, const struct store_twist *t)
{
	char url[64];
	struct backend_gcs_options o = store_gcs_options(k, t, url);

	ok(backend_gcs_open(&o, &s->b, &test_err));
	s->at = &services[k];
	s->front = gates[k].port;
	s->forgets = k == STORE_GCS_MEMORY;
	s->space = t->no_bucket ? STR("gs://no-such-bucket") : STR("gs://" GCS_BUCKET);
}
