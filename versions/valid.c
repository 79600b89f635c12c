#include "versions/versions.h"

/* Room for "branches/" in DynamoDB's 1,024-byte keys, and for a staging token in its partitions. */
enum { BRANCH_MAX = 900, PATH_MAX_BYTES = 1024 };

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool word(char c)
{
	return lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

rc valid_repo_name(struct str name, struct err *reterr)
{
	bool ok = name.n >= 3 && name.n <= 63 && name.p[0] != '-';

	for (size_t i = 0; ok && i < name.n; i++)
		ok = lower_or_digit(name.p[i]) || name.p[i] == '-';
	if (!ok)
		return err_set(reterr, ERR_INVALID,
			       "repository name: 3 to 63 lower-case letters, digits and hyphens, "
			       "not beginning with a hyphen");
	return RC_OK;
}

rc valid_branch_name(struct str name, struct err *reterr)
{
	bool ok = name.n >= 1 && name.n <= BRANCH_MAX && name.p[0] != '-';

	for (size_t i = 0; ok && i < name.n; i++)
		ok = word(name.p[i]) || name.p[i] == '-';
	if (!ok)
		return err_set(reterr, ERR_INVALID,
			       "branch name: 1 to %d letters, digits, underscores and hyphens, "
			       "not beginning with a hyphen", BRANCH_MAX);
	return RC_OK;
}

rc valid_path(struct str path, struct err *reterr)
{
	if (path.n < 1 || path.n > PATH_MAX_BYTES || memchr(path.p, 0, path.n))
		return err_set(reterr, ERR_INVALID, "path: 1 to %d bytes without a NUL",
			       PATH_MAX_BYTES);
	return RC_OK;
}
