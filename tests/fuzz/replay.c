/* SPDX-License-Identifier: MIT */

/* Runs a fuzz target over the files of folders, once each: what a build without
 * libFuzzer can still check.  Writes TAP. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 2 << 20 };

static int run_file(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "re");
	uint8_t *exact;
	size_t n;

	if (!f)
		return -1;
	n = fread(buf, 1, INPUT_MAX, f);
	fclose(f);
	/* Just as long as the input, so that a checker sees what reads on. */
	exact = malloc(n ? n : 1);
	for (size_t i = 0; exact && i < n; i++)
		exact[i] = buf[i];
	if (exact)
		LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

static int run_folder(const char *folder, uint8_t *buf, int count)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;
	char path[4096];

	if (!d)
		return count;
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		count++;
		printf("%s %d - %s\n", run_file(path, buf) ? "not ok" : "ok",
		       count, entry->d_name);
	}
	closedir(d);
	return count;
}

int main(int argc, char **argv)
{
	uint8_t *buf = malloc(INPUT_MAX);
	int count = 0;

	for (int i = 1; buf && i < argc; i++)
		count = run_folder(argv[i], buf, count);
	free(buf);
	printf("1..%d\n", count);
	/* An empty corpus would be a test that checks nothing. */
	return count > 0 ? 0 : 1;
}
