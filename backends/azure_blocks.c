/* Parts. A part is an uncommitted block of the target; Put Block List joins what was asked for, and
 * drops the rest.
 *
 * A block's id is the upload's id, the part's number and a random tag; the tag is the part's etag.
 * So a part that is put twice, even at once, has two blocks, two uploads to one name don't touch
 * each other's, and the list of committed blocks says which upload made an object: that is how a
 * complete that is repeated after a crash knows its own work. Ids are all of one length, as Azure
 * requires.
 *
 * Azure knows no uploads. One exists while it has a *marker*: a small blob of that id below
 * _sluice/uploads in the namespace (at the container's root where the target is a full address),
 * which also keeps what complete has to know: the content type, the tier, whether the target must
 * be absent. It isn't beside the data, which garbage collection lists and judges, nor below
 * _lakefs, which is lakeFS's; and listings of the namespace don't show it. Markers cost a small
 * request each: one when a part is opened and one when its last byte is sent.
 *
 * complete: blocks joined -> marker removed. abort: marker removed. Blocks that nobody joined are
 * dropped by Azure after a week. A process that dies between the marker and the upload's record
 * leaves the marker: a blob of a hundred bytes.
 */
#include <stdlib.h>

#include "backends/azure_priv.h"
#include "base/encode.h"
#include "base/rand.h"

enum {
	UPLOAD_BYTES = 16,
	TAG_BYTES = 9,
	ID_BYTES = UPLOAD_BYTES + 2 + TAG_BYTES, /* 27: base64 without padding */
	LIST_MAX = 8 * 1024 * 1024,
};

static bool lower_hex(struct str s, size_t bytes)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.n == 2 * bytes;
}

static struct str random_hex(struct arena *a, size_t n)
{
	char bytes[UPLOAD_BYTES];

	rand_bytes(bytes, n);
	return hex_encode(a, str_make(bytes, n));
}

/* Both are lower_hex of the right length. */
static struct str block_id(struct arena *a, struct str upload_id, unsigned number, struct str tag)
{
	const char n[2] = {(char)(number >> 8), (char)number};
	struct str up = STR_NONE, t = STR_NONE;

	if (!hex_decode(a, upload_id, &up) || !hex_decode(a, tag, &t))
		abort();
	return base64_encode(a, arena_join(a, (struct str[]){up, str_make(n, 2), t}, 3));
}

/* The marker. */

static rc no_upload(struct str id, struct err *reterr)
{
	return err_set(reterr, ERR_NOT_FOUND, "the store has no upload \"" STR_FMT "\"",
		       STR_ARG(str_head(id, 100)));
}

static rc marker_of(struct azure *s, struct arena *a, const struct object_ptr *to, struct str id,
		    struct azure_place *ret, struct err *reterr)
{
	TRY(azure_object(s, a, to, ret, reterr));
	if (to->type == ADDRESS_FULL)
		ret->blob = STR("");
	else
		TRY(azure_space(s, a, to->space, ret, reterr));
	ret->blob = arena_join(a,
			       (struct str[]){ret->blob, ret->blob.n ? STR("/") : STR(""),
					      STR(AZURE_OWN "uploads/"), id},
			       4);
	return RC_OK;
}

static rc marker_head(struct azure *s, struct arena *a, const struct object_ptr *to, struct str id,
		      struct http_answer *ret, struct err *reterr)
{
	struct azure_place at;
	struct remote_call c;
	rc r;

	TRY(azure_object(s, a, to, &at, reterr));
	if (!lower_hex(id, UPLOAD_BYTES))
		return no_upload(id, reterr);
	TRY(marker_of(s, a, to, id, &at, reterr));
	azure_call(s, &c, a, "HEAD", &at);
	r = remote_ask(&s->r, &c, NULL, ret, reterr);
	return rc_is(r, NOT_FOUND) ? no_upload(id, reterr) : r;
}

rc azure_mpu_create(struct backend *b, const struct object_ptr *to,
		    const struct backend_put_options *o, struct arena *a, struct str *ret_upload_id,
		    struct err *reterr)
{
	static const struct backend_put_options none;
	struct azure *s = azure_of(b);
	struct azure_place at, marker;
	struct http_answer w;
	struct remote_call c;
	struct str id = random_hex(a, UPLOAD_BYTES);

	o = o ? o : &none;
	TRY(azure_object(s, a, to, &at, reterr));
	TRY(marker_of(s, a, to, id, &marker, reterr));
	azure_call(s, &c, a, "PUT", &marker);
	c.bytes = at.blob; /* for people who wonder what it is */
	remote_header(&c, "x-ms-blob-type", STR("BlockBlob"));
	azure_put_headers(&c, o->content_type, STR_NONE);
	if (o->storage_class.n)
		remote_header(&c, "x-ms-meta-class", uri_encode(a, o->storage_class, false));
	if (o->if_absent)
		remote_header(&c, "x-ms-meta-absent", STR("1"));
	TRY(remote_ask(&s->r, &c, NULL, &w, reterr));
	*ret_upload_id = id;
	return RC_OK;
}

rc azure_mpu_abort(struct backend *b, const struct object_ptr *to, struct str upload_id,
		   struct err *reterr)
{
	struct azure *s = azure_of(b);
	struct arena *a = arena_new();
	struct azure_place marker;
	rc r = RC_OK;

	if (lower_hex(upload_id, UPLOAD_BYTES)) {
		r = marker_of(s, a, to, upload_id, &marker, reterr);
		if (rc_ok(r))
			r = azure_remove_place(s, &marker, reterr);
	}
	arena_free(a);
	return r;
}

/* Parts. */

rc azure_put_part(struct remote *r, struct remote_call *c, const struct object_ptr *to,
		  struct str upload_id, unsigned number, struct err *reterr)
{
	struct azure *s = CONTAINER(r, struct azure, r);
	struct azure_place at;
	struct azure_call *mine;
	struct http_answer w;

	TRY(marker_head(s, c->a, to, upload_id, &w, reterr));
	TRY(azure_object(s, c->a, to, &at, reterr));
	mine = azure_address(s, c, &at, true);
	mine->part_etag = random_hex(c->a, TAG_BYTES);
	remote_query(c, "blockid", block_id(c->a, upload_id, number, mine->part_etag));
	remote_query(c, "comp", STR("block"));
	return RC_OK;
}

/* What the target has: blocks by id. */

struct block {
	struct str id;
	uint64_t size;
};

struct blocks {
	struct block *committed, *loose;
	size_t committed_n, loose_n;
};

static int by_id(const void *a, const void *b)
{
	return str_cmp(((const struct block *)a)->id, ((const struct block *)b)->id);
}

static struct block *take(struct arena *a, const struct xml_node *list, size_t *ret_n)
{
	struct block *v;
	size_t n = 0;

	for (const struct xml_node *x = list ? list->first : NULL; x; x = x->next)
		n++;
	v = arena_zalloc(a, (n + 1) * sizeof(*v));
	*ret_n = n;
	n = 0;
	for (const struct xml_node *x = list ? list->first : NULL; x; x = x->next, n++) {
		v[n].id = xml_child_text(x, "Name");
		if (!str_to_u64(xml_child_text(x, "Size"), &v[n].size))
			v[n].size = UINT64_MAX;
	}
	return v;
}

static rc ask_blocks(struct azure *s, struct arena *a, const struct azure_place *at,
		     struct blocks *ret, struct err *reterr)
{
	struct xml_node *root;
	struct http_answer w;
	struct remote_call c;
	rc r;

	*ret = (struct blocks){0};
	azure_call(s, &c, a, "GET", at);
	remote_query(&c, "blocklisttype", STR("all"));
	remote_query(&c, "comp", STR("blocklist"));
	r = remote_ask(&s->r, &c, NULL, &w, reterr);
	if (rc_is(r, NOT_FOUND))
		return RC_OK;
	TRY(r);
	TRY(azure_document(&c, &w, &root, reterr));
	ret->committed = take(a, xml_child(root, "CommittedBlocks"), &ret->committed_n);
	ret->loose = take(a, xml_child(root, "UncommittedBlocks"), &ret->loose_n);
	qsort(ret->loose, ret->loose_n, sizeof(*ret->loose), by_id);
	return RC_OK;
}

/* The parts, as blocks. */

static rc name_blocks(struct arena *a, struct str upload_id, const struct backend_part *parts,
		      size_t n, struct block **ret, struct err *reterr)
{
	struct block *v = arena_alloc(a, (n + 1) * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		if (parts[i].number < 1 || parts[i].number > 10000 ||
		    !lower_hex(parts[i].etag, TAG_BYTES))
			return err_set(reterr, ERR_InvalidPart,
				       "part %u: not one that the store answered", parts[i].number);
		v[i] = (struct block){block_id(a, upload_id, parts[i].number, parts[i].etag),
				      parts[i].size};
	}
	*ret = v;
	return RC_OK;
}

static bool joined(const struct blocks *has, const struct block *want, size_t n)
{
	if (has->committed_n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!str_eq(has->committed[i].id, want[i].id))
			return false;
	return n > 0;
}

static rc check_parts(const struct blocks *has, const struct block *want,
		      const struct backend_part *parts, size_t n, struct err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		const struct block *b =
		    bsearch(&want[i], has->loose, has->loose_n, sizeof(*has->loose), by_id);

		if (!b)
			return err_set(reterr, ERR_InvalidPart,
				       "part %u: the upload has no such part", parts[i].number);
		if (b->size != want[i].size)
			return err_set(reterr, ERR_InvalidPart, "part %u: its size is another one",
				       parts[i].number);
	}
	return n ? RC_OK : err_set(reterr, ERR_InvalidPart, "an object needs one part at least");
}

/* "Latest", so that asking again for what has been done does no harm. */
static struct str list_xml(struct arena *a, const struct block *v, size_t n)
{
	struct buf b = BUF_INIT(LIST_MAX);
	struct str xml;

	xw_decl(&b);
	xw_open(&b, "BlockList");
	for (size_t i = 0; i < n; i++)
		xw_elem(&b, "Latest", v[i].id);
	xw_close(&b, "BlockList");
	xml = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return xml;
}

static rc put_list(struct azure *s, struct arena *a, const struct azure_place *at,
		   const struct http_answer *marker, const struct block *v, size_t n,
		   struct err *reterr)
{
	struct str class = http_answer_header(marker, "x-ms-meta-class");
	struct http_answer w;
	struct remote_call c;

	azure_call(s, &c, a, "PUT", at);
	c.bytes = list_xml(a, v, n);
	remote_query(&c, "comp", STR("blocklist"));
	azure_put_headers(&c, http_answer_header(marker, "content-type"), class);
	if (http_answer_header(marker, "x-ms-meta-absent").p)
		remote_header(&c, "if-none-match", STR("*"));
	return remote_ask(&s->r, &c, NULL, &w, reterr);
}

/* RC_OK: the target is what was asked for. */
static rc join(struct azure *s, struct arena *a, const struct object_ptr *to, struct str upload_id,
	       const struct azure_place *at, const struct backend_part *parts, size_t n,
	       struct err *reterr)
{
	struct http_answer marker;
	struct blocks has = {0};
	struct block *want = NULL;
	rc named = name_blocks(a, upload_id, parts, n, &want, reterr), r;

	if (rc_ok(named)) {
		TRY(ask_blocks(s, a, at, &has, reterr));
		if (joined(&has, want, n))
			return RC_OK;
	}
	TRY(marker_head(s, a, to, upload_id, &marker, reterr));
	TRY(named);
	TRY(check_parts(&has, want, parts, n, reterr));
	r = put_list(s, a, at, &marker, want, n, reterr);
	/* A second attempt may have found what the first had done. */
	if ((rc_is(r, EXISTS) || rc_is(r, InvalidPart)) &&
	    rc_ok(ask_blocks(s, a, at, &has, NULL)) && joined(&has, want, n))
		return RC_OK;
	return r;
}

rc azure_mpu_complete(struct backend *b, const struct object_ptr *to, struct str upload_id,
		      const struct backend_part *parts, size_t n, struct arena *a,
		      struct backend_stat *ret, struct err *reterr)
{
	struct azure *s = azure_of(b);
	struct azure_place at;

	TRY(azure_object(s, a, to, &at, reterr));
	if (!lower_hex(upload_id, UPLOAD_BYTES))
		return no_upload(upload_id, reterr);
	TRY(join(s, a, to, upload_id, &at, parts, n, reterr));
	TRY(azure_head_place(s, a, &at, ret, reterr));
	/* One that stays is garbage; the upload's blocks are gone. */
	IGNORE_RC(azure_mpu_abort(b, to, upload_id, NULL));
	return RC_OK;
}
