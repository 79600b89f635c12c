/* The way of a request through its steps (s3.h shows it). */
#include <stdlib.h>

#include "gateway/s3.h"

static void carry_on(struct s3_req *r, rc result);

static rc prologue(struct s3_req *r)
{
	if (!r->authenticated)
		TRY(s3_authenticate(r));
	if (r->op->level != LEVEL_SERVICE && !(r->op->flags & OP_NEW_BUCKET) && !r->have_repo)
		TRY(s3_find_repo(r));
	if (r->op->flags & OP_ABSENT)
		return err_set(&r->err, ERR_NotImplemented,
			       "%s is not implemented; the request was not carried out.",
			       r->op->name);
	if (!r->authorized)
		TRY(s3_authorize(r));
	r->authorized = true;
	TRY(s3_check_owner(r));
	return r->op->handlers->plan ? r->op->handlers->plan(r) : RC_OK;
}

static struct s3_req *req_of(struct work *w)
{
	return (struct s3_req *)((char *)w - offsetof(struct s3_req, work));
}

static void submit(struct s3_req *r, struct work_pool *pool, void (*run)(struct work *),
		   void (*done)(struct work *))
{
	r->wait = KV_BLOCK;
	r->work = (struct work){
		.run = run, .done = done, .home = loop_mailbox(http_req_loop(r->http))};
	if (!http_admit_submit(&r->admit, pool, &r->work))
		s3_done(r, err_default(&r->err, ERR_SlowDown));
}

static rc too_late(struct s3_req *r)
{
	return err_default(&r->err, ERR_SlowDown);
}

static void prologue_run(struct work *w)
{
	struct s3_req *r = req_of(w);

	r->result = http_admit_begin(&r->admit) ? prologue(r) : too_late(r);
}

static void prologue_done(struct work *w)
{
	struct s3_req *r = req_of(w);

	carry_on(r, http_admit_done(&r->admit) ? r->result : err_default(&r->err, ERR_CANCELLED));
}

static rc parse_document(struct s3_req *r)
{
	struct str text = arena_dup(r->a, buf_str(&r->xml));

	buf_reset(&r->xml);
	if (!text.n && (r->op->flags & OP_XML_OPTIONAL))
		return RC_OK;
	return xml_parse(r->a, text, &r->doc, &r->err);
}

static rc run(struct s3_req *r)
{
	if (r->op->flags & OP_XML)
		TRY(parse_document(r));
	return r->op->handlers->run(r);
}

static void op_run(struct work *w)
{
	struct s3_req *r = req_of(w);

	r->result = http_admit_begin(&r->admit) ? run(r) : too_late(r);
}

static void op_done(struct work *w)
{
	struct s3_req *r = req_of(w);

	s3_done(r, http_admit_done(&r->admit) ? r->result : err_default(&r->err, ERR_CANCELLED));
}

static void to_worker(struct s3_req *r)
{
	if (r->op->flags & OP_LATE)
		s3_answer_late(r, NULL, NULL);
	submit(r, r->op->flags & OP_LONG ? r->g->o.data : r->g->o.meta, op_run, op_done);
}

static void carry_on(struct s3_req *r, rc result)
{
	const struct s3_handlers *h = r->op->handlers;

	if (!rc_ok(result))
		s3_done(r, result);
	else if (r->op->flags & OP_XML)
		s3_slurp(r, S3_MAX_XML, to_worker);
	else if (h->start)
		h->start(r);
	else if (h->run)
		to_worker(r);
	else
		s3_done(r, result);
}

static void enter(struct s3_req *r)
{
	rc result = prologue(r);

	if (rc_is(result, WOULD_BLOCK))
		submit(r, r->g->o.meta, prologue_run, prologue_done);
	else
		carry_on(r, result);
}

static void answered(struct s3_req *r, enum admit answer)
{
	if (answer == ADMIT_IN)
		enter(r);
	else if (answer != ADMIT_WAIT)
		s3_done(r, err_default(&r->err, answer == ADMIT_GONE ? ERR_CANCELLED : ERR_SlowDown));
}

static void told(struct http_admit *x, enum admit answer)
{
	answered((struct s3_req *)((char *)x - offsetof(struct s3_req, admit)), answer);
}

static void ask(struct s3_req *r)
{
	enum admission_class c = r->op->flags & (OP_DATA | OP_LONG) ? ADMIT_DATA : ADMIT_METADATA;

	answered(r, http_admit_enter(&r->admit, &r->g->o.admission, r->http, c,
				     r->op->flags & OP_AHEAD, told));
}

static void free_buf(void *b)
{
	buf_deinit(b);
}

void gateway_handle(struct gateway *g, struct http_req *http)
{
	struct arena *a = http_req_arena(http);
	struct s3_req *r = ARENA_NEW(a, struct s3_req);
	rc routed;

	r->g = g;
	r->http = http;
	r->a = a;
	r->wait = KV_NOWAIT;
	buf_init(&r->xml, 2 * S3_MAX_XML);
	arena_defer(a, free_buf, &r->xml);
	routed = s3_route(r);
	if (rc_ok(routed))
		ask(r);
	else
		s3_done(r, routed);
}

struct gateway *gateway_new(const struct gateway_options *o)
{
	struct gateway *g = calloc(1, sizeof(*g));

	if (!g)
		abort();
	g->o = *o;
	g->domains = calloc(o->domains_n + 1, sizeof(*g->domains));
	if (!g->domains)
		abort();
	for (size_t i = 0; i < o->domains_n; i++) {
		char *d = malloc(o->domains[i].n + 1);

		if (!d)
			abort();
		d[0] = '.';
		memcpy(d + 1, o->domains[i].p, o->domains[i].n);
		g->domains[i] = str_make(d, o->domains[i].n + 1);
	}
	return g;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->o.domains_n; i++)
		free((char *)g->domains[i].p);
	free(g->domains);
	free(g);
}
