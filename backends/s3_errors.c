/* What S3's answers mean. */
#include "backends/s3_priv.h"
#include "base/clock.h"
#include "base/xml.h"

#define KEYS "look at s3.credentials (or profile, the environment, the role) of this store"
#define RIGHTS                                                                                     \
	"allow the store's key s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload and "   \
	"ListBucket there"
#define CLOCK "the clocks of this host and of the store differ: synchronise them"

/* A client's key was good: when the store refuses ours, that is no AccessDenied of theirs. */
static const struct row {
	const char *code;
	enum err_code is;
	const char *remedy;
} rows[] = {
	{"NoSuchKey", ERR_NOT_FOUND, NULL},
	{"NoSuchUpload", ERR_NOT_FOUND, NULL},
	{"NoSuchBucket", ERR_ServiceUnavailable,
	 "make the bucket, or correct the repository's storage namespace or s3.endpoint"},
	{"PreconditionFailed", ERR_EXISTS, NULL},
	{"ConditionalRequestConflict", ERR_SlowDown, "somebody else writes it just now; try again"},
	{"OperationAborted", ERR_SlowDown, "try again"},
	{"InvalidPart", ERR_InvalidPart, NULL},
	{"InvalidPartOrder", ERR_InvalidPart, NULL},
	{"EntityTooSmall", ERR_EntityTooSmall, NULL},
	{"EntityTooLarge", ERR_EntityTooLarge, NULL},
	{"KeyTooLongError", ERR_INVALID, NULL},
	{"InvalidBucketName", ERR_INVALID, NULL},
	{"InvalidRange", ERR_InvalidRange, NULL},
	{"InvalidStorageClass", ERR_InvalidStorageClass, NULL},
	{"NotImplemented", ERR_UNSUPPORTED, "the store can't do this"},
	{"AccessDenied", ERR_ServiceUnavailable, RIGHTS},
	{"AllAccessDisabled", ERR_ServiceUnavailable, RIGHTS},
	{"InvalidAccessKeyId", ERR_ServiceUnavailable, KEYS},
	{"SignatureDoesNotMatch", ERR_ServiceUnavailable, KEYS},
	{"ExpiredToken", ERR_ServiceUnavailable, KEYS},
	{"InvalidToken", ERR_ServiceUnavailable, KEYS},
	{"TokenRefreshRequired", ERR_ServiceUnavailable, KEYS},
	{"RequestTimeTooSkewed", ERR_ServiceUnavailable, CLOCK},
	{"RequestExpired", ERR_ServiceUnavailable, CLOCK},
	{"AuthorizationHeaderMalformed", ERR_ServiceUnavailable, "look at s3.region"},
	{"PermanentRedirect", ERR_ServiceUnavailable, "look at s3.region and s3.endpoint"},
	{"TemporaryRedirect", ERR_ServiceUnavailable, "try again"},
	{"SlowDown", ERR_SlowDown, NULL},
	{"ServiceUnavailable", ERR_ServiceUnavailable, NULL},
	{"QuotaExceeded", ERR_ServiceUnavailable, "the store has no more room for this key"},
	{"XMinioStorageFull", ERR_ServiceUnavailable, "the store is full"},
	{"InternalError", ERR_IO, NULL},
	{"RequestTimeout", ERR_IO, NULL},
	{"BadDigest", ERR_IO, "the bytes were changed on their way"},
	{"XAmzContentSHA256Mismatch", ERR_IO, "the bytes were changed on their way"},
	{"IncompleteBody", ERR_IO, NULL},
};

static const struct row by_status[] = {
	{"301", ERR_ServiceUnavailable, "look at s3.region and s3.endpoint"},
	{"307", ERR_ServiceUnavailable, "try again"},
	{"403", ERR_ServiceUnavailable, KEYS " and " RIGHTS},
	{"404", ERR_NOT_FOUND, NULL},
	{"409", ERR_SlowDown, "try again"},
	{"412", ERR_EXISTS, NULL},
	{"416", ERR_InvalidRange, NULL},
	{"429", ERR_SlowDown, NULL},
	{"501", ERR_UNSUPPORTED, "the store can't do this"},
	{"503", ERR_ServiceUnavailable, NULL},
};

static const struct row *find(const struct row *v, size_t n, struct str code)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(code, str_c(v[i].code)))
			return &v[i];
	return NULL;
}

static const struct row *meaning(struct arena *a, int status, struct str code)
{
	static const struct row other = {"", ERR_IO, NULL};
	const struct row *w = find(rows, sizeof(rows) / sizeof(*rows), code);

	if (!w)
		w = find(by_status, sizeof(by_status) / sizeof(*by_status),
			 arena_printf(a, "%d", status));
	return w ? w : &other;
}

/* <Error> as the root, or STR_NONE twice. */
static struct xml_node *error_of(struct arena *a, struct str body)
{
	struct xml_node *root = NULL;

	if (!body.n || !rc_ok(xml_parse(a, body, &root, NULL)) || !str_eq(root->name, STR("Error")))
		return NULL;
	return root;
}

static rc told(struct remote *r, const struct remote_call *c, int status, const struct xml_node *e,
	       struct err *reterr)
{
	struct str code = e ? xml_child_text(e, "Code") : STR_NONE,
		   text = e ? xml_child_text(e, "Message") : STR_NONE;
	const struct row *m = meaning(c->a, status, code);
	const struct s3_target *t = c->ud;
	enum err_code is = m->is;

	if (t->probing && str_eq(code, STR("NoSuchBucket")))
		is = ERR_NOT_FOUND;
	else if (t->probing && status == 403)
		is = ERR_AccessDenied;
	return err_set(
	    reterr, is, STR_FMT ", " STR_FMT " " STR_FMT ": %d " STR_FMT "%s" STR_FMT "%s%s",
	    STR_ARG(r->title), STR_ARG(c->method), STR_ARG(str_head(c->what, 150)), status,
	    STR_ARG(str_head(code, 60)), text.n ? ": " : "", STR_ARG(str_head(text, 100)),
	    m->remedy ? "; " : "", m->remedy ? m->remedy : "");
}

rc s3_refuse(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	     struct err *reterr)
{
	return told(r, c, w->status, error_of(c->a, w->body), reterr);
}

rc s3_document(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	       struct xml_node **ret, struct err *reterr)
{
	struct str body = w->body;

	/* Kept alive by white space, even before the declaration. */
	while (body.n &&
	       (body.p[0] == ' ' || body.p[0] == '\n' || body.p[0] == '\r' || body.p[0] == '\t'))
		body = str_skip(body, 1);
	if (!rc_ok(xml_parse(c->a, body, ret, NULL)))
		return err_set(reterr, ERR_IO,
			       STR_FMT ", " STR_FMT " " STR_FMT
				       ": the answer is no XML: is s3.endpoint an S3 service?",
			       STR_ARG(r->title), STR_ARG(c->method),
			       STR_ARG(str_head(c->what, 200)));
	if (str_eq((*ret)->name, STR("Error")))
		return told(r, c, w->status, *ret, reterr);
	return RC_OK;
}

/* Another region, or new keys. */
bool s3_learn(struct remote *r, struct remote_call *c, const struct http_answer *w)
{
	static const char *const stale[] = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired",
					    "InvalidAccessKeyId", "RequestExpired"};
	struct s3 *s = CONTAINER(r, struct s3, r);
	const struct s3_target *t = c->ud;
	const struct xml_node *e = w->status < 500 ? error_of(c->a, w->body) : NULL;
	struct str region = http_answer_header(w, "x-amz-bucket-region"),
		   code = e ? xml_child_text(e, "Code") : STR_NONE;

	if (!region.n && e)
		region = xml_child_text(e, "Region");
	if (region.n && region.n < 64 && t->bucket.n && w->status < 500 &&
	    !str_eq(region, t->region)) {
		s3_region_set(s, t->bucket, region);
		return true;
	}
	for (size_t i = 0; i < sizeof(stale) / sizeof(*stale); i++)
		if (str_eq(code, str_c(stale[i])))
			return aws_credentials_refused(s->keys, t->access_key);
	return false;
}

struct str s3_unquote(struct str etag)
{
	if (str_starts(etag, STR("W/")))
		etag = str_skip(etag, 2);
	return str_unquote(etag);
}

static bool total_of(struct str content_range, uint64_t *ret)
{
	struct str total;

	str_cut(content_range, '/', &total);
	return total.n && str_to_u64(total, ret);
}

rc s3_stat(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	   struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct str etag = s3_unquote(http_answer_header(w, "etag"));
	bool reads = !str_eq(c->method, STR("PUT"));

	*ret = (struct backend_stat){.etag = etag.n ? arena_dup(a, etag) : STR_NONE};
	if (!time_parse_http(http_answer_header(w, "last-modified"), &ret->mtime_s))
		ret->mtime_s = wall_now().s;
	if (!reads)
		return RC_OK;
	if (w->status != 206 && w->length >= 0)
		ret->size = (uint64_t)w->length;
	else if (!total_of(http_answer_header(w, "content-range"), &ret->size))
		return err_set(reterr, ERR_IO, STR_FMT ", " STR_FMT ": the answer has no length",
			       STR_ARG(r->title), STR_ARG(str_head(c->what, 200)));
	return RC_OK;
}
