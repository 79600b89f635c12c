#include "backends/gcs_identity.h"

#include <stdlib.h>

#include "backends/bearer.h"
#include "backends/gcs_credentials.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/rsa.h"

#define SCOPE "https://www.googleapis.com/auth/devstorage.read_write"

enum {
	AGAIN_MS = 30000, /* after a failed renewal while the old token still works */
	LIFE_MAX_S = 86400,
	FAILED_MS = 2000, /* without one, this long nobody asks again */
	TOKEN_MAX = 8192,
};

struct gcs_identity {
	struct arena *a;
	struct gcs_credentials is;
	struct rsa_key *key; /* GCS_SERVICE_ACCOUNT */
	struct bearer token;
};

rc gcs_identity_new(struct str file, struct str json, bool anonymous, struct gcs_identity **ret,
		    struct err *reterr)
{
	struct gcs_identity *i = calloc(1, sizeof(*i));
	rc r;

	if (!i)
		abort();
	i->a = arena_new();
	bearer_init(&i->token, FAILED_MS, AGAIN_MS);
	r = gcs_credentials_find(file, json, anonymous, i->a, &i->is, reterr);
	if (rc_ok(r) && i->is.kind == GCS_SERVICE_ACCOUNT)
		r = rsa_key_new(i->is.key, &i->key, reterr);
	if (rc_ok(r))
		*ret = i;
	else
		gcs_identity_free(i);
	return r;
}

void gcs_identity_free(struct gcs_identity *i)
{
	if (!i)
		return;
	bearer_deinit(&i->token);
	rsa_key_free(i->key);
	arena_free(i->a);
	free(i);
}

/* Asking for a token. */

static struct str form(struct arena *a, const struct http_header *v, size_t n)
{
	struct remote_call c = {.a = a, .base = STR(""), .path = STR("")};
	struct str text;

	for (size_t i = 0; i < n; i++)
		if (v[i].value.n)
			c.query[c.query_n++] = v[i];
	text = remote_url(&c);
	return str_skip(text, 1); /* the question mark */
}

static rc assertion(const struct gcs_identity *i, struct arena *a, struct str *ret,
		    struct err *reterr)
{
	struct buf b = BUF_INIT(16 * 1024);
	struct json_out w = {.to = &b};
	struct str pieces[3], signature;
	int64_t now = wall_now().s;

	jw_object(&w, NULL);
	jw_str(&w, "alg", STR("RS256"));
	jw_str(&w, "typ", STR("JWT"));
	if (i->is.key_id.n)
		jw_str(&w, "kid", i->is.key_id);
	jw_end_object(&w);
	pieces[0] = base64url_encode(a, buf_str(&b));
	buf_reset(&b);
	w.comma = false;
	jw_object(&w, NULL);
	jw_str(&w, "iss", i->is.email);
	jw_str(&w, "scope", STR(SCOPE));
	jw_str(&w, "aud", i->is.token_uri);
	jw_int(&w, "iat", now);
	jw_int(&w, "exp", now + 3600);
	jw_end_object(&w);
	pieces[1] = STR(".");
	pieces[2] = base64url_encode(a, buf_str(&b));
	buf_deinit(&b);
	pieces[0] = arena_join(a, pieces, 3);
	TRY(rsa_key_sign(i->key, a, pieces[0], &signature, reterr));
	pieces[2] = base64url_encode(a, signature);
	*ret = arena_join(a, pieces, 3);
	return RC_OK;
}

static rc question(const struct gcs_identity *i, struct remote_call *c, struct err *reterr)
{
	struct arena *a = c->a;
	struct str jwt;

	c->repeatable = true;
	if (i->is.kind == GCS_METADATA) {
		const char *host = getenv("GCE_METADATA_HOST");

		c->method = STR("GET");
		c->base =
		    arena_printf(a, "http://%s", host && *host ? host : "metadata.google.internal");
		c->path = STR("/computeMetadata/v1/instance/service-accounts/default/token");
		remote_header(c, "metadata-flavor", STR("Google"));
		return RC_OK;
	}
	c->base = i->is.token_uri;
	c->path = STR("");
	remote_header(c, "content-type", STR("application/x-www-form-urlencoded"));
	if (i->is.kind == GCS_SERVICE_ACCOUNT) {
		TRY(assertion(i, a, &jwt, reterr));
		c->bytes = form(
		    a,
		    (struct http_header[]){
			{STR("grant_type"), STR("urn:ietf:params:oauth:grant-type:jwt-bearer")},
			{STR("assertion"), jwt}},
		    2);
	} else {
		c->bytes = form(a,
				(struct http_header[]){{STR("grant_type"), STR("refresh_token")},
						       {STR("client_id"), i->is.client_id},
						       {STR("client_secret"), i->is.client_secret},
						       {STR("refresh_token"), i->is.refresh_token}},
				4);
	}
	c->size = c->bytes.n;
	return RC_OK;
}

static const char *source(const struct gcs_identity *i)
{
	return i->is.kind == GCS_METADATA	   ? "the metadata server"
	       : i->is.kind == GCS_SERVICE_ACCOUNT ? "the service account"
						   : "the authorized user";
}

/* 400 and 401: it knows who asks, and won't; anything else may pass. */
static rc refused(const struct gcs_identity *i, const struct remote *r, int status,
		  const struct json *j, struct err *reterr)
{
	bool for_good = status == 400 || status == 401 || status == 403;

	return err_set(reterr, for_good ? ERR_AccessDenied : ERR_ServiceUnavailable,
		       "store \"" STR_FMT "\": no token for %s: answer %d " STR_FMT " " STR_FMT
		       "; look at the credentials (gs.credentials_file), and at the clock",
		       STR_ARG(r->b.id), source(i), status,
		       STR_ARG(str_head(json_str(json_member(j, "error")), 60)),
		       STR_ARG(str_head(json_str(json_member(j, "error_description")), 150)));
}

struct asking {
	const struct gcs_identity *i;
	struct remote *r;
};

static rc ask(void *ud, struct arena *a, struct str *ret, int64_t *ret_life_s, struct err *reterr)
{
	const struct gcs_identity *i = ((struct asking *)ud)->i;
	struct remote *r = ((struct asking *)ud)->r;
	struct http_answer w;
	struct remote_call c;
	struct json *j = NULL;
	rc done;

	remote_call_init(&c, a, "POST");
	c.what = STR("a token");
	TRY(question(i, &c, reterr));
	done = remote_ask_plain(r, &c, &w, reterr);
	if (rc_is(done, CANCELLED))
		return done;
	if (!rc_ok(done)) {
		if (reterr)
			reterr->code =
			    ERR_ServiceUnavailable; /* nothing was sent of what it was needed for */
		return err_wrap(RC(ServiceUnavailable), reterr,
				"store \"" STR_FMT
				"\": no token for %s (look at gs.credentials_file)",
				STR_ARG(r->b.id), source(i));
	}
	if (rc_ok(json_parse(a, w.body, &j, NULL)) && w.status == 200)
		*ret = json_str(json_member(j, "access_token"));
	*ret_life_s = json_int(json_member(j, "expires_in"));
	if (*ret_life_s > LIFE_MAX_S)
		*ret_life_s = LIFE_MAX_S;
	if (ret->n && ret->n < TOKEN_MAX && *ret_life_s > 0)
		return RC_OK;
	return refused(i, r, w.status, j, reterr);
}

rc gcs_identity_token(struct gcs_identity *i, struct remote *r, struct arena *a, struct str *ret,
		      struct err *reterr)
{
	struct asking q = {i, r};

	*ret = STR_NONE;
	if (i->is.kind == GCS_ANONYMOUS)
		return RC_OK;
	return bearer_get(&i->token, ask, &q, a, ret, reterr);
}

bool gcs_identity_forget(struct gcs_identity *i, struct str token)
{
	return bearer_forget(&i->token, token);
}

bool gcs_identity_signs(const struct gcs_identity *i)
{
	return i->is.kind == GCS_SERVICE_ACCOUNT;
}

struct str gcs_identity_email(const struct gcs_identity *i)
{
	return i->is.email;
}

rc gcs_identity_sign(const struct gcs_identity *i, struct arena *a, struct str data,
		     struct str *ret, struct err *reterr)
{
	if (i->is.kind != GCS_SERVICE_ACCOUNT)
		return err_set(
		    reterr, ERR_UNSUPPORTED,
		    "only a service account's key can sign addresses: set gs.credentials_file");
	return rsa_key_sign(i->key, a, data, ret, reterr);
}
