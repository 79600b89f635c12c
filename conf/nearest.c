/* Which key was meant: edit distance over paths of as many parts, else the same last part elsewhere. */
#include "conf/table.h"

enum { MAX_LEN = 96 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment: a swap of neighbours counts once. Both at most MAX_LEN long. */
static unsigned distance(struct str a, struct str b)
{
	unsigned rows[3][MAX_LEN + 1];
	unsigned *old = rows[0], *prev = rows[1], *cur = rows[2];

	for (unsigned j = 0; j <= b.n; j++)
		prev[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *spare = old;

		cur[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			cur[j] = min3(prev[j] + 1, cur[j - 1] + 1,
				      prev[j - 1] + (a.p[i - 1] != b.p[j - 1]));
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				cur[j] = min3(cur[j], cur[j], old[j - 2] + 1);
		}
		old = prev;
		prev = cur;
		cur = spare;
	}
	return prev[b.n];
}

static size_t parts(struct str path)
{
	size_t n = 1;

	for (size_t i = 0; i < path.n; i++)
		n += path.p[i] == '.';
	return n;
}

/* The first n parts of path; all of it when it has fewer. */
static struct str first_parts(struct str path, size_t n)
{
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '.' && --n == 0)
			return str_head(path, i);
	return path;
}

static struct str last_part(struct str path)
{
	size_t i = path.n;

	while (i > 0 && path.p[i - 1] != '.')
		i--;
	return str_skip(path, i);
}

static struct str same_last_part(struct str path, bool store)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		struct str key = str_c(conf_keys[i].path);

		if (conf_keys[i].store == store && !(conf_keys[i].flags & KEY_IGNORED) &&
		    str_eq(last_part(key), last_part(path)))
			return key;
	}
	return STR_NONE;
}

struct str conf_key_nearest(struct str path, bool store)
{
	unsigned best = UINT32_MAX;
	struct str found = STR_NONE;

	if (path.n == 0 || path.n > MAX_LEN)
		return STR_NONE;
	for (size_t i = 0; i < CONF_KEYS; i++) {
		struct str key = first_parts(str_c(conf_keys[i].path), parts(path));
		unsigned d;

		if (conf_keys[i].store != store || key.n > MAX_LEN)
			continue;
		d = distance(path, key);
		if (d < best) {
			best = d;
			found = key;
		}
	}
	if (best * 3 <= last_part(path).n + 2)
		return found;
	return same_last_part(path, store);
}
