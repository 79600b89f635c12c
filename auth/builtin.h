/* The groups and policies that setup makes (API.md 2.4). */
#pragma once

#include "kv/kv.h"

#define AUTH_ADMINS STR("Admins")

/* Those that are there already are left as they are. May be repeated. */
rc auth_builtin_make(struct kv *kv, struct err *reterr);
