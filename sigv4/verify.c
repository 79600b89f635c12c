/* The comparison at the end of it all. */
#include "sigv4/internal.h"

#include <assert.h>

#include "base/digest.h"

static bool matches(const struct sigv4 *s, const struct sigv4_request *r, enum slashes slashes,
		    struct arena *a)
{
	struct str canonical = canonical_request(r, s->signed_headers, s->payload_hash,
						 s->form == SIGV4_QUERY, slashes, a);
	struct str text = sigv4_string_to_sign(s->amz_date, s->scope, canonical, a);

	return const_time_eq(hmac_hex(s->signing_key, text, a), s->signature);
}

static bool has_encoded_slash(struct str path)
{
	for (size_t i = 0; i + 2 < path.n; i++)
		if (percent_value(str_skip(path, i)) == '/')
			return true;
	return false;
}

/* What was compared with the client's own: a proxy that changes path, host or a signed header shows. */
static rc mismatch(const struct sigv4 *s, const struct sigv4_request *r, struct arena *a,
		   struct err *reterr)
{
	struct str canonical = canonical_request(r, s->signed_headers, s->payload_hash,
						 s->form == SIGV4_QUERY, SLASHES_AS_SENT, a);
	rc failed = err_default(reterr, ERR_SignatureDoesNotMatch);

	failed = err_field(failed, reterr, "AWSAccessKeyId", s->access_key);
	failed = err_field(failed, reterr, "SignatureProvided", s->signature);
	failed = err_field(failed, reterr, "StringToSign",
			   sigv4_string_to_sign(s->amz_date, s->scope, canonical, a));
	return err_field(failed, reterr, "CanonicalRequest", canonical);
}

rc sigv4_verify(struct sigv4 *s, const struct sigv4_request *r, struct str secret,
		struct str bucket_path, struct arena *a, struct err *reterr)
{
	assert(s->form != SIGV4_NONE);
	if (s->form == SIGV2_HEADER || s->form == SIGV2_QUERY)
		return v2_verify(s, r, secret, bucket_path, a, reterr);
	if (secret.n <= SECRET_MAX) {
		signing_key_cached(s->access_key, secret, s->date, s->region, s->service,
				   s->signing_key);
		if (matches(s, r, SLASHES_AS_SENT, a))
			return RC_OK;
		if (has_encoded_slash(r->path) && matches(s, r, SLASHES_PLAIN, a))
			return RC_OK;
	}
	explicit_bzero(s->signing_key, sizeof(s->signing_key));
	return mismatch(s, r, a, reterr);
}
