/* A header's name and value, of requests and answers alike. */
#pragma once

#include "base/str.h"

struct http_header {
	struct str name, value;
};
