#include "backends/gcs_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/rsa.h"

#define SCOPE "https://www.googleapis.com/auth/devstorage.read_write"
#define TOKEN_URI STR("https://oauth2.googleapis.com/token")

enum {
	FILE_MAX = 64 * 1024,
	AHEAD_S = 300,
	AGAIN_S = 30, /* after a failed renewal while the old token still works */
	FAILED_MS = 2000, /* without one, this long nobody asks again */
	TOKEN_MAX = 8192,
};

enum kind { ANONYMOUS, SERVICE_ACCOUNT, AUTHORIZED_USER, METADATA };

struct gcs_identity {
	struct arena *a;
	enum kind kind;
	struct str email, key, key_id, token_uri; /* SERVICE_ACCOUNT */
	struct str client_id, client_secret, refresh_token;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t renewed;
		bool renewing;
		char *token; /* NULL: none */
		int64_t ends_s, renew_s;
		int64_t failed_ms; /* when the last renewal failed, and why: for who waited for it */
		struct err failed;
	} locked;
};

/* What is configured. */

static rc read_file(struct arena *a, struct str path, struct str *ret, struct err *reterr)
{
	int fd = open(arena_cstr(a, path), O_RDONLY | O_CLOEXEC);
	char *p = arena_alloc(a, FILE_MAX);
	ssize_t n, all = 0;

	if (fd < 0)
		return err_errno(reterr, ERR_CONFIG, errno, "the credentials file " STR_FMT, STR_ARG(path));
	while ((n = read(fd, p + all, (size_t)(FILE_MAX - all))) > 0)
		all += n;
	close(fd);
	if (n < 0 || all == FILE_MAX)
		return err_set(reterr, ERR_CONFIG, "the credentials file " STR_FMT " can't be read",
			       STR_ARG(path));
	*ret = str_make(p, (size_t)all);
	return RC_OK;
}

static struct str member(struct gcs_identity *i, const struct json *j, const char *name)
{
	struct str s = json_str(json_member(j, name));

	return s.n ? arena_dup(i->a, s) : STR_NONE;
}

static rc lacks(struct err *reterr, const char *what)
{
	return err_set(reterr, ERR_CONFIG, "the credentials lack %s: take a new key file from Google's console",
		       what);
}

static rc service_account(struct gcs_identity *i, const struct json *j, struct err *reterr)
{
	struct str signature;
	struct arena *a;
	rc r;

	i->kind = SERVICE_ACCOUNT;
	i->email = member(i, j, "client_email");
	i->key = member(i, j, "private_key");
	i->key_id = member(i, j, "private_key_id");
	i->token_uri = member(i, j, "token_uri");
	if (!i->token_uri.n)
		i->token_uri = TOKEN_URI;
	if (!i->email.n || !i->key.n)
		return lacks(reterr, i->email.n ? "private_key" : "client_email");
	a = arena_new();
	r = rsa_sha256_sign(a, i->key, STR("a key that can't sign is better known at the start"), &signature,
			    reterr);
	arena_free(a);
	return r;
}

static rc take(struct gcs_identity *i, struct str text, struct err *reterr)
{
	struct json *j;
	struct str type;

	if (!rc_ok(json_parse(i->a, text, &j, NULL)))
		return err_set(reterr, ERR_CONFIG, "the credentials are no JSON");
	type = json_str(json_member(j, "type"));
	if (str_eq(type, STR("service_account")))
		return service_account(i, j, reterr);
	if (!str_eq(type, STR("authorized_user")))
		return err_set(reterr, ERR_CONFIG,
			       "credentials of type \"" STR_FMT
			       "\" aren't known here: use a service account's key (type service_account)",
			       STR_ARG(str_head(type, 50)));
	i->kind = AUTHORIZED_USER;
	i->client_id = member(i, j, "client_id");
	i->client_secret = member(i, j, "client_secret");
	i->refresh_token = member(i, j, "refresh_token");
	i->token_uri = member(i, j, "token_uri");
	if (!i->token_uri.n)
		i->token_uri = TOKEN_URI;
	return i->refresh_token.n && i->client_id.n ? RC_OK : lacks(reterr, "refresh_token or client_id");
}

/* The file that Google's SDKs would take. */
static struct str usual_file(struct arena *a)
{
	const char *v = getenv("GOOGLE_APPLICATION_CREDENTIALS");
	struct str path;

	if (v && *v)
		return str_c(v);
	v = getenv("HOME");
	if (!v)
		return STR_NONE;
	path = arena_printf(a, "%s/.config/gcloud/application_default_credentials.json", v);
	return access(path.p, R_OK) == 0 ? path : STR_NONE;
}

static rc configure(struct gcs_identity *i, struct str file, struct str json, bool anonymous,
		    struct err *reterr)
{
	struct str text = json;

	if (!text.n && !file.n && anonymous)
		return RC_OK;
	if (!text.n && !file.n)
		file = usual_file(i->a);
	if (!text.n && !file.n) {
		i->kind = METADATA;
		return RC_OK;
	}
	if (!text.n)
		TRY(read_file(i->a, file, &text, reterr));
	return take(i, text, reterr);
}

rc gcs_identity_new(struct str file, struct str json, bool anonymous, struct gcs_identity **ret,
		    struct err *reterr)
{
	struct gcs_identity *i = calloc(1, sizeof(*i));
	rc r;

	if (!i)
		abort();
	i->a = arena_new();
	pthread_mutex_init(&i->locked.lock, NULL);
	pthread_cond_init(&i->locked.renewed, NULL);
	r = configure(i, file, json, anonymous, reterr);
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
	free(i->locked.token);
	pthread_cond_destroy(&i->locked.renewed);
	pthread_mutex_destroy(&i->locked.lock);
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

static rc assertion(const struct gcs_identity *i, struct arena *a, struct str *ret, struct err *reterr)
{
	struct buf b = BUF_INIT(16 * 1024);
	struct json_out w = {.to = &b};
	struct str pieces[3], signature;
	int64_t now = wall_now().s;

	jw_object(&w, NULL);
	jw_str(&w, "alg", STR("RS256"));
	jw_str(&w, "typ", STR("JWT"));
	if (i->key_id.n)
		jw_str(&w, "kid", i->key_id);
	jw_end_object(&w);
	pieces[0] = base64url_encode(a, buf_str(&b));
	buf_reset(&b);
	w.comma = false;
	jw_object(&w, NULL);
	jw_str(&w, "iss", i->email);
	jw_str(&w, "scope", STR(SCOPE));
	jw_str(&w, "aud", i->token_uri);
	jw_int(&w, "iat", now);
	jw_int(&w, "exp", now + 3600);
	jw_end_object(&w);
	pieces[1] = STR(".");
	pieces[2] = base64url_encode(a, buf_str(&b));
	buf_deinit(&b);
	pieces[0] = arena_join(a, pieces, 3);
	TRY(rsa_sha256_sign(a, i->key, pieces[0], &signature, reterr));
	pieces[2] = base64url_encode(a, signature);
	*ret = arena_join(a, pieces, 3);
	return RC_OK;
}

static rc question(const struct gcs_identity *i, struct remote_call *c, struct err *reterr)
{
	struct arena *a = c->a;
	struct str jwt;

	c->repeatable = true;
	if (i->kind == METADATA) {
		const char *host = getenv("GCE_METADATA_HOST");

		c->method = STR("GET");
		c->base = arena_printf(a, "http://%s", host && *host ? host : "metadata.google.internal");
		c->path = STR("/computeMetadata/v1/instance/service-accounts/default/token");
		remote_header(c, "metadata-flavor", STR("Google"));
		return RC_OK;
	}
	c->base = i->token_uri;
	c->path = STR("");
	remote_header(c, "content-type", STR("application/x-www-form-urlencoded"));
	if (i->kind == SERVICE_ACCOUNT) {
		TRY(assertion(i, a, &jwt, reterr));
		c->bytes = form(a,
				(struct http_header[]){
					{STR("grant_type"), STR("urn:ietf:params:oauth:grant-type:jwt-bearer")},
					{STR("assertion"), jwt}},
				2);
	} else {
		c->bytes = form(a,
				(struct http_header[]){{STR("grant_type"), STR("refresh_token")},
						       {STR("client_id"), i->client_id},
						       {STR("client_secret"), i->client_secret},
						       {STR("refresh_token"), i->refresh_token}},
				4);
	}
	c->size = c->bytes.n;
	return RC_OK;
}

static const char *source(const struct gcs_identity *i)
{
	return i->kind == METADATA	  ? "the metadata server"
	       : i->kind == SERVICE_ACCOUNT ? "the service account"
					    : "the authorized user";
}

/* token and its life, or why there is none. */
static rc ask(const struct gcs_identity *i, struct remote *r, struct arena *a, struct str *ret,
	      int64_t *ret_life_s, struct err *reterr)
{
	struct http_answer w;
	struct remote_call c;
	struct json *j = NULL;
	rc done;

	remote_call_init(&c, a, "POST");
	c.what = STR("a token");
	TRY(question(i, &c, reterr));
	done = remote_ask_plain(r, &c, &w, reterr);
	if (!rc_ok(done)) {
		if (reterr)
			reterr->code = ERR_ServiceUnavailable; /* nothing was sent of what it was needed for */
		return err_wrap(RC(ServiceUnavailable), reterr,
				"store \"" STR_FMT "\": no token for %s (look at gs.credentials_file)",
				STR_ARG(r->b.id), source(i));
	}
	if (rc_ok(json_parse(a, w.body, &j, NULL)) && w.status == 200)
		*ret = json_str(json_member(j, "access_token"));
	else
		*ret = STR_NONE;
	*ret_life_s = json_int(json_member(j, "expires_in"));
	if (ret->n && ret->n < TOKEN_MAX && *ret_life_s > 0)
		return RC_OK;
	return err_set(reterr, ERR_ServiceUnavailable,
		       "store \"" STR_FMT "\": no token for %s: answer %d " STR_FMT " " STR_FMT
		       " (look at gs.credentials_file, and at the clock)",
		       STR_ARG(r->b.id), source(i), w.status,
		       STR_ARG(str_head(json_str(json_member(j, "error")), 60)),
		       STR_ARG(str_head(json_str(json_member(j, "error_description")), 150)));
}

static rc renew(struct gcs_identity *i, struct remote *r, struct err *reterr)
{
	struct arena *a = arena_new();
	int64_t life_s = 0, now;
	struct str token = STR_NONE;
	struct err err = {0};
	rc done = ask(i, r, a, &token, &life_s, &err);

	now = wall_now().s;
	pthread_mutex_lock(&i->locked.lock);
	if (rc_ok(done)) {
		free(i->locked.token);
		i->locked.token = strndup(token.p, token.n);
		i->locked.ends_s = now + life_s;
		i->locked.renew_s = now + (life_s > 4 * AHEAD_S ? life_s - AHEAD_S : life_s * 3 / 4);
	} else {
		i->locked.renew_s = now + AGAIN_S;
		i->locked.failed_ms = mono_ms();
		i->locked.failed = err;
		if (reterr)
			*reterr = err;
	}
	i->locked.renewing = false;
	pthread_cond_broadcast(&i->locked.renewed);
	pthread_mutex_unlock(&i->locked.lock);
	arena_free(a);
	return done;
}

enum look { USE, RENEW, FAILED };

/* The present token, or what is to be done first. */
static enum look look(struct gcs_identity *i, struct arena *a, struct str *ret, struct err *reterr)
{
	enum look what;

	pthread_mutex_lock(&i->locked.lock);
	for (;;) {
		int64_t now = wall_now().s;
		bool good = i->locked.token && now < i->locked.ends_s;

		*ret = good ? arena_dup(a, str_c(i->locked.token)) : STR_NONE;
		what = good ? USE : RENEW;
		if (!i->locked.renewing && good && now >= i->locked.renew_s)
			what = RENEW;
		else if (!good && i->locked.failed_ms && mono_ms() - i->locked.failed_ms < FAILED_MS)
			what = FAILED;
		if (what != RENEW || !i->locked.renewing)
			break;
		pthread_cond_wait(&i->locked.renewed, &i->locked.lock); /* whoever renews has a deadline */
	}
	if (what == RENEW)
		i->locked.renewing = true;
	if (what == FAILED && reterr)
		*reterr = i->locked.failed;
	pthread_mutex_unlock(&i->locked.lock);
	return what;
}

rc gcs_identity_token(struct gcs_identity *i, struct remote *r, struct arena *a, struct str *ret,
		      struct err *reterr)
{
	struct str old = STR_NONE;
	enum look what;
	rc done;

	*ret = STR_NONE;
	if (i->kind == ANONYMOUS)
		return RC_OK;
	what = look(i, a, &old, reterr);
	if (what == FAILED)
		return RC(ServiceUnavailable);
	*ret = old;
	if (what == USE)
		return RC_OK;
	done = renew(i, r, reterr);
	if (!rc_ok(done))
		return old.n ? RC_OK : done; /* the old one still works */
	pthread_mutex_lock(&i->locked.lock);
	*ret = arena_dup(a, str_c(i->locked.token));
	pthread_mutex_unlock(&i->locked.lock);
	return RC_OK;
}

bool gcs_identity_forget(struct gcs_identity *i, struct str token)
{
	bool is;

	pthread_mutex_lock(&i->locked.lock);
	is = i->locked.token && token.n && str_eq(str_c(i->locked.token), token);
	if (is)
		i->locked.ends_s = 0;
	pthread_mutex_unlock(&i->locked.lock);
	return is;
}

bool gcs_identity_signs(const struct gcs_identity *i)
{
	return i->kind == SERVICE_ACCOUNT;
}

struct str gcs_identity_email(const struct gcs_identity *i)
{
	return i->email;
}

rc gcs_identity_sign(const struct gcs_identity *i, struct arena *a, struct str data, struct str *ret,
		     struct err *reterr)
{
	if (i->kind != SERVICE_ACCOUNT)
		return err_set(reterr, ERR_UNSUPPORTED,
			       "only a service account's key can sign addresses: set gs.credentials_file");
	return rsa_sha256_sign(a, i->key, data, ret, reterr);
}
