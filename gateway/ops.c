#include "gateway/s3.h"

#define S3_OP(name, ...) extern const struct s3_handlers handlers_##name;
#define S3_NO(name, ...)
#include "gateway/ops.def"
#undef S3_OP
#undef S3_NO

const struct s3_op s3_ops[S3_OPS] = {
#define S3_OP(opname, opmethod, oplevel, opquery, opheader, opaction, opresource, opflags)         \
	[S3_##opname] = {                                                                          \
		.id = S3_##opname,                                                                 \
		.name = #opname,                                                                   \
		.method = #opmethod,                                                               \
		.level = LEVEL_##oplevel,                                                          \
		.query = opquery,                                                                  \
		.header = opheader,                                                                \
		.action = opaction,                                                                \
		.resource = RES_##opresource,                                                      \
		.flags = opflags,                                                                  \
		.handlers = &handlers_##opname,                                                    \
	},
#define S3_NO(opname, opmethod, oplevel, opquery, opheader)                                        \
	[S3_##opname] = {                                                                          \
		.id = S3_##opname,                                                                 \
		.name = #opname,                                                                   \
		.method = #opmethod,                                                               \
		.level = LEVEL_##oplevel,                                                          \
		.query = opquery,                                                                  \
		.header = opheader,                                                                \
		.flags = OP_ABSENT,                                                                \
	},
#include "gateway/ops.def"
};

static const char *const levels[] = {"service", "bucket", "object"};

void gateway_reference(struct buf *out)
{
	buf_add_cstr(out, "# S3 operations\n\n"
			  "Made from `gateway/ops.def` by `sluice reference s3`. An operation that is not "
			  "there answers `NotImplemented`.\n\n"
			  "| operation | method | on | query | permission |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < S3_OPS; i++) {
		const struct s3_op *op = &s3_ops[i];

		buf_printf(out, "| %s | %s | %s | %s | %s |\n", op->name, op->method,
			   levels[op->level], op->query,
			   op->flags & OP_ABSENT ? "not implemented" : op->action);
	}
}
