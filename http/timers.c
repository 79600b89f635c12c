#include "http/timers.h"

#include <assert.h>

enum { DIGIT = 6 };

static void list_init(struct loop_timer *head)
{
	head->next = head->prev = head;
}

static bool list_empty(const struct loop_timer *head)
{
	return head->next == head;
}

static void list_append(struct loop_timer *head, struct loop_timer *t)
{
	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
}

static void list_unlink(struct loop_timer *t)
{
	t->next->prev = t->prev;
	t->prev->next = t->next;
	t->next = t->prev = NULL;
}

/* Moves all of `from` to the end of `to`. */
static void list_splice(struct loop_timer *to, struct loop_timer *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

void timers_init(struct timers *w, uint64_t now_ms)
{
	*w = (struct timers){.now = now_ms};
	list_init(&w->due);
	for (unsigned l = 0; l < TIMERS_LEVELS; l++)
		for (unsigned s = 0; s < TIMERS_SLOTS; s++)
			list_init(&w->slots[l][s]);
}

static unsigned level_of(uint64_t differing)
{
	return (63 - (unsigned)__builtin_clzll(differing)) / DIGIT;
}

static unsigned digit(uint64_t at, unsigned level)
{
	return (at >> (level * DIGIT)) & (TIMERS_SLOTS - 1);
}

void timers_add(struct timers *w, struct loop_timer *t, uint64_t at_ms)
{
	const uint64_t far = w->now | (((uint64_t)1 << (TIMERS_LEVELS * DIGIT)) - 1);
	unsigned level, slot;

	assert(!t->next);
	t->at = at_ms < far ? at_ms : far;
	if (t->at <= w->now) {
		list_append(&w->due, t);
		return;
	}
	level = level_of(t->at ^ w->now);
	slot = digit(t->at, level);
	list_append(&w->slots[level][slot], t);
	w->used[level] |= (uint64_t)1 << slot;
}

void timers_remove(struct timers *w, struct loop_timer *t)
{
	struct loop_timer *head = t->next;
	bool last = head == t->prev; /* so head is a list's head, of a slot or another */
	size_t i;

	list_unlink(t);
	if (!last || head < &w->slots[0][0] ||
	    head > &w->slots[TIMERS_LEVELS - 1][TIMERS_SLOTS - 1])
		return;
	i = (size_t)(head - &w->slots[0][0]);
	w->used[i / TIMERS_SLOTS] &= ~((uint64_t)1 << (i % TIMERS_SLOTS));
}

/* When the next slot is to be opened: what is in it fires or goes to lower levels. */
static bool next_slot(const struct timers *w, uint64_t *ret_at, unsigned *ret_level)
{
	for (unsigned level = 0; level < TIMERS_LEVELS; level++) {
		unsigned shift = level * DIGIT;
		uint64_t slot;

		if (!w->used[level])
			continue;
		slot = (uint64_t)__builtin_ctzll(w->used[level]);
		*ret_at = (w->now >> (shift + DIGIT) << (shift + DIGIT)) | slot << shift;
		*ret_level = level;
		return true;
	}
	return false;
}

unsigned timers_wait(const struct timers *w, uint64_t now_ms, unsigned most)
{
	uint64_t at;
	unsigned level;

	if (!list_empty(&w->due))
		return 0;
	if (!next_slot(w, &at, &level))
		return most;
	if (at <= now_ms)
		return 0;
	return at - now_ms < most ? (unsigned)(at - now_ms) : most;
}

static void open_slot(struct timers *w, unsigned level)
{
	unsigned slot = digit(w->now, level);
	struct loop_timer moved;

	list_init(&moved);
	list_splice(&moved, &w->slots[level][slot]);
	w->used[level] &= ~((uint64_t)1 << slot);
	while (!list_empty(&moved)) {
		struct loop_timer *t = moved.next;

		list_unlink(t);
		timers_add(w, t, t->at);
	}
}

void timers_run(struct timers *w, uint64_t now_ms)
{
	struct loop_timer firing;
	uint64_t at;
	unsigned level;

	while (next_slot(w, &at, &level) && at <= now_ms) {
		w->now = at;
		open_slot(w, level);
	}
	if (now_ms > w->now)
		w->now = now_ms;
	list_init(&firing);
	list_splice(&firing, &w->due);
	while (!list_empty(&firing)) {
		struct loop_timer *t = firing.next;

		list_unlink(t);
		t->fire(t);
	}
}
