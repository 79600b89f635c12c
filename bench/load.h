/* Drives the connections until the workload has ended and everything under way was answered. */
#pragma once

#include "bench/report.h"
#include "bench/workload.h"

/* IO when the server can't be reached (any more). */
rc load_run(struct workload *w, struct results *ret, struct err *reterr);
