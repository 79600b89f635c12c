/* Buckets as they are: HeadBucket, GetBucketLocation. */
#include "gateway/s3.h"
#include "versions/stores.h"

static void head_bucket(struct s3_req *r)
{
	s3_add_header(r, "x-amz-bucket-region", r->g->o.region);
	s3_reply_empty(r, 200);
}

const struct s3_handlers handlers_HeadBucket = {.reply = head_bucket};

/* Where there are several stores: the repository's, as CreateBucket takes it. Else the region; us-east-1 is
 * told as an empty element, as S3 does. */
static struct str location(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct store_info *list;
	size_t n;

	stores_list(&c, &list, &n);
	if (n > 1 && r->repo.storage_id.n)
		return r->repo.storage_id;
	return str_eq(r->g->o.region, STR("us-east-1")) ? STR("") : r->g->o.region;
}

static void bucket_location(struct s3_req *r)
{
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "LocationConstraint", S3_XMLNS);
	xw_text(&r->xml, location(r));
	xw_close(&r->xml, "LocationConstraint");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_GetBucketLocation = {.reply = bucket_location};
