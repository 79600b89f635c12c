/* Files of the user's: where an object goes, written whole or not at all. Any thread. */
#pragma once

#include "base/arena.h"

/* May an object of this key (below the prefix that was asked for) be a file below a folder? Not what has an
 * empty component or "." or "..", which would leave it or be another's. A key that ends in '/' is a folder. */
bool files_key_is_safe(struct str key);
/* folder/key, or key where the folder is empty. */
struct str files_join(struct arena *a, struct str folder, struct str key);
/* Makes the folders that the file's path needs. False: errno. */
bool files_make_folders(struct arena *a, struct str path);
/* The path from the root. */
struct str files_absolute(struct arena *a, struct str path);

struct new_file {
	struct str path, temp;
	int fd;
};
/* A file beside `path` that isn't it yet. False: errno. */
bool files_begin(struct arena *a, struct str path, struct new_file *ret);
/* The same with a text in it that is on disk, as path.new. */
bool files_write(struct arena *a, struct str path, struct str text, unsigned mode, struct new_file *ret);
/* It takes the place of what was at its path. False: errno, and it is gone. */
bool files_commit(struct new_file *f);
void files_abandon(struct new_file *f);
