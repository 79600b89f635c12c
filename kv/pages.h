/* Scans of a store behind a network: page by page, each asked for from behind the last key of the
 * one before, so that nothing lives in the store in between. The first page has what the caller is
 * likely to want, later ones more. A driver brings how one page is had. */
#pragma once

#include "base/buf.h"
#include "kv/kv.h"

struct kv_pages;

/* The next page: up to `rows` from `place` on. It turns to a new page, fills it, says whether it is
 * the last (it may be empty and yet not be), where the next one begins, and how many rows to ask
 * for then. When it fails, nothing of the page may be left. */
typedef rc kv_page_fn(struct kv_pages *s, struct err *reterr);

struct kv_pages_options {
	struct kv *kv;
	kv_page_fn *fetch;
	size_t place_max; /* bytes: no key has more */
	size_t rows_max;
	/* as kv_scan's */
	struct str partition, from;
	size_t batch;
};

struct kv_pages {
	struct kv_iter it;
	struct kv *kv;
	kv_page_fn *fetch;
	struct arena *a; /* of the partition's name */
	struct str partition;
	struct buf place;      /* where the next page begins */
	bool after;	       /* behind the place, not at it */
	bool last_page;	       /* nothing is behind the page at hand */
	size_t rows, rows_max; /* to be asked for next; ever */
	struct {
		struct arena *a;
		struct kv_entry *e;
		size_t n, at;
	} page;
};

/* Nothing is asked for before the first next: a seek may come first. */
struct kv_iter *kv_pages_new(const struct kv_pages_options *o);

/* For fetch. */

/* An empty page, with room for so many entries. */
void kv_pages_turn(struct kv_pages *s, size_t room);
void kv_pages_place(struct kv_pages *s, struct str at, bool after);
/* As many rows as the page after this one should have. */
size_t kv_pages_grown(const struct kv_pages *s);
