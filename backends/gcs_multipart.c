/* Multipart uploads out of objects: below `_sluice/uploads/<id>/` of the namespace lie `upload`, a
 * mark that the upload is under way, and `<number>-<etag>` for each part. Completing composes them,
 * 32 at a time, into the target, which then says in its metadata of which upload it is.
 *
 * Ends: the mark goes first, then all the rest. Whoever stored a part looks for the mark
 * afterwards, and takes the part back when there is none: so either it sees that the upload has
 * ended, or whoever ends it sees the part.
 *
 * A crash between: until the target is there nothing has been removed, and all can be done again;
 * after that the target's metadata says that all is done but the removing. */
#include "backends/gcs_priv.h"
#include "base/encode.h"
#include "base/rand.h"

enum { COMPOSE_MAX = 32, LIST_PAGE = 1000, ETAG_BYTES = 16, ID_CHARS = 2 * ETAG_BYTES };

#define UPLOADS GCS_OWN "uploads/"
#define UPLOAD_IS "sluice-upload" /* the target's metadata */
#define CLASS_IS "sluice-class"	  /* the mark's: of the target */

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
	return err_set(reterr, ERR_NOT_FOUND, "there is no upload \"" STR_FMT "\"",
		       STR_ARG(str_head(id, 50)));
}

static rc no_part(unsigned number, struct err *reterr)
{
	return err_set(reterr, ERR_InvalidPart, "part %u isn't there, or its ETag is another",
		       number);
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

/* The mark: its content type is the object's to be, its metadata tells the class. */
static rc mark(struct gcs *s, struct arena *a, const struct place *p, struct str id,
	       struct json **ret, struct err *reterr)
{
	rc r = look(s, a, p->bucket, in(a, p, STR("upload")), ret, reterr);

	return rc_is(r, NOT_FOUND) ? no_upload(id, reterr) : r;
}

static rc put_mark(struct gcs *s, struct arena *a, const struct place *p,
		   const struct backend_put_options *o, struct err *reterr)
{
	struct str class = o ? gcs_class(o->storage_class) : STR_NONE;
	struct str type =
	    o && o->content_type.n ? o->content_type : STR("application/octet-stream");
	struct http_answer w;
	struct remote_call c;

	remote_call_init(&c, a, "POST");
	gcs_upload(s, &c, p->bucket, in(a, p, STR("upload")));
	gcs_upload_as(&c, type,
		      class.n ? gcs_properties(a, type, STR_NONE, CLASS_IS, class) : STR_NONE);
	c.repeatable = true;
	c.bytes = gcs_envelope(&s->r, &c, STR(""));
	return remote_ask(&s->r, &c, NULL, &w, reterr);
}

rc gcs_mpu_create(struct backend *b, const struct object_ptr *to,
		  const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		  struct err *reterr)
{
	struct place p;

	*ret_upload_id = random_hex(a);
	TRY(place_of(a, to, *ret_upload_id, &p, reterr));
	return put_mark(gcs_of(b), a, &p, o, reterr);
}

rc gcs_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
		     unsigned number, const struct backend_put_options *o,
		     struct backend_writer **ret, struct err *reterr)
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

rc gcs_put_part(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		struct str upload_id, unsigned number, struct err *reterr)
{
	struct backend_part part = {.number = number, .etag = random_hex(c->a)};
	struct place p;

	TRY(place_of(c->a, to, upload_id, &p, reterr));
	gcs_upload(CONTAINER(r, struct gcs, r), c, p.bucket, in(c->a, &p, part_name(c->a, &part)));
	((struct gcs_target *)c->ud)->etag = part.etag;
	gcs_upload_as(c, STR_NONE, STR_NONE);
	return RC_OK;
}

rc gcs_part_stays(struct gcs *s, const struct gcs_target *part, struct err *reterr)
{
	struct arena *a = arena_new();
	size_t name = part->key.n;
	struct json *j;
	rc r;

	while (name && part->key.p[name - 1] != '/')
		name--;
	r = look(s, a, part->bucket,
		 arena_join(a, (struct str[]){str_head(part->key, name), STR("upload")}, 2), &j,
		 reterr);
	if (rc_is(r, NOT_FOUND)) {
		IGNORE_RC(gcs_remove_key(s, part->bucket, part->key, NULL));
		r = err_set(reterr, ERR_NOT_FOUND, "the upload ended before the part was stored");
	}
	arena_free(a);
	return r;
}

/* Joining. */

static struct str compose_body(struct arena *a, const struct str *keys, size_t n,
			       struct str properties)
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
	text = arena_join(
	    a, (struct str[]){buf_str(&b), STR(",\"destination\":"), properties, STR("}")}, 4);
	buf_deinit(&b);
	return text;
}

static rc compose(struct gcs *s, struct arena *a, struct str bucket, const struct str *keys,
		  size_t n, struct str to, struct str properties, struct json **ret,
		  struct err *reterr)
{
	struct http_answer w;
	struct remote_call c;

	gcs_call(s, &c, a, "POST", bucket, to, "/compose");
	c.repeatable = true;
	c.bytes = compose_body(a, keys, n, properties);
	remote_header(&c, "content-type", STR("application/json"));
	if (s->kms_key.n)
		remote_query(&c, "kmsKeyName", s->kms_key);
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

			TRY(compose(s, a, p->bucket, keys + at, k, to, STR("{}"), &j, reterr));
			keys[groups++] = to;
		}
		*n = groups;
	}
	return RC_OK;
}

/* In the bucket's default class, then as a copy in the class that was asked for: all objects of a
 * compose have one. */
static rc join(struct gcs *s, struct arena *a, const struct place *p,
	       const struct backend_part *parts, size_t n, struct str id, const struct json *mark,
	       struct backend_stat *ret, struct err *reterr)
{
	struct str class = json_str(json_member(json_member(mark, "metadata"), CLASS_IS));
	struct str properties = gcs_properties(a, json_str(json_member(mark, "contentType")),
					       gcs_class(class), UPLOAD_IS, id);
	struct gcs_target joined = {.bucket = p->bucket, .key = in(a, p, STR("joined"))};
	struct str *keys = arena_alloc(a, n * sizeof(*keys));
	struct remote_call c = {.a = a, .what = STR("compose")};
	struct json *j;

	for (size_t i = 0; i < n; i++)
		keys[i] = in(a, p, part_name(a, &parts[i]));
	TRY(reduce(s, a, p, keys, &n, reterr));
	if (gcs_class(class).n) {
		TRY(compose(s, a, p->bucket, keys, n, joined.key, STR("{}"), &j, reterr));
		return gcs_rewrite(s, &joined, p->to, properties, a, ret, reterr);
	}
	TRY(compose(s, a, p->bucket, keys, n, p->to->key, properties, &j, reterr));
	return gcs_stat_of(&s->r, &c, j, a, ret, reterr);
}

/* The mark, then everything else of the upload. */
static rc clean(struct gcs *s, struct arena *a, const struct object_ptr *to, const struct place *p,
		struct str id, struct err *reterr)
{
	struct str folder = arena_printf(a, UPLOADS STR_FMT "/", STR_ARG(id)), after = STR("");
	struct str prefix = str_head(p->folder, p->folder.n - folder.n);
	bool more = true;

	TRY(gcs_remove_key(s, p->bucket, in(a, p, STR("upload")), reterr));
	while (more) {
		struct backend_list_entry *v;
		size_t n;

		TRY(gcs_list_all(s, to->space, folder, after, LIST_PAGE, true, a, &v, &n, &more,
				 reterr));
		for (size_t i = 0; i < n; i++)
			TRY(gcs_remove_key(s, p->bucket,
					   arena_join(a, (struct str[]){prefix, v[i].key}, 2),
					   reterr));
		if (n)
			after = v[n - 1].key;
	}
	return RC_OK;
}

static rc check_parts(const struct backend_part *parts, size_t n, struct err *reterr)
{
	for (size_t i = 0; i < n; i++)
		if (!is_hex_id(parts[i].etag))
			return no_part(parts[i].number, reterr);
	return n ? RC_OK : err_set(reterr, ERR_InvalidPart, "an object needs one part at least");
}

/* Something isn't there: never was, or not any more since all had been joined before. */
static rc joined_before(struct gcs *s, struct arena *a, const struct place *p, struct str id,
			rc failed, struct backend_stat *ret, struct err *reterr)
{
	struct remote_call c = {.a = a, .what = STR("the joined object")};
	struct json *j;
	struct err own = {0};
	rc r = look(s, a, p->bucket, p->to->key, &j, &own);

	if (!rc_ok(r) && !rc_is(r, NOT_FOUND))
		return err_set(reterr, r.code, "%s", own.msg);
	if (!rc_ok(r) || !str_eq(json_str(json_member(json_member(j, "metadata"), UPLOAD_IS)), id))
		return failed;
	return gcs_stat_of(&s->r, &c, j, a, ret, reterr);
}

static rc complete(struct gcs *s, struct arena *a, const struct object_ptr *to, struct str id,
		   const struct backend_part *parts, size_t n, struct backend_stat *ret,
		   struct err *reterr)
{
	struct json *j;
	struct place p;
	rc r;

	TRY(place_of(a, to, id, &p, reterr));
	r = mark(s, a, &p, id, &j, reterr);
	if (rc_ok(r)) {
		r = join(s, a, &p, parts, n, id, j, ret, reterr);
		if (rc_is(r, NOT_FOUND))
			r = err_set(reterr, ERR_InvalidPart,
				    "one of the %zu parts isn't there, or its ETag is another", n);
	}
	if (rc_is(r, NOT_FOUND) || rc_is(r, InvalidPart))
		r = joined_before(s, a, &p, id, r, ret, reterr);
	TRY(r);
	return clean(s, a, to, &p, id, reterr);
}

rc gcs_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		    const struct backend_part *parts, size_t n, struct arena *a,
		    struct backend_stat *ret, struct err *reterr)
{
	struct arena *own;
	struct backend_stat st = {0};
	rc r;

	TRY(check_parts(parts, n, reterr));
	own = arena_new();
	r = complete(gcs_of(b), own, to, upload_id, parts, n, &st, reterr);
	if (rc_ok(r)) {
		*ret = st;
		ret->etag = st.etag.p ? arena_dup(a, st.etag) : STR_NONE;
	}
	arena_free(own);
	return r;
}

rc gcs_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		 struct err *reterr)
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
