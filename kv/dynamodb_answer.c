/* Answers: what one means for its call, and what is told of it. */
#include <stdio.h>

#include "base/digest.h"
#include "base/log.h"
#include "kv/dynamodb.h"

bool ddb_is(const struct ddb_call *c, const char *kind)
{
	return strcmp(c->kind, kind) == 0;
}

void ddb_tell(struct ddb_call *c, enum ddb_fate fate, const char *why)
{
	c->fate = fate;
	snprintf(c->why, sizeof(c->why), "%.*s", (int)sizeof(c->why) - 1, why);
}

/* A damaged answer is none. */
static bool crc_good(const struct http_answer *w)
{
	struct str told = http_answer_header(w, "x-amz-crc32");
	uint64_t want;
	uint8_t got[4];

	if (!told.n || !str_to_u64(told, &want))
		return true;
	digest_of(DIGEST_CRC32, w->body, got);
	return want ==
	       ((uint64_t)got[0] << 24 | (uint64_t)got[1] << 16 | (uint64_t)got[2] << 8 | got[3]);
}

static bool among(const struct ddb_call *c, const char *const *names)
{
	for (; *names; names++)
		if (ddb_is(c, *names))
			return true;
	return false;
}

static const char *const throttles[] = {"ProvisionedThroughputExceededException",
					"ThrottlingException",
					"Throttling",
					"RequestLimitExceeded",
					"TransactionConflictException",
					"TransactionInProgressException",
					"LimitExceededException",
					"ReplicatedWriteConflictException",
					NULL};

static const char *const keys_refused[] = {"UnrecognizedClientException",
					   "InvalidSignatureException",
					   "ExpiredTokenException",
					   "ExpiredToken",
					   "InvalidClientTokenId",
					   "MissingAuthenticationTokenException",
					   "MissingAuthenticationToken",
					   "IncompleteSignatureException",
					   "IncompleteSignature",
					   "NotAuthorized",
					   NULL};

bool ddb_keys_refused(const struct ddb_call *c)
{
	return among(c, keys_refused);
}

static void read_exception(struct ddb_call *c, const struct http_answer *w)
{
	struct json *doc = NULL;
	struct str kind, message;

	IGNORE_RC(json_parse(c->a, w->body, &doc, NULL)); /* a proxy's page: the status decides */
	kind = json_str(json_member(doc, "__type"));
	if (str_index(kind, '#') < kind.n)
		kind = str_skip(kind, str_index(kind, '#') + 1);
	message = json_str(json_member(doc, "message"));
	if (!message.p)
		message = json_str(json_member(doc, "Message"));
	snprintf(c->kind, sizeof(c->kind), STR_FMT, STR_ARG(str_head(kind, sizeof(c->kind) - 1)));
	snprintf(c->why, sizeof(c->why), "status %d %s: " STR_FMT, w->status, c->kind,
		 STR_ARG(str_head(message, 110)));
}

void ddb_judge(struct ddb_call *c, const struct http_answer *w)
{
	if (!crc_good(w)) {
		ddb_tell(c, DDB_LOST, "the answer's bytes don't match its x-amz-crc32");
		return;
	}
	if (w->status == 200) {
		if (rc_ok(json_parse(c->a, w->body, &c->doc, NULL)))
			c->fate = DDB_DONE;
		else
			ddb_tell(c, DDB_LOST, "the answer is no JSON");
		return;
	}
	read_exception(c, w);
	if (ddb_is(c, "ConditionalCheckFailedException"))
		c->fate = DDB_CONDITION;
	else if (w->status == 429 || among(c, throttles))
		c->fate = DDB_THROTTLED;
	else if (w->status >= 400 && w->status < 500)
		c->fate = DDB_REFUSED;
	else
		c->fate = DDB_LOST;
}

/* What it means. */

static rc throttled(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	if (ddb_is(c, DDB_NO_PLACE))
		return err_set(reterr, ERR_SlowDown, "%s, table \"" STR_FMT "\": %s; try again",
			       c->operation, STR_ARG(d->table), c->why);
	return err_set(reterr, ERR_SlowDown,
		       "%s, table \"" STR_FMT
		       "\": DynamoDB refuses more for now (%s): raise the table's capacity or "
		       "make it on-demand, or try again",
		       c->operation, STR_ARG(d->table), c->kind[0] ? c->kind : "status 429");
}

static rc refused(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	if (ddb_is(c, DDB_NO_KEYS))
		return err_set(reterr, ERR_ServiceUnavailable, "%s, table \"" STR_FMT "\": %s",
			       c->operation, STR_ARG(d->table), c->why);
	if (ddb_keys_refused(c) || ddb_is(c, "AccessDeniedException"))
		return err_set(reterr, ERR_ServiceUnavailable,
			       "%s, table \"" STR_FMT
			       "\": DynamoDB refuses the credentials (%s): check the keys, their "
			       "policy and this machine's clock",
			       c->operation, STR_ARG(d->table), c->why);
	if (ddb_is(c, "ResourceNotFoundException"))
		return err_set(reterr, ERR_ServiceUnavailable,
			       "%s, table \"" STR_FMT
			       "\": it isn't there any more: restore it, or start the server anew",
			       c->operation, STR_ARG(d->table));
	return err_set(reterr, ERR_IO, "%s, table \"" STR_FMT "\": DynamoDB refused: %s",
		       c->operation, STR_ARG(d->table), c->why);
}

rc ddb_result(const struct dynamodb *d, const struct ddb_call *c, struct err *reterr)
{
	if (c->fate == DDB_DONE)
		return RC_OK;
	if (c->fate == DDB_CONDITION)
		return err_default(reterr, ERR_PREDICATE);
	log_event(LOG_WARN, "kv", "a request to DynamoDB failed", F_CSTR("operation", c->operation),
		  F_STR("table", d->table), F_CSTR("reason", c->why));
	switch (c->fate) {
	case DDB_THROTTLED:
		return throttled(d, c, reterr);
	case DDB_REFUSED:
		return refused(d, c, reterr);
	case DDB_LOST:
		if (!c->reads)
			return err_set(reterr, ERR_UNKNOWN_OUTCOME,
				       "%s, table \"" STR_FMT
				       "\": %s, and whether the change took place isn't known",
				       c->operation, STR_ARG(d->table), c->why);
		[[fallthrough]];
	default:
		return err_set(reterr, ERR_ServiceUnavailable,
			       "%s, table \"" STR_FMT
			       "\": DynamoDB can't be reached at the moment (%s); try again",
			       c->operation, STR_ARG(d->table), c->why);
	}
}
