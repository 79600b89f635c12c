/* What the two ways of an upload share: a file's bytes as a body. */
#pragma once

#include "base/digest.h"
#include "cli/ctl/transfer.h"

struct source {
	struct arena *a;
	int fd;
	int64_t at;   /* of a file that several read: the next byte's place; -1: it is read on */
	int64_t left; /* -1: to the end, whenever that is */
	int64_t sent;
	struct digest_set *digests; /* MD5 */
	struct progress *progress;
};

/* struct upload's `more`; ud: the source. */
ssize_t source_more(void *ud, char *dst, size_t n, struct fault *ret_fault);
/* The `length` bytes from `offset` on, of a file. */
void source_rewind(struct source *s, int64_t offset, int64_t length);

/* upload_presigned.c: a file of a known size, past the server. */
bool send_presigned(struct ctl *c, const struct presigned *how, struct source *s, const struct uri *u, struct str key,
		    int64_t length, struct answer *ret, struct fault *ret_fault);
