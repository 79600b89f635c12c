/* What listings have in common. */
#include "base/encode.h"
#include "gateway/s3.h"

rc s3_encoding_type(struct s3_req *r, bool *ret_url)
{
	struct str encoding = s3_query(r, "encoding-type");

	*ret_url = encoding.n != 0;
	if (encoding.n && !str_eq(encoding, STR("url")))
		return err_set(&r->err, ERR_InvalidArgument,
			       "Invalid Encoding Method specified in Request");
	return RC_OK;
}

struct str s3_shown(struct s3_req *r, bool url, struct str s)
{
	return url ? uri_encode(r->a, s, true) : s;
}

void s3_common_prefix_xml(struct s3_req *r, struct str shown)
{
	xw_open(&r->xml, "CommonPrefixes");
	xw_elem(&r->xml, "Prefix", shown);
	xw_close(&r->xml, "CommonPrefixes");
}

void s3_owner_xml(struct s3_req *r, const char *element)
{
	xw_open(&r->xml, element);
	xw_elem(&r->xml, "ID", STR(S3_OWNER));
	xw_elem(&r->xml, "DisplayName", STR(S3_OWNER));
	xw_close(&r->xml, element);
}

rc s3_listing_whole(struct s3_req *r)
{
	if (!r->xml.overflow)
		return RC_OK;
	return err_set(&r->err, ERR_IO, "the listing's XML is larger than %zu bytes", r->xml.max);
}
