/* Tokens from strangers: as they come, and with the input as claims that are rightly signed. */
#include "auth/token.h"
#include "base/digest.h"
#include "base/encode.h"
#include "fuzz/fuzz.h"

#define KEY STR("key")

enum { NOW = 1795235886 };

static void verify(struct arena *a, struct str token)
{
	struct auth_claims c;
	struct err e = {0};
	rc r = auth_token_verify(KEY, token, NOW, a, &c, &e);

	if (rc_ok(r))
		MUST(c.subject.n && str_is_utf8(c.subject) && c.expires_s > NOW);
	else
		MUST((rc_is(r, InvalidToken) || rc_is(r, ExpiredToken)) && e.code == r.code && e.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str input = str_make(data, size), head = STR("{\"alg\":\"HS256\"}");
	struct str text = arena_join(a, (struct str[]){base64url_encode(a, head), STR("."), base64url_encode(a, input)}, 3);
	uint8_t mac[32];

	verify(a, input);
	hmac_sha256(KEY, text, mac);
	verify(a, arena_join(a, (struct str[]){text, STR("."), base64url_encode(a, str_make(mac, 32))}, 3));
	arena_free(a);
	return 0;
}
