/* Repositories: a name, pinned to one store and namespace (RepositoryData, FORMATS.md 5 and 6.4). */
#pragma once

#include "versions/versions.h"

struct repo {
	struct str id, storage_namespace, default_branch, instance_uid, storage_id;
	struct str partition; /* "<id>-<instance uid>": where its branches, tags, commits are */
	struct timestamp created;
	bool read_only, in_deletion;
};

struct repo_create {
	struct str id, storage_namespace, default_branch; /* default_branch STR_NONE: main */
	struct str storage_id; /* STR_NONE: registry_default(), which may ask stores */
	bool bare, read_only;
};

/* Records (RepositoryData). The decoded one's text lives in the arena. */
struct str repo_encode(const struct repo *r, struct arena *a);
rc repo_decode(struct str bytes, struct arena *a, struct repo *ret, struct err *reterr);

/* In FORMATS.md's order: dummy object, first commit record, branch, repository record (create if
 * absent); what a crash leaves behind is invisible, and creating again succeeds (namespace.h). EXISTS;
 * INVALID (name, namespace in use or not of the store's kind, unknown storage id). A bare repository
 * has no commit and no branch, and like a read-only one it doesn't look at the namespace. */
rc repo_create(struct vcall *c, const struct repo_create *in, struct repo *ret);
/* Cached for repo_cache_ms. NOT_FOUND; a repository in deletion is not found. */
rc repo_get(struct vcall *c, struct str id, struct repo *ret);
/* Not from the cache, and also one in deletion. NOT_FOUND. */
rc repo_read(struct vcall *c, struct str id, struct repo *ret);
/* For who has found r before and misses something in it: NOT_FOUND when that is because r is being deleted, was, or
 * gave its name to another since. */
rc repo_stays(struct vcall *c, const struct repo *r);
/* Ascending, names > after with the prefix, at most max. */
rc repo_list(struct vcall *c, struct str prefix, struct str after, size_t max, struct repo **ret,
	     size_t *ret_n, bool *ret_more);
/* Whatever it holds: marks, deletes branches, tags, commits and metadata, then the record; objects stay.
 * Repeatable. NOT_FOUND. */
rc repo_delete(struct vcall *c, struct str id);
/* One that has nothing to lose: only its default branch, which lists nothing and was never committed to,
 * and no tags. Nothing that is written meanwhile is lost. BucketNotEmpty saying what is there; NOT_FOUND;
 * ReadOnlyRepository; SlowDown. Repeatable: a crash leaves it as it was, or without its default branch. */
rc repo_delete_empty(struct vcall *c, struct str id);
/* The store that it is pinned to, as it is configured now. ServiceUnavailable with the remedy when it isn't. It
 * is the caller's until c->a is freed, or rewound to before the call, whatever is configured meanwhile. */
rc repo_backend(struct vcall *c, const struct repo *r, struct backend **ret);
/* The same by a store's id. */
rc store_backend(struct vcall *c, struct str id, struct backend **ret);
/* The one that takes a namespace for which none is named: registry_default(), which may ask stores. */
rc store_default(struct vcall *c, struct str space, struct backend **ret);
/* What lies at `key` below its namespace. */
struct object_ptr repo_pointer(const struct repo *r, struct str key);
/* Its whole address. */
struct str repo_address(const struct repo *r, struct str key, struct arena *a);
