/* Which records of a KV this sluice knows: lakeFS's and its own. */
#pragma once

#include "kv/stream.h"

/* For struct kv_migration and struct kv_dump. CONFIG with the remedy: the schema has another version, or
 * nobody here knows what the record is. */
rc known_record(void *ud, const struct kv_record *r, struct err *reterr);
/* The schema's version alone. */
rc known_schema(void *ud, const struct kv_record *r, struct err *reterr);
