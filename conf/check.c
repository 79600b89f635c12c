/* What one key alone doesn't show: missing keys, and keys that contradict each other. */
#include "conf/load.h"

#include <dirent.h>

#include "conf/value.h"

static struct scope *store_at(struct loader *l, size_t i)
{
	return l->single ? l->single : l->stores[i];
}

static struct conf_store *store_of(struct scope *s)
{
	return s->base;
}

static const struct conf_key *key(const char *path, bool store)
{
	return conf_key_find(str_c(path), store);
}

static struct origin where(struct loader *l, struct scope *s, const char *path)
{
	return conf_where(l, s, key(path, s->store));
}

static bool is_set(struct scope *s, const char *path)
{
	return conf_said(s, key(path, s->store))->set;
}

static struct str text_of(struct scope *s, const struct conf_key *k)
{
	return *(struct str *)((char *)s->base + k->offset);
}

static void missing(struct loader *l, struct scope *s, const struct conf_key *k, const char *when)
{
	struct origin at = conf_where(l, s, k);
	struct str full = arena_printf(l->a, STR_FMT "%s", STR_ARG(s->prefix), k->path);

	if (s->store && !l->single) { /* stores[0].id is STORES_0_ID */
		char *p = arena_cstr(l->a, full);

		for (size_t i = 0, n = 0; i <= full.n; i++)
			if (full.p[i] == '[')
				p[n++] = '_';
			else if (full.p[i] != ']')
				p[n++] = full.p[i];
		full = str_c(p);
	}
	conf_error(l, at, "missing%s; write it in the file or set SLUICE_" STR_FMT, when,
		   STR_ARG(conf_env_name(full, l->a)));
}

/* A value that was said and refused has its finding already. */
static bool lacks(struct scope *s, const struct conf_key *k)
{
	struct str v = text_of(s, k);

	return v.n == 0 && (v.p || !conf_said(s, k)->set);
}

static void need(struct loader *l, struct scope *s, const char *path, const char *when)
{
	if (lacks(s, key(path, s->store)))
		missing(l, s, key(path, s->store), when);
}

static void check_required(struct loader *l, struct scope *s)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (k->store != s->store || !(k->flags & KEY_REQUIRED) || !lacks(s, k))
			continue;
		if (l->single && (k->flags & KEY_MULTI))
			continue;
		missing(l, s, k, "");
	}
}

/* Two keys that make sense together only. */
static void check_pair(struct loader *l, struct scope *s, const char *one, const char *other)
{
	bool has_one = text_of(s, key(one, s->store)).n, has = text_of(s, key(other, s->store)).n;

	if (has_one && !has)
		need(l, s, other, arena_printf(l->a, " beside %s", one).p);
	else if (has && !has_one)
		need(l, s, one, arena_printf(l->a, " beside %s", other).p);
}

static bool is_block(struct str name)
{
	static const char *const blocks[] = {"local", "s3", "azure", "gs", "mem"};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (str_eq(name, str_c(blocks[i])))
			return true;
	return false;
}

/* One warning for each section of another type. */
static void check_other_blocks(struct loader *l, struct scope *s)
{
	struct str type = store_of(s)->type, last = STR_NONE;

	for (size_t i = 0; i < CONF_KEYS && type.n; i++) {
		const struct conf_key *k = &conf_keys[i];
		struct str rest, block = str_cut(str_c(k->path), '.', &rest);

		if (!k->store || !s->said[i].set || !is_block(block) || str_eq(block, type) ||
		    str_eq(block, last) || (k->flags & KEY_IGNORED))
			continue;
		last = block;
		conf_warning(l, s->said[i].at,
			     "a store of type " STR_FMT " doesn't use it; remove its section, or "
			     "correct the type", STR_ARG(type));
	}
}

static void check_store(struct loader *l, struct scope *s)
{
	struct conf_store *st = store_of(s);

	if (s->refused)
		return;
	check_required(l, s);
	if (str_eq(st->type, STR("local")))
		need(l, s, "local.path", " for a store of type local");
	check_pair(l, s, "s3.credentials.access_key_id", "s3.credentials.secret_access_key");
	if (st->azure.storage_access_key.n)
		need(l, s, "azure.storage_account", " beside azure.storage_access_key");
	if (st->id.n > 128 || !str_eq(conf_shown(str_head(st->id, 80), l->a), str_head(st->id, 80)))
		conf_error(l, where(l, s, "id"),
			   "not a store's id; write at most 128 characters, no control characters");
	check_other_blocks(l, s);
}

static struct str without_slashes(struct str path)
{
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

static struct str local_path(struct scope *s)
{
	struct conf_store *st = store_of(s);

	return str_eq(st->type, STR("local")) ? without_slashes(st->local.path) : STR_NONE;
}

static struct str line_text(struct loader *l, struct origin at)
{
	return at.line ? arena_printf(l->a, "line %u", at.line) : at.key;
}

static void check_two_stores(struct loader *l, struct scope *a, struct scope *b)
{
	if (store_of(a)->id.n && str_eq(store_of(a)->id, store_of(b)->id))
		conf_error(l, where(l, b, "id"),
			   "\"" STR_FMT "\" is another store's id, too (" STR_FMT "); give each "
			   "store an id of its own",
			   STR_ARG(conf_shown(store_of(b)->id, l->a)),
			   STR_ARG(line_text(l, where(l, a, "id"))));
	if (local_path(a).n && str_eq(local_path(a), local_path(b)))
		conf_error(l, where(l, b, "local.path"),
			   "another store has the same folder (" STR_FMT "); give each store a "
			   "folder of its own",
			   STR_ARG(line_text(l, where(l, a, "local.path"))));
}

static void check_backward(struct loader *l)
{
	struct scope *first = NULL;

	for (size_t i = 0; i < l->stores_n; i++) {
		struct scope *s = l->stores[i];

		if (!s || !store_of(s)->backward_compatible)
			continue;
		if (first)
			conf_error(l, where(l, s, "backward_compatible"),
				   "a second backward compatible store (the first: " STR_FMT "); set "
				   "it for one store only",
				   STR_ARG(line_text(l, where(l, first, "backward_compatible"))));
		else
			first = s;
	}
}

static void check_signing(struct loader *l)
{
	const struct conf_key *k = key("blockstores.signing.secret_key", false);
	struct origin at = conf_where(l, &l->top, k);
	struct str *secret = &l->conf->blockstores.signing.secret_key;

	if (l->multi.key.p)
		return;
	if (!conf_said(&l->top, k)->set) {
		*secret = STR(CONF_SIGNING_DEFAULT);
		if (l->single_at.file.p)
			at = l->single_at;
		at.key = STR("blockstore.signing.secret_key");
	}
	if (l->single && str_eq(*secret, STR(CONF_SIGNING_DEFAULT)))
		conf_warning(l, at, "the default that everybody knows; write a random text, the "
				    "same on every server");
}

static void check_stores(struct loader *l)
{
	size_t n = l->single ? 1 : l->stores_n;

	if (l->single && l->multi.key.p) {
		conf_error(l, l->multi, "`blockstore` is configured, too (" STR_FMT "); keep one of "
					"them: move the single store into this list with "
					"backward_compatible: true",
			   STR_ARG(line_text(l, l->single->at)));
		return;
	}
	if (l->multi_refused)
		return;
	if (l->multi.key.p && n == 0)
		conf_error(l, l->multi, "the list is empty; write at least one store, with id and "
					"type");
	else if (n == 0)
		conf_error(l, l->single_at.file.p
				   ? conf_origin(l, l->single_at.line, STR("blockstore.type"))
				   : conf_origin(l, 0, STR("blockstore.type")),
			   "missing; write it in the file or set SLUICE_BLOCKSTORE_TYPE, or list "
			   "several stores under blockstores.stores");
	for (size_t i = 0; i < n; i++) {
		if (!store_at(l, i))
			continue;
		check_store(l, store_at(l, i));
		for (size_t j = 0; j < i; j++)
			if (store_at(l, j))
				check_two_stores(l, store_at(l, j), store_at(l, i));
	}
	check_backward(l);
}

/* lakeFS's own local database is Badger: MANIFEST and KEYREGISTRY or *.vlog; RocksDB has CURRENT. */
static bool holds_badger(struct str path, struct arena *a)
{
	DIR *d = path.n ? opendir(arena_cstr(a, path)) : NULL;
	bool manifest = false, vlog = false, registry = false, current = false;
	struct dirent *e;

	if (!d)
		return false;
	while ((e = readdir(d))) {
		struct str name = str_c(e->d_name);

		manifest |= str_eq(name, STR("MANIFEST"));
		registry |= str_eq(name, STR("KEYREGISTRY"));
		current |= str_eq(name, STR("CURRENT"));
		vlog |= str_ends(name, STR(".vlog"));
	}
	closedir(d);
	return !current && (registry || (manifest && vlog));
}

static void check_database(struct loader *l)
{
	struct conf *c = l->conf;

	if (str_eq(c->database.type, STR("local"))) {
		need(l, &l->top, "database.local.path", " for database.type local");
		if (holds_badger(c->database.local.path, l->a))
			conf_error(l, where(l, &l->top, "database.local.path"),
				   "the folder holds lakeFS's Badger files, which sluice doesn't "
				   "read; dump the refs with lakeFS, name an empty folder here and "
				   "restore them");
	}
	check_pair(l, &l->top, "database.dynamodb.aws_access_key_id",
		   "database.dynamodb.aws_secret_access_key");
	for (size_t i = 0; i < (l->single ? 1 : l->stores_n); i++) {
		struct scope *s = store_at(l, i);

		if (s && str_eq(c->database.type, STR("local")) && local_path(s).n &&
		    str_eq(local_path(s), without_slashes(c->database.local.path)))
			conf_error(l, where(l, s, "local.path"),
				   "also the folder of the database; give each a folder of its own");
	}
}

static void check_rest(struct loader *l)
{
	struct conf *c = l->conf;

	if (c->tls.enabled) {
		need(l, &l->top, "tls.cert_file", " where tls.enabled is true");
		need(l, &l->top, "tls.key_file", " where tls.enabled is true");
	}
	if (c->committed.permanent.min_range_size_bytes > c->committed.permanent.max_range_size_bytes)
		conf_error(l, where(l, &l->top, "committed.permanent.min_range_size_bytes"),
			   "greater than committed.permanent.max_range_size_bytes; write a smaller "
			   "one");
	if (c->committed.local_cache.range_proportion +
		    c->committed.local_cache.metarange_proportion > 1 + 1e-9)
		conf_error(l, where(l, &l->top, "committed.local_cache.range_proportion"),
			   "more than 1 together with metarange_proportion; write parts of 1");
	if (c->auth.login_duration > c->auth.login_max_duration)
		conf_error(l, where(l, &l->top, "auth.login_duration"),
			   "greater than auth.login_max_duration; write a smaller one");
	check_pair(l, &l->top, "installation.access_key_id", "installation.secret_access_key");
	if (is_set(&l->top, "auth.ui_config.rbac") &&
	    (str_eq(c->auth.ui_config.rbac, STR("simplified")) ||
	     str_eq(c->auth.ui_config.rbac, STR("external"))))
		conf_warning(l, where(l, &l->top, "auth.ui_config.rbac"),
			     "sluice keeps users and policies itself; write internal");
}

void conf_check(struct loader *l)
{
	check_signing(l);
	check_required(l, &l->top);
	check_database(l);
	check_stores(l);
	check_rest(l);
}
