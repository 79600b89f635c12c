#include "http/head.h"

#include <assert.h>

enum { MAX_METHOD = 32 };

/* RFC 9110, section 5.6.2. */
static const bool token_char[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
	['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
	['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

/* RFC 3986, section 3.2, without user information. */
static const bool authority_char[256] = {
	['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['%'] = 1, ['!'] = 1, ['$'] = 1, ['&'] = 1,
	['\''] = 1, ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [','] = 1, [';'] = 1, ['='] = 1,
	[':'] = 1, ['['] = 1, [']'] = 1,
	['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static bool all_in(const bool *set, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!set[(unsigned char)s.p[i]])
			return false;
	return true;
}

enum http_scan_result http_scan(struct http_scan *s, struct str in)
{
	if (in.n && !token_char[(unsigned char)in.p[0]])
		return HTTP_SCAN_BAD;
	while (s->at < in.n) {
		const char *lf = memchr(in.p + s->at, '\n', in.n - s->at);
		size_t i;

		if (!lf) {
			s->at = in.n;
			break;
		}
		i = (size_t)(lf - in.p);
		if (in.p[i - 1] != '\r')
			return HTTP_SCAN_BAD;
		s->at = i + 1;
		s->lines++;
		if (i >= 3 && in.p[i - 2] == '\n')
			return HTTP_SCAN_WHOLE;
	}
	return HTTP_SCAN_PARTIAL;
}

struct parse {
	struct str left; /* lines not taken yet */
	struct arena *arena;
	struct http_head *head;
	struct str authority; /* of a target in absolute form */
	bool chunked, counted, hosted;
	const char *why;
};

static int refuse(struct parse *p, int status, const char *why)
{
	p->why = why;
	return status;
}

/* The next line without its CRLF, which http_scan has seen. */
static struct str take_line(struct parse *p)
{
	size_t n = str_index(p->left, '\n');
	struct str line = str_head(p->left, n - 1);

	assert(n > 0 && n < p->left.n);
	p->left = str_skip(p->left, n + 1);
	return line;
}

static bool target_chars_ok(struct str t)
{
	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.p[i];

		if (c <= ' ' || c == 0x7f)
			return false;
	}
	return t.n > 0;
}

static bool skip_nocase(struct str *s, struct str prefix)
{
	if (!str_eq_nocase(str_head(*s, prefix.n), prefix))
		return false;
	*s = str_skip(*s, prefix.n);
	return true;
}

/* "http://host/path?query" becomes "/path?query". */
static int absolute_target(struct parse *p, struct str t)
{
	size_t n = 0;

	if (!skip_nocase(&t, STR("http://")) && !skip_nocase(&t, STR("https://")))
		return refuse(p, 400, "The request target is not valid.");
	while (n < t.n && t.p[n] != '/' && t.p[n] != '?')
		n++;
	p->authority = str_head(t, n);
	if (n == 0 || !all_in(authority_char, p->authority))
		return refuse(p, 400, "The request target's host is not valid.");
	t = str_skip(t, n);
	p->head->target = t.n && t.p[0] == '/'
				  ? t
				  : arena_join(p->arena, (struct str[]){STR("/"), t}, 2);
	return 0;
}

static int version(struct parse *p, struct str v)
{
	if (str_eq(v, STR("HTTP/1.1")))
		return 0;
	if (str_eq(v, STR("HTTP/1.0"))) {
		p->head->http10 = true;
		return 0;
	}
	if (v.n == 8 && str_starts(v, STR("HTTP/")) && v.p[5] >= '0' && v.p[5] <= '9' &&
	    v.p[6] == '.' && v.p[7] >= '0' && v.p[7] <= '9')
		return refuse(p, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
	return refuse(p, 400, "The request line is not valid.");
}

static int request_line(struct parse *p, struct str line)
{
	struct str rest, v;
	struct http_head *h = p->head;
	int status;

	h->method = str_cut(line, ' ', &rest);
	h->target = str_cut(rest, ' ', &v);
	if (h->method.n == 0 || h->method.n > MAX_METHOD || !all_in(token_char, h->method) ||
	    !target_chars_ok(h->target))
		return refuse(p, 400, "The request line is not valid.");
	status = version(p, v);
	if (status)
		return status;
	if (h->target.p[0] == '/')
		return 0;
	if (str_eq(h->target, STR("*")) && str_eq(h->method, STR("OPTIONS")))
		return 0;
	return absolute_target(p, h->target);
}

static bool value_chars_ok(struct str v)
{
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int on_host(struct parse *p, struct http_header *h)
{
	if (p->hosted)
		return refuse(p, 400, "There is more than one Host header.");
	if (!all_in(authority_char, h->value))
		return refuse(p, 400, "The Host header is not valid.");
	p->hosted = true;
	if (p->authority.n)
		h->value = p->authority;
	return 0;
}

static int on_content_length(struct parse *p, struct http_header *h)
{
	uint64_t n;

	if (!str_to_u64(h->value, &n) || n > INT64_MAX)
		return refuse(p, 400, "The Content-Length header is not valid.");
	if (p->counted && p->head->length != (int64_t)n)
		return refuse(p, 400, "There are several Content-Length headers that differ.");
	p->counted = true;
	p->head->length = (int64_t)n;
	return 0;
}

static int on_transfer_encoding(struct parse *p, struct http_header *h)
{
	if (p->head->http10)
		return refuse(p, 400, "Transfer-Encoding is not possible with HTTP/1.0.");
	if (p->chunked || !str_eq_nocase(h->value, STR("chunked")))
		return refuse(p, 400, "The only Transfer-Encoding known here is one \"chunked\".");
	p->chunked = true;
	return 0;
}

static int on_expect(struct parse *p, struct http_header *h)
{
	if (!str_eq_nocase(h->value, STR("100-continue")))
		return refuse(p, 417, "The only Expect known here is \"100-continue\".");
	p->head->expect_continue = !p->head->http10;
	return 0;
}

static int on_connection(struct parse *p, struct http_header *h)
{
	struct str rest = h->value;

	while (rest.p) {
		struct str token = str_trim(str_cut(rest, ',', &rest));

		if (str_eq_nocase(token, STR("close")))
			p->head->keep_alive = false;
	}
	return 0;
}

static int interpret(struct parse *p, struct http_header *h)
{
	static const struct {
		struct str name;
		int (*on)(struct parse *p, struct http_header *h);
	} known[] = {
		{{"host", 4}, on_host},
		{{"expect", 6}, on_expect},
		{{"connection", 10}, on_connection},
		{{"content-length", 14}, on_content_length},
		{{"transfer-encoding", 17}, on_transfer_encoding},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_eq(h->name, known[i].name))
			return known[i].on(p, h);
	return 0;
}

static void lower(struct str s)
{
	char *p = (char *)s.p; /* in the caller's text */

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
}

static int header_line(struct parse *p, struct str line)
{
	struct http_header *h = &p->head->headers[p->head->headers_n];
	size_t colon = str_index(line, ':');

	h->name = str_head(line, colon);
	if (colon == line.n || colon == 0 || !all_in(token_char, h->name))
		return refuse(p, 400, "A header's name is not valid.");
	h->value = str_trim(str_skip(line, colon + 1));
	if (!value_chars_ok(h->value))
		return refuse(p, 400, "A header's value has control characters.");
	lower(h->name);
	p->head->headers_n++;
	return interpret(p, h);
}

static int conclude(struct parse *p)
{
	struct http_head *h = p->head;

	if (p->authority.n && !p->hosted && h->http10) {
		h->headers[h->headers_n++] = (struct http_header){STR("host"), p->authority};
		p->hosted = true;
	}
	if (!p->hosted && !h->http10)
		return refuse(p, 400, "The Host header is missing.");
	if (p->chunked && p->counted)
		return refuse(p, 400, "There are both Content-Length and Transfer-Encoding.");
	if (p->chunked)
		h->length = -1;
	return 0;
}

static int parse(struct parse *p, unsigned lines)
{
	int status = request_line(p, take_line(p));

	for (unsigned i = 2; i < lines && !status; i++)
		status = header_line(p, take_line(p));
	return status ? status : conclude(p);
}

int http_head_parse(char *text, size_t n, unsigned lines, unsigned max_headers, struct arena *a,
		    struct http_head *ret, const char **ret_why)
{
	struct parse p = {.left = str_make(text, n), .arena = a, .head = ret};
	int status;

	assert(lines >= 2);
	*ret = (struct http_head){0};
	if (lines - 2 > max_headers) {
		*ret_why = "There are too many headers.";
		return 431;
	}
	/* One more than there are, for a Host out of the target. */
	ret->headers = arena_alloc(a, (lines - 1) * sizeof(*ret->headers));
	ret->keep_alive = true;
	status = parse(&p, lines);
	if (ret->http10)
		ret->keep_alive = false;
	*ret_why = p.why;
	return status;
}
