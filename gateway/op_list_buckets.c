/* ListBuckets: repositories and, with gateways.s3.list_branch_buckets, a bucket repository.branch for each of
 * their branches.
 *
 * All in byte order of their names, in which '-' comes before '.': between repository "a" and its bucket
 * "a.main" lie "a-b" and "a-b.main". So a repository's branches wait until the next repository's name lies
 * behind them: a stack, each one's name the beginning of the one above it. A continuation token is the
 * last name shown; those that wait there are found again among its beginnings. */
#include "gateway/s3.h"

/* Each name that waits is longer than the one below: "aaa", "aaa-", "aaa--" ... */
enum {
	PAGE = 1000,
	MAX_BUCKETS = 10000,
	REPO_NAME_MAX = 63,
	MAX_WAITING = REPO_NAME_MAX,
	NAME_MAX_BYTES = 1024,
};

struct waiting {
	struct repo repo;
	struct str after; /* its branches > this */
};

struct buckets {
	struct str prefix, branch_prefix, after;
	bool branches;      /* they have buckets, too */
	bool one_repo;      /* the prefix has a dot: nothing but one repository's branches */
	bool with_region;
	uint64_t max, shown;
	bool full;          /* there is one more */
	struct waiting waiting[MAX_WAITING];
	size_t waiting_n;
	char last[NAME_MAX_BYTES];
	size_t last_n;
};

static rc parse(struct s3_req *r, struct buckets *l)
{
	struct str max = s3_query(r, "max-buckets");
	size_t dot;

	l->after = s3_query(r, "continuation-token");
	l->prefix = s3_query(r, "prefix").p ? s3_query(r, "prefix") : STR("");
	l->with_region = s3_param(r, "continuation-token") || s3_param(r, "prefix") ||
			 s3_param(r, "max-buckets") || s3_param(r, "bucket-region");
	l->branches = r->g->o.list_branch_buckets;
	l->max = MAX_BUCKETS;
	if (max.n && (!str_to_u64(max, &l->max) || l->max == 0 || l->max > MAX_BUCKETS))
		return err_argument(&r->err, "max-buckets", max,
				    "Argument max-buckets must be an integer between 1 and %d.",
				    MAX_BUCKETS);
	dot = str_index(l->prefix, '.');
	l->one_repo = dot < l->prefix.n;
	l->branch_prefix = l->one_repo ? str_skip(l->prefix, dot + 1) : STR("");
	return RC_OK;
}

static void show(struct s3_req *r, struct buckets *l, struct str name, struct timestamp created)
{
	char date[25];

	l->full = l->shown == l->max;
	if (l->full || name.n > NAME_MAX_BYTES)
		return;
	time_iso_ms(created, date);
	xw_open(&r->xml, "Bucket");
	xw_elem(&r->xml, "Name", name);
	xw_elem(&r->xml, "CreationDate", str_c(date));
	if (l->with_region)
		xw_elem(&r->xml, "BucketRegion", r->g->o.region);
	xw_close(&r->xml, "Bucket");
	memcpy(l->last, name.p, name.n);
	l->last_n = name.n;
	l->shown++;
}

/* A page of one's branches; more: go on after w->after. */
static rc show_page(struct s3_req *r, struct buckets *l, struct waiting *w, char after[NAME_MAX_BYTES],
		    bool *ret_more)
{
	struct vcall c = s3_vcall(r);
	struct branch *list;
	size_t n;

	TRY(branch_list(&c, &w->repo, l->branch_prefix, w->after, PAGE, false, &list, &n, ret_more));
	for (size_t i = 0; i < n && !l->full; i++)
		show(r, l, arena_join(r->a, (struct str[]){w->repo.id, STR("."), list[i].id}, 3),
		     w->repo.created);
	*ret_more = *ret_more && !l->full;
	if (*ret_more) {
		memcpy(after, list[n - 1].id.p, list[n - 1].id.n);
		w->after = str_make(after, list[n - 1].id.n);
	}
	return RC_OK;
}

static rc show_branches(struct s3_req *r, struct buckets *l, struct waiting *w)
{
	char after[NAME_MAX_BYTES];
	bool more = true;

	while (more) {
		struct arena_mark m = arena_mark(r->a);

		TRY(show_page(r, l, w, after, &more));
		arena_rewind(r->a, m);
	}
	return RC_OK;
}

/* Whether "id." lies before a name that is greater than id. */
static bool lie_before(struct str id, struct str name)
{
	return !(str_starts(name, id) && name.n > id.n && name.p[id.n] < '.');
}

/* next: STR_NONE: all of them. */
static rc show_waiting(struct s3_req *r, struct buckets *l, struct str next)
{
	while (l->waiting_n && !l->full) {
		struct waiting *top = &l->waiting[l->waiting_n - 1];

		if (next.p && !lie_before(top->repo.id, next))
			return RC_OK;
		l->waiting_n--;
		TRY(show_branches(r, l, top));
	}
	return RC_OK;
}

static rc wait_for(struct s3_req *r, struct buckets *l, const struct repo *repo, struct str after)
{
	if (!l->branches || !s3_allows_repo(r, "fs:ListBranches", repo->id, repo->storage_id))
		return RC_OK;
	if (l->waiting_n == MAX_WAITING)
		return err_set(&r->err, ERR_CORRUPT, "repository %.*s: its name is too long",
			       STR_ARG(str_head(repo->id, 100)));
	l->waiting[l->waiting_n++] = (struct waiting){*repo, after};
	return RC_OK;
}

static rc wait_for_named(struct s3_req *r, struct buckets *l, struct str id, struct str after)
{
	struct vcall c = s3_vcall(r);
	struct repo repo;
	rc found = repo_get(&c, id, &repo);

	if (rc_is(found, NOT_FOUND))
		return RC_OK;
	TRY(found);
	return wait_for(r, l, &repo, after);
}

/* Those whose branches were still to come when the last page ended. */
static rc resume(struct s3_req *r, struct buckets *l)
{
	struct str after = l->after;
	bool dot = false;

	for (size_t n = 1; n <= after.n && n <= REPO_NAME_MAX && !dot; n++) {
		struct str id = str_head(after, n);

		dot = n < after.n && after.p[n] == '.';
		if (!dot && n < after.n && after.p[n] != '-')
			continue;
		if (str_starts(id, l->prefix))
			TRY(wait_for_named(r, l, id, dot ? str_skip(after, n + 1) : STR_NONE));
	}
	return RC_OK;
}

static rc all_repositories(struct s3_req *r, struct buckets *l)
{
	struct vcall c = s3_vcall(r);
	struct str after = l->after;
	struct repo *repos;
	bool more = true;
	size_t n;

	TRY(resume(r, l));
	while (more && !l->full) {
		TRY(repo_list(&c, l->prefix, after, PAGE, &repos, &n, &more));
		for (size_t i = 0; i < n && !l->full; i++) {
			TRY(show_waiting(r, l, repos[i].id));
			if (!l->full && s3_allows_repo(r, "fs:ListRepositories", repos[i].id,
						       repos[i].storage_id))
				show(r, l, repos[i].id, repos[i].created);
			if (!l->full)
				TRY(wait_for(r, l, &repos[i], STR_NONE));
		}
		if (n)
			after = repos[n - 1].id;
	}
	return show_waiting(r, l, STR_NONE);
}

/* The prefix is "id.": what lies before it is done, or everything. */
static rc one_repository(struct s3_req *r, struct buckets *l)
{
	struct str id = str_head(l->prefix, l->prefix.n - l->branch_prefix.n), after = STR_NONE;

	if (l->after.n && str_starts(l->after, id))
		after = str_skip(l->after, id.n);
	else if (l->after.n && str_cmp(l->after, id) > 0)
		return RC_OK;
	TRY(wait_for_named(r, l, str_head(id, id.n - 1), after));
	return show_waiting(r, l, STR_NONE);
}

static rc buckets_xml(struct s3_req *r, struct buckets *l)
{
	struct str region = s3_query(r, "bucket-region");

	if (region.n && !str_eq(region, r->g->o.region))
		return RC_OK;
	if (l->one_repo)
		return l->branches ? one_repository(r, l) : RC_OK;
	return all_repositories(r, l);
}

static void owner_xml(struct s3_req *r)
{
	xw_open(&r->xml, "Owner");
	xw_elem(&r->xml, "ID", auth_user_name(r->user));
	xw_elem(&r->xml, "DisplayName", auth_user_name(r->user));
	xw_close(&r->xml, "Owner");
}

/* Those that the caller may list, up to max-buckets. */
static rc list_buckets(struct s3_req *r)
{
	struct buckets *l = ARENA_NEW(r->a, struct buckets);

	TRY(parse(r, l));
	xw_decl(&r->xml);
	xw_open_ns(&r->xml, "ListAllMyBucketsResult", S3_XMLNS);
	owner_xml(r);
	xw_open(&r->xml, "Buckets");
	TRY(buckets_xml(r, l));
	xw_close(&r->xml, "Buckets");
	if (l->full)
		xw_elem(&r->xml, "ContinuationToken", str_make(l->last, l->last_n));
	if (l->prefix.n)
		xw_elem(&r->xml, "Prefix", l->prefix);
	xw_close(&r->xml, "ListAllMyBucketsResult");
	return s3_listing_whole(r);
}

static void reply_xml(struct s3_req *r)
{
	s3_reply_xml(r, 200);
}

const struct s3_handlers handlers_ListBuckets = {.run = list_buckets, .reply = reply_xml};
