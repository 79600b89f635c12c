#include "versions/object.h"

#include "versions/branch_remove.h"
#include "versions/committed.h"
#include "versions/internal.h"
#include "versions/protection.h"
#include "versions/ref.h"
#include "versions/stage_batch.h"

enum {
	IDS_PER_PARTITION = 50000,
	PARTITION_LIFE_MS = 3600 * 1000,
};

struct object_ptr object_pointer(const struct repo *r, const struct entry *e)
{
	return (struct object_ptr){
		.store_id = r->storage_id,
		.space = r->storage_namespace,
		.key = e->address,
		.type = e->address_type,
	};
}

struct str object_new_address(struct versions *v, struct arena *a)
{
	char partition[XID_CHARS + 1], id[XID_CHARS + 1];
	int64_t now = mono_ms();

	pthread_mutex_lock(&v->ids);
	if (!v->ids_locked.left || now >= v->ids_locked.expires_ms) {
		xid_descending(v->ids_locked.partition);
		v->ids_locked.left = IDS_PER_PARTITION;
		v->ids_locked.expires_ms = now + PARTITION_LIFE_MS;
	}
	v->ids_locked.left--;
	memcpy(partition, v->ids_locked.partition, sizeof(partition));
	pthread_mutex_unlock(&v->ids);
	xid_now(id);
	return arena_printf(a, "data/%s/%s", partition, id);
}

static rc path_not_found(struct vcall *c)
{
	return err_set(c->err, ERR_NOT_FOUND, "path not found");
}

static rc keeps_changing(struct vcall *c)
{
	return err_set(c->err, ERR_SlowDown, "the branch or the object keeps changing; try again");
}

/* What lies below the branch's own token: NOTHING, also for a tombstone in a sealed one. */
static rc find_below(struct vcall *c, const struct repo *r, const struct branch *b,
		     struct str path, struct staged *ret)
{
	rc res;

	for (size_t i = 0; i < b->sealed_n; i++) {
		TRY(staging_get(c, b->sealed[i], path, ret));
		if (ret->state == STAGED_TOMBSTONE)
			ret->state = STAGED_NOTHING;
		else if (ret->state == STAGED_NOTHING)
			continue;
		return RC_OK;
	}
	*ret = (struct staged){.state = STAGED_ENTRY};
	res = committed_get(c, r, b->commit_id, path, &ret->entry);
	if (!rc_is(res, NOT_FOUND))
		return res;
	ret->state = STAGED_NOTHING;
	return RC_OK;
}

rc object_find(struct vcall *c, const struct repo *r, const struct branch *b, struct str path,
	       struct staged *top, struct staged *ret)
{
	TRY(staging_get(c, b->staging_token, path, top));
	*ret = *top;
	if (top->state == STAGED_NOTHING)
		return find_below(c, r, b, path, ret);
	if (top->state == STAGED_TOMBSTONE)
		ret->state = STAGED_NOTHING;
	return RC_OK;
}

static rc stat_commit(struct vcall *c, const struct repo *r, struct str commit_id, struct str path,
		      struct entry *ret)
{
	rc res = committed_get(c, r, commit_id, path, ret);

	return rc_is(res, NOT_FOUND) ? path_not_found(c) : res;
}

/* What the branch's own token says counts as it is: it was so when it was read, even if the branch has got
 * another token meanwhile, for nothing is ever put into a token that no branch names.
 *
 * An answer from further down rests on a miss in that token, and a miss says nothing once the token isn't
 * the branch's any more: a commit may have carried the entry from there into a commit that is newer than
 * the one that is read here, and the clean-up may have emptied the token since. The answer would be the
 * entry that was hidden, or none, which the path never had at any time since the call began. So the branch
 * is read again after the last look: the same record, and nothing moved in between. */
static rc stat_branch(struct vcall *c, const struct repo *r, const struct branch *first, struct str path,
		      struct entry *ret)
{
	struct branch b = *first, now;
	struct staged top, found;

	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		TRY(object_find(c, r, &b, path, &top, &found));
		if (top.state == STAGED_NOTHING) {
			TRY(branch_get(c, r, first->id, &now));
			if (!str_eq(now.raw, b.raw)) {
				b = now;
				continue;
			}
		}
		if (found.state != STAGED_ENTRY)
			return path_not_found(c);
		*ret = found.entry;
		return RC_OK;
	}
	return keeps_changing(c);
}

rc object_stat(struct vcall *c, const struct repo *r, struct str ref, struct str path,
	       struct entry *ret)
{
	struct ref at;

	if (!rc_ok(valid_path(path, NULL)))
		return path_not_found(c);
	TRY(ref_resolve(c, r, ref, &at));
	return at.is_branch ? stat_branch(c, r, &at.branch, path, ret)
			    : stat_commit(c, r, at.commit_id, path, ret);
}

/* Staging. */

static rc stage_always(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		       struct str value, bool *ret_sent)
{
	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct branch b;
		rc res;

		TRY(branch_get_open(c, r, branch, &b));
		res = staging_write(c, r, &b, path, value, ret_sent);
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return keeps_changing(c);
}

static bool same_entry(const struct entry *x, const struct entry *y)
{
	uint8_t idx[32], idy[32];

	if (x->address_type != y->address_type || !str_eq(x->address, y->address) ||
	    x->modified.s != y->modified.s || x->modified.ns != y->modified.ns)
		return false;
	/* Copies and changes of tags share both. */
	entry_identity(x, idx);
	entry_identity(y, idy);
	return memcmp(idx, idy, sizeof(idx)) == 0;
}

static bool same_time(struct timestamp given, struct timestamp t)
{
	return given.s == t.s && (given.ns == 0 || given.ns / 1000000 == t.ns / 1000000);
}

static bool matches(const struct object_match *m, const struct entry *e)
{
	return (!m->etag.p || str_eq(m->etag, STR("*")) || str_eq(m->etag, e->etag)) &&
	       (!m->has_modified || same_time(m->modified, e->modified)) &&
	       (!m->has_size || m->size == e->size) && (!m->same || same_entry(m->same, e));
}

/* A conditional write: of an entry or, without one, of a tombstone. */
struct change {
	struct str path, value;
	const struct entry *e;
	const struct object_match *match; /* NULL: there must be nothing */
};

/* What an earlier try sent, and what it saw. */
struct sent {
	struct str token;
	struct staged found;
};

/* Ours, left by a try before the branch moved: it was allowed then. */
static bool is_ours(const struct change *ch, const struct sent *s, const struct staged *found)
{
	if (!ch->e)
		return found->state == STAGED_NOTHING && found->token.p &&
		       str_eq(found->token, s->token);
	return found->state == STAGED_ENTRY && same_entry(&found->entry, ch->e);
}

/* A commit passed before our write was there: nobody has seen it, nobody else wrote. */
static bool is_unchanged(const struct sent *s, const struct staged *found)
{
	if (s->found.state != found->state)
		return false;
	if (found->state == STAGED_ENTRY)
		return same_entry(&found->entry, &s->found.entry);
	return !found->token.p || (s->found.token.p && str_eq(found->token, s->found.token));
}

/* What was sent may have counted. */
static rc conflict(struct vcall *c)
{
	return err_set(c->err, ERR_ConditionalRequestConflict,
		       "The object was changed by another request meanwhile; look at it and try again.");
}

static rc refused(struct vcall *c, const struct change *ch, const struct staged *found, bool sent)
{
	if (sent)
		return conflict(c);
	if (!ch->match)
		return err_set(c->err, ERR_PREDICATE, "path already exists");
	if (found->state != STAGED_ENTRY)
		return path_not_found(c);
	return err_set(c->err, ERR_PREDICATE, "the object is another one than the condition wants");
}

static bool holds(const struct change *ch, const struct staged *found)
{
	if (found->state != STAGED_ENTRY)
		return !ch->match;
	return ch->match && matches(ch->match, &found->entry);
}

/* That a condition fails, or that nothing is there, counts only if the branch is still the one that it was
 * looked up in: WOULD_BLOCK asks for another look. s: NULL until something was sent. */
static rc check_condition(struct vcall *c, const struct repo *r, const struct branch *b,
			  const struct change *ch, const struct sent *s,
			  const struct staged *found)
{
	bool good = s ? is_ours(ch, s, found) || (is_unchanged(s, found) && holds(ch, found))
		      : holds(ch, found);
	struct branch now;

	if (good && found->state == STAGED_ENTRY)
		return RC_OK;
	TRY(branch_get(c, r, b->id, &now));
	if (!str_eq(now.raw, b->raw))
		return RC(WOULD_BLOCK);
	return good ? RC_OK : refused(c, ch, found, s != NULL);
}

static rc stage_if(struct vcall *c, const struct repo *r, struct str branch,
		   const struct change *ch, bool *ret_sent)
{
	struct sent s = {0};

	for (unsigned i = 0; i < BRANCH_TRIES; i++) {
		struct staged top, found;
		struct branch b;
		bool now = false;
		rc res;

		TRY(branch_get_open(c, r, branch, &b));
		TRY(object_find(c, r, &b, ch->path, &top, &found));
		res = check_condition(c, r, &b, ch, *ret_sent ? &s : NULL, &found);
		if (rc_is(res, WOULD_BLOCK))
			continue;
		TRY(res);
		res = staging_replace(c, r, &b, ch->path, ch->value,
				      top.raw.p ? KV_IF_VALUE : KV_IF_ABSENT, top.raw, &now);
		if (now) {
			s = (struct sent){.token = b.staging_token, .found = found};
			*ret_sent = true;
		}
		if (!rc_is(res, PREDICATE))
			return res;
	}
	return *ret_sent ? conflict(c) : keeps_changing(c);
}

static rc check_path(const struct repo *r, struct str path, struct err *reterr)
{
	TRY(valid_path(path, reterr));
	return read_only_refused(r, reterr);
}

static rc check_write(struct vcall *c, const struct repo *r, struct str branch, struct str path)
{
	TRY(check_path(r, path, c->err));
	return protection_check(c, r, branch, PROTECT_STAGING);
}

rc object_stage(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		const struct entry *e, enum stage_cond cond, struct str etag, bool *ret_sent)
{
	const struct object_match match = {.etag = etag.p ? etag : STR("")};
	struct str value;

	*ret_sent = false;
	TRY(check_write(c, r, branch, path));
	TRY(entry_check(e, c->err));
	value = staged_encode(path, e, c->a);
	if (cond == STAGE_ALWAYS)
		return stage_always(c, r, branch, path, value, ret_sent);
	return stage_if(c, r, branch,
			&(struct change){.path = path,
					 .value = value,
					 .e = e,
					 .match = cond == STAGE_IF_ETAG ? &match : NULL},
			ret_sent);
}

rc object_replace(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		  const struct entry *was, const struct entry *e)
{
	const struct object_match match = {.same = was};
	bool sent = false;

	TRY(check_write(c, r, branch, path));
	TRY(entry_check(e, c->err));
	return stage_if(c, r, branch,
			&(struct change){.path = path,
					 .value = staged_encode(path, e, c->a),
					 .e = e,
					 .match = &match},
			&sent);
}

/* Each try that fails means that somebody else's change has been made. */
enum { CHANGE_TRIES = 20 };

rc object_change(struct vcall *c, const struct repo *r, struct str branch, struct str path,
		 rc (*change)(void *ud, struct entry *e), void *ud)
{
	rc res = RC_OK;

	for (unsigned i = 0; i < CHANGE_TRIES; i++) {
		struct entry was, e;

		TRY(object_stat(c, r, branch, path, &was));
		e = was;
		TRY(change(ud, &e));
		res = object_replace(c, r, branch, path, &was, &e);
		/* NOT_FOUND: it may be there again. Conflict: ours may have counted, and another one came after it: what is
		 * there then is changed. */
		if (!rc_is(res, PREDICATE) && !rc_is(res, NOT_FOUND) && !rc_is(res, ConditionalRequestConflict))
			return res;
	}
	return rc_is(res, NOT_FOUND) ? res : keeps_changing(c); /* what is read isn't a branch */
}

/* Deleting. */

static void delete_some(struct vcall *c, const struct repo *r, struct object_delete_item *items,
			size_t n)
{
	struct arena *a = arena_new();
	struct stage_item *s = arena_zalloc(a, n * sizeof(*s));
	struct err *errs = arena_zalloc(a, n * sizeof(*errs));

	for (size_t i = 0; i < n; i++)
		s[i] = (struct stage_item){
			.repo = r,
			.branch = items[i].branch,
			.path = items[i].path,
			.value = staged_encode(items[i].path, NULL, a),
			.tombstone = true,
			.err = &errs[i],
			.result = check_path(r, items[i].path, &errs[i]),
		};
	stage_many(c->v, s, n);
	for (size_t i = 0; i < n; i++) {
		struct err *kept = rc_ok(s[i].result) ? NULL : ARENA_NEW(c->a, struct err);

		if (kept)
			*kept = errs[i];
		items[i].result = s[i].result;
		items[i].err = kept;
	}
	arena_free(a);
}

static rc delete_if(struct vcall *c, const struct repo *r, const struct object_delete_item *item)
{
	const struct change ch = {.path = item->path,
				  .value = staged_encode(item->path, NULL, c->a),
				  .match = item->match};
	bool sent = false;

	TRY(check_write(c, r, item->branch, item->path));
	return stage_if(c, r, item->branch, &ch, &sent);
}

static void delete_one_if(struct vcall *c, const struct repo *r, struct object_delete_item *item)
{
	struct err *err = ARENA_NEW(c->a, struct err);
	struct vcall own = {.v = c->v, .a = c->a, .wait = c->wait, .err = err};

	item->result = delete_if(&own, r, item);
	item->err = rc_ok(item->result) ? NULL : err;
}

void objects_delete(struct vcall *c, const struct repo *r, struct object_delete_item *items,
		    size_t n)
{
	for (size_t i = 0, some; i < n; i += some) {
		for (some = 0; some < KV_WRITES_MAX && i + some < n && !items[i + some].match;)
			some++;
		if (some) {
			delete_some(c, r, items + i, some);
		} else {
			delete_one_if(c, r, &items[i]);
			some = 1;
		}
	}
}

rc object_delete(struct vcall *c, const struct repo *r, struct str branch, struct str path)
{
	struct object_delete_item item = {.branch = branch, .path = path};

	objects_delete(c, r, &item, 1);
	if (item.err && c->err)
		*c->err = *item.err;
	return item.result;
}
