/* Policy documents (API.md 2.2): from JSON and back, and what makes one that can be evaluated. Pure. */
#pragma once

#include "auth/auth.h"
#include "base/json.h"

struct auth_rule {
	struct str effect;   /* "allow", "deny" */
	struct str resource; /* "*", an ARN, or the text of a JSON array of these */
	struct str *actions;
	size_t actions_n;
	/* Those of one operator stand together; an operator without fields has field STR_NONE. Operators and
	 * fields end with a NUL, too. */
	struct auth_condition *conditions;
	size_t conditions_n;
};

struct auth_document {
	struct auth_rule *rules;
	size_t rules_n;
};

enum { AUTH_MAX_RULES = 1000 };

/* `statement`: a policy's array. Strings stay the JSON document's. INVALID in the words of lakeFS's
 * validator: "Error at "/statement/0/effect": ..." */
rc auth_document_of_json(struct arena *a, const struct json *statement, struct auth_document *ret,
			 struct err *reterr);
/* INVALID: an action of no service, a resource that is no ARN, a condition that nothing could meet. */
rc auth_document_check(const struct auth_document *d, struct err *reterr);
/* The array `statement`. */
void auth_document_write(const struct auth_document *d, struct json_out *w);
