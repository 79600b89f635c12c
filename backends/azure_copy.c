/* Copies. Within an account Azure makes them, at once or in its own time; between accounts it would
 * need a signature for the source, and the bytes pass through here instead. */
#include "backends/azure_priv.h"

#include <stdlib.h>

#include "base/clock.h"

enum {
	COPY_MS = 10 * 60 * 1000, /* Azure promises no time; within an account it is seconds */
	LOOK_MS = 100,
	LOOK_MOST_MS = 5000,
	PIECE = 256 * 1024,
};

static rc read_write(struct backend *b, struct backend_reader *r, struct backend_writer *w,
		     struct err *reterr)
{
	char *piece = malloc(PIECE);
	size_t n;
	rc done;

	if (!piece)
		abort();
	do {
		done = b->blocking->read_next(r, piece, PIECE, &n, reterr);
		if (rc_ok(done))
			done = b->blocking->write(w, piece, n, reterr);
	} while (rc_ok(done) && n == PIECE);
	free(piece);
	return done;
}

static rc through_here(struct backend *b, const struct object_ptr *from,
		       const struct object_ptr *to, struct arena *a, struct backend_stat *ret,
		       struct err *reterr)
{
	struct backend_put_options o = {.sized = true};
	struct backend_reader *r;
	struct backend_writer *w;
	struct backend_stat st;
	rc done;

	TRY(b->blocking->open_reader(b, from, 0, UINT64_MAX, a, &r, &st, reterr));
	o.size = st.size;
	done = b->blocking->open_writer(b, to, &o, &w, reterr);
	if (rc_ok(done)) {
		done = read_write(b, r, w, reterr);
		if (rc_ok(done))
			done = b->blocking->commit(w, a, ret, reterr);
		else
			b->blocking->abort(w);
	}
	b->blocking->close_reader(r);
	return done;
}

static rc start(struct azure *s, struct arena *a, const struct azure_place *from,
		const struct azure_place *to, struct http_answer *ret, struct err *reterr)
{
	struct remote_call c, source;

	remote_call_init(&source, a, "GET");
	azure_address(s, &source, from, true);
	azure_call(s, &c, a, "PUT", to);
	c.bytes = STR(""); /* a length is required */
	remote_header(&c, "x-ms-copy-source", remote_url(&source));
	return remote_ask(&s->r, &c, NULL, ret, reterr);
}

static rc look(struct azure *s, struct arena *a, const struct azure_place *at,
	       struct http_answer *ret, struct err *reterr)
{
	struct remote_call c;

	azure_call(s, &c, a, "HEAD", at);
	return remote_ask(&s->r, &c, NULL, ret, reterr);
}

static void give_up(struct azure *s, struct arena *a, const struct azure_place *at, struct str id)
{
	struct http_answer w;
	struct remote_call c;

	azure_call(s, &c, a, "PUT", at);
	c.bytes = STR("");
	remote_query(&c, "comp", STR("copy"));
	remote_query(&c, "copyid", id);
	remote_header(&c, "x-ms-copy-action", STR("abort"));
	IGNORE_RC(remote_ask(&s->r, &c, NULL, &w, NULL)); /* nobody names what it may still make */
}

/* To the end: success, or why not. */
static rc wait_for(struct azure *s, struct arena *a, const struct azure_place *at,
		   struct http_answer *w, struct err *reterr)
{
	int64_t until = mono_ms() + COPY_MS;
	struct str id = http_answer_header(w, "x-ms-copy-id"), status;

	for (unsigned ms = LOOK_MS;; ms = ms * 2 < LOOK_MOST_MS ? ms * 2 : LOOK_MOST_MS) {
		struct str now = http_answer_header(w, "x-ms-copy-id");

		status = http_answer_header(w, "x-ms-copy-status");
		if (!str_eq(now, id))
			return err_set(reterr, ERR_IO,
				       "\"" STR_FMT "\": another copy to it was begun meanwhile",
				       STR_ARG(str_head(at->blob, 200)));
		if (!str_eq(status, STR("pending")))
			break;
		if (mono_ms() > until) {
			give_up(s, a, at, id);
			return err_set(reterr, ERR_IO,
				       "store \"" STR_FMT "\": the copy to \"" STR_FMT
				       "\" took longer than ten minutes",
				       STR_ARG(s->r.b.id), STR_ARG(str_head(at->blob, 200)));
		}
		sleep_us(ms * 1000ll);
		TRY(look(s, a, at, w, reterr));
	}
	if (str_eq(status, STR("success")))
		return RC_OK;
	return err_set(
	    reterr, ERR_IO,
	    "store \"" STR_FMT "\": the copy to \"" STR_FMT "\" ended as " STR_FMT ": " STR_FMT,
	    STR_ARG(s->r.b.id), STR_ARG(str_head(at->blob, 200)), STR_ARG(status),
	    STR_ARG(str_head(http_answer_header(w, "x-ms-copy-status-description"), 200)));
}

rc azure_copy(struct backend *b, const struct object_ptr *from, const struct object_ptr *to,
	      struct arena *a, struct backend_stat *ret, struct err *reterr)
{
	struct azure *s = azure_of(b);
	struct azure_place source, target;
	struct http_answer w;

	TRY(azure_object(s, a, from, &source, reterr));
	TRY(azure_object(s, a, to, &target, reterr));
	if (!str_eq(source.account, target.account))
		return through_here(b, from, to, a, ret, reterr);
	if (!azure_same(&source, &target)) {
		TRY(start(s, a, &source, &target, &w, reterr));
		TRY(wait_for(s, a, &target, &w, reterr));
	}
	return azure_head_place(s, a, &target, ret, reterr);
}
