/* Conditions of statements (API.md 2.2): AND across operators and fields, OR across values. */
#pragma once

#include "auth/auth.h"

enum auth_verdict {
	AUTH_MET,
	AUTH_NOT_MET, /* also when the context lacks the field, for the Not forms, too */
	AUTH_BROKEN,  /* unknown operator, or something that is no address */
};

enum auth_verdict auth_conditions(const struct auth_statement *s, const struct auth_context *ctx);
