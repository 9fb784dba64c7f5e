/* SPDX-License-Identifier: MIT */
#include "base/cpus.h"

#include <stdlib.h>

void cpus_read_list(cpu_set_t *ret, const char *text)
{
	CPU_ZERO(ret);
	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < CPU_SETSIZE; first++)
			CPU_SET(first, ret);
		text = end + (*end == ',');
	}
}
