/* Conditions of statements (API.md 2.2): AND across operators and fields, OR across values. */
#pragma once

#include "auth/auth.h"

enum auth_verdict {
	AUTH_MET,
	AUTH_NOT_MET, /* also when the context lacks the field, for the Not forms, too */
	AUTH_BROKEN,  /* unknown operator, or something that is no address */
};

enum auth_verdict auth_conditions(const struct auth_statement *s, const struct auth_context *ctx);
/* INVALID: an operator that there isn't, a field that no request has, a value that is no address. */
rc auth_condition_check(const struct auth_condition *c, struct err *reterr);
