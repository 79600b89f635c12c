/* sluice config check --repos: whether a configuration has the store of every repository. It looks into the
 * database; where a running server has that open, it asks the server. */
#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/options.h"
#include "kv/drivers.h"
#include "versions/stores.h"

enum { FINE = 0, LACKING = 1, CANT_CHECK = 2 };

struct check {
	struct app app; /* its configuration alone */
	struct ask server;
	size_t repos, lacking;
};

/* One repository. */

static bool has_default(const struct conf *c)
{
	for (size_t i = 0; i < c->blockstores.stores_n; i++)
		if (c->blockstores.single || c->blockstores.stores[i].backward_compatible)
			return true;
	return false;
}

static bool has_store(const struct conf *c, struct str id)
{
	for (size_t i = 0; i < c->blockstores.stores_n; i++)
		if (str_eq(c->blockstores.stores[i].id, id))
			return true;
	return id.n == 0 && has_default(c);
}

static void look_at(struct check *k, struct str repo, struct str store)
{
	k->repos++;
	if (has_store(k->app.conf, store))
		return;
	k->lacking++;
	if (store.n)
		printf("repository \"" STR_FMT "\": its store \"" STR_FMT "\" is not configured; put it back "
		       "into blockstores.stores, or delete the repository\n",
		       STR_ARG(repo), STR_ARG(store));
	else
		printf("repository \"" STR_FMT "\": it was made before there were several stores; set "
		       "backward_compatible: true for the store that was blockstore before\n",
		       STR_ARG(repo));
}

/* Here. */

static bool visit(void *ud, const struct repo *r)
{
	if (!r->in_deletion)
		look_at(ud, r->id, r->storage_id);
	return true;
}

/* There. */

static rc look_at_page(struct check *k, const struct json *page, struct arena *a, struct str *after,
		       bool *ret_more)
{
	const struct json *list = json_member(page, "results"), *p = json_member(page, "pagination");

	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *r = json_at(list, i);
		struct str store = json_str(json_member(r, "storage_id"));

		look_at(k, json_str(json_member(r, "id")), store.p ? store : STR(""));
	}
	*ret_more = json_bool(json_member(p, "has_more"));
	*after = arena_dup(a, json_str(json_member(p, "next_offset")));
	return RC_OK;
}

static rc ask_there(struct check *k, struct err *reterr)
{
	struct arena *keep = k->app.a;
	struct str after = STR("");
	bool more = true;
	rc r = RC_OK;

	TRY(ask_has_key(&k->server, "it must be asked", reterr));
	while (rc_ok(r) && more) {
		struct arena *a = arena_new();
		struct json *page;

		/* names of repositories need no escaping */
		r = ask_json(&k->server, STR("GET"),
			     arena_printf(a, "/api/v1/repositories?amount=1000&after=" STR_FMT, STR_ARG(after)),
			     a, &page, reterr);
		if (rc_ok(r))
			r = look_at_page(k, page, keep, &after, &more);
		arena_free(a);
	}
	return r;
}

static rc look(struct check *k, struct err *reterr)
{
	const struct kv_options o = app_kv_options(k->app.conf);
	bool in_memory = str_eq(k->app.conf->database.type, STR("mem"));
	rc opened;

	if (k->server.endpoint)
		return ask_there(k, reterr);
	opened = in_memory ? err_set(reterr, ERR_CONFIG, "the database is in a server's memory, and none answers")
			   : kv_open(&o, &k->app.kv, reterr);
	if (rc_ok(opened))
		return stores_each_repo(k->app.kv, visit, k, reterr);
	if (!rc_is(opened, CONFIG))
		return opened;
	k->server.endpoint = ask_configured(k->app.a, k->app.conf);
	return ask_answers(&k->server, k->app.a) ? ask_there(k, reterr) : opened;
}

/* The command line. */

static bool read_options(struct check *k, int argc, char **argv, const char **ret_file)
{
	const char *config = NULL;
	const struct option_spec specs[] = {{"config", &config},
					    {"endpoint", &k->server.endpoint},
					    {"access-key-id", &k->server.user},
					    {"secret-access-key", &k->server.password}};
	const char *words[2];
	size_t n;

	if (!options_parse(argc, argv, specs, 4, words, 2, &n))
		return false;
	if (n == 0 || strcmp(words[0], "check") != 0 || (n == 2 && config)) {
		fputs("usage: sluice config check [FILE] --repos [--endpoint URL]\n"
		      "       [--access-key-id ID --secret-access-key SECRET]\n",
		      stderr);
		return false;
	}
	*ret_file = n == 2 ? words[1] : config;
	ask_env(&k->server);
	return true;
}

int cmd_config_repos(int argc, char **argv)
{
	struct check k = {0};
	const char *file = NULL;
	struct err err = {0};
	int code = CANT_CHECK;

	if (!read_options(&k, argc, argv, &file))
		return CANT_CHECK;
	if (app_configure(&k.app, file)) {
		if (!rc_ok(look(&k, &err))) {
			fprintf(stderr, "sluice config check: %s\n", err.msg);
		} else {
			printf("%zu repositories, %zu without their store\n", k.repos, k.lacking);
			code = k.lacking ? LACKING : FINE;
		}
	}
	app_close(&k.app);
	return fflush(stdout) == 0 ? code : CANT_CHECK;
}
