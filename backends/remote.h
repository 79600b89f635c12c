/* What the adapters of remote stores (s3, azure, gs) share: requests that are signed, tried again and whose
 * failures become errors; writers and readers over an adapter's few primitives; connections and workers
 * of a store's own.
 *
 * An adapter embeds struct remote as its first member, fills in struct remote_ops and the blocking
 * operations that are its own (remove, list, copy, mpu_*, probe), and takes the rest from here:
 *
 *	remote_init(&s->r, "s3", &options, &my_remote_ops, &my_blocking_ops);
 *
 * Blocking, on workers (http/client.h). Bounds: connections and jobs at once are the pool's threads; a writer
 * holds REMOTE_WHOLE bytes where it knows its size, else one part of REMOTE_PART bytes or more; a reader
 * what http/client.h holds.
 *
 * Trying again: what wasn't sent, and answers that say that nothing was done (429, 503), always; what broke off
 * or was answered 500, 502, 504 only where repeating does no harm (remote_call.repeatable): reads,
 * removals, writes of the same bytes to a name that is nobody else's. With exponential pauses and full
 * jitter (50 ms to 5 s), max_retries times, until deadline_ms has passed. A write that may have been done
 * and can't be repeated is UNKNOWN_OUTCOME.
 */
#pragma once

#include "backends/impl.h"
#include "base/buf.h"
#include "http/client.h"

enum {
	REMOTE_WHOLE = 256 * 1024,     /* up to here an object is sent from memory, and again if need be */
	REMOTE_PART = 5 * 1024 * 1024, /* the first parts of an object of unknown size; S3's least */
	REMOTE_HEADERS_MAX = 40,
	REMOTE_ANSWER_MAX = 8 * 1024 * 1024, /* a listing of 1,000 keys of 1 KiB, escaped */
};

struct remote;

struct remote_options {
	struct str id;         /* the store's, in the configuration */
	unsigned workers;      /* threads, so connections, at once; 0: 64 */
	size_t queue;          /* jobs that wait; 0: 1024; twice as many with those that go on with what is begun */
	unsigned max_retries;
	unsigned deadline_ms;  /* of all attempts at one small request; 0: 60,000 */
	unsigned connect_ms, stall_ms; /* 0: http/client.h's */
	struct str ca_file;
	bool insecure;
	bool log_retries, log_requests;
};

/* A request under construction, in an arena. The query is kept apart, since signatures sort it. */
struct remote_call {
	struct arena *a;
	struct str method;
	struct str base;   /* "https://host[:port]", no path */
	struct str path;   /* begins with /; encoded as sent */
	struct http_header query[24]; /* names and values not encoded; value STR_NONE: "?name" alone */
	size_t query_n;
	struct http_header headers[REMOTE_HEADERS_MAX];
	size_t headers_n;
	/* The body: from memory, or `size` bytes that a writer will stream (never tried again). */
	struct str bytes;  /* STR_NONE: none */
	bool streamed;
	uint64_t size;
	/* What is streamed goes in frames (remote_frames.h): `size` bytes with them, `decoded` without. sign says so
	 * to the service. */
	bool framed;
	uint64_t decoded;
	bool repeatable;
	unsigned answer_ms; /* the service may think for so long; 0: stall_ms */
	bool probing;      /* asks who we are to the service: refused credentials are AccessDenied */
	struct str what;   /* for messages: the bucket, the object */
	void *ud;          /* the adapter's: what sign needs (a bucket's region ...) */
	bool hopeless;     /* private: signing was refused, and would be again */
};

void remote_call_init(struct remote_call *c, struct arena *a, const char *method);
/* Bounded by assertions: an adapter knows how many it adds. */
void remote_query(struct remote_call *c, const char *name, struct str value);
void remote_header(struct remote_call *c, const char *name, struct str value);
/* The header's value again, or a new one: for what sign adds at each attempt. */
void remote_header_set(struct remote_call *c, const char *name, struct str value);

struct remote_ops {
	/* Before each attempt: dates and signatures by remote_header_set, or a query of its own. May ask
	 * for credentials (blocking). AccessDenied: these are refused, another attempt is pointless; told as
	 * ServiceUnavailable, since no client has done anything wrong, unless probing. */
	rc (*sign)(struct remote *r, struct remote_call *c, struct err *reterr);
	/* Of an answer of 300 and more: the error, with what the service said (bounded, no secret), the thing
	 * and the remedy. NOT_FOUND, EXISTS, AccessDenied, PREDICATE, SlowDown, ServiceUnavailable, IO ... */
	rc (*refuse)(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		     struct err *reterr);
	/* Optional: after a refusal, whether something was learnt that makes another attempt worth it at
	 * once (another region, a new token). Asked once a call; of a body that was streamed only for
	 * the next call's sake. */
	bool (*learn)(struct remote *r, struct remote_call *c, const struct http_answer *w);
	/* The call that writes an object of c->size bytes in one request; c is initialised, method and the
	 * body apart. */
	rc (*put)(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		  const struct backend_put_options *o, struct err *reterr);
	/* The call that writes a part. Not used with other than 1 to 10,000. */
	rc (*put_part)(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		       struct str upload_id, unsigned number, struct err *reterr);
	/* What an answer to put, put_part, get or head says; size from Content-Range or Content-Length. */
	rc (*stat)(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		   struct arena *a, struct backend_stat *ret, struct err *reterr);
	/* The calls that read: the whole or a range (c is initialised; a range is a header that remote.c
	 * adds), and that ask (HEAD). */
	rc (*get)(struct remote *r, struct remote_call *c, const struct object_ptr *p, struct err *reterr);
	rc (*head)(struct remote *r, struct remote_call *c, const struct object_ptr *p, struct err *reterr);
	/* Optional, all three: an upload of unknown size as a session of the service's, to which chunks are
	 * sent. session_send sends c->bytes, which begin at `offset` (c is initialised); `last`: they end the
	 * object. *ret_kept: the bytes that the service has of it all now; ret is set after the last. */
	rc (*session_open)(struct remote *r, const struct object_ptr *to,
			   const struct backend_put_options *o, struct arena *a, struct str *ret,
			   struct err *reterr);
	rc (*session_send)(struct remote *r, struct remote_call *c, struct str session, uint64_t offset,
			   bool last, uint64_t *ret_kept, struct backend_stat *ret, struct err *reterr);
	void (*session_end)(struct remote *r, struct str session);
	/* Optional: an object of these options can't be sent as a stream, but from memory or in parts. */
	bool (*unstreamed)(const struct backend_put_options *o);
	/* Optional: the body that is sent for an object's bytes out of memory, of c->a: they and, around
	 * them, what else is to be told of it. */
	struct str (*envelope)(struct remote *r, struct remote_call *c, struct str bytes);
	/* The largest object that one put writes; above it parts are used. */
	uint64_t put_max;
	/* mpu_complete keeps what mpu_create was told of if_absent. */
	bool parts_if_absent;
};

struct remote {
	struct backend b;
	struct str title; /* for messages: the store, or store "its id" */
	struct remote_options o;
	struct arena *a;
	const struct remote_ops *ops;
	struct http_pool *http;
	struct backend_blocking_ops blocking; /* the adapter's, completed with those below */
	/* The service takes a body that broke off for a whole one, unless it comes in frames (remote_frames.h).
	 * For the adapter to set, by the time its put() or put_part() returns. */
	_Atomic bool framed;
};

/* Takes copies of the options. `own` needs not have the members that remote.c brings: open_writer, write,
 * commit, abort, mpu_open_part, read, head, open_reader, read_next, close_reader. */
void remote_init(struct remote *r, const char *type, const struct remote_options *o,
		 const struct remote_ops *ops, const struct backend_blocking_ops *own, unsigned caps);
/* For the adapter's free(). */
void remote_deinit(struct remote *r);

/* One small call, with attempts: an answer below 300 (and the statuses in `also`, a zero-ended list or NULL) is
 * a success, whose body of at most REMOTE_ANSWER_MAX bytes is in the arena. */
rc remote_ask(struct remote *r, struct remote_call *c, const int *also, struct http_answer *ret,
	      struct err *reterr);
/* A call outside of the store's own signing (a token endpoint, a metadata service): no sign, no refuse; tried
 * again as above. Any status is a success. */
rc remote_ask_plain(struct remote *r, struct remote_call *c, struct http_answer *ret, struct err *reterr);

/* The URL that will be sent. */
struct str remote_url(const struct remote_call *c);
