/* Statements of stored policies, made ready for evaluation. */
#pragma once

#include "auth/auth.h"
#include "auth/auth_records.pb-c.h"

struct auth_statements {
	struct auth_statement *p;
	size_t n, cap, max;
	struct arena *a;
};

/* Strings stay in the policy's memory. What can't be read becomes a broken statement. */
rc auth_statements_add(struct auth_statements *to, const AuthPb__PolicyData *policy,
		       struct err *reterr);
