/* What auth.c and setup.c share. */
#pragma once

#include <pthread.h>

#include "auth/cache.h"
#include "auth/owners.h"

enum { AUTH_LOADS = 16, AUTH_MAX_ACCESS_KEY = 256 };

struct auth {
	struct kv *kv;
	struct str encrypt_secret; /* owned */
	struct auth_cache *cache;
	struct auth_owners *owners;
	/* By access key: a crowd of requests with one key that isn't cached opens its secret once. */
	pthread_mutex_t loading[AUTH_LOADS];
};

/* The owner's name, verified to have that credential; InvalidAccessKeyId. Not lakeFS's single user's. */
rc auth_owner_of(struct auth *x, struct str access_key, struct arena *a, struct str *ret_user,
		 struct str *ret_sealed, struct err *reterr);
/* Users or credentials were changed by this process: nothing older is answered from memory. */
void auth_changed(struct auth *x);
