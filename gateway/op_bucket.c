/* Buckets: repositories as S3 sees them. */
#include "gateway/s3.h"

enum { PAGE = 1000, MAX_BUCKETS = 10000 };

static void bucket_xml(struct s3_req *r, const struct repo *repo)
{
	char date[25];

	time_iso_ms(repo->created, date);
	xw_open(&r->xml, "Bucket");
	xw_elem(&r->xml, "Name", repo->id);
	xw_elem(&r->xml, "CreationDate", str_c(date));
	xw_close(&r->xml, "Bucket");
}

static void owner_xml(struct s3_req *r)
{
	xw_open(&r->xml, "Owner");
	xw_elem(&r->xml, "ID", auth_user_name(r->user));
	xw_elem(&r->xml, "DisplayName", auth_user_name(r->user));
	xw_close(&r->xml, "Owner");
}

/* Those that the caller may list, in order, up to max-buckets. */
static rc list_buckets(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct str after = s3_query(r, "continuation-token"), prefix = s3_query(r, "prefix");
	struct repo *repos;
	uint64_t max, shown = 0;
	size_t n;
	bool more = true, full = false;

	TRY(s3_query_u64(r, "max-buckets", MAX_BUCKETS, MAX_BUCKETS, &max));
	if (max == 0)
		return err_set(&r->err, ERR_InvalidArgument,
			       "Argument max-buckets must be an integer between 1 and %d", MAX_BUCKETS);
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "ListAllMyBucketsResult", "http://s3.amazonaws.com/doc/2006-03-01/");
	owner_xml(r);
	xw_open(&r->xml, "Buckets");
	while (more && !full) {
		TRY(repo_list(&c, prefix, after, PAGE, &repos, &n, &more));
		for (size_t i = 0; i < n && !full; i++) {
			if (!s3_allows_repo(r, "fs:ListRepositories", repos[i].id))
				continue;
			full = shown == max;
			if (full)
				break;
			bucket_xml(r, &repos[i]);
			after = repos[i].id;
			shown++;
		}
		if (n && !full)
			after = repos[n - 1].id;
	}
	xw_close(&r->xml, "Buckets");
	if (full)
		xw_elem(&r->xml, "ContinuationToken", after);
	if (prefix.n)
		xw_elem(&r->xml, "Prefix", prefix);
	xw_close(&r->xml, "ListAllMyBucketsResult");
	return RC_OK;
}

static void reply_xml(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_ListBuckets = {.run = list_buckets, .reply = reply_xml};

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
	xw_open_ns(&r->xml, "LocationConstraint", "http://s3.amazonaws.com/doc/2006-03-01/");
	if (!str_eq(r->g->o.region, STR("us-east-1")))
		xw_text(&r->xml, r->g->o.region);
	xw_close(&r->xml, "LocationConstraint");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_GetBucketLocation = {.reply = bucket_location};
