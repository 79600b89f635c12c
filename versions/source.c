/* A stored object's bytes, as a file or as a body. */
#include <assert.h>
#include <unistd.h>

#include "versions/copy.h"
#include "versions/internal.h"

static rc too_short(const struct entry *e, uint64_t there, struct err *reterr)
{
	return err_set(reterr, ERR_CORRUPT,
		       "the stored object " STR_FMT " has %llu bytes where %lld were written",
		       STR_ARG(e->address), (unsigned long long)there, (long long)e->size);
}

rc object_open_file(struct vcall *c, const struct repo *r, const struct entry *e, struct backend *b,
		    int *ret_fd)
{
	const struct object_ptr p = object_pointer(r, e);
	struct backend_stat st;
	rc opened;

	if (c->wait == KV_NOWAIT && !(b->caps & BACKEND_CAP_NOWAIT))
		return RC(WOULD_BLOCK);
	opened = c->wait == KV_NOWAIT ? b->blocking->open_file_nowait(b, &p, ret_fd, &st, c->err)
				      : b->blocking->open_file(b, &p, ret_fd, &st, c->err);
	if (rc_is(opened, NOT_FOUND) || rc_is(opened, INVALID))
		opened = object_gone(c->err);
	if (rc_ok(opened) && st.size < (uint64_t)e->size) {
		close(*ret_fd);
		opened = too_short(e, st.size, c->err);
	}
	if (!rc_ok(opened))
		*ret_fd = -1;
	return opened;
}

static void deliver(struct mail *m)
{
	struct object_source *s =
		(struct object_source *)((char *)m - offsetof(struct object_source, mail));

	s->done(s);
}

static void build(struct object_source *s)
{
	struct body *b = body_clip_new(s->a, s->op.got, 0, s->length);

	b = s->relay = body_relay_new(s->a, b, s->slot_bytes, s->home);
	if (s->digests_of) {
		s->digests = digest_set_new(s->a, s->digests_of);
		b = body_digest_new(s->a, b, s->digests);
	}
	s->body = b;
}

static rc got(struct object_source *s)
{
	if (rc_is(s->op.result, NOT_FOUND))
		return object_gone(&s->err);
	if (!rc_ok(s->op.result)) {
		s->err = s->op.err;
		return s->op.result;
	}
	if (s->op.stat.size >= (uint64_t)s->entry->size)
		return RC_OK;
	body_close(s->op.got);
	return too_short(s->entry, s->op.stat.size, &s->err);
}

static void opened(struct backend_op *op)
{
	struct object_source *s =
		(struct object_source *)((char *)op - offsetof(struct object_source, op));

	s->result = got(s);
	if (rc_ok(s->result))
		build(s);
	s->done(s);
}

void object_source_open(struct object_source *s)
{
	struct vcall c = {.v = s->v, .a = s->a, .wait = KV_NOWAIT, .err = &s->err};

	assert(s->done && s->home && s->offset + s->length <= (uint64_t)s->entry->size);
	s->relay = s->body = NULL;
	s->digests = NULL;
	s->result = repo_backend(&c, s->repo, &s->backend);
	if (!rc_ok(s->result)) {
		s->mail.deliver = deliver;
		mailbox_post(s->home, &s->mail);
		return;
	}
	s->op = (struct backend_op){
		.done = opened,
		.home = s->home,
		.a = s->a,
		.from = object_pointer(s->repo, s->entry),
		.offset = s->length ? s->offset : 0,
		.length = s->length,
	};
	backend_get(s->backend, &s->op);
}

void object_source_cancel(struct object_source *s)
{
	backend_cancel(&s->op);
}
