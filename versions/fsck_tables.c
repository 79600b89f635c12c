/* Metaranges, ranges, bodies: what is in the store. Each table's identity is computed from its bytes, then its records
 * are walked; it is had from the store, not from a cache. */
#include "base/encode.h"
#include "versions/fsck_priv.h"
#include "versions/object.h"
#include "versions/range_info.h"
#include "versions/sstable_format.h"

enum { LIST_PAGE = 1000, TICK_ENTRIES = 1000 };

/* What a table turned out to hold. */
struct content {
	struct buf min, max;
	int64_t count;
};

typedef rc record_fn(struct fsck *f, struct vcall *c, struct str table, const struct record *record,
		     void *ud);

static struct str named(struct arena *a, const char *kind, struct str id)
{
	return arena_printf(a, "%s " STR_FMT, kind, STR_ARG(str_head(id, 256)));
}

static bool is_table_name(struct arena *a, struct str id)
{
	struct str raw;

	return id.n == SSTABLE_ID_LEN && hex_decode(a, id, &raw);
}

/* Its bytes are what its name says. *ret NULL: they aren't, which was told. */
static rc open_table(struct fsck *f, struct vcall *c, struct str thing, struct str id, struct str named_by,
		     struct sstable **ret)
{
	char identity[SSTABLE_ID_LEN + 1];
	struct sstable *t = NULL;
	rc r;

	*ret = NULL;
	if (!is_table_name(c->a, id)) {
		fsck_found(f, FSCK_DAMAGED, named_by, STR(""), "it names a table by what is no table's name");
		return RC_OK;
	}
	if (!f->as_readers)
		table_damaged(c->v, f->r, id);
	r = table_get(c, f->r, id, &t);
	if (rc_ok(r) && !f->as_readers)
		r = sstable_identity(t, identity, NULL, c->err);
	if (rc_ok(r) && !f->as_readers && !str_eq(str_c(identity), id))
		r = err_set(c->err, ERR_CORRUPT, "its content has the identity %s", identity);
	if (rc_ok(r)) {
		*ret = t;
		return RC_OK;
	}
	sstable_unref(t);
	return fsck_judge(f, r, thing, named_by);
}

static rc walk(struct fsck *f, struct vcall *c, struct sstable *t, struct str id, record_fn *visit, void *ud)
{
	struct sstable_iter *it = sstable_iter_new(t, SSTABLE_PASSING);
	struct arena_mark m = arena_mark(c->a);
	rc result = RC_OK;

	for (;;) {
		struct sstable_record at;
		struct record record;
		bool end;

		result = sstable_iter_next(it, &at, &end, c->err);
		if (!rc_ok(result) || end)
			break;
		result = record_decode(at.key, at.value, &record, c->err);
		if (rc_ok(result))
			result = visit(f, c, id, &record, ud);
		if (!rc_ok(result))
			break;
		arena_rewind(c->a, m);
	}
	sstable_iter_close(it);
	return result;
}

/* Ranges. */

rc fsck_body(struct fsck *f, struct vcall *c, const struct entry *e, struct str named_by, struct str path)
{
	struct object_ptr at = object_pointer(f->r, e);
	struct backend_stat st;
	struct str thing, by;
	rc found;

	if (f->hooks && f->hooks->body)
		return f->hooks->body(f, c, e, named_by, path);
	if (!f->o->bodies || e->address_type != ADDRESS_RELATIVE || id_set_add(f->bodies, e->address))
		return RC_OK;
	f->n->bodies++;
	if (f->there && id_set_has(f->there, fsck_listed(c->a, e->address, (uint64_t)e->size)))
		return RC_OK;
	thing = named(c->a, "body", e->address);
	by = arena_printf(c->a, STR_FMT ", path " STR_FMT, STR_ARG(named_by), STR_ARG(path));
	found = backend_head_now(f->store, &at, c->a, &st, c->err);
	if (!rc_ok(found))
		return fsck_judge(f, found, thing, by);
	if (st.size != (uint64_t)e->size)
		fsck_found(f, FSCK_DAMAGED, thing, by,
			   arena_cstr(c->a, arena_printf(c->a, "it has %llu bytes, not %lld",
							 (unsigned long long)st.size, (long long)e->size)));
	return RC_OK;
}

static rc visit_entry(struct fsck *f, struct vcall *c, const struct record *record, struct str by)
{
	uint8_t identity[IDENTITY_BYTES];
	struct entry e;

	f->n->entries++;
	TRY(entry_decode(record->data, c->a, &e, c->err));
	entry_identity(&e, identity);
	if (!str_eq(record->identity, str_make(identity, sizeof(identity))))
		fsck_found(f, FSCK_DAMAGED, named(c->a, "entry", record->key), by,
			   "its identity isn't that of its content");
	return fsck_body(f, c, &e, by, record->key);
}

static rc visit_record(struct fsck *f, struct vcall *c, struct str table, const struct record *record,
		       void *ud)
{
	struct content *is = ud;
	struct str by = named(c->a, "range", table);

	if (is->count++ == 0)
		buf_add(&is->min, record->key);
	buf_reset(&is->max);
	buf_add(&is->max, record->key);
	if (is->count % TICK_ENTRIES == 0)
		TRY(fsck_tick(f));
	return f->record ? f->record(f, c, record, by) : visit_entry(f, c, record, by);
}

static const char *difference(const struct content *is, const struct range_info *said)
{
	if (!str_eq(buf_str(&is->min), said->min) || !str_eq(buf_str(&is->max), said->max))
		return "its first or last key isn't what the metarange says";
	return is->count == said->count ? NULL : "it has another number of entries than the metarange says";
}

static rc after_table(struct fsck *f, struct vcall *c, struct str id, uint64_t bytes)
{
	return f->hooks && f->hooks->table ? f->hooks->table(f, c, id, bytes) : RC_OK;
}

static rc check_range(struct fsck *f, struct vcall *c, const struct range_info *said, struct str named_by);

/* What a cache damaged is whole in the store. */
static rc range_from_store(struct fsck *f, struct vcall *c, const struct range_info *said, struct str named_by)
{
	rc r;

	f->as_readers = false;
	f->n->tables--;
	r = check_range(f, c, said, named_by);
	f->as_readers = true;
	return r;
}

static rc check_range(struct fsck *f, struct vcall *c, const struct range_info *said, struct str named_by)
{
	struct str thing = named(c->a, "range", said->id);
	struct content is = {.min = BUF_INIT(SSTABLE_KEY_MAX), .max = BUF_INIT(SSTABLE_KEY_MAX)};
	uint64_t bytes;
	struct sstable *t;
	bool whole;
	rc walked;

	if (!f->bodies_once)
		id_set_reset(f->bodies);
	f->n->tables++;
	TRY(open_table(f, c, thing, said->id, named_by, &t));
	if (!t)
		return RC_OK;
	walked = walk(f, c, t, said->id, visit_record, &is);
	bytes = sstable_file_bytes(t);
	sstable_unref(t);
	whole = rc_ok(walked);
	if (rc_is(walked, CORRUPT) && f->as_readers)
		walked = range_from_store(f, c, said, named_by);
	else if (!whole)
		walked = fsck_judge(f, walked, thing, named_by);
	else if (difference(&is, said))
		fsck_found(f, FSCK_DAMAGED, thing, named_by, difference(&is, said));
	buf_deinit(&is.min);
	buf_deinit(&is.max);
	return whole ? after_table(f, c, said->id, bytes) : walked;
}

/* What was cut off has lost its end: the size alone can't tell, nobody noted it. */
static rc check_end(struct fsck *f, struct vcall *c, const struct range_info *said, struct str named_by)
{
	struct str thing = named(c->a, "range", said->id);
	struct object_ptr at = repo_pointer(f->r, table_key(c, said->id));
	char end[SST_FOOTER];
	struct backend_stat st;
	size_t n = 0;
	rc found;

	f->n->tables++;
	found = backend_head_now(f->store, &at, c->a, &st, c->err);
	if (rc_ok(found) && st.size >= sizeof(end))
		found = backend_read_now(f->store, &at, st.size - sizeof(end), end, sizeof(end), &n, c->err);
	if (!rc_ok(found))
		return fsck_judge(f, found, thing, named_by);
	if (n != sizeof(end) || memcmp(end + n - 8, SST_MAGIC, 8) != 0)
		fsck_found(f, FSCK_DAMAGED, thing, named_by, "its end is cut off");
	return RC_OK;
}

/* Metaranges. */

struct order {
	struct buf last; /* key of the range before */
	bool any;
};

static rc visit_range(struct fsck *f, struct vcall *c, struct str table, const struct record *record,
		      void *ud)
{
	struct order *order = ud;
	struct str by = named(c->a, "metarange", table);
	struct range_info said;

	TRY(fsck_tick(f));
	TRY(range_info_decode(record, &said, c->err));
	if (!str_eq(record->key, said.max) || str_cmp(said.min, said.max) > 0 ||
	    (order->any && str_cmp(said.min, buf_str(&order->last)) <= 0))
		fsck_found(f, FSCK_DAMAGED, by, STR(""), "its ranges don't follow one another");
	order->any = true;
	buf_reset(&order->last);
	buf_add(&order->last, said.max);
	id_set_add(f->tables, said.id);
	/* What was true of the range once stays true. */
	if (id_set_add(f->tables, key_join(c->a, record->identity, record->data)))
		return RC_OK;
	return f->ends_only ? check_end(f, c, &said, by) : check_range(f, c, &said, by);
}

static rc check_metarange(struct fsck *f, struct vcall *c, struct str id, struct str named_by);

static rc metarange_from_store(struct fsck *f, struct vcall *c, struct str id, struct str named_by)
{
	rc r;

	f->as_readers = false;
	f->n->tables--;
	r = check_metarange(f, c, id, named_by);
	f->as_readers = true;
	return r;
}

static rc check_metarange(struct fsck *f, struct vcall *c, struct str id, struct str named_by)
{
	struct str thing = named(c->a, "metarange", id);
	struct order order = {.last = BUF_INIT(SSTABLE_KEY_MAX)};
	uint64_t bytes;
	struct sstable *t;
	rc walked;

	f->n->tables++;
	TRY(open_table(f, c, thing, id, named_by, &t));
	if (!t)
		return RC_OK;
	walked = walk(f, c, t, id, visit_range, &order);
	bytes = sstable_file_bytes(t);
	sstable_unref(t);
	buf_deinit(&order.last);
	if (rc_is(walked, CORRUPT) && f->as_readers)
		return metarange_from_store(f, c, id, named_by);
	return rc_ok(walked) ? after_table(f, c, id, bytes) : fsck_judge(f, walked, thing, named_by);
}

rc fsck_metarange(struct fsck *f, struct str id, struct str named_by)
{
	struct arena *a;
	struct vcall c;
	rc result;

	if (!id.n || id_set_add(f->tables, id))
		return RC_OK;
	a = arena_new();
	c = fsck_call(f, a);
	result = check_metarange(f, &c, id, named_by);
	arena_free(a);
	return result;
}

rc fsck_table_there(struct fsck *f, struct vcall *c, struct str kind, struct str id, struct str named_by)
{
	struct str thing = arena_printf(c->a, STR_FMT " " STR_FMT, STR_ARG(kind), STR_ARG(str_head(id, 256)));
	bool there;

	if (!is_table_name(c->a, id)) {
		fsck_found(f, FSCK_DAMAGED, named_by, STR(""), "it names a table by what is no table's name");
		return RC_OK;
	}
	f->n->tables++;
	if (f->there && id_set_has(f->there, table_key(c, id)))
		return RC_OK;
	TRY(table_exists(c, f->r, id, &there));
	if (!there)
		fsck_found(f, FSCK_MISSING, thing, named_by, "it isn't there");
	return RC_OK;
}

struct str fsck_listed(struct arena *a, struct str key, uint64_t size)
{
	const struct str pieces[] = {key, str_make((const char *)&size, sizeof(size))};

	return arena_join(a, pieces, 2);
}

/* Garbage. */

static rc visit_listed(struct fsck *f, struct vcall *c, size_t prefix, const struct backend_list_entry *e)
{
	struct str id = str_skip(e->key, prefix), raw;

	/* Newer than the check: a commit's that wasn't seen. */
	if (id.n != SSTABLE_ID_LEN || !hex_decode(c->a, id, &raw) || id_set_has(f->tables, id) ||
	    e->stat.mtime_s >= f->began.s - 1)
		return RC_OK;
	f->n->unreachable_bytes += (int64_t)e->stat.size;
	fsck_found(f, FSCK_UNREACHABLE, named(c->a, "table", id), STR(""),
		   "no commit names it: of a dump, of a commit that wasn't finished, or of another "
		   "repository in this namespace");
	return RC_OK;
}

static rc list_page(struct fsck *f, struct vcall *c, struct str prefix, struct str *after, bool *ret_more)
{
	struct backend_list_entry *list;
	size_t n;

	TRY(f->store->blocking->list(f->store, f->r->storage_namespace, prefix, *after, LIST_PAGE, c->a,
				     &list, &n, ret_more, c->err));
	for (size_t i = 0; i < n; i++)
		TRY(visit_listed(f, c, prefix.n, &list[i]));
	*ret_more &= n > 0;
	if (n)
		*after = list[n - 1].key;
	return fsck_tick(f);
}

rc fsck_garbage(struct fsck *f)
{
	struct str prefix = arena_printf(f->c->a, "%s/", f->c->v->block_prefix), after = STR_NONE;
	struct arena *before = arena_new();
	bool more = !id_set_full(f->tables) && f->store->blocking && f->store->blocking->list;
	rc result = RC_OK;

	while (more && rc_ok(result)) {
		struct arena *a = arena_new();
		struct vcall c = fsck_call(f, a);

		result = list_page(f, &c, prefix, &after, &more);
		arena_free(before); /* what `after` was in */
		before = a;
	}
	arena_free(before);
	return result;
}
