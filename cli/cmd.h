/* The commands of the sluice program. argv[0] is the command's own name; the result is the exit code:
 * 0 done, 1 failed, 2 wrong usage or configuration. */
#pragma once

int cmd_run(int argc, char **argv);
int cmd_setup(int argc, char **argv);
int cmd_superuser(int argc, char **argv);
int cmd_repo(int argc, char **argv);
int cmd_fsck(int argc, char **argv); /* 0 clean, 1 missing or damaged things, 2 it couldn't look */
int cmd_migrate(int argc, char **argv);
int cmd_kv(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_config_repos(int argc, char **argv); /* config check --repos: 1 where a repository lacks its store */
int cmd_reference(int argc, char **argv);
