/* completion: the table as scripts of shells. They know all commands and flags; what follows is files'. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

/* Calls of one(path) for "" and each command. */
static void each_path(void (*one)(const char *program, struct str path, const struct command *cmd), const char *program)
{
	one(program, STR(""), NULL);
	for (size_t i = 0; i < commands_n; i++)
		one(program, str_c(commands[i].path), &commands[i]);
}

static void put_words_below(struct str path, const struct command *cmd)
{
	const struct flag *f;
	bool global;

	for (size_t i = 0; i < commands_n; i++)
		if (commands[i].kind == COMMAND_SHOWN && command_is_below(&commands[i], path))
			printf(STR_FMT " ", STR_ARG(command_last_word(&commands[i])));
	if (cmd && !strcmp(cmd->path, "completion"))
		fputs("bash zsh fish ", stdout);
	for (size_t at = 0; (f = command_next_flag(cmd, &at, &global));)
		printf("--%s ", f->name);
}

static void put_case(const char *program, struct str path, const struct command *cmd)
{
	printf("\t'" STR_FMT "') words='", STR_ARG(path));
	put_words_below(path, cmd);
	puts("' ;;");
}

/* What bash and zsh have in common: from the words before the cursor to those that may follow. */
static void put_shell_words(const char *program)
{
	printf("__%s_words() {\n\tlocal path='' w longer\n\tfor w in \"$@\"; do\n"
	       "\t\tcase $w in -*) continue ;; esac\n\t\tlonger=\"${path:+$path }$w\"\n\t\tcase $longer in\n\t\t",
	       program);
	for (size_t i = 0; i < commands_n; i++)
		printf("%s'%s'", i ? "|" : "", commands[i].path);
	puts(") path=$longer ;;\n\t\tesac\n\tdone\n\tcase $path in");
	each_path(put_case, program);
	puts("\tesac\n}");
}

static void put_bash(const char *program)
{
	printf("# bash completion of %s: made by `%s completion bash`\n", program, program);
	put_shell_words(program);
	printf("_%s() {\n\tlocal words cur=${COMP_WORDS[COMP_CWORD]}\n\t__%s_words "
	       "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
	       "\tcase $cur in\n\t-*) ;;\n\t*) words=\" $words \"\n\t\twhile [[ $words == *' --'* ]]; do "
	       "words=\"${words%% --*}\"; done ;;\n\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _%s %s\n",
	       program, program, program, program);
}

static void put_zsh(const char *program)
{
	printf("#compdef %s\n# zsh completion of %s: made by `%s completion zsh`\n", program, program, program);
	put_shell_words(program);
	printf("_%s() {\n\tlocal words_typed=(\"${(@)words[2,CURRENT-1]}\") line=$words[CURRENT]\n\tlocal words\n"
	       "\t__%s_words \"${words_typed[@]}\"\n\tlocal -a all=(${=words}) shown\n"
	       "\tif [[ $line == -* ]]; then shown=(${(M)all:#--*}); else shown=(${all:#--*}); fi\n"
	       "\tcompadd -a shown || _files\n}\n"
	       "if [ \"$funcstack[1]\" = \"_%s\" ]; then _%s \"$@\"; else compdef _%s %s; fi\n",
	       program, program, program, program, program, program);
}

/* fish. */

static void put_quoted(const char *s)
{
	putchar('\'');
	for (; *s; s++)
		if (*s == '\'' || *s == '\\')
			printf("\\%c", *s);
		else
			putchar(*s);
	putchar('\'');
}

static void put_fish_flags(const char *program, const struct command *cmd)
{
	const struct flag *f;
	bool global;

	for (size_t at = 0; (f = command_next_flag(cmd, &at, &global));) {
		if (global && cmd)
			continue; /* once, for all */
		printf("complete -c %s", program);
		if (cmd)
			printf(" -n '__%s_at \"%s\"'", program, cmd->path);
		printf(" -l %s", f->name);
		if (f->brief)
			printf(" -s %c", f->brief);
		if (f->kind != FLAG_BOOL)
			fputs(" -r", stdout);
		fputs(" -d ", stdout);
		put_quoted(f->help);
		putchar('\n');
	}
}

static void put_fish_at(const char *program, struct str path, const struct command *cmd)
{
	for (size_t i = 0; i < commands_n; i++) {
		if (commands[i].kind == COMMAND_HIDDEN || !command_is_below(&commands[i], path))
			continue;
		printf("complete -c %s -f -n '__%s_at \"" STR_FMT "\"' -a " STR_FMT " -d ", program, program,
		       STR_ARG(path), STR_ARG(command_last_word(&commands[i])));
		put_quoted(commands[i].summary);
		putchar('\n');
	}
	put_fish_flags(program, cmd);
}

static void put_fish(const char *program)
{
	printf("# fish completion of %s: made by `%s completion fish`\nfunction __%s_at\n\tset -l path ''\n"
	       "\tfor w in (commandline -opc)[2..-1]\n\t\tstring match -q -- '-*' $w; and continue\n"
	       "\t\tset -l longer (string trim \"$path $w\")\n\t\tcontains -- $longer",
	       program, program, program);
	for (size_t i = 0; i < commands_n; i++)
		printf(" '%s'", commands[i].path);
	puts("; and set path $longer\n\tend\n\ttest \"$path\" = \"$argv[1]\"\nend");
	each_path(put_fish_at, program);
	printf("complete -c %s -f -n '__%s_at completion' -a 'bash zsh fish'\n", program, program);
}

bool cmd_completion(struct ctl *c)
{
	static const struct {
		const char *shell;
		void (*put)(const char *program);
	} shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (str_eq(ctl_word(c, 0), str_c(shells[i].shell))) {
			shells[i].put(c->args->program);
			return true;
		}
	return ctl_fail(c, "invalid argument \"" STR_FMT "\" for \"%s completion\": bash, zsh or fish",
			STR_ARG(ctl_word(c, 0)), c->args->program);
}
