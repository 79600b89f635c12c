/* Requests: where they go, how they are signed, what answers say. */
#include "backends/azure_priv.h"

#include "base/clock.h"
#include "base/encode.h"

static struct str base_of(struct azure *s, struct arena *a, const struct azure_place *at)
{
	if (s->endpoint.p)
		return s->endpoint;
	return arena_printf(a, "%s://" STR_FMT "." STR_FMT, at->tls ? "https" : "http",
			    STR_ARG(at->account), STR_ARG(s->domain));
}

/* "/container/blob", below the account of an emulator. */
static struct str path_of(struct azure *s, struct arena *a, const struct azure_place *at, bool blob)
{
	struct str pieces[6] = {0};
	size_t n = 0;

	if (s->endpoint_path.n) {
		pieces[n++] = s->endpoint_path;
	} else if (s->endpoint.p) {
		pieces[n++] = STR("/");
		pieces[n++] = at->account;
	}
	pieces[n++] = STR("/");
	pieces[n++] = uri_encode(a, at->container, false);
	if (blob) {
		pieces[n++] = STR("/");
		pieces[n++] = uri_encode(a, at->blob, true);
	}
	return arena_join(a, pieces, n);
}

struct azure_call *azure_address(struct azure *s, struct remote_call *c,
				 const struct azure_place *at, bool blob)
{
	struct azure_call *mine = ARENA_NEW(c->a, struct azure_call);

	mine->at = *at;
	c->ud = mine;
	c->base = base_of(s, c->a, at);
	c->path = path_of(s, c->a, at, blob);
	c->what = blob ? arena_printf(c->a,
				      "\"" STR_FMT "\" in the container \"" STR_FMT
				      "\" of \"" STR_FMT "\"",
				      STR_ARG(str_head(at->blob, 200)), STR_ARG(at->container),
				      STR_ARG(at->account))
		  : at->container.n
		      ? arena_printf(c->a, "the container \"" STR_FMT "\" of \"" STR_FMT "\"",
				     STR_ARG(at->container), STR_ARG(at->account))
		      : arena_printf(c->a, "the account \"" STR_FMT "\"", STR_ARG(at->account));
	return mine;
}

void azure_call(struct azure *s, struct remote_call *c, struct arena *a, const char *method,
		const struct azure_place *at)
{
	remote_call_init(c, a, method);
	c->repeatable = true;
	azure_address(s, c, at, true);
}

rc azure_sign(struct remote *r, struct remote_call *c, struct err *reterr)
{
	struct azure *s = CONTAINER(r, struct azure, r);
	const struct azure_call *mine = c->ud;
	char now[30];
	struct str token;

	time_http(wall_now().s, now);
	remote_header_set(c, "x-ms-version", STR(AZURE_VERSION));
	remote_header_set(c, "x-ms-date", arena_dup(c->a, str_c(now)));
	if (s->key.p) {
		remote_header_set(c, "authorization",
				  azure_authorization(c, mine->at.account, s->key));
		return RC_OK;
	}
	if (!s->endpoint.p && !mine->at.tls)
		return err_set(
		    reterr, ERR_INVALID,
		    STR_FMT
		    ": tokens are not sent over http: let the namespace begin with https://",
		    STR_ARG(c->what));
	TRY(azure_identity_token(s->identity, c->a, &token, reterr));
	remote_header_set(c, "authorization",
			  arena_join(c->a, (struct str[]){STR("Bearer "), token}, 2));
	return RC_OK;
}

/* A token that is refused before its end: one more, and one more attempt. */
bool azure_learn(struct remote *r, struct remote_call *c, const struct http_answer *w)
{
	struct azure *s = CONTAINER(r, struct azure, r);

	if (!s->identity || w->status != 401)
		return false;
	for (size_t i = 0; i < c->headers_n; i++)
		if (str_eq(c->headers[i].name, STR("authorization")))
			azure_identity_forget(s->identity,
					      str_skip(c->headers[i].value, strlen("Bearer ")));
	return true;
}

static bool size_of(const struct http_answer *w, uint64_t *ret)
{
	struct str range = http_answer_header(w, "content-range");

	if (w->status == 206) {
		str_cut(range, '/', &range); /* "bytes 0-9/100" */
		return str_to_u64(range, ret);
	}
	*ret = w->length > 0 ? (uint64_t)w->length : 0;
	return w->length >= 0;
}

rc azure_stat(struct remote *r, const struct remote_call *c, const struct http_answer *w,
	      struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	const struct azure_call *mine = c->ud;
	struct str etag = http_answer_header(w, "etag");

	if (etag.n >= 2 && etag.p[0] == '"')
		etag = str_make(etag.p + 1, etag.n - 2);
	*ret =
	    (struct backend_stat){.etag = arena_dup(a, mine->part_etag.p ? mine->part_etag : etag)};
	if (!time_parse_http(http_answer_header(w, "last-modified"), &ret->mtime_s))
		ret->mtime_s = wall_now().s;
	if (!size_of(w, &ret->size) && !str_eq(c->method, STR("PUT")))
		return err_set(reterr, ERR_IO, STR_FMT ": the answer doesn't say how long it is",
			       STR_ARG(c->what));
	return RC_OK;
}

rc azure_document(const struct remote_call *c, const struct http_answer *w, struct xml_node **ret,
		  struct err *reterr)
{
	struct str body = w->body;

	if (str_starts(body, STR("\xef\xbb\xbf")))
		body = str_skip(body, 3);
	if (rc_ok(xml_parse(c->a, body, ret, NULL)))
		return RC_OK;
	return err_set(reterr, ERR_IO, STR_FMT ": the answer is no XML: is it Azure that answers?",
		       STR_ARG(c->what));
}

/* Of the names that S3's clients send Azure has none. One that can't be read at once is no place
 * for objects. */
static bool tier_ok(struct str s)
{
	return str_eq(s, STR("Hot")) || str_eq(s, STR("Cool")) || str_eq(s, STR("Cold"));
}

/* What both sides of a signature see alike. The record has the type, whatever it is. */
static bool plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

void azure_put_headers(struct remote_call *c, struct str content_type, struct str storage_class)
{
	content_type = content_type.p ? str_trim(content_type) : content_type;
	if (plain(content_type))
		remote_header(c, "x-ms-blob-content-type", content_type);
	if (tier_ok(storage_class))
		remote_header(c, "x-ms-access-tier", storage_class);
}

rc azure_head_place(struct azure *s, struct arena *a, const struct azure_place *at,
		    struct backend_stat *ret, struct err *reterr)
{
	struct http_answer w;
	struct remote_call c;

	azure_call(s, &c, a, "HEAD", at);
	TRY(remote_ask(&s->r, &c, NULL, &w, reterr));
	return azure_stat(&s->r, &c, &w, a, ret, reterr);
}

rc azure_remove_place(struct azure *s, const struct azure_place *at, struct err *reterr)
{
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;
	rc r;

	azure_call(s, &c, a, "DELETE", at);
	r = remote_ask(&s->r, &c, NULL, &w, reterr);
	arena_free(a);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}
