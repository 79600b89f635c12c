/* JSON over jansson, which appears in base/json.c only.
 *
 * Reading is strict (RFC 8259, UTF-8, no duplicate keys, depth and size bounded by the caller's
 * input limit). A value belongs to its document; the document to its arena.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct json; /* one value */
enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* reterr: InvalidArgument-like ERR_INVALID with line and column. */
rc json_parse(struct arena *a, struct str text, struct json **ret, struct err *reterr);
enum json_type json_type(const struct json *j); /* JSON_NULL for NULL */
/* NULL when absent or when j is no object. */
struct json *json_member(const struct json *j, const char *key);
size_t json_count(const struct json *j); /* members or elements, else 0 */
struct json *json_at(const struct json *j, size_t i);
/* The i-th member of an object, in the document's order. */
struct json *json_member_at(const struct json *j, size_t i, struct str *ret_key);
/* STR_NONE when it is no string, and so on: check json_type where it matters. */
struct str json_str(const struct json *j);
bool json_bool(const struct json *j);
int64_t json_int(const struct json *j);

/* Writing: straight into a buf, commas and escapes are its job. key NULL inside arrays. */
struct json_out {
	struct buf *to;
	bool comma;
};
void jw_object(struct json_out *w, const char *key);
void jw_array(struct json_out *w, const char *key);
void jw_end_object(struct json_out *w);
void jw_end_array(struct json_out *w);
void jw_str(struct json_out *w, const char *key, struct str v);
/* A member whose name comes from outside. */
void jw_str_of(struct json_out *w, struct str key, struct str v);
void jw_int(struct json_out *w, const char *key, int64_t v);
void jw_bool(struct json_out *w, const char *key, bool v);
void jw_null(struct json_out *w, const char *key);
