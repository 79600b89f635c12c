/* The environment: LAKEFS_ variables first, then SLUICE_ ones, which win. An empty value is none. */
#include "conf/load.h"

#define STORES_ENV "BLOCKSTORES_STORES_"
#define SINGLE_ENV "BLOCKSTORE_"

/* Not keys: the tests' own, what Kubernetes sets for a service named sluice, and whom commands act as. */
static const char *const others[] = {"SOURCE", "PORT", "TEST_", "PORT_", "SERVICE_", "ACCESS_KEY_ID",
				     "SECRET_ACCESS_KEY"};

static bool is_other(struct str name)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct str other = str_c(others[i]);

		if (str_ends(other, STR("_")) ? str_starts(name, other) : str_eq(name, other))
			return true;
	}
	return false;
}

struct str conf_env_get(char *const *env, const char *name)
{
	for (; env && *env; env++) {
		struct str value, key = str_cut(str_c(*env), '=', &value);

		if (str_eq(key, str_c(name)))
			return value;
	}
	return STR_NONE;
}

/* Takes "12_" off the front. */
static bool take_index(struct str *name, size_t *ret)
{
	struct str rest, digits = str_cut(*name, '_', &rest);
	uint64_t i;

	if (!rest.p || digits.n > 6 || !str_to_u64(digits, &i))
		return false;
	*name = rest;
	*ret = (size_t)i;
	return true;
}

static void set_variable(struct loader *l, struct scope *s, const struct conf_key *k,
			 struct origin at, struct str value)
{
	conf_say(l, s, k, at, true);
	if (!(k->flags & KEY_IGNORED))
		conf_set_text(l, s, k, at, value);
}

/* False: no key has this name. */
static bool apply_store(struct loader *l, struct str name, struct origin at, struct str value)
{
	const struct conf_key *k;
	size_t i;

	if (!take_index(&name, &i) || !(k = conf_key_by_env(name, true, l->a)))
		return false;
	if (i >= CONF_MAX_STORES) {
		conf_error(l, at, "more than %d stores; number them from 0", CONF_MAX_STORES);
		return true;
	}
	set_variable(l, conf_scope_store(l, i, at), k, at, value);
	return true;
}

static bool apply(struct loader *l, struct str name, struct origin at, struct str value)
{
	const struct conf_key *k = conf_key_by_env(name, false, l->a);

	if (k) {
		set_variable(l, &l->top, k, at, value);
		return true;
	}
	if (str_starts(name, STR(STORES_ENV)))
		return apply_store(l, str_skip(name, STR(STORES_ENV).n), at, value);
	if (!str_starts(name, STR(SINGLE_ENV)))
		return false;
	k = conf_key_by_env(str_skip(name, STR(SINGLE_ENV).n), true, l->a);
	if (!k || (k->flags & KEY_MULTI))
		return false;
	set_variable(l, conf_scope_single(l, at), k, at, value);
	return true;
}

static void read_prefixed(struct loader *l, struct str prefix, bool strict)
{
	for (char *const *e = l->env; e && *e; e++) {
		struct str value, whole = str_cut(str_c(*e), '=', &value), name;
		struct origin at = {.file = STR("environment"), .key = whole};

		if (!str_starts(whole, prefix) || value.n == 0)
			continue;
		name = str_skip(whole, prefix.n);
		if (is_other(name) || apply(l, name, at, value))
			continue;
		if (strict)
			conf_error(l, at, "no key has this name; correct or unset it (the key "
					  "a.b_c is SLUICE_A_B_C)");
		else
			conf_warning(l, at, "no key has this name; it has no effect (the key "
					    "a.b_c is LAKEFS_A_B_C)");
	}
}

static void check_gaps(struct loader *l)
{
	for (size_t i = 0; i < l->stores_n; i++)
		if (!l->stores[i])
			conf_error(l, l->stores[l->stores_n - 1]->at,
				   "store %zu is missing before it; number stores from 0 without "
				   "gaps", i);
}

void conf_read_env(struct loader *l)
{
	read_prefixed(l, STR("LAKEFS_"), false);
	read_prefixed(l, STR("SLUICE_"), true);
	check_gaps(l);
}
