/* sluice reference: pages made from the program's own tables. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/buf.h"
#include "cli/cmd.h"
#include "gateway/gateway.h"

int cmd_reference(int argc, char **argv)
{
	struct buf out = BUF_INIT((size_t)1 << 20);

	if (argc == 2 && !strcmp(argv[1], "s3")) {
		gateway_reference(&out);
	} else if (argc == 2 && !strcmp(argv[1], "rest")) {
		api_reference(&out);
	} else {
		fputs("usage: sluice reference s3|rest\n", stderr);
		return 2;
	}
	fwrite(out.p, 1, out.n, stdout);
	buf_deinit(&out);
	return 0;
}
