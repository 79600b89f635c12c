/* The S3 store: AWS, MinIO, Ceph, versitygw and others that speak the protocol.
 *
 * Namespaces: s3://bucket[/prefix]; full addresses: s3://bucket/key. One store serves every bucket
 * that its keys may use; each bucket's region is asked for once (discover_bucket_region), and
 * learnt again from an answer that names another.
 *
 * Virtual-host style (bucket.host) unless force_path_style; always path style for hosts that are
 * addresses or localhost, and for buckets whose name can't be a part of a host's.
 *
 * Uploads that nobody completes or aborts: the bucket's lifecycle rule
 * AbortIncompleteMultipartUpload is their end. A bucket may have other users, so that sluice looks
 * for none itself.
 */
#pragma once

#include "backends/remote.h"
#include "http/aws_credentials.h"

struct backend_s3_options {
	struct remote_options remote;
	struct aws_credentials_options credentials;
	/* A URL; STR_NONE: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL of the environment, else AWS's own. */
	struct str endpoint;
	struct str region;		/* STR_NONE: us-east-1 */
	struct str pre_signed_endpoint; /* a URL; STR_NONE: endpoint */
	struct str server_side_encryption, server_side_encryption_kms_key_id;
	bool force_path_style, discover_bucket_region;
	bool disable_pre_signed, disable_pre_signed_multipart;
	/* 0: S3's own limit, 5 GiB, above which copies are made of parts of 1 GiB; tests have
	 * others. */
	uint64_t copy_max, copy_part;
};

/* Asks nobody yet. CONFIG: an endpoint that is no http(s) URL, half of a pair of keys. Copies the
 * options. */
rc backend_s3_open(const struct backend_s3_options *o, struct backend **ret, struct err *reterr);
