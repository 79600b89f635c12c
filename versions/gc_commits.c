#include "versions/gc_commits.h"

#include <stdlib.h>

#include "base/buf.h"
#include "versions/branch.h"
#include "versions/commit_record.h"
#include "versions/commit_walk.h"
#include "versions/gc_rules.h"
#include "versions/internal.h"

enum { PAGE = 256, DAY_S = 86400 };

/* Notes on commits. */
enum { MAIN_PARENT = 1, WALKED = 2, ACTIVE = 4 };

struct start {
	int32_t days;
	struct str commit;
};

struct prepare {
	struct vcall *c;
	const struct repo *r;
	struct gc_rules rules;
	struct walk *notes; /* its notes alone are used */
	int64_t now_s;
	struct start *heads;
	size_t heads_n, heads_cap;
	struct progress *progress;
	int64_t done;
};

static void prepare_deinit(struct prepare *p)
{
	walk_freep(&p->notes);
	free(p->heads);
}

static rc tick(struct prepare *p)
{
	return p->progress ? p->progress->tick(p->progress, ++p->done, p->c->err) : RC_OK;
}

/* "" of a commit without parents. lakeFS's oldest commits have the source of a merge first. */
static struct str main_parent(const struct commit *commit)
{
	if (!commit->parents_n)
		return STR("");
	return commit->parents[commit->version == 0 ? commit->parents_n - 1 : 0];
}

/* Every commit, a page of them at a time. */

struct pages {
	struct prepare *p;
	struct arena *a; /* of this page */
	struct str from; /* of the next page; in an arena of its own, below */
	struct arena *from_a;
	struct commit list[PAGE];
	size_t n;
	bool end;
};

static void pages_init(struct pages *g, struct prepare *p)
{
	*g = (struct pages){.p = p, .a = arena_new(), .from_a = arena_new(), .from = STR("commits/")};
}

static void pages_deinit(struct pages *g)
{
	arena_free(g->a);
	arena_free(g->from_a);
}

static rc take_commit(struct pages *g, const struct kv_entry *e)
{
	static const struct str prefix = STR("commits/");
	struct commit *to = &g->list[g->n];

	TRY(commit_decode(arena_dup(g->a, e->value), g->a, to, g->p->c->err));
	to->id = arena_dup(g->a, str_skip(e->key, prefix.n));
	g->n++;
	return RC_OK;
}

static rc read_page(struct pages *g)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct vcall *c = g->p->c;
	struct kv_entry e;
	bool end;

	TRY(kv_scan(c->v->kv, g->p->r->partition, g->from, PAGE, &it, c->err));
	while (g->n < PAGE) {
		TRY(kv_iter_next(it, &e, &end, c->err));
		g->end = end || !str_starts(e.key, STR("commits/"));
		if (g->end)
			return RC_OK;
		TRY(take_commit(g, &e));
	}
	return RC_OK;
}

/* g->n 0 at the end. */
static rc next_page(struct pages *g)
{
	arena_free(g->a);
	g->a = arena_new();
	g->n = 0;
	if (g->end)
		return RC_OK;
	TRY(read_page(g));
	if (g->n) {
		struct str last = g->list[g->n - 1].id;

		arena_free(g->from_a);
		g->from_a = arena_new();
		g->from = arena_join(g->from_a, (struct str[]){STR("commits/"), last, {"", 1}}, 3);
	}
	return RC_OK;
}

static rc each_commit(struct prepare *p, rc (*visit)(struct prepare *p, const struct commit *commit))
{
	struct pages g;
	rc result;

	pages_init(&g, p);
	do {
		result = next_page(&g);
		for (size_t i = 0; i < g.n && rc_ok(result); i++) {
			result = visit(p, &g.list[i]);
			if (rc_ok(result))
				result = tick(p);
		}
	} while (rc_ok(result) && g.n);
	pages_deinit(&g);
	return result;
}

/* Walks, the longest retention first: where one has been, a shorter one finds nothing more. */

static bool is_young(const struct prepare *p, const struct commit *commit, int32_t days)
{
	return commit->created.s > p->now_s - (int64_t)days * DAY_S;
}

static rc walk(struct prepare *p, struct str id, int32_t days)
{
	struct arena *a = arena_new();
	rc result = RC_OK;

	id = arena_dup(a, id);
	while (id.n && rc_ok(result) && !(*walk_note(p->notes, id) & WALKED)) {
		struct arena *next = arena_new();
		struct vcall c = {.v = p->c->v, .a = next, .wait = KV_BLOCK, .err = p->c->err};
		struct commit commit;

		*walk_note(p->notes, id) |= WALKED;
		result = commit_get(&c, p->r, id, &commit);
		id = rc_ok(result) && is_young(p, &commit, days) ? main_parent(&commit) : STR("");
		if (id.n)
			*walk_note(p->notes, id) |= ACTIVE;
		if (rc_ok(result))
			result = tick(p);
		arena_free(a);
		a = next;
	}
	arena_free(a);
	return result;
}

static rc note_parent(struct prepare *p, const struct commit *commit)
{
	struct str parent = main_parent(commit);

	if (parent.n)
		*walk_note(p->notes, parent) |= MAIN_PARENT;
	return RC_OK;
}

static rc walk_dangling(struct prepare *p, const struct commit *commit)
{
	if (*walk_note(p->notes, commit->id) & MAIN_PARENT)
		return RC_OK;
	return walk(p, commit->id, p->rules.default_days);
}

static int32_t days_of(const struct prepare *p, struct str branch)
{
	for (size_t i = 0; i < p->rules.n; i++)
		if (str_eq(p->rules.branches[i].branch, branch))
			return p->rules.branches[i].days;
	return p->rules.default_days;
}

static void add_head(struct prepare *p, const struct branch *b)
{
	if (!b->commit_id.n)
		return;
	if (p->heads_n == p->heads_cap) {
		p->heads_cap = p->heads_cap ? 2 * p->heads_cap : 64;
		p->heads = reallocarray(p->heads, p->heads_cap, sizeof(*p->heads));
		if (!p->heads)
			abort();
	}
	p->heads[p->heads_n++] = (struct start){days_of(p, b->id), arena_dup(p->c->a, b->commit_id)};
	*walk_note(p->notes, b->commit_id) |= ACTIVE;
}

static rc read_heads(struct prepare *p)
{
	struct str after = STR_NONE;
	bool more = true;

	while (more) {
		struct arena *a = arena_new();
		struct vcall c = {.v = p->c->v, .a = a, .wait = KV_BLOCK, .err = p->c->err};
		struct branch *list;
		size_t n = 0;
		rc listed = branch_list(&c, p->r, STR(""), after, PAGE, true, &list, &n, &more);

		for (size_t i = 0; i < n && rc_ok(listed); i++)
			add_head(p, &list[i]);
		if (n && rc_ok(listed))
			after = arena_dup(p->c->a, list[n - 1].id);
		arena_free(a);
		TRY(listed);
	}
	return RC_OK;
}

static int longest_first(const void *x, const void *y)
{
	const struct start *a = x, *b = y;

	return (a->days < b->days) - (a->days > b->days);
}

static rc walk_heads(struct prepare *p, size_t *at, int32_t least)
{
	for (; *at < p->heads_n && p->heads[*at].days >= least; ++*at)
		TRY(walk(p, p->heads[*at].commit, p->heads[*at].days));
	return RC_OK;
}

/* Branches first and their commits afterwards: one that is made meanwhile stands on what was read. */
static rc mark(struct prepare *p)
{
	size_t at = 0;

	TRY(read_heads(p));
	if (p->heads_n)
		qsort(p->heads, p->heads_n, sizeof(*p->heads), longest_first);
	TRY(each_commit(p, note_parent));
	TRY(walk_heads(p, &at, p->rules.default_days));
	TRY(each_commit(p, walk_dangling));
	return walk_heads(p, &at, 0);
}

/* The file, made as it is written. */

struct csv {
	struct body body;
	struct pages pages;
	size_t at;       /* in the page */
	struct buf text; /* not taken yet, from `taken` on */
	size_t taken;
	bool begun;
};

static enum body_state csv_fill(struct csv *f, struct err *reterr)
{
	struct prepare *p = f->pages.p;

	buf_reset(&f->text);
	f->taken = 0;
	if (!f->begun)
		buf_add_cstr(&f->text, "commit_id,expired,metarange_id\n");
	f->begun = true;
	while (!f->text.n) {
		rc read = next_page(&f->pages);

		if (!rc_ok(read)) {
			*reterr = *p->c->err;
			return BODY_FAIL;
		}
		if (!f->pages.n)
			return BODY_END;
		for (size_t i = 0; i < f->pages.n; i++) {
			const struct commit *commit = &f->pages.list[i];

			if (*walk_note(p->notes, commit->id) & ACTIVE)
				buf_printf(&f->text, STR_FMT ",false," STR_FMT "\n", STR_ARG(commit->id),
					   STR_ARG(commit->meta_range_id));
		}
	}
	return BODY_MORE;
}

static enum body_state csv_pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct csv *f = (struct csv *)b;

	if (f->taken == f->text.n) {
		enum body_state s = csv_fill(f, reterr);

		if (s != BODY_MORE)
			return s;
	}
	*ret_n = f->text.n - f->taken < cap ? f->text.n - f->taken : cap;
	memcpy(dst, f->text.p + f->taken, *ret_n);
	f->taken += *ret_n;
	return BODY_MORE;
}

/* It never waits. */
static void csv_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	abort();
}

static const struct body_ops csv_ops = {.name = "gc-commits", .pull = csv_pull, .arm = csv_arm};

static rc write_csv(struct prepare *p, struct str key)
{
	const struct object_ptr to = repo_pointer(p->r, key);
	const struct backend_put_options o = {.content_type = STR("text/csv")};
	struct csv *f = ARENA_NEW(p->c->a, struct csv);
	struct backend_stat st;
	struct backend *b;
	rc put;

	TRY(repo_backend(p->c, p->r, &b));
	body_init(&f->body, &csv_ops, NULL, -1);
	pages_init(&f->pages, p);
	buf_init(&f->text, PAGE * 512);
	put = backend_put_now(b, &to, &o, &f->body, p->c->a, &st, p->c->err);
	buf_deinit(&f->text);
	pages_deinit(&f->pages);
	return put;
}

rc gc_check_prepare(struct vcall *c, const struct repo *r)
{
	struct gc_rules rules;
	rc found;

	TRY(read_only_refused(r, c->err));
	found = gc_rules_get(c, r, &rules);
	return rc_is(found, NOT_FOUND) ? err_set(c->err, ERR_NOT_FOUND, "get gc rules: not found") : found;
}

rc gc_prepare_commits(struct vcall *c, const struct repo *r, struct progress *progress, struct gc_run *ret)
{
	struct err err = {0};
	struct vcall call = {.v = c->v, .a = c->a, .wait = KV_BLOCK, .err = c->err ? c->err : &err};
	CLEANUP(prepare_deinit) struct prepare p = {.c = &call, .r = r, .now_s = wall_now().s, .progress = progress};
	struct str commits, addresses;
	char id[XID_CHARS + 1];

	TRY(gc_check_prepare(&call, r));
	TRY(gc_rules_get(&call, r, &p.rules));
	p.notes = walk_new(&call, r, NULL);
	TRY(mark(&p));
	xid_descending(id);
	commits = arena_printf(c->a, "%s/retention/gc/commits/run_id=%s/commits.csv", c->v->block_prefix, id);
	addresses = arena_printf(c->a, "%s/retention/gc/addresses", c->v->block_prefix);
	TRY(write_csv(&p, commits));
	*ret = (struct gc_run){.id = arena_dup(c->a, str_c(id)),
			       .commits = repo_address(r, commits, c->a),
			       .addresses = repo_address(r, addresses, c->a)};
	return RC_OK;
}
