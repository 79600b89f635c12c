/* What a multipart object's entry says of its parts: sizes, ETag, checksums. */
#include "base/crc_combine.h"
#include "base/encode.h"
#include "versions/internal.h"
#include "versions/upload_record.h"

enum {
	MD5_BYTES = 16,
	/* Kept of the parts: an entry must go into a DynamoDB item, 400 KB. All but 10,000 SHA512. */
	PART_CHECKSUMS_MAX = 320000,
};

/* S3's: the MD5 of the parts' MD5s, and how many they are. */
bool upload_etag(struct arena *a, const struct upload_part *parts, size_t n, struct str *ret)
{
	struct str *sums = arena_alloc(a, n * sizeof(*sums));
	uint8_t md5[DIGEST_MAX];

	for (size_t i = 0; i < n; i++)
		if (!hex_decode(a, parts[i].etag, &sums[i]) || sums[i].n != MD5_BYTES)
			return false;
	digest_of(DIGEST_MD5, arena_join(a, sums, n), md5);
	*ret = arena_printf(a, "%.*s-%zu", STR_ARG(hex_encode(a, str_make(md5, MD5_BYTES))), n);
	return true;
}

/* STR_NONE unless all parts have one. */
static struct str joined_checksums(struct arena *a, enum digest_kind k,
				   const struct upload_part *parts, size_t n)
{
	struct str *sums = arena_alloc(a, n * sizeof(*sums));

	for (size_t i = 0; i < n; i++) {
		sums[i] = parts[i].checksum[k];
		if (sums[i].n != digest_size(k))
			return STR_NONE;
	}
	return arena_join(a, sums, n);
}

struct str upload_checksum(struct arena *a, enum digest_kind k, bool full,
			   const struct upload_part *parts, size_t n)
{
	struct str joined = joined_checksums(a, k, parts, n);
	uint8_t *sum = arena_alloc(a, DIGEST_MAX);
	struct crc_sum crc;

	if (!joined.p || (full && !crc_combinable(k)))
		return STR_NONE;
	if (!full) {
		digest_of(k, joined, sum);
		return str_make(sum, digest_size(k));
	}
	crc_sum_init(&crc, k);
	for (size_t i = 0; i < n; i++)
		crc_sum_add(&crc, parts[i].checksum[k], parts[i].size);
	crc_sum_value(&crc, sum);
	return str_make(sum, digest_size(k));
}

static void add_checksums(struct vcall *c, const struct upload *u, const struct upload_part *parts,
			  size_t n, struct entry *e)
{
	struct str sum;

	if (u->checksum == DIGEST_KINDS)
		return;
	sum = upload_checksum(c->a, u->checksum, u->checksum_full, parts, n);
	if (!sum.p)
		return;
	e->checksum[u->checksum] = sum;
	e->checksum_composite = !u->checksum_full;
	if (n * digest_size(u->checksum) > PART_CHECKSUMS_MAX)
		return;
	e->part_checksum_kind = u->checksum;
	e->part_checksums = joined_checksums(c->a, u->checksum, parts, n);
}

rc upload_entry(struct vcall *c, const struct upload *u, const struct upload_part *parts, size_t n,
		struct entry *e)
{
	*e = (struct entry){
		.address = u->to.key,
		.address_type = u->to.type,
		.modified = wall_now(),
		.metadata = u->metadata,
		.metadata_n = u->metadata_n,
		.content_type = u->content_type.n ? u->content_type
						  : STR("application/octet-stream"),
		.part_sizes = arena_alloc(c->a, n * sizeof(*e->part_sizes)),
		.parts_n = n,
	};
	for (size_t i = 0; i < n; i++) {
		e->part_sizes[i] = parts[i].size;
		e->size += (int64_t)parts[i].size;
	}
	add_checksums(c, u, parts, n, e);
	if (!upload_etag(c->a, parts, n, &e->etag))
		return err_set(c->err, ERR_CORRUPT,
			       "the ETag recorded for a part of upload %.*s is no MD5", STR_ARG(u->id));
	return RC_OK;
}
