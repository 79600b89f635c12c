#include "gateway/documents.h"

#include "base/encode.h"
#include "gateway/s3.h"

enum { MAX_KEYS = 1000 };

static rc malformed(struct err *reterr)
{
	return err_default(reterr, ERR_MalformedXML);
}

static size_t count(const struct xml_node *root, struct str name)
{
	size_t n = 0;

	for (const struct xml_node *k = root->first; k; k = k->next)
		n += str_eq(k->name, name);
	return n;
}

/* CompleteMultipartUpload. */

static rc bad_checksum(struct str text, struct err *reterr)
{
	return err_argument(reterr, "Checksum", text,
			    "Invalid Base64 or multiple checksums present in request");
}

static rc checksum_of(const struct xml_node *n, struct arena *a, struct upload_part *p,
		      struct err *reterr)
{
	enum digest_kind k;
	struct str *sum;

	if (!str_starts(n->name, STR("Checksum")) || !digest_by_name(str_skip(n->name, 8), &k) ||
	    n->text.n == 0)
		return RC_OK;
	sum = &p->checksum[k];
	if (!base64_decode(a, str_trim(n->text), sum) || sum->n != digest_size(k))
		return bad_checksum(n->text, reterr);
	return RC_OK;
}

static rc part_number(const struct xml_node *n, unsigned *ret, struct err *reterr)
{
	struct str text = str_trim(xml_child_text(n, "PartNumber"));
	uint64_t number;
	bool negative = str_starts(text, STR("-")) && str_to_u64(str_skip(text, 1), &number);

	if (!negative && !str_to_u64(text, &number))
		return malformed(reterr);
	if (negative || number == 0)
		return err_argument(reterr, "PartNumber", text, "PartNumber must be >= 1");
	if (number > MULTIPART_MAX_PARTS)
		return err_argument(reterr, "PartNumber", text, "PartNumber must be <= %d",
				    MULTIPART_MAX_PARTS);
	*ret = (unsigned)number;
	return RC_OK;
}

static rc part_of(const struct xml_node *n, struct arena *a, struct upload_part *ret,
		  struct err *reterr)
{
	unsigned sums = 0;

	if (!xml_child(n, "ETag"))
		return malformed(reterr);
	TRY(part_number(n, &ret->number, reterr));
	ret->etag = str_unquote(str_trim(xml_child_text(n, "ETag")));
	for (const struct xml_node *k = n->first; k; k = k->next)
		TRY(checksum_of(k, a, ret, reterr));
	for (int k = 0; k < DIGEST_KINDS; k++)
		sums += ret->checksum[k].p != NULL;
	return sums > 1 ? bad_checksum(STR_NONE, reterr) : RC_OK;
}

rc parts_of_xml(const struct xml_node *root, struct arena *a, struct upload_part **ret, size_t *ret_n,
		struct err *reterr)
{
	size_t n = count(root, STR("Part"));

	*ret_n = 0;
	if (!str_eq(root->name, STR("CompleteMultipartUpload")) || n == 0 || n > MULTIPART_MAX_PARTS)
		return malformed(reterr);
	*ret = arena_zalloc(a, n * sizeof(**ret));
	for (const struct xml_node *p = root->first; p; p = p->next)
		if (str_eq(p->name, STR("Part")))
			TRY(part_of(p, a, &(*ret)[(*ret_n)++], reterr));
	return RC_OK;
}

/* CreateBucketConfiguration. */

rc location_of_xml(const struct xml_node *root, struct str *ret, struct err *reterr)
{
	*ret = STR("");
	if (!str_eq(root->name, STR("CreateBucketConfiguration")))
		return malformed(reterr);
	for (const struct xml_node *n = root->first; n; n = n->next) {
		if (str_eq(n->name, STR("LocationConstraint")))
			*ret = str_trim(n->text);
		else if (str_eq(n->name, STR("Location")) || str_eq(n->name, STR("Bucket")) ||
			 str_eq(n->name, STR("Tags")))
			return err_set(reterr, ERR_NotImplemented,
				       "The element " STR_FMT
				       " implies functionality that is not implemented.",
				       STR_ARG(n->name));
		else
			return malformed(reterr);
	}
	return RC_OK;
}

/* Delete. */

static struct delete_object object_of(const struct xml_node *n)
{
	return (struct delete_object){
		.key = xml_child_text(n, "Key"),
		.version = xml_child_text(n, "VersionId"),
		.etag = xml_child_text(n, "ETag"),
		.modified = xml_child_text(n, "LastModifiedTime"),
		.size = xml_child_text(n, "Size"),
	};
}

rc delete_of_xml(const struct xml_node *root, struct arena *a, struct delete_request *ret,
		 struct err *reterr)
{
	struct str quiet = str_trim(xml_child_text(root, "Quiet"));
	size_t n = count(root, STR("Object"));

	if (!str_eq(root->name, STR("Delete")) || n == 0 || n > MAX_KEYS)
		return malformed(reterr);
	*ret = (struct delete_request){
		.objects = arena_alloc(a, n * sizeof(*ret->objects)),
		.quiet = str_eq_nocase(quiet, STR("true")) || str_eq(quiet, STR("1")),
	};
	for (const struct xml_node *o = root->first; o; o = o->next) {
		if (!str_eq(o->name, STR("Object")))
			continue;
		ret->objects[ret->n] = object_of(o);
		if (ret->objects[ret->n++].key.n == 0)
			return malformed(reterr);
	}
	return RC_OK;
}
