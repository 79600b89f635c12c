#include "cli/cmd.h"

#include <stdio.h>
#include <unistd.h>

#include "conf/conf.h"

enum { OK = 0, WRONG = 2, MAX_PAGE = 1 << 20 };

static int usage(void)
{
	fputs("usage: sluice config check [FILE]   print what is wrong with a configuration\n"
	      "       sluice config sample         print a configuration to begin with\n"
	      "       sluice config reference      print the reference page\n",
	      stderr);
	return WRONG;
}

static int print(void (*write)(struct buf *out))
{
	struct buf out = BUF_INIT(MAX_PAGE);
	bool ok;

	write(&out);
	ok = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
	buf_deinit(&out);
	return ok ? OK : WRONG;
}

/* A file, with the environment that a server started here would have. */
static int check(struct str path)
{
	struct arena *a = arena_new();
	struct conf_findings findings;
	struct conf *c;
	struct err err;
	rc r;

	if (!path.p)
		path = conf_default_path(a);
	r = conf_load(path, environ, a, &findings, &c, &err);
	for (size_t i = 0; i < findings.n; i++)
		printf(STR_FMT "\n", STR_ARG(conf_finding_line(&findings.v[i], a)));
	if (rc_ok(r) && findings.n == 0)
		printf(STR_FMT ": fine\n", STR_ARG(path.p ? path : STR("environment")));
	conf_unref(c);
	arena_free(a);
	return fflush(stdout) == 0 && rc_ok(r) ? OK : WRONG;
}

int cmd_config(int argc, char **argv)
{
	struct str what = argc > 1 ? str_c(argv[1]) : STR("");

	if (str_eq(what, STR("check")) && argc <= 3)
		return check(argc == 3 ? str_c(argv[2]) : STR_NONE);
	if (str_eq(what, STR("sample")) && argc == 2)
		return print(conf_sample);
	if (str_eq(what, STR("reference")) && argc == 2)
		return print(conf_reference);
	return usage();
}
