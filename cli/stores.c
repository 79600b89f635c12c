#include "cli/stores.h"

#include <string.h>

struct str store_namespace_prefix(const struct app *app, const struct backend *b)
{
	const struct conf *c = app->conf;

	for (size_t i = 0; i < c->blockstores.stores_n; i++) {
		const struct conf_store *s = &c->blockstores.stores[i];

		if (str_eq(s->id, b->id) && s->default_namespace_prefix.n)
			return s->default_namespace_prefix;
	}
	if (!strcmp(b->type, "local") || !strcmp(b->type, "mem"))
		return arena_printf(app->a, "%s://", b->type);
	return STR_NONE;
}

struct str store_namespace(const struct app *app, struct str prefix, struct str name)
{
	return arena_printf(app->a, STR_FMT "%s" STR_FMT, STR_ARG(prefix),
			    str_ends(prefix, STR("/")) ? "" : "/", STR_ARG(name));
}

void stores_for_gateway(const struct app *app, struct gateway_options *o)
{
	size_t n = registry_count(app->registry);
	struct gateway_store *list = arena_alloc(app->a, n * sizeof(*list));
	struct backend *chosen = NULL;

	o->stores = list;
	o->stores_n = n;
	if (!rc_ok(registry_default(app->registry, STR_NONE, &chosen, NULL)))
		chosen = NULL; /* several, and none of them the default: clients must name one */
	for (size_t i = 0; i < n; i++) {
		struct backend *b = registry_at(app->registry, i);

		list[i] = (struct gateway_store){b->id, store_namespace_prefix(app, b)};
		if (b == chosen)
			o->default_store = &list[i];
	}
}

static struct str description(const struct app *app, const struct backend *b)
{
	const struct conf *c = app->conf;

	for (size_t i = 0; i < c->blockstores.stores_n; i++)
		if (str_eq(c->blockstores.stores[i].id, b->id))
			return c->blockstores.stores[i].description;
	return STR_NONE;
}

void stores_for_api(const struct app *app, struct api_options *o)
{
	size_t n = registry_count(app->registry);
	struct api_store *list = arena_alloc(app->a, n * sizeof(*list));
	struct backend *chosen = NULL;

	o->stores = list;
	o->stores_n = n;
	if (!rc_ok(registry_default(app->registry, STR_NONE, &chosen, NULL)))
		chosen = NULL; /* as above */
	for (size_t i = 0; i < n; i++) {
		struct backend *b = registry_at(app->registry, i);

		list[i] = (struct api_store){b->id, description(app, b), str_c(b->type),
					     store_namespace_prefix(app, b)};
		if (b == chosen)
			o->default_store = &list[i];
	}
}
