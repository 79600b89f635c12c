/* Multipart uploads out of objects: below `_sluice/uploads/<id>/` of the namespace lie `upload`, which says
 * that the upload is under way, and `<number>-<etag>` for each part. Completing composes them, 32 at a
 * time, into the target, then removes the parts and at last the mark.
 *
 * A crash between: the mark is there, so complete may be repeated. Parts that are gone then were joined before: the
 * target tells by its size. */
#include "backends/gcs_priv.h"
#include "base/encode.h"
#include "base/rand.h"

enum { COMPOSE_MAX = 32, LIST_PAGE = 1000, ETAG_BYTES = 16, ID_CHARS = 2 * ETAG_BYTES };

#define UPLOADS "_sluice/uploads/"

static struct str random_hex(struct arena *a)
{
	uint8_t raw[ETAG_BYTES];

	rand_bytes(raw, sizeof(raw));
	return hex_encode(a, str_make(raw, sizeof(raw)));
}

static bool is_hex_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.n == ID_CHARS;
}

static rc no_upload(struct str id, struct err *reterr)
{
	return err_set(reterr, ERR_NOT_FOUND, "there is no upload \"" STR_FMT "\"", STR_ARG(str_head(id, 50)));
}

static rc no_part(unsigned number, struct err *reterr)
{
	return err_set(reterr, ERR_InvalidPart, "part %u isn't there, or its ETag is another", number);
}

/* Where an upload's objects are: the bucket, and the prefix with the final slash. */
struct place {
	struct str bucket, folder;
	struct gcs_target *to;
};

static rc place_of(struct arena *a, const struct object_ptr *to, struct str id, struct place *ret,
		   struct err *reterr)
{
	struct str prefix;

	if (!is_hex_id(id))
		return no_upload(id, reterr);
	TRY(gcs_aim(a, to, &ret->to, reterr));
	TRY(gcs_space(a, to->space, &ret->bucket, &prefix, reterr));
	ret->folder = arena_printf(a, STR_FMT UPLOADS STR_FMT "/", STR_ARG(prefix), STR_ARG(id));
	return RC_OK;
}

static struct str in(struct arena *a, const struct place *p, struct str name)
{
	return arena_join(a, (struct str[]){p->folder, name}, 2);
}

static struct str part_name(struct arena *a, const struct backend_part *p)
{
	return arena_printf(a, "%05u-" STR_FMT, p->number, STR_ARG(p->etag));
}

static rc look(struct gcs *s, struct arena *a, struct str bucket, struct str key, struct json **ret,
	       struct err *reterr)
{
	struct http_answer w;
	struct remote_call c;

	gcs_call(s, &c, a, "GET", bucket, key, "");
	c.repeatable = true;
	gcs_encrypt(s, &c);
	TRY(remote_ask(&s->r, &c, NULL, &w, reterr));
	return gcs_document(&s->r, &c, &w, ret, reterr);
}

/* The mark, whose content type is the object's to be. */
static rc mark(struct gcs *s, struct arena *a, const struct place *p, struct str id, struct json **ret,
	       struct err *reterr)
{
	rc r = look(s, a, p->bucket, in(a, p, STR("upload")), ret, reterr);

	return rc_is(r, NOT_FOUND) ? no_upload(id, reterr) : r;
}

rc gcs_mpu_create(struct backend *b, const struct object_ptr *to, const struct backend_put_options *o,
		  struct arena *a, struct str *ret_upload_id, struct err *reterr)
{
	struct gcs *s = gcs_of(b);
	struct http_answer w;
	struct remote_call c;
	struct place p;

	*ret_upload_id = random_hex(a);
	TRY(place_of(a, to, *ret_upload_id, &p, reterr));
	remote_call_init(&c, a, "POST");
	gcs_upload(s, &c, p.bucket, in(a, &p, STR("upload")));
	remote_query(&c, "uploadType", STR("media"));
	remote_header(&c, "content-type",
		      o && o->content_type.n ? o->content_type : STR("application/octet-stream"));
	c.repeatable = true;
	c.bytes = STR("");
	return remote_ask(&s->r, &c, NULL, &w, reterr);
}

rc gcs_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id, unsigned number,
		     const struct backend_put_options *o, struct backend_writer **ret, struct err *reterr)
{
	struct arena *a = arena_new();
	struct json *j;
	struct place p;
	rc r = place_of(a, to, upload_id, &p, reterr);

	if (rc_ok(r))
		r = mark(gcs_of(b), a, &p, upload_id, &j, reterr);
	arena_free(a);
	TRY(r);
	return gcs_of(b)->base_open_part(b, to, upload_id, number, o, ret, reterr);
}

rc gcs_put_part(struct remote *r, struct remote_call *c, const struct object_ptr *to, struct str upload_id,
		unsigned number, struct err *reterr)
{
	struct backend_part part = {.number = number, .etag = random_hex(c->a)};
	struct place p;

	TRY(place_of(c->a, to, upload_id, &p, reterr));
	gcs_upload(CONTAINER(r, struct gcs, r), c, p.bucket, in(c->a, &p, part_name(c->a, &part)));
	((struct gcs_target *)c->ud)->etag = part.etag;
	remote_query(c, "uploadType", STR("media"));
	remote_header(c, "content-type", STR("application/octet-stream"));
	return RC_OK;
}

/* Joining. */

static struct str compose_body(struct arena *a, const struct str *keys, size_t n, struct str content_type)
{
	struct buf b = BUF_INIT(256 * 1024);
	struct json_out w = {.to = &b};
	struct str text;

	jw_object(&w, NULL);
	jw_array(&w, "sourceObjects");
	for (size_t i = 0; i < n; i++) {
		jw_object(&w, NULL);
		jw_str(&w, "name", keys[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_object(&w, "destination");
	jw_str(&w, "contentType", content_type);
	jw_end_object(&w);
	jw_end_object(&w);
	text = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return text;
}

static rc compose(struct gcs *s, struct arena *a, struct str bucket, const struct str *keys, size_t n,
		  struct str to, struct str content_type, struct json **ret, struct err *reterr)
{
	struct http_answer w;
	struct remote_call c;

	gcs_call(s, &c, a, "POST", bucket, to, "/compose");
	c.repeatable = true;
	c.bytes = compose_body(a, keys, n, content_type);
	remote_header(&c, "content-type", STR("application/json"));
	if (s->o.kms_key.n)
		remote_query(&c, "kmsKeyName", s->o.kms_key);
	gcs_encrypt(s, &c);
	TRY(remote_ask(&s->r, &c, NULL, &w, reterr));
	return gcs_document(&s->r, &c, &w, ret, reterr);
}

/* Until 32 are left. Intermediate objects lie with the parts and go with them. */
static rc reduce(struct gcs *s, struct arena *a, const struct place *p, struct str *keys, size_t *n,
		 struct err *reterr)
{
	struct json *j;

	for (unsigned level = 0; *n > COMPOSE_MAX; level++) {
		size_t groups = 0;

		for (size_t at = 0; at < *n; at += COMPOSE_MAX) {
			size_t k = *n - at < COMPOSE_MAX ? *n - at : COMPOSE_MAX;
			struct str to = in(a, p, arena_printf(a, "joined-%u-%zu", level, groups));

			TRY(compose(s, a, p->bucket, keys + at, k, to, STR("application/octet-stream"), &j,
				    reterr));
			keys[groups++] = to;
		}
		*n = groups;
	}
	return RC_OK;
}

static rc join(struct gcs *s, struct arena *a, const struct place *p, const struct backend_part *parts,
	       size_t n, struct str content_type, struct backend_stat *ret, struct err *reterr)
{
	struct str *keys = arena_alloc(a, (n + 1) * sizeof(*keys));
	struct remote_call c = {.a = a, .what = STR("compose")};
	struct json *j;

	for (size_t i = 0; i < n; i++)
		keys[i] = in(a, p, part_name(a, &parts[i]));
	TRY(reduce(s, a, p, keys, &n, reterr));
	TRY(compose(s, a, p->bucket, keys, n, p->to->key, content_type, &j, reterr));
	return gcs_stat_of(&s->r, &c, j, a, ret, reterr);
}

/* Everything of the upload but the mark, then the mark. */
static rc clean(struct gcs *s, struct arena *a, const struct object_ptr *to, const struct place *p,
		struct str id, struct err *reterr)
{
	struct str folder = arena_printf(a, UPLOADS STR_FMT "/", STR_ARG(id)), after = STR("");
	struct str last = arena_printf(a, UPLOADS STR_FMT "/upload", STR_ARG(id));
	bool more = true;

	while (more) {
		struct backend_list_entry *v;
		struct str prefix, bucket;
		size_t n;

		TRY(gcs_space(a, to->space, &bucket, &prefix, reterr));
		TRY(gcs_list(&s->r.b, to->space, folder, after, LIST_PAGE, a, &v, &n, &more, reterr));
		for (size_t i = 0; i < n; i++)
			if (!str_eq(v[i].key, last))
				TRY(gcs_remove_key(s, p->bucket,
						   arena_join(a, (struct str[]){prefix, v[i].key}, 2),
						   reterr));
		if (n)
			after = v[n - 1].key;
	}
	return gcs_remove_key(s, p->bucket, in(a, p, STR("upload")), reterr);
}

static rc check_part(const struct backend_part *p, struct err *reterr)
{
	return is_hex_id(p->etag) ? RC_OK : no_part(p->number, reterr);
}

/* A part isn't there: never, or not any more since all were joined before. */
static rc joined_before(struct gcs *s, struct arena *a, const struct place *p,
			const struct backend_part *parts, size_t n, struct backend_stat *ret,
			struct err *reterr)
{
	struct remote_call c = {.a = a, .what = STR("the joined object")};
	struct json *j;
	uint64_t size = 0;
	rc r = look(s, a, p->bucket, p->to->key, &j, reterr);

	for (size_t i = 0; i < n; i++)
		size += parts[i].size;
	if (rc_ok(r))
		r = gcs_stat_of(&s->r, &c, j, a, ret, reterr);
	if (rc_ok(r) && ret->size == size)
		return r;
	return !rc_ok(r) && !rc_is(r, NOT_FOUND) ? r : no_part(n ? parts[0].number : 0, reterr);
}

rc gcs_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		    const struct backend_part *parts, size_t n, struct arena *a, struct backend_stat *ret,
		    struct err *reterr)
{
	struct gcs *s = gcs_of(b);
	struct arena *own;
	struct backend_stat st = {0};
	struct json *j;
	struct place p;
	rc r;

	for (size_t i = 0; i < n; i++)
		TRY(check_part(&parts[i], reterr));
	own = arena_new();
	r = place_of(own, to, upload_id, &p, reterr);
	if (rc_ok(r))
		r = mark(s, own, &p, upload_id, &j, reterr);
	if (rc_ok(r)) {
		r = join(s, own, &p, parts, n, json_str(json_member(j, "contentType")), &st, reterr);
		if (rc_is(r, NOT_FOUND))
			r = joined_before(s, own, &p, parts, n, &st, reterr);
	}
	if (rc_ok(r))
		r = clean(s, own, to, &p, upload_id, reterr);
	if (rc_ok(r)) {
		*ret = st;
		ret->etag = st.etag.p ? arena_dup(a, st.etag) : STR_NONE;
	}
	arena_free(own);
	return r;
}

rc gcs_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id, struct err *reterr)
{
	struct arena *a = arena_new();
	struct place p;
	rc r = place_of(a, to, upload_id, &p, reterr);

	if (rc_ok(r))
		r = clean(gcs_of(b), a, to, &p, upload_id, reterr);
	else if (rc_is(r, NOT_FOUND))
		r = RC_OK; /* no id of ours: nothing to end */
	arena_free(a);
	return r;
}
