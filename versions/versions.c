#include "versions/versions.h"

#include <assert.h>
#include <stdlib.h>

#include "versions/dump.h"
#include "versions/internal.h"
#include "versions/put_batch.h"
#include "versions/tables.h"
#include "versions/task_priv.h"
#include "versions/turn.h"

enum { COMMITS_CACHED = 4096, CLOSED_MS = 60 * 1000 };

struct versions *versions_new(const struct versions_options *o)
{
	struct versions *v = calloc(1, sizeof(*v));

	assert(o->kv && o->registry);
	if (!v)
		abort();
	v->kv = o->kv;
	pthread_mutex_init(&v->registry_lock, NULL);
	v->registry_locked = registry_ref(o->registry);
	v->meta = o->meta;
	v->data = o->data;
	v->repo_cache_ms = o->repo_cache_ms;
	v->closed_ms = o->closed_ms ? o->closed_ms : CLOSED_MS;
	v->alone_since_ms = o->alone ? wall_ms() : 0;
	v->ensure_readable_root = o->ensure_readable_root;
	v->actions = o->actions;
	v->block_prefix = strndup(o->block_prefix.n ? o->block_prefix.p : "_lakefs",
				  o->block_prefix.n ? o->block_prefix.n : sizeof("_lakefs"));
	if (!v->block_prefix)
		abort();
	v->repos = cache_new(o->repo_cache_size);
	v->commits = cache_new(COMMITS_CACHED);
	v->commit_records = cache_new(COMMITS_CACHED);
	v->settings = cache_new(o->repo_cache_size);
	pthread_mutex_init(&v->names, NULL);
	pthread_mutex_init(&v->ids, NULL);
	v->puts = put_batch_new(v);
	v->turns = turns_new(o->alone ? 0 : o->lease_ms);
	v->ranges = o->ranges;
	v->split.min_bytes = o->min_range_bytes;
	v->split.max_bytes = o->max_range_bytes ? o->max_range_bytes : 20 << 20;
	v->split.raggedness = o->range_raggedness ? o->range_raggedness : 50000;
	v->gc.file_bytes = o->gc_file_bytes ? o->gc_file_bytes : 20 << 20;
	v->gc.call_ms = o->gc_call_ms ? o->gc_call_ms : 60000;
	return v;
}

void versions_open_tables(struct versions *v, const struct tables_options *o)
{
	assert(!v->tables);
	v->tables = tables_new(o);
}

void versions_free(struct versions *v)
{
	if (!v)
		return;
	versions_end_tasks(v);
	tasks_free(v->tasks);
	put_batch_free(v->puts);
	turns_free(v->turns);
	tables_free(v->tables);
	registry_unref(v->registry_locked);
	pthread_mutex_destroy(&v->registry_lock);
	cache_free(v->repos);
	cache_free(v->commits);
	cache_free(v->commit_records);
	cache_free(v->settings);
	pthread_mutex_destroy(&v->names);
	pthread_mutex_destroy(&v->ids);
	free(v->block_prefix);
	free(v);
}

struct kv *versions_kv(struct versions *v)
{
	return v->kv;
}

struct registry *versions_registry(struct versions *v)
{
	struct registry *r;

	pthread_mutex_lock(&v->registry_lock);
	r = registry_ref(v->registry_locked);
	pthread_mutex_unlock(&v->registry_lock);
	return r;
}

void versions_set_registry(struct versions *v, struct registry *r)
{
	struct registry *old;

	pthread_mutex_lock(&v->registry_lock);
	old = v->registry_locked;
	v->registry_locked = registry_ref(r);
	pthread_mutex_unlock(&v->registry_lock);
	/* Open tables would hold stores that are gone. */
	if (v->tables)
		tables_close_all(v->tables);
	registry_unref(old);
}

enum { STEPS_A_TICK = 256 };

rc vcall_tick(struct vcall *c, int64_t step)
{
	if (step % STEPS_A_TICK)
		return RC_OK;
	if (c->turn)
		turn_renew(c->turn);
	return c->progress ? c->progress->tick(c->progress, step, c->err) : RC_OK;
}

struct str scan_from(struct arena *a, struct str prefix, struct str after)
{
	/* The least key > after is after followed by a NUL. */
	if (!after.p || str_cmp(after, prefix) < 0)
		return prefix;
	return key_join(a, after, str_make("", 1));
}
