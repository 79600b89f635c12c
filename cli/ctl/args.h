/* A command line, read by the table: flags anywhere, --name=value, --name value, -n value, -nvalue, -ab, --. */
#pragma once

#include "cli/ctl/command.h"

enum { ARGS_MAX = 1024, GIVEN_MAX = 1024 };

struct given {
	const struct flag *flag;
	struct str value;
};

struct args {
	const struct command *command; /* NULL: the program itself */
	const char *program;	       /* "sluicectl", or "lakectl" where it is called so */
	bool help, version;
	struct str words[ARGS_MAX]; /* what is left without flags and the command's words */
	size_t words_n;
	struct given given[GIVEN_MAX];
	size_t given_n;
};

/* False: *ret_why is what is wrong, in pflag's and cobra's words. With help or version asked for, nothing
 * but the flags is checked. In `a`. */
bool args_parse(int argc, char **argv, struct arena *a, struct args *ret, struct str *ret_why);

bool args_given(const struct args *x, const char *flag);
/* The last one given, else the preset. The flag must be of that kind. */
struct str args_text(const struct args *x, const char *flag);
bool args_bool(const struct args *x, const char *flag);
int64_t args_number(const struct args *x, const char *flag); /* a duration: ms */
/* All values of FLAG_TEXTS, commas separating them, too; in `a`. */
struct str *args_texts(const struct args *x, const char *flag, struct arena *a, size_t *ret_n);
