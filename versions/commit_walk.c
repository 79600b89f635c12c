#include "versions/commit_walk.h"

#include <stdlib.h>

#include "base/digest.h"

/* Each with its own memory: a walk over a long history holds only its front, and 17 bytes of each commit
 * that it met. */
struct waiting {
	struct arena *a;
	struct commit commit;
};

struct note {
	uint64_t key[2]; /* of the id; zeros: an empty place */
	unsigned char value;
};

struct walk {
	struct vcall *c;
	const struct repo *r;
	walk_before_fn *before;
	struct waiting *heap;
	size_t heap_n, heap_cap;
	struct note *notes;
	size_t notes_n, notes_cap; /* a power of two */
	struct arena *popped;
	struct commit commit; /* the popped one */
};

static void *grown(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (!p)
		abort();
	return p;
}

struct walk *walk_new(struct vcall *c, const struct repo *r, walk_before_fn *before)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->c = c;
	w->r = r;
	w->before = before;
	w->notes_cap = 64;
	w->notes = calloc(w->notes_cap, sizeof(*w->notes));
	if (!w->notes)
		abort();
	return w;
}

void walk_freep(struct walk **wp)
{
	struct walk *w = *wp;

	if (!w)
		return;
	for (size_t i = 0; i < w->heap_n; i++)
		arena_free(w->heap[i].a);
	arena_free(w->popped);
	free(w->heap);
	free(w->notes);
	free(w);
}

/* Notes. */

static struct note *place(struct note *notes, size_t cap, const uint64_t key[2])
{
	size_t i = key[0] & (cap - 1);

	while ((notes[i].key[0] || notes[i].key[1]) &&
	       (notes[i].key[0] != key[0] || notes[i].key[1] != key[1]))
		i = (i + 1) & (cap - 1);
	return &notes[i];
}

static void enlarge(struct walk *w)
{
	size_t cap = w->notes_cap * 2;
	struct note *notes = calloc(cap, sizeof(*notes));

	if (!notes)
		abort();
	for (size_t i = 0; i < w->notes_cap; i++)
		if (w->notes[i].key[0] || w->notes[i].key[1])
			*place(notes, cap, w->notes[i].key) = w->notes[i];
	free(w->notes);
	w->notes = notes;
	w->notes_cap = cap;
}

unsigned char *walk_note(struct walk *w, struct str id)
{
	uint64_t key[2];
	struct note *n;

	digest_of(DIGEST_XXHASH128, id, (uint8_t *)key);
	if (w->notes_n * 2 >= w->notes_cap)
		enlarge(w);
	n = place(w->notes, w->notes_cap, key);
	if (!n->key[0] && !n->key[1]) {
		memcpy(n->key, key, sizeof(key));
		w->notes_n++;
	}
	return &n->value;
}

/* The heap. */

static bool goes_before(const struct walk *w, size_t i, size_t j)
{
	return w->before(&w->heap[i].commit, &w->heap[j].commit);
}

static void swap(struct walk *w, size_t i, size_t j)
{
	struct waiting t = w->heap[i];

	w->heap[i] = w->heap[j];
	w->heap[j] = t;
}

rc walk_push(struct walk *w, struct str id)
{
	struct waiting in = {.a = arena_new()};
	struct vcall c = {.v = w->c->v, .a = in.a, .wait = w->c->wait, .err = w->c->err};
	rc res = commit_named(&c, w->r, id, &in.commit);

	if (!rc_ok(res)) {
		arena_free(in.a);
		return res;
	}
	in.commit.id = arena_dup(in.a, id);
	if (w->heap_n == w->heap_cap) {
		w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 16;
		w->heap = grown(w->heap, w->heap_cap, sizeof(*w->heap));
	}
	w->heap[w->heap_n] = in;
	for (size_t i = w->heap_n++; i && goes_before(w, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(w, i, (i - 1) / 2);
	return RC_OK;
}

static void sink(struct walk *w)
{
	for (size_t i = 0;;) {
		size_t first = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < w->heap_n; child++)
			if (goes_before(w, child, first))
				first = child;
		if (first == i)
			return;
		swap(w, i, first);
		i = first;
	}
}

void walk_pop(struct walk *w, const struct commit **ret)
{
	arena_free(w->popped);
	w->popped = NULL;
	*ret = NULL;
	if (!w->heap_n)
		return;
	w->popped = w->heap[0].a;
	w->commit = w->heap[0].commit;
	w->heap[0] = w->heap[--w->heap_n];
	sink(w);
	*ret = &w->commit;
}
