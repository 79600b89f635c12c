/* jansson reads; its tree is copied into the arena at once, so that elements are found by index and
 * nothing is left to free. Its names for types are ours too: they get a prefix while it is included. */
#define json_type jansson_type
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL JANSSON_REAL
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef json_type
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "base/json.h"


struct json {
	enum json_type type;
	struct str key; /* in an object */
	union {
		bool b;
		int64_t i;
		double real;
		struct str s;
		struct {
			struct json *at;
			size_t n;
		} children;
	};
};

static void copy_value(struct arena *a, json_t *from, struct json *to);

static void copy_array(struct arena *a, json_t *from, struct json *to)
{
	to->type = JSON_ARRAY;
	to->children.n = json_array_size(from);
	to->children.at = arena_zalloc(a, to->children.n * sizeof(struct json));
	for (size_t i = 0; i < to->children.n; i++)
		copy_value(a, json_array_get(from, i), &to->children.at[i]);
}

/* jansson iterates in the order of insertion. */
static void copy_object(struct arena *a, json_t *from, struct json *to)
{
	struct json *at;

	to->type = JSON_OBJECT;
	to->children.n = json_object_size(from);
	at = to->children.at = arena_zalloc(a, to->children.n * sizeof(struct json));
	for (void *it = json_object_iter(from); it; it = json_object_iter_next(from, it)) {
		at->key = arena_dup(a, str_c(json_object_iter_key(it)));
		copy_value(a, json_object_iter_value(it), at++);
	}
}

static void copy_value(struct arena *a, json_t *from, struct json *to)
{
	switch (json_typeof(from)) {
	case JANSSON_OBJECT:
		copy_object(a, from, to);
		break;
	case JANSSON_ARRAY:
		copy_array(a, from, to);
		break;
	case JANSSON_STRING:
		to->type = JSON_STRING;
		to->s = arena_dup(a, str_make(json_string_value(from), json_string_length(from)));
		break;
	case JANSSON_INTEGER:
		to->type = JSON_INT;
		to->i = json_integer_value(from);
		break;
	case JANSSON_REAL:
		to->type = JSON_REAL;
		to->real = json_real_value(from);
		break;
	case JANSSON_TRUE:
	case JANSSON_FALSE:
		to->type = JSON_BOOL;
		to->b = json_typeof(from) == JANSSON_TRUE;
		break;
	case JANSSON_NULL:
		to->type = JSON_NULL;
		break;
	}
}

rc json_parse(struct arena *a, struct str text, struct json **ret, struct err *reterr)
{
	json_error_t e;
	json_t *root = json_loadb(text.n ? text.p : "", text.n,
				  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

	if (!root)
		return err_set(reterr, ERR_INVALID, "The JSON is not valid at line %d, column %d: %s",
			       e.line, e.column, e.text);
	*ret = ARENA_NEW(a, struct json);
	copy_value(a, root, *ret);
	json_decref(root);
	return RC_OK;
}

enum json_type json_type(const struct json *j)
{
	return j ? j->type : JSON_NULL;
}

static bool is(const struct json *j, enum json_type t)
{
	return j && j->type == t;
}

struct json *json_member(const struct json *j, const char *key)
{
	struct str k = str_c(key);

	if (!is(j, JSON_OBJECT))
		return NULL;
	for (size_t i = 0; i < j->children.n; i++)
		if (str_eq(j->children.at[i].key, k))
			return &j->children.at[i];
	return NULL;
}

size_t json_count(const struct json *j)
{
	return is(j, JSON_OBJECT) || is(j, JSON_ARRAY) ? j->children.n : 0;
}

struct json *json_at(const struct json *j, size_t i)
{
	return is(j, JSON_ARRAY) && i < j->children.n ? &j->children.at[i] : NULL;
}

struct json *json_member_at(const struct json *j, size_t i, struct str *ret_key)
{
	*ret_key = STR_NONE;
	if (!is(j, JSON_OBJECT) || i >= j->children.n)
		return NULL;
	*ret_key = j->children.at[i].key;
	return &j->children.at[i];
}

struct str json_str(const struct json *j)
{
	return is(j, JSON_STRING) ? j->s : STR_NONE;
}

bool json_bool(const struct json *j)
{
	return is(j, JSON_BOOL) && j->b;
}

int64_t json_int(const struct json *j)
{
	return is(j, JSON_INT) ? j->i : 0;
}

/* How many bytes stand for themselves: most of what there is, so without a call for each. */
static size_t plain_ascii(struct str s)
{
	size_t n = 0;

	while (n < s.n && (signed char)s.p[n] >= ' ' && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

/* What is no UTF-8 becomes U+FFFD, byte by byte: the reader must be able to go on. */
static void add_escaped(struct buf *to, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	size_t plain = plain_ascii(s);

	while (plain < s.n) {
		unsigned char c = (unsigned char)s.p[plain];
		size_t len = str_utf8_len(str_skip(s, plain));

		if (len && c >= ' ' && c != '"' && c != '\\') {
			plain += len;
			plain += plain_ascii(str_skip(s, plain));
			continue;
		}
		buf_add(to, str_head(s, plain));
		if (!len)
			buf_add_cstr(to, "\xef\xbf\xbd");
		else if (c < ' ')
			buf_add(to, str_make((char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
		else
			buf_add(to, str_make((char[]){'\\', (char)c}, 2));
		s = str_skip(s, plain + 1);
		plain = plain_ascii(s);
	}
	buf_add(to, s);
}

static void add_string(struct buf *to, struct str s)
{
	buf_add_c(to, '"');
	add_escaped(to, s);
	buf_add_c(to, '"');
}

/* What stands before each value. */
static void begin(struct json_out *w, const char *key)
{
	if (w->comma)
		buf_add_c(w->to, ',');
	w->comma = true;
	if (key) {
		add_string(w->to, str_c(key));
		buf_add_c(w->to, ':');
	}
}

void jw_object(struct json_out *w, const char *key)
{
	begin(w, key);
	buf_add_c(w->to, '{');
	w->comma = false;
}

void jw_array(struct json_out *w, const char *key)
{
	begin(w, key);
	buf_add_c(w->to, '[');
	w->comma = false;
}

void jw_end_object(struct json_out *w)
{
	buf_add_c(w->to, '}');
	w->comma = true;
}

void jw_end_array(struct json_out *w)
{
	buf_add_c(w->to, ']');
	w->comma = true;
}

void jw_str(struct json_out *w, const char *key, struct str v)
{
	begin(w, key);
	add_string(w->to, v);
}

void jw_str_of(struct json_out *w, struct str key, struct str v)
{
	begin(w, NULL);
	add_string(w->to, key);
	buf_add_c(w->to, ':');
	add_string(w->to, v);
}

void jw_int(struct json_out *w, const char *key, int64_t v)
{
	char digits[21], *p = digits + sizeof(digits);
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;

	begin(w, key);
	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		*--p = '-';
	buf_add(w->to, str_make(p, (size_t)(digits + sizeof(digits) - p)));
}

void jw_bool(struct json_out *w, const char *key, bool v)
{
	begin(w, key);
	buf_add_cstr(w->to, v ? "true" : "false");
}

void jw_null(struct json_out *w, const char *key)
{
	begin(w, key);
	buf_add_cstr(w->to, "null");
}
