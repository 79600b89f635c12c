#include "versions/parquet.h"

#include <stdlib.h>

#include "base/gzip.h"

/* Numbers of parquet.thrift. */
enum { TYPE_INT64 = 2, TYPE_BYTE_ARRAY = 6, REQUIRED = 0, UTF8 = 0, PLAIN = 0, RLE = 3, GZIP = 2, DATA_PAGE = 0 };
/* Thrift's compact protocol. */
enum { T_I32 = 5, T_I64 = 6, T_BINARY = 8, T_LIST = 9, T_STRUCT = 12 };

#define MAGIC STR("PAR1")
enum { PAGE_BYTES = 1 << 20 };

/* A column's values, and where its pages end: each is a page of its own. */
struct column {
	const char *name;
	int type;
	struct buf values;
	struct page {
		size_t end, rows; /* end: in values; rows: in all up to there */
	} *pages;
	size_t pages_n, pages_cap;
	/* once written */
	uint64_t at, packed, unpacked;
};

enum { ADDRESS, CREATED, COLUMNS };

struct parquet {
	struct column columns[COLUMNS];
	size_t rows, max;
};

struct parquet *parquet_new(size_t max_bytes)
{
	struct parquet *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->max = max_bytes;
	p->columns[ADDRESS] = (struct column){.name = "physical_address", .type = TYPE_BYTE_ARRAY};
	p->columns[CREATED] = (struct column){.name = "creation_date", .type = TYPE_INT64};
	buf_init(&p->columns[ADDRESS].values, max_bytes);
	buf_init(&p->columns[CREATED].values, max_bytes);
	return p;
}

void parquet_freep(struct parquet **pp)
{
	struct parquet *p = *pp;

	if (!p)
		return;
	for (unsigned i = 0; i < COLUMNS; i++) {
		buf_deinit(&p->columns[i].values);
		free(p->columns[i].pages);
	}
	free(p);
}

size_t parquet_rows(const struct parquet *p)
{
	return p->rows;
}

static void add_le(struct buf *b, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_add_c(b, (char)(v >> 8 * i));
}

static void end_page(struct column *c, size_t rows)
{
	if (c->pages_n == c->pages_cap) {
		c->pages_cap = c->pages_cap ? 2 * c->pages_cap : 16;
		c->pages = reallocarray(c->pages, c->pages_cap, sizeof(*c->pages));
		if (!c->pages)
			abort();
	}
	c->pages[c->pages_n++] = (struct page){c->values.n, rows};
}

static void end_full_page(struct column *c, size_t rows)
{
	size_t from = c->pages_n ? c->pages[c->pages_n - 1].end : 0;

	if (c->values.n - from >= PAGE_BYTES)
		end_page(c, rows);
}

bool parquet_add(struct parquet *p, struct str address, int64_t created_s)
{
	struct column *a = &p->columns[ADDRESS], *t = &p->columns[CREATED];

	if (a->values.n + t->values.n + 12 + address.n > p->max)
		return false;
	add_le(&a->values, address.n, 4);
	buf_add(&a->values, address);
	add_le(&t->values, (uint64_t)created_s, 8);
	p->rows++;
	end_full_page(a, p->rows);
	end_full_page(t, p->rows);
	return true;
}

/* Thrift. A struct's fields ascend; `last` is the number of the one before. */

static void varint(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_c(b, (char)(v | 0x80));
	buf_add_c(b, (char)v);
}

static void zigzag(struct buf *b, int64_t v)
{
	varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* Numbers here are less than 15 apart, so that each fits beside its type. */
static void field(struct buf *b, int *last, int number, int type)
{
	buf_add_c(b, (char)((number - *last) << 4 | type));
	*last = number;
}

static void field_int(struct buf *b, int *last, int number, int type, int64_t v)
{
	field(b, last, number, type);
	zigzag(b, v);
}

static void text(struct buf *b, const char *s)
{
	varint(b, strlen(s));
	buf_add_cstr(b, s);
}

static void field_text(struct buf *b, int *last, int number, const char *s)
{
	field(b, last, number, T_BINARY);
	text(b, s);
}

/* Fewer than 15 elements. */
static void field_list(struct buf *b, int *last, int number, int type, unsigned n)
{
	field(b, last, number, T_LIST);
	buf_add_c(b, (char)(n << 4 | (unsigned)type));
}

static void end_struct(struct buf *b)
{
	buf_add_c(b, 0);
}

/* Pages. */

static void page_header(struct buf *b, size_t rows, size_t unpacked, size_t packed)
{
	int last = 0, inner = 0;

	field_int(b, &last, 1, T_I32, DATA_PAGE);
	field_int(b, &last, 2, T_I32, (int64_t)unpacked);
	field_int(b, &last, 3, T_I32, (int64_t)packed);
	field(b, &last, 5, T_STRUCT);
	field_int(b, &inner, 1, T_I32, (int64_t)rows);
	field_int(b, &inner, 2, T_I32, PLAIN);
	field_int(b, &inner, 3, T_I32, RLE);
	field_int(b, &inner, 4, T_I32, RLE);
	end_struct(b);
	end_struct(b);
}

static bool write_page(struct column *c, size_t from, size_t to, size_t rows, struct buf *out)
{
	struct buf packed = BUF_INIT(gzip_bound(to - from) + 1);
	size_t before = out->n;
	bool ok = gzip_add(&packed, str_make(c->values.p + from, to - from));

	if (ok) {
		page_header(out, rows, to - from, packed.n);
		c->unpacked += out->n - before + (to - from);
		buf_add(out, buf_str(&packed));
	}
	buf_deinit(&packed);
	return ok && !out->overflow;
}

static bool write_column(struct column *c, size_t rows, struct buf *out)
{
	size_t from = 0, done = 0;

	c->at = out->n;
	if (!c->pages_n || c->pages[c->pages_n - 1].end < c->values.n)
		end_page(c, rows);
	for (size_t i = 0; i < c->pages_n; i++) {
		if (!write_page(c, from, c->pages[i].end, c->pages[i].rows - done, out))
			return false;
		from = c->pages[i].end;
		done = c->pages[i].rows;
	}
	c->packed = out->n - c->at;
	return true;
}

/* The footer. */

static void schema(struct buf *b, const struct column *columns)
{
	int last = 0;

	field_text(b, &last, 4, "schema");
	field_int(b, &last, 5, T_I32, COLUMNS);
	end_struct(b);
	for (unsigned i = 0; i < COLUMNS; i++) {
		last = 0;
		field_int(b, &last, 1, T_I32, columns[i].type);
		field_int(b, &last, 3, T_I32, REQUIRED);
		field_text(b, &last, 4, columns[i].name);
		if (columns[i].type == TYPE_BYTE_ARRAY)
			field_int(b, &last, 6, T_I32, UTF8);
		end_struct(b);
	}
}

static void column_chunk(struct buf *b, const struct column *c, size_t rows)
{
	int last = 0, inner = 0;

	field_int(b, &last, 2, T_I64, (int64_t)c->at);
	field(b, &last, 3, T_STRUCT);
	field_int(b, &inner, 1, T_I32, c->type);
	field_list(b, &inner, 2, T_I32, 2);
	zigzag(b, PLAIN);
	zigzag(b, RLE);
	field_list(b, &inner, 3, T_BINARY, 1);
	text(b, c->name);
	field_int(b, &inner, 4, T_I32, GZIP);
	field_int(b, &inner, 5, T_I64, (int64_t)rows);
	field_int(b, &inner, 6, T_I64, (int64_t)c->unpacked);
	field_int(b, &inner, 7, T_I64, (int64_t)c->packed);
	field_int(b, &inner, 9, T_I64, (int64_t)c->at);
	end_struct(b);
	end_struct(b);
}

static void footer(struct buf *b, const struct parquet *p)
{
	int last = 0, group = 0;
	size_t start = b->n;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < COLUMNS; i++)
		bytes += p->columns[i].unpacked;
	field_int(b, &last, 1, T_I32, 1);
	field_list(b, &last, 2, T_STRUCT, COLUMNS + 1);
	schema(b, p->columns);
	field_int(b, &last, 3, T_I64, (int64_t)p->rows);
	field_list(b, &last, 4, T_STRUCT, 1);
	field_list(b, &group, 1, T_STRUCT, COLUMNS);
	for (unsigned i = 0; i < COLUMNS; i++)
		column_chunk(b, &p->columns[i], p->rows);
	field_int(b, &group, 2, T_I64, (int64_t)bytes);
	field_int(b, &group, 3, T_I64, (int64_t)p->rows);
	end_struct(b);
	field_text(b, &last, 6, "sluice");
	end_struct(b);
	add_le(b, b->n - start, 4);
}

bool parquet_finish(struct parquet *p, struct buf *to)
{
	/* Offsets count from the file's beginning. */
	struct buf file = BUF_INIT(to->max);
	bool ok = buf_add(&file, MAGIC);

	for (unsigned i = 0; i < COLUMNS && ok; i++)
		ok = write_column(&p->columns[i], p->rows, &file);
	if (ok) {
		footer(&file, p);
		buf_add(&file, MAGIC);
	}
	ok = ok && !file.overflow && buf_add(to, buf_str(&file));
	buf_deinit(&file);
	return ok;
}
