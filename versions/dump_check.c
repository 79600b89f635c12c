#include "versions/dump_check.h"

#include <stdio.h>

#include "base/encode.h"
#include "versions/dump_walk.h"
#include "versions/object.h"

enum { READ_BYTES = 1 << 20 };

struct check {
	struct dump_walk w;
	const struct dump_check_options *o;
	char *buf; /* READ_BYTES; content */
};

/* Reading bodies. */

static unsigned known_digests(const struct entry *e)
{
	unsigned kinds = e->etag.n == 32 ? 1u << DIGEST_MD5 : 0;

	for (unsigned k = 0; k < DIGEST_KINDS; k++)
		if (e->checksum[k].n && !e->checksum_composite)
			kinds |= 1u << k;
	return kinds;
}

static struct str difference(struct vcall *c, const struct entry *e, struct digest_set *d, unsigned kinds)
{
	struct str raw;

	if (e->etag.n == 32 && hex_decode(c->a, e->etag, &raw) && !str_eq(raw, digest_set_value(d, DIGEST_MD5)))
		return STR("its MD5 isn't that of its ETag");
	for (unsigned k = 0; k < DIGEST_KINDS; k++)
		if ((kinds & 1u << k) && e->checksum[k].n && !e->checksum_composite &&
		    !str_eq(e->checksum[k], digest_set_value(d, k)))
			return arena_printf(c->a, "its %s isn't the one that is known of it", digest_title(k));
	return STR_NONE;
}

static rc read_through(struct check *k, struct vcall *c, const struct object_ptr *at, uint64_t size,
		       struct digest_set *d, uint64_t *ret_n)
{
	size_t n = 1;

	for (*ret_n = 0; *ret_n < size && n; *ret_n += n) {
		TRY(backend_read_now(k->w.f.store, at, *ret_n, k->buf, READ_BYTES, &n, c->err));
		digest_set_update(d, k->buf, n);
		TRY(fsck_tick(&k->w.f));
	}
	return RC_OK;
}

/* What is wrong with its bytes; STR_NONE: nothing. */
static rc look_at_content(struct check *k, struct vcall *c, const struct entry *e, struct str *ret)
{
	struct object_ptr at = object_pointer(k->w.f.r, e);
	unsigned kinds = known_digests(e);
	struct digest_set *d = digest_set_new(c->a, kinds);
	uint64_t n;

	/* One byte more shows what is too long. */
	TRY(read_through(k, c, &at, (uint64_t)e->size + 1, d, &n));
	*ret = n == (uint64_t)e->size ?
		       difference(c, e, d, kinds) :
		       arena_printf(c->a, "it has %s bytes than the %lld that it should have",
				    n < (uint64_t)e->size ? "fewer" : "more", (long long)e->size);
	return RC_OK;
}

static rc check_content(struct fsck *f, struct vcall *c, const struct entry *e, struct str named_by, struct str path)
{
	struct arena *a;
	struct vcall call;
	struct str thing, by, story = STR_NONE;
	rc got;

	if (e->address_type != ADDRESS_RELATIVE || id_set_add(f->bodies, e->address))
		return RC_OK;
	f->n->bodies++;
	a = arena_new();
	call = fsck_call(f, a);
	thing = arena_printf(a, "body " STR_FMT, STR_ARG(str_head(e->address, 256)));
	by = arena_printf(a, STR_FMT ", path " STR_FMT, STR_ARG(named_by), STR_ARG(path));
	got = look_at_content((struct check *)f->ud, &call, e, &story);
	if (!rc_ok(got))
		got = fsck_judge(f, got, thing, by);
	else if (story.p)
		fsck_found(f, FSCK_DAMAGED, thing, by, arena_cstr(a, story));
	arena_free(a);
	return got;
}

static const struct fsck_hooks content_hooks = {.body = check_content};

/* What the listing shows needn't be asked for one by one. */
static rc list(struct check *k, struct vcall *c)
{
	struct fsck *f = &k->w.f;
	struct str prefix = k->o->heads ? arena_printf(c->a, "%s/", c->v->block_prefix) : STR("");
	bool all;

	if (!k->o->heads && (!k->o->bodies || k->o->content))
		return RC_OK;
	return dump_list(c, f->store, f->r->storage_namespace, prefix, k->o->heads, f->there, k->o->progress,
			 &all);
}

static rc run(struct check *k, struct vcall *c)
{
	TRY(repo_backend(c, k->w.f.r, &k->w.f.store));
	TRY(list(k, c));
	return dump_walk(&k->w, c);
}

rc dump_check(struct vcall *c, const struct repo *r, const struct refs_dump *d, const struct dump_check_options *o,
	      struct fsck_counts *ret)
{
	const struct fsck_options fo = {
		.bodies = o->bodies, .found = o->found, .ud = o->ud, .progress = o->progress};
	struct check k = {
		.w = {.f = {.r = r, .o = &fo, .n = ret, .bodies_once = true, .there = id_set_new(FSCK_IDS_MAX)},
		      .d = d,
		      .heads = o->heads,
		      .counts = o->counts},
		.o = o};
	rc result;

	*ret = (struct fsck_counts){0};
	if (o->content) {
		k.w.f.hooks = &content_hooks;
		k.buf = arena_alloc(c->a, READ_BYTES);
	}
	result = run(&k, c);
	id_set_free(k.w.f.there);
	return result;
}

/* What is lacking. */

void dump_lacking_add(void *lacking, const struct fsck_finding *f)
{
	struct dump_lacking *l = lacking;
	size_t n = strlen(l->text), room = sizeof(l->text) - n;
	int put = snprintf(l->text + n, room, "%s" STR_FMT " is %s", n ? ", " : "", STR_ARG(str_head(f->thing, 100)),
			   fsck_kind_name(f->kind));

	l->n++;
	if (put < 0 || (size_t)put >= room)
		l->text[n] = 0;
	else
		l->named++;
}

rc dump_lacking_told(const struct dump_lacking *l, struct err *reterr, const char *what, struct str space)
{
	char more[64] = "";

	if (!l->n)
		return RC_OK;
	if (l->n > l->named)
		snprintf(more, sizeof(more), ", and %lld more", (long long)(l->n - l->named));
	return err_set(reterr, ERR_DumpNotWhole, "%s: in " STR_FMT " %s%s", what, STR_ARG(str_head(space, 80)), l->text,
		       more);
}
