/* Where lines go: the outputs of log_setup. One thread at a time. */
#pragma once

#include "base/log.h"

enum {
	LOG_OUTPUTS_MAX = 8,
};

struct log_output {
	char *path; /* NULL: a standard stream */
	int fd;
	uint64_t bytes; /* of the file, to rotate by */
};

struct log_outputs {
	struct log_output at[LOG_OUTPUTS_MAX];
	size_t n;
	uint64_t max_bytes; /* 0: never rotate */
	unsigned keep;
};

rc log_outputs_open(const struct log_options *o, struct log_outputs *ret, struct err *reterr);
void log_outputs_close(struct log_outputs *o);
/* Files that can't be opened again stay as they are; false then. */
bool log_outputs_reopen(struct log_outputs *o);
/* Whole lines. What an output refuses (a full disk) is lost to it; false then. */
bool log_outputs_write(struct log_outputs *o, struct str lines);
