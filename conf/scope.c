#include "conf/load.h"

#include <assert.h>

#include "conf/value.h"

/* `blockstore` has a default for each key; a store of the list lacks those that no two stores share. */
static bool has_preset(const struct scope *s, const struct conf_key *k)
{
	if (!k->preset || k->store != s->store)
		return false;
	return !(k->flags & KEY_SINGLE_DEFAULT) || str_eq(s->prefix, STR(CONF_SINGLE_PREFIX "."));
}

void conf_scope_init(struct loader *l, struct scope *s, void *base, struct str prefix)
{
	*s = (struct scope){.base = base, .prefix = prefix, .store = base != (void *)l->conf};
	s->said = arena_zalloc(l->a, CONF_KEYS * sizeof(*s->said));
	for (size_t i = 0; i < CONF_KEYS; i++) {
		struct str wrong;

		if (!has_preset(s, &conf_keys[i]))
			continue;
		if (!conf_value_set(&conf_keys[i], base, str_c(conf_keys[i].preset), l->own, l->a,
				    &wrong))
			assert(!"a default of conf.def breaks its own limits");
	}
}

static struct scope *store_new(struct loader *l, struct str prefix, struct origin at)
{
	struct scope *s = ARENA_NEW(l->a, struct scope);
	struct conf_store *store = ARENA_NEW(l->own, struct conf_store);

	store->id = STR("");
	conf_scope_init(l, s, store, prefix);
	s->at = at;
	return s;
}

struct scope *conf_scope_single(struct loader *l, struct origin at)
{
	if (!l->single)
		l->single = store_new(l, STR(CONF_SINGLE_PREFIX "."),
				      l->single_at.file.p ? l->single_at : at);
	return l->single;
}

struct scope *conf_scope_store(struct loader *l, size_t i, struct origin at)
{
	assert(i < CONF_MAX_STORES);
	if (!l->stores[i])
		l->stores[i] = store_new(
			l, arena_printf(l->a, CONF_MULTI_PREFIX "[%zu].", i), at);
	if (i >= l->stores_n)
		l->stores_n = i + 1;
	if (!l->multi.key.p)
		l->multi = at;
	return l->stores[i];
}

struct said *conf_said(struct scope *s, const struct conf_key *k)
{
	return &s->said[k - conf_keys];
}

struct origin conf_where(struct loader *l, struct scope *s, const struct conf_key *k)
{
	struct origin at = conf_said(s, k)->at;

	if (!at.file.p)
		at = s->at;
	if (!at.file.p)
		at = conf_origin(l, 0, STR_NONE);
	if (!conf_said(s, k)->set)
		at.key = arena_printf(l->a, STR_FMT "%s", STR_ARG(s->prefix), k->path);
	return at;
}

static bool is_placeholder(struct str s)
{
	return s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>';
}

void conf_set_text(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
		   struct str text)
{
	struct str wrong;

	if (!conf_value_set(k, s->base, text, l->own, l->a, &wrong))
		conf_error(l, at, STR_FMT, STR_ARG(wrong));
	else if ((k->flags & KEY_SECRET) && is_placeholder(text))
		conf_warning(l, at, "looks like a placeholder; write the secret itself");
}

void conf_set_list(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
		   const struct str *v, size_t n)
{
	struct str wrong;

	if (!conf_value_set_list(k, s->base, v, n, l->own, l->a, &wrong))
		conf_error(l, at, STR_FMT, STR_ARG(wrong));
}

void conf_say(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
	      bool from_env)
{
	struct said *said = conf_said(s, k);

	*said = (struct said){.at = at, .set = true, .from_env = from_env};
	if (k->flags & KEY_IGNORED)
		conf_warning(l, at, "accepted, has no effect here; it can be removed");
}
