#include "kv/marks.h"

#include "base/encode.h"
#include "base/json.h"

#define INCOMING STR("incoming")
#define FROZEN STR("frozen")

enum { FORMAT = 1, RECORD_MAX = 64 << 10 };

static const char *const phases[] = {"clear", "copy", "verify"};

/* Finishes what the writer made; in `a`. */
static struct str written(struct buf *b, struct arena *a)
{
	struct str s = arena_dup(a, buf_str(b));

	buf_deinit(b);
	return s;
}

static rc get(struct kv *kv, struct str key, struct arena *a, struct json **ret, struct str *ret_raw,
	      struct err *reterr)
{
	rc r = kv_get(kv, KV_BLOCK, KV_MARKS, key, a, ret_raw, reterr);

	*ret = NULL;
	if (rc_is(r, NOT_FOUND)) {
		*ret_raw = STR_NONE;
		return RC_OK;
	}
	TRY(r);
	r = json_parse(a, *ret_raw, ret, reterr);
	if (rc_ok(r) && json_int(json_member(*ret, "format")) == FORMAT)
		return RC_OK;
	return err_set(reterr, ERR_CORRUPT,
		       "the record " STR_FMT "/" STR_FMT " of this KV is damaged, or from a newer sluice: use "
		       "that one",
		       STR_ARG(KV_MARKS), STR_ARG(key));
}

static uint64_t member_u64(const struct json *j, const char *key)
{
	int64_t v = json_int(json_member(j, key));

	return v < 0 ? 0 : (uint64_t)v;
}

static rc decode_incoming(const struct json *j, struct arena *a, struct kv_incoming *in, struct err *reterr)
{
	struct str phase = json_str(json_member(j, "phase"));
	size_t i = 0;

	while (i < 3 && !str_eq(phase, str_c(phases[i])))
		i++;
	*in = (struct kv_incoming){
		.run = json_str(json_member(j, "run")),
		.source = json_str(json_member(j, "source")),
		.from = json_str(json_member(j, "from")),
		.phase = (enum kv_phase)i,
		.beats = member_u64(j, "beats"),
		.records = member_u64(j, "records"),
		.copied = member_u64(j, "copied"),
		.has_place = json_member(j, "key") != NULL,
	};
	if (i == 3 || !in->run.n || !in->source.n ||
	    (in->has_place &&
	     (!base64_decode(a, json_str(json_member(j, "partition")), &in->partition) ||
	      !base64_decode(a, json_str(json_member(j, "key")), &in->key))))
		return err_set(reterr, ERR_CORRUPT,
			       "the record of the migration into this KV is damaged: start it again with "
			       "--clear-target");
	return RC_OK;
}

rc kv_incoming_get(struct kv *kv, struct arena *a, struct kv_incoming *ret, struct str *ret_raw,
		   struct err *reterr)
{
	struct json *j;

	*ret = (struct kv_incoming){};
	TRY(get(kv, INCOMING, a, &j, ret_raw, reterr));
	return j ? decode_incoming(j, a, ret, reterr) : RC_OK;
}

static struct str encode_incoming(const struct kv_incoming *in, struct arena *a)
{
	struct buf b = BUF_INIT(RECORD_MAX);
	struct json_out w = {.to = &b};

	jw_object(&w, NULL);
	jw_int(&w, "format", FORMAT);
	jw_str(&w, "run", in->run);
	jw_str(&w, "source", in->source);
	jw_str(&w, "from", in->from);
	jw_str(&w, "phase", str_c(phases[in->phase]));
	jw_int(&w, "beats", (int64_t)in->beats);
	jw_int(&w, "records", (int64_t)in->records);
	jw_int(&w, "copied", (int64_t)in->copied);
	if (in->has_place) {
		jw_str(&w, "partition", base64_encode(a, in->partition));
		jw_str(&w, "key", base64_encode(a, in->key));
	}
	jw_end_object(&w);
	return written(&b, a);
}

rc kv_incoming_put(struct kv *kv, const struct kv_incoming *in, struct str was, struct arena *a,
		   struct str *ret_raw, struct err *reterr)
{
	struct str raw = encode_incoming(in, a);

	TRY(kv_set_if(kv, KV_MARKS, INCOMING, raw, was.p ? KV_IF_VALUE : KV_IF_ABSENT, was, reterr));
	*ret_raw = raw;
	return RC_OK;
}

rc kv_incoming_remove(struct kv *kv, struct err *reterr)
{
	return kv_delete(kv, KV_MARKS, INCOMING, reterr);
}

static rc check_incoming(struct kv *kv, struct arena *a, struct err *reterr)
{
	struct kv_incoming in;
	struct str raw;
	rc r = kv_incoming_get(kv, a, &in, &raw, reterr);

	if (rc_ok(r) && !raw.p)
		return RC_OK;
	if (!rc_ok(r) && !rc_is(r, CORRUPT))
		return r;
	return err_set(reterr, ERR_CONFIG,
		       "this database is being filled from " STR_FMT
		       " and isn't complete: run the same `sluice migrate` or `sluice kv load` again, it goes on "
		       "where it stopped (or begin anew with --clear-target)",
		       STR_ARG(in.from.n ? str_head(in.from, 200) : STR("another one")));
}

rc kv_check_incoming(struct kv *kv, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = check_incoming(kv, a, reterr);

	arena_free(a);
	return r;
}

rc kv_freeze_get(struct kv *kv, struct arena *a, struct kv_freeze *ret, struct err *reterr)
{
	struct json *j;
	struct str raw;

	TRY(get(kv, FROZEN, a, &j, &raw, reterr));
	*ret = (struct kv_freeze){json_str(json_member(j, "id")), json_str(json_member(j, "why"))};
	return RC_OK;
}

rc kv_freeze_put(struct kv *kv, const struct kv_freeze *f, struct arena *a, struct err *reterr)
{
	struct buf b = BUF_INIT(RECORD_MAX);
	struct json_out w = {.to = &b};

	jw_object(&w, NULL);
	jw_int(&w, "format", FORMAT);
	jw_str(&w, "id", f->id);
	jw_str(&w, "why", f->why);
	jw_end_object(&w);
	return kv_set_if(kv, KV_MARKS, FROZEN, written(&b, a), KV_IF_ABSENT, STR_NONE, reterr);
}

rc kv_freeze_remove(struct kv *kv, struct str id, struct err *reterr)
{
	struct arena *a = arena_new();
	struct kv_freeze f = {};
	rc r = id.p ? kv_freeze_get(kv, a, &f, reterr) : RC_OK;

	if (rc_ok(r) && (!id.p || str_eq(f.id, id)))
		r = kv_delete(kv, KV_MARKS, FROZEN, reterr);
	arena_free(a);
	return r;
}

struct str kv_writer_encode(const struct kv_writer *w, struct arena *a)
{
	struct buf b = BUF_INIT(RECORD_MAX);
	struct json_out out = {.to = &b};

	jw_object(&out, NULL);
	jw_int(&out, "format", FORMAT);
	jw_int(&out, "beats", (int64_t)w->beats);
	jw_str(&out, "frozen", w->frozen);
	jw_str(&out, "about", w->about);
	jw_end_object(&out);
	return written(&b, a);
}

static rc decode_writer(const struct kv_entry *e, struct arena *a, struct kv_writer *ret, struct err *reterr)
{
	struct json *j = NULL;

	/* One that can't be read is still a writer. */
	if (!rc_ok(json_parse(a, arena_dup(a, e->value), &j, NULL)))
		j = NULL;
	*ret = (struct kv_writer){
		.key = arena_dup(a, e->key),
		.beats = member_u64(j, "beats"),
		.frozen = json_str(json_member(j, "frozen")),
		.about = json_str(json_member(j, "about")),
	};
	if (!ret->about.p)
		ret->about = ret->key;
	return RC_OK;
}

rc kv_writers_list(struct kv *kv, struct arena *a, struct kv_writer **ret, size_t *ret_n,
		   struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_writer *list = arena_alloc(a, KV_WRITERS_MAX * sizeof(*list));
	struct kv_entry e;
	bool end;

	*ret = list;
	*ret_n = 0;
	TRY(kv_scan(kv, KV_MARKS, KV_WRITERS_PREFIX, 0, &it, reterr));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, KV_WRITERS_PREFIX))
			return RC_OK;
		if (*ret_n == KV_WRITERS_MAX)
			return err_set(reterr, ERR_UNSUPPORTED,
				       "the KV has more than %d records of writers", KV_WRITERS_MAX);
		TRY(decode_writer(&e, a, &list[(*ret_n)++], reterr));
	}
}
