/* What S3 says of a bucket (or an object) on which nothing of the kind was configured. None of these can be
 * configured here, so the answers are always true; many clients ask on their way to something else, and
 * take these for an answer where NotImplemented would end them. */
#include "gateway/s3.h"

/* X(operation, error) */
#define ABSENT(X)                                                                                  \
	X(GetBucketCors, NoSuchCORSConfiguration)                                                  \
	X(GetBucketEncryption, ServerSideEncryptionConfigurationNotFoundError)                     \
	X(GetBucketLifecycleConfiguration, NoSuchLifecycleConfiguration)                           \
	X(GetBucketPolicy, NoSuchBucketPolicy)                                                     \
	X(GetBucketPolicyStatus, NoSuchBucketPolicy)                                               \
	X(GetBucketReplication, ReplicationConfigurationNotFoundError)                             \
	X(GetBucketTagging, NoSuchTagSet)                                                          \
	X(GetBucketWebsite, NoSuchWebsiteConfiguration)                                            \
	X(GetObjectLockConfiguration, ObjectLockConfigurationNotFoundError)                        \
	X(GetPublicAccessBlock, NoSuchPublicAccessBlockConfiguration)

/* The contract of handlers wants one; plan has answered before. */
static void unreached(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

#define X(op, error)                                                                               \
	static rc absent_##op(struct s3_req *r)                                                    \
	{                                                                                          \
		return err_field(err_default(&r->err, ERR_##error), &r->err, "BucketName",         \
				 r->at.bucket);                                                    \
	}                                                                                          \
	const struct s3_handlers handlers_##op = {.plan = absent_##op, .reply = unreached};
ABSENT(X)
#undef X

/* X(operation, root element, child, its text) */
#define EMPTY(X)                                                                                   \
	X(GetBucketAccelerateConfiguration, AccelerateConfiguration, NULL, NULL)                   \
	X(GetBucketLogging, BucketLoggingStatus, NULL, NULL)                                       \
	X(GetBucketNotificationConfiguration, NotificationConfiguration, NULL, NULL)               \
	X(GetBucketRequestPayment, RequestPaymentConfiguration, "Payer", "BucketOwner")            \
	X(GetBucketVersioning, VersioningConfiguration, NULL, NULL)

static void empty_xml(struct s3_req *r, const char *root, const char *child, const char *text)
{
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, root, S3_XMLNS);
	if (child)
		xw_elem(&r->xml, child, str_c(text));
	xw_close(&r->xml, root);
	s3_reply_xml(r, 200);
}

#define X(op, root, child, text)                                                                   \
	static void empty_##op(struct s3_req *r)                                                   \
	{                                                                                          \
		empty_xml(r, #root, child, text);                                                  \
	}                                                                                          \
	const struct s3_handlers handlers_##op = {.reply = empty_##op};
EMPTY(X)
#undef X

/* The owner, whom listings name, may do everything; policies say the rest. */
static void acl_xml(struct s3_req *r)
{
	static const char grantee[] =
		"<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
		"xsi:type=\"CanonicalUser\"><ID>" S3_OWNER "</ID><DisplayName>" S3_OWNER
		"</DisplayName></Grantee>";

	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "AccessControlPolicy", S3_XMLNS);
	s3_owner_xml(r, "Owner");
	xw_open(&r->xml, "AccessControlList");
	xw_open(&r->xml, "Grant");
	buf_add_cstr(&r->xml, grantee);
	xw_elem(&r->xml, "Permission", STR("FULL_CONTROL"));
	xw_close(&r->xml, "Grant");
	xw_close(&r->xml, "AccessControlList");
	xw_close(&r->xml, "AccessControlPolicy");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_GetBucketAcl = {.reply = acl_xml};

static rc object_there(struct s3_req *r)
{
	struct vcall c = s3_vcall(r);
	struct entry e;

	return s3_read_missing(r, &r->repo, &r->at, object_stat(&c, &r->repo, r->at.ref, r->at.path, &e));
}

const struct s3_handlers handlers_GetObjectAcl = {.plan = object_there, .reply = acl_xml};

/* S3's default of today: no ACLs, which there are none of. */
static void reply_ownership(struct s3_req *r)
{
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "OwnershipControls", S3_XMLNS);
	xw_open(&r->xml, "Rule");
	xw_elem(&r->xml, "ObjectOwnership", STR("BucketOwnerEnforced"));
	xw_close(&r->xml, "Rule");
	xw_close(&r->xml, "OwnershipControls");
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_GetBucketOwnershipControls = {.reply = reply_ownership};
