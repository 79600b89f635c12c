/* What a request's host and path name: bucket and key, and of those repository, ref and path. */
#include "base/encode.h"
#include "gateway/s3.h"

static struct str name_of(struct str host)
{
	if (host.n && host.p[0] == '[')
		return str_head(host, str_index(host, ']') + 1);
	return str_head(host, str_index(host, ':'));
}

static struct str host_name(struct s3_req *r)
{
	return name_of(s3_header(r, "host"));
}

bool gateway_owns_host(const struct gateway *g, struct str host)
{
	struct str name = name_of(host);

	for (size_t i = 0; i < g->o.domains_n; i++) {
		struct str d = g->domains[i]; /* with a leading dot */

		if (str_eq_nocase(name, str_skip(d, 1)) ||
		    (name.n > d.n && str_eq_nocase(str_skip(name, name.n - d.n), d)))
			return true;
	}
	return false;
}

/* "repo.domain" for a configured domain: the part before the dot. Compared with the dot (TRAPS 26). */
static struct str virtual_bucket(struct s3_req *r)
{
	struct str host = host_name(r);

	for (size_t i = 0; i < r->g->o.domains_n; i++) {
		struct str d = r->g->domains[i]; /* with a leading dot */

		if (host.n > d.n && str_eq_nocase(str_skip(host, host.n - d.n), d))
			return lower_case(r->a, str_head(host, host.n - d.n));
	}
	return STR_NONE;
}

void s3_split_address(struct str bucket, struct str key, struct s3_address *ret)
{
	size_t dot = str_index(bucket, '.');

	ret->bucket = bucket;
	ret->key = key;
	ret->repo = str_head(bucket, dot);
	ret->ref_bucket = dot < bucket.n;
	if (ret->ref_bucket) {
		ret->ref = str_skip(bucket, dot + 1);
		ret->path = key;
		return;
	}
	ret->ref = str_cut(key, '/', &ret->path);
	if (!ret->path.p)
		ret->path = STR("");
}

struct str s3_key_of(struct s3_req *r, const struct s3_address *at, struct str path)
{
	if (at->ref_bucket)
		return path;
	return arena_join(r->a, (struct str[]){at->ref, STR("/"), path}, 3);
}

/* S3's rule for keys with relative elements ("Naming Amazon S3 objects"): from left to right there are
 * never more of them than of others. Such keys are names like any other here, but clients and browsers
 * may resolve them, and then one that climbs out means another bucket's object. */
bool s3_climbs_out(struct str key)
{
	size_t depth = 0;

	while (key.p) {
		struct str segment = str_cut(key, '/', &key);

		if (str_eq(segment, STR("..")) && depth-- == 0)
			return true;
		if (segment.n && !str_eq(segment, STR("..")) && !str_eq(segment, STR(".")))
			depth++;
	}
	return false;
}

rc s3_parse_address(struct s3_req *r)
{
	struct str path = r->at.raw_path, bucket = virtual_bucket(r), rest;

	if (path.n == 0 || path.p[0] != '/')
		return err_set(&r->err, ERR_InvalidURI, "The request's path must begin with '/'.");
	rest = str_skip(path, 1);
	r->at.virtual_host = bucket.n != 0;
	if (!bucket.n) {
		bucket = str_cut(rest, '/', &rest);
		if (!rest.p)
			rest = STR("");
	}
	if (!uri_decode(r->a, bucket, false, &bucket) || !uri_decode(r->a, rest, false, &rest))
		return err_set(&r->err, ERR_InvalidURI,
			       "The path has a malformed percent-encoding: " STR_FMT,
			       STR_ARG(str_head(path, 100)));
	if (memchr(rest.p, 0, rest.n) || memchr(bucket.p, 0, bucket.n))
		return err_set(&r->err, ERR_InvalidURI, "The path has a NUL byte.");
	if (!str_is_utf8(rest))
		return err_set(&r->err, ERR_InvalidURI, "The key is not valid UTF-8.");
	if (s3_climbs_out(rest))
		return err_set(&r->err, ERR_InvalidURI,
			       "The key climbs out of its bucket: it has more '..' than names before "
			       "them.");
	s3_split_address(bucket, rest, &r->at);
	return RC_OK;
}
