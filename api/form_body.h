/* multipart/form-data (RFC 7578) as a stream: the bytes of one field, whatever fields are around it. */
#pragma once

#include "base/arena.h"
#include "base/body.h"

/* The boundary of a Content-Type; false: none that RFC 2046 allows. */
bool form_boundary(struct str content_type, struct str *ret);
/* A body over the form: what `field` holds. Fails with INVALID when the form lacks the field or isn't one. */
struct body *form_body_new(struct arena *a, struct body *below, struct str boundary, const char *field);
/* The field's Content-Type, once the body has given something or ended; "" when it has none. */
struct str form_body_type(const struct body *form);
