#include "versions/dump_walk.h"

#include <stdlib.h>

#include "versions/commit_record.h"
#include "versions/dump_check.h"
#include "versions/metarange.h"
#include "versions/pb.h"
#include "versions/branch.h"

enum { LIST_PAGE = 1000, TICK = 100 };

static struct dump_walk *of(struct fsck *f)
{
	return f->ud;
}

static struct str called(struct arena *a, const char *kind, struct str name)
{
	return arena_printf(a, "%s " STR_FMT, kind, STR_ARG(str_head(name, 256)));
}

/* Metaranges of commits. */

/* Read, and its ranges looked at. */
static rc look_into(struct dump_walk *w, struct vcall *c, struct str id, struct str named_by)
{
	fsck_record_fn *before = w->f.record;
	rc result;

	w->f.record = NULL;
	w->f.ends_only = w->heads;
	result = fsck_metarange(&w->f, id, named_by);
	w->f.ends_only = false;
	w->f.record = before;
	return result;
}

static rc visit_metarange(struct dump_walk *w, struct vcall *c, struct str id, struct str named_by, bool head)
{
	if (!id.n)
		return RC_OK;
	if (!w->heads || head || w->read < DUMP_CHECK_READ) {
		w->read++;
		return look_into(w, c, id, named_by);
	}
	if (id_set_add(w->f.tables, called(c->a, "there", id)))
		return RC_OK;
	return fsck_table_there(&w->f, c, STR("metarange"), id, named_by);
}

/* Records. */

static rc visit_commit(struct fsck *f, struct vcall *c, const struct record *record, struct str named_by)
{
	struct str thing = called(c->a, "commit", record->key);
	struct commit commit;
	rc decoded = commit_decode(record->data, c->a, &commit, c->err);

	f->n->commits++;
	if (f->n->commits % TICK == 0)
		TRY(fsck_tick(f));
	if (!rc_ok(decoded))
		return fsck_judge(f, decoded, thing, named_by);
	if (!str_eq(commit.id, record->key) || !str_eq(commit_id(&commit, c->a), commit.id))
		fsck_found(f, FSCK_DAMAGED, thing, named_by, "its id isn't that of its content");
	else if (!commit.generation)
		fsck_found(f, FSCK_DAMAGED, thing, named_by,
			   "it has no generation: the dump is of a version that this one can't read");
	id_set_add(of(f)->commits, record->key);
	return visit_metarange(of(f), c, commit.meta_range_id, thing, false);
}

/* What is wrong with the tables of commits was told when they were walked. */
static bool was_told(rc failed)
{
	return rc_is(failed, NoData) || rc_is(failed, CORRUPT) || rc_is(failed, UNSUPPORTED);
}

/* Whether the dump has the commit; one that it hasn't is told. */
static rc need_commit(struct dump_walk *w, struct vcall *c, struct str id, struct str named_by, struct record *ret,
		      bool *ret_found)
{
	rc found = metarange_get(c, w->f.r, w->d->commits, id, ret);

	*ret_found = rc_ok(found);
	if (rc_is(found, NOT_FOUND) && !id_set_add(w->commits, called(c->a, "missing", id)))
		fsck_found(&w->f, FSCK_MISSING, called(c->a, "commit", id), named_by, "it isn't in the dump");
	return *ret_found || was_told(found) || rc_is(found, NOT_FOUND) ? RC_OK : found;
}

static rc visit_head(struct dump_walk *w, struct vcall *c, struct str id, struct str named_by)
{
	struct record record;
	struct commit commit;
	bool found;

	TRY(need_commit(w, c, id, named_by, &record, &found));
	/* One that can't be read was told when it was its turn. */
	if (!found || !rc_ok(commit_decode(record.data, c->a, &commit, NULL)))
		return RC_OK;
	return visit_metarange(w, c, commit.meta_range_id, called(c->a, "commit", id), true);
}

static rc visit_branch(struct fsck *f, struct vcall *c, const struct record *record, struct str named_by)
{
	struct str thing = called(c->a, "branch", record->key);
	Pb__BranchData *m = pb_unpack(&pb__branch_data__descriptor, record->data, c->a);

	f->n->branches++;
	if (m && str_eq(pb_str(m->id), record->key) && rc_ok(valid_branch_name(record->key, NULL)))
		return visit_head(of(f), c, pb_str(m->commit_id), thing);
	fsck_found(f, FSCK_DAMAGED, thing, named_by, m ? "its record is of another name" : "its record can't be decoded");
	return RC_OK;
}

static rc visit_tag(struct fsck *f, struct vcall *c, const struct record *record, struct str named_by)
{
	struct str thing = called(c->a, "tag", record->key);
	Pb__TagData *m = pb_unpack(&pb__tag_data__descriptor, record->data, c->a);

	f->n->tags++;
	if (m && str_eq(pb_str(m->id), record->key))
		return visit_head(of(f), c, pb_str(m->commit_id), thing);
	fsck_found(f, FSCK_DAMAGED, thing, named_by, m ? "its record is of another name" : "its record can't be decoded");
	return RC_OK;
}

/* Parents: commits lie in the order of their ids, so only once all were seen. A commit that nothing leads to may lack its
 * parents (lakeFS dumps those that are made meanwhile): what leads to none doesn't miss any. */

static bool lacks_parents(struct dump_walk *w, struct vcall *c, const struct record *record)
{
	struct commit commit;
	bool lacks = id_set_full(w->commits);

	if (!rc_ok(commit_decode(record->data, c->a, &commit, NULL)))
		return false;
	for (size_t i = 0; i < commit.parents_n; i++)
		lacks |= !id_set_has(w->commits, commit.parents[i]);
	return lacks;
}

/* Of every record of a dump's metarange. */
typedef rc each_fn(struct dump_walk *w, struct vcall *c, const struct record *record);

static rc each_record(struct dump_walk *w, struct vcall *c, struct str id, each_fn *fn)
{
	CLEANUP(mr_iter_closep) struct mr_iter *it = NULL;
	size_t n = 0;

	TRY(mr_iter_open(c, w->f.r, id, true, &it));
	for (;;) {
		TRY(mr_iter_next(it, c->err));
		if (mr_iter_at(it) == MR_END)
			return RC_OK;
		if (mr_iter_at(it) == MR_HEAD)
			continue;
		TRY(fn(w, c, mr_iter_record(it)));
		if (++n % LIST_PAGE == 0)
			TRY(fsck_tick(&w->f));
	}
}

static rc note_lacking(struct dump_walk *w, struct vcall *c, const struct record *record)
{
	struct arena_mark m = arena_mark(c->a);

	w->lacking |= lacks_parents(w, c, record);
	arena_rewind(c->a, m);
	return RC_OK;
}

/* A commit that is to be followed, and who named it. */
struct step {
	struct step *next;
	struct str id, named_by;
	char text[];
};

static void push(struct dump_walk *w, struct step **list, struct str id, struct str named_by)
{
	struct step *s;

	if (id_set_add(w->reached, id))
		return;
	s = malloc(sizeof(*s) + id.n + named_by.n);
	if (!s)
		abort();
	memcpy(s->text, id.p, id.n);
	memcpy(s->text + id.n, named_by.p, named_by.n);
	s->id = str_make(s->text, id.n);
	s->named_by = str_make(s->text + id.n, named_by.n);
	s->next = *list;
	*list = s;
}

static rc follow_one(struct dump_walk *w, const struct step *at, struct step **list)
{
	struct arena *a = arena_new();
	struct vcall c = fsck_call(&w->f, a);
	struct record record;
	struct commit commit;
	bool found;
	rc result = need_commit(w, &c, at->id, at->named_by, &record, &found);

	if (rc_ok(result) && found && rc_ok(commit_decode(record.data, a, &commit, NULL)))
		for (size_t i = 0; i < commit.parents_n; i++)
			push(w, list, commit.parents[i], called(a, "commit", at->id));
	arena_free(a);
	return result;
}

/* From a head to its ancestors. */
static rc follow(struct dump_walk *w, struct vcall *c, const struct record *head)
{
	struct step *list = NULL;
	rc result = RC_OK;

	push(w, &list, head->identity, called(c->a, "ref", head->key));
	while (list) {
		struct step *at = list;

		list = at->next;
		if (rc_ok(result))
			result = follow_one(w, at, &list);
		free(at);
	}
	return result;
}

static rc walk_parents(struct dump_walk *w, struct vcall *c)
{
	rc result;

	TRY(each_record(w, c, w->d->commits, note_lacking));
	if (!w->lacking)
		return RC_OK;
	w->reached = id_set_new(FSCK_IDS_MAX);
	result = each_record(w, c, w->d->branches, follow);
	if (rc_ok(result))
		result = each_record(w, c, w->d->tags, follow);
	id_set_free(w->reached);
	return result;
}

static rc visit_parents(struct dump_walk *w, struct vcall *c)
{
	rc walked = walk_parents(w, c);

	return was_told(walked) ? RC_OK : walked;
}

/* The walk. */

static void publish(struct dump_walk *w)
{
	const struct fsck_counts *n = w->f.n;
	const int64_t now[DUMP_CHECK_COUNTS] = {
		[DUMP_CHECK_COMMITS] = n->commits, [DUMP_CHECK_BRANCHES] = n->branches,
		[DUMP_CHECK_TAGS] = n->tags,	   [DUMP_CHECK_TABLES] = n->tables,
		[DUMP_CHECK_ENTRIES] = n->entries, [DUMP_CHECK_BODIES] = n->bodies,
		[DUMP_CHECK_MISSING] = n->missing, [DUMP_CHECK_DAMAGED] = n->damaged};

	for (size_t i = 0; w->counts && i < DUMP_CHECK_COUNTS; i++)
		atomic_store_explicit(&w->counts[i], now[i], memory_order_relaxed);
}

static rc tick(struct progress *p, int64_t done, struct err *reterr)
{
	struct dump_walk *w = (struct dump_walk *)((char *)p - offsetof(struct dump_walk, ticks));

	publish(w);
	return w->progress ? w->progress->tick(w->progress, done, reterr) : RC_OK;
}

static rc walk_kind(struct dump_walk *w, struct str id, fsck_record_fn *visit, const char *what)
{
	if (!id.n) {
		fsck_found(&w->f, FSCK_DAMAGED, str_c(what), STR(""), "the manifest names none");
		return RC_OK;
	}
	w->f.record = visit;
	return fsck_metarange(&w->f, id, STR("the manifest"));
}

static rc walk_all(struct dump_walk *w, struct vcall *c)
{
	TRY(walk_kind(w, w->d->commits, visit_commit, "commits"));
	TRY(walk_kind(w, w->d->branches, visit_branch, "branches"));
	TRY(walk_kind(w, w->d->tags, visit_tag, "tags"));
	return w->d->commits.n && w->d->branches.n && w->d->tags.n ? visit_parents(w, c) : RC_OK;
}

rc dump_walk(struct dump_walk *w, struct vcall *c)
{
	struct fsck_options o = *w->f.o;
	struct arena *a = arena_new();
	rc result;

	w->call = *c;
	w->call.a = a;
	w->call.err = &w->err;
	w->progress = o.progress;
	w->ticks.tick = tick;
	o.progress = &w->ticks;
	w->f.o = &o;
	w->f.c = &w->call;
	w->f.ud = w;
	w->f.tables = id_set_new(FSCK_IDS_MAX);
	w->f.bodies = id_set_new(FSCK_IDS_MAX);
	w->commits = id_set_new(FSCK_IDS_MAX);
	result = walk_all(w, &w->call);
	publish(w);
	id_set_free(w->f.tables);
	id_set_free(w->f.bodies);
	id_set_free(w->commits);
	arena_free(a);
	if (!rc_ok(result) && c->err)
		*c->err = w->err;
	return result;
}

/* Listing. */

struct list {
	struct backend *store;
	struct str space, prefix, after;
	bool keys_only, more;
	struct id_set *to;
};

static rc list_page(struct list *l, struct arena *a, struct err *reterr)
{
	struct backend_list_entry *list;
	size_t n;

	TRY(l->store->blocking->list(l->store, l->space, l->prefix, l->after, LIST_PAGE, a, &list, &n, &l->more,
				     reterr));
	for (size_t i = 0; i < n; i++)
		id_set_add(l->to, l->keys_only ? list[i].key : fsck_listed(a, list[i].key, list[i].stat.size));
	l->more &= n > 0;
	if (n)
		l->after = list[n - 1].key;
	return RC_OK;
}

rc dump_list(struct vcall *c, struct backend *store, struct str space, struct str prefix, bool keys_only,
	     struct id_set *to, struct progress *p, bool *ret_all)
{
	struct list l = {store, space, prefix, STR_NONE, keys_only, true, to};
	struct arena *before = arena_new();
	rc result = RC_OK;

	*ret_all = store->blocking && store->blocking->list;
	while (*ret_all && l.more && rc_ok(result) && !id_set_full(to)) {
		struct arena *a = arena_new();

		result = list_page(&l, a, c->err);
		arena_free(before); /* what `after` was in */
		before = a;
		if (rc_ok(result) && p)
			result = p->tick(p, 0, c->err);
	}
	arena_free(before);
	*ret_all &= !id_set_full(to);
	return result;
}
