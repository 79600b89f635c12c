#include "tests/kv/cut.h"

#include <string.h>

#include "base/clock.h"

enum { MOST_BYTES = 4000, SILENCES = 20, PATIENCE_MS = 60000 };

struct cut cut;

void cut_setup(const struct cut_driver *d, int server_port, int64_t call_ms)
{
	cut.driver = d;
	cut.arena = arena_new();
	cut.cutter = cutter_new(server_port);
	cut.hasty = call_ms > 0;
	cut.direct = d->open(0, 0);
	cut.kv = d->open(cutter_port(cut.cutter), call_ms);
}

void cut_teardown(void)
{
	kv_free(cut.kv);
	kv_free(cut.direct);
	cutter_free(cut.cutter);
	arena_free(cut.arena);
}

const char *cut_value(const char *key)
{
	struct str v;
	rc r = kv_get(cut.direct, KV_BLOCK, CUT_P, str_c(key), cut.arena, &v, NULL);

	if (rc_is(r, NOT_FOUND))
		return NULL;
	assert_true(rc_ok(r));
	return arena_cstr(cut.arena, v);
}

void cut_prepare(const char *key, const char *value)
{
	assert_true(rc_ok(value ? kv_set(cut.direct, CUT_P, str_c(key), str_c(value), NULL)
				: kv_delete(cut.direct, CUT_P, str_c(key), NULL)));
}

bool cut_is(const char *got, const char *want)
{
	return got && want ? strcmp(got, want) == 0 : got == want;
}

bool cut_reads(const struct cut_call *c)
{
	return cut_is(c->before, c->after);
}

void cut_warm_up(void)
{
	int64_t until = mono_ms() + PATIENCE_MS;
	struct str v;
	rc r;

	do
		r = kv_get(cut.kv, KV_BLOCK, CUT_P, STR("none"), cut.arena, &v, NULL);
	while (cut.hasty && rc_is(r, ServiceUnavailable) && mono_ms() < until);
	assert_rc(r, NOT_FOUND);
}

/* The calls. */

rc cut_set(struct err *e)
{
	return kv_set(cut.kv, CUT_P, CUT_K, STR("new"), e);
}

rc cut_create(struct err *e)
{
	return kv_set_if(cut.kv, CUT_P, CUT_K, STR("new"), KV_IF_ABSENT, STR_NONE, e);
}

rc cut_replace(struct err *e)
{
	return kv_set_if(cut.kv, CUT_P, CUT_K, STR("new"), KV_IF_PRESENT, STR_NONE, e);
}

rc cut_swap(struct err *e)
{
	return kv_set_if(cut.kv, CUT_P, CUT_K, STR("new"), KV_IF_VALUE, STR("old"), e);
}

rc cut_delete(struct err *e)
{
	return kv_delete(cut.kv, CUT_P, CUT_K, e);
}

rc cut_get(struct err *e)
{
	struct str v;
	rc r = kv_get(cut.kv, KV_BLOCK, CUT_P, CUT_K, cut.arena, &v, e);

	if (rc_ok(r))
		assert_true(str_eq(v, STR("old")));
	return r;
}

rc cut_get_nothing(struct err *e)
{
	struct str v;
	rc r = kv_get(cut.kv, KV_BLOCK, CUT_P, STR("none"), cut.arena, &v, e);

	return rc_is(r, NOT_FOUND) ? RC_OK : rc_ok(r) ? RC(CORRUPT) : r;
}

rc cut_scan(struct err *e)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry entry;
	bool end;

	TRY(kv_scan(cut.kv, CUT_P, CUT_K, 0, &it, e));
	TRY(kv_iter_next(it, &entry, &end, e));
	assert_true(!end && str_eq(entry.key, CUT_K) && str_eq(entry.value, STR("old")));
	return RC_OK;
}

rc cut_moment(struct err *e)
{
	const struct str prefixes[KV_MOMENT_PREFIXES] = {CUT_K, STR("none")};
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry entry;
	bool end;

	TRY(kv_scan_moment(cut.kv, CUT_P, prefixes, &it, e));
	TRY(kv_iter_next(it, &entry, &end, e));
	assert_true(!end && str_eq(entry.key, CUT_K) && str_eq(entry.value, STR("old")));
	return RC_OK;
}

/* The cuts. */

static void judge(const struct cut_call *c, rc r, const struct err *e, struct cut_outcome *o)
{
	const char *now = cut_value("k");
	bool changed = cut_is(now, c->after);
	int bytes = (int)o->bytes;

	if (rc_ok(r)) {
		if (!changed)
			fail_msg("%s, cut after %d bytes: OK, and not there", c->name, bytes);
		o->done++;
		return;
	}
	if (cut_reads(c) || !rc_is(r, UNKNOWN_OUTCOME))
		fail_msg("%s, cut after %d bytes: %s: %s", c->name, bytes, err_name(r.code),
			 e->msg);
	assert_int_equal(e->code, ERR_UNKNOWN_OUTCOME);
	assert_null(strstr(e->msg, "nobody-may-see-me"));
	assert_true(changed || cut_is(now, c->before));
	o->unknown_new += changed;
	o->unknown_old += !changed;
}

void cut_sweep(const struct cut_call *c, enum cutter_way way, struct cut_outcome *ret)
{
	const struct cut_driver *d = cut.driver;
	struct cut_outcome o = {0};

	for (; o.bytes < MOST_BYTES; o.bytes += o.bytes < d->head ? 1 : d->step) {
		struct arena_mark mark = arena_mark(cut.arena);
		struct err e = {0};
		rc r;

		cut_prepare("k", c->before);
		cut_warm_up();
		cutter_arm(cut.cutter, way, o.bytes, false);
		r = c->make(&e);
		if (!cutter_disarm(cut.cutter)) {
			assert_true(rc_ok(r));
			break;
		}
		if (d->settle)
			d->settle();
		judge(c, r, &e, &o);
		arena_rewind(cut.arena, mark);
	}
	print_message(
	    "%s, %s, up to %d bytes: OK %d, unknown and there %d, unknown and not there %d\n",
	    c->name, way == CUTTER_TO_SERVER ? "to the server" : "to the client", (int)o.bytes,
	    o.done, o.unknown_new, o.unknown_old);
	assert_true(o.bytes < MOST_BYTES);
	*ret = o;
}

void cut_idle(const struct cut_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t before;
		struct err e = {0};
		rc r;

		cut_prepare("k", calls[i].before);
		cut_warm_up();
		before = cutter_connections(cut.cutter);
		cutter_drop_all(cut.cutter);
		/* The close has to arrive; until then it is a cut in the middle. */
		sleep_us(50000);
		r = calls[i].make(&e);
		assert_true(rc_ok(r) || rc_is(r, UNKNOWN_OUTCOME));
		if (rc_ok(r))
			assert_true(cut_is(cut_value("k"), calls[i].after));
		cut_warm_up();
		assert_true(cutter_connections(cut.cutter) > before);
	}
}

/* Where the machine stands still, the call's time may be over before it sends anything, or before it has asked again:
 * then once more. */
void cut_silence(const struct cut_call *c, enum cutter_way way, enum err_code want)
{
	bool met = false;

	for (int i = 0; i < SILENCES && !met; i++) {
		struct err e = {0};
		bool fell_silent;
		rc r;

		cut_prepare("k", c->before);
		cut_warm_up();
		cutter_arm(cut.cutter, way, 20, true);
		r = c->make(&e);
		fell_silent = cutter_disarm(cut.cutter);
		met = fell_silent && r.code == want;
		if (!met)
			print_message("%s: %s%s, expected %s\n", c->name, err_name(r.code),
				      fell_silent ? "" : " before the silence", err_name(want));
	}
	assert_true(met);
}
