#include "cli/options.h"

#include <stdio.h>
#include <string.h>

static const struct option_spec *find(const struct option_spec *specs, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(str_c(specs[i].name), name))
			return &specs[i];
	return NULL;
}

static bool bad(const char *command, const char *what, struct str arg)
{
	fprintf(stderr, "sluice %s: %s: " STR_FMT " (see sluice help)\n", command, what,
		STR_ARG(arg));
	return false;
}

bool options_flag(int *argc, char **argv, const char *name)
{
	for (int i = 1; i < *argc; i++)
		if (!strcmp(argv[i], name)) {
			memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(*argv));
			--*argc;
			return true;
		}
	return false;
}

bool options_parse(int argc, char **argv, const struct option_spec *specs, size_t specs_n,
		   const char **words, size_t max, size_t *n)
{
	*n = 0;
	for (int i = 1; i < argc; i++) {
		struct str arg = str_c(argv[i]), value, name;
		const struct option_spec *spec;

		if (!str_starts(arg, STR("--"))) {
			if (*n == max)
				return bad(argv[0], "unexpected argument", arg);
			words[(*n)++] = argv[i];
			continue;
		}
		name = str_cut(str_skip(arg, 2), '=', &value);
		spec = find(specs, specs_n, name);
		if (!spec)
			return bad(argv[0], "unknown option", arg);
		if (!value.p && ++i == argc)
			return bad(argv[0], "option needs a value", arg);
		*spec->value = value.p ? value.p : argv[i];
	}
	return true;
}
