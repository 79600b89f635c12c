/* The way of a request through its steps (rest.h shows it). */
#include <stdlib.h>

#include "api/rest.h"

/* Demanded, as lakeFS does: a page of another site can't send that type without asking first. */
static bool is_json(struct api_req *r)
{
	struct str rest, type = str_trim(str_cut(api_header(r, "content-type"), ';', &rest));

	return str_eq_nocase(type, STR("application/json"));
}

static rc read_document(struct api_req *r)
{
	struct str text = buf_str(&r->body);
	rc parsed;

	if (!text.n && (r->route->flags & R_OPTIONAL))
		return RC_OK;
	if (!text.n)
		return err_set(&r->err, ERR_INVALID,
			       "request body has an error: value is required but missing");
	if (!is_json(r))
		return err_set(&r->err, ERR_INVALID,
			       "request body has an error: header Content-Type has unexpected value \"" STR_FMT "\"",
			       STR_ARG(str_head(api_header(r, "content-type"), 100)));
	parsed = json_parse(r->a, text, &r->doc, &r->err);
	if (!rc_ok(parsed))
		return err_wrap(parsed, &r->err, "request body has an error: failed to decode request body");
	return RC_OK;
}

rc api_check_path(struct api_req *r)
{
	if (r->path.n > API_PATH_MAX)
		return err_set(&r->err, ERR_INVALID,
			       "argument path: invalid value: validation error: %zu is above maximum length (%d)",
			       r->path.n, API_PATH_MAX);
	return valid_path(r->path, &r->err);
}

static rc parse(struct api_req *r)
{
	const struct api_route *o = r->route;

	if (o->flags & R_JSON)
		TRY(read_document(r));
	if (o->flags & R_PATH) {
		TRY(api_query_required(r, "path", &r->path));
		TRY(api_check_path(r));
	}
	if (o->flags & R_FORCE)
		TRY(api_query_bool(r, "force", false, &r->force));
	return o->handlers->parse ? o->handlers->parse(r) : RC_OK;
}

/* lakeFS's words for a name that can't be one. */
static rc check_names(struct api_req *r)
{
	if (r->repository.p && !rc_ok(valid_repo_name(r->repository, NULL)))
		return err_set(&r->err, ERR_INVALID,
			       "argument repository: repository id: invalid value: validation error");
	if (r->branch.p && !rc_ok(valid_branch_name(r->branch, NULL)))
		return err_set(&r->err, ERR_INVALID,
			       "argument branch: branch id: invalid value: validation error");
	return RC_OK;
}

/* Found before they are asked whether they may, for conditions on its store; told only to who may. */
static rc find_repo_and_authorize(struct api_req *r)
{
	bool wanted = r->repository.p && !(r->route->flags & R_NEW_REPO);
	struct vcall c = api_vcall(r);
	rc found = RC_OK;

	if (wanted) {
		found = repo_get(&c, r->repository, &r->repo);
		r->have_repo = rc_ok(found);
		if (!r->have_repo && !rc_is(found, NOT_FOUND))
			return found;
	}
	TRY(api_authorize(r));
	if (!wanted)
		return RC_OK;
	TRY(check_names(r));
	if (!rc_ok(found) && !(r->route->flags & R_FORGIVING))
		return err_set(&r->err, ERR_NOT_FOUND, "repository not found");
	if (r->force)
		r->repo.read_only = false;
	return RC_OK;
}

static rc prologue(struct api_req *r)
{
	if (!r->authenticated)
		TRY(api_authenticate(r));
	if (!r->parsed)
		TRY(parse(r));
	r->parsed = true;
	if (!r->authorized)
		TRY(find_repo_and_authorize(r));
	r->authorized = true;
	return r->route->handlers->plan ? r->route->handlers->plan(r) : RC_OK;
}

struct api_req *api_req_of(struct work *w)
{
	return (struct api_req *)((char *)w - offsetof(struct api_req, work));
}

void api_submit(struct api_req *r, struct work_pool *pool, void (*run)(struct work *),
		void (*done)(struct work *))
{
	r->wait = KV_BLOCK;
	r->work = (struct work){
		.run = run, .done = done, .lane = r->lane, .home = loop_mailbox(http_req_loop(r->http))};
	if (!http_admit_submit(&r->admit, pool, &r->work))
		api_done(r, err_default(&r->err, ERR_SlowDown));
}

static rc too_late(struct api_req *r)
{
	return err_default(&r->err, ERR_SlowDown);
}

/* Of what a worker was asked for. */
static rc result_of(struct api_req *r)
{
	return http_admit_done(&r->admit) ? r->result : err_default(&r->err, ERR_CANCELLED);
}

static void op_run(struct work *w)
{
	struct api_req *r = api_req_of(w);

	r->result = http_admit_begin(&r->admit) ? r->later(r) : too_late(r);
}

static void op_done(struct work *w)
{
	struct api_req *r = api_req_of(w);

	api_done(r, result_of(r));
}

/* Two branches of one lane by chance only wait for each other. */
static uint64_t lane_of(const struct api_req *r)
{
	const struct str pieces[] = {r->repository, STR("/"), r->branch};
	uint64_t h = 0xcbf29ce484222325;

	for (size_t n = 0; n < sizeof(pieces) / sizeof(pieces[0]); n++)
		for (size_t i = 0; i < pieces[n].n; i++)
			h = (h ^ (unsigned char)pieces[n].p[i]) * 0x100000001b3;
	return h | 1;
}

static void submit_run(struct api_req *r)
{
	bool heavy = r->route->flags & R_HEAVY;

	if (r->route->flags & R_TURN) {
		r->lane = lane_of(r);
		http_admit_in_line(&r->admit);
	}
	r->later = r->route->handlers->run;
	api_submit(r, heavy ? r->x->o.heavy : r->x->o.meta, op_run, op_done);
}

void api_on_worker(struct api_req *r, rc (*later)(struct api_req *r))
{
	r->later = later;
	api_submit(r, r->x->o.meta, op_run, op_done);
}

static void carry_on(struct api_req *r, rc result)
{
	const struct api_handlers *h = r->route->handlers;

	if (!rc_ok(result))
		api_done(r, result);
	else if (h->start)
		h->start(r);
	else if (h->run)
		submit_run(r);
	else
		api_done(r, result);
}

static void prologue_run(struct work *w)
{
	struct api_req *r = api_req_of(w);

	r->result = http_admit_begin(&r->admit) ? prologue(r) : too_late(r);
}

static void prologue_done(struct work *w)
{
	struct api_req *r = api_req_of(w);

	carry_on(r, result_of(r));
}

/* Larger documents are not for a loop to parse. */
enum { SMALL_BODY = 16384 };

static void enter(struct api_req *r)
{
	rc result = r->body.n > SMALL_BODY ? RC(WOULD_BLOCK) : prologue(r);

	if (rc_is(result, WOULD_BLOCK))
		api_submit(r, r->x->o.meta, prologue_run, prologue_done);
	else
		carry_on(r, result);
}

/* Nobody's body is read before we know whose it is. */
static void authenticated(struct api_req *r, rc result)
{
	if (rc_ok(result))
		api_slurp(r, enter);
	else
		api_done(r, result);
}

static void authenticate_run(struct work *w)
{
	struct api_req *r = api_req_of(w);

	r->result = http_admit_begin(&r->admit) ? api_authenticate(r) : too_late(r);
}

static void authenticate_done(struct work *w)
{
	struct api_req *r = api_req_of(w);

	r->wait = KV_NOWAIT; /* on the loop again */
	authenticated(r, result_of(r));
}

static void enter_with_body(struct api_req *r)
{
	rc result = api_authenticate(r);

	if (rc_is(result, WOULD_BLOCK))
		api_submit(r, r->x->o.meta, authenticate_run, authenticate_done);
	else
		authenticated(r, result);
}

static void answered(struct api_req *r, enum admit answer)
{
	if (answer == ADMIT_WAIT)
		return;
	if (answer != ADMIT_IN)
		api_done(r, err_default(&r->err, answer == ADMIT_GONE ? ERR_CANCELLED : ERR_SlowDown));
	else if (r->route->flags & R_JSON)
		enter_with_body(r);
	else
		enter(r);
}

static void told(struct http_admit *x, enum admit answer)
{
	answered((struct api_req *)((char *)x - offsetof(struct api_req, admit)), answer);
}

static void ask(struct api_req *r)
{
	static const struct http_admission open_to_all;
	unsigned flags = r->route->flags;
	enum admission_class c = flags & R_HEAVY  ? ADMIT_LONG
				 : flags & R_DATA ? ADMIT_DATA
						  : ADMIT_METADATA;

	answered(r, http_admit_enter(&r->admit,
				     flags & R_ALWAYS ? &open_to_all : &r->x->o.admission, r->http, c,
				     flags & R_AHEAD, told));
}

static void free_buf(void *b)
{
	buf_deinit(b);
}

struct api_req *api_req_new(struct api *x, struct http_req *http)
{
	struct arena *a = http_req_arena(http);
	struct api_req *r = ARENA_NEW(a, struct api_req);

	r->x = x;
	r->http = http;
	r->a = a;
	r->wait = KV_NOWAIT;
	buf_init(&r->json, API_ANSWER_MAX);
	buf_init(&r->body, API_BODY_MAX + 16384);
	arena_defer(a, free_buf, &r->json);
	arena_defer(a, free_buf, &r->body);
	r->w.to = &r->json;
	return r;
}

void api_handle(struct api *x, struct http_req *http)
{
	struct api_req *r = api_req_new(x, http);
	rc routed;

	if (api_page_of(r))
		return;
	routed = api_route(r);
	if (rc_ok(routed))
		ask(r);
	else
		api_done(r, routed);
}

struct vcall api_vcall(struct api_req *r)
{
	return (struct vcall){
		.v = r->x->o.versions, .a = r->a, .wait = r->wait, .err = &r->err};
}

struct api *api_new(const struct api_options *o)
{
	struct api *x = calloc(1, sizeof(*x));

	if (!x)
		abort();
	x->o = *o;
	return x;
}

void api_free(struct api *x)
{
	free(x);
}
