#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/rand.h"
#include "kv/dump_priv.h"

enum { FLUSH_BYTES = 256 << 10, TICK = 256 };

struct out {
	const struct kv_dump *d;
	int fd;
	struct buf line, pending;
	struct arena *a; /* of the digest */
	struct digest_set *sha;
	struct kv_tally *tally;
	uint64_t records, bytes;
};

void dump_crc(const struct kv_record *r, char out[9])
{
	const size_t n[] = {r->partition.n, r->key.n};
	struct arena *a = arena_new();
	uint8_t be[2][4];
	struct digest_set *s = digest_set_new(a, 1u << DIGEST_CRC32C);
	const uint8_t *crc;

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 4; k++)
			be[i][k] = (uint8_t)(n[i] >> (24 - 8 * k));
	digest_set_update(s, be[0], 4);
	digest_set_update(s, r->partition.p, r->partition.n);
	digest_set_update(s, be[1], 4);
	digest_set_update(s, r->key.p, r->key.n);
	digest_set_update(s, r->value.p, r->value.n);
	crc = (const uint8_t *)digest_set_value(s, DIGEST_CRC32C).p;
	snprintf(out, 9, "%02x%02x%02x%02x", crc[0], crc[1], crc[2], crc[3]);
	arena_free(a);
}

static rc write_out(struct out *o, struct err *reterr)
{
	struct str left = buf_str(&o->pending);

	while (left.n) {
		ssize_t n = write(o->fd, left.p, left.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(reterr, ERR_IO, errno, "writing the dump");
		left = str_skip(left, (size_t)n);
	}
	buf_reset(&o->pending);
	return RC_OK;
}

/* The line that was made, and its end. */
static rc put_line(struct out *o, struct err *reterr)
{
	buf_add_c(&o->line, '\n');
	if (o->line.overflow)
		return err_set(reterr, ERR_CORRUPT, "a record is too large for a dump");
	digest_set_update(o->sha, o->line.p, o->line.n);
	buf_add(&o->pending, buf_str(&o->line));
	buf_reset(&o->line);
	return o->pending.n >= FLUSH_BYTES ? write_out(o, reterr) : RC_OK;
}

static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return str_is_utf8(s);
}

static void put_bytes(struct json_out *w, const char *text, const char *base64, struct str s, struct arena *a)
{
	if (is_text(s))
		jw_str(w, text, s);
	else
		jw_str(w, base64, base64_encode(a, s));
}

static rc put_head(struct out *o, struct err *reterr)
{
	struct json_out w = {.to = &o->line};
	char now[25];

	time_iso_ms(wall_now(), now);
	jw_object(&w, NULL);
	jw_int(&w, "sluice_kv_dump", DUMP_FORMAT);
	jw_str(&w, "id", uuid4(o->a));
	jw_str(&w, "created", str_c(now));
	jw_str(&w, "by", o->d->by);
	jw_end_object(&w);
	return put_line(o, reterr);
}

static rc put_partition(struct out *o, struct str name, struct arena *a, struct err *reterr)
{
	struct json_out w = {.to = &o->line};

	jw_object(&w, NULL);
	put_bytes(&w, "partition", "partition64", name, a);
	jw_end_object(&w);
	return put_line(o, reterr);
}

static rc put_partition_end(struct out *o, const struct kv_tally_partition *p, struct err *reterr)
{
	struct json_out w = {.to = &o->line};
	char hex[KV_DIGEST_HEX];

	kv_digest_hex(p->digest, hex);
	jw_object(&w, NULL);
	jw_int(&w, "records", (int64_t)p->records);
	jw_str(&w, "sha256", str_c(hex));
	jw_end_object(&w);
	return put_line(o, reterr);
}

static rc put_record(struct out *o, const struct kv_record *r, struct arena *a, struct err *reterr)
{
	struct json_out w = {.to = &o->line};
	struct kv_tally_partition before;
	char crc[9];

	if (kv_tally_add(o->tally, r, &before)) {
		if (before.name.p)
			TRY(put_partition_end(o, &before, reterr));
		TRY(put_partition(o, r->partition, a, reterr));
	}
	dump_crc(r, crc);
	jw_object(&w, NULL);
	put_bytes(&w, "key", "key64", r->key, a);
	jw_str(&w, "value", base64_encode(a, r->value));
	jw_str(&w, "crc32c", str_c(crc));
	jw_end_object(&w);
	return put_line(o, reterr);
}

static rc put_end(struct out *o, struct kv_totals *ret, struct err *reterr)
{
	struct json_out w = {.to = &o->line};
	struct kv_tally_partition last;
	char hex[KV_DIGEST_HEX], file[KV_DIGEST_HEX];

	if (kv_tally_end(o->tally, &last, ret))
		TRY(put_partition_end(o, &last, reterr));
	kv_digest_hex(ret->digest, hex);
	kv_digest_hex((const uint8_t *)digest_set_value(o->sha, DIGEST_SHA256).p, file);
	jw_object(&w, NULL);
	jw_int(&w, "partitions", (int64_t)ret->partitions);
	jw_int(&w, "records", (int64_t)ret->records);
	jw_str(&w, "digest", str_c(hex));
	jw_str(&w, "file_sha256", str_c(file));
	jw_end_object(&w);
	buf_add(&o->pending, buf_str(&o->line));
	buf_add_c(&o->pending, '\n');
	return write_out(o, reterr);
}

static rc tick(struct out *o, const struct kv_record *r, struct err *reterr)
{
	struct kv_progress p = {.step = KV_STEP_COPY};

	o->bytes += r->key.n + r->value.n;
	p.bytes = o->bytes;
	p.done = ++o->records;
	return o->d->progress && o->records % TICK == 0 ? o->d->progress(o->d->ud, &p, reterr) : RC_OK;
}

static rc put_all(struct out *o, struct arena *a, struct err *reterr)
{
	struct kv_stream *from = o->d->from;
	struct arena_mark mark = arena_mark(a);
	struct kv_record r;
	bool end;

	TRY(from->ops->begin(from, STR_NONE, STR_NONE, reterr));
	for (;;) {
		TRY(from->ops->next(from, &r, &end, reterr));
		if (end)
			return RC_OK;
		if (o->d->known)
			TRY(o->d->known(o->d->ud, &r, reterr));
		TRY(put_record(o, &r, a, reterr));
		arena_rewind(a, mark);
		TRY(tick(o, &r, reterr));
	}
}

static rc dump(struct out *o, struct kv_totals *ret, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = put_head(o, reterr);

	if (rc_ok(r))
		r = put_all(o, a, reterr);
	arena_free(a);
	TRY(r);
	return put_end(o, ret, reterr);
}

rc kv_dump_write(const struct kv_dump *d, int fd, struct kv_totals *ret, struct err *reterr)
{
	struct out o = {
		.d = d,
		.fd = fd,
		.line = BUF_INIT(DUMP_LINE_MAX),
		.pending = BUF_INIT(DUMP_LINE_MAX + FLUSH_BYTES),
		.a = arena_new(),
		.tally = kv_tally_new(),
	};
	rc r;

	o.sha = digest_set_new(o.a, 1u << DIGEST_SHA256);
	r = dump(&o, ret, reterr);
	kv_tally_free(o.tally);
	arena_free(o.a);
	buf_deinit(&o.line);
	buf_deinit(&o.pending);
	return r;
}

/* The file. */

static rc sync_folder(const char *path, struct arena *a, struct err *reterr)
{
	size_t n = strlen(path);
	int fd;
	rc r = RC_OK;

	while (n && path[n - 1] != '/')
		n--;
	fd = open(n ? arena_cstr(a, str_make(path, n)) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		r = err_errno(reterr, ERR_IO, errno, "syncing the folder of %s", path);
	if (fd >= 0)
		close(fd);
	return r;
}

static rc write_and_name(const struct kv_dump *d, int fd, const char *temporary, const char *path,
			 struct arena *a, struct kv_totals *ret, struct err *reterr)
{
	TRY(kv_dump_write(d, fd, ret, reterr));
	if (fsync(fd) != 0)
		return err_errno(reterr, ERR_IO, errno, "syncing %s", temporary);
	if (d->last_check)
		TRY(d->last_check(d->ud, reterr));
	if (rename(temporary, path) != 0)
		return err_errno(reterr, ERR_IO, errno, "naming %s", path);
	return sync_folder(path, a, reterr);
}

static rc dump_file(const struct kv_dump *d, const char *path, struct arena *a, struct kv_totals *ret,
		    struct err *reterr)
{
	char id[XID_CHARS + 1];
	const char *temporary;
	int fd;
	rc r;

	xid_now(id);
	temporary = arena_printf(a, "%s.%s.tmp", path, id).p;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(reterr, ERR_CONFIG, errno, "making %s", temporary);
	r = write_and_name(d, fd, temporary, path, a, ret, reterr);
	close(fd);
	if (!rc_ok(r))
		unlink(temporary);
	return r;
}

rc kv_dump_file(const struct kv_dump *d, const char *path, struct kv_totals *ret, struct err *reterr)
{
	struct arena *a = arena_new();
	rc r = dump_file(d, path, a, ret, reterr);

	arena_free(a);
	return r;
}
