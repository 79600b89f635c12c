/* The Google Cloud Storage store, by its JSON API.
 *
 * Namespaces: gs://bucket[/prefix]; full addresses: gs://bucket/key. One store serves every bucket
 * that its account may use.
 *
 * Objects of known size are one upload ("media", or "multipart" with a storage class that Google
 * knows; another one is ignored, as S3's names are in lakeFS); those of unknown size, and large
 * ones with a class, a resumable session, whose chunks may be sent again. Objects have at most 5
 * TiB.
 *
 * Multipart uploads, which the JSON API lacks, are objects below `_sluice/uploads/<id>/` of the
 * namespace: `upload`, a mark that the upload is under way, and one for each part, joined by
 * compose. Listings don't show them. Parts are of the bucket's default class: other than Standard
 * costs extra, as they are removed soon. Of uploads that nobody ends they stay: a lifecycle rule of
 * the bucket for that prefix removes them.
 *
 * What was stored with Content-Encoding: gzip is read as it is stored, not unpacked.
 *
 * gs.bucket_project_id is for whoever makes buckets: sluice makes none, and takes the key without
 * using it.
 *
 * Who the store is: see gcs_identity.h. With an endpoint of plain http (an emulator) and no
 * credentials in the options: nobody.
 */
#pragma once

#include "backends/remote.h"

struct backend_gcs_options {
	struct remote_options remote;
	struct str endpoint; /* a URL; STR_NONE: STORAGE_EMULATOR_HOST, else Google's own */
	struct str credentials_file, credentials_json;
	struct str data_credentials_file,
	    data_credentials_json; /* for objects' bytes; STR_NONE: the same */
	struct str kms_key;	   /* a KMS key's name for what is written */
	struct str customer_key; /* a customer-supplied key of 32 bytes, in hex or base64; excludes
				    kms_key */
	bool disable_pre_signed;
};

/* Asks nobody yet. CONFIG: credentials that can't be read or used, an endpoint that is no URL. */
rc backend_gcs_open(const struct backend_gcs_options *o, struct backend **ret, struct err *reterr);
