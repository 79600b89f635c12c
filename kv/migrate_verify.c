/* Verifying: both sides are read again, in step, partition by partition. */
#include "kv/migrate_steps.h"

/* One side. */
struct side {
	struct kv_stream *s;
	struct kv_tally *t;
	struct kv_totals totals;
	bool ended;
};

struct verify {
	struct migration *x;
	struct side from, to;
	uint64_t read, bytes;
};

/* Reads on until a partition has ended; its name is STR_NONE when there is none any more. */
static rc next_partition(struct verify *v, struct side *d, struct kv_tally_partition *ret,
			 struct err *reterr)
{
	struct kv_record r;

	*ret = (struct kv_tally_partition){.name = STR_NONE};
	while (!d->ended) {
		TRY(d->s->ops->next(d->s, &r, &d->ended, reterr));
		if (d->ended) {
			kv_tally_end(d->t, ret, &d->totals);
			break;
		}
		v->bytes += r.key.n + r.value.n;
		if (++v->read % MIGRATION_TICK == 0) {
			TRY(migration_beat(v->x, reterr));
			TRY(migration_tick(v->x, KV_STEP_VERIFY, v->read / 2,
					   v->x->out->source.records, v->bytes / 2, reterr));
		}
		if (kv_tally_add(d->t, &r, ret) && ret->name.p)
			break;
	}
	return RC_OK;
}

/* Names are bytes; these are for people. */
static struct str shown(struct str name)
{
	return str_is_utf8(name) ? str_head(name, 120) : STR("(not text)");
}

static rc differ(struct verify *v, const struct kv_tally_partition *from,
		 const struct kv_tally_partition *to, struct err *reterr)
{
	const struct kv_tally_partition none = {};
	int c = !from->name.p ? 1 : !to->name.p ? -1 : str_cmp(from->name, to->name);
	const struct kv_tally_partition *a = c <= 0 ? from : &none, *b = c >= 0 ? to : &none;
	struct str name = shown(c <= 0 ? from->name : to->name);

	return err_set(reterr, ERR_CORRUPT,
		       "partition " STR_FMT " has %llu records in the source and %llu in the target%s: the "
		       "source was written to, or the target is damaged; start over with --clear-target",
		       STR_ARG(name), (unsigned long long)a->records, (unsigned long long)b->records,
		       a->records == b->records ? ", and their digests differ" : "");
}

static bool same(const struct kv_tally_partition *a, const struct kv_tally_partition *b)
{
	return str_eq(a->name, b->name) && a->records == b->records &&
	       memcmp(a->digest, b->digest, KV_DIGEST_SIZE) == 0;
}

static rc compare(struct verify *v, struct err *reterr)
{
	struct kv_tally_partition from, to;

	TRY(v->from.s->ops->begin(v->from.s, STR_NONE, STR_NONE, reterr));
	TRY(v->to.s->ops->begin(v->to.s, STR_NONE, STR_NONE, reterr));
	do {
		TRY(next_partition(v, &v->from, &from, reterr));
		TRY(next_partition(v, &v->to, &to, reterr));
		if (!same(&from, &to))
			return differ(v, &from, &to, reterr);
	} while (from.name.p);
	if (memcmp(v->from.totals.digest, v->x->out->source.digest, KV_DIGEST_SIZE) != 0)
		return err_set(reterr, ERR_CORRUPT,
			       "the source was written to while it was copied: start over with --clear-target");
	return migration_tick(v->x, KV_STEP_VERIFY, v->x->out->source.records,
			      v->x->out->source.records, v->bytes / 2, reterr);
}

rc migration_verify(struct migration *x, struct err *reterr)
{
	struct verify v = {
		.x = x,
		.from = {.s = x->m->from, .t = kv_tally_new()},
		.to = {.s = kv_stream_new(x->m->to), .t = kv_tally_new()},
	};
	rc r = compare(&v, reterr);

	kv_stream_free(v.to.s);
	kv_tally_free(v.from.t);
	kv_tally_free(v.to.t);
	return r;
}
