/* Signatures with a storage account's key: SharedKey for our own requests, service SAS for those of
 * others. Microsoft: "Authorize with Shared Key", "Create a service SAS". */
#include "backends/azure_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"

enum { TEXT_MAX = 64 * 1024 };

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct http_header *)a)->name,
		       ((const struct http_header *)b)->name);
}

static struct http_header *sorted(struct arena *a, const struct http_header *v, size_t n)
{
	struct http_header *copy = arena_alloc(a, (n + 1) * sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = v[i];
	qsort(copy, n, sizeof(*copy), by_name);
	return copy;
}

static struct str header(const struct remote_call *c, const char *name)
{
	for (size_t i = 0; i < c->headers_n; i++)
		if (str_eq(c->headers[i].name, str_c(name)))
			return c->headers[i].value;
	return STR_NONE;
}

static void add_line(struct buf *b, struct str s)
{
	buf_add(b, s.p ? s : STR(""));
	buf_add_c(b, '\n');
}

static void add_headers(struct buf *b, const struct remote_call *c)
{
	struct http_header *v = sorted(c->a, c->headers, c->headers_n);

	for (size_t i = 0; i < c->headers_n; i++)
		if (str_starts(v[i].name, STR("x-ms-")))
			buf_printf(b, STR_FMT ":" STR_FMT "\n", STR_ARG(v[i].name),
				   STR_ARG(v[i].value));
}

/* The path as it is sent, so that an emulator's, which names the account, has it twice. */
static void add_resource(struct buf *b, const struct remote_call *c, struct str account)
{
	struct http_header *v = sorted(c->a, c->query, c->query_n);

	buf_add_c(b, '/');
	buf_add(b, account);
	buf_add(b, c->path);
	for (size_t i = 0; i < c->query_n; i++)
		buf_printf(b, "\n" STR_FMT ":" STR_FMT, STR_ARG(v[i].name), STR_ARG(v[i].value));
}

struct str azure_string_to_sign(const struct remote_call *c, struct str account)
{
	static const char *const standard[] = {
	    "content-md5",	   "content-type", "date" /* x-ms-date stands for it */,
	    "if-modified-since",   "if-match",	   "if-none-match",
	    "if-unmodified-since", "range"};
	struct buf b = BUF_INIT(TEXT_MAX);
	uint64_t size = c->bytes.p ? c->bytes.n : c->size;
	struct str text;

	add_line(&b, c->method);
	add_line(&b, header(c, "content-encoding"));
	add_line(&b, header(c, "content-language"));
	if (size)
		buf_printf(&b, "%llu", (unsigned long long)size);
	buf_add_c(&b, '\n');
	for (size_t i = 0; i < sizeof(standard) / sizeof(*standard); i++)
		add_line(&b, header(c, standard[i]));
	add_headers(&b, c);
	add_resource(&b, c, account);
	text = arena_dup(c->a, buf_str(&b));
	buf_deinit(&b);
	return text;
}

static struct str signature(struct arena *a, struct str key, struct str text)
{
	uint8_t mac[32];

	hmac_sha256(key, text, mac);
	return base64_encode(a, str_make(mac, sizeof(mac)));
}

struct str azure_authorization(const struct remote_call *c, struct str account, struct str key)
{
	return arena_printf(c->a, "SharedKey " STR_FMT ":" STR_FMT, STR_ARG(account),
			    STR_ARG(signature(c->a, key, azure_string_to_sign(c, account))));
}

struct str azure_sas(struct arena *a, const struct azure_place *at, struct str key,
		     struct str permissions, bool tls_only, int64_t expires_s,
		     struct str disposition)
{
	struct str protocol = tls_only ? STR("https") : STR("https,http"), rscd = STR(""), text;
	char until[25];

	time_iso_ms((struct timestamp){.s = expires_s}, until);
	until[19] = 'Z'; /* without the fraction, which the service doesn't take */
	until[20] = 0;
	if (disposition.n)
		rscd = arena_printf(a, "&rscd=" STR_FMT, STR_ARG(uri_encode(a, disposition, false)));
	/* permissions, start, expiry, resource, identifier, IP, protocol, version, kind, snapshot,
	 * encryption scope, and five headers that answers would have: of these the second is
	 * Content-Disposition. */
	text = arena_printf(a,
			    STR_FMT "\n\n%s\n/blob/" STR_FMT "/" STR_FMT "/" STR_FMT
				    "\n\n\n" STR_FMT "\n" AZURE_VERSION "\nb\n\n\n\n" STR_FMT
				    "\n\n\n",
			    STR_ARG(permissions), until, STR_ARG(at->account),
			    STR_ARG(at->container), STR_ARG(at->blob), STR_ARG(protocol),
			    STR_ARG(disposition.p ? disposition : STR("")));
	return arena_printf(a,
			    "sv=" AZURE_VERSION "&sr=b&sp=" STR_FMT "&se=" STR_FMT "&spr=" STR_FMT
			    STR_FMT "&sig=" STR_FMT,
			    STR_ARG(permissions), STR_ARG(uri_encode(a, str_c(until), false)),
			    STR_ARG(uri_encode(a, protocol, false)), STR_ARG(rscd),
			    STR_ARG(uri_encode(a, signature(a, key, text), false)));
}

rc azure_presign(struct backend *b, const struct object_ptr *p, const struct backend_presign *q,
		 struct arena *a, struct backend_presigned *ret, struct err *reterr)
{
	struct azure *s = azure_of(b);
	bool put = str_eq(q->method, STR("PUT"));
	struct str disposition = STR_NONE, pieces[3];
	struct azure_place at;
	struct remote_call c;

	TRY(azure_object(s, a, p, &at, reterr));
	TRY(backend_presign_check(b, q, wall_now().s, 0, reterr));
	if (q->filename.n && !put)
		disposition = backend_attachment(a, q->filename);
	remote_call_init(&c, a, "GET");
	azure_address(s, &c, &at, true);
	pieces[0] = remote_url(&c);
	pieces[1] = STR("?");
	pieces[2] = azure_sas(a, &at, s->key, put ? STR("cw") : STR("r"),
			      str_starts(c.base, STR("https:")), q->expires_s, disposition);
	ret->url = arena_join(a, pieces, 3);
	ret->expires_s = q->expires_s;
	return RC_OK;
}
