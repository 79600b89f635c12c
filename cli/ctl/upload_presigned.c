/* An upload past the server: an address of the store's is asked for, the bytes are put there, and the address is linked
 * to the path; or a multipart upload is begun, its parts are put, and it is completed. What isn't linked is nobody's. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/encode.h"
#include "cli/ctl/upload.h"

#define PARTS_FROM ((int64_t)5 << 20) /* lakectl's */
#define PART_BYTES ((int64_t)8 << 20)

enum { DOC_MAX = 2 << 20, PARTS_MAX = 10000, MD5_HEX = 32, AT_ONCE = 5 /* parts, as lakectl */ };

struct sending {
	struct ctl *c;
	struct arena *a;
	const struct presigned *how;
	struct source *s;
	const struct uri *u;
	struct str key, content_type;
	int64_t length;
	struct fault *fault;
};

static bool ask(struct sending *g, const char *method, struct str path, struct str doc, struct answer *ret)
{
	const struct call q = {.method = method, .path = path, .doc = doc};

	return client_ask(g->c->client, g->a, &q, ret, g->fault);
}

static struct str staging(struct sending *g, const char *what)
{
	struct str path = arena_printf(g->a, STR_FMT "/staging/%s",
				       STR_ARG(PATH(g->a, "/repositories/{}/branches/{}", g->u->repo, g->u->ref)), what);

	return path_query(g->a, path, "path", g->key);
}

static bool own(struct sending *g, struct str text)
{
	*g->fault = (struct fault){FAULT_OWN, 0, text};
	return false;
}

/* Stores that say what MD5 they have had must have had ours. */
static bool is_what_was_sent(struct sending *g, struct str etag)
{
	struct str md5 = hex_encode(g->a, digest_set_value(g->s->digests, DIGEST_MD5)), raw;

	if (!etag.n || etag.n != MD5_HEX || !hex_decode(g->a, etag, &raw) || str_eq_nocase(etag, md5))
		return true;
	return own(g, arena_printf(g->a,
				   "the store has something else: its checksum is " STR_FMT ", of what was sent " STR_FMT
				   " (--pre-sign=false, should its checksums be no MD5)",
				   STR_ARG(etag), STR_ARG(md5)));
}

/* url: asked for before each attempt, since it ends, too. */
struct target {
	bool (*url)(struct sending *g, struct target *t, struct str *ret);
	struct str address, upload_id;
	unsigned part;
	int64_t offset, length;
	struct str etag; /* out */
};

static bool put(struct sending *g, struct target *t)
{
	struct upload up = {
		.content_type = g->content_type, .length = t->length, .more = source_more, .ud = g->s};
	unsigned attempt = 0;
	bool again;

	for (;;) {
		if (!t->url(g, t, &up.path))
			return false;
		source_rewind(g->s, t->offset, t->length);
		if (client_put(g->c->client, g->a, &up, g->how->azure, &t->etag, &again, g->fault))
			return is_what_was_sent(g, t->etag);
		progress_bytes(g->s->progress, -g->s->sent);
		if (!again || !client_wait(g->c->client, &attempt))
			return false;
	}
}

/* Whole. */

static bool whole_url(struct sending *g, struct target *t, struct str *ret)
{
	struct answer w;

	if (!ask(g, "GET", path_query(g->a, staging(g, "backing"), "presign", STR("true")), STR_NONE, &w))
		return false;
	t->address = member_str(w.doc, "physical_address");
	*ret = member_str(w.doc, "presigned_url");
	return ret->n ? true : own(g, STR("the server gave no presigned URL"));
}

static bool link_whole(struct sending *g, const struct target *t, struct answer *ret)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	bool good;

	jw_object(&w, NULL);
	jw_object(&w, "staging");
	jw_str(&w, "physical_address", t->address);
	jw_end_object(&w);
	jw_str(&w, "checksum", t->etag);
	jw_int(&w, "size_bytes", t->length);
	jw_str(&w, "content_type", g->content_type);
	jw_end_object(&w);
	good = ask(g, "PUT", staging(g, "backing"), buf_str(&doc), ret);
	buf_deinit(&doc);
	return good;
}

static bool send_whole(struct sending *g, struct answer *ret)
{
	struct target t = {.url = whole_url, .length = g->length};

	return put(g, &t) && link_whole(g, &t, ret);
}

/* In parts. */

static struct str address_doc(struct sending *g, struct str address)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	struct str text;

	jw_object(&w, NULL);
	jw_str(&w, "physical_address", address);
	jw_end_object(&w);
	text = arena_dup(g->a, buf_str(&doc));
	buf_deinit(&doc);
	return text;
}

static struct str upload_path(struct sending *g, const struct target *t, struct str more)
{
	const struct str pieces[] = {STR("pmpu/"), uri_encode(g->a, t->upload_id, false), more};

	return staging(g, arena_cstr(g->a, arena_join(g->a, pieces, 3)));
}

static bool part_url(struct sending *g, struct target *t, struct str *ret)
{
	struct answer w;

	if (!ask(g, "PUT", upload_path(g, t, arena_printf(g->a, "/parts/%u", t->part)), address_doc(g, t->address),
		 &w))
		return false;
	*ret = member_str(w.doc, "presigned_url");
	return ret->n ? true : own(g, STR("the server gave no presigned URL"));
}

static bool begin(struct sending *g, struct target *t)
{
	struct answer w;

	if (!ask(g, "POST", staging(g, "pmpu"), STR_NONE, &w))
		return false;
	t->address = member_str(w.doc, "physical_address");
	t->upload_id = member_str(w.doc, "upload_id");
	return true;
}

/* Several parts at once, each with memory of its own; the first failure ends it. */
struct parts {
	struct sending *g;
	const struct target *upload;
	struct part {
		unsigned number;
		int64_t offset, length;
	} *list;
	struct str *etags; /* in g->a, under the lock */
	pthread_mutex_t lock;
	atomic_bool failed;
};

static void part_failed(struct parts *p, const struct fault *f)
{
	pthread_mutex_lock(&p->lock);
	if (!atomic_exchange(&p->failed, true))
		*p->g->fault = (struct fault){f->kind, f->status, arena_dup(p->g->a, f->text)};
	pthread_mutex_unlock(&p->lock);
}

static void put_part(void *ud, void *item)
{
	struct parts *p = ud;
	struct part *one = item;
	struct arena *a = arena_new();
	struct source s = {.a = a, .fd = p->g->s->fd, .progress = p->g->s->progress};
	struct fault f = {0};
	struct sending g = *p->g;
	struct target t = *p->upload;

	g.a = a;
	g.s = &s;
	g.fault = &f;
	t.part = one->number;
	t.offset = one->offset;
	t.length = one->length;
	if (atomic_load(&p->failed)) {
		/* nothing: the upload is given up */
	} else if (!put(&g, &t)) {
		part_failed(p, &f);
	} else {
		pthread_mutex_lock(&p->lock);
		p->etags[one->number - 1] = arena_dup(p->g->a, t.etag);
		pthread_mutex_unlock(&p->lock);
	}
	arena_free(a);
}

static bool put_parts(struct sending *g, const struct target *t, int64_t size, struct str *etags, unsigned n)
{
	struct parts p = {.g = g, .upload = t, .list = arena_zalloc(g->a, n * sizeof(*p.list)), .etags = etags};
	struct crew *crew;

	pthread_mutex_init(&p.lock, NULL);
	crew = crew_new(AT_ONCE, put_part, &p);
	for (unsigned i = 0; i < n; i++) {
		int64_t offset = size * i;

		p.list[i] = (struct part){i + 1, offset, i + 1 < n ? size : g->length - offset};
		crew_add(crew, &p.list[i]);
	}
	crew_end(crew);
	pthread_mutex_destroy(&p.lock);
	return !atomic_load(&p.failed);
}

static bool complete(struct sending *g, const struct target *t, const struct str *etags, unsigned n,
		     struct answer *ret)
{
	struct buf doc = BUF_INIT(DOC_MAX);
	struct json_out w = {&doc, false};
	bool good;

	jw_object(&w, NULL);
	jw_str(&w, "physical_address", t->address);
	jw_str(&w, "content_type", g->content_type);
	jw_array(&w, "parts");
	for (unsigned i = 0; i < n; i++) {
		jw_object(&w, NULL);
		jw_int(&w, "part_number", (int64_t)i + 1);
		jw_str(&w, "etag", etags[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_end_object(&w);
	good = ask(g, "PUT", upload_path(g, t, STR("")), buf_str(&doc), ret);
	buf_deinit(&doc);
	return good;
}

/* Quietly: what is told is why. */
static void abandon(struct sending *g, const struct target *t)
{
	const struct call q = {
		.method = "DELETE", .path = upload_path(g, t, STR("")), .doc = address_doc(g, t->address)};
	struct fault ignored;
	struct answer w;

	(void)client_ask(g->c->client, g->a, &q, &w, &ignored);
}

static bool send_parts(struct sending *g, struct answer *ret)
{
	struct target t = {.url = part_url};
	int64_t size = PART_BYTES;
	struct str *etags;
	unsigned n;

	while (g->length > size * PARTS_MAX)
		size *= 2;
	n = (unsigned)((g->length + size - 1) / size);
	etags = arena_alloc(g->a, n * sizeof(*etags));
	if (!begin(g, &t))
		return false;
	if (put_parts(g, &t, size, etags, n))
		return complete(g, &t, etags, n, ret); /* a failure may have completed it */
	abandon(g, &t);
	return false;
}

bool send_presigned(struct ctl *c, const struct presigned *how, struct source *s, const struct uri *u, struct str key,
		    int64_t length, struct answer *ret, struct fault *ret_fault)
{
	struct str kind = args_text(c->args, "content-type");
	struct sending g = {
		.c = c,
		.a = s->a,
		.how = how,
		.s = s,
		.u = u,
		.key = key,
		.content_type = kind.n ? kind : STR("application/octet-stream"),
		.length = length,
		.fault = ret_fault,
	};

	if (!(how->parts && length >= PARTS_FROM ? send_parts(&g, ret) : send_whole(&g, ret)))
		return false;
	if (json_int(json_member(ret->doc, "size_bytes")) == length)
		return true;
	return own(&g, arena_printf(g.a, "the object has %lld bytes, sent were %lld: upload it again",
				    (long long)json_int(json_member(ret->doc, "size_bytes")), (long long)length));
}
