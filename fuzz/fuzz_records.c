/* What is read back from the KV and from tables: no bytes may harm, and what decodes encodes to what decodes to
 * the same. */
#include "fuzz/fuzz.h"
#include "versions/branch.h"
#include "versions/commit_record.h"
#include "versions/range_info.h"
#include "versions/record.h"
#include "versions/repo.h"
#include "versions/upload_record.h"

static void commits(struct str in, struct arena *a)
{
	struct commit c, again;
	struct str bytes;

	if (!rc_ok(commit_decode(in, a, &c, NULL)))
		return;
	bytes = commit_encode(&c, a);
	MUST(rc_ok(commit_decode(bytes, a, &again, NULL)));
	MUST(str_eq(commit_id(&c, a), commit_id(&again, a)));
}

static void branches(struct str in, struct arena *a)
{
	struct branch b, again;

	if (!rc_ok(branch_decode(in, a, &b, NULL)))
		return;
	MUST(rc_ok(branch_decode(branch_encode(&b, a), a, &again, NULL)));
	MUST(str_eq(b.commit_id, again.commit_id) && b.sealed_n == again.sealed_n);
}

static void repositories(struct str in, struct arena *a)
{
	struct repo r, again;

	if (!rc_ok(repo_decode(in, a, &r, NULL)))
		return;
	MUST(rc_ok(repo_decode(repo_encode(&r, a), a, &again, NULL)));
	MUST(str_eq(r.id, again.id) && str_eq(r.storage_namespace, again.storage_namespace));
}

static void ranges(struct str in, struct arena *a)
{
	struct record record, again;
	struct range_info info, same;

	if (!rc_ok(record_decode(STR("key"), in, &record, NULL)) ||
	    !rc_ok(range_info_decode(&record, &info, NULL)))
		return;
	MUST(rc_ok(record_decode(STR("key"), range_info_encode(&info, a), &again, NULL)));
	MUST(rc_ok(range_info_decode(&again, &same, NULL)));
	MUST(str_eq(info.id, same.id) && str_eq(info.min, same.min) && info.count == same.count);
}

static void uploads(struct str in, struct arena *a)
{
	struct upload_record u;
	struct upload_part p;

	IGNORE_RC(upload_decode(in, a, &u, NULL));
	IGNORE_RC(part_decode(in, a, &p, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new();
	struct str in = str_make(data, n);

	commits(in, a);
	branches(in, a);
	repositories(in, a);
	ranges(in, a);
	uploads(in, a);
	arena_free(a);
	return 0;
}
