/* Addresses that are signed: V4, GOOG4-RSA-SHA256 ("Signed URLs", "V4 signing process with your own
 * program"). */
#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

static struct str canonical_query(const struct gcs *s, struct arena *a, struct str scope,
				  const char *date, int64_t life_s)
{
	struct str who = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(gcs_identity_email(s->data)),
				      STR_ARG(scope));

	return arena_printf(a,
			    "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=" STR_FMT
			    "&X-Goog-Date=%s&X-Goog-Expires=%lld&X-Goog-SignedHeaders=host",
			    STR_ARG(uri_encode(a, who, false)), date, (long long)life_s);
}

static struct str to_sign(struct arena *a, struct str method, struct str path, struct str query,
			  struct str host, struct str scope, const char *date)
{
	struct str canonical = arena_printf(
	    a, STR_FMT "\n" STR_FMT "\n" STR_FMT "\nhost:" STR_FMT "\n\nhost\nUNSIGNED-PAYLOAD",
	    STR_ARG(method), STR_ARG(path), STR_ARG(query), STR_ARG(host));
	uint8_t hash[32];

	digest_of(DIGEST_SHA256, canonical, hash);
	return arena_printf(a, "GOOG4-RSA-SHA256\n%s\n" STR_FMT "\n" STR_FMT, date, STR_ARG(scope),
			    STR_ARG(hex_encode(a, str_make(hash, sizeof(hash)))));
}

rc gcs_presign(struct backend *b, const struct object_ptr *p, struct str method, int64_t expires_s,
	       struct arena *a, struct str *ret_url, struct err *reterr)
{
	struct gcs *s = gcs_of(b);
	int64_t now = wall_now().s;
	struct str path, query, scope, host, signature;
	struct gcs_target *t;
	char date[17];

	TRY(gcs_aim(a, p, &t, reterr));
	if (expires_s <= now || expires_s - now > 7 * 24 * 3600)
		return err_set(reterr, ERR_INVALID,
			       "a signed address lasts from a second to seven days");
	time_amz(now, date);
	scope = arena_printf(a, "%.8s/auto/storage/goog4_request", date);
	path = arena_printf(a, "/" STR_FMT "/" STR_FMT, STR_ARG(t->bucket),
			    STR_ARG(uri_encode(a, t->key, true)));
	query = canonical_query(s, a, scope, date, expires_s - now);
	host = str_skip(s->base, str_find(s->base, STR("://")) + 3);
	TRY(gcs_identity_sign(s->data, a, to_sign(a, method, path, query, host, scope, date),
			      &signature, reterr));
	*ret_url = arena_printf(a, STR_FMT STR_FMT "?" STR_FMT "&X-Goog-Signature=" STR_FMT,
				STR_ARG(s->base), STR_ARG(path), STR_ARG(query),
				STR_ARG(hex_encode(a, signature)));
	return RC_OK;
}
