/* Signature Version 2, header form: "AWS access_key:base64(HMAC-SHA1(string to sign))", and the query
 * form, where Expires (seconds since 1970) stands in the place of Date.
 *
 * The string to sign: method, Content-MD5, Content-Type, Date (empty when x-amz-date is there), the
 * x-amz-* headers in order of their names, then the resource: "/bucket" and the path as sent, and
 * those query parameters that name a sub-resource or override a response header, decoded.
 */
#include "sigv4/internal.h"

#include <stdlib.h>

#include "base/digest.h"
#include "base/encode.h"

static const struct str sub_resources[] = {
	STR("accelerate"), STR("acl"), STR("analytics"), STR("cors"), STR("defaultObjectAcl"),
	STR("delete"), STR("encryption"), STR("inventory"), STR("legal-hold"), STR("lifecycle"),
	STR("location"), STR("logging"), STR("metrics"), STR("notification"), STR("object-lock"),
	STR("partNumber"), STR("policy"), STR("policyStatus"), STR("publicAccessBlock"),
	STR("replication"), STR("requestPayment"), STR("response-cache-control"),
	STR("response-content-disposition"), STR("response-content-encoding"),
	STR("response-content-language"), STR("response-content-type"), STR("response-expires"),
	STR("restore"), STR("retention"), STR("select"), STR("select-type"), STR("storageClass"),
	STR("tagging"), STR("torrent"), STR("uploadId"), STR("uploads"), STR("versionId"),
	STR("versioning"), STR("versions"), STR("website"),
};

/* "uploads=": botocore signs it so, minio-go as "uploads". */
enum empty_values { EMPTY_AS_SENT, EMPTY_BARE };

struct named {
	struct str name, value;
	size_t at; /* equal names stay in the order in which they came */
};

static int named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = str_cmp(x->name, y->name);

	return c ? c : (x->at > y->at) - (x->at < y->at);
}

rc v2_parse(const struct sigv4_request *r, struct str credentials, int64_t now_s, struct arena *a,
	    struct sigv4 *ret, struct err *reterr)
{
	size_t n;
	struct str hash = header_of(r, STR("x-amz-content-sha256"), &n);

	ret->form = SIGV2_HEADER;
	ret->payload = SIGV4_UNSIGNED;
	ret->payload_hash = STR("UNSIGNED-PAYLOAD");
	ret->access_key = str_cut(credentials, ':', &ret->signature);
	if (!access_key_ok(ret->access_key) || ret->signature.n == 0)
		return err_set(reterr, ERR_InvalidArgument,
			       "AWS authorization header is invalid. Expected "
			       "AwsAccessKeyId:signature");
	TRY(request_date_parse(r, now_s, a, ret, reterr));
	ret->token = header_of(r, STR("x-amz-security-token"), NULL);
	if (n)
		TRY(payload_parse(n > 1 ? STR("") : hash, ret, reterr));
	if (ret->payload == SIGV4_CHUNKED || ret->payload == SIGV4_CHUNKED_TRAILER)
		return err_set(reterr, ERR_InvalidRequest,
			       "Signed chunks need a request that is signed with AWS4-HMAC-SHA256.");
	return RC_OK;
}

/* The first value of that name, decoded; STR_NONE when absent, "" on a bad escape. */
static struct str query_value(const struct sigv4_request *r, struct str wanted, struct arena *a)
{
	struct str query = r->query;

	while (query.n) {
		struct str value, name = str_cut(str_cut(query, '&', &query), '=', &value);

		if (!str_eq(name, wanted))
			continue;
		return value.n && uri_decode(a, value, false, &value) ? value : STR("");
	}
	return STR_NONE;
}

static rc link_invalid(struct err *reterr)
{
	return err_set(reterr, ERR_AuthorizationQueryParametersError,
		       "A link signed with version 2 needs AWSAccessKeyId, Signature and Expires "
		       "(seconds since 1970).");
}

rc v2_query_parse(const struct sigv4_request *r, int64_t now_s, struct arena *a, struct sigv4 *ret,
		  bool *ret_found, struct err *reterr)
{
	struct str key = query_value(r, STR("AWSAccessKeyId"), a);
	uint64_t expires;

	*ret_found = key.p != NULL;
	if (!key.p)
		return RC_OK;
	ret->access_key = key;
	ret->signature = query_value(r, STR("Signature"), a);
	ret->expires_text = query_value(r, STR("Expires"), a);
	if (!access_key_ok(key) || !ret->signature.n || !str_to_u64(ret->expires_text, &expires) ||
	    expires > INT64_MAX)
		return link_invalid(reterr);
	if ((int64_t)expires < now_s)
		return err_set(reterr, ERR_AccessDenied, "Request has expired");
	/* As if it were a header: it is signed like one. */
	ret->token = query_value(r, STR("x-amz-security-token"), a);
	ret->form = SIGV2_QUERY;
	ret->payload = SIGV4_UNSIGNED;
	ret->payload_hash = STR("UNSIGNED-PAYLOAD");
	return RC_OK;
}

/* link_token: a link's x-amz-security-token, STR_NONE. */
static void add_amz_headers(struct out *o, const struct sigv4_request *r, struct str link_token)
{
	struct named *v = arena_alloc(o->a, (r->headers_n + 1) * sizeof(*v));
	size_t n = 0;

	if (link_token.p)
		v[n++] = (struct named){STR("x-amz-security-token"), link_token, r->headers_n};
	for (size_t i = 0; i < r->headers_n; i++)
		if (str_starts(r->headers[i].name, STR("x-amz-")))
			v[n++] = (struct named){r->headers[i].name, r->headers[i].value, i};
	qsort(v, n, sizeof(*v), named_cmp);
	for (size_t i = 0; i < n; i++) {
		if (i && str_eq(v[i].name, v[i - 1].name)) {
			o->n--;
			out_add_c(o, ',');
		} else {
			out_add(o, v[i].name);
			out_add_c(o, ':');
		}
		out_add(o, str_trim(v[i].value));
		out_add_c(o, '\n');
	}
}

static bool is_sub_resource(struct str name)
{
	for (size_t i = 0; i < sizeof(sub_resources) / sizeof(*sub_resources); i++)
		if (str_eq(name, sub_resources[i]))
			return true;
	return false;
}

static size_t parameters_most(struct str query)
{
	size_t n = 1;

	for (size_t i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	return n;
}

static void add_sub_resources(struct out *o, struct str query, enum empty_values empty)
{
	struct named *v;
	size_t n = 0;

	if (query.n == 0)
		return;
	v = arena_alloc(o->a, parameters_most(query) * sizeof(*v));
	while (query.n) {
		struct str value, name = str_cut(str_cut(query, '&', &query), '=', &value);

		/* However it is written, it means the same to who reads it. */
		if (str_index(name, '%') < name.n && !uri_decode(o->a, name, false, &name))
			continue;
		if (!is_sub_resource(name))
			continue;
		v[n] = (struct named){name, value, n};
		/* A bad escape stays as it is. */
		if (value.n)
			(void)uri_decode(o->a, value, false, &v[n].value);
		n++;
	}
	qsort(v, n, sizeof(*v), named_cmp);
	for (size_t i = 0; i < n; i++) {
		out_add_c(o, i ? '&' : '?');
		out_add(o, v[i].name);
		if (empty == EMPTY_BARE ? v[i].value.n == 0 : !v[i].value.p)
			continue;
		out_add_c(o, '=');
		out_add(o, v[i].value);
	}
}

static struct str v2_string_to_sign(const struct sigv4 *s, const struct sigv4_request *r,
				    struct str bucket_path, struct str path,
				    enum empty_values empty, struct arena *a)
{
	struct out o = out_new(a, 1024);
	size_t amz_date;

	header_of(r, STR("x-amz-date"), &amz_date);
	out_add(&o, r->method);
	out_add_c(&o, '\n');
	out_add(&o, header_of(r, STR("content-md5"), NULL));
	out_add_c(&o, '\n');
	out_add(&o, header_of(r, STR("content-type"), NULL));
	out_add_c(&o, '\n');
	if (s->form == SIGV2_QUERY)
		out_add(&o, s->expires_text);
	else if (!amz_date)
		out_add(&o, header_of(r, STR("date"), NULL));
	out_add_c(&o, '\n');
	add_amz_headers(&o, r, s->form == SIGV2_QUERY ? s->token : STR_NONE);
	out_add(&o, bucket_path);
	out_add(&o, path);
	add_sub_resources(&o, r->query, empty);
	return out_str(&o);
}

/* Whether the path is a bucket's, without a slash at its end. */
static bool is_bare_bucket(struct str path)
{
	return path.n > 1 && str_index(str_skip(path, 1), '/') == path.n - 1;
}

rc v2_verify(const struct sigv4 *s, const struct sigv4_request *r, struct str secret,
	     struct str bucket_path, struct arena *a, struct err *reterr)
{
	static const enum empty_values spellings[] = {EMPTY_AS_SENT, EMPTY_BARE};
	/* botocore asks for "/bucket" and signs "/bucket/". */
	struct str paths[] = {r->path.n ? r->path : STR("/"),
			      arena_join(a, (struct str[]){r->path, STR("/")}, 2)};
	size_t paths_n = !bucket_path.n && is_bare_bucket(r->path) ? 2 : 1;

	for (size_t i = 0; i < 2 * paths_n; i++) {
		uint8_t mac[20];

		hmac_sha1(secret,
			  v2_string_to_sign(s, r, bucket_path, paths[i / 2], spellings[i % 2], a),
			  mac);
		if (const_time_eq(base64_encode(a, str_make(mac, sizeof(mac))), s->signature))
			return RC_OK;
	}
	return err_default(reterr, ERR_SignatureDoesNotMatch);
}
