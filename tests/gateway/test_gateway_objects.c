/* Answers' shapes and S3's small print, over the wire. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sigv4/sigv4.h"
#include "tests/gateway/site.h"

static struct site site;

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void put(const char *target)
{
	expect(&site, 200, .method = "PUT", .target = target, .body = STR("x"));
}

static int set_up(void **state)
{
	static const char *const keys[] = {"/list/main/a", "/list/main/b/1", "/list/main/b/2",
					   "/list/main/c%20d", "/list/main/e%26%3C%3E", "/list/main/%01",
					   "/list/main/z"};

	site_open(&site, &(struct site_options){.store = SITE_LOCAL});
	site_add_repo(&site, "one", false);
	site_add_repo(&site, "list", false);
	for (size_t i = 0; i < LEN(keys); i++)
		put(keys[i]);
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

/* All of `want` (up to NULL) are in the answer, none of `never`. */
static void check_get(const char *target, const char *const *want, const char *const *never)
{
	struct answer a;

	site_call(&site, &(struct call){.target = target}, &a);
	assert_int_equal(a.status, 200);
	for (; *want; want++)
		if (!answer_has(&a, *want))
			fail_msg("%s: no %s in " STR_FMT, target, *want, STR_ARG(buf_str(&a.body)));
	for (; *never; never++)
		if (answer_has(&a, *never))
			fail_msg("%s: %s in " STR_FMT, target, *never, STR_ARG(buf_str(&a.body)));
	answer_free(&a);
}

#define WANT(...) (const char *const[]){__VA_ARGS__, NULL}
#define NEVER(...) (const char *const[]){__VA_ARGS__, NULL}
#define BASE "/list?prefix=main%2F"

static void test_objects__list_v1(void **state)
{
	check_get(BASE,
		  WANT("<Name>list</Name><Prefix>main/</Prefix>", "<Marker></Marker>",
		       "<MaxKeys>1000</MaxKeys>", "<IsTruncated>false</IsTruncated>",
		       "<Key>main/b/1</Key>", "<Key>main/&#x1;</Key>", "<Owner><ID>",
		       "<Key>main/e&amp;&lt;&gt;</Key>", "<StorageClass>STANDARD</StorageClass>",
		       "<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>"),
		  NEVER("KeyCount", "NextMarker", "<Delimiter>", "EncodingType"));
	check_get(BASE "&delimiter=%2F&max-keys=3",
		  WANT("<Delimiter>/</Delimiter>", "<CommonPrefixes><Prefix>main/b/</Prefix>",
		       "<NextMarker>main/b/</NextMarker>", "<IsTruncated>true</IsTruncated>"),
		  NEVER("main/c d", "main/b/1"));
	check_get(BASE "&delimiter=%2F&max-keys=3&marker=main%2Fb%2F",
		  WANT("<Marker>main/b/</Marker>", "<Key>main/c d</Key>", "<Key>main/z</Key>",
		       "<IsTruncated>false</IsTruncated>"),
		  NEVER("<Prefix>main/b/</Prefix>", "<Key>main/a</Key>"));
	check_get(BASE "&max-keys=2", WANT("<IsTruncated>true</IsTruncated>"), NEVER("NextMarker"));
	check_get(BASE "&max-keys=0", WANT("<IsTruncated>false</IsTruncated>", "<MaxKeys>0</MaxKeys>"),
		  NEVER("<Contents>"));
	check_get(BASE "&max-keys=5000", WANT("<MaxKeys>1000</MaxKeys>"), NEVER("<MaxKeys>5000"));
	check_get(BASE "&delimiter=", WANT("<Key>main/b/1</Key>"), NEVER("CommonPrefixes"));
}

static void test_objects__list_v2(void **state)
{
	struct answer a;
	char token[1024], next[1200];

	check_get(BASE "&list-type=2",
		  WANT("<KeyCount>7</KeyCount>", "<IsTruncated>false</IsTruncated>"),
		  NEVER("<Owner>", "Marker>", "ContinuationToken", "StartAfter"));
	check_get(BASE "&list-type=2&fetch-owner=true", WANT("<Owner>"), NEVER("Marker>"));
	check_get(BASE "&list-type=2&start-after=main%2Fb%2F1",
		  WANT("<StartAfter>main/b/1</StartAfter>", "<Key>main/b/2</Key>"),
		  NEVER("<Key>main/b/1</Key>"));
	site_call(&site, &(struct call){.target = BASE "&list-type=2&max-keys=4&start-after=main%2F"},
		  &a);
	answer_element(&a, "NextContinuationToken", token);
	assert_true(token[0]);
	answer_free(&a);
	snprintf(next, sizeof(next), "%s%s", BASE "&list-type=2&start-after=main%2F&continuation-token=",
		 token);
	for (char *p = strstr(next, "token="); (p = strchr(p, '='));) {
		if (p[1] == 0 || p[1] == '=') { /* padding */
			memcpy(p, "%3D", 4);
			break;
		}
		p++;
	}
	check_get(next,
		  WANT("<ContinuationToken>", "<StartAfter>main/</StartAfter>", "<Key>main/z</Key>",
		       "<KeyCount>3</KeyCount>"),
		  NEVER("<Key>main/a</Key>", "NextContinuationToken"));
	expect_error(&site, 400, "InvalidArgument",
		     .target = BASE "&list-type=2&continuation-token=!");
}

static void test_objects__list_encoded(void **state)
{
	check_get(BASE "&encoding-type=url&delimiter=%20&marker=main%2F%01",
		  WANT("<EncodingType>url</EncodingType>", "<Delimiter>%20</Delimiter>",
		       "<Prefix>main/</Prefix>", "<Prefix>main/c%20</Prefix>",
		       "<Marker>main/%01</Marker>", "<Key>main/e%26%3C%3E</Key>"),
		  NEVER("<Key>main/%01</Key>"));
	check_get(BASE "&encoding-type=url&delimiter=%20&max-keys=5",
		  WANT("<NextMarker>main/c%20</NextMarker>"), NEVER("main/z"));
	check_get(BASE "&encoding-type=url&list-type=2&start-after=main%2Fc%20d",
		  WANT("<StartAfter>main/c%20d</StartAfter>"), NEVER("<Key>main/c%20d</Key>"));
	expect_error(&site, 400, "InvalidArgument", .target = BASE "&encoding-type=base64");
	expect_error(&site, 400, "InvalidArgument", .target = BASE "&max-keys=many");
	expect_error(&site, 400, "InvalidArgument", .target = BASE "&max-keys=-1");
	expect_error(&site, 400, "InvalidArgument", .target = BASE "&list-type=3");
	expect_error(&site, 400, "InvalidArgument", .target = "/?max-buckets=0");
}

static void test_objects__list_branches(void **state)
{
	check_get("/list", WANT("<CommonPrefixes><Prefix>main/</Prefix>"), NEVER("<Contents>"));
	check_get("/list?list-type=2&prefix=ma", WANT("<Prefix>main/</Prefix>"), NEVER("<Contents>"));
	check_get("/list?marker=main%2F", WANT("<Name>list"), NEVER("CommonPrefixes"));
	check_get("/list?prefix=none%2F", WANT("<Name>list"), NEVER("<Contents>"));
}

static void test_objects__deletes(void **state)
{
	struct answer a;

	put("/one/main/keep");
	expect_error(&site, 404, "NoSuchVersion", .method = "DELETE",
		     .target = "/one/main/keep?versionId=3");
	expect_error(&site, 412, "PreconditionFailed", .method = "DELETE", .target = "/one/main/keep",
		     .headers = {{"if-match", "\"x\""}});
	site_call(&site,
		  &(struct call){.method = "POST", .target = "/one?delete=",
				 .body = STR("<Delete><Quiet>True</Quiet>"
					     "<Object><Key>main/keep</Key><VersionId>7</VersionId></Object>"
					     "<Object><Key>main/keep</Key><ETag>x</ETag></Object>"
					     "<Object><Key>main/none</Key></Object>"
					     "<Object><Key>main/</Key></Object></Delete>")},
		  &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "<Code>NoSuchVersion</Code>"));
	assert_true(answer_has(&a, "<Code>PreconditionFailed</Code>"));
	assert_false(answer_has(&a, "<Deleted>"));
	answer_free(&a);
	expect(&site, 200, .target = "/one/main/keep");
	expect(&site, 204, .method = "DELETE", .target = "/one/main/keep?versionId=null");
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main/keep");
	expect(&site, 204, .method = "DELETE", .target = "/one/main/keep");
	expect(&site, 204, .method = "DELETE", .target = "/one/main/");
	expect(&site, 204, .method = "DELETE", .target = "/one/none/k");
	expect_error(&site, 400, "MalformedXML", .method = "POST", .target = "/one?delete=",
		     .body = STR("<Delete><Object><Key></Key></Object></Delete>"));
	expect_error(&site, 400, "MalformedXML", .method = "POST", .target = "/one?delete=",
		     .body = STR("<Delete></Delete>"));
	expect_error(&site, 400, "MalformedXML", .method = "POST", .target = "/one?delete=",
		     .body = STR("<Delete"));
	expect_error(&site, 400, "BadDigest", .method = "POST", .target = "/one?delete=",
		     .body = STR("<Delete><Object><Key>main/x</Key></Object></Delete>"),
		     .headers = {{"content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="}});
}

/* A part that lost its upload's id must not replace the object. */
static void test_objects__no_write_by_mistake(void **state)
{
	expect(&site, 200, .method = "PUT", .target = "/one/main/k", .body = STR("good"));
	expect_error(&site, 405, "MethodNotAllowed", .method = "PUT", .target = "/one/main/k?uploadId=u",
		     .body = STR("bad"));
	expect_error(&site, 501, "NotImplemented", .method = "PUT", .target = "/one/main/k?retention=",
		     .body = STR("bad"));
	expect_error(&site, 404, "NoSuchKey", .method = "PUT", .target = "/one/main/", .body = STR("x"));
	expect_error(&site, 404, "NoSuchKey", .method = "PUT", .target = "/one/main", .body = STR("x"));
	expect_error(&site, 404, "NoSuchBucket", .method = "PUT", .target = "/one/none/k",
		     .body = STR("x"));
	expect(&site, 404, .method = "HEAD", .target = "/one/main/");
	expect_error(&site, 416, "InvalidRange", .target = "/one/main/k",
		     .headers = {{"range", "bytes=4-"}});
}

/* What came twice is one value; nothing that is stored begins another header. */
static void test_objects__metadata(void **state)
{
	struct answer a;
	char value[1024];

	expect(&site, 200, .method = "PUT", .target = "/one/main/meta", .body = STR("x"),
	       .headers = {{"x-amz-meta-a", "1"},
			   {"x-amz-meta-a", "2"},
			   {"x-amz-meta-b", "=?UTF-8?Q?caf=C3=A9=0D=0Ax-evil:_1?="},
			   {"content-encoding", "aws-chunked,gzip"},
			   {"cache-control", "no-cache"},
			   {"content-type", "text/html"}});
	site_call(&site,
		  &(struct call){.method = "HEAD",
				 .target = "/one/main/meta?response-content-type=a%0D%0Ax-evil:%201"},
		  &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(answer_header(&a, "x-amz-meta-a", value), "1,2");
	assert_string_equal(answer_header(&a, "x-evil", value), "");
	assert_string_equal(answer_header(&a, "content-encoding", value), "gzip");
	assert_string_equal(answer_header(&a, "cache-control", value), "no-cache");
	assert_string_equal(answer_header(&a, "x-content-type-options", value), "nosniff");
	assert_string_equal(answer_header(&a, "content-security-policy", value), "sandbox");
	assert_true(!strncmp(answer_header(&a, "x-amz-meta-b", value), "=?", 2));
	answer_free(&a);
}

static void test_objects__much_metadata(void **state)
{
	static char names[CALL_HEADERS][32];
	struct call c = {.method = "PUT", .target = "/one/main/much", .body = STR("x")};
	struct answer a;
	char value[1024];

	for (int i = 0; i < CALL_HEADERS; i++) {
		snprintf(names[i], sizeof(names[i]), "x-amz-meta-name-%d", i);
		c.headers[i].name = names[i];
		c.headers[i].value = "v";
	}
	site_call(&site, &c, &a);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	site_call(&site, &(struct call){.target = "/one/main/much"}, &a);
	assert_int_equal(a.status, 200);
	for (int i = 0; i < CALL_HEADERS; i++)
		assert_string_equal(answer_header(&a, names[i], value), "v");
	assert_string_equal(answer_header(&a, "x-amz-missing-meta", value), "");
	answer_free(&a);
}

static void link_to(const char *path, const char *query, char out[2000])
{
	struct arena *a = arena_new();
	const struct sigv4_header host = {STR("host"), STR("localhost")};
	const struct sigv4_request sr = {STR("PUT"), str_c(path), str_c(query), &host, 1, STR_NONE};
	struct str admin = STR("admin");
	struct str signed_query =
		sigv4_presign(&sr, &(struct sigv4_credentials){admin, admin, STR_NONE},
			      STR("us-east-1"), STR("s3"), wall_now().s, 60, a);

	snprintf(out, 2000, "%s?" STR_FMT, path, STR_ARG(signed_query));
	arena_free(a);
}

/* A link's x-amz- parameters are the headers they stand for; the checksum of the body that wasn't there
 * when it was made is not held against the one that comes. */
static void test_objects__links(void **state)
{
	struct answer a;
	char target[2000], value[1024];

	link_to("/one/main/link", "x-amz-meta-a=b&x-amz-checksum-crc32=AAAAAA%3D%3D", target);
	expect(&site, 200, .user = "", .method = "PUT", .target = target, .body = STR("linked"));
	link_to("/one/main/link2", "x-amz-copy-source=one%2Fmain%2Flink", target);
	expect(&site, 200, .user = "", .method = "PUT", .target = target);
	site_call(&site, &(struct call){.target = "/one/main/link2"}, &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "linked"));
	assert_string_equal(answer_header(&a, "x-amz-meta-a", value), "b");
	answer_free(&a);
	snprintf(target + strlen(target), sizeof(target) - strlen(target), "&x-amz-acl=private");
	expect_error(&site, 403, "SignatureDoesNotMatch", .user = "", .method = "PUT",
		     .target = target);
}

static void begin(char id[1024])
{
	struct answer a;

	site_call(&site,
		  &(struct call){.method = "POST", .target = "/one/main/mp?uploads=",
				 .headers = {{"x-amz-checksum-algorithm", "CRC32"}}},
		  &a);
	assert_int_equal(a.status, 200);
	answer_element(&a, "UploadId", id);
	answer_free(&a);
}

static void test_objects__multipart(void **state)
{
	char id[1024], target[1200], etag[1024];
	struct answer a;

	begin(id);
	snprintf(target, sizeof(target), "/one/main/mp?partNumber=1&uploadId=%s", id);
	/* CRC-32 of "123456789" */
	expect_error(&site, 400, "BadDigest", .method = "PUT", .target = target,
		     .body = STR("12345678"), .headers = {{"x-amz-checksum-crc32", "y/Q5Jg=="}});
	expect_error(&site, 400, "InvalidDigest", .method = "PUT", .target = target,
		     .body = STR("x"), .headers = {{"content-md5", "nonsense"}});
	site_call(&site,
		  &(struct call){.method = "PUT", .target = target, .body = STR("123456789"),
				 .headers = {{"x-amz-checksum-crc32", "y/Q5Jg=="}}},
		  &a);
	assert_int_equal(a.status, 200);
	answer_header(&a, "etag", etag);
	answer_free(&a);
	snprintf(target, sizeof(target), "/one/main/mp?uploadId=%s", id);
	check_get(target,
		  WANT("<PartNumberMarker>0</PartNumberMarker>",
		       "<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>", "<Initiator><ID>", "<Owner><ID>",
		       "<StorageClass>STANDARD</StorageClass>", "<Size>9</Size>"),
		  NEVER("<IsTruncated>true"));
	expect_error(&site, 400, "MalformedXML", .method = "POST", .target = target,
		     .body = STR("<CompleteMultipartUpload></CompleteMultipartUpload>"));
	expect_error(&site, 400, "InvalidPart", .method = "POST", .target = target,
		     .body = STR("<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>x</ETag>"
				 "</Part></CompleteMultipartUpload>"));
	/* The header's checksum is the object's, not the document's. */
	expect_error(&site, 400, "BadDigest", .method = "POST", .target = target,
		     .body = STR("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
				 "<ETag>25f9e794323b453885f5181f1b624d0b</ETag>"
				 "<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part>"
				 "</CompleteMultipartUpload>"),
		     .headers = {{"x-amz-checksum-crc32", "AAAAAA=="}});
	site_call(&site,
		  &(struct call){.method = "POST", .target = target,
				 .body = STR("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
					     "<ETag>25f9e794323b453885f5181f1b624d0b</ETag>"
				 "<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part>"
					     "</CompleteMultipartUpload>"),
				 .headers = {{"x-amz-checksum-type", "COMPOSITE"}}},
		  &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "-1&quot;</ETag>"));
	assert_true(answer_has(&a, "<ChecksumCRC32>"));
	answer_free(&a);
	expect_error(&site, 404, "NoSuchUpload", .target = target);
	expect(&site, 206, .target = "/one/main/mp?partNumber=1");
	expect_error(&site, 416, "InvalidPartNumber", .target = "/one/main/mp?partNumber=2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects__list_v1),
		cmocka_unit_test(test_objects__list_v2),
		cmocka_unit_test(test_objects__list_encoded),
		cmocka_unit_test(test_objects__list_branches),
		cmocka_unit_test(test_objects__deletes),
		cmocka_unit_test(test_objects__no_write_by_mistake),
		cmocka_unit_test(test_objects__metadata),
		cmocka_unit_test(test_objects__much_metadata),
		cmocka_unit_test(test_objects__links),
		cmocka_unit_test(test_objects__multipart),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
