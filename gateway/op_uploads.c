/* ListMultipartUploads. */
#include "gateway/multipart.h"

enum { MAX_UPLOADS = 1000 };

struct listing {
	struct uploads_request q;
	struct uploads_page page;
	bool url;
};

static rc parse(struct s3_req *r, struct listing *l)
{
	uint64_t max;

	TRY(s3_encoding_type(r, &l->url));
	TRY(s3_query_u64(r, "max-uploads", MAX_UPLOADS, MAX_UPLOADS, &max));
	l->q = (struct uploads_request){
		.branch = r->at.ref_bucket ? r->at.ref : STR_NONE,
		.prefix = s3_query(r, "prefix"),
		.delimiter = s3_query(r, "delimiter"),
		.key_marker = s3_query(r, "key-marker"),
		.id_marker = s3_query(r, "upload-id-marker"),
		.max = (size_t)max,
	};
	return RC_OK;
}

static void upload_xml(struct s3_req *r, const struct listing *l, const struct uploads_item *it)
{
	char date[25];

	time_iso_ms(it->created, date);
	xw_open(&r->xml, "Upload");
	xw_elem(&r->xml, "Key", s3_shown(r, l->url, it->key));
	xw_elem(&r->xml, "UploadId", it->id);
	s3_owners_xml(r);
	xw_elem(&r->xml, "Initiated", str_c(date));
	s3_upload_checksum_xml(r, it->checksum, it->checksum_full, it->checksum_implied);
	xw_close(&r->xml, "Upload");
}

static void items_xml(struct s3_req *r, const struct listing *l)
{
	for (size_t i = 0; i < l->page.n; i++)
		if (!l->page.items[i].is_prefix)
			upload_xml(r, l, &l->page.items[i]);
	for (size_t i = 0; i < l->page.n; i++)
		if (l->page.items[i].is_prefix)
			s3_common_prefix_xml(r, s3_shown(r, l->url, l->page.items[i].key));
}

static void next_xml(struct s3_req *r, const struct listing *l)
{
	const struct uploads_item *last;

	if (!l->page.truncated)
		return;
	last = &l->page.items[l->page.n - 1];
	xw_elem(&r->xml, "NextKeyMarker", s3_shown(r, l->url, last->key));
	xw_elem(&r->xml, "NextUploadIdMarker", last->is_prefix ? STR("") : last->id);
}

static rc run(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct listing l = {0};

	TRY(parse(r, &l));
	TRY(uploads_list(&c, &r->repo, &l.q, &l.page));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "ListMultipartUploadsResult", S3_XMLNS);
	xw_elem(&r->xml, "Bucket", r->at.bucket);
	xw_elem(&r->xml, "KeyMarker", s3_shown(r, l.url, l.q.key_marker));
	xw_elem(&r->xml, "UploadIdMarker", l.q.id_marker);
	next_xml(r, &l);
	xw_elem(&r->xml, "Prefix", s3_shown(r, l.url, l.q.prefix));
	if (l.q.delimiter.n)
		xw_elem(&r->xml, "Delimiter", s3_shown(r, l.url, l.q.delimiter));
	if (l.url)
		xw_elem(&r->xml, "EncodingType", STR("url"));
	xw_elem_int(&r->xml, "MaxUploads", (int64_t)l.q.max);
	xw_elem_bool(&r->xml, "IsTruncated", l.page.truncated);
	items_xml(r, &l);
	xw_close(&r->xml, "ListMultipartUploadsResult");
	return s3_listing_whole(r);
}

static void reply(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_ListMultipartUploads = {.run = run, .reply = reply};
