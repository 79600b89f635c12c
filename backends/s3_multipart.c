/* Uploads in parts, and copies, which may have to be made of parts. */
#include <stdlib.h>

#include "backends/remote_priv.h"
#include "backends/s3_priv.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/xml.h"

enum {
	THINK_MS = 600000, /* the services join and copy before they answer; AWS sends white space
			      meanwhile */
	ATTEMPTS = 4,	   /* at completing what failed after its 200 */
	PARTS_MAX = 10000,
	COMPLETE_MAX = 4 * 1024 * 1024,
};

/* The answer's document. */
static rc ask(struct s3 *s, struct remote_call *c, struct xml_node **ret, struct err *reterr)
{
	struct http_answer w;

	TRY(remote_ask(&s->r, c, NULL, &w, reterr));
	return s3_document(&s->r, c, &w, ret, reterr);
}

rc s3_mpu_create(struct backend *b, const struct object_ptr *to,
		 const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		 struct err *reterr)
{
	struct s3 *s = s3_of(b);
	struct xml_node *root;
	struct remote_call c;

	TRY(s3_call(s, &c, a, "POST", to, reterr));
	c.repeatable = true; /* an upload that nobody hears of has no parts */
	c.bytes = STR("");
	remote_query(&c, "uploads", STR_NONE);
	s3_headers(s, &c, o);
	TRY(ask(s, &c, &root, reterr));
	*ret_upload_id = xml_child_text(root, "UploadId");
	if (!ret_upload_id->n)
		return err_set(reterr, ERR_IO, STR_FMT ": the store began no upload",
			       STR_ARG(c.what));
	return RC_OK;
}

rc s3_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		struct err *reterr)
{
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;
	rc r = s3_call(s3_of(b), &c, a, "DELETE", to, reterr);

	if (rc_ok(r)) {
		c.repeatable = true;
		remote_query(&c, "uploadId", upload_id);
		r = remote_ask(&s3_of(b)->r, &c, NULL, &w, reterr);
	}
	arena_free(a);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

/* Completing. */

static struct str complete_document(struct arena *a, const struct backend_part *parts, size_t n)
{
	struct buf b = BUF_INIT(COMPLETE_MAX);
	struct str doc;

	xw_open_ns(&b, "CompleteMultipartUpload", "http://s3.amazonaws.com/doc/2006-03-01/");
	for (size_t i = 0; i < n; i++) {
		xw_open(&b, "Part");
		xw_elem_int(&b, "PartNumber", parts[i].number);
		xw_elem(&b, "ETag", arena_printf(a, "\"" STR_FMT "\"", STR_ARG(parts[i].etag)));
		xw_close(&b, "Part");
	}
	xw_close(&b, "CompleteMultipartUpload");
	doc = b.overflow ? STR_NONE : arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return doc;
}

/* S3's ETag of what these parts make, where theirs are MD5s. Some stores have others, of either. */
static bool expected_etag(struct arena *a, const struct backend_part *parts, size_t n,
			  struct str *ret)
{
	char *all = arena_alloc(a, 16 * n + 1);
	uint8_t md5[16];
	struct str one;

	for (size_t i = 0; i < n; i++) {
		if (!hex_decode(a, parts[i].etag, &one) || one.n != 16)
			return false;
		memcpy(all + 16 * i, one.p, 16);
	}
	digest_of(DIGEST_MD5, str_make(all, 16 * n), md5);
	*ret = arena_printf(a, STR_FMT "-%zu", STR_ARG(hex_encode(a, str_make(md5, 16))), n);
	return true;
}

/* BACKEND_SIZE_UNKNOWN where that of one part is. */
static uint64_t sum(const struct backend_part *parts, size_t n)
{
	uint64_t size = 0;

	for (size_t i = 0; i < n; i++) {
		if (parts[i].size == BACKEND_SIZE_UNKNOWN)
			return BACKEND_SIZE_UNKNOWN;
		size += parts[i].size;
	}
	return size;
}

/* There is no such upload any more: perhaps because it was completed, and the answer lost. */
static rc was_completed(struct backend *b, const struct object_ptr *to,
			const struct backend_part *parts, size_t n, struct arena *a,
			struct backend_stat *ret, struct err *reterr)
{
	uint64_t size = sum(parts, n);
	struct backend_stat st;
	struct err e;
	struct str etag;
	bool known;
	rc r = b->blocking->head(b, to, a, &st, &e);

	if (rc_is(r, NOT_FOUND))
		return r; /* reterr tells of the upload already */
	if (!rc_ok(r)) {
		*reterr = e;
		return r;
	}
	known = expected_etag(a, parts, n, &etag) && str_find(st.etag, STR("-")) < st.etag.n;
	if ((size != BACKEND_SIZE_UNKNOWN && st.size != size) || (known && !str_eq(st.etag, etag)))
		return err_set(reterr, ERR_NOT_FOUND,
			       "the upload has ended, and what is there was not made by it");
	*ret = st;
	return RC_OK;
}

static rc complete_once(struct backend *b, const struct object_ptr *to, struct str upload_id,
			struct str doc, struct arena *a, struct backend_stat *ret,
			struct err *reterr)
{
	struct s3 *s = s3_of(b);
	struct xml_node *root;
	struct remote_call c;
	struct str etag;

	TRY(s3_call(s, &c, a, "POST", to, reterr));
	c.repeatable = true;
	c.answer_ms = THINK_MS;
	c.bytes = doc;
	remote_query(&c, "uploadId", upload_id);
	remote_header(&c, "content-type", STR("application/xml"));
	TRY(ask(s, &c, &root, reterr));
	etag = s3_unquote(xml_child_text(root, "ETag"));
	ret->etag = etag.n ? etag : STR_NONE;
	return RC_OK;
}

rc s3_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		   const struct backend_part *parts, size_t n, struct arena *a,
		   struct backend_stat *ret, struct err *reterr)
{
	struct str doc = complete_document(a, parts, n);
	struct err own = {0}, *e = reterr ? reterr : &own;
	struct remote_attempts t;
	rc r;

	*ret = (struct backend_stat){0};
	if (!doc.p || n > PARTS_MAX)
		return err_set(reterr, ERR_INVALID, "an upload has at most %d parts", PARTS_MAX);
	remote_attempts_init(&t, &s3_of(b)->r);
	for (unsigned i = 1;; i++) {
		r = complete_once(b, to, upload_id, doc, a, ret, e);
		if (!rc_is(r, IO) && !rc_is(r, SlowDown) && !rc_is(r, ServiceUnavailable))
			break;
		if (i == ATTEMPTS ||
		    !remote_attempt_again(
			&t, &(struct remote_call){.method = STR("POST"), .what = to->key}, e->msg))
			break;
	}
	if (rc_is(r, NOT_FOUND) && n)
		return was_completed(b, to, parts, n, a, ret, e);
	TRY(r);
	ret->size = sum(parts, n);
	return ret->size == BACKEND_SIZE_UNKNOWN ? b->blocking->head(b, to, a, ret, e) : RC_OK;
}

/* Copies. */

static struct str source_of(const struct remote_call *from)
{
	const struct s3_target *t = from->ud;

	return arena_printf(from->a, "/" STR_FMT "/" STR_FMT, STR_ARG(t->bucket),
			    STR_ARG(uri_encode(from->a, t->key, true)));
}

static rc copy_call(struct s3 *s, struct remote_call *c, struct arena *a,
		    const struct object_ptr *to, struct str source, struct err *reterr)
{
	TRY(s3_call(s, c, a, "PUT", to, reterr));
	c->repeatable = true;
	c->answer_ms = THINK_MS;
	c->bytes = STR("");
	remote_header(c, "x-amz-copy-source", source);
	return RC_OK;
}

static rc copy_whole(struct s3 *s, const struct object_ptr *to, struct str source, struct arena *a,
		     struct backend_stat *ret, struct err *reterr)
{
	struct xml_node *root;
	struct remote_call c;

	TRY(copy_call(s, &c, a, to, source, reterr));
	s3_headers(s, &c, NULL);
	TRY(ask(s, &c, &root, reterr));
	ret->etag = arena_dup(a, s3_unquote(xml_child_text(root, "ETag")));
	return RC_OK;
}

static rc copy_part(struct s3 *s, const struct object_ptr *to, struct str upload_id,
		    struct str source, uint64_t offset, struct arena *a, struct backend_part *part,
		    struct err *reterr)
{
	struct xml_node *root;
	struct remote_call c;

	TRY(copy_call(s, &c, a, to, source, reterr));
	remote_query(&c, "partNumber", arena_printf(a, "%u", part->number));
	remote_query(&c, "uploadId", upload_id);
	if (part->size != BACKEND_SIZE_UNKNOWN)
		remote_header(&c, "x-amz-copy-source-range",
			      arena_printf(a, "bytes=%llu-%llu", (unsigned long long)offset,
					   (unsigned long long)(offset + part->size - 1)));
	TRY(ask(s, &c, &root, reterr));
	part->etag = s3_unquote(xml_child_text(root, "ETag"));
	return RC_OK;
}

rc s3_mpu_copy_part(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
		    struct str upload_id, uint64_t offset, struct arena *a,
		    struct backend_part *part, struct err *reterr)
{
	struct s3 *s = s3_of(b);
	struct remote_call source;

	TRY(s3_call(s, &source, a, "HEAD", from, reterr));
	return copy_part(s, to, upload_id, source_of(&source), offset, a, part, reterr);
}

static rc copy_in_parts(struct backend *b, const struct object_ptr *to, struct str source,
			uint64_t size, struct str content_type, struct arena *a,
			struct backend_stat *ret, struct err *reterr)
{
	struct s3 *s = s3_of(b);
	uint64_t one = s->o.copy_part;
	struct backend_part *parts;
	size_t n;
	struct str id;
	rc r = RC_OK;

	while (size > one * PARTS_MAX)
		one *= 2;
	n = (size_t)((size + one - 1) / one);
	parts = arena_zalloc(a, n * sizeof(*parts));
	TRY(s3_mpu_create(b, to, &(struct backend_put_options){.content_type = content_type}, a,
			  &id, reterr));
	for (size_t i = 0; rc_ok(r) && i < n; i++) {
		parts[i].number = (unsigned)i + 1;
		parts[i].size = i + 1 < n ? one : size - one * i;
		r = copy_part(s, to, id, source, one * i, a, &parts[i], reterr);
	}
	if (rc_ok(r))
		r = s3_mpu_complete(b, to, id, parts, n, a, ret, reterr);
	if (!rc_ok(r)) /* should this fail, too, it is the bucket's lifecycle's */
		IGNORE_RC(s3_mpu_abort(b, to, id, NULL));
	return r;
}

rc s3_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	   struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct s3 *s = s3_of(b);
	struct remote_call source, target;
	struct http_answer w;
	struct backend_stat st;

	TRY(s3_call(s, &source, a, "HEAD", from, reterr));
	TRY(s3_call(s, &target, a, "PUT", to, reterr));
	source.repeatable = true;
	TRY(remote_ask(&s->r, &source, NULL, &w, reterr));
	TRY(s3_stat(&s->r, &source, &w, a, &st, reterr));
	*ret = st;
	if (str_eq(source.what, target.what))
		return RC_OK;
	if (st.size <= s->o.copy_max)
		TRY(copy_whole(s, to, source_of(&source), a, ret, reterr));
	else
		TRY(copy_in_parts(b, to, source_of(&source), st.size,
				  http_answer_header(&w, "content-type"), a, ret, reterr));
	ret->size = st.size;
	return RC_OK;
}
