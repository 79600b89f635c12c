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
};

/* Allowed everything. */
struct auth_user *auth_user_administrator(struct str name);
