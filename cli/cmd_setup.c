/* sluice setup, sluice superuser: administrators and their credentials. */
#include <stdio.h>

#include "cli/app.h"
#include "cli/cmd.h"
#include "cli/options.h"

typedef rc make_fn(struct auth *x, struct str user_name, const struct auth_credentials *given,
		   struct arena *a, struct auth_credentials *ret, struct err *reterr);

static rc make(struct app *app, make_fn *fn, const char *user,
	       const struct auth_credentials *given, struct auth_credentials *ret,
	       struct err *reterr)
{
	TRY(app_open(app, reterr));
	return fn(app->auth, str_c(user), given, app->a, ret, reterr);
}

static int make_user(int argc, char **argv, make_fn *fn)
{
	const char *config = NULL, *user = NULL, *key = NULL, *secret = NULL, *word;
	const struct option_spec specs[] = {{"config", &config},
					    {"user-name", &user},
					    {"access-key-id", &key},
					    {"secret-access-key", &secret}};
	struct auth_credentials given, made;
	struct app app;
	struct err err = {0};
	size_t n;
	rc result;

	if (!options_parse(argc, argv, specs, 4, &word, 0, &n))
		return 2;
	if (!user || !user[0] || !key != !secret) {
		fprintf(stderr, "sluice %s: give --user-name, and --access-key-id together with "
				"--secret-access-key or neither\n",
			argv[0]);
		return 2;
	}
	if (!app_configure(&app, config)) {
		app_close(&app);
		return 2;
	}
	given = (struct auth_credentials){str_c(key), str_c(secret)};
	result = make(&app, fn, user, &given, &made, &err);
	if (rc_ok(result))
		printf("credentials:\n  access_key_id: " STR_FMT "\n  secret_access_key: " STR_FMT
		       "\n",
		       STR_ARG(made.access_key), STR_ARG(made.secret));
	else
		fprintf(stderr, "sluice %s: %s\n", argv[0], err.msg);
	app_close(&app);
	return rc_ok(result) ? 0 : rc_is(result, CONFIG) ? 2 : 1;
}

int cmd_setup(int argc, char **argv)
{
	return make_user(argc, argv, auth_setup);
}

int cmd_superuser(int argc, char **argv)
{
	return make_user(argc, argv, auth_superuser);
}
