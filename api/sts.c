/* AWS's Security Token Service, as far as it makes temporary credentials (STS API reference, version 2011-06-15):
 * a form posted to "/", or a query there, signed for the service "sts". Its rows of the table are those whose path
 * is "?Action=...".
 *
 *   admission -> read the form -> row                  loop
 *   authenticate -> parse -> run                       loop if nothing blocks, else on a worker
 *   reply                                              loop
 *
 * The signature covers the body, so the body, bounded, comes first.
 */
#include <assert.h>

#include "api/auth_ops.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/xml.h"
#include "sigv4/sigv4.h"

#define XMLNS "https://sts.amazonaws.com/doc/2011-06-15/"
#define FORM STR("application/x-www-form-urlencoded")

enum { FORM_MAX = 32768 };

static_assert(sizeof(struct http_header) == sizeof(struct sigv4_header) &&
		      offsetof(struct http_header, value) == offsetof(struct sigv4_header, value),
	      "the head is handed to sigv4 as it is");

static bool has(struct str text, const char *what)
{
	return str_find(text, str_c(what)) < text.n;
}

/* Signed for it; or not signed at all, and nothing that S3 has. */
bool api_owns_sts(struct http_req *http)
{
	struct str query, path = str_cut(http_req_target(http), '?', &query);
	struct str authorization = http_req_header(http, "authorization");
	struct str type = http_req_header(http, "content-type");

	if (!str_eq(path, STR("/")))
		return false;
	if (authorization.p)
		return has(authorization, "/sts/aws4_request");
	if (has(query, "X-Amz-Credential="))
		return has(query, "%2Fsts%2Faws4_request") || has(query, "/sts/aws4_request");
	return str_eq(http_req_method(http), STR("POST")) && !query.n && str_starts(type, FORM);
}

static rc find_row(struct api_req *r)
{
	struct str path = arena_join(r->a, (struct str[]){STR("?Action="), api_query(r, "Action")}, 2);

	for (size_t i = 0; i < API_OPS; i++) {
		if (!str_eq(path, str_c(api_routes[i].path)))
			continue;
		r->route = &api_routes[i];
		return RC_OK;
	}
	return err_set(&r->err, ERR_InvalidAction,
		       "Could not find operation " STR_FMT " for version " STR_FMT
		       ": there are GetSessionToken, GetFederationToken and GetCallerIdentity",
		       STR_ARG(str_head(api_query(r, "Action"), 60)),
		       STR_ARG(str_head(api_query(r, "Version"), 20)));
}

static struct sigv4_request signed_request(struct api_req *r)
{
	struct str query, path = str_cut(http_req_target(r->http), '?', &query);
	const struct http_header *h;
	size_t n = http_req_headers(r->http, &h);

	return (struct sigv4_request){
		.method = http_req_method(r->http),
		.path = path,
		.query = query.p ? query : STR(""),
		.headers = (const struct sigv4_header *)h,
		.headers_n = n,
		.service = STR("sts"),
	};
}

static struct str body_hash(struct api_req *r)
{
	uint8_t hash[32];

	digest_of(DIGEST_SHA256, buf_str(&r->body), hash);
	return hex_encode(r->a, str_make(hash, sizeof(hash)));
}

static rc verify(struct api_req *r, struct sigv4_request *sr, struct sigv4 *s)
{
	struct auth_attempt t = api_attempt(r, s->access_key, "signature");
	struct auth *x = r->x->o.auth;
	struct auth_user *user;
	struct str secret;
	rc found;

	TRY(auth_find_signer(x, r->wait, &t, s->token, r->a, &user, &secret, &r->err));
	found = sigv4_verify(s, sr, secret, STR(""), r->a, &r->err);
	auth_tried(x, &t, rc_ok(found));
	if (rc_ok(found))
		found = auth_not_expired(user, &r->err);
	if (rc_ok(found))
		r->user = user;
	else
		auth_user_unref(user);
	return found;
}

static rc authenticate(struct api_req *r)
{
	struct sigv4_request sr = signed_request(r);
	struct sigv4 s;

	TRY(sigv4_parse(&sr, wall_now().s, r->a, &s, &r->err));
	if (s.form == SIGV4_NONE)
		return err_default(&r->err, ERR_MissingAuthenticationToken);
	if (s.form != SIGV4_HEADER && s.form != SIGV4_QUERY)
		return err_set(&r->err, ERR_AuthorizationHeaderMalformed, "STS's queries are signed with version 4");
	s.payload_hash = body_hash(r);
	return verify(r, &sr, &s);
}

static rc work_through(struct api_req *r)
{
	TRY(authenticate(r));
	if (r->route->handlers->parse)
		TRY(r->route->handlers->parse(r));
	return r->route->handlers->run ? r->route->handlers->run(r) : RC_OK;
}

static void on_worker(struct work *w)
{
	struct api_req *r = api_req_of(w);

	r->result = http_admit_begin(&r->admit) ? work_through(r) : err_default(&r->err, ERR_SlowDown);
}

static void worked(struct work *w)
{
	struct api_req *r = api_req_of(w);

	api_done(r, http_admit_done(&r->admit) ? r->result : err_default(&r->err, ERR_CANCELLED));
}

static rc read_form(struct api_req *r)
{
	struct str target = http_req_target(r->http);
	struct str query = str_skip(target, str_index(target, '?'));

	if (r->body.n > FORM_MAX)
		return err_set(&r->err, ERR_EntityTooLarge, "the form has more than %d bytes", FORM_MAX);
	if (query.n)
		query = str_skip(query, 1);
	TRY(api_parse_params(r, arena_join(r->a, (struct str[]){query, STR("&"), buf_str(&r->body)}, 3)));
	return find_row(r);
}

static void enter(struct api_req *r)
{
	rc result = read_form(r);

	if (rc_ok(result))
		result = work_through(r);
	if (rc_is(result, WOULD_BLOCK))
		api_submit(r, r->x->o.meta, on_worker, worked);
	else
		api_done(r, result);
}

static void answered(struct api_req *r, enum admit answer)
{
	if (answer == ADMIT_WAIT)
		return;
	if (answer != ADMIT_IN)
		api_done(r, err_default(&r->err, answer == ADMIT_GONE ? ERR_CANCELLED : ERR_SlowDown));
	else if (str_eq(http_req_method(r->http), STR("POST")))
		api_slurp(r, enter);
	else
		enter(r);
}

static void told(struct http_admit *x, enum admit answer)
{
	answered((struct api_req *)((char *)x - offsetof(struct api_req, admit)), answer);
}

void api_sts(struct api *x, struct http_req *http)
{
	struct api_req *r = api_req_new(x, http);
	struct str method = http_req_method(http);

	r->sts = true;
	if (str_eq(method, STR("POST")) || str_eq(method, STR("GET")))
		answered(r, http_admit_enter(&r->admit, &x->o.admission, http, ADMIT_METADATA, false, told));
	else
		api_done(r, err_default(&r->err, ERR_MethodNotAllowed));
}

/* Answers. */

static void respond(struct api_req *r, int status)
{
	api_add_header(r, "x-amzn-requestid", http_req_id(r->http));
	api_add_header(r, "content-type", STR("text/xml"));
	api_add_header(r, "cache-control", STR("no-store"));
	http_respond(r->http, status, r->out, r->out_n, buf_str(&r->json));
}

/* Of codes that STS has other words for than S3. */
static const struct {
	enum err_code code;
	int status;
	const char *sts;
} codes[] = {
	{ERR_InvalidAccessKeyId, 403, "InvalidClientTokenId"},
	{ERR_InvalidToken, 403, "InvalidClientTokenId"},
	{ERR_ExpiredToken, 403, "ExpiredToken"},
	{ERR_AuthorizationHeaderMalformed, 400, "IncompleteSignature"},
	{ERR_AuthorizationQueryParametersError, 400, "IncompleteSignature"},
	{ERR_InvalidArgument, 400, "IncompleteSignature"},
	{ERR_RequestTimeTooSkewed, 400, "RequestExpired"},
	{ERR_INVALID, 400, "ValidationError"},
	{ERR_EntityTooLarge, 400, "PackedPolicyTooLarge"},
	{ERR_TooManyFailures, 429, "Throttling"},
	{ERR_SlowDown, 503, "ServiceUnavailable"},
};

void api_sts_refuse(struct api_req *r)
{
	int status = err_status(r->err.code);
	const char *code = err_s3_code(r->err.code);

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == r->err.code) {
			status = codes[i].status;
			code = codes[i].sts;
		}
	buf_reset(&r->json);
	xw_open_ns(&r->json, "ErrorResponse", XMLNS);
	xw_open(&r->json, "Error");
	xw_elem(&r->json, "Type", status < 500 ? STR("Sender") : STR("Receiver"));
	xw_elem(&r->json, "Code", status == 500 ? STR("InternalFailure") : str_c(code));
	xw_elem(&r->json, "Message", status == 500 ? api_message(r, &r->err) : str_c(r->err.msg));
	xw_close(&r->json, "Error");
	xw_elem(&r->json, "RequestId", http_req_id(r->http));
	xw_close(&r->json, "ErrorResponse");
	respond(r, status);
}

static void open_result(struct api_req *r, const char *response, const char *result)
{
	xw_open_ns(&r->json, response, XMLNS);
	xw_open(&r->json, result);
}

static void close_result(struct api_req *r, const char *response, const char *result)
{
	xw_close(&r->json, result);
	xw_open(&r->json, "ResponseMetadata");
	xw_elem(&r->json, "RequestId", http_req_id(r->http));
	xw_close(&r->json, "ResponseMetadata");
	xw_close(&r->json, response);
	respond(r, r->route->status);
}

/* GetCallerIdentity. There are no accounts: one of AWS's form, which clients look at. */
#define ACCOUNT "000000000000"

static void reply_identity(struct api_req *r)
{
	struct str name = auth_user_name(r->user);

	open_result(r, "GetCallerIdentityResponse", "GetCallerIdentityResult");
	xw_elem(&r->json, "Arn", arena_join(r->a, (struct str[]){STR("arn:lakefs:auth:::user/"), name}, 2));
	xw_elem(&r->json, "UserId", name);
	xw_elem(&r->json, "Account", STR(ACCOUNT));
	close_result(r, "GetCallerIdentityResponse", "GetCallerIdentityResult");
}

const struct api_handlers handlers_stsGetCallerIdentity = {.reply = reply_identity};

/* Credentials. */

static rc parse_duration(struct api_req *r, struct session_request *in)
{
	struct str text = api_query(r, "DurationSeconds");
	uint64_t seconds;

	if (!text.p)
		return RC_OK;
	if (!str_to_u64(text, &seconds) || seconds > INT32_MAX)
		return err_set(&r->err, ERR_INVALID, "DurationSeconds is a number of seconds");
	in->seconds = (int64_t)seconds;
	return RC_OK;
}

static rc parse_policy(struct api_req *r, struct session_request *in)
{
	struct str text = api_query(r, "Policy");
	struct json *doc;
	rc parsed;

	if (!text.n)
		return RC_OK;
	parsed = json_parse(r->a, text, &doc, &r->err);
	if (rc_ok(parsed))
		parsed = api_session_policy(r, doc, in);
	if (rc_is(parsed, INVALID)) {
		r->err.code = ERR_MalformedPolicyDocument;
		return RC(MalformedPolicyDocument);
	}
	return parsed;
}

static rc parse_session(struct api_req *r)
{
	struct session_request *in = api_session_request(r);

	TRY(parse_duration(r, in));
	return parse_policy(r, in);
}

static void show_credentials(struct api_req *r, const struct auth_session *s)
{
	char iso[25];

	time_iso_ms((struct timestamp){.s = s->expires_s}, iso);
	xw_open(&r->json, "Credentials");
	xw_elem(&r->json, "AccessKeyId", s->access_key);
	xw_elem(&r->json, "SecretAccessKey", s->secret);
	xw_elem(&r->json, "SessionToken", s->token);
	xw_elem(&r->json, "Expiration", arena_printf(r->a, "%.19sZ", iso));
	xw_close(&r->json, "Credentials");
}

static void reply_session(struct api_req *r)
{
	const struct session_request *in = r->op_state;

	open_result(r, "GetSessionTokenResponse", "GetSessionTokenResult");
	show_credentials(r, &in->made);
	close_result(r, "GetSessionTokenResponse", "GetSessionTokenResult");
}

const struct api_handlers handlers_stsGetSessionToken = {
	.parse = parse_session, .run = api_run_session, .reply = reply_session};

/* The form of it that AWS's clients can give a policy to. */
static rc parse_federation(struct api_req *r)
{
	struct str name = api_query(r, "Name");

	if (name.n < 2 || name.n > 32)
		return err_set(&r->err, ERR_INVALID, "Name has 2 to 32 characters");
	if (!api_query(r, "Policy").n)
		return err_set(&r->err, ERR_INVALID,
			       "Policy is missing: without one a federated user may do nothing; GetSessionToken makes "
			       "credentials for all that you may");
	return parse_session(r);
}

static void reply_federation(struct api_req *r)
{
	const struct session_request *in = r->op_state;
	struct str name = api_query(r, "Name");

	open_result(r, "GetFederationTokenResponse", "GetFederationTokenResult");
	show_credentials(r, &in->made);
	xw_open(&r->json, "FederatedUser");
	xw_elem(&r->json, "FederatedUserId", arena_join(r->a, (struct str[]){STR(ACCOUNT ":"), name}, 2));
	xw_elem(&r->json, "Arn",
		arena_join(r->a, (struct str[]){STR("arn:aws:sts::" ACCOUNT ":federated-user/"), name}, 2));
	xw_close(&r->json, "FederatedUser");
	close_result(r, "GetFederationTokenResponse", "GetFederationTokenResult");
}

const struct api_handlers handlers_stsGetFederationToken = {
	.parse = parse_federation, .run = api_run_session, .reply = reply_federation};
