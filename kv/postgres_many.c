/* Many writes, and reads behind them, in one flight.
 *
 * Sets go as arrays, many rows in one statement; deletions as a statement each, many in one transaction.
 * All are sorted by key, so that two who write the same keys at once never wait for each other in a
 * circle. Of several writes to one key only the last is sent, and all of them have its result. */
#include "kv/postgres.h"

#include <libpq-fe.h>

#include "kv/writes.h"

enum {
	GROUP_BYTES = 4 << 20,	 /* of a statement's arrays */
	FLIGHT_BYTES = 24 << 20, /* of all that is sent before an answer is waited for */
	GROUP_REMOVES = 64,
	BYTEA = 17,
};

/* A group, and the writes that it carries. */
struct portion {
	struct kv_write **w;
	size_t n;
};

struct many {
	struct postgres *p;
	struct arena *a;
	struct kv_write **sets, **removes;
	size_t sets_n, removes_n;
	struct pg_group *groups;
	struct portion *portions; /* beside them */
	size_t groups_n, bytes;
};

static void choose(struct many *m, struct kv_write **list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!kv_writes_last(list, n, i))
			continue;
		if (list[i]->remove)
			m->removes[m->removes_n++] = list[i];
		else
			m->sets[m->sets_n++] = list[i];
	}
}

/* Arrays in binary: dimensions, whether there are NULLs, the type; length and lower bound of each
 * dimension; then each element with its length. */
static char *put_u32(char *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (char)(v >> (24 - 8 * i));
	return to + 4;
}

static struct str array(struct arena *a, struct kv_write **w, size_t n,
			struct str (*part)(const struct kv_write *w))
{
	size_t size = 20;
	char *p, *at;

	for (size_t i = 0; i < n; i++)
		size += 4 + part(w[i]).n;
	p = at = arena_alloc(a, size);
	at = put_u32(at, 1);
	at = put_u32(at, 0);
	at = put_u32(at, BYTEA);
	at = put_u32(at, (uint32_t)n);
	at = put_u32(at, 1);
	for (size_t i = 0; i < n; i++) {
		struct str s = part(w[i]);

		at = put_u32(at, (uint32_t)s.n);
		if (s.n)
			memcpy(at, s.p, s.n);
		at += s.n;
	}
	return str_make(p, size);
}

static struct str partition_of(const struct kv_write *w)
{
	return w->partition;
}

static struct str key_of(const struct kv_write *w)
{
	return w->key;
}

static struct str value_of(const struct kv_write *w)
{
	return w->value;
}

static size_t bytes_of(const struct kv_write *w)
{
	return w->partition.n + w->key.n + w->value.n + 12;
}

static struct pg_group *add_group(struct many *m, struct kv_write **w, size_t n, size_t statements)
{
	struct pg_group *g = &m->groups[m->groups_n];

	*g = (struct pg_group){
		.s = arena_zalloc(m->a, statements * sizeof(*g->s)),
		.n = statements,
	};
	m->portions[m->groups_n++] = (struct portion){w, n};
	return g;
}

static void add_sets(struct many *m, struct kv_write **w, size_t n)
{
	struct pg_statement *s = add_group(m, w, n, 1)->s;

	s->n = 3;
	if (n == 1) {
		s->sql = m->p->sql.set;
		s->params[0] = w[0]->partition;
		s->params[1] = w[0]->key;
		s->params[2] = w[0]->value;
		return;
	}
	s->sql = m->p->sql.set_many;
	s->params[0] = array(m->a, w, n, partition_of);
	s->params[1] = array(m->a, w, n, key_of);
	s->params[2] = array(m->a, w, n, value_of);
}

static void add_removes(struct many *m, struct kv_write **w, size_t n)
{
	struct pg_statement *s = add_group(m, w, n, n)->s;

	for (size_t i = 0; i < n; i++) {
		s[i].sql = m->p->sql.remove;
		s[i].n = 2;
		s[i].params[0] = w[i]->partition;
		s[i].params[1] = w[i]->key;
	}
}

static void read_values(struct kv_read *r, size_t m, const struct pg_group *g)
{
	for (size_t i = 0; i < m; i++) {
		const PGresult *res = g->s[i].result;

		r[i].result = pg_group_result(g, "reading from", r[i].err);
		if (!rc_ok(r[i].result))
			continue;
		if (PQntuples(res) == 0)
			r[i].result = err_default(r[i].err, ERR_NOT_FOUND);
		else
			r[i].value = arena_dup(r[i].a, pg_value(res, 0, 0));
	}
}

/* Sends what has been gathered. */
static void fly(struct many *m, struct kv_read *r, size_t reads)
{
	struct pg_group *behind = NULL;
	struct err e = {0};
	rc sent;

	if (reads) {
		behind = add_group(m, NULL, 0, reads);
		behind->reads = true;
		for (size_t i = 0; i < reads; i++)
			behind->s[i] = (struct pg_statement){
				.sql = m->p->sql.get,
				.n = 2,
				.params = {r[i].partition, r[i].key},
			};
	}
	sent = pg_run(m->p, m->groups, m->groups_n, &e);
	for (size_t i = 0; i < m->groups_n; i++) {
		rc res = sent;

		if (rc_ok(sent) && &m->groups[i] != behind)
			res = pg_group_result(&m->groups[i], "writing to", &e);
		for (size_t k = 0; k < m->portions[i].n; k++)
			kv_write_settle(m->portions[i].w[k], res, &e);
	}
	for (size_t i = 0; i < reads && !rc_ok(sent); i++) {
		r[i].result = sent;
		if (r[i].err)
			*r[i].err = e;
	}
	if (behind && rc_ok(sent))
		read_values(r, reads, behind);
	for (size_t i = 0; i < m->groups_n; i++)
		pg_group_reset(&m->groups[i]);
	m->groups_n = m->bytes = 0;
}

/* How many of the first n make a group. */
static size_t portion(struct many *m, struct kv_write **w, size_t n, size_t most)
{
	size_t k = 0, bytes = 0;

	while (k < n && k < most && (k == 0 || bytes + bytes_of(w[k]) <= GROUP_BYTES))
		bytes += bytes_of(w[k++]);
	if (m->bytes && m->bytes + bytes > FLIGHT_BYTES)
		fly(m, NULL, 0);
	m->bytes += bytes;
	return k;
}

static void gather(struct many *m)
{
	for (size_t i = 0, k; i < m->sets_n; i += k) {
		k = portion(m, m->sets + i, m->sets_n - i, KV_WRITES_MAX);
		add_sets(m, m->sets + i, k);
	}
	for (size_t i = 0, k; i < m->removes_n; i += k) {
		k = portion(m, m->removes + i, m->removes_n - i, GROUP_REMOVES);
		add_removes(m, m->removes + i, k);
	}
}

void pg_write_then_read(struct kv *kv, struct kv_write *w, size_t n, struct kv_read *r, size_t reads)
{
	struct arena *a = arena_new();
	struct many m = {
		.p = (struct postgres *)kv,
		.a = a,
		.sets = arena_alloc(a, (n + 1) * sizeof(struct kv_write *)),
		.removes = arena_alloc(a, (n + 1) * sizeof(struct kv_write *)),
		.groups = arena_alloc(a, (n + 1) * sizeof(*m.groups)),
		.portions = arena_alloc(a, (n + 1) * sizeof(*m.portions)),
	};
	size_t list_n;
	struct kv_write **list = kv_writes_sorted(a, w, n, &list_n);

	choose(&m, list, list_n);
	gather(&m);
	fly(&m, r, reads);
	kv_writes_spread(list, list_n);
	arena_free(a);
}

void pg_write_many(struct kv *kv, struct kv_write *w, size_t n)
{
	pg_write_then_read(kv, w, n, NULL, 0);
}
