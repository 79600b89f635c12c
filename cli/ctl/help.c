/* help, --help. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { COLUMN = 16 };

static const char *kind_word(const struct flag *f)
{
	static const char *const words[] = {[FLAG_BOOL] = "",
					    [FLAG_TEXT] = " string",
					    [FLAG_NUMBER] = " int",
					    [FLAG_TEXTS] = " strings",
					    [FLAG_DURATION] = " duration"};

	return words[f->kind];
}

static int flag_width(const struct flag *f)
{
	return (int)(strlen(f->name) + strlen(kind_word(f)));
}

static void show_flags(const struct command *cmd, bool global, const char *title)
{
	const struct flag *f;
	int wide = 0;
	bool is_global;

	for (size_t at = 0; (f = command_next_flag(cmd, &at, &is_global));)
		if (is_global == global && flag_width(f) > wide)
			wide = flag_width(f);
	if (!wide)
		return;
	printf("\n%s:\n", title);
	for (size_t at = 0; (f = command_next_flag(cmd, &at, &is_global));) {
		if (is_global != global)
			continue;
		if (f->brief)
			printf("  -%c, ", f->brief);
		else
			fputs("      ", stdout);
		printf("--%s%s%*s   %s", f->name, kind_word(f), wide - flag_width(f), "", f->help);
		if (f->preset && f->kind != FLAG_BOOL && strcmp(f->preset, "0") != 0)
			printf(f->kind == FLAG_TEXT ? " (default \"%s\")" : " (default %s)", f->preset);
		else if (f->preset && f->kind == FLAG_BOOL)
			printf(" (default %s)", f->preset);
		puts(f->required ? " (required)" : "");
	}
}

static void show_group(struct str group)
{
	bool any = false;

	for (size_t i = 0; i < commands_n; i++) {
		if (commands[i].kind == COMMAND_HIDDEN || !command_is_below(&commands[i], group))
			continue;
		if (!any)
			puts("\nAvailable Commands:");
		any = true;
		printf("  %-*.*s%s%s\n", COLUMN, STR_ARG(command_last_word(&commands[i])), commands[i].summary,
		       commands[i].ours ? " (ours)" : "");
	}
}

void help_show(const struct ctl *c, const struct command *cmd)
{
	const char *program = c->args->program;

	if (!cmd) {
		printf("%s: repositories, branches, commits and objects of a sluice or lakeFS server.\n"
		       "Commands and flags are those of lakectl; what is marked (ours) it doesn't have.\n\n"
		       "Usage:\n  %s [flags]\n  %s [command]\n",
		       program, program, program);
		show_group(STR(""));
		show_flags(NULL, true, "Flags");
		printf("\nUse \"%s [command] --help\" for more information about a command.\n", program);
		return;
	}
	printf("%s\n", cmd->summary);
	if (cmd->more)
		printf("%s\n", cmd->more);
	if (cmd->run)
		printf("\nUsage:\n  %s %s%s%s [flags]\n", program, cmd->path, cmd->args ? " " : "",
		       cmd->args ? cmd->args : "");
	else
		printf("\nUsage:\n  %s %s [command]\n", program, cmd->path);
	if (cmd->alias)
		printf("\nAliases:\n  " STR_FMT ", %s\n", STR_ARG(command_last_word(cmd)), cmd->alias);
	if (cmd->example)
		printf("\nExamples:\n  %s %s\n", program, cmd->example);
	show_group(str_c(cmd->path));
	show_flags(cmd, false, "Flags");
	show_flags(cmd, true, "Global Flags");
	if (!cmd->run)
		printf("\nUse \"%s %s [command] --help\" for more information about a command.\n", program, cmd->path);
}

bool cmd_help(struct ctl *c)
{
	struct str path = STR("");
	const struct command *cmd = NULL;

	for (size_t i = 0; i < c->args->words_n; i++) {
		path = path.n ? arena_printf(c->a, STR_FMT " " STR_FMT, STR_ARG(path), STR_ARG(ctl_word(c, i)))
			      : ctl_word(c, i);
		cmd = command_find(path);
		if (!cmd)
			return ctl_fail(c, "there is no command '" STR_FMT "': %s help lists them", STR_ARG(path),
					c->args->program);
	}
	help_show(c, cmd);
	return true;
}
