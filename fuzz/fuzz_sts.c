/* STS's forms from strangers: taken apart, and the policy in them. */
#include "api/auth_ops.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_req r = {.a = arena_new()};
	struct session_request in = {0};
	struct json *doc;

	if (!rc_ok(api_parse_params(&r, str_make(data, size)))) {
		MUST(r.err.code == ERR_INVALID && r.err.msg[0]);
	} else {
		for (size_t i = 0; i < r.params_n; i++)
			MUST(str_is_utf8(r.params[i].key) && str_is_utf8(r.params[i].value));
		if (api_query(&r, "Policy").n && rc_ok(json_parse(r.a, api_query(&r, "Policy"), &doc, &r.err)) &&
		    !rc_ok(api_session_policy(&r, doc, &in)))
			MUST(r.err.code == ERR_INVALID && r.err.msg[0] && !in.scoped);
	}
	arena_free(r.a);
	return 0;
}
