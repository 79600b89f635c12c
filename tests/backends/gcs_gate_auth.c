/* Tokens and signed addresses. */
#include "tests/backends/gcs_gate_priv.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/json.h"

/* Tokens. */

static void give_token(struct visit *v)
{
	struct gcs_gate *g = v->g;
	unsigned n = atomic_fetch_add(&g->given, 1), life_ms = g->life_ms;
	struct gate_token *t = &g->tokens[n % GATE_TOKENS];

	pthread_mutex_lock(&g->lock);
	snprintf(t->text, sizeof(t->text), "ya29.t%u", n);
	t->ends_ms = mono_ms() + life_ms;
	pthread_mutex_unlock(&g->lock);
	gate_answer(
	    v, 200, "Content-Type: application/json\r\n",
	    arena_printf(
		v->a,
		"{\"access_token\": \"ya29.t%u\", \"token_type\": \"Bearer\", \"expires_in\": %u}",
		n, life_ms < 1000 ? 1 : life_ms / 1000));
}

static bool good_claims(struct visit *v, struct str jwt)
{
	struct str head, claims, signature, signed_;
	struct json *h, *c;
	struct str rest;
	int64_t now = wall_now().s;

	head = str_cut(jwt, '.', &rest);
	claims = str_cut(rest, '.', &rest);
	signed_ = str_head(jwt, head.n + 1 + claims.n);
	if (!rest.p || !base64url_decode(v->a, rest, &signature) ||
	    !gcs_gate_verify(signed_, signature) || !base64url_decode(v->a, head, &head) ||
	    !base64url_decode(v->a, claims, &claims) || !rc_ok(json_parse(v->a, head, &h, NULL)) ||
	    !rc_ok(json_parse(v->a, claims, &c, NULL)))
		return false;
	return str_eq(json_str(json_member(h, "alg")), STR("RS256")) &&
	       str_eq(json_str(json_member(h, "kid")), STR("k1")) &&
	       str_eq(json_str(json_member(c, "iss")),
		      STR("sluice@test.iam.gserviceaccount.com")) &&
	       str_ends(json_str(json_member(c, "aud")), STR("/token")) &&
	       str_find(json_str(json_member(c, "scope")), STR("devstorage")) <
		   json_str(json_member(c, "scope")).n &&
	       json_int(json_member(c, "iat")) <= now && json_int(json_member(c, "exp")) > now &&
	       json_int(json_member(c, "exp")) <= now + 3600;
}

void gate_token(struct visit *v)
{
	char *form = arena_alloc(v->a, SMALL_MAX);
	uint64_t n = v->left;
	struct str grant, jwt;

	if (n > SMALL_MAX || !gate_take_all(v, form, n))
		return;
	v->query = str_make(form, (size_t)n);
	if (uri_decode(v->a, gate_parameter(v, "grant_type"), true, &grant) &&
	    str_eq(grant, STR("urn:ietf:params:oauth:grant-type:jwt-bearer")) &&
	    uri_decode(v->a, gate_parameter(v, "assertion"), true, &jwt) && good_claims(v, jwt))
		give_token(v);
	else
		gate_answer(
		    v, 400, "Content-Type: application/json\r\n",
		    STR("{\"error\": \"invalid_grant\", \"error_description\": \"Invalid JWT "
			"Signature.\"}"));
}

bool gate_bears(struct visit *v)
{
	struct str who = gate_header(v, "authorization");
	bool good = false;

	if (!str_starts(who, STR("Bearer ")))
		return false;
	pthread_mutex_lock(&v->g->lock);
	for (size_t i = 0; i < GATE_TOKENS; i++)
		good |= str_eq(str_skip(who, 7), str_c(v->g->tokens[i].text)) &&
			mono_ms() < v->g->tokens[i].ends_ms;
	pthread_mutex_unlock(&v->g->lock);
	return good;
}

void gcs_gate_revoke(struct gcs_gate *g)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < GATE_TOKENS; i++)
		g->tokens[i].ends_ms = 0;
	pthread_mutex_unlock(&g->lock);
}

/* Signed addresses, as "V4 signing process" has it. The query of a signer that sorts is sorted but
 * for the signature. */
bool gate_is_signed(struct visit *v)
{
	size_t cut_at = str_find(v->query, STR("&X-Goog-Signature="));
	struct str query = str_head(v->query, cut_at), scope, signature, canonical, text;
	struct str date = gate_parameter(v, "X-Goog-Date");
	uint64_t life = 0;
	int64_t begun;
	uint8_t hash[32];

	if (cut_at == v->query.n ||
	    !str_eq(gate_parameter(v, "X-Goog-SignedHeaders"), STR("host")) ||
	    !hex_decode(v->a, str_skip(v->query, cut_at + 18), &signature) ||
	    !uri_decode(v->a, gate_parameter(v, "X-Goog-Credential"), false, &scope) ||
	    !time_parse_amz(date, &begun) ||
	    !str_to_u64(gate_parameter(v, "X-Goog-Expires"), &life) ||
	    wall_now().s >= begun + (int64_t)life)
		return false;
	if (!str_eq(str_cut(scope, '/', &scope), STR("sluice@test.iam.gserviceaccount.com")))
		return false;
	canonical = arena_printf(
	    v->a, STR_FMT "\n" STR_FMT "\n" STR_FMT "\nhost:" STR_FMT "\n\nhost\nUNSIGNED-PAYLOAD",
	    STR_ARG(v->method), STR_ARG(v->path), STR_ARG(query), STR_ARG(gate_header(v, "host")));
	digest_of(DIGEST_SHA256, canonical, hash);
	text = arena_printf(v->a, "GOOG4-RSA-SHA256\n" STR_FMT "\n" STR_FMT "\n" STR_FMT,
			    STR_ARG(date), STR_ARG(scope),
			    STR_ARG(hex_encode(v->a, str_make(hash, sizeof(hash)))));
	return gcs_gate_verify(text, signature);
}
