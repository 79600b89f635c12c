/* Records of users, groups, policies and credentials in the KV (FORMATS.md 6.5). Partition "auth":
 *
 *   users/<u>  groups/<g>  policies/<p>  uCredentials/<u>/credentials/<access key>
 *   gUsers/<g>/users/<u>  uPolicies/<u>/policies/<p>  gPolicies/<g>/policies/<p>
 *
 * the last three are index entries: their value is the path of what they name. All of it blocks.
 */
#pragma once

#include "auth/auth.h"
#include "auth/auth_records.pb-c.h"

#define AUTH_PARTITION STR("auth")
/* lakeFS's single user: users/superAdmin, whatever its name. */
#define AUTH_BASIC_PARTITION STR("basicAuth")
#define AUTH_BASIC_ID STR("superAdmin")
/* The end of a credential's key after the owner's name. */
#define AUTH_CREDENTIALS STR("uCredentials/")
#define AUTH_OF_CREDENTIAL STR("/credentials/")

/* Bounds of what one user may have, over all groups. */
enum { AUTH_MAX_GROUPS = 10000, AUTH_MAX_POLICIES = 1000, AUTH_MAX_STATEMENTS = 10000 };

/* NOT_FOUND; CORRUPT when it is no such record. Records live in the arena. */
rc auth_store_user(struct kv *kv, struct str partition, struct str id, struct arena *a,
		   AuthPb__UserData **ret, struct err *reterr);
rc auth_store_credential(struct kv *kv, struct str partition, struct str id, struct str access_key,
			 struct arena *a, AuthPb__CredentialData **ret, struct err *reterr);
rc auth_store_policy(struct kv *kv, struct str path, struct arena *a, AuthPb__PolicyData **ret,
		     struct err *reterr);

/* Keys, in the arena. */
struct str auth_key_user(struct arena *a, struct str user);
struct str auth_key_credential(struct arena *a, struct str user, struct str access_key);
struct str auth_key_group(struct arena *a, struct str group);
struct str auth_key_policy(struct arena *a, struct str policy);
/* <kind>/<holder>/<kind of what is held>/<name>: "gUsers", "users"; name "" is the prefix of all. */
struct str auth_key_link(struct arena *a, const char *kind, struct str holder, const char *held,
			 struct str name);
/* A record that is in memory. CORRUPT. */
rc auth_store_unpack(const ProtobufCMessageDescriptor *type, struct str key, struct str value,
		     struct arena *a, void **ret, struct err *reterr);
rc auth_store_group(struct kv *kv, struct str id, struct arena *a, AuthPb__GroupData **ret,
		    struct err *reterr);

/* When the user's record was made, into the user. */
void auth_user_created(struct auth_user *u, const AuthPb__UserData *record);

/* Writes the record; `absent`: leaves what is there, and says PREDICATE. */
rc auth_store_put(struct kv *kv, struct str key, const ProtobufCMessage *m, bool absent,
		  struct err *reterr);
rc auth_store_put_in(struct kv *kv, struct str partition, struct str key, const ProtobufCMessage *m,
		     bool absent, struct err *reterr);
/* An index entry `key` for what is at `path`. */
rc auth_store_put_index(struct kv *kv, struct str key, struct str path, struct err *reterr);

/* The groups that the user is in, and the paths of all policies that count for it, each once. */
rc auth_store_groups_of(struct kv *kv, struct str user, struct arena *a, struct str **ret, size_t *ret_n,
			struct err *reterr);
rc auth_store_policies_of(struct kv *kv, struct str user, struct arena *a, struct str **ret, size_t *ret_n,
			  struct err *reterr);
/* The user with the policies attached to it and to its groups. NOT_FOUND. */
rc auth_store_load_user(struct kv *kv, struct str name, struct auth_user **ret,
			struct err *reterr);
