/* The services that give keys: STS for web identities, a container's endpoint, an instance's
 * metadata. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/rand.h"
#include "base/xml.h"
#include "http/aws_credentials_priv.h"

#define CONTAINER_BASE "http://169.254.170.2"
#define INSTANCE_BASE "http://169.254.169.254"
#define INSTANCE_PATH "/latest/meta-data/iam/security-credentials/"

enum {
	ANSWER_MAX = 256 * 1024,
	TOKEN_MAX = 64 * 1024,
	ATTEMPTS = 3,
	METADATA_TOKEN_S = 21600,
};

/* Twice again when that may help. */
static rc ask(struct http_pool *p, const struct http_request *q, struct arena *a,
	      struct http_answer *ret, struct err *reterr)
{
	rc r;

	for (unsigned i = 1;; i++) {
		r = http_ask(p, q, ANSWER_MAX, a, ret, reterr);
		if ((rc_ok(r) && ret->status < 500) || i == ATTEMPTS)
			return r;
	}
}

static bool expires(struct str text, int64_t *ret)
{
	struct timestamp t;

	if (!text.n || !time_parse_rfc3339(text, &t))
		return false;
	*ret = t.s;
	return true;
}

/* Web identity. */

static void form_add(struct buf *b, struct arena *a, const char *name, struct str value)
{
	buf_printf(b, "%s%s=", b->n ? "&" : "", name);
	buf_add(b, uri_encode(a, value, false));
}

static struct str sts_url(const struct aws_credentials *c, struct arena *a)
{
	struct str url = aws_env(c, "AWS_ENDPOINT_URL_STS"), region = aws_env(c, "AWS_REGION");

	if (url.n)
		return url;
	if (!region.n)
		region = aws_env(c, "AWS_DEFAULT_REGION");
	if (!region.n)
		region = c->o.region;
	if (!region.n)
		return str_c("https://sts.amazonaws.com");
	return arena_printf(a, "https://sts." STR_FMT ".amazonaws.com%s", STR_ARG(region),
			    str_starts(region, STR("cn-")) ? ".cn" : "");
}

static struct str session_name(struct arena *a)
{
	uint8_t dice[8];

	rand_bytes(dice, sizeof(dice));
	return arena_printf(a, "sluice-" STR_FMT,
			    STR_ARG(hex_encode(a, str_make(dice, sizeof(dice)))));
}

static rc sts_read(struct arena *a, const struct http_answer *w, struct aws_found *ret,
		   struct err *reterr)
{
	struct xml_node *root = NULL, *n = NULL;
	bool parsed = rc_ok(xml_parse(a, w->body, &root, NULL));

	if (w->status != 200) {
		n = parsed ? xml_child(root, "Error") : NULL;
		return err_set(reterr, ERR_ServiceUnavailable,
			       "AWS STS refused the web identity with %d " STR_FMT ": " STR_FMT,
			       w->status,
			       STR_ARG(str_head(n ? xml_child_text(n, "Code") : STR_NONE, 100)),
			       STR_ARG(str_head(n ? xml_child_text(n, "Message") : STR_NONE, 200)));
	}
	n = parsed ? xml_child(root, "AssumeRoleWithWebIdentityResult") : NULL;
	n = n ? xml_child(n, "Credentials") : NULL;
	if (n)
		ret->keys = (struct aws_keys){xml_child_text(n, "AccessKeyId"),
					      xml_child_text(n, "SecretAccessKey"),
					      xml_child_text(n, "SessionToken")};
	if (!n || !ret->keys.access_key.n || !ret->keys.secret.n ||
	    !expires(xml_child_text(n, "Expiration"), &ret->expires_s))
		return err_set(reterr, ERR_ServiceUnavailable,
			       "AWS STS answered what can't be understood to a web identity");
	return RC_OK;
}

rc aws_assume_role(struct aws_credentials *c, struct arena *a, struct str token_file,
		   struct str role, struct str session, struct aws_found *ret, struct err *reterr)
{
	const struct http_header type = {STR("content-type"),
					 STR("application/x-www-form-urlencoded")};
	struct http_request q = {
	    .method = STR("POST"), .headers = &type, .headers_n = 1, .body = HTTP_BYTES};
	struct buf form = BUF_INIT(4 * TOKEN_MAX);
	struct http_answer w;
	struct str token;
	rc r;

	r = aws_read_file(a, token_file, TOKEN_MAX, &token, reterr);
	if (!rc_ok(r))
		return err_wrap(r, reterr, "the web identity's token");
	form_add(&form, a, "Action", STR("AssumeRoleWithWebIdentity"));
	form_add(&form, a, "Version", STR("2011-06-15"));
	form_add(&form, a, "RoleArn", role);
	form_add(&form, a, "RoleSessionName", session.n ? session : session_name(a));
	if (c->o.session_s)
		form_add(&form, a, "DurationSeconds",
			 arena_printf(a, "%lld", (long long)c->o.session_s));
	form_add(&form, a, "WebIdentityToken", token);
	q.url = sts_url(c, a);
	q.bytes = arena_dup(a, buf_str(&form));
	buf_deinit(&form);
	TRY(ask(c->services, &q, a, &w, reterr));
	return sts_read(a, &w, ret, reterr);
}

rc aws_from_web_identity(struct aws_credentials *c, struct arena *a, struct aws_found *ret,
			 bool *found, struct err *reterr)
{
	struct str file = aws_env(c, "AWS_WEB_IDENTITY_TOKEN_FILE"),
		   role = aws_env(c, "AWS_ROLE_ARN");

	*found = file.n && role.n;
	if (!*found)
		return RC_OK;
	return aws_assume_role(c, a, file, role, aws_env(c, "AWS_ROLE_SESSION_NAME"), ret, reterr);
}

/* Containers and instances answer in the same form. */

static rc json_keys(struct arena *a, const char *who, const struct http_answer *w,
		    struct aws_found *ret, struct err *reterr)
{
	struct json *j = NULL;

	if (w->status != 200)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "AWS credentials: the %s's metadata answered %d: " STR_FMT, who,
			       w->status, STR_ARG(str_head(w->body, 200)));
	if (rc_ok(json_parse(a, w->body, &j, NULL)))
		ret->keys = (struct aws_keys){json_str(json_member(j, "AccessKeyId")),
					      json_str(json_member(j, "SecretAccessKey")),
					      json_str(json_member(j, "Token"))};
	if (!ret->keys.access_key.n || !ret->keys.secret.n)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "AWS credentials: the %s's metadata has no keys", who);
	ret->expires_s = 0;
	expires(json_str(json_member(j, "Expiration")), &ret->expires_s);
	return RC_OK;
}

static rc container_token(struct aws_credentials *c, struct arena *a, struct str *ret,
			  struct err *reterr)
{
	struct str file = aws_env(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

	if (file.n)
		return aws_read_file(a, file, TOKEN_MAX, ret, reterr);
	*ret = aws_env(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	return RC_OK;
}

/* A token must not go to anybody by plain http: https, loopback, or the addresses that ECS and EKS
 * have. */
static bool may_ask(struct str url)
{
	static const char *const bases[] = {
	    "https://",		"http://127.",		 "http://localhost",	 "http://[::1]",
	    CONTAINER_BASE "/", "http://169.254.170.23", "http://[fd00:ec2::23]"};

	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		if (str_starts(url, str_c(bases[i])))
			return true;
	return false;
}

rc aws_from_container(struct aws_credentials *c, struct arena *a, struct aws_found *ret,
		      bool *found, struct err *reterr)
{
	struct str relative = aws_env(c, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		   full = aws_env(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI"), token = STR_NONE;
	struct http_header auth = {STR("authorization"), STR_NONE};
	struct http_request q = {.method = STR("GET"), .headers = &auth};
	struct http_answer w;

	*found = relative.n || full.n;
	if (!*found)
		return RC_OK;
	q.url = relative.n ? arena_printf(a, CONTAINER_BASE STR_FMT, STR_ARG(relative)) : full;
	if (!may_ask(q.url))
		return err_set(
		    reterr, ERR_ServiceUnavailable,
		    "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this host");
	TRY(container_token(c, a, &token, reterr));
	auth.value = token;
	q.headers_n = token.n > 0;
	TRY(ask(c->metadata, &q, a, &w, reterr));
	return json_keys(a, "container", &w, ret, reterr);
}

static rc instance_get(struct aws_credentials *c, struct arena *a, struct str url, struct str token,
		       struct http_answer *ret, struct err *reterr)
{
	const struct http_header h = {STR("x-aws-ec2-metadata-token"), token};
	const struct http_request q = {
	    .method = STR("GET"), .url = url, .headers = &h, .headers_n = 1};

	return ask(c->metadata, &q, a, ret, reterr);
}

static struct str instance_base(const struct aws_credentials *c)
{
	struct str base = aws_env(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT");

	if (!base.n)
		base = STR(INSTANCE_BASE);
	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	return base;
}

/* The session's token; found is false where nobody answers: it is no instance. */
static rc instance_token(struct aws_credentials *c, struct arena *a, struct str *ret, bool *found,
			 struct err *reterr)
{
	struct str base = instance_base(c);
	const struct http_header ttl = {STR("x-aws-ec2-metadata-token-ttl-seconds"),
					arena_printf(a, "%d", METADATA_TOKEN_S)};
	const struct http_request q = {
	    .method = STR("PUT"),
	    .url = arena_printf(a, STR_FMT "/latest/api/token", STR_ARG(base)),
	    .headers = &ttl,
	    .headers_n = 1,
	    .body = HTTP_BYTES,
	    .bytes = STR("")};
	struct http_answer w;

	if (!rc_ok(http_ask(c->metadata, &q, ANSWER_MAX, a, &w, NULL)))
		return RC_OK;
	if (w.status != 200)
		return err_set(
		    reterr, ERR_ServiceUnavailable,
		    "AWS credentials: the instance's metadata refused a session (IMDSv2): %d",
		    w.status);
	*ret = w.body;
	*found = true;
	return RC_OK;
}

rc aws_from_instance(struct aws_credentials *c, struct arena *a, struct aws_found *ret, bool *found,
		     struct err *reterr)
{
	struct str base = instance_base(c), token = STR_NONE, role, rest;
	struct http_answer w;

	if (str_eq_nocase(aws_env(c, "AWS_EC2_METADATA_DISABLED"), STR("true")))
		return RC_OK;
	TRY(instance_token(c, a, &token, found, reterr));
	if (!*found)
		return RC_OK;
	TRY(instance_get(c, a, arena_printf(a, STR_FMT INSTANCE_PATH, STR_ARG(base)), token, &w,
			 reterr));
	role = str_trim(str_cut(w.body, '\n', &rest));
	if (w.status != 200 || !role.n)
		return err_set(
		    reterr, ERR_ServiceUnavailable,
		    "AWS credentials: the instance has no role (%d): give it an instance profile",
		    w.status);
	TRY(instance_get(c, a,
			 arena_printf(a, STR_FMT INSTANCE_PATH STR_FMT, STR_ARG(base),
				      STR_ARG(uri_encode(a, role, false))),
			 token, &w, reterr));
	return json_keys(a, "instance", &w, ret, reterr);
}
