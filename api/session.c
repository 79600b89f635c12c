/* Sessions of browsers: a cookie that holds a login's token. */
#include "api/auth_ops.h"
#include "base/clock.h"

/* lakeFS's: longer than any token in it. */
enum { COOKIE_S = 30 * 86400 };

static struct str in_line(struct str line)
{
	while (line.p) {
		struct str value, pair = str_trim(str_cut(line, ';', &line));
		struct str name = str_cut(pair, '=', &value);

		if (str_eq(name, STR(API_COOKIE)) && value.n)
			return value;
	}
	return STR_NONE;
}

struct str api_cookie(struct api_req *r)
{
	const struct http_header *h;
	size_t n = http_req_headers(r->http, &h);

	for (size_t i = 0; i < n; i++) {
		struct str value = str_eq(h[i].name, STR("cookie")) ? in_line(h[i].value) : STR_NONE;

		if (value.p)
			return value;
	}
	return STR_NONE;
}

struct str api_cookie_header(struct http_req *http, struct arena *a, struct str token)
{
	int64_t seconds = token.n ? COOKIE_S : 0;
	char expires[30];

	time_http(token.n ? wall_now().s + seconds : 1, expires);
	return arena_printf(a, API_COOKIE "=" STR_FMT "; Path=/; Expires=%s; Max-Age=%lld; HttpOnly%s; SameSite=Lax",
			    STR_ARG(token), expires, (long long)seconds, http_req_tls(http) ? "; Secure" : "");
}

/* "https://example.com:8443" and "example.com:8443". */
static bool same_host(struct str origin, struct str host)
{
	size_t at = str_find(origin, STR("://"));

	return at < origin.n && str_eq_nocase(str_skip(origin, at + 3), host);
}

/* Every browser of today tells Sec-Fetch-Site; those before it tell Origin with what changes something. Who
 * tells neither is no browser, and nobody made it send the cookie. */
rc api_same_origin(struct api_req *r)
{
	struct str site = api_header(r, "sec-fetch-site"), origin = api_header(r, "origin");
	bool good = !origin.p || same_host(origin, api_header(r, "host"));

	if (site.p)
		good = str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
	if (good)
		return RC_OK;
	return err_set(&r->err, ERR_Forbidden,
		       "a page of another site (" STR_FMT ") made this request: a login's cookie changes nothing for "
		       "it; use an access key",
		       STR_ARG(str_head(origin.p ? origin : STR("unknown"), 200)));
}

/* GET /logout */
void api_logout(struct api *x, struct http_req *http)
{
	struct arena *a = http_req_arena(http);
	const struct http_header h[] = {
		{STR("location"), x->o.logout_url.n ? x->o.logout_url : STR("/auth/login")},
		{STR("set-cookie"), api_cookie_header(http, a, STR(""))},
		{STR("cache-control"), STR("no-store")},
	};

	http_req_log(http, STR("logout"), STR_NONE, STR_NONE);
	http_respond(http, 307, h, sizeof(h) / sizeof(h[0]), STR(""));
}
