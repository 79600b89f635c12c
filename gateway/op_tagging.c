/* PutObjectTagging, GetObjectTagging, DeleteObjectTagging. Tags are metadata (DESIGN rule 8): setting them
 * stages the same body again, under the condition that nobody has changed the object meanwhile. */
#include "gateway/s3.h"
#include "gateway/tagging.h"

/* Each one that fails means that somebody else's change has been made. */
enum { TRIES = 20 };

static rc find(struct s3_req *r, struct entry *ret)
{
	struct vcall c = s3_vcall(r);
	struct str version = s3_query(r, "versionId");

	if (version.n && !str_eq(version, STR("null")))
		return err_default(&r->err, ERR_NoSuchVersion);
	if (r->at.path.n == 0)
		return err_default(&r->err, ERR_NoSuchKey);
	return s3_read_missing(r, &r->repo, &r->at,
			       object_stat(&c, &r->repo, r->at.ref, r->at.path, ret));
}

static rc change(struct s3_req *r, struct str text)
{
	struct vcall c = s3_vcall(r);
	rc changed = RC_OK;

	for (unsigned i = 0; i < TRIES; i++) {
		struct entry was, e;

		TRY(find(r, &was));
		e = was;
		s3_set_tagging(r, &e, text);
		changed = object_replace(&c, &r->repo, r->at.ref, r->at.path, &was, &e);
		if (!rc_is(changed, PREDICATE) && !rc_is(changed, NOT_FOUND) &&
		    !rc_is(changed, ConditionalRequestConflict))
			return changed;
	}
	if (rc_is(changed, NOT_FOUND)) /* what is read isn't a branch */
		return s3_write_missing(r, changed);
	return err_set(&r->err, ERR_SlowDown, "The object keeps changing; try again.");
}

static rc run_put(struct s3_req *r)
{
	struct tags t;

	TRY(tags_of_xml(r->doc, &t, &r->err));
	return change(r, tags_text(r->a, &t));
}

static rc run_delete(struct s3_req *r)
{
	return change(r, STR(""));
}

static rc plan_get(struct s3_req *r)
{
	struct entry e;
	struct tags t;

	TRY(find(r, &e));
	TRY(tags_of_query(r->a, s3_tagging(&e), &t, &r->err));
	buf_reset(&r->xml);
	tags_write_xml(&r->xml, &t);
	return RC_OK;
}

static void reply_put(struct s3_req *r)
{
	s3_reply_empty(r, 200);
}

static void reply_get(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

static void reply_delete(struct s3_req *r)
{
	s3_reply_empty(r, 204);
}

const struct s3_handlers handlers_PutObjectTagging = {.run = run_put, .reply = reply_put};
const struct s3_handlers handlers_GetObjectTagging = {.plan = plan_get, .reply = reply_get};
const struct s3_handlers handlers_DeleteObjectTagging = {.run = run_delete, .reply = reply_delete};
