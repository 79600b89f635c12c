/* Replays inputs: the files named, and those in the folders named. Each is given whole, then cut short
 * at some places, so that a small corpus reaches the ends of buffers, too. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { INPUT_MAX = 1 << 20, CUTS = 64 };

static unsigned files;

/* A copy of its own for each run: reading past the end is then found. */
static void run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	MUST(copy);
	if (n)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static bool replay_file(const char *path)
{
	static uint8_t input[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n, step;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	n = fread(input, 1, sizeof(input), f);
	fclose(f);
	run(input, n);
	step = n / CUTS + 1;
	for (size_t at = 0; at < n; at += step)
		run(input, at);
	files++;
	return true;
}

static bool replay_folder(const char *path, DIR *dir)
{
	bool ok = true;
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		char file[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		ok &= replay_file(file);
	}
	closedir(dir);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = true;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		ok &= dir ? replay_folder(argv[i], dir) : replay_file(argv[i]);
	}
	printf("%u inputs\n", files);
	return ok && files ? 0 : 1;
}
