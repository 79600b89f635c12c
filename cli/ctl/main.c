/* sluicectl: the client of the REST API, for people and scripts. Exit codes: 0 done, 1 failed or wrong usage, 130
 * stopped by a signal. Called as `lakectl` (a link of that name) it speaks of itself as such. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/ctl/cmd.h"

enum { STOPPED = 130, LOG_FILES = 8 };

static struct client *asking;

static void on_signal(int sig)
{
	if (asking)
		client_stop(asking);
}

/* A second one ends the process as ever. */
static void take_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static const char *program_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(slash ? slash + 1 : path, "lakectl") ? "lakectl" : "sluicectl";
}

/* Tables and colours: on a terminal, or as the environment says; never with NO_COLOR. */
static bool is_interactive(const struct args *x)
{
	struct str said = env_value(environ, STR("SLUICECTL_INTERACTIVE")), plain = env_value(environ, STR("NO_COLOR"));

	if (!said.n)
		said = env_value(environ, STR("LAKECTL_INTERACTIVE"));
	if (plain.n || args_bool(x, "no-color"))
		return false;
	if (said.n)
		return str_eq_nocase(said, STR("true")) || str_eq(said, STR("1"));
	return isatty(STDOUT_FILENO);
}

static bool set_up_log(struct ctl *c)
{
	struct str level = args_text(c->args, "log-level"), format = args_text(c->args, "log-format");
	struct log_options o = {.format = str_eq(format, STR("json")) ? LOG_JSON : LOG_TEXT, .keep = 0};
	static const struct str to_stderr[] = {{"-", 1}};
	struct err e = {0};

	if (str_eq(level, STR("none")))
		return true;
	if (!log_level_parse(level, &o.level))
		return ctl_fail(c, "log-level '" STR_FMT "' is none of none, debug, info, warn, error", STR_ARG(level));
	o.outputs = args_texts(c->args, "log-output", c->a, &o.outputs_n);
	if (!o.outputs_n) {
		o.outputs = to_stderr;
		o.outputs_n = 1;
	}
	if (o.outputs_n > LOG_FILES)
		return ctl_fail(c, "log-output: at most %d places", LOG_FILES);
	return rc_ok(log_setup(&o, &e)) || ctl_fail(c, "log-output: %s", e.msg);
}

/* Flags win over the environment, which wins over the file. */
static bool configure(struct ctl *c)
{
	struct settings *s = &c->settings;
	struct str why;

	if (!settings_load(args_text(c->args, "config"), environ, c->a, s, &why))
		return ctl_fail(c, STR_FMT, STR_ARG(why));
	if (args_given(c->args, "base-uri"))
		s->base_uri = args_text(c->args, "base-uri");
	if (args_given(c->args, "endpoint-url"))
		s->endpoint = args_text(c->args, "endpoint-url");
	if (args_given(c->args, "secret-access-key")) {
		s->secret_access_key = args_text(c->args, "secret-access-key");
		s->access_key_id = args_text(c->args, "access-key-id");
	}
	return true;
}

static bool show_version(struct ctl *c)
{
	struct answer w;

	printf("%s version: %s\n", c->args->program, SLUICE_VERSION);
	if (!ctl_get(c, c->a, STR("/config"), &w))
		return false;
	printf("server version: " STR_FMT "\n", STR_ARG(member_str(json_member(w.doc, "version_config"), "version")));
	return true;
}

static bool output_is_known(struct ctl *c)
{
	const struct flag *f = NULL;
	struct str output;
	size_t at = 0;
	bool global = false;

	while ((f = command_next_flag(c->args->command, &at, &global)) && strcmp(f->name, "output") != 0)
		;
	if (!global) /* refs-dump's own: a file */
		return true;
	output = args_text(c->args, "output");
	c->json = str_eq(output, STR("json"));
	return c->json || str_eq(output, STR("text")) ||
	       ctl_fail(c, "output '" STR_FMT "' is neither text nor json", STR_ARG(output));
}

static bool run(struct ctl *c)
{
	const struct command *cmd = c->args->command;
	struct str why;

	if (c->args->help || (!c->args->version && (!cmd || !cmd->run))) {
		help_show(c, cmd);
		return true;
	}
	if (!output_is_known(c) || !set_up_log(c) || !configure(c))
		return false;
	if (!c->args->version && cmd->offline)
		return cmd->run(c);
	if (!client_new(&c->settings, c->a, &c->client, &why))
		return ctl_fail(c, STR_FMT, STR_ARG(why));
	asking = c->client;
	return c->args->version ? show_version(c) : cmd->run(c);
}

int main(int argc, char **argv)
{
	struct ctl c = {.a = arena_new()};
	struct args *args = ARENA_NEW(c.a, struct args);
	struct str why;

	args->program = program_name(argc ? argv[0] : "");
	c.args = args;
	take_signals();
	if (!args_parse(argc, argv, c.a, args, &why)) {
		fprintf(stderr, "Error: " STR_FMT "\n", STR_ARG(why));
		arena_free(c.a);
		return 1;
	}
	c.interactive = is_interactive(args);
	if (!run(&c)) {
		out_fault(&c, &c.fault);
		c.exit = 1;
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		c.exit = 1;
	if (c.client && client_stopped(c.client))
		c.exit = STOPPED;
	asking = NULL;
	client_free(c.client);
	arena_free(c.a);
	return c.exit;
}
