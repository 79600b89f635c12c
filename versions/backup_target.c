/* Where a backup goes: a namespace that is nobody's. namespace.h sees to it that nobody else takes it. */
#include "versions/backup_priv.h"

enum { PAGE = 1000 };

static struct str without_slash(struct str s)
{
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

/* Whether b is a, or lies in it. */
static bool holds(struct str a, struct str b)
{
	a = without_slash(a);
	b = without_slash(b);
	return str_starts(b, a) && (a.n == b.n || b.p[a.n] == '/');
}

static bool overlaps(const struct repo *target, const struct repo *other)
{
	return str_eq(target->storage_id, other->storage_id) &&
	       (holds(target->storage_namespace, other->storage_namespace) ||
		holds(other->storage_namespace, target->storage_namespace));
}

rc backup_check_target(struct vcall *c, const struct repo *target)
{
	struct str after = STR_NONE;
	bool more = true;

	while (more) {
		struct repo *list;
		size_t n;

		TRY(repo_list(c, STR(""), after, PAGE, &list, &n, &more));
		for (size_t i = 0; i < n; i++)
			if (overlaps(target, &list[i]))
				return err_set(c->err, ERR_INVALID,
					       "storage namespace already in use: repository " STR_FMT " is at " STR_FMT
					       "; choose one for the backup that holds none and lies in none",
					       STR_ARG(list[i].id), STR_ARG(list[i].storage_namespace));
		if (n)
			after = list[n - 1].id;
	}
	return RC_OK;
}

rc backup_namespace(struct vcall *c, struct str storage_id, struct str space, struct repo *ret)
{
	struct backend *b;

	if (!space.n || !str_is_utf8(space))
		return err_set(c->err, ERR_INVALID, "a storage namespace must be UTF-8, and not empty");
	if (!storage_id.n)
		TRY(store_default(c, space, &b));
	else if (!rc_ok(store_backend(c, storage_id, &b)))
		return err_set(c->err, ERR_INVALID, "storage id: invalid value: no store " STR_FMT " is configured",
			       STR_ARG(str_head(storage_id, 100)));
	TRY(b->check_space(b, space, c->err));
	*ret = (struct repo){.id = STR("(backup)"),
			     .storage_id = arena_dup(c->a, b->id),
			     .storage_namespace = arena_dup(c->a, space)};
	return RC_OK;
}
