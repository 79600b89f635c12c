#include "versions/symlinks.h"

#include <stdlib.h>

#include "base/buf.h"
#include "versions/internal.h"
#include "versions/listing.h"
#include "versions/ref.h"

/* Folders within folders are of paths of at most 1,024 bytes. Of each that is being walked a short page is held. */
enum { PAGE = 1000, WALK_PAGE = 100, DEPTH_MAX = 1025, ADDRESS_MAX = 4096 };

/* A folder that is being walked. */
struct level {
	struct arena *a;      /* of its prefix */
	struct str prefix;
	struct arena *page_a; /* of the page; NULL: none was read yet */
	struct list_page page;
	size_t at; /* in the page */
	bool written;
};

struct symlinks {
	struct vcall *c;
	const struct repo *r;
	struct str ref;
	struct level levels[DEPTH_MAX];
	size_t depth;
};

static rc list(struct symlinks *s, struct arena *a, struct str prefix, struct str after, size_t max,
	       struct list_page *ret)
{
	struct vcall c = {.v = s->c->v, .a = a, .wait = KV_BLOCK, .err = s->c->err};
	const struct list_request q = {.prefix = prefix, .delimiter = STR("/"), .after = after, .max = max};

	return objects_list(&c, s->r, s->ref, &q, ret);
}

/* A folder's file, made as it is written: the objects that lie in it and not further down. */

struct text {
	struct body body;
	struct symlinks *s;
	struct arena *a; /* of the page, and of what is below */
	struct str prefix, after;
	bool end;
	struct str ready; /* of a */
	bool begun;       /* something was given */
};

static rc next_page(struct text *t)
{
	struct arena *a = arena_new();
	struct buf b = BUF_INIT((size_t)PAGE * ADDRESS_MAX);
	struct list_page page;
	rc listed = list(t->s, a, t->prefix, t->after, PAGE, &page);

	for (size_t i = 0; rc_ok(listed) && i < page.n; i++) {
		const struct entry *e = &page.items[i].entry;

		if (page.items[i].is_prefix)
			continue;
		if (b.n || t->begun)
			buf_add_c(&b, '\n');
		buf_add(&b, e->address_type == ADDRESS_FULL ? e->address : repo_address(t->s->r, e->address, a));
		t->begun = true;
	}
	t->ready = arena_dup(a, buf_str(&b));
	if (rc_ok(listed) && b.overflow)
		listed = err_set(t->s->c->err, ERR_InternalError, "a page of addresses is too long");
	buf_deinit(&b);
	if (rc_ok(listed)) {
		t->end = !page.truncated;
		t->after = page.truncated ? page.next : STR_NONE;
	}
	arena_free(t->a);
	t->a = a;
	return listed;
}

static enum body_state text_pull(struct body *b, void *dst, size_t cap, size_t *ret_n, struct err *reterr)
{
	struct text *t = (struct text *)b;

	while (!t->ready.n) {
		if (t->end)
			return BODY_END;
		if (!rc_ok(next_page(t))) {
			*reterr = *t->s->c->err;
			return BODY_FAIL;
		}
	}
	*ret_n = t->ready.n < cap ? t->ready.n : cap;
	memcpy(dst, t->ready.p, *ret_n);
	t->ready = str_skip(t->ready, *ret_n);
	return BODY_MORE;
}

/* It never waits. */
static void text_arm(struct body *b, body_ready_fn *fn, void *ud)
{
	abort();
}

static const struct body_ops text_ops = {.name = "symlinks", .pull = text_pull, .arm = text_arm};

/* What a prefix's objects lie in, without the slash; "" at the top. */
static struct str folder_of(struct str prefix)
{
	while (prefix.n && prefix.p[prefix.n - 1] != '/')
		prefix.n--;
	return prefix.n ? str_head(prefix, prefix.n - 1) : STR("");
}

static rc write_folder(struct symlinks *s, struct str prefix, struct arena *a)
{
	struct str folder = folder_of(prefix);
	struct text t = {.s = s, .prefix = prefix, .after = STR_NONE};
	const struct backend_put_options o = {.content_type = STR("text/plain")};
	struct object_ptr to = {.store_id = s->r->storage_id, .space = s->r->storage_namespace, .type = ADDRESS_RELATIVE};
	struct backend_stat st;
	struct backend *b;
	rc put;

	to.key = arena_printf(a, "symlinks/" STR_FMT "/" STR_FMT "/" STR_FMT "%ssymlink.txt", STR_ARG(s->r->id),
			      STR_ARG(s->ref), STR_ARG(folder), folder.n ? "/" : "");
	TRY(repo_backend(s->c, s->r, &b));
	body_init(&t.body, &text_ops, NULL, -1);
	put = backend_put_now(b, &to, &o, &t.body, a, &st, s->c->err);
	arena_free(t.a);
	return put;
}

/* The walk. */

static rc enter(struct symlinks *s, struct str prefix)
{
	struct level *l = &s->levels[s->depth];

	if (s->depth == DEPTH_MAX)
		return err_set(s->c->err, ERR_INVALID, "the folders lie too deep in each other");
	*l = (struct level){.a = arena_new()};
	l->prefix = arena_dup(l->a, prefix);
	s->depth++;
	return RC_OK;
}

static void leave(struct symlinks *s)
{
	struct level *l = &s->levels[--s->depth];

	arena_free(l->page_a);
	arena_free(l->a);
}

/* *ret false: the folder has no more. */
static rc turn_page(struct symlinks *s, struct level *l, bool *ret)
{
	struct arena *a = arena_new();
	struct list_page page = {0};
	rc listed = RC_OK;

	*ret = !l->page_a || l->page.truncated;
	if (*ret)
		listed = list(s, a, l->prefix, l->page_a ? l->page.next : STR_NONE, WALK_PAGE, &page);
	arena_free(l->page_a);
	l->page_a = a;
	l->page = page;
	l->at = 0;
	return listed;
}

static rc visit(struct symlinks *s, struct level *l, const struct list_item *item, struct arena *a)
{
	if (item->is_prefix)
		return enter(s, item->key);
	if (l->written)
		return RC_OK;
	l->written = true;
	return write_folder(s, l->prefix, a);
}

/* The innermost folder's next item, or its end. */
static rc step(struct symlinks *s, struct arena *a)
{
	struct level *l = &s->levels[s->depth - 1];
	bool more = true;

	if (l->at == l->page.n)
		TRY(turn_page(s, l, &more));
	if (!more)
		leave(s);
	else if (l->at < l->page.n)
		return visit(s, l, &l->page.items[l->at++], a);
	return RC_OK;
}

static rc walk(struct symlinks *s, struct str prefix)
{
	rc result = enter(s, prefix);

	while (rc_ok(result) && s->depth) {
		struct arena *a = arena_new();

		result = step(s, a);
		arena_free(a);
	}
	while (s->depth)
		leave(s);
	return result;
}

rc symlinks_write(struct vcall *c, const struct repo *r, struct str ref, struct str prefix, struct str *ret)
{
	struct symlinks *s = calloc(1, sizeof(*s));
	struct ref at;
	rc result;

	if (!s)
		abort();
	*s = (struct symlinks){.c = c, .r = r, .ref = ref};
	result = ref_resolve(c, r, ref, &at);
	if (rc_ok(result))
		result = walk(s, prefix);
	free(s);
	*ret = repo_address(r, STR("symlinks"), c->a);
	return result;
}
