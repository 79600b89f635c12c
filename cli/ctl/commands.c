/* The table. Groups first have their row, so that they are found and explained. */
#include "cli/ctl/cmd.h"

#define END                                                                                                            \
	{                                                                                                              \
		NULL, 0, FLAG_BOOL, NULL, NULL, false                                                                  \
	}

const struct flag global_flags[] = {
	{"base-uri", 0, FLAG_TEXT, NULL, "put in front of addresses that don't begin with lakefs://", false},
	{"config", 'c', FLAG_TEXT, NULL, "the configuration file (without it ~/.lakectl.yaml)", false},
	{"help", 'h', FLAG_BOOL, NULL, "what the command does and takes", false},
	{"log-format", 0, FLAG_TEXT, NULL, "how lines of the log look: text or json", false},
	{"log-level", 0, FLAG_TEXT, "none", "what is logged: none, debug (each request), info, warn or error", false},
	{"log-output", 0, FLAG_TEXTS, NULL, "where the log goes: files, - for stderr, = for stdout", false},
	{"no-color", 0, FLAG_BOOL, NULL, "neither colours nor tables, as with NO_COLOR in the environment", false},
	{"output", 'o', FLAG_TEXT, "text", "text for people, json for the API's documents (ours)", false},
	{"verbose", 0, FLAG_BOOL, NULL, "say more of what is done", false},
	{"version", 'v', FLAG_BOOL, NULL, "versions of this program and of the server", false},
	END,
};

/* Sets that several commands take. */

static const struct flag pages[] = {
	{"amount", 0, FLAG_NUMBER, "100", "how many results to show, at most 1000", false},
	{"after", 0, FLAG_TEXT, NULL, "only results after this one: the way to the next page", false},
	{"prefix", 0, FLAG_TEXT, NULL, "only results that begin with this", false},
	END,
};
static const struct flag yes[] = {{"yes", 'y', FLAG_BOOL, NULL, "don't ask", false}, END};
static const struct flag message[] = {
	{"message", 'm', FLAG_TEXT, NULL, "the commit's message", false},
	{"meta", 0, FLAG_TEXTS, NULL, "key=value to keep with the commit; may be given repeatedly", false},
	END,
};
static const struct flag storage[] = {
	{"storage-id", 0, FLAG_TEXT, NULL,
	 "the storage (see storage list) it lives on, where the server has several (ours)", false},
	END,
};
static const struct flag presign[] = {
	{"pre-sign", 0, FLAG_BOOL, "true", "taken for lakectl's sake: bytes always go through the server", false},
	END,
};
static const struct flag copying[] = {
	{"no-progress", 0, FLAG_BOOL, NULL, "no progress bar", false},
	{"parallelism", 'p', FLAG_NUMBER, "25", "how many files at once", false},
	END,
};
static const struct flag polling[] = {
	{"poll-interval", 0, FLAG_DURATION, "3s", "how often to ask whether the task is done, at least 1s", false},
	{"timeout", 0, FLAG_DURATION, "1h", "how long to wait for it", false},
	END,
};
static const struct flag login[] = {
	{"endpoint-url", 0, FLAG_TEXT, NULL, "the server, instead of the configured one", false},
	{"access-key-id", 0, FLAG_TEXT, NULL, "the access key, instead of the configured one", false},
	{"secret-access-key", 0, FLAG_TEXT, NULL,
	 "its secret; others on this machine can see it: the environment or a file is better", false},
	END,
};

/* Sets of one command. */

#define SET(name, ...) static const struct flag name[] = {__VA_ARGS__, END}

SET(repo_create, {"default-branch", 'd', FLAG_TEXT, "main", "the name of its default branch", false},
    {"sample-data", 0, FLAG_BOOL, NULL, "put data for trying things out into it", false});
SET(repo_bare, {"default-branch", 'd', FLAG_TEXT, "main", "the name of its default branch, which isn't made", false});
SET(branch_source, {"source", 's', FLAG_TEXT, NULL, "the branch, tag or commit it begins at", true});
SET(branch_reset, {"object", 0, FLAG_TEXT, NULL, "only changes of this object", false},
    {"prefix", 0, FLAG_TEXT, NULL, "only changes below this prefix", false});
SET(revert, {"allow-empty-commit", 0, FLAG_BOOL, NULL, "also where that changes nothing", false},
    {"parent-number", 'm', FLAG_NUMBER, "0", "of a merge: which parent (from 1) to go back towards", false});
SET(tag_force, {"force", 'f', FLAG_BOOL, NULL, "also where the tag exists: it is moved", false});
SET(commit, {"allow-empty-commit", 0, FLAG_BOOL, NULL, "also without changes", false},
    {"allow-empty-message", 0, FLAG_BOOL, NULL, "also without a message", false},
    {"epoch-time-seconds", 0, FLAG_NUMBER, NULL, "the commit's time, in seconds since 1970", false});
SET(cherry_pick, {"parent-number", 'm', FLAG_NUMBER, "0", "of a merge: relative to which parent (from 1)", false});
SET(meta_range, {"show-meta-range-id", 0, FLAG_BOOL, NULL, "with the id of the commit's metarange", false});
SET(log_flags, {"after", 0, FLAG_TEXT, NULL, "only commits after this one", false},
    {"amount", 0, FLAG_NUMBER, "0", "how many commits to show; 0: all", false},
    {"dot", 0, FLAG_BOOL, NULL, "as a graph, for Graphviz", false},
    {"first-parent", 0, FLAG_BOOL, NULL, "follow only the first parent of merges", false},
    {"limit", 0, FLAG_BOOL, NULL, "look no further than amount", false},
    {"no-merges", 0, FLAG_BOOL, NULL, "without merges", false},
    {"objects", 0, FLAG_TEXTS, NULL, "only commits that changed one of these objects", false},
    {"prefixes", 0, FLAG_TEXTS, NULL, "only commits that changed something below one of these prefixes", false},
    {"since", 0, FLAG_TEXT, NULL, "only commits since then (2023-11-14T22:13:21Z)", false},
    {"stop-at", 0, FLAG_TEXT, NULL, "the last commit to show", false});
SET(annotate, {"first-parent", 0, FLAG_BOOL, NULL, "follow only the first parent of merges", false},
    {"recursive", 'r', FLAG_BOOL, NULL, "all objects below the path", false});
SET(diff, {"prefix", 0, FLAG_TEXT, NULL, "only changes below this prefix", false},
    {"two-way", 0, FLAG_BOOL, NULL, "compare the two as they are, whatever they have in common", false});
SET(merge, {"allow-empty", 0, FLAG_BOOL, NULL, "also where nothing differs", false},
    {"allow-empty-message", 0, FLAG_BOOL, "true", "also without a message", false},
    {"force", 0, FLAG_BOOL, NULL, "also into what is read-only or the same", false},
    {"squash", 0, FLAG_BOOL, NULL, "one commit, with one parent", false},
    {"strategy", 0, FLAG_TEXT, NULL, "whose side conflicts are decided for: dest-wins or source-wins", false});
SET(recursive_ls, {"recursive", 'r', FLAG_BOOL, NULL, "all objects below the path", false});
SET(rm,
    {"concurrency", 'C', FLAG_NUMBER, "50", "taken for lakectl's sake: objects are deleted a thousand at a time",
     false},
    {"recursive", 'r', FLAG_BOOL, NULL, "all objects below the path", false});
SET(upload, {"content-type", 0, FLAG_TEXT, NULL, "the objects' media type", false},
    {"recursive", 'r', FLAG_BOOL, NULL, "all files of a folder", false},
    {"source", 's', FLAG_TEXT, NULL, "the file or folder, - for stdin", true});
SET(download, {"no-verify", 0, FLAG_BOOL, NULL, "don't compare checksums (ours)", false},
    {"part-size", 0, FLAG_NUMBER, "8388608", "taken for lakectl's sake: an object comes in one stream", false},
    {"recursive", 'r', FLAG_BOOL, NULL, "all objects below the path", false});
SET(stage, {"checksum", 0, FLAG_TEXT, NULL, "its MD5, in hexadecimal", true},
    {"content-type", 0, FLAG_TEXT, NULL, "its media type", false},
    {"location", 0, FLAG_TEXT, NULL, "where its bytes are, such as s3://bucket/key", true},
    {"meta", 0, FLAG_TEXTS, NULL, "key=value to keep with it; may be given repeatedly", false},
    {"mtime", 0, FLAG_NUMBER, NULL, "when it was changed, in seconds since 1970", false},
    {"size", 0, FLAG_NUMBER, NULL, "its size in bytes", true});
SET(metadata, {"metadata", 0, FLAG_TEXTS, NULL, "all of the metadata it shall have: key1=value1,key2=value2", false});
SET(gc_get, {"json", 'p', FLAG_BOOL, NULL, "as JSON", false});
SET(gc_set, {"filename", 'f', FLAG_TEXT, NULL, "the rules as JSON, - for stdin", true});
SET(gc_check, {"id", 0, FLAG_TEXT, NULL, "the task, as gc prepare-async told it", true});
SET(runs, {"branch", 0, FLAG_TEXT, NULL, "only runs of this branch", false},
    {"commit", 0, FLAG_TEXT, NULL, "only runs of this commit", false},
    {"amount", 0, FLAG_NUMBER, "100", "how many results to show, at most 1000", false},
    {"after", 0, FLAG_TEXT, NULL, "only results after this one: the way to the next page", false});
SET(run, {"amount", 0, FLAG_NUMBER, "0", "taken for lakectl's sake: all are shown", false},
    {"after", 0, FLAG_TEXT, NULL, "taken for lakectl's sake", false});
SET(dump_file, {"output", 'o', FLAG_TEXT, NULL, "the file to write, instead of stdout", false});
SET(restore_file, {"manifest", 0, FLAG_TEXT, NULL, "what refs-dump wrote, - for stdin", true});
SET(dump_all, {"all", 0, FLAG_BOOL, NULL, "every repository", false},
    {"commit", 0, FLAG_BOOL, NULL, "first commit what is uncommitted, on every branch", false},
    {"rm", 0, FLAG_BOOL, NULL, "delete the repository once its manifest is on disk; its data stays", false});
SET(restore_all,
    {"ignore-storage-id", 0, FLAG_BOOL, NULL, "let the server choose the storage, by the namespace", false});
SET(id_own, {"id", 0, FLAG_TEXT, NULL, "the user; without it whoever asks", false});
SET(id_user, {"id", 0, FLAG_TEXT, NULL, "the user", true});
SET(id_group, {"id", 0, FLAG_TEXT, NULL, "the group", true});
SET(id_policy, {"id", 0, FLAG_TEXT, NULL, "the policy", true});
SET(user_own, {"user", 0, FLAG_TEXT, NULL, "the user; without it whoever asks", false});
SET(policy, {"policy", 0, FLAG_TEXT, NULL, "the policy", true});
SET(effective, {"effective", 0, FLAG_BOOL, NULL, "those of the user's groups, too", false});
SET(key_id, {"access-key-id", 0, FLAG_TEXT, NULL, "the access key to delete", true});
SET(principal, {"principal-id", 0, FLAG_TEXT, NULL, "the principal, such as the ARN of an AWS role", true});
SET(permission, {"permission", 0, FLAG_TEXT, NULL, "Read, Write, Super or Admin", true});
SET(statements, {"statement-document", 0, FLAG_TEXT, NULL, "the statements as JSON: a file, - for stdin", true});

#define GROUP(words, text)                                                                                             \
	{                                                                                                              \
		.path = words, .summary = text                                                                         \
	}
#define ARGS(text, from, to) .args = text, .min = from, .max = to
#define FLAGS(...) .sets = {__VA_ARGS__}
#define AUTH(words, text, ...)                                                                                         \
	{                                                                                                              \
		.path = words, .summary = text, .run = cmd_auth, FLAGS(__VA_ARGS__)                                    \
	}

const struct command commands[] = {
	GROUP("actions", "Runs of hooks"),
	GROUP("actions runs", "Runs of hooks"),
	{.path = "actions runs describe",
	 ARGS("<repository URI> <run_id>", 2, 2),
	 .summary = "Show a run, its hooks and what they wrote",
	 .run = cmd_actions_describe,
	 FLAGS(run)},
	{.path = "actions runs list",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "List runs, of a branch or a commit alone if one is named",
	 .run = cmd_actions_list,
	 FLAGS(runs)},
	{.path = "annotate",
	 .alias = "blame",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Show for each object who changed it last",
	 .run = cmd_annotate,
	 FLAGS(annotate)},

	GROUP("auth", "Users, groups, policies and credentials"),
	GROUP("auth groups", "Groups of users"),
	GROUP("auth groups acl", "A group's one permission on everything"),
	AUTH("auth groups acl get", "Show a group's permission", id_group),
	AUTH("auth groups acl set", "Set a group's permission", id_group, permission),
	AUTH("auth groups create", "Make a group", id_group),
	AUTH("auth groups delete", "Delete a group", id_group),
	AUTH("auth groups list", "List groups", pages),
	GROUP("auth groups members", "Who is in a group"),
	AUTH("auth groups members add", "Put a user into a group", id_group, user_own),
	AUTH("auth groups members list", "List who is in a group", id_group, pages),
	AUTH("auth groups members remove", "Take a user out of a group", id_group, user_own),
	GROUP("auth groups policies", "A group's policies"),
	AUTH("auth groups policies attach", "Give a policy to a group", id_group, policy),
	AUTH("auth groups policies detach", "Take a policy from a group", id_group, policy),
	AUTH("auth groups policies list", "List a group's policies", id_group, pages),
	GROUP("auth policies", "Policies"),
	{.path = "auth policies create",
	 .summary = "Make a policy",
	 .run = cmd_policy_create,
	 FLAGS(id_policy, statements)},
	AUTH("auth policies delete", "Delete a policy", id_policy),
	AUTH("auth policies list", "List policies", pages),
	AUTH("auth policies show", "Show a policy", id_policy),
	GROUP("auth users", "Users"),
	GROUP("auth users aws-iam", "Which identities of AWS a user may log in by"),
	AUTH("auth users aws-iam attach", "Let an identity of AWS log in as a user", id_own, principal),
	AUTH("auth users aws-iam detach", "Let it no more", id_own, principal),
	AUTH("auth users aws-iam list", "List a user's identities of AWS", id_own, pages),
	AUTH("auth users aws-iam lookup", "Show whose an identity of AWS is", principal),
	AUTH("auth users create", "Make a user", id_user),
	GROUP("auth users credentials", "A user's access keys"),
	AUTH("auth users credentials create", "Make an access key, and show its secret this once", id_own),
	AUTH("auth users credentials delete", "Delete an access key", key_id, id_own),
	AUTH("auth users credentials list", "List a user's access keys", id_own, pages),
	AUTH("auth users delete", "Delete a user", id_user),
	GROUP("auth users groups", "A user's groups"),
	AUTH("auth users groups list", "List a user's groups", id_user, pages),
	AUTH("auth users list", "List users", pages),
	GROUP("auth users policies", "A user's policies"),
	AUTH("auth users policies attach", "Give a policy to a user", id_user, policy),
	AUTH("auth users policies detach", "Take a policy from a user", id_user, policy),
	AUTH("auth users policies list", "List a user's policies", effective, id_user, pages),

	GROUP("branch", "Branches"),
	{.path = "branch create",
	 ARGS("<branch URI>", 1, 1),
	 .summary = "Make a branch",
	 .run = cmd_branch_create,
	 FLAGS(branch_source),
	 .example = "branch create lakefs://example/dev -s lakefs://example/main"},
	{.path = "branch delete",
	 ARGS("<branch URI>", 1, 1),
	 .summary = "Delete a branch, uncommitted changes included",
	 .run = cmd_branch_delete,
	 FLAGS(yes)},
	{.path = "branch list",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "List branches",
	 .run = cmd_branch_list,
	 FLAGS(pages)},
	{.path = "branch reset",
	 ARGS("<branch URI>", 1, 1),
	 .summary = "Drop uncommitted changes",
	 .run = cmd_branch_reset,
	 FLAGS(branch_reset, yes)},
	{.path = "branch revert",
	 ARGS("<branch URI> <commit ref> [<more commits>...]", 2, ARGS_ANY),
	 .summary = "Take back what commits changed, each in a commit of its own",
	 .run = cmd_branch_revert,
	 FLAGS(revert, yes),
	 .example = "branch revert lakefs://example/main main~1"},
	{.path = "branch show",
	 ARGS("<branch URI>", 1, 1),
	 .summary = "Show the commit a branch is at",
	 .run = cmd_branch_show},
	GROUP("branch-protect", "Branches that are changed by merges alone"),
	{.path = "branch-protect add",
	 ARGS("<repository URI> <pattern>", 2, 2),
	 .summary = "Protect branches whose names match",
	 .run = cmd_branch_protect_add,
	 .example = "branch-protect add lakefs://example 'stable_*'"},
	{.path = "branch-protect delete",
	 ARGS("<repository URI> <pattern>", 2, 2),
	 .summary = "Protect them no more",
	 .run = cmd_branch_protect_delete},
	{.path = "branch-protect list",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "List the patterns",
	 .run = cmd_branch_protect_list},
	{.path = "cat-hook-output",
	 ARGS("<repository URI> <run_id> <hook_id>", 3, 3),
	 .summary = "Show what a hook wrote",
	 .run = cmd_hook_output,
	 .kind = COMMAND_HIDDEN},
	{.path = "cherry-pick",
	 ARGS("<commit URI> <branch>", 2, 2),
	 .summary = "Repeat what a commit changed on a branch",
	 .run = cmd_cherry_pick,
	 FLAGS(cherry_pick)},
	{.path = "commit",
	 ARGS("<branch URI>", 1, 1),
	 .summary = "Commit what is uncommitted on a branch",
	 .run = cmd_commit,
	 FLAGS(commit, message),
	 .example = "commit lakefs://example/main -m 'new orders' --meta source=crm"},
	{.path = "completion",
	 ARGS("<bash|zsh|fish>", 1, 1),
	 .summary = "Print a shell's completion of this program",
	 .run = cmd_completion,
	 .offline = true,
	 .example = "completion bash > /etc/bash_completion.d/sluicectl"},
	{.path = "config",
	 .summary = "Write the configuration file, asking for what is in it",
	 .run = cmd_config,
	 .offline = true},
	{.path = "diff",
	 ARGS("<ref URI> [ref URI]", 1, 2),
	 .summary = "Show what is uncommitted, or what differs between two refs",
	 .run = cmd_diff,
	 FLAGS(diff),
	 .more = "With two refs: what the second has changed since the two parted, or with --two-way all in which they "
		 "differ.",
	 .example = "diff lakefs://example/main lakefs://example/dev"},
	{.path = "doctor", .summary = "See whether the configuration works", .run = cmd_doctor},
	{.path = "find-merge-base",
	 ARGS("<source ref URI> <destination ref URI>", 2, 2),
	 .summary = "Show the commit that a merge starts from",
	 .run = cmd_find_merge_base,
	 .kind = COMMAND_HIDDEN},

	GROUP("fs", "Objects"),
	{.path = "fs cat",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Print an object's bytes",
	 .run = cmd_fs_cat,
	 FLAGS(presign)},
	{.path = "fs download",
	 ARGS("<path URI> [<destination path>]", 1, 2),
	 .summary = "Copy objects into files",
	 .run = cmd_fs_download,
	 FLAGS(download, presign, copying),
	 .more = "A file appears whole or not at all. Sizes and MD5 checksums are compared, unless the object's "
		 "checksum is no MD5.",
	 .example = "fs download -r lakefs://example/main/images/ ./images"},
	{.path = "fs ls", ARGS("<path URI>", 1, 1), .summary = "List objects", .run = cmd_fs_ls, FLAGS(recursive_ls)},
	{.path = "fs presign",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Print an address that anybody can read the object by",
	 .run = cmd_fs_presign},
	{.path = "fs rm", ARGS("<path URI>", 1, 1), .summary = "Delete objects", .run = cmd_fs_rm, FLAGS(rm)},
	{.path = "fs stage",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Make an object of bytes that are there already",
	 .run = cmd_fs_stage,
	 FLAGS(stage),
	 .kind = COMMAND_HIDDEN},
	{.path = "fs stat",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Show what is known of an object",
	 .run = cmd_fs_stat,
	 FLAGS(presign)},
	{.path = "fs update-metadata",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Replace an object's metadata",
	 .run = cmd_fs_update_metadata,
	 FLAGS(metadata),
	 .kind = COMMAND_HIDDEN},
	{.path = "fs upload",
	 ARGS("<path URI>", 1, 1),
	 .summary = "Copy files into objects",
	 .run = cmd_fs_upload,
	 FLAGS(upload, presign, copying),
	 .example = "fs upload -r -s ./images lakefs://example/main/images/"},

	GROUP("gc", "How long deleted objects are kept"),
	{.path = "gc check-async",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Show how far gc prepare-async is",
	 .run = cmd_gc_check,
	 FLAGS(gc_check),
	 .kind = COMMAND_HIDDEN},
	{.path = "gc delete-config",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Delete the rules",
	 .run = cmd_gc_delete},
	{.path = "gc get-config",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Show the rules",
	 .run = cmd_gc_get,
	 FLAGS(gc_get)},
	{.path = "gc prepare-async",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Have the commits listed that are kept, for a collector",
	 .run = cmd_gc_prepare,
	 .kind = COMMAND_HIDDEN},
	{.path = "gc set-config",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Set the rules",
	 .run = cmd_gc_set,
	 FLAGS(gc_set),
	 .more = "The file: {\"default_retention_days\": 21, \"branches\": [{\"branch_id\": \"main\", "
		 "\"retention_days\": 28}]}"},
	{.path = "help",
	 ARGS("[command]", 0, ARGS_ANY),
	 .summary = "What a command does and takes",
	 .run = cmd_help,
	 .offline = true},
	{.path = "identity", .summary = "Show whose the access key is", .run = cmd_identity},
	{.path = "log",
	 ARGS("<ref URI>", 1, 1),
	 .summary = "Show commits, newest first",
	 .run = cmd_log,
	 FLAGS(log_flags, meta_range)},
	{.path = "man",
	 .summary = "Print the manual page, for man",
	 .run = cmd_man,
	 .ours = true,
	 .offline = true,
	 .example = "man > /usr/local/share/man/man1/sluicectl.1"},
	{.path = "merge",
	 ARGS("<source ref> <destination ref>", 2, 2),
	 .summary = "Merge one ref into a branch",
	 .run = cmd_merge,
	 FLAGS(merge, message)},
	{.path = "reference",
	 .summary = "Print the reference page, in Markdown",
	 .run = cmd_reference,
	 .ours = true,
	 .offline = true,
	 .kind = COMMAND_HIDDEN},
	GROUP("refs", "Repositories' branches, tags and commits, into files and back"),
	{.path = "refs dump",
	 ARGS("[<repository>]", 0, 1),
	 .summary = "Write what it takes to make repositories again",
	 .run = cmd_refs_dump,
	 FLAGS(dump_all, login),
	 .ours = true,
	 .more = "Writes <repository>_manifest.json into the current folder, for `refs restore` and for lakeFS's "
		 "lakefs-refs.py.",
	 .example = "refs dump --all --commit"},
	{.path = "refs restore",
	 ARGS("<manifest>...", 1, ARGS_ANY),
	 .summary = "Make repositories again from such files",
	 .run = cmd_refs_restore,
	 FLAGS(restore_all, login),
	 .ours = true,
	 .example = "refs restore example_manifest.json"},
	{.path = "refs-dump",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Write a repository's refs into its storage, and print their ids",
	 .run = cmd_refs_dump_one,
	 FLAGS(dump_file, polling),
	 .kind = COMMAND_HIDDEN},
	{.path = "refs-restore",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Load refs from its storage into a bare repository",
	 .run = cmd_refs_restore_one,
	 FLAGS(restore_file, polling),
	 .kind = COMMAND_HIDDEN,
	 .more = "The repository must be bare (repo create-bare). Should it fail midway, delete it, make it again, and "
		 "repeat.",
	 .example = "refs-restore lakefs://example --manifest - < refs_manifest.json"},
	GROUP("repo", "Repositories"),
	{.path = "repo create",
	 ARGS("<repository URI> <storage namespace>", 2, 2),
	 .summary = "Make a repository",
	 .run = cmd_repo_create,
	 FLAGS(repo_create, storage),
	 .example = "repo create lakefs://example s3://bucket/example"},
	{.path = "repo create-bare",
	 ARGS("<repository URI> <storage namespace>", 2, 2),
	 .summary = "Make a repository without a branch, to restore refs into",
	 .run = cmd_repo_create_bare,
	 FLAGS(repo_bare, storage),
	 .kind = COMMAND_HIDDEN},
	{.path = "repo delete",
	 ARGS("<repository URI>", 1, 1),
	 .summary = "Delete a repository; its data stays on its storage",
	 .run = cmd_repo_delete,
	 FLAGS(yes)},
	{.path = "repo list", .summary = "List repositories", .run = cmd_repo_list, FLAGS(pages)},
	GROUP("show", "One thing, in full"),
	{.path = "show commit",
	 ARGS("<commit URI>", 1, 1),
	 .summary = "Show a commit",
	 .run = cmd_show_commit,
	 FLAGS(meta_range)},
	{.path = "storage", .summary = "Storages that repositories live on", .ours = true},
	{.path = "storage list", .summary = "List the server's storages", .run = cmd_storage_list, .ours = true},
	GROUP("tag", "Tags"),
	{.path = "tag create",
	 ARGS("<tag URI> <commit URI>", 2, 2),
	 .summary = "Name a commit",
	 .run = cmd_tag_create,
	 FLAGS(tag_force)},
	{.path = "tag delete", ARGS("<tag URI>", 1, 1), .summary = "Delete a tag", .run = cmd_tag_delete, FLAGS(yes)},
	{.path = "tag list", ARGS("<repository URI>", 1, 1), .summary = "List tags", .run = cmd_tag_list, FLAGS(pages)},
	{.path = "tag show", ARGS("<tag URI>", 1, 1), .summary = "Show the commit of a tag", .run = cmd_tag_show},
	{.path = "usage", .summary = "How much the server is used", .kind = COMMAND_HIDDEN},
	{.path = "usage summary",
	 .summary = "Show requests by months",
	 .run = cmd_usage_summary,
	 .kind = COMMAND_HIDDEN},
};
const size_t commands_n = sizeof(commands) / sizeof(commands[0]);
