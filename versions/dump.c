/* Branches and tags are as they were at one moment. Where the KV's iterators show one, they are read by one. Elsewhere
 * the KV is read in pages, which show what is written meanwhile or not: they are read twice, and what was the same both
 * times was so at the moment between. Commits are read last, so that whatever a dumped
 * branch or tag names is in the dump; and again, if a parent was missed of one that was seen (dump_closure.c). */
#include "versions/dump.h"

#include "base/json.h"
#include "base/log.h"
#include "versions/commit_record.h"
#include "versions/dump_closure.h"
#include "versions/internal.h"
#include "versions/mr_writer.h"
#include "versions/pb.h"

enum { PAGE = 1000 };

/* Dump. */

struct kind {
	struct str prefix; /* of the keys */
	struct str entity, schema;
	/* A record's identity and data, from the KV's value; data STR_NONE: it doesn't count. */
	rc (*convert)(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
		      struct str *ret_data);
};

static rc convert_commit(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
			 struct str *ret_data)
{
	*ret_identity = name;
	*ret_data = value;
	return RC_OK;
}

/* Only the id and the commit. */
static rc convert_branch(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
			 struct str *ret_data)
{
	struct branch b;

	*ret_data = STR_NONE;
	TRY(branch_decode(value, c->a, &b, c->err));
	if (b.removed_ms)
		return RC_OK;
	*ret_identity = b.commit_id;
	*ret_data = branch_encode(&(struct branch){.id = b.id, .commit_id = b.commit_id}, c->a);
	return RC_OK;
}

static rc convert_tag(struct vcall *c, struct str name, struct str value, struct str *ret_identity,
		      struct str *ret_data)
{
	Pb__TagData *m = pb_unpack(&pb__tag_data__descriptor, value, c->a);

	if (!m)
		return err_set(c->err, ERR_CORRUPT, "tag " STR_FMT ": its record can't be decoded",
			       STR_ARG(name));
	*ret_identity = pb_str(m->commit_id);
	*ret_data = value;
	return RC_OK;
}

#define SCHEMA "io.treeverse.lakefs.graveler."
static const struct kind commits = {STR("commits/"), STR("commit"),
				    STR(SCHEMA "CommitData"), convert_commit};
static const struct kind branches = {STR("branches/"), STR("branch"),
				     STR(SCHEMA "BranchData"), convert_branch};
static const struct kind tags = {STR("tags/"), STR("tag"), STR(SCHEMA "TagData"),
				 convert_tag};

/* Where records go: into a table, or only into a digest of names and commits. */
struct sink {
	struct mr_writer *w;     /* or NULL */
	struct digest_set *seen; /* or NULL */
	struct id_set *names;    /* or NULL: of those that were added */
	bool only;               /* those whose names are in it already */
	struct kv_iter *from;    /* what shows one moment, or NULL: read in pages */
};

static void note(struct digest_set *seen, struct str s)
{
	const uint64_t n = s.n;

	digest_set_update(seen, &n, sizeof(n));
	digest_set_update(seen, s.p, s.n);
}

static rc add_one(struct vcall *c, const struct kind *k, const struct kv_entry *e, struct buf *value,
		  struct sink *to)
{
	struct str name = str_skip(e->key, k->prefix.n), identity, data;

	TRY(k->convert(c, name, e->value, &identity, &data));
	if (!data.p)
		return RC_OK;
	if (to->seen) {
		note(to->seen, name);
		note(to->seen, identity);
	}
	if (to->only && !id_set_has(to->names, name))
		return RC_OK;
	if (to->names && !to->only)
		id_set_add(to->names, name);
	if (!to->w)
		return RC_OK;
	buf_reset(value);
	if (!record_encode(identity, data, value))
		return err_set(c->err, ERR_CORRUPT, STR_FMT " " STR_FMT " is too large",
			       STR_ARG(k->entity), STR_ARG(name));
	return mr_writer_record(to->w, name, buf_str(value), c->err);
}

/* A page of the iterator's, which stands at the kind's; *from, if it isn't NULL, is where the next begins. */
static rc add_some(struct vcall *c, const struct kind *k, struct kv_iter *it, struct buf *from, struct sink *to,
		   size_t *ret_n)
{
	struct buf value = BUF_INIT(KV_VALUE_MAX + 1024);
	struct arena_mark m = arena_mark(c->a);
	struct kv_entry e;
	bool end = false;
	rc added = RC_OK;

	*ret_n = 0;
	while (rc_ok(added) && *ret_n < PAGE) {
		added = kv_iter_next(it, &e, &end, c->err);
		if (!rc_ok(added) || end || !str_starts(e.key, k->prefix))
			break;
		added = add_one(c, k, &e, &value, to);
		if (from) {
			buf_reset(from);
			buf_add(from, e.key);
			buf_add_c(from, 0);
		}
		++*ret_n;
		arena_rewind(c->a, m);
	}
	buf_deinit(&value);
	return added;
}

static rc add_page(struct vcall *c, const struct repo *r, const struct kind *k, struct buf *from,
		   struct sink *to, size_t *ret_n)
{
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;

	*ret_n = 0;
	TRY(kv_scan(c->v->kv, r->partition, buf_str(from), PAGE, &it, c->err));
	return add_some(c, k, it, from, to, ret_n);
}

static rc tick(struct progress *p, int64_t done, struct err *reterr)
{
	return p ? p->tick(p, done, reterr) : RC_OK;
}

static rc dump_pages(struct vcall *c, const struct repo *r, const struct kind *k, struct sink *to,
		     struct progress *p, int64_t *done)
{
	struct buf from = BUF_INIT(KV_KEY_MAX + 1);
	size_t n = PAGE;
	rc result = RC_OK;

	buf_add(&from, k->prefix);
	if (to->from)
		result = kv_iter_seek(to->from, k->prefix, c->err);
	while (rc_ok(result) && n == PAGE) {
		result = to->from ? add_some(c, k, to->from, NULL, to, &n) : add_page(c, r, k, &from, to, &n);
		*done += (int64_t)n;
		if (rc_ok(result))
			result = tick(p, *done, c->err);
	}
	buf_deinit(&from);
	return result;
}

static rc dump_kind(struct vcall *c, const struct repo *r, const struct kind *k, struct sink to, struct progress *p,
		    int64_t *done, struct str *ret)
{
	const struct meta props[] = {{STR("entity"), k->entity}, {STR("schema_name"), k->schema}};
	CLEANUP(mr_writer_freep) struct mr_writer *w = NULL;
	struct mr_summary sum;

	TRY(mr_writer_new(c, r, props, 2, &w));
	to.w = w;
	TRY(dump_pages(c, r, k, &to, p, done));
	TRY(mr_writer_finish(w, c->a, &sum, c->err));
	*ret = sum.id;
	return RC_OK;
}

static rc dump_heads_at_once(struct vcall *c, const struct repo *r, struct kv_iter *it, struct progress *p,
			     int64_t *done, struct refs_dump *d)
{
	TRY(dump_kind(c, r, &branches, (struct sink){.from = it}, p, done, &d->branches));
	return dump_kind(c, r, &tags, (struct sink){.from = it}, p, done, &d->tags);
}

/* Branches and tags, and a digest of them all; d NULL: that alone. */
static rc dump_heads(struct vcall *c, const struct repo *r, struct progress *p, int64_t *done,
		     struct refs_dump *d, uint8_t ret[DIGEST_MAX])
{
	struct arena *a = arena_new();
	struct digest_set *seen = digest_set_new(a, 1u << DIGEST_SHA256);
	struct sink only = {.seen = seen};
	rc result = d ? dump_kind(c, r, &branches, only, p, done, &d->branches) :
			dump_pages(c, r, &branches, &only, p, done);

	if (rc_ok(result))
		result = d ? dump_kind(c, r, &tags, only, p, done, &d->tags) :
			     dump_pages(c, r, &tags, &only, p, done);
	if (rc_ok(result))
		memcpy(ret, digest_set_value(seen, DIGEST_SHA256).p, digest_size(DIGEST_SHA256));
	arena_free(a);
	return result;
}

static rc dump_commits(struct vcall *c, const struct repo *r, struct id_set *names, struct progress *p,
		       int64_t *done, struct str *ret)
{
	bool more;

	TRY(dump_kind(c, r, &commits, (struct sink){.names = names}, p, done, ret));
	/* Of more than the set can hold nothing can be said. */
	if (id_set_full(names))
		return RC_OK;
	TRY(commits_close(c, r, names, p, &more));
	if (!more || id_set_full(names))
		return RC_OK;
	return dump_kind(c, r, &commits, (struct sink){.names = names, .only = true}, p, done, ret);
}

static rc dump_heads_twice(struct vcall *c, const struct repo *r, struct progress *p, int64_t *done,
			   struct refs_dump *d)
{
	uint8_t before[DIGEST_MAX], now[DIGEST_MAX];

	TRY(dump_heads(c, r, p, done, NULL, before));
	for (unsigned i = 0; i < DUMP_TRIES; i++) {
		TRY(dump_heads(c, r, p, done, d, now));
		if (memcmp(before, now, digest_size(DIGEST_SHA256)) == 0)
			return RC_OK;
		memcpy(before, now, sizeof(before));
	}
	log_event(LOG_WARN, "versions", "branches or tags kept changing: each is dumped as of a moment of its own",
		  F_STR("repository", r->id), F_INT("tries", DUMP_TRIES));
	return RC_OK;
}

static rc dump_all_heads(struct vcall *c, const struct repo *r, struct progress *p, int64_t *done,
			 struct refs_dump *d)
{
	const struct str both[KV_MOMENT_PREFIXES] = {branches.prefix, tags.prefix};
	CLEANUP(kv_iter_closep) struct kv_iter *it = NULL;
	rc result = kv_scan_moment(c->v->kv, r->partition, both, &it, c->err);

	if (rc_is(result, UNSUPPORTED))
		return dump_heads_twice(c, r, p, done, d);
	TRY(result);
	return dump_heads_at_once(c, r, it, p, done, d);
}

rc refs_dump(struct vcall *c, const struct repo *r, struct progress *p, struct refs_dump *ret)
{
	struct id_set *names;
	int64_t done = 0;
	rc result;

	TRY(dump_all_heads(c, r, p, &done, ret));
	names = id_set_new(DUMP_COMMITS_MAX);
	result = dump_commits(c, r, names, p, &done, &ret->commits);
	id_set_free(names);
	return result;
}

/* The manifest. */

enum { MANIFEST_MAX = 64 * 1024 };

static struct object_ptr manifest_pointer(struct vcall *c, const struct repo *r)
{
	return repo_pointer(r, arena_printf(c->a, "%s/refs_manifest.json", c->v->block_prefix));
}

rc refs_write_manifest(struct vcall *c, const struct repo *r, const struct refs_dump *d)
{
	struct str text = arena_printf(
		c->a,
		"{\n  \"branches_meta_range_id\": \"" STR_FMT "\",\n  \"commits_meta_range_id\": \"" STR_FMT
		"\",\n  \"tags_meta_range_id\": \"" STR_FMT "\"\n}",
		STR_ARG(d->branches), STR_ARG(d->commits), STR_ARG(d->tags));
	const struct object_ptr to = manifest_pointer(c, r);
	const struct backend_put_options o = {.content_type = STR("application/json")};
	struct backend_stat st;
	struct backend *b;

	TRY(repo_backend(c, r, &b));
	return backend_put_now(b, &to, &o, body_mem_new(c->a, text), c->a, &st, c->err);
}

static rc no_manifest(struct vcall *c, const struct repo *r, const char *what)
{
	return err_set(c->err, ERR_DumpNotWhole, STR_FMT "%s: dump the repository again, or copy the file again",
		       STR_ARG(repo_address(r, manifest_pointer(c, r).key, c->a)), what);
}

static bool member(const struct json *j, const char *key, struct str *ret)
{
	const struct json *m = json_member(j, key);

	if (!m || json_type(m) != JSON_STRING)
		return false;
	*ret = json_str(m);
	return is_table_id(*ret);
}

rc refs_read_manifest(struct vcall *c, const struct repo *r, struct refs_dump *ret)
{
	const struct object_ptr at = manifest_pointer(c, r);
	char *text = arena_alloc(c->a, MANIFEST_MAX);
	struct backend *b;
	struct json *doc;
	size_t n;
	rc got;

	TRY(repo_backend(c, r, &b));
	got = backend_read_now(b, &at, 0, text, MANIFEST_MAX, &n, c->err);
	if (rc_is(got, NOT_FOUND))
		return err_set(c->err, ERR_NOT_FOUND, "there is no " STR_FMT ": no dump was finished there",
			       STR_ARG(repo_address(r, at.key, c->a)));
	TRY(got);
	if (n == MANIFEST_MAX || !rc_ok(json_parse(c->a, str_make(text, n), &doc, NULL)) ||
	    json_type(doc) != JSON_OBJECT)
		return no_manifest(c, r, " isn't a manifest");
	if (!member(doc, "branches_meta_range_id", &ret->branches) ||
	    !member(doc, "commits_meta_range_id", &ret->commits) || !member(doc, "tags_meta_range_id", &ret->tags))
		return no_manifest(c, r, " doesn't name three metaranges");
	return RC_OK;
}
