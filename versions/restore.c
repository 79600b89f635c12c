/* Restoring: what the dump names must be there (dump_check.h); then commits, tags, branches, and the default branch
 * last. Until that one is there the repository is bare, and the restore may be repeated: commits are their content,
 * tags and branches must be the same. A branch that is there is never written over: somebody may have restored it meanwhile,
 * and written to it. */
#include "versions/dump.h"

#include "versions/branch.h"
#include "versions/commit_record.h"
#include "versions/dump_check.h"
#include "versions/internal.h"
#include "versions/metarange.h"
#include "versions/pb.h"
#include "versions/tag.h"

enum { TICK = 1000 };


struct restore {
	struct vcall *c;
	const struct repo *r;
	struct progress *progress;
	int64_t done;
	/* a batch of writes, their text in an arena of its own */
	struct arena *a;
	struct kv_write writes[KV_WRITES_MAX];
	struct err errs[KV_WRITES_MAX];
	size_t n;
	struct arena *own;         /* of what follows */
	struct str default_commit; /* of the default branch, which is written last */
};

static rc flush(struct restore *t)
{
	rc result = RC_OK;

	kv_write_many(t->c->v->kv, t->writes, t->n);
	for (size_t i = 0; i < t->n && rc_ok(result); i++) {
		result = t->writes[i].result;
		if (!rc_ok(result) && t->c->err)
			*t->c->err = t->errs[i];
	}
	t->n = 0;
	arena_free(t->a);
	t->a = arena_new();
	return result;
}

static rc add_write(struct restore *t, struct str key, struct str value)
{
	if (t->n == KV_WRITES_MAX)
		TRY(flush(t));
	t->errs[t->n] = (struct err){0};
	t->writes[t->n] = (struct kv_write){
		.partition = t->r->partition,
		.key = arena_dup(t->a, key),
		.value = arena_dup(t->a, value),
		.err = &t->errs[t->n],
	};
	t->n++;
	return RC_OK;
}

static rc restore_commit(struct restore *t, const struct record *record)
{
	struct commit commit;

	TRY(commit_decode(record->data, t->c->a, &commit, t->c->err));
	if (commit.generation == 0)
		return err_set(t->c->err, ERR_INVALID,
			       "commit " STR_FMT " has no generation: the dump is of a version that this one can't read",
			       STR_ARG(record->key));
	if (!str_eq(commit.id, record->key) || !str_eq(commit_id(&commit, t->c->a), commit.id))
		return err_set(t->c->err, ERR_CORRUPT, "commit " STR_FMT ": its id isn't that of its content",
			       STR_ARG(record->key));
	return add_write(t, arena_join(t->c->a, (struct str[]){STR("commits/"), commit.id}, 2), record->data);
}

static rc restore_tag(struct restore *t, const struct record *record)
{
	Pb__TagData *m = pb_unpack(&pb__tag_data__descriptor, record->data, t->c->a);
	struct tag there;
	rc found;

	if (!m || !str_eq(pb_str(m->id), record->key))
		return err_set(t->c->err, ERR_CORRUPT, "tag " STR_FMT ": its record can't be decoded",
			       STR_ARG(record->key));
	found = tag_get(t->c, t->r, record->key, &there);
	if (rc_ok(found) && !str_eq(there.commit_id, pb_str(m->commit_id)))
		return err_set(t->c->err, ERR_EXISTS, "tag " STR_FMT " exists already, on another commit",
			       STR_ARG(record->key));
	if (!rc_is(found, NOT_FOUND))
		return found;
	return add_write(t, arena_join(t->c->a, (struct str[]){STR("tags/"), record->key}, 2), record->data);
}

static rc restore_branch(struct restore *t, const struct record *record)
{
	Pb__BranchData *m = pb_unpack(&pb__branch_data__descriptor, record->data, t->c->a);
	struct branch there;
	rc made;

	if (!m || !str_eq(pb_str(m->id), record->key))
		return err_set(t->c->err, ERR_CORRUPT, "branch " STR_FMT ": its record can't be decoded",
			       STR_ARG(record->key));
	TRY(valid_branch_name(record->key, t->c->err));
	if (str_eq(record->key, t->r->default_branch)) {
		t->default_commit = arena_dup(t->own, pb_str(m->commit_id));
		return RC_OK;
	}
	made = branch_create_at(t->c, t->r, record->key, pb_str(m->commit_id));
	if (!rc_is(made, EXISTS))
		return made;
	TRY(branch_get(t->c, t->r, record->key, &there));
	if (str_eq(there.commit_id, pb_str(m->commit_id)))
		return RC_OK;
	TRY(refs_check_bare(t->c, t->r, true));
	return err_set(t->c->err, ERR_EXISTS, "branch " STR_FMT " exists already, on another commit",
		       STR_ARG(record->key));
}

static rc tick(struct restore *t)
{
	return t->progress ? t->progress->tick(t->progress, t->done, t->c->err) : RC_OK;
}

static rc restore_kind(struct restore *t, struct str id,
		       rc (*one)(struct restore *, const struct record *))
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;
	struct arena_mark m;

	TRY(mr_iter_open(t->c, t->r, id, true, &it));
	m = arena_mark(t->c->a);
	for (;;) {
		TRY(mr_iter_next(it, t->c->err));
		if (mr_iter_at(it) == MR_END)
			return flush(t);
		if (mr_iter_at(it) == MR_HEAD)
			continue;
		TRY(one(t, mr_iter_record(it)));
		arena_rewind(t->c->a, m);
		if (++t->done % TICK == 0)
			TRY(tick(t));
	}
}

static rc not_bare(struct vcall *c)
{
	return err_set(c->err, ERR_INVALID, "can only restore into a bare repository");
}

rc refs_check_bare(struct vcall *c, const struct repo *r, bool force)
{
	struct branch b;
	rc found;

	if (!force)
		TRY(read_only_refused(r, c->err));
	found = branch_get(c, r, r->default_branch, &b);
	if (rc_is(found, NOT_FOUND))
		return RC_OK;
	TRY(found);
	return not_bare(c);
}

/* Before anything is written. */

/* A client that sends what its manifest lacks, as lakectl does, sends an empty text. */
rc refs_check_named(struct vcall *c, const struct refs_dump *d)
{
	const struct {
		struct str id;
		const char *what;
	} kinds[] = {{d->commits, "no commits (commits_meta_range_id)"},
		     {d->branches, "no branches (branches_meta_range_id)"},
		     {d->tags, "no tags (tags_meta_range_id)"}};
	struct str lacks = STR("");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!kinds[i].id.n)
			lacks = arena_printf(c->a, STR_FMT "%s%s", STR_ARG(lacks), lacks.n ? ", " : "", kinds[i].what);
	if (!lacks.n)
		return RC_OK;
	return err_set(c->err, ERR_INVALID,
		       "the manifest names " STR_FMT
		       ": restore what refs-dump printed, or _lakefs/refs_manifest.json of the namespace",
		       STR_ARG(lacks));
}

static rc check_whole(struct vcall *c, const struct repo *r, const struct refs_dump *d, struct progress *p)
{
	struct dump_lacking l = {0};
	const struct dump_check_options o = {.heads = true, .found = dump_lacking_add, .ud = &l, .progress = p};
	struct fsck_counts n;

	TRY(dump_check(c, r, d, &o, &n));
	return dump_lacking_told(&l, c->err, "nothing was restored", r->storage_namespace);
}

static rc check_default(struct vcall *c, const struct repo *r, struct str id)
{
	struct record record;
	rc found = metarange_get(c, r, id, r->default_branch, &record);

	if (rc_is(found, NOT_FOUND))
		return err_set(c->err, ERR_INVALID,
			       "the dump has no branch '" STR_FMT "', which is the repository's default branch: create the bare repository with one that the dump has",
			       STR_ARG(r->default_branch));
	return found;
}

static rc restore(struct restore *t, const struct refs_dump *d)
{
	rc last;

	TRY(restore_kind(t, d->commits, restore_commit));
	TRY(restore_kind(t, d->tags, restore_tag));
	TRY(restore_kind(t, d->branches, restore_branch));
	last = branch_create_at(t->c, t->r, t->r->default_branch, t->default_commit);
	return rc_is(last, EXISTS) ? not_bare(t->c) : last; /* no more: somebody else has restored meanwhile */
}

rc refs_restore(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool force,
		struct progress *p)
{
	struct restore *t;
	rc result;

	TRY(refs_check_named(c, d));
	TRY(refs_check_bare(c, r, force));
	TRY(check_whole(c, r, d, p));
	TRY(check_default(c, r, d->branches));
	t = ARENA_NEW(c->a, struct restore);
	t->c = c;
	t->r = r;
	t->progress = p;
	t->a = arena_new();
	t->own = arena_new();
	result = restore(t, d);
	arena_free(t->a);
	arena_free(t->own);
	return result;
}
