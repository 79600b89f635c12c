/* Addresses that are signed: V4, GOOG4-RSA-SHA256 ("Signed URLs", "V4 signing process with your own
 * program"). */
#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

enum { LIFE_MAX_S = 7 * 24 * 3600 };

/* In the order of the names' bytes. */
static struct str canonical_query(const struct gcs *s, struct arena *a, struct str scope,
				  const char *date, int64_t life_s, struct str disposition)
{
	struct str save = STR(""), who = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(gcs_identity_email(s->data)),
				      STR_ARG(scope));

	if (disposition.n)
		save = arena_printf(a, "&response-content-disposition=" STR_FMT,
				    STR_ARG(uri_encode(a, disposition, false)));
	return arena_printf(a,
			    "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=" STR_FMT
			    "&X-Goog-Date=%s&X-Goog-Expires=%lld&X-Goog-SignedHeaders=host" STR_FMT,
			    STR_ARG(uri_encode(a, who, false)), date, (long long)life_s,
			    STR_ARG(save));
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

rc gcs_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
	       struct arena *a, struct backend_presigned *ret, struct err *reterr)
{
	struct gcs *s = gcs_of(b);
	int64_t now = wall_now().s;
	struct str path, query, scope, host, signature, disposition = STR_NONE;
	struct gcs_target *t;
	char date[17];

	TRY(gcs_aim(a, p, &t, reterr));
	TRY(backend_presign_check(b, q, now, LIFE_MAX_S, reterr));
	if (q->filename.n && str_eq(q->method, STR("GET")))
		disposition = backend_attachment(a, q->filename);
	time_amz(now, date);
	scope = arena_printf(a, "%.8s/auto/storage/goog4_request", date);
	path = arena_printf(a, "/" STR_FMT "/" STR_FMT, STR_ARG(t->bucket),
			    STR_ARG(uri_encode(a, t->key, true)));
	query = canonical_query(s, a, scope, date, q->expires_s - now, disposition);
	host = str_skip(s->base, str_find(s->base, STR("://")) + 3);
	TRY(gcs_identity_sign(s->data, a, to_sign(a, q->method, path, query, host, scope, date),
			      &signature, reterr));
	ret->url = arena_printf(a, STR_FMT STR_FMT "?" STR_FMT "&X-Goog-Signature=" STR_FMT,
				STR_ARG(s->base), STR_ARG(path), STR_ARG(query),
				STR_ARG(hex_encode(a, signature)));
	ret->expires_s = q->expires_s;
	return RC_OK;
}
