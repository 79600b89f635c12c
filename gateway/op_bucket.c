/* Buckets as they are: HeadBucket, GetBucketLocation. */
#include "gateway/s3.h"

static void head_bucket(struct s3_req *r)
{
	s3_add_header(r, "x-amz-bucket-region", r->g->o.region);
	s3_reply_empty(r, 200);
}

const struct s3_handlers handlers_HeadBucket = {.reply = head_bucket};

/* us-east-1 is told as an empty element, as S3 does. */
static void bucket_location(struct s3_req *r)
{
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "LocationConstraint", S3_XMLNS);
	if (!str_eq(r->g->o.region, STR("us-east-1")))
		xw_text(&r->xml, r->g->o.region);
	xw_close(&r->xml, "LocationConstraint");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_GetBucketLocation = {.reply = bucket_location};
