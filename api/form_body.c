#include "api/form_body.h"

enum { BUFFER = 65536, BOUNDARY_MAX = 70, TYPE_MAX = 256 };

/* seek --delimiter--> after --CRLF--> headers --ours--> content --delimiter--> tail
 *   ^                   |"--": no such field   |
 *   +------------------------------another's---+ */
enum at { SEEK, AFTER, HEADERS, CONTENT, TAIL };

struct form {
	struct body body;
	struct arena *a;
	struct str delimiter; /* CRLF "--" boundary */
	const char *field;
	enum at at;
	char *buf; /* [from, to) is unread */
	size_t from, to;
	struct str type;
};

bool form_boundary(struct str content_type, struct str *ret)
{
	struct str rest = content_type, end;

	if (!str_eq_nocase(str_trim(str_cut(rest, ';', &rest)), STR("multipart/form-data")))
		return false;
	while (rest.p) {
		struct str one = str_trim(str_cut(rest, ';', &rest));

		if (!str_eq_nocase(str_head(one, 9), STR("boundary=")))
			continue;
		*ret = str_skip(one, 9);
		if (ret->n && ret->p[0] == '"')
			*ret = str_cut(str_skip(*ret, 1), '"', &end);
		return ret->n > 0 && ret->n <= BOUNDARY_MAX;
	}
	return false;
}

static struct str unread(const struct form *f)
{
	return str_make(f->buf + f->from, f->to - f->from);
}

static enum body_state bad_form(struct err *reterr, const char *why)
{
	IGNORE_RC(err_set(reterr, ERR_INVALID, "multipart form: %s", why)); /* told by the state */
	return BODY_FAIL;
}

static enum body_state fill(struct form *f, struct err *reterr)
{
	enum body_state s;
	size_t n = 0;

	if (f->from) {
		memmove(f->buf, f->buf + f->from, f->to - f->from);
		f->to -= f->from;
		f->from = 0;
	}
	if (f->to == BUFFER)
		return bad_form(reterr, "the headers of a field are too long");
	s = body_pull(f->body.below, f->buf + f->to, BUFFER - f->to, &n, reterr);
	if (s == BODY_MORE)
		f->to += n;
	return s == BODY_END ? bad_form(reterr, "it ends before its last boundary") : s;
}

/* The value of `key` in a Content-Disposition. */
static struct str parameter(struct str value, struct str key)
{
	struct str rest = value;

	str_cut(rest, ';', &rest);
	while (rest.p) {
		struct str v, one = str_trim(str_cut(rest, ';', &rest)), k = str_cut(one, '=', &v);

		if (!str_eq_nocase(str_trim(k), key) || !v.p)
			continue;
		v = str_trim(v);
		return v.n >= 2 && v.p[0] == '"' ? str_head(str_skip(v, 1), v.n - 2) : v;
	}
	return STR_NONE;
}

/* Whether these headers are our field's; notes its type. */
static bool is_field(struct form *f, struct str headers)
{
	bool ours = false;
	struct str type = STR("");

	while (headers.n) {
		size_t end = str_find(headers, STR("\r\n"));
		struct str value, name = str_cut(str_head(headers, end), ':', &value);

		value = str_trim(value);
		if (str_eq_nocase(name, STR("content-disposition")))
			ours = str_eq(parameter(value, STR("name")), str_c(f->field));
		else if (str_eq_nocase(name, STR("content-type")) && value.n <= TYPE_MAX && str_is_utf8(value))
			type = value;
		headers = str_skip(headers, end + 2 < headers.n ? end + 2 : headers.n);
	}
	if (ours)
		f->type = arena_dup(f->a, type);
	return ours;
}

/* One step without new bytes; false when they are needed. */
static bool seek(struct form *f)
{
	struct str s = unread(f);
	size_t i = str_find(s, f->delimiter);

	if (i == s.n) {
		if (s.n >= f->delimiter.n)
			f->from = f->to - (f->delimiter.n - 1);
		return false;
	}
	f->from += i + f->delimiter.n;
	f->at = AFTER;
	return true;
}

static bool take_headers(struct form *f)
{
	struct str s = unread(f);
	size_t end = str_find(s, STR("\r\n\r\n"));

	if (end == s.n)
		return false;
	f->at = is_field(f, end ? str_head(str_skip(s, 2), end - 2) : STR("")) ? CONTENT : SEEK;
	/* The next delimiter begins with a CRLF, which may be the headers' last. */
	f->from += f->at == CONTENT ? end + 4 : end + 2;
	return true;
}

/* What is content for sure. */
static size_t give(struct form *f, void *dst, size_t cap)
{
	struct str s = unread(f);
	size_t n = str_find(s, f->delimiter);

	if (n == s.n)
		n = s.n < f->delimiter.n ? 0 : s.n - (f->delimiter.n - 1);
	else if (n == 0)
		f->at = TAIL;
	if (n > cap)
		n = cap;
	memcpy(dst, s.p, n);
	f->from += n;
	return n;
}

static enum body_state drain(struct form *f, struct err *reterr)
{
	enum body_state s;
	size_t n;

	do {
		s = body_pull(f->body.below, f->buf, BUFFER, &n, reterr);
	} while (s == BODY_MORE);
	return s;
}

static enum body_state form_pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct form *f = (struct form *)b;

	for (;;) {
		enum body_state s;
		bool more = false;

		if (f->at == TAIL)
			return drain(f, reterr);
		if (f->at == SEEK) {
			more = seek(f);
		} else if (f->at == AFTER && f->to - f->from >= 2) {
			if (!str_eq(str_head(unread(f), 2), STR("\r\n")))
				return bad_form(reterr, "there is no field \"content\"");
			f->at = HEADERS;
			more = true;
		} else if (f->at == HEADERS) {
			more = take_headers(f);
		} else if (f->at == CONTENT) {
			*ret_n = give(f, dst, cap);
			if (*ret_n)
				return BODY_MORE;
			more = f->at == TAIL;
		}
		if (more)
			continue;
		s = fill(f, reterr);
		if (s != BODY_MORE)
			return s;
	}
}

static const struct body_ops form_ops = {.name = "form", .pull = form_pull};

struct body *form_body_new(struct arena *a, struct body *below, struct str boundary, const char *field)
{
	struct form *f = ARENA_NEW(a, struct form);

	body_init(&f->body, &form_ops, below, -1);
	f->a = a;
	f->field = field;
	f->type = STR("");
	f->delimiter = arena_join(a, (struct str[]){STR("\r\n--"), boundary}, 2);
	f->buf = arena_alloc(a, BUFFER);
	/* The first boundary has no line before it. */
	memcpy(f->buf, "\r\n", 2);
	f->to = 2;
	return &f->body;
}

struct str form_body_type(const struct body *form)
{
	return ((const struct form *)form)->type;
}
