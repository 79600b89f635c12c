/* GetObjectAttributes. */
#include "gateway/multipart.h"

enum { MAX_PARTS_PAGE = 1000 };

enum { ETAG = 1, CHECKSUM = 2, OBJECT_PARTS = 4, STORAGE_CLASS = 8, OBJECT_SIZE = 16 };

static const struct {
	const char *name;
	unsigned bit;
} attributes[] = {
	{"ETag", ETAG},
	{"Checksum", CHECKSUM},
	{"ObjectParts", OBJECT_PARTS},
	{"StorageClass", STORAGE_CLASS},
	{"ObjectSize", OBJECT_SIZE},
};
enum { ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0]) };

struct request {
	struct entry entry;
	unsigned asked;
	uint64_t max_parts, marker;
};

static rc take_name(struct s3_req *r, struct str name, unsigned *asked)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (str_eq(name, str_c(attributes[i].name))) {
			*asked |= attributes[i].bit;
			return RC_OK;
		}
	return err_set(&r->err, ERR_InvalidArgument, "Invalid attribute name specified.");
}

/* Clients send one header with a list, or one header for each. */
static rc asked_attributes(struct s3_req *r, unsigned *ret)
{
	*ret = 0;
	for (size_t i = 0; i < r->headers_n; i++) {
		struct str rest = r->headers[i].value;

		if (!str_eq(r->headers[i].name, STR("x-amz-object-attributes")))
			continue;
		while (rest.n)
			TRY(take_name(r, str_trim(str_cut(rest, ',', &rest)), ret));
	}
	if (!*ret)
		return err_set(&r->err, ERR_InvalidRequest,
			       "The x-amz-object-attributes header specifying the attributes to be "
			       "retrieved is either missing or empty");
	return RC_OK;
}

static rc header_number(struct s3_req *r, const char *name, uint64_t def, uint64_t *ret)
{
	struct str v = s3_header(r, name);

	*ret = def;
	if (v.n && (!str_to_u64(v, ret) || *ret > INT32_MAX))
		return err_set(&r->err, ERR_InvalidArgument,
			       "Argument %s must be an integer between 0 and 2147483647", name);
	return RC_OK;
}

static rc plan(struct s3_req *r)
{
	struct request *q = ARENA_NEW(r->a, struct request);
	struct vcall c = s3_vcall(r);
	rc asked, found;

	r->op_state = q;
	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	TRY(s3_refuse_unsupported(r));
	asked = asked_attributes(r, &q->asked);
	if (!rc_ok(asked))
		return r->at.ref_bucket && !rc_ok(s3_bucket_there(r)) ? (rc){r->err.code} : asked;
	TRY(header_number(r, "x-amz-max-parts", MAX_PARTS_PAGE, &q->max_parts));
	TRY(header_number(r, "x-amz-part-number-marker", 0, &q->marker));
	if (q->max_parts > MAX_PARTS_PAGE)
		q->max_parts = MAX_PARTS_PAGE;
	if (s3_query(r, "versionId").n && !str_eq(s3_query(r, "versionId"), STR("null")))
		return err_default(&r->err, ERR_NoSuchVersion);
	found = object_stat(&c, &r->repo, r->at.ref, r->at.path, &q->entry);
	return s3_read_missing(r, &r->repo, &r->at, found);
}

static bool has_checksum(const struct entry *e)
{
	for (int k = 0; k < DIGEST_KINDS; k++)
		if (e->checksum[k].n)
			return true;
	return false;
}

static void page_xml(struct s3_req *r, const struct request *q)
{
	const struct entry *e = &q->entry;
	uint64_t from = q->marker < e->parts_n ? q->marker : e->parts_n;
	uint64_t to = e->parts_n - from < q->max_parts ? e->parts_n : from + q->max_parts;

	xw_elem_int(&r->xml, "PartNumberMarker", (int64_t)q->marker);
	xw_elem_int(&r->xml, "NextPartNumberMarker", (int64_t)(to > from ? to : q->marker));
	xw_elem_int(&r->xml, "MaxParts", (int64_t)q->max_parts);
	xw_elem_bool(&r->xml, "IsTruncated", to < e->parts_n);
	for (uint64_t i = from; i < to; i++) {
		xw_open(&r->xml, "Part");
		xw_elem_int(&r->xml, "PartNumber", (int64_t)i + 1);
		xw_elem_int(&r->xml, "Size", (int64_t)e->part_sizes[i]);
		s3_checksum_xml(r, e->part_checksum_kind, entry_part_checksum(e, i));
		xw_close(&r->xml, "Part");
	}
}

/* Without checksums of its parts, S3 tells their number alone. */
static void parts_xml(struct s3_req *r, const struct request *q)
{
	xw_open(&r->xml, "ObjectParts");
	xw_elem_int(&r->xml, "PartsCount", (int64_t)q->entry.parts_n);
	if (q->entry.part_checksums.n)
		page_xml(r, q);
	xw_close(&r->xml, "ObjectParts");
}

static void reply(struct s3_req *r)
{
	const struct request *q = r->op_state;
	const struct entry *e = &q->entry;
	char date[30];

	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "GetObjectAttributesResponse", S3_XMLNS);
	if (q->asked & ETAG)
		xw_elem(&r->xml, "ETag", e->etag);
	if ((q->asked & CHECKSUM) && has_checksum(e)) {
		xw_open(&r->xml, "Checksum");
		s3_checksums_xml(r, e);
		xw_close(&r->xml, "Checksum");
	}
	if ((q->asked & OBJECT_PARTS) && e->parts_n)
		parts_xml(r, q);
	if (q->asked & STORAGE_CLASS)
		xw_elem(&r->xml, "StorageClass", STR("STANDARD"));
	if (q->asked & OBJECT_SIZE)
		xw_elem_int(&r->xml, "ObjectSize", e->size);
	xw_close(&r->xml, "GetObjectAttributesResponse");
	time_http(e->modified.s, date);
	s3_add_header(r, "last-modified", arena_dup(r->a, str_c(date)));
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_GetObjectAttributes = {.plan = plan, .reply = reply};
