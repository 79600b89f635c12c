#include "versions/gc_rules.h"

#include "versions/internal.h"
#include "versions/pb.h"

enum { BYTES_MAX = 4 << 20 };

struct object_ptr gc_rules_pointer(struct vcall *c, const struct repo *r)
{
	return repo_pointer(r, arena_printf(c->a, "%s/retention/gc/rules/config.json", c->v->block_prefix));
}

static rc decode(struct vcall *c, const struct repo *r, struct str raw, struct gc_rules *ret)
{
	Pb__GarbageCollectionRules *m = pb_unpack(&pb__garbage_collection_rules__descriptor, raw, c->a);

	if (!m)
		return err_set(c->err, ERR_CORRUPT,
			       "the garbage collection rules of repository " STR_FMT
			       " can't be decoded: set them again",
			       STR_ARG(r->id));
	*ret = (struct gc_rules){.default_days = m->default_retention_days, .n = m->n_branches};
	ret->branches = arena_alloc(c->a, ret->n * sizeof(*ret->branches) + 1);
	for (size_t i = 0; i < ret->n; i++)
		ret->branches[i] = (struct gc_rule){pb_str(m->branches[i]->branch_id), m->branches[i]->days};
	return RC_OK;
}

rc gc_rules_get(struct vcall *c, const struct repo *r, struct gc_rules *ret)
{
	struct object_ptr p = gc_rules_pointer(c, r);
	struct backend_stat st;
	struct backend *b;
	char *bytes;
	size_t n;

	TRY(repo_backend(c, r, &b));
	TRY(backend_head_now(b, &p, c->a, &st, c->err));
	if (!st.size)
		return err_set(c->err, ERR_NOT_FOUND, "not found");
	if (st.size > BYTES_MAX)
		return err_set(c->err, ERR_CORRUPT, "the garbage collection rules have %llu bytes",
			       (unsigned long long)st.size);
	bytes = arena_alloc(c->a, (size_t)st.size);
	TRY(backend_read_now(b, &p, 0, bytes, (size_t)st.size, &n, c->err));
	return decode(c, r, str_make(bytes, n), ret);
}

static rc put(struct vcall *c, const struct repo *r, struct str bytes)
{
	const struct backend_put_options o = {.content_type = STR_NONE};
	struct object_ptr p = gc_rules_pointer(c, r);
	struct backend_stat st;
	struct backend *b;

	TRY(repo_backend(c, r, &b));
	return backend_put_now(b, &p, &o, body_mem_new(c->a, bytes), c->a, &st, c->err);
}

static rc check(struct vcall *c, const struct gc_rules *rules)
{
	if (rules->n > GC_RULES_MAX)
		return err_set(c->err, ERR_INVALID, "there may be %d garbage collection rules, these are %zu",
			       GC_RULES_MAX, rules->n);
	if (rules->default_days < 0)
		return err_set(c->err, ERR_INVALID, "default_retention_days must not be negative");
	for (size_t i = 0; i < rules->n; i++) {
		if (rules->branches[i].days < 0)
			return err_set(c->err, ERR_INVALID,
				       "retention_days of branch " STR_FMT " must not be negative",
				       STR_ARG(rules->branches[i].branch));
		TRY(valid_branch_name(rules->branches[i].branch, c->err));
	}
	return RC_OK;
}

static bool again_later(const struct gc_rules *rules, size_t i)
{
	for (size_t k = i + 1; k < rules->n; k++)
		if (str_eq(rules->branches[k].branch, rules->branches[i].branch))
			return true;
	return false;
}

rc gc_rules_set(struct vcall *c, const struct repo *r, const struct gc_rules *rules)
{
	Pb__GarbageCollectionRules m = PB__GARBAGE_COLLECTION_RULES__INIT;

	TRY(check(c, rules));
	m.default_retention_days = rules->default_days;
	m.branches = arena_alloc(c->a, rules->n * sizeof(*m.branches) + 1);
	for (size_t i = 0; i < rules->n; i++) {
		Pb__BranchRetention *one;

		if (again_later(rules, i))
			continue;
		one = ARENA_NEW(c->a, Pb__BranchRetention);
		pb__branch_retention__init(one);
		one->branch_id = pb_bytes(rules->branches[i].branch);
		one->days = rules->branches[i].days;
		m.branches[m.n_branches++] = one;
	}
	/* Zero days for everything is a message of no bytes, which says that there are no rules. */
	if (!m.default_retention_days && !m.n_branches)
		return err_set(c->err, ERR_INVALID,
			       "rules that keep nothing for any time: give default_retention_days of at least 1");
	return put(c, r, pb_pack(&m.base, c->a));
}

/* Emptied, not removed: a removal isn't durable (backend.h), and old rules must not come back. */
rc gc_rules_delete(struct vcall *c, const struct repo *r)
{
	struct object_ptr p = gc_rules_pointer(c, r);
	struct backend_stat st;
	struct backend *b;
	rc found;

	TRY(repo_backend(c, r, &b));
	found = backend_head_now(b, &p, c->a, &st, c->err);
	if (rc_is(found, NOT_FOUND))
		return RC_OK;
	TRY(found);
	return st.size ? put(c, r, STR("")) : RC_OK;
}
