#include "versions/sstable_id.h"

#include "base/digest.h"
#include "base/encode.h"
#include "versions/ident.h"

/* Gathered up to this before the digest gets it: a call for each field would cost more than the hashing. */
enum { GATHER = 16 << 10, DECIMAL_MAX = 20 };

struct sst_id {
	struct digest_set *sha;
	struct arena *a;
	size_t n;
	char gathered[GATHER];
};

struct sst_id *sst_id_new(struct arena *a)
{
	struct sst_id *id = arena_alloc(a, sizeof(*id));

	id->sha = digest_set_new(a, 1u << DIGEST_SHA256);
	id->a = a;
	id->n = 0;
	return id;
}

static void flush(struct sst_id *id)
{
	digest_set_update(id->sha, id->gathered, id->n);
	id->n = 0;
}

static void add(struct sst_id *id, struct str s)
{
	if (s.n > GATHER - id->n)
		flush(id);
	if (s.n > GATHER) {
		digest_set_update(id->sha, s.p, s.n);
		return;
	}
	if (s.n)
		memcpy(id->gathered + id->n, s.p, s.n);
	id->n += s.n;
}

static void add_counted(struct sst_id *id, struct str s)
{
	char decimal[DECIMAL_MAX], *at = decimal + DECIMAL_MAX;
	size_t n = s.n;

	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	add(id, str_make(at, (size_t)(decimal + DECIMAL_MAX - at)));
	add(id, s);
	add(id, STR("|"));
}

void sst_id_record(struct sst_id *id, struct str key, struct str value)
{
	add_counted(id, key);
	add_counted(id, value);
}

void sst_id_finish(struct sst_id *id, const struct meta *props, size_t n,
		   char ret[SSTABLE_ID_LEN + 1])
{
	struct buf map = BUF_INIT(8 * (size_t)SSTABLE_PROPERTIES_MAX);
	struct str hex;

	ident_map(&map, props, n);
	add(id, buf_str(&map));
	buf_deinit(&map);
	flush(id);
	hex = hex_encode(id->a, digest_set_value(id->sha, DIGEST_SHA256));
	memcpy(ret, hex.p, SSTABLE_ID_LEN);
	ret[SSTABLE_ID_LEN] = '\0';
}

bool sst_id_derived(struct str name)
{
	static const char *const derived[] = {"count", "estimated_size_bytes", "max_key", "min_key"};

	for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]); i++)
		if (str_eq(name, str_c(derived[i])))
			return true;
	return false;
}

static struct meta *hashed_properties(const struct sstable *t, struct arena *a, size_t *ret_n)
{
	size_t n, kept = 0;
	const struct meta *all = sstable_user_properties(t, &n);
	struct meta *m = arena_alloc(a, n * sizeof(*m));

	for (size_t i = 0; i < n; i++)
		if (!sst_id_derived(all[i].key))
			m[kept++] = all[i];
	*ret_n = meta_sort(m, kept);
	return m;
}

static rc hash_records(struct sstable *t, struct sst_id *id, uint64_t *ret_count, struct err *reterr)
{
	CLEANUP(sstable_iter_closep) struct sstable_iter *it = sstable_iter_new(t, SSTABLE_PASSING);
	struct sstable_record r;
	bool end;

	for (*ret_count = 0;; ++*ret_count) {
		TRY(sstable_iter_next(it, &r, &end, reterr));
		if (end)
			return RC_OK;
		sst_id_record(id, r.key, r.value);
	}
}

rc sstable_identity(struct sstable *t, char ret[SSTABLE_ID_LEN + 1], uint64_t *ret_count,
		    struct err *reterr)
{
	struct arena *a = arena_new();
	struct sst_id *id = sst_id_new(a);
	uint64_t count;
	size_t n;
	rc done = hash_records(t, id, &count, reterr);

	if (rc_ok(done)) {
		const struct meta *props = hashed_properties(t, a, &n);

		sst_id_finish(id, props, n, ret);
		if (ret_count)
			*ret_count = count;
	}
	arena_free(a);
	return done;
}
