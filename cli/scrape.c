#include "cli/scrape.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "versions/stores.h"

/* Counting reads every repository's record. */
enum { COUNT_MS = 15 * 1000, PAGE_MAX = 16 << 20 };

struct scrapes {
	struct versions *v;
	struct work_pool *meta;
	_Atomic int64_t counted_ms; /* when a count began; 0: never */
};

struct one {
	struct work work;
	struct scrapes *s;
	struct http_req *req;
};

static void free_buf(void *b)
{
	buf_deinit(b);
}

static void answer(struct http_req *req)
{
	static const struct http_header h[] = {
		{{"content-type", 12}, {"text/plain; version=0.0.4", 25}}};
	struct buf *out = ARENA_NEW(http_req_arena(req), struct buf);

	buf_init(out, PAGE_MAX);
	arena_defer(http_req_arena(req), free_buf, out);
	metrics_write(out);
	http_respond(req, 200, h, 1, buf_str(out));
}

/* One that can't be counted now keeps its old figures. */
static void count(struct work *w)
{
	struct one *o = (struct one *)w;
	struct arena *a = arena_new();
	struct err err = {0};
	struct vcall c = {.v = o->s->v, .a = a, .wait = KV_BLOCK, .err = &err};
	struct store_info *list;
	size_t n;

	if (!rc_ok(stores_survey(&c, &list, &n)))
		log_event(LOG_WARN, "stores", "the repositories can't be counted", F_CSTR("error", err.msg));
	arena_free(a);
}

static void counted(struct work *w)
{
	struct one *o = (struct one *)w;

	answer(o->req);
	http_req_unref(o->req);
}

/* Whether this request counts; of several at once one does. */
static bool is_due(struct scrapes *s)
{
	int64_t last = atomic_load(&s->counted_ms), now = mono_ms();

	return (!last || now - last > COUNT_MS) && atomic_compare_exchange_strong(&s->counted_ms, &last, now);
}

void scrape(struct scrapes *s, struct http_req *req)
{
	struct one *o = ARENA_NEW(http_req_arena(req), struct one);

	*o = (struct one){
		.work = {.run = count, .done = counted, .home = loop_mailbox(http_req_loop(req))},
		.s = s,
		.req = req,
	};
	if (!is_due(s)) {
		answer(req);
		return;
	}
	http_req_ref(req);
	if (work_submit(s->meta, &o->work))
		return;
	answer(req);
	http_req_unref(req);
}

struct scrapes *scrapes_new(struct versions *v, struct work_pool *meta)
{
	struct scrapes *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->v = v;
	s->meta = meta;
	return s;
}

void scrapes_free(struct scrapes *s)
{
	free(s);
}
