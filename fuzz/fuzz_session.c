/* Tokens of temporary credentials from strangers: as they come, and with the input as what is sealed in one. */
#include "auth/session.h"
#include "auth/statements.h"
#include "auth/store.h"
#include "auth/user.h"
#include "fuzz/fuzz.h"

#define ACCESS_KEY STR("ASIA0123456789012345")

enum { NOW = 1795235886 };

/* What was sealed is believed, but nothing of it may break what evaluates it. */
static void evaluate(struct arena *a, const AuthPb__SessionData *d)
{
	struct auth_statements scope = {.max = AUTH_MAX_STATEMENTS, .a = a};
	struct auth_user *u = auth_user_administrator(str_c(d->user)), *s;
	struct auth_need need = {NEED_PERMISSION, STR("fs:ReadObject"), STR("arn:lakefs:fs:::repository/r"), NULL, 0};

	if (d->scope && !rc_ok(auth_statements_add(&scope, d->scope, NULL))) {
		auth_user_unref(u);
		return;
	}
	s = auth_user_session(u, d->scope ? &scope : NULL);
	MUST(d->scope || rc_ok(auth_allows(s, &need, NULL, NULL)));
	IGNORE_RC(auth_allows(s, &need, NULL, NULL)); /* whatever it is */
	need.action = STR("auth:CreateUser");
	MUST(!rc_ok(auth_allows(s, &need, NULL, NULL)));
	auth_user_unref(u);
	auth_user_unref(s);
}

static void open_token(struct arena *a, const struct auth_session_keys *k, struct str token)
{
	AuthPb__SessionData *d;
	struct err e = {0};
	rc r = auth_session_open(k, ACCESS_KEY, token, NOW, a, &d, &e);

	if (!rc_ok(r)) {
		MUST((rc_is(r, InvalidToken) || rc_is(r, ExpiredToken)) && e.code == r.code && e.msg[0]);
		return;
	}
	MUST(token.n <= AUTH_SESSION_TOKEN_MAX && d->user[0] && d->access_key_id[0] && d->expires_at > NOW);
	evaluate(a, d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str input = str_make(data, size);
	struct auth_session_keys k;

	auth_session_keys_of(STR("key"), &k);
	open_token(a, &k, input);
	open_token(a, &k, auth_session_wrap(&k, ACCESS_KEY, input, a));
	arena_free(a);
	return 0;
}
