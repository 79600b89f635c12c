/* Signing, and the regions that it needs. */
#include <stdio.h>
#include <stdlib.h>

#include "backends/remote_frames.h"
#include "backends/s3_priv.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/work.h"
#include "sigv4/sigv4.h"

#define EMPTY_SHA256 STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

enum { BUCKETS_MAX = 1000, UNSURE_MS = 5000 };

/* Regions. */

struct bucket {
	struct lru_node node;
	struct str region;
	char text[];
};

static struct bucket *bucket_new(struct str name, struct str region)
{
	struct bucket *b = calloc(1, sizeof(*b) + name.n + region.n);

	if (!b)
		abort();
	b->node.key = str_make(memcpy(b->text, name.p, name.n), name.n);
	b->region = str_make(memcpy(b->text + name.n, region.p, region.n), region.n);
	return b;
}

static void forget(struct s3 *s, struct lru_node *n)
{
	lru_remove(&s->regions.buckets, n);
	free(CONTAINER(n, struct bucket, node));
}

void s3_regions_init(struct s3 *s)
{
	pthread_mutex_init(&s->regions.lock, NULL);
	lru_init(&s->regions.buckets);
}

void s3_regions_deinit(struct s3 *s)
{
	struct lru_node *n;

	while ((n = lru_oldest(&s->regions.buckets)))
		forget(s, n);
	lru_deinit(&s->regions.buckets);
	pthread_mutex_destroy(&s->regions.lock);
}

void s3_region_set(struct s3 *s, struct str bucket, struct str region)
{
	struct lru_node *old;

	pthread_mutex_lock(&s->regions.lock);
	if ((old = lru_get(&s->regions.buckets, bucket)))
		forget(s, old);
	if (s->regions.buckets.n == BUCKETS_MAX)
		forget(s, lru_oldest(&s->regions.buckets));
	lru_add(&s->regions.buckets, &bucket_new(bucket, region)->node);
	pthread_mutex_unlock(&s->regions.lock);
}

static struct str known(struct s3 *s, struct str bucket, struct arena *a)
{
	struct str region = STR_NONE;
	struct lru_node *n;

	pthread_mutex_lock(&s->regions.lock);
	if ((n = lru_get(&s->regions.buckets, bucket)))
		region = arena_dup(a, CONTAINER(n, struct bucket, node)->region);
	pthread_mutex_unlock(&s->regions.lock);
	return region;
}

/* versitygw stores what came of a body whose connection broke off, but not of one in frames. */
static void recognise(struct s3 *s, const struct http_answer *w)
{
	if (str_eq_nocase(http_answer_header(w, "server"), STR("VERSITYGW")))
		s->r.framed = true;
}

/* Unsigned, as AWS allows; whatever it says, a service that knows regions names the bucket's. */
static rc discover(struct s3 *s, struct str bucket, struct arena *a, struct str *ret,
		   struct err *reterr)
{
	const struct s3_target t = {.bucket = bucket, .key = STR("")};
	struct http_request q = {.method = STR("HEAD")};
	struct http_answer w;
	struct str host, base = s3_base(&s->endpoint, bucket, s->o.region, a, &host), told;

	q.url = arena_join(a, (struct str[]){base, s3_path(&s->endpoint, &t, a)}, 2);
	if (!rc_ok(http_ask(s->r.http, &q, REMOTE_ANSWER_MAX, a, &w, reterr))) {
		if (reterr)
			reterr->code = ERR_ServiceUnavailable; /* of the call that wants to know,
								  nothing was sent */
		return RC(ServiceUnavailable);
	}
	recognise(s, &w);
	told =
	    s->o.discover_bucket_region ? http_answer_header(&w, "x-amz-bucket-region") : STR_NONE;
	*ret = told.n ? told : s->o.region;
	if (told.n || w.status == 200 || w.status == 403)
		s3_region_set(s, bucket, *ret);
	return RC_OK;
}

rc s3_region(struct s3 *s, struct str bucket, struct arena *a, struct str *ret, struct err *reterr)
{
	*ret = bucket.n ? known(s, bucket, a) : s->o.region;
	if (ret->n)
		return RC_OK;
	*ret = s->o.region;
	return on_loop() ? RC_OK : discover(s, bucket, a, ret, reterr);
}

/* Signing. */

/* A hash also tells a body from what came of it. */
static struct str payload_hash(const struct s3 *s, const struct remote_call *c)
{
	uint8_t hash[32];

	if (c->framed)
		return STR("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
	if (c->streamed)
		return STR("UNSIGNED-PAYLOAD");
	if (!c->bytes.n)
		return EMPTY_SHA256;
	if (c->bytes.n > REMOTE_WHOLE && str_eq(s->endpoint.scheme, STR("https://")) &&
	    !s->r.framed)
		return STR("UNSIGNED-PAYLOAD");
	digest_of(DIGEST_SHA256, c->bytes, hash);
	return hex_encode(c->a, str_make(hash, sizeof(hash)));
}

/* No Content-Encoding: versitygw would keep it with the object. */
static void announce_frames(struct remote_call *c)
{
	remote_header_set(c, "x-amz-decoded-content-length",
			  arena_printf(c->a, "%llu", (unsigned long long)c->decoded));
	remote_header_set(c, "x-amz-trailer", STR(REMOTE_FRAMES_TRAILER));
}

static struct str query_of(const struct remote_call *c)
{
	struct str query;

	str_cut(remote_url(c), '?', &query);
	return query.p ? query : STR("");
}

/* All headers but the signature of the attempt before. */
static struct sigv4_header *to_sign(const struct remote_call *c, size_t *ret_n)
{
	struct sigv4_header *v = arena_alloc(c->a, (c->headers_n + 1) * sizeof(*v));

	*ret_n = 0;
	for (size_t i = 0; i < c->headers_n; i++)
		if (!str_eq(c->headers[i].name, STR("authorization")))
			v[(*ret_n)++] =
			    (struct sigv4_header){c->headers[i].name, c->headers[i].value};
	return v;
}

rc s3_sign(struct remote *r, struct remote_call *c, struct err *reterr)
{
	struct s3 *s = CONTAINER(r, struct s3, r);
	struct s3_target *t = c->ud;
	struct sigv4_request q = {.method = c->method};
	struct aws_keys keys;
	struct str host, hash;
	int64_t now = wall_now().s;
	char date[17];

	TRY(s3_region(s, t->bucket, c->a, &t->region, reterr));
	TRY(aws_credentials_get(s->keys, c->a, &keys, reterr));
	t->access_key = keys.access_key;
	c->base = s3_base(&s->endpoint, t->bucket, t->region, c->a, &host);
	c->path = s3_path(&s->endpoint, t, c->a);
	hash = payload_hash(s, c);
	time_amz(now, date);
	remote_header_set(c, "host", host);
	remote_header_set(c, "x-amz-date", arena_dup(c->a, str_make(date, 16)));
	remote_header_set(c, "x-amz-content-sha256", hash);
	if (keys.token.n)
		remote_header_set(c, "x-amz-security-token", keys.token);
	if (c->framed)
		announce_frames(c);
	q.path = c->path;
	q.query = query_of(c);
	q.headers = to_sign(c, &q.headers_n);
	remote_header_set(
	    c, "authorization",
	    sigv4_sign_header(&q,
			      &(struct sigv4_credentials){keys.access_key, keys.secret, keys.token},
			      t->region, STR("s3"), now, hash, c->a));
	return RC_OK;
}

/* A listing has a thousand to presign: where nobody knows the bucket's region, one of them has asked. */
static rc region_to_presign(struct s3 *s, struct str bucket, struct arena *a, struct str *ret,
			    struct err *reterr)
{
	bool unsure;

	*ret = known(s, bucket, a);
	if (ret->n)
		return RC_OK;
	pthread_mutex_lock(&s->regions.lock);
	unsure = str_eq(str_c(s->regions.unsure), bucket) &&
		 mono_ms() - s->regions.unsure_ms < UNSURE_MS;
	pthread_mutex_unlock(&s->regions.lock);
	*ret = s->o.region;
	if (unsure)
		return RC_OK;
	TRY(s3_region(s, bucket, a, ret, reterr));
	if (known(s, bucket, a).n)
		return RC_OK;
	pthread_mutex_lock(&s->regions.lock);
	snprintf(s->regions.unsure, sizeof(s->regions.unsure), STR_FMT, STR_ARG(bucket));
	s->regions.unsure_ms = mono_ms();
	pthread_mutex_unlock(&s->regions.lock);
	return RC_OK;
}

/* What is asked beside the object. */
static struct str presigned_query(const struct backend_presign *q, struct arena *a)
{
	struct remote_call c;

	remote_call_init(&c, a, "GET");
	c.base = c.path = STR("");
	if (q->upload_id.p) {
		remote_query(&c, "partNumber", arena_printf(a, "%u", q->part));
		remote_query(&c, "uploadId", q->upload_id);
	} else if (q->filename.n && str_eq(q->method, STR("GET"))) {
		remote_query(&c, "response-content-disposition",
			     backend_attachment(a, q->filename));
	}
	return query_of(&c);
}

/* Keys that end earlier take the URL with them. */
static int64_t end_of(const struct backend_presign *q, int64_t keys_end_s, int64_t now)
{
	return keys_end_s > now && keys_end_s < q->expires_s ? keys_end_s : q->expires_s;
}

static rc presign_url(struct s3 *s, struct s3_target *t, const struct backend_presign *q,
		      int64_t now, struct arena *a, struct backend_presigned *ret,
		      struct err *reterr)
{
	struct sigv4_request r = {.method = q->method, .headers_n = 1};
	struct sigv4_header host = {.name = STR("host")};
	struct aws_keys keys;
	struct str pieces[4];
	int64_t keys_end_s;

	TRY(region_to_presign(s, t->bucket, a, &t->region, reterr));
	TRY(aws_credentials_until(s->keys, a, &keys, &keys_end_s, reterr));
	ret->expires_s = end_of(q, keys_end_s, now);
	pieces[0] = s3_base(&s->presigned, t->bucket, t->region, a, &host.value);
	pieces[1] = r.path = s3_path(&s->presigned, t, a);
	pieces[2] = STR("?");
	r.query = presigned_query(q, a);
	r.headers = &host;
	pieces[3] = sigv4_presign(
	    &r, &(struct sigv4_credentials){keys.access_key, keys.secret, keys.token}, t->region,
	    STR("s3"), now, ret->expires_s - now, a);
	ret->url = arena_join(a, pieces, 4);
	return RC_OK;
}

rc s3_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
	      struct arena *a, struct backend_presigned *ret, struct err *reterr)
{
	struct s3 *s = s3_of(b);
	struct remote_call c;
	int64_t now = wall_now().s;

	if (s->o.disable_pre_signed)
		return err_set(reterr, ERR_UNSUPPORTED, STR_FMT ": s3.disable_pre_signed is set",
			       STR_ARG(s->r.title));
	TRY(backend_presign_check(b, q, now, SIGV4_MAX_EXPIRES_S, reterr));
	TRY(s3_call(s, &c, a, "GET", p, reterr));
	return presign_url(s, c.ud, q, now, a, ret, reterr);
}
