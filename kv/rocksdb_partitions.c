/* Keys begin with the length of their partition (kv/rocksdb.c), so those of one length are together
 * and in order. One cursor for each length that occurs; the least of them is next, and then goes to
 * the next partition of its length by one seek. Partitions are never held in memory but one a cursor. */
#include "kv/rocksdb_partitions.h"

#include <stdlib.h>

struct cursor {
	size_t n; /* the length; 0: at its end */
	char *name;
};

struct partitions_iter {
	struct kv_iter it;
	const char *path;
	rocksdb_iterator_t *rit;
	rocksdb_readoptions_t *options;
	struct cursor *cursors;
	size_t cursors_n;
	struct cursor *given; /* what next gave last: it goes on at the next call */
};

static void *allocate(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		abort();
	return p;
}

static void free_message(char **message)
{
	rocksdb_free(*message);
}

/* Puts the iterator at the first entry whose partition has `length` bytes and is at `from` or, with
 * `past`, above all that begin with it; or at what comes after them. */
static void seek(struct partitions_iter *p, size_t length, struct str from, bool past)
{
	char key[2 + KV_PARTITION_MAX];
	size_t n = from.n < length ? from.n : length;

	key[0] = (char)(length >> 8);
	key[1] = (char)(length & 0xff);
	if (n)
		memcpy(key + 2, from.p, n);
	n += 2;
	/* Of a longer name the first bytes come before it. A length is never ffff: the loop ends. */
	if (past || from.n > length) {
		while ((unsigned char)key[n - 1] == 0xff)
			n--;
		key[n - 1] = (char)((unsigned char)key[n - 1] + 1);
	}
	rocksdb_iter_seek(p->rit, key, n);
}

/* The partition that the iterator stands at; STR_NONE: at the end, or it failed. */
static rc standing_at(struct partitions_iter *p, struct str *ret, struct err *reterr)
{
	CLEANUP(free_message) char *why = NULL;
	const char *key;
	size_t n, length;

	*ret = STR_NONE;
	if (!rocksdb_iter_valid(p->rit)) {
		rocksdb_iter_get_error(p->rit, &why);
		return why ? rocks_read_failed(p->path, why, reterr) : RC_OK;
	}
	key = rocksdb_iter_key(p->rit, &n);
	length = n < 2 ? 0 : (size_t)(unsigned char)key[0] << 8 | (unsigned char)key[1];
	if (!length || length > KV_PARTITION_MAX || n < 2 + length)
		return err_set(reterr, ERR_CORRUPT,
			       "the KV in %s has a key that isn't sluice's: restore the folder from a "
			       "backup",
			       p->path);
	*ret = str_make(key + 2, length);
	return RC_OK;
}

static rc cursor_move(struct partitions_iter *p, struct cursor *c, struct str from, bool past,
		      struct err *reterr)
{
	size_t length = c->n;
	struct str at;

	seek(p, length, from, past);
	c->n = 0;
	TRY(standing_at(p, &at, reterr));
	if (at.n == length) {
		memcpy(c->name, at.p, length);
		c->n = length;
	}
	return RC_OK;
}

static void cursors_free(struct partitions_iter *p)
{
	for (size_t i = 0; i < p->cursors_n; i++)
		free(p->cursors[i].name);
	free(p->cursors);
	p->cursors = NULL;
	p->cursors_n = 0;
	p->given = NULL;
}

static struct cursor *cursor_add(struct partitions_iter *p, size_t length)
{
	struct cursor *c = realloc(p->cursors, (p->cursors_n + 1) * sizeof(*c));

	if (!c)
		abort();
	p->cursors = c;
	c += p->cursors_n++;
	*c = (struct cursor){length, allocate(length)};
	return c;
}

static rc partitions_seek(struct kv_iter *base, struct str from, struct err *reterr)
{
	struct partitions_iter *p = (struct partitions_iter *)base;
	char *start = allocate(from.n); /* it may be a cursor's own */
	rc r = RC_OK;

	if (from.n)
		memcpy(start, from.p, from.n);
	cursors_free(p);
	for (size_t length = 1; rc_ok(r) && length <= KV_PARTITION_MAX; length++) {
		struct str at;

		seek(p, length, STR(""), false);
		r = standing_at(p, &at, reterr);
		if (!rc_ok(r) || !at.n)
			break;
		length = at.n;
		r = cursor_move(p, cursor_add(p, length), str_make(start, from.n), false, reterr);
	}
	free(start);
	return r;
}

static rc partitions_next(struct kv_iter *base, struct kv_entry *ret, bool *ret_end,
			  struct err *reterr)
{
	struct partitions_iter *p = (struct partitions_iter *)base;
	struct cursor *least = NULL;

	if (p->given && p->given->n)
		TRY(cursor_move(p, p->given, str_make(p->given->name, p->given->n), true, reterr));
	p->given = NULL;
	for (size_t i = 0; i < p->cursors_n; i++) {
		struct cursor *c = &p->cursors[i];

		if (c->n && (!least || str_cmp(str_make(c->name, c->n),
					       str_make(least->name, least->n)) < 0))
			least = c;
	}
	*ret_end = !least;
	p->given = least;
	if (least)
		*ret = (struct kv_entry){str_make(least->name, least->n), STR("")};
	return RC_OK;
}

static void partitions_close(struct kv_iter *base)
{
	struct partitions_iter *p = (struct partitions_iter *)base;

	cursors_free(p);
	rocksdb_iter_destroy(p->rit);
	rocksdb_readoptions_destroy(p->options);
	free(p);
}

static const struct kv_iter_ops partitions_ops = {
	.seek = partitions_seek,
	.next = partitions_next,
	.close = partitions_close,
};

rc rocks_partitions_open(rocksdb_t *db, const char *path, struct str from, struct kv_iter **ret,
			 struct err *reterr)
{
	struct partitions_iter *p = allocate(sizeof(*p));
	rc r;

	*p = (struct partitions_iter){
		.it.ops = &partitions_ops,
		.path = path,
		.options = rocksdb_readoptions_create(),
	};
	rocksdb_readoptions_set_background_purge_on_iterator_cleanup(p->options, 1);
	p->rit = rocksdb_create_iterator(db, p->options);
	r = partitions_seek(&p->it, from, reterr);
	if (rc_ok(r))
		*ret = &p->it;
	else
		partitions_close(&p->it);
	return r;
}
