/* Calls of the JSON API: addresses, tokens, errors, what answers tell. */
#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "base/encode.h"

#define SCHEME STR("gs://")
#define KEYS "look at gs.credentials_file of this store, and at the account's role there"

enum { KEY_MAX = 1024 };

rc gcs_space(struct arena *a, struct str space, struct str *ret_bucket, struct str *ret_prefix,
	     struct err *reterr)
{
	struct str rest, prefix;

	if (!str_starts(space, SCHEME))
		return err_set(
		    reterr, ERR_INVALID,
		    "storage namespace \"" STR_FMT
		    "\" is not of a Google Cloud Storage store, which begins with \"gs://\"",
		    STR_ARG(str_head(space, 200)));
	*ret_bucket = str_cut(str_skip(space, SCHEME.n), '/', &rest);
	if (ret_bucket->n < 3 || ret_bucket->n > 222)
		return err_set(reterr, ERR_INVALID,
			       "storage namespace \"" STR_FMT
			       "\" lacks a bucket's name after gs://",
			       STR_ARG(str_head(space, 200)));
	prefix = rest.p ? rest : STR("");
	while (prefix.n && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	while (prefix.n && prefix.p[0] == '/')
		prefix = str_skip(prefix, 1);
	*ret_prefix = prefix.n ? arena_join(a, (struct str[]){prefix, STR("/")}, 2) : STR("");
	return RC_OK;
}

/* "Object naming guidelines": UTF-8, no line ends, not "." or "..", at most 1,024 bytes. */
static rc check_key(struct str key, struct err *reterr)
{
	if (key.n == 0 || key.n > KEY_MAX || !str_is_utf8(key) || str_index(key, '\n') < key.n ||
	    str_index(key, '\r') < key.n || str_index(key, 0) < key.n || str_eq(key, STR(".")) ||
	    str_eq(key, STR("..")))
		return err_set(reterr, ERR_INVALID,
			       "\"" STR_FMT "\" can't be an object's name in Google Cloud Storage",
			       STR_ARG(str_head(key, 200)));
	return RC_OK;
}

rc gcs_aim(struct arena *a, const struct object_ptr *p, struct gcs_target **ret, struct err *reterr)
{
	struct gcs_target *t = ARENA_NEW(a, struct gcs_target);
	struct str prefix, rest;

	*t = (struct gcs_target){0};
	if (p->type == ADDRESS_FULL) {
		if (!str_starts(p->key, SCHEME))
			return err_set(reterr, ERR_INVALID,
				       "the address \"" STR_FMT "\" isn't in this store",
				       STR_ARG(str_head(p->key, 200)));
		t->bucket = str_cut(str_skip(p->key, SCHEME.n), '/', &rest);
		t->key = rest.p ? rest : STR("");
	} else {
		if (!p->key.n)
			return err_set(reterr, ERR_INVALID, "an object's key must not be empty");
		TRY(gcs_space(a, p->space, &t->bucket, &prefix, reterr));
		t->key = arena_join(a, (struct str[]){prefix, p->key}, 2);
	}
	if (!t->bucket.n)
		return err_set(reterr, ERR_INVALID, "the address \"" STR_FMT "\" lacks a bucket",
			       STR_ARG(str_head(p->key, 200)));
	*ret = t;
	return check_key(t->key, reterr);
}

static void aim_at(struct remote_call *c, struct gcs *s, struct str bucket, struct str key)
{
	struct gcs_target *t = ARENA_NEW(c->a, struct gcs_target);

	*t = (struct gcs_target){.bucket = bucket, .key = key};
	c->ud = t;
	c->base = s->base;
	c->what =
	    key.p ? arena_printf(c->a, "gs://" STR_FMT "/" STR_FMT, STR_ARG(bucket), STR_ARG(key))
		  : arena_printf(c->a, "gs://" STR_FMT, STR_ARG(bucket));
}

void gcs_call(struct gcs *s, struct remote_call *c, struct arena *a, const char *method,
	      struct str bucket, struct str key, const char *tail)
{
	remote_call_init(c, a, method);
	aim_at(c, s, bucket, key);
	((struct gcs_target *)c->ud)->of_bucket = !key.p;
	c->path = arena_printf(a, "/storage/v1/b/" STR_FMT "%s" STR_FMT "%s",
			       STR_ARG(uri_encode(a, bucket, false)), key.p ? "/o/" : "",
			       STR_ARG(key.p ? uri_encode(a, key, false) : STR("")), tail);
}

void gcs_upload(struct gcs *s, struct remote_call *c, struct str bucket, struct str key)
{
	aim_at(c, s, bucket, key);
	((struct gcs_target *)c->ud)->bytes = true;
	((struct gcs_target *)c->ud)->of_bucket = true;
	c->method = STR("POST");
	c->path = arena_printf(c->a, "/upload/storage/v1/b/" STR_FMT "/o",
			       STR_ARG(uri_encode(c->a, bucket, false)));
	remote_query(c, "name", key);
	if (s->kms_key.n)
		remote_query(c, "kmsKeyName", s->kms_key);
	gcs_encrypt(s, c);
}

void gcs_encrypt(const struct gcs *s, struct remote_call *c)
{
	if (!s->customer_key.n)
		return;
	remote_header(c, "x-goog-encryption-algorithm", STR("AES256"));
	remote_header(c, "x-goog-encryption-key", s->customer_key);
	remote_header(c, "x-goog-encryption-key-sha256", s->key_sha256);
}

rc gcs_sign(struct remote *r, struct remote_call *c, struct err *reterr)
{
	struct gcs *s = CONTAINER(r, struct gcs, r);
	struct gcs_target *t = c->ud;

	TRY(gcs_identity_token(t->bytes ? s->data : s->identity, r, c->a, &t->token, reterr));
	if (t->token.n)
		remote_header_set(c, "authorization",
				  arena_printf(c->a, "Bearer " STR_FMT, STR_ARG(t->token)));
	return RC_OK;
}

bool gcs_learn(struct remote *r, struct remote_call *c, const struct http_answer *w)
{
	struct gcs *s = CONTAINER(r, struct gcs, r);
	struct gcs_target *t = c->ud;

	return w->status == 401 && gcs_identity_forget(t->bytes ? s->data : s->identity, t->token);
}

static const struct row {
	int status;
	enum err_code is;
	const char *remedy;
} rows[] = {
    {400, ERR_INVALID, NULL},
    {401, ERR_ServiceUnavailable, KEYS},
    {403, ERR_ServiceUnavailable, KEYS},
    {404, ERR_NOT_FOUND, NULL},
    {408, ERR_IO, NULL},
    {412, ERR_EXISTS, NULL},
    {413, ERR_EntityTooLarge, NULL},
    {416, ERR_InvalidRange, NULL},
    {429, ERR_SlowDown, NULL},
    {501, ERR_UNSUPPORTED, "the store can't do this"},
    {503, ERR_ServiceUnavailable, NULL},
};

/* Of JSON, or of the API's XML and plain text. */
static struct str message_of(struct arena *a, struct str body)
{
	struct json *j = NULL, *e;

	if (!body.n || !rc_ok(json_parse(a, body, &j, NULL)))
		return str_head(body, str_index(body, '\n'));
	e = json_member(j, "error");
	return json_type(e) == JSON_STRING ? json_str(e) : json_str(json_member(e, "message"));
}

/* A 404 may be the bucket's. */
static bool bucket_missing(struct str message)
{
	return str_find(message, STR("bucket does not exist")) < message.n ||
	       str_find(message, STR("bucket not found")) < message.n;
}

rc gcs_refuse(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	      struct err *reterr)
{
	static const struct row other = {0, ERR_IO, NULL};
	const struct gcs_target *t = c->ud;
	const struct row *m = &other;
	struct str told = message_of(c->a, w->body);
	enum err_code is;
	const char *remedy;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].status == w->status)
			m = &rows[i];
	is = m->is;
	remedy = m->remedy;
	if (w->status == 404 && !c->probing && (t->of_bucket || bucket_missing(told))) {
		is = ERR_ServiceUnavailable;
		remedy = "make the bucket, or correct the repository's storage namespace";
	}
	if (c->probing && (w->status == 401 || w->status == 403))
		is = ERR_AccessDenied;
	return err_set(reterr, is,
		       "store \"" STR_FMT "\", " STR_FMT " " STR_FMT ": %d%s" STR_FMT "%s%s",
		       STR_ARG(r->b.id), STR_ARG(c->method), STR_ARG(str_head(c->what, 150)),
		       w->status, told.n ? ": " : "", STR_ARG(str_head(told, 150)),
		       remedy ? "; " : "", remedy ? remedy : "");
}

rc gcs_document(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		struct json **ret, struct err *reterr)
{
	if (rc_ok(json_parse(c->a, w->body, ret, NULL)) && json_type(*ret) == JSON_OBJECT)
		return RC_OK;
	return err_set(reterr, ERR_IO,
		       "store \"" STR_FMT "\", " STR_FMT " " STR_FMT
		       ": the answer is no JSON: is gs.endpoint Google Cloud Storage's JSON API?",
		       STR_ARG(r->b.id), STR_ARG(c->method), STR_ARG(str_head(c->what, 200)));
}

rc gcs_stat_of(struct remote *r, const struct remote_call *c, const struct json *j, struct arena *a,
	       struct backend_stat *ret, struct err *reterr)
{
	struct timestamp t = {0};
	struct str generation = json_str(json_member(j, "generation"));

	*ret = (struct backend_stat){0};
	if (!str_to_u64(json_str(json_member(j, "size")), &ret->size))
		return err_set(reterr, ERR_IO,
			       "store \"" STR_FMT "\", " STR_FMT ": the answer has no size",
			       STR_ARG(r->b.id), STR_ARG(str_head(c->what, 200)));
	if (!time_parse_rfc3339(json_str(json_member(j, "updated")), &t))
		t = wall_now();
	ret->mtime_s = t.s;
	ret->etag = generation.n ? arena_dup(a, generation) : STR_NONE;
	return RC_OK;
}
