/* Object tags (S3 API reference, "Object tagging"): at most 10, unique keys of 1 to 128 characters, values
 * of at most 256. They are kept in one metadata key, as a query: "a=1&b=2", encoded, ascending by key. */
#pragma once

#include "base/xml.h"

#define TAGGING_KEY "::sluice::tagging"
enum { TAGS_MAX = 10 };

struct tag {
	struct str key, value;
};
struct tags {
	struct tag v[TAGS_MAX]; /* ascending by key */
	size_t n;
};

/* The header x-amz-tagging; also what tags_text made. InvalidArgument, InvalidTag, BadRequest. Text is in
 * the arena. */
rc tags_of_query(struct arena *a, struct str query, struct tags *ret, struct err *reterr);
/* <Tagging><TagSet><Tag>...; text points into the document. MalformedXML, InvalidTag, BadRequest. */
rc tags_of_xml(const struct xml_node *root, struct tags *ret, struct err *reterr);
struct str tags_text(struct arena *a, const struct tags *t);
void tags_write_xml(struct buf *to, const struct tags *t);
