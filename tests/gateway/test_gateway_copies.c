/* CopyObject over the wire: within a repository, within a store, between stores. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/gateway/site.h"

static struct site site;

#define ETAG_X "\"9dd4e461268c8034f5c8564e155c67a6\""
#define LONG_BYTES ((size_t)300000)

static char long_body[LONG_BYTES];

static int set_up(void **state)
{
	site_open(&site, &(struct site_options){.store = SITE_LOCAL, .second_store = true});
	site_add_repo(&site, "one", false);
	site_add_repo(&site, "two", false);
	site_add_second_repo(&site, "far");
	site_add_user(&site, "one-only",
		      (struct site_statement[]){{.effect = "allow",
						 .action = "fs:*",
						 .resource = "arn:lakefs:fs:::repository/one/*"},
						{.effect = "allow",
						 .action = "fs:*",
						 .resource = "arn:lakefs:fs:::repository/one"}},
		      2);
	for (size_t i = 0; i < LONG_BYTES; i++)
		long_body[i] = (char)(i * 7 + i / 1000);
	expect(&site, 200, .method = "PUT", .target = "/one/main/x", .body = STR("x"),
	       .headers = {{"x-amz-meta-a", "1"},
			   {"content-type", "text/plain"},
			   {"cache-control", "no-cache"},
			   {"x-amz-tagging", "k=v"},
			   {"x-amz-checksum-crc32", "jNwWgw=="}});
	expect(&site, 200, .method = "PUT", .target = "/one/main/empty");
	expect(&site, 200, .method = "PUT", .target = "/one/main/long",
	       .body = str_make(long_body, LONG_BYTES));
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

static void copy(const char *from, const char *to)
{
	struct answer a;
	char text[1024];

	site_call(&site,
		  &(struct call){.method = "PUT", .target = to, .headers = {{"x-amz-copy-source", from}}},
		  &a);
	if (a.status != 200)
		fail_msg("%s: %d " STR_FMT, to, a.status, STR_ARG(buf_str(&a.body)));
	assert_true(answer_has(&a, "<CopyObjectResult"));
	assert_int_equal(strlen(answer_element(&a, "LastModified", text)), 24);
	answer_free(&a);
}

static void check_body(const char *target, struct str want)
{
	struct answer a;

	site_call(&site, &(struct call){.target = target}, &a);
	assert_int_equal(a.status, 200);
	assert_true(str_eq(buf_str(&a.body), want));
	answer_free(&a);
}

static void check_head(const char *target, const char *const *headers)
{
	struct answer a;
	char value[1024];

	site_call(&site,
		  &(struct call){.method = "HEAD",
				 .target = target,
				 .headers = {{"x-amz-checksum-mode", "ENABLED"}}},
		  &a);
	assert_int_equal(a.status, 200);
	for (; *headers; headers += 2)
		if (strcmp(answer_header(&a, headers[0], value), headers[1]))
			fail_msg("%s: %s is \"%s\", not \"%s\"", target, headers[0], value, headers[1]);
	answer_free(&a);
}

#define HEADERS(...) (const char *const[]){__VA_ARGS__, NULL}

/* Everything that belongs to the object goes with it, wherever it goes. */
static void test_copies__everywhere(void **state)
{
	static const char *const to[] = {"/one/main/c", "/two/main/c", "/far/main/c", "/one.main/d",
					 "/two.main/d", "/far.main/d"};
	static const char *const from[] = {"one/main/", "/one/main/", "one.main/", "/one.main/"};
	char source[64];

	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		for (size_t k = 0; k < sizeof(from) / sizeof(from[0]); k++) {
			snprintf(source, sizeof(source), "%sx", from[k]);
			copy(source, to[i]);
			check_body(to[i], STR("x"));
			check_head(to[i], HEADERS("etag", ETAG_X, "x-amz-meta-a", "1", "content-type",
						  "text/plain", "cache-control", "no-cache",
						  "x-amz-tagging-count", "1", "x-amz-checksum-crc32",
						  "jNwWgw=="));
			snprintf(source, sizeof(source), "%slong", from[k]);
			copy(source, to[i]);
			check_body(to[i], str_make(long_body, LONG_BYTES));
			snprintf(source, sizeof(source), "%sempty", from[k]);
			copy(source, to[i]);
			check_body(to[i], STR(""));
		}
	copy("far/main/c", "/one/main/back");
	check_body("/one/main/back", STR(""));
}

/* A copy elsewhere doesn't live on the source's body. */
static void test_copies__own_bodies(void **state)
{
	char other[32];

	for (size_t i = 0; i < 2; i++) {
		snprintf(other, sizeof(other), "/%s/main/kept", i ? "far" : "two");
		expect(&site, 200, .method = "PUT", .target = "/one/main/gone", .body = STR("body"));
		copy("one/main/gone", other);
		expect(&site, 204, .method = "DELETE", .target = "/one/main/gone");
		check_body(other, STR("body"));
	}
}

static void test_copies__directives(void **state)
{
	expect(&site, 200, .method = "PUT", .target = "/two/main/r",
	       .headers = {{"x-amz-copy-source", "one/main/x"},
			   {"x-amz-metadata-directive", "REPLACE"},
			   {"x-amz-meta-b", "2"},
			   {"content-language", "de"},
			   {"content-type", "a/b"}});
	check_head("/two/main/r",
		   HEADERS("x-amz-meta-a", "", "x-amz-meta-b", "2", "content-type", "a/b",
			   "cache-control", "", "content-language", "de", "x-amz-tagging-count", "1"));
	expect(&site, 200, .method = "PUT", .target = "/one/main/r",
	       .headers = {{"x-amz-copy-source", "one/main/x"},
			   {"x-amz-tagging-directive", "REPLACE"},
			   {"x-amz-tagging", "a=1&b=2"}});
	check_head("/one/main/r", HEADERS("x-amz-meta-a", "1", "x-amz-tagging-count", "2"));
	expect(&site, 200, .method = "PUT", .target = "/one/main/r",
	       .headers = {{"x-amz-copy-source", "one/main/x"},
			   {"x-amz-tagging-directive", "REPLACE"}});
	check_head("/one/main/r", HEADERS("x-amz-tagging-count", ""));
	expect_error(&site, 400, "InvalidArgument", .method = "PUT", .target = "/one/main/r",
		     .headers = {{"x-amz-copy-source", "one/main/x"},
				 {"x-amz-metadata-directive", "MERGE"}});
	expect_error(&site, 400, "InvalidArgument", .method = "PUT", .target = "/one/main/r",
		     .headers = {{"x-amz-copy-source", "one/main/x"},
				 {"x-amz-tagging-directive", "MERGE"}});
	expect_error(&site, 400, "InvalidRequest", .method = "PUT", .target = "/one/main/r",
		     .headers = {{"x-amz-copy-source", "one/main/r"}});
	expect_error(&site, 400, "InvalidRequest", .method = "PUT", .target = "/one.main/r",
		     .headers = {{"x-amz-copy-source", "one/main/r"}});
	expect(&site, 200, .method = "PUT", .target = "/one/main/r",
	       .headers = {{"x-amz-copy-source", "one/main/r"},
			   {"x-amz-metadata-directive", "REPLACE"},
			   {"x-amz-meta-z", "9"}});
	check_head("/one/main/r", HEADERS("x-amz-meta-z", "9", "etag", ETAG_X, "content-type",
					  "application/octet-stream"));
	expect(&site, 200, .method = "PUT", .target = "/one/main/r",
	       .headers = {{"x-amz-copy-source", "one/main/r"}, {"x-amz-storage-class", "STANDARD"}});
}

/* Asked for where nobody has it: the body is read. */
static void test_copies__checksums(void **state)
{
	static const char *const to[] = {"/one/main/s", "/two/main/s", "/far/main/s"};

	for (size_t i = 0; i < 3; i++) {
		struct answer a;
		char value[1024];

		site_call(&site,
			  &(struct call){.method = "PUT",
					 .target = to[i],
					 .headers = {{"x-amz-copy-source", "one/main/x"},
						     {"x-amz-checksum-algorithm", "SHA1"}}},
			  &a);
		assert_int_equal(a.status, 200);
		assert_string_equal(answer_element(&a, "ChecksumSHA1", value),
				    "EfatjsUqKYSrqv18O1FlA3hcIHI=");
		assert_string_equal(answer_element(&a, "ChecksumType", value), "FULL_OBJECT");
		answer_free(&a);
		check_head(to[i], HEADERS("x-amz-checksum-sha1", "EfatjsUqKYSrqv18O1FlA3hcIHI=",
					  "x-amz-checksum-crc32", "", "etag", ETAG_X));
		expect(&site, 200, .method = "PUT", .target = to[i],
		       .headers = {{"x-amz-copy-source", "one/main/long"},
				   {"x-amz-checksum-algorithm", "CRC64NVME"}});
		check_body(to[i], str_make(long_body, LONG_BYTES));
	}
	expect_error(&site, 400, "InvalidRequest", .method = "PUT", .target = "/one/main/s",
		     .headers = {{"x-amz-copy-source", "one/main/x"},
				 {"x-amz-checksum-algorithm", "MD4"}});
}

static void refused(int status, const char *code, const char *header, const char *value)
{
	expect_error(&site, status, code, .method = "PUT", .target = "/two/main/never",
		     .headers = {{"x-amz-copy-source", "one/main/x"}, {header, value}});
	expect_error(&site, 404, "NoSuchKey", .target = "/two/main/never");
}

static void test_copies__conditions(void **state)
{
	refused(412, "PreconditionFailed", "x-amz-copy-source-if-match", "\"y\"");
	refused(412, "PreconditionFailed", "x-amz-copy-source-if-none-match", ETAG_X);
	refused(412, "PreconditionFailed", "x-amz-copy-source-if-unmodified-since",
		"Sat, 01 Jan 2000 00:00:00 GMT");
	refused(412, "PreconditionFailed", "x-amz-copy-source-if-modified-since",
		"Fri, 01 Jan 2100 00:00:00 GMT");
	refused(404, "NoSuchKey", "if-match", ETAG_X);
	refused(501, "NotImplemented", "x-amz-copy-source-server-side-encryption-customer-algorithm",
		"AES256");
	refused(403, "AccessDenied", "x-amz-expected-bucket-owner", "111122223333");
	refused(403, "AccessDenied", "x-amz-source-expected-bucket-owner", "111122223333");
	expect(&site, 200, .method = "PUT", .target = "/two/main/if",
	       .headers = {{"x-amz-copy-source", "one/main/x"},
			   {"x-amz-copy-source-if-match", ETAG_X},
			   {"x-amz-copy-source-if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"},
			   {"if-none-match", "*"},
			   {"x-amz-expected-bucket-owner", "admin"}});
	expect_error(&site, 412, "PreconditionFailed", .method = "PUT", .target = "/two/main/if",
		     .headers = {{"x-amz-copy-source", "one/main/x"}, {"if-none-match", "*"}});
	expect_error(&site, 412, "PreconditionFailed", .method = "PUT", .target = "/far/main/if",
		     .headers = {{"x-amz-copy-source", "one/main/x"},
				 {"x-amz-copy-source-if-none-match", ETAG_X},
				 {"x-amz-copy-source-if-modified-since",
				  "Sat, 01 Jan 2000 00:00:00 GMT"}});
}

static void missing(int status, const char *code, const char *from, const char *to)
{
	expect_error(&site, status, code, .method = "PUT", .target = to,
		     .headers = {{"x-amz-copy-source", from}});
}

static void test_copies__missing(void **state)
{
	missing(404, "NoSuchKey", "one/main/none", "/two/main/k");
	missing(404, "NoSuchKey", "one/none/x", "/two/main/k");
	missing(404, "NoSuchBucket", "one.none/x", "/two/main/k");
	missing(404, "NoSuchBucket", "none/main/x", "/two/main/k");
	missing(404, "NoSuchBucket", "one/main/x", "/two/none/k");
	missing(404, "NoSuchBucket", "one/main/x", "/two.none/k");
	missing(404, "NoSuchBucket", "one/main/x", "/none/main/k");
	missing(404, "NoSuchVersion", "one/main/x?versionId=7", "/two/main/k");
	missing(400, "InvalidArgument", "one/main", "/two/main/k");
	expect_error(&site, 403, "AccessDenied", .user = "one-only", .method = "PUT",
		     .target = "/one/main/k", .headers = {{"x-amz-copy-source", "two/main/if"}});
	expect_error(&site, 403, "AccessDenied", .user = "one-only", .method = "PUT",
		     .target = "/two/main/k", .headers = {{"x-amz-copy-source", "one/main/x"}});
}

/* The bytes have gone from under the entry. */
static void test_copies__bytes_gone(void **state)
{
	static const char *const to[] = {"/two/main/g", "/far/main/g"};
	char command[128];

	expect(&site, 200, .method = "PUT", .target = "/one/main/lost", .body = STR("lost"));
	snprintf(command, sizeof(command), "grep -rlx lost %s/one/data | xargs rm", site.folder);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < 2; i++) {
		struct answer a;

		site_call(&site,
			  &(struct call){.method = "PUT",
					 .target = to[i],
					 .headers = {{"x-amz-copy-source", "one/main/lost"}}},
			  &a);
		assert_int_equal(a.status, 404);
		assert_true(answer_has(&a, "not in its store"));
		assert_false(answer_has(&a, site.folder));
		answer_free(&a);
		expect_error(&site, 404, "NoSuchKey", .target = to[i]);
	}
}

static int files_of_two(void)
{
	char command[128], line[32] = "";
	FILE *p;

	snprintf(command, sizeof(command), "find %s/two/data -type f | wc -l", site.folder);
	p = popen(command, "r");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	return atoi(line);
}

/* A body that no entry came to name doesn't stay. */
static void test_copies__refused_at_the_end(void **state)
{
	int before;

	copy("one/main/x", "/two/main/there");
	before = files_of_two();
	expect_error(&site, 412, "PreconditionFailed", .method = "PUT", .target = "/two/main/there",
		     .headers = {{"x-amz-copy-source", "one/main/long"}, {"if-none-match", "*"}});
	expect_error(&site, 412, "PreconditionFailed", .method = "PUT", .target = "/two/main/there",
		     .headers = {{"x-amz-copy-source", "one/main/long"}, {"if-match", "\"y\""}});
	assert_int_equal(files_of_two(), before);
	check_body("/two/main/there", STR("x"));
}

/* Who asked is gone while it is under way: a whole copy or none. */
static void test_copies__client_gone(void **state)
{
	static const char *const to[] = {"/one/main/gone", "/two/main/gone", "/far/main/gone"};

	for (size_t i = 0; i < 60; i++)
		site_abandon(&site,
			     &(struct call){.method = "PUT",
					    .target = to[i % 3],
					    .headers = {{"x-amz-copy-source", "one/main/long"},
							{i % 2 ? "x-amz-checksum-algorithm" : NULL,
							 "SHA256"}}},
			     0);
	for (size_t i = 0; i < 3; i++) {
		struct answer a;

		site_call(&site, &(struct call){.target = to[i]}, &a);
		assert_true(a.status == 404 || str_eq(buf_str(&a.body), str_make(long_body, LONG_BYTES)));
		answer_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies__everywhere),
		cmocka_unit_test(test_copies__own_bodies),
		cmocka_unit_test(test_copies__directives),
		cmocka_unit_test(test_copies__checksums),
		cmocka_unit_test(test_copies__conditions),
		cmocka_unit_test(test_copies__missing),
		cmocka_unit_test(test_copies__bytes_gone),
		cmocka_unit_test(test_copies__refused_at_the_end),
		cmocka_unit_test(test_copies__client_gone),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
