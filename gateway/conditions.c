/* Conditional requests and ranges (RFC 9110 sections 13 and 14). */
#include "base/clock.h"
#include "gateway/s3.h"

enum comparison { STRONG, WEAK };

/* One of a list of entity tags, or *. Ours are strong: a weak one of the client's is the same in a weak
 * comparison only. */
static bool matches(struct str list, struct str etag, enum comparison how)
{
	while (list.p) {
		struct str one = str_trim(str_cut(list, ',', &list));

		if (str_eq(one, STR("*")))
			return true;
		if (str_starts(one, STR("W/"))) {
			if (how == STRONG)
				continue;
			one = str_skip(one, 2);
		}
		if (str_eq(str_unquote(one), etag))
			return true;
	}
	return false;
}

static struct str condition(struct s3_req *r, const char *prefix, const char *name)
{
	return prefix[0] ? s3_header(r, arena_printf(r->a, "%s%s", prefix, name).p)
			 : s3_header(r, name);
}

static rc fails(struct s3_req *r)
{
	return err_default(&r->err, ERR_PreconditionFailed);
}

/* A copy's source has no 304: everything is 412 there. */
static rc unchanged(struct s3_req *r, const struct entry *e, const char *prefix)
{
	char date[30];

	if (prefix[0])
		return fails(r);
	time_http(e->modified.s, date);
	s3_add_header(r, "etag", s3_quoted(r, e->etag));
	s3_add_header(r, "last-modified", arena_dup(r->a, str_c(date)));
	return err_default(&r->err, ERR_NotModified);
}

rc s3_check_conditions(struct s3_req *r, const struct entry *e, const char *prefix)
{
	struct str im = condition(r, prefix, "if-match"), inm = condition(r, prefix, "if-none-match");
	struct str since;
	int64_t t;

	if (im.p) {
		if (!matches(im, e->etag, STRONG))
			return fails(r);
	} else {
		since = condition(r, prefix, "if-unmodified-since");
		if (since.p && time_parse_http(since, &t) && e->modified.s > t)
			return fails(r);
	}
	if (inm.p) {
		if (matches(inm, e->etag, WEAK))
			return unchanged(r, e, prefix);
	} else {
		since = condition(r, prefix, "if-modified-since");
		if (since.p && time_parse_http(since, &t) && e->modified.s <= t)
			return unchanged(r, e, prefix);
	}
	return RC_OK;
}

static rc unsatisfiable(struct s3_req *r, uint64_t size)
{
	s3_add_header(r, "content-range",
		      arena_printf(r->a, "bytes */%llu", (unsigned long long)size));
	return err_default(&r->err, ERR_InvalidRange);
}

/* Digits; a number too large for us is past every end. */
static bool position(struct str s, uint64_t *ret)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	if (s.n && !str_to_u64(s, ret))
		*ret = UINT64_MAX;
	return s.n != 0;
}

/* A validator that isn't the object's any more: the whole of it is wanted (RFC 9110 section 13.1.5). */
static bool if_range_fails(struct s3_req *r, const struct entry *e)
{
	struct str v = s3_header(r, "if-range");
	int64_t t;

	if (!v.p)
		return false;
	if (str_starts(v, STR("\"")) || str_starts(v, STR("W/")))
		return !matches(v, e->etag, STRONG);
	if (time_parse_http(v, &t))
		return t != e->modified.s;
	return !str_eq(v, e->etag);
}

rc s3_parse_range(struct s3_req *r, const struct entry *e, struct s3_range *ret)
{
	struct str v = s3_header(r, "range"), to, from;
	uint64_t first, last, size = (uint64_t)e->size;

	*ret = (struct s3_range){.offset = 0, .length = size};
	if (!str_eq_nocase(str_head(v, 6), STR("bytes=")) || str_index(v, ',') != v.n ||
	    str_index(v, '-') == v.n || if_range_fails(r, e))
		return RC_OK;
	from = str_cut(str_skip(v, 6), '-', &to);
	if (from.n == 0) { /* the last n bytes */
		if (!position(to, &last))
			return RC_OK;
		if (last == 0)
			return unsatisfiable(r, size);
		if (size == 0)
			return RC_OK;
		first = last < size ? size - last : 0;
		last = size - 1;
	} else {
		if (!position(from, &first))
			return RC_OK;
		last = UINT64_MAX;
		if (to.n && (!position(to, &last) || last < first))
			return RC_OK;
		if (first >= size)
			return unsatisfiable(r, size);
		if (last >= size)
			last = size - 1;
	}
	*ret = (struct s3_range){.partial = true, .offset = first, .length = last - first + 1};
	return RC_OK;
}

rc s3_copy_range(struct s3_req *r, uint64_t size, uint64_t *ret_offset, uint64_t *ret_length)
{
	struct str v = s3_header(r, "x-amz-copy-source-range"), first, last = STR_NONE;
	uint64_t a, b;

	*ret_offset = 0;
	*ret_length = size;
	if (!v.p)
		return RC_OK;
	first = str_starts(v, STR("bytes=")) ? str_cut(str_skip(v, 6), '-', &last) : STR_NONE;
	if (!first.p || !last.p || !str_to_u64(first, &a) || !str_to_u64(last, &b) || a > b)
		return err_set(&r->err, ERR_InvalidArgument,
			       "The x-amz-copy-source-range value must be of the form bytes=first-last "
			       "where first and last are the zero-based offsets of the first and last "
			       "bytes to copy");
	if (b >= size)
		return err_set(&r->err, ERR_InvalidArgument,
			       "Range specified is not valid for source object of size: %llu",
			       (unsigned long long)size);
	*ret_offset = a;
	*ret_length = b - a + 1;
	return RC_OK;
}

rc s3_delete_condition(struct s3_req *r, struct str etag, struct str modified, struct str size,
		       struct object_match *ret, bool *ret_any)
{
	uint64_t n = 0;

	*ret = (struct object_match){.has_modified = modified.p != NULL, .has_size = size.p != NULL};
	*ret_any = etag.p || modified.p || size.p;
	if (etag.p)
		ret->etag = str_unquote(str_trim(etag));
	if (modified.p && !time_parse_http(str_trim(modified), &ret->modified.s) &&
	    !time_parse_rfc3339(str_trim(modified), &ret->modified))
		return err_set(&r->err, ERR_InvalidArgument,
			       "The last modified time of the condition is not a date.");
	if (size.p && (!str_to_u64(str_trim(size), &n) || n > INT64_MAX))
		return err_set(&r->err, ERR_InvalidArgument,
			       "The size of the condition is not a number.");
	ret->size = (int64_t)n;
	return RC_OK;
}

rc s3_write_condition(struct s3_req *r, enum stage_cond *ret, struct str *ret_etag)
{
	struct str im = s3_header(r, "if-match"), inm = s3_header(r, "if-none-match");

	*ret = STAGE_ALWAYS;
	*ret_etag = STR_NONE;
	if (im.p && inm.p)
		return err_set(&r->err, ERR_NotImplemented,
			       "A header you provided implies functionality that is not implemented: "
			       "If-Match and If-None-Match together.");
	if (inm.p) {
		if (!str_eq(str_trim(inm), STR("*")))
			return err_set(&r->err, ERR_NotImplemented,
				       "A header you provided implies functionality that is not "
				       "implemented: If-None-Match of a write must be *.");
		*ret = STAGE_IF_ABSENT;
	}
	if (im.p) {
		*ret = STAGE_IF_ETAG;
		*ret_etag = str_unquote(str_trim(im));
	}
	return RC_OK;
}
