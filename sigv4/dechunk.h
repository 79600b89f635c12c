/* The aws-chunked stage's state, which two files share: body.c has the framing, body_trailers.c what
 * comes behind the last chunk. Nobody else includes it. */
#pragma once

#include "base/digest.h"
#include "sigv4/internal.h"

enum { DECHUNK_LINE_MAX = 4096, DECHUNK_MAGIC = 0x73347631 };

enum dechunk_state { HEAD, DATA, OVER, DATA_END, TRAILERS, TAIL, ENDED, FAILED };

struct trailer {
	struct trailer *next;
	struct str name, value;
};

struct dechunk {
	struct body body;
	uint32_t magic;
	enum dechunk_state state;
	struct sigv4 s;
	struct str announced;
	struct arena *arena;   /* the request's */
	struct arena *scratch; /* the chunk's: digest and signature texts */
	struct digest_set *hash; /* of the chunk's data or of the trailers; in scratch */
	uint64_t decoded_left, chunk_left;
	uint64_t over;         /* bytes of the chunk behind the decoded length: read, not passed on */
	uint64_t least_chunk, last_chunk, chunks_n;
	bool overran;
	char chunk_signature[64], previous[64];
	struct trailer *trailers;
	unsigned trailers_n, blank_lines;
	size_t trailer_bytes;
	bool trailers_verified;
	struct err failure;
	size_t from, to; /* of what lies in the buffer */
	char buffer[DECHUNK_LINE_MAX];
};

static inline bool is_signed(const struct dechunk *d)
{
	return d->s.payload != SIGV4_CHUNKED_UNSIGNED_TRAILER;
}

/* For texts that the next signature drops. */
struct arena *dechunk_scratch(struct dechunk *d);
/* Of the chunk's data or of the trailers; nothing where nothing is signed. */
void dechunk_hash(struct dechunk *d, struct str bytes);
typedef struct str signature_fn(const uint8_t signing_key[32], struct str amz_date,
				struct str scope, struct str previous, struct str hash_hex,
				struct arena *a);
/* Whether `given` signs what was hashed since the last time; it is then the next one's previous. */
bool dechunk_signature_ok(struct dechunk *d, signature_fn *fn, struct str given);

/* IncompleteBody, S3's words for whatever is wrong with the framing; Detail says what it was. */
rc bad_framing(struct err *reterr, const char *text);
/* MalformedTrailer. name: from the client, so that only what can be shown is. */
rc bad_trailer(struct err *reterr, const char *text, struct str name);

/* A line after the last chunk's; without its LF, with its CR. */
rc trailer_line(struct dechunk *d, struct str line, struct err *reterr);
/* Whether all that were announced are there. */
rc trailers_check(struct dechunk *d, struct err *reterr);
