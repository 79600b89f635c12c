/* ListObjectsV2. */
#include <stdlib.h>

#include "backends/s3_priv.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/xml.h"

enum { PAGE = 1000 };

struct listing {
	struct remote *r;
	struct arena *a;			 /* of the result */
	struct str bucket, space, prefix, after; /* the last three as keys of the bucket */
	struct str token;
	struct backend_list_entry *v;
	size_t n, max;
	bool more;
};

static rc decode(struct listing *l, struct str text, bool encoded, struct str *ret,
		 struct err *reterr)
{
	if (!encoded) {
		*ret = text;
		return RC_OK;
	}
	if (uri_decode(l->a, text, true, ret))
		return RC_OK;
	return err_set(reterr, ERR_IO,
		       "s3://" STR_FMT ": the listing has a key that can't be decoded",
		       STR_ARG(l->bucket));
}

static rc add(struct listing *l, const struct xml_node *n, bool encoded, struct err *reterr)
{
	struct backend_list_entry *e = &l->v[l->n];
	struct str etag = s3_unquote(xml_child_text(n, "ETag")), key;
	struct timestamp t = {0};

	TRY(decode(l, xml_child_text(n, "Key"), encoded, &key, reterr));
	if (!str_starts(key, l->space) || !str_to_u64(xml_child_text(n, "Size"), &e->stat.size))
		return err_set(reterr, ERR_IO,
			       "s3://" STR_FMT ": the listing has what wasn't asked for: \"" STR_FMT
			       "\"",
			       STR_ARG(l->bucket), STR_ARG(str_head(key, 200)));
	key = str_skip(key, l->space.n);
	if (!key.n || l->n == l->max)
		return RC_OK; /* the folder's own mark, as consoles make them */
	if (l->n && str_cmp(l->v[l->n - 1].key, key) >= 0)
		return err_set(reterr, ERR_IO,
			       "s3://" STR_FMT
			       ": the store doesn't list in the order of bytes: \"" STR_FMT
			       "\" comes after \"" STR_FMT "\"",
			       STR_ARG(l->bucket), STR_ARG(str_head(key, 100)),
			       STR_ARG(str_head(l->v[l->n - 1].key, 100)));
	time_parse_rfc3339(xml_child_text(n, "LastModified"), &t);
	e->key = arena_dup(l->a, key);
	e->stat.mtime_s = t.s;
	e->stat.etag = etag.n ? arena_dup(l->a, etag) : STR_NONE;
	l->n++;
	return RC_OK;
}

static rc take(struct listing *l, const struct xml_node *root, struct err *reterr)
{
	bool encoded = str_eq(xml_child_text(root, "EncodingType"), STR("url"));
	size_t before = l->n, seen = 0;

	for (const struct xml_node *n = root->first; n; n = n->next)
		if (str_eq(n->name, STR("Contents"))) {
			seen++;
			TRY(add(l, n, encoded, reterr));
		}
	l->more = str_eq(xml_child_text(root, "IsTruncated"), STR("true"));
	if (l->max == 0)
		l->more = l->more || seen;
	l->token = l->more ? xml_child_text(root, "NextContinuationToken") : STR_NONE;
	if (l->token.n)
		l->token = arena_dup(l->a, l->token);
	else if (l->more && l->n == before && l->max)
		return err_set(reterr, ERR_IO,
			       "s3://" STR_FMT ": the listing doesn't come to its end",
			       STR_ARG(l->bucket));
	return RC_OK;
}

static rc page(struct listing *l, struct err *reterr)
{
	size_t want = l->max - l->n < PAGE ? l->max - l->n : PAGE;
	struct arena *a = arena_new();
	struct xml_node *root;
	struct http_answer w;
	struct remote_call c;
	rc r;

	s3_call_bucket(&c, a, "GET", l->bucket);
	c.repeatable = true;
	remote_query(&c, "list-type", STR("2"));
	remote_query(&c, "encoding-type", STR("url"));
	remote_query(&c, "max-keys", arena_printf(a, "%zu", want ? want : 1));
	if (l->prefix.n)
		remote_query(&c, "prefix", l->prefix);
	if (l->token.n)
		remote_query(&c, "continuation-token", l->token);
	else if (l->n)
		remote_query(&c, "start-after",
			     arena_join(a, (struct str[]){l->space, l->v[l->n - 1].key}, 2));
	else if (l->after.n)
		remote_query(&c, "start-after", l->after);
	r = remote_ask(l->r, &c, NULL, &w, reterr);
	if (rc_ok(r))
		r = s3_document(l->r, &c, &w, &root, reterr);
	if (rc_ok(r))
		r = take(l, root, reterr);
	arena_free(a);
	return r;
}

rc s3_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	   struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	   struct err *reterr)
{
	struct listing l = {.r = &s3_of(b)->r, .a = a, .max = max};

	TRY(s3_space(a, space, &l.bucket, &l.space, reterr));
	l.prefix = arena_join(a, (struct str[]){l.space, prefix}, 2);
	if (after.n)
		l.after = arena_join(a, (struct str[]){l.space, after}, 2);
	l.v = arena_alloc(a, (max + 1) * sizeof(*l.v));
	do
		TRY(page(&l, reterr));
	while (l.more && l.n < max);
	*ret = l.v;
	*ret_n = l.n;
	*ret_more = l.more;
	return RC_OK;
}
