#include "cli/ctl/client_priv.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/rand.h"

enum { ANSWER_MAX = 64 << 20 };

const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{413, "Request Entity Too Large"},
		{416, "Requested Range Not Satisfiable"},
		{420, "Too Many Requests"},
		{423, "Locked"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "";
}

/* The address. */

static bool is_site(struct str s)
{
	struct str rest = str_starts(s, STR("https://"))  ? str_skip(s, 8)
			  : str_starts(s, STR("http://")) ? str_skip(s, 7)
							  : STR_NONE;

	return rest.n > 0 && rest.p[0] != '/';
}

static struct str without_slashes(struct str s)
{
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

bool client_new(const struct settings *s, struct arena *a, struct client **ret, struct str *ret_why)
{
	struct client *c = ARENA_NEW(a, struct client);
	struct str site = without_slashes(str_trim(s->endpoint));
	struct http_pool_options o = {.kept = 256, .ca_file = s->ca_file, .proxies = true};

	if (!is_site(site)) {
		*ret_why = site.n ? arena_printf(a,
						 "server.endpoint_url '" STR_FMT "' is no address: write it as "
						 "http://host:port or https://host",
						 STR_ARG(str_head(site, 300)))
				  : arena_printf(a,
						 "no server is named: set server.endpoint_url in " STR_FMT
						 " or LAKECTL_SERVER_ENDPOINT_URL",
						 STR_ARG(s->file.n ? s->file : STR("a file given by --config")));
		return false;
	}
	if (str_ends(site, STR("/api/v1")))
		site = without_slashes(str_head(site, site.n - 7));
	c->s = s;
	c->site = site;
	c->api = arena_printf(a, STR_FMT "/api/v1", STR_ARG(site));
	if (s->access_key_id.n || s->secret_access_key.n) {
		struct str pair =
			arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(s->access_key_id), STR_ARG(s->secret_access_key));

		c->auth = arena_printf(a, "Basic " STR_FMT, STR_ARG(base64_encode(a, pair)));
	}
	c->pool = http_pool_new(&o);
	*ret = c;
	return true;
}

void client_free(struct client *c)
{
	if (c)
		http_pool_free(c->pool);
}

void client_stop(struct client *c)
{
	atomic_store(&c->stopped, true);
	http_pool_stop(c->pool);
}

bool client_stopped(const struct client *c)
{
	return atomic_load(&c->stopped);
}

struct str client_site(const struct client *c)
{
	return c->site;
}

/* Paths. */

struct str path_fill(struct arena *a, const char *fmt, const struct str *pieces, size_t n)
{
	struct str parts[32], rest = str_c(fmt);
	size_t k = 0, i = 0;

	while (rest.n && k + 2 < 32) {
		size_t at = str_find(rest, STR("{}"));

		parts[k++] = str_head(rest, at);
		rest = str_skip(rest, at);
		if (rest.n && i < n) {
			parts[k++] = uri_encode(a, pieces[i++], false);
			rest = str_skip(rest, 2);
		}
	}
	return arena_join(a, parts, k);
}

struct str path_query(struct arena *a, struct str path, const char *name, struct str value)
{
	return arena_printf(a, STR_FMT "%c%s=" STR_FMT, STR_ARG(path), str_index(path, '?') < path.n ? '&' : '?', name,
			    STR_ARG(uri_encode(a, value, false)));
}

/* Faults. */

/* The cause without the method and address that http/client.h puts in front. */
static struct str cause(const struct err *e)
{
	struct str s = str_c(e->msg);
	size_t at = str_find(s, STR(": "));

	return at < s.n ? str_skip(s, at + 2) : s;
}

void client_fault(struct client *c, struct arena *a, const struct err *e, struct fault *ret)
{
	*ret = (struct fault){FAULT_REACH, 0, STR_NONE};
	if (e->code == ERR_CANCELLED)
		ret->text = STR("stopped; what was being asked of the server may have been done");
	else if (e->code == ERR_ServiceUnavailable)
		ret->text =
			arena_printf(a,
				     "can't reach the server at " STR_FMT " (" STR_FMT "): see that it runs, and that "
				     "server.endpoint_url (LAKECTL_SERVER_ENDPOINT_URL) is its address",
				     STR_ARG(c->site), STR_ARG(cause(e)));
	else
		ret->text = arena_printf(a,
					 "the exchange with the server at " STR_FMT " broke off (" STR_FMT
					 "): whether it acted is unknown",
					 STR_ARG(c->site), STR_ARG(cause(e)));
}

static bool is_text(struct str s)
{
	return s.n && s.p[0] != '<' && str_is_utf8(s);
}

void client_answer_fault(struct arena *a, const struct answer *w, struct str site, struct fault *ret)
{
	struct str message = json_str(json_member(w->doc, "message"));
	struct str body = w->body;

	while (body.n && (body.p[body.n - 1] == '\n' || body.p[body.n - 1] == ' '))
		body.n--;
	*ret = (struct fault){FAULT_ANSWER, w->status, message};
	if (message.p)
		return;
	if (is_text(body))
		ret->text = str_head(body, CLIENT_TEXT_SHOWN);
	else
		ret->text = arena_printf(a,
					 STR_FMT " answered %d without a word: is it the address of the server "
						 "(server.endpoint_url)?",
					 STR_ARG(site), w->status);
}

bool client_not_json(struct client *c, struct arena *a, struct fault *ret)
{
	*ret = (struct fault){
		FAULT_OWN, 0,
		arena_printf(a, "what answers at " STR_FMT " doesn't speak lakeFS's API: see server.endpoint_url",
			     STR_ARG(c->site))};
	return false;
}

/* Attempts. */

bool client_busy(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

bool client_wait(struct client *c, unsigned *attempt)
{
	int64_t ms = c->s->retries.min_wait_ms;
	uint16_t some;

	if (client_stopped(c) || !c->s->retries.enabled || *attempt >= c->s->retries.max_attempts)
		return false;
	for (unsigned i = 0; i < *attempt && ms < c->s->retries.max_wait_ms; i++)
		ms *= 2;
	if (ms > c->s->retries.max_wait_ms)
		ms = c->s->retries.max_wait_ms;
	/* Those who were refused together shall not come back together. */
	rand_bytes(&some, sizeof(some));
	ms = ms / 2 + ms * some / 65535 / 2;
	++*attempt;
	usleep((useconds_t)(ms * 1000));
	return true;
}

size_t client_headers(const struct client *c, const struct call *q, struct http_header *h)
{
	size_t n = 0;

	if (c->auth.n)
		h[n++] = (struct http_header){STR("Authorization"), c->auth};
	h[n++] = (struct http_header){STR("Accept"), q->raw ? STR("*/*") : STR("application/json")};
	h[n++] = (struct http_header){STR("User-Agent"), STR("sluicectl/" SLUICE_VERSION)};
	if (q->doc.p)
		h[n++] = (struct http_header){STR("Content-Type"), STR("application/json")};
	if (q->if_match.n)
		h[n++] = (struct http_header){STR("If-Match"), q->if_match};
	return n;
}

void client_told(const char *method, struct str url, int status, int64_t since)
{
	log_event(LOG_DEBUG, "sluicectl", "request", F_CSTR("method", method), F_STR("url", url),
		  F_INT("status", status), F_INT("ms", mono_ms() - since));
}

static rc ask_once(struct client *c, struct arena *a, const struct call *q, struct answer *ret, struct err *e)
{
	struct http_header headers[CLIENT_HEADERS];
	struct str url = arena_join(a, (const struct str[]){c->api, q->path}, 2);
	struct http_request r = {.method = str_c(q->method),
				 .url = url,
				 .headers = headers,
				 .headers_n = client_headers(c, q, headers),
				 .body = q->doc.p ? HTTP_BYTES : HTTP_NO_BODY,
				 .bytes = q->doc,
				 .answer_ms = CLIENT_ANSWER_MS};
	struct http_answer w;
	int64_t since = mono_ms();

	/* Without a length servers wait for a body. */
	if (!q->doc.p && strcmp(q->method, "GET") != 0) {
		r.body = HTTP_BYTES;
		r.bytes = STR("");
	}
	TRY(http_ask(c->pool, &r, ANSWER_MAX, a, &w, e));
	client_told(q->method, url, w.status, since);
	*ret = (struct answer){.status = w.status,
			       .body = w.body,
			       .etag = http_answer_header(&w, "etag"),
			       .location = http_answer_header(&w, "location")};
	return RC_OK;
}

bool client_ask(struct client *c, struct arena *a, const struct call *q, struct answer *ret, struct fault *ret_fault)
{
	unsigned attempt = 0;
	bool reads = !strcmp(q->method, "GET");

	for (;;) {
		struct err e = {0};
		rc r = ask_once(c, a, q, ret, &e);

		if (rc_ok(r)) {
			if (client_busy(ret->status) && client_wait(c, &attempt))
				continue;
			break;
		}
		client_fault(c, a, &e, ret_fault);
		/* What may have been done isn't asked for again. */
		if (!(rc_is(r, ServiceUnavailable) || (rc_is(r, IO) && reads)) || !client_wait(c, &attempt))
			return false;
	}
	if (ret->body.n && (!q->raw || ret->status >= 300) && !rc_ok(json_parse(a, ret->body, &ret->doc, NULL)))
		ret->doc = NULL;
	if (ret->status < 200 || ret->status >= 300) {
		client_answer_fault(a, ret, c->site, ret_fault);
		return false;
	}
	if (ret->body.n && !q->raw && !ret->doc && ret->body.p[0] == '<')
		return client_not_json(c, a, ret_fault);
	return true;
}
