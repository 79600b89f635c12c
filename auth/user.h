/* A user as evaluation sees it; made once, never changed, counted. */
#pragma once

#include "auth/auth.h"

struct auth_user {
	unsigned refs; /* atomic */
	struct arena *arena;
	struct str name;
	/* ${user} is replaced already. */
	const struct auth_statement *statements;
	size_t statements_n;
	int64_t created_s; /* of the user's record */
	/* Of the credential that it was found by: set before anybody else sees it. */
	struct str access_key;
	int64_t expires_s; /* 0: never */
};

/* Allowed everything. */
struct auth_user *auth_user_administrator(struct str name);
