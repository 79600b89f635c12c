/* The Google Cloud Storage store, by its JSON API.
 *
 * Namespaces: gs://bucket[/prefix]; full addresses: gs://bucket/key. One store serves every bucket that its
 * account may use.
 *
 * Objects of known size are one upload ("media"); those of unknown size a resumable session, whose chunks may be
 * sent again. Multipart uploads, which the API lacks, are objects below `_sluice/uploads/<id>/` of the
 * namespace: `upload`, a mark that the upload is under way, and one for each part, joined by compose. lakeFS
 * and sluice look for data in other places, so that nobody takes them for objects.
 *
 * Who the store is: see gcs_identity.h. With an endpoint of one's own (an emulator) and no credentials:
 * nobody.
 */
#pragma once

#include "backends/remote.h"

struct backend_gcs_options {
	struct remote_options remote;
	struct str endpoint;          /* a URL; STR_NONE: STORAGE_EMULATOR_HOST, else Google's own */
	struct str credentials_file, credentials_json;
	struct str data_credentials_file, data_credentials_json; /* for objects' bytes; STR_NONE: the same */
	struct str kms_key;           /* a KMS key's name for what is written */
	struct str customer_key;      /* a customer-supplied key, base64 of 32 bytes */
	bool disable_pre_signed;
};

/* Asks nobody yet. CONFIG: credentials that can't be read or used, an endpoint that is no URL. */
rc backend_gcs_open(const struct backend_gcs_options *o, struct backend **ret, struct err *reterr);
