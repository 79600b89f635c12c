/* What writing and reading have in common. */
#pragma once

#include "kv/dump.h"

enum { DUMP_FORMAT = 1, DUMP_LINE_MAX = 40 << 20 };

/* Eight hexadecimal digits. */
void dump_crc(const struct kv_record *r, char out[9]);
/* lakeFS's; owns f. */
rc dump_open_lakefs(FILE *f, const char *name, struct kv_stream **ret, struct err *reterr);
