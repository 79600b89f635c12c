#include "conf/value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MAX_TEXT = 64 * 1024,
	MAX_LIST = 1000,
	SHOWN = 80,
};

struct str conf_shown(struct str s, struct arena *a)
{
	unsigned last = str_is_utf8(s) ? 0xff : 0x7e;
	char *p = arena_alloc(a, SHOWN + 8);
	size_t n = 0, i;

	for (i = 0; i < s.n && n < SHOWN; i++) {
		unsigned c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f || c > last)
			n += (size_t)snprintf(p + n, 5, "\\x%02x", c);
		else
			p[n++] = (char)c;
	}
	if (i == s.n)
		return str_make(p, n);
	while (last == 0xff && i && ((unsigned char)s.p[i] & 0xc0) == 0x80)
		n--, i--; /* not amid a character */
	memcpy(p + n, "...", 3);
	return str_make(p, n + 3);
}

static bool parse_bool(struct str s, bool *ret)
{
	static const char *const yes[] = {"true", "t", "1"}, *const no[] = {"false", "f", "0"};

	for (size_t i = 0; i < 3; i++) {
		if (str_eq_nocase(s, str_c(yes[i])) || str_eq_nocase(s, str_c(no[i]))) {
			*ret = str_eq_nocase(s, str_c(yes[i]));
			return true;
		}
	}
	return false;
}

/* Without leading zeros: YAML reads those as octal, people as decimal. */
static bool parse_int(struct str s, int64_t *ret)
{
	bool minus = s.n && s.p[0] == '-';
	struct str digits = minus ? str_skip(s, 1) : s;
	uint64_t u;

	if (digits.n > 1 && digits.p[0] == '0')
		return false;
	if (!str_to_u64(digits, &u) || u > INT64_MAX)
		return false;
	*ret = minus ? -(int64_t)u : (int64_t)u;
	return true;
}

static bool parse_float(struct str s, double *ret)
{
	char text[64], *end;

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("0123456789.eE+-", s.p[i]) || !s.p[i])
			return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	*ret = strtod(text, &end);
	return *end == 0 && *ret - *ret == 0; /* finite */
}

/* host:port; the host may be missing, or an IPv6 address in brackets. */
static bool is_address(struct str s)
{
	size_t colon = s.n;
	struct str host;
	uint64_t port;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || !str_to_u64(str_skip(s, colon), &port) || port > 65535)
		return false;
	host = str_head(s, colon - 1);
	if (host.n && host.p[0] == '[')
		return str_ends(host, STR("]"));
	return str_index(host, ':') == host.n && str_index(host, ' ') == host.n;
}

static bool is_network(struct str s)
{
	struct str bits, host = str_cut(s, '/', &bits);
	char text[INET6_ADDRSTRLEN];
	unsigned char bin[16];
	uint64_t n = 0;
	bool v4;

	if (host.n == 0 || host.n >= sizeof(text) || memchr(host.p, 0, host.n))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = 0;
	v4 = inet_pton(AF_INET, text, bin) == 1;
	if (!v4 && inet_pton(AF_INET6, text, bin) != 1)
		return false;
	return !bits.p || (str_to_u64(bits, &n) && n <= (v4 ? 32 : 128));
}

/* "a|b|c=b": the spelling that `s` stands for, or STR_NONE. */
static struct str choose(const char *choices, struct str s)
{
	struct str rest = str_c(choices);

	while (rest.p) {
		struct str means, one = str_cut(rest, '|', &rest);

		one = str_cut(one, '=', &means);
		if (str_eq_nocase(one, s))
			return means.p ? means : one;
	}
	return STR_NONE;
}

struct str conf_choices_text(const char *choices, struct arena *a)
{
	struct str rest = str_c(choices), out = STR("");

	while (rest.p) {
		struct str means, one = str_cut(rest, '|', &rest);

		one = str_cut(one, '=', &means);
		if (!means.p)
			out = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(out), out.n ? ", " : "",
					   STR_ARG(one));
	}
	return out;
}

/* `what the value should be`, and the value itself unless it is secret. */
static bool wrong(const struct conf_key *k, struct str text, struct arena *a, struct str *ret_wrong,
		  struct str expected)
{
	if (k->flags & KEY_SECRET)
		*ret_wrong = arena_printf(a, "the value is not " STR_FMT, STR_ARG(expected));
	else
		*ret_wrong = arena_printf(a, "\"" STR_FMT "\" is not " STR_FMT,
					  STR_ARG(conf_shown(text, a)), STR_ARG(expected));
	return false;
}

static bool in_range(const struct conf_key *k, double v, struct str text, struct arena *a,
		     struct str *ret_wrong)
{
	if (k->min >= k->max || (v >= (double)k->min && v <= (double)k->max))
		return true;
	*ret_wrong = arena_printf(a,
				  STR_FMT " is out of range; write a value from " STR_FMT
					  " to " STR_FMT,
				  STR_ARG(conf_shown(text, a)),
				  STR_ARG(conf_limit_text(k, k->min, a)),
				  STR_ARG(conf_limit_text(k, k->max, a)));
	return false;
}

static bool set_text(const struct conf_key *k, struct str *at, struct str text, struct arena *own,
		     struct arena *a, struct str *ret_wrong)
{
	if (text.n > MAX_TEXT || (text.n && memchr(text.p, 0, text.n))) {
		*ret_wrong = STR("the value holds a NUL byte or is longer than 64 KiB; "
				 "write plain text");
		return false;
	}
	if (k->type == CONF_ADDRESS && !is_address(text))
		return wrong(k, text, a, ret_wrong,
			     STR("an address; write host:port, such as 127.0.0.1:8000"));
	if (k->choices) {
		struct str chosen = choose(k->choices, text);

		if (!chosen.p)
			return wrong(k, text, a, ret_wrong,
				     arena_printf(a, "known here; write one of " STR_FMT,
						  STR_ARG(conf_choices_text(k->choices, a))));
		text = chosen;
	}
	*at = arena_dup(own, text);
	return true;
}

static bool set_number(const struct conf_key *k, int64_t *at, struct str text, struct arena *a,
		       struct str *ret_wrong)
{
	int64_t v;

	if (k->type == CONF_INT && !parse_int(text, &v))
		return wrong(k, text, a, ret_wrong, STR("a whole number; write digits, such as 25"));
	if (k->type == CONF_SIZE && !conf_size_parse(text, &v))
		return wrong(k, text, a, ret_wrong,
			     STR("a size; write bytes or a number and a unit, such as 20MiB"));
	if (k->type == CONF_DURATION && !conf_duration_parse(text, &v))
		return wrong(k, text, a, ret_wrong,
			     STR("a duration; write numbers with units, such as 500ms, 20s or 1h5m"));
	if (!in_range(k, (double)v, text, a, ret_wrong))
		return false;
	*at = v;
	return true;
}

static bool set_float(const struct conf_key *k, double *at, struct str text, struct arena *a,
		      struct str *ret_wrong)
{
	double v;

	if (!parse_float(text, &v))
		return wrong(k, text, a, ret_wrong, STR("a number; write one such as 0.5"));
	if (!in_range(k, v, text, a, ret_wrong))
		return false;
	*at = v;
	return true;
}

/* "a, b": commas separate; empty pieces are left out. */
static bool set_commas(const struct conf_key *k, void *base, struct str text, struct arena *own,
		       struct arena *a, struct str *ret_wrong)
{
	struct str *v = arena_alloc(a, MAX_LIST * sizeof(*v)), rest = text;
	size_t n = 0;

	while (rest.p) {
		struct str one = str_trim(str_cut(rest, ',', &rest));

		if (n == MAX_LIST)
			return wrong(k, text, a, ret_wrong, STR("a list of at most 1000 values"));
		if (one.n)
			v[n++] = one;
	}
	return conf_value_set_list(k, base, v, n, own, a, ret_wrong);
}

bool conf_value_set_list(const struct conf_key *k, void *base, const struct str *v, size_t n,
			 struct arena *own, struct arena *a, struct str *ret_wrong)
{
	struct conf_strs *at = (struct conf_strs *)((char *)base + k->offset);
	struct str *copy = arena_alloc(own, n * sizeof(*copy) + 1);
	static const struct conf_key item = {.type = CONF_STR};

	if (n > MAX_LIST) {
		*ret_wrong = STR("the list is too long; write at most 1000 values");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (!set_text(&item, &copy[i], v[i], own, a, ret_wrong))
			return false;
		if (k->type == CONF_NETWORKS && !is_network(v[i]))
			return wrong(k, v[i], a, ret_wrong,
				     STR("an address or a network; write one such as 10.0.0.0/8"));
	}
	*at = (struct conf_strs){.v = copy, .n = n};
	return true;
}

bool conf_value_set(const struct conf_key *k, void *base, struct str text, struct arena *own,
		    struct arena *a, struct str *ret_wrong)
{
	void *at = (char *)base + k->offset;

	switch (k->type) {
	case CONF_STR:
	case CONF_ADDRESS:
	case CONF_PATH:
		return set_text(k, at, text, own, a, ret_wrong);
	case CONF_BOOL:
		if (parse_bool(text, at))
			return true;
		return wrong(k, text, a, ret_wrong, STR("a bool; write true or false"));
	case CONF_INT:
	case CONF_SIZE:
	case CONF_DURATION:
		return set_number(k, at, text, a, ret_wrong);
	case CONF_FLOAT:
		return set_float(k, at, text, a, ret_wrong);
	case CONF_STRS:
	case CONF_NETWORKS:
		return set_commas(k, base, text, own, a, ret_wrong);
	case CONF_ANY:
		break;
	}
	return true;
}
