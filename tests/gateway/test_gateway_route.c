/* Addresses and rows: what a request is, and what it is never taken for. */
#include "tests/gateway/fake.h"

struct row {
	const char *head; /* request line and headers after Host */
	const char *op;   /* or the error */
	const char *bucket, *key;
};

static void check(const struct row *row, const char *host, const char *domain)
{
	struct fake f;
	char head[4096];
	const char *rest = strchr(row->head, '\n');
	int line = rest ? (int)(rest - row->head) : (int)strlen(row->head);
	const char *got;
	rc routed;

	snprintf(head, sizeof(head), "%.*s HTTP/1.1\nHost: %s\n%s", line, row->head, host,
		 rest ? rest + 1 : "");
	fake_open(&f, head, domain);
	routed = s3_route(&f.r);
	got = rc_ok(routed) ? f.r.op->name : err_name(routed.code);
	if (strcmp(got, row->op))
		fail_msg("%s: %s, not %s", row->head, got, row->op);
	if (row->bucket && !str_eq(f.r.at.bucket, str_c(row->bucket)))
		fail_msg("%s: bucket " STR_FMT, row->head, STR_ARG(f.r.at.bucket));
	if (row->key && !str_eq(f.r.at.key, str_c(row->key)))
		fail_msg("%s: key " STR_FMT, row->head, STR_ARG(f.r.at.key));
	fake_close(&f);
}

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void test_route__operations(void **state)
{
	static const struct row rows[] = {
		{"GET /", "ListBuckets", "", ""},
		{"GET /?max-buckets=3", "ListBuckets", "", ""},
		{"HEAD /r", "HeadBucket", "r", ""},
		{"HEAD /r/", "HeadBucket", "r", ""},
		{"GET /r", "ListObjects", "r", ""},
		{"GET /r/?prefix=a%2Fb", "ListObjects", "r", ""},
		{"GET /r?list-type=2&prefix=", "ListObjectsV2", "r", ""},
		{"GET /r?prefix=&list-type=2", "ListObjectsV2", "r", ""},
		{"GET /r?list-type=1", "ListObjects", "r", ""},
		{"GET /r?location", "GetBucketLocation", "r", ""},
		{"GET /r?location=", "GetBucketLocation", "r", ""},
		{"POST /r?delete", "DeleteObjects", "r", ""},
		{"POST /r?delete=", "DeleteObjects", "r", ""},
		{"GET /r/main/a%20b+c", "GetObject", "r", "main/a b+c"},
		{"GET /r/main//x///y/", "GetObject", "r", "main//x///y/"},
		{"GET /r/main/../x/./y", "GetObject", "r", "main/../x/./y"},
		{"GET /r/main/k?partNumber=2", "GetObject", "r", "main/k"},
		{"GET /r/main/k?x-id=GetObject", "GetObject", "r", "main/k"},
		{"HEAD /r/main/k", "HeadObject", "r", "main/k"},
		{"PUT /r/main/k", "PutObject", "r", "main/k"},
		{"PUT /r/main/k?x-id=PutObject", "PutObject", "r", "main/k"},
		{"PUT /r/main/", "PutObject", "r", "main/"},
		{"PUT /r/main/k\nX-Amz-Copy-Source: r/main/j\n", "CopyObject", "r", "main/k"},
		/* A link's parameters count as headers where the signature covers them. */
		{"PUT /r/main/k?X-Amz-Signature=0&x-amz-copy-source=r%2Fmain%2Fj", "CopyObject", "r",
		 "main/k"},
		{"PUT /r/main/k?X-Amz-Signature=0&X-Amz-Copy-Source=r%2Fmain%2Fj", "CopyObject", "r",
		 "main/k"},
		{"PUT /r/main/k?Signature=0&x-amz-copy-source=r%2Fmain%2Fj", "PutObject", "r", "main/k"},
		{"DELETE /r/main/k", "DeleteObject", "r", "main/k"},
		{"POST /r/main/k?uploads", "CreateMultipartUpload", "r", "main/k"},
		{"PUT /r/main/k?partNumber=1&uploadId=u", "UploadPart", "r", "main/k"},
		{"PUT /r/main/k?uploadId=u&partNumber=1&x-id=UploadPart", "UploadPart", "r", "main/k"},
		{"PUT /r/main/k?partNumber=1&uploadId=u\nX-Amz-Copy-Source: r/main/j\n", "UploadPartCopy",
		 "r", "main/k"},
		{"POST /r/main/k?uploadId=u", "CompleteMultipartUpload", "r", "main/k"},
		{"DELETE /r/main/k?uploadId=u", "AbortMultipartUpload", "r", "main/k"},
		{"GET /r/main/k?uploadId=u&max-parts=2", "ListParts", "r", "main/k"},
		{"PUT /r", "CreateBucket", "r", ""},
		{"GET /r/main/k?tagging", "GetObjectTagging", "r", "main/k"},
	};

	for (size_t i = 0; i < LEN(rows); i++)
		check(&rows[i], "localhost:8000", "s3.example.com");
}

/* A request that we don't know must not become one that we do. */
static void test_route__refused(void **state)
{
	static const struct row rows[] = {
		{"OPTIONS /r/main/k\nOrigin: http://x\n", "MethodNotAllowed", "r", "main/k"},
		{"OPTIONS /", "MethodNotAllowed", "", ""},
		{"PATCH /r/main/k", "MethodNotAllowed", NULL, NULL},
		{"HEAD /", "MethodNotAllowed", NULL, NULL},
		{"get /", "MethodNotAllowed", NULL, NULL},
		{"PUT /", "MethodNotAllowed", NULL, NULL},
		{"PUT /r/main/k?something-new", "NotImplemented", NULL, NULL},
		{"DELETE /r/main/k?something-new=", "NotImplemented", NULL, NULL},
		/* A part without its upload isn't an object, and so on. */
		{"PUT /r/main/k?uploadId=u", "MethodNotAllowed", NULL, NULL},
		{"PUT /r/main/k?partNumber=1", "InvalidArgument", NULL, NULL},
		{"GET /r/main/k?uploads", "InvalidRequest", NULL, NULL},
		{"GET /r/main/k?versions", "InvalidRequest", NULL, NULL},
		{"GET /r/main/k\nx-amz-copy-source: a/b\n", "InvalidArgument", NULL, NULL},
		{"DELETE /r\nx-amz-copy-source: a/b\n", "InvalidArgument", NULL, NULL},
		{"POST /r/main/k?uploadId=u\nx-amz-copy-source: a/b\n", "InvalidArgument", NULL, NULL},
		{"DELETE /r/main/k?uploads", "InvalidRequest", NULL, NULL},
		{"DELETE /r/main/k?acl=x", "InvalidRequest", NULL, NULL},
		{"PUT /r/main/k?delete=x", "InvalidRequest", NULL, NULL},
		{"GET /r/main/%zz", "InvalidURI", NULL, NULL},
		{"GET /r/main/a%00b", "InvalidURI", NULL, NULL},
		{"GET /r/main/%ff", "InvalidURI", NULL, NULL},
		{"GET /r?prefix=%ff", "InvalidURI", NULL, NULL},
		{"GET /r?prefix=%", "InvalidURI", NULL, NULL},
	};

	for (size_t i = 0; i < LEN(rows); i++)
		check(&rows[i], "localhost", NULL);
}

static void test_route__bounds(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct row row = {NULL, "KeyTooLongError", NULL, NULL};

	buf_add(&b, STR("GET /r/main/"));
	for (int i = 0; i < 1025; i++)
		buf_add_c(&b, 'k');
	buf_add_c(&b, 0);
	row.head = b.p;
	check(&row, "h", NULL);
	buf_reset(&b);
	buf_add(&b, STR("GET /r?"));
	for (int i = 0; i <= S3_MAX_PARAMS; i++)
		buf_add(&b, STR("a=b&&"));
	row = (struct row){b.p, "InvalidRequest", NULL, NULL};
	check(&row, "h", NULL);
	buf_deinit(&b);
}

static void test_route__virtual_hosts(void **state)
{
	static const struct {
		const char *host;
		struct row row;
	} rows[] = {
		{"r.s3.example.com", {"GET /main/k", "GetObject", "r", "main/k"}},
		{"r.s3.example.com:8000", {"GET /main/k", "GetObject", "r", "main/k"}},
		{"Repo.S3.Example.com", {"GET /main/k", "GetObject", "repo", "main/k"}},
		{"r.s3.example.com", {"GET /", "ListObjects", "r", ""}},
		{"s3.example.com", {"GET /r/main/k", "GetObject", "r", "main/k"}},
		{"s3.example.com:80", {"GET /", "ListBuckets", "", ""}},
		{"xs3.example.com", {"GET /r/main/k", "GetObject", "r", "main/k"}},
		{".s3.example.com", {"GET /r/main/k", "GetObject", "r", "main/k"}},
		{"[::1]:8000", {"GET /r/main/k", "GetObject", "r", "main/k"}},
		{"127.0.0.1", {"GET /r/main/k", "GetObject", "r", "main/k"}},
	};

	for (size_t i = 0; i < LEN(rows); i++)
		check(&rows[i].row, rows[i].host, "s3.example.com");
}

static void check_source(const char *header, const char *want)
{
	struct fake f;
	char head[1024];
	struct s3_address at;
	rc found;

	snprintf(head, sizeof(head), "PUT /r/main/k HTTP/1.1\nHost: h\nx-amz-copy-source: %s\n", header);
	fake_open(&f, head, NULL);
	assert_true(rc_ok(s3_route(&f.r)));
	found = s3_copy_source(&f.r, &at);
	if (!rc_ok(found)) {
		assert_string_equal(err_name(found.code), want);
	} else {
		struct str all = arena_join(f.a,
					    (struct str[]){at.repo, STR("|"), at.ref, STR("|"), at.path},
					    5);

		assert_string_equal(all.p, want);
	}
	fake_close(&f);
}

static void test_route__copy_source(void **state)
{
	check_source("r/main/k", "r|main|k");
	check_source("/r/main/a/b", "r|main|a/b");
	check_source("%2Fr%2Fmain%2Fa%2520b", "r|main|a%20b");
	check_source("r/main/a+b", "r|main|a b");
	check_source("r/main/k?versionId=null", "r|main|k");
	check_source("r/main/k?versionId=3", "NoSuchVersion");
	check_source("r/main/k%3FversionId=null", "r|main|k?versionId=null");
	check_source("r/main", "InvalidArgument");
	check_source("r/main/", "InvalidArgument");
	check_source("r", "InvalidArgument");
	check_source("", "InvalidArgument");
	check_source("r/main/%ff", "InvalidArgument");
	check_source("r/main/%00", "InvalidArgument");
	check_source("r/main/%4", "InvalidArgument");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route__operations),
		cmocka_unit_test(test_route__refused),
		cmocka_unit_test(test_route__bounds),
		cmocka_unit_test(test_route__virtual_hosts),
		cmocka_unit_test(test_route__copy_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
