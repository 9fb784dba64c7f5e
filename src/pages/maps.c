/* SPDX-License-Identifier: MIT */
#include "pages/maps.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 160 }; /* what matters is in front */

/* "7f3a5be00000-7f3a9be00000 rw-p 00000000 00:00 0   [anon:ram]" */
static bool is_anonymous(const char *line, uint64_t *ret_start,
			 uint64_t *ret_end)
{
	unsigned long inode;
	char access[5];
	int name = 0;

	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers */
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %lu %n",
		   ret_start, ret_end, access, &inode, &name) < 4)
		return false;
	return !strcmp(access, "rw-p") && inode == 0 &&
	       (line[name] == '\0' || !strncmp(line + name, "[anon:", 6));
}

unsigned maps_find(const char *text, uint64_t len_bytes,
		   uint64_t ret[MAPS_FOUND_MAX])
{
	unsigned n = 0;

	while (*text) {
		uint64_t start = 0, end = 0;
		size_t len = strcspn(text, "\n");
		char line[LINE];

		snprintf(line, sizeof(line), "%.*s",
			 (int)(len < LINE ? len : LINE), text);
		text += len + (text[len] == '\n');
		if (!is_anonymous(line, &start, &end) ||
		    end - start != len_bytes)
			continue;
		if (n < MAPS_FOUND_MAX)
			ret[n] = start;
		n++;
	}
	return n;
}
