/* Objects' headers, in and out: what S3 keeps with an object and how lakeFS and sluice store it.
 *
 * User metadata x-amz-meta-<name> is lakeFS's metadata key "X-Amz-Meta-<name>"; system headers that
 * lakeFS has no place for are metadata keys "::sluice::<name>" (DESIGN rule 8). */
#include "base/encode.h"
#include "gateway/s3.h"
#include "gateway/tagging.h"

#define META_KEY "X-Amz-Meta-"
#define OWN_KEY "::sluice::"
#define REDIRECT "x-amz-website-redirect-location"
enum { MAX_USER_METADATA = 2048, MAX_METADATA = 128 };

static const char *const system_headers[] = {
	"cache-control", "content-disposition", "content-encoding", "content-language", "expires", REDIRECT,
};
enum { SYSTEM_HEADERS = sizeof(system_headers) / sizeof(system_headers[0]) };

/* Content-Encoding without aws-chunked, which is of the transfer (TRAPS 24). */
static struct str stored_encoding(struct s3_req *r, struct str v)
{
	struct buf out = BUF_INIT(4096);
	struct str rest = v, result;

	while (rest.p) {
		struct str one = str_trim(str_cut(rest, ',', &rest));

		if (one.n == 0 || str_eq_nocase(one, STR("aws-chunked")))
			continue;
		if (out.n)
			buf_add_c(&out, ',');
		buf_add(&out, one);
	}
	result = arena_dup(r->a, buf_str(&out));
	buf_deinit(&out);
	return result;
}

static rc add_meta(struct s3_req *r, struct object_attrs *o, struct str key, struct str value)
{
	if (o->metadata_n == MAX_METADATA)
		return err_default(&r->err, ERR_MetadataTooLarge);
	if (!str_is_utf8(key) || !str_is_utf8(value))
		return err_set(&r->err, ERR_InvalidArgument,
			       "Metadata must be UTF-8 or RFC 2047 encoded: " STR_FMT,
			       STR_ARG(str_is_utf8(key) ? key : STR("(name)")));
	o->metadata[o->metadata_n++] = (struct meta){key, value};
	return RC_OK;
}

static rc user_metadata(struct s3_req *r, struct object_attrs *o, const struct http_header *h,
			size_t *total)
{
	struct str name = str_skip(h->name, strlen("x-amz-meta-")), value = h->value, decoded;

	*total += name.n + value.n;
	if (*total > MAX_USER_METADATA)
		return err_default(&r->err, ERR_MetadataTooLarge);
	if (rfc2047_decode(r->a, value, &decoded))
		value = decoded;
	for (size_t i = 0; i < o->metadata_n; i++) /* repeated: one value, comma between, as S3 */
		if (str_ends(o->metadata[i].key, name) &&
		    o->metadata[i].key.n == name.n + strlen(META_KEY)) {
			if (!str_is_utf8(value))
				break; /* add_meta tells */
			o->metadata[i].value = arena_join(
				r->a, (struct str[]){o->metadata[i].value, STR(","), value}, 3);
			return RC_OK;
		}
	return add_meta(r, o, arena_join(r->a, (struct str[]){STR(META_KEY), name}, 2), value);
}

static rc check_redirect(struct s3_req *r)
{
	struct str to = s3_header(r, REDIRECT);

	if (!to.n || to.p[0] == '/' || str_starts(to, STR("http://")) ||
	    str_starts(to, STR("https://")))
		return RC_OK;
	return err_default(&r->err, ERR_InvalidRedirectLocation);
}

rc s3_set_redirect(struct s3_req *r, struct entry *e)
{
	struct meta *m = arena_alloc(r->a, (e->metadata_n + 1) * sizeof(*m));
	struct str to = s3_header(r, REDIRECT);
	size_t n = 0;

	TRY(check_redirect(r));
	for (size_t i = 0; i < e->metadata_n; i++)
		if (!str_eq(e->metadata[i].key, STR(OWN_KEY REDIRECT)))
			m[n++] = e->metadata[i];
	if (to.n)
		m[n++] = (struct meta){STR(OWN_KEY REDIRECT), to};
	e->metadata = m;
	e->metadata_n = n;
	entry_sort_metadata(e);
	return RC_OK;
}

static rc system_metadata(struct s3_req *r, struct object_attrs *o)
{
	TRY(check_redirect(r));
	for (size_t i = 0; i < SYSTEM_HEADERS; i++) {
		struct str v = s3_header(r, system_headers[i]);

		if (i == 2 && v.n)
			v = stored_encoding(r, v);
		if (v.n)
			TRY(add_meta(r, o,
				     arena_printf(r->a, OWN_KEY "%s", system_headers[i]), v));
	}
	return RC_OK;
}

rc s3_read_attrs(struct s3_req *r, struct object_attrs *o)
{
	const struct http_header *h = r->headers;
	struct str tagging;
	size_t total = 0;

	*o = (struct object_attrs){
		.content_type = s3_header(r, "content-type"),
		.metadata = arena_alloc(r->a, MAX_METADATA * sizeof(struct meta)),
		.storage_class = s3_header(r, "x-amz-storage-class"),
	};
	if (o->content_type.n == 0) /* S3's, and lakeFS's */
		o->content_type = r->at.ref_bucket ? STR("binary/octet-stream")
						   : STR("application/octet-stream");
	if (!str_is_utf8(o->content_type))
		return err_set(&r->err, ERR_InvalidArgument, "Content-Type is not valid UTF-8.");
	for (size_t i = 0; i < r->headers_n; i++)
		if (str_starts(h[i].name, STR("x-amz-meta-")))
			TRY(user_metadata(r, o, &h[i], &total));
	TRY(s3_read_tagging(r, &tagging));
	if (tagging.n)
		TRY(add_meta(r, o, STR(TAGGING_KEY), tagging));
	return system_metadata(r, o);
}

rc s3_read_tagging(struct s3_req *r, struct str *ret)
{
	struct tags t;

	TRY(tags_of_query(r->a, s3_header(r, "x-amz-tagging"), &t, &r->err));
	*ret = tags_text(r->a, &t);
	return RC_OK;
}

struct str s3_tagging(const struct entry *e)
{
	for (size_t i = 0; i < e->metadata_n; i++)
		if (str_eq(e->metadata[i].key, STR(TAGGING_KEY)))
			return e->metadata[i].value;
	return STR_NONE;
}

void s3_set_tagging(struct s3_req *r, struct entry *e, struct str text)
{
	struct meta *m = arena_alloc(r->a, (e->metadata_n + 1) * sizeof(*m));
	size_t n = 0;

	for (size_t i = 0; i < e->metadata_n; i++)
		if (!str_eq(e->metadata[i].key, STR(TAGGING_KEY)))
			m[n++] = e->metadata[i];
	if (text.n)
		m[n++] = (struct meta){STR(TAGGING_KEY), text};
	e->metadata = m;
	e->metadata_n = n;
	entry_sort_metadata(e);
}

static rc refuse(struct s3_req *r, const char *header)
{
	return err_set(&r->err, ERR_NotImplemented,
		       "A header you provided implies functionality that is not implemented: %s",
		       header);
}

rc s3_refuse_unsupported(struct s3_req *r)
{
	static const char *const never[] = {
		"x-amz-server-side-encryption-customer-algorithm",
		"x-amz-server-side-encryption-customer-key",
		"x-amz-server-side-encryption-customer-key-md5",
		"x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-context",
		"x-amz-object-lock-mode",
		"x-amz-object-lock-retain-until-date",
		"x-amz-object-lock-legal-hold",
		"x-amz-grant-read",
		"x-amz-grant-write",
		"x-amz-grant-write-acp",
		"x-amz-grant-read-acp",
		"x-amz-grant-full-control",
		"x-amz-write-offset-bytes",
		"x-amz-copy-source-server-side-encryption-customer-algorithm",
		"x-amz-copy-source-server-side-encryption-customer-key",
		"x-amz-copy-source-server-side-encryption-customer-key-md5",
	};
	struct str acl = s3_header(r, "x-amz-acl");
	struct str sse = s3_header(r, "x-amz-server-side-encryption");

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (s3_header(r, never[i]).n)
			return refuse(r, never[i]);
	if (sse.n && !str_eq(sse, STR("AES256")))
		return refuse(r, "x-amz-server-side-encryption");
	if (acl.n && !str_eq(acl, STR("private")) &&
	    !str_eq(acl, STR("bucket-owner-full-control")))
		return refuse(r, "x-amz-acl");
	return RC_OK;
}

static bool is_owner(struct s3_req *r, struct str id)
{
	return !id.p || str_eq(id, STR(S3_OWNER)) || str_eq(id, auth_user_name(r->user)) ||
	       str_eq(id, r->sig.access_key);
}

rc s3_check_owner(struct s3_req *r)
{
	if (is_owner(r, s3_header(r, "x-amz-expected-bucket-owner")) &&
	    is_owner(r, s3_header(r, "x-amz-source-expected-bucket-owner")))
		return RC_OK;
	return err_default(&r->err, ERR_AccessDenied);
}

static bool is_token(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return name.n != 0;
}

/* Header values may hold what a line can: visible ASCII and spaces; the rest travels as RFC 2047. */
static struct str header_value(struct s3_req *r, struct str v)
{
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if ((c < ' ' && c != '\t') || c >= 127)
			return rfc2047_encode(r->a, v);
	}
	return v;
}

static void user_header(struct s3_req *r, const struct meta *m, unsigned *missing)
{
	struct str name = str_skip(m->key, strlen(META_KEY));

	if (!is_token(name)) {
		++*missing;
		return;
	}
	s3_add_header(r, arena_printf(r->a, "x-amz-meta-" STR_FMT, STR_ARG(name)).p,
		      header_value(r, m->value));
}

static bool is_system(struct str name)
{
	for (size_t i = 0; i < SYSTEM_HEADERS; i++)
		if (str_eq(name, str_c(system_headers[i])))
			return true;
	return false;
}

/* A response-<header> query of a signed request replaces what is stored (GetObject). */
static bool overridden(struct s3_req *r, struct str name)
{
	return r->params_n && s3_query(r, arena_printf(r->a, "response-" STR_FMT, STR_ARG(name)).p).n;
}

static void overrides(struct s3_req *r)
{
	static const char *const names[] = {"content-type",	"content-language",
					    "expires",		"cache-control",
					    "content-disposition", "content-encoding"};

	for (size_t i = 0; r->params_n && i < sizeof(names) / sizeof(names[0]); i++) {
		struct str v = s3_query(r, arena_printf(r->a, "response-%s", names[i]).p);

		if (v.n)
			s3_add_header(r, names[i], header_value(r, v));
	}
}

static void tag_count(struct s3_req *r, const struct entry *e)
{
	struct str text = s3_tagging(e);
	size_t n = text.n != 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '&';
	if (n)
		s3_add_header(r, "x-amz-tagging-count", arena_printf(r->a, "%zu", n));
}

void s3_write_attrs(struct s3_req *r, const struct entry *e)
{
	char date[30];
	unsigned missing = 0;

	time_http(e->modified.s, date);
	s3_add_header(r, "last-modified", arena_dup(r->a, str_c(date)));
	s3_add_header(r, "etag", s3_quoted(r, e->etag));
	if (!overridden(r, STR("content-type")))
		s3_add_header(r, "content-type",
			      e->content_type.n ? header_value(r, e->content_type)
						: STR("application/octet-stream"));
	for (size_t i = 0; i < e->metadata_n; i++) {
		const struct meta *m = &e->metadata[i];

		if (str_starts(m->key, STR(META_KEY))) {
			user_header(r, m, &missing);
		} else if (str_starts(m->key, STR(OWN_KEY))) {
			struct str name = str_skip(m->key, strlen(OWN_KEY));

			if (is_system(name) && !overridden(r, name))
				s3_add_header(r, arena_cstr(r->a, name),
					      header_value(r, m->value));
		}
	}
	tag_count(r, e);
	if (missing)
		s3_add_header(r, "x-amz-missing-meta", arena_printf(r->a, "%u", missing));
	overrides(r);
	s3_add_header(r, "accept-ranges", STR("bytes"));
	/* The pages share this origin: an object must not run as one of them (TRAPS 29). */
	s3_add_header(r, "x-content-type-options", STR("nosniff"));
	s3_add_header(r, "content-security-policy", STR("sandbox"));
}
