/* The S3 gateway: repository/ref/path as bucket/key, every S3 operation a row of gateway/ops.def.
 *
 * One instance serves all loops. It borrows everything it is given.
 */
#pragma once

#include "auth/auth.h"
#include "http/admit.h"
#include "versions/versions.h"

struct gateway;

struct gateway_options {
	struct versions *versions;
	struct auth *auth;
	struct work_pool *meta; /* KV work */
	struct work_pool *data; /* what reads and writes bodies */
	struct http_admission admission;
	struct str region;
	bool verify_region; /* refuse signatures for another one */
	const struct str *domains; /* gateways.s3.domain_name: hosts of virtual-host style */
	size_t domains_n;
	unsigned late_ms; /* how long an answer may keep a client waiting; 0: 5,000 */
	size_t documents_max; /* bytes of XML bodies in memory, of all requests; 0: 256 MiB */
	size_t slot_bytes; /* half of an upload's buffer (server.body_slot_bytes) */
	/* Addresses or networks whose X-Forwarded-For counts. */
	const struct str *trusted_proxies;
	size_t trusted_proxies_n;
	bool list_branch_buckets; /* ListBuckets shows repository.branch, too */
};

struct gateway *gateway_new(const struct gateway_options *o);
void gateway_free(struct gateway *g);
/* Answers the request, now or later. On the request's loop. */
void gateway_handle(struct gateway *g, struct http_req *http);

/* Whether a Host header's name is of a virtual-host style domain: its requests are S3's, whatever their
 * path. */
bool gateway_owns_host(const struct gateway *g, struct str host);

/* The table of operations as a page (docs/reference/s3.md). */
struct buf;
void gateway_reference(struct buf *out);
