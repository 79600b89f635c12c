/* What all stores that presign URLs have in common. */
#include "backends/impl.h"
#include "base/buf.h"
#include "base/encode.h"

enum { PARTS_MAX = 10000, DISPOSITION_MAX = 8192 };

static bool is_part(const struct backend_presign *q)
{
	return q->upload_id.p != NULL;
}

rc backend_presign_check(const struct backend *b, const struct backend_presign *q, int64_t now_s,
			 int64_t most_s, struct err *reterr)
{
	bool put = str_eq(q->method, STR("PUT"));

	if (!put && !str_eq(q->method, STR("GET")) && !str_eq(q->method, STR("HEAD")))
		return err_set(reterr, ERR_UNSUPPORTED, "URLs are presigned for GET, HEAD and PUT only");
	if (q->expires_s <= now_s)
		return err_set(reterr, ERR_INVALID, "a presigned URL that has ended already");
	if (most_s && q->expires_s - now_s > most_s)
		return err_set(reterr, ERR_INVALID, "a presigned URL works for at most %lld days",
			       (long long)most_s / (24 * 3600));
	if (!is_part(q))
		return RC_OK;
	if (!(b->caps & BACKEND_CAP_PRESIGN_PART))
		return err_set(reterr, ERR_UNSUPPORTED,
			       "store \"" STR_FMT "\" (%s) has no presigned addresses for parts",
			       STR_ARG(b->id), b->type);
	if (!put || !q->upload_id.n || q->part < 1 || q->part > PARTS_MAX)
		return err_set(reterr, ERR_INVALID, "a part is put, and has a number from 1 to %d", PARTS_MAX);
	return RC_OK;
}

static struct str last_of(struct str path)
{
	size_t at = path.n;

	while (at && path.p[at - 1] != '/')
		at--;
	return str_skip(path, at);
}

/* RFC 7230's tchar. */
static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c > ' ' && c < 0x7f && strchr("!#$%&'*+-.^_`|~", c));
}

static void add_quoted(struct buf *b, struct str name)
{
	buf_add_c(b, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_add_c(b, '\\');
		buf_add_c(b, name.p[i]);
	}
	buf_add_c(b, '"');
}

/* A token as it is, what can be quoted in quotes, the rest as RFC 5987 has it. */
struct str backend_attachment(struct arena *a, struct str path)
{
	struct str name = last_of(path), text;
	bool token = name.n > 0, ascii = true;
	struct buf b = BUF_INIT(DISPOSITION_MAX);

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		token = token && is_token(c);
		ascii = ascii && c >= ' ' && c < 0x7f;
	}
	buf_add_cstr(&b, "attachment");
	if (!ascii) {
		buf_add_cstr(&b, "; filename*=utf-8''");
		buf_add(&b, uri_encode(a, name, false));
	} else if (name.n) {
		buf_add_cstr(&b, "; filename=");
		if (token)
			buf_add(&b, name);
		else
			add_quoted(&b, name);
	}
	text = b.overflow ? STR("attachment") : arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return text;
}
