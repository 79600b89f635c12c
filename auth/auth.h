/* Users, credentials, policies: who may do what, for both protocols.
 *
 * Records are lakeFS's (FORMATS.md 6.5): partition "auth" (users/, groups/, policies/, uCredentials/,
 * gUsers/, uPolicies/, gPolicies/); lakeFS's single user in "basicAuth" is taken over as an administrator
 * (auth_take_over). Secrets at rest: salt[8] | nonce[24] | secretbox, key = scrypt(auth.encrypt.secret_key).
 * Opened secrets and users' policies are cached for auth.cache.ttl, bounded by auth.cache.size; unknown
 * keys are remembered, too (briefly, bounded), so that a stranger can't make every request scan.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "kv/kv.h"

struct auth;
struct auth_user;

struct auth_options {
	struct kv *kv; /* borrowed */
	struct str encrypt_secret;
	int64_t cache_ms, cache_jitter_ms;
	size_t cache_size;
	/* auth.ui_config.rbac: none. Whoever is known may do everything; lakeFS's single user is one of them. */
	bool single;
	int64_t login_ms; /* how long a login's token lasts */
	/* Who guesses waits (guard.h): failures in a row that an address may make, 0: no limit; and the time that
	 * gives it one back. */
	unsigned failures;
	int64_t recovery_ms;
	int64_t session_max_ms; /* how long a temporary credential may last; 0: AUTH_SESSION_MAX_S */
};
struct auth *auth_new(const struct auth_options *o);
void auth_free(struct auth *x);

/* Counted; immutable: a user's name and effective policies as of when they were read. */
struct str auth_user_name(const struct auth_user *u);
/* The access key that it was found by; STR_NONE for a login's token. */
struct str auth_user_access_key(const struct auth_user *u);
bool auth_user_is_temporary(const struct auth_user *u); /* found by auth_find_session */
struct auth_user *auth_user_ref(struct auth_user *u); /* any thread */
void auth_user_unref(struct auth_user *u);            /* NULL is allowed */

/* The owner of an access key, and its secret (in the arena). InvalidAccessKeyId; CORRUPT when the secret
 * can't be opened, saying that auth.encrypt.secret_key is not the one it was sealed with; WOULD_BLOCK
 * (KV_NOWAIT answers from the cache only, and is for loops; KV_BLOCK reads the KV and opens the secret,
 * which takes a millisecond of CPU by design). A new key is known at once in the process that made it,
 * elsewhere when nobody tried it in the last seconds. */
rc auth_find_key(struct auth *x, enum kv_wait wait, struct str access_key, struct arena *a,
		 struct auth_user **ret_user, struct str *ret_secret, struct err *reterr);

/* Around each of these: somebody tries to prove who they are. TooManyFailures, with the field
 * RetryAfterSeconds, where too many attempts from that address have failed; and how it ended: whether what they
 * have is right (expired or not), or is nobody's. Failures are events of the component "audit". Never blocks. */
struct auth_attempt {
	struct str source;     /* the client's address */
	struct str access_key; /* "" for a token */
	struct str request_id;
	const char *how; /* "signature" */
};
rc auth_may_try(struct auth *x, const struct auth_attempt *t, struct err *reterr);
void auth_tried(struct auth *x, const struct auth_attempt *t, bool right);
/* Of what proves by itself that it was made here, and proved not to be: tells whether that was one too many. */
rc auth_forged(struct auth *x, const struct auth_attempt *t, rc failed, struct err *reterr);

/* Temporary credentials (session.h): the access key's form ("ASIA...") tells them. */
bool auth_is_temporary(struct str access_key);
/* As auth_find_key, for a temporary access key and its token: the user may what both the user it is of and the
 * session's scope allow, and nothing of auth. InvalidToken for one that isn't ours or not this key's;
 * ExpiredToken; InvalidAccessKeyId when the credential or the user that it was made with is gone, even if a
 * user of that name is there again. */
rc auth_find_session(struct auth *x, enum kv_wait wait, struct str access_key, struct str token, struct arena *a,
		     struct auth_user **ret_user, struct str *ret_secret, struct err *reterr);

/* Who says that they signed a request, and the secret that they must have signed it with: by auth_find_session
 * where there is a token (STR_NONE: none) and the key is a temporary one, else by auth_find_key. Attempts with
 * keys and tokens that are nobody's are counted; the caller tells auth_tried whether the signature was right. */
rc auth_find_signer(struct auth *x, enum kv_wait wait, const struct auth_attempt *t, struct str token,
		    struct arena *a, struct auth_user **ret_user, struct str *ret_secret, struct err *reterr);

/* Once the secret has proved right: ExpiredToken when the credential that the user was found by has expired. */
rc auth_not_expired(const struct auth_user *u, struct err *reterr);

/* Whether that is the secret; takes as long whatever differs. */
bool auth_secret_is(struct str secret, struct str given);

/* A login: a JWT (HS256, key auth.encrypt.secret_key, as lakeFS makes them) that stands for the user until
 * *ret_expires_s: after auth_options.login_ms, or when the credential expires that the user was found by. */
struct str auth_token_make(struct auth *x, const struct auth_user *u, struct arena *a, int64_t *ret_expires_s);
/* Whose it is. InvalidToken for one that isn't ours or isn't well-formed; ExpiredToken for one that has been
 * good: it has expired, its user is gone, or it is older than a user who has its name now; WOULD_BLOCK and other
 * errors as above. */
rc auth_find_token(struct auth *x, enum kv_wait wait, struct str token, struct arena *a,
		   struct auth_user **ret_user, struct err *reterr);

/* What an operation demands: a tree. Children of AND and OR are `kids`. */
enum auth_need_kind {
	NEED_PERMISSION,
	NEED_AND,
	NEED_OR,
	NEED_BELOW, /* a permission on all that begins as the resource does: some statement allows all of it, and
		     * none denies anything of it */
};
struct auth_need {
	enum auth_need_kind kind;
	struct str action;   /* "fs:ReadObject" */
	struct str resource; /* "arn:lakefs:fs:::repository/r/object/p" */
	const struct auth_need *kids;
	size_t kids_n;
};

struct auth_context {
	struct str source_ip;  /* STR_NONE: not known: conditions on it don't apply */
	struct str storage_id; /* the same */
};

/* RC_OK, or AccessDenied naming the action and resource (API.md 2.5: a deny wins, then an allow).
 * Pure; any thread. */
rc auth_allows(const struct auth_user *u, const struct auth_need *need,
	       const struct auth_context *ctx, struct err *reterr);
/* Whether any statement allows the action on anything, whatever its conditions: the entrance of listings that
 * ask auth_allows for each item. */
bool auth_allows_somewhere(const struct auth_user *u, struct str action);

/* Policies (API.md 2.2), public for tests. */
struct auth_statement {
	bool allow;
	bool broken; /* its effect or resources couldn't be read: every request is denied */
	struct str *actions;
	size_t actions_n;
	struct str *resources;
	size_t resources_n;
	struct auth_condition {
		struct str op, field;
		struct str *values;
		size_t values_n;
	} *conditions;
	size_t conditions_n;
};
/* A user that has exactly these statements; for tests and internal callers. */
struct auth_user *auth_user_of(struct str name, const struct auth_statement *s, size_t n);

/* First start. Makes groups and policies (API.md 2.4), the user in Admins, its credentials (made up where
 * STR_NONE), installation metadata and the schema version; ret in `a`. EXISTS once set up. */
struct auth_credentials {
	struct str access_key, secret;
};
rc auth_setup(struct auth *x, struct str user_name, const struct auth_credentials *given,
	      struct arena *a, struct auth_credentials *ret, struct err *reterr);
/* Setup was done (installation_metadata/setup_timestamp). */
rc auth_is_setup(struct auth *x, bool *ret, struct err *reterr);
/* One more administrator with credentials (`sluice superuser`): EXISTS when the user is there. */
rc auth_superuser(struct auth *x, struct str user_name, const struct auth_credentials *given,
		  struct arena *a, struct auth_credentials *ret, struct err *reterr);
/* lakeFS's single user (partition "basicAuth") becomes an administrator like others, with its credentials. At
 * each start; does nothing when that was done, or without access control. */
rc auth_take_over(struct auth *x, struct err *reterr);
/* kv/schema/version: absent or 4 is right; else CONFIG with the remedy (TRAPS.md 20). */
rc auth_check_schema(struct kv *kv, struct err *reterr);
/* The same for what is in that record. */
rc auth_check_schema_version(struct str text, struct err *reterr);
enum { AUTH_SCHEMA_VERSION = 4 };
