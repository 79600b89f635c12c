/* XML documents from strangers. What was read can be written and read again. */
#include "base/xml.h"
#include "fuzz/fuzz.h"

enum { WRITTEN_MAX = 16 << 20 };

static void text_check(const struct xml_node *n, struct arena *a)
{
	struct buf to = BUF_INIT(WRITTEN_MAX);
	struct xml_node *again = NULL;
	struct err e;

	MUST(str_is_utf8(n->name) && str_is_utf8(n->text));
	xw_decl(&to);
	xw_elem(&to, "a", n->text);
	MUST(!to.overflow);
	MUST(rc_ok(xml_parse(a, buf_str(&to), &again, &e)));
	MUST(str_eq(again->text, n->text));
	buf_deinit(&to);
}

static size_t walk(const struct xml_node *n, unsigned depth, struct arena *a)
{
	size_t nodes = 1;

	MUST(depth <= 16);
	if (n->text.n && n->text.n < 4096)
		text_check(n, a);
	for (const struct xml_node *c = n->first; c; c = c->next) {
		MUST(c->parent == n);
		nodes += walk(c, depth + 1, a);
	}
	return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct xml_node *root = NULL;
	struct err e = {0};

	if (rc_ok(xml_parse(a, str_make(data, size), &root, &e))) {
		MUST(root && walk(root, 1, a) <= 100000);
		(void)xml_child_text(root, "Part");
	} else {
		MUST(e.code == ERR_MalformedXML && e.msg[0]);
	}
	arena_free(a);
	return 0;
}
