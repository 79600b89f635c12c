/* Requests' bodies that are XML documents, taken apart (tags have tagging.h). Text points into the document
 * unless it had to be decoded. */
#pragma once

#include "base/xml.h"
#include "versions/multipart.h"

/* CompleteMultipartUpload: 1 to 10,000 parts: number, etag and at most one checksum. In the document's
 * order. MalformedXML, InvalidArgument. */
rc parts_of_xml(const struct xml_node *root, struct arena *a, struct upload_part **ret, size_t *ret_n,
		struct err *reterr);

/* CreateBucketConfiguration: its LocationConstraint, or "". MalformedXML, NotImplemented. */
rc location_of_xml(const struct xml_node *root, struct str *ret, struct err *reterr);

/* Delete: 1 to 1,000 objects. What is absent is STR_NONE; keys are never empty. MalformedXML. */
struct delete_object {
	struct str key, version, etag, modified, size;
};
struct delete_request {
	struct delete_object *objects;
	size_t n;
	bool quiet;
};
rc delete_of_xml(const struct xml_node *root, struct arena *a, struct delete_request *ret,
		 struct err *reterr);
