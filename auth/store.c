#include "auth/store.h"

#include "auth/statements.h"
#include "auth/user.h"
#include "base/buf.h"

static void *in_arena(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void not_freed(void *a, void *p)
{
}

rc auth_store_unpack(const ProtobufCMessageDescriptor *type, struct str key, struct str value,
		     struct arena *a, void **ret, struct err *reterr)
{
	ProtobufCAllocator allocator = {in_arena, not_freed, a};

	*ret = protobuf_c_message_unpack(type, &allocator, value.n, (const uint8_t *)value.p);
	if (*ret)
		return RC_OK;
	return err_set(reterr, ERR_CORRUPT, "the record " STR_FMT " is damaged: it is no %s",
		       STR_ARG(key), type->short_name);
}

static rc get(struct kv *kv, struct str partition, struct str key,
	      const ProtobufCMessageDescriptor *type, struct arena *a, void **ret,
	      struct err *reterr)
{
	struct str value;

	TRY(kv_get(kv, KV_BLOCK, partition, key, a, &value, reterr));
	return auth_store_unpack(type, key, value, a, ret, reterr);
}

struct str auth_key_user(struct arena *a, struct str user)
{
	return arena_join(a, (struct str[]){STR("users/"), user}, 2);
}

struct str auth_key_credential(struct arena *a, struct str user, struct str access_key)
{
	return arena_join(
		a, (struct str[]){AUTH_CREDENTIALS, user, AUTH_OF_CREDENTIAL, access_key}, 4);
}

struct str auth_key_group(struct arena *a, struct str group)
{
	return arena_join(a, (struct str[]){STR("groups/"), group}, 2);
}

struct str auth_key_policy(struct arena *a, struct str policy)
{
	return arena_join(a, (struct str[]){STR("policies/"), policy}, 2);
}

struct str auth_key_link(struct arena *a, const char *kind, struct str holder, const char *held,
			 struct str name)
{
	const struct str parts[] = {str_c(kind), STR("/"), holder, STR("/"), str_c(held), STR("/"), name};

	return arena_join(a, parts, 7);
}

rc auth_store_group(struct kv *kv, struct str id, struct arena *a, AuthPb__GroupData **ret,
		    struct err *reterr)
{
	return get(kv, AUTH_PARTITION, auth_key_group(a, id), &auth_pb__group_data__descriptor, a,
		   (void **)ret, reterr);
}

rc auth_store_user(struct kv *kv, struct str partition, struct str id, struct arena *a,
		   AuthPb__UserData **ret, struct err *reterr)
{
	return get(kv, partition, auth_key_user(a, id), &auth_pb__user_data__descriptor, a,
		   (void **)ret, reterr);
}

rc auth_store_credential(struct kv *kv, struct str partition, struct str id, struct str access_key,
			 struct arena *a, AuthPb__CredentialData **ret, struct err *reterr)
{
	return get(kv, partition, auth_key_credential(a, id, access_key),
		   &auth_pb__credential_data__descriptor, a, (void **)ret, reterr);
}

rc auth_store_policy(struct kv *kv, struct str path, struct arena *a, AuthPb__PolicyData **ret,
		     struct err *reterr)
{
	return get(kv, AUTH_PARTITION, path, &auth_pb__policy_data__descriptor, a, (void **)ret,
		   reterr);
}

rc auth_store_put_in(struct kv *kv, struct str partition, struct str key, const ProtobufCMessage *m,
		     bool absent, struct err *reterr)
{
	struct buf b = BUF_INIT(SIZE_MAX);
	size_t n = protobuf_c_message_get_packed_size(m);
	rc r;

	b.n = protobuf_c_message_pack(m, (uint8_t *)buf_reserve(&b, n + 1));
	if (absent)
		r = kv_set_if(kv, partition, key, buf_str(&b), KV_IF_ABSENT, STR_NONE, reterr);
	else
		r = kv_set(kv, partition, key, buf_str(&b), reterr);
	buf_deinit(&b);
	return r;
}

rc auth_store_put(struct kv *kv, struct str key, const ProtobufCMessage *m, bool absent,
		  struct err *reterr)
{
	return auth_store_put_in(kv, AUTH_PARTITION, key, m, absent, reterr);
}

rc auth_store_put_index(struct kv *kv, struct str key, struct str path, struct err *reterr)
{
	AuthPb__SecondaryIndex index = AUTH_PB__SECONDARY_INDEX__INIT;

	index.primary_key = (ProtobufCBinaryData){path.n, (uint8_t *)path.p};
	return auth_store_put(kv, key, &index.base, false, reterr);
}

/* Names in the arena, each once, in the order of their coming. */
struct names {
	struct str *p;
	size_t n, cap, max;
	struct arena *a;
};

static bool names_have(const struct names *l, struct str s)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->p[i], s))
			return true;
	return false;
}

static rc names_add(struct names *l, struct str s, const char *what, struct err *reterr)
{
	if (l->n == l->max)
		return err_set(reterr, ERR_UNSUPPORTED, "there are more than %zu %s", l->max, what);
	if (l->n == l->cap) {
		struct str *p = arena_alloc(l->a, (l->cap * 2 + 8) * sizeof(*p));

		if (l->n)
			memcpy(p, l->p, l->n * sizeof(*p));
		l->p = p;
		l->cap = l->cap * 2 + 8;
	}
	l->p[l->n++] = arena_dup(l->a, s);
	return RC_OK;
}

/* What follows the prefix in each key of the partition that has it. */
static rc list_groups(struct kv *kv, struct names *to, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	struct str prefix = STR("groups/");
	struct kv_entry e;
	bool end;

	TRY(kv_scan(kv, AUTH_PARTITION, prefix, 0, &it, reterr));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, prefix))
			return RC_OK;
		TRY(names_add(to, str_skip(e.key, prefix.n), "groups", reterr));
	}
}

/* The paths that the index entries under the prefix hold. */
static rc list_index(struct kv *kv, struct str prefix, struct names *to, struct err *reterr)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	AuthPb__SecondaryIndex *index;
	struct kv_entry e;
	struct str path;
	bool end;

	TRY(kv_scan(kv, AUTH_PARTITION, prefix, 0, &it, reterr));
	for (;;) {
		TRY(kv_iter_next(it, &e, &end, reterr));
		if (end || !str_starts(e.key, prefix))
			return RC_OK;
		TRY(auth_store_unpack(&auth_pb__secondary_index__descriptor, e.key, e.value, to->a,
				      (void **)&index, reterr));
		path = str_make(index->primary_key.data, index->primary_key.len);
		if (path.n && !names_have(to, path))
			TRY(names_add(to, path, "policies of one user", reterr));
	}
}

static rc is_member(struct kv *kv, struct str group, struct str user, struct arena *a, bool *ret,
		    struct err *reterr)
{
	struct str key = arena_join(
		a, (struct str[]){STR("gUsers/"), group, STR("/users/"), user}, 4);
	struct str value;
	rc r = kv_get(kv, KV_BLOCK, AUTH_PARTITION, key, a, &value, reterr);

	*ret = rc_ok(r);
	return rc_is(r, NOT_FOUND) ? RC_OK : r;
}

static rc groups_of(struct kv *kv, struct str user, struct names *to, struct err *reterr)
{
	struct names all = {.max = AUTH_MAX_GROUPS, .a = to->a};
	bool member;

	TRY(list_groups(kv, &all, reterr));
	for (size_t i = 0; i < all.n; i++) {
		TRY(is_member(kv, all.p[i], user, to->a, &member, reterr));
		if (member)
			TRY(names_add(to, all.p[i], "groups", reterr));
	}
	return RC_OK;
}

static rc effective(struct kv *kv, struct str user, struct names *policies, struct err *reterr)
{
	struct arena *a = policies->a;
	struct names groups = {.max = AUTH_MAX_GROUPS, .a = a};

	TRY(list_index(kv, auth_key_link(a, "uPolicies", user, "policies", STR("")), policies, reterr));
	TRY(groups_of(kv, user, &groups, reterr));
	for (size_t i = 0; i < groups.n; i++)
		TRY(list_index(kv, auth_key_link(a, "gPolicies", groups.p[i], "policies", STR("")), policies,
			       reterr));
	return RC_OK;
}

rc auth_store_groups_of(struct kv *kv, struct str user, struct arena *a, struct str **ret, size_t *ret_n,
			struct err *reterr)
{
	struct names groups = {.max = AUTH_MAX_GROUPS, .a = a};

	TRY(groups_of(kv, user, &groups, reterr));
	*ret = groups.p;
	*ret_n = groups.n;
	return RC_OK;
}

rc auth_store_policies_of(struct kv *kv, struct str user, struct arena *a, struct str **ret, size_t *ret_n,
			  struct err *reterr)
{
	struct names policies = {.max = AUTH_MAX_POLICIES, .a = a};

	TRY(effective(kv, user, &policies, reterr));
	*ret = policies.p;
	*ret_n = policies.n;
	return RC_OK;
}

void auth_user_created(struct auth_user *u, const AuthPb__UserData *record)
{
	u->created_s = record->created_at ? record->created_at->seconds : 0;
	u->created_ns = record->created_at ? record->created_at->nanos : 0;
}

static rc load_user(struct kv *kv, struct str name, struct arena *a, struct auth_user **ret,
		    struct err *reterr)
{
	struct names policies = {.max = AUTH_MAX_POLICIES, .a = a};
	struct auth_statements all = {.max = AUTH_MAX_STATEMENTS, .a = a};
	AuthPb__PolicyData *policy;
	AuthPb__UserData *user;

	TRY(auth_store_user(kv, AUTH_PARTITION, name, a, &user, reterr));
	TRY(effective(kv, name, &policies, reterr));
	for (size_t i = 0; i < policies.n; i++) {
		rc r = auth_store_policy(kv, policies.p[i], a, &policy, reterr);

		/* Attached still, but deleted. */
		if (rc_is(r, NOT_FOUND))
			continue;
		TRY(r);
		TRY(auth_statements_add(&all, policy, reterr));
	}
	*ret = auth_user_of(name, all.p, all.n);
	auth_user_created(*ret, user);
	return RC_OK;
}

rc auth_store_load_user(struct kv *kv, struct str name, struct auth_user **ret, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = load_user(kv, name, a, ret, reterr);

	arena_free(a);
	if (!rc_ok(r))
		return err_wrap(r, reterr, "user " STR_FMT, STR_ARG(name));
	return r;
}
