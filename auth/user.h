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
	/* Of a session: the user that it is of (a reference, whose statements they are), and what bounds it. */
	struct auth_user *base;
	bool temporary, scoped;
	const struct auth_statement *scope;
	size_t scope_n;
	int64_t created_s; /* of the user's record */
	int32_t created_ns;
	/* Of the credential that it was found by: set before anybody else sees it. */
	struct str access_key;
	int64_t expires_s; /* 0: never */
};

/* A session of the user, who is referenced. scope: NULL without one; ${user} is replaced here. */
struct auth_statements;
struct auth_user *auth_user_session(struct auth_user *base, const struct auth_statements *scope);
/* Allowed everything. */
struct auth_user *auth_user_administrator(struct str name);
