#include "auth/token.h"

#include "auth/auth.h"
#include "auth/internal.h"
#include "auth/user.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/rand.h"

#define ISSUER STR("auth")
#define AUDIENCE STR("login")

/* Clocks of servers that share a KV are a little apart. */
enum { SKEW_S = 60 };

static rc refused(struct err *reterr, const char *why)
{
	return err_set(reterr, ERR_InvalidToken, "the token %s: log in again", why);
}

static struct str claims_text(struct arena *a, const struct auth_claims *c)
{
	struct buf b = BUF_INIT(AUTH_TOKEN_MAX);
	struct json_out w = {.to = &b};
	struct str text;

	jw_object(&w, NULL);
	jw_str(&w, "jti", uuid4(a));
	jw_str(&w, "iss", ISSUER);
	jw_str(&w, "sub", c->subject);
	jw_str(&w, "aud", AUDIENCE);
	jw_int(&w, "iat", c->issued_s);
	jw_int(&w, "exp", c->expires_s);
	jw_end_object(&w);
	text = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return text;
}

struct str auth_token_sign(struct str key, const struct auth_claims *c, struct arena *a)
{
	struct str head = base64url_encode(a, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
	struct str claims = base64url_encode(a, claims_text(a, c));
	struct str text = arena_join(a, (struct str[]){head, STR("."), claims}, 3);
	uint8_t mac[32];

	hmac_sha256(key, text, mac);
	return arena_join(a, (struct str[]){text, STR("."), base64url_encode(a, str_make(mac, 32))}, 3);
}

static bool signature_is(struct str alg, struct str key, struct str text, struct str given)
{
	uint8_t mac[64];
	size_t n;

	if (str_eq(alg, STR("HS256"))) {
		hmac_sha256(key, text, mac);
		n = 32;
	} else if (str_eq(alg, STR("HS384"))) {
		hmac_sha384(key, text, mac);
		n = 48;
	} else if (str_eq(alg, STR("HS512"))) {
		hmac_sha512(key, text, mac);
		n = 64;
	} else {
		return false;
	}
	return given.n == n && const_time_eq(given, str_make(mac, n));
}

static bool object_of(struct arena *a, struct str part, struct json **ret)
{
	struct str text;

	return base64url_decode(a, part, &text) && rc_ok(json_parse(a, text, ret, NULL)) &&
	       json_type(*ret) == JSON_OBJECT;
}

static bool is_for_us(const struct json *aud)
{
	if (!aud || json_type(aud) == JSON_NULL)
		return true;
	if (json_type(aud) == JSON_STRING)
		return !json_str(aud).n || str_eq(json_str(aud), AUDIENCE);
	if (json_type(aud) != JSON_ARRAY)
		return false;
	for (size_t i = 0; i < json_count(aud); i++)
		if (str_eq(json_str(json_at(aud, i)), AUDIENCE))
			return true;
	return !json_count(aud);
}

/* RFC 7519: seconds, maybe with a fraction. False: no number. */
static bool time_of(const struct json *claims, const char *name, bool demanded, int64_t *ret)
{
	const struct json *j = json_member(claims, name);

	*ret = 0;
	if (!j)
		return !demanded;
	*ret = json_int(j);
	return json_type(j) == JSON_INT;
}

static rc check_claims(const struct json *claims, int64_t now_s, struct auth_claims *ret, struct err *reterr)
{
	int64_t not_before;

	if (!time_of(claims, "exp", true, &ret->expires_s) || !time_of(claims, "iat", false, &ret->issued_s) ||
	    !time_of(claims, "nbf", false, &not_before))
		return refused(reterr, "doesn't tell its times");
	if (now_s >= ret->expires_s)
		return err_set(reterr, ERR_ExpiredToken, "the token has expired: log in again");
	if (ret->issued_s > now_s + SKEW_S || not_before > now_s + SKEW_S)
		return refused(reterr, "is of the future");
	ret->subject = json_str(json_member(claims, "sub"));
	if (!str_eq(json_str(json_member(claims, "iss")), ISSUER) || !is_for_us(json_member(claims, "aud")) ||
	    !ret->subject.n)
		return refused(reterr, "is for something else");
	return RC_OK;
}

rc auth_token_verify(struct str key, struct str token, int64_t now_s, struct arena *a, struct auth_claims *ret,
		     struct err *reterr)
{
	struct str rest = token, head, claims, mac, given;
	struct json *j;

	*ret = (struct auth_claims){0};
	if (token.n > AUTH_TOKEN_MAX)
		return refused(reterr, "is too long");
	head = str_cut(rest, '.', &rest);
	if (!rest.p)
		return refused(reterr, "is malformed");
	claims = str_cut(rest, '.', &mac);
	if (!mac.p || !base64url_decode(a, mac, &given) || !object_of(a, head, &j) || json_member(j, "crit"))
		return refused(reterr, "is malformed");
	if (!signature_is(json_str(json_member(j, "alg")), key,
			  str_make(token.p, head.n + 1 + claims.n), given))
		return refused(reterr, "isn't signed by this installation");
	if (!object_of(a, claims, &j))
		return refused(reterr, "is malformed");
	return check_claims(j, now_s, ret, reterr);
}

struct str auth_token_make(struct auth *x, const struct auth_user *u, struct arena *a, int64_t *ret_expires_s)
{
	struct auth_claims c = {.subject = u->name, .issued_s = wall_now().s};

	c.expires_s = c.issued_s + x->login_ms / 1000;
	if (u->expires_s && u->expires_s < c.expires_s)
		c.expires_s = u->expires_s;
	*ret_expires_s = c.expires_s;
	return auth_token_sign(x->encrypt_secret, &c, a);
}

static rc gone(struct err *reterr)
{
	return err_set(reterr, ERR_ExpiredToken, "the token is of a user who is gone: log in again");
}

rc auth_find_token(struct auth *x, enum kv_wait wait, struct str token, struct arena *a,
		   struct auth_user **ret_user, struct err *reterr)
{
	struct auth_user *u;
	struct auth_claims c;
	rc r;

	TRY(auth_token_verify(x->encrypt_secret, token, wall_now().s, a, &c, reterr));
	if (c.subject.n > AUTH_MAX_ID || memchr(c.subject.p, '/', c.subject.n))
		return refused(reterr, "names no user");
	r = auth_find_user(x, wait, c.subject, a, &u, reterr);
	if (rc_is(r, InvalidAccessKeyId))
		return gone(reterr);
	TRY(r);
	/* One of the same name was deleted and made again since. */
	if (c.issued_s && c.issued_s < u->created_s) {
		auth_user_unref(u);
		return gone(reterr);
	}
	*ret_user = u;
	return RC_OK;
}
