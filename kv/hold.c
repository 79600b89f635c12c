#include "kv/hold.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/rand.h"
#include "kv/marks.h"

enum { POLL_MS = 200, PATIENCE = 4 };

struct watch {
	struct kv *kv;
	const struct kv_hold_options *o;
	struct kv_writer *first; /* as they were when the watch began */
	size_t first_n;
	int64_t begun_ms, watch_ms;
	bool told;
};

static void tell(struct watch *w, const char *line)
{
	if (!w->told && w->o->tell)
		w->o->tell(w->o->ud, line);
	w->told = true;
}

static const struct kv_writer *find(const struct watch *w, struct str key)
{
	for (size_t i = 0; i < w->first_n; i++)
		if (str_eq(w->first[i].key, key))
			return &w->first[i];
	return NULL;
}

static rc watch_begin(struct watch *w, struct kv *kv, const struct kv_hold_options *o, struct arena *a,
		      struct err *reterr)
{
	*w = (struct watch){.kv = kv, .o = o, .begun_ms = mono_ms()};
	w->watch_ms = o->watch_ms ? o->watch_ms : KV_WATCH_MS;
	return kv_writers_list(kv, a, &w->first, &w->first_n, reterr);
}

static rc writers_named(const struct kv_writer *list, const bool *chosen, size_t n, const char *story,
			struct err *reterr)
{
	CLEANUP(buf_deinit) struct buf names = BUF_INIT(240);
	size_t more = 0;

	for (size_t i = 0; i < n; i++)
		if (chosen[i] && (more || !buf_printf(&names, "%s" STR_FMT, names.n ? "; " : "",
						      STR_ARG(str_head(list[i].about, 100)))))
			more++;
	if (more)
		return err_set(reterr, ERR_SlowDown, "%s: " STR_FMT " and %zu more", story,
			       STR_ARG(buf_str(&names)), more);
	return err_set(reterr, ERR_SlowDown, "%s: " STR_FMT, story, STR_ARG(buf_str(&names)));
}

/* One look: is somebody alive (it moved, or it is new), and may somebody still be (too early to tell)? */
static rc look(struct watch *w, bool *ret_alive, bool *ret_maybe, struct err *reterr)
{
	struct arena *a = arena_new();
	bool *alive = arena_zalloc(a, KV_WRITERS_MAX);
	struct kv_writer *now;
	size_t n;
	rc r = kv_writers_list(w->kv, a, &now, &n, reterr);

	*ret_alive = false;
	*ret_maybe = rc_ok(r) && n > 0 && mono_ms() - w->begun_ms < w->watch_ms;
	for (size_t i = 0; rc_ok(r) && i < n; i++) {
		const struct kv_writer *was = find(w, now[i].key);

		alive[i] = !was || was->beats != now[i].beats;
		*ret_alive |= alive[i];
	}
	if (*ret_alive)
		IGNORE_RC(writers_named(now, alive, n,
					w->o->why.n ? "the database is in use (stop these servers, or make "
						      "them read-only with --freeze)"
						    : "the database is in use (stop these servers)",
					reterr));
	arena_free(a);
	return r;
}

static rc check_writers(struct watch *w, struct err *reterr)
{
	bool alive, maybe;

	for (;;) {
		TRY(look(w, &alive, &maybe, reterr));
		if (alive)
			return RC(SlowDown); /* look has worded it */
		if (!maybe)
			return RC_OK;
		tell(w, "looking whether servers use the database");
		usleep(POLL_MS * 1000);
	}
}

rc kv_check_writers(struct kv *kv, const struct kv_hold_options *o, struct err *reterr)
{
	struct arena *a = arena_new();
	struct watch w;
	rc r = RC_OK;

	if (!kv->ops->sole_owner)
		r = watch_begin(&w, kv, o, a, reterr);
	if (rc_ok(r) && !kv->ops->sole_owner)
		r = check_writers(&w, reterr);
	arena_free(a);
	return r;
}

/* How many haven't said that they keep to the freeze, and aren't dead either. */
static rc unfrozen(struct watch *w, struct str id, size_t *ret, struct err *reterr)
{
	struct arena *a = arena_new();
	bool *writes = arena_zalloc(a, KV_WRITERS_MAX);
	bool all_watched = mono_ms() - w->begun_ms >= w->watch_ms;
	struct kv_writer *now;
	size_t n;
	rc r = kv_writers_list(w->kv, a, &now, &n, reterr);

	*ret = 0;
	for (size_t i = 0; rc_ok(r) && i < n; i++) {
		const struct kv_writer *was = find(w, now[i].key);
		bool dead = all_watched && was && was->beats == now[i].beats;

		writes[i] = !str_eq(now[i].frozen, id) && !dead;
		*ret += writes[i];
	}
	if (*ret)
		IGNORE_RC(writers_named(now, writes, n,
					"these servers were asked to become read-only and haven't answered (stop "
					"them, then try again)",
					reterr));
	arena_free(a);
	return r;
}

static rc wait_for_all(struct watch *w, struct str id, struct err *reterr)
{
	size_t left;

	for (;;) {
		TRY(unfrozen(w, id, &left, reterr));
		if (!left)
			return RC_OK;
		if (mono_ms() - w->begun_ms > PATIENCE * w->watch_ms)
			return RC(SlowDown); /* unfrozen has worded it */
		tell(w, "waiting until the servers are read-only");
		usleep(POLL_MS * 1000);
	}
}

static rc hold(struct kv *kv, const struct kv_hold_options *o, struct arena *a, struct kv_hold *ret,
	       struct err *reterr)
{
	struct kv_freeze f;
	struct watch w;
	rc r;

	TRY(kv_freeze_get(kv, a, &f, reterr));
	ret->was_frozen = f.id.p != NULL;
	if (!ret->was_frozen) {
		if (!o->freeze)
			TRY(kv_check_writers(kv, o, reterr));
		f = (struct kv_freeze){uuid4(a), o->why};
		r = kv_freeze_put(kv, &f, a, reterr);
		if (rc_is(r, PREDICATE))
			return err_set(reterr, ERR_SlowDown,
				       "somebody else freezes this database just now: try again");
		TRY(r);
	}
	ret->id = f.id;
	TRY(watch_begin(&w, kv, o, a, reterr));
	return wait_for_all(&w, f.id, reterr);
}

rc kv_hold(struct kv *kv, const struct kv_hold_options *o, struct arena *a, struct kv_hold *ret,
	   struct err *reterr)
{
	*ret = (struct kv_hold){};
	return kv->ops->sole_owner ? RC_OK : hold(kv, o, a, ret, reterr);
}

rc kv_hold_check(struct kv *kv, const struct kv_hold *h, struct err *reterr)
{
	struct arena *a = arena_new();
	struct kv_freeze f = {};
	rc r = h->id.p ? kv_freeze_get(kv, a, &f, reterr) : RC_OK;

	if (rc_ok(r) && !str_eq(f.id, h->id))
		r = err_set(reterr, ERR_CONFIG,
			    "the database was unfrozen while it was read, so what was copied may be stale: "
			    "start again");
	arena_free(a);
	return r;
}

rc kv_hold_release(struct kv *kv, const struct kv_hold *h, struct err *reterr)
{
	if (!h->id.p || h->was_frozen)
		return RC_OK;
	return kv_freeze_remove(kv, h->id, reterr);
}
