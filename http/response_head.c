#include "http/conn.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIXED_PART = 256 }; /* more than all that isn't a header's text, the server's name apart */

const char *status_reason(int status)
{
	static const char *const reasons[] = {
		[200] = "OK",
		[201] = "Created",
		[202] = "Accepted",
		[204] = "No Content",
		[206] = "Partial Content",
		[301] = "Moved Permanently",
		[302] = "Found",
		[303] = "See Other",
		[304] = "Not Modified",
		[307] = "Temporary Redirect",
		[308] = "Permanent Redirect",
		[400] = "Bad Request",
		[401] = "Unauthorized",
		[403] = "Forbidden",
		[404] = "Not Found",
		[405] = "Method Not Allowed",
		[406] = "Not Acceptable",
		[408] = "Request Timeout",
		[409] = "Conflict",
		[410] = "Gone",
		[411] = "Length Required",
		[412] = "Precondition Failed",
		[413] = "Content Too Large",
		[414] = "URI Too Long",
		[415] = "Unsupported Media Type",
		[416] = "Range Not Satisfiable",
		[417] = "Expectation Failed",
		[420] = "Enhance Your Calm",
		[422] = "Unprocessable Content",
		[423] = "Locked",
		[424] = "Failed Dependency",
		[429] = "Too Many Requests",
		[431] = "Request Header Fields Too Large",
		[500] = "Internal Server Error",
		[501] = "Not Implemented",
		[502] = "Bad Gateway",
		[503] = "Service Unavailable",
		[504] = "Gateway Timeout",
		[505] = "HTTP Version Not Supported",
		[507] = "Insufficient Storage",
	};

	if (status < 0 || (size_t)status >= sizeof(reasons) / sizeof(reasons[0]) ||
	    !reasons[status])
		return "Status";
	return reasons[status];
}

static struct str date(struct server_loop *sl)
{
	int64_t s = wall_now().s;

	if (s != sl->date_s) {
		time_http(s, sl->date);
		sl->date_s = s;
	}
	return str_make(sl->date, sizeof(sl->date) - 1);
}

static char *add(char *to, struct str s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

/* What came from stored data must not begin another header. */
static char *add_clean(char *to, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		*to++ = (char)((ch < ' ' && ch != '\t') || ch == 0x7f ? ' ' : ch);
	}
	return to;
}

static char *add_header(char *to, struct str name, struct str value)
{
	to = add_clean(to, name);
	to = add(to, STR(": "));
	to = add_clean(to, value);
	return add(to, STR("\r\n"));
}

static size_t bound(const struct http_req *r, const struct http_header *h, size_t n)
{
	size_t bytes = FIXED_PART;

	if (r->sl->server->server_name)
		bytes += strlen(r->sl->server->server_name);
	for (size_t i = 0; i < n; i++)
		bytes += h[i].name.n + h[i].value.n + 4;
	return bytes;
}

static char *add_framing(char *to, const struct http_req *r, int64_t length)
{
	char digits[24];
	int n;

	if (r->resp.chunked)
		to = add(to, STR("Transfer-Encoding: chunked\r\n"));
	if (length >= 0) {
		n = snprintf(digits, sizeof(digits), "%lld", (long long)length);
		to = add_header(to, STR("Content-Length"), str_make(digits, (size_t)n));
	}
	if (!r->resp.keep)
		to = add(to, STR("Connection: close\r\n"));
	return to;
}

/* An answer by a body may begin while a worker still uses the request's arena. */
static char *head_memory(struct http_req *r, size_t n)
{
	if (r->resp.source != RESPONSE_BODY)
		return arena_alloc(r->arena, n);
	assert(!r->resp.spill);
	r->resp.spill = malloc(n);
	if (!r->resp.spill)
		abort();
	return r->resp.spill;
}

struct str response_head(struct http_req *r, const struct http_header *h, size_t n, int64_t length)
{
	char *p = head_memory(r, bound(r, h, n)), *to = p;
	char status[8];

	snprintf(status, sizeof(status), "%03d ", r->status % 1000);
	to = add(to, STR("HTTP/1.1 "));
	to = add(to, str_c(status));
	to = add(to, str_c(status_reason(r->status)));
	to = add(to, STR("\r\nDate: "));
	to = add(to, date(r->sl));
	to = add(to, STR("\r\n"));
	if (r->sl->server->server_name)
		to = add_header(to, STR("Server"), str_c(r->sl->server->server_name));
	for (size_t i = 0; i < n; i++)
		to = add_header(to, h[i].name, h[i].value);
	to = add_framing(to, r, length);
	to = add(to, STR("\r\n"));
	return str_make(p, (size_t)(to - p));
}
