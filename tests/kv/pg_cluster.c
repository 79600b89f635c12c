#include "tests/kv/pg_cluster.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/kv/conformance.h"
#include "tests/loopback.h"

#define BIN "/usr/lib/postgresql/15/bin/"

enum { START_MS = 120 * 1000, WORDS = 48 };

/* argv: as the user postgres, to be ended with us. Output goes to the folder's log. */
static pid_t run(const struct pg_cluster *c, const char *const *words)
{
	static const char *const other[] = {"setpriv",	    "--reuid=postgres", "--regid=postgres",
					    "--clear-groups", "--reset-env",	"--pdeathsig=QUIT",
					    "--"};
	const char *argv[WORDS];
	char log[128];
	size_t n = 0;
	pid_t pid;

	for (size_t i = 0; getuid() == 0 && i < sizeof(other) / sizeof(other[0]); i++)
		argv[n++] = other[i];
	for (; *words; words++) {
		CHECK(n + 1 < WORDS);
		argv[n++] = *words;
	}
	argv[n] = NULL;
	snprintf(log, sizeof(log), "%s/log", c->folder);
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return pid;
	if (getuid() != 0)
		prctl(PR_SET_PDEATHSIG, SIGQUIT);
	n = (size_t)open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2((int)n, 1);
	dup2((int)n, 2);
	if (chdir(c->folder) == 0)
		execvp(argv[0], (char **)argv);
	_exit(127);
}

static void show_log(const struct pg_cluster *c)
{
	char path[128], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", c->folder);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

static void must(const struct pg_cluster *c, bool well, const char *what)
{
	if (well)
		return;
	show_log(c);
	fprintf(stderr, "PostgreSQL: %s failed (is the package postgresql-15 installed?)\n", what);
	abort();
}

static void init(const struct pg_cluster *c)
{
	static const char *const words[] = {BIN "initdb",	"-D",	       "data", "-U",
					    "lakefs",		"--auth=trust", "--encoding=UTF8",
					    "--locale=C",	"--no-sync",	NULL};
	int status;
	pid_t pid = run(c, words);

	must(c, waitpid(pid, &status, 0) == pid && status == 0, "initdb");
}

static void own(const struct pg_cluster *c)
{
	char command[160];

	if (getuid() != 0)
		return;
	snprintf(command, sizeof(command), "chown postgres:postgres '%s'", c->folder);
	must(c, system(command) == 0, "chown");
}

const char *pg_cluster_uri(const struct pg_cluster *c, int port, const char *more, char to[256])
{
	snprintf(to, 256, "postgres://lakefs:nobody-may-see-me@127.0.0.1:%d/postgres?sslmode=disable%s",
		 port ? port : c->port, more);
	return to;
}

void pg_cluster_start(struct pg_cluster *c)
{
	int64_t end = mono_ms() + START_MS;
	char port[16], sockets[128], uri[256];
	const char *words[] = {
		BIN "postgres", "-D", "data", "-p", port, "-c", "listen_addresses=127.0.0.1",
		"-c", sockets, "-c", "fsync=off", "-c", "full_page_writes=off", "-c",
		"max_connections=150", "-c", "max_prepared_transactions=4", NULL};

	snprintf(port, sizeof(port), "%d", c->port);
	snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", c->folder);
	c->pid = run(c, words);
	pg_cluster_uri(c, 0, "", uri);
	while (PQping(uri) != PQPING_OK) {
		must(c, mono_ms() < end && waitpid(c->pid, NULL, WNOHANG) == 0, "starting");
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
	}
}

void pg_cluster_new(struct pg_cluster *c)
{
	scratch_new(c->folder);
	own(c);
	init(c);
	c->port = (int)loopback_free_port();
	pg_cluster_start(c);
}

void pg_cluster_stop(struct pg_cluster *c)
{
	if (!c->pid)
		return;
	kill(c->pid, SIGQUIT); /* at once */
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

void pg_cluster_remove(struct pg_cluster *c)
{
	pg_cluster_stop(c);
	scratch_remove(c->folder);
}

static struct pg_cluster shared;

static void remove_shared(void)
{
	pg_cluster_remove(&shared);
}

struct pg_cluster *pg_cluster_shared(void)
{
	if (!shared.port) {
		pg_cluster_new(&shared);
		atexit(remove_shared);
	}
	return &shared;
}
