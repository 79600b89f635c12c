/* From a store's configuration to the store. Inside backends/ only. */
#pragma once

#include "backends/backend.h"
#include "conf/conf.h"

/* The store behind its filters. `shared` is the pool of local ones. CONFIG and others, without the store's id:
 * the caller tells it. */
rc store_open_configured(const struct conf *c, const struct conf_store *s, struct work_pool *shared,
			 struct backend **ret, struct err *reterr);
/* Whether a store of this type has a share of the workers (filters.h, limit): depends on how many there are. */
bool store_is_limited(const struct conf *c, struct str type);
