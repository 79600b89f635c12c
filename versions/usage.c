#include "versions/usage.h"

#include <time.h>

#include "versions/internal.h"

#define PARTITION STR("usage")
enum { TRIES = 20 };

void usage_count(struct versions *v)
{
	atomic_fetch_add_explicit(&v->usage, 1, memory_order_relaxed);
}

/* "usage/monthly/<installation>/". */
static rc prefix(struct vcall *c, struct str *ret_id, struct str *ret)
{
	TRY(kv_get(c->v->kv, c->wait, STR("auth"), STR("installation_id"), c->a, ret_id, c->err));
	*ret = arena_join(c->a, (struct str[]){STR("usage/monthly/"), *ret_id, STR("/")}, 3);
	return RC_OK;
}

static struct str month_of(struct arena *a, int64_t now_s)
{
	time_t t = (time_t)now_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	return arena_printf(a, "%04d%02d", tm.tm_year + 1900, tm.tm_mon + 1);
}

static rc add(struct vcall *c, struct str key, uint64_t n)
{
	rc done = RC(PREDICATE);

	for (unsigned i = 0; i < TRIES && rc_is(done, PREDICATE); i++) {
		struct str was;
		rc found = kv_get(c->v->kv, c->wait, PARTITION, key, c->a, &was, c->err);
		uint64_t before = 0;

		if (!rc_ok(found) && !rc_is(found, NOT_FOUND))
			return found;
		if (rc_ok(found) && !str_to_u64(was, &before))
			return err_set(c->err, ERR_CORRUPT, "the usage record " STR_FMT " is no number", STR_ARG(key));
		done = kv_set_if(c->v->kv, PARTITION, key, arena_printf(c->a, "%llu", (unsigned long long)(before + n)),
				 rc_ok(found) ? KV_IF_VALUE : KV_IF_ABSENT, rc_ok(found) ? was : STR_NONE, c->err);
	}
	return done;
}

rc usage_flush(struct vcall *c, int64_t now_s)
{
	uint64_t n = atomic_exchange(&c->v->usage, 0);
	struct str id, key;
	rc done;

	if (!n)
		return RC_OK;
	done = prefix(c, &id, &key);
	if (rc_ok(done))
		done = add(c, key_join(c->a, key, month_of(c->a, now_s)), n);
	/* Of what may have been written, too little is told rather than too much. */
	if (!rc_ok(done) && !rc_is(done, UNKNOWN_OUTCOME))
		atomic_fetch_add(&c->v->usage, n);
	return rc_is(done, NOT_FOUND) ? RC_OK : done;
}

/* False: no month's key. */
static bool read_month(struct str name, struct str value, struct usage_month *ret)
{
	uint64_t when;

	if (name.n != 6 || !str_to_u64(name, &when) || !str_to_u64(value, &ret->count))
		return false;
	ret->year = (int)(when / 100);
	ret->month = (int)(when % 100);
	return ret->month >= 1 && ret->month <= 12;
}

rc usage_list(struct vcall *c, struct str *ret_id, struct usage_month **ret, size_t *ret_n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct usage_month *list = arena_alloc(c->a, USAGE_MONTHS_MAX * sizeof(*list));
	struct kv_entry e;
	struct str start;
	size_t n = 0;
	bool end;

	TRY(prefix(c, ret_id, &start));
	TRY(kv_scan(c->v->kv, PARTITION, start, USAGE_MONTHS_MAX, &it, c->err));
	while (n < USAGE_MONTHS_MAX) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, start))
			break;
		n += read_month(str_skip(e.key, start.n), e.value, &list[n]);
	}
	*ret = list;
	*ret_n = n;
	return RC_OK;
}
