/* Objects whose properties travel with them: "uploadType=multipart", a body of two parts (RFC
 * 2387). */
#include "backends/gcs_priv.h"
#include "base/encode.h"
#include "base/rand.h"

enum { PROPERTIES_MAX = 16 * 1024, BOUNDARY_BYTES = 16 };

struct str gcs_class(struct str storage_class)
{
	static const struct str known[] = {STR("STANDARD"), STR("NEARLINE"), STR("COLDLINE"),
					   STR("ARCHIVE")};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_eq_nocase(storage_class, known[i]))
			return known[i];
	return STR_NONE;
}

bool gcs_has_class(const struct backend_put_options *o)
{
	return gcs_class(o->storage_class).n > 0;
}

struct str gcs_properties(struct arena *a, struct str content_type, struct str storage_class,
			  const char *name, struct str value)
{
	struct buf b = BUF_INIT(PROPERTIES_MAX);
	struct json_out w = {.to = &b};
	struct str text;

	jw_object(&w, NULL);
	if (content_type.n)
		jw_str(&w, "contentType", content_type);
	if (storage_class.n)
		jw_str(&w, "storageClass", storage_class);
	if (value.n) {
		jw_object(&w, "metadata");
		jw_str(&w, name, value);
		jw_end_object(&w);
	}
	jw_end_object(&w);
	text = arena_dup(a, buf_str(&b));
	buf_deinit(&b);
	return text;
}

void gcs_upload_as(struct remote_call *c, struct str content_type, struct str properties)
{
	struct gcs_target *t = c->ud;
	uint8_t raw[BOUNDARY_BYTES];

	if (!content_type.n)
		content_type = STR("application/octet-stream");
	if (!properties.n) {
		remote_query(c, "uploadType", STR("media"));
		remote_header(c, "content-type", content_type);
		return;
	}
	rand_bytes(raw, sizeof(raw));
	t->content_type = content_type;
	t->properties = properties;
	t->boundary = hex_encode(c->a, str_make(raw, sizeof(raw)));
	remote_query(c, "uploadType", STR("multipart"));
	remote_header(
	    c, "content-type",
	    arena_printf(c->a, "multipart/related; boundary=" STR_FMT, STR_ARG(t->boundary)));
}

struct str gcs_envelope(struct remote *r, struct remote_call *c, struct str bytes)
{
	const struct gcs_target *t = c->ud;
	struct str pieces[3];

	if (!t->boundary.n)
		return bytes;
	pieces[0] = arena_printf(c->a,
				 "--" STR_FMT "\r\nContent-Type: application/json\r\n\r\n" STR_FMT
				 "\r\n--" STR_FMT "\r\nContent-Type: " STR_FMT "\r\n\r\n",
				 STR_ARG(t->boundary), STR_ARG(t->properties), STR_ARG(t->boundary),
				 STR_ARG(t->content_type));
	pieces[1] = bytes;
	pieces[2] = arena_printf(c->a, "\r\n--" STR_FMT "--\r\n", STR_ARG(t->boundary));
	return arena_join(c->a, pieces, 3);
}
