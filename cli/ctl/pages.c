/* man, reference: the table as pages. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

/* In roff a line that begins with . or ' is a request, and - may become a hyphen. */
static void roff(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p == '-')
			fputs("\\-", stdout);
		else if (*p == '\\')
			fputs("\\e", stdout);
		else if ((*p == '.' || *p == '\'') && p == s)
			printf("\\&%c", *p);
		else
			putchar(*p);
}

static void man_flag(const struct flag *f)
{
	fputs(".TP\n\\fB", stdout);
	if (f->brief)
		printf("\\-%c\\fR, \\fB", f->brief);
	fputs("\\-\\-", stdout);
	roff(f->name);
	puts(f->kind == FLAG_BOOL ? "\\fR" : "\\fR \\fIvalue\\fR");
	roff(f->help);
	if (f->preset && strcmp(f->preset, "0") != 0) {
		fputs(" (default ", stdout);
		roff(f->preset);
		putchar(')');
	}
	puts(f->required ? " (required)" : "");
}

static void man_command(const struct command *cmd)
{
	const struct flag *f;
	bool global;

	fputs(".SS \"", stdout);
	roff(cmd->path);
	if (cmd->args) {
		putchar(' ');
		roff(cmd->args);
	}
	puts("\"");
	roff(cmd->summary);
	fputs(".\n", stdout);
	if (cmd->more) {
		roff(cmd->more);
		putchar('\n');
	}
	for (size_t at = 0; (f = command_next_flag(cmd, &at, &global)) && !global;)
		man_flag(f);
	if (cmd->example) {
		fputs(".PP\n.EX\nsluicectl ", stdout);
		roff(cmd->example);
		puts("\n.EE");
	}
}

static const char *const files[][2] = {
	{"~/.lakectl.yaml",
	 "The configuration, as lakectl has it: server.endpoint_url, credentials.access_key_id, "
	 "credentials.secret_access_key, server.retries.enabled, .max_attempts, .min_wait_interval and "
	 ".max_wait_interval, options.parallelism, base_uri. Another file: --config, "
	 "SLUICECTL_CONFIG_FILE or LAKECTL_CONFIG_FILE."},
};
static const char *const variables[][2] = {
	{"LAKECTL_SERVER_ENDPOINT_URL",
	 "Such a variable, with the key in capitals and underscores for dots, wins over the "
	 "file. SLUICECTL_... wins over LAKECTL_..."},
	{"LAKECTL_INTERACTIVE", "true: tables and colours also where stdout is no terminal; false: never."},
	{"NO_COLOR", "Neither colours nor tables."},
	{"SSL_CERT_FILE", "The certificates to trust, instead of the system's."},
	{"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "The proxy, and for whom there is none."},
};
enum { FILES = sizeof(files) / sizeof(files[0]), VARIABLES = sizeof(variables) / sizeof(variables[0]) };

static void man_terms(const char *title, const char *const (*rows)[2], size_t n)
{
	printf(".SH %s\n", title);
	for (size_t i = 0; i < n; i++) {
		puts(".TP");
		roff(rows[i][0]);
		putchar('\n');
		roff(rows[i][1]);
		putchar('\n');
	}
}

bool cmd_man(struct ctl *c)
{
	puts(".TH SLUICECTL 1\n.SH NAME\nsluicectl \\- repositories, branches, commits and objects of a sluice or "
	     "lakeFS server\n"
	     ".SH SYNOPSIS\n.B sluicectl\n.I command\n[\\fIflags\\fR] [\\fIarguments\\fR]\n.SH DESCRIPTION\n"
	     "Commands, flags, output and exit codes are those of lakectl; a link of that name may stand for it.\n"
	     "Addresses are written lakefs://repository/ref/path.\n.SH COMMANDS");
	for (size_t i = 0; i < commands_n; i++)
		if (commands[i].run)
			man_command(&commands[i]);
	puts(".SH FLAGS OF ALL COMMANDS");
	for (size_t i = 0; global_flags[i].name; i++)
		man_flag(&global_flags[i]);
	man_terms("FILES", files, FILES);
	man_terms("ENVIRONMENT", variables, VARIABLES);
	puts(".SH EXIT STATUS\n0: done. 1: it failed, or the command line was wrong. 130: stopped by a signal.");
	return true;
}

/* Markdown. */

static void cell(const char *s)
{
	for (; *s; s++)
		if (*s == '|' || *s == '<' || *s == '*')
			printf("\\%c", *s);
		else
			putchar(*s);
}

static void reference_flag(const struct flag *f)
{
	fputs("| `", stdout);
	if (f->brief)
		printf("-%c`, `", f->brief);
	printf("--%s` | ", f->name);
	cell(f->help);
	if (f->required)
		fputs(" (required)", stdout);
	printf(" | %s |\n", f->preset && f->preset[0] ? f->preset : "");
}

static void reference_command(const struct command *cmd)
{
	const struct flag *f;
	bool global, any = false;

	printf("\n## %s\n\n%s.%s%s\n\n", cmd->path, cmd->summary, cmd->ours ? " Not in lakectl." : "",
	       cmd->kind == COMMAND_HIDDEN ? " Not listed by its group's help." : "");
	printf("    sluicectl %s%s%s\n", cmd->path, cmd->args ? " " : "", cmd->args ? cmd->args : "");
	if (cmd->more)
		printf("\n%s\n", cmd->more);
	for (size_t at = 0; (f = command_next_flag(cmd, &at, &global)) && !global; any = true) {
		if (!any)
			puts("\n| flag | what it says | without it |\n|---|---|---|");
		reference_flag(f);
	}
	if (cmd->example)
		printf("\nExample: `sluicectl %s`\n", cmd->example);
}

bool cmd_reference(struct ctl *c)
{
	puts("# sluicectl\n\nMade from `cli/ctl/commands.c` by `sluicectl reference`.\n\n"
	     "Commands, flags, output and exit codes are those of lakectl; a link named `lakectl` may stand for it. "
	     "Exit codes: 0 done, 1\n"
	     "failed or wrong usage, 130 stopped by a signal. Times are shown in UTC.\n\n## Every command\n\n"
	     "| flag | what it says | without it |\n|---|---|---|");
	for (size_t i = 0; global_flags[i].name; i++)
		reference_flag(&global_flags[i]);
	puts("\n| file or variable | what it is |\n|---|---|");
	for (size_t i = 0; i < FILES; i++)
		printf("| `%s` | %s |\n", files[i][0], files[i][1]);
	for (size_t i = 0; i < VARIABLES; i++)
		printf("| `%s` | %s |\n", variables[i][0], variables[i][1]);
	for (size_t i = 0; i < commands_n; i++)
		if (commands[i].run)
			reference_command(&commands[i]);
	return true;
}
