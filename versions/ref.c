#include "versions/ref.h"

#include "versions/internal.h"
#include "versions/tag.h"

enum { COMMIT_ID_CHARS = 64 };

/* Parsing. */

static rc bad(struct err *reterr, struct str expression, const char *why)
{
	return err_set(reterr, ERR_INVALID, "invalid ref '" STR_FMT "': %s",
		       STR_ARG(str_head(expression, 200)), why);
}

static bool is_modifier(char c)
{
	return c == '~' || c == '^' || c == '@' || c == '$';
}

/* The number behind a modifier; 1 without one. */
static bool take_number(struct str *rest, uint32_t *ret)
{
	size_t n = 0;
	uint64_t v;

	*ret = 1;
	while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	if (n == 0)
		return true;
	if (!str_to_u64(str_head(*rest, n), &v) || v > INT32_MAX)
		return false;
	*ret = (uint32_t)v;
	*rest = str_skip(*rest, n);
	return true;
}

static rc take_step(struct str whole, struct str *rest, struct ref_step *ret, struct err *reterr)
{
	char c = rest->p[0];

	*rest = str_skip(*rest, 1);
	*ret = (struct ref_step){.kind = c == '~'   ? REF_ANCESTOR
					 : c == '^' ? REF_PARENT
					 : c == '@' ? REF_HEAD
						    : REF_STAGED};
	if (ret->kind == REF_HEAD || ret->kind == REF_STAGED)
		return rest->n ? bad(reterr, whole, "nothing may follow '@' or '$'") : RC_OK;
	if (!take_number(rest, &ret->n))
		return bad(reterr, whole, "the number is too large");
	if (rest->n && !is_modifier(rest->p[0]))
		return bad(reterr, whole, "after '~' or '^' comes a number or nothing");
	return RC_OK;
}

static rc check_base(struct str whole, struct str base, struct err *reterr)
{
	if (base.n == 0)
		return bad(reterr, whole, "it must begin with a branch, a tag or a commit id");
	for (size_t i = 0; i < base.n; i++)
		if ((unsigned char)base.p[i] <= ' ' || base.p[i] == 0x7f)
			return bad(reterr, whole, "no name has spaces or control characters");
	return RC_OK;
}

rc ref_parse(struct str expression, struct arena *a, struct ref_expression *ret, struct err *reterr)
{
	struct str rest;
	size_t at = 0;

	if (expression.n > REF_MAX)
		return bad(reterr, expression, "it is too long");
	while (at < expression.n && !is_modifier(expression.p[at]))
		at++;
	*ret = (struct ref_expression){.base = str_head(expression, at)};
	TRY(check_base(expression, ret->base, reterr));
	rest = str_skip(expression, at);
	if (rest.n)
		ret->steps = arena_alloc(a, (rest.n < REF_STEPS_MAX ? rest.n : REF_STEPS_MAX) *
						    sizeof(*ret->steps));
	while (rest.n) {
		if (ret->steps_n == REF_STEPS_MAX)
			return bad(reterr, expression, "it has too many modifiers");
		TRY(take_step(expression, &rest, &ret->steps[ret->steps_n++], reterr));
		if (ret->steps_n > 1 && ret->steps[ret->steps_n - 1].kind >= REF_HEAD)
			return bad(reterr, expression, "'@' and '$' stand alone, behind a branch");
	}
	return RC_OK;
}

/* Names. */

static bool is_hex(struct str s)
{
	if (s.n == 0 || s.n > COMMIT_ID_CHARS)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

static rc not_found(struct vcall *c, struct str base)
{
	return err_set(c->err, ERR_NOT_FOUND, "ref '" STR_FMT "': not found",
		       STR_ARG(str_head(base, 200)));
}

/* Whoever names a commit by its id gets what the id stands for: a record that isn't that is damaged. */
static rc check_content(struct vcall *c, struct str id, const struct commit *commit)
{
	if (str_eq(commit->id, id) && str_eq(commit_id(commit, c->a), id))
		return RC_OK;
	return err_set(c->err, ERR_CORRUPT, "commit " STR_FMT ": its record holds another commit",
		       STR_ARG(id));
}

static rc find_whole(struct vcall *c, const struct repo *r, struct str id, struct ref *ret)
{
	struct commit commit;

	TRY(commit_get(c, r, id, &commit));
	TRY(check_content(c, id, &commit));
	ret->commit_id = id;
	return RC_OK;
}

/* One scan, of which two records tell all: whether there is one, and whether there is another. */
static rc find_beginning(struct vcall *c, const struct repo *r, struct str begin, struct ref *ret)
{
	struct str prefix = key_join(c->a, STR("commits/"), begin), key;
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct kv_entry e;
	bool end;

	if (c->wait == KV_NOWAIT)
		return err_default(c->err, ERR_WOULD_BLOCK);
	TRY(kv_scan(c->v->kv, r->partition, prefix, 2, &it, c->err));
	TRY(kv_iter_next(it, &e, &end, c->err));
	if (end || !str_starts(e.key, prefix))
		return not_found(c, begin);
	key = arena_dup(c->a, e.key);
	TRY(kv_iter_next(it, &e, &end, c->err));
	if (!end && str_starts(e.key, prefix))
		return err_set(c->err, ERR_NOT_FOUND,
			       "ref '" STR_FMT "': not found: more than one commit id begins with it",
			       STR_ARG(begin));
	return find_whole(c, r, str_skip(key, sizeof("commits/") - 1), ret);
}

static rc find_base(struct vcall *c, const struct repo *r, struct str base, struct ref *ret)
{
	bool hex = is_hex(base);
	struct tag tag;
	rc res;

	if (hex && base.n == COMMIT_ID_CHARS) {
		res = find_whole(c, r, base, ret);
		if (!rc_is(res, NOT_FOUND))
			return res;
	}
	res = branch_get(c, r, base, &ret->branch);
	ret->is_branch = rc_ok(res);
	ret->branch.id = base;
	ret->commit_id = ret->branch.commit_id;
	if (!rc_is(res, NOT_FOUND))
		return res;
	res = tag_get(c, r, base, &tag);
	ret->commit_id = tag.commit_id;
	if (!rc_is(res, NOT_FOUND))
		return res;
	return hex ? find_beginning(c, r, base, ret) : not_found(c, base);
}

/* Steps. */

static rc no_ancestor(struct vcall *c, struct str expression)
{
	return err_set(c->err, ERR_NOT_FOUND,
		       "ref '" STR_FMT "': commit not found: the history isn't that long",
		       STR_ARG(str_head(expression, 200)));
}

static rc ancestor(struct vcall *c, const struct repo *r, struct str expression, uint32_t n,
		   struct str *id)
{
	for (; n; n--) {
		struct arena_mark m = arena_mark(c->a);
		char parent[COMMIT_ID_CHARS];
		struct commit commit;

		TRY(commit_named(c, r, *id, &commit));
		if (commit.parents_n == 0)
			return no_ancestor(c, expression);
		if (commit.parents[0].n != sizeof(parent))
			return err_set(c->err, ERR_CORRUPT, "commit " STR_FMT ": its parent is no commit id",
				       STR_ARG(*id));
		memcpy(parent, commit.parents[0].p, sizeof(parent));
		arena_rewind(c->a, m);
		*id = arena_dup(c->a, str_make(parent, sizeof(parent)));
	}
	return RC_OK;
}

static rc parent(struct vcall *c, const struct repo *r, struct str expression, uint32_t n,
		 struct str *id)
{
	struct commit commit;

	if (n == 0)
		return RC_OK;
	TRY(commit_named(c, r, *id, &commit));
	if (n > commit.parents_n)
		return err_set(c->err, ERR_INVALID,
			       "invalid ref '" STR_FMT "': commit " STR_FMT " has %zu parents",
			       STR_ARG(str_head(expression, 200)), STR_ARG(*id), commit.parents_n);
	*id = commit.parents[n - 1];
	return RC_OK;
}

static rc take_steps(struct vcall *c, const struct repo *r, struct str expression,
		     const struct ref_expression *x, struct ref *ref)
{
	bool staged = x->steps[0].kind == REF_STAGED;

	if (x->steps[0].kind >= REF_HEAD) {
		if (!ref->is_branch)
			return bad(c->err, expression, "only a branch has what is staged ('@', '$')");
		ref->is_branch = staged;
		return RC_OK;
	}
	ref->is_branch = false;
	for (size_t i = 0; i < x->steps_n; i++) {
		const struct ref_step *s = &x->steps[i];

		TRY(s->kind == REF_ANCESTOR ? ancestor(c, r, expression, s->n, &ref->commit_id)
					    : parent(c, r, expression, s->n, &ref->commit_id));
	}
	return RC_OK;
}

rc ref_resolve(struct vcall *c, const struct repo *r, struct str expression, struct ref *ret)
{
	struct ref_expression x;

	*ret = (struct ref){.commit_id = STR("")};
	TRY(ref_parse(expression, c->a, &x, c->err));
	TRY(find_base(c, r, x.base, ret));
	return x.steps_n ? take_steps(c, r, expression, &x, ret) : RC_OK;
}

rc ref_commit(struct vcall *c, const struct repo *r, struct str expression, struct commit *ret)
{
	struct ref ref;

	TRY(ref_resolve(c, r, expression, &ref));
	return commit_named(c, r, ref.commit_id, ret);
}
