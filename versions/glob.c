#include "versions/glob.h"

static rc bad(struct err *reterr, struct str glob, const char *why)
{
	return err_set(reterr, ERR_INVALID, "invalid glob '" STR_FMT "': %s",
		       STR_ARG(str_head(glob, 200)), why);
}

/* A class at its '[': where it ends; 0: it isn't one. One range, or bytes; not both, as lakeFS. */
static size_t class_end(struct str g, size_t i)
{
	size_t from, end;

	i++;
	i += i < g.n && g.p[i] == '!';
	from = i;
	if (i + 3 < g.n && g.p[i + 1] == '-' && g.p[i + 3] == ']')
		return (unsigned char)g.p[i] <= (unsigned char)g.p[i + 2] ? i + 4 : 0;
	for (end = i; end < g.n && g.p[end] != ']'; end++)
		if (g.p[end] == '-' || g.p[end] == '\\' || g.p[end] == '[')
			return 0;
	return end < g.n && end > from ? end + 1 : 0;
}

static bool class_has(struct str g, size_t i, size_t end, char c)
{
	bool negated = g.p[++i] == '!', has;

	i += negated;
	if (g.p[i + 1] == '-')
		has = (unsigned char)c >= (unsigned char)g.p[i] && (unsigned char)c <= (unsigned char)g.p[i + 2];
	else
		has = memchr(g.p + i, c, end - 1 - i) != NULL;
	return has != negated;
}

/* Behind the element at i, whatever it is; 0: the glob is bad there. */
static size_t element_end(struct str g, size_t i)
{
	if (g.p[i] == '\\')
		return i + 1 < g.n ? i + 2 : 0;
	return g.p[i] == '[' ? class_end(g, i) : i + 1;
}

rc glob_check(struct str glob, struct err *reterr)
{
	size_t depth = 0;

	if (glob.n == 0 || glob.n > GLOB_MAX || !str_is_utf8(glob))
		return bad(reterr, glob, "1 to 1,024 bytes of UTF-8");
	for (size_t i = 0, next; i < glob.n; i = next) {
		next = element_end(glob, i);
		if (!next)
			return bad(reterr, glob,
				   glob.p[i] == '[' ? "in [] stand characters or one range like a-z"
						    : "a character must follow a '\\'");
		depth += glob.p[i] == '{';
		depth -= glob.p[i] == '}' && depth;
	}
	return depth ? bad(reterr, glob, "a '{' isn't closed") : RC_OK;
}

/* Matching: the set of places in the glob that the name's bytes so far may have led to. */

struct places {
	bool at[GLOB_MAX + 2];
};

/* Of a '{', and of a ',' in a group: where the group's next ',' or its '}' stands; 0: the byte is none.
 * Of a ',' and of a '}' in a group: what follows the group. */
struct shape {
	unsigned short next[GLOB_MAX], behind[GLOB_MAX];
};

static bool link_groups(struct str g, struct shape *s)
{
	unsigned short last[GLOB_MAX]; /* of each open group */
	size_t depth = 0;

	for (size_t i = 0, after; i < g.n; i = after) {
		after = element_end(g, i);
		if (!after)
			return false;
		if (depth && (g.p[i] == ',' || g.p[i] == '}')) {
			s->next[last[depth - 1]] = (unsigned short)i;
			last[depth - 1] = (unsigned short)i;
			if (g.p[i] == '}') {
				s->behind[i] = (unsigned short)(i + 1);
				depth--;
			}
		} else if (g.p[i] == '{') {
			last[depth++] = (unsigned short)i;
		}
	}
	return depth == 0;
}

static bool measure(struct str g, struct shape *s)
{
	*s = (struct shape){0};
	if (!link_groups(g, s))
		return false;
	for (size_t i = g.n; i-- > 0;)
		if (g.p[i] == ',' && s->next[i])
			s->behind[i] = s->behind[s->next[i]];
	return true;
}

/* All places that follow from one without a byte. Groups lead forward only, so one pass does it. */
static void spread(struct str g, const struct shape *s, struct places *p)
{
	for (size_t i = 0; i < g.n; i++) {
		if (!p->at[i])
			continue;
		if (g.p[i] == '*')
			p->at[i + 1] = true;
		else if (s->behind[i])
			p->at[s->behind[i]] = true;
		else if (s->next[i])
			for (size_t j = i; g.p[j] != '}'; j = s->next[j])
				p->at[j + 1] = true;
	}
}

static void step(struct str g, const struct shape *s, const struct places *from, char c, struct places *to)
{
	*to = (struct places){0};
	for (size_t i = 0; i < g.n; i++) {
		if (!from->at[i])
			continue;
		if (g.p[i] == '*')
			to->at[i] = true;
		else if (g.p[i] == '?')
			to->at[i + 1] = true;
		else if (g.p[i] == '[')
			to->at[class_end(g, i)] |= class_has(g, i, class_end(g, i), c);
		else if (g.p[i] == '\\')
			to->at[i + 2] |= g.p[i + 1] == c;
		else if (!s->next[i] && !s->behind[i])
			to->at[i + 1] |= g.p[i] == c;
	}
}

bool glob_matches(struct str glob, struct str name)
{
	struct places now = {.at = {true}}, next;
	struct shape shape;

	if (glob.n > GLOB_MAX || !measure(glob, &shape))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		spread(glob, &shape, &now);
		step(glob, &shape, &now, name.p[i], &next);
		now = next;
	}
	spread(glob, &shape, &now);
	return now.at[glob.n];
}
