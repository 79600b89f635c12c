#include "check.h"

#include <stdio.h>

#include "base/xml.h"

static int set_up(void **state)
{
	*state = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	arena_free(*state);
	return 0;
}

static struct xml_node *parsed(struct arena *a, const char *doc)
{
	struct xml_node *n = NULL;
	struct err e = {0};

	if (!rc_ok(xml_parse(a, str_c(doc), &n, &e)))
		fail_msg("%s: %s", doc, e.msg);
	return n;
}

static void refused(struct arena *a, struct str doc, const char *why)
{
	struct xml_node *n = NULL;
	struct err e = {0};

	if (!rc_is(xml_parse(a, doc, &n, &e), MalformedXML))
		fail_msg("took " STR_FMT, STR_ARG(str_head(doc, 100)));
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" doesn't say \"%s\"", e.msg, why);
}

static void test_xml__reads(void **state)
{
	struct xml_node *n = parsed(*state,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
		"<Object><Key>a &amp; b&#13;&lt;<![CDATA[<c>]]></Key></Object>"
		"<Object><Key/></Object><!-- no --><?pi x?></Delete>\n");
	struct xml_node *o;

	assert_cstr(n->name, "Delete");
	assert_null(n->parent);
	assert_cstr(xml_child_text(n, "Quiet"), "true");
	o = xml_child(n, "Object");
	assert_cstr(xml_child_text(o, "Key"), "a & b\r<<c>");
	o = o->next;
	assert_cstr(o->name, "Object");
	assert_ptr_equal(o->parent, n);
	assert_int_equal(xml_child_text(o, "Key").n, 0);
	assert_non_null(xml_child_text(o, "Key").p);
	assert_null(o->next);
	assert_null(xml_child(n, "None"));
	assert_null(xml_child_text(n, "None").p);
	assert_null(xml_child(NULL, "x"));
}

static void test_xml__namespaces_are_dropped(void **state)
{
	assert_cstr(parsed(*state, "<p:a xmlns:p=\"u\">t</p:a>")->name, "a");
	assert_cstr(parsed(*state, "<p:a>t</p:a>")->name, "a");
	assert_cstr(xml_child_text(parsed(*state, "<a><g xsi:type=\"x\">t</g></a>"), "g"), "t");
}

static void test_xml__text_around_children(void **state)
{
	struct xml_node *n = parsed(*state, "<a>x<b>in</b>y<!-- c -->z</a>");

	assert_cstr(n->text, "xyz");
	assert_cstr(xml_child_text(n, "b"), "in");
}

static void test_xml__byte_order_mark(void **state)
{
	assert_cstr(parsed(*state, "\xef\xbb\xbf<a>\xc3\xa9</a>")->text, "\xc3\xa9");
	assert_cstr(parsed(*state, "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xc3\xa9</a>")->text,
		    "\xc3\xa9");
}

static void test_xml__refuses(void **state)
{
	refused(*state, STR(""), "empty");
	refused(*state, STR_NONE, "empty");
	refused(*state, STR("  "), "line 1");
	refused(*state, STR("\xef\xbb\xbf"), "line 1");
	refused(*state, STR("text"), "line 1");
	refused(*state, STR("<a>"), "line 1");
	refused(*state, STR("<a>\n</b>"), "line 2");
	refused(*state, STR("<a/><b/>"), "line 1");
	refused(*state, STR("<a>&unknown;</a>"), "unknown");
	refused(*state, STR("<a>\x01</a>"), "line 1");
	refused(*state, STR("<a>&#1;</a>"), "line 1");
	refused(*state, STR("<a>\xff</a>"), "UTF-8");
	refused(*state, STR("<\0a\0/\0>\0"), "UTF-8");
	refused(*state, STR("<a x='1' x='2'/>"), "redefined");
	refused(*state, STR("<!DOCTYPE a><a/>"), "DOCTYPE");
	refused(*state, STR("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>"), "DOCTYPE");
	refused(*state, STR("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"), "DOCTYPE");
	refused(*state,
		STR("<!DOCTYPE a [<!ENTITY % x SYSTEM \"http://127.0.0.1:1/\"> %x;]><a/>"), "DOCTYPE");
}

static void nested(struct buf *b, int depth)
{
	buf_reset(b);
	for (int i = 0; i < depth; i++)
		buf_add_cstr(b, "<a>");
	for (int i = 0; i < depth; i++)
		buf_add_cstr(b, "</a>");
}

static void test_xml__bounds(void **state)
{
	struct buf b = BUF_INIT(2 << 20);
	struct xml_node *n;

	nested(&b, 16);
	assert_true(rc_ok(xml_parse(*state, buf_str(&b), &n, NULL)));
	nested(&b, 17);
	refused(*state, buf_str(&b), "deeply");
	for (int extra = 0; extra < 2; extra++) {
		buf_reset(&b);
		buf_add_cstr(&b, "<r>");
		for (int i = 0; i < 99999 + extra; i++)
			buf_add_cstr(&b, "<a/>");
		buf_add_cstr(&b, "</r>");
		if (extra)
			refused(*state, buf_str(&b), "too many");
		else
			assert_true(rc_ok(xml_parse(*state, buf_str(&b), &n, NULL)));
	}
	buf_deinit(&b);
}

static void with_attributes(struct buf *b, int n)
{
	buf_reset(b);
	buf_add_cstr(b, "<?pi < = = ?><!-- < = = --><r a=\">\"><![CDATA[< = = ]]><a b='>'");
	for (int i = 1; i < n; i++)
		buf_printf(b, " a%d=\"= =\"", i);
	buf_add_cstr(b, "/>= = <b/></r>");
}

/* A document of the size that is accepted, full of attributes, is refused before it costs anything. */
static void test_xml__attributes(void **state)
{
	struct buf b = BUF_INIT(8 << 20);
	struct xml_node *n;
	struct err e = {0};

	with_attributes(&b, 64);
	if (!rc_ok(xml_parse(*state, buf_str(&b), &n, &e)))
		fail_msg("%s", e.msg);
	assert_cstr(n->text, "< = = = = ");
	with_attributes(&b, 65);
	refused(*state, buf_str(&b), "attributes");
	with_attributes(&b, 400000);
	refused(*state, buf_str(&b), "attributes");
	refused(*state, STR("<!-- x"), "line");
	refused(*state, STR("<![CDATA["), "line");
	refused(*state, STR("<a b=\"<"), "line");
	buf_deinit(&b);
}

/* Text in very many pieces costs no more than its length. */
static void test_xml__long_text(void **state)
{
	struct buf b = BUF_INIT(4 << 20);
	struct xml_node *n;
	struct err e = {0};

	buf_add_cstr(&b, "<a>");
	for (int i = 0; i < 300000; i++)
		buf_add_cstr(&b, "&amp;");
	buf_add_cstr(&b, "</a>");
	if (!rc_ok(xml_parse(*state, buf_str(&b), &n, &e)))
		fail_msg("%s", e.msg);
	assert_int_equal(n->text.n, 300000);
	buf_deinit(&b);
}

/* CompleteMultipartUpload at its largest, 10,000 parts each with five checksums. */
static void test_xml__largest_of_s3(void **state)
{
	struct buf b = BUF_INIT(8 << 20);
	struct xml_node *n;
	int parts = 0;

	xw_open_ns(&b, "CompleteMultipartUpload", "http://s3.amazonaws.com/doc/2006-03-01/");
	for (int i = 1; i <= 10000; i++) {
		xw_open(&b, "Part");
		xw_elem_int(&b, "PartNumber", i);
		xw_elem(&b, "ETag", STR("\"d41d8cd98f00b204e9800998ecf8427e\""));
		xw_elem(&b, "ChecksumCRC32", STR("AAAAAA=="));
		xw_elem(&b, "ChecksumCRC32C", STR("AAAAAA=="));
		xw_elem(&b, "ChecksumSHA1", STR("2jmj7l5rSw0yVb/vlWAYkK/YBwk="));
		xw_elem(&b, "ChecksumSHA256", STR("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="));
		xw_close(&b, "Part");
	}
	xw_close(&b, "CompleteMultipartUpload");
	assert_true(rc_ok(xml_parse(*state, buf_str(&b), &n, NULL)));
	for (struct xml_node *p = n->first; p; p = p->next, parts++)
		assert_cstr(xml_child_text(p, "ETag"), "\"d41d8cd98f00b204e9800998ecf8427e\"");
	assert_int_equal(parts, 10000);
	buf_deinit(&b);
}

static void test_xml__writes(void **state)
{
	struct buf b = BUF_INIT(1000);

	xw_decl(&b);
	xw_open_ns(&b, "R", "http://x/");
	xw_elem(&b, "K", STR("a\"&<>'\r\n\t\x01\x1f\xc3\xa9\xff\xef\xbf\xbf\xef\xbf\xbdz"));
	xw_elem_int(&b, "N", -5);
	xw_elem_bool(&b, "B", false);
	xw_elem(&b, "E", STR_NONE);
	xw_close(&b, "R");
	assert_cstr(buf_str(&b), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://x/\">"
				 "<K>a&quot;&amp;&lt;&gt;'&#13;\n\t&#x1;&#x1F;\xc3\xa9\xef\xbf\xbd"
				 "&#xFFFF;\xef\xbf\xbdz</K><N>-5</N><B>false</B><E></E></R>");
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_xml__reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__namespaces_are_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__text_around_children, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__byte_order_mark, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__attributes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__long_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_xml__largest_of_s3, set_up, tear_down),
		cmocka_unit_test(test_xml__writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
