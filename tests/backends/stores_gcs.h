/* GCS stores of the tests, for tests of what is theirs alone. Include after cmocka.h. */
#pragma once

#include "backends/gcs.h"
#include "tests/backends/gcs_gate.h"
#include "tests/backends/service.h"
#include "tests/backends/stores.h"

#define GCS_BUCKET "the-bucket"

/* Both start the kind's service. */
struct gcs_gate *store_gcs_gate(enum store_kind k);
/* What store_open_gcs opens a store with; `url` holds the endpoint. */
struct backend_gcs_options store_gcs_options(enum store_kind k, const struct store_twist *t,
					     char url[64]);
