#include "tests/kv/ddb_service.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/client.h"
#include "tests/kv/conformance.h"
#include "tests/loopback.h"

enum { START_MS = 180 * 1000 };

static void become(const struct ddb_service *s, const char *jars)
{
	char port[16], log[128], library[600], classes[600];
	const char *argv[] = {"java",
			      "-Xmx384m",
			      "-XX:+UseSerialGC",
			      "-XX:TieredStopAtLevel=1",
			      "-Djava.net.preferIPv4Stack=true",
			      library,
			      "-cp",
			      classes,
			      "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
			      "-port",
			      port,
			      "-sharedDb",
			      "-disableTelemetry",
			      s->in_memory ? "-inMemory" : "-dbPath",
			      s->in_memory ? NULL : s->folder,
			      NULL};

	snprintf(port, sizeof(port), "%d", s->port);
	snprintf(log, sizeof(log), "%s/log", s->folder);
	snprintf(library, sizeof(library), "-Djava.library.path=%s", jars);
	snprintf(classes, sizeof(classes), "%s/*", jars);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("LD_PRELOAD", SLUICE_LOOPBACK_BIND, 1);
	dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), 1);
	dup2(1, 2);
	close_range(3, ~0u, 0);
	if (chdir(s->folder) == 0)
		execvp(argv[0], (char **)argv);
	_exit(127);
}

static void must(const struct ddb_service *s, bool well, const char *what)
{
	char command[128];

	if (well)
		return;
	snprintf(command, sizeof(command), "cat '%s/log' >&2", s->folder);
	if (system(command) != 0)
		fputs("(no log)\n", stderr);
	fprintf(stderr, "DynamoDB Local: %s failed (tools/lib.sh: services brings it)\n", what);
	abort();
}

static bool answers(const struct ddb_service *s)
{
	struct http_pool *p = http_pool_new(&(struct http_pool_options){.stall_ms = 5000});
	struct arena *a = arena_new();
	const struct http_request q = {.method = STR("GET"),
				       .url = arena_printf(a, "http://127.0.0.1:%d/", s->port)};
	struct http_answer w;
	bool yes = rc_ok(http_ask(p, &q, 1 << 20, a, &w, NULL));

	arena_free(a);
	http_pool_free(p);
	return yes;
}

void ddb_service_start(struct ddb_service *s)
{
	const char *source = getenv("SLUICE_SOURCE");
	int64_t end = mono_ms() + START_MS;
	char jars[512];

	snprintf(jars, sizeof(jars), "%s/build/services/dynamodb/lib", source ? source : ".");
	must(s, access(jars, R_OK) == 0, jars);
	s->pid = fork();
	CHECK(s->pid >= 0);
	if (s->pid == 0)
		become(s, jars);
	while (!answers(s)) {
		must(s, mono_ms() < end && waitpid(s->pid, NULL, WNOHANG) == 0, "starting");
		nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000}, NULL);
	}
}

void ddb_service_new(struct ddb_service *s, bool in_memory)
{
	*s = (struct ddb_service){.in_memory = in_memory, .port = (int)loopback_free_port()};
	scratch_new(s->folder);
	ddb_service_start(s);
}

void ddb_service_stop(struct ddb_service *s)
{
	if (!s->pid)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void ddb_service_remove(struct ddb_service *s)
{
	ddb_service_stop(s);
	scratch_remove(s->folder);
}

static struct ddb_service shared;

static void remove_shared(void)
{
	ddb_service_remove(&shared);
}

struct ddb_service *ddb_service_shared(void)
{
	if (!shared.port) {
		ddb_service_new(&shared, true);
		atexit(remove_shared);
	}
	return &shared;
}

struct kv_dynamodb_options ddb_service_options(const struct ddb_service *s, struct arena *a,
					       int port, const char *table)
{
	return (struct kv_dynamodb_options){
	    .table_name = arena_dup(a, str_c(table)),
	    .endpoint = arena_printf(a, "http://127.0.0.1:%d", port ? port : s->port),
	    .region = STR("us-east-1"),
	    .access_key = STR("testkey"),
	    .secret = STR("nobody-may-see-me"),
	};
}
