/* lakeFS's REST API, /api/v1: every operation a row of api/routes.def.
 *
 * One instance serves all loops. It borrows everything it is given.
 */
#pragma once

#include "auth/auth.h"
#include "http/admit.h"
#include "versions/versions.h"

struct api;

struct api_options {
	struct versions *versions;
	struct auth *auth;
	struct work_pool *meta; /* KV work */
	struct work_pool *data; /* what reads and writes bodies */
	struct http_admission admission;
	struct work_pool *heavy; /* commits, merges, comparisons, dumps: what walks over much metadata */
	/* Addresses or networks whose X-Forwarded-For counts. */
	const struct str *trusted_proxies;
	size_t trusted_proxies_n;
	struct str rbac;        /* auth.ui_config.rbac */
	struct str logout_url;  /* where a logout leads to; STR_NONE: the login page */
	struct str signing_secret; /* of addresses that are given out (versions/link_address.h) */
	size_t slot_bytes;      /* half of an upload's buffer (server.body_slot_bytes) */
};

struct api *api_new(const struct api_options *o);
void api_free(struct api *x);
/* Whether the request's path is the REST API's. */
bool api_owns(struct str target);
/* STS, whose address is "/", as S3's: whether it is one of its queries, and its answer, now or later. */
bool api_owns_sts(struct http_req *http);
void api_sts(struct api *x, struct http_req *http);
/* Ends a browser's session: GET /logout. */
void api_logout(struct api *x, struct http_req *http);
/* Answers the request, now or later. On the request's loop. */
void api_handle(struct api *x, struct http_req *http);

/* The table of operations as a page (docs/reference/rest.md). */
struct buf;
void api_reference(struct buf *out);
