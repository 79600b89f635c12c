/* What the operations on users, groups, policies and credentials share, and sessions of browsers. */
#pragma once

#include "api/rest.h"
#include "auth/manage.h"

struct auth_call api_auth_call(struct api_req *r);
/* Into r->op_state. */
rc api_parse_page(struct api_req *r);
const struct auth_page *api_auth_page(struct api_req *r);

void api_show_person(struct json_out *w, const char *key, const struct auth_person *u);
/* A page of each kind. */
void api_show_groups(struct api_req *r, const struct auth_group *list, size_t n, bool more);
void api_show_persons(struct api_req *r, const struct auth_person *list, size_t n, bool more);
void api_show_policies(struct api_req *r, const struct auth_policy *list, size_t n, bool more);

/* op_sessions.c: temporary credentials as they are asked for, into r->op_state, with defaults. */
struct session_request {
	int64_t seconds;
	bool scoped;
	struct auth_document scope;
	struct auth_session made;
};
struct session_request *api_session_request(struct api_req *r);
/* INVALID. */
rc api_session_policy(struct api_req *r, const struct json *doc, struct session_request *in);
rc api_run_session(struct api_req *r);

/* 501, for what there is in lakeFS's paid editions only. */
rc api_not_here(struct api_req *r);

/* session.c */
#define API_COOKIE "internal_auth_session"
/* The session's token; STR_NONE without one. */
struct str api_cookie(struct api_req *r);
/* Sets the cookie, or with an empty token takes it away. */
struct str api_cookie_header(struct http_req *http, struct arena *a, struct str token);
/* Forbidden when a browser tells that the request was made by a page of another site. */
rc api_same_origin(struct api_req *r);
