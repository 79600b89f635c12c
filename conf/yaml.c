#include "conf/yaml.h"

#include <stdlib.h>
#include <yaml.h>

enum { MAX_ANCHORS = 1000 };

struct anchor {
	struct str name;
	struct yaml_node *node;
};

struct frame {
	struct yaml_node *node;
	struct yaml_node *key; /* of a mapping: waits for its value */
	struct str anchor;
};

struct reader {
	struct arena *a;
	struct frame stack[YAML_MAX_DEPTH];
	size_t depth;
	struct anchor anchors[MAX_ANCHORS];
	size_t anchors_n;
	struct yaml_node *root;
	bool documents;
	struct yaml_fault *fault;
};

static bool fail(struct reader *r, unsigned line, struct str text)
{
	*r->fault = (struct yaml_fault){.line = line, .text = text};
	return false;
}

static bool is_merge(const struct yaml_node *key)
{
	return str_eq(key->text, STR("<<"));
}

static bool has_key(const struct yaml_node *map, struct str key)
{
	for (const struct yaml_item *i = map->first; i; i = i->next)
		if (str_eq_nocase(i->key->text, key))
			return true;
	return false;
}

static bool append(struct reader *r, struct yaml_node *to, struct yaml_node *key,
		   struct yaml_node *value)
{
	struct yaml_item *item = ARENA_NEW(r->a, struct yaml_item);

	to->size += value->size + (key ? 1 : 0);
	if (to->size > YAML_MAX_VALUES)
		return fail(r, value->line,
			    STR("more than 20000 values, aliases included; "
				"write fewer aliases or a smaller file"));
	*item = (struct yaml_item){.key = key, .value = value};
	*to->end = item;
	to->end = &item->next;
	to->n++;
	return true;
}

static bool merge_map(struct reader *r, struct yaml_node *to, const struct yaml_node *from)
{
	if (from->kind != YAML_MAP)
		return fail(r, from->line,
			    STR("<< merges mappings only; write an alias of a mapping after it"));
	for (const struct yaml_item *i = from->first; i; i = i->next)
		if (!has_key(to, i->key->text) && !append(r, to, i->key, i->value))
			return false;
	return true;
}

static bool merge(struct reader *r, struct yaml_node *to, const struct yaml_node *from)
{
	if (from->kind != YAML_LIST)
		return merge_map(r, to, from);
	for (const struct yaml_item *i = from->first; i; i = i->next)
		if (!merge_map(r, to, i->value))
			return false;
	return true;
}

/* Takes the << entries out of a finished mapping and puts in what they stand for. */
static bool resolve_merges(struct reader *r, struct yaml_node *map)
{
	struct yaml_item *merges = NULL, **at = &map->first, **merges_end = &merges;

	while (*at) {
		struct yaml_item *i = *at;

		if (!is_merge(i->key)) {
			at = &i->next;
			continue;
		}
		*at = i->next;
		i->next = NULL;
		*merges_end = i;
		merges_end = &i->next;
		map->n--;
	}
	map->end = at;
	for (; merges; merges = merges->next)
		if (!merge(r, map, merges->value))
			return false;
	return true;
}

static bool define(struct reader *r, struct str name, struct yaml_node *node)
{
	if (!name.p)
		return true;
	if (r->anchors_n == MAX_ANCHORS)
		return fail(r, node->line, STR("more than 1000 anchors; write fewer"));
	r->anchors[r->anchors_n++] = (struct anchor){name, node};
	return true;
}

/* Puts a finished node where it belongs: the root, a list, a mapping's key or value. */
static bool place(struct reader *r, struct yaml_node *node)
{
	struct frame *f = r->depth ? &r->stack[r->depth - 1] : NULL;
	struct yaml_node *key;

	if (!f) {
		r->root = node;
		return true;
	}
	if (f->node->kind == YAML_LIST)
		return append(r, f->node, NULL, node);
	if (!f->key) {
		if (node->kind != YAML_SCALAR)
			return fail(r, node->line, STR("a key must be a word; "
						       "write `key: value`"));
		if (node->text.n && memchr(node->text.p, 0, node->text.n))
			return fail(r, node->line, STR("a key holds a NUL byte; remove it"));
		f->key = node;
		return true;
	}
	key = f->key;
	f->key = NULL;
	return append(r, f->node, key, node);
}

static struct yaml_node *node_new(struct reader *r, enum yaml_kind kind, const yaml_event_t *ev)
{
	struct yaml_node *n = ARENA_NEW(r->a, struct yaml_node);

	*n = (struct yaml_node){
		.kind = kind, .line = (unsigned)ev->start_mark.line + 1, .size = 1, .text = STR("")};
	n->end = &n->first;
	return n;
}

static struct str dup_name(struct reader *r, const yaml_char_t *name)
{
	return name ? arena_dup(r->a, str_c((const char *)name)) : STR_NONE;
}

static bool on_start(struct reader *r, enum yaml_kind kind, const yaml_event_t *ev,
		     const yaml_char_t *anchor)
{
	struct yaml_node *n = node_new(r, kind, ev);

	if (r->depth == YAML_MAX_DEPTH)
		return fail(r, n->line, STR("nested more than 32 deep; no key lies so deep"));
	r->stack[r->depth++] = (struct frame){.node = n, .anchor = dup_name(r, anchor)};
	return true;
}

/* Only now is the anchor known: a node can't hold itself. */
static bool on_end(struct reader *r)
{
	struct frame *f = &r->stack[--r->depth];

	if (f->node->kind == YAML_MAP && !resolve_merges(r, f->node))
		return false;
	return define(r, f->anchor, f->node) && place(r, f->node);
}

static bool on_scalar(struct reader *r, const yaml_event_t *ev)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	struct yaml_node *n = node_new(r, YAML_SCALAR, ev);

	n->text = arena_dup(r->a, str_make(ev->data.scalar.value, ev->data.scalar.length));
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]) && ev->data.scalar.plain_implicit; i++)
		n->is_null |= str_eq(n->text, str_c(nulls[i]));
	return define(r, dup_name(r, ev->data.scalar.anchor), n) && place(r, n);
}

static bool on_alias(struct reader *r, const yaml_event_t *ev)
{
	struct str name = str_c((const char *)ev->data.alias.anchor);

	for (size_t i = r->anchors_n; i > 0; i--)
		if (str_eq(r->anchors[i - 1].name, name))
			return place(r, r->anchors[i - 1].node);
	return fail(r, (unsigned)ev->start_mark.line + 1,
		    STR("an alias of nothing; define its anchor (&name) before it"));
}

static bool on_event(struct reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents)
			return fail(r, (unsigned)ev->start_mark.line + 1,
				    STR("a second document begins here; "
					"keep one document in a file"));
		r->documents = true;
		return true;
	case YAML_SCALAR_EVENT:
		return on_scalar(r, ev);
	case YAML_ALIAS_EVENT:
		return on_alias(r, ev);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(r, YAML_LIST, ev, ev->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		return on_start(r, YAML_MAP, ev, ev->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(r);
	default:
		return true;
	}
}

static unsigned line_of(struct str text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset && i < text.n; i++)
		line += text.p[i] == '\n';
	return line;
}

static bool syntax_fault(struct reader *r, const yaml_parser_t *p, struct str text)
{
	const char *problem = p->problem ? p->problem : "not readable";

	if (p->error == YAML_MEMORY_ERROR)
		abort();
	if (p->error == YAML_READER_ERROR)
		return fail(r, line_of(text, p->problem_offset),
			    arena_printf(r->a, "not a YAML text (%s); write it as UTF-8 without "
					       "control characters", problem));
	return fail(r, (unsigned)p->problem_mark.line + 1,
		    arena_printf(r->a, "YAML syntax: %s%s%s; check indentation (spaces, no tabs), "
				       "quotes and colons here",
				 problem, p->context ? " " : "", p->context ? p->context : ""));
}

static bool read_events(struct reader *r, yaml_parser_t *p, struct str text)
{
	bool more = true;

	while (more) {
		yaml_event_t ev;
		bool ok;

		if (!yaml_parser_parse(p, &ev))
			return syntax_fault(r, p, text);
		more = ev.type != YAML_STREAM_END_EVENT;
		ok = on_event(r, &ev);
		yaml_event_delete(&ev);
		if (!ok)
			return false;
	}
	return true;
}

bool conf_yaml_read(struct str text, struct arena *a, struct yaml_node **ret,
		    struct yaml_fault *ret_fault)
{
	struct reader *r = ARENA_NEW(a, struct reader);
	yaml_parser_t p;
	bool ok;

	r->a = a;
	r->fault = ret_fault;
	*ret = NULL;
	if (text.n > YAML_MAX_BYTES)
		return fail(r, 0, STR("longer than 1 MiB; no configuration is: name another file"));
	if (!yaml_parser_initialize(&p))
		abort();
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)(text.p ? text.p : ""), text.n);
	ok = read_events(r, &p, text);
	yaml_parser_delete(&p);
	if (ok)
		*ret = r->root;
	return ok;
}
