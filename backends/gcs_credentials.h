/* What a store was given to be somebody to Google: a service account's key, an authorized user's
 * refresh token, or only the hope that a metadata server knows. Sources and their order:
 * gcs_identity.h. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum gcs_kind { GCS_ANONYMOUS, GCS_SERVICE_ACCOUNT, GCS_AUTHORIZED_USER, GCS_METADATA };

struct gcs_credentials {
	enum gcs_kind kind;
	struct str token_uri;				    /* not of GCS_METADATA */
	struct str email, key, key_id;			    /* GCS_SERVICE_ACCOUNT */
	struct str client_id, client_secret, refresh_token; /* GCS_AUTHORIZED_USER */
};

/* Reads files and the environment; strings go to `a`. CONFIG: what can't be used, with where it was
 * found and the remedy, without anything of its content but the type's name. */
rc gcs_credentials_find(struct str file, struct str json, bool anonymous, struct arena *a,
			struct gcs_credentials *ret, struct err *reterr);
