/* The table of operations: whole, and each row its own. */
#include "tests/gateway/fake.h"

/* The actions of Amazon S3's API reference for general purpose buckets and their objects. */
static const char *const actions[] = {
	"AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket",
	"CreateBucketMetadataConfiguration", "CreateBucketMetadataTableConfiguration",
	"CreateMultipartUpload", "CreateSession", "DeleteBucket",
	"DeleteBucketAnalyticsConfiguration", "DeleteBucketCors", "DeleteBucketEncryption",
	"DeleteBucketIntelligentTieringConfiguration", "DeleteBucketInventoryConfiguration",
	"DeleteBucketLifecycle", "DeleteBucketMetadataConfiguration",
	"DeleteBucketMetadataTableConfiguration", "DeleteBucketMetricsConfiguration",
	"DeleteBucketOwnershipControls", "DeleteBucketPolicy", "DeleteBucketReplication",
	"DeleteBucketTagging", "DeleteBucketWebsite", "DeleteObject", "DeleteObjects",
	"DeleteObjectTagging", "DeletePublicAccessBlock", "GetBucketAbac",
	"GetBucketAccelerateConfiguration", "GetBucketAcl", "GetBucketAnalyticsConfiguration",
	"GetBucketCors", "GetBucketEncryption", "GetBucketIntelligentTieringConfiguration",
	"GetBucketInventoryConfiguration", "GetBucketLifecycleConfiguration", "GetBucketLocation",
	"GetBucketLogging", "GetBucketMetadataConfiguration", "GetBucketMetadataTableConfiguration",
	"GetBucketMetricsConfiguration", "GetBucketNotificationConfiguration",
	"GetBucketOwnershipControls", "GetBucketPolicy", "GetBucketPolicyStatus",
	"GetBucketReplication", "GetBucketRequestPayment", "GetBucketTagging", "GetBucketVersioning",
	"GetBucketWebsite", "GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold",
	"GetObjectLockConfiguration", "GetObjectRetention", "GetObjectTagging", "GetObjectTorrent",
	"GetPublicAccessBlock", "HeadBucket", "HeadObject", "ListBuckets", "ListMultipartUploads",
	"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts", "PutBucketAbac",
	"PutBucketAccelerateConfiguration", "PutBucketAcl", "PutBucketAnalyticsConfiguration",
	"PutBucketCors", "PutBucketEncryption", "PutBucketIntelligentTieringConfiguration",
	"PutBucketInventoryConfiguration", "PutBucketLifecycleConfiguration", "PutBucketLogging",
	"PutBucketMetricsConfiguration", "PutBucketNotificationConfiguration",
	"PutBucketOwnershipControls", "PutBucketPolicy", "PutBucketReplication",
	"PutBucketRequestPayment", "PutBucketTagging", "PutBucketVersioning", "PutBucketWebsite",
	"PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectLockConfiguration",
	"PutObjectRetention", "PutObjectTagging", "PutPublicAccessBlock", "RenameObject",
	"RestoreObject", "SelectObjectContent", "UpdateBucketMetadataInventoryTableConfiguration",
	"UpdateBucketMetadataJournalTableConfiguration", "UploadPart", "UploadPartCopy",
};

static const struct s3_op *find(const char *name)
{
	for (size_t i = 0; i < S3_OPS; i++)
		if (!strcmp(s3_ops[i].name, name))
			return &s3_ops[i];
	return NULL;
}

static void test_ops__all_of_s3(void **state)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!find(actions[i]))
			fail_msg("no row for %s", actions[i]);
}

/* ListBucket...Configurations are the Get... of the same key without an id. */
static void test_ops__rows_are_unique(void **state)
{
	for (size_t i = 0; i < S3_OPS; i++)
		for (size_t k = 0; k < i; k++) {
			const struct s3_op *a = &s3_ops[i], *b = &s3_ops[k];

			if (!strcmp(a->name, b->name) ||
			    (!strcmp(a->method, b->method) && a->level == b->level &&
			     !strcmp(a->query, b->query) && !strcmp(a->header, b->header)))
				fail_msg("%s and %s", a->name, b->name);
		}
}

static void test_ops__rows_are_complete(void **state)
{
	for (size_t i = 0; i < S3_OPS; i++) {
		const struct s3_op *op = &s3_ops[i];

		assert_int_equal(op->id, i);
		if (op->flags & OP_ABSENT) {
			assert_null(op->handlers);
			continue;
		}
		assert_non_null(op->handlers);
		assert_non_null(op->handlers->reply);
		assert_int_equal(strncmp(op->action, "fs:", 3), 0);
		if (op->handlers->start && op->handlers->run)
			fail_msg("%s has two ways", op->name);
		if ((op->flags & OP_XML) && !op->handlers->run)
			fail_msg("%s reads a document for nobody", op->name);
	}
}

/* Whoever adds a row that its handler has to authorize has to say so here, too. Rows of what there isn't are
 * refused to who is known, and nothing else (the dispatcher). */
static void test_ops__each_row_has_a_permission(void **state)
{
	static const struct {
		const char *name;
		enum s3_resource resource;
	} rows[] = {
		{"ListBuckets", RES_SOMEWHERE},   /* a filter */
		{"DeleteObjects", RES_PER_KEY},   /* asked for each key */
		{"CreateBucket", RES_BUCKET},     /* asked once the namespace is known */
		{"DeleteBucket", RES_BUCKET},
	};
	size_t n = 0;

	for (size_t i = 0; i < S3_OPS; i++) {
		const struct s3_op *op = &s3_ops[i];
		bool listed = false;

		if (op->flags & OP_ABSENT)
			continue;
		assert_true(op->action && op->action[3]);
		if (op->resource != RES_SOMEWHERE && op->resource != RES_PER_KEY && op->resource != RES_BUCKET)
			continue;
		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
			listed |= rows[k].resource == op->resource && !strcmp(rows[k].name, op->name);
		if (!listed)
			fail_msg("%s leaves its permission to its handler", op->name);
		n++;
	}
	assert_int_equal(n, sizeof(rows) / sizeof(rows[0]));
}

/* What each demands, as lakeFS's policies were written for (each word by hand). */
static void test_ops__permissions(void **state)
{
	static const struct {
		const char *name, *action;
		enum s3_resource resource;
	} rows[] = {
		{"ListBuckets", "fs:ListRepositories", RES_SOMEWHERE},
		{"HeadBucket", "fs:ReadRepository", RES_REPO},
		{"GetBucketLocation", "fs:ListObjects", RES_REPO},
		{"ListObjects", "fs:ListObjects", RES_LISTING},
		{"ListObjectsV2", "fs:ListObjects", RES_LISTING},
		{"DeleteObjects", "fs:DeleteObject", RES_PER_KEY},
		{"GetObject", "fs:ReadObject", RES_OBJECT},
		{"HeadObject", "fs:ReadObject", RES_OBJECT},
		{"PutObject", "fs:WriteObject", RES_OBJECT},
		{"CopyObject", "fs:WriteObject", RES_COPY},
		{"DeleteObject", "fs:DeleteObject", RES_OBJECT},
		{"CreateMultipartUpload", "fs:WriteObject", RES_OBJECT},
		{"UploadPart", "fs:WriteObject", RES_OBJECT},
		{"CompleteMultipartUpload", "fs:WriteObject", RES_OBJECT},
		{"AbortMultipartUpload", "fs:DeleteObject", RES_OBJECT},
		{"ListParts", "fs:ReadObject", RES_OBJECT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct s3_op *op = find(rows[i].name);

		assert_string_equal(op->action, rows[i].action);
		assert_int_equal(op->resource, rows[i].resource);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ops__all_of_s3),
		cmocka_unit_test(test_ops__rows_are_unique),
		cmocka_unit_test(test_ops__rows_are_complete),
		cmocka_unit_test(test_ops__each_row_has_a_permission),
		cmocka_unit_test(test_ops__permissions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
