/* The one table of commands: words, arguments, flags, help, and what is run. From it come the reader of
 * the command line, its complaints, --help, completion for shells, the man page and docs/reference/sluicectl.md.
 * Names and flags are lakectl's; what is ours alone is marked so.
 */
#pragma once

#include "base/arena.h"

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_NUMBER, FLAG_TEXTS, FLAG_DURATION };

struct flag {
	const char *name;
	char brief; /* 0: none */
	enum flag_kind kind;
	const char *preset; /* what holds without it; NULL: "" or 0 or false */
	const char *help;
	bool required;
};

enum command_kind {
	COMMAND_SHOWN,
	COMMAND_HIDDEN, /* not listed with its group; its own help is there */
};

enum { COMMAND_FLAG_SETS = 4, ARGS_ANY = 1000 };

struct ctl;

struct command {
	const char *path; /* "repo create"; a group has no run */
	const char *args; /* as help shows them; NULL: none */
	const char *summary, *more, *example, *alias;
	unsigned min, max;
	const struct flag *sets[COMMAND_FLAG_SETS]; /* each ends with a row without a name */
	bool (*run)(struct ctl *c);
	enum command_kind kind;
	bool ours;    /* lakectl has no such command */
	bool offline; /* asks no server */
};

extern const struct command commands[];
extern const size_t commands_n;
/* What every command takes. */
extern const struct flag global_flags[];

/* By its words exactly, the alias of the last one included; NULL. */
const struct command *command_find(struct str path);
/* The command's own flags, then the global ones that it doesn't have itself: *at begins as 0; NULL at the end. */
const struct flag *command_next_flag(const struct command *cmd, size_t *at, bool *ret_global);
/* Is `sub` directly below `group` ("" is the top)? */
bool command_is_below(const struct command *sub, struct str group);
struct str command_last_word(const struct command *cmd);
