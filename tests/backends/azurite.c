#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/azure_priv.h"
#include "base/clock.h"
#include "tests/backends/azurite.h"
#include "tests/backends/stores.h"

#define PROGRAM "services/azurite/node_modules/.bin/azurite-blob"
#define CONTAINER_NAME "the-container"

enum { SAVED_MS = 120000 };

const char azurite_key[] = "a2V5LWZvci1hY2N0MS0wMTIzNDU2Nzg5",
	   azurite_wrong_key[] = "a2V5LTItMDEyMzQ1";

static struct service service;

static void command(struct service *v, char **argv, char **env)
{
	char *args[] = {service_program(v, PROGRAM),
			"--blobHost",
			"127.0.0.1",
			"--blobPort",
			service_text(v, "%u", v->port),
			"--location",
			service_text(v, "%s", v->dir),
			"--silent",
			"--disableTelemetry"};

	memcpy(argv, args, sizeof(args));
	service_env(v, env);
	env[2] = service_text(v, "AZURITE_ACCOUNTS=" AZURITE_ACCOUNT ":%s;" AZURITE_OTHER ":%s",
			      azurite_key, azurite_key);
}

static void stop(void)
{
	service_free(&service);
}

struct service *azurite(void)
{
	if (!service.dir[0]) {
		service.command = command;
		service.ready = "/";
		service.settle = azurite_settle;
		service_init(&service, service_program(&service, PROGRAM));
		atexit(stop);
	}
	if (!service.pid)
		service_start(&service);
	return &service;
}

static bool file_holds(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool found = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		char *p = malloc((size_t)st.st_size);
		ssize_t n = read(fd, p, (size_t)st.st_size);

		found = n > 0 && str_find(str_make(p, (size_t)n), str_c(text)) < (size_t)n;
		free(p);
	}
	close(fd);
	return found;
}

static int64_t saved_ms(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0
		   ? (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000
		   : 0;
}

static int64_t wall_ms(void)
{
	struct timestamp t = wall_now();

	return t.s * 1000 + t.ns / 1000000;
}

/* What is saved after a later object was stored has all earlier ones. */
void azurite_settle(struct backend *b, struct str space)
{
	static unsigned n;
	struct store s = {.b = b, .space = space};
	int64_t until = mono_ms() + SAVED_MS, from;
	char name[32], blobs[120], extents[120];

	snprintf(name, sizeof(name), "settled-%06u-here", ++n);
	snprintf(blobs, sizeof(blobs), "%s/__azurite_db_blob__.json", service.dir);
	snprintf(extents, sizeof(extents), "%s/__azurite_db_blob_extent__.json", service.dir);
	usleep(300000);
	from = wall_ms();
	ok(put_bytes(&s, name, STR("settled")));
	while (!file_holds(blobs, name) || saved_ms(extents) <= from) {
		assert_true(mono_ms() < until);
		usleep(100000);
	}
}

struct backend_azure_options azurite_options(struct arena *a, unsigned port)
{
	return (struct backend_azure_options){
	    .remote = {.id = STR("store"), .workers = 8, .max_retries = 4},
	    .account = STR(AZURITE_ACCOUNT),
	    .key = str_c(azurite_key),
	    .endpoint = arena_printf(a, "http://127.0.0.1:%u/" AZURITE_ACCOUNT,
				     port ? port : azurite()->port),
	};
}

void azurite_make_container(struct backend *b, const char *account, const char *name)
{
	static const int also[] = {409, 0}; /* it is there */
	struct azure *s = azure_of(b);
	struct azure_place at = {.account = str_c(account), .container = str_c(name)};
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;

	remote_call_init(&c, a, "PUT");
	c.bytes = STR("");
	azure_address(s, &c, &at, false);
	remote_query(&c, "restype", STR("container"));
	ok(remote_ask(&s->r, &c, also, &w, &test_err));
	arena_free(a);
}

/* The row of the table of stores. */
void store_open_azure(struct store *s, enum store_kind k, const struct store_twist *t)
{
	struct arena *a = arena_new();
	struct backend_azure_options o = azurite_options(a, t->port);
	static bool made;

	s->at = azurite();
	o.remote = store_remote(t);
	if (t->wrong_key)
		o.key = str_c(azurite_wrong_key);
	ok(backend_azure_open(&o, &s->b, &test_err));
	if (!made && !t->port && !t->wrong_key)
		azurite_make_container(s->b, AZURITE_ACCOUNT, CONTAINER_NAME);
	made |= !t->port && !t->wrong_key;
	s->space =
	    t->no_bucket ? STR(AZURITE_SPACE "no-such-bucket") : STR(AZURITE_SPACE CONTAINER_NAME);
	arena_free(a);
}
