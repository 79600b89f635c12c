#include "versions/upload_record.h"

#include "base/encode.h"
#include "versions/internal.h"
#include "versions/pb.h"

enum {
	PREFIX_CHARS = 8,
	RANDOM_BYTES = 8,
	UPLOAD_ID_CHARS = PREFIX_CHARS + XID_CHARS + 2 * RANDOM_BYTES,
};

struct str upload_id_prefix(struct arena *a, const struct repo *r)
{
	uint8_t sum[DIGEST_MAX];

	digest_of(DIGEST_SHA256, r->partition, sum);
	return hex_encode(a, str_make(sum, PREFIX_CHARS / 2));
}

struct str upload_new_id(struct arena *a, const struct repo *r)
{
	uint8_t random[RANDOM_BYTES];
	char xid[XID_CHARS + 1];

	rand_bytes(random, sizeof(random));
	xid_now(xid);
	return arena_join(a,
			  (struct str[]){upload_id_prefix(a, r), str_c(xid),
					 hex_encode(a, str_make(random, sizeof(random)))},
			  3);
}

bool upload_id_ok(struct arena *a, const struct repo *r, struct str id)
{
	if (id.n != UPLOAD_ID_CHARS || !str_starts(id, upload_id_prefix(a, r)))
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'v')))
			return false;
	return true;
}

struct str upload_encode(const struct upload_record *u, struct arena *a)
{
	Pb__UploadData m = PB__UPLOAD_DATA__INIT;
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.seconds = u->u.created.s;
	t.nanos = u->u.created.ns;
	m.upload_id = pb_bytes(u->u.id);
	m.path = pb_bytes(u->u.path);
	m.creation_date = &t;
	m.physical_address = pb_bytes(u->u.to.key);
	m.n_metadata = u->u.metadata_n;
	m.metadata = pb_pairs(u->u.metadata, u->u.metadata_n, a);
	m.content_type = pb_bytes(u->u.content_type);
	m.repository_partition = pb_bytes(u->partition);
	m.branch = pb_bytes(u->u.branch);
	m.checksum = u->u.checksum < DIGEST_KINDS ? checksum_number(u->u.checksum) : 0;
	m.checksum_full = u->u.checksum_full;
	m.checksum_implied = u->u.checksum_implied;
	m.store_upload_id = pb_bytes(u->u.store_upload_id);
	m.completing = pb_bytes(u->completing);
	return pb_pack(&m.base, a);
}

rc upload_decode(struct str bytes, struct arena *a, struct upload_record *ret, struct err *reterr)
{
	Pb__UploadData *m = pb_unpack(&pb__upload_data__descriptor, bytes, a);

	if (!m)
		return err_set(reterr, ERR_CORRUPT, "an upload's record can't be decoded");
	*ret = (struct upload_record){
		.u = {
			.id = pb_str(m->upload_id),
			.path = pb_str(m->path),
			.branch = pb_str(m->branch),
			.store_upload_id = pb_str(m->store_upload_id),
			.to = {.key = pb_str(m->physical_address), .type = ADDRESS_RELATIVE},
			.created = pb_time(m->creation_date),
			.metadata = pb_pairs_of(m->metadata, m->n_metadata, a),
			.metadata_n = m->n_metadata,
			.content_type = pb_str(m->content_type),
			.checksum = DIGEST_KINDS,
			.checksum_full = m->checksum_full,
			.checksum_implied = m->checksum_implied,
		},
		.partition = pb_str(m->repository_partition),
		.completing = pb_str(m->completing),
		.raw = bytes,
	};
	ret->u.metadata_n = meta_sort(ret->u.metadata, ret->u.metadata_n);
	if (m->checksum && !checksum_kind(m->checksum, &ret->u.checksum))
		ret->u.checksum = DIGEST_KINDS;
	return RC_OK;
}

struct str part_encode(const struct upload_part *p, struct arena *a)
{
	Pb__PartData m = PB__PART_DATA__INIT;
	Pb__Timestamp t = PB__TIMESTAMP__INIT;

	t.seconds = p->modified.s;
	t.nanos = p->modified.ns;
	m.number = p->number;
	m.size = p->size;
	m.etag = pb_bytes(p->etag);
	m.checksums = pb_checksums(p->checksum, a, &m.n_checksums);
	m.modified = &t;
	m.store_etag = pb_bytes(p->store_etag);
	return pb_pack(&m.base, a);
}

rc part_decode(struct str bytes, struct arena *a, struct upload_part *ret, struct err *reterr)
{
	Pb__PartData *m = pb_unpack(&pb__part_data__descriptor, bytes, a);

	if (!m)
		return err_set(reterr, ERR_CORRUPT, "a part's record can't be decoded");
	*ret = (struct upload_part){
		.number = m->number,
		.size = m->size,
		.etag = pb_str(m->etag),
		.modified = pb_time(m->modified),
		.store_etag = pb_str(m->store_etag),
	};
	pb_checksums_of(m->checksums, m->n_checksums, ret->checksum);
	return RC_OK;
}

struct str part_key(struct arena *a, struct str upload_id, unsigned number)
{
	return arena_printf(a, "%.*s/%05u", STR_ARG(upload_id), number);
}

rc upload_read(struct vcall *c, const struct repo *r, struct str branch, struct str path,
	       struct str id, struct upload_record *ret)
{
	struct str raw;
	rc res;

	if (!upload_id_ok(c->a, r, id))
		return err_default(c->err, ERR_NoSuchUpload);
	res = kv_get(c->v->kv, c->wait, PARTITION_MULTIPARTS, id, c->a, &raw, c->err);
	if (rc_is(res, NOT_FOUND))
		return err_default(c->err, ERR_NoSuchUpload);
	TRY(res);
	TRY(upload_decode(raw, c->a, ret, c->err));
	if (!str_eq(ret->partition, r->partition) || !str_eq(ret->u.branch, branch) ||
	    !str_eq(ret->u.path, path))
		return err_default(c->err, ERR_NoSuchUpload);
	ret->u.to.store_id = r->storage_id;
	ret->u.to.space = r->storage_namespace;
	return RC_OK;
}
