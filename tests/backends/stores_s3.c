/* S3 stores: versitygw on files, and s3proxy on jclouds' files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/s3.h"
#include "tests/backends/service.h"
#include "tests/backends/stores.h"

#define ACCESS_KEY "testkey"
#define SECRET "testsecret123"
#define BUCKET "the-bucket"

static struct service services[STORE_KINDS];

static void stop_all(void)
{
	for (size_t i = 0; i < STORE_KINDS; i++)
		if (services[i].dir[0])
			service_free(&services[i]);
}

static void versitygw(struct service *v, char **argv, char **env)
{
	char *args[] = {service_program(v, "go/bin/versitygw"),
			"--port",
			service_text(v, "127.0.0.1:%u", v->port),
			"--quiet",
			"--health",
			"/health",
			"--iam-dir",
			service_text(v, "%s/iam", v->dir),
			"posix",
			service_text(v, "%s/data", v->dir)};

	memcpy(argv, args, sizeof(args));
	service_env(v, env);
	env[2] = "ROOT_ACCESS_KEY=" ACCESS_KEY;
	env[3] = "ROOT_SECRET_KEY=" SECRET;
}

static void write_properties(struct service *v)
{
	FILE *f = fopen(service_text(v, "%s/conf", v->dir), "w");

	assert_non_null(f);
	fprintf(f,
		"s3proxy.authorization=aws-v2-or-v4\ns3proxy.endpoint=http://127.0.0.1:%u\n"
		"s3proxy.identity=" ACCESS_KEY "\ns3proxy.credential=" SECRET "\n"
		"jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir=%s/data\n",
		v->port, v->dir);
	fclose(f);
}

static void s3proxy(struct service *v, char **argv, char **env)
{
	char *args[] = {
	    "/usr/bin/env",
	    "java",
	    "-Xmx256m",
	    "-XX:TieredStopAtLevel=1",
	    "-jar",
	    service_program(v, "services/s3proxy/s3proxy-4.1.0-jar-with-dependencies.jar"),
	    "--properties",
	    service_text(v, "%s/conf", v->dir)};

	write_properties(v);
	memcpy(argv, args, sizeof(args));
	service_env(v, env);
	env[2] = "LC_ALL=C.UTF-8"; /* the JVM's idea of file names */
}

static struct service *service_of(enum store_kind k)
{
	struct service *v = &services[k];
	static bool stops;

	if (!stops)
		stops = atexit(stop_all) == 0;
	if (v->pid)
		return v;
	if (!v->dir[0]) {
		v->command = k == STORE_S3_S3PROXY ? s3proxy : versitygw;
		v->ready = k == STORE_S3_S3PROXY ? "/" : "/health";
		service_init(v,
			     service_program(
				 v, k == STORE_S3_S3PROXY
					? "services/s3proxy/s3proxy-4.1.0-jar-with-dependencies.jar"
					: "go/bin/versitygw"));
		mkdir(service_text(v, "%s/iam", v->dir), 0700);
		mkdir(service_text(v, "%s/data", v->dir), 0700);
		mkdir(service_text(v, "%s/data/" BUCKET, v->dir), 0700);
	}
	service_start(v);
	return v;
}

void store_open_s3(struct store *s, enum store_kind k, const struct store_twist *t)
{
	char url[64];
	struct backend_s3_options o = {
	    .remote = store_remote(t),
	    .credentials = {.access_key = STR(ACCESS_KEY),
			    .secret = t->wrong_key ? STR("wrong") : STR(SECRET)},
	    .discover_bucket_region = true,
	    .copy_max = 3 * 1024 * 1024,
	    .copy_part = 5 * 1024 * 1024,
	};

	s->at = service_of(k);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", t->port ? t->port : s->at->port);
	o.endpoint = str_c(url);
	ok(backend_s3_open(&o, &s->b, &test_err));
	s->lax_uploads = k == STORE_S3_S3PROXY;
	s->space = t->no_bucket ? STR("s3://no-such-bucket") : STR("s3://" BUCKET);
}
