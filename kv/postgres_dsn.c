#include "kv/postgres_dsn.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"

enum { TEXT_MAX = 16 << 10 };

struct parse {
	struct arena *a;
	struct buf kept;     /* the string as libpq gets it */
	struct buf settings; /* "-c name=value" for those that it doesn't know */
	struct str table;
	bool bad;
};

static bool known_to_libpq(struct str name)
{
	PQconninfoOption *all = PQconndefaults();
	/* "ssl=true" is JDBC's word for sslmode=require. */
	bool known = str_eq(name, STR("ssl"));

	for (PQconninfoOption *o = all; o && o->keyword && !known; o++)
		known = str_eq(name, str_c(o->keyword));
	PQconninfoFree(all);
	return known;
}

static bool read_over(struct str name)
{
	return str_starts(name, STR("pool_")) || str_ends(name, STR("_cache_capacity")) ||
	       str_eq(name, STR("default_query_exec_mode")) || str_eq(name, STR("min_read_buffer_size"));
}

/* In "options" a space or a backslash has a backslash in front. */
static void add_setting(struct buf *to, struct str name, struct str value)
{
	buf_printf(to, " -c " STR_FMT "=", STR_ARG(name));
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == ' ' || value.p[i] == '\\')
			buf_add_c(to, '\\');
		buf_add_c(to, value.p[i]);
	}
}

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '_' && c != '.')
			return false;
	}
	return s.n > 0;
}

/* True: ours, libpq mustn't see it. */
static bool take_ours(struct parse *p, struct str name, struct str value)
{
	if (known_to_libpq(name))
		return false;
	if (str_eq(name, STR("lakefskv_table")))
		p->table = arena_dup(p->a, value);
	else if (!is_name(name))
		p->bad = true;
	else if (!read_over(name))
		add_setting(&p->settings, name, value);
	return true;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static struct str percent_decoded(struct parse *p, struct str s)
{
	char *to = arena_alloc(p->a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int high, low;

		if (s.p[i] != '%') {
			to[n++] = s.p[i];
			continue;
		}
		high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
		low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
		p->bad |= low < 0;
		to[n++] = low < 0 ? '%' : (char)(high * 16 + low);
		i += low < 0 ? 0 : 2;
	}
	return str_make(to, n);
}

static void split_uri(struct parse *p, struct str text)
{
	struct str query, left = str_cut(text, '?', &query);
	char separator = '?';

	buf_add(&p->kept, left);
	while (query.p) {
		struct str pair = str_cut(query, '&', &query), value, name;

		name = str_cut(pair, '=', &value);
		if (!pair.n || take_ours(p, percent_decoded(p, name), percent_decoded(p, value)))
			continue;
		buf_add_c(&p->kept, separator);
		buf_add(&p->kept, pair);
		separator = '&';
	}
}

static bool space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static struct str skip_space(struct str s)
{
	while (s.n && space(s.p[0]))
		s = str_skip(s, 1);
	return s;
}

/* A value, with its quotes and backslashes taken off. */
static struct str word(struct parse *p, struct str *rest)
{
	bool quoted = rest->n && rest->p[0] == '\'';
	struct str s = quoted ? str_skip(*rest, 1) : *rest;
	char *to = arena_alloc(p->a, s.n + 1);
	size_t n = 0;

	while (s.n && (quoted ? s.p[0] != '\'' : !space(s.p[0]))) {
		if (s.p[0] == '\\' && s.n > 1)
			s = str_skip(s, 1);
		to[n++] = s.p[0];
		s = str_skip(s, 1);
	}
	p->bad |= quoted && !s.n;
	*rest = quoted && s.n ? str_skip(s, 1) : s;
	return str_make(to, n);
}

static void split_pairs(struct parse *p, struct str text)
{
	struct str rest = skip_space(text);

	while (rest.n && !p->bad) {
		const char *begin = rest.p;
		struct str name = rest, value;

		while (rest.n && rest.p[0] != '=' && !space(rest.p[0]))
			rest = str_skip(rest, 1);
		name.n = (size_t)(rest.p - begin);
		rest = skip_space(rest);
		if (!rest.n || rest.p[0] != '=' || !name.n) {
			p->bad = true;
			return;
		}
		rest = skip_space(str_skip(rest, 1));
		value = word(p, &rest);
		if (!take_ours(p, name, value)) {
			buf_add(&p->kept, str_make(begin, (size_t)(rest.p - begin)));
			buf_add_c(&p->kept, ' ');
		}
		rest = skip_space(rest);
	}
}

static const char *quoted_name(struct arena *a, struct str name)
{
	char *to = arena_alloc(a, 2 * name.n + 3);
	size_t n = 0;

	to[n++] = '"';
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"')
			to[n++] = '"';
		to[n++] = name.p[i];
	}
	to[n++] = '"';
	to[n] = 0;
	return to;
}

static void add(struct pg_dsn *d, const char *keyword, const char *value)
{
	d->keywords[d->n] = keyword;
	d->values[d->n++] = value;
}

/* What libpq says later quotes hosts and ports: a password with a bare @ or / in it ends up in one of them. */
static bool plausible(const char *keyword, const char *value)
{
	if (strncmp(keyword, "host", 4) == 0)
		return !strchr(value, '@');
	if (strcmp(keyword, "port") == 0)
		return value[strspn(value, "0123456789,")] == 0;
	return true;
}

static const char *value_of(const struct pg_dsn *d, const char *keyword)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->keywords[i], keyword) == 0)
			return d->values[i];
	return NULL;
}

static void add_absent(struct pg_dsn *d, const char *keyword, const char *value)
{
	if (!value_of(d, keyword))
		add(d, keyword, value);
}

static void options_of_environment(struct arena *a, const char **ret)
{
	PQconninfoOption *all = PQconndefaults();

	for (PQconninfoOption *o = all; o && o->keyword; o++)
		if (strcmp(o->keyword, "options") == 0 && o->val)
			*ret = arena_cstr(a, str_c(o->val));
	PQconninfoFree(all);
}

/* What comes later wins: the string's own over ours. */
static void add_options(struct pg_dsn *d, struct parse *p, unsigned statement_ms)
{
	const char *given = value_of(d, "options"), *theirs;
	struct str settings = buf_str(&p->settings);

	if (!given)
		options_of_environment(p->a, &given);
	theirs = arena_cstr(p->a, arena_printf(p->a, "%s" STR_FMT, given ? given : "", STR_ARG(settings)));
	d->options_plain = theirs;
	d->options_at = d->n;
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->keywords[i], "options") == 0)
			d->options_at = i;
	d->keywords[d->options_at] = "options";
	d->values[d->options_at] =
		arena_cstr(p->a, arena_printf(p->a, "-c statement_timeout=%u %s", statement_ms, theirs));
	d->n += d->options_at == d->n;
}

static rc no_dsn(struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG,
		       "database.postgres.connection_string is no connection string of PostgreSQL: write "
		       "postgres://USER:PASSWORD@HOST:PORT/DATABASE (special characters as %%XX), or "
		       "\"host=... dbname=...\"");
}

static rc read_kept(struct parse *p, struct pg_dsn *ret, struct err *reterr)
{
	const char *kept = arena_cstr(p->a, buf_str(&p->kept));
	/* What libpq says about a string may quote a part of it: nobody is told. */
	PQconninfoOption *all = p->bad || p->kept.overflow || p->settings.overflow
					? NULL
					: PQconninfoParse(kept, NULL);
	bool fits = true;

	for (PQconninfoOption *o = all; o && o->keyword; o++) {
		if (!o->val || !o->val[0])
			continue;
		fits = ret->n < PG_DSN_MAX - 8 && plausible(o->keyword, o->val);
		if (!fits)
			break;
		add(ret, arena_cstr(p->a, str_c(o->keyword)), arena_cstr(p->a, str_c(o->val)));
	}
	if (!all || !fits) {
		PQconninfoFree(all);
		return no_dsn(reterr);
	}
	PQconninfoFree(all);
	return RC_OK;
}

static rc complete(struct parse *p, unsigned statement_ms, struct pg_dsn *ret, struct err *reterr)
{
	TRY(read_kept(p, ret, reterr));
	if (!p->table.n || memchr(p->table.p, 0, p->table.n))
		return err_set(reterr, ERR_CONFIG,
			       "database.postgres.connection_string: lakefskv_table is no name of a table");
	ret->table = quoted_name(p->a, p->table);
	add_options(ret, p, statement_ms);
	add_absent(ret, "fallback_application_name", "sluice");
	add_absent(ret, "keepalives_idle", "30");
	add_absent(ret, "keepalives_interval", "10");
	add_absent(ret, "keepalives_count", "3");
	add_absent(ret, "tcp_user_timeout",
		   arena_cstr(p->a, arena_printf(p->a, "%u", statement_ms)));
	return RC_OK;
}

rc pg_dsn_parse(struct str text, unsigned statement_ms, struct arena *a, struct pg_dsn *ret,
		struct err *reterr)
{
	struct parse p = {
		.a = a,
		.kept = BUF_INIT(TEXT_MAX),
		.settings = BUF_INIT(TEXT_MAX),
		.table = STR("kv"),
	};
	rc r;

	*ret = (struct pg_dsn){0};
	p.bad = text.n > TEXT_MAX || (text.n && memchr(text.p, 0, text.n));
	if (p.bad)
		r = no_dsn(reterr);
	else {
		if (str_starts(text, STR("postgres://")) || str_starts(text, STR("postgresql://")))
			split_uri(&p, text);
		else
			split_pairs(&p, text);
		r = complete(&p, statement_ms, ret, reterr);
	}
	buf_deinit(&p.kept);
	buf_deinit(&p.settings);
	return r;
}
