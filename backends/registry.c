#include "backends/registry.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backends/open.h"
#include "base/buf.h"
#include "conf/conf.h"

enum { NO_STORE = -1, TOLD_STORES = 20 };

struct entry {
	struct registry_store s;
	char fingerprint[CONF_FINGERPRINT + 1]; /* "": not from a configuration */
	bool limited;
};

struct registry {
	_Atomic unsigned refs;
	struct arena *a;
	struct entry *stores;
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
		if (str_eq(r->stores[i].s.b->id, id))
			return (long)i;
	return NO_STORE;
}

/* Where namespaces are when nobody has said. */
static struct str prefix_of(struct registry *r, const struct backend *b, struct str said)
{
	struct str type = str_c(b->type);

	if (said.n)
		return arena_dup(r->a, said);
	if (str_eq(type, STR("local")) || str_eq(type, STR("mem")))
		return arena_printf(r->a, "%s://", b->type);
	return STR_NONE;
}

static void add(struct registry *r, struct registry_store s)
{
	if (s.description.p)
		s.description = arena_dup(r->a, s.description);
	s.namespace_prefix = prefix_of(r, s.b, s.namespace_prefix);
	if (s.backward_compatible)
		r->fallback = (long)r->n;
	r->stores[r->n++].s = s;
}

struct registry *registry_of_stores(const struct registry_store *stores, size_t n)
{
	struct registry *r = registry_new(n);

	for (size_t i = 0; i < n; i++)
		add(r, stores[i]);
	return r;
}

struct registry *registry_of(struct backend **stores, size_t n, struct str default_id)
{
	struct registry *r = registry_new(n);

	for (size_t i = 0; i < n; i++)
		add(r, (struct registry_store){.b = stores[i],
					       .backward_compatible = str_eq(stores[i]->id, default_id)});
	return r;
}

/* Opening. */

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

/* The old one, if it is the same. */
static struct backend *keep(struct registry *old, struct str id, const struct entry *now)
{
	long i = old ? index_of(old, id) : NO_STORE;
	const struct entry *e = i == NO_STORE ? NULL : &old->stores[i];

	if (!e || !str_eq(str_c(e->fingerprint), str_c(now->fingerprint)) || e->limited != now->limited)
		return NULL;
	backend_ref(e->s.b);
	return e->s.b;
}

static rc add_configured(struct registry *r, const struct conf *c, const struct conf_store *s,
			 struct work_pool *pool, struct registry *old, struct err *reterr)
{
	struct entry *e = &r->stores[r->n];
	struct registry_store given = {
		.description = s->description,
		.namespace_prefix = s->default_namespace_prefix,
		.backward_compatible = c->blockstores.single || s->backward_compatible,
	};

	if (index_of(r, s->id) != NO_STORE)
		return err_set(reterr, ERR_CONFIG, "two stores have this id: give each one of its own");
	if (given.backward_compatible && r->fallback != NO_STORE)
		return err_set(reterr, ERR_CONFIG,
			       "a second backward compatible store: set it for one store only");
	conf_store_fingerprint(s, e->fingerprint);
	e->limited = store_is_limited(c, s->type);
	given.b = keep(old, s->id, e);
	if (!given.b)
		TRY(store_open_configured(c, s, pool, &given.b, reterr));
	add(r, given);
	return RC_OK;
}

static rc open_all(struct registry *r, const struct conf *c, struct work_pool *pool,
		   struct registry *old, struct err *reterr)
{
	for (size_t i = 0; i < c->blockstores.stores_n; i++) {
		const struct conf_store *s = &c->blockstores.stores[i];

		if (!rc_ok(add_configured(r, c, s, pool, old, reterr)))
			return refuse(s, reterr);
	}
	if (r->n == 0)
		return err_set(reterr, ERR_CONFIG,
			       "no store is configured: set blockstore or blockstores.stores");
	return RC_OK;
}

rc registry_open(const struct conf *c, struct work_pool *pool, struct registry *old,
		 struct registry **ret, struct err *reterr)
{
	struct registry *r = registry_new(c->blockstores.stores_n);
	rc opened = open_all(r, c, pool, old, reterr);

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
		backend_unref(r->stores[i].s.b);
	arena_free(r->a);
	free(r);
}

/* Finding. */

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
	*ret = r->stores[i].s.b;
	return RC_OK;
}

size_t registry_count(const struct registry *r)
{
	return r->n;
}

const struct registry_store *registry_at(const struct registry *r, size_t i)
{
	assert(i < r->n);
	return &r->stores[i].s;
}

const struct registry_store *registry_fallback(const struct registry *r)
{
	if (r->fallback != NO_STORE)
		return &r->stores[r->fallback].s;
	return r->n == 1 ? &r->stores[0].s : NULL;
}

/* Choosing. */

struct choice {
	struct backend *matching, *seeing; /* the last of each */
	size_t matching_n, seeing_n;
	bool fallback_sees;
};

static bool matches(struct backend *b, struct str space)
{
	return rc_ok(b->check_space(b, space, NULL));
}

/* A store that can't be asked sees nothing more than its kind says. */
static bool sees(struct backend *b, struct str space)
{
	return b->blocking && b->blocking->probe && rc_ok(b->blocking->probe(b, space, NULL));
}

static struct choice look(struct registry *r, struct str space)
{
	struct choice c = {0};

	for (size_t i = 0; i < r->n; i++)
		if (matches(r->stores[i].s.b, space)) {
			c.matching = r->stores[i].s.b;
			c.matching_n++;
		}
	for (size_t i = 0; c.matching_n > 1 && i < r->n; i++)
		if (matches(r->stores[i].s.b, space) && sees(r->stores[i].s.b, space)) {
			c.seeing = r->stores[i].s.b;
			c.seeing_n++;
			c.fallback_sees |= (long)i == r->fallback;
		}
	return c;
}

/* "a" (s3), "b" (local): all, or those that match the namespace. */
static void name_stores(const struct registry *r, struct str space, struct buf *out)
{
	size_t told = 0, left = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct backend *b = r->stores[i].s.b;

		if (space.p && !matches(b, space))
			continue;
		if (told < TOLD_STORES)
			buf_printf(out, "%s\"" STR_FMT "\" (%s)", told ? ", " : "",
				   STR_ARG(str_head(b->id, 40)), b->type);
		else
			left++;
		told++;
	}
	if (left)
		buf_printf(out, " and %zu more", left);
}

static rc ambiguous(struct registry *r, struct str space, const struct choice *c, struct err *reterr)
{
	struct buf names = BUF_INIT(4096);
	rc res;

	name_stores(r, c->matching_n ? space : STR_NONE, &names);
	buf_add_c(&names, 0);
	if (!space.p)
		res = err_set(reterr, ERR_INVALID,
			      "storage id: none was given, and none of the stores is marked as "
			      "backward_compatible: name one of %s",
			      names.p);
	else if (!c->matching_n)
		res = err_set(reterr, ERR_INVALID,
			      "storage id: none was given, and no store takes namespaces like \"" STR_FMT
			      "\"; the stores are %s",
			      STR_ARG(str_head(space, 100)), names.p);
	else
		res = err_set(reterr, ERR_INVALID,
			      "storage id: none was given, and %s of %s is the one for namespace \"" STR_FMT
			      "\": name one (storage_id)",
			      c->seeing_n ? "more than one" : "none", names.p,
			      STR_ARG(str_head(space, 100)));
	buf_deinit(&names);
	return res;
}

static struct backend *choose(struct registry *r, struct str space, const struct choice *c)
{
	if (c->matching_n == 1)
		return c->matching;
	if (c->seeing_n == 1)
		return c->seeing;
	if (r->fallback == NO_STORE || !matches(r->stores[r->fallback].s.b, space))
		return NULL;
	return c->seeing_n && !c->fallback_sees ? NULL : r->stores[r->fallback].s.b;
}

rc registry_default(struct registry *r, struct str space, struct backend **ret, struct err *reterr)
{
	const struct registry_store *fallback = registry_fallback(r);
	struct choice c = {0};

	if (r->n == 1 || !space.p) {
		*ret = fallback ? fallback->b : NULL;
	} else {
		c = look(r, space);
		*ret = choose(r, space, &c);
	}
	return *ret ? RC_OK : ambiguous(r, space, &c, reterr);
}
