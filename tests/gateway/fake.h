/* A request that has no connection: its head and its address are enough for what only reads them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/s3.h"
#include "http/conn.h"

struct fake {
	struct arena *a;
	struct http_req http;
	struct gateway_options o;
	struct gateway *g;
	struct s3_req r;
};

/* head: lines end in \n; the empty one is added. domains: NULL or one. */
static inline void fake_open(struct fake *f, const char *head, const char *domain)
{
	struct buf b = BUF_INIT(65536);
	struct str d = str_c(domain);
	struct http_scan scan = {0};
	const char *why = "";
	char *text;

	*f = (struct fake){.a = arena_new()};
	for (const char *p = head; *p; p++) {
		if (*p == '\n')
			buf_add_c(&b, '\r');
		buf_add_c(&b, *p);
	}
	buf_add(&b, STR("\r\n"));
	text = arena_cstr(f->a, buf_str(&b));
	assert_int_equal(http_scan(&scan, buf_str(&b)), HTTP_SCAN_WHOLE);
	if (http_head_parse(text, b.n, scan.lines, 100, f->a, &f->http.head, &why))
		fail_msg("%s", why);
	buf_deinit(&b);
	f->o = (struct gateway_options){.domains = &d, .domains_n = domain != NULL};
	f->g = gateway_new(&f->o);
	f->r.g = f->g;
	f->r.http = &f->http;
	f->r.a = f->a;
}

static inline void fake_close(struct fake *f)
{
	gateway_free(f->g);
	arena_free(f->a);
}
