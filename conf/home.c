/* "~/" at the beginning of paths, and where the file is looked for. */
#include "conf/load.h"

#include <stdlib.h>
#include <unistd.h>

/* Sections of which one, named by its `type`, is used. */
static bool in_use(struct loader *l, struct scope *s, const struct conf_key *k)
{
	struct str rest, first = str_cut(str_c(k->path), '.', &rest);

	if (s->store)
		return !rest.p || str_eq(first, ((struct conf_store *)s->base)->type);
	if (!str_eq(first, STR("database")))
		return true;
	first = str_cut(rest, '.', &rest);
	return !rest.p || str_eq(first, l->conf->database.type);
}

static void expand(struct loader *l, struct scope *s, const struct conf_key *k, struct str home)
{
	struct str *at = (struct str *)((char *)s->base + k->offset);

	if (!str_starts(*at, STR("~")))
		return;
	if (at->n > 1 && at->p[1] != '/')
		conf_error(l, conf_where(l, s, k),
			   "another user's home (~name) isn't looked up; write the path in full");
	else if (home.n)
		*at = arena_printf(l->own, STR_FMT STR_FMT, STR_ARG(home),
				   STR_ARG(str_skip(*at, 1)));
	else if (in_use(l, s, k))
		conf_error(l, conf_where(l, s, k),
			   "begins with ~ and HOME isn't set; write the path in full");
	else
		*at = STR_NONE;
}

static void expand_scope(struct loader *l, struct scope *s, struct str home)
{
	for (size_t i = 0; s && i < CONF_KEYS; i++)
		if (conf_keys[i].type == CONF_PATH && conf_keys[i].store == s->store)
			expand(l, s, &conf_keys[i], home);
}

void conf_expand_home(struct loader *l)
{
	struct str home = conf_env_get(l->env, "HOME");

	expand_scope(l, &l->top, home);
	expand_scope(l, l->single, home);
	for (size_t i = 0; i < l->stores_n; i++)
		expand_scope(l, l->stores[i], home);
}

struct str conf_default_path(struct arena *a)
{
	static const struct {
		bool home;
		const char *path;
	} places[] = {
		{false, "./config.yaml"},
		{true, "/.lakefs/config.yaml"},
		{false, "/etc/lakefs/config.yaml"},
		{true, "/.lakefs.yaml"},
	};
	const char *home = getenv("HOME");

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct str path;

		if (places[i].home && !(home && *home))
			continue;
		path = arena_printf(a, "%s%s", places[i].home ? home : "", places[i].path);
		if (access(path.p, F_OK) == 0)
			return path;
	}
	return STR_NONE;
}
