#include "http/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "base/buf.h"

static size_t on_body(char *p, size_t one, size_t n, void *ud)
{
	/* Less than all: libcurl ends the transfer. */
	return buf_add(ud, str_make(p, one * n)) ? one * n : 0;
}

static void set_up(CURL *easy, const struct http_fetch *q, struct arena *a, struct buf *body, char *error)
{
	curl_easy_setopt(easy, CURLOPT_URL, arena_cstr(a, q->url));
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, arena_cstr(a, q->method));
	if (str_eq(q->method, STR("POST")))
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	if (q->user.p) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, arena_cstr(a, q->user));
		curl_easy_setopt(easy, CURLOPT_PASSWORD, arena_cstr(a, q->password));
	}
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
}

rc http_fetch(const struct http_fetch *q, struct arena *a, struct http_fetched *ret, struct err *reterr)
{
	char error[CURL_ERROR_SIZE] = "";
	struct buf body = BUF_INIT(q->max);
	CURL *easy = curl_easy_init();
	CURLcode code;
	long status = 0;

	if (!easy)
		abort();
	set_up(easy, q, a, &body, error);
	code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(easy);
	*ret = (struct http_fetched){.status = (int)status, .body = arena_dup(a, buf_str(&body))};
	buf_deinit(&body);
	if (code == CURLE_OK)
		return RC_OK;
	return err_set(reterr, ERR_ServiceUnavailable, STR_FMT ": %s", STR_ARG(q->url),
		       error[0] ? error : curl_easy_strerror(code));
}
