/* Copying an object. All on home's loop but what is marked as a job:
 *
 *   start --within a repository-----------------------------> STAGING (job) -----------------+
 *     |   \--one store-------------------------> PUTTING (object_put copies in the store) ---+
 *     |   \--two stores--> OPENING --opened----> PUTTING (object_put pulls the source) ------+
 *     \--a checksum that nobody has, and the bytes won't pass by--> OPENING                  |
 *           --opened--> SUMMING (armed, or a job that pulls) --summed--> STAGING or PUTTING  |
 *   done() <-- ENDED <-----------------------------------------------------------------------+
 */
#include "versions/copy.h"

#include <assert.h>

#include "base/encode.h"
#include "versions/internal.h"

enum { STAGING = 1, PUTTING, OPENING, ARMED, SUMMING, ENDED };

#define OF(ptr, member)                                                                            \
	((struct object_copy *)((char *)(ptr) - offsetof(struct object_copy, member)))

static void sum(struct object_copy *c);

static void deliver(struct object_copy *c)
{
	c->state = ENDED;
	if (c->source.body)
		body_close(c->source.body);
	if (rc_ok(c->result))
		c->err = (struct err){0};
	c->done(c);
}

static void deliver_mail(struct mail *m)
{
	deliver(OF(m, mail));
}

static void end_later(struct object_copy *c, rc result)
{
	c->result = result;
	c->state = ENDED;
	c->mail.deliver = deliver_mail;
	mailbox_post(c->home, &c->mail);
}

static rc cancelled(struct object_copy *c)
{
	return err_default(&c->err, ERR_CANCELLED);
}

static void submit(struct object_copy *c, struct work_pool *pool, int state,
		   void (*run)(struct work *w), void (*done)(struct work *w))
{
	c->ran = false;
	c->state = state;
	c->work = (struct work){.run = run, .done = done, .home = c->home, .begun = true};
	if (!work_submit(pool, &c->work))
		end_later(c, err_set(&c->err, ERR_SlowDown,
				     "the workers have too much to do; try again"));
}

/* Within a repository: the entry alone. */

static void run_stage(struct work *w)
{
	struct object_copy *c = OF(w, work);
	struct vcall call = {.v = c->v, .a = c->a, .wait = KV_BLOCK, .err = &c->err};
	bool sent;

	c->ran = true;
	c->entry.modified = wall_now();
	c->result = object_stage(&call, c->repo, c->branch, c->path, &c->entry, c->cond,
				 c->cond_etag, &sent);
}

static void staged(struct work *w)
{
	struct object_copy *c = OF(w, work);

	if (!c->ran)
		c->result = cancelled(c);
	deliver(c);
}

/* Elsewhere: a body of its own. */

/* The body is shared. */
static bool within(const struct object_copy *c)
{
	return !c->whole && str_eq(c->from_repo->partition, c->repo->partition);
}

static unsigned missing(const struct object_copy *c)
{
	const struct entry *e = &c->origin;

	if (c->checksum == DIGEST_KINDS || (e->checksum[c->checksum].n && !e->checksum_composite))
		return 0;
	return 1u << c->checksum;
}

/* Of the whole object, and then the only one: the copy is made with this algorithm. */
static void take_sum(struct object_copy *c, struct entry *e, struct digest_set *digests)
{
	memset(e->checksum, 0, sizeof(e->checksum));
	if (e->checksum_composite)
		e->part_checksums = STR_NONE;
	e->checksum_composite = false;
	e->checksum[c->checksum] = digest_set_value(digests, c->checksum);
}

static bool is_md5(struct str etag)
{
	return etag.n == 32;
}

/* What passed by must be what was stored: the ETag of a body in one piece says so. */
static rc check_passed(struct object_copy *c)
{
	struct digest_set *d = c->source.digests;
	struct str raw;

	if (is_md5(c->origin.etag) && hex_decode(c->a, c->origin.etag, &raw) &&
	    !str_eq(raw, digest_set_value(d, DIGEST_MD5)))
		return err_set(&c->err, ERR_CORRUPT,
			       "the stored object " STR_FMT " is not what was written: its MD5 is "
			       "another one than its ETag says",
			       STR_ARG(c->origin.address));
	return RC_OK;
}

static rc complete(struct object_put *p, struct entry *e)
{
	struct object_copy *c = p->ud;
	struct entry made = c->entry;

	if (!p->from) {
		rc passed = check_passed(c);

		if (!rc_ok(passed)) {
			p->err = c->err;
			return passed;
		}
		if (missing(c))
			take_sum(c, &made, c->source.digests);
	} else if (p->op.stat.size != (uint64_t)made.size) {
		return err_set(&p->err, ERR_CORRUPT,
			       "the stored object " STR_FMT " has %llu bytes where %lld were written",
			       STR_ARG(c->origin.address), (unsigned long long)p->op.stat.size,
			       (long long)made.size);
	}
	made.address = e->address;
	made.address_type = e->address_type;
	made.modified = e->modified;
	*e = made;
	return RC_OK;
}

static void put_done(struct object_put *p)
{
	struct object_copy *c = OF(p, put);

	c->result = p->result;
	c->err = p->err;
	if (rc_ok(p->result))
		c->entry = p->entry;
	deliver(c);
}

static void put(struct object_copy *c, bool in_store)
{
	c->put = (struct object_put){
		.done = put_done,
		.home = c->home,
		.v = c->v,
		.a = c->a,
		.repo = c->repo,
		.branch = c->branch,
		.path = c->path,
		.content_type = c->entry.content_type,
		.storage_class = c->storage_class,
		.cond = c->cond,
		.cond_etag = c->cond_etag,
		.complete = complete,
		.ud = c,
	};
	if (in_store) {
		c->from = object_pointer(c->from_repo, &c->origin);
		c->put.from = &c->from;
	} else {
		c->put.relay = c->source.relay;
		c->put.body = c->source.body;
		c->put.digests = c->source.digests;
	}
	c->state = PUTTING;
	object_put_start(&c->put);
}

/* The bytes are only read for their checksum. */

static void proceed(struct object_copy *c)
{
	if (within(c))
		submit(c, c->v->meta, STAGING, run_stage, staged);
	else
		put(c, true);
}

static void run_sum(struct work *w)
{
	struct object_copy *c = OF(w, work);
	char chunk[64 * 1024];
	size_t n;

	c->ran = true;
	do
		c->pulled = work_cancelled(w) ? BODY_FAIL
					      : body_pull(c->source.body, chunk, sizeof(chunk), &n,
							  &c->err);
	while (c->pulled == BODY_MORE);
}

static void summed(struct work *w)
{
	struct object_copy *c = OF(w, work);

	if (c->cancelled || !c->ran) {
		c->result = cancelled(c);
		deliver(c);
	} else if (c->pulled == BODY_WAIT) {
		sum(c);
	} else if (c->pulled == BODY_FAIL) {
		c->result = (rc){c->err.code};
		deliver(c);
	} else {
		take_sum(c, &c->entry, c->source.digests);
		proceed(c);
	}
}

static void ready(void *ud)
{
	struct object_copy *c = ud;

	if (c->state == ARMED)
		submit(c, c->v->data, SUMMING, run_sum, summed);
}

static void sum(struct object_copy *c)
{
	c->state = ARMED;
	body_arm(c->source.body, ready, c);
}

static void opened(struct object_source *s)
{
	struct object_copy *c = s->ud;

	c->result = s->result;
	c->err = s->err;
	if (rc_ok(s->result) && c->cancelled)
		c->result = cancelled(c);
	if (!rc_ok(c->result))
		deliver(c);
	else if (digest_set_has(s->digests, DIGEST_MD5))
		put(c, false);
	else
		sum(c);
}

static void open_source(struct object_copy *c, unsigned digests)
{
	c->source = (struct object_source){
		.done = opened,
		.home = c->home,
		.v = c->v,
		.a = c->a,
		.repo = c->from_repo,
		.entry = &c->origin,
		.length = (uint64_t)c->origin.size,
		.digests_of = digests,
		.slot_bytes = c->slot_bytes,
		.ud = c,
	};
	c->state = OPENING;
	object_source_open(&c->source);
}

/* Whether the bytes needn't pass by. */
static rc in_store(struct object_copy *c, bool *ret)
{
	struct vcall call = {.v = c->v, .a = c->a, .wait = KV_NOWAIT, .err = &c->err};
	struct backend *from, *to;

	*ret = within(c);
	if (*ret)
		return RC_OK;
	TRY(repo_backend(&call, c->from_repo, &from));
	TRY(repo_backend(&call, c->repo, &to));
	*ret = from == to && (from->caps & BACKEND_CAP_COPY);
	if (!*ret && (uint64_t)c->origin.size > c->max_streamed)
		return err_set(&c->err, ERR_InvalidRequest,
			       "The specified copy source is larger than the maximum allowable size "
			       "for a copy source between two stores: %llu",
			       (unsigned long long)c->max_streamed);
	return RC_OK;
}

void object_copy_start(struct object_copy *c)
{
	bool stays = false;
	rc r;

	assert(c->done && c->home);
	c->origin = c->entry;
	c->source.body = NULL;
	c->cancelled = false;
	r = in_store(c, &stays);
	if (!rc_ok(r))
		end_later(c, r);
	else if (!stays)
		open_source(c, 1u << DIGEST_MD5 | missing(c));
	else if (missing(c))
		open_source(c, missing(c));
	else
		proceed(c);
}

void object_copy_cancel(struct object_copy *c)
{
	if (c->cancelled)
		return;
	c->cancelled = true;
	if (c->state == PUTTING)
		object_put_cancel(&c->put);
	else if (c->state == OPENING)
		object_source_cancel(&c->source);
	else if (c->state == ARMED)
		end_later(c, cancelled(c));
	else if (c->state == STAGING || c->state == SUMMING)
		work_cancel(&c->work);
}
