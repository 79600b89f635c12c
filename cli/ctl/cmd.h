/* The handlers of the table, by the file that has them. */
#pragma once

#include "cli/ctl/list.h"

/* cmd_repo.c */
bool cmd_repo_list(struct ctl *c);
bool cmd_repo_create(struct ctl *c);
bool cmd_repo_create_bare(struct ctl *c);
bool cmd_repo_delete(struct ctl *c);
bool cmd_storage_list(struct ctl *c);
/* The storages of a configuration's document. */
bool storages(struct ctl *c, struct json **ret_list, size_t *ret_n);
const struct json *storage_at(const struct json *list, size_t i);

/* cmd_branch.c, cmd_tag.c */
bool cmd_branch_list(struct ctl *c);
bool cmd_branch_create(struct ctl *c);
bool cmd_branch_delete(struct ctl *c);
bool cmd_branch_show(struct ctl *c);
bool cmd_branch_reset(struct ctl *c);
bool cmd_branch_revert(struct ctl *c);
bool cmd_tag_list(struct ctl *c);
bool cmd_tag_create(struct ctl *c);
bool cmd_tag_delete(struct ctl *c);
bool cmd_tag_show(struct ctl *c);

/* cmd_commit.c, cmd_log.c, cmd_diff.c */
bool cmd_commit(struct ctl *c);
bool cmd_cherry_pick(struct ctl *c);
bool cmd_show_commit(struct ctl *c);
bool cmd_log(struct ctl *c);
bool cmd_annotate(struct ctl *c);
bool cmd_diff(struct ctl *c);
bool cmd_merge(struct ctl *c);
bool cmd_find_merge_base(struct ctl *c);
/* "ID: ... Parents: ..." */
void show_committed(struct ctl *c, struct str branch, const struct json *commit);

/* cmd_fs.c, upload.c, download.c */
bool cmd_fs_ls(struct ctl *c);
bool cmd_fs_stat(struct ctl *c);
bool cmd_fs_cat(struct ctl *c);
bool cmd_fs_presign(struct ctl *c);
bool cmd_fs_rm(struct ctl *c);
bool cmd_fs_stage(struct ctl *c);
bool cmd_fs_update_metadata(struct ctl *c);
bool cmd_fs_upload(struct ctl *c);
bool cmd_fs_download(struct ctl *c);
void show_stats(struct ctl *c, const struct answer *w);

/* cmd_settings.c */
bool cmd_branch_protect_list(struct ctl *c);
bool cmd_branch_protect_add(struct ctl *c);
bool cmd_branch_protect_delete(struct ctl *c);
bool cmd_gc_get(struct ctl *c);
bool cmd_gc_set(struct ctl *c);
bool cmd_gc_delete(struct ctl *c);
bool cmd_gc_prepare(struct ctl *c);
bool cmd_gc_check(struct ctl *c);

/* cmd_actions.c */
bool cmd_actions_list(struct ctl *c);
bool cmd_actions_describe(struct ctl *c);
bool cmd_hook_output(struct ctl *c);

/* cmd_refs.c, cmd_refs_all.c */
bool cmd_refs_dump_one(struct ctl *c);
bool cmd_refs_restore_one(struct ctl *c);
bool cmd_refs_dump(struct ctl *c);
bool cmd_refs_restore(struct ctl *c);
/* Starts a task, asks every --poll-interval until it is done or --timeout is over. */
bool task_submit(struct ctl *c, struct str path, struct str doc, struct str *ret_id);
bool task_wait(struct ctl *c, struct str path, struct str id, struct answer *ret);
/* The three ids of a manifest's refs, as an object under `key` (NULL: inside an array or alone). */
void write_refs(struct json_out *w, const char *key, const struct json *refs);
/* The same as lakectl indents it, for files and pipes alike. */
struct str refs_text(struct ctl *c, const struct json *refs);
/* A manifest's refs from a file, "-": stdin; also from what `refs dump` writes. */
bool refs_read(struct ctl *c, struct str file, const struct json **ret);
/* Whether they name all three. */
bool refs_named(struct ctl *c, const struct json *refs);

/* cmd_backup.c */
bool cmd_backup(struct ctl *c);
bool cmd_backup_verify(struct ctl *c);
bool cmd_backup_manifest(struct ctl *c);

/* cmd_auth.c: one handler, by a table of its own */
bool cmd_auth(struct ctl *c);
bool cmd_policy_create(struct ctl *c);

/* cmd_self.c */
bool cmd_doctor(struct ctl *c);
bool cmd_identity(struct ctl *c);
bool cmd_config(struct ctl *c);
bool cmd_usage_summary(struct ctl *c);

/* help.c, completion.c, pages.c */
bool cmd_help(struct ctl *c);
bool cmd_completion(struct ctl *c);
bool cmd_man(struct ctl *c);
bool cmd_reference(struct ctl *c);
void help_show(const struct ctl *c, const struct command *cmd);
