/* What the files of gcs_gate.h share: one request on its way. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "tests/backends/gcs_gate.h"

enum { HEAD_MAX = 64 * 1024, SMALL_MAX = 1024 * 1024, PIECE = 64 * 1024, HALF_OF = 256 * 1024 };

/* One request and its way. */
struct visit {
	struct gcs_gate *g;
	struct arena *a;
	int near, far;
	struct str method, target, path, query, lines; /* lines: of the headers */
	struct str early;			       /* of the body, read with the head */
	uint64_t length, left;			       /* of the body; not read from `near` yet */
	struct str range;			       /* instead of its Content-Range */
	struct str small;			       /* the body, when it was read as a whole */
	bool mute;				       /* the answer goes nowhere */
	struct buf answer;			       /* its beginning */
};

/* The next n bytes of the body, to `to` or nowhere; false: they don't come. */
bool gate_take_all(struct visit *v, char *to, uint64_t n);
/* Answers, without the service. */
void gate_answer(struct visit *v, int status, const char *headers, struct str body);
void gate_refuse(struct visit *v, int status, const char *message);
struct str gate_header(const struct visit *v, const char *name);
/* Of the query, as it came; STR_NONE. */
struct str gate_parameter(const struct visit *v, const char *name);
/* The next n bytes of the body, or v->small, to the service, and its answer back. False: it broke
 * off before all was sent. */
bool gate_forward(struct visit *v, uint64_t n);
int gate_status(const struct visit *v);

/* gcs_gate_auth.c: the token endpoint; whether a good token, or a good signature, came along. */
void gate_token(struct visit *v);
bool gate_bears(struct visit *v);
bool gate_is_signed(struct visit *v);
/* gcs_gate_session.c: a chunk of a resumable upload. */
void gate_chunk(struct visit *v, struct str id);
