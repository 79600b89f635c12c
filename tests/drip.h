/* A body that gives `step` bytes of a text at a time. */
#pragma once

#include "base/body.h"

struct drip {
	struct body body;
	struct str left;
	size_t step;
};

static inline enum body_state drip_pull(struct body *b, void *dst, size_t cap, size_t *ret_n,
					struct err *reterr)
{
	struct drip *d = (struct drip *)b;
	size_t n = d->step < cap ? d->step : cap;

	if (n > d->left.n)
		n = d->left.n;
	if (!n)
		return BODY_END;
	memcpy(dst, d->left.p, n);
	d->left = str_skip(d->left, n);
	*ret_n = n;
	return BODY_MORE;
}

static inline struct body *drip_init(struct drip *d, struct str text, size_t step)
{
	static const struct body_ops ops = {.name = "drip", .pull = drip_pull};

	d->left = text;
	d->step = step;
	body_init(&d->body, &ops, NULL, (int64_t)text.n);
	return &d->body;
}
