#include "backends/gcs.h"

#include <stdlib.h>

#include "backends/gcs_priv.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

#define OBJECT_MAX ((uint64_t)5 << 40)

enum { REWRITE_STEPS = 100000 }; /* a mebibyte each, at least */

static rc put(struct remote *r, struct remote_call *c, const struct object_ptr *to,
	      const struct backend_put_options *o, struct err *reterr)
{
	struct gcs_target *t;

	TRY(gcs_aim(c->a, to, &t, reterr));
	if (o->sized && o->size > OBJECT_MAX)
		return err_set(
		    reterr, ERR_EntityTooLarge,
		    "an object in Google Cloud Storage has 5 TiB at most, not %llu bytes",
		    (unsigned long long)o->size);
	gcs_upload(CONTAINER(r, struct gcs, r), c, t->bucket, t->key);
	gcs_upload_as(c, o->content_type,
		      gcs_has_class(o) ? gcs_properties(c->a, o->content_type,
							gcs_class(o->storage_class), NULL, STR_NONE)
				       : STR_NONE);
	if (o->if_absent)
		remote_query(c, "ifGenerationMatch", STR("0"));
	return RC_OK;
}

static rc head(struct remote *r, struct remote_call *c, const struct object_ptr *p,
	       struct err *reterr)
{
	struct gcs *s = CONTAINER(r, struct gcs, r);
	struct gcs_target *t;

	TRY(gcs_aim(c->a, p, &t, reterr));
	gcs_call(s, c, c->a, "GET", t->bucket, t->key, "");
	c->repeatable = true;
	gcs_encrypt(s, c);
	return RC_OK;
}

static rc get(struct remote *r, struct remote_call *c, const struct object_ptr *p,
	      struct err *reterr)
{
	TRY(head(r, c, p, reterr));
	((struct gcs_target *)c->ud)->bytes = true;
	remote_query(c, "alt", STR("media"));
	/* Or it would be unpacked on the way when it was stored with Content-Encoding: gzip. */
	remote_header(c, "accept-encoding", STR("gzip"));
	return RC_OK;
}

static bool total_of(struct str content_range, uint64_t *ret)
{
	struct str total;

	str_cut(content_range, '/', &total);
	return total.n && str_to_u64(total, ret);
}

/* Of bytes: headers tell. */
static rc stat_of_bytes(struct remote *r, const struct remote_call *c, const struct http_answer *w,
			struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct str generation = http_answer_header(w, "x-goog-generation");

	*ret = (struct backend_stat){.etag = generation.n ? arena_dup(a, generation) : STR_NONE};
	if (!time_parse_http(http_answer_header(w, "last-modified"), &ret->mtime_s))
		ret->mtime_s = wall_now().s;
	if (w->status != 206 && w->length >= 0)
		ret->size = (uint64_t)w->length;
	else if (!total_of(http_answer_header(w, "content-range"), &ret->size))
		return err_set(reterr, ERR_IO,
			       "store \"" STR_FMT "\", " STR_FMT ": the answer has no length",
			       STR_ARG(r->b.id), STR_ARG(str_head(c->what, 200)));
	return RC_OK;
}

static rc stat_answer(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		      struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	const struct gcs_target *t = c->ud;
	struct json *j;

	if (str_eq(c->method, STR("GET")) && t->bytes)
		return stat_of_bytes(r, c, w, a, ret, reterr);
	TRY(gcs_document(r, c, w, &j, reterr));
	TRY(gcs_stat_of(r, c, j, a, ret, reterr));
	if (t->etag.p) { /* a part */
		TRY(gcs_part_stays(CONTAINER(r, struct gcs, r), t, reterr));
		ret->etag = arena_dup(a, t->etag);
	}
	return RC_OK;
}

rc gcs_remove_key(struct gcs *s, struct str bucket, struct str key, struct err *reterr)
{
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;
	rc r;

	gcs_call(s, &c, a, "DELETE", bucket, key, "");
	c.repeatable = true;
	r = remote_ask(&s->r, &c, NULL, &w, reterr);
	arena_free(a);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

rc gcs_remove(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	struct arena *a = arena_new();
	struct gcs_target *t;
	rc r = gcs_aim(a, p, &t, reterr);

	if (rc_ok(r))
		r = gcs_remove_key(gcs_of(b), t->bucket, t->key, reterr);
	arena_free(a);
	return r;
}

static void rewrite_call(struct gcs *s, const struct gcs_target *from, const struct gcs_target *to,
			 struct str properties, struct str token, struct arena *a,
			 struct remote_call *c)
{
	gcs_call(s, c, a, "POST", from->bucket, from->key,
		 arena_printf(a, "/rewriteTo/b/" STR_FMT "/o/" STR_FMT,
			      STR_ARG(uri_encode(a, to->bucket, false)),
			      STR_ARG(uri_encode(a, to->key, false)))
		     .p);
	c->repeatable = true;
	c->bytes = properties.n ? properties : STR("");
	if (properties.n)
		remote_header(c, "content-type", STR("application/json"));
	if (token.n)
		remote_query(c, "rewriteToken", token);
	if (s->kms_key.n)
		remote_query(c, "destinationKmsKeyName", s->kms_key);
	gcs_encrypt(s, c);
	if (s->customer_key.n) {
		remote_header(c, "x-goog-copy-source-encryption-algorithm", STR("AES256"));
		remote_header(c, "x-goog-copy-source-encryption-key", s->customer_key);
		remote_header(c, "x-goog-copy-source-encryption-key-sha256", s->key_sha256);
	}
}

/* In steps of the service's choice; a step that is repeated goes on where it is. */
static rc rewrite_step(struct gcs *s, struct remote_call *c, struct arena *a, struct str *token,
		       bool *done, struct backend_stat *ret, struct err *reterr)
{
	struct http_answer w;
	struct json *j;

	TRY(remote_ask(&s->r, c, NULL, &w, reterr));
	TRY(gcs_document(&s->r, c, &w, &j, reterr));
	*done = json_bool(json_member(j, "done"));
	if (*done)
		return gcs_stat_of(&s->r, c, json_member(j, "resource"), a, ret, reterr);
	*token = json_str(json_member(j, "rewriteToken"));
	*token = token->n ? arena_dup(a, *token) : STR_NONE;
	return token->n ? RC_OK
			: err_set(reterr, ERR_IO,
				  "store \"" STR_FMT "\": a copy that goes on without a token",
				  STR_ARG(s->r.b.id));
}

rc gcs_rewrite(struct gcs *s, const struct gcs_target *from, const struct gcs_target *to,
	       struct str properties, struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct str token = STR_NONE;
	bool done = false;

	for (unsigned i = 0; i < REWRITE_STEPS; i++) {
		struct arena *own = arena_new();
		struct remote_call c;
		rc r;

		rewrite_call(s, from, to, properties, token, own, &c);
		r = rewrite_step(s, &c, a, &token, &done, ret, reterr);
		arena_free(own);
		if (!rc_ok(r) || done)
			return r;
	}
	return err_set(reterr, ERR_IO, "store \"" STR_FMT "\": a copy without an end",
		       STR_ARG(s->r.b.id));
}

rc gcs_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	    struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct gcs_target *f, *t;

	TRY(gcs_aim(a, from, &f, reterr));
	TRY(gcs_aim(a, to, &t, reterr));
	return gcs_rewrite(gcs_of(b), f, t, STR_NONE, a, ret, reterr);
}

/* A listing of one name: the right that a store needs, which to see the bucket's own record isn't.
 */
static rc probe_space(struct gcs *s, struct str space, struct arena *a, struct err *reterr)
{
	struct str bucket, prefix;
	struct http_answer w;
	struct remote_call c;

	TRY(gcs_space(a, space, &bucket, &prefix, reterr));
	gcs_call(s, &c, a, "GET", bucket, STR_NONE, "/o");
	remote_query(&c, "maxResults", STR("1"));
	remote_query(&c, "prefix", prefix);
	c.repeatable = true;
	c.probing = true;
	return remote_ask(&s->r, &c, NULL, &w, reterr);
}

/* Any bucket's record: that it isn't there, or isn't ours, is an answer of a service that knows who
 * asks. */
static rc probe_service(struct gcs *s, struct arena *a, struct err *reterr)
{
	static const int answers[] = {403, 404, 0};
	struct http_answer w;
	struct remote_call c;

	gcs_call(s, &c, a, "GET", STR("sluice-probe"), STR_NONE, "");
	c.repeatable = true;
	c.probing = true;
	return remote_ask(&s->r, &c, answers, &w, reterr);
}

static rc gcs_probe(struct backend *b, struct str space, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = space.p ? probe_space(gcs_of(b), space, a, reterr)
		       : probe_service(gcs_of(b), a, reterr);

	arena_free(a);
	return r;
}

static rc check_space(struct backend *b, struct str space, struct err *reterr)
{
	struct arena *a = arena_new();
	struct str bucket, prefix;
	rc r = gcs_space(a, space, &bucket, &prefix, reterr);

	arena_free(a);
	return r;
}

static void gcs_free(struct backend *b)
{
	struct gcs *s = gcs_of(b);
	struct gcs_identity *data = s->data == s->identity ? NULL : s->data;

	remote_deinit(&s->r);
	gcs_identity_free(s->identity);
	gcs_identity_free(data);
	free(s);
}

static const struct remote_ops remote_ops = {
    .sign = gcs_sign,
    .refuse = gcs_refuse,
    .learn = gcs_learn,
    .put = put,
    .put_part = gcs_put_part,
    .stat = stat_answer,
    .get = get,
    .head = head,
    .session_open = gcs_session_open,
    .session_send = gcs_session_send,
    .session_end = gcs_session_end,
    .unstreamed = gcs_has_class,
    .envelope = gcs_envelope,
    .put_max = OBJECT_MAX,
};

static const struct backend_blocking_ops blocking_ops = {
    .remove = gcs_remove,
    .list = gcs_list,
    .copy = gcs_copy,
    .mpu_create = gcs_mpu_create,
    .mpu_complete = gcs_mpu_complete,
    .mpu_abort = gcs_mpu_abort,
    .probe = gcs_probe,
};

static struct str endpoint_of(const struct backend_gcs_options *o)
{
	const char *v = getenv("STORAGE_EMULATOR_HOST");

	return o->endpoint.n ? o->endpoint : v && *v ? str_c(v) : STR_NONE;
}

static rc address(struct gcs *s, struct str url, struct err *reterr)
{
	struct str rest = url;

	s->base = STR("https://storage.googleapis.com");
	if (!url.n)
		return RC_OK;
	if (str_find(url, STR("://")) == url.n)
		url = arena_join(s->r.a, (struct str[]){STR("http://"), url},
				 2); /* as the emulators' variable has it */
	rest = str_skip(url, str_find(url, STR("://")) + 3);
	while (rest.n && rest.p[rest.n - 1] == '/') {
		rest.n--;
		url.n--;
	}
	if (!(str_starts(url, STR("http://")) || str_starts(url, STR("https://"))) || rest.n == 0 ||
	    str_index(rest, '/') < rest.n || str_index(rest, '?') < rest.n ||
	    str_index(rest, '@') < rest.n)
		return err_set(reterr, ERR_CONFIG,
			       "gs.endpoint \"" STR_FMT
			       "\" must be a URL of a host, without a path",
			       STR_ARG(str_head(url, 200)));
	s->base = arena_dup(s->r.a, url);
	return RC_OK;
}

/* lakeFS has it in hex, Google's own tools in base64: the lengths tell. */
static rc customer_key(struct gcs *s, struct str key, struct err *reterr)
{
	struct str raw;
	uint8_t hash[32];

	if (!key.n)
		return RC_OK;
	if (!(key.n == 64 ? hex_decode(s->r.a, key, &raw) : base64_decode(s->r.a, key, &raw)) ||
	    raw.n != 32)
		return err_set(reterr, ERR_CONFIG,
			       "gs.server_side_encryption_customer_supplied must be 32 bytes in "
			       "hex or base64");
	digest_of(DIGEST_SHA256, raw, hash);
	s->customer_key = base64_encode(s->r.a, raw);
	s->key_sha256 = base64_encode(s->r.a, str_make(hash, sizeof(hash)));
	return RC_OK;
}

static rc prepare(struct gcs *s, const struct backend_gcs_options *o, struct err *reterr)
{
	struct str url = endpoint_of(o);

	if (o->kms_key.n && o->customer_key.n)
		return err_set(reterr, ERR_CONFIG,
			       "gs.server_side_encryption_customer_supplied and "
			       "gs.server_side_encryption_kms_key_id exclude each other");
	s->kms_key = o->kms_key.n ? arena_dup(s->r.a, o->kms_key) : STR_NONE;
	TRY(address(s, url, reterr));
	TRY(customer_key(s, o->customer_key, reterr));
	TRY(gcs_identity_new(o->credentials_file, o->credentials_json,
			     str_starts(s->base, STR("http://")), &s->identity, reterr));
	s->data = s->identity;
	if (o->data_credentials_file.n || o->data_credentials_json.n)
		TRY(gcs_identity_new(o->data_credentials_file, o->data_credentials_json, false,
				     &s->data, reterr));
	return RC_OK;
}

rc backend_gcs_open(const struct backend_gcs_options *o, struct backend **ret, struct err *reterr)
{
	unsigned caps = BACKEND_CAP_COPY | BACKEND_CAP_MULTIPART;
	struct gcs *s = calloc(1, sizeof(*s));
	rc r;

	if (!s)
		abort();
	remote_init(&s->r, "gs", &o->remote, &remote_ops, &blocking_ops, caps);
	s->base_open_part = s->r.blocking.mpu_open_part;
	s->r.blocking.mpu_open_part = gcs_mpu_open_part;
	s->r.b.check_space = check_space;
	s->r.b.free = gcs_free;
	r = prepare(s, o, reterr);
	if (!rc_ok(r)) {
		gcs_free(&s->r.b);
		return r;
	}
	/* With a customer's key whoever has the address would need the key, too. */
	if (!o->disable_pre_signed && gcs_identity_signs(s->data) && !s->customer_key.n) {
		s->r.b.caps |= BACKEND_CAP_PRESIGN;
		s->r.b.presign = gcs_presign;
	}
	*ret = &s->r.b;
	return RC_OK;
}
