/* The stores as people and clients see them: what is configured, how it is doing, and which repositories are
 * where. */
#pragma once

#include "versions/repo.h"

enum { STORE_REPOS_TOLD = 1000 };

struct store_info {
	struct str id, type, description; /* type "" where missing; description "" without */
	struct str namespace_prefix;      /* namespaces are made below it; STR_NONE: none is known */
	bool presign, presign_pages, presign_parts; /* presigned URLs: at all, also for pages, also for parts */
	bool is_default;  /* single or backward compatible: of repositories without an id, and of those that
			   * name neither a store nor a namespace */
	bool missing;     /* repositories are on it, and the configuration lacks it */
	const char *state;     /* "ok", "failing", "down", "missing" */
	int64_t since_s;       /* of the state; 0: since the start */
	struct str reason;     /* "" where it is well */
	/* stores_survey only */
	int64_t repositories;
	const struct str *repository_ids; /* of a missing one, ascending, the first STORE_REPOS_TOLD */
	size_t repository_ids_n;
};

/* Those that are configured, in the order of the configuration. Never blocks. */
void stores_list(struct vcall *c, struct store_info **ret, size_t *ret_n);
/* The default one of them, else NULL. */
const struct store_info *stores_default(const struct store_info *list, size_t n);
/* And those that repositories name without their being configured, by id, behind them; all with their
 * repositories counted. Reads all repositories' records. Sets the metrics sluice_store_repositories. */
rc stores_survey(struct vcall *c, struct store_info **ret, size_t *ret_n);
/* Visits each repository's record as it is (an old one's storage_id is ""), until a visit answers false. */
rc stores_each_repo(struct kv *kv, bool (*visit)(void *ud, const struct repo *r), void *ud,
		    struct err *reterr);
/* CONFIG with the remedy: repositories name no store, and of several stores none is backward compatible. Asked
 * before such stores are used. */
rc stores_check(struct kv *kv, struct registry *stores, struct err *reterr);
