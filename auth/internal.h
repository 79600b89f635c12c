/* What the files of auth/ share. */
#pragma once

#include <pthread.h>

#include "auth/auth_records.pb-c.h"
#include "auth/cache.h"
#include "auth/guard.h"
#include "auth/manage.h"
#include "auth/owners.h"
#include "auth/session.h"

enum { AUTH_LOADS = 16, AUTH_MAX_ACCESS_KEY = 256 };

struct auth {
	struct kv *kv;
	struct str encrypt_secret; /* owned */
	struct auth_session_keys session_keys;
	int64_t session_max_s;
	struct auth_cache *cache;
	struct auth_owners *owners;
	struct auth_guard *guard;
	/* By access key: a crowd of requests with one key that isn't cached opens its secret once. */
	pthread_mutex_t loading[AUTH_LOADS];
	int64_t login_ms;
	bool single; /* no access control: whoever is known may do everything */
	/* Changes of users, groups, policies and links take turns: what a deletion sweeps up after itself must
	 * not be what a creation has just made. */
	pthread_mutex_t changing;
};

/* The owner's name, verified to have that credential; InvalidAccessKeyId. Not lakeFS's single user's. */
rc auth_owner_of(struct auth *x, struct str access_key, struct arena *a, struct str *ret_user,
		 AuthPb__CredentialData **ret, struct err *reterr);
/* A user by its name. InvalidAccessKeyId when there is none; waits as auth_find_key. */
rc auth_find_user(struct auth *x, enum kv_wait wait, struct str name, struct arena *a,
		  struct auth_user **ret_user, struct err *reterr);
/* Users or credentials were changed by this process: nothing older is answered from memory. */
void auth_changed(struct auth *x);

/* names.c */
rc auth_check_id(struct str id, const char *what, struct err *reterr);
/* Keys and values under a prefix, in pages: `load` makes an item of each, or says that there is none. */
typedef rc auth_load_fn(struct auth_call *c, struct str name, struct str value, void *item, bool *ret_there);
struct auth_rows {
	void *v;
	size_t n;
	bool more;
};
rc auth_rows_list(struct auth_call *c, struct str key_prefix, const struct auth_page *p, size_t item_size,
		  auth_load_fn *load, struct auth_rows *ret);
/* The same of names that are known, ascending. */
rc auth_rows_of(struct auth_call *c, const struct str *names, size_t n, const struct auth_page *p,
		size_t item_size, auth_load_fn *load, struct auth_rows *ret);
/* Removes every key with the prefix and, where given, the ending. */
rc auth_sweep(struct auth *x, struct str prefix, struct str ending, struct err *reterr);

/* users.c, groups.c, policies.c: items of pages. */
auth_load_fn auth_load_person, auth_load_group, auth_load_policy;
/* What a user leaves behind. */
rc auth_sweep_user(struct auth *x, struct str id, struct arena *a, struct err *reterr);

/* policies.c: a document as its record; id "" where it has no name of its own. */
AuthPb__PolicyData *auth_policy_record(struct arena *a, struct str id, const struct auth_document *d);

AuthPb__Timestamp auth_now(void);
/* setup.c: access keys as lakeFS makes them. */
struct str auth_made_access_key(struct arena *a);
struct str auth_made_secret(struct arena *a);

rc auth_no_rbac(struct auth_call *c); /* UNSUPPORTED where there is no access control */
