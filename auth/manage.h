/* Users, groups, policies and credentials, as administrators manage them; records in FORMATS.md 6.5.
 *
 * All of it blocks. Changes take turns within the process. There are no transactions, so the order is: a
 * deletion removes the record first, and with it everything that hung on it, at one instant; then the links,
 * which lead nowhere by now and are ignored. A creation first removes links that a deletion left behind: a
 * new user never inherits what one of the same name had. What this process changes, it knows at once; others
 * after auth.cache.ttl. Every change is an event of the component "audit".
 *
 * Without access control (auth_options.single) groups, policies and lists of credentials are UNSUPPORTED.
 *
 * Errors besides the KV's: NOT_FOUND and EXISTS in lakeFS's words ("user not found", "Already exists"),
 * INVALID with the reason.
 */
#pragma once

#include "auth/auth.h"
#include "auth/document.h"

struct auth_call {
	struct auth *x;
	struct arena *a; /* what is returned lives here */
	struct err *err;
	/* Who asks, for the audit: user, their address, the request. STR_NONE: the command line. */
	struct str by, source, request_id;
};

/* The audit: who did what to what. `what`, `also`: kinds ("user"), NULL for none. */
void auth_audit(const struct auth_call *c, const char *done, const char *what, struct str id,
		const char *also, struct str other);

/* Names that begin with prefix and come after `after` (STR_NONE: all), at most `amount`. */
struct auth_page {
	struct str prefix, after;
	size_t amount;
};

struct auth_person {
	struct str id, friendly_name, email;
	int64_t created_s;
};

struct auth_group {
	struct str id, description;
	int64_t created_s;
};

struct auth_policy {
	struct str id;
	int64_t created_s;
	struct auth_document document;
};

struct auth_credential {
	struct str access_key;
	struct str name;   /* "" without */
	int64_t created_s; /* seconds since 1970 */
	int64_t expires_s; /* 0: never */
};

/* auth_setup and auth_superuser, for somebody; those without are the command line's. */
rc auth_setup_by(struct auth_call *c, struct str user_name, const struct auth_credentials *given,
		 struct auth_credentials *ret);
rc auth_superuser_by(struct auth_call *c, struct str user_name, const struct auth_credentials *given,
		     struct auth_credentials *ret);

enum {
	AUTH_MAX_ID = 256,          /* bytes of a name of a user, group or policy */
	AUTH_MAX_USER_KEYS = 100,   /* credentials of one user */
	AUTH_MAX_DESCRIPTION = 4096,
};

/* Names: 1 to AUTH_MAX_ID bytes of UTF-8 without control characters, '%' and '/'. */
rc auth_user_create(struct auth_call *c, struct str id, struct auth_person *ret);
rc auth_user_get(struct auth_call *c, struct str id, struct auth_person *ret);
rc auth_user_delete(struct auth_call *c, struct str id);
rc auth_users_list(struct auth_call *c, const struct auth_page *p, struct auth_person **ret, size_t *ret_n,
		   bool *ret_more);

rc auth_group_create(struct auth_call *c, struct str id, struct str description, struct auth_group *ret);
rc auth_group_get(struct auth_call *c, struct str id, struct auth_group *ret);
rc auth_group_delete(struct auth_call *c, struct str id);
rc auth_groups_list(struct auth_call *c, const struct auth_page *p, struct auth_group **ret, size_t *ret_n,
		    bool *ret_more);

rc auth_member_add(struct auth_call *c, struct str group, struct str user);
rc auth_member_remove(struct auth_call *c, struct str group, struct str user);
rc auth_members_list(struct auth_call *c, struct str group, const struct auth_page *p,
		     struct auth_person **ret, size_t *ret_n, bool *ret_more);
rc auth_groups_of_user(struct auth_call *c, struct str user, const struct auth_page *p,
		       struct auth_group **ret, size_t *ret_n, bool *ret_more);

/* The document is one that auth_document_check found good. */
rc auth_policy_create(struct auth_call *c, struct str id, const struct auth_document *d,
		      struct auth_policy *ret);
rc auth_policy_update(struct auth_call *c, struct str id, const struct auth_document *d,
		      struct auth_policy *ret);
rc auth_policy_get(struct auth_call *c, struct str id, struct auth_policy *ret);
rc auth_policy_delete(struct auth_call *c, struct str id);
rc auth_policies_list(struct auth_call *c, const struct auth_page *p, struct auth_policy **ret,
		      size_t *ret_n, bool *ret_more);

/* What policies are attached to. */
enum auth_holder { AUTH_OF_USER, AUTH_OF_GROUP };
rc auth_policy_attach(struct auth_call *c, enum auth_holder kind, struct str holder, struct str policy);
rc auth_policy_detach(struct auth_call *c, enum auth_holder kind, struct str holder, struct str policy);
/* effective: a user's with those of its groups, each once. */
rc auth_policies_of(struct auth_call *c, enum auth_holder kind, struct str holder, bool effective,
		    const struct auth_page *p, struct auth_policy **ret, size_t *ret_n, bool *ret_more);

/* name "" and expires_s 0 for none. The secret is told here and never again. */
rc auth_credential_create(struct auth_call *c, struct str user, struct str name, int64_t expires_s,
			  struct auth_credential *ret, struct str *ret_secret);
rc auth_credential_get(struct auth_call *c, struct str user, struct str access_key,
		       struct auth_credential *ret);
rc auth_credential_delete(struct auth_call *c, struct str user, struct str access_key);
rc auth_credentials_list(struct auth_call *c, struct str user, const struct auth_page *p,
			 struct auth_credential **ret, size_t *ret_n, bool *ret_more);

/* Temporary credentials of u, who was found by an access key: for `seconds`, or until that one expires; scope: NULL
 * for all that the user may, else a document that bounds it. They end with that access key and with the user.
 * AccessDenied for a user who was found otherwise; INVALID for the duration or a bad document; EntityTooLarge for
 * one that doesn't fit into the token. */
struct auth_session {
	struct str access_key, secret, token;
	int64_t expires_s;
};
rc auth_session_make(struct auth_call *c, const struct auth_user *u, int64_t seconds,
		     const struct auth_document *scope, struct auth_session *ret);
int64_t auth_session_max_s(const struct auth *x);
