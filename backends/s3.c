#include "backends/s3.h"

#include <stdlib.h>

#include "backends/s3_priv.h"
#include "base/xml.h"

#define GIB ((uint64_t)1 << 30)

void s3_headers(const struct s3 *s, struct remote_call *c, const struct backend_put_options *o)
{
	if (o && o->content_type.n)
		remote_header(c, "content-type", o->content_type);
	if (o && o->storage_class.n)
		remote_header(c, "x-amz-storage-class", o->storage_class);
	if (s->o.server_side_encryption.n)
		remote_header(c, "x-amz-server-side-encryption", s->o.server_side_encryption);
	if (s->o.server_side_encryption_kms_key_id.n)
		remote_header(c, "x-amz-server-side-encryption-aws-kms-key-id",
			      s->o.server_side_encryption_kms_key_id);
}

/* The first time it asks, and learns whom it has to do with; if it can't, signing will tell. */
static rc aim_to_write(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		       struct err *reterr)
{
	struct str region;

	TRY(s3_aim(c, to, reterr));
	IGNORE_RC(s3_region(CONTAINER(r, struct s3, r), ((struct s3_target *)c->ud)->bucket, c->a, &region,
			    NULL));
	return RC_OK;
}

static rc put(struct remote *r, struct remote_call *c, const struct object_ptr *to,
	      const struct backend_put_options *o, struct err *reterr)
{
	struct s3 *s = CONTAINER(r, struct s3, r);

	TRY(aim_to_write(r, c, to, reterr));
	s3_headers(s, c, o);
	if (o->if_absent)
		remote_header(c, "if-none-match", STR("*"));
	return RC_OK;
}

static rc put_part(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		   struct str upload_id, unsigned number, struct err *reterr)
{
	TRY(aim_to_write(r, c, to, reterr));
	remote_query(c, "partNumber", arena_printf(c->a, "%u", number));
	remote_query(c, "uploadId", upload_id);
	return RC_OK;
}

static rc aim(struct remote *r, struct remote_call *c, const struct object_ptr *p,
	      struct err *reterr)
{
	return s3_aim(c, p, reterr);
}

static rc s3_remove(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;
	rc r = s3_call(s3_of(b), &c, a, "DELETE", p, reterr);

	c.repeatable = true;
	if (rc_ok(r))
		r = remote_ask(&s3_of(b)->r, &c, NULL, &w, reterr);
	arena_free(a);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

/* A listing of one key tells why it was refused, which HEAD doesn't. Without a bucket any answer
 * will do that isn't a refusal of the key. */
static rc s3_probe(struct backend *b, struct str space, struct err *reterr)
{
	struct arena *a = arena_new();
	struct str bucket = STR(""), prefix = STR("");
	struct http_answer w;
	struct remote_call c;
	rc r = space.p ? s3_space(a, space, &bucket, &prefix, reterr) : RC_OK;

	if (rc_ok(r)) {
		s3_call_bucket(&c, a, "GET", bucket);
		((struct s3_target *)c.ud)->probing = true;
		c.repeatable = true;
		if (bucket.n) {
			remote_query(&c, "list-type", STR("2"));
			remote_query(&c, "max-keys", STR("1"));
			remote_query(&c, "prefix", prefix);
		}
		r = remote_ask(&s3_of(b)->r, &c, NULL, &w, reterr);
	}
	/* Not every key may list buckets. */
	if (!space.p && rc_is(r, AccessDenied) &&
	    str_find(w.body, STR("<Code>AccessDenied<")) < w.body.n)
		r = RC_OK;
	arena_free(a);
	return r;
}

static rc check_space(struct backend *b, struct str space, struct err *reterr)
{
	struct arena *a = arena_new();
	struct str bucket, prefix;
	rc r = s3_space(a, space, &bucket, &prefix, reterr);

	arena_free(a);
	return r;
}

static void s3_free(struct backend *b)
{
	struct s3 *s = s3_of(b);

	remote_deinit(&s->r);
	s3_regions_deinit(s);
	aws_credentials_free(s->keys);
	arena_free(s->a);
	free(s);
}

static const struct remote_ops remote_ops = {
	.sign = s3_sign,
	.refuse = s3_refuse,
	.learn = s3_learn,
	.put = put,
	.put_part = put_part,
	.stat = s3_stat,
	.get = aim,
	.head = aim,
	.put_max = 5 * GIB,
};

static const struct backend_blocking_ops blocking_ops = {
	.remove = s3_remove,
	.list = s3_list,
	.copy = s3_copy,
	.mpu_create = s3_mpu_create,
	.mpu_complete = s3_mpu_complete,
	.mpu_abort = s3_mpu_abort,
	.mpu_copy_part = s3_mpu_copy_part,
	.probe = s3_probe,
};

/* As AWS's SDKs do. */
static struct str endpoint_of(const struct backend_s3_options *o)
{
	const char *v;

	if (o->endpoint.n)
		return o->endpoint;
	if ((v = getenv("AWS_ENDPOINT_URL_S3")) && *v)
		return str_c(v);
	return (v = getenv("AWS_ENDPOINT_URL")) && *v ? str_c(v) : STR_NONE;
}

static rc addresses(struct s3 *s, struct arena *a, struct err *reterr)
{
	struct str url = endpoint_of(&s->o);

	s->endpoint = (struct s3_endpoint){
	    .scheme = STR("https://"), .path = STR(""), .path_style = s->o.force_path_style};
	if (url.n)
		TRY(s3_endpoint_parse(a, url, s->o.force_path_style, &s->endpoint, reterr));
	s->presigned = s->endpoint;
	if (s->o.pre_signed_endpoint.n)
		TRY(s3_endpoint_parse(a, s->o.pre_signed_endpoint, s->o.force_path_style,
				      &s->presigned, reterr));
	return RC_OK;
}

static rc prepare(struct s3 *s, struct arena *a, struct err *reterr)
{
	struct backend_s3_options *o = &s->o;

	o->region = o->region.n ? arena_dup(a, o->region) : STR("us-east-1");
	o->server_side_encryption = arena_dup(a, o->server_side_encryption);
	o->server_side_encryption_kms_key_id = arena_dup(a, o->server_side_encryption_kms_key_id);
	o->copy_max = o->copy_max ? o->copy_max : 5 * GIB;
	o->copy_part = o->copy_part ? o->copy_part : GIB;
	TRY(addresses(s, a, reterr));
	if (!o->credentials.region.n)
		o->credentials.region = o->region;
	return aws_credentials_new(&o->credentials, &s->keys, reterr);
}

rc backend_s3_open(const struct backend_s3_options *o, struct backend **ret, struct err *reterr)
{
	struct s3 *s = calloc(1, sizeof(*s));
	unsigned caps = BACKEND_CAP_COPY | BACKEND_CAP_MULTIPART;
	rc r;

	if (!s)
		abort();
	if (!o->disable_pre_signed)
		caps |= BACKEND_CAP_PRESIGN;
	if (!o->disable_pre_signed && !o->disable_pre_signed_multipart)
		caps |= BACKEND_CAP_PRESIGN_PART;
	s->a = arena_new();
	s->o = *o;
	r = prepare(s, s->a, reterr);
	if (!rc_ok(r)) {
		arena_free(s->a);
		free(s);
		return r;
	}
	s3_regions_init(s);
	remote_init(&s->r, "s3", &o->remote, &remote_ops, &blocking_ops, caps);
	s->r.b.check_space = check_space;
	s->r.b.presign = s3_presign;
	s->r.b.free = s3_free;
	*ret = &s->r.b;
	return RC_OK;
}
