/* Presigned URLs: what their bearer may do with an object in the store, past this server. */
#include "api/rest.h"

rc api_wants_presign(struct api_req *r, bool *ret)
{
	return api_query_bool(r, "presign", false, ret);
}

static rc unsupported(struct api_req *r)
{
	return err_set(&r->err, ERR_INVALID, "presigned URL: operation not supported by the store");
}

rc api_can_presign(struct api_req *r, struct backend **ret)
{
	struct vcall c = api_vcall(r);

	TRY(repo_backend(&c, &r->repo, ret));
	return (*ret)->caps & BACKEND_CAP_PRESIGN ? RC_OK : unsupported(r);
}

rc api_presign(struct api_req *r, struct backend *b, const struct object_ptr *p, struct backend_presign how,
	       struct backend_presigned *ret)
{
	rc made;

	how.expires_s = wall_now().s + b->presigning.life_s;
	made = b->presign(b, p, &how, r->a, ret, &r->err);
	return rc_is(made, UNSUPPORTED) ? unsupported(r) : made;
}

rc api_presign_read(struct api_req *r, struct backend *b, const struct object_ptr *p, struct str filename,
		    struct backend_presigned *ret)
{
	return api_presign(r, b, p, (struct backend_presign){.method = STR("GET"), .filename = filename}, ret);
}

void api_redirect(struct api_req *r, struct str url)
{
	r->out_n = 0;
	api_add_header(r, "cache-control", STR("no-store, must-revalidate"));
	api_add_header(r, "location", url);
	api_reply_empty(r, 302);
}
