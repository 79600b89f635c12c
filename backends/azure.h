/* Stores of type azure: Azure Blob Storage, block blobs.
 *
 * A namespace is https://<account>.<domain>/<container>[/prefix]; a full address is one with the
 * blob's name. In both, as lakeFS has them, the path is percent-encoded; a key below a namespace is
 * not.
 *
 * Not for stores whose account has a hierarchical namespace: those list names in another order than
 * ours, which is noticed and refused. Names with a backslash (Azure makes it a slash) or a segment
 * "." or ".." can't be had; one that ends with a dot or a slash can, though Azure advises against
 * it, and some of its tools cut such ends off.
 */
#pragma once

#include "backends/remote.h"

struct backend_azure_options {
	struct remote_options remote;
	struct str account;  /* azure.storage_account; "": whichever a namespace names */
	struct str key;      /* azure.storage_access_key, base64; "": azure_identity.h */
	struct str domain;   /* azure.domain; "": blob.core.windows.net */
	struct str endpoint; /* azure.test_endpoint_url, "http://host:port[/account]": where requests
			      * go instead */
	unsigned try_ms;     /* azure.try_timeout: how long an attempt may stand still, if that is
			      * shorter than remote.stall_ms; 0: no limit of its own */
	bool no_presign;     /* azure.disable_pre_signed */
};

/* CONFIG: a key that is not base64, an endpoint that is no URL. Asks nobody yet. With a key the
 * store has BACKEND_CAP_PRESIGN. */
rc backend_azure_open(const struct backend_azure_options *o, struct backend **ret,
		      struct err *reterr);
