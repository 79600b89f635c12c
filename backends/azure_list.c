/* Listings. Azure begins at a marker of its own making, and has no "after this name" in the
 * versions of its API that are spoken everywhere. So a listing after a name that we haven't just
 * answered pages through all that comes before it, a request for each thousand names; and where one
 * ended is remembered, for the last 32 of them, so that who lists on and on pays nothing for it. */
#include <stdlib.h>

#include "backends/azure_priv.h"
#include "base/clock.h"

struct listing {
	struct azure *s;
	struct arena *a;
	struct azure_place at;
	struct str where;  /* container and prefix: for the places */
	struct str prefix; /* of blobs' names */
	size_t below;	   /* length of what is cut off names: the namespace with its slash */
	struct str after, last;
	size_t max;
	/* out */
	struct backend_list_entry *v;
	size_t n;
	bool more;
};

/* Places. */

static struct str keep(struct str s)
{
	char *p = malloc(s.n + 1);

	if (!p)
		abort();
	if (s.n)
		memcpy(p, s.p, s.n);
	return str_make(p, s.n);
}

static void forget(struct azure_list_place *p)
{
	free((char *)p->where.p);
	free((char *)p->after.p);
	free((char *)p->marker.p);
	*p = (struct azure_list_place){0};
}

void azure_places_free(struct azure *s)
{
	for (size_t i = 0; i < AZURE_PLACES; i++)
		forget(&s->places.v[i]);
	pthread_mutex_destroy(&s->places.lock);
}

static struct str recall(struct listing *l)
{
	struct azure *s = l->s;
	struct str marker = STR("");

	pthread_mutex_lock(&s->places.lock);
	for (size_t i = 0; i < AZURE_PLACES; i++) {
		struct azure_list_place *p = &s->places.v[i];

		if (p->marker.p && str_eq(p->where, l->where) && str_eq(p->after, l->after)) {
			marker = arena_dup(l->a, p->marker);
			p->used = ++s->places.clock;
			break;
		}
	}
	pthread_mutex_unlock(&s->places.lock);
	return marker;
}

/* What comes after `after` is on the page of that marker or on later ones. */
static void remember(struct listing *l, struct str after, struct str marker)
{
	struct azure *s = l->s;
	struct azure_list_place *oldest = &s->places.v[0];

	if (marker.n == 0)
		return;
	pthread_mutex_lock(&s->places.lock);
	for (size_t i = 0; i < AZURE_PLACES; i++) {
		struct azure_list_place *p = &s->places.v[i];

		if (p->marker.p && str_eq(p->where, l->where) && str_eq(p->after, after)) {
			oldest = p;
			break;
		}
		if (p->used < oldest->used)
			oldest = p;
	}
	forget(oldest);
	*oldest =
	    (struct azure_list_place){keep(l->where), keep(after), keep(marker), ++s->places.clock};
	pthread_mutex_unlock(&s->places.lock);
}

/* Pages. */

static rc ask_page(struct listing *l, struct str marker, size_t want, struct xml_node **ret,
		   struct err *reterr)
{
	struct http_answer w;
	struct remote_call c;

	remote_call_init(&c, l->a, "GET");
	c.repeatable = true;
	azure_address(l->s, &c, &l->at, false);
	remote_query(&c, "comp", STR("list"));
	if (marker.n)
		remote_query(&c, "marker", marker);
	remote_query(&c, "maxresults", arena_printf(l->a, "%zu", want));
	if (l->prefix.n)
		remote_query(&c, "prefix", l->prefix);
	remote_query(&c, "restype", STR("container"));
	TRY(remote_ask(&l->s->r, &c, NULL, &w, reterr));
	return azure_document(&c, &w, ret, reterr);
}

static void take(struct listing *l, struct str key, const struct xml_node *properties)
{
	struct backend_list_entry *e = &l->v[l->n++];
	struct str etag = xml_child_text(properties, "Etag");

	if (etag.n >= 2 && etag.p[0] == '"')
		etag = str_make(etag.p + 1, etag.n - 2);
	*e = (struct backend_list_entry){.key = arena_dup(l->a, key),
					 .stat.etag = etag.p ? arena_dup(l->a, etag) : STR_NONE};
	if (!str_to_u64(xml_child_text(properties, "Content-Length"), &e->stat.size))
		e->stat.size = 0;
	if (!time_parse_http(xml_child_text(properties, "Last-Modified"), &e->stat.mtime_s))
		e->stat.mtime_s = 0;
}

/* Whether there was room for it, if it is one to be told. */
static rc consider(struct listing *l, const struct xml_node *blob, bool *ret_full,
		   struct err *reterr)
{
	struct str name = xml_child_text(blob, "Name"), key;
	struct xml_node *properties = xml_child(blob, "Properties");

	*ret_full = false;
	if (name.n < l->below || !properties)
		return RC_OK;
	if (str_cmp(name, l->last) < 0)
		return err_set(reterr, ERR_UNSUPPORTED,
			       "the account \"" STR_FMT
			       "\" lists names out of byte order, as those with a "
			       "hierarchical namespace do: use one without",
			       STR_ARG(l->at.account));
	l->last = name;
	key = str_skip(name, l->below);
	if (key.n == 0 || str_cmp(key, l->after) <= 0 || str_starts(key, STR(AZURE_OWN)) ||
	    str_eq(xml_child_text(properties, "ResourceType"), STR("directory")))
		return RC_OK;
	*ret_full = l->n == l->max;
	if (!*ret_full)
		take(l, key, properties);
	return RC_OK;
}

static rc take_page(struct listing *l, const struct xml_node *root, struct err *reterr)
{
	const struct xml_node *blobs = xml_child(root, "Blobs");

	for (const struct xml_node *x = blobs ? blobs->first : NULL; x && !l->more; x = x->next)
		if (str_eq(x->name, STR("Blob")))
			TRY(consider(l, x, &l->more, reterr));
	return RC_OK;
}

/* As much as is still wanted, so that its end is where the next begins; all that fits while names
 * are skipped. */
static size_t page_size(const struct listing *l, bool skipping)
{
	size_t left = l->max - l->n;

	return skipping || left > AZURE_PAGE ? AZURE_PAGE : left ? left : 1;
}

static rc walk(struct listing *l, struct err *reterr)
{
	struct str marker = recall(l);
	bool skipping = l->after.n && marker.n == 0;

	for (;;) {
		struct xml_node *root;
		struct str next;

		TRY(ask_page(l, marker, page_size(l, skipping), &root, reterr));
		TRY(take_page(l, root, reterr));
		if (l->more) {
			if (l->n)
				remember(l, l->v[l->n - 1].key, marker);
			return RC_OK;
		}
		skipping = skipping && l->n == 0;
		next = xml_child_text(root, "NextMarker");
		if (next.n == 0)
			return RC_OK;
		marker = next;
		if (l->n == l->max && l->n) {
			l->more = true; /* or nothing: then the next answer is an empty one */
			remember(l, l->v[l->n - 1].key, marker);
			return RC_OK;
		}
	}
}

rc azure_list(struct backend *b, struct str space, struct str prefix, struct str after, size_t max,
	      struct arena *a, struct backend_list_entry **ret, size_t *ret_n, bool *ret_more,
	      struct err *reterr)
{
	struct listing l = {.s = azure_of(b), .a = a, .after = after, .last = STR(""), .max = max};

	TRY(azure_space(l.s, a, space, &l.at, reterr));
	l.below = l.at.blob.n ? l.at.blob.n + 1 : 0;
	l.prefix =
	    arena_join(a, (struct str[]){l.at.blob, l.below ? STR("/") : STR(""), prefix}, 3);
	l.where = arena_join(
	    a, (struct str[]){l.at.account, STR("/"), l.at.container, STR("/"), l.prefix}, 5);
	l.v = arena_alloc(a, (max + 1) * sizeof(*l.v));
	TRY(walk(&l, reterr));
	*ret = l.v;
	*ret_n = l.n;
	*ret_more = l.more;
	return RC_OK;
}
