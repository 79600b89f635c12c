/* A KV in a file: one JSON object a line, so that it can be read by people and other programs, too.
 *
 *	{"sluice_kv_dump":1,"id":UUID,"created":RFC3339,"by":TEXT}
 *	{"partition":NAME}
 *	{"key":KEY,"value":BASE64,"crc32c":HEX}		each record
 *	{"records":N,"sha256":HEX}			ends the partition (kv/tally.h has the digest)
 *	...
 *	{"partitions":N,"records":N,"digest":HEX,"file_sha256":HEX}	ends the file
 *
 * A name or key that isn't UTF-8 or has control characters is "partition64" or "key64", in base64. The
 * CRC32C is over u32 BE length of the partition, partition, u32 BE length of the key, key, value. file_sha256
 * is that of all bytes before its line. Partitions ascend, and keys in them. Nothing follows the last line.
 *
 * Read is also what `lakefs kv dump` writes: {"version":"1.0","timestamp":...,"entries":[{"partition":...,
 * "key":...,"value":BASE64}]}, in any order, at most KV_LAKEFS_DUMP_MAX bytes (it is read whole).
 */
#pragma once

#include <stdio.h>

#include "kv/migrate.h"

enum { KV_LAKEFS_DUMP_MAX = 256 << 20 };

struct kv_dump {
	struct kv_stream *from;
	struct str by; /* what writes it, with its version */
	/* As in struct kv_migration; the step is KV_STEP_COPY. */
	rc (*known)(void *ud, const struct kv_record *r, struct err *reterr);
	rc (*progress)(void *ud, const struct kv_progress *p, struct err *reterr);
	/* Before the file gets its name. */
	rc (*last_check)(void *ud, struct err *reterr);
	void *ud;
};

/* To a descriptor. IO. */
rc kv_dump_write(const struct kv_dump *d, int fd, struct kv_totals *ret, struct err *reterr);
/* To a file, which is there, whole and durable, on RC_OK only; one of that name is replaced. */
rc kv_dump_file(const struct kv_dump *d, const char *path, struct kv_totals *ret, struct err *reterr);

/* A dump as a stream; reading it to its end checks all of it. Owns f (which can be rewound), also on
 * failure. `name` is for messages. INVALID: it is no dump. CONFIG: a newer sluice's. CORRUPT: damaged or cut
 * short, with the offset. Here the head alone is read; begin and next say the rest. */
rc kv_dump_open(FILE *f, const char *name, struct kv_stream **ret, struct err *reterr);
