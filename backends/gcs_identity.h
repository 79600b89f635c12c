/* Who the store is to Google: bearer tokens, renewed ahead of their end.
 *
 * In this order: the JSON itself or the file of the options; GOOGLE_APPLICATION_CREDENTIALS;
 * gcloud's application_default_credentials.json; the metadata server (GCE_METADATA_HOST, else
 * Google's). The JSON is a service account's key (RFC 7523: a JWT of its own signature for a token)
 * or an authorized user's refresh token; other kinds are refused with a message that names them.
 *
 * Any thread. One caller renews, five minutes before the end or at three quarters of a short life,
 * while the others go on with the old token; a failure then costs nothing until the old one ends.
 */
#pragma once

#include "backends/remote.h"

struct gcs_identity;

/* anonymous: nobody, when nothing is configured. CONFIG: a file or key that can't be used. */
rc gcs_identity_new(struct str file, struct str json, bool anonymous, struct gcs_identity **ret,
		    struct err *reterr);
void gcs_identity_free(struct gcs_identity *i);
/* Blocking, on workers. STR_NONE: anonymous. ServiceUnavailable: no token was to be had, and why;
 * AccessDenied: they are refused. A failure is told to whoever asks within the next seconds,
 * without asking again. */
rc gcs_identity_token(struct gcs_identity *i, struct remote *r, struct arena *a, struct str *ret,
		      struct err *reterr);
/* The service refused this token: it isn't used again. False when it isn't the present one's. */
bool gcs_identity_forget(struct gcs_identity *i, struct str token);
/* For presigned URLs: the account's address and its signature; UNSUPPORTED without a service
 * account's key. */
bool gcs_identity_signs(const struct gcs_identity *i);
struct str gcs_identity_email(const struct gcs_identity *i);
rc gcs_identity_sign(const struct gcs_identity *i, struct arena *a, struct str data,
		     struct str *ret, struct err *reterr);
