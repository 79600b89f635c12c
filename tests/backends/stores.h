/* What the tests of stores share. Include after cmocka.h. */
#pragma once

#include "backends/backend.h"

#define ok(call) check_rc((call), &test_err, __FILE__, __LINE__)
#define fails(call, name) check_code((call), ERR_##name, &test_err, __FILE__, __LINE__)
extern struct err test_err;
void check_rc(rc r, const struct err *e, const char *file, int line);
void check_code(rc r, enum err_code code, const struct err *e, const char *file, int line);

enum store_kind { STORE_LOCAL, STORE_LOCAL_NAMED, STORE_MEM, STORE_FAULT, STORE_KINDS };
const char *store_kind_name(enum store_kind k);

struct store {
	struct backend *b;
	struct str space;
	char root[64]; /* of local ones */
};
void store_open(struct store *s, enum store_kind k, struct work_pool *pool);
void store_close(struct store *s);
void store_dir_new(char out[64]);
void store_dir_remove(const char *path);
/* Files below the path; what the local store keeps for itself included. */
size_t store_files(const char *path);

struct object_ptr at(const struct store *s, const char *key);
/* Byte i of every test object. */
char pattern(uint64_t i, unsigned seed);
struct str pattern_new(struct arena *a, size_t n, unsigned seed);
rc put_bytes(struct store *s, const char *key, struct str bytes);
/* The whole object, or its error. */
rc get_bytes(struct store *s, struct arena *a, const char *key, struct str *ret);
bool holds(struct store *s, const char *key, struct str bytes);
