/* Multipart uploads that nobody goes on with: as if their client had aborted them.
 *
 *   record, parts' records, store's parts --1--> no store's parts --2--> no parts' records --3--> gone
 *
 * The record goes last, so a sweep that died is repeated from any of these. A client who completes at
 * the same time wins or hears NoSuchUpload, as with any abort: an upload whose Complete has joined its
 * parts isn't known to the store any more, and the object's body isn't what is aborted. Of a repository
 * that is gone only the records are left to go; the store's parts have no record then, and their
 * folder's age tells (sweep_stores).
 *
 * A record without a repository's partition is lakeFS's: it is lakeFS's to end.
 */
#include <stdlib.h>

#include "base/digest.h"
#include "versions/hygiene_kinds.h"
#include "versions/upload_record.h"

enum { PARTS_PAGE = 500, RECORDED_MAX = 1 << 20 };

static int64_t ms_of(struct timestamp t)
{
	return t.s * 1000 + t.ns / 1000000;
}

static rc touched_since(struct vcall *c, const struct upload *u, int64_t since_ms, bool *ret)
{
	struct arena_mark m = arena_mark(c->a);
	struct upload_part *parts;
	bool more = true;
	unsigned after = 0;
	size_t n;

	*ret = false;
	while (more && !*ret) {
		TRY(upload_parts(c, u, after, PARTS_PAGE, &parts, &n, &more));
		for (size_t i = 0; i < n; i++) {
			*ret |= ms_of(parts[i].modified) >= since_ms;
			after = parts[i].number;
		}
		arena_rewind(c->a, m);
	}
	return RC_OK;
}

/* NOT_FOUND: that very repository is gone, whatever has its name now. */
static rc repo_of(struct vcall *c, struct str partition, struct repo *ret)
{
	size_t dash = partition.n;

	while (dash > 0 && partition.p[dash - 1] != '-')
		dash--;
	TRY(sweep_repo(c, str_head(partition, dash ? dash - 1 : 0), ret));
	return str_eq(ret->partition, partition) ? RC_OK : RC(NOT_FOUND);
}

static rc abort_in_store(struct vcall *c, struct upload_record *u)
{
	struct backend *b;
	struct repo r;
	rc res = repo_of(c, u->partition, &r);

	if (rc_is(res, NOT_FOUND))
		return RC_OK;
	TRY(res);
	TRY(repo_backend(c, &r, &b));
	if (!(b->caps & BACKEND_CAP_MULTIPART) || !b->blocking)
		return err_set(c->err, ERR_UNSUPPORTED, "store %.*s takes no multipart uploads",
			       STR_ARG(b->id));
	u->u.to.store_id = r.storage_id;
	u->u.to.space = r.storage_namespace;
	res = b->blocking->mpu_abort(b, &u->u.to, u->u.store_upload_id, c->err);
	return rc_is(res, NOT_FOUND) ? RC_OK : res;
}

static rc drop_upload(struct sweep *s, struct vcall *c, struct upload_record *u)
{
	struct str parts = key_join(c->a, u->u.id, STR("/"));
	bool done;

	TRY(abort_in_store(c, u));
	TRY(sweep_empty(s, c, PARTITION_PARTS, parts, &s->counts->parts, &done));
	if (!done)
		return RC_OK;
	TRY(sweep_delete(s, c, PARTITION_MULTIPARTS, u->u.id));
	s->counts->uploads++;
	return RC_OK;
}

static rc visit_upload(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	int64_t since_ms = s->now_ms - s->o->uploads_ms;
	struct upload_record u;
	bool touched;

	TRY(upload_decode(e.value, c->a, &u, c->err));
	if (u.partition.n == 0 || ms_of(u.u.created) >= since_ms)
		return RC_OK;
	u.u.id = e.key;
	TRY(touched_since(c, &u.u, since_ms, &touched));
	return touched ? RC_OK : drop_upload(s, c, &u);
}

void sweep_uploads(struct sweep *s)
{
	if (s->o->uploads_ms)
		sweep_each(s, PARTITION_MULTIPARTS, visit_upload, NULL);
}

/* Parts' records without an upload: one that was put while its upload ended, or a Complete that died
 * before its last step. An upload has its record before anybody knows its id. */

static rc visit_part(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	struct str id = str_head(e.key, str_index(e.key, '/')), raw;
	struct upload_part p;
	rc r = id.n ? kv_get(c->v->kv, KV_BLOCK, PARTITION_MULTIPARTS, id, c->a, &raw, c->err)
		    : RC(NOT_FOUND);

	if (rc_ok(r))
		s->resume = key_join(c->a, id, STR("0")); /* behind "<id>/..." */
	if (!rc_is(r, NOT_FOUND))
		return r;
	TRY(part_decode(e.value, c->a, &p, c->err));
	if (ms_of(p.modified) >= s->now_ms - s->o->parts_ms)
		return RC_OK;
	TRY(sweep_delete(s, c, PARTITION_PARTS, e.key));
	s->counts->parts++;
	return RC_OK;
}

void sweep_parts(struct sweep *s)
{
	if (s->o->parts_ms)
		sweep_each(s, PARTITION_PARTS, visit_part, NULL);
}

/* Stores. Which of their uploads have a record is only looked up when one is found that is old enough:
 * one that was made since is too young. Hashes: one that two have keeps garbage, no more. */

struct recorded {
	struct sweep *s;
	uint64_t *hashes;
	size_t n, cap;
	bool read, known;
};

static uint64_t hash_of(struct str id)
{
	uint8_t md5[DIGEST_MAX];
	uint64_t h;

	digest_of(DIGEST_MD5, id, md5);
	memcpy(&h, md5, sizeof(h));
	return h;
}

static rc visit_recorded(struct sweep *s, struct vcall *c, struct kv_entry e, void *ud)
{
	struct recorded *all = ud;
	struct upload_record u;

	TRY(upload_decode(e.value, c->a, &u, c->err));
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 256;
		all->hashes = realloc(all->hashes, all->cap * sizeof(*all->hashes));
		if (!all->hashes)
			abort();
	}
	all->hashes[all->n++] = hash_of(u.u.store_upload_id);
	s->left--;
	return RC_OK;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void read_recorded(struct recorded *all)
{
	struct hygiene_counts none = {0};
	struct err err = {0};
	struct sweep s = {.o = all->s->o,
			  .counts = &none,
			  .left = RECORDED_MAX,
			  .first = RC_OK,
			  .err = &err};

	all->read = true;
	sweep_each(&s, PARTITION_MULTIPARTS, visit_recorded, all);
	all->known = none.failures == 0 && !none.more && !sweep_stopped(&s);
	if (all->n)
		qsort(all->hashes, all->n, sizeof(*all->hashes), compare);
}

static bool is_recorded(void *ud, struct str upload_id)
{
	struct recorded *all = ud;
	uint64_t h = hash_of(upload_id);

	if (!all->read)
		read_recorded(all);
	return !all->known ||
	       (all->n && bsearch(&h, all->hashes, all->n, sizeof(h), compare) != NULL);
}

/* A store's upload outlives its record by the age of a temporary. */
static struct backend_sweep sweep_of(struct sweep *s, struct recorded *all, struct err *err)
{
	const struct hygiene_options *o = s->o;
	const int64_t never = INT64_C(1) << 40;

	return (struct backend_sweep){
		.now_s = s->now_ms / 1000,
		.temporaries_s = o->temporaries_ms ? (o->temporaries_ms + 999) / 1000 : never,
		.uploads_s = o->uploads_ms && o->temporaries_ms
				     ? (o->uploads_ms + o->temporaries_ms + 999) / 1000
				     : 0,
		.recorded = is_recorded,
		.ud = all,
		.max = s->left,
		.stop = o->stop,
		.err = err,
	};
}

void sweep_stores(struct sweep *s)
{
	struct registry *stores = versions_registry(s->o->versions);
	struct recorded all = {.s = s};

	for (size_t i = 0; i < registry_count(stores) && !sweep_over(s); i++) {
		struct backend *b = registry_at(stores, i)->b;
		struct err err = {0};
		struct backend_sweep w = sweep_of(s, &all, &err);
		rc r;

		if (!b->blocking || !b->blocking->sweep)
			continue;
		r = b->blocking->sweep(b, &w);
		s->counts->store_files += w.files;
		s->counts->store_uploads += w.uploads;
		s->left -= w.files + w.uploads;
		if (!rc_ok(r))
			sweep_failed(s, "left-overs in the store", b->id, r, &err);
	}
	registry_unref(stores);
	free(all.hashes);
}
