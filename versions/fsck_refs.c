/* Commits, branches, tags: the records of the KV. */
#include "versions/commit_record.h"
#include "versions/fsck_priv.h"
#include "versions/pb.h"

enum { PAGE = 256 };

typedef rc visit_fn(struct fsck *f, struct vcall *c, struct str name, struct str value);

static struct str called(struct vcall *c, const char *kind, struct str name)
{
	return arena_printf(c->a, "%s " STR_FMT, kind, STR_ARG(name));
}

static rc read_page(struct vcall *c, struct str partition, struct str prefix, struct str from,
		    struct kv_entry *list, size_t *ret_n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	*ret_n = 0;
	TRY(kv_scan(c->v->kv, partition, from, PAGE, &it, c->err));
	while (*ret_n < PAGE) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		if (end || !str_starts(e.key, prefix))
			break;
		list[(*ret_n)++] = (struct kv_entry){arena_dup(c->a, e.key), arena_dup(c->a, e.value)};
	}
	return RC_OK;
}

static rc visit_page(struct fsck *f, struct str partition, struct str prefix, visit_fn *visit,
		     struct arena *a, struct str *from, size_t *ret_n)
{
	struct vcall c = fsck_call(f, a);
	struct kv_entry *list = arena_alloc(a, PAGE * sizeof(*list));

	TRY(read_page(&c, partition, prefix, *from, list, ret_n));
	for (size_t i = 0; i < *ret_n; i++)
		TRY(visit(f, &c, str_skip(list[i].key, prefix.n), list[i].value));
	if (*ret_n)
		*from = key_join(a, list[*ret_n - 1].key, str_make("", 1));
	return RC_OK;
}

static rc visit_all(struct fsck *f, struct str partition, struct str prefix, visit_fn *visit)
{
	struct arena *before = arena_new();
	struct str from = prefix;
	size_t n = PAGE;
	rc result = RC_OK;

	while (n == PAGE && rc_ok(result)) {
		struct arena *a = arena_new();

		result = visit_page(f, partition, prefix, visit, a, &from, &n);
		arena_free(before); /* what `from` was in */
		before = a;
	}
	arena_free(before);
	return result;
}

/* Whether there is such a commit; one that isn't is told. */
static rc need_commit(struct fsck *f, struct vcall *c, struct str id, struct str named_by, struct str *ret_raw)
{
	struct str thing = called(c, "commit", id);
	rc found;

	*ret_raw = STR_NONE;
	if (!id.n || id.n > KV_KEY_MAX / 2) {
		fsck_found(f, FSCK_DAMAGED, named_by, STR(""), "it names no commit");
		return RC_OK;
	}
	found = kv_get(c->v->kv, KV_BLOCK, f->r->partition, key_join(c->a, STR("commits/"), id), c->a,
		       ret_raw, c->err);
	if (rc_ok(found))
		return RC_OK;
	*ret_raw = STR_NONE;
	if (rc_is(found, NOT_FOUND))
		TRY(repo_stays(c, f->r)); /* else it has gone with it */
	return fsck_judge(f, found, thing, named_by);
}

static rc check_parent(struct fsck *f, struct vcall *c, const struct commit *commit, struct str id)
{
	struct str thing = called(c, "commit", commit->id), raw;
	struct commit parent;

	TRY(need_commit(f, c, id, thing, &raw));
	/* One that can't be read is told when it is its turn. */
	if (!raw.p || !rc_ok(commit_decode(raw, c->a, &parent, NULL)))
		return RC_OK;
	/* lakeFS's oldest ones have none. */
	if (commit->generation && commit->generation <= parent.generation)
		fsck_found(f, FSCK_DAMAGED, thing, STR(""),
			   "its generation isn't greater than its parent's");
	return RC_OK;
}

static rc visit_commit(struct fsck *f, struct vcall *c, struct str name, struct str value)
{
	struct str thing = called(c, "commit", name);
	struct commit commit;
	rc decoded = commit_decode(value, c->a, &commit, c->err);

	f->n->commits++;
	TRY(fsck_tick(f));
	if (!rc_ok(decoded))
		return fsck_judge(f, decoded, thing, STR(""));
	if (!str_eq(commit.id, name) || !str_eq(commit_id(&commit, c->a), name))
		fsck_found(f, FSCK_DAMAGED, thing, STR(""), "its id isn't that of its content");
	for (size_t i = 0; i < commit.parents_n; i++)
		TRY(check_parent(f, c, &commit, commit.parents[i]));
	return fsck_metarange(f, commit.meta_range_id, thing);
}

static rc visit_staged(struct fsck *f, struct vcall *c, struct str name, struct str value)
{
	struct entry e;
	bool tombstone;
	rc decoded = staged_decode(value, c->a, &e, &tombstone, c->err);

	f->n->entries++;
	if (!rc_ok(decoded))
		return fsck_judge(f, decoded, called(c, "staged entry", name), f->staged_in);
	return tombstone ? RC_OK : fsck_body(f, c, &e, f->staged_in, name);
}

/* What is found of a branch that has changed since its record was read says nothing. */
static rc is_current(struct fsck *f, struct vcall *c, const struct branch *b, bool *ret)
{
	struct str raw;
	rc found = kv_get(c->v->kv, KV_BLOCK, f->r->partition, branch_key(c->a, b->id), c->a, &raw, c->err);

	*ret = rc_ok(found) && str_eq(raw, b->raw);
	return rc_is(found, NOT_FOUND) ? RC_OK : found;
}

/* A token that was handed to the clean-up. Whoever moves or removes a branch does that afterwards, and whoever deletes
 * the repository after he has marked it: then it says nothing. */
static rc judge_waiting(struct fsck *f, struct vcall *c, const struct branch *b, struct str token)
{
	bool current;

	TRY(is_current(f, c, b, &current));
	TRY(repo_stays(c, f->r));
	if (current)
		fsck_found(f, FSCK_DAMAGED, called(c, "staging token", token), f->staged_in,
			   "it waits to be emptied, though a branch names it");
	return RC_OK;
}

static rc check_token(struct fsck *f, struct vcall *c, const struct branch *b, struct str token)
{
	struct str raw;
	rc found;

	if (!token.n || token.n > KV_PARTITION_MAX) {
		fsck_found(f, FSCK_DAMAGED, f->staged_in, STR(""), "it has a staging token that can't be one");
		return RC_OK;
	}
	if (id_set_add(f->tokens, token))
		fsck_found(f, FSCK_DAMAGED, called(c, "staging token", token), f->staged_in,
			   "it is named twice: what is staged under it belongs to both");
	found = kv_get(c->v->kv, KV_BLOCK, PARTITION_CLEANUP, token, c->a, &raw, c->err);
	if (rc_ok(found))
		TRY(judge_waiting(f, c, b, token));
	else if (!rc_is(found, NOT_FOUND))
		return found;
	return visit_all(f, token, STR(""), visit_staged);
}

static rc check_tokens(struct fsck *f, struct vcall *c, const struct branch *b)
{
	bool current;

	TRY(is_current(f, c, b, &current));
	if (!current)
		return RC_OK;
	TRY(check_token(f, c, b, b->staging_token));
	for (size_t i = 0; i < b->sealed_n; i++)
		TRY(check_token(f, c, b, b->sealed[i]));
	return RC_OK;
}

static rc visit_branch(struct fsck *f, struct vcall *c, struct str name, struct str value)
{
	struct str raw;
	struct branch b;
	rc decoded = branch_decode(value, c->a, &b, c->err);

	f->staged_in = called(c, "branch", name);
	if (!rc_ok(decoded))
		return fsck_judge(f, decoded, f->staged_in, STR(""));
	if (b.removed_ms)
		return RC_OK;
	f->n->branches++;
	if (!str_eq(b.id, name))
		fsck_found(f, FSCK_DAMAGED, f->staged_in, STR(""), "its record is of another name");
	TRY(need_commit(f, c, b.commit_id, f->staged_in, &raw));
	return check_tokens(f, c, &b);
}

static rc visit_tag(struct fsck *f, struct vcall *c, struct str name, struct str value)
{
	Pb__TagData *m = pb_unpack(&pb__tag_data__descriptor, value, c->a);
	struct str thing = called(c, "tag", name), raw;

	f->n->tags++;
	if (!m || !str_eq(pb_str(m->id), name)) {
		fsck_found(f, FSCK_DAMAGED, thing, STR(""),
			   m ? "its record is of another name" : "its record can't be decoded");
		return RC_OK;
	}
	return need_commit(f, c, pb_str(m->commit_id), thing, &raw);
}

rc fsck_refs(struct fsck *f)
{
	TRY(visit_all(f, f->r->partition, STR("branches/"), visit_branch));
	TRY(visit_all(f, f->r->partition, STR("tags/"), visit_tag));
	return visit_all(f, f->r->partition, STR("commits/"), visit_commit);
}
