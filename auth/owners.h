/* Whose an access key is.
 *
 * Credentials are stored under their owner's name, and lakeFS keeps no index from access key to
 * owner. So all credentials are scanned (keys only count), and what was seen is remembered as a
 * hint: the caller verifies it by reading the credential itself, so a hint may be old. Only a key
 * without a (right) hint makes a new scan, and scans take at most a tenth of the time, so that
 * made-up keys can't keep the KV busy; a key made meanwhile elsewhere waits nine scans' time at
 * most (5 s at the very most).
 */
#pragma once

#include "kv/kv.h"

struct auth_owners;

struct auth_owners *auth_owners_new(struct kv *kv);
void auth_owners_free(struct auth_owners *o);
/* Whether there is a hint, and it (in the arena). Never blocks for long. */
bool auth_owners_find(struct auth_owners *o, struct str access_key, struct arena *a,
		      struct str *ret_user);
/* Scans, unless that was begun after since_us (mono_us), or too recently. Blocks. */
rc auth_owners_refresh(struct auth_owners *o, int64_t since_us, struct err *reterr);
/* The next refresh scans for certain: credentials were changed by this process. */
void auth_owners_expire(struct auth_owners *o);
/* Scans so far. */
uint64_t auth_owners_scans(struct auth_owners *o);
