/* Dumping reads the KV in pages; what changes meanwhile may be seen or not, as in lakeFS, but commits are read
 * last, so that whatever a dumped branch or tag names is in the dump.
 *
 * Restoring: commits, tags, then branches, the default branch last. Until that one is there the repository is
 * bare, and the restore may be repeated: commits are their content, tags must be the same, branches are
 * written over. */
#include "versions/dump.h"

#include "versions/commit_record.h"
#include "versions/internal.h"
#include "versions/mr_writer.h"
#include "versions/pb.h"
#include "versions/tag.h"

enum { PAGE = 1000 };

/* Dump. */

struct kind {
	struct str prefix; /* of the keys */
	struct str entity, schema;
	/* A record's identity and data, from the KV's value. */
	rc (*convert)(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
		      struct str *ret_data);
};

static rc convert_commit(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
			 struct str *ret_data)
{
	*ret_identity = name;
	*ret_data = value;
	return RC_OK;
}

/* Only the id and the commit. */
static rc convert_branch(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
			 struct str *ret_data)
{
	struct branch b;

	TRY(branch_decode(value, c->a, &b, c->err));
	*ret_identity = b.commit_id;
	*ret_data = branch_encode(&(struct branch){.id = b.id, .commit_id = b.commit_id}, c->a);
	return RC_OK;
}

static rc convert_tag(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
		      struct str *ret_data)
{
	Pb__TagData *m = pb_unpack(&pb__tag_data__descriptor, value, c->a);

	if (!m)
		return err_set(c->err, ERR_CORRUPT, "tag " STR_FMT ": its record can't be decoded",
			       STR_ARG(name));
	*ret_identity = pb_str(m->commit_id);
	*ret_data = value;
	return RC_OK;
}

#define SCHEMA "io.treeverse.lakefs.graveler."
static const struct kind commits = {STR("commits/"), STR("commit"),
				    STR(SCHEMA "CommitData"), convert_commit};
static const struct kind branches = {STR("branches/"), STR("branch"),
				     STR(SCHEMA "BranchData"), convert_branch};
static const struct kind tags = {STR("tags/"), STR("tag"), STR(SCHEMA "TagData"),
				 convert_tag};

static rc add_one(struct vcall *c, const struct kind *k, const struct kv_entry *e, struct buf *value,
		  struct mr_writer *w)
{
	struct str name = str_skip(e->key, k->prefix.n), identity, data;

	TRY(k->convert(c, name, e->value, &identity, &data));
	buf_reset(value);
	if (!record_encode(identity, data, value))
		return err_set(c->err, ERR_CORRUPT, STR_FMT " " STR_FMT " is too large",
			       STR_ARG(k->entity), STR_ARG(name));
	return mr_writer_record(w, name, buf_str(value), c->err);
}

/* One page; *from is where the next begins, STR_NONE at the end. */
static rc add_page(struct vcall *c, const struct repo *r, const struct kind *k, struct buf *from,
		   struct mr_writer *w, size_t *ret_n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct buf value = BUF_INIT(KV_VALUE_MAX + 1024);
	struct arena_mark m = arena_mark(c->a);
	struct kv_entry e;
	bool end = false;
	rc added = RC_OK;

	*ret_n = 0;
	TRY(kv_scan(c->v->kv, r->partition, buf_str(from), PAGE, &it, c->err));
	while (rc_ok(added) && *ret_n < PAGE) {
		added = kv_iter_next(it, &e, &end, c->err);
		if (!rc_ok(added) || end || !str_starts(e.key, k->prefix))
			break;
		added = add_one(c, k, &e, &value, w);
		buf_reset(from);
		buf_add(from, e.key);
		buf_add_c(from, 0);
		++*ret_n;
		arena_rewind(c->a, m);
	}
	buf_deinit(&value);
	return added;
}

static rc tick(struct progress *p, int64_t done, struct err *reterr)
{
	return p ? p->tick(p, done, reterr) : RC_OK;
}

static rc dump_pages(struct vcall *c, const struct repo *r, const struct kind *k, struct mr_writer *w,
		     struct progress *p, int64_t *done)
{
	struct buf from = BUF_INIT(KV_KEY_MAX + 1);
	size_t n = PAGE;
	rc result = RC_OK;

	buf_add(&from, k->prefix);
	while (rc_ok(result) && n == PAGE) {
		result = add_page(c, r, k, &from, w, &n);
		*done += (int64_t)n;
		if (rc_ok(result))
			result = tick(p, *done, c->err);
	}
	buf_deinit(&from);
	return result;
}

static rc dump_kind(struct vcall *c, const struct repo *r, const struct kind *k, struct progress *p,
		    int64_t *done, struct str *ret)
{
	const struct meta props[] = {{STR("entity"), k->entity}, {STR("schema_name"), k->schema}};
	CLEANUP(mr_writer_freep) struct mr_writer *w = NULL;
	struct mr_summary sum;

	TRY(mr_writer_new(c, r, props, 2, &w));
	TRY(dump_pages(c, r, k, w, p, done));
	TRY(mr_writer_finish(w, c->a, &sum, c->err));
	*ret = sum.id;
	return RC_OK;
}

rc refs_dump(struct vcall *c, const struct repo *r, struct progress *p, struct refs_dump *ret)
{
	int64_t done = 0;

	TRY(dump_kind(c, r, &branches, p, &done, &ret->branches));
	TRY(dump_kind(c, r, &tags, p, &done, &ret->tags));
	return dump_kind(c, r, &commits, p, &done, &ret->commits);
}

rc refs_write_manifest(struct vcall *c, const struct repo *r, const struct refs_dump *d)
{
	struct str text = arena_printf(
		c->a,
		"{\n  \"branches_meta_range_id\": \"" STR_FMT "\",\n  \"commits_meta_range_id\": \"" STR_FMT
		"\",\n  \"tags_meta_range_id\": \"" STR_FMT "\"\n}",
		STR_ARG(d->branches), STR_ARG(d->commits), STR_ARG(d->tags));
	const struct object_ptr to = {
		.store_id = r->storage_id,
		.space = r->storage_namespace,
		.key = arena_printf(c->a, "%s/refs_manifest.json", c->v->block_prefix),
		.type = ADDRESS_RELATIVE,
	};
	const struct backend_put_options o = {.content_type = STR("application/json")};
	struct backend_stat st;
	struct backend *b;

	TRY(repo_backend(c, r, &b));
	return backend_put_now(b, &to, &o, body_mem_new(c->a, text), c->a, &st, c->err);
}

/* Restore. */

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
	struct arena_mark m = arena_mark(t->c->a);
	struct commit commit;

	TRY(commit_decode(record->data, t->c->a, &commit, t->c->err));
	if (commit.generation == 0)
		return err_set(t->c->err, ERR_INVALID,
			       "commit " STR_FMT " has no generation: the dump is of a version that this one can't read",
			       STR_ARG(record->key));
	if (!str_eq(commit.id, record->key) || !str_eq(commit_id(&commit, t->c->a), commit.id))
		return err_set(t->c->err, ERR_CORRUPT, "commit " STR_FMT ": its id isn't that of its content",
			       STR_ARG(record->key));
	TRY(add_write(t, arena_join(t->c->a, (struct str[]){STR("commits/"), commit.id}, 2), record->data));
	arena_rewind(t->c->a, m);
	return RC_OK;
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
	struct branch b;

	if (!m || !str_eq(pb_str(m->id), record->key))
		return err_set(t->c->err, ERR_CORRUPT, "branch " STR_FMT ": its record can't be decoded",
			       STR_ARG(record->key));
	TRY(valid_branch_name(record->key, t->c->err));
	if (str_eq(record->key, t->r->default_branch)) {
		t->default_commit = arena_dup(t->c->a, pb_str(m->commit_id));
		return RC_OK;
	}
	b = (struct branch){.id = record->key,
			    .commit_id = pb_str(m->commit_id),
			    .staging_token = branch_new_token(t->c->a, t->r, record->key)};
	return add_write(t, branch_key(t->c->a, record->key), branch_encode(&b, t->c->a));
}

static rc restore_kind(struct restore *t, struct str id,
		       rc (*one)(struct restore *, const struct record *))
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;

	TRY(mr_iter_open(t->c, t->r, id, true, &it));
	for (;;) {
		TRY(mr_iter_next(it, t->c->err));
		if (mr_iter_at(it) == MR_END)
			return flush(t);
		if (mr_iter_at(it) == MR_HEAD)
			continue;
		TRY(one(t, mr_iter_record(it)));
		if (++t->done % PAGE == 0)
			TRY(tick(t->progress, t->done, t->c->err));
	}
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
	return err_set(c->err, ERR_INVALID, "can only restore into a bare repository");
}

/* Before anything is written. */
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
	TRY(restore_kind(t, d->commits, restore_commit));
	TRY(restore_kind(t, d->tags, restore_tag));
	TRY(restore_kind(t, d->branches, restore_branch));
	return branch_create_at(t->c, t->r, t->r->default_branch, t->default_commit);
}

rc refs_restore(struct vcall *c, const struct repo *r, const struct refs_dump *d, bool force,
		struct progress *p)
{
	struct restore *t;
	rc result;

	TRY(refs_check_bare(c, r, force));
	TRY(check_default(c, r, d->branches));
	t = ARENA_NEW(c->a, struct restore);
	t->c = c;
	t->r = r;
	t->progress = p;
	t->a = arena_new();
	result = restore(t, d);
	arena_free(t->a);
	return result;
}
