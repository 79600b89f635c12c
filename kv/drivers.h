/* The table of drivers: database.type -> how to open it.
 *
 * A new driver is a row in drivers.c, a member of struct kv_options with what it needs, and a row in
 * the conformance suite (docs/kv-drivers.md).
 */
#pragma once

#include "kv/kv.h"

struct kv_options {
	struct str type;		 /* a name of the table */
	struct kv_rocksdb_options local; /* type "local" */
	struct kv_dynamodb_options dynamodb; /* type "dynamodb" */
	bool existing; /* NOT_FOUND when there is none yet: no folder, no table is made */
	struct kv_postgres_options postgres;
};

struct kv_driver {
	const char *type;
	/* False: what it keeps is gone when the process ends. */
	bool persistent;
	rc (*open)(const struct kv_options *o, struct kv **ret, struct err *reterr);
};

/* The table, in the order in which it is shown to people. */
extern const struct kv_driver kv_drivers[];
extern const size_t kv_drivers_n;

/* CONFIG for a type that isn't in the table; else what the driver says. */
rc kv_open(const struct kv_options *o, struct kv **ret, struct err *reterr);
