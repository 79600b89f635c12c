#include "versions/backup.h"

#include <stdlib.h>

#include "versions/backup_priv.h"
#include "versions/branch.h"
#include "versions/gc_rules.h"
#include "versions/head.h"
#include "versions/namespace.h"
#include "versions/object.h"

enum { PAGE = 100, RULES_MAX = 4 << 20 };

struct backup {
	struct vcall *c;
	const struct repo *r;
	struct repo target;
	const struct backup_request *q;
	struct progress *p;
	_Atomic int64_t *counts;
	struct fsck_kept *kept;
	struct refs_dump *d;
	struct backend *from, *to;
	struct id_set *there; /* what the target has: fsck_listed */
	struct copies *copies;
	struct dump_lacking lacking; /* in the source */
	struct dump_walk walk;
};

static void count(struct backup *b, enum backup_count what, int64_t n)
{
	atomic_fetch_add_explicit(&b->counts[what], n, memory_order_relaxed);
}

/* Commits. */

static rc commit_branch(struct backup *b, struct vcall *c, const struct branch *branch)
{
	const struct commit_request q = {
		.branch = branch->id,
		.committer = b->q->committer,
		.message = b->q->message.n ? b->q->message : STR("Commit what is uncommitted, for a backup"),
	};
	struct commit made;
	rc committed = branch_commit(c, b->r, &q, &made);

	if (rc_ok(committed))
		count(b, BACKUP_COMMITTED, 1);
	/* There is nothing, or the branch has gone. */
	if (rc_ok(committed) || rc_is(committed, NoChanges) || rc_is(committed, NOT_FOUND))
		return RC_OK;
	return err_wrap(committed, c->err, "committing branch " STR_FMT, STR_ARG(branch->id));
}

static rc commit_page(struct backup *b, struct vcall *c, struct str *after, bool *ret_more)
{
	struct branch *list;
	size_t n;

	TRY(branch_list(c, b->r, STR(""), *after, PAGE, true, &list, &n, ret_more));
	for (size_t i = 0; i < n; i++) {
		TRY(commit_branch(b, c, &list[i]));
		if (b->p)
			TRY(b->p->tick(b->p, 0, c->err));
	}
	if (n)
		*after = list[n - 1].id;
	return RC_OK;
}

static rc commit_all(struct backup *b)
{
	struct arena *before = arena_new();
	struct str after = STR_NONE;
	bool more = true;
	rc result = RC_OK;

	while (more && rc_ok(result)) {
		struct arena *a = arena_new();
		struct vcall c = *b->c;

		c.a = a;
		result = commit_page(b, &c, &after, &more);
		arena_free(before); /* what `after` was in */
		before = a;
	}
	arena_free(before);
	return result;
}

/* Copies. */

static void found(void *ud, const struct fsck_finding *f)
{
	struct backup *b = ud;

	dump_lacking_add(&b->lacking, f);
	fsck_keep(b->kept, f);
}

/* The walk's, beside which copies tell theirs. */
static void found_walking(void *ud, const struct fsck_finding *f)
{
	struct backup *b = ud;

	count(b, BACKUP_MISSING, 1);
	copies_lock(b->copies);
	found(b, f);
	copies_unlock(b->copies);
}

static struct backup *of(struct fsck *f)
{
	return (struct backup *)((char *)f->ud - offsetof(struct backup, walk));
}

static rc copy(struct backup *b, struct vcall *c, const struct copy_what *w)
{
	if (id_set_has(b->there, fsck_listed(c->a, w->key, w->size))) {
		count(b, BACKUP_SKIPPED, 1);
		return RC_OK;
	}
	return copies_add(b->copies, w, b->walk.f.o->progress, c->err);
}

static rc external(struct backup *b, struct vcall *c, const struct entry *e, struct str path)
{
	if (b->q->refuse_external)
		return err_set(c->err, ERR_INVALID,
			       "the bytes of " STR_FMT " lie outside of the namespace, at " STR_FMT
			       ": copy them into the repository, or leave them where they are",
			       STR_ARG(str_head(path, 150)), STR_ARG(str_head(e->address, 150)));
	count(b, BACKUP_EXTERNAL, 1);
	return RC_OK;
}

static rc visit_body(struct fsck *f, struct vcall *c, const struct entry *e, struct str named_by, struct str path)
{
	struct backup *b = of(f);
	struct copy_what w = {.key = e->address,
			      .size = (uint64_t)e->size,
			      .etag = e->etag,
			      .content_type = e->content_type};

	if (id_set_add(f->bodies, e->address))
		return RC_OK;
	if (e->address_type != ADDRESS_RELATIVE)
		return external(b, c, e, path);
	f->n->bodies++;
	count(b, BACKUP_OBJECTS, 1);
	count(b, BACKUP_BYTES, e->size);
	w.thing = arena_printf(c->a, "body " STR_FMT, STR_ARG(str_head(e->address, 256)));
	w.named_by = arena_printf(c->a, STR_FMT ", path " STR_FMT, STR_ARG(named_by), STR_ARG(path));
	return copy(b, c, &w);
}

static rc visit_table(struct fsck *f, struct vcall *c, struct str id, uint64_t bytes)
{
	struct backup *b = of(f);
	const struct copy_what w = {.key = table_key(c, id),
				    .size = bytes,
				    .thing = arena_printf(c->a, "table " STR_FMT, STR_ARG(id)),
				    .named_by = STR("the dump")};

	count(b, BACKUP_TABLES, 1);
	return copy(b, c, &w);
}

static const struct fsck_hooks hooks = {.body = visit_body, .table = visit_table};

static rc walk(struct backup *b)
{
	struct fsck_counts n = {0};
	const struct fsck_options o = {.bodies = true, .found = found_walking, .ud = b, .progress = b->p};

	b->walk = (struct dump_walk){
		.f = {.r = b->r,
		      .o = &o,
		      .n = &n,
		      .store = b->from,
		      .as_readers = true,
		      .bodies_once = true,
		      .hooks = &hooks},
		.d = b->d,
	};
	return dump_walk(&b->walk, b->c);
}

static rc copy_all(struct backup *b)
{
	bool all;
	rc result;

	TRY(dump_list(b->c, b->to, b->target.storage_namespace, STR(""), false, b->there, b->p, &all));
	b->copies = copies_new(&(struct copies_options){.v = b->c->v,
							.from = b->r,
							.to = &b->target,
							.from_store = b->from,
							.to_store = b->to,
							.counts = b->counts,
							.ask = !all,
							.found = found,
							.ud = b});
	result = walk(b);
	if (rc_ok(result))
		result = copies_wait(b->copies, b->p, b->c->err);
	copies_free(b->copies);
	return result;
}

/* The rules of garbage collection are an object that changes. */

static rc copy_rules(struct backup *b)
{
	struct vcall *c = b->c;
	struct object_ptr from = gc_rules_pointer(c, b->r), to = gc_rules_pointer(c, &b->target);
	const struct backend_put_options o = {0};
	struct backend_stat st;
	char *bytes;
	size_t n = 0;
	rc r = backend_head_now(b->from, &from, c->a, &st, c->err);
	bool none = rc_is(r, NOT_FOUND);

	if (!none)
		TRY(r);
	if (none) /* also those that the target has of before */
		TRY(backend_head_now(b->to, &to, c->a, &st, c->err));
	if (!none && st.size > RULES_MAX)
		return err_set(c->err, ERR_CORRUPT, "the garbage collection rules have %llu bytes",
			       (unsigned long long)st.size);
	bytes = arena_alloc(c->a, none ? 1 : (size_t)st.size + 1);
	if (!none && st.size)
		TRY(backend_read_now(b->from, &from, 0, bytes, (size_t)st.size, &n, c->err));
	return backend_put_now(b->to, &to, &o, body_mem_new(c->a, str_make(bytes, n)), c->a, &st, c->err);
}

static rc rules(struct backup *b)
{
	rc r = copy_rules(b);

	return rc_is(r, NOT_FOUND) ? RC_OK : err_wrap(r, b->c->err, "the rules of garbage collection");
}

/* The end. */

struct verified {
	struct backup *b;
	struct dump_lacking lacking;
};

static void found_in_copy(void *ud, const struct fsck_finding *f)
{
	struct verified *v = ud;

	dump_lacking_add(&v->lacking, f);
	fsck_keep(v->b->kept, f);
}

/* What the source lacks the copy lacks, too. */
static rc verify(struct backup *b)
{
	struct verified v = {.b = b};
	const struct dump_check_options o = {.bodies = true, .found = found_in_copy, .ud = &v, .progress = b->p};
	struct fsck_counts n;

	TRY(dump_check(b->c, &b->target, b->d, &o, &n));
	if (v.lacking.n <= b->lacking.n)
		return RC_OK;
	return dump_lacking_told(&v.lacking, b->c->err, "the copy isn't whole", b->target.storage_namespace);
}

static rc check_source(struct backup *b)
{
	if (b->q->allow_missing)
		return RC_OK;
	return dump_lacking_told(&b->lacking, b->c->err, "the repository isn't whole, so its backup isn't finished",
				 b->r->storage_namespace);
}

static rc take_target(struct backup *b)
{
	TRY(backup_check_target(b->c, &b->target));
	return namespace_take_backup(b->c, b->to, b->target.storage_namespace, b->r->id);
}

static rc make(struct backup *b)
{
	TRY(take_target(b));
	if (b->q->commit)
		TRY(commit_all(b));
	TRY(refs_dump(b->c, b->r, b->p, b->d));
	TRY(copy_all(b));
	TRY(rules(b));
	TRY(check_source(b));
	if (b->q->verify)
		TRY(verify(b));
	/* It may have been long. */
	TRY(backup_check_target(b->c, &b->target));
	return refs_write_manifest(b->c, &b->target, b->d);
}

rc backup_run(struct vcall *c, const struct repo *r, const struct backup_request *q, struct progress *p,
	      _Atomic int64_t *counts, struct fsck_kept *kept, struct refs_dump *ret)
{
	struct backup *b = calloc(1, sizeof(*b));
	rc result;

	if (!b)
		abort();
	*b = (struct backup){.c = c, .r = r, .q = q, .p = p, .counts = counts, .kept = kept, .d = ret};
	for (unsigned i = 0; i < BACKUP_COUNTS; i++)
		atomic_store(&counts[i], 0);
	b->there = id_set_new(FSCK_IDS_MAX);
	result = backup_namespace(c, q->storage_id, q->storage_namespace, &b->target);
	if (rc_ok(result))
		result = repo_backend(c, r, &b->from);
	if (rc_ok(result))
		result = repo_backend(c, &b->target, &b->to);
	if (rc_ok(result))
		result = make(b);
	id_set_free(b->there);
	free(b);
	return result;
}
