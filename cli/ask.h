/* Asking the running server: for commands that need what only the server has open. No proxy leads there. */
#pragma once

#include "base/json.h"
#include "cli/app.h"

struct ask {
	const char *endpoint;        /* "http://127.0.0.1:8000" */
	const char *user, *password; /* an access key; NULL: none */
};

/* The access key from SLUICE_ACCESS_KEY_ID and SLUICE_SECRET_ACCESS_KEY, where the command line has none. */
void ask_env(struct ask *k);
/* Where the configured server would be, on this machine. */
const char *ask_configured(struct arena *a, const struct conf *c);
/* Whether a server is there. */
bool ask_answers(const struct ask *k, struct arena *a);
/* CONFIG with what to give, unless there is a key. work: "it must do the check". */
rc ask_has_key(const struct ask *k, const char *work, struct err *reterr);
/* A JSON answer. ServiceUnavailable: the server is away or refuses, with its words. */
rc ask_json(const struct ask *k, struct str method, struct str path, struct arena *a, struct json **ret,
	    struct err *reterr);
