/* From namespaces, keys and endpoints to URLs. */
#include <arpa/inet.h>

#include "backends/s3_priv.h"
#include "base/encode.h"

enum { KEY_MAX = 1024, BUCKET_MIN = 3, BUCKET_MAX = 63 };

static bool is_address(struct str host)
{
	unsigned char out[16];
	char text[64];

	if (host.n && host.p[0] == '[')
		return true;
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = 0;
	return inet_pton(AF_INET, text, out) == 1;
}

static struct str without_port(struct str authority, struct str *ret_port)
{
	size_t i = authority.n;

	while (i && authority.p[i - 1] >= '0' && authority.p[i - 1] <= '9')
		i--;
	if (!i || authority.p[i - 1] != ':') {
		*ret_port = STR_NONE;
		return authority;
	}
	*ret_port = str_skip(authority, i);
	return str_head(authority, i - 1);
}

rc s3_endpoint_parse(struct arena *a, struct str url, bool path_style, struct s3_endpoint *ret,
		     struct err *reterr)
{
	bool secure = str_starts(url, STR("https://"));
	struct str rest, authority, host, port;
	size_t slash;

	ret->scheme = secure ? STR("https://") : STR("http://");
	if (!secure && !str_starts(url, ret->scheme))
		return err_set(reterr, ERR_CONFIG,
			       "s3.endpoint \"" STR_FMT "\" must begin with http:// or https://",
			       STR_ARG(str_head(url, 200)));
	rest = str_skip(url, ret->scheme.n);
	slash = str_index(rest, '/');
	authority = str_head(rest, slash);
	rest = str_skip(rest, slash);
	while (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	host = without_port(authority, &port);
	if (!host.n || str_index(authority, '@') != authority.n || str_index(url, '?') != url.n)
		return err_set(reterr, ERR_CONFIG,
			       "s3.endpoint \"" STR_FMT
			       "\" must be a URL of scheme, host, port and path",
			       STR_ARG(str_head(url, 200)));
	/* libcurl leaves the scheme's own port out of Host, which is signed. */
	if (!port.p || str_eq(port, secure ? STR("443") : STR("80")))
		ret->host = arena_dup(a, host);
	else
		ret->host = arena_dup(a, authority);
	ret->path = arena_dup(a, rest);
	ret->path_style = path_style || is_address(host) || str_eq_nocase(host, STR("localhost"));
	return RC_OK;
}

static bool word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool bucket_ok(struct str b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!word(b.p[i]) && !(b.p[i] >= 'A' && b.p[i] <= 'Z') && b.p[i] != '-' &&
		    b.p[i] != '.' && b.p[i] != '_')
			return false;
	return b.n >= BUCKET_MIN && b.n <= BUCKET_MAX && b.p[0] != '.';
}

/* Wildcard certificates cover one label. */
static bool host_label(struct str b, bool secure)
{
	for (size_t i = 0; i < b.n; i++)
		if (!word(b.p[i]) && b.p[i] != '-' && (secure || b.p[i] != '.'))
			return false;
	return word(b.p[0]) && word(b.p[b.n - 1]);
}

static bool path_style(const struct s3_endpoint *e, struct str bucket)
{
	return !bucket.n || e->path_style ||
	       !host_label(bucket, str_eq(e->scheme, STR("https://")));
}

struct str s3_base(const struct s3_endpoint *e, struct str bucket, struct str region,
		   struct arena *a, struct str *ret_host)
{
	struct str host = e->host;

	if (!host.p)
		host = arena_printf(a, "s3." STR_FMT ".amazonaws.com%s", STR_ARG(region),
				    str_starts(region, STR("cn-")) ? ".cn" : "");
	if (!path_style(e, bucket))
		host = arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(bucket), STR_ARG(host));
	*ret_host = host;
	return arena_join(a, (struct str[]){e->scheme, host}, 2);
}

struct str s3_path(const struct s3_endpoint *e, const struct s3_target *t, struct arena *a)
{
	struct str key = uri_encode(a, t->key, true);

	if (path_style(e, t->bucket))
		return arena_join(a,
				  (struct str[]){e->path, STR("/"), t->bucket,
						 t->key.n ? STR("/") : STR(""), key},
				  5);
	return arena_join(a, (struct str[]){e->path, STR("/"), key}, 3);
}

/* Bucket and what follows of s3://bucket/rest. */
static rc split(struct str address, const char *what, struct str *ret_bucket, struct str *ret_rest,
		struct err *reterr)
{
	if (!str_starts(address, S3_SCHEME))
		return err_set(reterr, ERR_INVALID,
			       "%s \"" STR_FMT
			       "\" is not of an S3 store, which begins with \"s3://\"",
			       what, STR_ARG(str_head(address, 200)));
	*ret_bucket = str_cut(str_skip(address, S3_SCHEME.n), '/', ret_rest);
	if (!bucket_ok(*ret_bucket))
		return err_set(
		    reterr, ERR_INVALID, "%s \"" STR_FMT "\": \"" STR_FMT "\" can't be a bucket",
		    what, STR_ARG(str_head(address, 200)), STR_ARG(str_head(*ret_bucket, 100)));
	return RC_OK;
}

rc s3_space(struct arena *a, struct str space, struct str *ret_bucket, struct str *ret_prefix,
	    struct err *reterr)
{
	struct str rest;

	TRY(split(space, "storage namespace", ret_bucket, &rest, reterr));
	while (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	*ret_prefix = rest.n ? arena_join(a, (struct str[]){rest, STR("/")}, 2) : STR("");
	return RC_OK;
}

static rc target(struct arena *a, const struct object_ptr *p, struct s3_target *ret,
		 struct err *reterr)
{
	struct str prefix;

	*ret = (struct s3_target){0};
	if (p->type == ADDRESS_FULL) {
		TRY(split(p->key, "address", &ret->bucket, &ret->key, reterr));
	} else {
		TRY(s3_space(a, p->space, &ret->bucket, &prefix, reterr));
		if (p->key.n)
			ret->key = arena_join(a, (struct str[]){prefix, p->key}, 2);
	}
	if (ret->key.n == 0 || ret->key.n > KEY_MAX || !str_is_utf8(ret->key) ||
	    str_index(ret->key, 0) != ret->key.n)
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT
			       "\" can't be a key of an S3 store: 1 to 1024 bytes of UTF-8",
			       STR_ARG(str_head(p->key, 200)));
	ret->bucket = arena_dup(a, ret->bucket);
	ret->key = arena_dup(a, ret->key);
	return RC_OK;
}

rc s3_aim(struct remote_call *c, const struct object_ptr *p, struct err *reterr)
{
	struct s3_target *t = ARENA_NEW(c->a, struct s3_target);

	TRY(target(c->a, p, t, reterr));
	c->ud = t;
	c->what =
	    arena_printf(c->a, "s3://" STR_FMT "/" STR_FMT, STR_ARG(t->bucket), STR_ARG(t->key));
	return RC_OK;
}

rc s3_call(struct s3 *s, struct remote_call *c, struct arena *a, const char *method,
	   const struct object_ptr *p, struct err *reterr)
{
	remote_call_init(c, a, method);
	return s3_aim(c, p, reterr);
}

void s3_call_bucket(struct remote_call *c, struct arena *a, const char *method, struct str bucket)
{
	struct s3_target *t = ARENA_NEW(a, struct s3_target);

	remote_call_init(c, a, method);
	t->bucket = arena_dup(a, bucket);
	t->key = STR("");
	c->ud = t;
	c->what = bucket.n ? arena_printf(a, "s3://" STR_FMT, STR_ARG(bucket)) : STR("s3://");
}
