/* Those operations of a workload that are lakeFS's REST API's. */
#pragma once

#include "bench/workload.h"

bool workload_is_rest(const struct bench_options *o);
/* As workload_request and workload_response. */
struct request workload_rest_request(const struct workload *w, struct operation *op, struct arena *a);
enum outcome workload_rest_response(const struct workload *w, struct operation *op,
				    const struct response *r);
