/* From a request's head to its parameters and its row of the table. */
#include "base/encode.h"
#include "gateway/s3.h"

/* Query keys that belong to S3 requests without choosing an operation. A key without a value that is
 * not known is taken for a sub-resource that came after us: refused on writes, never ignored. */
static const char *const plain_keys[] = {
	"prefix", "delimiter", "marker", "max-keys", "encoding-type", "start-after",
	"fetch-owner", "continuation-token", "list-type", "versionId", "partNumber",
	"part-number-marker", "max-parts", "x-id", "key-marker", "upload-id-marker",
	"max-uploads", "max-buckets", "bucket-region", "AWSAccessKeyId", "Signature", "Expires",
	"response-content-type", "response-content-language", "response-expires",
	"response-cache-control", "response-content-disposition", "response-content-encoding",
};

static bool is_plain(struct str key)
{
	if (str_starts(key, STR("X-Amz-")) || str_starts(key, STR("x-amz-")))
		return true;
	for (size_t i = 0; i < sizeof(plain_keys) / sizeof(plain_keys[0]); i++)
		if (str_eq(key, str_c(plain_keys[i])))
			return true;
	return false;
}

static rc parse_query(struct s3_req *r)
{
	struct str rest = r->at.raw_query;

	while (rest.n) {
		struct str value, pair = str_cut(rest, '&', &rest);
		struct s3_param *p = &r->params[r->params_n];

		if (pair.n == 0)
			continue;
		if (r->params_n == S3_MAX_PARAMS)
			return err_set(&r->err, ERR_InvalidRequest,
				       "The request has more than %d query parameters.",
				       S3_MAX_PARAMS);
		p->key = str_cut(pair, '=', &value);
		p->has_value = value.p != NULL;
		if (!uri_decode(r->a, p->key, true, &p->key) ||
		    !uri_decode(r->a, value.p ? value : STR(""), true, &p->value))
			return err_set(&r->err, ERR_InvalidURI,
				       "The query has a malformed percent-encoding: " STR_FMT,
				       STR_ARG(str_head(pair, 100)));
		if (!str_is_utf8(p->key) || !str_is_utf8(p->value))
			return err_set(&r->err, ERR_InvalidURI,
				       "A query parameter is not valid UTF-8.");
		r->params_n++;
	}
	return RC_OK;
}

/* Who makes a link (signature version 4) may put x-amz-... headers into its query: there they mean the
 * same, for the signature covers them. That of version 2 doesn't. */
static void take_headers(struct s3_req *r)
{
	struct http_header *all;

	r->headers_n = http_req_headers(r->http, &r->headers);
	if (!s3_param(r, "X-Amz-Signature"))
		return;
	all = arena_alloc(r->a, (r->headers_n + r->params_n) * sizeof(*all));
	memcpy(all, r->headers, r->headers_n * sizeof(*all));
	r->headers = all;
	for (size_t i = 0; i < r->params_n; i++) {
		struct str name = lower_case(r->a, r->params[i].key);

		if (str_starts(name, STR("x-amz-")))
			all[r->headers_n++] = (struct http_header){name, r->params[i].value};
	}
}

/* How many of the row's conditions hold; -1: one does not. */
static int match_query(struct s3_req *r, const char *conditions)
{
	struct str rest = str_c(conditions);
	int met = 0;

	while (rest.n) {
		struct str value, key = str_cut(str_cut(rest, '&', &rest), '=', &value);
		const struct s3_param *p = s3_param(r, arena_cstr(r->a, key));

		if (!p || (value.p && !str_eq(p->value, value)))
			return -1;
		met++;
	}
	return met;
}

static int match(struct s3_req *r, const struct s3_op *op, struct str method, enum s3_level level)
{
	int met;

	if (op->level != level || !str_eq(method, str_c(op->method)))
		return -1;
	if (op->query[0] == 0)
		met = 0;
	else if (r->params_n == 0 || (met = match_query(r, op->query)) < 0)
		return -1;
	if (op->header[0]) {
		if (!s3_header(r, op->header).p)
			return -1;
		met++;
	}
	return met;
}

static const struct s3_op *find_row(struct s3_req *r, enum s3_level level)
{
	struct str method = http_req_method(r->http);
	const struct s3_op *best = NULL;
	int most = -1;

	for (size_t i = 0; i < S3_OPS; i++) {
		int met = match(r, &s3_ops[i], method, level);

		if (met > most) {
			most = met;
			best = &s3_ops[i];
		}
	}
	return best;
}

static bool is_condition_of(const struct s3_op *op, struct str key)
{
	struct str rest = str_c(op->query);

	while (rest.n) {
		struct str value, k = str_cut(str_cut(rest, '&', &rest), '=', &value);

		if (str_eq(k, key))
			return true;
	}
	return false;
}

/* Whether any operation is chosen by this key. */
static bool is_condition(struct str key)
{
	for (size_t i = 0; i < S3_OPS; i++)
		if (is_condition_of(&s3_ops[i], key))
			return true;
	return false;
}

static bool is_read(const struct s3_req *r)
{
	struct str m = http_req_method(r->http);

	return str_eq(m, STR("GET")) || str_eq(m, STR("HEAD"));
}

static rc method_not_allowed(struct s3_req *r, const char *resource, struct str allow)
{
	rc failed = err_default(&r->err, ERR_MethodNotAllowed);

	s3_add_header(r, "allow", allow);
	failed = err_field(failed, &r->err, "Method", http_req_method(r->http));
	return err_field(failed, &r->err, "ResourceType", str_c(resource));
}

/* Combinations that S3 has its own words for. */
static rc refuse_odd(struct s3_req *r, enum s3_level level)
{
	struct str m = http_req_method(r->http), source = s3_header(r, "x-amz-copy-source");
	bool put = str_eq(m, STR("PUT")), upload = s3_param(r, "uploadId") != NULL;

	if (source.p && !put && (!str_eq(m, STR("POST")) || upload))
		return err_argument(&r->err, "x-amz-copy-source", source,
				    "You can only specify a copy source header for copy requests.");
	if (level != LEVEL_OBJECT)
		return RC_OK;
	if (str_eq(m, STR("GET")) && s3_param(r, "uploads"))
		return err_set(&r->err, ERR_InvalidRequest,
			       "Key is not expected for the GET method ?uploads subresource");
	if (str_eq(m, STR("GET")) && s3_param(r, "versions"))
		return err_set(&r->err, ERR_InvalidRequest,
			       "There is no such thing as the ?versions sub-resource for a key");
	if (put && upload && !s3_param(r, "partNumber"))
		return method_not_allowed(r, "UPLOAD", STR("DELETE, POST, GET"));
	if (put && !upload && s3_param(r, "partNumber"))
		return err_argument(&r->err, "partNumber", STR("partNumber"),
				    "This operation does not accept partNumber without uploadId");
	return RC_OK;
}

/* A write with a sub-resource that no row has, or with one that is another's (a part without its
 * upload's id), must not become the plain write. */
static rc refuse_unknown(struct s3_req *r)
{
	if (is_read(r))
		return RC_OK;
	for (size_t i = 0; i < r->params_n; i++) {
		const struct s3_param *p = &r->params[i];

		if (is_condition_of(r->op, p->key))
			continue;
		if (is_condition(p->key))
			return err_set(&r->err, ERR_InvalidRequest,
				       "The sub-resource '" STR_FMT
				       "' doesn't go with this method and address, or lacks another "
				       "parameter; the request was not carried out.",
				       STR_ARG(str_head(p->key, 100)));
		if (p->value.n == 0 && !is_plain(p->key))
			return err_set(&r->err, ERR_NotImplemented,
				       "The sub-resource '" STR_FMT
				       "' is not known here; the request was not carried out.",
				       STR_ARG(str_head(p->key, 100)));
	}
	return RC_OK;
}

static rc no_such_method(struct s3_req *r, enum s3_level level)
{
	static const char *const resources[] = {"SERVICE", "BUCKET", "OBJECT"};
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
	struct str allow = STR("");

	for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++)
		for (size_t i = 0; i < S3_OPS; i++)
			if (s3_ops[i].level == level && !s3_ops[i].query[0] &&
			    !strcmp(s3_ops[i].method, methods[m])) {
				allow = arena_join(r->a,
						   (struct str[]){allow, allow.n ? STR(", ") : STR(""),
								  str_c(methods[m])},
						   3);
				break;
			}
	return method_not_allowed(
		r, resources[str_eq(http_req_method(r->http), STR("POST")) ? LEVEL_SERVICE : level],
		allow);
}

rc s3_route(struct s3_req *r)
{
	struct str query;
	enum s3_level level;

	r->at.raw_path = str_cut(http_req_target(r->http), '?', &query);
	r->at.raw_query = query.p ? query : STR("");
	TRY(parse_query(r));
	take_headers(r);
	TRY(s3_parse_address(r));
	level = r->at.bucket.n == 0 ? LEVEL_SERVICE
		: r->at.key.n == 0  ? LEVEL_BUCKET
				    : LEVEL_OBJECT;
	TRY(refuse_odd(r, level));
	r->op = find_row(r, level);
	if (!r->op)
		return no_such_method(r, level);
	TRY(refuse_unknown(r));
	if (r->at.key.n > 1024 + 256 || r->at.path.n > 1024)
		return err_set(&r->err, ERR_KeyTooLongError,
			       "Your key is too long: a path has at most 1024 bytes.");
	return RC_OK;
}
