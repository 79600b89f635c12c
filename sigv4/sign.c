/* Signing what sluice sends itself: the steps of verifying, in the other direction. */
#include "sigv4/internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"

static int name_cmp(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	return str_cmp(*x, *y);
}

/* All the request's headers, "a;b;c". */
static struct str all_headers(const struct sigv4_request *r, struct arena *a)
{
	struct str *names = arena_alloc(a, r->headers_n * sizeof(*names) + 1);
	struct out o = out_new(a, 256);

	for (size_t i = 0; i < r->headers_n; i++)
		names[i] = r->headers[i].name;
	qsort(names, r->headers_n, sizeof(*names), name_cmp);
	for (size_t i = 0; i < r->headers_n; i++) {
		if (i && str_eq(names[i], names[i - 1]))
			continue;
		if (i)
			out_add_c(&o, ';');
		out_add(&o, names[i]);
	}
	return out_str(&o);
}

struct signing {
	char amz_date[17];
	struct str scope;
	uint8_t key[32];
};

static void signing_init(struct signing *g, const struct sigv4_credentials *c, struct str region,
			 struct str service, int64_t now_s, struct arena *a)
{
	struct str date = {g->amz_date, 8};

	assert(c->secret.n <= SECRET_MAX);
	time_amz(now_s, g->amz_date);
	g->scope = scope_of(date, region, service, a);
	signing_key_cached(c->access_key, c->secret, date, region, service, g->key);
}

static struct str signature_of(struct signing *g, struct str canonical, struct arena *a)
{
	struct str text = sigv4_string_to_sign(str_make(g->amz_date, 16), g->scope, canonical, a);
	struct str signature = hmac_hex(g->key, text, a);

	explicit_bzero(g->key, sizeof(g->key));
	return signature;
}

struct str sigv4_sign_header(const struct sigv4_request *r, const struct sigv4_credentials *c,
			     struct str region, struct str service, int64_t now_s,
			     struct str payload_hash, struct arena *a)
{
	struct str names = all_headers(r, a), signature;
	struct signing g;

	signing_init(&g, c, region, service, now_s, a);
	signature = signature_of(
		&g, sigv4_canonical_request(r, names, payload_hash, false, a), a);
	return arena_printf(a,
			    "AWS4-HMAC-SHA256 Credential=" STR_FMT "/" STR_FMT
			    ", SignedHeaders=" STR_FMT ", Signature=" STR_FMT,
			    STR_ARG(c->access_key), STR_ARG(g.scope), STR_ARG(names),
			    STR_ARG(signature));
}

static void add_parameter(struct out *o, struct str name, struct str value)
{
	if (o->n)
		out_add_c(o, '&');
	out_add(o, name);
	out_add_c(o, '=');
	out_add(o, uri_encode(o->a, value, false));
}

struct str sigv4_presign(const struct sigv4_request *r, const struct sigv4_credentials *c,
			 struct str region, struct str service, int64_t now_s, int64_t expires_s,
			 struct arena *a)
{
	struct str names = all_headers(r, a);
	struct sigv4_request with = *r;
	struct out o = out_new(a, r->query.n + 512);
	struct signing g;

	assert(expires_s > 0 && expires_s <= SIGV4_MAX_EXPIRES_S);
	signing_init(&g, c, region, service, now_s, a);
	out_add(&o, r->query);
	add_parameter(&o, STR("X-Amz-Algorithm"), STR("AWS4-HMAC-SHA256"));
	add_parameter(&o, STR("X-Amz-Credential"),
		      arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(c->access_key),
				   STR_ARG(g.scope)));
	add_parameter(&o, STR("X-Amz-Date"), str_make(g.amz_date, 16));
	add_parameter(&o, STR("X-Amz-Expires"), arena_printf(a, "%lld", (long long)expires_s));
	add_parameter(&o, STR("X-Amz-SignedHeaders"), names);
	if (c->token.n)
		add_parameter(&o, STR("X-Amz-Security-Token"), c->token);
	with.query = out_str(&o);
	add_parameter(&o, STR("X-Amz-Signature"),
		      signature_of(&g,
				   sigv4_canonical_request(&with, names, STR("UNSIGNED-PAYLOAD"),
							   true, a),
				   a));
	return out_str(&o);
}
