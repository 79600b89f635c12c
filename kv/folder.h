/* The folder of an embedded KV: made when missing, looked at before anything is opened in it, and
 * claimed, so that neither this process nor another opens it twice.
 *
 * The look comes first because RocksDB itself rotates its log in a folder that it then can't lock,
 * and takes a folder without its CURRENT file for a new one (and would delete the tables in it). */
#pragma once

#include "base/err.h"

struct kv_folder;

/* CONFIG with the remedy when the folder is no folder, isn't allowed, is in use, or holds something
 * else: Badger's files, a RocksDB without CURRENT, files of no KV. Nothing is written then. `existing`:
 * NOT_FOUND when it holds no KV yet. */
rc kv_folder_claim(struct str path, bool existing, struct kv_folder **ret, struct err *reterr);
/* NULL is allowed. */
void kv_folder_release(struct kv_folder *f);
/* NUL-terminated; lives as long as the claim. */
const char *kv_folder_path(const struct kv_folder *f);
