/* YAML text as a tree with line numbers; the only place that knows libyaml.
 *
 * Safe on any bytes: size, depth and the number of values (aliases counted as what they stand for) are
 * bounded. Merge keys (`<<: *common`) are resolved here: a mapping's own keys win.
 */
#pragma once

#include "base/arena.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_item {
	struct yaml_node *key; /* a scalar; NULL in a list */
	struct yaml_node *value;
	struct yaml_item *next;
};

struct yaml_node {
	enum yaml_kind kind;
	unsigned line;
	bool is_null; /* nothing, ~ or null, unquoted */
	struct str text;
	struct yaml_item *first, **end;
	size_t n;    /* items */
	size_t size; /* values in it, itself included, aliases expanded */
};

struct yaml_fault {
	unsigned line;
	struct str text; /* what is wrong and what to do */
};

enum { YAML_MAX_BYTES = 1 << 20, YAML_MAX_DEPTH = 32, YAML_MAX_VALUES = 20000 };

/* *ret is NULL for a text without a document. False: *ret_fault. All in `a`. */
bool conf_yaml_read(struct str text, struct arena *a, struct yaml_node **ret,
		    struct yaml_fault *ret_fault);
