/* Tables in memory, and those that real lakeFS wrote (tests/data/lakefs). */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "tests/base/check.h"
#include "versions/sstable.h"

enum { FIXTURE_TABLES_MAX = 128, FILE_MAX_BYTES = 64 << 20 };

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		err.msg[0] = '\0';                                                                 \
		if (!rc_ok(call))                                                                  \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)

/* A source over bytes of the caller's. */
struct mem_file {
	struct str bytes;
	atomic_uint reads;
	unsigned fail_at; /* the n-th read fails; 0: none does */
	unsigned closed;
	bool mend; /* every block read gets the checksum that its bytes ask for */
};

struct sstable_source mem_source(struct mem_file *f);
/* An append function; ud is a struct buf. */
rc buf_append(void *ud, const void *p, size_t n, struct err *reterr);

/* A table of type "ranges" with these records, in *to (emptied before). */
void table_write(const struct sstable_record *r, size_t n, struct buf *to,
		 struct sstable_summary *ret);

/* n records, ascending, in the arena. The same seed gives the same. */
enum table_shape {
	SHAPE_PATHS,   /* long common beginnings, values like entries' */
	SHAPE_BINARY,  /* short keys of few different bytes, 00 and ff among them; the first is empty */
	SHAPE_EMPTY,   /* no values */
	SHAPE_LARGE,   /* values around the block's size and far above it */
	SHAPE_UNIFORM, /* values that compress well */
	SHAPES,
};
struct sstable_record *table_records(struct arena *a, enum table_shape shape, unsigned seed,
				     size_t *n);

struct str read_file(struct arena *a, const char *path);

struct fixture_table {
	struct str id; /* the file's name */
	struct str bytes;
};
/* All of both namespaces. */
size_t fixture_tables(struct arena *a, struct fixture_table ret[FIXTURE_TABLES_MAX]);
struct str fixture_file(struct arena *a, const char *name);
