/* auth: each command is a request, and a way to show its answer. */
#include <stdio.h>

#include "cli/ctl/cmd.h"

enum { DOC_MAX = 1 << 20 };

enum how {
	SILENT,
	USER,
	GROUP,
	MEMBER,
	POLICY,
	CREDENTIAL,
	PRINCIPAL,
	NEW_USER,
	NEW_GROUP,
	NEW_CREDENTIAL,
	ACL_SHOWN,
	ONE_POLICY,
	ONE_PRINCIPAL,
	DELETED_USER,
	DELETED_GROUP
};

static const struct row {
	const char *command, *method, *path; /* {id}, {user}, {policy}, {access-key-id}: flags */
	enum how how;
	const char *body; /* member: the flag of that name; "" an empty object; NULL none */
	const char *member;
	const char *query; /* a flag */
	const char *query_name;
} rows[] = {
	{"auth users list", "GET", "/auth/users", USER, NULL, NULL, NULL, NULL},
	{"auth users create", "POST", "/auth/users", NEW_USER, "id", "id", NULL, NULL},
	{"auth users delete", "DELETE", "/auth/users/{id}", DELETED_USER, NULL, NULL, NULL, NULL},
	{"auth users credentials list", "GET", "/auth/users/{id}/credentials", CREDENTIAL, NULL, NULL, NULL, NULL},
	{"auth users credentials create", "POST", "/auth/users/{id}/credentials", NEW_CREDENTIAL, NULL, NULL, NULL,
	 NULL},
	{"auth users credentials delete", "DELETE", "/auth/users/{id}/credentials/{access-key-id}", SILENT, NULL, NULL,
	 NULL, NULL},
	{"auth users groups list", "GET", "/auth/users/{id}/groups", GROUP, NULL, NULL, NULL, NULL},
	{"auth users policies list", "GET", "/auth/users/{id}/policies", POLICY, NULL, NULL, "effective", "effective"},
	{"auth users policies attach", "PUT", "/auth/users/{id}/policies/{policy}", SILENT, NULL, NULL, NULL, NULL},
	{"auth users policies detach", "DELETE", "/auth/users/{id}/policies/{policy}", SILENT, NULL, NULL, NULL, NULL},
	{"auth users aws-iam list", "GET", "/auth/users/{id}/external/principals/ls", PRINCIPAL, NULL, NULL, NULL,
	 NULL},
	{"auth users aws-iam attach", "POST", "/auth/users/{id}/external/principals", SILENT, "", NULL, "principal-id",
	 "principalId"},
	{"auth users aws-iam detach", "DELETE", "/auth/users/{id}/external/principals", SILENT, NULL, NULL,
	 "principal-id", "principalId"},
	{"auth users aws-iam lookup", "GET", "/auth/external/principals", ONE_PRINCIPAL, NULL, NULL, "principal-id",
	 "principalId"},
	{"auth groups list", "GET", "/auth/groups", GROUP, NULL, NULL, NULL, NULL},
	{"auth groups create", "POST", "/auth/groups", NEW_GROUP, "id", "id", NULL, NULL},
	{"auth groups delete", "DELETE", "/auth/groups/{id}", DELETED_GROUP, NULL, NULL, NULL, NULL},
	{"auth groups members list", "GET", "/auth/groups/{id}/members", MEMBER, NULL, NULL, NULL, NULL},
	{"auth groups members add", "PUT", "/auth/groups/{id}/members/{user}", SILENT, NULL, NULL, NULL, NULL},
	{"auth groups members remove", "DELETE", "/auth/groups/{id}/members/{user}", SILENT, NULL, NULL, NULL, NULL},
	{"auth groups policies list", "GET", "/auth/groups/{id}/policies", POLICY, NULL, NULL, NULL, NULL},
	{"auth groups policies attach", "PUT", "/auth/groups/{id}/policies/{policy}", SILENT, NULL, NULL, NULL, NULL},
	{"auth groups policies detach", "DELETE", "/auth/groups/{id}/policies/{policy}", SILENT, NULL, NULL, NULL,
	 NULL},
	{"auth groups acl get", "GET", "/auth/groups/{id}/acl", ACL_SHOWN, NULL, NULL, NULL, NULL},
	{"auth groups acl set", "POST", "/auth/groups/{id}/acl", SILENT, "permission", "permission", NULL, NULL},
	{"auth policies list", "GET", "/auth/policies", POLICY, NULL, NULL, NULL, NULL},
	{"auth policies show", "GET", "/auth/policies/{id}", ONE_POLICY, NULL, NULL, NULL, NULL},
	{"auth policies delete", "DELETE", "/auth/policies/{id}", SILENT, NULL, NULL, NULL, NULL},
};

static const struct row *row_of(const struct ctl *c)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].command, c->args->command->path))
			return &rows[i];
	return NULL;
}

/* Where nobody is named it is whoever asks. */
static bool value_of(struct ctl *c, struct str flag, struct str *ret)
{
	struct answer w;

	*ret = args_text(c->args, arena_cstr(c->a, flag));
	if (ret->n || !(str_eq(flag, STR("id")) || str_eq(flag, STR("user"))))
		return true;
	if (!ctl_get(c, c->a, STR("/user"), &w))
		return false;
	*ret = member_str(json_member(w.doc, "user"), "id");
	return true;
}

static bool path_of(struct ctl *c, const struct row *r, struct str *ret)
{
	struct str rest = str_c(r->path), path = STR(""), value, name;

	while (rest.n) {
		size_t open = str_index(rest, '{');

		path = arena_join(c->a, (const struct str[]){path, str_head(rest, open)}, 2);
		rest = str_skip(rest, open);
		if (!rest.n)
			break;
		name = str_cut(str_skip(rest, 1), '}', &rest);
		if (!value_of(c, name, &value))
			return false;
		path = arena_join(c->a, (const struct str[]){path, PATH(c->a, "{}", value)}, 2);
	}
	if (r->query && args_given(c->args, r->query))
		path = path_query(c->a, path, r->query_name, args_text(c->args, r->query));
	*ret = path;
	return true;
}

/* Lists. */

static void dated(struct arena *a, const struct json *j, struct table *t)
{
	table_add(t, out_date(a, json_int(json_member(j, "creation_date"))));
}

static void user_row(struct arena *a, const struct json *j, struct table *t)
{
	struct str email = member_str(j, "email"), friendly = member_str(j, "friendly_name"), id = member_str(j, "id");

	table_add(t, id);
	table_add(t, email.n ? email : friendly.n ? friendly : id);
	dated(a, j, t);
}

static void member_row(struct arena *a, const struct json *j, struct table *t)
{
	table_add(t, member_str(j, "id"));
}

static void named_row(struct arena *a, const struct json *j, struct table *t)
{
	struct str id = member_str(j, "id"), name = member_str(j, "name");

	table_add(t, name.n ? name : id);
	dated(a, j, t);
}

static void credential_row(struct arena *a, const struct json *j, struct table *t)
{
	table_add(t, member_str(j, "access_key_id"));
	dated(a, j, t);
}

static void principal_row(struct arena *a, const struct json *j, struct table *t)
{
	table_add(t, member_str(j, "id"));
	table_add(t, member_str(j, "user_id"));
}

static const struct {
	const char *headers[3];
	size_t columns;
	void (*row)(struct arena *a, const struct json *j, struct table *t);
} lists[] = {
	[USER] = {{"ID", "USER", "CREATION DATE"}, 3, user_row},
	[GROUP] = {{"GROUP ID", "CREATION DATE"}, 2, named_row},
	[MEMBER] = {{"USER ID"}, 1, member_row},
	[POLICY] = {{"POLICY ID", "CREATION DATE"}, 2, named_row},
	[CREDENTIAL] = {{"ACCESS KEY ID", "ISSUED DATE"}, 2, credential_row},
	[PRINCIPAL] = {{"PRINCIPAL ID", "USER ID"}, 2, principal_row},
};

/* Answers. */

static void show_policy(struct ctl *c, const struct answer *w)
{
	printf("ID: ");
	out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(w->doc, "id"));
	printf("\nCreation Date: " STR_FMT "\nStatements:\n",
	       STR_ARG(out_date(c->a, json_int(json_member(w->doc, "creation_date")))));
	out_document(w->body);
}

static void show(struct ctl *c, const struct row *r, const struct answer *w)
{
	if (c->json && r->how != SILENT && w->body.n) {
		out_document(w->body);
		return;
	}
	switch (r->how) {
	case NEW_USER:
		printf("User created successfully.\nID: ");
		break;
	case NEW_GROUP:
		printf("Group created successfully.\nID: ");
		break;
	case NEW_CREDENTIAL:
		printf("Credentials created successfully.\nAccess Key ID: " STR_FMT "\nSecret Access Key: ",
		       STR_ARG(member_str(w->doc, "access_key_id")));
		out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(w->doc, "secret_access_key"));
		puts("\n\nKeep these somewhere safe since you will not be able to see the secret key again");
		return;
	case ACL_SHOWN:
		printf("Group " STR_FMT ": permission " STR_FMT "\n", STR_ARG(args_text(c->args, "id")),
		       STR_ARG(member_str(w->doc, "permission")));
		return;
	case ONE_POLICY:
		show_policy(c, w);
		return;
	case ONE_PRINCIPAL:
		printf(STR_FMT "\t" STR_FMT "\n", STR_ARG(member_str(w->doc, "id")),
		       STR_ARG(member_str(w->doc, "user_id")));
		return;
	case DELETED_USER:
		out_line(c, "User deleted successfully");
		return;
	case DELETED_GROUP:
		out_line(c, "Group deleted successfully");
		return;
	default:
		return;
	}
	out_coloured(c, COLOUR_BRIGHT_YELLOW, member_str(w->doc, "id"));
	printf("\nCreation Date: " STR_FMT "\n",
	       STR_ARG(out_date(c->a, json_int(json_member(w->doc, "creation_date")))));
}

static struct str body_of(struct ctl *c, const struct row *r)
{
	struct buf b = BUF_INIT(DOC_MAX);
	struct json_out w = {&b, false};
	struct str doc;

	if (!r->body)
		return STR_NONE;
	jw_object(&w, NULL);
	if (r->member)
		jw_str(&w, r->member, args_text(c->args, r->body));
	jw_end_object(&w);
	doc = arena_dup(c->a, buf_str(&b));
	buf_deinit(&b);
	return doc;
}

bool cmd_auth(struct ctl *c)
{
	const struct row *r = row_of(c);
	struct answer w;
	struct str path;

	if (!path_of(c, r, &path))
		return false;
	if (r->how >= USER && r->how <= PRINCIPAL)
		return list_show(c, path, lists[r->how].headers, lists[r->how].columns, lists[r->how].row);
	if (!ctl_send(c, c->a, r->method, path, body_of(c, r), &w))
		return false;
	show(c, r, &w);
	return true;
}

/* The document is the statements, or an object with them; they are sent as they are written. */
bool cmd_policy_create(struct ctl *c)
{
	struct str file = args_text(c->args, "statement-document"), text, id = args_text(c->args, "id");
	struct buf b = BUF_INIT(2 * DOC_MAX);
	struct json_out w = {&b, false};
	struct answer answer;
	struct json *doc;
	struct err e = {0};
	bool good;

	if (!ctl_read_text(c, file, DOC_MAX, &text)) {
		c->fault.text = arena_printf(c->a, "could not open policy document: " STR_FMT, STR_ARG(c->fault.text));
		return false;
	}
	if (!rc_ok(json_parse(c->a, text, &doc, &e)))
		return ctl_fail(c, "the policy document is no JSON: %s", e.msg);
	if (json_type(doc) == JSON_OBJECT)
		text = str_skip(text, str_index(text, '{') + 1);
	jw_object(&w, NULL);
	jw_str(&w, "id", id);
	if (json_type(doc) == JSON_OBJECT)
		buf_printf(&b, "," STR_FMT, STR_ARG(text)); /* {"statement": [...]}: its members, and its end */
	else
		buf_printf(&b, ",\"statement\":" STR_FMT "}", STR_ARG(text));
	good = ctl_send(c, c->a, "POST", STR("/auth/policies"), buf_str(&b), &answer);
	buf_deinit(&b);
	if (!good)
		return false;
	if (c->json) {
		out_document(answer.body);
		return true;
	}
	puts("Policy created successfully.");
	show_policy(c, &answer);
	return true;
}
