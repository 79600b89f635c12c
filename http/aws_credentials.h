/* Where AWS finds keys: the chain that its SDKs have, for the S3 store and the DynamoDB driver. It
 * asks services over HTTP and needs no signatures, which is why it is here.
 *
 * In this order, the first that is configured is the one (it is not passed over when it fails):
 *   1. static keys of the options
 *   2. the profile or the credentials file of the options
 *   3. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   4. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: STS's AssumeRoleWithWebIdentity
 *   5. the profile AWS_PROFILE or "default" of AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials,
 *      and of AWS_CONFIG_FILE or ~/.aws/config, when it has keys
 *   6. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI: ECS, EKS's pod identity
 *   7. the instance's metadata (IMDSv2 only), unless AWS_EC2_METADATA_DISABLED is true
 * A profile may have keys, or web_identity_token_file and role_arn. credential_process, sso_* and
 * roles by way of another profile are refused with a message that says so.
 *
 * Temporary keys are renewed ahead of their end by one caller while the others go on with the old
 * ones; a failure then costs nothing until the old ones end, and is tried again after again_s.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct aws_keys {
	struct str access_key, secret, token; /* token STR_NONE: none */
};

struct aws_credentials_options {
	struct str access_key, secret, token; /* static ones */
	struct str profile, credentials_file; /* STR_NONE: as the environment says */
	struct str region;		      /* of STS, should AWS_REGION not be set */
	int64_t session_s;		      /* of web identity; 0: the service's choice */
	int64_t window_s;		      /* renewed so long before the end; 0: 300 */
	int64_t again_s;		      /* but so rarely; 0: 30 */
	struct str ca_file;
	/* NULL: getenv. */
	const char *(*env)(const char *name);
};

struct aws_credentials;

/* Opens nothing and asks nobody yet, but CONFIG: half of a pair of static keys. */
rc aws_credentials_new(const struct aws_credentials_options *o, struct aws_credentials **ret,
		       struct err *reterr);
/* Nobody may be asking. */
void aws_credentials_free(struct aws_credentials *c);
/* What to sign with now, copied to the arena. Blocking, on workers, for at most half a minute.
 * ServiceUnavailable: no source has any, with what was looked at and what can be done. */
rc aws_credentials_get(struct aws_credentials *c, struct arena *a, struct aws_keys *ret,
		       struct err *reterr);
/* And when they end; 0: nobody has said. */
rc aws_credentials_until(struct aws_credentials *c, struct arena *a, struct aws_keys *ret,
			 int64_t *ret_expires_s, struct err *reterr);
/* A service refused this key: it is asked for again at the next get, unless that was done a moment
 * ago or the key is another by now. Whether another attempt is worth it. */
bool aws_credentials_refused(struct aws_credentials *c, struct str access_key);
/* The region that the environment (AWS_REGION, AWS_DEFAULT_REGION) or the profile's configuration names, in the arena;
 * STR_NONE. */
struct str aws_credentials_region(const struct aws_credentials *c, struct arena *a);
