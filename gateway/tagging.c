#include "gateway/tagging.h"

#include "base/encode.h"
#include "gateway/s3.h"

enum { KEY_CHARS = 128, VALUE_CHARS = 256 };

static rc bad_key(struct err *reterr)
{
	return err_set(reterr, ERR_InvalidTag, "The TagKey you have provided is invalid");
}

static rc bad_value(struct err *reterr)
{
	return err_set(reterr, ERR_InvalidTag, "The TagValue you have provided is invalid");
}

/* Letters, digits and spaces of any script, and + - = . _ : / @; of what lies beyond ASCII only the control
 * characters are surely none of these. */
static bool is_allowed(struct str s, size_t max)
{
	size_t chars = 0, n;

	for (; s.n; s = str_skip(s, n)) {
		unsigned char c = (unsigned char)s.p[0];

		n = str_utf8_len(s);
		if (n == 0 || ++chars > max)
			return false;
		if (n == 1 && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z') &&
		    (!c || !strchr(" +-=._:/@", c)))
			return false;
		if (n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0)
			return false;
	}
	return true;
}

static rc check(const struct tag *t, struct err *reterr)
{
	if (t->key.n == 0 || !is_allowed(t->key, KEY_CHARS))
		return bad_key(reterr);
	if (str_starts(t->key, STR("aws:")))
		return err_set(reterr, ERR_InvalidTag,
			       "Your TagKey cannot be prefixed with aws:");
	return is_allowed(t->value, VALUE_CHARS) ? RC_OK : bad_value(reterr);
}

/* EXISTS: a tag of that key. */
static rc add(struct tags *t, struct tag new, struct err *reterr)
{
	size_t at = t->n;

	TRY(check(&new, reterr));
	while (at > 0 && str_cmp(t->v[at - 1].key, new.key) > 0)
		at--;
	if (at > 0 && str_eq(t->v[at - 1].key, new.key))
		return RC(EXISTS);
	if (t->n == TAGS_MAX)
		return err_set(reterr, ERR_BadRequest, "Object tags cannot be greater than %d",
			       TAGS_MAX);
	memmove(&t->v[at + 1], &t->v[at], (t->n - at) * sizeof(t->v[0]));
	t->v[at] = new;
	t->n++;
	return RC_OK;
}

static rc not_a_query(struct err *reterr)
{
	return err_set(reterr, ERR_InvalidArgument,
		       "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
		       "parameters without tag name duplicates.");
}

rc tags_of_query(struct arena *a, struct str query, struct tags *ret, struct err *reterr)
{
	ret->n = 0;
	while (query.n) {
		struct str pair = str_cut(query, '&', &query);
		struct tag t;
		rc added;

		if (pair.n == 0)
			continue;
		t.key = str_cut(pair, '=', &t.value);
		if (!uri_decode(a, t.key, true, &t.key) ||
		    !uri_decode(a, t.value.p ? t.value : STR(""), true, &t.value) ||
		    !str_is_utf8(t.key) || !str_is_utf8(t.value))
			return not_a_query(reterr);
		if (!t.key.n)
			return not_a_query(reterr);
		added = add(ret, t, reterr);
		if (rc_is(added, EXISTS))
			return not_a_query(reterr);
		TRY(added);
	}
	return RC_OK;
}

static rc malformed(struct err *reterr)
{
	return err_default(reterr, ERR_MalformedXML);
}

static rc add_node(const struct xml_node *n, struct tags *t, struct err *reterr)
{
	const struct xml_node *key = xml_child(n, "Key"), *value = xml_child(n, "Value");
	rc added;

	if (!str_eq(n->name, STR("Tag")) || !key || !value)
		return malformed(reterr);
	added = add(t, (struct tag){key->text, value->text.p ? value->text : STR("")}, reterr);
	if (rc_is(added, EXISTS))
		return err_set(reterr, ERR_InvalidTag,
			       "Cannot provide multiple Tags with the same key");
	return added;
}

rc tags_of_xml(const struct xml_node *root, struct tags *ret, struct err *reterr)
{
	const struct xml_node *set = xml_child(root, "TagSet");

	ret->n = 0;
	if (!str_eq(root->name, STR("Tagging")) || !set)
		return malformed(reterr);
	for (const struct xml_node *n = set->first; n; n = n->next)
		TRY(add_node(n, ret, reterr));
	return RC_OK;
}

struct str tags_text(struct arena *a, const struct tags *t)
{
	struct str text = STR("");

	for (size_t i = 0; i < t->n; i++)
		text = arena_join(a,
				  (struct str[]){text, i ? STR("&") : STR(""),
						 uri_encode(a, t->v[i].key, false), STR("="),
						 uri_encode(a, t->v[i].value, false)},
				  5);
	return text;
}

void tags_write_xml(struct buf *to, const struct tags *t)
{
	xw_decl(to);
	xw_open_ns(to, "Tagging", S3_XMLNS);
	xw_open(to, "TagSet");
	for (size_t i = 0; i < t->n; i++) {
		xw_open(to, "Tag");
		xw_elem(to, "Key", t->v[i].key);
		xw_elem(to, "Value", t->v[i].value);
		xw_close(to, "Tag");
	}
	xw_close(to, "TagSet");
	xw_close(to, "Tagging");
}
