/* A presigned URL of an object, as tests mostly want one. */
#pragma once

#include "backends/backend.h"

static inline rc presign(struct backend *b, const struct object_ptr *p, struct str method,
			 int64_t expires_s, struct arena *a, struct str *ret_url,
			 struct err *reterr)
{
	const struct backend_presign q = {
		.method = method, .expires_s = expires_s, .filename = STR_NONE, .upload_id = STR_NONE};
	struct backend_presigned got;

	*ret_url = STR_NONE;
	TRY(b->presign(b, p, &q, a, &got, reterr));
	*ret_url = got.url;
	return RC_OK;
}
