/* Reading with libxml2's SAX interface, straight into the arena. Nothing of a DTD is ever acted on:
 * the parser is stopped at DOCTYPE. Encoding declarations are ignored: the document is UTF-8. */
#include "base/xml.h"

#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	DEPTH_MAX = 16,
	NODES_MAX = 100000,
	ATTRIBUTES_MAX = 64, /* of one element, with namespaces; S3's documents have one or two */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

struct level {
	struct xml_node *node, *last_child;
	struct buf text; /* of the node, so far: it comes in pieces */
};

struct reader {
	struct arena *a;
	xmlParserCtxt *parser;
	struct xml_node *root;
	struct level level[DEPTH_MAX];
	unsigned depth, nodes;
	char reason[256]; /* the first; empty when all is well */
	int line;
};

static void refuse(struct reader *r, const char *reason, int line)
{
	if (r->reason[0])
		return;
	strncpy(r->reason, reason, sizeof(r->reason) - 1);
	r->reason[strcspn(r->reason, "\n")] = 0;
	r->line = line;
}

static void stop(struct reader *r, const char *reason)
{
	refuse(r, reason, xmlSAX2GetLineNumber(r->parser));
	xmlStopParser(r->parser);
}

static void on_doctype(void *ud, const xmlChar *name, const xmlChar *public_id,
		       const xmlChar *system_id)
{
	stop(ud, "a DOCTYPE is not allowed");
}

static void on_open(void *ud, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		    int namespaces_n, const xmlChar **namespaces, int attributes_n, int defaulted_n,
		    const xmlChar **attributes)
{
	struct reader *r = ud;
	struct level *up = r->depth ? &r->level[r->depth - 1] : NULL;
	struct xml_node *n;

	if (r->depth == DEPTH_MAX) {
		stop(r, "elements are nested too deeply");
		return;
	}
	if (++r->nodes > NODES_MAX) {
		stop(r, "there are too many elements");
		return;
	}
	n = ARENA_NEW(r->a, struct xml_node);
	n->name = arena_dup(r->a, str_c((const char *)name));
	n->text = STR("");
	n->parent = up ? up->node : NULL;
	if (!up)
		r->root = n;
	else if (up->last_child)
		up->last_child->next = n;
	else
		up->node->first = n;
	if (up)
		up->last_child = n;
	r->level[r->depth].node = n;
	r->level[r->depth].last_child = NULL;
	buf_reset(&r->level[r->depth++].text);
}

static void on_close(void *ud, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct reader *r = ud;
	struct level *l;

	if (r->depth == 0)
		return;
	l = &r->level[--r->depth];
	if (l->text.n)
		l->node->text = arena_dup(r->a, buf_str(&l->text));
}

static void on_text(void *ud, const xmlChar *p, int n)
{
	struct reader *r = ud;

	if (r->depth)
		buf_add(&r->level[r->depth - 1].text, str_make(p, (size_t)n));
}

/* Prefixes that nobody declared are no failure here: namespaces are dropped. */
static void on_error(void *ud, xmlErrorPtr e)
{
	if (e->level >= XML_ERR_ERROR && e->domain != XML_FROM_NAMESPACE)
		refuse(ud, e->message ? e->message : "it is not well-formed", e->line);
}

static rc malformed(const struct reader *r, struct err *reterr)
{
	return err_set(reterr, ERR_MalformedXML, "The XML is not acceptable at line %d: %s.", r->line,
		       r->reason[0] ? r->reason : "it is not well-formed");
}

static rc parse(struct reader *r, struct str doc, struct err *reterr)
{
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_doctype,
		.startElementNs = on_open,
		.endElementNs = on_close,
		.characters = on_text,
		.cdataBlock = on_text,
		.ignorableWhitespace = on_text,
	};
	bool ok;

	sax.serror = (xmlStructuredErrorFunc)on_error;
	r->parser = xmlCreatePushParserCtxt(&sax, r, NULL, 0, NULL);
	if (!r->parser)
		abort();
	xmlCtxtUseOptions(r->parser, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
	xmlSwitchEncoding(r->parser, XML_CHAR_ENCODING_UTF8);
	xmlParseChunk(r->parser, doc.p, (int)doc.n, 1);
	ok = r->parser->wellFormed && !r->reason[0] && r->root && r->depth == 0;
	xmlFreeParserCtxt(r->parser);
	return ok ? RC_OK : malformed(r, reterr);
}

/* Behind the next `end` from `at` on. */
static size_t past(struct str doc, size_t at, struct str end)
{
	struct str rest = str_skip(doc, at);
	size_t n = str_find(rest, end);

	return n < rest.n ? at + n + end.n : doc.n;
}

/* Behind the tag that begins at `at`; ret_n: its attributes. */
static size_t past_tag(struct str doc, size_t at, unsigned *ret_n)
{
	char quote = 0;

	*ret_n = 0;
	for (; at < doc.n; at++) {
		char c = doc.p[at];

		if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == '>')
			return at + 1;
		else
			*ret_n += c == '=';
	}
	return at;
}

/* libxml2 compares each attribute of an element with all others before anybody hears of them: a few
 * megabytes of attributes would take minutes. */
static bool attributes_ok(struct str doc)
{
	size_t at = 0;
	unsigned n = 0;

	while (n <= ATTRIBUTES_MAX) {
		struct str rest;

		at += str_index(str_skip(doc, at), '<');
		rest = str_skip(doc, at);
		if (!rest.n)
			return true;
		if (str_starts(rest, STR("<!--")))
			at = past(doc, at + 4, STR("-->"));
		else if (str_starts(rest, STR("<![CDATA[")))
			at = past(doc, at + 9, STR("]]>"));
		else if (str_starts(rest, STR("<?")))
			at = past(doc, at + 2, STR("?>"));
		else if (str_starts(rest, STR("<!")))
			return true; /* the parser stops at it */
		else
			at = past_tag(doc, at, &n);
	}
	return false;
}

rc xml_parse(struct arena *a, struct str doc, struct xml_node **ret, struct err *reterr)
{
	struct reader r = {.a = a, .line = 1};
	rc result;

	pthread_once(&once, xmlInitParser);
	if (doc.n == 0 || doc.n > INT_MAX / 2)
		return err_set(reterr, ERR_MalformedXML, "The XML document is %s.",
			       doc.n ? "too long" : "empty");
	if (!str_is_utf8(doc) || str_index(doc, 0) < doc.n)
		return err_set(reterr, ERR_MalformedXML, "The XML document is not UTF-8 text.");
	if (!attributes_ok(doc))
		return err_set(reterr, ERR_MalformedXML,
			       "An element of the XML document has too many attributes.");
	if (str_starts(doc, STR("\xef\xbb\xbf")))
		doc = str_skip(doc, 3);
	for (int i = 0; i < DEPTH_MAX; i++)
		buf_init(&r.level[i].text, doc.n * 2); /* line ends and references only shrink */
	result = parse(&r, doc, reterr);
	for (int i = 0; i < DEPTH_MAX; i++)
		buf_deinit(&r.level[i].text);
	if (rc_ok(result))
		*ret = r.root;
	return result;
}

struct xml_node *xml_child(const struct xml_node *n, const char *name)
{
	struct str want = str_c(name);

	for (struct xml_node *c = n ? n->first : NULL; c; c = c->next)
		if (str_eq(c->name, want))
			return c;
	return NULL;
}

struct str xml_child_text(const struct xml_node *n, const char *name)
{
	struct xml_node *c = xml_child(n, name);

	return c ? c->text : STR_NONE;
}

void xw_decl(struct buf *to)
{
	buf_add(to, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
}

static char *put(char *to, const char *p, size_t n)
{
	memcpy(to, p, n);
	return to + n;
}

static void tag(struct buf *to, const char *before, size_t before_n, const char *name)
{
	size_t n = strlen(name), all = before_n + n + 1;
	char *p = buf_reserve(to, all);

	if (!p)
		return;
	p = put(p, before, before_n);
	p = put(p, name, n);
	*p = '>';
	to->n += all;
}

void xw_open(struct buf *to, const char *name)
{
	tag(to, "<", 1, name);
}

void xw_open_ns(struct buf *to, const char *name, const char *xmlns)
{
	buf_add_c(to, '<');
	buf_add_cstr(to, name);
	buf_add(to, STR(" xmlns=\""));
	xw_text(to, str_c(xmlns));
	buf_add(to, STR("\">"));
}

void xw_close(struct buf *to, const char *name)
{
	tag(to, "</", 2, name);
}

/* The reference for a character that can't stand for itself; STR_NONE when it can. len: its bytes, 0
 * for a byte that belongs to none. */
static struct str reference(struct str at, size_t len, char buf[8])
{
	unsigned char c = (unsigned char)at.p[0];

	if (len == 0)
		return STR("\xef\xbf\xbd");
	if (len == 3 && (str_starts(at, STR("\xef\xbf\xbe")) || str_starts(at, STR("\xef\xbf\xbf"))))
		return at.p[2] == '\xbe' ? STR("&#xFFFE;") : STR("&#xFFFF;");
	if (len > 1)
		return STR_NONE;
	switch (c) {
	case '"':
		return STR("&quot;");
	case '&':
		return STR("&amp;");
	case '<':
		return STR("&lt;");
	case '>':
		return STR("&gt;");
	case '\r':
		return STR("&#13;");
	}
	if (c >= ' ' || c == '\n' || c == '\t')
		return STR_NONE;
	return str_make(buf, (size_t)snprintf(buf, 8, "&#x%X;", c));
}

/* How many bytes stand for themselves, whatever comes behind them: what nearly all text is made of. */
static size_t plain_ascii(struct str s)
{
	static const bool marked[256] = {
		['"'] = true, ['&'] = true, ['<'] = true, ['>'] = true, [127 ... 255] = true};
	size_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] >= ' ' && !marked[(unsigned char)s.p[n]])
		n++;
	return n;
}

void xw_text(struct buf *to, struct str text)
{
	size_t plain = plain_ascii(text);
	char buf[8];

	while (plain < text.n) {
		struct str at = str_skip(text, plain), ref;
		size_t len = str_utf8_len(at);

		ref = reference(at, len, buf);
		if (!ref.p) {
			plain += len;
			continue;
		}
		buf_add(to, str_head(text, plain));
		buf_add(to, ref);
		text = str_skip(at, len ? len : 1);
		plain = plain_ascii(text);
	}
	buf_add(to, text);
}

void xw_elem(struct buf *to, const char *name, struct str text)
{
	xw_open(to, name);
	xw_text(to, text);
	xw_close(to, name);
}

void xw_elem_int(struct buf *to, const char *name, int64_t v)
{
	char digits[24], *p = digits + sizeof(digits);
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		*--p = '-';
	xw_elem(to, name, str_make(p, (size_t)(digits + sizeof(digits) - p)));
}

void xw_elem_bool(struct buf *to, const char *name, bool v)
{
	xw_elem(to, name, v ? STR("true") : STR("false"));
}
