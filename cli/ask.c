#include "cli/ask.h"

#include <stdlib.h>

#include "base/encode.h"
#include "http/client.h"

enum { ASK_MS = 60 * 1000, HEALTH_MS = 5000, ANSWER_MAX = 16 << 20 };

static rc send_to(const struct ask *k, struct str method, struct str path, unsigned ms, bool as_user,
		  struct arena *a, struct http_answer *ret, struct err *reterr)
{
	struct str pair = arena_printf(a, "%s:%s", k->user ? k->user : "", k->password ? k->password : "");
	const struct http_header h = {
		STR("authorization"),
		arena_printf(a, "Basic " STR_FMT, STR_ARG(base64_encode(a, pair)))};
	const struct http_request q = {
		.method = method,
		.url = arena_printf(a, "%s" STR_FMT, k->endpoint, STR_ARG(path)),
		.headers = &h,
		.headers_n = as_user ? 1 : 0,
		.body = str_eq(method, STR("POST")) ? HTTP_BYTES : HTTP_NO_BODY,
		.bytes = STR(""),
	};
	struct http_pool *pool = http_pool_new(&(struct http_pool_options){.stall_ms = ms});
	rc r = http_ask(pool, &q, ANSWER_MAX, a, ret, reterr);

	http_pool_free(pool);
	return r;
}

rc ask_json(const struct ask *k, struct str method, struct str path, struct arena *a, struct json **ret,
	    struct err *reterr)
{
	struct http_answer got;
	rc parsed;

	TRY(send_to(k, method, path, ASK_MS, true, a, &got, reterr));
	parsed = json_parse(a, got.body, ret, reterr);
	if (got.status >= 200 && got.status < 300)
		return parsed;
	return err_set(reterr, ERR_ServiceUnavailable, "the server at %s answered %d: " STR_FMT,
		       k->endpoint, got.status,
		       STR_ARG(rc_ok(parsed) ? json_str(json_member(*ret, "message")) : STR("no JSON")));
}

bool ask_answers(const struct ask *k, struct arena *a)
{
	struct http_answer got;

	return rc_ok(send_to(k, STR("GET"), STR("/_health"), HEALTH_MS, false, a, &got, NULL)) &&
	       got.status == 200;
}

void ask_env(struct ask *k)
{
	if (!k->user)
		k->user = getenv("SLUICE_ACCESS_KEY_ID");
	if (!k->password)
		k->password = getenv("SLUICE_SECRET_ACCESS_KEY");
}

rc ask_has_key(const struct ask *k, const char *work, struct err *reterr)
{
	if (k->user && k->password)
		return RC_OK;
	return err_set(reterr, ERR_CONFIG,
		       "a server runs at %s and has the database open, so %s: give "
		       "--access-key-id and --secret-access-key, or set SLUICE_ACCESS_KEY_ID and "
		       "SLUICE_SECRET_ACCESS_KEY; or stop it first",
		       k->endpoint, work);
}

const char *ask_configured(struct arena *a, const struct conf *c)
{
	struct str at = c->listen_address, host, port;
	size_t colon = at.n;

	while (colon > 0 && at.p[colon - 1] != ':')
		colon--;
	host = colon ? str_head(at, colon - 1) : at;
	port = str_skip(at, colon);
	if (!host.n || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]")))
		host = STR("127.0.0.1");
	return arena_printf(a, "%s://" STR_FMT ":" STR_FMT, c->tls.enabled ? "https" : "http", STR_ARG(host),
			    STR_ARG(port))
		.p;
}
