/* Resumable uploads: for objects whose size nobody knows beforehand. Bytes that are sent again are
 * ignored as far as the service has them ("Resumable uploads", "Response handling"). */
#include "backends/gcs_priv.h"

enum { URL_MAX = 8192 };

/* The session's path and query at the endpoint that was configured: where the bearer's token may
 * go, and where a proxy or a private endpoint stands. */
static struct str at_endpoint(const struct gcs *s, struct arena *a, struct str url)
{
	size_t scheme = str_find(url, STR("://"));
	struct str rest = scheme < url.n ? str_skip(url, scheme + 3) : url;

	rest = str_skip(rest, str_index(rest, '/'));
	return arena_join(a, (struct str[]){s->base, rest}, 2);
}

rc gcs_session_open(struct remote *r, const struct object_ptr *to,
		    const struct backend_put_options *o, struct arena *a, struct str *ret,
		    struct err *reterr)
{
	struct gcs_target *t;
	struct http_answer w;
	struct remote_call c;
	struct str url;

	remote_call_init(&c, a, "POST");
	TRY(gcs_aim(a, to, &t, reterr));
	gcs_upload(CONTAINER(r, struct gcs, r), &c, t->bucket, t->key);
	remote_query(&c, "uploadType", STR("resumable"));
	if (o->if_absent)
		remote_query(&c, "ifGenerationMatch", STR("0"));
	remote_header(&c, "content-type", STR("application/json"));
	c.bytes =
	    gcs_properties(a, o->content_type.n ? o->content_type : STR("application/octet-stream"),
			   gcs_class(o->storage_class), NULL, STR_NONE);
	c.repeatable = true; /* a session that nobody uses ends by itself */
	TRY(remote_ask(r, &c, NULL, &w, reterr));
	url = http_answer_header(&w, "location");
	if (url.n == 0 || url.n > URL_MAX)
		return err_set(reterr, ERR_IO,
			       "store \"" STR_FMT "\": a resumable upload without an address",
			       STR_ARG(r->b.id));
	*ret = at_endpoint(CONTAINER(r, struct gcs, r), a, url);
	return RC_OK;
}

/* The session's address is all that it needs. */
static void aim_at(struct remote *r, struct remote_call *c, struct str session)
{
	struct gcs_target *t = ARENA_NEW(c->a, struct gcs_target);

	*t = (struct gcs_target){.bytes = true};
	c->ud = t;
	c->base = session;
	c->path = STR("");
	c->what = STR("a resumable upload");
	gcs_encrypt(CONTAINER(r, struct gcs, r), c);
}

/* "bytes=0-N" */
static uint64_t kept_of(struct str range)
{
	uint64_t last;

	if (!str_starts(range, STR("bytes=0-")) || !str_to_u64(str_skip(range, 8), &last))
		return 0;
	return last + 1;
}

rc gcs_session_send(struct remote *r, struct remote_call *c, struct str session, uint64_t offset,
		    bool last, uint64_t *ret_kept, struct backend_stat *ret, struct err *reterr)
{
	static const int incomplete[] = {308, 0};
	uint64_t end = offset + c->bytes.n;
	struct str total = last ? arena_printf(c->a, "%llu", (unsigned long long)end) : STR("*");
	struct http_answer w;
	struct json *j;

	aim_at(r, c, session);
	remote_header(c, "content-range",
		      c->bytes.n ? arena_printf(c->a, "bytes %llu-%llu/" STR_FMT,
						(unsigned long long)offset,
						(unsigned long long)(end - 1), STR_ARG(total))
				 : arena_printf(c->a, "bytes */" STR_FMT, STR_ARG(total)));
	TRY(remote_ask(r, c, incomplete, &w, reterr));
	if (w.status == 308)
		*ret_kept = kept_of(http_answer_header(&w, "range"));
	if (w.status == 308 && !(last && *ret_kept >= end))
		return RC_OK;
	if (w.status == 308 || !last)
		return err_set(reterr, ERR_IO,
			       "store \"" STR_FMT
			       "\": a resumable upload ended too early, or doesn't end",
			       STR_ARG(r->b.id));
	*ret_kept = end;
	TRY(gcs_document(r, c, &w, &j, reterr));
	return gcs_stat_of(r, c, j, c->a, ret, reterr);
}

void gcs_session_end(struct remote *r, struct str session)
{
	static const int ended[] = {499, 0};
	struct arena *a = arena_new();
	struct http_answer w;
	struct remote_call c;

	remote_call_init(&c, a, "DELETE");
	c.repeatable = true;
	aim_at(r, &c, session);
	IGNORE_RC(remote_ask(r, &c, ended, &w, NULL)); /* it ends by itself after a week */
	arena_free(a);
}
