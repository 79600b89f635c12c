/* Temporary credentials: what STS and REST share, and REST's way to them. */
#include "api/auth_ops.h"

enum { DEFAULT_S = 12 * 3600 };

struct session_request *api_session_request(struct api_req *r)
{
	struct session_request *in = ARENA_NEW(r->a, struct session_request);
	int64_t max = auth_session_max_s(r->x->o.auth);

	in->seconds = max < DEFAULT_S ? max : DEFAULT_S;
	r->op_state = in;
	return in;
}

/* A policy, or its statements alone. */
rc api_session_policy(struct api_req *r, const struct json *doc, struct session_request *in)
{
	const struct json *statements = json_type(doc) == JSON_ARRAY ? doc : json_member(doc, "statement");

	if (!statements)
		return err_set(&r->err, ERR_INVALID,
			       "the policy has no \"statement\": it is one of lakeFS's, {\"statement\": [{\"effect\": "
			       "\"allow\", \"action\": [\"fs:ReadObject\"], \"resource\": \"arn:lakefs:fs:::...\"}]}");
	TRY(auth_document_of_json(r->a, statements, &in->scope, &r->err));
	TRY(auth_document_check(&in->scope, &r->err));
	in->scoped = true;
	return RC_OK;
}

rc api_run_session(struct api_req *r)
{
	struct session_request *in = r->op_state;
	struct auth_call c = api_auth_call(r);

	return auth_session_make(&c, r->user, in->seconds, in->scoped ? &in->scope : NULL, &in->made);
}

static rc parse_create(struct api_req *r)
{
	static const char schema[] = "SessionCreation";
	struct session_request *in = api_session_request(r);
	struct json *policy;
	int64_t seconds;
	bool there;

	TRY(api_body_object(r, schema));
	TRY(api_body_int(r, schema, "duration_seconds", false, &seconds, &there));
	if (there)
		in->seconds = seconds;
	policy = json_member(r->doc, "policy");
	return policy && json_type(policy) != JSON_NULL ? api_session_policy(r, policy, in) : RC_OK;
}

static void reply_create(struct api_req *r)
{
	const struct session_request *in = r->op_state;

	api_begin(r);
	jw_str(&r->w, "access_key_id", in->made.access_key);
	jw_int(&r->w, "expires_at", in->made.expires_s);
	jw_str(&r->w, "secret_access_key", in->made.secret);
	jw_str(&r->w, "session_token", in->made.token);
	api_end(r);
	api_add_header(r, "cache-control", STR("no-store"));
	api_reply_json(r, 201);
}

const struct api_handlers handlers_sluiceCreateSession = {
	.parse = parse_create, .run = api_run_session, .reply = reply_create};
