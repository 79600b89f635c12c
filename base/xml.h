/* XML over libxml2, which appears in base/xml.c only.
 *
 * Reading: documents from strangers. No DTD, no entities but the five, no network, depth at most
 * 16, nodes at most 100,000, text must be valid UTF-8; the caller bounds the size. Namespaces are
 * dropped: clients of S3 send them or not. A document lives in its arena.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct xml_node {
	struct str name; /* local name */
	struct str text; /* character data directly inside, concatenated */
	struct xml_node *parent, *first, *next;
};

/* ret: the root element. ERR_MalformedXML with the reason and line. */
rc xml_parse(struct arena *a, struct str doc, struct xml_node **ret, struct err *reterr);
/* First child of that name, or NULL; its text, or STR_NONE. */
struct xml_node *xml_child(const struct xml_node *n, const char *name);
struct str xml_child_text(const struct xml_node *n, const char *name);

/* Writing, straight into a buf. Text is escaped as S3 does it (&quot; &amp; &lt; &gt;, CR as
 * &#13;); control characters that XML 1.0 can't hold become &#xN; references, as S3 sends them. */
void xw_decl(struct buf *to); /* <?xml version="1.0" encoding="UTF-8"?>\n */
void xw_open(struct buf *to, const char *name);
void xw_open_ns(struct buf *to, const char *name, const char *xmlns);
void xw_close(struct buf *to, const char *name);
void xw_text(struct buf *to, struct str text);
void xw_elem(struct buf *to, const char *name, struct str text); /* <name>text</name> */
void xw_elem_int(struct buf *to, const char *name, int64_t v);
void xw_elem_bool(struct buf *to, const char *name, bool v);
