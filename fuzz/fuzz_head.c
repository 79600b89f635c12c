/* Heads of requests. The search for the end must not depend on how the bytes came, and what was found
 * whole is either refused with a reason or taken apart within the text that was given. */
#include "fuzz/fuzz.h"
#include "http/head.h"

enum { HEADERS_MAX = 100 };

static enum http_scan_result scan_in_steps(struct str in, size_t step, struct http_scan *s)
{
	enum http_scan_result got = HTTP_SCAN_PARTIAL;

	for (size_t n = 0; n < in.n && got == HTTP_SCAN_PARTIAL;) {
		n = n + step < in.n ? n + step : in.n;
		got = http_scan(s, str_head(in, n));
	}
	return got;
}

static void head_check(const struct http_head *h)
{
	MUST(h->method.n > 0 && h->target.n > 0);
	MUST(h->headers_n <= HEADERS_MAX && h->length >= -1);
	for (size_t i = 0; i < h->headers_n; i++) {
		struct str name = h->headers[i].name, value = h->headers[i].value;

		MUST(name.n > 0);
		for (size_t k = 0; k < name.n; k++)
			MUST(name.p[k] > ' ' && name.p[k] != ':' &&
			     !(name.p[k] >= 'A' && name.p[k] <= 'Z'));
		MUST(str_index(value, '\n') == value.n && str_index(value, '\r') == value.n &&
		     str_index(value, 0) == value.n);
		MUST(str_eq(str_trim(value), value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str in = str_make(data, size);
	size_t step = 1 + take_byte(&in);
	struct http_scan s = {0}, stepped = {0};
	enum http_scan_result got = in.n ? http_scan(&s, in) : HTTP_SCAN_PARTIAL;
	struct http_head h = {0};
	const char *why = NULL;

	MUST(scan_in_steps(in, step, &stepped) == got);
	if (got == HTTP_SCAN_WHOLE) {
		int status;

		MUST(s.at <= in.n && s.at == stepped.at && s.lines == stepped.lines);
		status = http_head_parse(arena_cstr(a, str_head(in, s.at)), s.at, s.lines,
					 HEADERS_MAX, a, &h, &why);
		if (status == 0)
			head_check(&h);
		else
			MUST(status >= 400 && status < 600 && why && why[0]);
	}
	arena_free(a);
	return 0;
}
