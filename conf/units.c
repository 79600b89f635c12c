/* Numbers with units: Go's durations, and sizes in bytes. */
#include "conf/value.h"

struct unit {
	const char *name;
	int64_t scale; /* nanoseconds, or bytes */
};

static const struct unit time_units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xc2\xb5s", 1000}, /* micro sign */
	{"\xce\xbcs", 1000}, /* Greek mu */
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60 * 1000000000LL},
	{"h", 3600 * 1000000000LL},
	{NULL, 0},
};

static const struct unit size_units[] = {
	{"TiB", 1LL << 40}, {"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10},
	{"TB", 1000000000000LL}, {"GB", 1000000000}, {"MB", 1000000}, {"KB", 1000},
	{"B", 1}, {NULL, 0},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct unit *unit_find(const struct unit *units, struct str name)
{
	for (const struct unit *u = units; u->name; u++)
		if (str_eq(name, str_c(u->name)))
			return u;
	return NULL;
}

/* Takes digits with at most one '.' off the front of *s; the fraction is STR_NONE without a '.'. */
static bool take_number(struct str *s, struct str *ret_whole, struct str *ret_fraction)
{
	size_t i = 0, dot;

	while (i < s->n && is_digit(s->p[i]))
		i++;
	*ret_whole = str_head(*s, i);
	*ret_fraction = STR_NONE;
	if (i < s->n && s->p[i] == '.') {
		for (dot = i++; i < s->n && is_digit(s->p[i]); i++)
			;
		*ret_fraction = str_make(s->p + dot + 1, i - dot - 1);
	}
	*s = str_skip(*s, i);
	return ret_whole->n + ret_fraction->n > 0;
}

/* whole.fraction units; digits of the fraction that count less than one are dropped. */
static bool scaled(struct str whole, struct str fraction, int64_t scale, int64_t *ret)
{
	uint64_t w = 0;
	int64_t v, part = scale;

	if (whole.n && !str_to_u64(whole, &w))
		return false;
	if (w > INT64_MAX || __builtin_mul_overflow((int64_t)w, scale, &v))
		return false;
	for (size_t i = 0; i < fraction.n && part; i++) {
		/* part * digit stays within scale, digit by digit */
		int64_t tenth = part / 10;

		if (__builtin_add_overflow(v, (part * (fraction.p[i] - '0')) / 10, &v))
			return false;
		part = tenth;
	}
	*ret = v;
	return true;
}

bool conf_duration_parse(struct str s, int64_t *ret_ms)
{
	int64_t ns = 0;

	if (str_eq(s, STR("0"))) {
		*ret_ms = 0;
		return true;
	}
	if (s.n == 0)
		return false;
	while (s.n) {
		struct str whole, fraction, name;
		const struct unit *u;
		int64_t v;
		size_t i = 0;

		if (!take_number(&s, &whole, &fraction))
			return false;
		while (i < s.n && !is_digit(s.p[i]) && s.p[i] != '.')
			i++;
		name = str_head(s, i);
		s = str_skip(s, i);
		u = unit_find(time_units, name);
		if (!u || !scaled(whole, fraction, u->scale, &v) ||
		    __builtin_add_overflow(ns, v, &ns))
			return false;
	}
	*ret_ms = ns / 1000000 + (ns % 1000000 != 0);
	return true;
}

bool conf_size_parse(struct str s, int64_t *ret)
{
	struct str whole, fraction;
	const struct unit *u = NULL;

	if (!take_number(&s, &whole, &fraction) || (whole.n > 1 && whole.p[0] == '0'))
		return false;
	if (s.n == 0)
		return !fraction.p && scaled(whole, STR_NONE, 1, ret);
	if (s.p[0] == ' ')
		s = str_skip(s, 1);
	u = unit_find(size_units, s);
	return u && scaled(whole, fraction, u->scale, ret);
}

struct str conf_limit_text(const struct conf_key *k, int64_t v, struct arena *a)
{
	static const struct unit ms_units[] = {
		{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
	const struct unit *units = k->type == CONF_DURATION ? ms_units : size_units;

	if (v == 0 || (k->type != CONF_DURATION && k->type != CONF_SIZE))
		return arena_printf(a, "%lld", (long long)v);
	for (const struct unit *u = units; u->name; u++)
		if (v % u->scale == 0 && (k->type == CONF_DURATION || u->scale % 1024 == 0))
			return arena_printf(a, "%lld%s", (long long)(v / u->scale), u->name);
	return arena_printf(a, "%lld", (long long)v);
}
