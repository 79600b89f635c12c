/* The store in memory, for tests and trials: the executable specification of the interface. Objects
 * are in byte order of "space/key"; one lock holds everything; nothing outlives the process. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/impl.h"
#include "base/clock.h"
#include "base/rand.h"

/* All objects and parts together. */
#define MEM_MAX ((uint64_t)4 << 30)
#define SCHEME STR("mem://")

struct item {
	struct str name; /* owned */
	char *p;
	size_t n;
	int64_t mtime_s;
};

struct items {
	struct item *v;
	size_t n, cap;
};

struct mem {
	struct backend b;
	struct str id;
	pthread_mutex_t lock;
	struct items objects;
	struct items parts;   /* "<upload>/<number>.<etag>" */
	struct items uploads; /* "<upload>" */
	uint64_t bytes, next_id;
};

struct mem_writer {
	struct backend_writer base;
	struct mem *m;
	struct item item;
	size_t cap;
	bool if_absent, part;
	struct str upload; /* of a part */
	char etag[17];
};

static struct mem *of(struct backend *b)
{
	return CONTAINER(b, struct mem, b);
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* The pieces, joined, owned by the caller. */
static struct str join(struct str a, const char *between, struct str b)
{
	size_t k = strlen(between), n = a.n + k + b.n;
	char *p = must(malloc(n + 1));

	memcpy(p, a.p, a.n);
	memcpy(p + a.n, between, k);
	if (b.n)
		memcpy(p + a.n + k, b.p, b.n);
	p[n] = 0;
	return str_make(p, n);
}

/* Sets. */

/* Where the name is or would be. */
static size_t place(const struct items *s, struct str name, bool *ret_there)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(s->v[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_there = lo < s->n && str_eq(s->v[lo].name, name);
	return lo;
}

static struct item *find(const struct items *s, struct str name)
{
	bool there;
	size_t i = place(s, name, &there);

	return there ? &s->v[i] : NULL;
}

static void item_deinit(struct item *i)
{
	free((char *)i->name.p);
	free(i->p);
}

static void drop(struct mem *m, struct items *s, size_t i)
{
	m->bytes -= s->v[i].n;
	item_deinit(&s->v[i]);
	memmove(&s->v[i], &s->v[i + 1], (--s->n - i) * sizeof(*s->v));
}

/* Takes the item over; its bytes are counted already. */
static void insert(struct mem *m, struct items *s, struct item item)
{
	bool there;
	size_t i = place(s, item.name, &there);

	item.mtime_s = wall_now().s;
	if (there) {
		m->bytes -= s->v[i].n;
		item_deinit(&s->v[i]);
		s->v[i] = item;
		return;
	}
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->v = must(realloc(s->v, s->cap * sizeof(*s->v)));
	}
	memmove(&s->v[i + 1], &s->v[i], (s->n - i) * sizeof(*s->v));
	s->v[i] = item;
	s->n++;
}

static void items_deinit(struct items *s)
{
	for (size_t i = 0; i < s->n; i++)
		item_deinit(&s->v[i]);
	free(s->v);
}

/* Names. */

static rc space_of(struct str space, struct str *ret, struct err *reterr)
{
	if (!str_starts(space, SCHEME))
		return err_set(reterr, ERR_INVALID,
			       "storage namespace \"" STR_FMT "\" is not of a memory store, "
			       "which begins with \"mem://\"",
			       STR_ARG(str_head(space, 200)));
	*ret = str_skip(space, SCHEME.n);
	while (ret->n && ret->p[ret->n - 1] == '/')
		ret->n--;
	if (ret->n == 0)
		return err_set(reterr, ERR_INVALID,
			       "storage namespace \"mem://\" lacks a name after the slashes");
	return RC_OK;
}

static rc name_of(const struct object_ptr *p, struct str *ret, struct err *reterr)
{
	struct str space;

	if (p->type == ADDRESS_FULL) {
		TRY(space_of(p->key, &space, reterr));
		*ret = join(space, "", STR_NONE);
		return RC_OK;
	}
	TRY(space_of(p->space, &space, reterr));
	if (p->key.n == 0)
		return err_set(reterr, ERR_INVALID, "an object needs a key");
	*ret = join(space, "/", p->key);
	return RC_OK;
}

static struct backend_stat stat_of(const struct item *i)
{
	return (struct backend_stat){.size = i->n, .mtime_s = i->mtime_s};
}

/* Calls `use` on the object under the lock. */
static rc with_object(struct mem *m, const struct object_ptr *p,
		      void (*use)(const struct item *i, void *ud), void *ud, struct err *reterr)
{
	struct str name;
	struct item *i;

	TRY(name_of(p, &name, reterr));
	pthread_mutex_lock(&m->lock);
	i = find(&m->objects, name);
	if (i)
		use(i, ud);
	pthread_mutex_unlock(&m->lock);
	free((char *)name.p);
	if (!i)
		return err_set(reterr, ERR_NOT_FOUND, "the store has no \"" STR_FMT "\"",
			       STR_ARG(str_head(p->key, 200)));
	return RC_OK;
}

/* Writers. */

static struct mem_writer *writer_new(struct mem *m, struct str name)
{
	struct mem_writer *w = must(calloc(1, sizeof(*w)));

	w->base.b = &m->b;
	w->m = m;
	w->item.name = name;
	return w;
}

static rc mem_open_writer(struct backend *b, const struct object_ptr *to,
			  const struct backend_put_options *o, struct backend_writer **ret,
			  struct err *reterr)
{
	struct mem_writer *w;
	struct str name;

	TRY(name_of(to, &name, reterr));
	w = writer_new(of(b), name);
	w->if_absent = o && o->if_absent;
	*ret = &w->base;
	return RC_OK;
}

static rc reserve(struct mem *m, size_t n, struct err *reterr)
{
	bool fits;

	pthread_mutex_lock(&m->lock);
	fits = n <= MEM_MAX - m->bytes;
	if (fits)
		m->bytes += n;
	pthread_mutex_unlock(&m->lock);
	if (!fits)
		return err_set(reterr, ERR_IO, "the memory store is full (%llu bytes)",
			       (unsigned long long)MEM_MAX);
	return RC_OK;
}

static rc mem_write(struct backend_writer *base, const void *p, size_t n, struct err *reterr)
{
	struct mem_writer *w = CONTAINER(base, struct mem_writer, base);

	TRY(reserve(w->m, n, reterr));
	while (w->cap - w->item.n < n) {
		w->cap = w->cap ? w->cap * 2 : 4096;
		w->item.p = must(realloc(w->item.p, w->cap));
	}
	memcpy(w->item.p + w->item.n, p, n);
	w->item.n += n;
	return RC_OK;
}

static void mem_abort(struct backend_writer *base)
{
	struct mem_writer *w = CONTAINER(base, struct mem_writer, base);

	pthread_mutex_lock(&w->m->lock);
	w->m->bytes -= w->item.n;
	pthread_mutex_unlock(&w->m->lock);
	item_deinit(&w->item);
	free((char *)w->upload.p);
	free(w);
}

static rc publish_locked(struct mem_writer *w, struct backend_stat *ret, struct err *reterr)
{
	struct mem *m = w->m;
	struct items *set = w->part ? &m->parts : &m->objects;

	if (w->part && !find(&m->uploads, w->upload))
		return err_set(reterr, ERR_NOT_FOUND, "the upload has ended");
	if (w->if_absent && find(set, w->item.name))
		return err_set(reterr, ERR_EXISTS, "\"" STR_FMT "\" exists already",
			       STR_ARG(str_head(w->item.name, 200)));
	insert(m, set, w->item);
	if (ret)
		*ret = stat_of(find(set, w->item.name));
	w->item = (struct item){0};
	return RC_OK;
}

static rc mem_commit(struct backend_writer *base, struct arena *a, struct backend_stat *ret,
		     struct err *reterr)
{
	struct mem_writer *w = CONTAINER(base, struct mem_writer, base);
	rc r;

	pthread_mutex_lock(&w->m->lock);
	r = publish_locked(w, ret, reterr);
	pthread_mutex_unlock(&w->m->lock);
	if (rc_ok(r) && ret && w->part)
		ret->etag = arena_dup(a, str_c(w->etag));
	mem_abort(base);
	return r;
}

/* Reading. */

struct range {
	uint64_t offset;
	char *dst;
	size_t n;
};

static void read_range(const struct item *i, void *ud)
{
	struct range *r = ud;
	size_t left = r->offset < i->n ? i->n - (size_t)r->offset : 0;

	r->n = r->n < left ? r->n : left;
	if (r->n)
		memcpy(r->dst, i->p + r->offset, r->n);
}

static rc mem_read(struct backend *b, const struct object_ptr *p, uint64_t offset, void *dst,
		   size_t n, size_t *ret_n, struct err *reterr)
{
	struct range r = {.offset = offset, .dst = dst, .n = n};

	TRY(with_object(of(b), p, read_range, &r, reterr));
	*ret_n = r.n;
	return RC_OK;
}

static void take_stat(const struct item *i, void *ud)
{
	*(struct backend_stat *)ud = stat_of(i);
}

static rc mem_head(struct backend *b, const struct object_ptr *p, struct arena *a,
		   struct backend_stat *ret, struct err *reterr)
{
	return with_object(of(b), p, take_stat, ret, reterr);
}

static rc mem_remove(struct backend *b, const struct object_ptr *p, struct err *reterr)
{
	struct mem *m = of(b);
	struct str name;
	bool there;
	size_t i;

	TRY(name_of(p, &name, reterr));
	pthread_mutex_lock(&m->lock);
	i = place(&m->objects, name, &there);
	if (there)
		drop(m, &m->objects, i);
	pthread_mutex_unlock(&m->lock);
	free((char *)name.p);
	return RC_OK;
}

static void list_locked(struct mem *m, struct str base, struct str prefix, struct str after,
			size_t max, struct arena *a, struct backend_list_entry **ret, size_t *ret_n,
			bool *ret_more)
{
	size_t cap = m->objects.n < max ? m->objects.n : max, n = 0;
	struct backend_list_entry *v = arena_alloc(a, (cap + 1) * sizeof(*v));
	bool there;

	*ret_more = false;
	for (size_t i = place(&m->objects, base, &there); i < m->objects.n; i++) {
		const struct item *it = &m->objects.v[i];
		struct str key;

		if (!str_starts(it->name, base))
			break;
		key = str_skip(it->name, base.n);
		if (!str_starts(key, prefix) || str_cmp(key, after) <= 0)
			continue;
		if (n == max) {
			*ret_more = true;
			break;
		}
		v[n++] = (struct backend_list_entry){.key = arena_dup(a, key), .stat = stat_of(it)};
	}
	*ret = v;
	*ret_n = n;
}

static rc mem_list(struct backend *b, struct str space, struct str prefix, struct str after,
		   size_t max, struct arena *a, struct backend_list_entry **ret, size_t *ret_n,
		   bool *ret_more, struct err *reterr)
{
	struct mem *m = of(b);
	struct str base;

	TRY(space_of(space, &base, reterr));
	base = join(base, "/", STR_NONE);
	pthread_mutex_lock(&m->lock);
	list_locked(m, base, prefix, after, max, a, ret, ret_n, ret_more);
	pthread_mutex_unlock(&m->lock);
	free((char *)base.p);
	return RC_OK;
}

struct copied {
	struct mem *m;
	struct mem_writer *w;
};

static void take_bytes(const struct item *i, void *ud)
{
	struct copied *c = ud;

	c->w->item.p = must(malloc(i->n ? i->n : 1));
	c->w->cap = c->w->item.n = i->n;
	if (i->n)
		memcpy(c->w->item.p, i->p, i->n);
	c->m->bytes += i->n;
}

static rc mem_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
		   struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct copied c = {.m = of(b)};
	struct str name;
	rc r;

	TRY(name_of(to, &name, reterr));
	c.w = writer_new(c.m, name);
	r = with_object(c.m, from, take_bytes, &c, reterr);
	if (rc_ok(r))
		return mem_commit(&c.w->base, a, ret, reterr);
	mem_abort(&c.w->base);
	return r;
}

/* Multipart. */

static rc mem_mpu_create(struct backend *b, const struct object_ptr *to,
			 const struct backend_put_options *o, struct arena *a,
			 struct str *ret_upload_id, struct err *reterr)
{
	struct mem *m = of(b);
	struct str name;
	char id[24];

	TRY(name_of(to, &name, reterr));
	free((char *)name.p);
	pthread_mutex_lock(&m->lock);
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)++m->next_id);
	insert(m, &m->uploads, (struct item){.name = join(str_c(id), "", STR_NONE)});
	pthread_mutex_unlock(&m->lock);
	*ret_upload_id = arena_dup(a, str_c(id));
	return RC_OK;
}

static rc no_upload(struct str id, struct err *reterr)
{
	return err_set(reterr, ERR_NOT_FOUND, "the store has no upload \"" STR_FMT "\"",
		       STR_ARG(str_head(id, 100)));
}

static struct str part_name(struct str upload, unsigned number, struct str etag)
{
	char between[16];

	snprintf(between, sizeof(between), "/%05u.", number);
	return join(upload, between, etag);
}

static rc mem_mpu_open_part(struct backend *b, const struct object_ptr *to, struct str upload_id,
			    unsigned number, const struct backend_put_options *o,
			    struct backend_writer **ret, struct err *reterr)
{
	struct mem *m = of(b);
	struct mem_writer *w;
	uint64_t random;
	bool there;

	if (number < 1 || number > 10000)
		return err_set(reterr, ERR_INVALID, "part %u: numbers go from 1 to 10000", number);
	pthread_mutex_lock(&m->lock);
	there = find(&m->uploads, upload_id);
	pthread_mutex_unlock(&m->lock);
	if (!there)
		return no_upload(upload_id, reterr);
	rand_bytes(&random, sizeof(random));
	w = writer_new(m, STR_NONE);
	snprintf(w->etag, sizeof(w->etag), "%016llx", (unsigned long long)random);
	w->item.name = part_name(upload_id, number, str_c(w->etag));
	w->upload = join(upload_id, "", STR_NONE);
	w->part = true;
	*ret = &w->base;
	return RC_OK;
}

static rc add_part_locked(struct mem *m, struct str upload, const struct backend_part *p,
			  struct item *to, struct err *reterr)
{
	struct str name = part_name(upload, p->number, p->etag);
	struct item *part = find(&m->parts, name);

	free((char *)name.p);
	if (!part || part->n != p->size)
		return err_set(reterr, ERR_InvalidPart, "part %u: the upload has no such part",
			       p->number);
	if (part->n > MEM_MAX - m->bytes)
		return err_set(reterr, ERR_IO, "the memory store is full (%llu bytes)",
			       (unsigned long long)MEM_MAX);
	to->p = must(realloc(to->p, to->n + part->n + 1));
	if (part->n)
		memcpy(to->p + to->n, part->p, part->n);
	to->n += part->n;
	m->bytes += part->n;
	return RC_OK;
}

static void end_upload_locked(struct mem *m, struct str id)
{
	struct str prefix = join(id, "/", STR_NONE);
	bool there;
	size_t i = place(&m->uploads, id, &there);

	if (there)
		drop(m, &m->uploads, i);
	i = place(&m->parts, prefix, &there);
	while (i < m->parts.n && str_starts(m->parts.v[i].name, prefix))
		drop(m, &m->parts, i);
	free((char *)prefix.p);
}

static rc complete_locked(struct mem *m, struct mem_writer *w, struct str upload,
			  const struct backend_part *parts, size_t n, struct backend_stat *ret,
			  struct err *reterr)
{
	if (!find(&m->uploads, upload))
		return no_upload(upload, reterr);
	for (size_t i = 0; i < n; i++)
		TRY(add_part_locked(m, upload, &parts[i], &w->item, reterr));
	TRY(publish_locked(w, ret, reterr));
	end_upload_locked(m, upload);
	return RC_OK;
}

static rc mem_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
			   const struct backend_part *parts, size_t n, struct arena *a,
			   struct backend_stat *ret, struct err *reterr)
{
	struct mem *m = of(b);
	struct mem_writer *w;
	struct str name;
	rc r;

	TRY(name_of(to, &name, reterr));
	w = writer_new(m, name);
	pthread_mutex_lock(&m->lock);
	r = complete_locked(m, w, upload_id, parts, n, ret, reterr);
	pthread_mutex_unlock(&m->lock);
	mem_abort(&w->base);
	return r;
}

static rc mem_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
			struct err *reterr)
{
	struct mem *m = of(b);

	pthread_mutex_lock(&m->lock);
	end_upload_locked(m, upload_id);
	pthread_mutex_unlock(&m->lock);
	return RC_OK;
}

static rc mem_check_space(struct backend *b, struct str space, struct err *reterr)
{
	struct str name;

	return space_of(space, &name, reterr);
}

static const struct backend_blocking_ops mem_ops = {
	.open_writer = mem_open_writer,
	.write = mem_write,
	.commit = mem_commit,
	.abort = mem_abort,
	.read = mem_read,
	.head = mem_head,
	.remove = mem_remove,
	.list = mem_list,
	.copy = mem_copy,
	.mpu_create = mem_mpu_create,
	.mpu_open_part = mem_mpu_open_part,
	.mpu_complete = mem_mpu_complete,
	.mpu_abort = mem_mpu_abort,
};

static void mem_free(struct backend *b)
{
	struct mem *m = of(b);

	items_deinit(&m->objects);
	items_deinit(&m->parts);
	items_deinit(&m->uploads);
	pthread_mutex_destroy(&m->lock);
	free((char *)m->id.p);
	free(m);
}

struct backend *backend_mem_new(struct str id, struct work_pool *pool)
{
	struct mem *m = must(calloc(1, sizeof(*m)));

	m->id = join(id.p ? id : STR(""), "", STR_NONE);
	pthread_mutex_init(&m->lock, NULL);
	backend_init(&m->b, "mem", m->id, pool, &mem_ops);
	m->b.caps = BACKEND_CAP_BLOCKING | BACKEND_CAP_COPY | BACKEND_CAP_MULTIPART;
	m->b.check_space = mem_check_space;
	m->b.free = mem_free;
	return &m->b;
}
