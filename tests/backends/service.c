#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"
#include "tests/backends/service.h"
#include "tests/backends/stores.h"
#include "tests/loopback.h"

enum { READY_MS = 180000, PORTS = 5 };

char *service_text(struct service *v, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	assert_true(v->texts_n < sizeof(v->texts) / sizeof(*v->texts));
	return v->texts[v->texts_n++] = text;
}

char *service_program(struct service *v, const char *below_build)
{
	const char *source = getenv("SLUICE_SOURCE");

	return service_text(v, "%s/build/%s", source ? source : ".", below_build);
}

void service_env(struct service *v, char **env)
{
	env[0] = service_text(v, "HOME=%s", v->dir);
	env[1] = service_text(v, "PATH=%s", getenv("PATH"));
}

void service_init(struct service *v, const char *program)
{
	if (access(program, R_OK) != 0)
		fail_msg("%s is not there: tools/test brings it (or see tools/lib.sh)", program);
	store_dir_new(v->dir);
}

static void become(struct service *v, char **argv, char **env)
{
	int log = open(service_text(v, "%s/log", v->dir), O_WRONLY | O_CREAT | O_APPEND, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log, 1);
	dup2(log, 2);
	close_range(3, ~0u, 0);
	if (chdir(v->dir) == 0)
		execve(argv[0], argv, env);
	_exit(127);
}

static void launch(struct service *v)
{
	char *argv[SERVICE_ARGS] = {NULL}, *env[SERVICE_ARGS] = {NULL};
	pid_t parent = getpid();

	v->command(v, argv, env);
	v->pid = fork();
	assert_true(v->pid >= 0);
	if (v->pid == 0 && getppid() == parent)
		become(v, argv, env);
	if (v->pid == 0)
		_exit(127);
}

static bool answers(struct service *v)
{
	struct http_pool *p =
	    http_pool_new(&(struct http_pool_options){.connect_ms = 1000, .stall_ms = 5000});
	struct arena *a = arena_new();
	const struct http_request q = {
	    .method = STR("GET"),
	    .url = arena_printf(a, "http://127.0.0.1:%u%s", v->port, v->ready)};
	struct http_answer w;
	bool yes = rc_ok(http_ask(p, &q, 1 << 20, a, &w, NULL));

	arena_free(a);
	http_pool_free(p);
	return yes;
}

static bool ended(struct service *v)
{
	if (waitpid(v->pid, NULL, WNOHANG) != v->pid)
		return false;
	v->pid = 0;
	return true;
}

static bool serve(struct service *v)
{
	int64_t until = mono_ms() + READY_MS;

	launch(v);
	while (!ended(v)) {
		if (answers(v))
			return true;
		if (mono_ms() > until)
			fail_msg("the service in %s doesn't serve", v->dir);
		usleep(50000);
	}
	return false;
}

void service_start(struct service *v)
{
	bool first = !v->port;

	/* Whoever asks for that very port may have been quicker. */
	for (unsigned i = 0; i < PORTS; i++) {
		if (first)
			v->port = loopback_free_port();
		if (serve(v))
			return;
	}
	fail_msg("the service in %s ends at once: see its log there", v->dir);
}

void service_kill(struct service *v)
{
	if (!v->pid)
		return;
	kill(v->pid, SIGKILL);
	while (waitpid(v->pid, NULL, 0) != v->pid)
		;
	v->pid = 0;
}

void service_freeze(struct service *v, bool frozen)
{
	int status;

	assert_int_equal(kill(v->pid, frozen ? SIGSTOP : SIGCONT), 0);
	/* All of its threads. */
	if (frozen)
		assert_int_equal(waitpid(v->pid, &status, WUNTRACED), v->pid);
}

void service_free(struct service *v)
{
	service_kill(v);
	if (v->dir[0])
		store_dir_remove(v->dir);
	while (v->texts_n)
		free(v->texts[--v->texts_n]);
	*v = (struct service){0};
}
