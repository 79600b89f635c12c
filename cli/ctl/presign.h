/* Bytes that go between here and the store, past the server, by URLs that it signs: where it says that its clients
 * may, unless --pre-sign=false. */
#pragma once

#include "cli/ctl/cmd.h"

struct presigned {
	bool on;    /* reads, and writes of whole objects */
	bool parts; /* multipart uploads, too */
	bool azure; /* what is put wants a header */
};

/* What the repository's storage can. */
bool presigned_support(struct ctl *c, struct str repo, struct presigned *ret);
/* The same, as the flag wants it. */
bool presigned_mode(struct ctl *c, struct str repo, struct presigned *ret);
