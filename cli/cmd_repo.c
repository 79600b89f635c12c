/* sluice repo create: a repository without a client, before the server starts. */
#include <stdio.h>
#include <string.h>

#include "cli/app.h"
#include "cli/cmd.h"
#include "cli/options.h"
#include "versions/stores.h"

static const struct store_info *find(const struct store_info *list, size_t n, struct str id)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i].id, id))
			return &list[i];
	return NULL;
}

/* Where a repository goes when nothing is said: the store's default_namespace_prefix, or its kind's
 * scheme, and the repository's name. */
static rc default_namespace(struct vcall *c, struct str id, struct str storage_id, struct str *ret)
{
	const struct store_info *s;
	struct store_info *list;
	size_t n;

	stores_list(c, &list, &n);
	s = storage_id.p ? find(list, n, storage_id) : stores_default(list, n);
	if (!s && storage_id.p)
		return err_set(c->err, ERR_INVALID, "no store '" STR_FMT "' is configured",
			       STR_ARG(storage_id));
	if (!s)
		return err_set(c->err, ERR_INVALID,
			       "several stores are configured, and none is backward_compatible: give "
			       "--storage-id, or --storage-namespace");
	if (!s->namespace_prefix.p)
		return err_set(c->err, ERR_INVALID,
			       "give --storage-namespace: the store '" STR_FMT
			       "' has no default_namespace_prefix",
			       STR_ARG(s->id));
	*ret = arena_printf(c->a, STR_FMT "%s" STR_FMT, STR_ARG(s->namespace_prefix),
			    str_ends(s->namespace_prefix, STR("/")) ? "" : "/", STR_ARG(id));
	return RC_OK;
}

static rc create(struct app *app, struct repo_create *in, struct err *reterr)
{
	struct vcall c = {.a = app->a, .wait = KV_BLOCK, .err = reterr};
	struct repo repo;

	TRY(app_open(app, reterr));
	c.v = app->versions;
	if (!in->storage_namespace.p)
		TRY(default_namespace(&c, in->id, in->storage_id, &in->storage_namespace));
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
