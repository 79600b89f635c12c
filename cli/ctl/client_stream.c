/* Bodies that are streams: downloads and uploads. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "cli/ctl/client_priv.h"

enum { SEND_BYTES = 256 * 1024, STATS_MAX = 64 * 1024 };

/* "http://host:port/path": what is signed is a secret. */
static struct str without_query(struct str url)
{
	return str_head(url, str_index(url, '?'));
}

static struct str site_of(struct str url)
{
	size_t host = str_find(url, STR("://")) + 3;

	return str_head(url, host + str_index(str_skip(url, host), '/'));
}

static void store_fault(struct client *c, struct arena *a, struct str url, const struct err *e, struct fault *ret)
{
	client_fault(c, a, e, ret);
	if (e->code != ERR_CANCELLED)
		ret->text = arena_printf(a,
					 "the exchange with the store at " STR_FMT " failed (%s): with --pre-sign=false "
					 "the bytes go through the server",
					 STR_ARG(site_of(url)), err_text(e->code));
}

static void store_refused(struct arena *a, struct str url, int status, struct fault *ret)
{
	*ret = (struct fault){FAULT_ANSWER, status,
			      arena_printf(a,
					   "the store at " STR_FMT " answered %d %s to a presigned URL: with "
					   "--pre-sign=false the bytes go through the server",
					   STR_ARG(site_of(url)), status, status_text(status))};
}

/* Whose address the server gave instead of the bytes. */
static bool open_store(struct client *c, struct arena *a, struct str url, struct client_stream *ret, bool *ret_again,
		       struct fault *ret_fault)
{
	const struct http_header headers[] = {{STR("User-Agent"), STR("sluicectl/" SLUICE_VERSION)}};
	struct http_request r = {.method = STR("GET"), .url = url, .headers = headers, .headers_n = 1};
	struct http_answer w;
	struct err e = {0};
	int64_t since = mono_ms();

	ret->x = http_open(c->pool, &r);
	if (!rc_ok(http_answer(ret->x, a, &w, &e))) {
		store_fault(c, a, url, &e, ret_fault);
		*ret_again = true;
		http_close(ret->x);
		return false;
	}
	client_told("GET", without_query(url), w.status, since);
	ret->length = w.length;
	if (w.status == 200)
		return true;
	http_close(ret->x);
	store_refused(a, url, w.status, ret_fault);
	*ret_again = client_busy(w.status);
	return false;
}

static bool open_once(struct client *c, struct arena *a, struct str path, struct client_stream *ret, bool *ret_again,
		      struct fault *ret_fault)
{
	const struct call q = {"GET", path, STR_NONE, STR_NONE, true};
	struct http_header headers[CLIENT_HEADERS];
	struct str url = arena_join(a, (const struct str[]){c->api, path}, 2), location;
	struct http_request r = {
		.method = STR("GET"), .url = url, .headers = headers, .headers_n = client_headers(c, &q, headers)};
	struct http_answer w;
	struct answer told_us = {0};
	struct err e = {0};
	int64_t since = mono_ms();

	ret->x = http_open(c->pool, &r);
	if (!rc_ok(http_answer(ret->x, a, &w, &e))) {
		client_fault(c, a, &e, ret_fault);
		*ret_again = true;
		http_close(ret->x);
		return false;
	}
	client_told("GET", url, w.status, since);
	ret->length = w.length;
	if (w.status == 200)
		return true;
	location = http_answer_header(&w, "location");
	if (w.status == 302 && location.n) {
		http_close(ret->x);
		return open_store(c, a, location, ret, ret_again, ret_fault);
	}
	told_us.status = w.status;
	told_us.body = (struct str){arena_alloc(a, CLIENT_TEXT_SHOWN), 0};
	if (!rc_ok(http_read(ret->x, (char *)told_us.body.p, CLIENT_TEXT_SHOWN, &told_us.body.n, &e)) ||
	    !rc_ok(json_parse(a, told_us.body, &told_us.doc, NULL)))
		told_us.doc = NULL;
	http_close(ret->x);
	client_answer_fault(a, &told_us, c->site, ret_fault);
	*ret_again = client_busy(w.status);
	return false;
}

bool client_open(struct client *c, struct arena *a, struct str path, struct client_stream *ret, struct fault *ret_fault)
{
	unsigned attempt = 0;
	bool again = false;

	while (!open_once(c, a, path, ret, &again, ret_fault))
		if (!again || !client_wait(c, &attempt))
			return false;
	return true;
}

/* False: *ret_fault, or an error of the exchange. */
static bool send_all(struct http_exchange *x, const struct upload *u, struct err *e, struct fault *ret_fault)
{
	char *piece = malloc(SEND_BYTES);
	bool good = true;
	ssize_t n;

	if (!piece)
		abort();
	while (good && (n = u->more(u->ud, piece, SEND_BYTES, ret_fault)) != 0)
		good = n > 0 && rc_ok(http_send(x, piece, (size_t)n, e));
	free(piece);
	return good;
}

bool client_upload(struct client *c, struct arena *a, const struct upload *u, struct answer *ret, bool *ret_again,
		   struct fault *ret_fault)
{
	const struct call q = {"POST", u->path, STR_NONE, STR_NONE, false};
	struct http_header headers[CLIENT_HEADERS];
	size_t n = client_headers(c, &q, headers);
	struct str url = arena_join(a, (const struct str[]){c->api, u->path}, 2);
	struct http_request r = {.method = STR("POST"),
				 .url = url,
				 .headers = headers,
				 .body = HTTP_SENT,
				 .length = u->length,
				 .answer_ms = CLIENT_ANSWER_MS};
	struct http_exchange *x;
	struct http_answer w = {0};
	struct err e = {0};
	int64_t since = mono_ms();
	char *text = arena_alloc(a, STATS_MAX);
	bool good;

	headers[n++] = (struct http_header){STR("Content-Type"), u->content_type};
	r.headers_n = n;
	*ret_fault = (struct fault){0};
	*ret_again = false;
	x = http_open(c->pool, &r);
	good = send_all(x, u, &e, ret_fault) && rc_ok(http_answer(x, a, &w, &e));
	if (good) {
		client_told("POST", url, w.status, since);
		*ret = (struct answer){.status = w.status};
		good = rc_ok(http_read(x, text, STATS_MAX, &ret->body.n, &e));
		ret->body.p = text;
	}
	http_close(x);
	if (!good) {
		if (ret_fault->kind == FAULT_NONE)
			client_fault(c, a, &e, ret_fault);
		*ret_again = e.code == ERR_ServiceUnavailable;
		return false;
	}
	if (!rc_ok(json_parse(a, ret->body, &ret->doc, NULL)))
		ret->doc = NULL;
	if (ret->status >= 200 && ret->status < 300)
		return ret->doc ? true : client_not_json(c, a, ret_fault);
	*ret_again = client_busy(ret->status);
	client_answer_fault(a, ret, c->site, ret_fault);
	return false;
}

/* As lakectl: Content-MD5 where it is told, else the ETag. */
static struct str etag_of(struct arena *a, const struct http_answer *w)
{
	struct str md5 = http_answer_header(w, "content-md5"), etag = http_answer_header(w, "etag"), raw;

	if (md5.n && base64_decode(a, md5, &raw) && raw.n == 16)
		return hex_encode(a, raw);
	return etag.p ? str_unquote(etag) : STR("");
}

bool client_put(struct client *c, struct arena *a, const struct upload *u, bool azure, struct str *ret_etag,
		bool *ret_again, struct fault *ret_fault)
{
	const struct http_header headers[] = {{STR("User-Agent"), STR("sluicectl/" SLUICE_VERSION)},
					      {STR("Content-Type"), u->content_type},
					      {STR("x-ms-blob-type"), STR("BlockBlob")}};
	const struct http_request r = {.method = STR("PUT"),
				       .url = u->path,
				       .headers = headers,
				       .headers_n = azure ? 3 : 2,
				       .body = HTTP_SENT,
				       .length = u->length,
				       .answer_ms = CLIENT_ANSWER_MS};
	struct http_exchange *x = http_open(c->pool, &r);
	struct http_answer w = {0};
	struct err e = {0};
	int64_t since = mono_ms();
	bool good;

	*ret_fault = (struct fault){0};
	*ret_again = false;
	good = send_all(x, u, &e, ret_fault) && rc_ok(http_answer(x, a, &w, &e));
	http_close(x);
	if (!good) {
		*ret_again = ret_fault->kind == FAULT_NONE; /* nobody has linked it */
		if (ret_fault->kind == FAULT_NONE)
			store_fault(c, a, u->path, &e, ret_fault);
		return false;
	}
	client_told("PUT", without_query(u->path), w.status, since);
	if (w.status == 200 || w.status == 201) {
		*ret_etag = etag_of(a, &w);
		return true;
	}
	store_refused(a, u->path, w.status, ret_fault);
	*ret_again = client_busy(w.status) || w.status == 500;
	return false;
}
