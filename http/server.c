#include "http/conn.h"

#include "base/log.h"
#include "base/rand.h"
#include "http/tls.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	MAX_LOOPS = 1024,      /* as many as an id has room for */
	BLOCKS_KEPT = 64,
	ABANDON_MS = 5000,     /* for what holds requests after the last connection was closed */
	OTHER_FDS = 640,       /* what the KV (256), open folders (256), logs and loops take */
	FEWEST_CONNECTIONS = 16,
};

/* Reuse hides what sanitizers look for. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KEEP_BLOCKS = 0 };
#else
enum { KEEP_BLOCKS = BLOCKS_KEPT };
#endif

#define DEFAULT(field, value)                                                                      \
	do {                                                                                       \
		if (!(field))                                                                      \
			(field) = (value);                                                         \
	} while (0)

static struct http_limits with_defaults(struct http_limits l)
{
	DEFAULT(l.head_bytes, 32 * 1024);
	DEFAULT(l.headers, 100);
	DEFAULT(l.head_ms, 30 * 1000);
	DEFAULT(l.idle_ms, 60 * 1000);
	DEFAULT(l.body_ms, 60 * 1000);
	DEFAULT(l.write_ms, 60 * 1000);
	DEFAULT(l.linger_ms, 5 * 1000);
	DEFAULT(l.tls_ms, 10 * 1000);
	DEFAULT(l.connections, 10 * 1000);
	return l;
}

static void get_metrics(struct server_metrics *m)
{
	static const char *const codes[6] = {[2] = "code=\"2xx\"", [3] = "code=\"3xx\"",
					     [4] = "code=\"4xx\"", [5] = "code=\"5xx\""};

	for (int i = 2; i < 6; i++)
		m->requests[i] = metric_get(METRIC_COUNTER, "http_requests_total",
					    "Requests that have ended, by status.", codes[i]);
	m->seconds = metric_get(METRIC_HISTOGRAM, "http_request_seconds",
				"From a request's first byte to its answer's last.", NULL);
	m->connections = metric_get(METRIC_GAUGE, "http_connections", "Open connections.", NULL);
	m->evicted = metric_get(METRIC_COUNTER, "http_evicted_connections_total",
				"Connections without a request that were closed to make room.", NULL);
	m->bytes_in = metric_get(METRIC_COUNTER, "http_received_bytes_total",
				 "Bytes of requests' bodies.", NULL);
	m->bytes_out = metric_get(METRIC_COUNTER, "http_sent_bytes_total",
				  "Bytes of answers' bodies.", NULL);
}

/* Clients must not take the descriptors that stores need: a connection costs two, itself and a file
 * that it reads or writes. Returns how many there may be. */
static size_t raise_descriptors(size_t connections)
{
	struct rlimit lim;
	size_t room = FEWEST_CONNECTIONS;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return connections;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_max == RLIM_INFINITY)
		return connections;
	if (lim.rlim_max > OTHER_FDS + 2 * FEWEST_CONNECTIONS)
		room = (size_t)(lim.rlim_max - OTHER_FDS) / 2;
	if (room >= connections)
		return connections;
	log_event(LOG_WARN, "http",
		  "the limit of open files allows fewer connections than are configured",
		  F_INT("open_files", (int64_t)lim.rlim_max),
		  F_INT("configured", (int64_t)connections), F_INT("allowed", (int64_t)room));
	return room;
}

static char *dup_str(struct str s)
{
	char *p;

	if (!s.p)
		return NULL;
	p = strndup(s.p, s.n);
	if (!p)
		abort();
	return p;
}

static unsigned loops_wanted(unsigned n)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!n)
		n = cores > 0 ? (unsigned)cores : 1;
	return n < MAX_LOOPS ? n : MAX_LOOPS;
}

static struct http_server *server_new(const struct http_options *o)
{
	unsigned n = loops_wanted(o->loops);
	struct http_server *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->limits = with_defaults(o->limits);
	s->handler = o->handler;
	s->ud = o->ud;
	s->server_name = dup_str(o->server_name);
	s->cert_file = dup_str(o->tls_cert_file);
	s->key_file = dup_str(o->tls_key_file);
	get_metrics(&s->metrics);
	rand_bytes(&s->id_key, sizeof(s->id_key));
	pthread_mutex_init(&s->tls_lock, NULL);
	s->loops_n = n;
	s->loops = calloc(n, sizeof(*s->loops));
	if (!s->loops)
		abort();
	for (unsigned i = 0; i < n; i++)
		s->loops[i].listen_fd = -1;
	return s;
}

static void server_free(struct http_server *s)
{
	SSL_CTX_free(s->locked.tls);
	pthread_mutex_destroy(&s->tls_lock);
	free(s->server_name);
	free(s->cert_file);
	free(s->key_file);
	free(s->loops);
	free(s);
}

/* On the loop, first. */
static void enter(void *ud)
{
	struct server_loop *sl = ud;

	listener_start(sl);
}

static void server_loop_init(struct server_loop *sl, struct http_server *s, unsigned index)
{
	sl->server = s;
	sl->index = index;
	sl->inputs = (struct blocks){.size = INPUT_BLOCK, .max = KEEP_BLOCKS};
	sl->outputs = (struct blocks){.size = OUTPUT_BLOCK, .max = KEEP_BLOCKS};
	sl->scratch = malloc(SCRATCH);
	if (!sl->scratch)
		abort();
}

static void server_loop_deinit(struct server_loop *sl)
{
	blocks_deinit(&sl->inputs);
	blocks_deinit(&sl->outputs);
	free(sl->scratch);
	if (sl->loop)
		loop_free(sl->loop);
}

static void close_all(struct server_loop *sl)
{
	for (struct conn *c = sl->conns; c; c = c->next)
		conn_close(c);
}

void server_loop_ended(struct server_loop *sl)
{
	if (sl->stopping && !sl->conns_n && !sl->requests_n)
		loop_quit(sl->loop);
}

/* Somebody holds requests although their connections are gone: their memory is left to them. */
static void abandon(struct loop_timer *t)
{
	struct server_loop *sl = CONTAINER_OF(t, struct server_loop, grace);

	log_event(LOG_WARN, "http", "requests are still held after the stop",
		  F_INT("requests", (int64_t)sl->requests_n));
	sl->abandoned = true;
	loop_quit(sl->loop);
}

static void on_grace_over(struct loop_timer *t)
{
	struct server_loop *sl = CONTAINER_OF(t, struct server_loop, grace);

	close_all(sl);
	loop_timer_set(sl->loop, &sl->grace, ABANDON_MS, abandon);
	server_loop_ended(sl);
}

static void on_stop(struct mail *m)
{
	struct server_loop *sl = CONTAINER_OF(m, struct server_loop, stop);

	sl->stopping = true;
	listener_stop(sl);
	for (struct conn *c = sl->conns; c; c = c->next)
		if (c->state == CONN_HANDSHAKE || c->state == CONN_IDLE)
			conn_close(c);
	loop_timer_set(sl->loop, &sl->grace, sl->server->grace_ms, on_grace_over);
	server_loop_ended(sl);
}

static void begin_stop(struct server_loop *sl)
{
	sl->stop.deliver = on_stop;
	mailbox_post(loop_mailbox(sl->loop), &sl->stop);
}

static rc start_loops(struct http_server *s, struct err *reterr)
{
	for (unsigned i = 0; i < s->loops_n; i++)
		TRY(loop_new(i, &s->loops[i].loop, reterr));
	for (unsigned i = 0; i < s->loops_n; i++) {
		rc r = loop_start(s->loops[i].loop, enter, &s->loops[i], reterr);

		if (rc_ok(r))
			continue;
		while (i) {
			begin_stop(&s->loops[--i]);
			loop_join(s->loops[i].loop);
			s->loops[i].listen_fd = -1;
		}
		return r;
	}
	return RC_OK;
}

static rc set_up(struct http_server *s, struct str listen, struct err *reterr)
{
	int fds[MAX_LOOPS];

	if (s->cert_file)
		TRY(tls_context_new(str_c(s->cert_file), str_c(s->key_file), &s->locked.tls,
				    reterr));
	s->limits.connections = raise_descriptors(s->limits.connections);
	TRY(listen_all(listen, s->loops_n, fds, &s->port, reterr));
	for (unsigned i = 0; i < s->loops_n; i++)
		s->loops[i].listen_fd = fds[i];
	return start_loops(s, reterr);
}

static void discard(struct http_server *s)
{
	for (unsigned i = 0; i < s->loops_n; i++) {
		if (s->loops[i].listen_fd >= 0)
			close(s->loops[i].listen_fd);
		server_loop_deinit(&s->loops[i]);
	}
	server_free(s);
}

rc http_server_start(const struct http_options *o, struct http_server **ret, struct err *reterr)
{
	struct http_server *s;
	rc r;

	assert(o->handler);
	if (!o->tls_cert_file.p != !o->tls_key_file.p)
		return err_set(reterr, ERR_CONFIG,
			       "tls: a certificate and a private key are needed, both");
	/* OpenSSL and sendfile would raise it whenever a client goes. */
	signal(SIGPIPE, SIG_IGN);
	s = server_new(o);
	for (unsigned i = 0; i < s->loops_n; i++)
		server_loop_init(&s->loops[i], s, i);
	r = set_up(s, o->listen, reterr);
	if (!rc_ok(r)) {
		discard(s);
		return r;
	}
	*ret = s;
	return RC_OK;
}

unsigned http_server_port(const struct http_server *s)
{
	return s->port;
}

rc http_server_reload_tls(struct http_server *s, struct err *reterr)
{
	SSL_CTX *fresh, *old;

	if (!s->cert_file)
		return err_set(reterr, ERR_CONFIG, "tls: the server was started without it");
	TRY(tls_context_new(str_c(s->cert_file), str_c(s->key_file), &fresh, reterr));
	pthread_mutex_lock(&s->tls_lock);
	old = s->locked.tls;
	s->locked.tls = fresh;
	pthread_mutex_unlock(&s->tls_lock);
	SSL_CTX_free(old); /* connections that use it hold their own reference */
	return RC_OK;
}

void http_server_stop(struct http_server *s, unsigned grace_ms)
{
	bool abandoned = false;

	assert(!loop_current());
	s->grace_ms = grace_ms;
	for (unsigned i = 0; i < s->loops_n; i++)
		begin_stop(&s->loops[i]);
	for (unsigned i = 0; i < s->loops_n; i++) {
		loop_join(s->loops[i].loop);
		abandoned |= s->loops[i].abandoned;
	}
	if (abandoned)
		return; /* what is held refers to all of it */
	for (unsigned i = 0; i < s->loops_n; i++)
		server_loop_deinit(&s->loops[i]);
	server_free(s);
}

unsigned http_server_loops(const struct http_server *s)
{
	return s->loops_n;
}

struct loop *http_server_loop(struct http_server *s, unsigned i)
{
	assert(i < s->loops_n);
	return s->loops[i].loop;
}
