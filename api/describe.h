/* Operations and documents as OpenAPI 3 has them, written from describe.def and schemas.def. */
#pragma once

#include "api/rest.h"

/* An operation's members `parameters`, `requestBody` and `responses`. */
void describe_operation(struct api_req *r, const struct api_route *o);
/* `schemas`, and in it each document. */
void describe_schemas(struct json_out *w);
