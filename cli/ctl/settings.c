#include "cli/ctl/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "conf/yaml.h"

enum { PARALLELISM = 25, PARALLELISM_MAX = 256, ATTEMPTS_MAX = 100 };

static const struct key {
	const char *path;
	enum { TEXT, SWITCH, NUMBER, DURATION } type;
	size_t offset;
	int64_t min, max;
} keys[] = {
	{"server.endpoint_url", TEXT, offsetof(struct settings, endpoint), 0, 0},
	{"credentials.access_key_id", TEXT, offsetof(struct settings, access_key_id), 0, 0},
	{"credentials.secret_access_key", TEXT, offsetof(struct settings, secret_access_key), 0, 0},
	{"base_uri", TEXT, offsetof(struct settings, base_uri), 0, 0},
	{"server.retries.enabled", SWITCH, offsetof(struct settings, retries.enabled), 0, 0},
	{"server.retries.max_attempts", NUMBER, offsetof(struct settings, retries.max_attempts), 0, ATTEMPTS_MAX},
	{"server.retries.min_wait_interval", DURATION, offsetof(struct settings, retries.min_wait_ms), 0, INT64_MAX},
	{"server.retries.max_wait_interval", DURATION, offsetof(struct settings, retries.max_wait_ms), 0, INT64_MAX},
	{"options.parallelism", NUMBER, offsetof(struct settings, parallelism), 1, PARALLELISM_MAX},
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

struct str env_value(char *const *env, struct str name)
{
	for (; *env; env++) {
		struct str value, have = str_cut(str_c(*env), '=', &value);

		if (str_eq(have, name))
			return value;
	}
	return STR_NONE;
}

/* Values. */

static bool unit_parse(struct str s, size_t *ret_n, int64_t *ret_ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_starts(s, str_c(units[i].name))) {
			*ret_n = strlen(units[i].name);
			*ret_ms = units[i].ms;
			return true;
		}
	return false;
}

bool duration_parse(struct str s, int64_t *ret_ms)
{
	int64_t sum = 0, ms;

	if (str_eq(s, STR("0"))) {
		*ret_ms = 0;
		return true;
	}
	if (!s.n)
		return false;
	while (s.n) {
		size_t digits = 0, unit;
		uint64_t n;

		while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
			digits++;
		if (!str_to_u64(str_head(s, digits), &n) || !unit_parse(str_skip(s, digits), &unit, &ms) ||
		    n > (uint64_t)(INT64_MAX - sum) / (uint64_t)ms)
			return false;
		sum += (int64_t)n * ms;
		s = str_skip(s, digits + unit);
	}
	*ret_ms = sum;
	return true;
}

static bool switch_parse(struct str s, bool *ret)
{
	if (str_eq_nocase(s, STR("true")) || str_eq(s, STR("1"))) {
		*ret = true;
		return true;
	}
	*ret = false;
	return str_eq_nocase(s, STR("false")) || str_eq(s, STR("0"));
}

static bool number_parse(const struct key *k, struct str s, int64_t *ret)
{
	uint64_t n;

	if (k->type == DURATION)
		return duration_parse(s, ret);
	if (!str_to_u64(s, &n) || n < (uint64_t)k->min || n > (uint64_t)k->max)
		return false;
	*ret = (int64_t)n;
	return true;
}

static const char *wanted(const struct key *k)
{
	static const char *const words[] = {[TEXT] = "a text",
					    [SWITCH] = "true or false",
					    [NUMBER] = "a number",
					    [DURATION] = "a duration such as 500ms or 3s"};

	return words[k->type];
}

/* name: of the key in the file or of the variable. */
static bool set(const struct key *k, struct str name, struct str value, struct arena *a, struct settings *s,
		struct str *ret_why)
{
	void *at = (char *)s + k->offset;
	bool good = true;

	switch (k->type) {
	case TEXT:
		*(struct str *)at = arena_dup(a, value);
		break;
	case SWITCH:
		good = switch_parse(value, at);
		break;
	case NUMBER:
	case DURATION:
		good = number_parse(k, value, at);
	}
	if (!good && k->max && k->type == NUMBER)
		*ret_why = arena_printf(a, STR_FMT ": '" STR_FMT "' is no number from %lld to %lld", STR_ARG(name),
					STR_ARG(str_head(value, 100)), (long long)k->min, (long long)k->max);
	else if (!good)
		*ret_why = arena_printf(a, STR_FMT ": '" STR_FMT "' is not %s", STR_ARG(name),
					STR_ARG(str_head(value, 100)), wanted(k));
	return good;
}

/* The file. */

static struct yaml_node *member(struct yaml_node *map, struct str key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (struct yaml_item *i = map->first; i; i = i->next)
		if (str_eq(i->key->text, key))
			return i->value;
	return NULL;
}

static struct yaml_node *find(struct yaml_node *root, const char *path)
{
	struct str rest = str_c(path);

	while (rest.p && root)
		root = member(root, str_cut(rest, '.', &rest));
	return root;
}

static bool take_file(struct yaml_node *root, struct arena *a, struct settings *s, struct str *ret_why)
{
	for (size_t i = 0; i < KEYS; i++) {
		struct yaml_node *v = find(root, keys[i].path);
		struct str name;

		if (!v || v->is_null)
			continue;
		name = arena_printf(a, STR_FMT ":%u: %s", STR_ARG(s->file), v->line, keys[i].path);
		if (v->kind != YAML_SCALAR) {
			*ret_why = arena_printf(a, STR_FMT " must be %s", STR_ARG(name), wanted(&keys[i]));
			return false;
		}
		if (!set(&keys[i], name, v->text, a, s, ret_why))
			return false;
	}
	return true;
}

static bool read_file(struct settings *s, bool given, struct arena *a, struct str *ret_why)
{
	FILE *f = fopen(arena_cstr(a, s->file), "re");
	char *text;
	size_t n;
	struct yaml_node *root = NULL;
	struct yaml_fault fault;

	if (!f) {
		if (errno == ENOENT && !given)
			return true;
		*ret_why = arena_printf(a, "open " STR_FMT ": %s", STR_ARG(s->file), strerror(errno));
		return false;
	}
	text = arena_alloc(a, YAML_MAX_BYTES + 1);
	n = fread(text, 1, YAML_MAX_BYTES + 1, f);
	fclose(f);
	if (n > YAML_MAX_BYTES || !conf_yaml_read(str_make(text, n), a, &root, &fault)) {
		*ret_why = n > YAML_MAX_BYTES ? arena_printf(a, STR_FMT ": larger than 1 MiB: is it the configuration?",
							     STR_ARG(s->file))
					      : arena_printf(a, STR_FMT ":%u: " STR_FMT, STR_ARG(s->file), fault.line,
							     STR_ARG(fault.text));
		return false;
	}
	return take_file(root, a, s, ret_why);
}

/* Of all places. */

static struct str variable(struct arena *a, const char *prefix, const char *path)
{
	size_t p = strlen(prefix), n = strlen(path);
	char *name = arena_alloc(a, p + n + 1);

	memcpy(name, prefix, p);
	for (size_t i = 0; i < n; i++)
		name[p + i] = path[i] == '.'			 ? '_'
			      : path[i] >= 'a' && path[i] <= 'z' ? (char)(path[i] - 'a' + 'A')
								 : path[i];
	return str_make(name, p + n);
}

static bool take_environment(char *const *env, struct arena *a, struct settings *s, struct str *ret_why)
{
	static const char *const prefixes[] = {"LAKECTL_", "SLUICECTL_"};

	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < KEYS; i++) {
			struct str name = variable(a, prefixes[p], keys[i].path), value = env_value(env, name);

			if (value.p && (value.n || keys[i].type == TEXT) && !set(&keys[i], name, value, a, s, ret_why))
				return false;
		}
	return true;
}

static struct str first_of(struct str a, struct str b, struct str c)
{
	return a.n ? a : b.n ? b : c;
}

bool settings_load(struct str file, char *const *env, struct arena *a, struct settings *ret, struct str *ret_why)
{
	struct str home = env_value(env, STR("HOME"));
	struct str given = first_of(file, env_value(env, STR("SLUICECTL_CONFIG_FILE")),
				    env_value(env, STR("LAKECTL_CONFIG_FILE")));

	*ret = (struct settings){
		.endpoint = STR(""),
		.access_key_id = STR(""),
		.secret_access_key = STR(""),
		.ca_file = env_value(env, STR("SSL_CERT_FILE")),
		.retries = {true, 4, 200, 30000},
		.parallelism = PARALLELISM,
		.file = given.n	 ? arena_dup(a, given)
			: home.n ? arena_printf(a, STR_FMT "/.lakectl.yaml", STR_ARG(home))
				 : STR_NONE,
	};
	if (ret->file.n && !read_file(ret, given.n > 0, a, ret_why))
		return false;
	return take_environment(env, a, ret, ret_why);
}
