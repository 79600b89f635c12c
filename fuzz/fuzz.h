/* What all targets share. A target may not keep anything from one input to the next. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input; the fuzzer stops and keeps the input. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The input's first byte, which it loses; 0 when there is none. */
static inline uint8_t take_byte(struct str *input)
{
	uint8_t b;

	if (input->n == 0)
		return 0;
	b = (uint8_t)input->p[0];
	*input = str_skip(*input, 1);
	return b;
}
