/* SPDX-License-Identifier: MIT */

/* Memory that ends where the process's does: the codecs' libraries are not
 * instrumented, so a sanitizer would not see them stray. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* The first byte behind @len bytes that may be used; behind it nothing may. */
static inline uint8_t *edge_new(size_t len)
{
	const size_t page = 4096;
	size_t room = (len + page - 1) / page * page;
	uint8_t *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(p != MAP_FAILED);
	assert(mprotect(p + room, page, PROT_NONE) == 0);
	return p + room;
}
