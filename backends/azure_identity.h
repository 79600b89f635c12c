/* Who the process is to Azure when it has no account's key: bearer tokens for the resource
 * https://storage.azure.com, got as Azure's own SDKs get them, from what the environment names:
 *
 *   AZURE_TENANT_ID, AZURE_CLIENT_ID,   an application, by its secret
 *   AZURE_CLIENT_SECRET
 *   AZURE_TENANT_ID, AZURE_CLIENT_ID,   a workload, by the token in the file, which is read anew
 *   AZURE_FEDERATED_TOKEN_FILE          each time: it is exchanged now and then
 *   IDENTITY_ENDPOINT, IDENTITY_HEADER  a managed identity of App Service
 *   else                                that of the virtual machine, from the metadata service at
 *                                       169.254.169.254 or AZURE_POD_IDENTITY_AUTHORITY_HOST
 *
 * AZURE_AUTHORITY_HOST replaces https://login.microsoftonline.com; AZURE_CLIENT_ID picks one of
 * several managed identities. The first that is complete decides; another isn't tried when it
 * fails.
 *
 * Any thread. A token is asked for anew five minutes before it ends (a short one: after three
 * quarters of its time), by one thread, while the others go on with the old one; a failure is told
 * to whoever asks within the next seconds, without asking again.
 */
#pragma once

#include "backends/remote.h"

struct azure_identity;

/* Reads the environment. r: whose connections, limits and log are used; outlives the identity.
 * CONFIG: an endpoint that is no URL, or http to other than this machine. */
rc azure_identity_new(struct remote *r, struct azure_identity **ret, struct err *reterr);
/* No call may be under way. NULL is allowed. */
void azure_identity_free(struct azure_identity *i);
/* Blocking. ServiceUnavailable, with what was asked and what it said. */
rc azure_identity_token(struct azure_identity *i, struct arena *a, struct str *ret,
			struct err *reterr);
/* The service refused this token: it isn't used again. */
void azure_identity_forget(struct azure_identity *i, struct str token);
