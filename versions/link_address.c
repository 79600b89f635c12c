#include "versions/link_address.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/rand.h"

enum { TEXT_MAX = 64 * 1024 };

/* Go's JSON: what could end a script in a page is escaped, too, and some controls have names. */
static void add_string(struct buf *b, struct str s)
{
	buf_add_c(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		struct str rest = str_skip(s, i);

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_add_cstr(b, "\\n");
		else if (c == '\r')
			buf_add_cstr(b, "\\r");
		else if (c == '\t')
			buf_add_cstr(b, "\\t");
		else if (c < ' ' || c == '<' || c == '>' || c == '&')
			buf_printf(b, "\\u%04x", c);
		else if (str_starts(rest, STR("\xe2\x80\xa8")) || str_starts(rest, STR("\xe2\x80\xa9"))) {
			buf_printf(b, "\\u202%c", (unsigned char)s.p[i + 2] == 0xa8 ? '8' : '9');
			i += 2;
		} else
			buf_add_c(b, (char)c);
	}
	buf_add_c(b, '"');
}

struct str link_address_sign(struct str secret, const struct link_target *t, struct str address,
			     struct arena *a)
{
	uint8_t sum[32];
	struct buf b;

	buf_init(&b, TEXT_MAX);
	buf_add_cstr(&b, "{\"Repository\":");
	add_string(&b, t->repository);
	buf_add_cstr(&b, ",\"Branch\":");
	add_string(&b, t->branch);
	buf_add_cstr(&b, ",\"Path\":");
	add_string(&b, t->path);
	buf_add_cstr(&b, ",\"PhysicalAddress\":");
	add_string(&b, address);
	buf_add_c(&b, '}');
	hmac_sha256(secret, buf_str(&b), sum);
	buf_deinit(&b);
	return base64url_encode(a, str_make(sum, sizeof(sum)));
}

/* data/<xid>/<xid>: the last one says when it was made. */
static bool made_at(struct str address, uint32_t *ret)
{
	struct str rest, first = str_cut(address, '/', &rest), last, partition = str_cut(rest, '/', &last);
	uint32_t ignored;

	return str_eq(first, STR("data")) && xid_valid(partition, &ignored) && xid_valid(last, ret);
}

rc link_address_check(struct str secret, const struct link_target *t, struct str address,
		      struct str signature, int64_t now_s, struct arena *a, struct err *reterr)
{
	uint32_t made;

	if (!signature.n)
		return err_set(reterr, ERR_INVALID, "address is not signed: link address invalid");
	if (!made_at(address, &made))
		return err_set(reterr, ERR_INVALID, "link address invalid");
	if (!const_time_eq(link_address_sign(secret, t, address, a), signature))
		return err_set(reterr, ERR_INVALID, "invalid address signature: invalid address");
	if (now_s - made > LINK_ADDRESS_LIFE_S)
		return err_set(reterr, ERR_INVALID, "link address expired: get another one");
	return RC_OK;
}
