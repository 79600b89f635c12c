/* sluice: the server and its tools. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/options.h"

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("sluice version: " SLUICE_VERSION);
	return 0;
}

/* The one part of it that opens a database. */
static int cmd_config_or_repos(int argc, char **argv)
{
	if (options_flag(&argc, argv, "--repos"))
		return cmd_config_repos(argc, argv);
	return cmd_config(argc, argv);
}

static int cmd_help(int argc, char **argv);

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{"run", cmd_run, "run [--config FILE]                      start the server"},
	{"setup", cmd_setup,
	 "setup --user-name NAME [--access-key-id ID --secret-access-key SECRET] [--config FILE]\n"
	 "                                           make the first administrator"},
	{"superuser", cmd_superuser,
	 "superuser --user-name NAME [--access-key-id ID --secret-access-key SECRET] [--config FILE]\n"
	 "                                           make another administrator"},
	{"repo", cmd_repo,
	 "repo create NAME [--storage-namespace URI] [--storage-id ID] [--default-branch NAME]\n"
	 "                 [--config FILE]           make a repository (the server must not run)"},
	{"fsck", cmd_fsck,
	 "fsck NAME [--bodies] [--json] [--endpoint URL] [--access-key-id ID --secret-access-key SECRET]\n"
	 "                 [--config FILE]           check a repository against its store (exit code 1:\n"
	 "                                           missing or damaged things); beside a running server\n"
	 "                                           it is the server that looks"},
	{"migrate", cmd_migrate,
	 "migrate --from FILE --to FILE [--dry-run] [--clear-target] [--freeze] [--unknown-records]\n"
	 "                                           copy one configuration's database into another's\n"
	 "  sluice migrate version|up|unfreeze [--config FILE]\n"
	 "                                           the schema; a database that a migration froze"},
	{"kv", cmd_kv,
	 "kv dump [FILE|-] [--freeze] | load FILE|- [--clear-target] | digest  [--config FILE]\n"
	 "                                           the whole database into a file, and back"},
	{"config", cmd_config_or_repos,
	 "config check FILE | sample | reference    check a configuration, or show what there is\n"
	 "  sluice config check FILE --repos [--endpoint URL] [--access-key-id ID --secret-access-key SECRET]\n"
	 "                                           and whether it has the store of each repository"},
	{"reference", cmd_reference, "reference s3|rest                        the operations of a protocol, as a page"},
	{"version", cmd_version, "version"},
	{"help", cmd_help, "help"},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void usage(FILE *to)
{
	fputs("usage:\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  sluice %s\n", commands[i].usage);
	fputs("Without --config: ./config.yaml, ~/.lakefs/config.yaml, /etc/lakefs/config.yaml, "
	      "~/.lakefs.yaml; LAKEFS_... and SLUICE_... in the environment win.\n",
	      to);
}

static int cmd_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	usage(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "help";

	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	if (!strcmp(name, "--version"))
		name = "version";
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "sluice: unknown command '%s'\n", name);
	usage(stderr);
	return 2;
}
