/* What REST clients are told of an error: lakeFS's statuses and words (its clients compare some of them). */
#include "api/rest.h"

/* status 0: the error table's; text NULL: the story that the error has. */
static const struct {
	enum err_code code;
	int status;
	const char *text;
} table[] = {
	{ERR_AccessDenied, 401, NULL},
	{ERR_ExpiredToken, 401, NULL},
	{ERR_InvalidAccessKeyId, 401, "error authenticating request"},
	{ERR_ReadOnlyRepository, 403, "read-only repository"},
	{ERR_WriteToProtectedBranch, 403, "cannot write to protected branch"},
	{ERR_ProtectedBranch, 403, "cannot commit to protected branch"},
	{ERR_DirtyBranch, 400, "uncommitted changes (dirty branch)"},
	{ERR_NoData, 410, "No data"},
	{ERR_NoSuchVersion, 410, "No data"},
	{ERR_PREDICATE, 412, "Precondition failed"},
	{ERR_InvalidRange, 416, "Requested Range Not Satisfiable"},
	{ERR_EntityTooLarge, 413, NULL},
	{ERR_SlowDown, 503, "Throughput exceeded. Slow down and retry"},
};

static size_t find(enum err_code code)
{
	size_t i = 0;

	while (i < sizeof(table) / sizeof(table[0]) && table[i].code != code)
		i++;
	return i;
}

int api_status(enum err_code code)
{
	size_t i = find(code);

	return i < sizeof(table) / sizeof(table[0]) && table[i].status ? table[i].status
								       : err_status(code);
}

/* What went wrong inside the house is for the log. */
struct str api_message(const struct api_req *r, const struct err *e)
{
	size_t i = find(e->code);

	if (i < sizeof(table) / sizeof(table[0]) && table[i].text)
		return str_c(table[i].text);
	if (api_status(e->code) == 500)
		return arena_printf(r->a, "internal error; the server's log has it with request id " STR_FMT,
				    STR_ARG(http_req_id(r->http)));
	return str_c(e->msg);
}
