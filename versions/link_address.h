/* Addresses that clients are given to write to themselves, and link to a path afterwards: relative ones,
 * signed for one repository, branch and path, good for a day by their own time. What is given out is
 * ADDRESS,SIGNATURE, and that as a whole is where the body is, and what the entry says. */
#pragma once

#include "versions/repo.h"

enum { LINK_ADDRESS_LIFE_S = 24 * 60 * 60 };

struct link_target {
	struct str repository, branch, path;
};

/* base64url, 43 characters. */
struct str link_address_sign(struct str secret, const struct link_target *t, struct str address,
			     struct arena *a);
/* INVALID in lakeFS's words: the signature is another one's, or the address too old. */
rc link_address_check(struct str secret, const struct link_target *t, struct str address,
		      struct str signature, int64_t now_s, struct arena *a, struct err *reterr);
