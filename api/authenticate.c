/* Who is it: an access key and its secret, or a login's token, as a header or a cookie. */
#include "api/auth_ops.h"
#include "base/encode.h"

/* lakeFS says no more, whatever was wrong: whoever guesses isn't told what is right. */
static rc unknown(struct api_req *r)
{
	return err_set(&r->err, ERR_AccessDenied, "error authenticating request");
}

struct auth_attempt api_attempt(struct api_req *r, struct str key, const char *how)
{
	return (struct auth_attempt){
		.source = api_source(r), .access_key = key, .request_id = http_req_id(r->http), .how = how};
}

/* Their key tells them, and only that: Basic has no place for their token. */
static rc not_known(struct api_req *r, const struct auth_attempt *t)
{
	auth_tried(r->x->o.auth, t, false);
	if (!auth_is_temporary(t->access_key))
		return unknown(r);
	return err_set(&r->err, ERR_AccessDenied,
		       "error authenticating request: temporary credentials (ASIA...) are for S3; the REST "
		       "API takes an access key and its secret, or a login's token");
}

rc api_check_secret(struct api_req *r, struct str key, struct str secret)
{
	struct auth_attempt t = api_attempt(r, key, "secret");
	struct auth *x = r->x->o.auth;
	struct auth_user *user;
	struct str right;
	rc result;

	if (!key.n || !secret.n || !str_is_utf8(key))
		return unknown(r);
	TRY(auth_may_try(x, &t, &r->err));
	result = auth_find_key(x, r->wait, key, r->a, &user, &right, &r->err);
	if (rc_is(result, InvalidAccessKeyId))
		return not_known(r, &t);
	TRY(result);
	if (auth_secret_is(right, secret)) {
		auth_tried(x, &t, true);
		result = auth_not_expired(user, &r->err);
	} else {
		result = not_known(r, &t);
	}
	if (rc_ok(result))
		r->user = user;
	else
		auth_user_unref(user);
	return result;
}

/* Access key and secret, as HTTP Basic. */
static rc by_basic(struct api_req *r, struct str encoded)
{
	struct str text, key, secret;

	if (!base64_decode(r->a, str_trim(encoded), &text))
		return unknown(r);
	key = str_cut(text, ':', &secret);
	return api_check_secret(r, key, secret);
}

static rc by_token(struct api_req *r, struct str token)
{
	struct auth_attempt t = api_attempt(r, STR(""), "token");
	struct auth *x = r->x->o.auth;
	rc found = auth_find_token(x, r->wait, token, r->a, &r->user, &r->err);

	if (rc_is(found, InvalidToken))
		found = auth_forged(x, &t, found, &r->err);
	return rc_is(found, InvalidToken) || rc_is(found, ExpiredToken) ? unknown(r) : found;
}

static bool changes_nothing(struct api_req *r)
{
	struct str method = http_req_method(r->http);

	return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
}

static rc by_cookie(struct api_req *r, struct str token)
{
	if (!changes_nothing(r))
		TRY(api_same_origin(r));
	return by_token(r, token);
}

/* The first way that is there decides: a bad one isn't saved by a good one behind it. */
static rc by_any(struct api_req *r)
{
	struct str value = api_header(r, "authorization"), rest, scheme = str_cut(value, ' ', &rest);
	struct str cookie;

	if (rest.p && str_eq_nocase(scheme, STR("Bearer")))
		return by_token(r, str_trim(rest));
	if (rest.p && str_eq_nocase(scheme, STR("Basic")))
		return by_basic(r, rest);
	cookie = api_cookie(r);
	if (cookie.p)
		return by_cookie(r, cookie);
	return r->route->permits[0].on == ON_VISITOR ? RC_OK : unknown(r);
}

rc api_authenticate(struct api_req *r)
{
	if (r->route->permits[0].on != ON_PUBLIC)
		TRY(by_any(r));
	r->authenticated = true;
	return RC_OK;
}
