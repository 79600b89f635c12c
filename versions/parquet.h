/* The one kind of Parquet file that is written here (FORMATS.md section 1): what garbage collectors are told of
 * bodies that no commit names. Two columns, both required: physical_address (UTF8) and creation_date (INT64,
 * Unix seconds); one row group, plain values, pages in GZIP. Private to versions/. */
#pragma once

#include "base/buf.h"

struct parquet; /* rows gathered in memory */

/* max_bytes: of the rows as they are gathered, of which the file has about as many at most. */
struct parquet *parquet_new(size_t max_bytes);
void parquet_freep(struct parquet **p);
/* False: there is no room for the row, and it was not added. */
bool parquet_add(struct parquet *p, struct str address, int64_t created_s);
size_t parquet_rows(const struct parquet *p);
/* The whole file, appended to `to`; false: it doesn't fit there. */
bool parquet_finish(struct parquet *p, struct buf *to);
