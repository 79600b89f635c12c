#include "backends/azure_identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "backends/bearer.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"

#define RESOURCE "https://storage.azure.com/"

enum {
	FAILED_MS = 3000,
	FILE_MAX = 64 * 1024,
	LIFE_MAX_S = 7 * 24 * 3600,
};

enum kind { BY_SECRET, BY_ASSERTION, APP_SERVICE, MACHINE };

struct azure_identity {
	struct remote *r;
	struct arena *a;
	enum kind kind;
	struct str base, path; /* of what is asked */
	struct str client_id, secret, token_file;
	struct bearer token;
};

static struct str env(struct azure_identity *i, const char *name)
{
	struct str v = str_c(getenv(name));

	return v.n ? arena_dup(i->a, v) : STR_NONE;
}

/* The environment. */

static bool local_host(struct str host)
{
	static const struct str hosts[] = {STR("127.0.0.1"), STR("localhost"),
					   STR("169.254.169.254"), STR("169.254.129.2"),
					   STR("169.254.129.3")};

	host = str_head(host, str_index(host, ':'));
	for (size_t k = 0; k < sizeof(hosts) / sizeof(*hosts); k++)
		if (str_eq(host, hosts[k]))
			return true;
	return false;
}

/* Secrets go by http only to this machine, or to the metadata service that stands for it. */
static rc take_url(struct azure_identity *i, const char *from, struct str url, struct str path,
		   struct err *reterr)
{
	bool tls = str_starts(url, STR("https://"));
	size_t scheme = tls ? 8 : 7, host;

	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	if ((!tls && !str_starts(url, STR("http://"))) || url.n <= scheme ||
	    str_index(url, '?') < url.n)
		return err_set(reterr, ERR_CONFIG, "%s: \"" STR_FMT "\" is no URL", from,
			       STR_ARG(str_head(url, 200)));
	host = str_index(str_skip(url, scheme), '/');
	if (!tls && !local_host(str_make(url.p + scheme, host)))
		return err_set(reterr, ERR_CONFIG, "%s: \"" STR_FMT "\": only https is safe enough",
			       from, STR_ARG(str_head(url, 200)));
	i->base = str_head(url, scheme + host);
	i->path = arena_join(i->a, (struct str[]){str_skip(url, i->base.n), path}, 2);
	return RC_OK;
}

static rc take_authority(struct azure_identity *i, struct str tenant, struct err *reterr)
{
	struct str host = env(i, "AZURE_AUTHORITY_HOST");
	struct str path = arena_join(
	    i->a,
	    (struct str[]){STR("/"), uri_encode(i->a, tenant, false), STR("/oauth2/v2.0/token")},
	    3);

	/* Some write a host alone. */
	if (host.n && str_find(host, STR("://")) == host.n)
		host = arena_join(i->a, (struct str[]){STR("https://"), host}, 2);
	return take_url(i, "AZURE_AUTHORITY_HOST",
			host.n ? host : STR("https://login.microsoftonline.com"), path, reterr);
}

static rc read_environment(struct azure_identity *i, struct err *reterr)
{
	struct str tenant = env(i, "AZURE_TENANT_ID"), endpoint = env(i, "IDENTITY_ENDPOINT"), host;

	i->client_id = env(i, "AZURE_CLIENT_ID");
	i->secret = env(i, "AZURE_CLIENT_SECRET");
	i->token_file = env(i, "AZURE_FEDERATED_TOKEN_FILE");
	if (tenant.n && i->client_id.n && (i->secret.n || i->token_file.n)) {
		i->kind = i->secret.n ? BY_SECRET : BY_ASSERTION;
		return take_authority(i, tenant, reterr);
	}
	i->secret = env(i, "IDENTITY_HEADER");
	if (endpoint.n && i->secret.n) {
		i->kind = APP_SERVICE;
		return take_url(i, "IDENTITY_ENDPOINT", endpoint, STR(""), reterr);
	}
	i->kind = MACHINE;
	host = env(i, "AZURE_POD_IDENTITY_AUTHORITY_HOST");
	return take_url(i, "AZURE_POD_IDENTITY_AUTHORITY_HOST",
			host.n ? host : STR("http://169.254.169.254"),
			STR("/metadata/identity/oauth2/token"), reterr);
}

/* Asking. */

static rc unavailable(const struct azure_identity *i, struct err *reterr, const char *what,
		      struct str said)
{
	static const char *const remedy[] = {
	    "see AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
	    "see AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE",
	    "see the identity that is assigned to the application, and AZURE_CLIENT_ID",
	    "give the machine an identity, or set azure.storage_access_key, or AZURE_TENANT_ID, "
	    "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE",
	};

	return err_set(reterr, ERR_ServiceUnavailable,
		       "a token for Azure from " STR_FMT ": %s" STR_FMT ": %s", STR_ARG(i->base),
		       what, STR_ARG(str_head(said, 150)), remedy[i->kind]);
}

static rc read_assertion(const struct azure_identity *i, struct arena *a, struct str *ret,
			 struct err *reterr)
{
	char *text = arena_alloc(a, FILE_MAX);
	FILE *f = fopen(i->token_file.p, "re");
	size_t n = f ? fread(text, 1, FILE_MAX, f) : 0;

	if (f)
		fclose(f);
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	if (n == 0 || n == FILE_MAX)
		return unavailable(i, reterr, "no token can be read from ", i->token_file);
	*ret = str_make(text, n);
	return RC_OK;
}

static void add_field(struct buf *b, struct arena *a, const char *name, struct str value)
{
	buf_printf(b, "%s%s=" STR_FMT, b->n ? "&" : "", name, STR_ARG(uri_encode(a, value, false)));
}

static rc build_form(const struct azure_identity *i, struct remote_call *c, struct err *reterr)
{
	struct buf b = BUF_INIT(4 * FILE_MAX);
	struct str assertion = STR("");

	if (i->kind == BY_ASSERTION)
		TRY(read_assertion(i, c->a, &assertion, reterr));
	add_field(&b, c->a, "client_id", i->client_id);
	add_field(&b, c->a, "grant_type", STR("client_credentials"));
	add_field(&b, c->a, "scope", STR(RESOURCE ".default"));
	if (i->kind == BY_SECRET) {
		add_field(&b, c->a, "client_secret", i->secret);
	} else {
		add_field(&b, c->a, "client_assertion", assertion);
		add_field(&b, c->a, "client_assertion_type",
			  STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	}
	c->method = STR("POST");
	c->bytes = arena_dup(c->a, buf_str(&b));
	buf_deinit(&b);
	remote_header(c, "content-type", STR("application/x-www-form-urlencoded"));
	return RC_OK;
}

static void build_managed(const struct azure_identity *i, struct remote_call *c)
{
	bool app = i->kind == APP_SERVICE;

	remote_query(c, "api-version", app ? STR("2019-08-01") : STR("2018-02-01"));
	remote_query(c, "resource", STR(RESOURCE));
	if (i->client_id.n)
		remote_query(c, "client_id", i->client_id);
	if (app)
		remote_header(c, "x-identity-header", i->secret);
	else
		remote_header(c, "metadata", STR("true"));
}

/* A number, or one as a text: each service has its way. */
static bool number(const struct json *j, int64_t *ret)
{
	struct str s = json_str(j);
	uint64_t n;

	if (json_type(j) == JSON_INT) {
		*ret = json_int(j);
		return true;
	}
	if (json_type(j) != JSON_STRING || !str_to_u64(s, &n) || n > INT64_MAX)
		return false;
	*ret = (int64_t)n;
	return true;
}

static rc read_answer(const struct azure_identity *i, struct arena *a, const struct http_answer *w,
		      struct str *ret, int64_t *ret_life_s, struct err *reterr)
{
	struct json *j = NULL, *why;
	int64_t at;

	if (!rc_ok(json_parse(a, w->body, &j, NULL)))
		j = NULL;
	if (w->status != 200) {
		why = json_member(j, "error_description");
		return unavailable(i, reterr, arena_printf(a, "it answered %d ", w->status).p,
				   json_type(why) == JSON_STRING ? json_str(why) : STR(""));
	}
	*ret = json_str(json_member(j, "access_token"));
	if (ret->n == 0)
		return unavailable(i, reterr, "its answer has no access_token", STR(""));
	if (!number(json_member(j, "expires_in"), ret_life_s)) {
		if (!number(json_member(j, "expires_on"), &at))
			return unavailable(
			    i, reterr, "its answer doesn't say how long the token lives", STR(""));
		*ret_life_s = at - wall_now().s;
	}
	*ret_life_s = *ret_life_s < 1 ? 1 : *ret_life_s > LIFE_MAX_S ? LIFE_MAX_S : *ret_life_s;
	return RC_OK;
}

static rc ask(void *ud, struct arena *a, struct str *ret, int64_t *ret_life_s, struct err *reterr)
{
	struct azure_identity *i = ud;
	struct http_answer w;
	struct remote_call c;
	struct err e = {0};
	rc r;

	remote_call_init(&c, a, "GET");
	c.repeatable = true;
	c.base = i->base;
	c.path = i->path;
	c.what = STR("a token for Azure");
	if (i->kind == BY_SECRET || i->kind == BY_ASSERTION)
		TRY(build_form(i, &c, reterr));
	else
		build_managed(i, &c);
	r = remote_ask_plain(i->r, &c, &w, &e);
	if (rc_is(r, CANCELLED))
		return err_set(reterr, ERR_CANCELLED, "%s", e.msg);
	if (!rc_ok(r))
		return unavailable(i, reterr, "", str_c(e.msg));
	return read_answer(i, a, &w, ret, ret_life_s, reterr);
}

rc azure_identity_token(struct azure_identity *i, struct arena *a, struct str *ret,
			struct err *reterr)
{
	return bearer_get(&i->token, ask, i, a, ret, reterr);
}

void azure_identity_forget(struct azure_identity *i, struct str token)
{
	bearer_forget(&i->token, token);
}

rc azure_identity_new(struct remote *r, struct azure_identity **ret, struct err *reterr)
{
	struct azure_identity *i = calloc(1, sizeof(*i));
	rc done;

	if (!i)
		abort();
	i->r = r;
	i->a = arena_new();
	bearer_init(&i->token, FAILED_MS, FAILED_MS);
	done = read_environment(i, reterr);
	if (rc_ok(done))
		*ret = i;
	else
		azure_identity_free(i);
	return done;
}

void azure_identity_free(struct azure_identity *i)
{
	if (!i)
		return;
	bearer_deinit(&i->token);
	arena_free(i->a);
	free(i);
}
