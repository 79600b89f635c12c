#include "cli/ctl/command.h"

struct str command_last_word(const struct command *cmd)
{
	struct str rest = str_c(cmd->path), word = rest;

	while (rest.p)
		word = str_cut(rest, ' ', &rest);
	return word;
}

static bool is_named(const struct command *cmd, struct str path)
{
	struct str group = str_head(str_c(cmd->path), strlen(cmd->path) - command_last_word(cmd).n);

	if (str_eq(str_c(cmd->path), path))
		return true;
	return cmd->alias && str_starts(path, group) && str_eq(str_skip(path, group.n), str_c(cmd->alias));
}

const struct command *command_find(struct str path)
{
	for (size_t i = 0; i < commands_n; i++)
		if (is_named(&commands[i], path))
			return &commands[i];
	return NULL;
}

static size_t set_size(const struct flag *set)
{
	size_t n = 0;

	while (set && set[n].name)
		n++;
	return n;
}

static bool has_own(const struct command *cmd, const char *name)
{
	for (int s = 0; cmd && s < COMMAND_FLAG_SETS; s++)
		for (size_t i = 0; i < set_size(cmd->sets[s]); i++)
			if (!strcmp(cmd->sets[s][i].name, name))
				return true;
	return false;
}

const struct flag *command_next_flag(const struct command *cmd, size_t *at, bool *ret_global)
{
	size_t i = *at;

	*ret_global = false;
	for (int s = 0; cmd && s < COMMAND_FLAG_SETS; s++) {
		size_t n = set_size(cmd->sets[s]);

		if (i < n) {
			++*at;
			return &cmd->sets[s][i];
		}
		i -= n;
	}
	*ret_global = true;
	for (size_t g = 0; global_flags[g].name; g++) {
		if (has_own(cmd, global_flags[g].name))
			continue;
		if (i-- == 0) {
			++*at;
			return &global_flags[g];
		}
	}
	return NULL;
}

bool command_is_below(const struct command *sub, struct str group)
{
	struct str path = str_c(sub->path);

	if (group.n) {
		if (!str_starts(path, group) || path.n <= group.n || path.p[group.n] != ' ')
			return false;
		path = str_skip(path, group.n + 1);
	}
	return str_index(path, ' ') == path.n;
}
