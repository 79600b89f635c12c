#include "versions/gc_uncommitted.h"

#include <stdlib.h>

#include "base/encode.h"
#include "base/json.h"
#include "versions/branch.h"
#include "versions/entry.h"
#include "versions/internal.h"
#include "versions/parquet.h"

enum { PAGE = 1000, BRANCHES = 100, MARK_MAX = 8192 };

/* Where a run is: within a branch, of it a token, of it a path; each but the branch may be unknown. */
struct mark {
	struct str run_id, branch, token, path;
};

struct listing {
	struct vcall *c;
	const struct repo *r;
	struct str space; /* the namespace, with its slash */
	struct mark at;
	struct arena *at_a; /* of at's branch, token and path */
	struct parquet *rows;
	int64_t until_ms;
	bool full; /* at says where to go on */
};

/* Marks. */

static struct str text_of(const struct json *j, const char *key)
{
	struct str s = json_str(json_member(j, key));

	return s.p ? s : STR("");
}

static rc bad_mark(struct vcall *c)
{
	return err_set(c->err, ERR_INVALID, "invalid continuation token");
}

static rc read_mark(struct vcall *c, struct str mark, struct mark *ret)
{
	uint32_t seconds;
	struct json *j;
	struct str text;

	if (mark.n > MARK_MAX || !base64url_decode(c->a, mark, &text) || !rc_ok(json_parse(c->a, text, &j, NULL)))
		return bad_mark(c);
	*ret = (struct mark){.run_id = text_of(j, "run_id"),
			     .branch = text_of(j, "branch"),
			     .token = text_of(j, "token"),
			     .path = text_of(j, "path")};
	/* It names a folder. */
	if (!xid_valid(ret->run_id, &seconds) || !ret->branch.n || ret->token.n > KV_PARTITION_MAX ||
	    ret->path.n > KV_KEY_MAX)
		return bad_mark(c);
	return RC_OK;
}

static struct str write_mark(struct arena *a, const struct mark *m)
{
	struct buf b = BUF_INIT(MARK_MAX);
	struct json_out w = {.to = &b};
	struct str text;

	jw_object(&w, NULL);
	jw_str(&w, "run_id", m->run_id);
	jw_str(&w, "branch", m->branch);
	jw_str(&w, "token", m->token);
	jw_str(&w, "path", m->path);
	jw_end_object(&w);
	text = base64url_encode(a, buf_str(&b));
	buf_deinit(&b);
	return text;
}

static struct mark first_mark(struct arena *a)
{
	char id[XID_CHARS + 1];

	xid_descending(id);
	return (struct mark){.run_id = arena_dup(a, str_c(id)), .branch = STR(""), .token = STR(""), .path = STR("")};
}

static void set_mark(struct listing *l, struct str branch, struct str token, struct str path)
{
	struct arena *a = arena_new();

	l->at.branch = arena_dup(a, branch);
	l->at.token = arena_dup(a, token);
	l->at.path = arena_dup(a, path);
	arena_free(l->at_a);
	l->at_a = a;
}

/* Entries. */

/* The address below the namespace; STR_NONE of one that lies elsewhere. */
static struct str own_address(const struct listing *l, const struct entry *e)
{
	if (e->address_type != ADDRESS_FULL)
		return e->address;
	return str_starts(e->address, l->space) ? str_skip(e->address, l->space.n) : STR_NONE;
}

static rc add(struct listing *l, const struct kv_entry *staged, struct arena *a)
{
	bool tombstone;
	struct entry e;
	struct str address;

	TRY(staged_decode(staged->value, a, &e, &tombstone, l->c->err));
	if (tombstone)
		return RC_OK;
	address = own_address(l, &e);
	if (address.p && !parquet_add(l->rows, address, e.modified.s))
		l->full = true;
	return RC_OK;
}

/* One page of a token, behind l->at.path. *ret_end: the token has no more. */
static rc add_page(struct listing *l, struct str branch, struct str token, bool *ret_end)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct arena *a = arena_new();
	struct str from = l->at.path.n ? arena_join(a, (struct str[]){l->at.path, {"", 1}}, 2) : STR("");
	struct str last = l->at.path;
	struct kv_entry e;
	rc result = kv_scan(l->c->v->kv, token, from, PAGE, &it, l->c->err);

	*ret_end = false;
	for (unsigned i = 0; i < PAGE && rc_ok(result) && !l->full && !*ret_end; i++) {
		result = kv_iter_next(it, &e, ret_end, l->c->err);
		if (!rc_ok(result) || *ret_end)
			break;
		result = add(l, &e, a);
		if (rc_ok(result) && !l->full)
			last = arena_dup(a, e.key);
	}
	l->full |= mono_ms() > l->until_ms && !*ret_end;
	set_mark(l, branch, token, last);
	arena_free(a);
	return result;
}

static rc add_token(struct listing *l, struct str branch, struct str token)
{
	bool end = false;

	while (!end && !l->full)
		TRY(add_page(l, branch, token, &end));
	return RC_OK;
}

/* The i-th token of a branch, the oldest first. */
static struct str token_at(const struct branch *b, size_t i)
{
	return i < b->sealed_n ? b->sealed[b->sealed_n - 1 - i] : b->staging_token;
}

static rc add_branch(struct listing *l, const struct branch *b)
{
	size_t n = b->sealed_n + 1, first = 0;

	if (!str_eq(b->id, l->at.branch))
		set_mark(l, b->id, STR(""), STR(""));
	/* One that is there no more was committed, and with it all that are older. */
	while (first < n && !str_eq(token_at(b, first), l->at.token))
		first++;
	if (first == n)
		first = 0;
	for (size_t i = first; i < n && !l->full; i++) {
		if (!str_eq(token_at(b, i), l->at.token))
			set_mark(l, b->id, token_at(b, i), STR(""));
		if (token_at(b, i).n)
			TRY(add_token(l, b->id, token_at(b, i)));
	}
	return RC_OK;
}

static rc find_branch(struct vcall *c, const struct repo *r, struct str name, struct branch *ret, bool *ret_found)
{
	rc found = name.n ? branch_get(c, r, name, ret) : RC(NOT_FOUND);

	*ret_found = rc_ok(found);
	return rc_is(found, NOT_FOUND) ? RC_OK : found;
}

/* The branch of the mark, if it is still there, then those behind it. */
static rc add_all(struct listing *l, struct arena *names, struct str *after)
{
	struct vcall c = {.v = l->c->v, .a = names, .wait = KV_BLOCK, .err = l->c->err};
	struct branch *list, one;
	bool more = true, found;
	size_t n;

	TRY(find_branch(&c, l->r, l->at.branch, &one, &found));
	if (found)
		TRY(add_branch(l, &one));
	while (more && !l->full) {
		TRY(branch_list(&c, l->r, STR(""), *after, BRANCHES, true, &list, &n, &more));
		for (size_t i = 0; i < n && !l->full; i++) {
			*after = list[i].id;
			TRY(add_branch(l, &list[i]));
		}
	}
	return RC_OK;
}

static rc gather(struct listing *l)
{
	struct arena *names = arena_new();
	struct str after = l->at.branch.n ? arena_dup(names, l->at.branch) : STR_NONE;
	rc result = add_all(l, names, &after);

	arena_free(names);
	return result;
}

/* The file. */

static rc write_file(struct listing *l, struct str folder)
{
	struct buf file = BUF_INIT(2 * (size_t)l->c->v->gc.file_bytes + (1 << 20));
	const struct backend_put_options o = {.content_type = STR("application/vnd.apache.parquet")};
	char id[XID_CHARS + 1];
	struct object_ptr to = {.store_id = l->r->storage_id, .space = l->r->storage_namespace, .type = ADDRESS_RELATIVE};
	struct backend_stat st;
	struct backend *b;
	rc put;

	xid_now(id);
	to.key = arena_printf(l->c->a, STR_FMT "/%s", STR_ARG(folder), id);
	TRY(repo_backend(l->c, l->r, &b));
	put = parquet_finish(l->rows, &file)
		      ? backend_put_now(b, &to, &o, body_mem_new(l->c->a, buf_str(&file)), l->c->a, &st, l->c->err)
		      : err_set(l->c->err, ERR_InternalError, "a list of uncommitted objects is too large to be written");
	buf_deinit(&file);
	return put;
}

static rc run(struct listing *l, struct gc_listed *ret)
{
	struct str folder;

	TRY(gather(l));
	*ret = (struct gc_listed){.run_id = l->at.run_id, .location = STR(""), .mark = STR_NONE};
	if (l->full)
		ret->mark = write_mark(l->c->a, &l->at);
	if (!parquet_rows(l->rows))
		return RC_OK;
	folder = arena_printf(l->c->a, "%s/retention/gc/uncommitted/" STR_FMT "/uncommitted", l->c->v->block_prefix,
			      STR_ARG(l->at.run_id));
	TRY(write_file(l, folder));
	ret->location = repo_address(l->r, folder, l->c->a);
	return RC_OK;
}

rc gc_list_uncommitted(struct vcall *c, const struct repo *r, struct str mark, struct gc_listed *ret)
{
	struct listing l = {.c = c, .r = r, .at = first_mark(c->a), .until_ms = mono_ms() + c->v->gc.call_ms};
	rc result;

	TRY(read_only_refused(r, c->err));
	if (mark.n)
		TRY(read_mark(c, mark, &l.at));
	l.space = repo_address(r, STR(""), c->a);
	l.rows = parquet_new((size_t)c->v->gc.file_bytes);
	result = run(&l, ret);
	parquet_freep(&l.rows);
	arena_free(l.at_a);
	return result;
}
