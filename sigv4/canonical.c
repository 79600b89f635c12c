/* The canonical request: S3's rules, which are simpler than those of other services.
 *
 * A path is decoded and encoded once; "//", "/./" and ".." stay, nothing is encoded twice. So a
 * client that sends "@" raw and one that sends "%40" sign the same text. An escape that is none
 * ("%zz") is taken as the three characters it consists of: whoever routes the request refuses it.
 */
#include "sigv4/internal.h"

#include <stdlib.h>

struct out out_new(struct arena *a, size_t cap)
{
	return (struct out){.a = a, .p = arena_alloc(a, cap), .cap = cap};
}

char *out_room(struct out *o, size_t n)
{
	if (n > o->cap - o->n) {
		size_t cap = o->cap * 2 > o->n + n ? o->cap * 2 : o->n + n;
		char *p = arena_alloc(o->a, cap);

		memcpy(p, o->p, o->n);
		o->p = p;
		o->cap = cap;
	}
	return o->p + o->n;
}

void out_add(struct out *o, struct str s)
{
	char *to = out_room(o, s.n);

	if (s.n)
		memcpy(to, s.p, s.n);
	o->n += s.n;
}

void out_add_c(struct out *o, char c)
{
	*out_room(o, 1) = c;
	o->n++;
}

struct str header_of(const struct sigv4_request *r, struct str name, size_t *ret_n)
{
	struct str found = STR_NONE;
	size_t n = 0;

	for (size_t i = 0; i < r->headers_n; i++) {
		if (!str_eq(r->headers[i].name, name))
			continue;
		if (n++ == 0)
			found = r->headers[i].value;
	}
	if (ret_n)
		*ret_n = n;
	return found;
}

const char *printable(struct str s, char *out, size_t cap)
{
	size_t n = s.n < cap - 1 ? s.n : cap - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
	out[n] = 0;
	return out;
}

static bool unreserved(unsigned char c)
{
	static const bool yes[256] = {
		['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true,
		['-'] = true,	      ['.'] = true,	    ['_'] = true,
		['~'] = true,
	};

	return yes[c];
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int percent_value(struct str s)
{
	int high, low;

	if (s.n < 3 || s.p[0] != '%')
		return -1;
	high = hex_value(s.p[1]);
	low = hex_value(s.p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static char *put_encoded(char *to, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";

	if (unreserved(c)) {
		*to++ = (char)c;
		return to;
	}
	*to++ = '%';
	*to++ = digits[c >> 4];
	*to++ = digits[c & 15];
	return to;
}

/* Decodes and encodes s in one pass; `raw` may stay as it is where it was sent so. */
static void add_recoded(struct out *o, struct str s, char raw, bool plus_is_space)
{
	char *to = out_room(o, s.n * 3);

	for (size_t i = 0; i < s.n; i++) {
		int c = percent_value(str_skip(s, i));

		if (c >= 0) {
			i += 2;
			to = put_encoded(to, (unsigned char)c);
		} else if (raw && s.p[i] == raw) {
			*to++ = raw;
		} else if (plus_is_space && s.p[i] == '+') {
			to = put_encoded(to, ' ');
		} else {
			to = put_encoded(to, (unsigned char)s.p[i]);
		}
	}
	o->n = (size_t)(to - o->p);
}

static void add_path(struct out *o, struct str path, enum slashes slashes)
{
	size_t from = o->n, to = o->n;

	if (path.n == 0) {
		out_add_c(o, '/');
		return;
	}
	add_recoded(o, path, '/', false);
	if (slashes == SLASHES_AS_SENT)
		return;
	while (from < o->n) {
		if (str_starts(str_make(o->p + from, o->n - from), STR("%2F"))) {
			o->p[to++] = '/';
			from += 3;
		} else {
			o->p[to++] = o->p[from++];
		}
	}
	o->n = to;
}

struct pair {
	struct str key, value;
};

static int pair_cmp(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int c = str_cmp(x->key, y->key);

	return c ? c : str_cmp(x->value, y->value);
}

static size_t pairs_most(struct str query)
{
	size_t n = 1;

	for (size_t i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	return n;
}

static struct str recoded(struct arena *a, struct str s)
{
	struct out o = out_new(a, s.n * 3 + 1);

	add_recoded(&o, s, 0, true);
	return out_str(&o);
}

/* By key, then by value, as encoded; a key without "=" has an empty value. */
static void add_query(struct out *o, struct str query, bool query_form)
{
	struct pair *pairs;
	size_t n = 0;

	if (query.n == 0)
		return;
	pairs = arena_alloc(o->a, pairs_most(query) * sizeof(*pairs));
	while (query.n) {
		struct str value, key = str_cut(str_cut(query, '&', &query), '=', &value);

		if (key.n == 0 && value.n == 0)
			continue;
		pairs[n] = (struct pair){recoded(o->a, key), recoded(o->a, value)};
		if (!query_form || !str_eq(pairs[n].key, STR("X-Amz-Signature")))
			n++;
	}
	qsort(pairs, n, sizeof(*pairs), pair_cmp);
	for (size_t i = 0; i < n; i++) {
		if (i)
			out_add_c(o, '&');
		out_add(o, pairs[i].key);
		out_add_c(o, '=');
		out_add(o, pairs[i].value);
	}
}

/* Trimmed, and each run of blanks is one space. */
static void add_header_value(struct out *o, struct str v)
{
	char *to;
	bool blank = false;

	v = str_trim(v);
	if (!v.n || (!memchr(v.p, '\t', v.n) && !memmem(v.p, v.n, "  ", 2))) {
		out_add(o, v);
		return;
	}
	to = out_room(o, v.n);
	for (size_t i = 0; i < v.n; i++) {
		bool is_blank = v.p[i] == ' ' || v.p[i] == '\t';

		if (!is_blank)
			*to++ = v.p[i];
		else if (!blank)
			*to++ = ' ';
		blank = is_blank;
	}
	o->n = (size_t)(to - o->p);
}

static void add_header(struct out *o, const struct sigv4_request *r, struct str name)
{
	bool first = true;

	out_add(o, name);
	out_add_c(o, ':');
	for (size_t i = 0; i < r->headers_n; i++) {
		if (!str_eq(r->headers[i].name, name))
			continue;
		if (!first)
			out_add_c(o, ',');
		first = false;
		add_header_value(o, r->headers[i].value);
	}
	out_add_c(o, '\n');
}

static size_t size_hint(const struct sigv4_request *r, struct str signed_headers)
{
	size_t n = r->method.n + r->path.n * 3 + r->query.n * 3 + signed_headers.n * 2 + 256;

	for (size_t i = 0; i < r->headers_n; i++)
		n += r->headers[i].value.n + 2;
	return n;
}

struct str canonical_request(const struct sigv4_request *r, struct str signed_headers,
			     struct str payload_hash, bool query_form, enum slashes slashes,
			     struct arena *a)
{
	struct out o = out_new(a, size_hint(r, signed_headers));
	struct str rest = signed_headers;

	out_add(&o, r->method);
	out_add_c(&o, '\n');
	add_path(&o, r->path, slashes);
	out_add_c(&o, '\n');
	add_query(&o, r->query, query_form);
	out_add_c(&o, '\n');
	while (rest.n)
		add_header(&o, r, str_cut(rest, ';', &rest));
	out_add_c(&o, '\n');
	out_add(&o, signed_headers);
	out_add_c(&o, '\n');
	out_add(&o, payload_hash);
	return out_str(&o);
}

struct str sigv4_canonical_request(const struct sigv4_request *r, struct str signed_headers,
				   struct str payload_hash, bool query_form, struct arena *a)
{
	return canonical_request(r, signed_headers, payload_hash, query_form, SLASHES_AS_SENT, a);
}
