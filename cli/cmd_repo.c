/* sluice repo create: a repository without a client, before the server starts. */
#include <stdio.h>
#include <string.h>

#include "cli/app.h"
#include "cli/cmd.h"
#include "cli/options.h"
#include "cli/stores.h"
#include "versions/repo.h"

/* Where a repository goes when nothing is said: the store's default_namespace_prefix, or its kind's
 * scheme, and the repository's name. */
static rc default_namespace(struct app *app, struct str id, struct str storage_id, struct str *ret,
			    struct err *reterr)
{
	struct backend *b;
	struct str prefix;

	if (storage_id.p)
		TRY(registry_get(app->registry, storage_id, &b, reterr));
	else
		TRY(registry_default(app->registry, STR_NONE, &b, reterr));
	prefix = store_namespace_prefix(app, b);
	if (!prefix.p)
		return err_set(reterr, ERR_INVALID,
			       "give --storage-namespace: the store '" STR_FMT
			       "' has no default_namespace_prefix",
			       STR_ARG(b->id));
	*ret = store_namespace(app, prefix, id);
	return RC_OK;
}

static rc create(struct app *app, struct repo_create *in, struct err *reterr)
{
	struct vcall c = {.a = app->a, .wait = KV_BLOCK, .err = reterr};
	struct repo repo;

	TRY(app_open(app, reterr));
	c.v = app->versions;
	if (!in->storage_namespace.p)
		TRY(default_namespace(app, in->id, in->storage_id, &in->storage_namespace, reterr));
	TRY(repo_create(&c, in, &repo));
	printf("Repository: lakefs://" STR_FMT "\nstorage namespace: " STR_FMT
	       "\ndefault branch: " STR_FMT "\n",
	       STR_ARG(repo.id), STR_ARG(repo.storage_namespace), STR_ARG(repo.default_branch));
	return RC_OK;
}

int cmd_repo(int argc, char **argv)
{
	const char *config = NULL, *space = NULL, *store = NULL, *branch = NULL, *words[2];
	const struct option_spec specs[] = {{"config", &config},
					    {"storage-namespace", &space},
					    {"storage-id", &store},
					    {"default-branch", &branch}};
	struct repo_create in;
	struct app app;
	struct err err = {0};
	size_t n;
	rc result;

	if (!options_parse(argc, argv, specs, 4, words, 2, &n))
		return 2;
	if (n != 2 || strcmp(words[0], "create")) {
		fputs("usage: sluice repo create NAME [--storage-namespace URI] [--storage-id ID] "
		      "[--default-branch NAME] [--config FILE]\n",
		      stderr);
		return 2;
	}
	if (!app_configure(&app, config)) {
		app_close(&app);
		return 2;
	}
	in = (struct repo_create){.id = str_c(words[1]),
				  .storage_namespace = str_c(space),
				  .storage_id = str_c(store),
				  .default_branch = str_c(branch)};
	result = create(&app, &in, &err);
	if (!rc_ok(result))
		fprintf(stderr, "sluice repo create: %s\n", err.msg);
	app_close(&app);
	return rc_ok(result) ? 0 : rc_is(result, CONFIG) ? 2 : 1;
}
