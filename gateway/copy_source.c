/* The source of CopyObject and UploadPartCopy: its address, and the object that is there. */
#include "base/encode.h"
#include "gateway/s3.h"

/* Letters, digits and what repositories' and branches' names have besides; no address of the network's. */
static bool may_be_bucket(struct str s)
{
	bool number = true;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool digit = (c >= '0' && c <= '9') || c == '.';

		number &= digit;
		if (!digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '_')
			return false;
	}
	return s.n && !number;
}

/* By S3's rules, as whoever writes into a bucket that is a branch has them. A repository's key that is but a
 * branch is taken, too: there is no such object. */
static rc check_source(struct s3_req *r, struct str bucket, struct str key)
{
	if (!may_be_bucket(bucket))
		return err_argument(&r->err, "x-amz-copy-source", s3_header(r, "x-amz-copy-source"),
				    "Invalid copy source bucket name");
	if (!key.n || s3_climbs_out(key) || str_eq(key, STR(".")))
		return err_argument(&r->err, "x-amz-copy-source", key,
				    "Invalid copy source object key");
	return RC_OK;
}

rc s3_copy_source(struct s3_req *r, struct s3_address *ret)
{
	struct str source = s3_header(r, "x-amz-copy-source"), bucket, key;
	size_t query = str_find(source, STR("?versionId="));

	*ret = (struct s3_address){0};
	if (query < source.n && !str_eq(str_skip(source, query), STR("?versionId=null")))
		return err_default(&r->err, ERR_NoSuchVersion);
	source = str_head(source, query);
	if (!uri_decode(r->a, source, true, &source) || !str_is_utf8(source) ||
	    (source.n && memchr(source.p, 0, source.n)))
		return err_argument(&r->err, "x-amz-copy-source", s3_header(r, "x-amz-copy-source"),
				    "Invalid copy source encoding");
	if (source.n && source.p[0] == '/')
		source = str_skip(source, 1);
	bucket = str_cut(source, '/', &key);
	s3_split_address(bucket, key, ret);
	if (r->at.ref_bucket)
		return check_source(r, bucket, key);
	if (!ret->repo.n || !ret->ref.n || !ret->path.n)
		return err_set(&r->err, ERR_InvalidArgument,
			       "Copy Source must mention the source repository, ref and path: "
			       "repository/ref/path");
	return RC_OK;
}

rc s3_find_source(struct s3_req *r, const struct s3_address *from, struct repo *ret_repo, struct entry *ret)
{
	struct vcall c = s3_vcall(r);
	rc found;

	*ret_repo = r->repo;
	if (!str_eq(from->repo, r->repo.id)) {
		found = repo_get(&c, from->repo, ret_repo);
		if (rc_is(found, NOT_FOUND) || rc_is(found, INVALID))
			return s3_no_such_repo(r);
		TRY(found);
	}
	found = object_stat(&c, ret_repo, from->ref, from->path, ret);
	return s3_read_missing(r, ret_repo, from, found);
}
