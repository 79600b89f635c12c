/* The adapter's table: what is its own, and what remote.h brings. */
#include "backends/azure_priv.h"

#include <stdlib.h>

#include "base/encode.h"

#define DOMAIN "blob.core.windows.net"
#define MIB (1024ull * 1024)

enum { STALL_MS = 60000 };

static rc build_put(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		    const struct backend_put_options *o, struct err *reterr)
{
	struct azure *s = CONTAINER(r, struct azure, r);
	struct azure_place at;

	TRY(azure_object(s, c->a, to, &at, reterr));
	azure_address(s, c, &at, true);
	remote_header(c, "x-ms-blob-type", STR("BlockBlob"));
	azure_put_headers(c, o->content_type, o->storage_class);
	if (o->if_absent)
		remote_header(c, "if-none-match", STR("*"));
	return RC_OK;
}

static rc build_get(struct remote *r, struct remote_call *c, const struct object_ptr *p,
		    struct err *reterr)
{
	struct azure *s = CONTAINER(r, struct azure, r);
	struct azure_place at;

	TRY(azure_object(s, c->a, p, &at, reterr));
	azure_address(s, c, &at, true);
	return RC_OK;
}

static rc remove_object(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	struct arena *a = arena_new();
	struct azure_place at;
	rc r = azure_object(azure_of(b), a, p, &at, reterr);

	if (rc_ok(r))
		r = azure_remove_place(azure_of(b), &at, reterr);
	arena_free(a);
	return r;
}

/* The container, or, without one, the account; who may not list its containers has had an answer.
 */
static rc ask_probe(struct azure *s, struct arena *a, const struct azure_place *at,
		    struct err *reterr)
{
	static const int may[] = {403, 0};
	struct http_answer w;
	struct remote_call c;

	remote_call_init(&c, a, "GET");
	c.repeatable = true;
	azure_address(s, &c, at, false)->probing = true;
	if (at->container.n) {
		remote_query(&c, "restype", STR("container"));
		return remote_ask(&s->r, &c, NULL, &w, reterr);
	}
	remote_query(&c, "comp", STR("list"));
	remote_query(&c, "maxresults", STR("1"));
	TRY(remote_ask(&s->r, &c, may, &w, reterr));
	if (w.status == 403 && !str_eq(http_answer_header(&w, "x-ms-error-code"),
				       STR("AuthorizationPermissionMismatch")))
		return azure_refuse(&s->r, &c, &w, reterr);
	return RC_OK;
}

static rc probe(struct backend *b, struct str space, struct err *reterr)
{
	struct azure *s = azure_of(b);
	struct azure_place at = {.tls = true, .account = s->account, .container = STR("")};
	struct arena *a = arena_new();
	rc r = space.p ? azure_space(s, a, space, &at, reterr) : RC_OK;

	if (rc_ok(r) && at.account.n) /* else there is nobody to ask */
		r = ask_probe(s, a, &at, reterr);
	arena_free(a);
	return r;
}

/* A part is a block, and blocks have a limit below S3's for parts. */
static rc open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
		    unsigned number, const struct backend_put_options *o,
		    struct backend_writer **ret, struct err *reterr)
{
	if (o && o->sized && o->size > AZURE_BLOCK_MAX_MIB * MIB)
		return err_set(reterr, ERR_EntityTooLarge,
			       "part %u: Azure takes parts of up to %d MiB: upload in smaller ones",
			       number, AZURE_BLOCK_MAX_MIB);
	return azure_of(b)->open_part(b, to, upload_id, number, o, ret, reterr);
}

static void azure_free(struct backend *b)
{
	struct azure *s = azure_of(b);

	remote_deinit(&s->r);
	azure_identity_free(s->identity);
	azure_places_free(s);
	free(s);
}

static const struct remote_ops remote_ops = {
    .sign = azure_sign,
    .refuse = azure_refuse,
    .learn = azure_learn,
    .put = build_put,
    .put_part = azure_put_part,
    .stat = azure_stat,
    .get = build_get,
    .head = build_get,
    .put_max = AZURE_PUT_MAX_MIB * MIB,
    .parts_if_absent = true,
};

static const struct backend_blocking_ops blocking_ops = {
    .remove = remove_object,
    .list = azure_list,
    .copy = azure_copy,
    .mpu_create = azure_mpu_create,
    .mpu_complete = azure_mpu_complete,
    .mpu_abort = azure_mpu_abort,
    .probe = probe,
};

static struct azure *azure_new(const struct backend_azure_options *o)
{
	struct remote_options r = o->remote;
	struct azure *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	if (!r.stall_ms)
		r.stall_ms = STALL_MS;
	if (o->try_ms && o->try_ms < r.stall_ms)
		r.stall_ms = o->try_ms;
	remote_init(&s->r, "azure", &r, &remote_ops, &blocking_ops,
		    BACKEND_CAP_COPY | BACKEND_CAP_MULTIPART);
	s->open_part = s->r.blocking.mpu_open_part;
	s->r.blocking.mpu_open_part = open_part;
	s->r.b.check_space = azure_check_space;
	s->r.b.free = azure_free;
	pthread_mutex_init(&s->places.lock, NULL);
	s->account = arena_dup(s->r.a, o->account);
	s->domain = o->domain.n ? arena_dup(s->r.a, o->domain) : STR(DOMAIN);
	return s;
}

/* "http://host:port[/account][/]" */
static rc take_endpoint(struct azure *s, struct str url, struct err *reterr)
{
	size_t scheme = str_starts(url, STR("https://"))  ? 8
			: str_starts(url, STR("http://")) ? 7
							  : 0;
	size_t host;

	while (url.n > scheme && url.p[url.n - 1] == '/')
		url.n--;
	if (scheme == 0 || url.n == scheme || str_index(url, '?') < url.n)
		return err_set(reterr, ERR_CONFIG,
			       "azure.test_endpoint_url: \"" STR_FMT "\" is no URL like "
			       "http://127.0.0.1:10000/account",
			       STR_ARG(str_head(url, 200)));
	url = arena_dup(s->r.a, url);
	host = str_index(str_skip(url, scheme), '/');
	s->endpoint = str_head(url, scheme + host);
	s->endpoint_path = str_skip(url, s->endpoint.n);
	return RC_OK;
}

static rc configure(struct azure *s, const struct backend_azure_options *o, struct err *reterr)
{
	if (o->endpoint.n)
		TRY(take_endpoint(s, o->endpoint, reterr));
	if (o->key.n == 0)
		return azure_identity_new(&s->r, &s->identity, reterr);
	if (!base64_decode(s->r.a, str_trim(o->key), &s->key) || s->key.n == 0)
		return err_set(
		    reterr, ERR_CONFIG,
		    "azure.storage_access_key is no base64: copy it as the portal shows it");
	if (!o->no_presign) {
		s->r.b.presign = azure_presign;
		s->r.b.caps |= BACKEND_CAP_PRESIGN;
	}
	return RC_OK;
}

rc backend_azure_open(const struct backend_azure_options *o, struct backend **ret,
		      struct err *reterr)
{
	struct azure *s = azure_new(o);
	rc r = configure(s, o, reterr);

	if (rc_ok(r))
		*ret = &s->r.b;
	else
		azure_free(&s->r.b);
	return r;
}
