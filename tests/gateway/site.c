#include "tests/gateway/site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "auth/secret.h"
#include "auth/store.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "sigv4/sigv4.h"
#include "versions/repo.h"

#define ENCRYPT STR("a key for sealing")

static void die(const char *what)
{
	fprintf(stderr, "site: %s\n", what);
	abort();
}

static void must(rc r, const struct err *e)
{
	if (!rc_ok(r))
		die(e->msg);
}

static void handle(struct http_req *req, void *ud)
{
	struct site *s = ud;

	if (api_owns(http_req_target(req)) && !str_starts(http_req_header(req, "authorization"), STR("AWS4")))
		api_handle(s->api, req);
	else
		gateway_handle(s->gateway, req);
}

static void open_store(struct site *s, enum site_store kind, bool second, bool bare)
{
	struct backend *b[2] = {NULL, NULL};
	struct err err = {0};

	if (kind == SITE_MEM) {
		b[0] = backend_mem_new(STR(""), s->data);
	} else {
		snprintf(s->folder, sizeof(s->folder), "/tmp/sluice-site-XXXXXX");
		if (!mkdtemp(s->folder))
			die("mkdtemp");
		must(backend_local_open(&(struct backend_local_options){.id = STR(""),
									.path = str_c(s->folder),
									.pool = s->data},
					&b[0], &err),
		     &err);
	}
	if (second)
		b[1] = backend_mem_new(STR("second"), s->data);
	if (bare) {
		b[1] = backend_mem_new(STR("bare"), s->data);
		b[1]->type = "s3";
	}
	s->registry = registry_of(b, second || bare ? 2 : 1, STR(""));
}

static void open_gateway(struct site *s, const struct site_options *o)
{
	s->gateway = gateway_new(&(struct gateway_options){
		.versions = s->versions,
		.auth = s->auth,
		.meta = s->meta,
		.data = s->data,
		.admission = {s->admission, o->admission_wait_ms},
		.region = STR("us-east-1"),
		.domains = o->domains,
		.domains_n = o->domains_n,
		.slot_bytes = 64 * 1024,
		.late_ms = o->late_ms,
		.documents_max = o->documents_max,
		.trusted_proxies = o->proxies,
		.trusted_proxies_n = o->proxies_n,
	});
}

static void open_api(struct site *s, const struct site_options *o)
{
	s->api = api_new(&(struct api_options){
		.versions = s->versions,
		.auth = s->auth,
		.meta = s->meta,
		.data = s->data,
		.heavy = s->heavy,
		.admission = {s->admission, o->admission_wait_ms},
		.slot_bytes = 64 * 1024,
		.trusted_proxies = o->proxies,
		.trusted_proxies_n = o->proxies_n,
	});
}

void site_open(struct site *s, const struct site_options *o)
{
	struct err err = {0};

	*s = (struct site){.a = arena_new(), .kv = kv_mem_new()};
	if (o->slow_kv)
		s->kv = kv_fault_new(s->kv);
	if (o->admission)
		s->admission = admission_new(o->admission);
	s->meta = work_pool_new("meta", SITE_WORKERS, 200);
	s->data = work_pool_new("data", SITE_WORKERS, 200);
	s->heavy = work_pool_new("heavy", SITE_HEAVY, 200);
	open_store(s, o->store, o->second_store, o->bare);
	s->versions = versions_new(&(struct versions_options){
		.kv = s->kv,
		.registry = s->registry,
		.meta = s->meta,
		.data = s->data,
		.repo_cache_ms = o->repo_cache_ms ? o->repo_cache_ms : 5000,
		.repo_cache_size = 100,
		.ensure_readable_root = true,
		.block_prefix = STR("_lakefs"),
	});
	versions_open_tables(s->versions, &(struct tables_options){.block_cache_bytes = 1 << 20});
	s->auth = auth_new(&(struct auth_options){
		.kv = s->kv, .encrypt_secret = ENCRYPT, .cache_ms = 20000, .cache_size = 100});
	open_gateway(s, o);
	open_api(s, o);
	must(http_server_start(&(struct http_options){.listen = STR("127.0.0.1:0"),
						      .loops = 2,
						      .handler = handle,
						      .ud = s},
			       &s->server, &err),
	     &err);
	site_add_user(s, "admin", &(struct site_statement){.effect = "allow", .action = "fs:*", .resource = "*"},
		      1);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	return remove(path);
}

void site_close(struct site *s)
{
	if (s->admission)
		admission_stop(s->admission);
	http_server_stop(s->server, 5000);
	gateway_free(s->gateway);
	work_pool_free(s->heavy);
	api_free(s->api);
	auth_free(s->auth);
	work_pool_free(s->data);
	work_pool_free(s->meta);
	versions_free(s->versions);
	registry_unref(s->registry);
	kv_free(s->kv);
	admission_free(s->admission);
	arena_free(s->a);
	if (s->folder[0])
		nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void site_add_repo(struct site *s, const char *name, bool read_only)
{
	struct err err = {0};
	struct vcall c = {.v = s->versions, .a = s->a, .wait = KV_BLOCK, .err = &err};
	struct repo made;

	must(repo_create(&c,
			 &(struct repo_create){.id = str_c(name),
					       .storage_namespace = arena_printf(
						       s->a, "%s://%s",
						       s->folder[0] ? "local" : "mem", name),
					       .read_only = read_only},
			 &made),
	     &err);
}

void site_add_second_repo(struct site *s, const char *name)
{
	struct err err = {0};
	struct vcall c = {.v = s->versions, .a = s->a, .wait = KV_BLOCK, .err = &err};
	struct repo made;

	must(repo_create(&c,
			 &(struct repo_create){.id = str_c(name),
					       .storage_id = STR("second"),
					       .storage_namespace =
						       arena_printf(s->a, "mem://%s", name)},
			 &made),
	     &err);
}

static void put(struct site *s, struct str key, const ProtobufCMessage *m)
{
	struct err err = {0};

	must(auth_store_put(s->kv, key, m, false, &err), &err);
}

static void put_statement(struct site *s, struct str policy, const struct site_statement *st,
			  size_t n)
{
	AuthPb__StatementData all[8], *list[8];
	AuthPb__StatementData__ConditionEntry conditions[8], *condition_lists[8];
	AuthPb__ConditionFields fields[8];
	AuthPb__ConditionFields__FieldsEntry entries[8], *entry_lists[8];
	AuthPb__ConditionValues values[8];
	char *value_lists[8], *actions[8];
	AuthPb__PolicyData p = AUTH_PB__POLICY_DATA__INIT;

	for (size_t i = 0; i < n && i < 8; i++) {
		actions[i] = (char *)st[i].action;
		auth_pb__statement_data__init(&all[i]);
		all[i].effect = (char *)st[i].effect;
		all[i].n_action = 1;
		all[i].action = &actions[i];
		all[i].resource = (char *)st[i].resource;
		list[i] = &all[i];
		if (!st[i].op)
			continue;
		auth_pb__statement_data__condition_entry__init(&conditions[i]);
		auth_pb__condition_fields__init(&fields[i]);
		auth_pb__condition_fields__fields_entry__init(&entries[i]);
		auth_pb__condition_values__init(&values[i]);
		value_lists[i] = (char *)st[i].value;
		values[i].n_values = 1;
		values[i].values = &value_lists[i];
		entries[i].key = (char *)st[i].field;
		entries[i].value = &values[i];
		entry_lists[i] = &entries[i];
		fields[i].n_fields = 1;
		fields[i].fields = &entry_lists[i];
		conditions[i].key = (char *)st[i].op;
		conditions[i].value = &fields[i];
		condition_lists[i] = &conditions[i];
		all[i].n_condition = 1;
		all[i].condition = &condition_lists[i];
	}
	p.n_statement = n;
	p.statement = list;
	put(s, policy, &p.base);
}

void site_add_user(struct site *s, const char *name, const struct site_statement *st, size_t n)
{
	AuthPb__UserData u = AUTH_PB__USER_DATA__INIT;
	AuthPb__CredentialData c = AUTH_PB__CREDENTIAL_DATA__INIT;
	struct str sealed = auth_secret_seal(ENCRYPT, str_c(name), s->a);
	struct str policy = arena_join(s->a, (struct str[]){STR("policies/of-"), str_c(name)}, 2);
	struct str index = arena_join(s->a,
				      (struct str[]){STR("uPolicies/"), str_c(name),
						     STR("/policies/of-"), str_c(name)},
				      4);
	struct err err = {0};

	c.access_key_id = (char *)name;
	c.secret_access_key_encrypted_bytes =
		(ProtobufCBinaryData){sealed.n, (uint8_t *)(uintptr_t)sealed.p};
	put(s, auth_key_user(s->a, str_c(name)), &u.base);
	put(s, auth_key_credential(s->a, str_c(name), str_c(name)), &c.base);
	put_statement(s, policy, st, n);
	must(auth_store_put_index(s->kv, index, policy, &err), &err);
}

/* ---- the client */

static int dial(struct site *s)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((in_port_t)http_server_port(s->server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval wait = {.tv_sec = 60};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("connect");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

static struct str payload_hash(struct arena *a, struct str body)
{
	uint8_t sum[DIGEST_MAX];

	digest_of(DIGEST_SHA256, body, sum);
	return hex_encode(a, str_make((const char *)sum, 32));
}

static struct str amz_date(struct arena *a, int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm;
	char out[32];

	gmtime_r(&t, &tm);
	strftime(out, sizeof(out), "%Y%m%dT%H%M%SZ", &tm);
	return arena_dup(a, str_c(out));
}

static void write_request(struct arena *a, const struct call *c, struct buf *out)
{
	struct sigv4_header h[CALL_HEADERS + 4];
	struct sigv4_request sr = {.headers = h};
	struct str user = str_c(c->user ? c->user : "admin");
	int64_t now = wall_now().s;
	size_t n = 0;

	sr.method = str_c(c->method ? c->method : "GET");
	sr.path = str_cut(str_c(c->target), '?', &sr.query);
	if (!sr.query.p)
		sr.query = STR("");
	h[n++] = (struct sigv4_header){STR("host"), str_c(c->host ? c->host : "localhost")};
	for (size_t i = 0; i < CALL_HEADERS && c->headers[i].name; i++)
		h[n++] = (struct sigv4_header){str_c(c->headers[i].name),
					       str_c(c->headers[i].value)};
	if (user.n && c->basic) {
		struct str pair = arena_join(a, (struct str[]){user, STR(":"), user}, 3);

		h[n++] = (struct sigv4_header){
			STR("authorization"),
			arena_join(a, (struct str[]){STR("Basic "), base64_encode(a, pair)}, 2)};
		if (str_starts(c->body, STR("{")) || str_starts(c->body, STR("[")))
			h[n++] = (struct sigv4_header){STR("content-type"), STR("application/json")};
	} else if (user.n) {
		struct str hash = payload_hash(a, c->body);

		h[n++] = (struct sigv4_header){STR("x-amz-date"), amz_date(a, now)};
		h[n++] = (struct sigv4_header){STR("x-amz-content-sha256"), hash};
		sr.headers_n = n;
		h[n].value = sigv4_sign_header(&sr, &(struct sigv4_credentials){user, user, STR_NONE},
					       STR("us-east-1"), STR("s3"), now, hash, a);
		h[n++].name = STR("authorization");
	}
	buf_printf(out, STR_FMT " %s HTTP/1.1\r\ncontent-length: %zu\r\n", STR_ARG(sr.method),
		   c->target, c->body.n);
	for (size_t i = 0; i < n; i++) {
		buf_add(out, h[i].name);
		buf_add(out, STR(": "));
		buf_add(out, h[i].value);
		buf_add(out, STR("\r\n"));
	}
	buf_add(out, STR("\r\n"));
	buf_add(out, c->body);
}

static void send_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* answered early: the answer is still to be read */
		s = str_skip(s, (size_t)n);
	}
}

/* Sockets with time-outs tell a process that was stopped and goes on. */
static ssize_t receive(int fd, void *dst, size_t n, int flags)
{
	ssize_t k;

	do
		k = recv(fd, dst, n, flags);
	while (k < 0 && errno == EINTR);
	return k;
}

static void read_head(int fd, struct answer *a)
{
	size_t n = 0;

	do {
		if (n + 1 == sizeof(a->head) || receive(fd, a->head + n, 1, 0) != 1)
			die("no head came");
		a->head[++n] = 0;
	} while (n < 4 || memcmp(a->head + n - 4, "\r\n\r\n", 4));
	if (strncmp(a->head, "HTTP/1.1 ", 9))
		die("not HTTP");
	a->status = atoi(a->head + 9);
}

static void read_bytes(int fd, struct answer *a, unsigned long long left)
{
	while (left) {
		size_t want = left < 65536 ? (size_t)left : 65536;
		char *to = buf_reserve(&a->body, want);
		ssize_t n = to ? receive(fd, to, want, 0) : -1;

		if (n <= 0)
			die("the body ended early");
		a->body.n += (size_t)n;
		left -= (unsigned long long)n;
	}
}

static unsigned long long chunk_size(int fd)
{
	char line[32];
	size_t n = 0;

	do {
		if (n + 1 == sizeof(line) || receive(fd, line + n, 1, 0) != 1)
			die("no chunk came");
		line[++n] = 0;
	} while (n < 3 || memcmp(line + n - 2, "\r\n", 2));
	return strtoull(line, NULL, 16);
}

static void read_chunks(int fd, struct answer *a)
{
	unsigned long long size;

	do {
		size = chunk_size(fd);
		read_bytes(fd, a, size + 2);
		a->body.n -= 2; /* the line's end */
	} while (size);
}

static void read_body(int fd, const char *method, struct answer *a)
{
	char value[1024];

	a->body = BUF_INIT((size_t)1 << 26);
	if (!strcmp(method, "HEAD"))
		return;
	if (!strcmp(answer_header(a, "transfer-encoding", value), "chunked"))
		read_chunks(fd, a);
	else
		read_bytes(fd, a, strtoull(answer_header(a, "content-length", value), NULL, 10));
}

void site_send(struct site *s, int *fd, const struct call *c)
{
	struct arena *a = arena_new();
	struct buf out = BUF_INIT((size_t)1 << 26);

	if (*fd < 0)
		*fd = dial(s);
	write_request(a, c, &out);
	send_all(*fd, buf_str(&out));
	buf_deinit(&out);
	arena_free(a);
}

void site_await(int fd, const char *text)
{
	int64_t until = mono_ms() + 60000;
	char come[4096];
	ssize_t n;

	for (;;) {
		n = receive(fd, come, sizeof(come), MSG_PEEK);
		if (n <= 0 || mono_ms() > until)
			die("what was awaited didn't come");
		if (str_find(str_make(come, (size_t)n), str_c(text)) < (size_t)n)
			return;
		usleep(1000);
	}
}

void site_receive(int *fd, const struct call *c, struct answer *ret)
{
	char value[1024];

	read_head(*fd, ret);
	read_body(*fd, c->method ? c->method : "GET", ret);
	if (!strcasecmp(answer_header(ret, "connection", value), "close")) {
		close(*fd);
		*fd = -1;
	}
}

void site_call_on(struct site *s, int *fd, const struct call *c, struct answer *ret)
{
	site_send(s, fd, c);
	site_receive(fd, c, ret);
}

void site_call(struct site *s, const struct call *c, struct answer *ret)
{
	int fd = -1;

	site_call_on(s, &fd, c, ret);
	if (fd >= 0)
		close(fd);
}

void site_abandon(struct site *s, const struct call *c, size_t bytes)
{
	struct arena *a = arena_new();
	struct buf out = BUF_INIT((size_t)1 << 26);
	int fd = dial(s);

	write_request(a, c, &out);
	send_all(fd, str_head(buf_str(&out), out.n - c->body.n + bytes));
	close(fd);
	buf_deinit(&out);
	arena_free(a);
}

void answer_free(struct answer *a)
{
	buf_deinit(&a->body);
}

const char *answer_header(const struct answer *a, const char *name, char out[1024])
{
	const char *p = a->head;
	size_t n = strlen(name);

	out[0] = 0;
	while ((p = strchr(p, '\n')) && *++p)
		if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
			snprintf(out, 1024, "%.*s", (int)strcspn(p + n + 2, "\r\n"), p + n + 2);
			break;
		}
	return out;
}

bool answer_has(const struct answer *a, const char *text)
{
	struct str body = buf_str(&a->body);

	return str_find(body, str_c(text)) < body.n;
}

const char *answer_element(const struct answer *a, const char *name, char out[1024])
{
	struct str s = buf_str(&a->body);
	char tag[64];

	snprintf(tag, sizeof(tag), "<%s>", name);
	s = str_skip(s, str_find(s, str_c(tag)));
	s = s.n ? str_skip(s, strlen(tag)) : s;
	s = str_head(s, str_index(s, '<'));
	snprintf(out, 1024, STR_FMT, STR_ARG(s));
	return out;
}

void site_expect(struct site *s, const struct call *c, int status, const char *code,
		 const char *file, int line)
{
	struct answer a;
	char got[1024];

	site_call(s, c, &a);
	answer_element(&a, "Code", got);
	if (a.status != status || (code && strcmp(got, code))) {
		print_error("%s:%d: %s %s: %d %s, not %d %s\n" STR_FMT "\n", file, line,
			    c->method ? c->method : "GET", c->target, a.status, got, status,
			    code ? code : "", STR_ARG(buf_str(&a.body)));
		_fail(file, line);
	}
	answer_free(&a);
}
