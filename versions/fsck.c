#include "versions/fsck.h"

#include "versions/fsck_priv.h"

const char *fsck_kind_name(enum fsck_kind k)
{
	static const char *const names[] = {
		[FSCK_MISSING] = "missing", [FSCK_DAMAGED] = "damaged", [FSCK_UNREACHABLE] = "unreachable"};

	return k >= FSCK_MISSING && k <= FSCK_UNREACHABLE ? names[k] : "unknown";
}

void fsck_found(struct fsck *f, enum fsck_kind kind, struct str thing, struct str named_by,
		const char *story)
{
	const struct fsck_finding finding = {kind, thing, named_by, str_c(story)};

	f->n->missing += kind == FSCK_MISSING;
	f->n->damaged += kind == FSCK_DAMAGED;
	f->n->unreachable += kind == FSCK_UNREACHABLE;
	if (f->o->found)
		f->o->found(f->o->ud, &finding);
}

rc fsck_judge(struct fsck *f, rc failed, struct str thing, struct str named_by)
{
	if (rc_is(failed, NoData) || rc_is(failed, NOT_FOUND)) {
		fsck_found(f, FSCK_MISSING, thing, named_by, "it isn't there");
		return RC_OK;
	}
	if (!rc_is(failed, CORRUPT) && !rc_is(failed, UNSUPPORTED))
		return failed;
	fsck_found(f, FSCK_DAMAGED, thing, named_by, f->c->err->msg);
	return RC_OK;
}

rc fsck_tick(struct fsck *f)
{
	struct progress *p = f->o->progress;

	return p ? p->tick(p, f->n->commits + f->n->tables + f->n->bodies, f->c->err) : RC_OK;
}

struct vcall fsck_call(struct fsck *f, struct arena *a)
{
	return (struct vcall){.v = f->c->v, .a = a, .wait = KV_BLOCK, .err = f->c->err};
}

static rc check(struct fsck *f)
{
	TRY(repo_backend(f->c, f->r, &f->store));
	TRY(fsck_refs(f));
	return fsck_garbage(f);
}

rc fsck_run(struct vcall *c, const struct repo *r, const struct fsck_options *o, struct fsck_counts *ret)
{
	struct err err = {0};
	struct vcall call = *c;
	struct fsck f = {
		.c = &call,
		.r = r,
		.o = o,
		.n = ret,
		.tables = id_set_new(FSCK_IDS_MAX),
		.tokens = id_set_new(FSCK_IDS_MAX),
		.bodies = id_set_new(FSCK_IDS_MAX),
		.began = wall_now(),
	};
	rc result;

	*ret = (struct fsck_counts){0};
	call.err = &err;
	result = check(&f);
	id_set_free(f.tables);
	id_set_free(f.tokens);
	id_set_free(f.bodies);
	if (!rc_ok(result) && c->err)
		*c->err = err;
	return result;
}
