/* RangeData: what a metarange's record says of a range (FORMATS.md 4 and 5). Private to versions/. */
#pragma once

#include "versions/record.h"
#include "versions/tables.h"

/* Of a metarange's record: identity and data within it, nothing is copied. CORRUPT. */
rc range_info_decode(const struct record *record, struct range_info *ret, struct err *reterr);
/* The record's value. */
struct str range_info_encode(const struct range_info *r, struct arena *a);
