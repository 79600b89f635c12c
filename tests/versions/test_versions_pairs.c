/* Two operations on one repository, of which one, of another process, does all of its work between
 * two of the other's reads, or just before one of its writes; for each pair of operations, and each
 * such place. What they answer, and what can be seen afterwards, is what it would be had one been
 * done after the other, in either order; or one was told to try again, and it is as if it had never
 * been asked. */
#include "tests/versions/world.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "versions/compare.h"
#include "versions/head.h"
#include "versions/history.h"
#include "versions/hygiene.h"
#include "versions/listing.h"
#include "versions/multipart.h"
#include "versions/internal.h"
#include "versions/upload_record.h"
#include "versions/tag.h"

#define MAIN STR("main")
#define DEV STR("dev")

enum { MANY = 100, TOLD_MAX = 1 << 20, CALLS_MAX = 500, PER_WORLD = 50 };

/* One world, two processes; a repository for each try, for a world costs more, though not when it
 * has grown. In it there is one upload, to main/x. */

static struct world w;
static struct upload upload;
static struct upload_part part;
#define BODY STR("bytes of an upload") /* no other entry has a body, or this size */

/* What can be seen. */

static void tell_body(struct vcall *c, const struct repo *r, const struct entry *e, struct buf *out)
{
	struct object_ptr at = object_pointer(r, e);
	struct backend *store;
	char bytes[64];
	size_t n = 0;

	assert_ok(repo_backend(c, r, &store));
	if (!rc_ok(backend_read_now(store, &at, 0, bytes, sizeof(bytes), &n, NULL)) ||
	    !str_eq(str_make(bytes, n), BODY))
		buf_add_c(out, '!');
}

static void tell_list(struct vcall *c, const struct repo *r, struct str ref, struct buf *out)
{
	const struct list_request q = {
	    .prefix = STR(""), .delimiter = STR_NONE, .after = STR_NONE, .max = MANY};
	struct list_page page;

	assert_ok(objects_list(c, r, ref, &q, &page));
	for (size_t i = 0; i < page.n; i++) {
		const struct entry *e = &page.items[i].entry;

		buf_printf(out, " " STR_FMT "=%d", STR_ARG(page.items[i].key), (int)e->size);
		if (e->size == (int64_t)BODY.n)
			tell_body(c, r, e, out);
	}
}

static void tell_uncommitted(struct vcall *c, const struct repo *r, struct str branch,
			     struct buf *out)
{
	const struct compare_request q = {
	    .prefix = STR(""), .delimiter = STR_NONE, .after = STR_NONE, .max = MANY};
	struct compare_page page;

	assert_ok(compare_uncommitted(c, r, branch, &q, &page));
	for (size_t i = 0; i < page.n; i++)
		buf_printf(out, " %d:" STR_FMT, (int)page.items[i].type,
			   STR_ARG(page.items[i].path));
}

static void tell_history(struct vcall *c, const struct repo *r, struct str commit, struct buf *out)
{
	const struct log_request q = {.from = commit,
				      .after = STR_NONE,
				      .max = MANY,
				      .first_parent = true,
				      .stop_at = STR_NONE,
				      .since = INT64_MIN};
	struct log_page page;

	assert_ok(history_log(c, r, &q, &page));
	for (size_t i = 0; i < page.n; i++)
		buf_printf(out, " <" STR_FMT ">", STR_ARG(page.commits[i].message));
}

static void tell_branch(struct vcall *c, const struct repo *r, const struct branch *b,
			struct buf *out)
{
	buf_printf(out, STR_FMT "%s:", STR_ARG(b->id), b->closed_ms ? " (closed)" : "");
	tell_list(c, r, b->id, out);
	buf_add_c(out, ';');
	tell_uncommitted(c, r, b->id, out);
	buf_add_c(out, ';');
	tell_list(c, r, b->commit_id, out);
	buf_add_c(out, ';');
	tell_history(c, r, b->commit_id, out);
	buf_add_c(out, '\n');
}

static struct str told(struct vcall *c, const struct repo *r)
{
	struct buf out = BUF_INIT(TOLD_MAX);
	const struct uploads_request uploads = {
	    .branch = STR_NONE, .key_marker = STR_NONE, .id_marker = STR_NONE, .max = MANY};
	struct uploads_page open;
	struct branch *branches;
	struct tag *tags;
	struct str ret;
	size_t n;
	bool more;

	assert_ok(branch_list(c, r, STR(""), STR_NONE, MANY, true, &branches, &n, &more));
	for (size_t i = 0; i < n; i++)
		tell_branch(c, r, &branches[i], &out);
	assert_ok(tag_list(c, r, STR(""), STR_NONE, MANY, &tags, &n, &more));
	for (size_t i = 0; i < n; i++) {
		buf_printf(&out, "tag " STR_FMT ":", STR_ARG(tags[i].id));
		tell_history(c, r, tags[i].commit_id, &out);
		buf_add_c(&out, '\n');
	}
	assert_ok(uploads_list(c, r, &uploads, &open));
	buf_printf(&out, "uploads: %zu\n", open.n);
	assert_false(out.overflow);
	ret = arena_dup(c->a, buf_str(&out));
	buf_deinit(&out);
	return ret;
}

/* Operations. */

static rc stage(struct vcall *c, const struct repo *r, struct str branch, const char *path,
		unsigned size, enum stage_cond cond)
{
	struct entry e = some_entry(c->a, size);
	bool sent;

	return object_stage(c, r, branch, str_c(path), &e, cond, STR("*"), &sent);
}

static rc put_x(struct vcall *c, const struct repo *r, struct buf *out)
{
	return stage(c, r, MAIN, "x", 51, STAGE_ALWAYS);
}

static rc put_new(struct vcall *c, const struct repo *r, struct buf *out)
{
	return stage(c, r, MAIN, "new", 52, STAGE_IF_ABSENT);
}

static rc put_removed(struct vcall *c, const struct repo *r, struct buf *out)
{
	return stage(c, r, MAIN, "gone", 53, STAGE_IF_ABSENT);
}

static rc put_if_there(struct vcall *c, const struct repo *r, struct buf *out)
{
	return stage(c, r, MAIN, "x", 54, STAGE_IF_ETAG);
}

static rc put_dev(struct vcall *c, const struct repo *r, struct buf *out)
{
	return stage(c, r, DEV, "x", 55, STAGE_ALWAYS);
}

static rc delete_x(struct vcall *c, const struct repo *r, struct buf *out)
{
	return object_delete(c, r, MAIN, STR("x"));
}

static rc delete_if_there(struct vcall *c, const struct repo *r, struct buf *out)
{
	const struct object_match any = {.etag = STR("*")};
	struct object_delete_item item = {.branch = MAIN, .path = STR("x"), .match = &any};

	objects_delete(c, r, &item, 1);
	return item.result;
}

static rc copy_y(struct vcall *c, const struct repo *r, struct buf *out)
{
	struct entry e;

	TRY(object_stat(c, r, DEV, STR("y"), &e));
	return stage(c, r, MAIN, "copy", (unsigned)e.size, STAGE_ALWAYS);
}

/* As a change of tags does it: of what is there, and once more if that has changed. */
static rc replace_x(struct vcall *c, const struct repo *r, struct buf *out)
{
	struct entry was, e;
	rc res;

	do {
		TRY(object_stat(c, r, MAIN, STR("x"), &was));
		e = was;
		e.size += 1000;
		res = object_replace(c, r, MAIN, STR("x"), &was, &e);
	} while (rc_is(res, PREDICATE) || rc_is(res, NOT_FOUND) ||
		 rc_is(res, ConditionalRequestConflict));
	return res;
}

static rc stat_x(struct vcall *c, const struct repo *r, struct buf *out)
{
	struct entry e;
	rc res = object_stat(c, r, MAIN, STR("x"), &e);

	if (rc_ok(res))
		buf_printf(out, " %d", (int)e.size);
	return res;
}

static rc list_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	tell_list(c, r, MAIN, out);
	return RC_OK;
}

static rc uncommitted_of_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	tell_uncommitted(c, r, MAIN, out);
	return RC_OK;
}

static rc commit_of(struct vcall *c, const struct repo *r, struct str branch)
{
	const struct commit_request q = {
	    .branch = branch, .committer = STR("c"), .message = branch};
	struct commit made;

	return branch_commit(c, r, &q, &made);
}

static rc commit_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	return commit_of(c, r, MAIN);
}

static rc commit_dev(struct vcall *c, const struct repo *r, struct buf *out)
{
	return commit_of(c, r, DEV);
}

static rc merge_dev(struct vcall *c, const struct repo *r, struct buf *out)
{
	const struct merge_request q = {.source = DEV,
					.destination = MAIN,
					.committer = STR("c"),
					.with.message = STR("merge")};
	struct commit made;

	return branch_merge(c, r, &q, &made);
}

static rc merge_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	const struct merge_request q = {.source = MAIN,
					.destination = DEV,
					.committer = STR("c"),
					.with.message = STR("back"),
					.strategy = MERGE_SOURCE_WINS};
	struct commit made;

	return branch_merge(c, r, &q, &made);
}

static rc revert_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	const struct pick_request q = {
	    .branch = MAIN, .ref = STR("v1"), .committer = STR("c"), .with.message = STR("revert")};
	struct commit made;

	return branch_revert(c, r, &q, &made);
}

static rc pick_dev(struct vcall *c, const struct repo *r, struct buf *out)
{
	const struct pick_request q = {
	    .branch = MAIN, .ref = DEV, .committer = STR("c"), .with.message = STR("pick")};
	struct commit made;

	return branch_cherry_pick(c, r, &q, &made);
}

static rc hard_reset_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_hard_reset(c, r, MAIN, DEV, false);
}

static rc reset_main(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_reset(c, r, MAIN, false);
}

static rc reset_prefix(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_reset_prefix(c, r, MAIN, STR("x"), false);
}

static rc reset_object(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_reset_object(c, r, MAIN, STR("gone"), false);
}

static rc create_branch(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_create(c, r, STR("other"), MAIN);
}

static rc create_dev(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_create(c, r, DEV, STR("v1"));
}

static rc delete_dev(struct vcall *c, const struct repo *r, struct buf *out)
{
	return branch_delete(c, r, DEV);
}

static rc create_tag(struct vcall *c, const struct repo *r, struct buf *out)
{
	struct tag tag;

	return tag_create(c, r, STR("t"), MAIN, false, &tag);
}

static rc move_tag(struct vcall *c, const struct repo *r, struct buf *out)
{
	return tag_delete(c, r, STR("v1"), false);
}

static rc complete(struct vcall *c, const struct repo *r, enum stage_cond cond)
{
	const struct upload_completion how = {.parts = &part, .n = 1, .cond = cond};
	struct entry made;

	return upload_complete(c, r, MAIN, upload.path, upload.id, &how, &made);
}

static rc complete_upload(struct vcall *c, const struct repo *r, struct buf *out)
{
	return complete(c, r, STAGE_ALWAYS);
}

static rc complete_if_absent(struct vcall *c, const struct repo *r, struct buf *out)
{
	return complete(c, r, STAGE_IF_ABSENT);
}

/* Of two who abort one upload, either may be told that it was he. */
static rc abort_upload(struct vcall *c, const struct repo *r, struct buf *out)
{
	rc res = upload_abort(c, r, &upload);

	return rc_is(res, NoSuchUpload) ? RC_OK : res;
}

static const struct operation {
	const char *name;
	rc (*run)(struct vcall *c, const struct repo *r, struct buf *out);
} operations[] = {
    {"put x", put_x},
    {"put new if absent", put_new},
    {"put gone if absent", put_removed},
    {"put x if there", put_if_there},
    {"put x on dev", put_dev},
    {"delete x", delete_x},
    {"delete x if there", delete_if_there},
    {"copy y of dev", copy_y},
    {"replace x", replace_x},
    {"stat x", stat_x},
    {"list", list_main},
    {"uncommitted", uncommitted_of_main},
    {"commit main", commit_main},
    {"commit dev", commit_dev},
    {"merge dev", merge_dev},
    {"merge main into dev", merge_main},
    {"revert", revert_main},
    {"pick dev", pick_dev},
    {"hard reset", hard_reset_main},
    {"reset", reset_main},
    {"reset prefix", reset_prefix},
    {"reset object", reset_object},
    {"create branch", create_branch},
    {"create dev", create_dev},
    {"delete dev", delete_dev},
    {"complete upload", complete_upload},
    {"complete if absent", complete_if_absent},
    {"abort upload", abort_upload},
    {"create tag", create_tag},
    {"delete tag", move_tag},
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

struct answer {
	rc result;
	char text[256]; /* of it all */
};

struct scene {
	struct repo r;
	const struct operation *second;
	struct answer a, b;
	bool came;
};

static void open_upload(const struct repo *r)
{
	const struct upload in = {.path = STR("x"), .branch = MAIN, .checksum = DIGEST_KINDS};

	assert_ok(upload_create(&w.c, r, &in, &upload));
	assert_ok(world_store_part(&w, w.a, &upload, 1, BODY, &part));
	assert_ok(kv_set(versions_kv(w.v), PARTITION_PARTS, part_key(w.a, upload.id, 1),
			 part_encode(&part, w.a), NULL));
}

/* main: three files, of which, unless it is clean, one is changed and one removed, and not
 * committed. dev: one changed and committed, another one not. */
static void scene_open(struct scene *s, bool clean)
{
	static unsigned made;
	struct repo_create in = {0};
	struct tag tag;

	if (made % PER_WORLD == 0) {
		if (made)
			world_close(&w);
		world_open(&w, PLAIN);
		world_peer(&w);
	}
	world_forget(&w);
	in.id = arena_printf(w.a, "pair%u", made++);
	in.storage_namespace = arena_printf(w.a, "mem://" STR_FMT, STR_ARG(in.id));
	assert_ok(repo_create(&w.c, &in, &s->r));
	assert_ok(stage(&w.c, &s->r, MAIN, "x", 1, STAGE_ALWAYS));
	assert_ok(stage(&w.c, &s->r, MAIN, "y", 2, STAGE_ALWAYS));
	assert_ok(commit_of(&w.c, &s->r, MAIN));
	assert_ok(stage(&w.c, &s->r, MAIN, "gone", 3, STAGE_ALWAYS));
	assert_ok(commit_of(&w.c, &s->r, MAIN));
	assert_ok(tag_create(&w.c, &s->r, STR("v1"), MAIN, false, &tag));
	assert_ok(branch_create(&w.c, &s->r, DEV, MAIN));
	assert_ok(stage(&w.c, &s->r, DEV, "y", 20, STAGE_ALWAYS));
	assert_ok(commit_of(&w.c, &s->r, DEV));
	open_upload(&s->r);
	if (clean)
		return;
	assert_ok(stage(&w.c, &s->r, MAIN, "x", 10, STAGE_ALWAYS));
	assert_ok(object_delete(&w.c, &s->r, MAIN, STR("gone")));
	assert_ok(stage(&w.c, &s->r, DEV, "z", 30, STAGE_ALWAYS));
}

static void keep(char *to, size_t cap, struct str s)
{
	assert_true(s.n < cap);
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

static struct answer ask(struct scene *s, struct versions *v, const struct operation *o)
{
	struct buf out = BUF_INIT(TOLD_MAX);
	struct err err = {0};
	struct vcall c = {.v = v, .a = arena_new(), .wait = KV_BLOCK, .err = &err};
	struct answer ret = {.result = o->run(&c, &s->r, &out)};

	keep(ret.text, sizeof(ret.text),
	     arena_printf(c.a, "%s" STR_FMT, err_name(ret.result.code), STR_ARG(buf_str(&out))));
	buf_deinit(&out);
	arena_free(c.a);
	return ret;
}

static void ask_second(void *ud)
{
	struct scene *s = ud;

	s->came = true;
	s->b = ask(s, w.second, s->second);
}

static struct str all_told(struct scene *s)
{
	const struct hygiene_options o = {.versions = w.v, .tokens_ms = 1, .max = 100000};
	struct hygiene_counts counts;
	struct vcall other = {.v = w.second, .a = w.a, .wait = KV_BLOCK, .err = &w.err};
	struct str ret = told(&w.c, &s->r);

	for (int i = 0; i < 2; i++)
		assert_ok(hygiene_sweep(&o, 1900000000000 + i * 1000, &counts, &w.err));
	assert_str(told(&other, &s->r), ret);
	return ret;
}

/* What may be: of a before b, b before a, a alone, b alone, with what each answers then. */
struct outcome {
	char a[256], b[256], seen[2048];
};

enum { A_B, B_A, ONLY_A, ONLY_B, OUTCOMES };

static struct outcome in_order(const struct operation *a, const struct operation *b, int order,
			       bool clean)
{
	struct outcome ret = {0};
	struct scene s = {0};

	scene_open(&s, clean);
	if (order == A_B || order == ONLY_A)
		keep(ret.a, sizeof(ret.a), str_c(ask(&s, w.v, a).text));
	if (order != ONLY_A)
		keep(ret.b, sizeof(ret.b), str_c(ask(&s, w.second, b).text));
	if (order == B_A)
		keep(ret.a, sizeof(ret.a), str_c(ask(&s, w.v, a).text));
	keep(ret.seen, sizeof(ret.seen), all_told(&s));
	return ret;
}

static bool is(const char *want, const char *got)
{
	return strcmp(want, got) == 0;
}

static bool again(const struct answer *x)
{
	return rc_is(x->result, SlowDown);
}

/* Told that it may have counted. */
static bool unsure(const struct answer *x)
{
	return rc_is(x->result, ConditionalRequestConflict);
}

static bool allowed(const struct outcome *may, const struct answer *a, const struct answer *b,
		    const char *seen)
{
	for (int i = A_B; i <= B_A; i++)
		if ((is(may[i].a, a->text) || unsure(a)) && (is(may[i].b, b->text) || unsure(b)) &&
		    is(may[i].seen, seen))
			return true;
	if ((again(a) || unsure(a)) && is(may[ONLY_B].b, b->text) && is(may[ONLY_B].seen, seen))
		return true;
	return (again(b) || unsure(b)) && is(may[ONLY_A].a, a->text) && is(may[ONLY_A].seen, seen);
}

static void complain(const struct outcome *may, const struct scene *s, const char *seen)
{
	static const char *const names[] = {"a, b", "b, a", "a", "b"};

	print_error("a: %s\nb: %s\n%s", s->a.text, s->b.text, seen);
	for (int i = 0; i < OUTCOMES; i++)
		print_error("-- %s: %s | %s\n%s", names[i], may[i].a, may[i].b, may[i].seen);
}

/* Who is told to try again must be the exception. */
static unsigned tries, told_again;

/* False: the first has fewer calls. */
static bool between(const struct operation *a, const struct operation *b, const struct outcome *may,
		    bool clean, bool writes, unsigned nth)
{
	struct scene s = {.second = b};
	const char *seen;

	scene_open(&s, clean);
	(writes ? world_hook_writes : world_hook)(&w, nth, ask_second, &s);
	s.a = ask(&s, w.v, a);
	world_hook(&w, 0, NULL, NULL);
	if (s.came) {
		tries++;
		told_again += again(&s.a) || again(&s.b);
		seen = arena_cstr(w.a, all_told(&s));
		if (!allowed(may, &s.a, &s.b, seen)) {
			complain(may, &s, seen);
			fail_msg("%s: %s before %s %u of %s", clean ? "clean" : "dirty", b->name,
				 writes ? "write" : "read", nth, a->name);
		}
	}
	return s.came;
}

static void test_pair(const struct operation *a, const struct operation *b, bool clean)
{
	struct outcome may[OUTCOMES];

	for (int i = 0; i < OUTCOMES; i++)
		may[i] = in_order(a, b, i, clean);
	for (int writes = 0; writes < 2; writes++)
		for (unsigned nth = 1; between(a, b, may, clean, writes, nth); nth++)
			assert_in_range(nth, 1, CALLS_MAX);
}

/* Each sweep of the clean-up would tell of itself. */
static int be_quiet(void **state)
{
	const struct log_options o = {
	    .level = LOG_WARN, .outputs = (struct str[]){STR("-")}, .outputs_n = 1};

	return rc_ok(log_setup(&o, NULL)) ? 0 : -1;
}

static void test_pairs__as_if_one_after_the_other(void **state)
{
	for (unsigned i = 0; i < OPERATIONS * OPERATIONS * 2; i++)
		test_pair(&operations[i / 2 / OPERATIONS], &operations[i / 2 % OPERATIONS], i & 1);
	world_close(&w);
	print_message("%u tries, told to try again: %u\n", tries, told_again);
	assert_true(told_again * 100 < tries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pairs__as_if_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, be_quiet, NULL);
}
