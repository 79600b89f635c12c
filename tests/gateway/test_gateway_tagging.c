/* Tags: S3's rules and codes, and what becomes of them; conditional deletions over the wire. */
#include <stdio.h>

#include "gateway/tagging.h"
#include "tests/gateway/site.h"

static struct site site;

static int set_up(void **state)
{
	site_open(&site, &(struct site_options){.store = SITE_MEM});
	site_add_repo(&site, "one", false);
	site_add_repo(&site, "frozen", true);
	site_add_user(&site, "reader",
		      &(struct site_statement){.effect = "allow", .action = "fs:Read*", .resource = "*"},
		      1);
	site_add_user(&site, "deleter",
		      &(struct site_statement){
			      .effect = "allow", .action = "fs:DeleteObject", .resource = "*"},
		      1);
	return 0;
}

static int tear_down(void **state)
{
	site_close(&site);
	return 0;
}

static void check_query(const char *query, enum err_code code, const char *text)
{
	struct arena *a = arena_new();
	struct err err = {0};
	struct tags t, again;
	rc got = tags_of_query(a, str_c(query), &t, &err);

	if (got.code != code)
		fail_msg("%s: %s", query, err_name(got.code));
	if (code == ERR_NONE) {
		struct str made = tags_text(a, &t);

		if (!str_eq(made, str_c(text)))
			fail_msg("%s: " STR_FMT, query, STR_ARG(made));
		assert_true(rc_ok(tags_of_query(a, made, &again, &err)));
		assert_true(str_eq(made, tags_text(a, &again)));
	}
	arena_free(a);
}

static void repeat(char *to, const char *what, size_t n, const char *after)
{
	*to = 0;
	while (n--)
		strcat(to, what);
	strcat(to, after);
}

static void test_tagging__rules(void **state)
{
	char text[2000], want[4000];

	check_query("", ERR_NONE, "");
	check_query("b=2&a=1", ERR_NONE, "a=1&b=2");
	check_query("a", ERR_NONE, "a=");
	check_query("a=x+y&b=%2B%2D", ERR_NONE, "a=x%20y&b=%2B-");
	check_query("caf%C3%A9=%E6%97%A5", ERR_NONE, "caf%C3%A9=%E6%97%A5");
	check_query("a=1&a=2", ERR_InvalidArgument, NULL);
	check_query("a=%", ERR_InvalidArgument, NULL);
	check_query("a=%FF", ERR_InvalidArgument, NULL);
	check_query("=1", ERR_InvalidArgument, NULL);
	check_query("a=%3C", ERR_InvalidTag, NULL);
	check_query("a=%00", ERR_InvalidTag, NULL);
	check_query("a=%C2%80", ERR_InvalidTag, NULL);
	check_query("aws:a=1", ERR_InvalidTag, NULL);
	check_query("a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1", ERR_NONE,
		    "a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1");
	check_query("a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1", ERR_BadRequest, NULL);
	repeat(text, "%C3%A9", 128, "=");
	check_query(text, ERR_NONE, text);
	repeat(text, "k", 129, "=");
	check_query(text, ERR_InvalidTag, NULL);
	repeat(text, "v", 256, "");
	snprintf(want, sizeof(want), "a=%s", text);
	check_query(want, ERR_NONE, want);
	repeat(text, "v", 257, "");
	snprintf(want, sizeof(want), "a=%s", text);
	check_query(want, ERR_InvalidTag, NULL);
}

#define TARGET "/one/main/t?tagging"
#define DOC(inner) STR("<Tagging><TagSet>" inner "</TagSet></Tagging>")
#define TAG(k, v) "<Tag><Key>" k "</Key><Value>" v "</Value></Tag>"

static void check_tags(const char *want)
{
	struct answer a;

	site_call(&site, &(struct call){.target = TARGET}, &a);
	assert_int_equal(a.status, 200);
	if (!answer_has(&a, want))
		fail_msg("%s: " STR_FMT, want, STR_ARG(buf_str(&a.body)));
	answer_free(&a);
}

static void head_of(const char *name, char value[1024])
{
	struct answer a;

	site_call(&site, &(struct call){.method = "HEAD", .target = "/one/main/t"}, &a);
	answer_header(&a, name, value);
	answer_free(&a);
}

static void test_tagging__life(void **state)
{
	char before[1024], after[1024];

	expect(&site, 200, .method = "PUT", .target = "/one/main/t", .body = STR("t"),
	       .headers = {{"x-amz-tagging", "b=2&a=1"}, {"x-amz-meta-m", "kept"}});
	check_tags("<TagSet>" TAG("a", "1") TAG("b", "2") "</TagSet>");
	head_of("last-modified", before);
	expect(&site, 200, .method = "PUT", .target = TARGET, .body = DOC(TAG("x", "") TAG("k", "v +")));
	check_tags("<TagSet>" TAG("k", "v +") TAG("x", "") "</TagSet>");
	head_of("last-modified", after);
	assert_string_equal(before, after);
	head_of("x-amz-tagging-count", after);
	assert_string_equal(after, "2");
	head_of("x-amz-meta-m", after);
	assert_string_equal(after, "kept");
	expect(&site, 204, .method = "DELETE", .target = TARGET);
	check_tags("<TagSet></TagSet>");
	head_of("x-amz-tagging-count", after);
	assert_string_equal(after, "");
	expect(&site, 200, .method = "PUT", .target = "/one.main/t?tagging", .body = DOC(TAG("z", "1")));
	check_tags(TAG("z", "1"));
	expect(&site, 200, .target = "/one/main/t");
}

static void refused(int status, const char *code, struct str doc)
{
	expect_error(&site, status, code, .method = "PUT", .target = TARGET, .body = doc);
	check_tags(TAG("z", "1"));
}

static void test_tagging__refused(void **state)
{
	refused(400, "MalformedXML", STR("<Tagging/>"));
	refused(400, "MalformedXML", STR("<Tags><TagSet/></Tags>"));
	refused(400, "MalformedXML", DOC("<Tag><Key>a</Key></Tag>"));
	refused(400, "MalformedXML", DOC("<Other/>"));
	refused(400, "MalformedXML", STR("nothing"));
	refused(400, "InvalidTag", DOC(TAG("", "1")));
	refused(400, "InvalidTag", DOC(TAG("a", "1") TAG("a", "1")));
	refused(400, "InvalidTag", DOC(TAG("a", "#")));
	refused(400, "BadRequest",
		DOC(TAG("a", "") TAG("b", "") TAG("c", "") TAG("d", "") TAG("e", "") TAG("f", "")
			    TAG("g", "") TAG("h", "") TAG("i", "") TAG("j", "") TAG("k", "")));
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main/none?tagging");
	expect_error(&site, 404, "NoSuchBucket", .target = "/one.none/k?tagging");
	expect_error(&site, 404, "NoSuchKey", .method = "DELETE", .target = "/one/main/none?tagging");
	expect_error(&site, 404, "NoSuchVersion", .target = TARGET "&versionId=7");
	expect(&site, 200, .target = TARGET "&versionId=null");
	expect_error(&site, 400, "InvalidTag", .method = "PUT", .target = "/one/main/u",
		     .headers = {{"x-amz-tagging", "a=%3F"}});
	expect_error(&site, 404, "NoSuchKey", .target = "/one/main/u");
	/* Reading isn't writing, nor the other way round. */
	expect(&site, 200, .user = "reader", .target = TARGET);
	expect_error(&site, 403, "AccessDenied", .user = "reader", .method = "PUT", .target = TARGET,
		     .body = DOC(TAG("a", "1")));
	expect_error(&site, 403, "AccessDenied", .user = "reader", .method = "DELETE", .target = TARGET);
	expect_error(&site, 403, "AccessDenied", .user = "deleter", .target = TARGET);
	check_tags(TAG("z", "1"));
}

static void put_k(void)
{
	expect(&site, 200, .method = "PUT", .target = "/one/main/k", .body = STR("k"));
}

static void del(int status, const char *header, const char *value)
{
	expect(&site, status, .method = "DELETE", .target = "/one/main/k",
	       .headers = {{header, value}});
	expect(&site, status == 204 ? 404 : 200, .target = "/one/main/k");
	if (status == 204)
		put_k();
}

#define ETAG_K "8ce4b16b22b58894aa86c421e8759df3"

static void test_tagging__conditional_deletes(void **state)
{
	struct answer a;
	char modified[1024];

	put_k();
	del(204, "if-match", "\"" ETAG_K "\"");
	del(204, "if-match", ETAG_K);
	del(204, "if-match", "*");
	del(412, "if-match", "\"x\"");
	del(412, "if-match", "");
	del(204, "x-amz-if-match-size", "1");
	del(412, "x-amz-if-match-size", "2");
	del(400, "x-amz-if-match-size", "one");
	del(412, "x-amz-if-match-last-modified-time", "Sat, 01 Jan 2000 00:00:00 GMT");
	del(400, "x-amz-if-match-last-modified-time", "yesterday");
	site_call(&site, &(struct call){.method = "HEAD", .target = "/one/main/k"}, &a);
	answer_header(&a, "last-modified", modified);
	answer_free(&a);
	del(204, "x-amz-if-match-last-modified-time", modified);
	expect_error(&site, 404, "NoSuchKey", .method = "DELETE", .target = "/one/main/none",
		     .headers = {{"if-match", "*"}});
	expect_error(&site, 404, "NoSuchKey", .method = "DELETE", .target = "/one/none/k",
		     .headers = {{"if-match", "\"x\""}});
	expect(&site, 204, .method = "DELETE", .target = "/one/main/none",
	       .headers = {{"x-amz-if-match-size", "1"}});
	expect_error(&site, 404, "NoSuchBucket", .method = "DELETE", .target = "/one.none/k",
		     .headers = {{"if-match", "*"}});
	expect_error(&site, 404, "NoSuchBucket", .method = "DELETE", .target = "/one.none/k",
		     .headers = {{"x-amz-if-match-size", "1"}});
	expect_error(&site, 403, "ErrReadOnlyRepository", .method = "DELETE",
		     .target = "/frozen/main/k", .headers = {{"if-match", "*"}});
	/* Who may only delete can't find out what is there. */
	expect_error(&site, 403, "AccessDenied", .user = "deleter", .method = "DELETE",
		     .target = "/one/main/k", .headers = {{"if-match", ETAG_K}});
	expect_error(&site, 403, "AccessDenied", .user = "deleter", .method = "DELETE",
		     .target = "/one/main/k", .headers = {{"x-amz-if-match-size", "1"}});
	expect(&site, 204, .user = "deleter", .method = "DELETE", .target = "/one/main/k",
	       .headers = {{"if-match", "*"}});
}

static void test_tagging__many_conditional_deletes(void **state)
{
	struct answer a;

	put_k();
	expect(&site, 200, .method = "PUT", .target = "/one/main/k2", .body = STR("k"));
	site_call(&site,
		  &(struct call){
			  .method = "POST",
			  .target = "/one?delete",
			  .body = STR("<Delete>"
				      "<Object><Key>main/k</Key><ETag>\"x\"</ETag></Object>"
				      "<Object><Key>main/k2</Key><ETag>" ETAG_K
				      "</ETag><Size>1</Size><VersionId>null</VersionId></Object>"
				      "<Object><Key>main/no</Key><ETag>*</ETag></Object>"
				      "<Object><Key>main/no2</Key><Size>4</Size></Object>"
				      "<Object><Key>main/no3</Key><VersionId></VersionId></Object>"
				      "<Object><Key>main/k</Key><LastModifiedTime>then</LastModifiedTime>"
				      "</Object></Delete>")},
		  &a);
	assert_int_equal(a.status, 200);
	assert_true(answer_has(&a, "<Error><Key>main/k</Key><Code>PreconditionFailed</Code><Message>"));
	assert_true(answer_has(&a, "<Deleted><Key>main/k2</Key></Deleted>"));
	assert_true(answer_has(&a, "<Error><Key>main/no</Key><Code>NoSuchKey</Code>"));
	assert_true(answer_has(&a, "<Deleted><Key>main/no2</Key></Deleted>"));
	assert_true(answer_has(&a, "<Deleted><Key>main/no3</Key></Deleted>"));
	assert_true(answer_has(&a, "<Error><Key>main/k</Key><Code>InvalidArgument</Code>"));
	answer_free(&a);
	expect(&site, 200, .target = "/one/main/k");
	expect(&site, 404, .target = "/one/main/k2");
}

static void test_tagging__owner(void **state)
{
	expect(&site, 200, .target = "/one/main/t",
	       .headers = {{"x-amz-expected-bucket-owner", "sluice"}});
	expect_error(&site, 403, "AccessDenied", .target = "/one/main/t",
		     .headers = {{"x-amz-expected-bucket-owner", "111122223333"}});
	expect_error(&site, 403, "AccessDenied", .method = "PUT", .target = "/one/main/t",
		     .body = STR("other"), .headers = {{"x-amz-expected-bucket-owner", "x"}});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tagging__rules),
		cmocka_unit_test(test_tagging__life),
		cmocka_unit_test(test_tagging__refused),
		cmocka_unit_test(test_tagging__conditional_deletes),
		cmocka_unit_test(test_tagging__many_conditional_deletes),
		cmocka_unit_test(test_tagging__owner),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
