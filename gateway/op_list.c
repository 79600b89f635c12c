/* ListObjects, ListObjectsV2 and ListObjectVersions: buckets have no versioning, so that each object is its
 * only version, "null".
 *
 * A bucket that names a ref has its paths as keys. Another one's are ref/path: a prefix without '/' lists
 * branches as common prefixes (lakeFS, API.md 3.4); a prefix "ref/..." lists that ref. Keys come back with
 * the ref as the client wrote it. */
#include "base/encode.h"
#include "gateway/s3.h"

enum { MAX_KEYS = 1000 };

struct listing {
	bool v2, versions, url, owner;
	struct str prefix, delimiter, after, token, marker, start_after;
	uint64_t max;
	/* the answer */
	struct list_page page;
	struct s3_address at; /* the ref that is listed; ref STR_NONE: branches */
};

/* After a key's only version come those of the next key. */
static rc version_markers(struct s3_req *r, struct listing *l)
{
	struct str version = s3_query(r, "version-id-marker");

	l->after = l->marker = s3_query(r, "key-marker");
	if (version.n && !l->marker.n)
		return err_argument(&r->err, "version-id-marker", version,
				    "A version-id marker cannot be specified without a key marker.");
	if (version.n && !str_eq(version, STR("null")))
		return err_argument(&r->err, "version-id-marker", version,
				    "Invalid version id specified");
	return RC_OK;
}

static rc parse(struct s3_req *r, struct listing *l)
{
	struct str type = s3_query(r, "list-type");

	l->v2 = r->op->id == S3_ListObjectsV2;
	l->versions = r->op->id == S3_ListObjectVersions;
	if (type.n && !l->v2 && !l->versions && !str_eq(type, STR("1")))
		return err_set(&r->err, ERR_InvalidArgument, "list-type must be 1 or 2.");
	TRY(s3_encoding_type(r, &l->url));
	l->owner = !l->v2 || str_eq(s3_query(r, "fetch-owner"), STR("true"));
	l->prefix = s3_query(r, "prefix").p ? s3_query(r, "prefix") : STR("");
	l->delimiter = s3_query(r, "delimiter");
	TRY(s3_query_u64(r, "max-keys", MAX_KEYS, MAX_KEYS, &l->max));
	if (l->versions)
		return version_markers(r, l);
	if (!l->v2) {
		l->after = l->marker = s3_query(r, "marker");
		return RC_OK;
	}
	l->token = s3_query(r, "continuation-token");
	l->after = l->start_after = s3_query(r, "start-after");
	if (l->token.p && (!base64_decode(r->a, l->token, &l->after) || !str_is_utf8(l->after)))
		return err_set(&r->err, ERR_InvalidArgument,
			       "The continuation token provided is incorrect");
	return RC_OK;
}

/* `after` as a path of this ref. False: the whole ref lies before it. */
static bool path_after(const struct listing *l, struct str *ret)
{
	struct str after = l->after, ref = l->at.ref;

	*ret = STR_NONE;
	if (after.n == 0)
		return true;
	if (l->at.ref_bucket) {
		*ret = after;
		return true;
	}
	if (after.n > ref.n && str_starts(after, ref) && after.p[ref.n] == '/') {
		*ret = str_skip(after, ref.n + 1);
		return true;
	}
	/* compare "ref/" with it bytewise */
	for (size_t i = 0; i <= ref.n && i < after.n; i++) {
		unsigned char a = (unsigned char)(i < ref.n ? ref.p[i] : '/');
		unsigned char b = (unsigned char)after.p[i];

		if (a != b)
			return a > b;
	}
	return true;
}

static rc list_ref(struct s3_req *r, struct listing *l)
{
	struct vcall c = s3_vcall(r);
	struct list_request q = {.delimiter = l->delimiter, .max = l->max};
	rc listed;

	s3_split_address(r->at.bucket, l->prefix, &l->at);
	q.prefix = l->at.path;
	if (!path_after(l, &q.after))
		return RC_OK;
	listed = objects_list(&c, &r->repo, l->at.ref, &q, &l->page);
	if (rc_is(listed, NOT_FOUND) || rc_is(listed, INVALID)) {
		l->page = (struct list_page){0};
		return RC_OK; /* no such ref: nothing begins with it */
	}
	TRY(listed);
	if (l->page.truncated)
		l->page.next = s3_key_of(r, &l->at, l->page.next);
	return RC_OK;
}

static struct str whole_key(struct s3_req *r, const struct listing *l, struct str key)
{
	return l->at.ref.p ? s3_key_of(r, &l->at, key) : key;
}

static void checksums_xml(struct s3_req *r, const struct entry *e)
{
	bool any = false;

	for (int k = 0; k < DIGEST_KINDS; k++)
		if (e->checksum[k].n) {
			xw_elem(&r->xml, "ChecksumAlgorithm",
				str_c(digest_title((enum digest_kind)k)));
			any = true;
		}
	if (any)
		xw_elem(&r->xml, "ChecksumType",
			s3_checksum_type_name(!e->checksum_composite));
}

static void contents_xml(struct s3_req *r, const struct listing *l, const struct list_item *item)
{
	const char *element = l->versions ? "Version" : "Contents";
	struct arena_mark mark = arena_mark(r->a);
	const struct entry *e = &item->entry;
	char date[25];

	time_iso_ms((struct timestamp){e->modified.s, e->modified.ns}, date);
	xw_open(&r->xml, element);
	xw_elem(&r->xml, "Key", s3_shown(r, l->url, whole_key(r, l, item->key)));
	if (l->versions) {
		xw_elem(&r->xml, "VersionId", STR("null"));
		xw_elem_bool(&r->xml, "IsLatest", true);
	}
	xw_elem(&r->xml, "LastModified", str_c(date));
	xw_elem(&r->xml, "ETag", s3_quoted(r, e->etag));
	checksums_xml(r, e);
	xw_elem_int(&r->xml, "Size", e->size);
	if (l->owner)
		s3_owner_xml(r, "Owner");
	xw_elem(&r->xml, "StorageClass", STR("STANDARD"));
	xw_close(&r->xml, element);
	arena_rewind(r->a, mark);
}

static void items_xml(struct s3_req *r, const struct listing *l)
{
	for (size_t i = 0; i < l->page.n; i++)
		if (!l->page.items[i].is_prefix)
			contents_xml(r, l, &l->page.items[i]);
	for (size_t i = 0; i < l->page.n; i++)
		if (l->page.items[i].is_prefix)
			s3_common_prefix_xml(
				r, s3_shown(r, l->url, whole_key(r, l, l->page.items[i].key)));
}

static void v1_xml(struct s3_req *r, const struct listing *l)
{
	xw_elem(&r->xml, "Marker", s3_shown(r, l->url, l->marker));
	/* S3 tells it with a delimiter only; without, the last key serves. lakeFS's branch listing is
	 * one with a delimiter. */
	if (l->page.truncated && (l->delimiter.n || !l->at.ref.p))
		xw_elem(&r->xml, "NextMarker", s3_shown(r, l->url, l->page.next));
}

static void versions_xml(struct s3_req *r, const struct listing *l)
{
	struct str version = s3_query(r, "version-id-marker");

	xw_elem(&r->xml, "KeyMarker", s3_shown(r, l->url, l->marker));
	xw_elem(&r->xml, "VersionIdMarker", version);
	if (!l->page.truncated)
		return;
	xw_elem(&r->xml, "NextKeyMarker", s3_shown(r, l->url, l->page.next));
	if (!l->page.items[l->page.n - 1].is_prefix)
		xw_elem(&r->xml, "NextVersionIdMarker", STR("null"));
}

static void v2_xml(struct s3_req *r, const struct listing *l)
{
	xw_elem_int(&r->xml, "KeyCount", (int64_t)l->page.n);
	if (l->token.p)
		xw_elem(&r->xml, "ContinuationToken", l->token);
	if (l->start_after.p)
		xw_elem(&r->xml, "StartAfter", s3_shown(r, l->url, l->start_after));
	if (l->page.truncated)
		xw_elem(&r->xml, "NextContinuationToken", base64_encode(r->a, l->page.next));
}

static void page_xml(struct s3_req *r, const struct listing *l)
{
	const char *root = l->versions ? "ListVersionsResult" : "ListBucketResult";

	xw_decl(&r->xml);
	xw_open_ns(&r->xml, root, S3_XMLNS);
	xw_elem(&r->xml, "Name", r->at.bucket);
	xw_elem(&r->xml, "Prefix", s3_shown(r, l->url, l->prefix));
	if (l->delimiter.n)
		xw_elem(&r->xml, "Delimiter", s3_shown(r, l->url, l->delimiter));
	xw_elem_int(&r->xml, "MaxKeys", (int64_t)l->max);
	if (l->url)
		xw_elem(&r->xml, "EncodingType", STR("url"));
	xw_elem_bool(&r->xml, "IsTruncated", l->page.truncated);
	if (l->versions)
		versions_xml(r, l);
	else if (l->v2)
		v2_xml(r, l);
	else
		v1_xml(r, l);
	items_xml(r, l);
	xw_close(&r->xml, root);
}

static rc list_objects(struct s3_req *r)
{
	struct listing l = {0};

	TRY(parse(r, &l));
	if (l.max == 0)
		l.page = (struct list_page){0};
	else if (!r->at.ref_bucket && str_index(l.prefix, '/') == l.prefix.n)
		TRY(s3_list_branches(r, l.prefix, l.after.p ? l.after : STR(""), l.max, &l.page));
	else
		TRY(list_ref(r, &l));
	page_xml(r, &l);
	return s3_listing_whole(r);
}

static void reply(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_ListObjects = {.run = list_objects, .reply = reply};
const struct s3_handlers handlers_ListObjectVersions = {.run = list_objects, .reply = reply};
const struct s3_handlers handlers_ListObjectsV2 = {.run = list_objects, .reply = reply};
