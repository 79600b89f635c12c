#include "backends/registry.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "conf/conf.h"

enum { NO_STORE = -1 };

struct registry {
	_Atomic unsigned refs;
	struct arena *a;
	struct backend **stores;
	size_t n;
	long fallback; /* index of the store of "", or NO_STORE */
};

static struct registry *registry_new(size_t n)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	atomic_init(&r->refs, 1);
	r->a = arena_new();
	r->stores = arena_zalloc(r->a, (n + 1) * sizeof(*r->stores));
	r->fallback = NO_STORE;
	return r;
}

static long index_of(const struct registry *r, struct str id)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->stores[i]->id, id))
			return (long)i;
	return NO_STORE;
}

struct registry *registry_of(struct backend **stores, size_t n, struct str default_id)
{
	struct registry *r = registry_new(n);

	for (size_t i = 0; i < n; i++)
		r->stores[i] = stores[i];
	r->n = n;
	r->fallback = index_of(r, default_id);
	return r;
}

static rc open_store(const struct conf *c, const struct conf_store *s, struct work_pool *pool,
		     struct backend **ret, struct err *reterr)
{
	if (str_eq(s->type, STR("mem"))) {
		*ret = backend_mem_new(s->id, pool);
		return RC_OK;
	}
	if (str_eq(s->type, STR("local")))
		return backend_local_open(
			&(struct backend_local_options){.id = s->id,
							.path = s->local.path,
							.pool = pool,
							.sync = true,
							.direct_bytes = (uint64_t)
								c->server.direct_io_bytes},
			ret, reterr);
	return err_set(reterr, ERR_CONFIG,
		       "this version has no stores of type \"" STR_FMT "\": use local or mem",
		       STR_ARG(s->type));
}

/* The code says what is the matter: the configuration, whatever the store said. */
static rc refuse(const struct conf_store *s, struct err *reterr)
{
	if (reterr)
		reterr->code = ERR_CONFIG;
	if (s->id.n)
		return err_wrap(RC(CONFIG), reterr, "store \"" STR_FMT "\" (blockstores.stores)",
				STR_ARG(s->id));
	return err_wrap(RC(CONFIG), reterr, "the store (blockstore)");
}

static rc open_all(struct registry *r, const struct conf *c, struct work_pool *pool,
		   struct err *reterr)
{
	for (size_t i = 0; i < c->blockstores.stores_n; i++) {
		const struct conf_store *s = &c->blockstores.stores[i];

		if (index_of(r, s->id) != NO_STORE) {
			IGNORE_RC(err_set(reterr, ERR_CONFIG,
					  "two stores have this id: give each one of its own"));
			return refuse(s, reterr);
		}
		if (!rc_ok(open_store(c, s, pool, &r->stores[r->n], reterr)))
			return refuse(s, reterr);
		if (c->blockstores.single || s->backward_compatible)
			r->fallback = (long)r->n;
		r->n++;
	}
	if (r->n == 0)
		return err_set(reterr, ERR_CONFIG,
			       "no store is configured: set blockstore or blockstores.stores");
	return RC_OK;
}

rc registry_open(const struct conf *c, struct work_pool *pool, struct registry **ret,
		 struct err *reterr)
{
	struct registry *r = registry_new(c->blockstores.stores_n);
	rc opened = open_all(r, c, pool, reterr);

	if (!rc_ok(opened)) {
		registry_unref(r);
		return opened;
	}
	*ret = r;
	return RC_OK;
}

struct registry *registry_ref(struct registry *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void registry_unref(struct registry *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < r->n; i++)
		backend_free(r->stores[i]);
	arena_free(r->a);
	free(r);
}

rc registry_get(struct registry *r, struct str id, struct backend **ret, struct err *reterr)
{
	long i = index_of(r, id);

	if (i == NO_STORE && id.n == 0)
		i = r->fallback;
	if (i == NO_STORE && id.n == 0)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "the repository was made before there were several stores: mark its "
			       "store in the configuration as backward_compatible");
	if (i == NO_STORE)
		return err_set(reterr, ERR_ServiceUnavailable,
			       "the configuration has no store \"" STR_FMT
			       "\", where the repository is: put it back into blockstores.stores",
			       STR_ARG(str_head(id, 100)));
	*ret = r->stores[i];
	return RC_OK;
}

size_t registry_count(const struct registry *r)
{
	return r->n;
}

struct backend *registry_at(const struct registry *r, size_t i)
{
	assert(i < r->n);
	return r->stores[i];
}

rc registry_default(struct registry *r, struct str space, struct backend **ret, struct err *reterr)
{
	struct backend *found = r->n == 1 ? r->stores[0] : NULL;
	size_t n = 0;

	if (r->fallback != NO_STORE)
		found = r->stores[r->fallback];
	for (size_t i = 0; !found && space.p && i < r->n; i++)
		n += rc_ok(r->stores[i]->check_space(r->stores[i], space, NULL));
	for (size_t i = 0; !found && n == 1 && i < r->n; i++)
		if (rc_ok(r->stores[i]->check_space(r->stores[i], space, NULL)))
			found = r->stores[i];
	if (!found)
		return err_set(reterr, ERR_INVALID,
			       "storage id: none was given, and none of the %zu stores is the one "
			       "to take: name one, or mark one as backward_compatible",
			       r->n);
	*ret = found;
	return RC_OK;
}
