/* Where new repositories go. */
#pragma once

#include "cli/app.h"
#include "api/api.h"
#include "gateway/gateway.h"

/* The store's default_namespace_prefix or, on a store of this machine, its kind's scheme ("local://").
 * STR_NONE: it has none. */
struct str store_namespace_prefix(const struct app *app, const struct backend *b);
/* The namespace of a repository of that name. */
struct str store_namespace(const struct app *app, struct str prefix, struct str name);
/* Fills in stores and default_store; in app->a. */
void stores_for_gateway(const struct app *app, struct gateway_options *o);
void stores_for_api(const struct app *app, struct api_options *o);
