#include "conf/table.h"

#include <stddef.h>

#include "conf/conf.h"

/* A row whose type doesn't fit its member doesn't compile. */
#define C_STR struct str
#define C_ADDRESS struct str
#define C_PATH struct str
#define C_BOOL bool
#define C_INT int64_t
#define C_SIZE int64_t
#define C_DURATION int64_t
#define C_FLOAT double
#define C_STRS struct conf_strs
#define C_NETWORKS struct conf_strs

#define ALIAS(...)
#define STORE_ALIAS(...)
#define IGNORED(...)
#define STORE_IGNORED(...)
#define FITS(in, p, t)                                                                             \
	_Static_assert(__builtin_types_compatible_p(typeof(((in *)0)->p), C_##t),                   \
		      #p " has another type in " #in);
#define KEY(p, t, ...) FITS(struct conf, p, t)
#define STORE_KEY(p, t, ...) FITS(struct conf_store, p, t)
#include "conf/conf.def"
#undef KEY
#undef STORE_KEY
#undef IGNORED
#undef STORE_IGNORED

#define ANY_VALUE .min = 0
#define BETWEEN(least, most) .min = (least), .max = (most)
#define ONE_OF(spellings) .choices = (spellings)
#define ROW(in, p, t, dflt, f, text, ...)                                                          \
	.path = #p, .type = CONF_##t, .offset = offsetof(in, p), .preset = (dflt), .flags = (f),   \
	.doc = (text), __VA_ARGS__

const struct conf_key conf_keys[CONF_KEYS] = {
#define KEY(p, t, dflt, limits, f, text) {ROW(struct conf, p, t, dflt, f, text, limits)},
#define STORE_KEY(p, t, dflt, limits, f, text)                                                     \
	{ROW(struct conf_store, p, t, dflt, f, text, limits), .store = true},
#define IGNORED(p, text) {.path = #p, .type = CONF_ANY, .flags = KEY_IGNORED, .doc = (text)},
#define STORE_IGNORED(p, text)                                                                     \
	{.path = #p, .type = CONF_ANY, .flags = KEY_IGNORED, .doc = (text), .store = true},
#include "conf/conf.def"
#undef KEY
#undef STORE_KEY
#undef IGNORED
#undef STORE_IGNORED
#undef ALIAS
#undef STORE_ALIAS
};

static const struct alias {
	const char *from, *to;
	bool store;
} aliases[] = {
#define KEY(...)
#define STORE_KEY(...)
#define IGNORED(...)
#define STORE_IGNORED(...)
#define ALIAS(f, t) {#f, #t, false},
#define STORE_ALIAS(f, t) {#f, #t, true},
#include "conf/conf.def"
};

enum { ALIASES = sizeof(aliases) / sizeof(aliases[0]) };

/* `path` is `prefix` or lies below it; *ret_rest is then empty or begins with sep. */
static bool under(struct str path, struct str prefix, char sep, struct str *ret_rest)
{
	if (!str_starts(path, prefix))
		return false;
	*ret_rest = str_skip(path, prefix.n);
	return ret_rest->n == 0 || ret_rest->p[0] == sep;
}

struct str conf_key_canonical(struct str path, bool store, struct arena *a)
{
	char *p = arena_cstr(a, path);

	for (size_t i = 0; i < path.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
	path = str_make(p, path.n);
	for (size_t i = 0; i < ALIASES; i++) {
		struct str rest;

		if (aliases[i].store == store && under(path, str_c(aliases[i].from), '.', &rest))
			return arena_printf(a, "%s" STR_FMT, aliases[i].to, STR_ARG(rest));
	}
	return path;
}

const struct conf_key *conf_key_find(struct str path, bool store)
{
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_keys[i].store == store && str_eq(path, str_c(conf_keys[i].path)))
			return &conf_keys[i];
	return NULL;
}

bool conf_key_is_section(struct str path, bool store)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		struct str rest;

		if (conf_keys[i].store == store &&
		    under(str_c(conf_keys[i].path), path, '.', &rest) && rest.n)
			return true;
	}
	return false;
}

struct str conf_env_name(struct str path, struct arena *a)
{
	char *p = arena_cstr(a, path);

	for (size_t i = 0; i < path.n; i++) {
		if (p[i] == '.')
			p[i] = '_';
		else if (p[i] >= 'a' && p[i] <= 'z')
			p[i] &= ~0x20;
	}
	return str_make(p, path.n);
}

static struct str env_canonical(struct str name, bool store, struct arena *a)
{
	for (size_t i = 0; i < ALIASES; i++) {
		struct str from = conf_env_name(str_c(aliases[i].from), a), rest;
		struct str to = conf_env_name(str_c(aliases[i].to), a);

		if (aliases[i].store == store && under(name, from, '_', &rest))
			return arena_printf(a, STR_FMT STR_FMT, STR_ARG(to), STR_ARG(rest));
	}
	return name;
}

const struct conf_key *conf_key_by_env(struct str name, bool store, struct arena *a)
{
	name = env_canonical(name, store, a);
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_keys[i].store == store &&
		    str_eq(name, conf_env_name(str_c(conf_keys[i].path), a)))
			return &conf_keys[i];
	return NULL;
}

const char *conf_type_name(const struct conf_key *k)
{
	static const char *const names[] = {
		[CONF_STR] = "text",	     [CONF_ADDRESS] = "host:port", [CONF_PATH] = "path",
		[CONF_BOOL] = "true/false",  [CONF_INT] = "number",	   [CONF_SIZE] = "size",
		[CONF_DURATION] = "duration", [CONF_FLOAT] = "decimal",	   [CONF_STRS] = "list",
		[CONF_NETWORKS] = "networks", [CONF_ANY] = "anything",
	};

	return k->choices ? "choice" : names[k->type];
}
