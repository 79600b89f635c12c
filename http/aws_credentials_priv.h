/* What the files of aws_credentials.h share. */
#pragma once

#include "http/aws_credentials.h"
#include "http/client.h"

struct aws_credentials {
	struct aws_credentials_options o;
	struct arena *a;
	struct http_pool *metadata, *services; /* metadata, without proxies and patience; STS */
	/* aws_credentials.c */
	struct aws_cache *cache;
};

/* Keys as a source gave them, in the arena of the call. */
struct aws_found {
	struct aws_keys keys;
	int64_t expires_s; /* 0: they don't */
};

/* A source: found is false when it isn't configured. */
typedef rc aws_source_fn(struct aws_credentials *c, struct arena *a, struct aws_found *ret,
			 bool *found, struct err *reterr);
aws_source_fn aws_from_profile, aws_from_web_identity, aws_from_container, aws_from_instance;

/* The variable's value, or STR_NONE when it is unset or empty. */
struct str aws_env(const struct aws_credentials *c, const char *name);
/* A small text file, without white space around it. IO with the name. */
rc aws_read_file(struct arena *a, struct str path, size_t max, struct str *ret, struct err *reterr);
/* AssumeRoleWithWebIdentity. */
rc aws_assume_role(struct aws_credentials *c, struct arena *a, struct str token_file,
		   struct str role, struct str session, struct aws_found *ret, struct err *reterr);
