/* The file: walks the YAML tree with the table beside it. */
#include "conf/load.h"

#include "conf/value.h"
#include "conf/yaml.h"

/* Where in the configuration a mapping of the file lies. */
struct place {
	struct scope *scope; /* a store of the list; NULL elsewhere */
	struct str path;     /* canonical, relative to the scope, with a '.' at its end unless empty */
	struct str shown;    /* the same as its author wrote it, from the top */
};

static void walk(struct loader *l, struct place in, const struct yaml_node *map);

/* What a path means: keys of `blockstore` other than its signing belong to a store. */
struct target {
	bool store;
	struct str path;
	const struct conf_key *key;
	bool section;
};

static struct target resolve(struct loader *l, const struct place *in, struct str path)
{
	struct target t = {.store = in->scope != NULL};

	path = conf_key_canonical(path, t.store, l->a);
	if (!t.store && str_starts(path, STR(CONF_SINGLE_PREFIX "."))) {
		t.store = true;
		path = str_skip(path, STR(CONF_SINGLE_PREFIX ".").n);
		path = conf_key_canonical(path, true, l->a);
	}
	t.path = path;
	t.key = conf_key_find(path, t.store);
	t.section = conf_key_is_section(path, t.store) ||
		    (!t.store && str_eq(path, STR(CONF_SINGLE_PREFIX)));
	return t;
}

/* The keys below a section that is there: findings about missing ones point at it. */
static void note_section(struct scope *s, struct str path, struct origin at)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		struct str key = str_c(conf_keys[i].path);

		if (conf_keys[i].store == s->store && str_starts(key, path) && key.n > path.n &&
		    key.p[path.n] == '.' && !s->said[i].set)
			s->said[i].at = at;
	}
}

static void set_list(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
		     const struct yaml_node *list)
{
	struct str *v = arena_alloc(l->a, list->n * sizeof(*v) + 1);
	size_t n = 0;

	for (const struct yaml_item *i = list->first; i; i = i->next) {
		if (i->value->kind != YAML_SCALAR || i->value->is_null) {
			at.line = i->value->line;
			conf_error(l, at, "an element of the list is no text; write words");
			return;
		}
		v[n++] = i->value->text;
	}
	conf_set_list(l, s, k, at, v, n);
}

static void set_key(struct loader *l, struct scope *s, const struct conf_key *k, struct origin at,
		    const struct yaml_node *v)
{
	struct said *said = conf_said(s, k);

	if (said->set) {
		conf_error(l, at, "set twice, first at line %u; keep one", said->at.line);
		return;
	}
	conf_say(l, s, k, at, false);
	if (k->flags & KEY_IGNORED)
		return;
	if (v->kind == YAML_SCALAR)
		conf_set_text(l, s, k, at, v->text);
	else if (v->kind == YAML_LIST && conf_value_is_list(k))
		set_list(l, s, k, at, v);
	else
		conf_error(l, at, "takes one value (%s), not a %s; write %.*s: value",
			   conf_type_name(k), v->kind == YAML_MAP ? "section" : "list",
			   STR_ARG(at.key));
}

static void walk_stores(struct loader *l, struct origin at, const struct yaml_node *list)
{
	size_t n = 0;

	if (l->multi.key.p) {
		conf_error(l, at, "set twice, first at line %u; keep one", l->multi.line);
		return;
	}
	l->multi = at;
	if (list->kind != YAML_LIST) {
		l->multi_refused = true;
		conf_error(l, at, "is a list; write each store as `- id: name` below it");
		return;
	}
	for (const struct yaml_item *i = list->first; i; i = i->next, n++) {
		struct place in = {.path = STR("")};
		struct origin here = conf_origin(
			l, i->value->line, arena_printf(l->a, CONF_MULTI_PREFIX "[%zu]", n));

		if (n == CONF_MAX_STORES) {
			conf_error(l, here, "more than %d stores; remove some", CONF_MAX_STORES);
			return;
		}
		in.scope = conf_scope_store(l, n, here);
		in.shown = in.scope->prefix;
		in.scope->refused = i->value->kind != YAML_MAP;
		if (!in.scope->refused)
			walk(l, in, i->value);
		else
			conf_error(l, here, "a store is a section; write its keys, id and type first");
	}
}

static void walk_section(struct loader *l, const struct place *in, const struct target *t,
			 struct origin at, const struct yaml_node *v)
{
	struct place below = {.scope = in->scope};

	if (v->is_null)
		return;
	if (v->kind != YAML_MAP) {
		conf_error(l, at, "is a section; write its keys below it, indented");
		return;
	}
	if (!in->scope && str_eq(t->path, STR(CONF_SINGLE_PREFIX)))
		l->single_at = at;
	below.shown = arena_printf(l->a, STR_FMT ".", STR_ARG(at.key));
	if (in->scope || !t->store)
		below.path = arena_printf(l->a, STR_FMT ".", STR_ARG(t->path));
	else
		below.path = arena_printf(l->a, CONF_SINGLE_PREFIX "." STR_FMT ".",
					  STR_ARG(t->path));
	if (in->scope)
		note_section(in->scope, t->path, at);
	else if (t->store)
		note_section(conf_scope_single(l, at), t->path, at);
	else
		note_section(&l->top, t->path, at);
	walk(l, below, v);
}

static void on_key(struct loader *l, const struct place *in, const struct target *t,
		   struct origin at, const struct yaml_node *v)
{
	struct scope *s = in->scope;

	if (t->store && !s && (t->key->flags & KEY_MULTI)) {
		conf_error(l, at, "a single `blockstore` has none; several stores, with ids, are "
				  "configured under `blockstores.stores`");
		return;
	}
	if (v->is_null)
		return;
	if (!s)
		s = t->store ? conf_scope_single(l, at) : &l->top;
	set_key(l, s, t->key, at, v);
}

static void unknown_key(struct loader *l, const struct place *in, const struct target *t,
			struct origin at)
{
	struct str prefix = in->scope ? in->scope->prefix
			    : t->store ? STR(CONF_SINGLE_PREFIX ".")
				       : STR("");

	conf_error_unknown(l, at, prefix, t->path, t->store);
}

static void walk_item(struct loader *l, const struct place *in, const struct yaml_item *i)
{
	struct str path = arena_printf(l->a, STR_FMT STR_FMT, STR_ARG(in->path),
				       STR_ARG(i->key->text));
	struct target t = resolve(l, in, path);
	struct origin at = conf_origin(l, i->key->line,
				       arena_printf(l->a, STR_FMT STR_FMT, STR_ARG(in->shown),
						    STR_ARG(i->key->text)));

	if (!in->scope && str_eq(t.path, STR(CONF_MULTI_PREFIX))) {
		if (!i->value->is_null)
			walk_stores(l, at, i->value);
	} else if (t.key) {
		on_key(l, in, &t, at, i->value);
	} else if (t.section) {
		walk_section(l, in, &t, at, i->value);
	} else {
		unknown_key(l, in, &t, at);
	}
}

static const struct yaml_item *earlier(const struct yaml_node *map, const struct yaml_item *item)
{
	for (const struct yaml_item *i = map->first; i != item; i = i->next)
		if (str_eq_nocase(i->key->text, item->key->text))
			return i;
	return NULL;
}

static void walk(struct loader *l, struct place in, const struct yaml_node *map)
{
	for (const struct yaml_item *i = map->first; i; i = i->next) {
		const struct yaml_item *first = earlier(map, i);

		if (!first) {
			walk_item(l, &in, i);
			continue;
		}
		conf_error(l,
			   conf_origin(l, i->key->line,
				       arena_printf(l->a, STR_FMT STR_FMT, STR_ARG(in.shown),
						    STR_ARG(i->key->text))),
			   "stands twice in its section, first at line %u; keep one",
			   first->key->line);
	}
}

/* False: nothing could be read, and more findings would mislead. */
bool conf_read_file(struct loader *l, struct str yaml)
{
	struct yaml_fault fault;
	struct yaml_node *root;

	if (!conf_yaml_read(yaml, l->a, &root, &fault)) {
		conf_error(l, conf_origin(l, fault.line, STR_NONE), STR_FMT, STR_ARG(fault.text));
		return false;
	}
	if (!root || root->is_null)
		return true;
	if (root->kind != YAML_MAP) {
		conf_error(l, conf_origin(l, root->line, STR_NONE),
			   "not a configuration; write keys and values, such as "
			   "`listen_address: 127.0.0.1:8000`");
		return false;
	}
	walk(l, (struct place){.path = STR(""), .shown = STR("")}, root);
	return true;
}
