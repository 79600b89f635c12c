/* Command lines: long options only, as lakeFS has them: --name VALUE or --name=VALUE. */
#pragma once

#include "base/str.h"

struct option_spec {
	const char *name;   /* without dashes */
	const char **value; /* where it goes */
};

/* Takes a flag, `--name`, out of argv wherever it stands; whether it was there. Before options_parse. */
bool options_flag(int *argc, char **argv, const char *name);
/* Fills values; leaves the other words in words[] (at most max) and their number in *n. False after a
 * message on stderr: exit code 2. */
bool options_parse(int argc, char **argv, const struct option_spec *specs, size_t specs_n,
		   const char **words, size_t max, size_t *n);
