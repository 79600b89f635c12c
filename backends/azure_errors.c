/* What Azure says when it refuses, in our words. Its codes: "Common REST API error codes", "Blob
 * Storage error codes". */
#include "backends/azure_priv.h"

enum { SAID_MAX = 200 };

struct said {
	struct str code, text;
};

/* From the header, which answers to HEAD have, too, or from the body. */
static struct said said(const struct remote_call *c, const struct http_answer *w)
{
	struct said s = {.code = http_answer_header(w, "x-ms-error-code"), .text = STR("")};
	struct xml_node *root;

	if (w->body.n && rc_ok(azure_document(c, w, &root, NULL))) {
		struct str code = xml_child_text(root, "Code"),
			   text = xml_child_text(root, "Message");

		s.code = s.code.n || !code.p ? s.code : str_trim(code);
		s.text = text.p ? str_head(text, SAID_MAX) : s.text;
		s.text.n = str_index(s.text, '\n'); /* then come ids and times */
	}
	if (!s.code.p)
		s.code = STR("");
	return s;
}

static bool is(const struct said *s, const char *code)
{
	return str_eq(s->code, str_c(code));
}

#define TOLD(fmt)                                                                                  \
	"store \"" STR_FMT "\": " STR_FMT ": Azure answered %d " STR_FMT " (" STR_FMT ")" fmt,     \
	    STR_ARG(r->b.id), STR_ARG(c->what), w->status, STR_ARG(str_head(s->code, 100)),        \
	    STR_ARG(s->text)

/* Not AccessDenied: it is the gateway that isn't let in, not its client. */
static rc not_let_in(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		     const struct said *s, struct err *reterr)
{
	const struct azure_call *mine = c->ud;
	struct azure *z = CONTAINER(r, struct azure, r);
	enum err_code code = mine->probing ? ERR_AccessDenied : ERR_ServiceUnavailable;

	if (is(s, "AuthorizationPermissionMismatch") || is(s, "InsufficientAccountPermissions"))
		return err_set(
		    reterr, code,
		    TOLD(": the identity lacks rights: give it the role Storage Blob Data "
			 "Contributor"));
	if (z->key.p)
		return err_set(reterr, code,
			       TOLD(": look at the credentials (azure.storage_account, "
				    "azure.storage_access_key), this "
				    "machine's clock and the account's firewall"));
	return err_set(reterr, code,
		       TOLD(": the identity of the environment isn't let in: look at its "
			    "credentials, its roles and "
			    "the account's firewall, or set azure.storage_access_key"));
}

static rc not_found(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		    const struct said *s, struct err *reterr)
{
	const struct azure_call *mine = c->ud;

	if (!is(s, "ContainerNotFound") && !is(s, "ContainerBeingDeleted"))
		return err_set(reterr, ERR_NOT_FOUND, "store \"" STR_FMT "\" has no " STR_FMT,
			       STR_ARG(r->b.id), STR_ARG(c->what));
	return err_set(reterr, mine->probing ? ERR_NOT_FOUND : ERR_ServiceUnavailable,
		       "store \"" STR_FMT "\": the account \"" STR_FMT
		       "\" has no container \"" STR_FMT
		       "\": make the container, or correct the storage namespace",
		       STR_ARG(r->b.id), STR_ARG(mine->at.account), STR_ARG(mine->at.container));
}

static rc bad_request(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		      const struct said *s, struct err *reterr)
{
	if (is(s, "InvalidBlockList"))
		return err_set(reterr, ERR_InvalidPart, TOLD(""));
	if (is(s, "InvalidResourceName") || is(s, "InvalidUri") || is(s, "OutOfRangeInput"))
		return err_set(reterr, ERR_INVALID, TOLD(": it takes no such name"));
	return err_set(reterr, ERR_IO, TOLD(""));
}

static rc conflict(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		   const struct said *s, struct err *reterr)
{
	if (is(s, "BlobAlreadyExists") || is(s, "ConditionNotMet") ||
	    is(s, "TargetConditionNotMet"))
		return err_set(reterr, ERR_EXISTS, STR_FMT " exists already", STR_ARG(c->what));
	if (is(s, "ContainerBeingDeleted"))
		return not_found(r, c, w, s, reterr);
	if (is(s, "BlobArchived") || is(s, "BlobBeingRehydrated"))
		return err_set(reterr, ERR_IO,
			       TOLD(": rehydrate it, it can't be read from the archive"));
	return err_set(reterr, ERR_IO, TOLD(""));
}

rc azure_refuse(struct remote *r, const struct remote_call *c, const struct http_answer *w,
		struct err *reterr)
{
	const struct said told = said(c, w), *s = &told;

	switch (w->status) {
	case 400:
		return bad_request(r, c, w, s, reterr);
	case 401:
	case 403:
		return not_let_in(r, c, w, s, reterr);
	case 404:
		if (is(s, "CannotVerifyCopySource"))
			return err_set(reterr, ERR_NOT_FOUND,
				       TOLD(": what should be copied isn't there"));
		return not_found(r, c, w, s, reterr);
	case 409:
	case 412:
		return conflict(r, c, w, s, reterr);
	case 413:
		return err_set(reterr, ERR_EntityTooLarge, TOLD(""));
	case 416:
		return err_set(reterr, ERR_InvalidRange, TOLD(""));
	case 429:
	case 503:
		return err_set(reterr, ERR_SlowDown, TOLD(": it has too much to do"));
	}
	return err_set(reterr, ERR_IO, TOLD(""));
}
