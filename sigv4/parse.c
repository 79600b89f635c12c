/* Which form of signature a request has, whose it is, and whether it is of now.
 *
 * Nothing here needs the secret. What the signature covers is settled, too: the host, each x-amz-*
 * header and the time have to be under it, or somebody on the way could change them.
 */
#include "sigv4/internal.h"

#include "base/encode.h"

#include <stdio.h>

#include "base/clock.h"

#define ALGORITHM STR("AWS4-HMAC-SHA256")

bool access_key_ok(struct str s)
{
	if (s.n < 3 || s.n > 128)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("/,:;\"\\", s.p[i]))
			return false;
	return true;
}

bool date_parse(struct str s, int64_t *ret_s)
{
	char http[64];

	if (time_parse_amz(s, ret_s) || time_parse_http(s, ret_s))
		return true;
	if (!str_ends(s, STR(" +0000")) || s.n > sizeof(http))
		return false;
	memcpy(http, s.p, s.n - 5);
	memcpy(http + s.n - 5, "GMT", 3);
	return time_parse_http(str_make(http, s.n - 2), ret_s);
}

static bool is_sha256_hex(struct str s)
{
	if (s.n != 64)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return true;
}

rc payload_parse(struct str text, struct sigv4 *ret, struct err *reterr)
{
	static const struct {
		struct str text;
		enum sigv4_payload payload;
	} kinds[] = {
		{STR("UNSIGNED-PAYLOAD"), SIGV4_UNSIGNED},
		{STR("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), SIGV4_CHUNKED},
		{STR("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), SIGV4_CHUNKED_TRAILER},
		{STR("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), SIGV4_CHUNKED_UNSIGNED_TRAILER},
	};

	ret->payload_hash = text;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!str_eq(text, kinds[i].text))
			continue;
		ret->payload = kinds[i].payload;
		return RC_OK;
	}
	ret->payload = SIGV4_SHA256;
	if (is_sha256_hex(text))
		return RC_OK;
	return err_argument(reterr, "x-amz-content-sha256", text,
			    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
			    "STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
			    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
			    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
			    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
			    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 "
			    "value.");
}

/* One error for what both forms have, with the code and the beginning that the form's errors have. */
static rc malformed(const struct sigv4 *s, struct err *reterr, const char *text)
{
	if (s->form == SIGV4_QUERY)
		return err_set(reterr, ERR_AuthorizationQueryParametersError,
			       "Error parsing the X-Amz-Credential parameter; %s", text);
	return err_set(reterr, ERR_AuthorizationHeaderMalformed,
		       "The authorization header is malformed; %s", text);
}

static rc credential_malformed(const struct sigv4 *s, struct err *reterr)
{
	return malformed(s, reterr, "the Credential is mal-formed; expecting "
				    "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
}

static rc credential_part(const struct sigv4 *s, struct err *reterr, const char *before,
			  struct str sent, const char *after)
{
	char text[256], part[65];

	snprintf(text, sizeof(text), "%s \"%s\"%s", before, printable(sent, part, sizeof(part)),
		 after);
	return malformed(s, reterr, text);
}

static struct str service_of(const struct sigv4_request *r)
{
	return r->service.p ? r->service : STR("s3");
}

static rc scope_check(const struct sigv4_request *r, const struct sigv4 *s, struct str terminator,
		      struct err *reterr)
{
	struct str service = service_of(r);
	char belongs[64];
	uint64_t date;

	snprintf(belongs, sizeof(belongs), ". This endpoint belongs to \"" STR_FMT "\".", STR_ARG(service));
	if (!str_eq(terminator, STR("aws4_request")))
		return credential_part(s, reterr, "incorrect terminal", terminator,
				       ". This endpoint uses \"aws4_request\".");
	if (!str_eq(s->service, service))
		return credential_part(s, reterr, "incorrect service", s->service, belongs);
	if (s->date.n != 8 || !str_to_u64(s->date, &date))
		return credential_part(s, reterr, "incorrect date format", s->date,
				       ". This date in the credential must be in the format "
				       "\"yyyyMMdd\".");
	return RC_OK;
}

static rc credential_parse(const struct sigv4_request *r, struct str text, struct sigv4 *ret, struct err *reterr)
{
	struct str rest, terminator;

	ret->access_key = str_cut(text, '/', &rest);
	ret->scope = rest;
	ret->date = str_cut(rest, '/', &rest);
	ret->region = str_cut(rest, '/', &rest);
	ret->service = str_cut(rest, '/', &terminator);
	if (!terminator.p || memchr(terminator.p, '/', terminator.n) || ret->scope.n > 96 ||
	    !access_key_ok(ret->access_key))
		return credential_malformed(ret, reterr);
	for (size_t i = 0; i < ret->region.n; i++)
		if (ret->region.p[i] <= ' ' || ret->region.p[i] > '~')
			return credential_malformed(ret, reterr);
	return scope_check(r, ret, terminator, reterr);
}

static bool is_signed(struct str list, struct str name)
{
	while (list.n)
		if (str_eq(str_cut(list, ';', &list), name))
			return true;
	return false;
}

/* No name twice: each costs its header's length in the canonical request. */
static rc signed_headers_parse(struct str text, struct arena *a, struct sigv4 *ret,
			       struct err *reterr)
{
	struct str rest, last = STR("");
	size_t n = 0;

	ret->signed_headers = rest = lower_case(a, text);
	while (rest.p) {
		struct str name = str_cut(rest, ';', &rest);

		/* In order, as all send them, it can't be twice. */
		bool twice = str_cmp(last, name) >= 0 &&
			     is_signed(str_make(ret->signed_headers.p,
						(size_t)(name.p - ret->signed_headers.p)), name);

		last = name;
		if (name.n == 0 || ++n > SIGNED_HEADERS_MAX || twice)
			return malformed(ret, reterr,
					 "SignedHeaders must list each signed header once, in "
					 "lower case, separated by \";\".");
	}
	return RC_OK;
}

/* x-amz-content-sha256 is under the signature as the canonical request's last line, listed or not;
 * CloudFront adds x-amz-cf-id on the way, which says nothing about the request. */
static bool may_be_unsigned(struct str name)
{
	return str_eq(name, STR("x-amz-content-sha256")) || str_eq(name, STR("x-amz-cf-id"));
}

static bool must_be_signed(const struct sigv4 *s, struct str name)
{
	return str_starts(name, STR("x-amz-")) && !may_be_unsigned(name) &&
	       !is_signed(s->signed_headers, name);
}

static rc signed_headers_check(const struct sigv4_request *r, const struct sigv4 *s,
			       struct arena *a, struct err *reterr)
{
	struct out names = out_new(a, 64);
	rc failed;

	if (!is_signed(s->signed_headers, STR("host")))
		out_add(&names, STR("host"));
	for (size_t i = 0; i < r->headers_n && names.n < 256; i++) {
		if (!must_be_signed(s, r->headers[i].name))
			continue;
		if (names.n)
			out_add(&names, STR(", "));
		out_add(&names, str_head(r->headers[i].name, 128));
	}
	if (!names.n)
		return RC_OK;
	failed = err_set(reterr, ERR_AccessDenied,
			 "There were headers present in the request which were not signed");
	return err_field(failed, reterr, "HeadersNotSigned", out_str(&names));
}

static rc scope_date_check(const struct sigv4 *s, struct err *reterr)
{
	if (str_starts(s->amz_date, s->date))
		return RC_OK;
	if (s->form == SIGV4_QUERY)
		return err_set(reterr, ERR_AuthorizationQueryParametersError,
			       "Invalid credential date \"" STR_FMT
			       "\". This date is not the same as X-Amz-Date: \"%.8s\".",
			       STR_ARG(s->date), s->amz_date.p);
	return malformed(s, reterr,
			 "Invalid credential date. Date is not the same as X-Amz-Date.");
}

static rc time_field(rc failed, struct err *reterr, const char *name, int64_t s)
{
	char text[25];

	time_iso_ms((struct timestamp){.s = s}, text);
	return err_field(failed, reterr, name, str_c(text));
}

static rc skew_check(const struct sigv4 *s, int64_t now_s, struct err *reterr)
{
	int64_t off_s = now_s - s->signed_at_s;
	rc failed;

	if (off_s <= SIGV4_SKEW_S && off_s >= -SIGV4_SKEW_S)
		return RC_OK;
	failed = err_default(reterr, ERR_RequestTimeTooSkewed);
	failed = err_field(failed, reterr, "RequestTime", s->amz_date);
	failed = time_field(failed, reterr, "ServerTime", now_s);
	return err_field_u64(failed, reterr, "MaxAllowedSkewMilliseconds", 1000 * SIGV4_SKEW_S);
}

rc request_date_parse(const struct sigv4_request *r, int64_t now_s, struct arena *a,
		      struct sigv4 *ret, struct err *reterr)
{
	size_t n;
	struct str text = header_of(r, STR("x-amz-date"), &n);
	char amz[17];

	if (n == 0)
		text = header_of(r, STR("date"), &n);
	if (n != 1 || !date_parse(text, &ret->signed_at_s))
		return err_set(reterr, ERR_AccessDenied,
			       "AWS authentication requires a valid Date or x-amz-date header.");
	time_amz(ret->signed_at_s, amz);
	ret->amz_date = arena_dup(a, str_c(amz));
	return skew_check(ret, now_s, reterr);
}

static rc component_malformed(const struct sigv4 *s, struct str component, struct err *reterr)
{
	char text[160], part[97];

	snprintf(text, sizeof(text), "the authorization component \"%s\" is malformed.",
		 printable(component, part, sizeof(part)));
	return malformed(s, reterr, text);
}

/* "Credential=..., SignedHeaders=..., Signature=...": in any order, blanks allowed, nothing else. */
static rc authorization_split(struct str text, struct sigv4 *s, struct str *ret_credential,
			      struct str *ret_signed_headers, struct err *reterr)
{
	struct {
		struct str name, *value;
		const char *missing;
	} want[] = {
		{STR("Credential"), ret_credential, "missing Credential."},
		{STR("SignedHeaders"), ret_signed_headers, "missing SignedHeaders."},
		{STR("Signature"), &s->signature, "missing Signature."},
	};
	size_t wanted = sizeof(want) / sizeof(*want), n = 0;

	while (text.n) {
		struct str component = str_trim(str_cut(text, ',', &text)), value;
		struct str name = str_cut(component, '=', &value);
		size_t i = 0;

		while (i < wanted && !str_eq(name, want[i].name))
			i++;
		if (value.n == 0 || (i < wanted && want[i].value->p))
			return component_malformed(s, component, reterr);
		if (i < wanted)
			*want[i].value = value;
		n++;
	}
	if (n != wanted)
		return malformed(s, reterr, "the authorization header requires three components: "
					    "Credential, SignedHeaders, and Signature.");
	for (size_t i = 0; i < wanted; i++)
		if (!want[i].value->p)
			return malformed(s, reterr, want[i].missing);
	return RC_OK;
}

/* S3 alone lets clients sign something else than the body's hash. */
static rc body_hashed(struct sigv4 *ret)
{
	ret->payload = SIGV4_SHA256;
	ret->payload_hash = STR_NONE;
	return RC_OK;
}

static rc header_form_parse(const struct sigv4_request *r, struct str parameters, int64_t now_s,
			    struct arena *a, struct sigv4 *ret, struct err *reterr)
{
	struct str credential = STR_NONE, signed_headers = STR_NONE, hash;
	size_t n;

	ret->form = SIGV4_HEADER;
	TRY(authorization_split(parameters, ret, &credential, &signed_headers, reterr));
	TRY(credential_parse(r, credential, ret, reterr));
	TRY(signed_headers_parse(signed_headers, a, ret, reterr));
	TRY(request_date_parse(r, now_s, a, ret, reterr));
	TRY(scope_date_check(ret, reterr));
	TRY(signed_headers_check(r, ret, a, reterr));
	ret->token = header_of(r, STR("x-amz-security-token"), NULL);
	if (r->service.p)
		return body_hashed(ret);
	hash = header_of(r, STR("x-amz-content-sha256"), &n);
	if (n == 0)
		return err_set(reterr, ERR_InvalidRequest,
			       "Missing required header for this request: x-amz-content-sha256");
	return payload_parse(n > 1 ? STR("") : hash, ret, reterr);
}

enum query_name { Q_ALGORITHM, Q_CREDENTIAL, Q_DATE, Q_EXPIRES, Q_SIGNED_HEADERS, Q_SIGNATURE,
		  Q_NEEDED, Q_TOKEN = Q_NEEDED, Q_CONTENT_SHA256, Q_NAMES };

static const struct str query_names[Q_NAMES] = {
	[Q_ALGORITHM] = STR("X-Amz-Algorithm"),
	[Q_CREDENTIAL] = STR("X-Amz-Credential"),
	[Q_DATE] = STR("X-Amz-Date"),
	[Q_EXPIRES] = STR("X-Amz-Expires"),
	[Q_SIGNED_HEADERS] = STR("X-Amz-SignedHeaders"),
	[Q_SIGNATURE] = STR("X-Amz-Signature"),
	[Q_TOKEN] = STR("X-Amz-Security-Token"),
	[Q_CONTENT_SHA256] = STR("X-Amz-Content-Sha256"),
};

static struct str decoded(struct arena *a, struct str s)
{
	struct out o = out_new(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++) {
		int c = percent_value(str_skip(s, i));

		if (c >= 0)
			i += 2;
		out_add_c(&o, c >= 0 ? (char)c : s.p[i] == '+' ? ' ' : s.p[i]);
	}
	return out_str(&o);
}

static int query_name_of(struct arena *a, struct str key)
{
	if (str_index(key, '%') < key.n)
		key = decoded(a, key);
	if (!str_starts(key, STR("X-Amz-")))
		return -1;
	for (int i = 0; i < Q_NAMES; i++)
		if (str_eq(key, query_names[i]))
			return i;
	return -1;
}

/* Finds the parameters of a signature in the query. ret_twice: one of them is there twice. */
static void query_split(struct str query, struct arena *a, struct str v[Q_NAMES], bool *ret_twice)
{
	*ret_twice = false;
	while (query.n) {
		struct str value, key = str_cut(str_cut(query, '&', &query), '=', &value);
		int name = query_name_of(a, key);

		if (name < 0)
			continue;
		*ret_twice |= v[name].p != NULL;
		v[name] = decoded(a, value);
	}
}

static rc query_error(struct err *reterr, const char *text)
{
	return err_set(reterr, ERR_AuthorizationQueryParametersError, "%s", text);
}

static rc expires_parse(struct str text, struct sigv4 *ret, struct err *reterr)
{
	uint64_t expires_s;

	if (text.n > 1 && text.p[0] == '-' && str_to_u64(str_skip(text, 1), &expires_s))
		return query_error(reterr, "X-Amz-Expires must be non-negative");
	if (!str_to_u64(text, &expires_s) || expires_s == 0)
		return query_error(reterr, "X-Amz-Expires should be a number");
	if (expires_s > SIGV4_MAX_EXPIRES_S)
		return query_error(reterr, "X-Amz-Expires must be less than a week (in seconds); "
					   "that is, the given X-Amz-Expires must be less than "
					   "604800 seconds");
	ret->expires_s = (int64_t)expires_s;
	return RC_OK;
}

static rc presigned_time_check(const struct sigv4 *s, int64_t now_s, struct err *reterr)
{
	rc failed;

	if (s->signed_at_s - now_s > SIGV4_SKEW_S)
		return err_set(reterr, ERR_AccessDenied, "Request is not valid yet.");
	if (now_s - s->signed_at_s <= s->expires_s)
		return RC_OK;
	failed = err_set(reterr, ERR_AccessDenied, "Request has expired.");
	failed = err_field_u64(failed, reterr, "X-Amz-Expires", (uint64_t)s->expires_s);
	failed = time_field(failed, reterr, "Expires", s->signed_at_s + s->expires_s);
	return time_field(failed, reterr, "ServerTime", now_s);
}

static rc query_parameters_check(const struct str v[Q_NAMES], bool twice, struct err *reterr)
{
	for (int i = 0; i < Q_NEEDED; i++)
		if (v[i].n == 0 || twice)
			return query_error(reterr,
					   "Query-string authentication version 4 requires the "
					   "X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
					   "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires "
					   "parameters.");
	if (str_eq(v[Q_ALGORITHM], STR("AWS4-ECDSA-P256-SHA256")))
		return query_error(reterr, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
	if (!str_eq(v[Q_ALGORITHM], ALGORITHM))
		return query_error(reterr, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and "
					   "AWS4-ECDSA-P256-SHA256\"");
	return RC_OK;
}

static rc query_payload_parse(const struct sigv4_request *r, const struct str v[Q_NAMES],
			      struct sigv4 *ret, struct err *reterr)
{
	size_t n;
	struct str hash = header_of(r, STR("x-amz-content-sha256"), &n);

	if (r->service.p)
		return body_hashed(ret);
	if (n == 0)
		hash = v[Q_CONTENT_SHA256].p ? v[Q_CONTENT_SHA256] : STR("UNSIGNED-PAYLOAD");
	return payload_parse(n > 1 ? STR("") : hash, ret, reterr);
}

static rc query_form_parse(const struct sigv4_request *r, const struct str v[Q_NAMES], bool twice,
			   int64_t now_s, struct arena *a, struct sigv4 *ret, struct err *reterr)
{
	ret->form = SIGV4_QUERY;
	TRY(query_parameters_check(v, twice, reterr));
	ret->signature = v[Q_SIGNATURE];
	ret->amz_date = v[Q_DATE];
	ret->token = v[Q_TOKEN];
	TRY(credential_parse(r, v[Q_CREDENTIAL], ret, reterr));
	if (!time_parse_amz(ret->amz_date, &ret->signed_at_s))
		return query_error(reterr, "X-Amz-Date must be in the ISO8601 Long Format "
					   "\"yyyyMMdd'T'HHmmss'Z'\"");
	TRY(scope_date_check(ret, reterr));
	TRY(expires_parse(v[Q_EXPIRES], ret, reterr));
	TRY(signed_headers_parse(v[Q_SIGNED_HEADERS], a, ret, reterr));
	TRY(presigned_time_check(ret, now_s, reterr));
	TRY(signed_headers_check(r, ret, a, reterr));
	return query_payload_parse(r, v, ret, reterr);
}

/* Splits "SCHEME parameters". */
static struct str scheme_cut(struct str authorization, struct str *rest)
{
	struct str scheme = str_cut(authorization, ' ', rest);

	*rest = str_trim(*rest);
	return scheme;
}

rc sigv4_parse(const struct sigv4_request *r, int64_t now_s, struct arena *a, struct sigv4 *ret,
	       struct err *reterr)
{
	size_t n;
	struct str authorization = header_of(r, STR("authorization"), &n), rest, scheme;
	struct str v[Q_NAMES] = {0};
	bool twice, in_query;

	*ret = (struct sigv4){.form = SIGV4_NONE};
	query_split(r->query, a, v, &twice);
	in_query = v[Q_ALGORITHM].p || v[Q_CREDENTIAL].p || v[Q_SIGNATURE].p;
	if (n > 1 || (n && in_query))
		return err_set(reterr, ERR_InvalidArgument,
			       "Only one auth mechanism allowed; only the X-Amz-Algorithm query "
			       "parameter, Signature query string parameter or the Authorization "
			       "header should be specified");
	if (in_query)
		return query_form_parse(r, v, twice, now_s, a, ret, reterr);
	if (!n) {
		TRY(v2_query_parse(r, now_s, a, ret, &in_query, reterr));
		if (in_query)
			return RC_OK;
	}
	if (!authorization.n)
		return RC_OK;
	scheme = scheme_cut(authorization, &rest);
	if (!rest.n)
		return err_argument(reterr, "Authorization", scheme,
				    "Authorization header is invalid -- one and only one ' ' "
				    "(space) required.");
	if (str_eq(scheme, ALGORITHM))
		return header_form_parse(r, rest, now_s, a, ret, reterr);
	if (str_eq(scheme, STR("AWS")))
		return v2_parse(r, rest, now_s, a, ret, reterr);
	if (str_starts(scheme, STR("AWS4-")))
		return err_set(reterr, ERR_InvalidRequest,
			       "The authorization mechanism you have provided is not supported. "
			       "Please use AWS4-HMAC-SHA256.");
	return err_argument(reterr, "Authorization", scheme, "Unsupported Authorization Type");
}
