/* GET /metrics: the process's figures, and of the stores how many repositories each has, counted again when the
 * last count is old. */
#pragma once

#include "http/server.h"
#include "versions/versions.h"

struct scrapes;

/* Counts on workers of `meta`; both are borrowed. */
struct scrapes *scrapes_new(struct versions *v, struct work_pool *meta);
void scrapes_free(struct scrapes *s);
/* Answers the request, now or later. On its loop. */
void scrape(struct scrapes *s, struct http_req *req);
