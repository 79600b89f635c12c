/* PutObjectTagging, GetObjectTagging, DeleteObjectTagging. Tags are metadata (DESIGN rule 8): setting them
 * stages the same body again, under the condition that nobody has changed the object meanwhile. */
#include "gateway/s3.h"
#include "gateway/tagging.h"

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

struct change {
	struct s3_req *r;
	struct str text;
};

static rc set_tagging(void *ud, struct entry *e)
{
	struct change *ch = ud;

	s3_set_tagging(ch->r, e, ch->text);
	return RC_OK;
}

static rc change(struct s3_req *r, struct str text)
{
	struct change ch = {r, text};
	struct vcall c = s3_vcall(r);
	struct entry e;
	rc changed;

	TRY(find(r, &e));
	changed = object_change(&c, &r->repo, r->at.ref, r->at.path, set_tagging, &ch);
	if (rc_is(changed, NOT_FOUND))
		TRY(find(r, &e)); /* has it gone, or is what is read no branch? */
	return s3_write_missing(r, changed);
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
